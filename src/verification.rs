//! What a proofing provider tells us, in our own words: which user, which session, how it ended.
//!
//! The types hold only values that are safe to store (lengths and characters are checked once, here), and those that
//! identify a person print as `<redacted>`.

mod approval_form;
mod status;

use std::fmt;

use crate::timestamp::Timestamp;
pub use approval_form::ApprovalForm;
pub use status::Status;

/// The text is empty, too long, or holds a character that this identifier may not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $check:expr, personal) => {
        identifier!($(#[$doc])* $name, $check);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(<redacted>)"))
            }
        }
    };
    ($(#[$doc:meta])* $name:ident, $check:expr, opaque) => {
        identifier!($(#[$doc])* $name, $check);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Takes the text as this identifier.
            ///
            /// # Errors
            /// [`Malformed`] when it is empty, too long or holds a character that it may not hold.
            pub fn new(text: &str) -> Result<Self, Malformed> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.to_owned())) } else { Err(Malformed) }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

identifier!(
    /// The provider's id of one event: 1 to 256 visible ASCII characters (a UUID, a URN, a DID, base64).
    EventId, |text| of(text, 256, |c| c.is_ascii_graphic()), opaque
);
identifier!(
    /// The provider's id of one proofing session: 1 to 256 visible ASCII characters.
    SessionId, |text| of(text, 256, |c| c.is_ascii_graphic()), opaque
);
identifier!(
    /// What a callback or the configuration names as a user pool: 1 to 128 of `A-Z a-z 0-9 . _ : -`. Whether it is one
    /// of ours is for the allow-list to say, so its form is looked at there.
    PoolId, |text| of(text, 128, is_token), opaque
);
identifier!(
    /// Who was proofed, as the provider knows them: `custom:blockid_sub`. 1 to 256 visible ASCII characters.
    Subject, |text| of(text, 256, |c| c.is_ascii_graphic()), personal
);
identifier!(
    /// A user's name in the pool: 1 to 128 letters, marks, symbols, numbers and punctuation (Cognito API reference,
    /// `UsernameType`): no blanks, no control characters, nothing that SQS would refuse in a message.
    Username, |text| of(text, 128, is_name_character), personal
);
identifier!(
    /// The type of the evidence shown, in words: `drivers_license`. Lower-case letters and underscores, up to 64, so
    /// that a document's number can never stand here.
    Evidence, is_evidence, opaque
);
identifier!(
    /// The trust framework and its revision: `nist_800_63A-3`. 1 to 64 visible ASCII characters and blanks.
    Framework, |text| of(text, 64, |c| c.is_ascii_graphic() || c == ' ') && text.trim() == text, opaque
);
identifier!(
    /// What a provider calls a kind of event: `verification.completed`. 1 to 64 letters, digits and `. _ : / -`, so that it
    /// can stand in a log.
    EventType, |text| of(text, 64, |c| c.is_ascii_alphanumeric() || "._:/-".contains(c)), opaque
);
identifier!(
    /// The proof that a session was opened for this very user, as it went out in the session's metadata; see
    /// [`crate::binding`]. 1 to 256 of `A-Z a-z 0-9 . _ : -`.
    BindingToken, |text| of(text, 256, is_token), personal
);

fn of(text: &str, most: usize, allowed: fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().count() <= most && text.chars().all(allowed)
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-')
}

/// The pool that synthetic callbacks name. No pool can have this id, as it has no underscore.
pub const SYNTHETIC_POOL: &str = "synthetic-probe";

impl PoolId {
    /// Takes the id of a real pool: `[\w-]+_[0-9a-zA-Z]+`, 1 to 55 characters (Cognito API reference, `UserPoolIdType`).
    ///
    /// # Errors
    /// [`Malformed`] for anything else.
    pub fn of_real_pool(text: &str) -> Result<Self, Malformed> {
        if is_pool_id(text) { Self::new(text) } else { Err(Malformed) }
    }

    /// Whether a callback for this pool is a synthetic one, sent to see that callbacks come through.
    pub fn is_synthetic(&self) -> bool {
        self.as_str() == SYNTHETIC_POOL
    }
}

impl EventType {
    /// What is told of a type that could be anything.
    pub fn unprintable() -> Self {
        Self("unprintable".to_owned())
    }
}

impl BindingToken {
    /// A token that was sent in a form that no token has: it is there, and it proves nothing.
    pub fn malformed() -> Self {
        Self("malformed".to_owned())
    }
}

fn is_pool_id(text: &str) -> bool {
    let Some((region, name)) = text.rsplit_once('_') else { return false };
    text.len() <= 55
        && of(region, 55, |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        && of(name, 55, |c| c.is_ascii_alphanumeric())
}

fn is_name_character(c: char) -> bool {
    let code = u32::from(c);
    let noncharacter = code & 0xFFFE == 0xFFFE || (0xFDD0..=0xFDEF).contains(&code);
    !c.is_control() && !c.is_whitespace() && !noncharacter
}

fn is_evidence(text: &str) -> bool {
    of(text, 64, |c| c.is_ascii_lowercase() || c == '_') && !text.starts_with('_') && !text.ends_with('_')
}

impl Evidence {
    /// What is recorded for evidence whose type is told in a form that is not safe to store.
    pub fn other() -> Self {
        Self("other".to_owned())
    }
}

/// Which user of which pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserReference {
    /// The pool.
    pub pool: PoolId,
    /// The user's name in it.
    pub username: Username,
}

/// Who is changed. A name can be given up and taken by somebody else between two calls; `sub` stays with the person.
#[derive(Clone, Copy)]
pub struct Person<'a> {
    /// The pool and the name.
    pub reference: &'a UserReference,
    /// `sub`, as it was read with the record.
    pub sub: Option<&'a str>,
}

/// An identity or authenticator assurance level of NIST SP 800-63: 0 (none) to 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AssuranceLevel(u8);

impl AssuranceLevel {
    /// No assurance.
    pub const NONE: Self = Self(0);

    /// Takes 0 to 3.
    ///
    /// # Errors
    /// [`Malformed`] for any other number.
    pub fn new(level: u64) -> Result<Self, Malformed> {
        match u8::try_from(level) {
            Ok(level @ 0..=3) => Ok(Self(level)),
            _ => Err(Malformed),
        }
    }

    /// Reads exactly one digit: nothing else was ever written into an attribute.
    pub fn of_digit(text: &str) -> Option<Self> {
        let mut letters = text.chars();
        let (Some(letter), None) = (letters.next(), letters.next()) else { return None };
        Self::new(letter.to_digit(10)?.into()).ok()
    }

    /// The number.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for AssuranceLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an approval asserts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Who was proofed.
    pub subject: Subject,
    /// The identity assurance level reached.
    pub ial: AssuranceLevel,
    /// The authenticator assurance level reached, when told.
    pub aal: Option<AssuranceLevel>,
    /// Whether a living person was in front of the camera.
    pub liveness_verified: bool,
    /// Whether their face is the document's.
    pub match_result: bool,
    /// Set where the provider asserts the level as a whole, as in a federated sign-in, and says nothing of liveness and match.
    pub implied_by_level: bool,
    /// The type of the document shown, when told.
    pub evidence: Option<Evidence>,
    /// Under which framework the level holds, when told.
    pub framework: Option<Framework>,
    /// Until when it holds, when told.
    pub expires_at: Option<Timestamp>,
}

impl Subject {
    /// Whether it is the same subject. Without regard to case: an attribute's value may come back in another one.
    pub fn is(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl SessionId {
    /// Whether it is the same session. Without regard to case: an attribute's value may come back in another one.
    pub fn is(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

/// How a proofing session ended, or stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The person was proofed.
    Approved(Approval),
    /// The person was refused.
    Declined,
    /// The session ran out of time.
    Expired,
    /// The person went away.
    Abandoned,
    /// Somebody at the provider looks at it; another event will follow.
    InReview,
    /// The person has begun and not ended; another event will follow.
    InProgress,
}

impl Outcome {
    /// The outcome of this status: an approval says what it asserts, and nothing else does.
    pub fn of(status: Status, approval: Option<Approval>) -> Option<Self> {
        Some(match (status, approval) {
            (Status::Approved, Some(approval)) => Self::Approved(approval),
            (Status::Declined, None) => Self::Declined,
            (Status::Expired, None) => Self::Expired,
            (Status::Abandoned, None) => Self::Abandoned,
            (Status::InReview, None) => Self::InReview,
            (Status::InProgress, None) => Self::InProgress,
            (Status::Approved, None) | (_, Some(_)) => return None,
        })
    }

    /// What is asserted, where that is an approval.
    pub fn approval(&self) -> Option<&Approval> {
        match self {
            Self::Approved(approval) => Some(approval),
            Self::Declined | Self::Expired | Self::Abandoned | Self::InReview | Self::InProgress => None,
        }
    }

    /// It without what an approval asserts.
    pub fn status(&self) -> Status {
        match self {
            Self::Approved(_) => Status::Approved,
            Self::Declined => Status::Declined,
            Self::Expired => Status::Expired,
            Self::Abandoned => Status::Abandoned,
            Self::InReview => Status::InReview,
            Self::InProgress => Status::InProgress,
        }
    }

    /// The word for it: the canonical status word, and what stands in envelopes and audit records.
    pub fn word(&self) -> &'static str {
        self.status().word()
    }
}

/// One thing that happened to one user's proofing session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerificationEvent {
    /// The provider's id of the event.
    pub event_id: EventId,
    /// When it happened, by the provider's clock: what events of one user are ordered by.
    pub occurred_at: Timestamp,
    /// The session.
    pub session: SessionId,
    /// The user.
    pub user: UserReference,
    /// The proof that the session was opened for this user, when it came along.
    pub binding: Option<BindingToken>,
    /// How it ended.
    pub outcome: Outcome,
    /// What the provider calls the event, where it is no type that is known to tell a result.
    pub unknown_type: Option<EventType>,
}

impl VerificationEvent {
    /// What the event says, in full and in one form: when, of which session, how it ended, to which level. The same event sent
    /// again with members that nobody reads says the same. It leaves out whom it is about.
    pub fn said(&self) -> String {
        let said = format!("{}\n{}\n{}\n", self.occurred_at, self.session, self.outcome.word());
        let Outcome::Approved(approval) = &self.outcome else { return said };
        let aal = approval.aal.map(|level| level.to_string()).unwrap_or_default();
        let evidence = approval.evidence.as_ref().map(Evidence::as_str).unwrap_or_default();
        let framework = approval.framework.as_ref().map(Framework::as_str).unwrap_or_default();
        let end = approval.expires_at.map(|at| at.to_string()).unwrap_or_default();
        let flags = (approval.liveness_verified, approval.match_result, approval.implied_by_level);
        format!("{said}{}\n{aal}\n{flags:?}\n{evidence}\n{framework}\n{end}", approval.ial)
    }
}

#[cfg(test)]
mod tests {
    use super::{Evidence, PoolId, Subject, Username};

    #[test]
    fn names_that_cognito_or_sqs_would_refuse_are_refused() {
        for name in ["ada", "ada@example.com", "Åsa-日本", "0f8fad5b-d9cb-469f-a165-70867728950e"] {
            assert!(Username::new(name).is_ok(), "{name}");
        }
        for name in ["", "a b", "a\u{0}", "a\u{fffe}", "a\u{1ffff}", &"a".repeat(129)] {
            assert!(Username::new(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn pool_ids_follow_the_api_reference() {
        assert!(PoolId::of_real_pool("us-east-1_AbC123").is_ok());
        for id in
            ["", "us-east-1", "us-east-1_", "_AbC", "us-east-1_A/../b", &format!("a_{}", "b".repeat(54))]
        {
            assert!(PoolId::of_real_pool(id).is_err(), "{id}");
        }
    }

    #[test]
    fn a_document_number_cannot_pass_for_a_type_of_evidence() {
        assert!(Evidence::new("drivers_license").is_ok());
        assert!(Evidence::new("D1234567").is_err());
        assert!(Evidence::new("passport 123").is_err());
    }

    #[test]
    fn personal_identifiers_do_not_print() {
        let text = format!("{:?} {:?}", Subject::new("did:ada").unwrap(), Username::new("ada").unwrap());
        assert!(!text.contains("ada"), "{text}");
    }
}
