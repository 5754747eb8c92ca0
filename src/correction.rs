//! A correction: whom a callback is about, where its sender has another name for them. Somebody signed up under another
//! name, say.
//!
//! It stands beside the envelope, sealed by itself; nothing that was signed or sealed is changed. It says a user's name and
//! nothing else: level, subject, evidence and status come from the callback alone, the pool does, too, and every rule of the
//! decision applies to the corrected user. It takes two operators: one who makes it, another who approves.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::assurance::{Facts, Meaning, QuarantineReason, UserRecord};
use crate::binding::Binding;
use crate::delivery::{Reading, parse_payload};
use crate::envelope::{BodyDigest, Content as Said, Envelope, group_id};
use crate::key_ring::{FETCHED_KEY_ID, Key};
use crate::seal::{self, OpenError, SealedAs};
use crate::timestamp::Timestamp;
use crate::verification::{UserReference, Username, VerificationEvent};
use crate::vocabulary::EventTypes;

/// What the problem of a body begins with whose event type is not known.
const UNKNOWN_TYPE: &str = "event_type:unknown:";

/// The message attribute that holds a correction.
pub const CORRECTION_ATTRIBUTE: &str = "idv-correction";

/// Whom a callback is about. No `Debug`: it names a user.
#[derive(Clone, PartialEq, Eq)]
pub struct Correction {
    content: CorrectionContent,
    sealed: String,
}

/// What a correction says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorrectionContent {
    /// The digest of the sealed envelope that it stands beside.
    pub envelope_sha256: String,
    /// The user's name, in the pool that the callback names.
    pub username: String,
    /// Why: a ticket.
    pub because: String,
    /// Who made it.
    pub by: String,
    /// Who approved it: somebody else.
    pub approved_by: String,
}

impl CorrectionContent {
    fn check(&self) -> Result<(), &'static str> {
        if BodyDigest::parse(&self.envelope_sha256).is_none() || Username::new(&self.username).is_err() {
            return Err("it must name an envelope's digest and a user");
        }
        are_two_operators(&self.by, &self.approved_by)
    }
}

/// Whether these ARNs are two operators.
///
/// # Errors
/// Why not.
pub fn are_two_operators(by: &str, approved_by: &str) -> Result<(), &'static str> {
    if by.is_empty() || approved_by.is_empty() || by == approved_by {
        return Err("who makes it and who approves it must be two different operators");
    }
    // Anybody in the world can show that they are some AWS identity; only one of the same account is an operator.
    match (account(by), account(approved_by)) {
        (Some(one), Some(other)) if one == other => Ok(()),
        _ => Err("who makes it and who approves it must be identities of one AWS account"),
    }
}

/// The account of an identity: `arn:PARTITION:SERVICE::ACCOUNT:…`.
fn account(arn: &str) -> Option<&str> {
    let mut parts = arn.split(':');
    let account = (parts.next() == Some("arn")).then(|| parts.nth(3)).flatten()?;
    (account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit())).then_some(account)
}

impl Correction {
    /// Seals a correction.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(content: CorrectionContent, key: &Key) -> Result<Self, &'static str> {
        content.check()?;
        let sealed = seal::seal(SealedAs::Correction, key, &content).map_err(|_| "it cannot be printed")?;
        Ok(Self { content, sealed })
    }

    /// Reads a correction that stands beside this message.
    fn open(sealed: &str, message: &str, keys: &[Key]) -> Result<Self, OpenError> {
        let content: CorrectionContent = seal::open(SealedAs::Correction, sealed, keys)?;
        content.check().map_err(|_| OpenError::Unreadable)?;
        let of_this_message = content.envelope_sha256 == BodyDigest::of(message.as_bytes()).as_str();
        if of_this_message {
            Ok(Self { content, sealed: sealed.to_owned() })
        } else {
            Err(OpenError::BadSeal)
        }
    }

    /// What it says.
    pub fn content(&self) -> &CorrectionContent {
        &self.content
    }

    /// As it travels.
    pub fn sealed(&self) -> &str {
        &self.sealed
    }
}

/// What a message of the queue says, of whom: an envelope, and the correction beside it if there is one.
#[derive(Clone)]
pub struct Statement {
    /// The accepted callback.
    pub envelope: Envelope,
    correction: Result<Option<Correction>, OpenError>,
    /// What a body says that could not be read when it came, and can be now.
    read_again: Option<Box<Reading>>,
}

impl Statement {
    /// Opens a message: its body, and the correction among its attributes.
    ///
    /// # Errors
    /// [`OpenError`] when the envelope is not one that we sealed.
    pub fn open(
        message: &str,
        attributes: &BTreeMap<String, String>,
        keys: &[Key],
    ) -> Result<Self, OpenError> {
        let envelope = Envelope::open(message, keys)?;
        let text = attributes.get(CORRECTION_ATTRIBUTE);
        let correction = text.map(|text| Correction::open(text, message, keys)).transpose();
        Ok(Self { envelope, correction, read_again: None })
    }

    /// The same, with a body that could not be read when it came read once more: by a newer version, or with what the operator
    /// has said of event types since.
    #[must_use]
    pub fn read_again(self, types: &EventTypes) -> Self {
        let Said::Unreadable { body, message_id, .. } = &self.envelope.content else { return self };
        let reading = parse_payload(body, message_id.as_ref(), self.envelope.received_at, types);
        Self { read_again: reading.ok().map(Box::new), ..self }
    }

    /// Whether it tells no result, by what the operator has said of its event type since it came.
    pub fn tells_no_result(&self) -> bool {
        matches!(self.read_again.as_deref(), Some(Reading::NoResult(..)))
    }

    /// What the callback itself says, whoever it is about.
    fn said(&self) -> Option<&VerificationEvent> {
        match self.read_again.as_deref() {
            Some(Reading::Event(event, _)) => Some(event),
            _ => self.envelope.event(),
        }
    }

    /// The correction.
    ///
    /// # Errors
    /// [`OpenError`] when there is one that we did not seal, or that is one of another envelope.
    pub fn correction(&self) -> Result<Option<&Correction>, OpenError> {
        self.correction.as_ref().map(Option::as_ref).map_err(|error| *error)
    }

    /// The same callback, about this user.
    #[must_use]
    pub fn corrected(self, correction: Correction) -> Self {
        Self { correction: Ok(Some(correction)), ..self }
    }

    /// The event, with the user that it is about.
    ///
    /// # Errors
    /// Why there is none: the callback cannot be read, or the correction is none; with more about it.
    pub fn event(&self) -> Result<Cow<'_, VerificationEvent>, (QuarantineReason, &str)> {
        let correction = self.correction().map_err(|error| (QuarantineReason::BadCorrection, word(error)))?;
        match (self.said(), &self.envelope.content, correction) {
            (None, Said::Unreadable { problem, .. }, _) if problem.starts_with(UNKNOWN_TYPE) => {
                Err((QuarantineReason::UnknownEventType, problem))
            }
            (None, Said::Unreadable { problem, .. }, _) => Err((QuarantineReason::Unreadable, problem)),
            (None, Said::Event(event), _) | (Some(event), _, None) => Ok(Cow::Borrowed(event)),
            (Some(event), _, Some(correction)) => {
                let username = Username::new(&correction.content.username);
                let username = username.map_err(|_| (QuarantineReason::BadCorrection, "username"))?;
                let user = UserReference { username, ..event.user.clone() };
                Ok(Cow::Owned(VerificationEvent { user, ..event.clone() }))
            }
        }
    }

    /// The group that it belongs into: that of the user that it is about.
    pub fn group_id(&self) -> String {
        self.event().map_or_else(|_| self.envelope.group_id(), |event| group_id(&event.user))
    }

    /// What the callback's binding proves. It was made for the user that the callback names; where two operators say that it
    /// is about another, it proves nothing of that one, but a forged one stays forged.
    pub fn binding(&self, keys: &[Key]) -> Binding {
        let Some(event) = self.said() else { return Binding::Absent };
        match (&self.correction, Binding::check(event.binding.as_ref(), &event.user, keys)) {
            (Ok(Some(_)), Binding::Absent | Binding::StartedAt(_) | Binding::ClaimedAt(..)) => {
                Binding::Vouched
            }
            (_, binding) => binding,
        }
    }

    /// All that a decision depends on.
    pub fn facts<'a>(
        &'a self,
        event: &'a VerificationEvent,
        user: Option<&'a UserRecord>,
        binding: Binding,
        now: Timestamp,
    ) -> Facts<'a> {
        Facts {
            event,
            body_sha256: &self.envelope.body_sha256,
            meaning: Meaning::of(event),
            received_at: self.envelope.received_at,
            age: now.since(self.envelope.received_at),
            fetched_at_sign_up: self.envelope.key_id == FETCHED_KEY_ID,
            user,
            binding,
        }
    }
}

/// The reason for the quarantine of a message whose envelope does not open, and more about it.
pub fn not_ours(error: OpenError) -> (QuarantineReason, &'static str) {
    match error {
        OpenError::Unreadable => (QuarantineReason::Unreadable, "envelope"),
        OpenError::BadSeal | OpenError::UnknownSealKey => (QuarantineReason::BadSeal, word(error)),
    }
}

fn word(error: OpenError) -> &'static str {
    match error {
        OpenError::Unreadable => "unreadable",
        OpenError::BadSeal => "wrong",
        OpenError::UnknownSealKey => "unknown key",
    }
}
