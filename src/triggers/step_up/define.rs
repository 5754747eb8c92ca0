//! What comes next in a sign-in: a function of the challenges so far. No I/O, no clock.

use super::{MAXIMUM_CHALLENGES, MAXIMUM_ROUNDS};
use crate::proofing::ChallengeId;
use crate::triggers::FirstFactor;

/// The app began the password's protocol. Its result is true from the start: it proves nothing.
pub const SRP_A: &str = "SRP_A";

/// The password, checked by Cognito.
pub const PASSWORD_VERIFIER: &str = "PASSWORD_VERIFIER";

/// Ours.
pub const CUSTOM_CHALLENGE: &str = "CUSTOM_CHALLENGE";

/// What Cognito may ask for by itself between the password and us (API reference, `ChallengeNameType`).
const OF_COGNITO: [&str; 6] =
    ["SMS_MFA", "EMAIL_OTP", "SOFTWARE_TOKEN_MFA", "DEVICE_SRP_AUTH", "DEVICE_PASSWORD_VERIFIER", "SMS_OTP"];

/// What the note on our challenges begins with.
const NOTE: &str = "idv-step-up/1 ";

/// The end after three challenges.
pub(super) const TOO_MANY: &str = "too_many_attempts";

/// A challenge of the past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// Its name: what tells a password from anything else.
    pub name: String,
    /// Whether the answer was right.
    pub correct: bool,
    /// The note that *create* left on it.
    pub note: String,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// This challenge.
    Ask(&'static str),
    /// Tokens.
    IssueTokens,
    /// The end, and why.
    Fail(&'static str),
}

/// The note on a challenge.
pub(super) fn note(challenge: &ChallengeId) -> String {
    format!("{NOTE}{}", challenge.as_str())
}

/// The challenges that this sign-in started, in order, each once.
pub(super) fn challenges(past: &[Past]) -> Vec<ChallengeId> {
    let mut found: Vec<ChallengeId> = Vec::new();
    for id in past.iter().filter_map(noted) {
        if !found.contains(&id) {
            found.push(id);
        }
    }
    found
}

/// The last challenge, where it is the last one that may be and there is a round left to answer it late.
pub(super) fn last_waiting(past: &[Past]) -> Option<ChallengeId> {
    let rounds = past.iter().filter(|past| past.name == CUSTOM_CHALLENGE).count();
    let last = past.last().and_then(noted)?;
    (challenges(past).len() == MAXIMUM_CHALLENGES && rounds < MAXIMUM_ROUNDS).then_some(last)
}

fn noted(past: &Past) -> Option<ChallengeId> {
    ChallengeId::new(past.note.strip_prefix(NOTE)?).filter(|_| past.name == CUSTOM_CHALLENGE)
}

/// `unfit` says why the user has no face to show, if they have none; `elsewhere`, that a right password would lead them past us.
pub(super) fn next(first: FirstFactor, unfit: Option<&'static str>, elsewhere: bool, past: &[Past]) -> Next {
    let ours = match after_password(first, elsewhere, past) {
        Ok(ours) => ours,
        Err(next) => return next,
    };
    // Who knows the password may learn that there is nothing to go on with; without one, everybody goes the same road.
    if let (FirstFactor::Password, Some(reason)) = (first, unfit) {
        return Next::Fail(reason);
    }
    if ours.iter().any(|past| past.name != CUSTOM_CHALLENGE) {
        return Next::Fail("unknown_challenge");
    }
    // Answers that came too early are all to one challenge. What has no note of ours counts by itself.
    let attempts = challenges(ours).len().saturating_add(ours.iter().filter(|p| noted(p).is_none()).count());
    match ours.last() {
        Some(last) if last.correct => unfit.map_or(Next::IssueTokens, Next::Fail),
        _ if attempts >= MAXIMUM_CHALLENGES || ours.len() >= MAXIMUM_ROUNDS => Next::Fail(TOO_MANY),
        _ => Next::Ask(CUSTOM_CHALLENGE),
    }
}

/// What comes after the password and after what Cognito asks for by itself.
fn after_password(first: FirstFactor, elsewhere: bool, past: &[Past]) -> Result<&[Past], Next> {
    let rest = match (past, first) {
        ([begun], _) if begun.name == SRP_A && elsewhere => return Err(Next::Fail("user_status")),
        ([begun], _) if begun.name == SRP_A => return Err(Next::Ask(PASSWORD_VERIFIER)),
        ([begun, password, rest @ ..], _) if begun.name == SRP_A && password.name == PASSWORD_VERIFIER => {
            if !password.correct {
                return Err(Next::Fail("password"));
            }
            rest
        }
        (rest, FirstFactor::None) if rest.first().is_none_or(|past| past.name == CUSTOM_CHALLENGE) => rest,
        // Neither a password nor a way around it that is allowed.
        _ => return Err(Next::Fail("no_password")),
    };
    let of_cognito = rest.iter().take_while(|past| OF_COGNITO.contains(&past.name.as_str()));
    let passed = of_cognito.clone().all(|past| past.correct);
    let ours = rest.get(of_cognito.count()..).unwrap_or_default();
    if passed { Ok(ours) } else { Err(Next::Fail("second_factor")) }
}
