//! The pre sign-up trigger: opens a proofing session for whoever signs up, or takes the result of one that came before.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::{Attributes, Denial, Refusal, Triggers, WhenDown, binding_key, minute_of};
use crate::assurance::{ASSURANCE_ATTRIBUTES, CLAIM_ATTRIBUTE, STAGING_ATTRIBUTES};
use crate::audit::{AuditCode, AuditRecord};
use crate::binding::Binding;
use crate::envelope::{BodyDigest, Content, Envelope};
use crate::hex::hex;
use crate::key_cache::Refresh;
use crate::key_ring::{FETCHED_KEY_ID, Key, KeyRing};
use crate::ports::{AuditSink, CallbackQueue, Clock, Deadline, KeyStore, ProofingProvider, ProviderError};
use crate::proofing::{Claim, IdempotencyKey, SessionRequest, SessionResult};
use crate::timestamp::Timestamp;
use crate::verification::{Approval, Outcome, SessionId, UserReference, VerificationEvent};

/// What an app passes on with a sign-up that comes after the proof: the session's id.
pub const SESSION_METADATA: &str = "idv_session";

/// And what fulfils the claim that the session was opened with.
pub const VERIFIER_METADATA: &str = "idv_verifier";

/// How long before the sign-up the session may have been opened.
pub const SESSION_FRESHNESS: Duration = Duration::from_secs(60 * 60);

/// How long after it happened a result is taken, and how far ahead of our clock it may be: together the 300 s for which SQS drops
/// what it has seen before, so that it is sent once.
const RESULT_FRESHNESS: Duration = Duration::from_secs(240);
const RESULT_AHEAD: Duration = Duration::from_secs(60);

/// Somebody signs up. No `Debug`: it is personal.
pub struct SignUp {
    /// Under which name, in which pool.
    pub user: UserReference,
    /// With which attributes.
    pub attributes: Attributes,
    /// What the app passes on: `ClientMetadata` of the call.
    pub metadata: Attributes,
}

impl<P, Q, S, A, C> Triggers<P, Q, S, A, C>
where
    P: ProofingProvider,
    Q: CallbackQueue,
    S: KeyStore,
    A: AuditSink,
    C: Clock,
{
    /// Lets a sign-up through, or not.
    ///
    /// # Errors
    /// [`Refusal`], which Cognito shows to the person.
    pub async fn sign_up(&self, sign_up: &SignUp, deadline: Deadline) -> Result<(), Refusal> {
        let record = match self.prepare(sign_up, deadline).await {
            Ok(record) => record,
            Err(no) => {
                let admitted = no.provider_is_down && self.settings.when_provider_is_down == WhenDown::Admit;
                // Who brings a proof is not let through without it.
                let admitted = admitted && !sign_up.metadata.contains_key(SESSION_METADATA);
                let code = if admitted { AuditCode::SignUpUnproofed } else { AuditCode::SignUpRefused };
                let record = no.record(code, self.clock.now());
                self.store(&of_pool(record, sign_up))?;
                return if admitted { Ok(()) } else { Err(no.refusal) };
            }
        };
        self.store(&record)
    }

    async fn prepare(&self, sign_up: &SignUp, deadline: Deadline) -> Result<AuditRecord, Denial> {
        if sign_up.attributes.keys().any(|name| is_ours_alone(name)) {
            return Err(Denial::because("assurance_attribute", Refusal::NotAllowed));
        }
        let claim = match sign_up.attributes.get(CLAIM_ATTRIBUTE) {
            None => None,
            Some(text) => {
                let claim = Claim::new(text);
                Some(claim.ok_or_else(|| Denial::because("claim_malformed", Refusal::NotAllowed))?)
            }
        };
        let ring = self.ring().await?;
        match sign_up.metadata.get(SESSION_METADATA) {
            None => self.open(sign_up, claim, &ring, deadline).await,
            Some(session) => self.take_result(sign_up, session, claim, &ring, deadline).await,
        }
    }

    /// Opens the session. Cognito's three calls ask for the same: name, minute and attributes are the same.
    async fn open(
        &self,
        sign_up: &SignUp,
        claim: Option<Claim>,
        ring: &KeyRing,
        deadline: Deadline,
    ) -> Result<AuditRecord, Denial> {
        let key = binding_key(ring)?;
        let start = minute_of(self.clock.now());
        // Another person who takes the name within the minute has other attributes, so another session.
        let who =
            claim.as_ref().map_or_else(|| digest(&sign_up.attributes), |claim| claim.as_str().to_owned());
        let request = request(key, &sign_up.user, start, claim.as_ref())?;
        let idempotency = session_key(key, &sign_up.user, start, &who, "");
        let opened = self.provider.open_session(&request, &idempotency, self.left(deadline)).await?;
        let record = AuditRecord::new(AuditCode::SessionOpened, self.clock.now()).session(&opened.id);
        Ok(of_pool(record, sign_up))
    }

    /// The proof came first: its result is fetched, and taken if it is fresh, an approval, and this person's under this name.
    ///
    /// It can be sent once. It is taken for [`RESULT_FRESHNESS`] after it happened, with a clock ahead by no more than
    /// [`RESULT_AHEAD`]: together the 300 s for which SQS drops what it has seen before. And it is for the user with this
    /// browser's claim alone.
    async fn take_result(
        &self,
        sign_up: &SignUp,
        session: &str,
        claim: Option<Claim>,
        ring: &KeyRing,
        deadline: Deadline,
    ) -> Result<AuditRecord, Denial> {
        let no = |reason| Denial::because(reason, Refusal::ProofNotAccepted);
        if !self.settings.proof_first {
            return Err(no("not_before_sign_up"));
        }
        // It becomes part of a path: no dots at its beginning.
        let session = session.starts_with(|c: char| c.is_ascii_alphanumeric()).then_some(session);
        let session =
            session.and_then(|id| SessionId::new(id).ok()).ok_or_else(|| no("session_malformed"))?;
        let verifier = sign_up.metadata.get(VERIFIER_METADATA);
        let shown =
            verifier.and_then(|verifier| Claim::of_verifier(verifier)).ok_or_else(|| no("no_verifier"))?;
        if claim.as_ref() != Some(&shown) {
            return Err(no("claim_mismatch"));
        }
        let fetched = self.provider.session_result(&session, self.left(deadline)).await;
        let result = fetched.map_err(|error| match error {
            ProviderError::NotFound => no("session_unknown"),
            error @ (ProviderError::Failed(_) | ProviderError::Refused(_)) => error.into(),
        })?;
        let SessionResult::Ended(event) = result else { return Err(no("session_pending")) };
        let now = self.clock.now();
        if event.session != session || !same_user(&event.user, &sign_up.user) {
            return Err(no("session_of_another"));
        }
        // A key that this function does not know yet may be new.
        let (start, promised) =
            match Binding::check_before(event.binding.as_ref(), &event.user, &ring.binding) {
                Some(bound) => bound,
                None => self.bound_by_a_newer_key(&event).await.ok_or_else(|| no("session_not_bound"))?,
            };
        if promised != shown {
            return Err(no("claim_mismatch"));
        }
        if now.since(start) > SESSION_FRESHNESS || start.since(now) > RESULT_AHEAD {
            return Err(no("session_not_fresh"));
        }
        self.check_approved(&event, now).map_err(no)?;
        // Of what was read, not of the bytes: the answer may hold members that change from one time to the next.
        let digest = BodyDigest::of(format!("{}\n{}", event.event_id, event.said()).as_bytes());
        let binding = Binding::issue(binding_key(ring)?, &sign_up.user, minute_of(now), Some(&shown));
        let binding = binding.map_err(|_| Denial::because("binding_key", Refusal::NotNow))?;
        let event = VerificationEvent { binding: Some(binding), user: sign_up.user.clone(), ..*event };
        let envelope = envelope(event, digest, FETCHED_KEY_ID, now);
        self.enqueue(&envelope, ring, self.left(deadline)).await?;
        Ok(AuditRecord::new(AuditCode::Asserted, now).about(&envelope))
    }

    async fn bound_by_a_newer_key(&self, event: &VerificationEvent) -> Option<(Timestamp, Claim)> {
        match self.keys.refresh().await {
            Refresh::Fetched(ring) => {
                Binding::check_before(event.binding.as_ref(), &event.user, &ring.binding)
            }
            Refresh::NotDue | Refresh::Failed(_) => None,
        }
    }

    fn check_approved(&self, event: &VerificationEvent, now: Timestamp) -> Result<(), &'static str> {
        let Outcome::Approved(approval) = &event.outcome else { return Err("session_not_approved") };
        let Approval { liveness_verified, match_result, ial, .. } = approval;
        if !liveness_verified || !match_result || *ial < self.settings.minimum_ial {
            return Err("session_insufficient");
        }
        let fresh =
            now.since(event.occurred_at) <= RESULT_FRESHNESS && event.occurred_at.since(now) <= RESULT_AHEAD;
        if fresh { Ok(()) } else { Err("session_not_fresh") }
    }
}

/// Pools compare names without case unless told otherwise, and may tell a trigger another case than the browser told us.
fn same_user(one: &UserReference, other: &UserReference) -> bool {
    one.pool == other.pool && one.username.as_str().to_lowercase() == other.username.as_str().to_lowercase()
}

/// Whether only this system, or an identity provider, may set the attribute. `dev:` marks an attribute that only
/// administrators may write (API reference, `SchemaAttributeType`).
fn is_ours_alone(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let name = name.strip_prefix("dev:").unwrap_or(&name);
    ASSURANCE_ATTRIBUTES.contains(&name) || STAGING_ATTRIBUTES.contains(&name)
}

/// What is asked for at a sign-up: the same in each of its calls, as a repeated request must be.
pub(super) fn request(
    key: &Key,
    user: &UserReference,
    start: Timestamp,
    claim: Option<&Claim>,
) -> Result<SessionRequest, Denial> {
    let binding = Binding::issue(key, user, start, claim);
    let binding = binding.map_err(|_| Denial::because("binding_key", Refusal::NotNow))?;
    Ok(SessionRequest { user: user.clone(), binding, calls_back: true })
}

/// The key of a session: of this user's sign-up in this minute, by this browser; `after` is what an earlier session left on the
/// user.
pub(super) fn session_key(
    key: &Key,
    user: &UserReference,
    start: Timestamp,
    who: &str,
    after: &str,
) -> IdempotencyKey {
    let (pool, name, start) = (user.pool.as_str(), user.username.as_str(), start.unix_seconds().to_string());
    IdempotencyKey::of(key, &["session", pool, name, &start, who, after])
}

fn digest(attributes: &Attributes) -> String {
    let mut digest = Sha256::new();
    for (name, value) in attributes {
        digest = digest.chain_update(format!("{}:{name}{}:{value}", name.len(), value.len()));
    }
    hex(&digest.finalize())
}

/// An event that did not come as a callback, as one that did.
pub(super) fn envelope(
    event: VerificationEvent,
    body_sha256: BodyDigest,
    key_id: &str,
    now: Timestamp,
) -> Envelope {
    Envelope {
        received_at: now,
        key_id: key_id.to_owned(),
        body_sha256,
        trace_id: None,
        content: Content::Event(event),
    }
}

fn of_pool(record: AuditRecord, sign_up: &SignUp) -> AuditRecord {
    record.of_pool(&sign_up.user.pool)
}
