//! The parts wired together in one process: the same code that runs in Lambda, called in the same way.

use std::sync::Arc;

use idv_callback::intake::{INVOCATION_TIMEOUT as CALLBACK_TIMEOUT, Intake};
use idv_callback::lambda::{HttpEvent, HttpMessage, handle_http, handle_sqs, rest_event};
use idv_callback::ports::{
    AuditSink, CallbackQueue, Clock, DeadLetters, Deadline, KeyStore, Redelivery, UserDirectory,
};
use idv_callback::settlement::{Consumer, INVOCATION_TIMEOUT as CONSUMER_TIMEOUT};
use serde_json::Value;

use super::{EventSource, Reply, Site, Switch, from_lambda_response};
use crate::ports::MessageSource;

/// An HTTP server's view of the callback function.
pub(crate) struct FrontDoor<Q, S, A, C>(pub(crate) Intake<Q, S, A, C>);

impl<Q, S, A, C> Site for FrontDoor<Q, S, A, C>
where
    Q: CallbackQueue + 'static,
    S: KeyStore + 'static,
    A: AuditSink + 'static,
    C: Clock + 'static,
{
    async fn answer(&self, request: HttpMessage) -> Reply {
        let deadline = Deadline(request.received_at.plus(CALLBACK_TIMEOUT));
        let response = handle_http(&self.0, HttpEvent::read(rest_event(&request)), deadline).await;
        from_lambda_response(&serde_json::to_value(response).unwrap_or_default())
    }
}

/// Runs the consumer function on the queue's messages until `stop` is ready.
pub(crate) async fn consume<D, Q, S, A, C, M>(
    consumer: Arc<Consumer<D, Q, S, A, C>>,
    queue: M,
    switch: Switch,
    stop: impl Future<Output = ()> + Send,
) where
    D: UserDirectory,
    Q: DeadLetters + Redelivery,
    S: KeyStore,
    A: AuditSink,
    C: Clock + Clone,
    M: MessageSource + Redelivery,
{
    let clock = consumer.clock.clone();
    let function = |event: Value| {
        let consumer = Arc::clone(&consumer);
        async move {
            let deadline = Deadline(consumer.clock.now().plus(CONSUMER_TIMEOUT));
            let response = handle_sqs(&consumer, event, deadline).await.map_err(|error| error.to_string())?;
            Ok(response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect())
        }
    };
    EventSource { queue, clock, function, switch }.run(stop).await;
}
