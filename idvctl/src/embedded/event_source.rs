//! An event source mapping: receives batches, hands each to the function as Lambda would, deletes what the answer does
//! not name (Lambda developer guide, "Using Lambda with Amazon SQS", "Partial batch responses").

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use idv_callback::lambda::batch_event;
use idv_callback::ports::{Clock, QueueError, ReceivedMessage, Redelivery};
use serde_json::Value;

use crate::ports::MessageSource;

/// How long to wait after a receive that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// How often a mapping that is switched off looks at its switch.
const OFF: Duration = Duration::from_millis(50);

/// How many messages one batch has at most.
const BATCH_SIZE: u32 = 10;

/// Whether the event source mapping runs. Clones are the same switch.
#[derive(Clone)]
pub struct Switch(Arc<AtomicBool>);

impl Default for Switch {
    fn default() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

impl Switch {
    /// Whether it runs.
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Lets it run, or stops it after the batch under way.
    pub fn set(&self, on: bool) {
        self.0.store(on, Ordering::Relaxed);
    }
}

/// A queue and the function that gets its batches.
pub struct EventSource<Q, C, F> {
    /// The queue.
    pub queue: Q,
    /// The clock.
    pub clock: C,
    /// The function: from the event to the ids of the messages that must come back. An error means all of them.
    pub function: F,
    /// Whether it runs.
    pub switch: Switch,
}

impl<Q, C, F, R> EventSource<Q, C, F>
where
    Q: MessageSource + Redelivery,
    C: Clock,
    F: Fn(Value) -> R + Send + Sync,
    R: Future<Output = Result<Vec<String>, String>> + Send,
{
    /// Runs until `stop` is ready. A batch under way is brought to its end; messages that a receive under way still
    /// brings are given back at once.
    pub async fn run(&self, stop: impl Future<Output = ()> + Send) {
        tokio::pin!(stop);
        loop {
            if !self.switch.is_on() {
                tokio::select! {
                    () = self.clock.sleep(OFF) => continue,
                    () = &mut stop => return,
                }
            }
            let receive = self.queue.receive(BATCH_SIZE);
            tokio::pin!(receive);
            let received = tokio::select! {
                received = &mut receive => received,
                () = &mut stop => {
                    self.give_back(receive.await).await;
                    return;
                }
            };
            match received {
                Ok(messages) if messages.is_empty() => {}
                Ok(messages) => self.invoke(messages).await,
                Err(error) => {
                    let fault = error.fault();
                    tracing::warn!(call = fault.call, code = fault.code, "messages could not be received");
                    self.clock.sleep(AFTER_FAILURE).await;
                }
            }
        }
    }

    async fn invoke(&self, messages: Vec<ReceivedMessage>) {
        let failed = (self.function)(batch_event(&messages)).await;
        let failed = failed.unwrap_or_else(|error| {
            tracing::error!(error, "the batch failed as a whole");
            messages.iter().map(|message| message.id.clone()).collect()
        });
        for message in messages.iter().filter(|message| !failed.contains(&message.id)) {
            if let Err(error) = self.queue.delete(&message.handle).await {
                let fault = error.fault();
                tracing::warn!(call = fault.call, code = fault.code, "a settled message will come again");
            }
        }
    }

    async fn give_back(&self, received: Result<Vec<ReceivedMessage>, QueueError>) {
        for message in received.unwrap_or_default() {
            if let Err(error) = self.queue.delay(&message.handle, Duration::ZERO).await {
                let fault = error.fault();
                tracing::warn!(
                    call = fault.call,
                    code = fault.code,
                    "a message comes back at the queue's own time"
                );
            }
        }
    }
}
