//! Out: SQS, Cognito, Secrets Manager, Lambda and `CodeDeploy` by the official SDK. The only place that knows it.

mod cognito;
mod connection;
mod failure;
mod identity;
mod inspection;
mod key_store;
mod rollout;
mod sqs;

pub use cognito::CognitoDirectory;
pub use connection::{AwsConnection, CallLimits};
pub use identity::{SignedCall, caller_identity, sign_statement, who_signed};
pub use inspection::Inspection;
pub use key_store::StoredKeyRing;
pub use rollout::{Deployments, LambdaVersions};
pub use sqs::{MessageQueue, SqsQueue};
