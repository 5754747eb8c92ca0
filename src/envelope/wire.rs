//! The envelope's content as JSON. Every value is checked again on the way in, by the same constructors as at the front
//! door.

use serde::{Deserialize, Serialize};

use super::{BodyDigest, Envelope, decode, encode};
use crate::timestamp::Timestamp;
use crate::verification::{
    ApprovalForm, BindingToken, EventId, EventType, Malformed, Outcome, PoolId, SessionId, UserReference,
    Username, VerificationEvent,
};
use crate::vocabulary::Status;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EnvelopeForm {
    /// For people and tools that look at a queue; derived, and not believed on the way in.
    receipt_id: String,
    received_at: String,
    key_id: String,
    body_sha256: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<EventForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unreadable: Option<UnreadableForm>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UnreadableForm {
    body_base64: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message_id: Option<String>,
    problem: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventForm {
    event_id: String,
    occurred_at: String,
    session_id: String,
    user_pool: String,
    username: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    binding: Option<String>,
    status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unknown_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approval: Option<ApprovalForm>,
}

impl From<&Envelope> for EnvelopeForm {
    fn from(envelope: &Envelope) -> Self {
        let (event, unreadable) = match &envelope.content {
            super::Content::Event(event) => (Some(event.into()), None),
            super::Content::Unreadable { body, message_id, problem } => {
                let message_id = message_id.as_ref().map(|id| id.as_str().to_owned());
                let problem = problem.clone();
                (None, Some(UnreadableForm { body_base64: encode(body), message_id, problem }))
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

impl EnvelopeForm {
    pub(super) fn read(self) -> Option<Envelope> {
        let content = match (self.event, self.unreadable) {
            (Some(event), None) => super::Content::Event(event.read()?),
            (None, Some(UnreadableForm { body_base64, message_id, problem })) => super::Content::Unreadable {
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

impl From<&VerificationEvent> for EventForm {
    fn from(event: &VerificationEvent) -> Self {
        Self {
            event_id: event.event_id.as_str().to_owned(),
            occurred_at: event.occurred_at.to_string(),
            session_id: event.session.as_str().to_owned(),
            user_pool: event.user.pool.as_str().to_owned(),
            username: event.user.username.as_str().to_owned(),
            binding: event.binding.as_ref().map(|token| token.as_str().to_owned()),
            status: event.outcome.word().to_owned(),
            unknown_type: event.unknown_type.as_ref().map(|name| name.as_str().to_owned()),
            approval: event.outcome.approval().map(ApprovalForm::named),
        }
    }
}

impl EventForm {
    fn read(self) -> Option<VerificationEvent> {
        let approval = self.approval.map(|approval| approval.read_named().ok_or(Malformed)).transpose();
        let outcome = Outcome::of(Status::of_canonical(&self.status)?, approval.ok()?)?;
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

/// A value that is not there is fine; one that is there and malformed is not.
fn optional<T, U>(value: Option<T>, read: impl FnOnce(&T) -> Option<U>) -> Result<Option<U>, Malformed> {
    value.map(|value| read(&value).ok_or(Malformed)).transpose()
}
