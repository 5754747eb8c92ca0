//! The queues, by SQS (API reference: `SendMessage`, `ChangeMessageVisibility`, `GetQueueAttributes`).

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::connection::AwsConnection;
use super::failure::{Failure, Sort};
use crate::ports::{
    CallbackQueue, DeadLetters, Fault, OutgoingMessage, QueueError, ReceivedMessage, Redelivery,
};

/// One FIFO queue.
#[derive(Clone)]
pub struct SqsQueue {
    /// The client, for calls that only operators make.
    pub client: Client,
    /// The queue's URL.
    pub url: String,
}

/// The callback queue together with its dead-letter queue.
#[derive(Clone)]
pub struct MessageQueue {
    /// The callback queue.
    pub callbacks: SqsQueue,
    /// The dead letters.
    pub dead_letters: SqsQueue,
}

/// A message as SQS has it (API reference, `SendMessage`).
pub struct Stored {
    /// The id that SQS gave it.
    pub message_id: Option<String>,
    /// The MD5 of its body.
    pub body_md5: Option<String>,
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
        answer.map(drop).map_err(|error| queue_error("GetQueueAttributes", &error))
    }

    /// Sends a message; tells what SQS has.
    ///
    /// # Errors
    /// [`QueueError`] when it was not stored.
    pub async fn send_message(&self, message: OutgoingMessage) -> Result<Stored, QueueError> {
        let attributes =
            message.attributes.into_iter().map(|(name, value)| Ok((name, text_attribute(value)?)));
        let attributes: Result<HashMap<_, _>, QueueError> = attributes.collect();
        let request = self.client.send_message().queue_url(&self.url).message_body(message.body);
        let request = request
            .message_group_id(message.group_id)
            .message_deduplication_id(message.deduplication_id)
            .set_message_attributes(Some(attributes?).filter(|attributes| !attributes.is_empty()));
        let answer = request.send().await.map_err(|error| queue_error("SendMessage", &error))?;
        Ok(Stored { message_id: answer.message_id, body_md5: answer.md5_of_message_body })
    }
}

impl CallbackQueue for SqsQueue {
    async fn send(&self, message: OutgoingMessage) -> Result<(), QueueError> {
        self.send_message(message).await.map(drop)
    }
}

impl Redelivery for SqsQueue {
    async fn delay(&self, handle: &str, delay: Duration) -> Result<(), QueueError> {
        let seconds = i32::try_from(delay.as_secs()).unwrap_or(i32::MAX);
        let request = self.client.change_message_visibility().queue_url(&self.url).receipt_handle(handle);
        let answer = request.visibility_timeout(seconds).send().await;
        answer.map(drop).map_err(|error| queue_error("ChangeMessageVisibility", &error))
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

fn text_attribute(value: String) -> Result<MessageAttributeValue, QueueError> {
    let attribute = MessageAttributeValue::builder().data_type("String").string_value(value).build();
    attribute.map_err(|_| QueueError::Misconfigured(Fault::new("SendMessage", "bad_attribute")))
}

/// What a failed call to SQS means.
pub fn queue_error<E: ProvideErrorMetadata>(
    call: &'static str,
    error: &SdkError<E, HttpResponse>,
) -> QueueError {
    let Failure { fault, sort } = Failure::of(call, error);
    match (sort, fault.code.as_str()) {
        (Sort::Transient, _) => QueueError::Transient(fault),
        // An expired handle of a FIFO queue is answered with InvalidParameterValue.
        (Sort::Other, "MessageNotInflight" | "ReceiptHandleIsInvalid" | "InvalidParameterValue")
            if matches!(call, "DeleteMessage" | "ChangeMessageVisibility") =>
        {
            QueueError::NotInFlight(fault)
        }
        (Sort::Other, _) => QueueError::Misconfigured(fault),
    }
}
