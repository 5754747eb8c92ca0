//! In: what AWS Lambda hands to a function, and the form of the answer. The only place that knows these shapes.

mod cognito;
mod event;
mod heartbeat;
mod http;
mod sample;
mod sqs;
#[cfg(feature = "functions")]
mod start;

pub use cognito::handle_trigger;
pub use event::InvocationEvent;
pub use heartbeat::{InvocationAnswer, is_heartbeat};
pub use http::{HttpEvent, HttpResponse, handle_http, handle_session};
pub use sample::{HttpMessage, batch_event, rest_event, trigger_event};
pub use sqs::{BatchError, handle_sqs, received_messages};
#[cfg(feature = "functions")]
pub use start::{check_key_ring, run_function, runtime_api_gone};

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::ports::Deadline;
use crate::timestamp::Timestamp;

#[cfg(feature = "functions")]
/// Until when an invocation must have answered. One that is over on arrival is no deadline but a clock or an emulator
/// that is wrong: the function's own time limit stands in for it.
pub fn deadline_of(context: &lambda_runtime::Context, now: Timestamp, limit: Duration) -> Deadline {
    let told = Timestamp::from_unix_millis(i64::try_from(context.deadline).unwrap_or(i64::MAX));
    Deadline(if told > now { told } else { now.plus(limit) })
}

/// How long the beginning of this process took out of the first invocation's time. Whoever asks counts from when they asked,
/// and on a cold start that is before the process was there.
pub struct ColdStart {
    took: Duration,
    ready: Timestamp,
    first: AtomicBool,
}

impl ColdStart {
    /// How soon after the beginning the first event comes where somebody waited for it. Where the process was begun ahead of
    /// time (provisioned concurrency, or on Lambda's own accord) nobody did.
    const AT_ONCE: Duration = Duration::from_millis(250);

    /// A process that began then, and is ready now.
    pub fn new(began: Timestamp, ready: Timestamp) -> Self {
        Self { took: ready.since(began), ready, first: AtomicBool::new(true) }
    }

    /// Until when an event that comes now must be answered by somebody who waits for this long.
    pub fn deadline(&self, now: Timestamp, limit: Duration) -> Deadline {
        let first = self.first.swap(false, Ordering::Relaxed);
        let waited_for = first && now.since(self.ready) < Self::AT_ONCE;
        Deadline(now.plus(limit.saturating_sub(if waited_for { self.took } else { Duration::ZERO })))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::ColdStart;
    use crate::timestamp::Timestamp;

    #[test]
    fn the_beginning_counts_for_the_first_event_if_somebody_waited_for_it() {
        let began = Timestamp::parse("2026-11-22T10:00:00Z").unwrap();
        let ready = began.plus(Duration::from_secs(1));
        let limit = Duration::from_secs(5);
        let cold = ColdStart::new(began, ready);
        assert_eq!(cold.deadline(ready, limit).0, ready.plus(Duration::from_secs(4)));
        assert_eq!(cold.deadline(ready, limit).0, ready.plus(limit), "the second event");
        let later = ready.plus(Duration::from_secs(60));
        assert_eq!(
            ColdStart::new(began, ready).deadline(later, limit).0,
            later.plus(limit),
            "begun ahead of time"
        );
    }
}
