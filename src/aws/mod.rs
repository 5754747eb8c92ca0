//! Out: SQS, Cognito and Secrets Manager by the official SDK. The only place that knows it.

mod cognito;
mod connection;
mod failure;
mod key_store;
mod sqs;

pub use cognito::CognitoDirectory;
pub use connection::{AwsConnection, CallLimits};
pub use key_store::StoredKeyRing;
pub use sqs::{MessageQueue, SqsQueue};
