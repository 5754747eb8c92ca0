//! A plan: exactly which messages, what would become of each, for whom and why. It names users, so its file is for its
//! maker's eyes.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};

use idv_callback::assurance::{History, Settled, UserRecord, UserStatus};
use idv_callback::audit::{AuditCode, CODE_VERSION, pseudonym};
use idv_callback::correction::Correction;
use idv_callback::envelope::group_id;
use idv_callback::hex::hex;
use idv_callback::key_ring::KeyRing;
use idv_callback::ports::{Clock, QueueError, UserDirectory};
use idv_callback::verification::{PoolId, SessionId, Subject, UserReference, Username};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::forecast::{Forecast, Forecaster, NotReplayable, READS_AT_ONCE, Users};
use super::scan::{Scanned, scan};
use super::selection::{Census, Selection};
use super::{DeadLetterSummary, open};
use crate::ports::{DeadLetter, DeadLetterStore};

/// The form of a plan.
const SCHEMA: &str = "idv-redrive-plan/2";

/// What is to be done, and with what expectation. No `Debug`: it names users.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    schema: String,
    /// When it was made, RFC 3339.
    pub made_at: String,
    /// By whom.
    pub by: String,
    /// Why: a ticket.
    pub because: String,
    /// By which version of the code the forecast was made.
    pub version: String,
    /// By which settings.
    pub settings: DecisionSettings,
    /// The messages to send back, in the order of the queue.
    pub letters: Vec<PlannedMessage>,
    /// The messages that stay.
    pub left_out: Vec<LeftOut>,
    /// The digest of all that.
    #[serde(default)]
    digest: String,
}

/// What the forecast was made by: the consumer's settings that a decision depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionSettings {
    /// Whose they are: the function's ARN, or what else they were taken from.
    pub of: String,
    /// `IDV_BINDING`: `required` or `optional`.
    pub binding: String,
    /// `IDV_MINIMUM_IAL`.
    pub minimum_ial: u8,
    /// `IDV_USER_POOL_IDS`.
    pub user_pools: Vec<String>,
    /// `IDV_EVENT_TYPES`.
    pub event_types: String,
}

impl DecisionSettings {
    /// In what they differ from others, whoever's they are: each setting with both values.
    pub fn differences(&self, others: &Self) -> Vec<String> {
        let values = |of: &Self| {
            [of.binding.clone(), of.minimum_ial.to_string(), of.user_pools.join(","), of.event_types.clone()]
        };
        let names = ["IDV_BINDING", "IDV_MINIMUM_IAL", "IDV_USER_POOL_IDS", "IDV_EVENT_TYPES"];
        let pairs = names.into_iter().zip(values(self)).zip(values(others));
        let differing = pairs.filter(|((_, one), other)| one != other);
        differing.map(|((name, one), other)| format!("{name}: \"{one}\" and \"{other}\"")).collect()
    }
}

/// A message to send back.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedMessage {
    /// SQS' message id.
    pub message_id: String,
    /// The digest of the message's body.
    pub body_sha256: String,
    /// What it died of.
    pub fingerprint: String,
    /// The receipt.
    pub receipt_id: String,
    /// The group that it goes into: that of the user whom it is about.
    pub group: String,
    /// The user's pseudonym in the audit log; none where no such user is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The user's pool.
    pub user_pool: String,
    /// The user's name.
    pub username: String,
    /// The event.
    pub event_id: String,
    /// When it happened.
    pub occurred_at: String,
    /// What it adds to the history of the user's sessions, in the form of `custom:idv_history`.
    #[serde(default)]
    pub adds: String,
    /// A keyed digest of the user's record when the plan was made.
    pub user_state: String,
    /// What would become of it.
    pub forecast: String,
    /// Whether that confirms the user.
    pub confirms: bool,
    /// The sealed correction that it is sent with: the user above is not the one that the callback names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correction: Option<String>,
}

/// A message that stays where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// SQS' message id.
    pub message_id: String,
    /// What it died of.
    pub fingerprint: String,
    /// Why it would not help to send it.
    pub forecast: String,
}

impl PlannedMessage {
    /// The user.
    pub fn reference(&self) -> Option<UserReference> {
        let pool = PoolId::new(&self.user_pool).ok()?;
        Some(UserReference { pool, username: Username::new(&self.username).ok()? })
    }

    /// What it adds to the history of the user's sessions.
    pub(super) fn adds(&self) -> Option<History> {
        History::parse(&self.adds)
    }

    /// Whether its outcome changes nothing on the user.
    pub fn leaves_no_trace(&self) -> bool {
        !self.writes() && !self.confirms
    }

    /// Whether its outcome writes anything.
    pub fn writes(&self) -> bool {
        ![Settled::Duplicate, Settled::Superseded, Settled::Unclaimed, Settled::Skipped]
            .map(word)
            .contains(&self.forecast.as_str())
    }
}

/// Who makes a plan, why, and by which settings.
#[derive(Clone, Copy)]
pub struct Made<'a> {
    /// Who.
    pub by: &'a str,
    /// A ticket.
    pub because: &'a str,
    /// The settings of the forecast.
    pub settings: &'a DecisionSettings,
}

/// How far a plan has come.
#[derive(Clone, Copy, Debug)]
pub enum Planning {
    /// So many messages were seen.
    Seen(usize),
    /// So many of so many that were chosen were forecast.
    Forecast(usize, usize),
}

impl Plan {
    /// Looks through the dead letters and forecasts those that are chosen. The queue keeps messages for so long; `watch` is told
    /// of each.
    ///
    /// # Errors
    /// [`QueueError`] when the queue cannot be asked.
    pub async fn make<S: DeadLetterStore, D: UserDirectory, C: Clock>(
        store: &S,
        forecaster: &Forecaster<'_, D, C>,
        selection: &Selection,
        retention: Duration,
        made: Made<'_>,
        mut watch: impl FnMut(Planning),
    ) -> Result<(Self, Census, Scanned), QueueError> {
        let ring = forecaster.ring;
        let (mut chosen, mut left_out) = (Vec::new(), Vec::new());
        let (mut seen, mut census) = (0, Census::default());
        let scanned = scan(store, forecaster.clock, async |dead: DeadLetter| {
            seen += 1;
            watch(Planning::Seen(seen));
            let opened = open(&dead, ring);
            let message = DeadLetterSummary::of(&dead, opened.as_ref().ok(), retention);
            if !census.moves(selection, &message) {
                return true;
            }
            let correction = selection.corrections.get(&message.id);
            match forecaster.to_be_sent(&dead.group_id, opened, correction) {
                Ok(statement) => chosen.push((Chosen::of(message), statement)),
                Err(stays) => left_out.push(stays.left_out(message.id, message.fingerprint)),
            }
            true
        })
        .await?;
        // Users are read when no message is held any more: that takes as long as their number and the quota say.
        let (mut letters, mut users) = (Vec::new(), Users::default());
        let total = chosen.len();
        let (mut asked, mut done) = (HashSet::new(), 0);
        let reads = chosen.into_iter().map(|(message, statement)| {
            let first = asked.insert(statement.group_id());
            async move {
                let found = if first { forecaster.user_of(&statement).await } else { None };
                (message, statement, found)
            }
        });
        // A few at once, so that the pace and not the time of an answer says how long it takes; in the order of the queue.
        let mut reads = std::pin::pin!(stream::iter(reads).buffered(READS_AT_ONCE));
        while let Some((message, statement, found)) = reads.next().await {
            // Who could not be read is asked about once more.
            if let Some(Ok(found)) = found {
                users.take(statement.group_id(), found);
            }
            done += 1;
            watch(Planning::Forecast(done, total));
            match forecaster.of(&statement, &mut users).await {
                Ok(forecast) => {
                    let correction = selection.corrections.get(&message.id);
                    letters.push(planned(message, &forecast, correction, ring));
                }
                Err(stays) => left_out.push(stays.left_out(message.id, message.fingerprint)),
            }
        }
        let plan = Self {
            schema: SCHEMA.to_owned(),
            made_at: forecaster.clock.now().to_string(),
            by: made.by.to_owned(),
            because: made.because.to_owned(),
            version: CODE_VERSION.to_owned(),
            settings: made.settings.clone(),
            letters,
            left_out,
            digest: String::new(),
        };
        let digest = plan.computed_digest();
        Ok((Self { digest, ..plan }, census, scanned))
    }

    /// Reads a plan.
    ///
    /// # Errors
    /// What is wrong with it: not a plan, another version's, or changed by hand.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let plan: Self = serde_json::from_slice(json).map_err(|error| {
            // The message of a JSON error can quote the text; its place cannot.
            format!("it is not a plan of this version (line {}, column {})", error.line(), error.column())
        })?;
        if plan.schema != SCHEMA {
            return Err(format!("its schema is not {SCHEMA}"));
        }
        if plan.digest != plan.computed_digest() {
            return Err("it was changed after it was made; make a new one".to_owned());
        }
        Ok(plan)
    }

    /// The digest of the plan.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The name of the run: the same for each attempt to carry out this plan.
    pub fn run(&self) -> String {
        format!("run_{}", self.digest.chars().take(16).collect::<String>())
    }

    fn computed_digest(&self) -> String {
        let bare = Self { digest: String::new(), ..self.clone() };
        let json = serde_json::to_vec(&bare).unwrap_or_default();
        hex(&Sha256::digest(json))
    }
}

/// What is kept of a message that was chosen, until its user was asked about.
struct Chosen {
    id: String,
    body_sha256: String,
    fingerprint: String,
    receipt: String,
}

impl Chosen {
    fn of(message: DeadLetterSummary) -> Self {
        Self {
            id: message.id,
            body_sha256: message.body_sha256,
            fingerprint: message.fingerprint,
            receipt: message.receipt.unwrap_or_default(),
        }
    }
}

impl NotReplayable {
    fn left_out(&self, message_id: String, fingerprint: String) -> LeftOut {
        LeftOut { message_id, fingerprint, forecast: self.word() }
    }
}

/// One message that was chosen.
fn planned(
    message: Chosen,
    forecast: &Forecast,
    correction: Option<&Correction>,
    ring: &KeyRing,
) -> PlannedMessage {
    let event = &forecast.event;
    let sub = forecast.user.as_ref().and_then(|user| user.sub.as_deref());
    PlannedMessage {
        message_id: message.id,
        body_sha256: message.body_sha256,
        fingerprint: message.fingerprint,
        receipt_id: message.receipt,
        group: group_id(&event.user),
        user: sub.map(|sub| pseudonym(&ring.audit, &event.user.pool, sub)),
        user_pool: event.user.pool.as_str().to_owned(),
        username: event.user.username.as_str().to_owned(),
        event_id: event.event_id.to_string(),
        occurred_at: event.occurred_at.to_string(),
        adds: forecast.adds.to_string(),
        user_state: user_state(ring, forecast.user.as_ref()),
        forecast: word(forecast.outcome).to_owned(),
        confirms: forecast.confirms,
        correction: correction.map(|correction| correction.sealed().to_owned()),
    }
}

/// An outcome's word, as the audit log has it.
fn word(outcome: Settled) -> &'static str {
    AuditCode::Settled(outcome).word()
}

/// A digest of all that a decision depends on in a user's record, keyed, so that it tells nobody what that is.
pub(super) fn user_state(ring: &KeyRing, user: Option<&UserRecord>) -> String {
    let text = user.map_or_else(String::new, |user| {
        let status = match user.status {
            UserStatus::Unconfirmed => "unconfirmed",
            UserStatus::Confirmed => "confirmed",
            UserStatus::Other => "other",
        };
        let assurance = user.assurance.as_ref().map_or_else(
            |unreadable| format!("unreadable {}", unreadable.attribute),
            |assurance| {
                let subject = assurance.subject.as_ref().map(Subject::as_str).unwrap_or_default();
                let session = assurance.session.as_ref().map(SessionId::as_str).unwrap_or_default();
                let receipt = assurance.receipt.as_ref().map(ToString::to_string).unwrap_or_default();
                let history = assurance.history.as_ref().map(ToString::to_string).unwrap_or_default();
                let disabled = if user.enabled { "" } else { "disabled" };
                format!(
                    "{disabled}{subject}\n{session}\n{receipt}\n{history}\n{:?}\n{:?}",
                    assurance.ial, assurance.status
                )
            },
        );
        format!("{status}\n{}\n{}\n{assurance}", user.created_at, user.username.as_str())
    });
    let tag = ring.audit.secret.mac(&[b"idv-callback/user-state/1\n", text.as_bytes()]);
    hex(&tag.to_bytes()).chars().take(32).collect()
}
