//! What would become of a message if it were sent back now.

use std::collections::HashMap;

use idv_callback::assurance::{Decision, History, Policy, QuarantineReason, Settled, UserRecord, decide};
use idv_callback::audit::AuditCode;
use idv_callback::correction::{Correction, Statement};
use idv_callback::key_ring::KeyRing;
use idv_callback::ports::{Clock, UserDirectory};
use idv_callback::settlement::{Pace, WithoutDecision, event_to_decide};
use idv_callback::verification::{UserReference, VerificationEvent};

/// How many users are asked about at once.
pub(super) const READS_AT_ONCE: usize = 8;

/// Why a message is left where it is.
pub(super) enum NotReplayable {
    /// It would be a dead letter again, for this reason.
    Dead(QuarantineReason),
    /// It cannot be told what would become of it.
    Unknown(String),
}

impl NotReplayable {
    /// In a few words.
    pub(super) fn word(&self) -> String {
        match self {
            Self::Dead(reason) => format!("dead again: {}", reason.code()),
            Self::Unknown(why) => format!("unknown: {why}"),
        }
    }
}

/// What would become of a message that is settled.
pub(super) struct Forecast {
    /// The event, with the user that it is about.
    pub(super) event: VerificationEvent,
    /// The user's record before it.
    pub(super) user: Option<UserRecord>,
    pub(super) outcome: Settled,
    /// What it adds to the history of the user's sessions.
    pub(super) adds: History,
    /// Whether the user would be confirmed.
    pub(super) confirms: bool,
}

/// What would become of one message if it were sent back alone.
pub struct Forecasted {
    /// In a few words.
    pub word: String,
    /// Whether that confirms the user.
    pub confirms: bool,
    /// Whether it would be sent: whether that settles it.
    pub is_sent: bool,
}

/// The users that were asked about, as they would be after the messages forecast so far: a message changes what becomes of the
/// next one of its user.
#[derive(Default)]
pub(super) struct Users(HashMap<String, Option<UserRecord>>);

impl Users {
    /// Takes in what was read of a user.
    pub(super) fn take(&mut self, group: String, found: Option<UserRecord>) {
        self.0.insert(group, found);
    }
}

/// All that a forecast needs.
pub struct Forecaster<'a, D, C> {
    /// The users.
    pub directory: &'a D,
    /// The keys.
    pub ring: &'a KeyRing,
    /// What counts as proof, as the consumer has it.
    pub policy: &'a Policy,
    /// How fast users are read: the quota is shared with people who sign in.
    pub pace: &'a Pace,
    /// The clock.
    pub clock: &'a C,
}

impl<D: UserDirectory, C: Clock> Forecaster<'_, D, C> {
    /// What a message says, as it would be sent: with this correction if there is one; or why it stays, where no user has to be
    /// asked for that.
    pub(super) fn to_be_sent(
        &self,
        group_id: &str,
        opened: Result<Statement, QuarantineReason>,
        correction: Option<&Correction>,
    ) -> Result<Statement, NotReplayable> {
        let statement = opened.map_err(NotReplayable::Dead)?;
        let groups = [statement.group_id(), statement.envelope.group_id()];
        let read = statement.read_again(&self.policy.event_types);
        if !groups.iter().any(|group| group == group_id) && read.group_id() != group_id {
            return Err(NotReplayable::Unknown("it is in the message group of another user".to_owned()));
        }
        let statement = match correction {
            None => read,
            Some(correction) => read.corrected(correction.clone()),
        };
        match event_to_decide(&statement, self.policy) {
            Ok(_) => Ok(statement),
            Err(WithoutDecision::Quarantined(reason, _)) => Err(NotReplayable::Dead(reason)),
            Err(WithoutDecision::Skipped) => Err(NotReplayable::Unknown(
                "its event type tells no result any more: archive and discard it".to_owned(),
            )),
            Err(WithoutDecision::Probed) => {
                Err(NotReplayable::Unknown("a synthetic callback, about nobody".to_owned()))
            }
        }
    }

    /// Reads the user of what would be sent; none where there is nothing to be read.
    pub(super) async fn user_of(&self, statement: &Statement) -> Option<Result<Option<UserRecord>, String>> {
        let user = statement.event().ok()?.user.clone();
        Some(self.read(&user).await)
    }

    /// Forecasts what would be sent.
    pub(super) async fn of(
        &self,
        statement: &Statement,
        users: &mut Users,
    ) -> Result<Forecast, NotReplayable> {
        let Ok(event) = event_to_decide(statement, self.policy) else {
            return Err(NotReplayable::Unknown("it is not to be decided".to_owned()));
        };
        let group = statement.group_id();
        let user = self.user(&event, &group, users).await.map_err(NotReplayable::Unknown)?;
        let binding = statement.binding(&self.ring.binding);
        let facts = statement.facts(&event, user.as_ref(), binding, self.clock.now());
        match decide(&facts, self.policy) {
            Decision::Settle(settlement) => {
                let after = user.as_ref().map(|user| user.after(&settlement));
                users.0.insert(group, after);
                let (outcome, confirms) = (settlement.outcome, settlement.confirm);
                let adds =
                    History::of(&event, statement.envelope.received_at, settlement.insufficiency.is_some());
                Ok(Forecast { event: event.into_owned(), user, outcome, adds, confirms })
            }
            Decision::AwaitUser => Err(NotReplayable::Dead(QuarantineReason::UserNotFound)),
            Decision::Quarantine(reason) => Err(NotReplayable::Dead(reason)),
        }
    }

    /// Forecasts one message alone, as it is.
    pub async fn one(&self, group_id: &str, opened: Result<Statement, QuarantineReason>) -> Forecasted {
        let forecast = match self.to_be_sent(group_id, opened, None) {
            Ok(statement) => self.of(&statement, &mut Users::default()).await,
            Err(stays) => Err(stays),
        };
        match forecast {
            Ok(forecast) => Forecasted {
                word: AuditCode::Settled(forecast.outcome).word().to_owned(),
                confirms: forecast.confirms,
                is_sent: true,
            },
            Err(stays) => Forecasted { word: stays.word(), confirms: false, is_sent: false },
        }
    }

    /// Reads a user, at the pace.
    ///
    /// # Errors
    /// Why the user could not be read.
    pub async fn read(&self, user: &UserReference) -> Result<Option<UserRecord>, String> {
        self.pace.read(self.clock).await;
        match self.directory.find(user).await {
            Ok(found) => Ok(found),
            Err(error) => error.into_fault().map_or(Ok(None), |fault| Err(fault.to_string())),
        }
    }

    async fn user(
        &self,
        event: &VerificationEvent,
        group: &str,
        users: &mut Users,
    ) -> Result<Option<UserRecord>, String> {
        if let Some(known) = users.0.get(group) {
            return Ok(known.clone());
        }
        let found = self.read(&event.user).await?;
        users.0.insert(group.to_owned(), found.clone());
        Ok(found)
    }
}
