//! What is said to 1Kosmos and what it answers: proofing sessions and step-up challenges. The vendor's JSON of its API does
//! not leave this file. 1Kosmos publishes no such contract; this is the one that this project goes by (ARCHITECTURE.md).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::delivery::{NoResult, PayloadError, Reading, Unreadable, parse_payload};
use crate::hex::hex;
use crate::key_ring::Key;
use crate::strict_json::{self, Member, Members};
use crate::timestamp::Timestamp;
use crate::verification::{BindingToken, Outcome, SessionId, Subject, UserReference, VerificationEvent};
use crate::vocabulary::{self, EventTypes, Status};

/// How long a person has for a step-up challenge, in seconds. The pool's app client must keep a sign-in open for as long
/// (`AuthSessionValidity`, 3 to 15 minutes).
pub const STEP_UP_SECONDS: u64 = 300;

/// The documents that a session asks for.
const DOCUMENT_TYPES: [&str; 2] = ["drivers_license", "passport"];

/// What makes repeated requests one: 64 hexadecimal digits (IETF draft "The Idempotency-Key HTTP Header Field").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key of what these parts say, which nobody can tell without our key.
    pub fn of(key: &Key, parts: &[&str]) -> Self {
        let lengths: Vec<_> = parts.iter().map(|part| format!("{}:", part.len())).collect();
        let mut bytes: Vec<&[u8]> = vec![b"idv-callback/idempotency/1\n"];
        for (length, part) in lengths.iter().zip(parts) {
            bytes.extend([length.as_bytes(), part.as_bytes()]);
        }
        Self(hex(&key.secret.mac(&bytes).to_bytes()))
    }

    /// A key that nothing else has.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(hex(&bytes)))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The promise that a browser makes at sign-up, and later keeps by showing what it is the digest of: base64url of SHA-256, as
/// `S256` of PKCE (RFC 7636 section 4.2). It is on the user as `custom:idv_claim`. Two are the same without regard to case: an
/// attribute's value may come back in another one, and 43 letters tell enough without.
#[derive(Clone)]
pub struct Claim(String);

impl PartialEq for Claim {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Claim {}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Claim(<redacted>)")
    }
}

impl Claim {
    /// Takes 43 characters of base64url.
    pub fn new(text: &str) -> Option<Self> {
        (text.len() == 43 && text.bytes().all(is_base64url)).then(|| Self(text.to_owned()))
    }

    /// The claim that this verifier fulfils; a verifier has 43 to 128 characters of base64url.
    pub fn of_verifier(verifier: &str) -> Option<Self> {
        let fits = (43..=128).contains(&verifier.len()) && verifier.bytes().all(is_base64url);
        fits.then(|| Self(URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// The id of a step-up challenge: 1 to 128 of `A-Z a-z 0-9 . _ : -`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChallengeId(String);

impl ChallengeId {
    /// Takes the text as a challenge's id.
    pub fn new(text: &str) -> Option<Self> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._:-".contains(c);
        ((1..=128).contains(&text.len()) && text.chars().all(allowed)).then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where a person goes. Whoever has it may go there in their place, so it is never logged and has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonalLink(String);

impl PersonalLink {
    /// Takes an `https` URL, or one of this machine.
    pub fn new(text: &str) -> Option<Self> {
        let local = ["http://127.0.0.1:", "http://localhost:"].iter().any(|start| text.starts_with(start));
        let scheme = text.starts_with("https://") || local;
        let fits = scheme && text.len() <= 2048 && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
    }

    /// The text, for the person.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An answer of 1Kosmos that is not what the contract says: the name of the member that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadAnswer(pub &'static str);

impl fmt::Display for BadAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bad_answer:{}", self.0)
    }
}

/// A request for a proofing session.
pub struct SessionRequest {
    /// For whom.
    pub user: UserReference,
    /// The proof that it was asked for at this user's sign-up, or before it.
    pub binding: BindingToken,
    /// Whether 1Kosmos is to call back. Where the result is fetched at the sign-up that follows there is nobody yet to call
    /// back about.
    pub calls_back: bool,
}

impl SessionRequest {
    /// The body: `POST /v1/verify/sessions`.
    pub fn body(&self, callback_url: &str) -> String {
        let mut body = json!({
            "document_types": DOCUMENT_TYPES,
            "liveness_mode": "active",
            "metadata": {
                "cognito_user_pool": self.user.pool.as_str(),
                "cognito_username": self.user.username.as_str(),
                "binding": self.binding.as_str(),
            },
        });
        if let (true, Value::Object(members)) = (self.calls_back, &mut body) {
            members.insert("callback_url".to_owned(), json!(callback_url));
        }
        body.to_string()
    }
}

/// A proofing session that was opened.
pub struct OpenedSession {
    /// Its id.
    pub id: SessionId,
    /// Where the person goes, where it is told here and not by 1Kosmos itself.
    pub link: Option<PersonalLink>,
}

impl OpenedSession {
    /// Reads the answer.
    ///
    /// # Errors
    /// [`BadAnswer`] names the member.
    pub fn read(body: &[u8]) -> Result<Self, BadAnswer> {
        let answer = object(body)?;
        let id = member(&answer, &["session_id", "sessionId"]).and_then(name);
        let id = id.and_then(|id| SessionId::new(&id).ok()).ok_or(BadAnswer("session_id"))?;
        Ok(Self { id, link: link(&answer, &["session_url", "url"])? })
    }
}

/// The result of a proofing session as it was fetched.
pub enum SessionResult {
    /// Nothing is decided yet.
    Pending,
    /// It ended like this.
    Ended(Box<VerificationEvent>),
}

impl SessionResult {
    /// Reads the answer: the payload of a callback, or `pending`.
    ///
    /// # Errors
    /// [`PayloadError`], as of a callback.
    pub fn read(body: &[u8], now: Timestamp) -> Result<Self, PayloadError> {
        Ok(match parse_payload(body, None, now, &EventTypes::default()) {
            Ok(Reading::Event(event, _)) if event.outcome == Outcome::InProgress => Self::Pending,
            Ok(Reading::Event(event, _)) => Self::Ended(event),
            Ok(Reading::NoResult(NoResult::Progress, _)) => Self::Pending,
            Ok(Reading::NoResult(..)) => {
                return Err(PayloadError::Field("event_type", Unreadable::Malformed));
            }
            Err(error) => return Err(error),
        })
    }
}

/// What a step-up is for: `high_value_transaction`. 1 to 64 small letters, digits and underscores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReasonCode(String);

impl ReasonCode {
    /// Those that are told in the audit log. What else an app says could be anything.
    const TOLD: [&'static str; 6] =
        ["sign_in", "high_value_transaction", "payment", "account_change", "account_recovery", "data_access"];

    /// Takes the text as a reason.
    pub fn new(text: &str) -> Option<Self> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        ((1..=64).contains(&text.len()) && text.chars().all(allowed)).then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The word for the audit log.
    pub fn told(&self) -> &'static str {
        Self::TOLD.into_iter().find(|word| *word == self.0).unwrap_or("other")
    }
}

impl Default for ReasonCode {
    fn default() -> Self {
        Self("sign_in".to_owned())
    }
}

/// A step-up challenge that was started.
pub struct Challenge {
    /// Its id.
    pub id: ChallengeId,
    /// Where the person goes, if they are not told by their device.
    pub link: Option<PersonalLink>,
}

impl Challenge {
    /// The body: `POST /v1/auth/stepup`.
    pub fn body(subject: &Subject, reason: &ReasonCode) -> String {
        json!({
            "user_id": subject.as_str(),
            "reason_code": reason.as_str(),
            "timeout_seconds": STEP_UP_SECONDS,
        })
        .to_string()
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// [`BadAnswer`] names the member.
    pub fn read(body: &[u8]) -> Result<Self, BadAnswer> {
        let answer = object(body)?;
        let link = link(&answer, &["challenge_url"])?;
        let id = ChallengeId::new(&text(&answer, "challenge_id")?).ok_or(BadAnswer("challenge_id"))?;
        Ok(Self { id, link })
    }
}

/// How a step-up challenge stands.
#[derive(Clone)]
pub enum ChallengeResult {
    /// The person has not answered yet.
    Pending,
    /// The person did not answer in time.
    Expired,
    /// The word for it is a "no", whatever the flags say: somebody shows their face, and then refuses.
    Denied,
    /// The person answered.
    Completed(ChallengeOutcome),
}

/// How the person answered a challenge.
#[derive(Clone)]
pub struct ChallengeOutcome {
    /// Which challenge.
    pub challenge: ChallengeId,
    /// Whose.
    pub subject: Subject,
    /// Whether the face is that of the subject.
    pub match_result: bool,
    /// Whether a living person was in front of the camera.
    pub liveness_verified: bool,
}

impl ChallengeResult {
    /// Reads the answer.
    ///
    /// # Errors
    /// [`BadAnswer`] names the member.
    pub fn read(body: &[u8]) -> Result<Self, BadAnswer> {
        let answer = object(body)?;
        let flag = |name| match answer.get(name) {
            Some(Member::Flag(flag)) => Ok(flag),
            _ => Err(BadAnswer(name)),
        };
        let answered =
            ["match_result", "liveness_verified"].iter().any(|name| member(&answer, &[name]).is_some());
        let mut said_completed = false;
        let word = match member(&answer, &["status"]) {
            None => None,
            Some(Member::Text(Some(word)))
                if COMPLETED.iter().any(|known| known.eq_ignore_ascii_case(&word)) =>
            {
                said_completed = true;
                None
            }
            Some(Member::Text(Some(word))) => Some(vocabulary::status(&word).ok_or(BadAnswer("status"))?),
            Some(_) => return Err(BadAnswer("status")),
        };
        match word {
            Some(Status::InProgress | Status::InReview) => return Ok(Self::Pending),
            Some(Status::Expired) => return Ok(Self::Expired),
            Some(Status::Declined | Status::Abandoned) => return Ok(Self::Denied),
            None if !said_completed && !answered => return Ok(Self::Pending),
            // A "yes" is told by word, match and liveness together.
            Some(Status::Approved) | None => {}
        }
        let challenge = ChallengeId::new(&text(&answer, "challenge_id")?);
        Ok(Self::Completed(ChallengeOutcome {
            challenge: challenge.ok_or(BadAnswer("challenge_id"))?,
            subject: Subject::new(&text(&answer, "user_id")?).map_err(|_| BadAnswer("user_id"))?,
            match_result: flag("match_result")?,
            liveness_verified: flag("liveness_verified")?,
        }))
    }
}

/// The word of a challenge that was answered, which tells nothing of how.
const COMPLETED: [&str; 2] = ["completed", "answered"];

/// A member under any of its names; `null` is the same as not there.
fn member<'m>(members: &Members<'m>, names: &[&str]) -> Option<Member<'m>> {
    names.iter().filter_map(|name| members.get(name)).find(|value| !matches!(value, Member::Null))
}

fn link(members: &Members<'_>, names: &[&'static str]) -> Result<Option<PersonalLink>, BadAnswer> {
    let bad = BadAnswer(names.first().copied().unwrap_or_default());
    match member(members, names) {
        None => Ok(None),
        Some(Member::Text(Some(text))) => PersonalLink::new(&text).map(Some).ok_or(bad),
        Some(_) => Err(bad),
    }
}

fn object(body: &[u8]) -> Result<Members<'_>, BadAnswer> {
    strict_json::read_members(body).map_err(|_| BadAnswer("json"))
}

/// A name: a text, or a whole number as it is written.
fn name(value: Member<'_>) -> Option<String> {
    match value {
        Member::Text(text) => text,
        Member::Number(number) if number.bytes().all(|byte| byte.is_ascii_digit()) => Some(number.to_owned()),
        _ => None,
    }
}

fn text(members: &Members<'_>, field: &'static str) -> Result<String, BadAnswer> {
    members.get(field).and_then(name).ok_or(BadAnswer(field))
}

#[cfg(test)]
mod tests {
    use super::{ChallengeResult, Claim, PersonalLink, ReasonCode};

    /// RFC 7636, appendix B.
    #[test]
    fn a_claim_is_the_digest_of_its_verifier() {
        let claim = Claim::of_verifier("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").unwrap();
        assert_eq!(claim.as_str(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert!(Claim::of_verifier("short").is_none() && Claim::new("short").is_none());
    }

    #[test]
    fn what_is_not_said_outright_is_no_answer() {
        for body in [
            r#"{"status":"completed","challenge_id":"c","user_id":"u","match_result":true}"#,
            r#"{"status":"completed","challenge_id":"c","user_id":"u","match_result":"true","liveness_verified":true}"#,
            r#"{"status":"completed","challenge_id":"c","challenge_id":"d","user_id":"u","match_result":true,"liveness_verified":true}"#,
            r#"{"status":"completed","user_id":"u","match_result":true,"liveness_verified":true}"#,
            r#"{"challenge_id":"c","user_id":"u","match_result":true}"#,
            r#"{"status":"done"}"#,
            r#"{"status":7}"#,
            "",
        ] {
            assert!(ChallengeResult::read(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn an_answer_is_told_by_word_match_and_liveness() {
        let yes = r#""challenge_id":"c","user_id":"u","match_result":true,"liveness_verified":true"#;
        for body in [
            format!("{{{yes}}}"),
            format!(r#"{{"status":"success",{yes}}}"#),
            format!(r#"{{"status":null,{yes}}}"#),
        ] {
            let read = ChallengeResult::read(body.as_bytes());
            assert!(matches!(read, Ok(ChallengeResult::Completed(_))), "{body}");
        }
        for word in ["declined", "Failed", "rejected", "denied", "cancelled"] {
            for flags in ["", ",", &format!(",{yes}")] {
                let body = format!(r#"{{"status":"{word}"{}}}"#, flags.trim_end_matches(','));
                assert!(
                    matches!(ChallengeResult::read(body.as_bytes()), Ok(ChallengeResult::Denied)),
                    "{body}"
                );
            }
        }
        for body in [
            "{}",
            r#"{"status":"in_progress"}"#,
            r#"{"status":"pending","x":"\ud800"}"#,
            r#"{"challenge_id":"c","user_id":"u"}"#,
        ] {
            assert!(matches!(ChallengeResult::read(body.as_bytes()), Ok(ChallengeResult::Pending)), "{body}");
        }
        let bare = super::OpenedSession::read(br#"{"sessionId":"vs_1"}"#);
        assert!(bare.is_ok_and(|opened| opened.link.is_none()));
        assert!(super::OpenedSession::read(br#"{"session_id":"vs_1","url":"javascript:1"}"#).is_err());
    }

    #[test]
    fn links_lead_to_the_web_and_reasons_are_words() {
        assert!(PersonalLink::new("https://acme.1kosmos.net/s/1").is_some());
        for link in ["javascript:alert(1)", "http://acme.1kosmos.net/s/1", "https://a b", ""] {
            assert!(PersonalLink::new(link).is_none(), "{link}");
        }
        assert!(ReasonCode::new("to_john.doe").is_none());
        assert_eq!(ReasonCode::new("to_john_doe").unwrap().told(), "other");
    }
}
