//! What would become of a letter if it were sent back now.

use std::collections::HashMap;

use crate::assurance::{Decision, Facts, Policy, QuarantineReason, Settled, UserRecord, decide};
use crate::binding::Binding;
use crate::envelope::{Content, Envelope};
use crate::key_ring::KeyRing;
use crate::ports::{Clock, DeadLetter, DirectoryError, UserDirectory};
use crate::settlement::Pace;
use crate::verification::{UserReference, VerificationEvent};

/// What would become of a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forecast {
    /// It would end with this.
    Settles {
        /// The outcome.
        outcome: Settled,
        /// Whether the user would be confirmed.
        confirms: bool,
    },
    /// It would be a dead letter again, for this reason.
    Dies(QuarantineReason),
    /// It cannot be told: the user cannot be read.
    Unknown(String),
}

impl Forecast {
    /// In a word.
    pub fn word(&self) -> String {
        match self {
            Self::Settles { outcome, .. } => {
                crate::audit::AuditCode::Settled(*outcome).code_and_word().1.to_owned()
            }
            Self::Dies(reason) => format!("dead again: {}", reason.code()),
            Self::Unknown(why) => format!("unknown: {why}"),
        }
    }
}

/// The users that were asked about, as they would be after the letters forecast so far: a letter changes what becomes of the
/// next one of its user.
#[derive(Default)]
pub struct Users(HashMap<String, Option<UserRecord>>);

/// All that a forecast needs.
pub struct Foresight<'a, D, C> {
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

/// What a letter holds, as far as it can be opened.
pub(super) enum Opened {
    Event(Box<Envelope>),
    Dead(QuarantineReason),
}

pub(super) fn open(letter: &DeadLetter, ring: &KeyRing) -> Opened {
    match Envelope::open(&letter.body, &ring.seal) {
        Ok(envelope) if matches!(envelope.content, Content::Event(_)) => Opened::Event(Box::new(envelope)),
        Ok(_) | Err(crate::envelope::OpenError::Unreadable) => Opened::Dead(QuarantineReason::Unreadable),
        Err(_) => Opened::Dead(QuarantineReason::BadSeal),
    }
}

impl<D: UserDirectory, C: Clock> Foresight<'_, D, C> {
    /// Forecasts one letter. Gives the user's record before it, too, where there is one.
    pub async fn of(&self, letter: &DeadLetter, users: &mut Users) -> (Forecast, Option<UserRecord>) {
        let envelope = match open(letter, self.ring) {
            Opened::Event(envelope) => envelope,
            Opened::Dead(reason) => return (Forecast::Dies(reason), None),
        };
        let Content::Event(event) = &envelope.content else {
            return (Forecast::Dies(QuarantineReason::Unreadable), None);
        };
        if event.user.pool.is_synthetic() {
            return (Forecast::Unknown("a synthetic callback, about nobody".to_owned()), None);
        }
        if envelope.group_id() != letter.group_id {
            return (Forecast::Unknown("it lies in another user's group".to_owned()), None);
        }
        if !self.policy.pools.contains(&event.user.pool) {
            return (Forecast::Dies(QuarantineReason::PoolNotAllowed), None);
        }
        let user = match self.user(event, &letter.group_id, users).await {
            Ok(user) => user,
            Err(why) => return (Forecast::Unknown(why), None),
        };
        let facts = Facts {
            event,
            body_sha256: &envelope.body_sha256,
            age: self.clock.now().since(envelope.received_at),
            user: user.as_ref(),
            binding: Binding::check(event.binding.as_ref(), &event.user, &self.ring.binding),
        };
        let forecast = match decide(&facts, self.policy) {
            Decision::Settle(settlement) => {
                let after = user.as_ref().map(|user| user.after(&settlement));
                users.0.insert(letter.group_id.clone(), after);
                Forecast::Settles { outcome: settlement.outcome, confirms: settlement.confirm }
            }
            Decision::AwaitUser => Forecast::Dies(QuarantineReason::UserNotFound),
            Decision::Quarantine(reason) => Forecast::Dies(reason),
        };
        (forecast, user)
    }

    /// Reads a user, at the pace.
    pub(super) async fn read(&self, user: &UserReference) -> Result<Option<UserRecord>, String> {
        self.pace.read(self.clock).await;
        match self.directory.find(user).await {
            Ok(found) => Ok(found),
            Err(DirectoryError::UserNotFound) => Ok(None),
            Err(
                DirectoryError::Passing(fault)
                | DirectoryError::Misconfigured(fault)
                | DirectoryError::Refused(fault),
            ) => Err(fault.to_string()),
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
