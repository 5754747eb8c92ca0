//! The audit log: one JSON line for each change of state, each with a stable code and the receipt id as its thread.
//!
//! Who a record is about stands in it as a pseudonym: an HMAC, under the audit key, over the pool and the user's `sub`. That is a
//! random value which Cognito keeps with the user and nowhere else: whoever holds the audit key and may read the user can look
//! for them; when the user is deleted, nobody can. A callback that was accepted names no user: it is found by its receipt.

mod chain;
mod code;
mod facts;
mod metric;

use serde::Serialize;

pub use chain::{Chain, HEARTBEAT, NO_RECORD};
pub use code::AuditCode;
pub use facts::{DecisionFacts, UserFacts};
pub use metric::Metric;

use crate::assurance::QuarantineReason;
use crate::correction::Statement;
use crate::envelope::{BodyDigest, Content, Envelope, ReceiptId};
use crate::hex::hex;
use crate::key_ring::Key;
use crate::timestamp::Timestamp;
use crate::verification::{EventId, PoolId, SessionId, Subject};

/// The form of a record.
pub const SCHEMA: &str = "idv-audit/1";

/// The version of the code, as it stands in every record.
pub const CODE_VERSION: &str = env!("CARGO_PKG_VERSION");

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
    /// The step-up challenge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub challenge_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    /// Set where the signature does not say when it was made, so that this could be a captured request.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unbound_timestamp: bool,
    /// Set where the content type does not say JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<&'static str>,
    /// What the provider calls the event, where that decided what became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// The names of what was left out because it is odd, and the rest stands without it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// Set where the callback is a synthetic one, about nobody.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub synthetic: bool,
    /// The user's pseudonym.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
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
    /// What the decision depended on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facts: Option<Box<DecisionFacts>>,
    /// The calls that changed the user, by AWS' request id, as `CloudTrail` has it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<ChangeCall>,
}

/// A call that changed a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangeCall {
    /// The call: `AdminUpdateUserAttributes`.
    pub call: &'static str,
    /// AWS' id of the request, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl AuditRecord {
    /// A record of this, now.
    pub fn new(code: AuditCode, at: Timestamp) -> Self {
        let kind = code;
        let (code, event) = (kind.code(), kind.word());
        Self {
            kind,
            when: at,
            schema: SCHEMA,
            code,
            event,
            at: at.to_string(),
            version: CODE_VERSION,
            receipt_id: None,
            event_id: None,
            session_id: None,
            challenge_id: None,
            body_sha256: None,
            key_id: None,
            trace_id: None,
            unbound_timestamp: false,
            content_type: None,
            event_type: None,
            left_out: Vec::new(),
            synthetic: false,
            user: None,
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
            facts: None,
            calls: Vec::new(),
        }
    }

    /// With all that may be told of this accepted callback.
    #[must_use]
    pub fn about(mut self, envelope: &Envelope) -> Self {
        self = self.of_callback(
            &envelope.receipt_id(),
            envelope.event_id(),
            &envelope.body_sha256,
            &envelope.key_id,
            envelope.trace_id.as_ref(),
        );
        if let Content::Event(event) = &envelope.content {
            self.session_id = Some(event.session.to_string());
            self.event_type = event.unknown_type.as_ref().map(ToString::to_string);
            self.synthetic = event.user.pool.is_synthetic();
            self = self.of_pool(&event.user.pool);
        }
        self
    }

    /// With what tells one callback from another.
    #[must_use]
    pub fn of_callback(
        mut self,
        receipt: &ReceiptId,
        event_id: Option<&EventId>,
        body_sha256: &BodyDigest,
        key_id: &str,
        trace_id: Option<&String>,
    ) -> Self {
        self.receipt_id = Some(receipt.as_str().to_owned());
        self.event_id = event_id.map(ToString::to_string);
        self.body_sha256 = Some(body_sha256.as_str().to_owned());
        self.key_id = Some(key_id.to_owned());
        self.trace_id = trace_id.cloned();
        self
    }

    /// With the pool.
    #[must_use]
    pub fn of_pool(mut self, pool: &PoolId) -> Self {
        // What does not have the form of a pool's id could be anything.
        self.user_pool = PoolId::of_real_pool(pool.as_str()).ok().map(|pool| pool.to_string());
        self
    }

    /// With the pool, and the user's pseudonym where their `sub` is known.
    #[must_use]
    pub fn of_user(mut self, audit_key: &Key, pool: &PoolId, sub: Option<&str>) -> Self {
        self.user = sub.map(|sub| pseudonym(audit_key, pool, sub));
        self.of_pool(pool)
    }

    /// With the proofing session.
    #[must_use]
    pub fn session(mut self, session: &SessionId) -> Self {
        self.session_id = Some(session.to_string());
        self
    }

    /// With all that may be told of this callback, and who says whom it is about where that is not who it names.
    #[must_use]
    pub fn about_statement(self, statement: &Statement) -> Self {
        let mut record = self.about(&statement.envelope);
        if let Ok(Some(correction)) = statement.correction() {
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
pub fn pseudonym(audit_key: &Key, pool: &PoolId, sub: &str) -> String {
    let parts: [&[u8]; 4] = [b"idv-callback/pseudonym/2\n", pool.as_str().as_bytes(), b"\n", sub.as_bytes()];
    format!("u_{}", digits(audit_key, &parts))
}

/// The pseudonym of a subject, as one user has it: `s_` and 32 hexadecimal digits.
fn subject_pseudonym(audit_key: &Key, sub: &str, subject: &Subject) -> String {
    let parts: [&[u8]; 4] = [b"idv-callback/subject/1\n", sub.as_bytes(), b"\n", subject.as_str().as_bytes()];
    format!("s_{}", digits(audit_key, &parts))
}

fn digits(audit_key: &Key, parts: &[&[u8]]) -> String {
    hex(&audit_key.secret.mac(parts).to_bytes()).chars().take(32).collect()
}
