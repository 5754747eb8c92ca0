//! Dead letters: what is there, what would become of each, sending them back, and seeing what became of them.
//!
//! A message is forecast by the very [`decide`](idv_callback::assurance::decide) that the consumer runs, against the user's record
//! as it is now. Sending back is: send, see that it arrived, then delete; a crash between any two steps can double a
//! message and never lose one, and the consumer makes doubles harmless.

mod apply;
mod forecast;
mod held;
mod history;
mod journal;
mod meaning;
mod plan;
mod scan;
mod selection;
mod verify;

use std::collections::BTreeMap;
use std::time::Duration;

use idv_callback::assurance::QuarantineReason;
use idv_callback::correction::{Statement, not_ours};
use idv_callback::envelope::BodyDigest;
use idv_callback::key_ring::KeyRing;
use idv_callback::settlement::dead_letter_attributes as attribute;
use idv_callback::timestamp::Timestamp;
use idv_callback::verification::VerificationEvent;

use crate::ports::DeadLetter;

pub use apply::{Applied, Apply, Pacing, Progress, Stopped};
pub use forecast::{Forecasted, Forecaster};
pub use held::Held;
pub use history::{Replay, replays};
pub use journal::{Journal, Note, Stage, Stages};
pub use meaning::{Meaning, meaning};
pub use plan::{DecisionSettings, LeftOut, Made, Plan, PlannedMessage, Planning};
pub use scan::{Scanned, Taken, scan, take};
pub use selection::{Census, Selection, reasons};
pub use verify::{COUNTS_INCLUDE_ALL_AFTER, Outcomes, ReplayOutcome, Returned, Sent, returned};

/// The reason of a message that SQS moved by itself: nobody wrote one.
const NO_REASON: &str = "none";

/// A dead letter as it may be shown: nothing of what it says, and nobody's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterSummary {
    /// SQS' message id.
    pub id: String,
    /// The group: a hash of pool and user name.
    pub group: String,
    /// Why it is here.
    pub reason: String,
    /// More about that: a field and the rule it breaks, a call and its error code.
    pub detail: Option<String>,
    /// The receipt, where the envelope opens.
    pub receipt: Option<String>,
    /// What may be shown of the event, where the envelope opens and the callback can be read.
    pub event: Option<EventSummary>,
    /// How often it was received before it died.
    pub attempts: Option<String>,
    /// The version of the code that gave it up.
    pub version: Option<String>,
    /// What it has in common with others that died of the same: reason, detail and version.
    pub fingerprint: String,
    /// When it came into the dead-letter queue.
    pub sent_at: Timestamp,
    /// When SQS drops it.
    pub expires_at: Timestamp,
    /// How often it was sent back before.
    pub replays: usize,
    /// The digest of the message's body.
    pub body_sha256: String,
}

impl DeadLetterSummary {
    /// Reads what may be shown. The queue keeps messages for so long.
    pub fn read(message: &DeadLetter, ring: &KeyRing, retention: Duration) -> Self {
        Self::of(message, open(message, ring).as_ref().ok(), retention)
    }

    fn of(message: &DeadLetter, statement: Option<&Statement>, retention: Duration) -> Self {
        let text = |name: &str| message.attributes.get(name).map(|text| plain(text));
        let event = statement.and_then(|statement| statement.event().ok());
        let receipt = statement.map(|statement| statement.envelope.receipt_id().as_str().to_owned());
        Self {
            id: message.id.clone(),
            group: message.group_id.clone(),
            reason: text(attribute::REASON).unwrap_or_else(|| NO_REASON.to_owned()),
            detail: text(attribute::DETAIL),
            receipt: receipt.or_else(|| text(attribute::RECEIPT)),
            event: event.map(|event| EventSummary::of(&event)),
            attempts: text(attribute::ATTEMPTS),
            version: text(attribute::VERSION),
            fingerprint: fingerprint(&message.attributes),
            sent_at: message.sent_at,
            expires_at: message.sent_at.plus(retention),
            replays: replays(&message.attributes).len(),
            body_sha256: body_sha256(message),
        }
    }
}

/// What may be shown of an event: nothing that tells whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSummary {
    /// The provider's id.
    pub event_id: String,
    /// The proofing session.
    pub session_id: String,
    /// How the session ended: `approved`.
    pub status: &'static str,
    /// When, by the provider's clock.
    pub occurred_at: Timestamp,
    /// What the provider calls the event, where that is in no table.
    pub event_type: Option<String>,
    /// The level reached.
    pub ial: Option<u8>,
    /// The type of document.
    pub evidence: Option<String>,
    /// The framework.
    pub framework: Option<String>,
}

impl EventSummary {
    fn of(event: &VerificationEvent) -> Self {
        let approval = event.outcome.approval();
        Self {
            event_id: event.event_id.to_string(),
            session_id: event.session.to_string(),
            status: event.outcome.word(),
            occurred_at: event.occurred_at,
            event_type: event.unknown_type.as_ref().map(ToString::to_string),
            ial: approval.map(|approval| approval.ial.get()),
            evidence: approval.and_then(|approval| Some(approval.evidence.as_ref()?.as_str().to_owned())),
            framework: approval.and_then(|approval| Some(approval.framework.as_ref()?.as_str().to_owned())),
        }
    }

    /// Its values, in small letters, to be searched.
    fn words(&self) -> Vec<String> {
        let optional = [&self.event_type, &self.evidence, &self.framework];
        let given = [&self.event_id, &self.session_id].into_iter().map(String::as_str);
        let all = given.chain([self.status]).chain(optional.into_iter().flatten().map(String::as_str));
        let ial = self.ial.map(|level| format!("ial{level}"));
        all.map(str::to_ascii_lowercase).chain(ial).collect()
    }
}

/// A text beside a message as it may be printed: whoever can write to the queue can write anything there.
fn plain(text: &str) -> String {
    let is_ours = |c: char| c.is_ascii_alphanumeric() || " ._:-/,=()".contains(c);
    text.chars().take(200).map(|c| if is_ours(c) { c } else { '?' }).collect()
}

/// What messages that died of one cause have in common: reason, the call and error or the field and rule, and the version.
fn fingerprint(attributes: &BTreeMap<String, String>) -> String {
    let text =
        |name: &str, none: &str| attributes.get(name).map_or_else(|| none.to_owned(), |text| plain(text));
    let (reason, detail) = (text(attribute::REASON, NO_REASON), text(attribute::DETAIL, "-"));
    format!("{reason} {detail} {}", text(attribute::VERSION, "-"))
}

/// The digest of a message's body as it lies in the queue.
fn body_sha256(message: &DeadLetter) -> String {
    BodyDigest::of(message.body.as_bytes()).as_str().to_owned()
}

/// Opens a message as the consumer would.
///
/// # Errors
/// The reason for which the consumer would quarantine it.
pub fn open(message: &DeadLetter, ring: &KeyRing) -> Result<Statement, QuarantineReason> {
    let opened = Statement::open(&message.body, &message.attributes, &ring.seal);
    opened.map_err(|error| not_ours(error).0)
}
