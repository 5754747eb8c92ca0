//! SQS batches, and the partial batch response (Lambda developer guide, "Using Lambda with Amazon SQS").

use std::fmt;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};

use crate::ports::{
    AuditSink, Clock, DeadLetters, Deadline, KeyStore, ReceivedMessage, Redelivery, UserDirectory,
};
use crate::settlement::Consumer;

/// A batch that cannot be answered record by record. Failing the whole of it loses nothing: all of it comes back.
#[derive(Debug, PartialEq, Eq)]
pub enum BatchError {
    /// A record has no message id. An empty identifier in a partial batch response fails the whole batch anyway.
    NoMessageId,
    /// A record has no group: the queue is not a FIFO queue, and a user's events would be handled at the same time.
    NotFifo,
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoMessageId => "a record of the batch has no message id",
            Self::NotFifo => {
                "a record of the batch has no MessageGroupId: the event source must be a FIFO queue"
            }
        })
    }
}

impl std::error::Error for BatchError {}

/// Settles one batch.
///
/// # Errors
/// [`BatchError`] when the batch is not one of a FIFO queue.
pub async fn handle_sqs<D, Q, S, A, C>(
    consumer: &Consumer<D, Q, S, A, C>,
    event: SqsEvent,
    deadline: Deadline,
) -> Result<SqsBatchResponse, BatchError>
where
    D: UserDirectory,
    Q: DeadLetters + Redelivery,
    S: KeyStore,
    A: AuditSink,
    C: Clock,
{
    let messages = received_messages(event)?;
    let mut response = SqsBatchResponse::default();
    for id in consumer.settle_batch(&messages, deadline).await {
        let mut failure = BatchItemFailure::default();
        failure.item_identifier = id;
        response.batch_item_failures.push(failure);
    }
    Ok(response)
}

/// The records of a batch in our own words, each as it is: what its body holds is looked at one by one.
///
/// # Errors
/// [`BatchError`] when the batch is not one of a FIFO queue.
pub fn received_messages(event: SqsEvent) -> Result<Vec<ReceivedMessage>, BatchError> {
    event.records.into_iter().map(received_message).collect()
}

fn received_message(record: SqsMessage) -> Result<ReceivedMessage, BatchError> {
    let id = record.message_id.filter(|id| !id.is_empty()).ok_or(BatchError::NoMessageId)?;
    let group_id = record.attributes.get("MessageGroupId").ok_or(BatchError::NotFifo)?.clone();
    let attempt = record.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok());
    let attributes = record.message_attributes.into_iter();
    Ok(ReceivedMessage {
        id,
        handle: record.receipt_handle.unwrap_or_default(),
        body: record.body.unwrap_or_default(),
        group_id,
        attempt: attempt.unwrap_or(1),
        attributes: attributes.filter_map(|(name, value)| Some((name, value.string_value?))).collect(),
    })
}
