//! The function behind Cognito's triggers: sign-up, sign-in with step-up, federated sign-in.
//!
//! One function for all of them: the triggers of one sign-in run within seconds of each other, so that it finds one warm sandbox
//! where three functions would be three cold starts that a person waits for.

use std::process::ExitCode;
use std::sync::Arc;

use idv_callback::audit::{AuditCode, AuditRecord};
use idv_callback::aws::{AwsConnection, CallLimits, SqsQueue, StoredApiKey, StoredKeyRing};
use idv_callback::clock::SystemClock;
use idv_callback::config::{Environment, TriggersConfig};
use idv_callback::key_cache::KeyCache;
use idv_callback::lambda::{Answered, check_key_ring, deadline_of, handle_trigger, is_heartbeat};
use idv_callback::onekosmos::OneKosmos;
use idv_callback::ports::{AuditSink as _, Clock as _};
use idv_callback::telemetry::{self, FunctionLog};
use idv_callback::triggers::{INVOCATION_TIMEOUT, Triggers};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

fn main() -> ExitCode {
    telemetry::run_function(run())
}

async fn run() -> Result<(), Error> {
    let environment = Environment::of_this_process();
    let config = TriggersConfig::read(&environment)?;
    let connection = AwsConnection::of_function(&environment, CallLimits::TRIGGERS)?;
    let queue = SqsQueue::new(&connection, &config.queue_url);
    let keys = KeyCache::new(StoredKeyRing::new(&connection, &config.key_ring), SystemClock);
    let api_key = StoredApiKey::new(&connection, &config.provider.api_key);
    let provider = OneKosmos::new(&config.provider.url, &config.provider.callback_url, api_key, SystemClock)?;

    let (ring, warm) = tokio::join!(keys.current(), provider.warm_up());
    check_key_ring(ring, true)?;
    if let Err(fault) = warm {
        tracing::warn!(%fault, "the key for 1Kosmos' API could not be fetched");
    }
    let started = AuditRecord::new(AuditCode::Started, SystemClock.now());
    let stream = environment.get("AWS_LAMBDA_LOG_STREAM_NAME").unwrap_or_default();
    let writer = telemetry::writer("triggers", &stream, started.at());
    let audit = FunctionLog::new(&config.metrics_namespace, writer);
    audit.record(&started.detail("triggers"))?;

    let settings = config.settings;
    let triggers = Arc::new(Triggers { provider, queue, keys, audit, clock: SystemClock, settings });
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
        let triggers = Arc::clone(&triggers);
        async move {
            if is_heartbeat(&event.payload) {
                triggers.audit.record(&AuditRecord::new(AuditCode::Alive, SystemClock.now()))?;
                return Ok::<_, Error>(Answered::Heartbeat);
            }
            let deadline = deadline_of(&event.context, SystemClock.now(), INVOCATION_TIMEOUT);
            Ok(Answered::Event(handle_trigger(&triggers, event.payload, deadline).await?))
        }
    }))
    .await
}
