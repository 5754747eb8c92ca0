//! What the use cases need of the world, in our own words. Each port has an AWS adapter (`aws`) and an embedded one
//! (`local`). Whether a failure is worth another try is decided once, in the adapter.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::time::Duration;

use serde_json::Value;
use zeroize::Zeroizing;

use crate::assurance::{AttributeChange, UserRecord};
use crate::audit::{AuditRecord, ChangeCall};
use crate::key_ring::{KeyRing, KeyRingError};
use crate::proofing::{
    Challenge, ChallengeId, ChallengeResult, IdempotencyKey, OpenedSession, ReasonCode, SessionRequest,
    SessionResult,
};
use crate::timestamp::Timestamp;
pub use crate::verification::Person;
use crate::verification::{SessionId, Subject, UserReference};

/// A call that failed: which, and the service's code for it. Never its message, which can quote what was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The call: `SendMessage`.
    pub call: &'static str,
    /// The service's error code, or ours where no answer came: `ThrottlingException`, `timeout`.
    pub code: String,
}

impl Fault {
    /// A fault of this call. Of the code only letters, digits and `._:-` are kept.
    pub fn new(call: &'static str, code: &str) -> Self {
        let keep = |c: &char| c.is_ascii_alphanumeric() || "._:-".contains(*c);
        Self { call, code: code.chars().filter(keep).take(80).collect() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.call, self.code)
    }
}

/// The users.
pub trait UserDirectory: Send + Sync {
    /// Finds a user by name; an alias, `sub` among them, finds one, too.
    fn find(
        &self,
        user: &UserReference,
    ) -> impl Future<Output = Result<Option<UserRecord>, DirectoryError>> + Send;

    /// Makes all the changes to this very person, or none.
    fn write(
        &self,
        user: &Person<'_>,
        changes: &[AttributeChange],
    ) -> impl Future<Output = Result<ChangeCall, DirectoryError>> + Send;

    /// Confirms this very person, who is unconfirmed.
    fn confirm(&self, user: &Person<'_>) -> impl Future<Output = Result<ChangeCall, DirectoryError>> + Send;
}

/// Why a call to the directory failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectoryError {
    /// The user does not exist.
    UserNotFound,
    /// A transient fault: throttling, an error inside the service, no answer.
    Transient(Fault),
    /// A fault that an operator must fix: a missing permission, attribute or pool.
    Misconfigured(Fault),
    /// The service will never do this.
    Refused(Fault),
}

impl DirectoryError {
    /// The call and the code; none where it is only that the user does not exist.
    pub fn into_fault(self) -> Option<Fault> {
        match self {
            Self::UserNotFound => None,
            Self::Transient(fault) | Self::Misconfigured(fault) | Self::Refused(fault) => Some(fault),
        }
    }
}

/// A message for the queue. Its `Debug` leaves out the body, which names a user.
#[derive(Clone, PartialEq, Eq)]
pub struct OutgoingMessage {
    /// The body.
    pub body: String,
    /// `MessageGroupId`.
    pub group_id: String,
    /// `MessageDeduplicationId`.
    pub deduplication_id: String,
    /// String attributes. At most ten.
    pub attributes: BTreeMap<String, String>,
}

/// A message from the queue. Its `Debug` leaves out the body, which names a user.
#[derive(Clone, PartialEq, Eq)]
pub struct ReceivedMessage {
    /// SQS' message id.
    pub id: String,
    /// The handle of this receive.
    pub handle: String,
    /// The body.
    pub body: String,
    /// `MessageGroupId`.
    pub group_id: String,
    /// How often it was received, this time included.
    pub attempt: u32,
    /// String attributes.
    pub attributes: BTreeMap<String, String>,
}

impl fmt::Debug for OutgoingMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingMessage")
            .field("group_id", &self.group_id)
            .field("deduplication_id", &self.deduplication_id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ReceivedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedMessage")
            .field("id", &self.id)
            .field("group_id", &self.group_id)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

impl OutgoingMessage {
    /// The message as a dead letter with these attributes: body and group untouched, and the message's own id for its
    /// deduplication id, as when SQS moves a message to a FIFO dead-letter queue itself.
    pub fn dead_letter(message: &ReceivedMessage, attributes: BTreeMap<String, String>) -> Self {
        Self {
            body: message.body.clone(),
            group_id: message.group_id.clone(),
            deduplication_id: message.id.clone(),
            attributes,
        }
    }
}

/// Why a call to a queue failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueError {
    /// A transient fault.
    Transient(Fault),
    /// A fault that an operator must fix: a missing permission or queue.
    Misconfigured(Fault),
    /// The handle is not of a message in flight any more.
    NotInFlight(Fault),
}

impl QueueError {
    /// The call and the code.
    pub fn fault(&self) -> &Fault {
        match self {
            Self::Transient(fault) | Self::Misconfigured(fault) | Self::NotInFlight(fault) => fault,
        }
    }
}

/// Where accepted callbacks go.
pub trait CallbackQueue: Send + Sync {
    /// Sends one message. When this returns, the message is stored, or an equal one was within the last 5 minutes.
    fn send(&self, message: OutgoingMessage) -> impl Future<Output = Result<(), QueueError>> + Send;
}

/// When a message that was not settled comes back.
pub trait Redelivery: Send + Sync {
    /// Lets the message come back after this long, counted from now.
    fn delay(&self, handle: &str, delay: Duration) -> impl Future<Output = Result<(), QueueError>> + Send;
}

/// Where messages go that no rule can settle.
pub trait DeadLetters: Send + Sync {
    /// Stores the message's body as it is, with these attributes.
    fn put(
        &self,
        message: &ReceivedMessage,
        attributes: BTreeMap<String, String>,
    ) -> impl Future<Output = Result<(), QueueError>> + Send;
}

/// Where the keys are.
pub trait KeyStore: Send + Sync {
    /// Fetches the key ring as it stands now.
    fn fetch(&self) -> impl Future<Output = Result<KeyRing, KeyStoreError>> + Send;
}

/// Why the key ring could not be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyStoreError {
    /// A transient fault.
    Transient(Fault),
    /// A fault that an operator must fix.
    Misconfigured(Fault),
    /// What is stored is not a key ring.
    Malformed(KeyRingError),
}

impl fmt::Display for KeyStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transient(fault) | Self::Misconfigured(fault) => write!(f, "key ring: {fault}"),
            Self::Malformed(error) => error.fmt(f),
        }
    }
}

/// The key for 1Kosmos' API. No `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(Zeroizing<String>);

impl ApiKey {
    /// Reads the secret: `{"api_key": "…"}`, of up to 4096 visible ASCII characters.
    pub fn parse(json: &[u8]) -> Option<Self> {
        let document = crate::strict_json::read_object(json).ok()?;
        let text = document.get("api_key")?.as_str()?;
        let fits = (1..=4096).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// The key, for the request's header.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Where the key for 1Kosmos' API is.
pub trait ApiKeyStore: Send + Sync {
    /// Fetches the key as it stands now.
    fn fetch(&self) -> impl Future<Output = Result<ApiKey, Fault>> + Send;
}

/// Who proofs people. Every call is over within the time that it is given.
pub trait ProofingProvider: Send + Sync {
    /// Opens a proofing session; the same key gives the same session.
    fn open_session(
        &self,
        request: &SessionRequest,
        key: &IdempotencyKey,
        within: Duration,
    ) -> impl Future<Output = Result<OpenedSession, ProviderError>> + Send;

    /// The result of a proofing session.
    fn session_result(
        &self,
        session: &SessionId,
        within: Duration,
    ) -> impl Future<Output = Result<SessionResult, ProviderError>> + Send;

    /// Starts a step-up challenge; the same key gives the same challenge.
    fn start_step_up(
        &self,
        subject: &Subject,
        reason: &ReasonCode,
        key: &IdempotencyKey,
        within: Duration,
    ) -> impl Future<Output = Result<Challenge, ProviderError>> + Send;

    /// How a step-up challenge stands.
    fn step_up_result(
        &self,
        challenge: &ChallengeId,
        within: Duration,
    ) -> impl Future<Output = Result<ChallengeResult, ProviderError>> + Send;
}

/// Why the provider did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderError {
    /// It does not know this session or challenge.
    NotFound,
    /// It is there, and does not take what was asked: the same will not be answered later either.
    Refused(Fault),
    /// It is unavailable: no answer in time, an error of its own, a key that it does not take, an answer that is none.
    Failed(Fault),
}

/// The time.
pub trait Clock: Send + Sync {
    /// What time it is.
    fn now(&self) -> Timestamp;

    /// Waits.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;
}

/// Where the audit log goes.
pub trait AuditSink: Send + Sync {
    /// Stores one record. What is not recorded did not happen: a caller fails its work when this fails.
    ///
    /// # Errors
    /// When the record could not be stored.
    fn record(&self, record: &AuditRecord) -> io::Result<()>;
}

/// Until when an invocation must have answered.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(pub Timestamp);

impl Deadline {
    /// How much time is left.
    pub fn remaining(self, now: Timestamp) -> Duration {
        self.0.since(now)
    }
}

/// Versions of functions that can be invoked.
pub trait FunctionVersions: Send + Sync {
    /// Invokes one, and waits for its answer.
    fn invoke(&self, version: &str, event: &Value) -> impl Future<Output = Result<Invoked, Fault>> + Send;
}

/// How an invocation ended.
#[derive(Clone, Debug)]
pub struct Invoked {
    /// What the function answered.
    pub answer: Value,
    /// The end of what it logged.
    pub log: String,
}
