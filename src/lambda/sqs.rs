//! SQS batches, and the partial batch response (Lambda developer guide, "Using Lambda with Amazon SQS").

use std::fmt;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};

use serde_json::Value;

use crate::ports::{
    AuditSink, Clock, DeadLetters, Deadline, KeyStore, ReceivedMessage, Redelivery, UserDirectory,
};
use crate::settlement::Consumer;

/// A batch that cannot be answered record by record. Failing the whole of it loses nothing: all of it comes back.
#[derive(Debug, PartialEq, Eq)]
pub enum BatchError {
    /// It is not an SQS event.
    NotABatch,
    /// A record has no message id. An empty identifier in a partial batch response fails the whole batch anyway.
    NoMessageId,
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotABatch => "the event is not one of an SQS queue",
            Self::NoMessageId => "a record of the batch has no message id",
        })
    }
}

impl std::error::Error for BatchError {}

/// Settles one batch.
///
/// # Errors
/// [`BatchError`] when it cannot be answered record by record.
pub async fn handle_sqs<D, Q, S, A, C>(
    consumer: &Consumer<D, Q, S, A, C>,
    payload: Value,
    deadline: Deadline,
) -> Result<SqsBatchResponse, BatchError>
where
    D: UserDirectory,
    Q: DeadLetters + Redelivery,
    S: KeyStore,
    A: AuditSink,
    C: Clock,
{
    let messages = received_messages(payload).inspect_err(|error| {
        tracing::error!(%error, "the batch fails as a whole, and comes back");
    })?;
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
/// [`BatchError`] when it cannot be answered record by record.
pub fn received_messages(payload: Value) -> Result<Vec<ReceivedMessage>, BatchError> {
    // The error would quote what it stumbled over.
    let event: SqsEvent = serde_json::from_value(payload).map_err(|_| BatchError::NotABatch)?;
    event.records.into_iter().map(received_message).collect()
}

fn received_message(record: SqsMessage) -> Result<ReceivedMessage, BatchError> {
    let id = record.message_id.filter(|id| !id.is_empty()).ok_or(BatchError::NoMessageId)?;
    // A standard queue has groups, too (fair queues), and no order (Lambda developer guide, "Using Lambda with Amazon SQS", the
    // example events).
    if !record.attributes.contains_key("SequenceNumber") {
        tracing::warn!("a record has no SequenceNumber: the event source must be a FIFO queue");
    }
    let group_id = record.attributes.get("MessageGroupId").cloned().unwrap_or_else(|| id.clone());
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
