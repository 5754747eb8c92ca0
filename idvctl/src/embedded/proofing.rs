//! 1Kosmos as this project's contract has it: sessions and challenges in memory, decided by whoever plays the person.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use idv_callback::ports::{Fault, ProofingProvider, ProviderError};
use idv_callback::proofing::{
    Challenge, ChallengeId, ChallengeOutcome, ChallengeResult, IdempotencyKey, OpenedSession, PersonalLink,
    ReasonCode, SessionRequest, SessionResult,
};
use idv_callback::verification::{BindingToken, SessionId, Subject, Username};

/// A provider in memory. Clones are the same one.
#[derive(Clone, Default)]
pub struct LocalProofing(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    sessions: Vec<Session>,
    challenges: Vec<Asked>,
}

struct Session {
    key: IdempotencyKey,
    id: SessionId,
    username: Username,
    binding: BindingToken,
}

struct Asked {
    key: IdempotencyKey,
    id: ChallengeId,
    subject: Subject,
    result: ChallengeResult,
}

impl LocalProofing {
    /// The session that was opened last for a user of this name, and the binding in its metadata.
    pub fn session_of(&self, username: &str) -> Option<(SessionId, BindingToken)> {
        let state = self.lock();
        let session = state.sessions.iter().rev().find(|session| session.username.as_str() == username)?;
        Some((session.id.clone(), session.binding.clone()))
    }

    /// How many sessions were opened.
    pub fn sessions(&self) -> usize {
        self.lock().sessions.len()
    }

    /// Answers a challenge, as the person before the camera.
    pub fn answer(&self, challenge: &str, match_result: bool) {
        let mut state = self.lock();
        let asked = state.challenges.iter_mut().find(|asked| asked.id.as_str() == challenge);
        if let Some(Asked { id, subject, result, .. }) = asked {
            let (challenge, subject) = (id.clone(), subject.clone());
            *result = ChallengeResult::Completed(ChallengeOutcome {
                challenge,
                subject,
                match_result,
                liveness_verified: true,
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn link(kind: &str, id: &str) -> Result<PersonalLink, ProviderError> {
    let link = PersonalLink::new(&format!("https://acme.1kosmos.example/{kind}/{id}"));
    link.ok_or_else(|| ProviderError::Failed(Fault::new("local", "link")))
}

impl ProofingProvider for LocalProofing {
    async fn open_session(
        &self,
        request: &SessionRequest,
        key: &IdempotencyKey,
        _within: Duration,
    ) -> Result<OpenedSession, ProviderError> {
        let mut state = self.lock();
        let known =
            state.sessions.iter().find(|session| session.key == *key).map(|session| session.id.clone());
        let id = if let Some(id) = known {
            id
        } else {
            let id = SessionId::new(&format!("vs_{}", state.sessions.len().saturating_add(1)));
            let id = id.map_err(|_| ProviderError::Failed(Fault::new("local", "session_id")))?;
            state.sessions.push(Session {
                key: key.clone(),
                id: id.clone(),
                username: request.user.username.clone(),
                binding: request.binding.clone(),
            });
            id
        };
        Ok(OpenedSession { link: Some(link("session", id.as_str())?), id })
    }

    /// Results come as callbacks here.
    async fn session_result(
        &self,
        session: &SessionId,
        _within: Duration,
    ) -> Result<SessionResult, ProviderError> {
        let known = self.lock().sessions.iter().any(|known| known.id == *session);
        if known { Ok(SessionResult::Pending) } else { Err(ProviderError::NotFound) }
    }

    async fn start_step_up(
        &self,
        subject: &Subject,
        _reason: &ReasonCode,
        key: &IdempotencyKey,
        _within: Duration,
    ) -> Result<Challenge, ProviderError> {
        let mut state = self.lock();
        let known = state.challenges.iter().find(|asked| asked.key == *key).map(|asked| asked.id.clone());
        let id = if let Some(id) = known {
            id
        } else {
            let id = ChallengeId::new(&format!("ch_{}", state.challenges.len().saturating_add(1)));
            let id = id.ok_or_else(|| ProviderError::Failed(Fault::new("local", "challenge_id")))?;
            let asked = Asked {
                key: key.clone(),
                id: id.clone(),
                subject: subject.clone(),
                result: ChallengeResult::Pending,
            };
            state.challenges.push(asked);
            id
        };
        Ok(Challenge { link: Some(link("challenge", id.as_str())?), id })
    }

    async fn step_up_result(
        &self,
        challenge: &ChallengeId,
        _within: Duration,
    ) -> Result<ChallengeResult, ProviderError> {
        let state = self.lock();
        let asked = state.challenges.iter().find(|asked| asked.id == *challenge);
        asked.map(|asked| asked.result.clone()).ok_or(ProviderError::NotFound)
    }
}
