//! The queues as an operator's tool uses them (SQS API reference: `ReceiveMessage`, `DeleteMessage`,
//! `ChangeMessageVisibilityBatch`, `GetQueueAttributes`).

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, Message, MessageSystemAttributeName, QueueAttributeName,
};
use idv_callback::aws::{MessageQueue, SqsQueue, queue_error};
use idv_callback::ports::{Fault, OutgoingMessage, QueueError, ReceivedMessage};
use idv_callback::timestamp::Timestamp;
use md5::{Digest as _, Md5};

use crate::ports::{DeadLetter, DeadLetterStore, Depth, MessageSource, Waiting};

/// How long a receive waits for a message, 20 s at most (API reference, `WaitTimeSeconds`). A process that is asked to
/// stop waits for the receive under way.
const LONG_POLL: Duration = Duration::from_secs(5);

/// A receive that waits needs more time than the other calls.
const RECEIVE_LIMIT: Duration = Duration::from_secs(10);

impl MessageSource for SqsQueue {
    async fn receive(&self, most: u32) -> Result<Vec<ReceivedMessage>, QueueError> {
        let limit = aws_smithy_types::timeout::TimeoutConfig::builder()
            .operation_attempt_timeout(RECEIVE_LIMIT)
            .operation_timeout(RECEIVE_LIMIT)
            .build();
        let request = self.client.receive_message().queue_url(&self.url);
        let request = request
            .max_number_of_messages(i32::try_from(most.min(10)).unwrap_or(10))
            .wait_time_seconds(i32::try_from(LONG_POLL.as_secs()).unwrap_or(5))
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All");
        let limits = aws_sdk_sqs::config::Builder::new().timeout_config(limit);
        let answer = request.customize().config_override(limits).send().await;
        let messages =
            answer.map_err(|error| queue_error("ReceiveMessage", &error))?.messages.unwrap_or_default();
        messages.into_iter().map(received).collect()
    }

    async fn delete(&self, handle: &str) -> Result<(), QueueError> {
        let request = self.client.delete_message().queue_url(&self.url).receipt_handle(handle);
        request.send().await.map(drop).map_err(|error| queue_error("DeleteMessage", &error))
    }
}

impl DeadLetterStore for MessageQueue {
    async fn receive(&self, hold: Duration) -> Result<Vec<DeadLetter>, QueueError> {
        let request = self.dead_letters.client.receive_message().queue_url(&self.dead_letters.url);
        let request = request
            .max_number_of_messages(10)
            .visibility_timeout(i32::try_from(hold.as_secs()).unwrap_or(i32::MAX))
            // With a wait all of SQS' servers are asked, so that nothing is overlooked (developer guide, "Short and long
            // polling").
            .wait_time_seconds(1)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All");
        let answer = request.send().await.map_err(|error| queue_error("ReceiveMessage", &error))?;
        answer.messages.unwrap_or_default().into_iter().map(dead_letter).collect()
    }

    async fn release(&self, handles: &[String]) -> Result<(), QueueError> {
        self.hold(handles, Duration::ZERO).await
    }

    async fn hold(&self, handles: &[String], hold: Duration) -> Result<(), QueueError> {
        const CALL: &str = "ChangeMessageVisibilityBatch";
        let mut first_error = None;
        for handles in handles.chunks(10) {
            let entry = |(number, handle): (usize, &String)| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(number.to_string())
                    .receipt_handle(handle)
                    .visibility_timeout(i32::try_from(hold.as_secs()).unwrap_or(i32::MAX))
                    .build()
            };
            let entries: Result<Vec<_>, _> = handles.iter().enumerate().map(entry).collect();
            let entries = entries.map_err(|_| QueueError::Misconfigured(Fault::new(CALL, "bad_entry")))?;
            let request = self.dead_letters.client.change_message_visibility_batch();
            let request = request.queue_url(&self.dead_letters.url).set_entries(Some(entries));
            // An entry that fails is not held any more, or comes back when its time is up.
            if let Err(error) = request.send().await {
                first_error.get_or_insert(queue_error(CALL, &error));
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    async fn remove(&self, handle: &str) -> Result<(), QueueError> {
        self.dead_letters.delete(handle).await
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        let attributes = attributes(&self.dead_letters).await?;
        let held = number(&attributes, &QueueAttributeName::ApproximateNumberOfMessagesNotVisible)?;
        let seconds = number(&attributes, &QueueAttributeName::MessageRetentionPeriod).unwrap_or(0);
        Ok(Depth {
            messages: number(&attributes, &QueueAttributeName::ApproximateNumberOfMessages)? + held,
            held,
            retention: Duration::from_secs(seconds),
        })
    }

    async fn send_back(&self, message: OutgoingMessage) -> Result<String, QueueError> {
        send_whole(&self.callbacks, message).await
    }

    async fn restore(&self, message: OutgoingMessage) -> Result<String, QueueError> {
        send_whole(&self.dead_letters, message).await
    }

    async fn waiting(&self) -> Result<Waiting, QueueError> {
        let attributes = attributes(&self.callbacks).await?;
        let in_flight = number(&attributes, &QueueAttributeName::ApproximateNumberOfMessagesNotVisible)?;
        // A FIFO queue delays no single message, and ours none at all.
        let delayed =
            number(&attributes, &QueueAttributeName::ApproximateNumberOfMessagesDelayed).unwrap_or(0);
        let visible = number(&attributes, &QueueAttributeName::ApproximateNumberOfMessages)?;
        Ok(Waiting { messages: visible + delayed + in_flight, in_flight })
    }
}

async fn send_whole(queue: &SqsQueue, message: OutgoingMessage) -> Result<String, QueueError> {
    let sent = idv_callback::hex::hex(&Md5::digest(message.body.as_bytes()));
    let stored = queue.send_message(message).await?;
    if stored.body_md5 != Some(sent) {
        return Err(QueueError::Transient(Fault::new("SendMessage", "other_digest")));
    }
    stored.message_id.ok_or_else(|| QueueError::Transient(Fault::new("SendMessage", "no_message_id")))
}

/// What `GetQueueAttributes` tells.
type Attributes = HashMap<QueueAttributeName, String>;

async fn attributes(queue: &SqsQueue) -> Result<Attributes, QueueError> {
    let request = queue.client.get_queue_attributes().queue_url(&queue.url);
    let answer = request.attribute_names(QueueAttributeName::All).send().await;
    let answer = answer.map_err(|error| queue_error("GetQueueAttributes", &error))?;
    Ok(answer.attributes.unwrap_or_default())
}

/// A figure that is not there is not 0: a queue would look empty that nobody has counted.
fn number(attributes: &Attributes, name: &QueueAttributeName) -> Result<u64, QueueError> {
    let number = attributes.get(name).and_then(|text| text.parse().ok());
    let missing = || QueueError::Misconfigured(Fault::new("GetQueueAttributes", &format!("no.{name}")));
    number.ok_or_else(missing)
}

fn dead_letter(message: Message) -> Result<DeadLetter, QueueError> {
    let sent_at =
        message.attributes.as_ref().and_then(|all| all.get(&MessageSystemAttributeName::SentTimestamp));
    let sent_at = sent_at.and_then(|millis| millis.parse().ok()).map(Timestamp::from_unix_millis);
    let received = received(message)?;
    Ok(DeadLetter {
        id: received.id,
        handle: received.handle,
        body: received.body,
        group_id: received.group_id,
        attributes: received.attributes,
        sent_at: sent_at.unwrap_or(Timestamp::from_unix_millis(0)),
    })
}

fn received(message: Message) -> Result<ReceivedMessage, QueueError> {
    let incomplete = || QueueError::Misconfigured(Fault::new("ReceiveMessage", "not_a_fifo_queue"));
    let system = message.attributes.unwrap_or_default();
    let attempt = system.get(&MessageSystemAttributeName::ApproximateReceiveCount);
    let attributes = message.message_attributes.unwrap_or_default().into_iter();
    Ok(ReceivedMessage {
        id: message.message_id.ok_or_else(incomplete)?,
        handle: message.receipt_handle.ok_or_else(incomplete)?,
        body: message.body.unwrap_or_default(),
        group_id: system.get(&MessageSystemAttributeName::MessageGroupId).ok_or_else(incomplete)?.clone(),
        attempt: attempt.and_then(|count| count.parse().ok()).unwrap_or(1),
        attributes: attributes.filter_map(|(name, value)| Some((name, value.string_value?))).collect(),
    })
}
