//! `POST /idv-session`: how a person who signed up gets to their proofing session, and learns how it stands.
//!
//! Somebody who is not confirmed cannot sign in, and a pre sign-up trigger can tell the browser nothing. So the browser makes
//! a promise at the sign-up ([`Claim`], on the user as an attribute that cannot be changed), and keeps it here, as PKCE does
//! it (RFC 7636). The link goes to nobody else, and is stored nowhere: asking 1Kosmos again with the same key gives the
//! same session.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::sign_up::{request, session_key};
use super::{Denial, Refusal, binding_key, minute_of};
use crate::assurance::{Assurance, IdvStatus, UserRecord, UserStatus};
use crate::audit::{AuditCode, AuditRecord};
use crate::binding::Binding;
use crate::intake::{Answer, Rejection, Request, is_json, is_path};
use crate::key_cache::KeyCache;
use crate::key_ring::KeyRing;
use crate::metrics::DIRECTORY;
use crate::ports::{
    AuditSink, Clock, Deadline, DirectoryError, Fault, KeyStore, ProofingProvider, ProviderError,
    UserDirectory,
};
use crate::proofing::{Claim, IdempotencyKey, OpenedSession, PersonalLink, SessionRequest};
use crate::verification::{PoolId, UserReference, Username};
use crate::vocabulary::Status;

/// The path.
pub const SESSION_PATH: &str = "/idv-session";

/// The time limit of the function.
pub const INVOCATION_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest body that is looked at.
const MAXIMUM_BODY_BYTES: usize = 4096;

/// What is left of the time for the way back.
const RESERVE: Duration = Duration::from_secs(1);

/// The endpoint.
pub struct SessionEndpoint<P, D, S, A, C> {
    /// Who proofs people.
    pub provider: P,
    /// The users.
    pub directory: D,
    /// The keys.
    pub keys: KeyCache<S, C>,
    /// The audit log.
    pub audit: A,
    /// The clock.
    pub clock: C,
    /// The pool.
    pub pool: PoolId,
    /// Whether sessions are opened for people who have not signed up yet.
    pub before_sign_up: bool,
    /// Where the app that may ask comes from (`Origin`).
    pub allowed_origin: String,
}

/// What the app asks. No `Debug`: it is personal.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    username: String,
    #[serde(default)]
    verifier: Option<String>,
    #[serde(default)]
    open: bool,
    #[serde(default)]
    claim: Option<String>,
    #[serde(default)]
    before_sign_up: bool,
}

/// Why there is no session for whoever asks.
enum Withheld {
    /// It is not what can be asked.
    Malformed,
    /// The user is not there, or the claim is not theirs; nobody is told which.
    NotTheirs(&'static str),
    /// 1Kosmos does not take the request.
    Refused(Denial),
    /// Not now.
    NotNow(Denial),
}

impl From<Denial> for Withheld {
    fn from(no: Denial) -> Self {
        Self::NotNow(no)
    }
}

impl From<ProviderError> for Withheld {
    fn from(error: ProviderError) -> Self {
        match error {
            ProviderError::Refused(_) => Self::Refused(error.into()),
            ProviderError::NotFound | ProviderError::Failed(_) => Self::NotNow(error.into()),
        }
    }
}

impl<P, D, S, A, C> SessionEndpoint<P, D, S, A, C>
where
    P: ProofingProvider,
    D: UserDirectory,
    S: KeyStore,
    A: AuditSink,
    C: Clock,
{
    /// Answers one request.
    pub async fn answer(&self, request: &Request, deadline: Deadline) -> Answer {
        let asked = match screen(request) {
            Ok(asked) => asked,
            Err(misfit) => {
                let record =
                    AuditRecord::new(AuditCode::SessionWithheld, self.clock.now()).because(misfit.code());
                let answer = self.recorded(record, misfit.answer());
                return self.for_the_app(answer);
            }
        };
        let answered = tokio::select! {
            biased;
            answered = self.serve(&asked, deadline) => answered,
            () = self.clock.sleep(deadline.remaining(self.clock.now()).saturating_sub(RESERVE)) => {
                Err(Denial::because("out_of_time", Refusal::NotNow).into())
            }
        };
        let answer = match answered {
            Ok(body) => Answer::new(200, "application/json", body.to_string()),
            Err(withheld) => self.withhold(&withheld),
        };
        self.for_the_app(answer)
    }

    fn withhold(&self, withheld: &Withheld) -> Answer {
        let (record, answer) = match withheld {
            Withheld::Malformed => (
                AuditRecord::new(AuditCode::SessionWithheld, self.clock.now())
                    .because(Misfit::Malformed.code()),
                malformed(),
            ),
            Withheld::NotTheirs(reason) => (
                AuditRecord::new(AuditCode::SessionWithheld, self.clock.now()).because(*reason),
                no_session(),
            ),
            Withheld::Refused(no) => (no.record(AuditCode::SessionWithheld, self.clock.now()), not_taken()),
            Withheld::NotNow(no) => (no.record(AuditCode::SessionWithheld, self.clock.now()), not_now()),
        };
        self.recorded(record, answer)
    }

    fn recorded(&self, record: AuditRecord, answer: Answer) -> Answer {
        match self.audit.record(&record.of_pool(&self.pool)) {
            Ok(()) => answer,
            Err(_) => not_now(),
        }
    }

    /// Fetch standard, "CORS protocol". Only this one app is named, whoever asks.
    fn for_the_app(&self, mut answer: Answer) -> Answer {
        answer.headers.push(("access-control-allow-origin", self.allowed_origin.clone()));
        answer.headers.push(("access-control-expose-headers", "Retry-After".to_owned()));
        answer.headers.push(("vary", "Origin".to_owned()));
        answer
    }

    async fn serve(&self, asked: &Asked, deadline: Deadline) -> Result<serde_json::Value, Withheld> {
        let username = Username::new(&asked.username).map_err(|_| Withheld::Malformed)?;
        let user = UserReference { pool: self.pool.clone(), username };
        let ring = self.keys.current().await.map_err(|error| Denial::failed("key_store", &error))?;
        match (&asked.verifier, &asked.claim, asked.before_sign_up) {
            (Some(verifier), None, false) => self.stand(user, verifier, asked.open, &ring, deadline).await,
            (None, Some(claim), true) => self.open_before_sign_up(user, claim, &ring, deadline).await,
            _ => Err(Withheld::Malformed),
        }
    }

    async fn stand(
        &self,
        user: UserReference,
        verifier: &str,
        open: bool,
        ring: &KeyRing,
        deadline: Deadline,
    ) -> Result<serde_json::Value, Withheld> {
        let shown = Claim::of_verifier(verifier).ok_or(Withheld::Malformed)?;
        let found = match self.directory.find(&user).await {
            Ok(found) => found,
            Err(DirectoryError::UserNotFound) => None,
            Err(
                DirectoryError::Transient(fault)
                | DirectoryError::Misconfigured(fault)
                | DirectoryError::Refused(fault),
            ) => {
                return Err(Denial::failed(DIRECTORY, &fault).into());
            }
        };
        let record = found.ok_or(Withheld::NotTheirs("no_user"))?;
        // Whoever has the verifier is the browser that signed this user up, by whatever alias it asks.
        if !record.claim.as_ref().is_some_and(|claim| same(claim, &shown, ring)) {
            return Err(Withheld::NotTheirs("claim_mismatch"));
        }
        let user = UserReference { username: record.username.clone(), ..user };
        let (word, may_open) = standing(&record);
        let confirmed = record.status == UserStatus::Confirmed;
        let mut body = json!({ "status": word, "confirmed": confirmed });
        if open && may_open {
            let opened = self.reopen(&user, &record, shown, ring, deadline).await?;
            if let serde_json::Value::Object(members) = &mut body {
                members.insert("session_url".to_owned(), json!(link(&opened)));
            }
        }
        Ok(body)
    }

    /// The session of the sign-up; where that has ended, the next one.
    async fn reopen(
        &self,
        user: &UserReference,
        record: &UserRecord,
        claim: Claim,
        ring: &KeyRing,
        deadline: Deadline,
    ) -> Result<OpenedSession, Withheld> {
        let key = session_key_of(ring, user, record, claim.as_str())?;
        let request = request(binding_key(ring)?, user, minute_of(record.created_at), Some(&claim))?;
        self.opened(&request, &key, record.sub.as_deref(), ring, deadline).await
    }

    async fn open_before_sign_up(
        &self,
        user: UserReference,
        claim: &str,
        ring: &KeyRing,
        deadline: Deadline,
    ) -> Result<serde_json::Value, Withheld> {
        if !self.before_sign_up {
            return Err(Withheld::NotTheirs("not_before_sign_up"));
        }
        let claim = Claim::new(claim).ok_or(Withheld::Malformed)?;
        let key = binding_key(ring)?;
        let start = minute_of(self.clock.now());
        let idempotency = session_key(key, &user, start, claim.as_str(), "before");
        let binding = Binding::issue_before(key, &user, start, &claim);
        let binding = binding.map_err(|_| Denial::because("binding_key", Refusal::NotNow))?;
        let request = SessionRequest { user, binding, calls_back: false };
        let opened = self.opened(&request, &idempotency, None, ring, deadline).await?;
        Ok(json!({ "session_id": opened.id.as_str(), "session_url": link(&opened) }))
    }

    async fn opened(
        &self,
        request: &SessionRequest,
        key: &IdempotencyKey,
        sub: Option<&str>,
        ring: &KeyRing,
        deadline: Deadline,
    ) -> Result<OpenedSession, Withheld> {
        let left = deadline.remaining(self.clock.now()).saturating_sub(RESERVE);
        let opened = self.provider.open_session(request, key, left).await?;
        let record = AuditRecord::new(AuditCode::SessionOpened, self.clock.now()).session(&opened.id);
        let stored = self.audit.record(&record.of_user(&ring.audit, &self.pool, sub));
        stored.map_err(|error| Denial::failed("audit", &Fault::new("audit", &error.kind().to_string())))?;
        Ok(opened)
    }
}

/// The key of a user's session: the same until the session has come to nothing, or to too little. What it came to is in the
/// key of the next one.
fn session_key_of(
    ring: &KeyRing,
    user: &UserReference,
    record: &UserRecord,
    who: &str,
) -> Result<IdempotencyKey, Denial> {
    let after = record.assurance.as_ref().ok().and_then(Assurance::ended_session).unwrap_or_default();
    Ok(session_key(binding_key(ring)?, user, minute_of(record.created_at), who, &after))
}

/// Opens a session for a user who is there, as an operator does it: the same one each time until it has ended, or another one
/// where that is asked for.
///
/// # Errors
/// The fault, of the provider or of the key ring.
pub async fn open_for_user<P: ProofingProvider>(
    provider: &P,
    ring: &KeyRing,
    user: &UserReference,
    record: &UserRecord,
    another: Option<IdempotencyKey>,
    within: Duration,
) -> Result<OpenedSession, Fault> {
    let prepare = || -> Result<_, Denial> {
        let key = match another {
            Some(key) => key,
            None => session_key_of(ring, user, record, "operator")?,
        };
        let start = minute_of(record.created_at);
        Ok((key, request(binding_key(ring)?, user, start, record.claim.as_ref())?))
    };
    let (key, request) = prepare().map_err(|no| Fault::new("key ring", no.reason))?;
    provider.open_session(&request, &key, within).await.map_err(|error| match error {
        ProviderError::NotFound => Fault::new("OpenSession", "404"),
        ProviderError::Failed(fault) | ProviderError::Refused(fault) => fault,
    })
}

/// `null` where 1Kosmos tells the person itself.
fn link(opened: &OpenedSession) -> Option<&str> {
    opened.link.as_ref().map(PersonalLink::as_str)
}

/// Where the proofing stands, and whether there is a session to go through. Who was declined asks a person, not for another try.
fn standing(record: &UserRecord) -> (&'static str, bool) {
    let Ok(assurance) = &record.assurance else { return ("in_review", false) };
    match assurance.status {
        None | Some(IdvStatus::Said(Status::InProgress)) => {
            ("waiting", record.status != UserStatus::Confirmed)
        }
        Some(status @ (IdvStatus::Said(Status::Expired | Status::Abandoned) | IdvStatus::Insufficient)) => {
            (status.as_str(), true)
        }
        Some(status @ IdvStatus::Said(Status::Approved | Status::Declined | Status::InReview)) => {
            (status.as_str(), false)
        }
    }
}

/// In constant time: compared are two MACs under a key that nobody outside has.
fn same(one: &Claim, other: &Claim, ring: &KeyRing) -> bool {
    let secret = &ring.audit.secret;
    // In small letters: an attribute's value may come back in another case.
    let mac = |claim: &Claim| {
        secret.mac(&[b"idv-callback/claim/1\n", claim.as_str().to_ascii_lowercase().as_bytes()])
    };
    mac(one).matches(&mac(other).to_bytes())
}

/// What makes a request none of these.
#[derive(Clone, Copy)]
enum Misfit {
    Path,
    Method,
    ContentType,
    Malformed,
}

impl Misfit {
    fn code(self) -> &'static str {
        match self {
            Self::Path => "not_found",
            Self::Method => "method_not_allowed",
            Self::ContentType => "unsupported_media_type",
            Self::Malformed => "malformed",
        }
    }

    fn answer(self) -> Answer {
        match self {
            Self::Path => no_session(),
            Self::Method => only_post(),
            Self::ContentType => Answer::rejected(Rejection::UnsupportedMediaType),
            Self::Malformed => malformed(),
        }
    }
}

fn screen(request: &Request) -> Result<Asked, Misfit> {
    if !is_path(&request.path, SESSION_PATH) {
        return Err(Misfit::Path);
    }
    if request.method != "POST" {
        return Err(Misfit::Method);
    }
    // A browser asks before it sends JSON to another origin; a form of a foreign page it would send unasked (Fetch standard,
    // "CORS-safelisted request-header").
    if !request.headers.single("content-type").is_some_and(is_json) {
        return Err(Misfit::ContentType);
    }
    let body = request.body.as_deref().unwrap_or_default();
    if body.len() > MAXIMUM_BODY_BYTES {
        return Err(Misfit::Malformed);
    }
    serde_json::from_slice(body).map_err(|_| Misfit::Malformed)
}

fn malformed() -> Answer {
    let detail = "The body must be {\"username\", \"verifier\", \"open\"?} or {\"username\", \"claim\", \"before_sign_up\"}.";
    Answer::problem(400, "malformed", "Bad Request", detail)
}

fn no_session() -> Answer {
    Answer::problem(
        404,
        "no-session",
        "Not Found",
        "There is no proofing session for this name and verifier.",
    )
}

fn only_post() -> Answer {
    let mut answer = Answer::problem(405, "method-not-allowed", "Method Not Allowed", "Ask with POST.");
    answer.headers.push(("allow", "POST".to_owned()));
    answer
}

fn not_taken() -> Answer {
    let detail = "The proofing provider does not open a session for this name.";
    Answer::problem(422, "not-taken", "Unprocessable Content", detail)
}

fn not_now() -> Answer {
    let mut answer =
        Answer::problem(503, "unavailable", "Service Unavailable", "Ask again in a few seconds.");
    answer.headers.push(("retry-after", "5".to_owned()));
    answer
}
