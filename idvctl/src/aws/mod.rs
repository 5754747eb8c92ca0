//! What only operators call: dead letters, doctor's looks, S3, CloudWatch Logs, KMS and STS, by the official SDK.

mod archive;
mod clients;
mod connection;
mod consumer;
mod identity;
mod inspection;
mod queue;
mod signer;

pub use archive::{LogEvent, LogRecords, object, objects};
pub use connection::connect;
pub use consumer::{ConsumerRecords, DeployedConsumer};
pub use identity::{SignedCall, caller_identity, sign_statement, who_signed};
pub use inspection::Inspection;
pub use signer::{public_key, sign};
