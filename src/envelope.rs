//! What travels on the queue: the accepted callback, reduced to the fields that settling needs, and sealed.
//!
//! ```json
//! {"v":1,"seal":{"key_id":"seal-1","mac":"<64 hex>"},"content":{"receipt_id":"rcpt_…", …}}
//! ```
//!
//! The seal is an HMAC over the exact bytes of `content`. Permission to send to the queue is therefore not permission
//! to confirm a user: for that one needs the seal key, which only the callback function, the consumer and the replay
//! tool hold.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::delivery::{hex, hex_tag};
use crate::key_ring::Key;
use crate::secret::Tag;
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

/// Why a message on the queue is not taken for one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// It is not an envelope of a version that this code knows.
    Unreadable,
    /// It names a seal key that is not on the ring.
    UnknownSealKey,
    /// The seal is missing or not the one that the named key gives.
    BadSeal,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed<'a> {
    v: u32,
    #[serde(default)]
    seal: Option<Seal>,
    #[serde(borrow)]
    content: &'a RawValue,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seal {
    key_id: String,
    mac: String,
}

const VERSION: u32 = 1;

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
        let digits: String = self.deduplication_id().chars().take(32).collect();
        ReceiptId(format!("rcpt_{digits}"))
    }

    /// SQS' `MessageDeduplicationId`: the SHA-256 of event id and body digest. The same event twice is dropped by the
    /// queue; the same id with another body is not hidden from the consumer.
    pub fn deduplication_id(&self) -> String {
        let event_id = self.event_id().map_or("", EventId::as_str);
        let digest = Sha256::new()
            .chain_update(b"idv-callback/event/1\n")
            .chain_update(event_id)
            .chain_update(b"\n")
            .chain_update(self.body_sha256.as_str());
        hex(&digest.finalize())
    }

    /// SQS' `MessageGroupId`: the SHA-256 of pool and user name, so that one user's events are handled one at a time
    /// and in order. Without regard to case, as most pools compare user names.
    pub fn group_id(&self) -> String {
        let digest = Sha256::new().chain_update(b"idv-callback/group/1\n");
        let digest = match &self.content {
            Content::Event(VerificationEvent { user: UserReference { pool, username }, .. }) => digest
                .chain_update(pool.as_str())
                .chain_update(b"\n")
                .chain_update(username.as_str().to_lowercase()),
            Content::Unreadable { .. } => digest.chain_update(self.body_sha256.as_str()),
        };
        hex(&digest.finalize())
    }

    /// The message body for the queue.
    ///
    /// # Errors
    /// Only if the JSON library fails to print, which nothing in an envelope can cause.
    pub fn seal(&self, key: &Key) -> Result<String, serde_json::Error> {
        let content = serde_json::value::to_raw_value(&wire::Content::from(self))?;
        let seal = Seal { key_id: key.id.clone(), mac: hex(&tag(key, &content).to_bytes()) };
        serde_json::to_string(&Sealed { v: VERSION, seal: Some(seal), content: &content })
    }

    /// Reads a message from the queue and checks its seal.
    ///
    /// # Errors
    /// [`OpenError`] tells a message that is not an envelope from one that is not sealed by us.
    pub fn open(message: &str, keys: &[Key]) -> Result<Self, OpenError> {
        let sealed: Sealed<'_> = serde_json::from_str(message).map_err(|_| OpenError::Unreadable)?;
        if sealed.v != VERSION {
            return Err(OpenError::Unreadable);
        }
        let seal = sealed.seal.ok_or(OpenError::BadSeal)?;
        let key = keys.iter().find(|key| key.id == seal.key_id).ok_or(OpenError::UnknownSealKey)?;
        let mac = hex_tag(&seal.mac).map_err(|_| OpenError::BadSeal)?;
        if !tag(key, sealed.content).matches(&mac) {
            return Err(OpenError::BadSeal);
        }
        let content: wire::Content =
            serde_json::from_str(sealed.content.get()).map_err(|_| OpenError::Unreadable)?;
        content.read().ok_or(OpenError::Unreadable)
    }
}

fn tag(key: &Key, content: &RawValue) -> Tag {
    key.secret.mac(&[b"idv-callback/envelope/1\n", content.get().as_bytes()])
}

/// Base64 of raw bytes, as it stands in an envelope.
fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}
