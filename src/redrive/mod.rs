//! Dead letters: what is there, what would become of each, sending them back, and seeing what became of them.
//!
//! A letter is forecast by the very [`decide`](crate::assurance::decide) that the consumer runs, against the user's record
//! as it is now. Sending back is: send, see that it arrived, then delete; a crash between any two steps can double a
//! message and never lose one, and the consumer makes doubles harmless.

mod apply;
mod foresee;
mod history;
mod plan;
mod scan;
mod verify;

use crate::envelope::{BodyDigest, Content, Envelope};
use crate::key_ring::KeyRing;
use crate::ports::{DeadLetter, Depth};
use crate::settlement::dead_letter_attributes as attribute;
use crate::timestamp::Timestamp;

pub use apply::{Applied, Apply, Journal, Pacing, Progress, Stopped};
pub use foresee::{Forecast, Foresight, Users};
pub use history::{HISTORY_ATTRIBUTE, Replay, replays};
pub use plan::{LeftOut, Plan, PlannedLetter, Selection};
pub use scan::{SCAN_HOLD, Scanned, scan, take};
pub use verify::{Became, Returned, became, returned};

/// The reason of a letter that SQS moved by itself: nobody wrote one.
pub const NO_REASON: &str = "none";

/// A dead letter as it may be shown: nothing of what it says, and nobody's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
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
    /// The user's pseudonym, where the envelope opens.
    pub user: Option<String>,
    /// How often it was received before it died.
    pub attempts: Option<String>,
    /// The version of the code that gave it up.
    pub version: Option<String>,
    /// When it came into the dead-letter queue.
    pub sent_at: Timestamp,
    /// When SQS drops it.
    pub expires_at: Timestamp,
    /// How often it was sent back before.
    pub replays: usize,
    /// The digest of the message's body.
    pub body_sha256: String,
}

impl Letter {
    /// Reads what may be shown.
    pub fn read(letter: &DeadLetter, ring: Option<&KeyRing>, depth: Depth) -> Self {
        let text = |name: &str| letter.attributes.get(name).cloned();
        let envelope = ring.and_then(|ring| Envelope::open(&letter.body, &ring.seal).ok());
        let user = envelope.as_ref().zip(ring).and_then(|(envelope, ring)| match &envelope.content {
            Content::Event(event) => Some(crate::audit::pseudonym(&ring.audit, &event.user)),
            Content::Unreadable { .. } => None,
        });
        let receipt = envelope.map(|envelope| envelope.receipt_id().as_str().to_owned());
        Self {
            id: letter.id.clone(),
            group: letter.group_id.clone(),
            reason: text(attribute::REASON).unwrap_or_else(|| NO_REASON.to_owned()),
            detail: text(attribute::DETAIL),
            receipt: receipt.or_else(|| text(attribute::RECEIPT)),
            user,
            attempts: text(attribute::ATTEMPTS),
            version: text(attribute::VERSION),
            sent_at: letter.sent_at,
            expires_at: letter.sent_at.plus(depth.retention),
            replays: replays(&letter.attributes).len(),
            body_sha256: BodyDigest::of(letter.body.as_bytes()).as_str().to_owned(),
        }
    }

    /// What letters that died of one cause have in common: reason, the call and error or the field and rule, and the
    /// version.
    pub fn fingerprint(&self) -> String {
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        format!("{} {} {}", self.reason, or_none(&self.detail), or_none(&self.version))
    }
}
