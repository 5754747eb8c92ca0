//! Out: SQS, Cognito, Secrets Manager, Lambda and `CodeDeploy` by the official SDK. The only place of the service that knows
//! it.

mod cognito;
mod connection;
mod failure;
mod key_store;
mod rollout;
mod sqs;

pub use cognito::CognitoDirectory;
pub use connection::{AwsConnection, CallLimits, http_client, region};
pub use failure::{Failure, Sort};
pub use key_store::StoredSecret;
pub use rollout::{Deployments, LambdaVersions};
pub use sqs::{MessageQueue, SqsQueue, Stored, queue_error};
