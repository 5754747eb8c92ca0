//! New versions: invoking them (Lambda API reference, `Invoke`) and telling `CodeDeploy` whether they are fit (`CodeDeploy`
//! API reference, `PutLifecycleEventHookExecutionStatus`).

use aws_sdk_codedeploy::types::LifecycleEventStatus;
use aws_sdk_lambda::types::LogType;
use aws_smithy_types::Blob;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::connection::AwsConnection;
use super::failure::Failure;
use crate::ports::{Fault, FunctionVersions, Invoked};

/// Lambda, as far as trying versions goes.
#[derive(Clone)]
pub struct LambdaVersions {
    client: aws_sdk_lambda::Client,
}

impl LambdaVersions {
    /// The functions that this connection reaches.
    pub fn new(connection: &AwsConnection) -> Self {
        Self { client: connection.lambda() }
    }
}

impl FunctionVersions for LambdaVersions {
    async fn invoke(&self, version: &str, event: &Value) -> Result<Invoked, Fault> {
        const CALL: &str = "Invoke";
        let request = self.client.invoke().function_name(version).log_type(LogType::Tail);
        let answer = request.payload(Blob::new(event.to_string())).send().await;
        let answer = answer.map_err(|error| Failure::of(CALL, &error).fault)?;
        let payload = answer.payload().map(AsRef::as_ref).unwrap_or_default();
        let log = answer.log_result().and_then(|log| STANDARD.decode(log).ok()).unwrap_or_default();
        Ok(Invoked {
            answer: serde_json::from_slice(payload).map_err(|_| Fault::new(CALL, "unreadable_answer"))?,
            log: String::from_utf8_lossy(&log).into_owned(),
        })
    }
}

/// `CodeDeploy`, as far as hooks go.
#[derive(Clone)]
pub struct Deployments {
    client: aws_sdk_codedeploy::Client,
}

impl Deployments {
    /// The deployments that this connection reaches.
    pub fn new(connection: &AwsConnection) -> Self {
        Self { client: connection.codedeploy() }
    }

    /// Says whether the new version may take traffic.
    ///
    /// # Errors
    /// [`Fault`] when `CodeDeploy` could not be told; it then waits, for an hour at the most, and gives up.
    pub async fn report(&self, deployment: &str, execution: &str, fit: bool) -> Result<(), Fault> {
        let status = if fit { LifecycleEventStatus::Succeeded } else { LifecycleEventStatus::Failed };
        let request = self.client.put_lifecycle_event_hook_execution_status().deployment_id(deployment);
        let request = request.lifecycle_event_hook_execution_id(execution).status(status);
        let answer = request.send().await;
        answer.map(drop).map_err(|error| Failure::of("PutLifecycleEventHookExecutionStatus", &error).fault)
    }
}
