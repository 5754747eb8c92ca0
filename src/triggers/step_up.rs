//! The three triggers of custom authentication: password first, then the face of the person who was proofed.
//!
//! *Define* says what comes next, *create* starts a challenge at 1Kosmos, *verify* asks how it was answered (developer guide,
//! "Custom authentication challenge Lambda triggers"). They share nothing but what Cognito carries between them: the
//! challenges so far, each with its name, its result and the note that *create* left on it.

mod define;

use std::time::Duration;

pub use define::{CUSTOM_CHALLENGE, Next, PASSWORD_VERIFIER, Past, SRP_A};

use super::{Attributes, FirstFactor, No, Refusal, Triggers, binding_key, minute_of};
use crate::assurance::{Assurance, names};
use crate::audit::{AuditCode, AuditRecord};
use crate::delivery::hex;
use crate::key_ring::{Key, KeyRing};
use crate::ports::{AuditSink, CallbackQueue, Clock, Deadline, KeyStore, ProofingProvider, ProviderError};
use crate::proofing::{Answered, Challenge, ChallengeId, ChallengeResult, IdempotencyKey, ReasonCode};
use crate::timestamp::Timestamp;
use crate::verification::{AssuranceLevel, Subject, UserReference};

/// What an app passes on when it answers the password: what the step-up is for. Cognito gives the triggers what
/// `RespondToAuthChallenge` brings, and not what `InitiateAuth` brings (API reference, `InitiateAuth`, `ClientMetadata`).
pub const REASON_METADATA: &str = "reason_code";

/// And a random word of its own, so that Cognito's repeated calls for one round are one challenge.
pub const NONCE_METADATA: &str = "idv_nonce";

/// How long to wait between two looks at a challenge.
const POLL: Duration = Duration::from_millis(500);

/// How many challenges one sign-in may start.
pub const MAXIMUM_CHALLENGES: usize = 3;

/// How many answers one sign-in may give, those that came too early included.
pub const MAXIMUM_ROUNDS: usize = 12;

/// A sign-in under way. No `Debug`: it is personal.
pub struct SignIn {
    /// Of whom.
    pub user: UserReference,
    /// Their attributes.
    pub attributes: Attributes,
    /// Set where there is no such user: Cognito goes the same road with them, so that nobody learns who exists
    /// (developer guide, "Managing user existence error responses").
    pub not_found: bool,
    /// The challenges so far.
    pub past: Vec<Past>,
    /// What the app passes on.
    pub metadata: Attributes,
}

/// A challenge for Cognito.
pub struct Created {
    /// What the app gets.
    pub public: Attributes,
    /// What *verify* gets.
    pub private: Attributes,
    /// The note on the challenge, which comes back with the past ones.
    pub note: String,
}

/// An answer to verify. No `Debug`: it is personal.
pub struct Answer {
    /// Of whom, in which sign-in.
    pub sign_in: SignIn,
    /// What *create* left.
    pub private: Attributes,
    /// What the app answers: the challenge's id.
    pub answer: String,
}

/// What *create* leaves for *verify*.
mod private {
    pub(super) const CHALLENGE: &str = "challenge_id";
    pub(super) const SUBJECT: &str = "subject";
    pub(super) const PUBLIC: &str = "public_id";
}

impl SignIn {
    /// Whose face is asked for: none where the user has no assurance that counts.
    fn subject(&self, minimum: AssuranceLevel, now: Timestamp) -> Result<Subject, &'static str> {
        if self.not_found {
            return Err("no_user");
        }
        let value =
            |name: &str| self.attributes.get(name).map(String::as_str).filter(|text| !text.is_empty());
        let assurance = Assurance::read(value).map_err(|_| "record_unreadable")?;
        let stands = assurance.approval_stands();
        let subject = assurance.subject.filter(|_| stands).ok_or("not_proofed")?;
        if assurance.ial.is_none_or(|ial| ial < minimum) {
            return Err("level");
        }
        if self.status() != Some("CONFIRMED") {
            return Err("user_status");
        }
        match value(names::IDV_EXPIRES_AT).map(Timestamp::parse) {
            None => Ok(subject),
            Some(Ok(end)) if now < end => Ok(subject),
            Some(_) => Err("proof_expired"),
        }
    }

    /// Whether Cognito leads this user past us. With a temporary password it asks for a new one after the old, and then gives
    /// tokens without another word to us (amazon-cognito-identity-js, issue 341): so the password must not be asked for. The
    /// unconfirmed it refuses by itself, and only who knows the password is told so.
    fn is_led_elsewhere(&self) -> bool {
        !self.not_found && !matches!(self.status(), Some("CONFIRMED" | "UNCONFIRMED"))
    }

    fn status(&self) -> Option<&str> {
        self.attributes.get("cognito:user_status").map(String::as_str)
    }

    fn sub(&self) -> Option<&str> {
        self.attributes.get("sub").map(String::as_str).filter(|_| !self.not_found)
    }
}

impl<P, Q, S, A, C> Triggers<P, Q, S, A, C>
where
    P: ProofingProvider,
    Q: CallbackQueue,
    S: KeyStore,
    A: AuditSink,
    C: Clock,
{
    /// What comes next in this sign-in.
    ///
    /// # Errors
    /// [`Refusal`] when it could not be recorded that the sign-in ended: then it ends as well.
    pub async fn define(&self, sign_in: &SignIn, deadline: Deadline) -> Result<Next, Refusal> {
        let subject = sign_in.subject(self.settings.minimum_ial, self.clock.now());
        let unfit = subject.as_ref().err().copied();
        let first = self.settings.first_factor;
        let mut next = define::next(first, unfit, sign_in.is_led_elsewhere(), &sign_in.past);
        // The last challenge, too, may be answered late.
        if let (Next::Fail(define::TOO_MANY), Some(last), Ok(subject)) =
            (next, define::last_waiting(&sign_in.past), &subject)
            && is_open(self.standing(&last, deadline).await, &last, subject)
        {
            next = Next::Ask(CUSTOM_CHALLENGE);
        }
        if let Next::Fail(reason) = next {
            // Without a ring there is no pseudonym; that the sign-in failed is told all the same.
            let ring = self.ring().await.ok();
            let record = AuditRecord::new(AuditCode::StepUpRefused, self.clock.now()).because(reason);
            self.store(&about(record, sign_in, ring.as_deref()))?;
        }
        Ok(next)
    }

    /// Starts a challenge, or takes up the one that waits for its answer.
    ///
    /// # Errors
    /// [`Refusal`] when 1Kosmos is not to be had.
    pub async fn create(&self, sign_in: &SignIn, deadline: Deadline) -> Result<Created, Refusal> {
        match self.challenge(sign_in, deadline).await {
            Ok(created) => Ok(created),
            Err(no) => {
                let ring = self.ring().await.ok();
                let record = no.record(AuditCode::StepUpRefused, self.clock.now());
                self.store(&about(record, sign_in, ring.as_deref()))?;
                Err(no.refusal)
            }
        }
    }

    async fn challenge(&self, sign_in: &SignIn, deadline: Deadline) -> Result<Created, No> {
        let ring = self.ring().await?;
        let key = binding_key(&ring)?;
        let attempts = define::challenges(&sign_in.past);
        let subject = match sign_in.subject(self.settings.minimum_ial, self.clock.now()) {
            Ok(subject) => subject,
            Err(reason) => return self.decoy(&ring, sign_in, &attempts, reason, deadline).await,
        };
        if let Some(last) = attempts.last() {
            let standing = self.standing(last, deadline).await;
            // Where no more may be started the last one is asked about once more, and *define* ends it.
            if is_open(standing, last, &subject) || attempts.len() >= MAXIMUM_CHALLENGES {
                return Ok(self.created(key, last, None, &subject, attempts.len()));
            }
        }
        let reason =
            sign_in.metadata.get(REASON_METADATA).and_then(|text| ReasonCode::new(text)).unwrap_or_default();
        let of_round = self.round_key(key, sign_in, attempts.len());
        let fresh = || IdempotencyKey::random().map_err(|_| No::because("no_random_bytes", Refusal::NotNow));
        let first = of_round.clone().map_or_else(fresh, Ok)?;
        let mut challenge =
            self.provider.start_step_up(&subject, &reason, &first, self.left(deadline)).await?;
        // A repeated key gives an old challenge back: one that was answered already proves nothing of this sign-in.
        if of_round.is_some() {
            let standing = self.provider.step_up_result(&challenge.id, self.left(deadline)).await?;
            if !matches!(standing, ChallengeResult::Pending) {
                let left = self.left(deadline);
                challenge = self.provider.start_step_up(&subject, &reason, &fresh()?, left).await?;
            }
        }
        let mut record = AuditRecord::new(AuditCode::StepUpStarted, self.clock.now()).because(reason.told());
        record.challenge_id = Some(challenge.id.as_str().to_owned());
        self.store(&about(record, sign_in, Some(&ring))).map_err(|refusal| No::because("audit", refusal))?;
        Ok(self.created(key, &challenge.id, Some(&challenge), &subject, attempts.len().saturating_add(1)))
    }

    /// What the app gets to see, of a challenge that was just started or that still waits.
    fn created(
        &self,
        key: &Key,
        challenge: &ChallengeId,
        started: Option<&Challenge>,
        subject: &Subject,
        attempt: usize,
    ) -> Created {
        // Without a password before it, the form of the id must not tell who exists.
        let public_id = match self.settings.first_factor {
            FirstFactor::Password => challenge.as_str().to_owned(),
            FirstFactor::None => masked(key, challenge.as_str()),
        };
        let mut public = Attributes::from([
            ("challenge_id".to_owned(), public_id.clone()),
            ("status".to_owned(), if started.is_some() { "started" } else { "pending" }.to_owned()),
            ("attempt".to_owned(), attempt.to_string()),
        ]);
        let link = started.and_then(|challenge| challenge.link.as_ref());
        if let (FirstFactor::Password, Some(link)) = (self.settings.first_factor, link) {
            public.insert("challenge_url".to_owned(), link.as_str().to_owned());
        }
        let private = [
            (private::CHALLENGE, challenge.as_str().to_owned()),
            (private::SUBJECT, subject.as_str().to_owned()),
            (private::PUBLIC, public_id),
        ];
        let private = private.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Created { public, private, note: define::note(challenge) }
    }

    /// For somebody who does not exist or has no face to show: what everybody else gets who does not answer, with as many calls,
    /// and nothing behind it.
    async fn decoy(
        &self,
        ring: &KeyRing,
        sign_in: &SignIn,
        attempts: &[ChallengeId],
        reason: &'static str,
        deadline: Deadline,
    ) -> Result<Created, No> {
        let no_random = |_| No::because("no_random_bytes", Refusal::NotNow);
        let id = if let Some(last) = attempts.last() {
            last.clone()
        } else {
            let random = IdempotencyKey::random().map_err(no_random)?;
            let digits: String = random.as_str().chars().take(32).collect();
            // The prefix keeps it from ever being a challenge of 1Kosmos'.
            let id = ChallengeId::new(&format!("none-{digits}"));
            id.ok_or_else(|| No::because("challenge_id", Refusal::NotNow))?
        };
        let asked = self.provider.step_up_result(&id, self.left(deadline)).await;
        if attempts.is_empty() {
            if let Err(error @ ProviderError::Failed(_)) = asked {
                return Err(error.into());
            }
            let record = AuditRecord::new(AuditCode::StepUpRefused, self.clock.now()).because(reason);
            self.store(&about(record, sign_in, Some(ring)))
                .map_err(|refusal| No::because("audit", refusal))?;
        }
        let public_id = masked(binding_key(ring)?, id.as_str());
        let status = if attempts.is_empty() { "started" } else { "pending" };
        let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Ok(Created {
            public: Attributes::from([
                own("challenge_id", &public_id),
                own("status", status),
                own("attempt", "1"),
            ]),
            private: Attributes::from([
                own(private::CHALLENGE, id.as_str()),
                own(private::PUBLIC, &public_id),
            ]),
            note: define::note(&id),
        })
    }

    /// Where a challenge stands. Without a password before it, one that ended without an answer stays as it was, as with
    /// somebody who does not exist: what nobody answered must not tell who could have.
    async fn standing(
        &self,
        challenge: &ChallengeId,
        deadline: Deadline,
    ) -> Result<ChallengeResult, ProviderError> {
        let standing = self.provider.step_up_result(challenge, self.left(deadline)).await;
        match (self.settings.first_factor, standing) {
            (FirstFactor::None, Ok(ChallengeResult::Expired) | Err(ProviderError::NotFound)) => {
                Ok(ChallengeResult::Pending)
            }
            (_, standing) => standing,
        }
    }

    /// The key of a round; none without the app's nonce. Then nothing tells two sign-ins from two calls for one, so each call
    /// has a key of its own: rather a second push than somebody else's answer.
    fn round_key(&self, key: &Key, sign_in: &SignIn, attempt: usize) -> Option<IdempotencyKey> {
        let nonce = sign_in.metadata.get(NONCE_METADATA).filter(|nonce| (22..=128).contains(&nonce.len()))?;
        let (pool, name) = (sign_in.user.pool.as_str(), sign_in.user.username.as_str());
        let minute = minute_of(self.clock.now()).unix_seconds().to_string();
        Some(IdempotencyKey::of(key, &["step-up", pool, name, nonce, &minute, &attempt.to_string()]))
    }

    /// Whether the challenge was answered by the person whose it is.
    ///
    /// # Errors
    /// [`Refusal`] when the outcome could not be recorded.
    pub async fn verify(&self, answer: &Answer, deadline: Deadline) -> Result<bool, Refusal> {
        // Before the time is spent on waiting.
        let ring = self.ring().await.ok();
        let (code, reason, detail) = match self.judge(answer, deadline).await {
            Verdict::Passed => (AuditCode::StepUpPassed, None, None),
            Verdict::Pending => (AuditCode::StepUpPending, None, None),
            Verdict::Failed(reason) => (AuditCode::StepUpFailed, Some(reason), None),
            Verdict::NotNow(no) => (AuditCode::StepUpPending, Some(no.reason), no.detail),
        };
        let mut record = AuditRecord::new(code, self.clock.now());
        record.reason = reason.map(str::to_owned);
        record.detail = detail;
        // What the app answers could be anything; what *create* left is a challenge's id.
        record.challenge_id = answer.private.get(private::CHALLENGE).cloned();
        self.store(&about(record, &answer.sign_in, ring.as_deref()))?;
        Ok(code == AuditCode::StepUpPassed)
    }

    async fn judge(&self, answer: &Answer, deadline: Deadline) -> Verdict {
        let left = |name| answer.private.get(name).map(String::as_str);
        let challenge = left(private::CHALLENGE).and_then(ChallengeId::new);
        let (Some(challenge), Some(public)) = (challenge, left(private::PUBLIC)) else {
            return Verdict::Failed("no_challenge");
        };
        if answer.answer != public {
            return Verdict::Failed("wrong_answer");
        }
        // Read again: the assurance may have been taken away since the challenge was started.
        let subject = match (
            answer.sign_in.subject(self.settings.minimum_ial, self.clock.now()),
            left(private::SUBJECT),
        ) {
            (Ok(subject), Some(asked)) if subject.as_str() == asked => Ok(subject),
            (Ok(_), _) => return Verdict::Failed("wrong_subject"),
            (Err(reason), _) => Err(reason),
        };
        loop {
            let standing = self.standing(&challenge, deadline).await;
            // Where there is no face to show, it takes as long as with somebody who does not answer.
            if let Ok(subject) = &subject {
                match standing {
                    Ok(ChallengeResult::Completed(answered)) => return judge(&answered, &challenge, subject),
                    Ok(ChallengeResult::Expired) => return Verdict::Failed("expired"),
                    Err(ProviderError::NotFound) => return Verdict::Failed("unknown_challenge"),
                    Err(error @ ProviderError::Failed(_)) => return Verdict::NotNow(error.into()),
                    Ok(ChallengeResult::Pending) => {}
                }
            } else if let Err(error @ ProviderError::Failed(_)) = standing {
                return Verdict::NotNow(error.into());
            }
            if self.left(deadline) < POLL.saturating_mul(2) {
                return subject.map_or_else(Verdict::Failed, |_| Verdict::Pending);
            }
            self.clock.sleep(POLL).await;
        }
    }
}

/// How an answer is judged.
enum Verdict {
    Passed,
    /// Not yet.
    Pending,
    Failed(&'static str),
    /// 1Kosmos is not to be had; the answer can be given again.
    NotNow(No),
}

fn judge(answered: &Answered, challenge: &ChallengeId, subject: &Subject) -> Verdict {
    match answered {
        answered if answered.challenge != *challenge => Verdict::Failed("wrong_challenge"),
        answered if answered.subject != *subject => Verdict::Failed("wrong_subject"),
        answered if !answered.liveness_verified => Verdict::Failed("no_liveness"),
        answered if !answered.match_result => Verdict::Failed("no_match"),
        _ => Verdict::Passed,
    }
}

/// Whether the challenge still waits for its answer, or has a good one. While 1Kosmos cannot be asked it is taken to wait: a new
/// push would not help.
fn is_open(
    standing: Result<ChallengeResult, ProviderError>,
    challenge: &ChallengeId,
    subject: &Subject,
) -> bool {
    match standing {
        Ok(ChallengeResult::Pending) | Err(ProviderError::Failed(_)) => true,
        Ok(ChallengeResult::Completed(answered)) => {
            matches!(judge(&answered, challenge, subject), Verdict::Passed)
        }
        Ok(ChallengeResult::Expired) | Err(ProviderError::NotFound) => false,
    }
}

fn masked(key: &Key, id: &str) -> String {
    hex(&key.secret.mac(&[b"idv-callback/challenge/1\n", id.as_bytes()]).to_bytes())
}

fn about(record: AuditRecord, sign_in: &SignIn, ring: Option<&KeyRing>) -> AuditRecord {
    match ring {
        Some(ring) => record.of_user(&ring.audit, &sign_in.user.pool, sign_in.sub()),
        None => record.of_pool(&sign_in.user.pool),
    }
}
