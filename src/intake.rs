//! The front door: authenticate, read, enqueue, answer.
//!
//! The order of work is fixed, and nothing may come earlier: size, then path and method, one signature of each kind, the timestamp's form, the MAC, freshness, the body, the envelope, the queue, the answer. Before the MAC
//! holds nothing is parsed, nothing is queued and no byte of the body reaches a log.

use std::time::Duration;

use crate::audit::{AuditCode, AuditRecord};
use crate::delivery::{
    AuthenticationError, Delivery, Freshness, HeaderFields, NoResult, Reading, SignatureProfile, Verified,
};
use crate::envelope::{BodyDigest, Content, Envelope, ReceiptId, receipt_of};
use crate::key_cache::{KeyCache, Refresh};
use crate::key_ring::KeyRing;
use crate::ports::{
    AuditSink, CallbackQueue, Clock, Deadline, KeyStore, KeyStoreError, OutgoingMessage, QueueError,
};
use crate::timestamp::Timestamp;
use crate::verification::{EventId, EventType};
use crate::vocabulary::EventTypes;

mod answer;

pub use answer::{Answer, Rejection};

/// The path of the endpoint.
pub const CALLBACK_PATH: &str = "/idv-callback";

/// The largest body that is taken: Standard Webhooks asks senders to stay below 20 kB.
pub const MAXIMUM_BODY_BYTES: usize = 64 * 1024;

/// The time limit of the callback function. Senders wait 5 to 15 s for an answer.
pub const INVOCATION_TIMEOUT: Duration = Duration::from_secs(10);

/// How much time must be left for enqueueing to begin; with less, the sender is asked to send again.
pub const ENQUEUE_BUDGET: Duration = Duration::from_millis(500);

/// A request, whatever front door it came through.
#[derive(Default)]
pub struct Request {
    /// The method, in capitals.
    pub method: String,
    /// The path, without the stage.
    pub path: String,
    /// The header fields.
    pub headers: HeaderFields,
    /// The body, as it was signed; none when the front door said base64 and it was not.
    pub body: Option<Vec<u8>>,
    /// The trace id.
    pub trace_id: Option<String>,
    /// Set where it came in a form that is not supported: which.
    pub unsupported: Option<&'static str>,
}

/// The front door.
pub struct Intake<Q, S, A, C> {
    /// Where accepted callbacks go.
    pub queue: Q,
    /// The keys.
    pub keys: KeyCache<S, C>,
    /// The audit log.
    pub audit: A,
    /// The clock.
    pub clock: C,
    /// How callbacks are signed.
    pub profile: SignatureProfile,
    /// What the operator has said of event types.
    pub event_types: EventTypes,
}

/// Why a callback was not taken in.
enum NotAccepted {
    /// It is not a callback.
    Rejected(Rejection),
    /// It is not authentic.
    Refused(AuthenticationError),
    /// Not now.
    Deferred { reason: &'static str, detail: String },
}

impl From<AuthenticationError> for NotAccepted {
    fn from(error: AuthenticationError) -> Self {
        Self::Refused(error)
    }
}

impl From<KeyStoreError> for NotAccepted {
    fn from(error: KeyStoreError) -> Self {
        Self::Deferred { reason: "key_store", detail: error.to_string() }
    }
}

impl From<QueueError> for NotAccepted {
    fn from(error: QueueError) -> Self {
        let reason = match error {
            QueueError::Transient(_) => "queue",
            QueueError::Misconfigured(_) | QueueError::NotInFlight(_) => "queue_misconfigured",
        };
        Self::Deferred { reason, detail: error.fault().to_string() }
    }
}

impl<Q: CallbackQueue, S: KeyStore, A: AuditSink, C: Clock> Intake<Q, S, A, C> {
    /// Takes a request in, or turns it away, and says so.
    pub async fn answer(&self, request: &Request, deadline: Deadline) -> Answer {
        let received_at = self.clock.now();
        let (record, answer) = match self.take_in(request, received_at, deadline).await {
            Ok(taken) => taken,
            Err(turned) => turned.record_and_answer(received_at),
        };
        // What is not recorded was not accepted: the sender sends again, and the queue drops the second one.
        match self.audit.record(&record) {
            Ok(()) => answer,
            Err(_) => Answer::try_again(),
        }
    }

    async fn take_in(
        &self,
        request: &Request,
        received_at: Timestamp,
        deadline: Deadline,
    ) -> Result<(AuditRecord, Answer), NotAccepted> {
        let (body, form) = screen(request).map_err(NotAccepted::Rejected)?;
        // What a body is called does not matter where it is signed; where it is not, that is the better thing to say.
        let unauthentic = |turned| match (turned, form) {
            (NotAccepted::Refused(_), Form::Other) => NotAccepted::Rejected(Rejection::UnsupportedMediaType),
            (turned, _) => turned,
        };
        let delivery = Delivery::read(&self.profile, &request.headers, body);
        let delivery = delivery.map_err(|error| unauthentic(error.into()))?;
        let (delivery, ring) = tokio::select! {
            biased;
            verified = self.verify(&delivery, received_at) => verified.map_err(unauthentic)?,
            () = self.clock.sleep(deadline.remaining(received_at).saturating_sub(ENQUEUE_BUDGET)) => {
                return Err(NotAccepted::out_of_time());
            }
        };
        let read = delivery.read_body(received_at, &self.event_types);
        let accepted = Accepted {
            received_at,
            key_id: delivery.key_id().to_owned(),
            body_sha256: BodyDigest::of(delivery.body()),
            trace_id: request.trace_id.clone(),
        };
        let (envelope, record) = match read {
            Ok(Reading::NoResult(kind, event_type)) => {
                let record = accepted.record_of_no_result(kind, &event_type, delivery.message_id());
                let answer = Answer::receipt(
                    &accepted,
                    &accepted.receipt_id(delivery.message_id()),
                    delivery.message_id(),
                );
                return Ok((Self::marked(record, &delivery, form), answer));
            }
            Ok(Reading::Event(event, left_out)) => {
                let envelope = accepted.envelope(Content::Event(*event));
                let mut record = AuditRecord::new(AuditCode::Accepted, received_at).about(&envelope);
                record.left_out = left_out.into_iter().map(str::to_owned).collect();
                (envelope, record)
            }
            Err(error) => {
                let problem = error.to_string();
                let record = AuditRecord::new(AuditCode::AcceptedUnreadable, received_at);
                let record = record.because("unreadable").detail(problem.clone());
                let content = Content::Unreadable {
                    body: delivery.body().to_vec(),
                    message_id: delivery.message_id().cloned(),
                    problem,
                };
                let envelope = accepted.envelope(content);
                let record = record.about(&envelope);
                (envelope, record)
            }
        };
        self.enqueue(&envelope, &ring, deadline).await?;
        Ok((Self::marked(record, &delivery, form), Answer::accepted(&envelope)))
    }

    /// The record, with what is to be said of the request itself.
    fn marked(mut record: AuditRecord, delivery: &Delivery<'_, Verified>, form: Form) -> AuditRecord {
        record.unbound_timestamp = delivery.freshness() == Freshness::Unbound;
        record.content_type = matches!(form, Form::Other).then_some("other");
        record
    }

    /// Verifies with the ring at hand, and once more with a newer one where no key matched: a key that was just added
    /// works without a deploy.
    async fn verify<'b>(
        &self,
        delivery: &Delivery<'b, crate::delivery::Unverified>,
        now: Timestamp,
    ) -> Result<(Delivery<'b, Verified>, std::sync::Arc<KeyRing>), NotAccepted> {
        let ring = self.keys.current().await?;
        match delivery.verify(ring.webhook_keys_at(now), now) {
            Err(AuthenticationError::NoKeyMatches) => {}
            other => return Ok((other?, ring)),
        }
        match self.keys.refresh().await {
            Refresh::Fetched(ring) => Ok((delivery.verify(ring.webhook_keys_at(now), now)?, ring)),
            Refresh::NotDue => Err(AuthenticationError::NoKeyMatches.into()),
            // The key may be one that we do not know yet: that is our fault, not the sender's.
            Refresh::Failed(error) => {
                Err(NotAccepted::Deferred { reason: "key_store_for_unknown_key", detail: error.to_string() })
            }
        }
    }

    async fn enqueue(
        &self,
        envelope: &Envelope,
        ring: &KeyRing,
        deadline: Deadline,
    ) -> Result<(), NotAccepted> {
        let remaining = deadline.remaining(self.clock.now());
        if remaining < ENQUEUE_BUDGET {
            return Err(NotAccepted::out_of_time());
        }
        // Neither can happen: a ring has a seal key, and an envelope always prints. If it did, nothing is lost.
        let unsealed = || NotAccepted::Deferred { reason: "seal", detail: String::new() };
        let key = ring.seal.first().ok_or_else(unsealed)?;
        let message = OutgoingMessage {
            body: envelope.seal(key).map_err(|_| unsealed())?,
            group_id: envelope.group_id(),
            deduplication_id: envelope.deduplication_id(),
            attributes: std::collections::BTreeMap::new(),
        };
        tokio::select! {
            biased;
            sent = self.queue.send(message) => Ok(sent?),
            () = self.clock.sleep(remaining.saturating_sub(ENQUEUE_BUDGET / 2)) => Err(NotAccepted::out_of_time()),
        }
    }
}

/// What the content type says of a body.
#[derive(Clone, Copy)]
enum Form {
    Json,
    Other,
}

/// What kind of request it is; gives the body of a callback, and what it is called.
fn screen(request: &Request) -> Result<(&[u8], Form), Rejection> {
    let body = request.body.as_deref();
    if body.is_some_and(|body| body.len() > MAXIMUM_BODY_BYTES) {
        return Err(Rejection::TooLarge);
    }
    if let Some(event) = request.unsupported {
        return Err(Rejection::UnsupportedEvent(event));
    }
    if !is_path(&request.path, CALLBACK_PATH) {
        return Err(Rejection::NotFound);
    }
    if request.method != "POST" {
        return Err(Rejection::MethodNotAllowed);
    }
    let json = request.headers.single("content-type").is_some_and(is_json);
    Ok((body.ok_or(Rejection::NotBase64)?, if json { Form::Json } else { Form::Other }))
}

/// Whether a request's path is this one, with or without a slash behind it.
pub(crate) fn is_path(requested: &str, path: &str) -> bool {
    requested.strip_suffix('/').unwrap_or(requested) == path
}

/// `application/json`, or a type built on it (RFC 6839), with or without parameters.
pub(crate) fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let plus_json =
        essence.strip_prefix("application/").is_some_and(|sub| sub.len() > 5 && sub.ends_with("+json"));
    essence == "application/json" || plus_json
}

/// What is known of an authentic callback, whatever it says.
struct Accepted {
    received_at: Timestamp,
    key_id: String,
    body_sha256: BodyDigest,
    trace_id: Option<String>,
}

impl Accepted {
    fn envelope(self, content: Content) -> Envelope {
        let Self { received_at, key_id, body_sha256, trace_id } = self;
        Envelope { received_at, key_id, body_sha256, trace_id, content }
    }

    fn receipt_id(&self, message_id: Option<&EventId>) -> ReceiptId {
        receipt_of(message_id, &self.body_sha256)
    }

    /// Nobody is changed by it, so nothing is enqueued: the record is all that becomes of it.
    fn record_of_no_result(
        &self,
        kind: NoResult,
        event_type: &EventType,
        message_id: Option<&EventId>,
    ) -> AuditRecord {
        let (code, reason) = match kind {
            NoResult::SenderTest => (AuditCode::SenderTest, None),
            NoResult::Administrative => (AuditCode::Ignored, Some("event_type")),
            NoResult::Progress => (AuditCode::Ignored, Some("progress")),
        };
        let mut record = AuditRecord::new(code, self.received_at);
        record.reason = reason.map(str::to_owned);
        record.event_type = Some(event_type.to_string());
        record.of_callback(
            &self.receipt_id(message_id),
            message_id,
            &self.body_sha256,
            &self.key_id,
            self.trace_id.as_ref(),
        )
    }
}

impl NotAccepted {
    fn out_of_time() -> Self {
        Self::Deferred { reason: "out_of_time", detail: String::new() }
    }

    fn record_and_answer(self, at: Timestamp) -> (AuditRecord, Answer) {
        match self {
            Self::Rejected(rejection) => (
                AuditRecord::new(AuditCode::Rejected, at).because(rejection.code()),
                Answer::rejected(rejection),
            ),
            Self::Refused(error) => {
                (AuditRecord::new(AuditCode::Refused, at).because(error.code()), Answer::unauthenticated())
            }
            Self::Deferred { reason, detail } => {
                let record = AuditRecord::new(AuditCode::Deferred, at).because(reason);
                (if detail.is_empty() { record } else { record.detail(detail) }, Answer::try_again())
            }
        }
    }
}
