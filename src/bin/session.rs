//! The function behind `POST /idv-session`: tells a person where to prove who they are, and how that stands.

use std::process::ExitCode;
use std::sync::Arc;

use idv_callback::audit::{AuditCode, AuditRecord};
use idv_callback::aws::{AwsConnection, CallLimits, CognitoDirectory, StoredSecret};
use idv_callback::clock::SystemClock;
use idv_callback::config::{Environment, SessionConfig};
use idv_callback::key_cache::KeyCache;
use idv_callback::lambda::{
    self, HttpEvent, InvocationAnswer, InvocationEvent, check_key_ring, deadline_of, handle_session,
    is_heartbeat,
};
use idv_callback::onekosmos::OneKosmos;
use idv_callback::ports::{AuditSink as _, Clock as _};
use idv_callback::telemetry::FunctionLog;
use idv_callback::triggers::session::{INVOCATION_TIMEOUT, SessionEndpoint};
use lambda_runtime::{Error, LambdaEvent, service_fn};

fn main() -> ExitCode {
    lambda::run_function(run())
}

async fn run() -> Result<(), Error> {
    let environment = Environment::of_this_process();
    let config = SessionConfig::read(&environment)?;
    let connection = AwsConnection::of_function(&environment, CallLimits::CALLBACK)?;
    let directory = CognitoDirectory::new(&connection);
    let keys = KeyCache::new(StoredSecret::new(&connection, &config.key_ring), SystemClock);
    let api_key = StoredSecret::new(&connection, &config.provider.api_key);
    let provider = OneKosmos::new(&config.provider.url, &config.provider.callback_url, api_key, SystemClock)?;

    let (ring, warm) = tokio::join!(keys.current(), provider.warm_up());
    check_key_ring(ring, true)?;
    if let Err(fault) = warm {
        tracing::warn!(%fault, "the key for 1Kosmos' API could not be fetched");
    }
    let audit = FunctionLog::begin("session", "", &environment, &config.metrics_namespace)?;

    let endpoint = Arc::new(SessionEndpoint {
        provider,
        directory,
        keys,
        audit,
        clock: SystemClock,
        pool: config.pool,
        before_sign_up: config.before_sign_up,
        allowed_origin: config.allowed_origin,
    });
    lambda_runtime::run(service_fn(move |event: LambdaEvent<InvocationEvent>| {
        let endpoint = Arc::clone(&endpoint);
        async move {
            let payload = event.payload.read();
            if is_heartbeat(&payload) {
                endpoint.audit.record(&AuditRecord::new(AuditCode::Alive, SystemClock.now()))?;
                return Ok::<_, Error>(InvocationAnswer::Heartbeat);
            }
            let deadline = deadline_of(&event.context, SystemClock.now(), INVOCATION_TIMEOUT);
            Ok(InvocationAnswer::Event(handle_session(&endpoint, HttpEvent::read(payload), deadline).await))
        }
    }))
    .await
    .map_err(lambda::runtime_api_gone)
}
