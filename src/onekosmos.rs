//! Out: 1Kosmos' API over HTTPS. One connection, kept; two tries at the most, within the time that a caller has.

use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use tokio::sync::Mutex;

use crate::http_client::{HttpClient, HttpError};
use crate::ports::{ApiKeyStore, Clock, Fault, ProofingProvider, ProviderError};
use crate::proofing::{
    Challenge, ChallengeId, ChallengeResult, IdempotencyKey, OpenedSession, ReasonCode, SessionRequest,
    SessionResult,
};
use crate::timestamp::Timestamp;
use crate::verification::{SessionId, Subject};

/// How long one try may take. Two of them, and what lies between, fit into Cognito's 5 s.
pub const TRY: Duration = Duration::from_millis(1900);

/// The wait between two tries.
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// With less time than this left no try is begun.
const SHORTEST_TRY: Duration = Duration::from_millis(150);

/// How much of an answer is read.
const MAXIMUM_ANSWER_BYTES: usize = 256 * 1024;

/// The least time between two looks whether the key has changed.
const KEY_REFRESH: Duration = Duration::from_secs(60);

/// A tenant's API.
pub struct OneKosmos<K, C> {
    base: String,
    callback_url: String,
    client: HttpClient,
    keys: K,
    clock: C,
    key: Mutex<Option<(HeldKey, Timestamp)>>,
}

/// The key as it stands in the header, or why there is none.
type HeldKey = Result<HeaderValue, Fault>;

/// What is asked.
struct Call<'c> {
    name: &'static str,
    method: Method,
    path: String,
    idempotency: Option<&'c IdempotencyKey>,
    body: String,
}

/// Why a try failed.
enum Failed {
    /// Another try may help.
    Transient(&'static str),
    /// The key was not taken.
    Unauthorized,
    /// It is not there.
    NotFound,
    /// It will not be answered.
    Refused(u16),
}

impl<K: ApiKeyStore, C: Clock> OneKosmos<K, C> {
    /// The API at this address. Opens nothing yet.
    ///
    /// # Errors
    /// When the address is none, or this machine has no root certificates.
    pub fn new(base: &str, callback_url: &str, keys: K, clock: C) -> Result<Self, String> {
        let uri: Uri = base.parse().map_err(|_| format!("{base} is not a URL"))?;
        // `http` is for a stand-in on this machine.
        let allowed = match (uri.scheme_str(), uri.host()) {
            (Some("http"), host) => matches!(host, Some("127.0.0.1" | "localhost")),
            (scheme, host) => scheme == Some("https") && host.is_some(),
        };
        if !allowed {
            return Err(format!("{base} must begin with https://"));
        }
        let client = HttpClient::new(&uri)?;
        let base = base.trim_end_matches('/').to_owned();
        Ok(Self { base, callback_url: callback_url.to_owned(), client, keys, clock, key: Mutex::default() })
    }

    /// Fetches the key, so that nobody has to wait for it.
    ///
    /// # Errors
    /// The fault.
    pub async fn warm_up(&self) -> Result<(), Fault> {
        self.header(false).await.map(drop)
    }

    /// The key in its header; fetched anew where the one at hand was not taken, once a minute at the most.
    async fn header(&self, was_refused: bool) -> Result<HeaderValue, Fault> {
        let mut held = self.key.lock().await;
        let now = self.clock.now();
        let usable = match &*held {
            Some((Ok(_), at)) => !was_refused || now.since(*at) < KEY_REFRESH,
            Some((Err(_), at)) => now.since(*at) < BETWEEN_TRIES,
            None => false,
        };
        if !usable {
            let fetched = self.keys.fetch().await.and_then(|key| {
                let header = HeaderValue::from_str(&format!("Bearer {}", key.expose()));
                let mut header = header.map_err(|_| Fault::new("api_key", "malformed"))?;
                header.set_sensitive(true);
                Ok(header)
            });
            // One that cannot be fetched now does not make the one at hand any worse.
            *held = match (fetched, held.take()) {
                (Err(_), Some((Ok(header), _))) => Some((Ok(header), now)),
                (fetched, _) => Some((fetched, now)),
            };
        }
        match &*held {
            Some((Ok(header), _)) => Ok(header.clone()),
            Some((Err(fault), _)) => Err(fault.clone()),
            None => Err(Fault::new("api_key", "none")),
        }
    }

    /// The answer, or why there is none, within this time: the key's way here included.
    async fn call(&self, call: Call<'_>, within: Duration) -> Result<Bytes, ProviderError> {
        let out_of_time = ProviderError::Failed(Fault::new(call.name, "timeout"));
        tokio::select! {
            biased;
            answer = self.tries(&call, within) => answer,
            () = self.clock.sleep(within) => Err(out_of_time),
        }
    }

    async fn tries(&self, call: &Call<'_>, within: Duration) -> Result<Bytes, ProviderError> {
        let end = self.clock.now().plus(within);
        let fault = |code: &str| ProviderError::Failed(Fault::new(call.name, code));
        let mut refused_key = false;
        let mut last = fault("out_of_time");
        for _ in 0..2 {
            let left = end.since(self.clock.now());
            if left < SHORTEST_TRY {
                return Err(last);
            }
            let header = self.header(refused_key).await.map_err(ProviderError::Failed)?;
            let attempt = tokio::select! {
                biased;
                answer = self.send(call, header) => answer,
                () = self.clock.sleep(left.min(TRY)) => Err(Failed::Transient("timeout")),
            };
            last = match attempt {
                Ok(body) => return Ok(body),
                Err(Failed::NotFound) => return Err(ProviderError::NotFound),
                Err(Failed::Refused(status)) => {
                    return Err(ProviderError::Refused(Fault::new(call.name, &status.to_string())));
                }
                Err(Failed::Unauthorized) => fault("401"),
                Err(Failed::Transient(code)) => fault(code),
            };
            refused_key = matches!(attempt, Err(Failed::Unauthorized));
            self.clock.sleep(BETWEEN_TRIES).await;
        }
        Err(last)
    }

    async fn send(&self, call: &Call<'_>, authorization: HeaderValue) -> Result<Bytes, Failed> {
        let mut request =
            Request::builder().method(call.method.clone()).uri(format!("{}{}", self.base, call.path));
        request = request.header(AUTHORIZATION, authorization).header("accept", "application/json");
        if let Some(key) = call.idempotency {
            request =
                request.header("content-type", "application/json").header("idempotency-key", key.as_str());
        }
        let request = request.body(Full::from(call.body.clone())).map_err(|_| Failed::Refused(0))?;
        let (status, body) =
            self.client.send(request, MAXIMUM_ANSWER_BYTES).await.map_err(|error| match error {
                HttpError::NoAnswer(_) => Failed::Transient("no_answer"),
                HttpError::CutOff(_) => Failed::Transient("cut_off"),
            })?;
        match status {
            StatusCode::UNAUTHORIZED => Err(Failed::Unauthorized),
            StatusCode::NOT_FOUND => Err(Failed::NotFound),
            StatusCode::TOO_MANY_REQUESTS => Err(Failed::Transient("429")),
            // The first try with this key is still at work (IETF draft "The Idempotency-Key HTTP Header Field", section 2.6).
            StatusCode::CONFLICT => Err(Failed::Transient("409")),
            status if status.is_server_error() => Err(Failed::Transient("5xx")),
            status if status.is_success() => Ok(body),
            status => Err(Failed::Refused(status.as_u16())),
        }
    }
}

const OPEN: &str = "OpenSession";
const RESULT: &str = "SessionResult";
const START: &str = "StartStepUp";
const ANSWER: &str = "StepUpResult";

impl<K: ApiKeyStore, C: Clock> ProofingProvider for OneKosmos<K, C> {
    async fn open_session(
        &self,
        request: &SessionRequest,
        key: &IdempotencyKey,
        within: Duration,
    ) -> Result<OpenedSession, ProviderError> {
        let body = request.body(&self.callback_url);
        let body = self.call(Call::post(OPEN, "/v1/verify/sessions", key, body), within).await?;
        OpenedSession::read(&body).map_err(|error| bad(OPEN, &error))
    }

    async fn session_result(
        &self,
        session: &SessionId,
        within: Duration,
    ) -> Result<SessionResult, ProviderError> {
        let path = format!("/v1/verify/sessions/{}/result", segment(session.as_str()));
        let body = self.call(Call::get(RESULT, path), within).await?;
        SessionResult::read(&body, self.clock.now()).map_err(|error| bad(RESULT, &error))
    }

    async fn start_step_up(
        &self,
        subject: &Subject,
        reason: &ReasonCode,
        key: &IdempotencyKey,
        within: Duration,
    ) -> Result<Challenge, ProviderError> {
        let body = Challenge::body(subject, reason);
        let body = self.call(Call::post(START, "/v1/auth/stepup", key, body), within).await?;
        Challenge::read(&body).map_err(|error| bad(START, &error))
    }

    async fn step_up_result(
        &self,
        challenge: &ChallengeId,
        within: Duration,
    ) -> Result<ChallengeResult, ProviderError> {
        let path = format!("/v1/auth/stepup/{}/result", segment(challenge.as_str()));
        let body = self.call(Call::get(ANSWER, path), within).await?;
        ChallengeResult::read(&body).map_err(|error| bad(ANSWER, &error))
    }
}

impl<'c> Call<'c> {
    fn post(name: &'static str, path: &str, key: &'c IdempotencyKey, body: String) -> Self {
        Self { name, method: Method::POST, path: path.to_owned(), idempotency: Some(key), body }
    }

    fn get(name: &'static str, path: String) -> Self {
        Self { name, method: Method::GET, path, idempotency: None, body: String::new() }
    }
}

/// A segment of a path: an id may hold what means something there.
fn segment(id: &str) -> PercentEncode<'_> {
    /// What stands in a segment as it is: the unreserved characters (RFC 3986 section 2.3).
    const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(id, RESERVED)
}

fn bad(call: &'static str, error: &impl std::fmt::Display) -> ProviderError {
    ProviderError::Failed(Fault::new(call, &error.to_string()))
}
