//! The embedded stack: a FIFO queue, a user pool, an HTTP front door and an event source, in memory.
//!
//! Tests, the demo and local development run on it, so it follows what AWS documents, each rule with its page, and
//! not what some emulator does. `tests/it/contract.rs` holds it against the real SDK and an independent emulator.

//! The embedded stack: a FIFO queue, a user pool, an HTTP front door and an event source, in memory.
//!
//! Tests, the demo and local development run on it, so it follows what AWS documents, each rule with its page, and
//! not what some emulator does. `tests/it/contract.rs` holds it against the real SDK and an independent emulator.

mod api_gateway;
#[cfg(feature = "operator")]
mod aws_api;
mod custom_auth;
#[cfg(feature = "operator")]
mod deployment;
mod event_source;
mod functions;
mod http_server;
mod installation;
mod key_store;
mod proofing;
mod queue;
#[cfg(feature = "operator")]
mod sts;
mod user_pool;
mod view;

pub use api_gateway::from_lambda_response;
#[cfg(feature = "operator")]
pub use aws_api::{AwsApi, CALLBACK_QUEUE, DEAD_LETTER_QUEUE};
pub use custom_auth::{SignInEnd, SimulatedPerson, sign_in};
#[cfg(feature = "operator")]
pub use deployment::{Deployment, LOG_GROUP, RecordLog};
pub use event_source::{EventSource, Switch};
pub(crate) use functions::{FrontDoor, consume};
pub use http_server::{Reply, Site, serve};
pub(crate) use installation::installation;
#[cfg(feature = "operator")]
pub(crate) use installation::{issue_binding, policy};
pub use key_store::MemoryKeyStore;
pub use proofing::LocalProofing;
pub use queue::{FifoQueue, LocalQueues, QueueSettings, QueuedMessage};
#[cfg(feature = "operator")]
pub use sts::LOCAL_SECRET;
pub use user_pool::{PoolError, Quotas, SignUp, User, UserPool};
pub(crate) use view::{dead_letter, user_json};
