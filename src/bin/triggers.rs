//! The function behind Cognito's triggers: sign-up, sign-in with step-up, federated sign-in.
//!
//! One function for all of them: the triggers of one sign-in run within seconds of each other, so that it finds one warm sandbox
//! where three functions would be three cold starts that a person waits for.

use std::process::ExitCode;
use std::sync::Arc;

use idv_callback::audit::{AuditCode, AuditRecord};
use idv_callback::aws::{AwsConnection, CallLimits, SqsQueue, StoredSecret};
use idv_callback::clock::SystemClock;
use idv_callback::config::{Environment, TriggersConfig};
use idv_callback::key_cache::KeyCache;
use idv_callback::lambda::{
    self, ColdStart, InvocationAnswer, InvocationEvent, check_key_ring, deadline_of, handle_trigger,
    is_heartbeat,
};
use idv_callback::onekosmos::OneKosmos;
use idv_callback::ports::{AuditSink as _, Clock as _, Deadline};
use idv_callback::telemetry::FunctionLog;
use idv_callback::triggers::{INVOCATION_TIMEOUT, Triggers};
use lambda_runtime::{Error, LambdaEvent, service_fn};

fn main() -> ExitCode {
    lambda::run_function(run())
}

async fn run() -> Result<(), Error> {
    let began = SystemClock.now();
    let environment = Environment::of_this_process();
    let config = TriggersConfig::read(&environment)?;
    let connection = AwsConnection::of_function(&environment, CallLimits::TRIGGERS)?;
    let queue = SqsQueue::new(&connection, &config.queue_url);
    let keys = KeyCache::new(StoredSecret::new(&connection, &config.key_ring), SystemClock);
    let api_key = StoredSecret::new(&connection, &config.provider.api_key);
    let provider = OneKosmos::new(&config.provider.url, &config.provider.callback_url, api_key, SystemClock)?;

    let (ring, warm) = tokio::join!(keys.current(), provider.warm_up());
    check_key_ring(ring, true)?;
    if let Err(fault) = warm {
        tracing::warn!(%fault, "the key for 1Kosmos' API could not be fetched");
    }
    let audit = FunctionLog::begin("triggers", "", &environment, &config.metrics_namespace)?;

    let settings = config.settings;
    let triggers = Arc::new(Triggers { provider, queue, keys, audit, clock: SystemClock, settings });
    let cold_start = Arc::new(ColdStart::new(began, SystemClock.now()));
    lambda_runtime::run(service_fn(move |event: LambdaEvent<InvocationEvent>| {
        let (triggers, cold_start) = (Arc::clone(&triggers), Arc::clone(&cold_start));
        async move {
            let payload = event.payload.read();
            if is_heartbeat(&payload) {
                triggers.audit.record(&AuditRecord::new(AuditCode::Alive, SystemClock.now()))?;
                return Ok::<_, Error>(InvocationAnswer::Heartbeat);
            }
            // Cognito's limit holds, whatever the function's own is.
            let now = SystemClock.now();
            let cognito = cold_start.deadline(now, INVOCATION_TIMEOUT);
            let deadline = Deadline(deadline_of(&event.context, now, INVOCATION_TIMEOUT).0.min(cognito.0));
            Ok(InvocationAnswer::Event(handle_trigger(&triggers, payload, deadline).await?))
        }
    }))
    .await
    .map_err(lambda::runtime_api_gone)
}
