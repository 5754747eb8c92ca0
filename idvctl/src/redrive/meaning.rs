//! What the reason of a dead letter means, and what is done about it.

use idv_callback::assurance::QuarantineReason;

/// In a sentence each: what happened, and what helps.
pub struct Meaning {
    /// What happened.
    pub happened: &'static str,
    /// What helps.
    pub helps: &'static str,
}

const FORGERY: &str = "treat it as an incident: runbooks/conflict-or-suspected-forgery.md";

/// What this reason means; what a reason of no version that is known means is not known.
pub fn meaning(reason: &str) -> Meaning {
    let known = QuarantineReason::ALL.iter().find(|known| known.code() == reason);
    let (happened, helps) = match known {
        Some(known) => of(*known),
        None if reason == super::NO_REASON => (
            "SQS moved it by itself: the consumer was given it as often as the queue allows, and ended each time",
            "look into the consumer's log for a panic, fix the code, then plan and apply",
        ),
        None => ("this version does not know the reason", "use the version that wrote it"),
    };
    Meaning { happened, helps }
}

fn of(reason: QuarantineReason) -> (&'static str, &'static str) {
    use QuarantineReason as R;
    match reason {
        R::BadSeal => {
            ("the envelope's seal is not ours, or its seal key left the key ring too early", FORGERY)
        }
        R::BadCorrection => ("the correction beside it was not sealed for it by us", FORGERY),
        R::Unreadable => {
            ("it is signed, and cannot be read", "runbooks/new-event-type.md; then plan and apply")
        }
        R::PoolNotAllowed => (
            "it names a user pool that the consumer does not serve",
            "ask the sender which environment it is of; serve the pool, or archive and discard it",
        ),
        R::UserNotFound => (
            "no user of that name appeared within 15 minutes",
            "deleted: archive and discard it; signed up under another name: correct it",
        ),
        R::UsernameAlias => (
            "the name that it gives finds a user by an alias, and an alias can pass to another person",
            "have the sender use the user's name; correct it",
        ),
        R::BindingMissing => (
            "nothing shows that its session was opened for this user",
            "open a new session for the person (idvctl proof start), or archive and discard it",
        ),
        R::BindingMismatch => ("its session was opened for another person", FORGERY),
        R::UnknownEventType => (
            "its event type is in no table",
            "say what becomes of it in IDV_EVENT_TYPES (runbooks/new-event-type.md); then plan and apply",
        ),
        R::SessionForgotten => (
            "the user's record may have forgotten what its session said before",
            "ask the sender how the session stands; if approved, open a new session (idvctl proof start)",
        ),
        R::HistoryFull => (
            "the user's record has no room for one more session",
            "look at who it is: somebody tried very often",
        ),
        R::UserDisabled => (
            "it is an approval of a user whom an administrator has disabled",
            "enable the user, then plan and apply; or archive and discard it",
        ),
        R::EventConflict => ("the same event id came before and said something else", FORGERY),
        R::SubjectConflict => ("the user is proofed as somebody else already", FORGERY),
        R::RecordUnreadable => (
            "an assurance attribute of the user holds what this system never writes",
            "find who wrote it (CloudTrail), put it right, then plan and apply",
        ),
        R::ConfirmRefused => (
            "Cognito refused to confirm the user",
            "fix the pool's trigger that said no, then plan and apply",
        ),
        R::WriteRefused => {
            ("Cognito refused to write the attributes", "fix what its error code names, then plan and apply")
        }
        R::RetriesExhausted => {
            ("it was tried 50 times, for some ten hours", "fix what the detail names, then plan and apply")
        }
    }
}
