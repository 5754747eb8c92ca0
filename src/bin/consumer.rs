//! The consumer function: SQS in, Cognito out.

use std::process::ExitCode;
use std::sync::Arc;

use idv_callback::audit::{AuditCode, AuditRecord};
use idv_callback::aws::{AwsConnection, CallLimits, CognitoDirectory, MessageQueue, StoredSecret};
use idv_callback::clock::SystemClock;
use idv_callback::config::{ConsumerConfig, Environment};
use idv_callback::key_cache::KeyCache;
use idv_callback::lambda::{
    self, InvocationAnswer, InvocationEvent, check_key_ring, deadline_of, handle_sqs, is_heartbeat,
};
use idv_callback::ports::{AuditSink as _, Clock as _, DirectoryError};
use idv_callback::settlement::{Consumer, INVOCATION_TIMEOUT, Pace};
use idv_callback::telemetry::FunctionLog;
use lambda_runtime::{Error, LambdaEvent, service_fn};

fn main() -> ExitCode {
    lambda::run_function(run())
}

async fn run() -> Result<(), Error> {
    let environment = Environment::of_this_process();
    let config = ConsumerConfig::read(&environment)?;
    let connection = AwsConnection::of_function(&environment, CallLimits::CONSUMER)?;
    let directory = CognitoDirectory::new(&connection);
    let keys = KeyCache::new(StoredSecret::new(&connection, &config.key_ring), SystemClock);

    let warm_up = async {
        match config.policy.pools.first() {
            Some(pool) => directory.warm_up(pool).await,
            None => Ok(()),
        }
    };
    let (ring, warm) = tokio::join!(keys.current(), warm_up);
    check_key_ring(ring, config.policy.binding_required)?;
    if let Err(DirectoryError::Transient(fault) | DirectoryError::Misconfigured(fault)) = warm {
        tracing::warn!(%fault, "the user pool could not be asked");
    }
    let audit = FunctionLog::begin("consumer", "", &environment, &config.metrics_namespace)?;

    let consumer = Arc::new(Consumer {
        directory,
        queue: MessageQueue::new(&connection, &config.queue_url, &config.dead_letter_queue_url),
        keys,
        audit,
        clock: SystemClock,
        policy: config.policy,
        pace: Pace::per_second(config.cognito_rps),
    });
    lambda_runtime::run(service_fn(move |event: LambdaEvent<InvocationEvent>| {
        let consumer = Arc::clone(&consumer);
        async move {
            let payload = event.payload.read();
            if is_heartbeat(&payload) {
                consumer.audit.record(&AuditRecord::new(AuditCode::Alive, SystemClock.now()))?;
                return Ok::<_, Error>(InvocationAnswer::Heartbeat);
            }
            let deadline = deadline_of(&event.context, SystemClock.now(), INVOCATION_TIMEOUT);
            Ok(InvocationAnswer::Event(handle_sqs(&consumer, payload, deadline).await?))
        }
    }))
    .await
    .map_err(lambda::runtime_api_gone)
}
