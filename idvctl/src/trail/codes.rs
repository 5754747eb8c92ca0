//! What each code is to the readers of the trail, in one table: a new code does not compile until this is said of it.

use idv_callback::assurance::Settled;
use idv_callback::audit::AuditCode;

use super::entry::Entry;
use super::reconcile::Class;

/// What a code is to each reader.
pub(super) struct CodeMeaning {
    /// The part of the system that it belongs to: the thread that it is found by, and who acts.
    pub(super) part: Part,
    /// What it says of a callback's way from acceptance to outcome.
    pub(super) says: Says,
    /// Whether today's rules can decide it again.
    pub(super) decided: Decided,
    /// What it is in the Open Cybersecurity Schema Framework.
    pub(super) activity: Activity,
    /// Whether what was wanted was done.
    pub(super) failed: bool,
    /// How severe it is.
    pub(super) severity: Severity,
    /// What happened and why.
    pub(super) sentence: fn(&Entry) -> String,
}

/// A part of the system.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// A writer of the log, of itself.
    Writer,
    /// What takes callbacks in. Its thread is the receipt.
    FrontDoor,
    /// What settles them. Its thread is the receipt.
    Consumer,
    /// An operator. The thread is the receipt, or the plan.
    Operator,
    /// Sign-up and sign-in. The thread is the session, or the user.
    SignIn,
}

/// What a record says of a callback's way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    /// Nothing.
    Nothing,
    /// It was refused: no callback of ours, not authentic, or not now.
    Refused,
    /// It was accepted, and an outcome will follow.
    Accepted,
    /// It was accepted, and that is its outcome.
    AcceptedAs(Class),
    /// It is under way: a try that failed.
    UnderWay,
    /// It begins anew: a dead letter that was sent back.
    Redriven,
    /// It ended.
    Ended(Class),
}

/// Whether it comes of a decision.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Decided {
    No,
    Settled,
    /// By some of its reasons; the others come of calls that failed.
    Quarantined,
}

/// An activity of the class API Activity.
#[derive(Clone, Copy)]
pub(super) enum Activity {
    Create,
    Update,
    Other,
}

/// A severity.
#[derive(Clone, Copy)]
pub(super) enum Severity {
    Informational,
    Low,
    Medium,
}

/// What most codes of a part are.
const fn base(part: Part, sentence: fn(&Entry) -> String) -> CodeMeaning {
    CodeMeaning {
        part,
        says: Says::Nothing,
        decided: Decided::No,
        activity: Activity::Other,
        failed: false,
        severity: Severity::Informational,
        sentence,
    }
}

const fn front_door(says: Says, sentence: fn(&Entry) -> String) -> CodeMeaning {
    CodeMeaning { says, ..base(Part::FrontDoor, sentence) }
}

const fn accepted(sentence: fn(&Entry) -> String) -> CodeMeaning {
    CodeMeaning { activity: Activity::Create, ..front_door(Says::Accepted, sentence) }
}

const fn refused() -> CodeMeaning {
    CodeMeaning { failed: true, ..front_door(Says::Refused, Entry::because) }
}

const fn settled(class: Class, sentence: fn(&Entry) -> String) -> CodeMeaning {
    CodeMeaning {
        says: Says::Ended(class),
        decided: Decided::Settled,
        activity: Activity::Update,
        ..base(Part::Consumer, sentence)
    }
}

const fn comes_back(sentence: fn(&Entry) -> String) -> CodeMeaning {
    CodeMeaning { says: Says::UnderWay, failed: true, ..base(Part::Consumer, sentence) }
}

const fn operator(sentence: fn(&Entry) -> String) -> CodeMeaning {
    base(Part::Operator, sentence)
}

const fn sign_in(sentence: fn(&Entry) -> String) -> CodeMeaning {
    base(Part::SignIn, sentence)
}

const fn not_signed_in(sentence: fn(&Entry) -> String) -> CodeMeaning {
    CodeMeaning { failed: true, ..base(Part::SignIn, sentence) }
}

/// What this code is to each reader.
pub(super) fn meaning_of(code: AuditCode) -> CodeMeaning {
    use AuditCode as C;
    match code {
        C::Started | C::Alive | C::Stopped => base(Part::Writer, Entry::because),

        C::Accepted => accepted(Entry::was_accepted),
        C::AcceptedUnreadable => accepted(Entry::was_accepted_unreadable),
        C::Asserted => accepted(Entry::was_asserted),
        C::Ignored => front_door(Says::AcceptedAs(Class::Ignored), Entry::was_ignored),
        C::SenderTest => front_door(Says::AcceptedAs(Class::SenderTest), Entry::was_a_test),
        C::Refused => CodeMeaning { severity: Severity::Low, ..refused() },
        C::Rejected | C::Deferred => refused(),

        C::Settled(outcome) => of_outcome(outcome),
        C::Probed => CodeMeaning { decided: Decided::No, ..settled(Class::Probed, |_| PROBED.to_owned()) },
        C::Quarantined => CodeMeaning {
            says: Says::Ended(Class::Quarantined),
            decided: Decided::Quarantined,
            failed: true,
            severity: Severity::Medium,
            ..base(Part::Consumer, Entry::was_quarantined)
        },
        C::Retried => CodeMeaning { severity: Severity::Low, ..comes_back(Entry::was_retried) },
        C::Misconfigured => {
            CodeMeaning { severity: Severity::Medium, ..comes_back(Entry::was_misconfigured) }
        }
        C::Left => comes_back(|entry| format!("not tried now: {}", entry.because())),

        C::Planned => operator(Entry::was_planned),
        C::Redriven => CodeMeaning { says: Says::Redriven, ..operator(Entry::was_redriven) },
        C::RedriveEnded => operator(|entry| format!("the run through the plan ended: {}", entry.because())),
        C::CorrectionProposed => operator(Entry::was_corrected),
        C::CorrectionApproved => operator(|entry| format!("that was approved{}", entry.by())),
        C::CorrectionSealed => {
            operator(|entry| format!("the correction became part of a plan{}", entry.by()))
        }
        C::Archived => operator(|entry| format!("{}{}", entry.because(), entry.by())),
        C::DiscardProposed => {
            operator(|entry| format!("it was asked to delete evidence{}: {}", entry.by(), entry.because()))
        }
        C::DiscardApproved => operator(|entry| format!("that was approved{}", entry.by())),
        C::Restored => CodeMeaning { says: Says::Ended(Class::Quarantined), ..operator(Entry::was_restored) },
        C::Discarded => CodeMeaning { says: Says::Ended(Class::Discarded), ..operator(Entry::was_discarded) },

        C::SessionOpened => sign_in(|entry| format!("a proofing session was opened{}", entry.by())),
        C::SignUpRefused => not_signed_in(|entry| format!("a sign-up was refused: {}", entry.because())),
        C::SignUpUnproofed => {
            sign_in(|entry| format!("a sign-up was let through without a session: {}", entry.because()))
        }
        C::SessionWithheld | C::FederationUnreadable => not_signed_in(Entry::because),
        C::StepUpStarted => sign_in(Entry::step_up_was_started),
        C::StepUpPassed => {
            sign_in(|entry| format!("{} passed the step-up: liveness yes, match yes", entry.whom()))
        }
        C::StepUpPending => sign_in(|entry| format!("{} had not answered the step-up yet", entry.whom())),
        C::StepUpFailed => not_signed_in(Entry::step_up_failed),
        C::StepUpRefused => not_signed_in(Entry::step_up_was_refused),
    }
}

const PROBED: &str = "a synthetic callback came through; it is about nobody";
const SKIPPED: &str = "its type tells no result, as the operator has said: nothing written";

fn of_outcome(outcome: Settled) -> CodeMeaning {
    match outcome {
        Settled::Applied => settled(Class::Applied, Entry::was_applied),
        Settled::Recorded => settled(Class::Recorded, Entry::was_recorded),
        Settled::Insufficient => settled(Class::Insufficient, Entry::was_insufficient),
        Settled::Revoked => settled(Class::Revoked, Entry::was_revoked),
        Settled::Noted => settled(Class::Noted, Entry::was_noted),
        Settled::Superseded => settled(Class::Superseded, Entry::was_superseded),
        Settled::Duplicate => settled(Class::Duplicate, Entry::was_a_duplicate),
        Settled::Unclaimed => settled(Class::Unclaimed, Entry::was_unclaimed),
        Settled::Skipped => {
            CodeMeaning { decided: Decided::No, ..settled(Class::Skipped, |_| SKIPPED.to_owned()) }
        }
    }
}
