//! The envelope's content as JSON. Every value is checked again on the way in, by the same constructors as at the front
//! door.

use serde::{Deserialize, Serialize};

use super::{BodyDigest, Envelope, decode, encode};
use crate::timestamp::Timestamp;
use crate::verification::{
    Approval, AssuranceLevel, BindingToken, EventId, EventType, Evidence, Framework, Malformed, Outcome,
    PoolId, SessionId, Subject, UserReference, Username, VerificationEvent,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Content {
    /// For people and tools that look at a queue; derived, and not believed on the way in.
    receipt_id: String,
    received_at: String,
    key_id: String,
    body_sha256: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<Event>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unreadable: Option<Unreadable>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unreadable {
    body_base64: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message_id: Option<String>,
    problem: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the names on the wire")]
struct Event {
    event_id: String,
    occurred_at: String,
    session_id: String,
    user_pool: String,
    username: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    binding: Option<String>,
    status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unknown_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approval: Option<Approved>,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Status {
    Approved,
    Declined,
    Expired,
    Abandoned,
    InReview,
    InProgress,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Approved {
    blockid_sub: String,
    ial: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aal: Option<u64>,
    liveness_verified: bool,
    match_result: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    implied_by_level: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    evidence: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    framework: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

impl From<&Envelope> for Content {
    fn from(envelope: &Envelope) -> Self {
        let (event, unreadable) = match &envelope.content {
            super::Content::Event(event) => (Some(event.into()), None),
            super::Content::Unreadable { body, message_id, problem } => {
                let message_id = message_id.as_ref().map(|id| id.as_str().to_owned());
                let problem = problem.clone();
                (None, Some(Unreadable { body_base64: encode(body), message_id, problem }))
            }
        };
        Self {
            receipt_id: envelope.receipt_id().as_str().to_owned(),
            received_at: envelope.received_at.to_string(),
            key_id: envelope.key_id.clone(),
            body_sha256: envelope.body_sha256.as_str().to_owned(),
            trace_id: envelope.trace_id.clone(),
            event,
            unreadable,
        }
    }
}

impl Content {
    pub(super) fn read(self) -> Option<Envelope> {
        let content = match (self.event, self.unreadable) {
            (Some(event), None) => super::Content::Event(event.read()?),
            (None, Some(Unreadable { body_base64, message_id, problem })) => super::Content::Unreadable {
                body: decode(&body_base64)?,
                message_id: optional(message_id, |id| EventId::new(id).ok()).ok()?,
                problem,
            },
            _ => return None,
        };
        Some(Envelope {
            received_at: Timestamp::parse(&self.received_at).ok()?,
            key_id: self.key_id,
            body_sha256: BodyDigest::parse(&self.body_sha256)?,
            trace_id: self.trace_id,
            content,
        })
    }
}

impl From<&VerificationEvent> for Event {
    fn from(event: &VerificationEvent) -> Self {
        let (status, approval) = match &event.outcome {
            Outcome::Approved(approval) => (Status::Approved, Some(approval.into())),
            Outcome::Declined => (Status::Declined, None),
            Outcome::Expired => (Status::Expired, None),
            Outcome::Abandoned => (Status::Abandoned, None),
            Outcome::InReview => (Status::InReview, None),
            Outcome::InProgress => (Status::InProgress, None),
        };
        Self {
            event_id: event.event_id.as_str().to_owned(),
            occurred_at: event.occurred_at.to_string(),
            session_id: event.session.as_str().to_owned(),
            user_pool: event.user.pool.as_str().to_owned(),
            username: event.user.username.as_str().to_owned(),
            binding: event.binding.as_ref().map(|token| token.as_str().to_owned()),
            status,
            unknown_type: event.unknown_type.as_ref().map(|name| name.as_str().to_owned()),
            approval,
        }
    }
}

impl Event {
    fn read(self) -> Option<VerificationEvent> {
        let outcome = match (self.status, self.approval) {
            (Status::Approved, Some(approval)) => Outcome::Approved(approval.read()?),
            (Status::Declined, None) => Outcome::Declined,
            (Status::Expired, None) => Outcome::Expired,
            (Status::Abandoned, None) => Outcome::Abandoned,
            (Status::InReview, None) => Outcome::InReview,
            (Status::InProgress, None) => Outcome::InProgress,
            _ => return None,
        };
        Some(VerificationEvent {
            event_id: EventId::new(&self.event_id).ok()?,
            occurred_at: Timestamp::parse(&self.occurred_at).ok()?,
            session: SessionId::new(&self.session_id).ok()?,
            user: UserReference {
                pool: PoolId::new(&self.user_pool).ok()?,
                username: Username::new(&self.username).ok()?,
            },
            binding: optional(self.binding, |text| BindingToken::new(text).ok()).ok()?,
            outcome,
            unknown_type: optional(self.unknown_type, |text| EventType::new(text).ok()).ok()?,
        })
    }
}

impl From<&Approval> for Approved {
    fn from(approval: &Approval) -> Self {
        Self {
            blockid_sub: approval.subject.as_str().to_owned(),
            ial: approval.ial.get().into(),
            aal: approval.aal.map(|aal| aal.get().into()),
            liveness_verified: approval.liveness_verified,
            match_result: approval.match_result,
            implied_by_level: approval.implied_by_level,
            evidence: approval.evidence.as_ref().map(|evidence| evidence.as_str().to_owned()),
            framework: approval.framework.as_ref().map(|framework| framework.as_str().to_owned()),
            expires_at: approval.expires_at.map(|at| at.to_string()),
        }
    }
}

impl Approved {
    fn read(self) -> Option<Approval> {
        Some(Approval {
            subject: Subject::new(&self.blockid_sub).ok()?,
            ial: AssuranceLevel::new(self.ial).ok()?,
            aal: optional(self.aal, |level| AssuranceLevel::new(*level).ok()).ok()?,
            liveness_verified: self.liveness_verified,
            match_result: self.match_result,
            implied_by_level: self.implied_by_level,
            evidence: optional(self.evidence, |text| Evidence::new(text).ok()).ok()?,
            framework: optional(self.framework, |text| Framework::new(text).ok()).ok()?,
            expires_at: optional(self.expires_at, |text| Timestamp::parse(text).ok()).ok()?,
        })
    }
}

/// A value that is not there is fine; one that is there and malformed is not.
fn optional<T, U>(value: Option<T>, read: impl FnOnce(&T) -> Option<U>) -> Result<Option<U>, Malformed> {
    value.map(|value| read(&value).ok_or(Malformed)).transpose()
}
