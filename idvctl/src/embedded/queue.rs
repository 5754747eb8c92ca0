//! A FIFO queue as SQS documents it (developer guide: "Amazon SQS FIFO queues", "visibility timeout", "dead-letter
//! queues"; API reference for limits and errors).

mod stock;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use idv_callback::ports::{
    CallbackQueue, Clock, DeadLetters, Fault, OutgoingMessage, QueueError, ReceivedMessage, Redelivery,
};
use idv_callback::timestamp::Timestamp;
use stock::{Handled, Stock};

use crate::ports::{DeadLetter, DeadLetterStore, Depth, MessageSource, Waiting};

/// The largest message: 1 MiB, attributes included (developer guide, "Amazon SQS message quotas").
const MAXIMUM_BYTES: usize = 1024 * 1024;

/// The most attributes of one message.
const MAXIMUM_ATTRIBUTES: usize = 10;

/// The longest visibility timeout: 12 hours.
const MAXIMUM_VISIBILITY: Duration = Duration::from_secs(12 * 60 * 60);

/// How often a waiting receive looks again.
const POLL: Duration = Duration::from_millis(10);

/// The settings of a queue.
#[derive(Clone, Copy, Debug)]
pub struct QueueSettings {
    /// How long a received message stays invisible.
    pub visibility: Duration,
    /// How often a message is received before it is moved to the dead-letter queue, if there is one.
    pub maximum_receives: u32,
    /// How long a receive waits for a message.
    pub wait: Duration,
}

/// A message in the queue, as it stands there. No `Debug`: its body names a user.
#[derive(Clone)]
pub struct QueuedMessage {
    /// SQS' message id.
    pub id: String,
    /// The body.
    pub body: String,
    /// `MessageGroupId`.
    pub group_id: String,
    /// `MessageDeduplicationId`.
    pub deduplication_id: String,
    /// String attributes.
    pub attributes: BTreeMap<String, String>,
    /// How often it was received.
    pub receives: u32,
    /// When it was sent.
    pub sent_at: Timestamp,
    visible_at: Timestamp,
    handle: String,
}

impl QueuedMessage {
    /// The handle of the last receive.
    pub fn handle(&self) -> &str {
        &self.handle
    }

    fn received(self) -> ReceivedMessage {
        ReceivedMessage {
            id: self.id,
            handle: self.handle,
            body: self.body,
            group_id: self.group_id,
            attempt: self.receives,
            attributes: self.attributes,
        }
    }
}

/// One FIFO queue. Clones are the same queue.
#[derive(Clone)]
pub struct FifoQueue<C> {
    name: &'static str,
    settings: QueueSettings,
    clock: C,
    stock: Arc<Mutex<Stock>>,
    dead_letters: Option<Arc<FifoQueue<C>>>,
}

impl<C: Clock + Clone> FifoQueue<C> {
    /// An empty queue; `name` keeps the message ids of several queues apart.
    pub fn new(name: &'static str, settings: QueueSettings, clock: C) -> Self {
        Self { name, settings, clock, stock: Arc::default(), dead_letters: None }
    }

    /// The same, with a redrive policy that names this dead-letter queue.
    #[must_use]
    pub fn with_dead_letters(self, queue: &Self) -> Self {
        Self { dead_letters: Some(Arc::new(queue.clone())), ..self }
    }

    /// Receives what can be received now, for this long, as a `ReceiveMessage` with a visibility timeout of its own does.
    ///
    /// # Errors
    /// [`QueueError`] when a message could not be moved to the dead letters.
    pub fn receive_for(&self, most: usize, visibility: Duration) -> Result<Vec<QueuedMessage>, QueueError> {
        self.take(most.min(10), visibility)
    }

    /// How many messages are in the queue, and how many of them in flight.
    pub fn counts(&self) -> (u64, u64) {
        let mut stock = self.lock();
        stock.refresh(self.clock.now());
        let (messages, in_flight) = stock.counts();
        (messages as u64, in_flight as u64)
    }

    /// Everything in the queue, in order, visible or not. Looking changes nothing.
    pub fn messages(&self) -> Vec<QueuedMessage> {
        self.lock().all().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the message's id: that of the first one, where its deduplication id came before.
    pub(super) fn accept(&self, message: OutgoingMessage) -> Result<String, QueueError> {
        check(&message)?;
        let now = self.clock.now();
        let mut stock = self.lock();
        if let Some(id) = stock.repeated(&message.deduplication_id, now) {
            return Ok(id);
        }
        let number = stock.next_number();
        let id = format!("{}-{number:08}", self.name);
        stock.remember(&message.deduplication_id, &id, now);
        let message = QueuedMessage {
            id: id.clone(),
            body: message.body,
            group_id: message.group_id,
            deduplication_id: message.deduplication_id,
            attributes: message.attributes,
            receives: 0,
            sent_at: now,
            visible_at: now,
            handle: String::new(),
        };
        stock.push(number, message);
        Ok(id)
    }

    /// While a message of a group is in flight, no other of the group is handed out. As many of one group as possible come
    /// together (developer guide, "FIFO queue delivery logic").
    fn take(&self, most: usize, visibility: Duration) -> Result<Vec<QueuedMessage>, QueueError> {
        let now = self.clock.now();
        let mut stock = self.lock();
        stock.refresh(now);
        let mut taken = Vec::new();
        while taken.len() < most {
            let numbers = stock.first_ready(most - taken.len());
            if numbers.is_empty() {
                break;
            }
            for number in numbers {
                if !self.moved(&mut stock, number)? {
                    taken.extend(stock.hand_out(number, now.plus(visibility)));
                }
            }
        }
        Ok(taken)
    }

    /// A message that would be received once more than allowed is moved instead; its deduplication id is replaced by
    /// its message id.
    fn moved(&self, stock: &mut Stock, number: u64) -> Result<bool, QueueError> {
        let Some(dead_letters) = &self.dead_letters else { return Ok(false) };
        let Some(message) = stock.get(number) else { return Ok(false) };
        if message.receives < self.settings.maximum_receives {
            return Ok(false);
        }
        dead_letters.accept(OutgoingMessage {
            body: message.body.clone(),
            group_id: message.group_id.clone(),
            deduplication_id: message.id.clone(),
            attributes: message.attributes.clone(),
        })?;
        stock.remove(number);
        Ok(true)
    }

    /// The message of this handle, if it is in flight under it.
    fn in_flight(&self, stock: &Stock, call: &'static str, handle: &str) -> Result<u64, QueueError> {
        match stock.handled(handle, self.clock.now()) {
            Handled::InFlight(number) => Ok(number),
            Handled::CameBack => Err(QueueError::NotInFlight(Fault::new(call, "MessageNotInflight"))),
            Handled::Unknown => Err(QueueError::NotInFlight(Fault::new(call, "ReceiptHandleIsInvalid"))),
        }
    }
}

fn check(message: &OutgoingMessage) -> Result<(), QueueError> {
    let refuse = |code| Err(QueueError::Misconfigured(Fault::new("SendMessage", code)));
    let attributes: usize = message.attributes.iter().map(|(name, value)| name.len() + value.len()).sum();
    if message.body.is_empty() || !message.body.chars().all(is_allowed) {
        return refuse("InvalidMessageContents");
    }
    let ids = [&message.group_id, &message.deduplication_id];
    let bad_id =
        ids.iter().any(|id| id.is_empty() || id.len() > 128 || !id.bytes().all(|b| b.is_ascii_graphic()));
    let too_large = message.body.len() + attributes > MAXIMUM_BYTES;
    if bad_id || too_large || message.attributes.len() > MAXIMUM_ATTRIBUTES {
        return refuse("InvalidParameterValue");
    }
    if message.attributes.values().any(|value| value.is_empty() || !value.chars().all(is_allowed)) {
        return refuse("InvalidParameterValue");
    }
    Ok(())
}

/// The characters of XML 1.0, which is what a message may hold (API reference, `SendMessage`).
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
}

impl<C: Clock + Clone> CallbackQueue for FifoQueue<C> {
    async fn send(&self, message: OutgoingMessage) -> Result<(), QueueError> {
        self.accept(message).map(drop)
    }
}

impl<C: Clock + Clone> MessageSource for FifoQueue<C> {
    async fn receive(&self, most: u32) -> Result<Vec<ReceivedMessage>, QueueError> {
        let start = self.clock.now();
        loop {
            let messages =
                self.take(usize::try_from(most.min(10)).unwrap_or(10), self.settings.visibility)?;
            let messages: Vec<_> = messages.into_iter().map(QueuedMessage::received).collect();
            if !messages.is_empty() || self.clock.now().since(start) >= self.settings.wait {
                return Ok(messages);
            }
            self.clock.sleep(POLL).await;
        }
    }

    async fn delete(&self, handle: &str) -> Result<(), QueueError> {
        let mut stock = self.lock();
        let number = self.in_flight(&stock, "DeleteMessage", handle)?;
        stock.remove(number);
        Ok(())
    }
}

impl<C: Clock + Clone> Redelivery for FifoQueue<C> {
    async fn delay(&self, handle: &str, delay: Duration) -> Result<(), QueueError> {
        let mut stock = self.lock();
        let number = self.in_flight(&stock, "ChangeMessageVisibility", handle)?;
        stock.come_back(number, self.clock.now().plus(delay.min(MAXIMUM_VISIBILITY)));
        Ok(())
    }
}

/// The callback queue together with its dead-letter queue.
#[derive(Clone)]
pub struct LocalQueues<C> {
    /// The callback queue.
    pub callbacks: FifoQueue<C>,
    /// The dead letters.
    pub dead_letters: FifoQueue<C>,
}

impl<C: Clock + Clone> LocalQueues<C> {
    /// Both, empty, with these settings.
    pub fn new(settings: QueueSettings, clock: C) -> Self {
        let dead_letters = FifoQueue::new("dead", settings, clock.clone());
        let callbacks = FifoQueue::new("msg", settings, clock).with_dead_letters(&dead_letters);
        Self { callbacks, dead_letters }
    }
}

impl<C: Clock + Clone> Redelivery for LocalQueues<C> {
    async fn delay(&self, handle: &str, delay: Duration) -> Result<(), QueueError> {
        self.callbacks.delay(handle, delay).await
    }
}

impl<C: Clock + Clone> DeadLetters for LocalQueues<C> {
    async fn put(
        &self,
        message: &ReceivedMessage,
        attributes: BTreeMap<String, String>,
    ) -> Result<(), QueueError> {
        self.dead_letters.accept(OutgoingMessage::dead_letter(message, attributes)).map(drop)
    }
}

/// How long the embedded queues keep a message: for as long as the process lives, told as SQS' longest.
const RETENTION: Duration = Duration::from_secs(14 * 86_400);

impl<C: Clock + Clone> DeadLetterStore for LocalQueues<C> {
    async fn receive(&self, hold: Duration) -> Result<Vec<DeadLetter>, QueueError> {
        let found = self.dead_letters.receive_for(10, hold)?;
        let letter = |message: QueuedMessage| DeadLetter {
            id: message.id,
            handle: message.handle,
            body: message.body,
            group_id: message.group_id,
            attributes: message.attributes,
            sent_at: message.sent_at,
        };
        Ok(found.into_iter().map(letter).collect())
    }

    async fn release(&self, handles: &[String]) -> Result<(), QueueError> {
        self.hold(handles, Duration::ZERO).await
    }

    async fn hold(&self, handles: &[String], hold: Duration) -> Result<(), QueueError> {
        for handle in handles {
            match self.dead_letters.delay(handle, hold).await {
                Ok(()) | Err(QueueError::NotInFlight(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn remove(&self, handle: &str) -> Result<(), QueueError> {
        self.dead_letters.delete(handle).await
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        let (messages, held) = self.dead_letters.counts();
        Ok(Depth { messages, held, retention: RETENTION })
    }

    async fn send_back(&self, message: OutgoingMessage) -> Result<String, QueueError> {
        self.callbacks.accept(message)
    }

    async fn restore(&self, message: OutgoingMessage) -> Result<String, QueueError> {
        self.dead_letters.accept(message)
    }

    async fn waiting(&self) -> Result<Waiting, QueueError> {
        let (messages, in_flight) = self.callbacks.counts();
        Ok(Waiting { messages, in_flight })
    }
}
