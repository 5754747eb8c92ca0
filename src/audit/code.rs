//! What happened, as a code that never changes its meaning.

use crate::assurance::Settled;

/// What happened. The codes never change their meaning; a new meaning gets a new code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditCode {
    /// A writer of the audit log begins.
    Started,
    /// A writer that said nothing for a while is still there.
    Alive,
    /// A writer ends.
    Stopped,
    /// A callback was authenticated, read and enqueued.
    Accepted,
    /// A callback was authenticated and enqueued, but its body cannot be read.
    AcceptedUnreadable,
    /// A result that was fetched from the provider, or asserted in a federated sign-in, was enqueued.
    Asserted,
    /// An authentic callback tells no result, by its type: it was recorded, and nothing else.
    Ignored,
    /// An authentic callback is a sender's test.
    SenderTest,
    /// A callback was not authenticated.
    Refused,
    /// A request was not a callback at all: path, method, type, size, encoding.
    Rejected,
    /// A callback could not be taken in now; the sender was asked to send it again.
    Deferred,
    /// The event was settled like this.
    Settled(Settled),
    /// A synthetic callback came through; it is about nobody.
    Probed,
    /// The message went to the dead letters.
    Quarantined,
    /// The message goes back to the queue because of a fault that passes.
    Retried,
    /// The message goes back to the queue because of a fault that an operator must mend.
    Misconfigured,
    /// The message goes back to the queue untried: too little time, or behind one of its user's that failed.
    Left,
    /// An operator looked through the dead letters and made a plan.
    Planned,
    /// An operator sent a dead letter back to the queue.
    Redriven,
    /// An operator's run through a plan ended.
    RedriveEnded,
    /// An operator says that a dead letter is about another user than the one it names.
    CorrectionProposed,
    /// Another operator approved that.
    CorrectionApproved,
    /// The correction was sealed into a plan.
    CorrectionSealed,
    /// An operator copied dead letters into an archive.
    Archived,
    /// An operator deleted a dead letter that is in an archive.
    Discarded,
    /// A proofing session was opened.
    SessionOpened,
    /// A sign-up was refused.
    SignUpRefused,
    /// A sign-up was let through without a proofing session.
    SignUpUnproofed,
    /// Somebody was not told of a proofing session.
    SessionWithheld,
    /// A step-up challenge was started.
    StepUpStarted,
    /// A step-up was passed.
    StepUpPassed,
    /// A step-up was asked for, and the person had not answered.
    StepUpPending,
    /// A step-up was not passed.
    StepUpFailed,
    /// A sign-in with step-up ended without tokens.
    StepUpRefused,
    /// A federated sign-in told its level in no form that is known.
    FederationUnreadable,
}

impl AuditCode {
    /// Every code, for tables and tests.
    pub const ALL: [Self; 43] = [
        Self::Started,
        Self::Alive,
        Self::Stopped,
        Self::Accepted,
        Self::AcceptedUnreadable,
        Self::Asserted,
        Self::Ignored,
        Self::SenderTest,
        Self::Refused,
        Self::Rejected,
        Self::Deferred,
        Self::Settled(Settled::Applied),
        Self::Settled(Settled::Recorded),
        Self::Settled(Settled::Insufficient),
        Self::Settled(Settled::Revoked),
        Self::Settled(Settled::Noted),
        Self::Settled(Settled::Superseded),
        Self::Settled(Settled::Duplicate),
        Self::Settled(Settled::Unclaimed),
        Self::Settled(Settled::Skipped),
        Self::Probed,
        Self::Quarantined,
        Self::Retried,
        Self::Misconfigured,
        Self::Left,
        Self::Planned,
        Self::Redriven,
        Self::RedriveEnded,
        Self::CorrectionProposed,
        Self::CorrectionApproved,
        Self::CorrectionSealed,
        Self::Archived,
        Self::Discarded,
        Self::SessionOpened,
        Self::SignUpRefused,
        Self::SignUpUnproofed,
        Self::SessionWithheld,
        Self::StepUpStarted,
        Self::StepUpPassed,
        Self::StepUpPending,
        Self::StepUpFailed,
        Self::StepUpRefused,
        Self::FederationUnreadable,
    ];

    /// The code and its word.
    pub fn code_and_word(self) -> (&'static str, &'static str) {
        match self {
            Self::Started => ("IDV0001", "started"),
            Self::Alive => ("IDV0002", "alive"),
            Self::Stopped => ("IDV0003", "stopped"),
            Self::Accepted => ("IDV1001", "accepted"),
            Self::AcceptedUnreadable => ("IDV1002", "accepted_unreadable"),
            Self::Asserted => ("IDV1003", "asserted"),
            Self::Ignored => ("IDV1004", "ignored"),
            Self::SenderTest => ("IDV1005", "sender_test"),
            Self::Refused => ("IDV1101", "refused"),
            Self::Rejected => ("IDV1102", "rejected"),
            Self::Deferred => ("IDV1201", "deferred"),
            Self::Settled(Settled::Applied) => ("IDV2001", "applied"),
            Self::Settled(Settled::Recorded) => ("IDV2002", "recorded"),
            Self::Settled(Settled::Insufficient) => ("IDV2003", "insufficient"),
            Self::Settled(Settled::Revoked) => ("IDV2004", "revoked"),
            Self::Settled(Settled::Noted) => ("IDV2005", "noted"),
            Self::Settled(Settled::Superseded) => ("IDV2006", "superseded"),
            Self::Settled(Settled::Duplicate) => ("IDV2007", "duplicate"),
            Self::Probed => ("IDV2008", "probed"),
            Self::Settled(Settled::Unclaimed) => ("IDV2009", "unclaimed"),
            Self::Settled(Settled::Skipped) => ("IDV2010", "skipped"),
            Self::Quarantined => ("IDV2101", "quarantined"),
            Self::Retried => ("IDV2201", "retried"),
            Self::Misconfigured => ("IDV2202", "misconfigured"),
            Self::Left => ("IDV2203", "left"),
            Self::Planned => ("IDV3001", "planned"),
            Self::Redriven => ("IDV3002", "redriven"),
            Self::RedriveEnded => ("IDV3003", "redrive_ended"),
            Self::CorrectionProposed => ("IDV3004", "correction_proposed"),
            Self::CorrectionApproved => ("IDV3005", "correction_approved"),
            Self::CorrectionSealed => ("IDV3006", "correction_sealed"),
            Self::Archived => ("IDV3101", "archived"),
            Self::Discarded => ("IDV3102", "discarded"),
            Self::SessionOpened => ("IDV4001", "session_opened"),
            Self::SignUpRefused => ("IDV4002", "sign_up_refused"),
            Self::SignUpUnproofed => ("IDV4003", "sign_up_unproofed"),
            Self::SessionWithheld => ("IDV4004", "session_withheld"),
            Self::StepUpStarted => ("IDV4101", "step_up_started"),
            Self::StepUpPassed => ("IDV4102", "step_up_passed"),
            Self::StepUpPending => ("IDV4103", "step_up_pending"),
            Self::StepUpFailed => ("IDV4104", "step_up_failed"),
            Self::StepUpRefused => ("IDV4105", "step_up_refused"),
            Self::FederationUnreadable => ("IDV4201", "federation_unreadable"),
        }
    }

    /// The code's meaning in a sentence, for tables.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Started => "A writer of this log begins: its first record.",
            Self::Alive => "A writer that had said nothing for some minutes is there.",
            Self::Stopped => "A writer ends: its last record.",
            Self::Accepted => "A callback was authenticated, read, and stored on the queue.",
            Self::AcceptedUnreadable => {
                "A callback was authenticated and stored on the queue; its body cannot be read."
            }
            Self::Asserted => {
                "A result fetched from 1Kosmos, or asserted in a federated sign-in, was stored on the queue."
            }
            Self::Ignored => {
                "An authentic callback tells no result, by its type: it was recorded, and changes nobody."
            }
            Self::SenderTest => {
                "An authentic callback is a sender's test: it was recorded, and changes nobody."
            }
            Self::Refused => "A callback was not authenticated. Nothing of it was kept.",
            Self::Rejected => "A request was no callback: its path, method, type, size or encoding.",
            Self::Deferred => "A callback could not be taken in; the sender was asked to send it again.",
            Self::Probed => "A synthetic callback came through; it is about nobody.",
            Self::Settled(outcome) => meaning_of(outcome),
            Self::Quarantined => "No rule settles it: the message is among the dead letters.",
            Self::Retried => "A fault that passes: the message goes back to the queue.",
            Self::Misconfigured => "A fault that an operator must mend: the message goes back to the queue.",
            Self::Left => "Untried: too little time, or behind one of the same user's that failed.",
            Self::Planned => "An operator chose dead letters and forecast what would become of each.",
            Self::Redriven => "An operator sends a dead letter back to the queue.",
            Self::RedriveEnded => "An operator's run through a plan ended.",
            Self::CorrectionProposed => {
                "An operator says that a dead letter is about another user than the one it names."
            }
            Self::CorrectionApproved => "A second operator approves that.",
            Self::CorrectionSealed => "The approved correction became part of a plan.",
            Self::Archived => "An operator copied dead letters into an archive.",
            Self::Discarded => "An operator deleted a dead letter that is in an archive.",
            Self::SessionOpened => {
                "A proofing session was opened: at a sign-up, for its user, or by an operator."
            }
            Self::SignUpRefused => "A sign-up was refused.",
            Self::SignUpUnproofed => {
                "1Kosmos was not to be had: a sign-up was let through without a session."
            }
            Self::SessionWithheld => {
                "Somebody asked for a proofing session and did not show that it is theirs."
            }
            Self::StepUpStarted => "A biometric challenge was started in a sign-in.",
            Self::StepUpPassed => "The challenge was answered by the proofed person.",
            Self::StepUpPending => "The challenge had not been answered yet; it can be asked again.",
            Self::StepUpFailed => "The challenge was not answered by the proofed person.",
            Self::StepUpRefused => "A sign-in with step-up ended without tokens.",
            Self::FederationUnreadable => "A federated sign-in told its assurance in no form that is known.",
        }
    }
}

fn meaning_of(outcome: Settled) -> &'static str {
    match outcome {
        Settled::Applied => "The approval was written onto the user, who is confirmed.",
        Settled::Recorded => "No approval: that was written onto the user, who has none.",
        Settled::Insufficient => {
            "The approval does not reach what the policy asks for: only its status was written."
        }
        Settled::Revoked => "The approval that stood was taken back.",
        Settled::Noted => {
            "It changes nothing of where the user stands, and is remembered: it may matter later."
        }
        Settled::Superseded => "Its session had said something that counts more: nothing was written.",
        Settled::Duplicate => "This very event had been applied: nothing was written.",
        Settled::Unclaimed => {
            "A session of nobody who is here, which gives nobody anything: nothing was written."
        }
        Settled::Skipped => "Its type tells no result, as the operator has said: nothing was written.",
    }
}

#[cfg(test)]
mod tests {
    use super::AuditCode;

    #[test]
    fn no_two_events_share_a_code_or_a_word() {
        let pairs: Vec<_> = AuditCode::ALL.iter().map(|code| code.code_and_word()).collect();
        for (index, (code, word)) in pairs.iter().enumerate() {
            assert!(pairs.iter().skip(index + 1).all(|(c, w)| c != code && w != word), "{code} {word}");
        }
    }
}
