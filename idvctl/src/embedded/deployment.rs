//! The embedded consumer as AWS would tell of it: its event source mapping and configuration (Lambda API reference,
//! `ListEventSourceMappings`, `GetFunctionConfiguration`), and what it has recorded (CloudWatch Logs API reference,
//! `FilterLogEvents`).

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use idv_callback::audit::AuditRecord;
use idv_callback::ports::AuditSink;
use serde_json::{Value, json};

use super::event_source::Switch;

/// The function's name.
const FUNCTION: &str = "idv-consumer";

/// Its ARN, with the alias that takes traffic.
const FUNCTION_ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:idv-consumer:live";

/// The log group of the callback function and the consumer: there is one process.
pub const LOG_GROUP: &str = "/aws/lambda/idv-consumer";

/// The callback queue's ARN.
pub(super) const QUEUE_ARN: &str = "arn:aws:sqs:us-east-1:000000000000:idv.fifo";

/// The dead-letter queue's ARN.
pub(super) const DEAD_LETTER_QUEUE_ARN: &str = "arn:aws:sqs:us-east-1:000000000000:idv-dead-letters.fifo";

/// How many records are kept, and how many one answer brings (API reference, `FilterLogEvents`: `limit`).
const KEPT: usize = 100_000;
const PAGE: usize = 10_000;

/// The last records of an audit log, as a log group keeps them. Clones are the same log.
#[derive(Clone, Default)]
pub struct RecordLog(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    records: VecDeque<(i64, String)>,
    /// How many came before the first that is kept.
    dropped: usize,
}

impl RecordLog {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The records from this number on, numbered from 0 since the process began; and the number of the next one.
    pub fn from(&self, number: usize) -> (Vec<String>, usize) {
        let kept = self.lock();
        let skipped = number.saturating_sub(kept.dropped);
        let records = kept.records.iter().skip(skipped).map(|(_, line)| line.clone()).collect();
        (records, kept.dropped + kept.records.len())
    }
}

impl AuditSink for RecordLog {
    fn record(&self, record: &AuditRecord) -> io::Result<()> {
        let line = serde_json::to_string(record)?;
        let mut kept = self.lock();
        if kept.records.len() >= KEPT {
            kept.records.pop_front();
            kept.dropped += 1;
        }
        kept.records.push_back((record.at().unix_millis(), line));
        Ok(())
    }
}

/// The embedded consumer, as it is deployed.
#[derive(Clone, Default)]
pub struct Deployment {
    /// Its environment variables.
    pub variables: BTreeMap<String, String>,
    /// Whether its event source mapping runs.
    pub switch: Switch,
    /// What callback endpoint and consumer have recorded.
    pub records: RecordLog,
}

impl Deployment {
    pub(super) fn mappings(&self) -> Value {
        let state = if self.switch.is_on() { "Enabled" } else { "Disabled" };
        json!({ "EventSourceMappings": [{
            "EventSourceArn": QUEUE_ARN,
            "FunctionArn": FUNCTION_ARN,
            "State": state,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
        }] })
    }

    pub(super) fn function(&self) -> Value {
        json!({
            "FunctionName": FUNCTION,
            "FunctionArn": FUNCTION_ARN,
            "Environment": { "Variables": self.variables },
            "LoggingConfig": { "LogFormat": "JSON", "LogGroup": LOG_GROUP },
        })
    }

    /// A page of records; the token of the next page is the number of its first record.
    pub(super) fn events(&self, arguments: &Value) -> Value {
        let time = |name: &str| arguments.get(name).and_then(Value::as_i64);
        let (since, until) = (time("startTime").unwrap_or(0), time("endTime").unwrap_or(i64::MAX));
        let token = arguments.get("nextToken").and_then(Value::as_str).and_then(|token| token.parse().ok());
        let kept = self.records.lock();
        // Records come in the order of their times.
        let begins = || kept.dropped + kept.records.partition_point(|(at, _)| *at < since);
        let first = token.unwrap_or_else(begins).max(kept.dropped);
        let page: Vec<_> = kept.records.iter().skip(first - kept.dropped).take(PAGE).collect();
        let next = first + page.len();
        let numbered = page.iter().zip(first..);
        let wanted = numbered.filter(|((at, _), _)| (since..until).contains(at));
        let event = |((at, line), number): (&&(i64, String), usize)| {
            json!({
                "eventId": number.to_string(),
                "logStreamName": "dev",
                "timestamp": at,
                "ingestionTime": at,
                "message": line,
            })
        };
        let events: Vec<_> = wanted.map(event).collect();
        let more = (next < kept.dropped + kept.records.len()).then(|| next.to_string());
        json!({ "events": events, "nextToken": more })
    }
}
