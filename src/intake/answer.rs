//! The answers: the published contract of what the sender should do next. Problems are `application/problem+json`
//! (RFC 9457), and each case has one constant body, so that a refusal tells an attacker nothing.

use serde_json::json;

use super::{Accepted, CALLBACK_PATH};
use crate::envelope::{BodyDigest, Envelope, ReceiptId};
use crate::timestamp::Timestamp;
use crate::verification::EventId;

/// How long a sender should wait before it sends again, in seconds.
const RETRY_AFTER_SECONDS: u32 = 10;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The header fields, names in small letters.
    pub headers: Vec<(&'static str, String)>,
    /// The body: JSON.
    pub body: String,
}

/// What makes a request not a callback. The sender should fix it before it sends again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// 400: marked as base64, and is not.
    NotBase64,
    /// 404: another path.
    NotFound,
    /// 405: another method.
    MethodNotAllowed,
    /// 413: larger than [`MAXIMUM_BODY_BYTES`](super::MAXIMUM_BODY_BYTES).
    TooLarge,
    /// 415: not JSON, and not authentic either.
    UnsupportedMediaType,
    /// 501: an event of a service that is no front door of this function: which.
    UnsupportedEvent(&'static str),
}

fn receipt(
    id: &ReceiptId,
    event_id: Option<&EventId>,
    body_sha256: &BodyDigest,
    received_at: Timestamp,
    key_id: &str,
) -> String {
    json!({
        "receipt_id": id.as_str(),
        "event_id": event_id.map(EventId::as_str),
        "body_sha256": body_sha256.as_str(),
        "received_at": received_at.to_string(),
        "key_id": key_id,
    })
    .to_string()
}

impl Rejection {
    /// A stable word for logs.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotBase64 => "not_base64",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TooLarge => "too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::UnsupportedEvent(_) => "unsupported_event",
        }
    }
}

impl Answer {
    /// 202 with the receipt: authentic and enqueued. Stop sending.
    pub(super) fn accepted(envelope: &Envelope) -> Self {
        Self::new(
            202,
            "application/json",
            receipt(
                &envelope.receipt_id(),
                envelope.event_id(),
                &envelope.body_sha256,
                envelope.received_at,
                &envelope.key_id,
            ),
        )
    }

    /// The same for what changes nobody: authentic, and recorded.
    pub(super) fn receipt(accepted: &Accepted, id: &ReceiptId, message_id: Option<&EventId>) -> Self {
        let Accepted { received_at, key_id, body_sha256, .. } = accepted;
        Self::new(202, "application/json", receipt(id, message_id, body_sha256, *received_at, key_id))
    }

    /// 401, the same for every cause. Fix it, then send again.
    pub(super) fn unauthenticated() -> Self {
        let detail =
            "The signature was not accepted. Check the signing secret, the signed bytes and the clock.";
        let mut answer = Self::problem(401, "unauthenticated", "Unauthenticated", detail);
        answer.headers.push(("www-authenticate", "HMAC-SHA256".to_owned()));
        answer
    }

    /// 400, 404, 405, 413, 415 or 501. Fix it, then send again.
    pub(crate) fn rejected(rejection: Rejection) -> Self {
        match rejection {
            Rejection::NotBase64 => {
                Self::problem(400, "not-base64", "Bad Request", "The body is marked as base64, but is not.")
            }
            Rejection::NotFound => {
                let detail = format!("Callbacks go to {CALLBACK_PATH}.");
                Self::problem(404, "not-found", "Not Found", &detail)
            }
            Rejection::MethodNotAllowed => {
                let detail = "Callbacks are sent with POST.";
                let mut answer = Self::problem(405, "method-not-allowed", "Method Not Allowed", detail);
                answer.headers.push(("allow", "POST".to_owned()));
                answer
            }
            Rejection::TooLarge => {
                let detail = "The body is larger than 65536 bytes.";
                Self::problem(413, "too-large", "Content Too Large", detail)
            }
            Rejection::UnsupportedMediaType => {
                let detail = "The content type must be application/json.";
                Self::problem(415, "unsupported-media-type", "Unsupported Media Type", detail)
            }
            Rejection::UnsupportedEvent(service) => {
                let detail = format!(
                    "Events of {service} are not supported. Put API Gateway, a function URL or an Application Load \
                     Balancer before this function."
                );
                Self::problem(501, "unsupported-event", "Not Implemented", &detail)
            }
        }
    }

    /// 503 with `Retry-After`: not the sender's fault. Send the same request again.
    pub fn try_again() -> Self {
        let detail = "The callback could not be stored now. Send it again.";
        let mut answer = Self::problem(503, "unavailable", "Service Unavailable", detail);
        answer.headers.push(("retry-after", RETRY_AFTER_SECONDS.to_string()));
        answer
    }

    pub(crate) fn problem(status: u16, kind: &str, title: &str, detail: &str) -> Self {
        let kind = format!("urn:idv-callback:problem:{kind}");
        let body = json!({ "type": kind, "title": title, "status": status, "detail": detail });
        Self::new(status, "application/problem+json", body.to_string())
    }

    pub(crate) fn new(status: u16, content_type: &str, body: String) -> Self {
        let headers =
            vec![("content-type", content_type.to_owned()), ("cache-control", "no-store".to_owned())];
        Self { status, headers, body }
    }
}
