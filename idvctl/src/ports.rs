//! What the operators' tool needs of the world beside the service's own ports. Each port has an AWS adapter (`aws`) and an
//! embedded one (`embedded`).

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use idv_callback::ports::{OutgoingMessage, QueueError, ReceivedMessage};
use idv_callback::timestamp::Timestamp;

/// Where accepted callbacks come from.
pub trait MessageSource: Send + Sync {
    /// Waits a while for messages, and returns up to this many.
    fn receive(&self, most: u32) -> impl Future<Output = Result<Vec<ReceivedMessage>, QueueError>> + Send;

    /// Deletes a message that was settled.
    fn delete(&self, handle: &str) -> impl Future<Output = Result<(), QueueError>> + Send;
}

/// A message in the dead-letter queue, as a look finds it. Its `Debug` leaves out the body, which names a user.
#[derive(Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// SQS' message id.
    pub id: String,
    /// The handle of this look.
    pub handle: String,
    /// The body: the envelope as it was sealed.
    pub body: String,
    /// `MessageGroupId`.
    pub group_id: String,
    /// String attributes.
    pub attributes: BTreeMap<String, String>,
    /// When it came into the dead-letter queue; from then on SQS counts its retention.
    pub sent_at: Timestamp,
}

impl fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetter")
            .field("id", &self.id)
            .field("sent_at", &self.sent_at)
            .finish_non_exhaustive()
    }
}

/// What is known of the dead-letter queue as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// How many messages it has, about, those that somebody holds included.
    pub messages: u64,
    /// How many of these somebody holds, about.
    pub held: u64,
    /// How long it keeps a message.
    pub retention: Duration,
}

/// The dead-letter queue as an operator's tool sees it.
pub trait DeadLetterStore: Send + Sync {
    /// Up to ten messages that nobody holds, which are held for this long from now. While a message is held, those behind it in
    /// its group are unavailable.
    fn receive(&self, hold: Duration) -> impl Future<Output = Result<Vec<DeadLetter>, QueueError>> + Send;

    /// Holds messages that are held for this long from now. One that is not held any more is passed over.
    fn hold(&self, handles: &[String], hold: Duration)
    -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Releases messages that are held: they are as they were, in the order that they had. One that is not held any more
    /// has come back by itself.
    fn release(&self, handles: &[String]) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Deletes a message that is held.
    fn remove(&self, handle: &str) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// How many there are.
    fn depth(&self) -> impl Future<Output = Result<Depth, QueueError>> + Send;

    /// Sends a message back to the callback queue, and sees that it arrived whole; gives the id that it has there.
    fn send_back(&self, message: OutgoingMessage) -> impl Future<Output = Result<String, QueueError>> + Send;

    /// Sends a message to the dead-letter queue, and sees that it arrived whole; gives the id that it has there.
    fn restore(&self, message: OutgoingMessage) -> impl Future<Output = Result<String, QueueError>> + Send;

    /// How many messages the callback queue has.
    fn waiting(&self) -> impl Future<Output = Result<Waiting, QueueError>> + Send;
}

/// What is known of the callback queue as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// How many messages it has, about: those that can be received, those that come later, those in flight.
    pub messages: u64,
    /// How many of these are in flight, about.
    pub in_flight: u64,
}

/// What the consumer recorded of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The id that the message had in the callback queue.
    pub message_id: String,
    /// The receipt.
    pub receipt_id: String,
    /// When.
    pub at: Timestamp,
    /// What became of it.
    pub outcome: RecordedOutcome,
}

/// What became of a message, as the consumer recorded it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordedOutcome {
    /// It was settled: the audit code's word, and whether that confirmed the user.
    Settled(&'static str, bool),
    /// It went to the dead letters: reason, detail and version.
    Quarantined(String),
}

/// The consumer's audit log.
pub trait ConsumerLog: Send + Sync {
    /// What was settled or quarantined since then.
    ///
    /// # Errors
    /// Why the log cannot be asked, in words for a person.
    fn outcomes(&self, since: Timestamp) -> impl Future<Output = Result<Vec<Recorded>, String>> + Send;
}
