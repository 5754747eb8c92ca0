//! The consumer: open the envelope, read the user, decide, write, confirm, record.
//!
//! Nothing here is lost: a message is either settled, or stored among the dead letters with a reason, or goes back to
//! the queue. Every step can be repeated: the receipt on the user tells what was applied, so a crash between any two
//! steps heals when the message comes again.

mod backoff;
mod batch;
mod before_decision;
mod change;
mod dead_letter;
mod pace;

use std::sync::Arc;
use std::time::Duration;

pub use backoff::{LONGEST_BACKOFF, SHORTEST_BACKOFF, backoff};
pub use before_decision::{WithoutDecision, event_to_decide};
use dead_letter::dead_letter;
pub use dead_letter::dead_letter_attributes;
pub use pace::Pace;

use crate::assurance::{Decision, Policy, QuarantineReason, Settled, Settlement, UserRecord, decide, names};
use crate::audit::{AuditCode, AuditRecord, ChangeCall, DecisionFacts, pseudonym};
use crate::binding::Binding;
use crate::correction::{Statement, not_ours};
use crate::envelope::Envelope;
use crate::key_cache::{KeyCache, Refresh};
use crate::key_ring::KeyRing;
use crate::ports::{
    AuditSink, Clock, DeadLetters, DirectoryError, Fault, KeyStore, KeyStoreError, Person, QueueError,
    ReceivedMessage, Redelivery, UserDirectory,
};
use crate::seal::OpenError;
use crate::timestamp::Timestamp;
use crate::verification::{AssuranceLevel, UserReference, VerificationEvent};

/// How often the queue hands a message out before it gives up. With the longest backoff that is some ten hours, so
/// that an outage of Cognito for hours puts nothing among the dead letters.
pub const MAXIMUM_RECEIVES: u32 = 50;

/// The time limit of the consumer function.
pub const INVOCATION_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a received message stays invisible: six times the function's time limit, as the Lambda developer guide asks
/// for ("Using Lambda with Amazon SQS").
pub const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(6 * 60);

/// How much time must be left for a record to be begun: two reads, write, confirm, read again and one call to a queue, at
/// the longest time that each may take. In an invocation shorter than twice that, half of its time.
pub const RECORD_BUDGET: Duration = Duration::from_secs(24);

/// The consumer.
pub struct Consumer<D, Q, S, A, C> {
    /// The users.
    pub directory: D,
    /// The dead letters, and the queue's visibility.
    pub queue: Q,
    /// The keys.
    pub keys: KeyCache<S, C>,
    /// The audit log.
    pub audit: A,
    /// The clock.
    pub clock: C,
    /// What counts as proof.
    pub policy: Policy,
    /// How fast users are read and written.
    pub pace: Pace,
}

/// Why a message is not settled now.
#[derive(Debug)]
enum Unsettled {
    /// It goes to the dead letters.
    Quarantine(QuarantineReason, String),
    /// It comes back; a transient fault.
    Retry(String),
    /// It comes back; an operator must fix something.
    Misconfigured(String),
}

impl Unsettled {
    /// The class of a failed call; `permanent` is the reason where the call will never succeed.
    fn from_directory(error: DirectoryError, permanent: QuarantineReason) -> Self {
        match error {
            // The user went away between two calls; when the message comes back, the rule for unknown users applies.
            DirectoryError::UserNotFound => Self::Retry("user went away".to_owned()),
            DirectoryError::Transient(fault) => Self::Retry(fault.to_string()),
            DirectoryError::Misconfigured(fault) => Self::Misconfigured(fault.to_string()),
            DirectoryError::Refused(fault) => Self::Quarantine(permanent, fault.to_string()),
        }
    }
}

impl From<KeyStoreError> for Unsettled {
    fn from(error: KeyStoreError) -> Self {
        match error {
            KeyStoreError::Transient(_) => Self::Retry(error.to_string()),
            KeyStoreError::Misconfigured(_) | KeyStoreError::Malformed(_) => {
                Self::Misconfigured(error.to_string())
            }
        }
    }
}

/// One try to settle a message: all that came out so far, whatever becomes of it then.
#[derive(Default)]
struct Attempt {
    /// What the message says, and the ring that it was opened with.
    opened: Option<(Statement, Arc<KeyRing>)>,
    /// What is known of the user, once they were read.
    known: Option<KnownUser>,
    /// The calls that changed the user.
    calls: Vec<ChangeCall>,
}

/// What is told of a user and of the decision.
struct KnownUser {
    pseudonym: Option<String>,
    facts: DecisionFacts,
}

impl<D, Q, S, A, C> Consumer<D, Q, S, A, C>
where
    D: UserDirectory,
    Q: DeadLetters + Redelivery,
    S: KeyStore,
    A: AuditSink,
    C: Clock,
{
    /// Settles one message, or sends it to the dead letters; what comes back otherwise is to be tried again.
    async fn settle(&self, message: &ReceivedMessage, attempt: &mut Attempt) -> Result<(), Unsettled> {
        match self.try_to_settle(message, attempt).await {
            Ok(()) => Ok(()),
            Err(unsettled) => self.quarantine_or_return(message, attempt, unsettled).await,
        }
    }

    async fn try_to_settle(&self, message: &ReceivedMessage, attempt: &mut Attempt) -> Result<(), Unsettled> {
        let (statement, ring) = self.open(message).await?;
        attempt.opened = Some((statement.clone(), Arc::clone(&ring)));
        match event_to_decide(&statement, &self.policy) {
            Ok(event) => self.settle_event(message, attempt, (&statement, &ring), &event).await,
            Err(WithoutDecision::Skipped) => {
                self.store(&self.record_of(message, AuditCode::Settled(Settled::Skipped), attempt))
            }
            Err(WithoutDecision::Probed) => self.store(&self.record_of(message, AuditCode::Probed, attempt)),
            Err(WithoutDecision::Quarantined(reason, detail)) => Err(Unsettled::Quarantine(reason, detail)),
        }
    }

    /// Opens with the ring at hand, and once more with a newer one where it does not know the seal's key: that may be
    /// new. Only a ring fetched just now is believed when it says that there is no such key.
    async fn open(&self, message: &ReceivedMessage) -> Result<(Statement, Arc<KeyRing>), Unsettled> {
        let ring = self.keys.current().await?;
        let open = |ring: &KeyRing| Statement::open(&message.body, &message.attributes, &ring.seal);
        let opened = open(&ring);
        let of_unknown_key = match &opened {
            Ok(statement) => statement.correction().err(),
            Err(error) => Some(*error),
        };
        let (ring, opened) = match of_unknown_key {
            Some(OpenError::UnknownSealKey) => match self.keys.refresh().await {
                Refresh::Fetched(ring) => (Arc::clone(&ring), open(&ring)),
                Refresh::NotDue => return Err(Unsettled::Retry("unknown seal key".to_owned())),
                Refresh::Failed(error) => return Err(error.into()),
            },
            _ => (ring, opened),
        };
        let statement = opened.map_err(|error| {
            let (reason, detail) = not_ours(error);
            Unsettled::Quarantine(reason, detail.to_owned())
        })?;
        // A body that could not be read when it came is read once more where it was sent back into its user's group: there it
        // meets no other event of theirs.
        let read = statement.clone().read_again(&self.policy.event_types);
        let in_its_group = read.tells_no_result() || read.group_id() == message.group_id;
        let statement = if in_its_group { read } else { statement };
        Ok((statement, ring))
    }

    async fn settle_event(
        &self,
        message: &ReceivedMessage,
        attempt: &mut Attempt,
        (statement, ring): (&Statement, &KeyRing),
        event: &VerificationEvent,
    ) -> Result<(), Unsettled> {
        let user = self.find(&event.user).await?;
        let binding = self.check_binding(statement, ring).await?;
        let facts = statement.facts(event, user.as_ref(), binding, self.clock.now());
        let decision = decide(&facts, &self.policy);
        // What is of nobody here is not told as the user's who has the name.
        let of_nobody = matches!(
            &decision,
            Decision::Settle(end) if matches!(end.outcome, Settled::Unclaimed | Settled::Skipped)
        );
        let sub = user.as_ref().and_then(|user| user.sub.as_deref()).filter(|_| !of_nobody);
        attempt.known = Some(KnownUser {
            pseudonym: sub.map(|sub| pseudonym(&ring.audit, &event.user.pool, sub)),
            facts: DecisionFacts::of(&facts, &self.policy, &ring.audit),
        });
        match (decision, &user) {
            (Decision::Settle(end), _) if of_nobody => {
                self.store(&self.record_of(message, AuditCode::Settled(end.outcome), attempt))
            }
            (Decision::Settle(settlement), Some(user)) => {
                self.carry_out(message, attempt, event, user, &settlement).await
            }
            (Decision::AwaitUser, _) | (Decision::Settle(_), None) => {
                Err(Unsettled::Retry(QuarantineReason::UserNotFound.code().to_owned()))
            }
            (Decision::Quarantine(reason), _) => {
                let named =
                    event.unknown_type.as_ref().filter(|_| reason == QuarantineReason::UnknownEventType);
                let detail = named.map(|name| format!("event_type:unknown:{name}")).unwrap_or_default();
                Err(Unsettled::Quarantine(reason, detail))
            }
        }
    }

    async fn find(&self, user: &UserReference) -> Result<Option<UserRecord>, Unsettled> {
        self.pace.read(&self.clock).await;
        match self.directory.find(user).await {
            Err(DirectoryError::UserNotFound) => Ok(None),
            found => {
                found.map_err(|error| Unsettled::from_directory(error, QuarantineReason::RecordUnreadable))
            }
        }
    }

    /// A binding that no key on the ring has made is forged only if a newer ring says so, too.
    async fn check_binding(&self, statement: &Statement, ring: &KeyRing) -> Result<Binding, Unsettled> {
        match statement.binding(&ring.binding) {
            Binding::Forged => match self.keys.refresh().await {
                Refresh::Fetched(ring) => Ok(statement.binding(&ring.binding)),
                Refresh::NotDue => Err(Unsettled::Retry("unknown binding".to_owned())),
                Refresh::Failed(error) => Err(error.into()),
            },
            binding => Ok(binding),
        }
    }

    /// Attributes first, then the confirmation: a confirmed user always has their assurance.
    async fn carry_out(
        &self,
        message: &ReceivedMessage,
        attempt: &mut Attempt,
        event: &VerificationEvent,
        user: &UserRecord,
        settlement: &Settlement,
    ) -> Result<(), Unsettled> {
        let writes = !settlement.changes.is_empty();
        let sub = if writes || settlement.confirm { self.sub_of(&event.user, user).await? } else { None };
        let person = Person { reference: &event.user, sub };
        let mut left_out = Vec::new();
        if writes {
            let (call, without_history) = self.write(&person, &settlement.changes).await?;
            attempt.calls.push(call);
            left_out.extend(without_history.then(|| names::IDV_HISTORY.to_owned()));
        }
        if settlement.confirm {
            attempt.calls.extend(self.confirm(&person).await?);
        }
        let before = user.assurance.as_ref().ok().and_then(|assurance| assurance.ial);
        let mut record = self.record_of(message, AuditCode::Settled(settlement.outcome), attempt);
        record.ial_before = Some(before.map_or(0, AssuranceLevel::get));
        record.ial_after = Some(settlement.ial_after().or(before).map_or(0, AssuranceLevel::get));
        record.confirmed = Some(settlement.confirm);
        record.reason = settlement.insufficiency.map(|why| why.code().to_owned());
        record.left_out = left_out;
        self.store(&record)
    }

    /// The one place that stores a dead letter. If that fails, the message comes back.
    async fn quarantine_or_return(
        &self,
        message: &ReceivedMessage,
        attempt: &Attempt,
        unsettled: Unsettled,
    ) -> Result<(), Unsettled> {
        match unsettled {
            Unsettled::Quarantine(reason, detail) => self.quarantine(message, attempt, reason, detail).await,
            Unsettled::Retry(detail) | Unsettled::Misconfigured(detail)
                if message.attempt >= MAXIMUM_RECEIVES =>
            {
                self.quarantine(message, attempt, QuarantineReason::RetriesExhausted, detail).await
            }
            other => Err(other),
        }
    }

    async fn quarantine(
        &self,
        message: &ReceivedMessage,
        attempt: &Attempt,
        reason: QuarantineReason,
        detail: String,
    ) -> Result<(), Unsettled> {
        let attributes = dead_letter(message, attempt, reason, &detail, self.clock.now());
        let record = self.record_of(message, AuditCode::Quarantined, attempt).quarantined(reason);
        let record = if detail.is_empty() { record } else { record.detail(detail) };
        self.queue.put(message, attributes).await.map_err(|error| match error {
            QueueError::Misconfigured(fault) => Unsettled::Misconfigured(fault.to_string()),
            QueueError::Transient(fault) | QueueError::NotInFlight(fault) => {
                Unsettled::Retry(fault.to_string())
            }
        })?;
        self.store(&record)
    }

    fn record_of(&self, message: &ReceivedMessage, code: AuditCode, attempt: &Attempt) -> AuditRecord {
        let mut record = AuditRecord::new(code, self.clock.now());
        if let Some((statement, _)) = &attempt.opened {
            record = record.about_statement(statement);
            record.seconds_since_received = Some(waited(&statement.envelope, record.at()));
        }
        record.calls.clone_from(&attempt.calls);
        if let Some(known) = &attempt.known {
            record.user.clone_from(&known.pseudonym);
            // What was decided stands with what it was decided by; what comes back is decided anew.
            if matches!(code, AuditCode::Settled(_) | AuditCode::Quarantined) {
                record.facts = Some(Box::new(known.facts.clone()));
            }
        }
        record.message_id = Some(message.id.clone());
        record.attempt = Some(message.attempt);
        record
    }

    /// What is not recorded is done again, and then found done.
    fn store(&self, record: &AuditRecord) -> Result<(), Unsettled> {
        let stored = self.audit.record(record);
        stored.map_err(|error| Unsettled::Retry(Fault::new("audit", &error.kind().to_string()).to_string()))
    }
}

/// In seconds, to the millisecond.
fn waited(envelope: &Envelope, now: Timestamp) -> f64 {
    let seconds = now.since(envelope.received_at).as_secs_f64();
    (seconds * 1000.0).round() / 1000.0
}
