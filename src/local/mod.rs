//! The embedded stack: a FIFO queue, a user pool, an HTTP front door and an event source, in memory.
//!
//! Tests, the demo and local development run on it, so it follows what AWS documents, each rule with its page, and
//! not what some emulator does. `tests/it/contract.rs` holds it against the real SDK and an independent emulator.

mod api_gateway;
mod aws_api;
mod custom_auth;
mod event_source;
mod http_server;
mod key_store;
mod proofing;
mod queue;
mod sts;
mod trigger_event;
mod user_pool;

pub use api_gateway::{from_lambda_response, rest_event};
pub use aws_api::{AwsApi, CALLBACK_QUEUE, DEAD_LETTER_QUEUE};
pub use custom_auth::{Person, SignInEnd, sign_in};
pub use event_source::{EventSource, batch_event};
pub use http_server::{HttpMessage, Reply, Site, serve};
pub use key_store::MemoryKeyStore;
pub use proofing::LocalProofing;
pub use queue::{FifoQueue, LocalQueues, QueueSettings, QueuedMessage};
pub use sts::LOCAL_SECRET;
pub use trigger_event::trigger_event;
pub use user_pool::{PoolError, Quotas, SignUp, User, UserPool};
