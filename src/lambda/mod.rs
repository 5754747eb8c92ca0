//! In: what AWS Lambda hands to a function, and the form of the answer. The only place that knows these shapes.

mod http;
mod sqs;
mod start;

pub use http::{HttpEvent, HttpResponse, handle_http};
pub use sqs::{BatchError, handle_sqs, received_messages};
pub use start::check_key_ring;

use crate::ports::Deadline;
use crate::timestamp::Timestamp;

/// Until when an invocation must have answered.
pub fn deadline_of(context: &lambda_runtime::Context) -> Deadline {
    Deadline(Timestamp::from_unix_millis(i64::try_from(context.deadline).unwrap_or(i64::MAX)))
}
