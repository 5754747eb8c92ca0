//! In: what AWS Lambda hands to a function, and the form of the answer. The only place that knows these shapes.

mod http;
mod sqs;

pub use http::{HttpEvent, HttpResponse, handle_http};
pub use sqs::{BatchError, handle_sqs, received_messages};
