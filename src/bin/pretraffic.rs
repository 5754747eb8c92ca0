//! The function that `CodeDeploy` calls before new versions take traffic.

use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;

use idv_callback::aws::{AwsConnection, CallLimits, Deployments, LambdaVersions, StoredSecret};
use idv_callback::clock::SystemClock;
use idv_callback::config::{Environment, PreTrafficConfig};
use idv_callback::lambda::{self, InvocationEvent};
use idv_callback::pretraffic::{PreTraffic, SignInCheck, Unfit};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

fn main() -> ExitCode {
    lambda::run_function(run())
}

/// Which functions are tried.
enum Check {
    Callbacks(PreTraffic<LambdaVersions, StoredSecret, SystemClock>),
    SignIn(SignInCheck<LambdaVersions, SystemClock>),
}

impl Check {
    /// In a box: the types of both together are too deep for the compiler.
    fn run(&self) -> Pin<Box<dyn Future<Output = Result<(), Unfit>> + Send + '_>> {
        match self {
            Self::Callbacks(check) => Box::pin(check.check()),
            Self::SignIn(check) => Box::pin(check.check()),
        }
    }
}

async fn run() -> Result<(), Error> {
    let environment = Environment::of_this_process();
    let config = PreTrafficConfig::read(&environment)?;
    let connection = AwsConnection::of_function(&environment, CallLimits::PRETRAFFIC)?;
    let deployments = Deployments::new(&connection);
    let versions = LambdaVersions::new(&connection);
    let check = Arc::new(match config {
        PreTrafficConfig::Callbacks { key_ring, profile, callback, consumer } => {
            let keys = StoredSecret::new(&connection, &key_ring);
            Check::Callbacks(PreTraffic { versions, keys, clock: SystemClock, profile, callback, consumer })
        }
        PreTrafficConfig::SignIn { triggers } => {
            Check::SignIn(SignInCheck { versions, clock: SystemClock, triggers })
        }
    });
    lambda_runtime::run(service_fn(move |event: LambdaEvent<InvocationEvent>| {
        let (check, deployments) = (Arc::clone(&check), deployments.clone());
        async move {
            let payload = event.payload.read();
            let text = |name: &str| payload.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let (deployment, execution) = (text("DeploymentId"), text("LifecycleEventHookExecutionId"));
            let found = check.run().await;
            match &found {
                Ok(()) => tracing::info!(deployment, "the new versions are fit"),
                Err(unfit) => tracing::error!(deployment, %unfit, "a new version is not fit"),
            }
            deployments
                .report(&deployment, &execution, found.is_ok())
                .await
                .map_err(|fault| fault.to_string())?;
            Ok::<_, Error>(Value::Bool(found.is_ok()))
        }
    }))
    .await
    .map_err(lambda::runtime_api_gone)
}
