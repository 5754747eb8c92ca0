//! How a function starts, what is checked then, and how it ends.

use std::sync::Arc;

use crate::key_ring::KeyRing;
use crate::ports::KeyStoreError;
use crate::telemetry;

/// Looks at the first fetch of the key ring. One that is not there yet is no reason not to start: senders are asked to try
/// again, messages come back.
///
/// # Errors
/// What is wrong, where what is stored is not a usable key ring, or lacks a binding key that is needed.
pub fn check_key_ring(
    fetched: Result<Arc<KeyRing>, KeyStoreError>,
    needs_binding: bool,
) -> Result<(), String> {
    match fetched {
        Err(KeyStoreError::Malformed(error)) => Err(error.to_string()),
        Err(error) => {
            tracing::error!(%error, "the key ring could not be fetched");
            Ok(())
        }
        Ok(ring) if needs_binding && ring.binding.is_empty() => {
            Err("key ring: binding: at least one key is missing, because IDV_BINDING is required".to_owned())
        }
        Ok(ring) => {
            for (one, other) in ring.shared_secrets() {
                tracing::warn!(one, other, "two keys of different purposes have the same secret");
            }
            Ok(())
        }
    }
}

/// The Lambda Runtime API went away while the function was at work.
#[derive(Debug)]
struct RuntimeApiGone(String);

impl std::fmt::Display for RuntimeApiGone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RuntimeApiGone {}

/// What ended a function that had started: its loop ends only when it can get no more invocations.
#[expect(clippy::needless_pass_by_value, reason = "it stands where an error is mapped")]
pub fn runtime_api_gone(error: lambda_runtime::Error) -> lambda_runtime::Error {
    Box::new(RuntimeApiGone(error.to_string()))
}

/// Runs a Lambda function on one thread (a function handles one event at a time; a second thread only costs), and logs
/// what keeps it from starting.
pub fn run_function(
    function: impl Future<Output = Result<(), lambda_runtime::Error>>,
) -> std::process::ExitCode {
    telemetry::start();
    let outcome = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(function),
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) if error.is::<RuntimeApiGone>() => {
            tracing::error!(%error, "the Lambda Runtime API cannot be reached any more; the function ends");
            std::process::ExitCode::FAILURE
        }
        Err(error) => {
            tracing::error!(%error, "the function could not start");
            std::process::ExitCode::FAILURE
        }
    }
}
