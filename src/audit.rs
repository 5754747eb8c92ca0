//! The audit log: one JSON line for each change of state, each with a stable code and the receipt id as its thread.
//!
//! Who a record is about stands in it as a pseudonym: an HMAC over pool and user name under the audit key. Whoever
//! holds that key and knows a name can look for it; nobody can read a name out of the log.

use serde::Serialize;

use crate::assurance::{QuarantineReason, Settled};
use crate::correction::Statement;
use crate::delivery::hex;
use crate::envelope::{Content, Envelope};
use crate::key_ring::Key;
use crate::timestamp::Timestamp;
use crate::verification::{PoolId, UserReference};

/// The version of the code, as it stands in every record.
pub const CODE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What happened. The codes never change their meaning; a new meaning gets a new code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditCode {
    /// A process started.
    Started,
    /// A callback was authenticated, read and enqueued.
    Accepted,
    /// A callback was authenticated and enqueued, but its body cannot be read.
    AcceptedUnreadable,
    /// A callback was not authenticated.
    Refused,
    /// A request was not a callback at all: path, method, type, size, encoding.
    Rejected,
    /// A callback could not be taken in now; the sender was asked to send it again.
    Deferred,
    /// The event was settled like this.
    Settled(Settled),
    /// A synthetic callback came through; it is about nobody.
    Probed,
    /// The message went to the dead letters.
    Quarantined,
    /// The message goes back to the queue because of a fault that passes.
    Retried,
    /// The message goes back to the queue because of a fault that an operator must mend.
    Misconfigured,
    /// The message goes back to the queue untried: too little time, or behind one of its user's that failed.
    Left,
    /// An operator looked through the dead letters and made a plan.
    Planned,
    /// An operator sent a dead letter back to the queue.
    Redriven,
    /// An operator's run through a plan ended.
    RedriveEnded,
    /// An operator says that a dead letter is about another user than the one it names.
    CorrectionProposed,
    /// Another operator approved that.
    CorrectionApproved,
    /// The correction was sealed into a plan.
    CorrectionSealed,
    /// An operator copied dead letters into an archive.
    Archived,
    /// An operator deleted a dead letter that is in an archive.
    Discarded,
}

impl AuditCode {
    /// Every code, for tables and tests.
    pub const ALL: [Self; 26] = [
        Self::Started,
        Self::Accepted,
        Self::AcceptedUnreadable,
        Self::Refused,
        Self::Rejected,
        Self::Deferred,
        Self::Settled(Settled::Applied),
        Self::Settled(Settled::Recorded),
        Self::Settled(Settled::Insufficient),
        Self::Settled(Settled::Revoked),
        Self::Settled(Settled::Noted),
        Self::Settled(Settled::Superseded),
        Self::Settled(Settled::Duplicate),
        Self::Probed,
        Self::Quarantined,
        Self::Retried,
        Self::Misconfigured,
        Self::Left,
        Self::Planned,
        Self::Redriven,
        Self::RedriveEnded,
        Self::CorrectionProposed,
        Self::CorrectionApproved,
        Self::CorrectionSealed,
        Self::Archived,
        Self::Discarded,
    ];

    /// The code and its word.
    pub fn code_and_word(self) -> (&'static str, &'static str) {
        match self {
            Self::Started => ("IDV0001", "started"),
            Self::Accepted => ("IDV1001", "accepted"),
            Self::AcceptedUnreadable => ("IDV1002", "accepted_unreadable"),
            Self::Refused => ("IDV1101", "refused"),
            Self::Rejected => ("IDV1102", "rejected"),
            Self::Deferred => ("IDV1201", "deferred"),
            Self::Settled(Settled::Applied) => ("IDV2001", "applied"),
            Self::Settled(Settled::Recorded) => ("IDV2002", "recorded"),
            Self::Settled(Settled::Insufficient) => ("IDV2003", "insufficient"),
            Self::Settled(Settled::Revoked) => ("IDV2004", "revoked"),
            Self::Settled(Settled::Noted) => ("IDV2005", "noted"),
            Self::Settled(Settled::Superseded) => ("IDV2006", "superseded"),
            Self::Settled(Settled::Duplicate) => ("IDV2007", "duplicate"),
            Self::Probed => ("IDV2008", "probed"),
            Self::Quarantined => ("IDV2101", "quarantined"),
            Self::Retried => ("IDV2201", "retried"),
            Self::Misconfigured => ("IDV2202", "misconfigured"),
            Self::Left => ("IDV2203", "left"),
            Self::Planned => ("IDV3001", "planned"),
            Self::Redriven => ("IDV3002", "redriven"),
            Self::RedriveEnded => ("IDV3003", "redrive_ended"),
            Self::CorrectionProposed => ("IDV3004", "correction_proposed"),
            Self::CorrectionApproved => ("IDV3005", "correction_approved"),
            Self::CorrectionSealed => ("IDV3006", "correction_sealed"),
            Self::Archived => ("IDV3101", "archived"),
            Self::Discarded => ("IDV3102", "discarded"),
        }
    }
}

/// One record.
#[derive(Clone, Debug, Serialize)]
pub struct AuditRecord {
    #[serde(skip)]
    kind: AuditCode,
    #[serde(skip)]
    when: Timestamp,
    schema: &'static str,
    code: &'static str,
    /// What happened, in a word.
    pub event: &'static str,
    at: String,
    version: &'static str,
    /// The thread through all stages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    /// Set where the signature does not say when it was made, so that this could be a captured request.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unbound_timestamp: bool,
    /// Set where the callback is a synthetic one, about nobody.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub synthetic: bool,
    /// The user's pseudonym.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The pseudonym of the user that the callback names, where operators said that it is about another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub named_user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_pool: Option<String>,
    /// Why: a stable word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// More about the reason: a field's name and the rule it breaks, a call and its error code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// SQS' message id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// How often the message was received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// When the message comes back, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_in_seconds: Option<u64>,
    /// The identity assurance level before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ial_before: Option<u8>,
    /// The identity assurance level after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ial_after: Option<u8>,
    /// Whether this confirmed the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<bool>,
    /// Which operator did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// Which other operator approved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// The digest of the plan that it was part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_sha256: Option<String>,
    /// How many letters it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub letters: Option<usize>,
    /// How long ago the callback was received, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_since_received: Option<f64>,
}

impl AuditRecord {
    /// A record of this, now.
    pub fn new(code: AuditCode, at: Timestamp) -> Self {
        let kind = code;
        let (code, event) = kind.code_and_word();
        Self {
            kind,
            when: at,
            schema: "idv-audit/1",
            code,
            event,
            at: at.to_string(),
            version: CODE_VERSION,
            receipt_id: None,
            event_id: None,
            session_id: None,
            body_sha256: None,
            key_id: None,
            trace_id: None,
            unbound_timestamp: false,
            synthetic: false,
            user: None,
            named_user: None,
            user_pool: None,
            reason: None,
            detail: None,
            message_id: None,
            attempt: None,
            retry_in_seconds: None,
            ial_before: None,
            ial_after: None,
            confirmed: None,
            operator: None,
            approved_by: None,
            plan_sha256: None,
            letters: None,
            seconds_since_received: None,
        }
    }

    /// With all that may be told of this accepted callback.
    #[must_use]
    pub fn about(mut self, envelope: &Envelope, audit_key: &Key) -> Self {
        self.receipt_id = Some(envelope.receipt_id().as_str().to_owned());
        self.event_id = envelope.event_id().map(ToString::to_string);
        self.body_sha256 = Some(envelope.body_sha256.as_str().to_owned());
        self.key_id = Some(envelope.key_id.clone());
        self.trace_id.clone_from(&envelope.trace_id);
        if let Content::Event(event) = &envelope.content {
            self.session_id = Some(event.session.to_string());
            self.synthetic = event.user.pool.is_synthetic();
            self.user = Some(pseudonym(audit_key, &event.user));
            // What does not have the form of a pool's id could be anything.
            self.user_pool = PoolId::of_real_pool(event.user.pool.as_str()).ok().map(|pool| pool.to_string());
        }
        self
    }

    /// With all that may be told of this callback, and of whom it is about where the sender had another name for them.
    #[must_use]
    pub fn about_statement(self, statement: &Statement, audit_key: &Key) -> Self {
        let mut record = self.about(&statement.envelope, audit_key);
        if let (Ok(event), Ok(Some(correction))) = (statement.event(), statement.correction()) {
            record.named_user = record.user.replace(pseudonym(audit_key, &event.user));
            record.operator = Some(correction.content().by.clone());
            record.approved_by = Some(correction.content().approved_by.clone());
        }
        record
    }

    /// With a reason.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// With more about the reason.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// With the reason of a quarantine.
    #[must_use]
    pub fn quarantined(self, reason: QuarantineReason) -> Self {
        self.because(reason.code())
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// What happened.
    pub fn kind(&self) -> AuditCode {
        self.kind
    }

    /// When.
    pub fn at(&self) -> Timestamp {
        self.when
    }

    /// The key that authenticated the callback.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }
}

/// The pseudonym of a user: `u_` and 32 hexadecimal digits.
pub fn pseudonym(audit_key: &Key, user: &UserReference) -> String {
    let (pool, username) = (user.pool.as_str().as_bytes(), user.username.as_str().to_lowercase());
    let tag = audit_key.secret.mac(&[b"idv-callback/pseudonym/1\n", pool, b"\n", username.as_bytes()]);
    let digits: String = hex(&tag.to_bytes()).chars().take(32).collect();
    format!("u_{digits}")
}

#[cfg(test)]
mod tests {
    use super::AuditCode;

    #[test]
    fn no_two_events_share_a_code_or_a_word() {
        let pairs: Vec<_> = AuditCode::ALL.iter().map(|code| code.code_and_word()).collect();
        for (index, (code, word)) in pairs.iter().enumerate() {
            assert!(pairs.iter().skip(index + 1).all(|(c, w)| c != code && w != word), "{code} {word}");
        }
    }
}
