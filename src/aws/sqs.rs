//! The queues, by SQS (API reference: `SendMessage`, `ReceiveMessage`, `DeleteMessage`, `ChangeMessageVisibility`,
//! `GetQueueAttributes`, `ChangeMessageVisibilityBatch`).

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, Message, MessageAttributeValue, MessageSystemAttributeName,
    QueueAttributeName,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use md5::{Digest as _, Md5};

use super::connection::AwsConnection;
use super::failure::{Failure, Sort};
use crate::ports::{
    CallbackQueue, DeadLetter, DeadLetterStore, DeadLetters, Depth, Fault, MessageSource, OutgoingMessage,
    QueueError, ReceivedMessage, Redelivery,
};
use crate::timestamp::Timestamp;

/// How long a receive waits for a message, 20 s at most (API reference, `WaitTimeSeconds`). A process that is asked to
/// stop waits for the receive under way.
const LONG_POLL: Duration = Duration::from_secs(5);

/// A receive that waits needs more time than the other calls.
const RECEIVE_LIMIT: Duration = Duration::from_secs(10);

/// One FIFO queue.
#[derive(Clone)]
pub struct SqsQueue {
    client: Client,
    url: String,
}

/// The callback queue together with its dead-letter queue.
#[derive(Clone)]
pub struct MessageQueue {
    /// The callback queue.
    pub callbacks: SqsQueue,
    /// The dead letters.
    pub dead_letters: SqsQueue,
}

impl MessageQueue {
    /// The queues at these URLs.
    pub fn new(connection: &AwsConnection, callbacks: &str, dead_letters: &str) -> Self {
        let queue = |url| SqsQueue::new(connection, url);
        Self { callbacks: queue(callbacks), dead_letters: queue(dead_letters) }
    }
}

impl SqsQueue {
    /// The queue at this URL.
    pub fn new(connection: &AwsConnection, url: &str) -> Self {
        Self { client: connection.sqs(), url: url.to_owned() }
    }

    /// Asks for one attribute of the queue, so that the connection is open before the first callback needs it. What
    /// comes back does not matter: sending tells for itself what is wrong.
    ///
    /// # Errors
    /// [`QueueError`] when the queue cannot be asked.
    pub async fn warm_up(&self) -> Result<(), QueueError> {
        let request = self.client.get_queue_attributes().queue_url(&self.url);
        let answer = request.attribute_names(QueueAttributeName::FifoQueue).send().await;
        answer.map(drop).map_err(|error| failed("GetQueueAttributes", &error))
    }

    /// Gives the MD5 of the body as SQS has it.
    async fn send_message(&self, message: OutgoingMessage) -> Result<Option<String>, QueueError> {
        let attributes =
            message.attributes.into_iter().map(|(name, value)| Ok((name, text_attribute(value)?)));
        let attributes: Result<HashMap<_, _>, QueueError> = attributes.collect();
        let request = self.client.send_message().queue_url(&self.url).message_body(message.body);
        let request = request
            .message_group_id(message.group_id)
            .message_deduplication_id(message.deduplication_id)
            .set_message_attributes(Some(attributes?).filter(|attributes| !attributes.is_empty()));
        let answer = request.send().await.map_err(|error| failed("SendMessage", &error))?;
        Ok(answer.md5_of_message_body)
    }
}

impl CallbackQueue for SqsQueue {
    async fn send(&self, message: OutgoingMessage) -> Result<(), QueueError> {
        self.send_message(message).await.map(drop)
    }
}

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
        let messages = answer.map_err(|error| failed("ReceiveMessage", &error))?.messages.unwrap_or_default();
        messages.into_iter().map(received).collect()
    }

    async fn delete(&self, handle: &str) -> Result<(), QueueError> {
        let request = self.client.delete_message().queue_url(&self.url).receipt_handle(handle);
        request.send().await.map(drop).map_err(|error| failed("DeleteMessage", &error))
    }
}

impl Redelivery for SqsQueue {
    async fn delay(&self, handle: &str, delay: Duration) -> Result<(), QueueError> {
        let seconds = i32::try_from(delay.as_secs()).unwrap_or(i32::MAX);
        let request = self.client.change_message_visibility().queue_url(&self.url).receipt_handle(handle);
        let answer = request.visibility_timeout(seconds).send().await;
        answer.map(drop).map_err(|error| failed("ChangeMessageVisibility", &error))
    }
}

impl Redelivery for MessageQueue {
    async fn delay(&self, handle: &str, delay: Duration) -> Result<(), QueueError> {
        self.callbacks.delay(handle, delay).await
    }
}

impl DeadLetters for MessageQueue {
    async fn put(
        &self,
        message: &ReceivedMessage,
        attributes: BTreeMap<String, String>,
    ) -> Result<(), QueueError> {
        self.dead_letters.send_message(OutgoingMessage::dead_letter(message, attributes)).await.map(drop)
    }
}

impl DeadLetterStore for MessageQueue {
    async fn look(&self, hold: Duration) -> Result<Vec<DeadLetter>, QueueError> {
        let request = self.dead_letters.client.receive_message().queue_url(&self.dead_letters.url);
        let request = request
            .max_number_of_messages(10)
            .visibility_timeout(i32::try_from(hold.as_secs()).unwrap_or(i32::MAX))
            // With a wait all of SQS' servers are asked, so that nothing is overlooked (developer guide, "Short and long
            // polling").
            .wait_time_seconds(1)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All");
        let answer = request.send().await.map_err(|error| failed("ReceiveMessage", &error))?;
        answer.messages.unwrap_or_default().into_iter().map(dead_letter).collect()
    }

    async fn let_go(&self, handles: &[String]) -> Result<(), QueueError> {
        const CALL: &str = "ChangeMessageVisibilityBatch";
        let mut first_error = None;
        for handles in handles.chunks(10) {
            let entry = |(number, handle): (usize, &String)| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(number.to_string())
                    .receipt_handle(handle)
                    .visibility_timeout(0)
                    .build()
            };
            let entries: Result<Vec<_>, _> = handles.iter().enumerate().map(entry).collect();
            let entries = entries.map_err(|_| QueueError::Misconfigured(Fault::new(CALL, "bad_entry")))?;
            let request = self.dead_letters.client.change_message_visibility_batch();
            let request = request.queue_url(&self.dead_letters.url).set_entries(Some(entries));
            // An entry that fails is not held any more, or comes back when its time is up.
            if let Err(error) = request.send().await {
                first_error.get_or_insert(failed(CALL, &error));
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    async fn remove(&self, handle: &str) -> Result<(), QueueError> {
        self.dead_letters.delete(handle).await
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        let request = self.dead_letters.client.get_queue_attributes().queue_url(&self.dead_letters.url);
        let answer = request.attribute_names(QueueAttributeName::All).send().await;
        let answer = answer.map_err(|error| failed("GetQueueAttributes", &error))?;
        let number =
            |name| answer.attributes().and_then(|all| all.get(&name)?.parse::<u64>().ok()).unwrap_or(0);
        let held = number(QueueAttributeName::ApproximateNumberOfMessagesNotVisible);
        Ok(Depth {
            messages: number(QueueAttributeName::ApproximateNumberOfMessages) + held,
            held,
            retention: Duration::from_secs(number(QueueAttributeName::MessageRetentionPeriod)),
        })
    }

    async fn send_back(&self, message: OutgoingMessage) -> Result<(), QueueError> {
        let sent = crate::delivery::hex(&Md5::digest(message.body.as_bytes()));
        let arrived = self.callbacks.send_message(message).await?;
        if arrived.as_deref() == Some(sent.as_str()) {
            Ok(())
        } else {
            Err(QueueError::Passing(Fault::new("SendMessage", "other_digest")))
        }
    }
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

fn text_attribute(value: String) -> Result<MessageAttributeValue, QueueError> {
    let attribute = MessageAttributeValue::builder().data_type("String").string_value(value).build();
    attribute.map_err(|_| QueueError::Misconfigured(Fault::new("SendMessage", "bad_attribute")))
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

fn failed<E: ProvideErrorMetadata>(call: &'static str, error: &SdkError<E, HttpResponse>) -> QueueError {
    let Failure { fault, sort } = Failure::of(call, error);
    match (sort, fault.code.as_str()) {
        (Sort::Passing, _) => QueueError::Passing(fault),
        // An expired handle of a FIFO queue is answered with InvalidParameterValue.
        (Sort::Other, "MessageNotInflight" | "ReceiptHandleIsInvalid" | "InvalidParameterValue")
            if matches!(call, "DeleteMessage" | "ChangeMessageVisibility") =>
        {
            QueueError::NotInFlight(fault)
        }
        (Sort::Other, _) => QueueError::Misconfigured(fault),
    }
}
