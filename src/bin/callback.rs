//! The callback function: API Gateway in, SQS out.

use std::process::ExitCode;
use std::sync::Arc;

use idv_callback::audit::{AuditCode, AuditRecord};
use idv_callback::aws::{AwsConnection, CallLimits, SqsQueue, StoredSecret};
use idv_callback::clock::SystemClock;
use idv_callback::config::{CallbackConfig, Environment};
use idv_callback::intake::{INVOCATION_TIMEOUT, Intake};
use idv_callback::key_cache::KeyCache;
use idv_callback::lambda::{
    self, HttpEvent, InvocationAnswer, InvocationEvent, check_key_ring, deadline_of, handle_http,
    is_heartbeat,
};
use idv_callback::ports::{AuditSink as _, Clock as _};
use idv_callback::telemetry::FunctionLog;
use lambda_runtime::{Error, LambdaEvent, service_fn};

fn main() -> ExitCode {
    lambda::run_function(run())
}

async fn run() -> Result<(), Error> {
    let environment = Environment::of_this_process();
    let config = CallbackConfig::read(&environment)?;
    let connection = AwsConnection::of_function(&environment, CallLimits::CALLBACK)?;
    let queue = SqsQueue::new(&connection, &config.queue_url);
    let keys = KeyCache::new(StoredSecret::new(&connection, &config.key_ring), SystemClock);

    // Initialisation has a whole processor, however small the function: both connections are opened here.
    let (ring, warm) = tokio::join!(keys.current(), queue.warm_up());
    check_key_ring(ring, false)?;
    if let Err(error) = warm {
        tracing::warn!(fault = %error.fault(), "the queue could not be asked");
    }
    let unbound = if config.profile.binds_timestamp() { "" } else { ", unbound timestamps allowed" };
    let detail = format!(", profile {}{unbound}", config.profile);
    let audit = FunctionLog::begin("callback", &detail, &environment, &config.metrics_namespace)?;

    let intake = Arc::new(Intake {
        queue,
        keys,
        audit,
        clock: SystemClock,
        profile: config.profile,
        event_types: config.event_types,
    });
    lambda_runtime::run(service_fn(move |event: LambdaEvent<InvocationEvent>| {
        let intake = Arc::clone(&intake);
        async move {
            let payload = event.payload.read();
            if is_heartbeat(&payload) {
                intake.audit.record(&AuditRecord::new(AuditCode::Alive, SystemClock.now()))?;
                return Ok::<_, Error>(InvocationAnswer::Heartbeat);
            }
            let deadline = deadline_of(&event.context, SystemClock.now(), INVOCATION_TIMEOUT);
            Ok(InvocationAnswer::Event(handle_http(&intake, HttpEvent::read(payload), deadline).await))
        }
    }))
    .await
    .map_err(lambda::runtime_api_gone)
}
