//! In: what AWS Lambda hands to a function, and the form of the answer. The only place that knows these shapes.

mod cognito;
mod heartbeat;
mod http;
mod sqs;
mod start;

pub use cognito::handle_trigger;
pub use heartbeat::{Answered, is_heartbeat};
pub use http::{HttpEvent, HttpResponse, handle_http, handle_session};
pub use sqs::{BatchError, handle_sqs, received_messages};
pub use start::check_key_ring;

use std::time::Duration;

use crate::ports::Deadline;
use crate::timestamp::Timestamp;

/// Until when an invocation must have answered. One that is over on arrival is no deadline but a clock or an emulator
/// that is wrong: the function's own time limit stands in for it.
pub fn deadline_of(context: &lambda_runtime::Context, now: Timestamp, limit: Duration) -> Deadline {
    let told = Timestamp::from_unix_millis(i64::try_from(context.deadline).unwrap_or(i64::MAX));
    Deadline(if told > now { told } else { now.plus(limit) })
}
