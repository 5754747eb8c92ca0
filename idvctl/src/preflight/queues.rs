//! The queues.

use std::time::Duration;

use idv_callback::settlement::{INVOCATION_TIMEOUT as CONSUMER_TIMEOUT, MAXIMUM_RECEIVES};

use super::{CheckResult, Installation, Queue};

/// The longest that SQS keeps messages (SQS developer guide, "Amazon SQS message quotas").
const LONGEST_RETENTION: Duration = Duration::from_secs(14 * 86_400);

/// Below this, a consumer that is down over a long weekend loses what was accepted.
const LEAST_RETENTION: Duration = Duration::from_secs(4 * 86_400);

/// Visibility over time limit (Lambda developer guide, "Using Lambda with Amazon SQS").
const VISIBILITY_FACTOR: u32 = 6;

pub(super) fn examine(installation: &Installation) -> Vec<CheckResult> {
    let mut findings = Vec::new();
    match &installation.queue {
        None => {}
        Some(Err(problem)) => findings.push(CheckResult::unknown("queue", problem)),
        Some(Ok(queue)) => {
            findings.extend(form("queue", queue));
            findings.push(visibility(installation, queue));
            findings.push(redrive(installation, queue));
            findings.push(if queue.retention < LEAST_RETENTION {
                CheckResult::doubtful("queue: retention", days(queue.retention), "keep messages for 14 days")
            } else {
                CheckResult::fine("queue: retention", days(queue.retention))
            });
        }
    }
    match &installation.dead_letters {
        None => {}
        Some(Err(problem)) => findings.push(CheckResult::unknown("dead letters", problem)),
        Some(Ok(queue)) => {
            findings.extend(form("dead letters", queue));
            findings.push(if queue.retention < LONGEST_RETENTION {
                let remedy = "keep dead letters for 14 days: a person has to look at each";
                CheckResult::doubtful("dead letters: retention", days(queue.retention), remedy)
            } else {
                CheckResult::fine("dead letters: retention", days(queue.retention))
            });
        }
    }
    findings
}

fn days(duration: Duration) -> String {
    format!("messages are kept for {} days", duration.as_secs() / 86_400)
}

fn form(check: &'static str, queue: &Queue) -> Vec<CheckResult> {
    let mut findings = vec![
        CheckResult::either(
            check,
            queue.fifo,
            "FIFO",
            "is not a FIFO queue, so one user's events can overtake each other",
            "make a FIFO queue; the kind of a queue cannot be changed",
        ),
        CheckResult::either(
            check,
            queue.encrypted,
            "encrypted at rest",
            "is not encrypted at rest",
            "set SqsManagedSseEnabled or KmsMasterKeyId",
        ),
    ];
    if !queue.by_group {
        let remedy = "set DeduplicationScope=messageGroup and FifoThroughputLimit=perMessageGroupId";
        findings.push(CheckResult::doubtful(
            check,
            "takes 300 calls a second for all users together",
            remedy,
        ));
    }
    findings
}

fn visibility(installation: &Installation, queue: &Queue) -> CheckResult {
    let timeout = match &installation.consumer {
        Some(Ok(function)) => function.timeout,
        _ => CONSUMER_TIMEOUT,
    };
    let needed = timeout * VISIBILITY_FACTOR;
    let found = format!("{} s, for a function of {} s", queue.visibility.as_secs(), timeout.as_secs());
    let remedy = format!("set VisibilityTimeout to {} s, six times the function's limit", needed.as_secs());
    CheckResult::either("queue: visibility", queue.visibility >= needed, found.clone(), found, remedy)
}

fn redrive(installation: &Installation, queue: &Queue) -> CheckResult {
    const CHECK: &str = "queue: dead letters";
    let Some((arn, receives)) = &queue.redrive else {
        let remedy = "set a redrive policy: without one, what crashes the consumer comes back for 14 days";
        return CheckResult::wrong(CHECK, "has no dead-letter queue", remedy);
    };
    if let Some(Ok(dead_letters)) = &installation.dead_letters
        && dead_letters.arn != *arn
    {
        let remedy = "name one queue in the redrive policy and in IDV_DEAD_LETTER_QUEUE_URL";
        return CheckResult::wrong(CHECK, format!("dead letters of the queue itself go to {arn}"), remedy);
    }
    if *receives < MAXIMUM_RECEIVES {
        let found = format!("after {receives} receives messages are moved without a reason");
        let remedy = format!("set maxReceiveCount to {MAXIMUM_RECEIVES}; fewer do not outlast an outage");
        return CheckResult::wrong(CHECK, found, remedy);
    }
    CheckResult::fine(CHECK, format!("after {receives} receives"))
}
