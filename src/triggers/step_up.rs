//! The three triggers of custom authentication: password first, then the face of the person who was proofed.
//!
//! *Define* says what comes next, *create* starts a challenge at 1Kosmos, *verify* asks how it was answered (developer guide,
//! "Custom authentication challenge Lambda triggers"). They share nothing but what Cognito carries between them: the
//! challenges so far, each with its name, its result and the note that *create* left on it.

mod define;
mod sign_in;

use std::time::Duration;

pub use define::{CUSTOM_CHALLENGE, Next, PASSWORD_VERIFIER, Past, SRP_A};
pub use sign_in::SignIn;

use super::{Attributes, Denial, FirstFactor, Refusal, Triggers, binding_key};
use crate::audit::{AuditCode, AuditRecord};
use crate::hex::hex;
use crate::key_ring::{Key, KeyRing};
use crate::metrics::PROVIDER;
use crate::ports::{AuditSink, CallbackQueue, Clock, Deadline, KeyStore, ProofingProvider, ProviderError};
use crate::proofing::{
    Challenge, ChallengeId, ChallengeOutcome, ChallengeResult, IdempotencyKey, ReasonCode,
};
use crate::verification::Subject;

/// What an app passes on when it answers the password: what the step-up is for. Cognito gives the triggers what
/// `RespondToAuthChallenge` brings, and not what `InitiateAuth` brings (API reference, `InitiateAuth`, `ClientMetadata`).
pub const REASON_METADATA: &str = "reason_code";

/// How long to wait between two looks at a challenge.
const POLL: Duration = Duration::from_millis(500);

/// How many challenges one sign-in may start.
pub const MAXIMUM_CHALLENGES: usize = 3;

/// How many answers one sign-in may give, those that came too early included.
pub const MAXIMUM_ROUNDS: usize = 12;

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
pub struct ChallengeAnswer {
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
    /// [`Refusal`] when 1Kosmos is unavailable.
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

    async fn challenge(&self, sign_in: &SignIn, deadline: Deadline) -> Result<Created, Denial> {
        let ring = self.ring().await?;
        let key = binding_key(&ring)?;
        let attempts = define::challenges(&sign_in.past);
        if attempts.is_empty() && self.settings.first_factor == FirstFactor::None {
            self.probe(&ring, deadline).await?;
        }
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
        let asked = sign_in.metadata.get(REASON_METADATA);
        let reason = asked.and_then(|text| ReasonCode::new(text)).unwrap_or_default();
        let challenge = match self.start(&subject, reason.clone(), deadline).await? {
            Ok(challenge) => challenge,
            // Without a password before it, that somebody's challenge cannot be started must not tell that they have a face to
            // show: everybody gets what those get who have none.
            Err(_) if self.settings.first_factor == FirstFactor::None => {
                let record = AuditRecord::new(AuditCode::StepUpRefused, self.clock.now()).because(PROVIDER);
                self.store(&about(record, sign_in, Some(&ring)))
                    .map_err(|refusal| Denial::because("audit", refusal))?;
                return decoy_of(&ring, &attempts);
            }
            Err(error) => return Err(error.into()),
        };
        let mut record = AuditRecord::new(AuditCode::StepUpStarted, self.clock.now()).because(reason.told());
        record.challenge_id = Some(challenge.id.as_str().to_owned());
        // Some SDKs send something else in its place, and an app should learn that.
        record.detail = asked.is_none().then(|| "no_reason_code".to_owned());
        self.store(&about(record, sign_in, Some(&ring)))
            .map_err(|refusal| Denial::because("audit", refusal))?;
        Ok(self.created(key, &challenge.id, Some(&challenge), &subject, attempts.len().saturating_add(1)))
    }

    /// Whether 1Kosmos answers at all, asked in the same way whoever signs in: while it does not, everybody gets the same error.
    async fn probe(&self, ring: &KeyRing, deadline: Deadline) -> Result<(), Denial> {
        let decoy = decoy_of(ring, &[])?;
        let Some(id) = decoy.private.get(private::CHALLENGE).and_then(|id| ChallengeId::new(id)) else {
            return Ok(());
        };
        match self.provider.step_up_result(&id, self.left(deadline)).await {
            Err(error @ ProviderError::Failed(_)) => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Starts a challenge under a key of its own: one answer is for one sign-in, however often an app sends the same. The
    /// provider may not know the app's reason; then it is asked without.
    async fn start(
        &self,
        subject: &Subject,
        reason: ReasonCode,
        deadline: Deadline,
    ) -> Result<Result<Challenge, ProviderError>, Denial> {
        let fresh =
            || IdempotencyKey::random().map_err(|_| Denial::because("no_random_bytes", Refusal::NotNow));
        let started = self.provider.start_step_up(subject, &reason, &fresh()?, self.left(deadline)).await;
        match started {
            Err(ProviderError::Refused(_)) if reason != ReasonCode::default() => {
                let (plain, key) = (ReasonCode::default(), fresh()?);
                Ok(self.provider.start_step_up(subject, &plain, &key, self.left(deadline)).await)
            }
            started => Ok(started),
        }
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
    ) -> Result<Created, Denial> {
        let decoy = decoy_of(ring, attempts)?;
        // Asked for the time that it takes: it stands for the start of a challenge.
        if let Some(id) = decoy.private.get(private::CHALLENGE).and_then(|id| ChallengeId::new(id)) {
            drop(self.provider.step_up_result(&id, self.left(deadline)).await);
        }
        if attempts.is_empty() {
            let record = AuditRecord::new(AuditCode::StepUpRefused, self.clock.now()).because(reason);
            self.store(&about(record, sign_in, Some(ring)))
                .map_err(|refusal| Denial::because("audit", refusal))?;
        }
        Ok(decoy)
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

    /// Whether the challenge was answered by the person whose it is.
    ///
    /// # Errors
    /// [`Refusal`] when the outcome could not be recorded.
    pub async fn verify(&self, answer: &ChallengeAnswer, deadline: Deadline) -> Result<bool, Refusal> {
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

    async fn judge(&self, answer: &ChallengeAnswer, deadline: Deadline) -> Verdict {
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
            (Ok(subject), Some(asked)) if subject.as_str().eq_ignore_ascii_case(asked) => Ok(subject),
            // A decoy of somebody who has a face to show: it takes as long as with everybody else.
            (Ok(_), None) if self.settings.first_factor == FirstFactor::None => Err("no_challenge"),
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
                    Ok(ChallengeResult::Denied) => return Verdict::Failed("denied"),
                    Err(ProviderError::NotFound) => return Verdict::Failed("unknown_challenge"),
                    Err(error @ (ProviderError::Failed(_) | ProviderError::Refused(_))) => {
                        return Verdict::NotNow(error.into());
                    }
                    Ok(ChallengeResult::Pending) => {}
                }
            } else if let Err(error @ (ProviderError::Failed(_) | ProviderError::Refused(_))) = standing {
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
    /// 1Kosmos is unavailable; the answer can be given again.
    NotNow(Denial),
}

fn judge(answered: &ChallengeOutcome, challenge: &ChallengeId, subject: &Subject) -> Verdict {
    match answered {
        answered if answered.challenge != *challenge => Verdict::Failed("wrong_challenge"),
        answered if !answered.subject.is(subject) => Verdict::Failed("wrong_subject"),
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
        Ok(ChallengeResult::Pending) | Err(ProviderError::Failed(_) | ProviderError::Refused(_)) => true,
        Ok(ChallengeResult::Completed(answered)) => {
            matches!(judge(&answered, challenge, subject), Verdict::Passed)
        }
        Ok(ChallengeResult::Expired | ChallengeResult::Denied) | Err(ProviderError::NotFound) => false,
    }
}

/// A challenge with nothing behind it: the one that was handed out before, or a new one.
fn decoy_of(ring: &KeyRing, attempts: &[ChallengeId]) -> Result<Created, Denial> {
    let id = if let Some(last) = attempts.last() {
        last.clone()
    } else {
        let random = IdempotencyKey::random();
        let random = random.map_err(|_| Denial::because("no_random_bytes", Refusal::NotNow))?;
        let digits: String = random.as_str().chars().take(32).collect();
        // The prefix keeps it from ever being a challenge of 1Kosmos'.
        let id = ChallengeId::new(&format!("none-{digits}"));
        id.ok_or_else(|| Denial::because("challenge_id", Refusal::NotNow))?
    };
    let public_id = masked(binding_key(ring)?, id.as_str());
    let status = if attempts.is_empty() { "started" } else { "pending" };
    let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Ok(Created {
        public: Attributes::from([
            own("challenge_id", &public_id),
            own("status", status),
            own("attempt", "1"),
        ]),
        private: Attributes::from([own(private::CHALLENGE, id.as_str()), own(private::PUBLIC, &public_id)]),
        note: define::note(&id),
    })
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
