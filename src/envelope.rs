//! What travels on the queue: the accepted callback, reduced to the fields that settling needs, and sealed.
//!
//! The [`seal`] is an HMAC over its exact bytes. Permission to send to the queue is therefore not permission
//! to confirm a user: for that one needs the seal key, which only the callback function, the consumer and the replay
//! tool hold.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::hex::hex;
use crate::key_ring::Key;
use crate::seal::{self, OpenError, SealedAs};
use crate::timestamp::Timestamp;
use crate::verification::{EventId, UserReference, VerificationEvent};

mod wire;

/// The SHA-256 of a callback's body, as 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BodyDigest(String);

impl BodyDigest {
    /// The digest of these bytes.
    pub fn of(body: &[u8]) -> Self {
        Self(hex(&Sha256::digest(body)))
    }

    /// Reads 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let valid =
            text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        valid.then(|| Self(text.to_owned()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BodyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The receipt: `rcpt_` and 32 hexadecimal digits, derived from the event's id and the body's digest. The same event
/// with the same body has the same receipt however often it is sent, so it is one thread through all logs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceiptId(String);

impl ReceiptId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An accepted callback.
#[derive(Clone)]
pub struct Envelope {
    /// When the callback was accepted.
    pub received_at: Timestamp,
    /// The key that had signed it.
    pub key_id: String,
    /// The digest of its body.
    pub body_sha256: BodyDigest,
    /// The trace id of the request, where the front door gives one.
    pub trace_id: Option<String>,
    /// What it said.
    pub content: Content,
}

/// What an accepted callback said.
#[derive(Clone)]
pub enum Content {
    /// An event.
    Event(VerificationEvent),
    /// Nothing that we can read: kept byte for byte for somebody who can.
    Unreadable {
        /// The body.
        body: Vec<u8>,
        /// The message id, where the signature had one.
        message_id: Option<EventId>,
        /// Which rule it breaks: a word for logs.
        problem: String,
    },
}

impl Envelope {
    /// The event, where the callback could be read.
    pub fn event(&self) -> Option<&VerificationEvent> {
        match &self.content {
            Content::Event(event) => Some(event),
            Content::Unreadable { .. } => None,
        }
    }

    /// The provider's id of the event, or, for an unreadable body, of the message.
    pub fn event_id(&self) -> Option<&EventId> {
        match &self.content {
            Content::Event(event) => Some(&event.event_id),
            Content::Unreadable { message_id, .. } => message_id.as_ref(),
        }
    }

    /// The receipt.
    pub fn receipt_id(&self) -> ReceiptId {
        receipt_of(self.event_id(), &self.body_sha256)
    }

    /// SQS' `MessageDeduplicationId`: the SHA-256 of event id and body digest. The same event twice is dropped by the
    /// queue; the same id with another body is not hidden from the consumer.
    pub fn deduplication_id(&self) -> String {
        deduplication_id(self.event_id(), &self.body_sha256)
    }

    /// SQS' `MessageGroupId`: the SHA-256 of pool and user name, so that one user's events are handled one at a time
    /// and in order. Without regard to case, as most pools compare user names.
    pub fn group_id(&self) -> String {
        match &self.content {
            Content::Event(event) => group_id(&event.user),
            Content::Unreadable { .. } => group(&[self.body_sha256.as_str()]),
        }
    }

    /// The message body for the queue.
    ///
    /// # Errors
    /// Only if the JSON library fails to print, which nothing in an envelope can cause.
    pub fn seal(&self, key: &Key) -> Result<String, serde_json::Error> {
        seal::seal(SealedAs::Envelope, key, &wire::EnvelopeForm::from(self))
    }

    /// Reads a message from the queue and checks its seal.
    ///
    /// # Errors
    /// [`OpenError`] tells a message that is not an envelope from one that is not sealed by us.
    pub fn open(message: &str, keys: &[Key]) -> Result<Self, OpenError> {
        let content: wire::EnvelopeForm = seal::open(SealedAs::Envelope, message, keys)?;
        content.read().ok_or(OpenError::Unreadable)
    }
}

/// The receipt of an event with this id and body.
pub fn receipt_of(event_id: Option<&EventId>, body_sha256: &BodyDigest) -> ReceiptId {
    let digits: String = deduplication_id(event_id, body_sha256).chars().take(32).collect();
    ReceiptId(format!("rcpt_{digits}"))
}

fn deduplication_id(event_id: Option<&EventId>, body_sha256: &BodyDigest) -> String {
    let digest = Sha256::new()
        .chain_update(b"idv-callback/event/1\n")
        .chain_update(event_id.map_or("", EventId::as_str))
        .chain_update(b"\n")
        .chain_update(body_sha256.as_str());
    hex(&digest.finalize())
}

/// The group of a user's events.
pub fn group_id(user: &UserReference) -> String {
    group(&[user.pool.as_str(), "\n", &user.username.as_str().to_lowercase()])
}

fn group(of: &[&str]) -> String {
    let digest = Sha256::new().chain_update(b"idv-callback/group/1\n");
    hex(&of.iter().fold(digest, Sha256::chain_update).finalize())
}

/// Base64 of raw bytes, as it stands in an envelope.
fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}
