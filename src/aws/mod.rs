//! Out: SQS, Cognito, Secrets Manager, Lambda, S3, CloudWatch Logs, KMS and `CodeDeploy` by the official SDK. The only place that knows it.

mod archive;
mod cognito;
mod connection;
mod failure;
mod identity;
mod inspection;
mod key_store;
mod rollout;
mod signer;
mod sqs;

pub use archive::{LogRecords, object, objects};
pub use cognito::CognitoDirectory;
pub use connection::{AwsConnection, CallLimits};
pub use identity::{SignedCall, caller_identity, sign_statement, who_signed};
pub use inspection::Inspection;
pub use key_store::StoredSecret;
pub use rollout::{Deployments, LambdaVersions};
pub use signer::{public_key, sign};
pub use sqs::{MessageQueue, SqsQueue};
