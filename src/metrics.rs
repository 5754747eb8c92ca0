//! What is counted: for each audit record its metrics, in CloudWatch's embedded metric format.
//!
//! A metric is derived from an audit record and from nothing else, so the dashboard cannot tell another story than the
//! log. The format is Amazon CloudWatch user guide, "Specification: Embedded metric format": one JSON object a line,
//! which CloudWatch Logs turns into metrics without a call from the function.

use serde_json::{Map, Value, json};

use crate::assurance::QuarantineReason;
use crate::audit::{AuditCode, AuditRecord};

/// What is counted or measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Requests that came to the callback function, whatever became of them.
    Received,
    /// Callbacks that were authenticated, read and stored.
    Accepted,
    /// Callbacks that were authenticated and stored, but whose body cannot be read.
    AcceptedUnreadable,
    /// Messages that SQS took: `Accepted`, `AcceptedUnreadable` and `Asserted` together.
    Enqueued,
    /// Authentic callbacks that tell no result, by their type.
    Ignored,
    /// Authentic callbacks that are a sender's test.
    SenderTest,
    /// Callbacks that were not authenticated, by cause.
    Refused,
    /// Requests that were no callback at all, by cause.
    Rejected,
    /// Callbacks whose sender was asked to try again, by cause.
    Deferred,
    /// Accepted callbacks, by the id of the webhook key that signed them.
    KeyUse,
    /// Approvals written onto a user.
    Applied,
    /// Other results written onto a user without an approval.
    Recorded,
    /// Approvals that do not reach the policy.
    Insufficient,
    /// Approvals that were taken back.
    Revoked,
    /// Events that change nothing of where the user stands, and are remembered.
    Noted,
    /// Events whose session had said something that counts more.
    Superseded,
    /// Events that had been taken in before.
    Duplicate,
    /// Events of nobody who is here, which give nobody anything.
    Unclaimed,
    /// Messages whose type tells no result, as the operator has said.
    Skipped,
    /// Optional fields that were left out because they are odd; messages that a pool without a history took.
    LeftOut,
    /// Synthetic callbacks that came through.
    Probed,
    /// Messages that went to the dead letters, by reason.
    Quarantined,
    /// Of these, those that an attack or a mix-up of people would look like.
    Suspicious,
    /// Messages that went back to the queue because of a fault that passes.
    Retried,
    /// Of these, those that AWS throttled.
    Throttled,
    /// Messages that went back to the queue because of a fault that an operator must mend.
    Misconfigured,
    /// Messages that went back untried.
    Left,
    /// How long a callback that went back has been waiting, in seconds.
    Waiting,
    /// From the callback's arrival to the user's confirmation, in seconds.
    CallbackToConfirmed,
    /// Results that were fetched from the provider, or asserted in a federated sign-in, and stored.
    Asserted,
    /// Proofing sessions that were opened.
    SessionOpened,
    /// Sign-ups that were refused, by reason.
    SignUpRefused,
    /// Sign-ups that were let through without a proofing session.
    SignUpUnproofed,
    /// Requests for a proofing session by somebody who did not show that it is theirs, by reason.
    SessionWithheld,
    /// Step-up challenges that were started.
    StepUpStarted,
    /// Step-ups that were passed.
    StepUpPassed,
    /// Step-ups that were asked for before the person had answered.
    StepUpPending,
    /// Step-ups that were not passed, and sign-ins with step-up that ended without tokens, by reason.
    StepUpFailed,
    /// Of all these, those where 1Kosmos was not to be had.
    ProviderFaults,
    /// Of all these, those where 1Kosmos does not take what it is asked.
    ProviderRefusals,
    /// Callbacks that were put off for a reason of ours, which nobody outside can bring about.
    CallbackFaults,
    /// Triggers that answered with an error for such a reason.
    TriggerFaults,
    /// Requests for a session that were put off for such a reason.
    SessionFaults,
    /// Federated sign-ins that told their level in no form that is known.
    FederationUnreadable,
}

impl Metric {
    /// Every metric, for tables and tests.
    pub const ALL: [Self; 44] = [
        Self::Received,
        Self::Accepted,
        Self::AcceptedUnreadable,
        Self::Enqueued,
        Self::Ignored,
        Self::SenderTest,
        Self::Refused,
        Self::Rejected,
        Self::Deferred,
        Self::KeyUse,
        Self::Applied,
        Self::Recorded,
        Self::Insufficient,
        Self::Revoked,
        Self::Noted,
        Self::Superseded,
        Self::Duplicate,
        Self::Unclaimed,
        Self::Skipped,
        Self::LeftOut,
        Self::Probed,
        Self::Quarantined,
        Self::Suspicious,
        Self::Retried,
        Self::Throttled,
        Self::Misconfigured,
        Self::Left,
        Self::Waiting,
        Self::CallbackToConfirmed,
        Self::Asserted,
        Self::SessionOpened,
        Self::SignUpRefused,
        Self::SignUpUnproofed,
        Self::SessionWithheld,
        Self::StepUpStarted,
        Self::StepUpPassed,
        Self::StepUpPending,
        Self::StepUpFailed,
        Self::ProviderFaults,
        Self::ProviderRefusals,
        Self::CallbackFaults,
        Self::TriggerFaults,
        Self::SessionFaults,
        Self::FederationUnreadable,
    ];

    /// The name in CloudWatch.
    pub fn name(self) -> &'static str {
        match self {
            Self::Received => "Received",
            Self::Accepted => "Accepted",
            Self::AcceptedUnreadable => "AcceptedUnreadable",
            Self::Enqueued => "Enqueued",
            Self::Ignored => "Ignored",
            Self::SenderTest => "SenderTest",
            Self::Refused => "Refused",
            Self::Rejected => "Rejected",
            Self::Deferred => "Deferred",
            Self::KeyUse => "KeyUse",
            Self::Applied => "Applied",
            Self::Recorded => "Recorded",
            Self::Insufficient => "Insufficient",
            Self::Revoked => "Revoked",
            Self::Noted => "Noted",
            Self::Superseded => "Superseded",
            Self::Duplicate => "Duplicate",
            Self::Unclaimed => "Unclaimed",
            Self::Skipped => "Skipped",
            Self::LeftOut => "LeftOut",
            Self::Probed => "Probed",
            Self::Quarantined => "Quarantined",
            Self::Suspicious => "Suspicious",
            Self::Retried => "Retried",
            Self::Throttled => "Throttled",
            Self::Misconfigured => "Misconfigured",
            Self::Left => "Left",
            Self::Waiting => "Waiting",
            Self::CallbackToConfirmed => "CallbackToConfirmed",
            Self::Asserted => "Asserted",
            Self::SessionOpened => "SessionOpened",
            Self::SignUpRefused => "SignUpRefused",
            Self::SignUpUnproofed => "SignUpUnproofed",
            Self::SessionWithheld => "SessionWithheld",
            Self::StepUpStarted => "StepUpStarted",
            Self::StepUpPassed => "StepUpPassed",
            Self::StepUpPending => "StepUpPending",
            Self::StepUpFailed => "StepUpFailed",
            Self::ProviderFaults => "ProviderFaults",
            Self::ProviderRefusals => "ProviderRefusals",
            Self::CallbackFaults => "CallbackFaults",
            Self::TriggerFaults => "TriggerFaults",
            Self::SessionFaults => "SessionFaults",
            Self::FederationUnreadable => "FederationUnreadable",
        }
    }

    /// The unit in CloudWatch.
    pub fn unit(self) -> &'static str {
        if matches!(self, Self::CallbackToConfirmed | Self::Waiting) { "Seconds" } else { "Count" }
    }

    /// What the metric is broken down by, beside its total.
    pub fn dimension(self) -> Option<&'static str> {
        match self {
            Self::Refused | Self::Rejected | Self::Deferred => Some("Cause"),
            Self::Quarantined | Self::SignUpRefused | Self::SessionWithheld | Self::StepUpFailed => {
                Some("Reason")
            }
            Self::KeyUse => Some("KeyId"),
            _ => None,
        }
    }
}

/// Reasons of a quarantine that somebody should look at now: forged on the inside, or meant for somebody else.
pub const SUSPICIOUS: [QuarantineReason; 6] = [
    QuarantineReason::BadSeal,
    QuarantineReason::BadCorrection,
    QuarantineReason::PoolNotAllowed,
    QuarantineReason::BindingMismatch,
    QuarantineReason::EventConflict,
    QuarantineReason::SubjectConflict,
];

/// The reason of a record where 1Kosmos was not to be had.
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
    let mut metrics = of_code(record.kind());
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

fn of_code(code: AuditCode) -> Vec<Metric> {
    use crate::assurance::Settled;
    match code {
        // What operators do is not counted by functions.
        AuditCode::Started
        | AuditCode::Alive
        | AuditCode::Stopped
        | AuditCode::Planned
        | AuditCode::Redriven
        | AuditCode::RedriveEnded
        | AuditCode::CorrectionProposed
        | AuditCode::CorrectionApproved
        | AuditCode::CorrectionSealed
        | AuditCode::Archived
        | AuditCode::Discarded => vec![],
        AuditCode::Asserted => vec![Metric::Asserted, Metric::Enqueued],
        AuditCode::SessionOpened => vec![Metric::SessionOpened],
        AuditCode::SignUpRefused => vec![Metric::SignUpRefused],
        AuditCode::SignUpUnproofed => vec![Metric::SignUpUnproofed],
        AuditCode::SessionWithheld => vec![Metric::SessionWithheld],
        AuditCode::StepUpStarted => vec![Metric::StepUpStarted],
        AuditCode::StepUpPassed => vec![Metric::StepUpPassed],
        AuditCode::StepUpPending => vec![Metric::StepUpPending],
        AuditCode::StepUpFailed | AuditCode::StepUpRefused => vec![Metric::StepUpFailed],
        AuditCode::FederationUnreadable => vec![Metric::FederationUnreadable],
        AuditCode::Accepted => vec![Metric::Received, Metric::Accepted, Metric::Enqueued, Metric::KeyUse],
        AuditCode::AcceptedUnreadable => {
            vec![Metric::Received, Metric::AcceptedUnreadable, Metric::Enqueued, Metric::KeyUse]
        }
        // They show that the sender is there, and wake nobody.
        AuditCode::Ignored => vec![Metric::Received, Metric::Accepted, Metric::Ignored, Metric::KeyUse],
        AuditCode::SenderTest => vec![Metric::Received, Metric::SenderTest, Metric::KeyUse],
        AuditCode::Refused => vec![Metric::Received, Metric::Refused],
        AuditCode::Rejected => vec![Metric::Received, Metric::Rejected],
        AuditCode::Deferred => vec![Metric::Received, Metric::Deferred],
        AuditCode::Settled(Settled::Applied) => vec![Metric::Applied],
        AuditCode::Settled(Settled::Recorded) => vec![Metric::Recorded],
        AuditCode::Settled(Settled::Insufficient) => vec![Metric::Insufficient],
        AuditCode::Settled(Settled::Revoked) => vec![Metric::Revoked],
        AuditCode::Settled(Settled::Noted) => vec![Metric::Noted],
        AuditCode::Settled(Settled::Superseded) => vec![Metric::Superseded],
        AuditCode::Settled(Settled::Duplicate) => vec![Metric::Duplicate],
        AuditCode::Settled(Settled::Unclaimed) => vec![Metric::Unclaimed],
        AuditCode::Settled(Settled::Skipped) => vec![Metric::Skipped],
        AuditCode::Probed => vec![Metric::Probed],
        AuditCode::Quarantined => vec![Metric::Quarantined],
        AuditCode::Retried => vec![Metric::Retried],
        AuditCode::Misconfigured => vec![Metric::Misconfigured],
        AuditCode::Left => vec![Metric::Left],
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
