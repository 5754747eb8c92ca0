//! What is counted: for each audit record its metrics, in CloudWatch's embedded metric format.
//!
//! A metric is derived from an audit record and from nothing else, so the dashboard cannot tell another story than the
//! log. The format is Amazon CloudWatch user guide, "Specification: Embedded metric format": one JSON object a line,
//! which CloudWatch Logs turns into metrics without a call from the function.

use serde_json::{Map, Value, json};

use crate::assurance::QuarantineReason;
use crate::audit::{AuditCode, AuditRecord, Metric};

/// Reasons of a quarantine that somebody should look at now: forged on the inside, or meant for somebody else.
pub const SUSPICIOUS: [QuarantineReason; 6] = [
    QuarantineReason::BadSeal,
    QuarantineReason::BadCorrection,
    QuarantineReason::PoolNotAllowed,
    QuarantineReason::BindingMismatch,
    QuarantineReason::EventConflict,
    QuarantineReason::SubjectConflict,
];

/// The reason of a record where 1Kosmos was unavailable.
pub const PROVIDER: &str = "provider";

/// The reason of a record where 1Kosmos is there and does not take what it was asked.
pub const PROVIDER_REFUSED: &str = "provider_refused";

/// The reason of a record where the user pool could not be asked.
pub const DIRECTORY: &str = "directory";

/// Reasons of ours, which nobody outside can bring about. That the key store is asked for a key that nobody knows is not among
/// them: whoever sends a wrong signature brings it about.
const OURS: [&str; 8] = [
    "key_store",
    "queue",
    "queue_misconfigured",
    "binding_key",
    "seal",
    "no_random_bytes",
    "audit",
    "unreadable_event",
];

/// Error codes by which AWS says "slower".
const THROTTLING: [&str; 7] = [
    "KmsThrottled",
    "LimitExceededException",
    "RequestThrottled",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// The metrics of a record.
pub fn of(record: &AuditRecord) -> Vec<(Metric, f64)> {
    let reason = record.reason.as_deref().unwrap_or_default();
    let mut metrics = record.kind().counts().to_vec();
    if record.kind() == AuditCode::Quarantined && SUSPICIOUS.iter().any(|other| other.code() == reason) {
        metrics.push(Metric::Suspicious);
    }
    if record.kind() == AuditCode::Retried && THROTTLING.iter().any(|code| reason.ends_with(code)) {
        metrics.push(Metric::Throttled);
    }
    if reason == PROVIDER {
        metrics.push(Metric::ProviderFaults);
    }
    if reason == PROVIDER_REFUSED {
        metrics.push(Metric::ProviderRefusals);
    }
    if !record.left_out.is_empty() {
        metrics.push(Metric::LeftOut);
    }
    metrics.extend(fault_of_ours(record, reason));
    if record.synthetic {
        // The vendor's silence must show, whatever we send ourselves.
        metrics.retain(|metric| !matches!(metric, Metric::Accepted | Metric::KeyUse));
    }
    let mut values: Vec<_> = metrics.into_iter().map(|metric| (metric, 1.0)).collect();
    if let Some(seconds) = record.seconds_since_received {
        let comes_back = matches!(record.kind(), AuditCode::Retried | AuditCode::Misconfigured);
        values.extend(comes_back.then_some((Metric::Waiting, seconds)));
        values.extend((record.confirmed == Some(true)).then_some((Metric::CallbackToConfirmed, seconds)));
    }
    values
}

/// A deployment is rolled back for what only we can cause, and by nobody on the internet: so that is counted by itself, and not as
/// what is left of all errors.
fn fault_of_ours(record: &AuditRecord, reason: &str) -> Option<Metric> {
    let throttled = || {
        let detail = record.detail.as_deref().unwrap_or_default();
        THROTTLING.iter().any(|code| detail.ends_with(code))
    };
    match record.kind() {
        AuditCode::Deferred if OURS.contains(&reason) => Some(Metric::CallbackFaults),
        AuditCode::SignUpRefused | AuditCode::StepUpRefused if OURS.contains(&reason) => {
            Some(Metric::TriggerFaults)
        }
        // Many requests can use up Cognito's quota of reads.
        AuditCode::SessionWithheld if OURS.contains(&reason) || (reason == DIRECTORY && !throttled()) => {
            Some(Metric::SessionFaults)
        }
        _ => None,
    }
}

/// The line that CloudWatch Logs reads the record's metrics from; none where there are none. Of the record it holds
/// counted words and the key's id, nothing about anybody.
pub fn embedded(record: &AuditRecord, namespace: &str) -> Option<Value> {
    let values = of(record);
    if values.is_empty() {
        return None;
    }
    let definition = |metric: Metric| json!({ "Name": metric.name(), "Unit": metric.unit() });
    let directive = |dimensions: Value, metrics: Vec<Value>| json!({ "Namespace": namespace, "Dimensions": dimensions, "Metrics": metrics });
    let plain = values.iter().filter(|(metric, _)| metric.dimension().is_none());
    let plain: Vec<_> = plain.map(|(metric, _)| definition(*metric)).collect();
    let mut directives = Vec::new();
    if !plain.is_empty() {
        directives.push(directive(json!([[]]), plain));
    }
    let mut members = Map::new();
    for (metric, value) in &values {
        if let Some(dimension) = metric.dimension() {
            let word = if *metric == Metric::KeyUse { record.key_id() } else { record.reason.as_deref() };
            members.insert(dimension.to_owned(), json!(word.unwrap_or("none")));
            directives.push(directive(json!([[], [dimension]]), vec![definition(*metric)]));
        }
        members.insert(metric.name().to_owned(), json!(value));
    }
    let at = record.at().unix_millis();
    members.insert("_aws".to_owned(), json!({ "Timestamp": at, "CloudWatchMetrics": directives }));
    Some(Value::Object(members))
}
