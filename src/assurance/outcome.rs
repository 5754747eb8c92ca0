//! How an event can end: settled, with an outcome; or not, with a reason.

use super::attributes::{AttributeChange, names};
use crate::verification::AssuranceLevel;

/// The outcome of a settled event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The approval was written and the user confirmed.
    Applied,
    /// A status that is not an approval was written.
    Recorded,
    /// An approval that does not reach what the policy asks for: its status was written.
    Insufficient,
    /// The approval that stood was taken back.
    Revoked,
    /// It changes nothing of where the user stands, and is remembered: it may matter later.
    Noted,
    /// Its session said something before that counts more: nothing was written.
    Superseded,
    /// This very event was taken in before: nothing was written.
    Duplicate,
    /// A session that is of nobody who is here, and gives nobody anything: nothing was written.
    Unclaimed,
    /// Its type tells no result, as the operator has said: nothing was written.
    Skipped,
}

/// Why an event is not settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuarantineReason {
    /// The seal is not ours.
    BadSeal,
    /// The correction beside the envelope is not ours, or not of this envelope.
    BadCorrection,
    /// The envelope, or the callback's body, cannot be read.
    Unreadable,
    /// The pool is not on the allow-list.
    PoolNotAllowed,
    /// There is no such user, and the callback is older than [`USER_GRACE`](super::USER_GRACE).
    UserNotFound,
    /// The name finds a user, but is not the user's name: an alias can pass to another person.
    UsernameAlias,
    /// A binding is required and missing.
    BindingMissing,
    /// The binding is forged, for another user, or for one created at another time.
    BindingMismatch,
    /// The event's type is not known, and nobody has said what becomes of such events.
    UnknownEventType,
    /// The user's past sessions do not all fit into the record any more, and what this one said before may be forgotten.
    SessionForgotten,
    /// The record has no room for one more session.
    HistoryFull,
    /// The user is disabled, and would get a verified identity.
    UserDisabled,
    /// The same event id came before and said something else.
    EventConflict,
    /// The user is already proofed as somebody else.
    SubjectConflict,
    /// An assurance attribute of the user holds what this system never writes.
    RecordUnreadable,
    /// Cognito refuses to confirm the user.
    ConfirmRefused,
    /// Cognito refuses to write the attributes, for good.
    WriteRefused,
    /// It was tried as often as the queue allows.
    RetriesExhausted,
}

impl QuarantineReason {
    every! {
        BadSeal,
        BadCorrection,
        Unreadable,
        PoolNotAllowed,
        UserNotFound,
        UsernameAlias,
        BindingMissing,
        BindingMismatch,
        UnknownEventType,
        SessionForgotten,
        HistoryFull,
        UserDisabled,
        EventConflict,
        SubjectConflict,
        RecordUnreadable,
        ConfirmRefused,
        WriteRefused,
        RetriesExhausted,
    }

    /// The reason code on the dead letter, in the audit log and in metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::BadSeal => "bad_seal",
            Self::BadCorrection => "bad_correction",
            Self::Unreadable => "unreadable",
            Self::PoolNotAllowed => "pool_not_allowed",
            Self::UserNotFound => "user_not_found",
            Self::UsernameAlias => "username_alias",
            Self::BindingMissing => "binding_missing",
            Self::BindingMismatch => "binding_mismatch",
            Self::UnknownEventType => "unknown_event_type",
            Self::SessionForgotten => "session_forgotten",
            Self::HistoryFull => "history_full",
            Self::UserDisabled => "user_disabled",
            Self::EventConflict => "event_conflict",
            Self::SubjectConflict => "subject_conflict",
            Self::RecordUnreadable => "record_unreadable",
            Self::ConfirmRefused => "confirm_refused",
            Self::WriteRefused => "write_refused",
            Self::RetriesExhausted => "retries_exhausted",
        }
    }
}

/// Why an approval does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insufficiency {
    /// Its level is below what the policy asks for.
    Level,
    /// No living person was seen.
    Liveness,
    /// The face is not that of the document.
    Match,
    /// Its validity is over.
    ValidityOver,
}

impl Insufficiency {
    every! {
        Level,
        Liveness,
        Match,
        ValidityOver,
    }

    /// The reason in the audit log.
    pub fn code(self) -> &'static str {
        match self {
            Self::Level => "level",
            Self::Liveness => "liveness",
            Self::Match => "match",
            Self::ValidityOver => "validity_over",
        }
    }
}

/// How an event ends, and what that writes.
#[derive(Clone, PartialEq, Eq)]
pub struct Settlement {
    /// The outcome.
    pub outcome: Settled,
    /// What is written, all in one call; may be nothing.
    pub changes: Vec<AttributeChange>,
    /// Whether the user is confirmed, after the writing.
    pub confirm: bool,
    /// Why an approval does not count, where it does not.
    pub insufficiency: Option<Insufficiency>,
}

impl Settlement {
    /// An end that writes nothing.
    pub(super) fn without_change(outcome: Settled) -> Self {
        Self { outcome, changes: Vec::new(), confirm: false, insufficiency: None }
    }

    /// The identity assurance level that is written, if one is.
    pub fn ial_after(&self) -> Option<AssuranceLevel> {
        self.changes.iter().find_map(|change| match change {
            AttributeChange::Set(names::IAL, value) => AssuranceLevel::new(value.as_str().parse().ok()?).ok(),
            _ => None,
        })
    }
}
