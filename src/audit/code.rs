//! What happened, as a code that never changes its meaning.

use super::metric::Metric;
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
    /// The message goes back to the queue because of a transient fault.
    Retried,
    /// The message goes back to the queue because of a fault that an operator must fix.
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
    /// An operator asks to delete dead letters that are evidence.
    DiscardProposed,
    /// Another operator approved that.
    DiscardApproved,
    /// An operator brought a dead letter back out of an archive.
    Restored,
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

/// What is said of a code.
struct Row {
    code: &'static str,
    word: &'static str,
    counts: &'static [Metric],
    meaning: &'static str,
}

/// The table of all codes. A variant without a row does not compile, and what has a row is in [`AuditCode::ALL`].
macro_rules! codes {
    ($($kind:ident $(($settled:path))? = $code:literal $word:literal counts [$($metric:ident),*] $meaning:literal;)*) => {
        impl AuditCode {
            /// Every code, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$kind $(($settled))?),*];

            fn row(self) -> &'static Row {
                match self {
                    $(Self::$kind $(($settled))? => &Row {
                        code: $code,
                        word: $word,
                        counts: &[$(Metric::$metric),*],
                        meaning: $meaning,
                    },)*
                }
            }
        }
    };
}

codes! {
    Started = "IDV0001" "started" counts []
        "A writer of this log begins: its first record.";
    Alive = "IDV0002" "alive" counts []
        "A writer that had said nothing for some minutes is there.";
    Stopped = "IDV0003" "stopped" counts []
        "A writer ends: its last record.";
    Accepted = "IDV1001" "accepted" counts [Received, Accepted, Enqueued, KeyUse]
        "A callback was authenticated, read, and stored on the queue.";
    AcceptedUnreadable = "IDV1002" "accepted_unreadable" counts [Received, AcceptedUnreadable, Enqueued, KeyUse]
        "A callback was authenticated and stored on the queue; its body cannot be read.";
    Asserted = "IDV1003" "asserted" counts [Asserted, Enqueued]
        "A result fetched from 1Kosmos, or asserted in a federated sign-in, was stored on the queue.";
    Ignored = "IDV1004" "ignored" counts [Received, Accepted, Ignored, KeyUse]
        "An authentic callback tells no result, by its type: it was recorded, and changes nobody.";
    SenderTest = "IDV1005" "sender_test" counts [Received, SenderTest, KeyUse]
        "An authentic callback is a sender's test: it was recorded, and changes nobody.";
    Refused = "IDV1101" "refused" counts [Received, Refused]
        "A callback was not authenticated. Nothing of it was kept.";
    Rejected = "IDV1102" "rejected" counts [Received, Rejected]
        "A request was no callback: its path, method, type, size or encoding.";
    Deferred = "IDV1201" "deferred" counts [Received, Deferred]
        "A callback could not be taken in; the sender was asked to send it again.";
    Settled(Settled::Applied) = "IDV2001" "applied" counts [Applied]
        "The approval was written onto the user, who is confirmed.";
    Settled(Settled::Recorded) = "IDV2002" "recorded" counts [Recorded]
        "No approval: that was written onto the user, who has none.";
    Settled(Settled::Insufficient) = "IDV2003" "insufficient" counts [Insufficient]
        "The approval does not reach what the policy asks for: only its status was written.";
    Settled(Settled::Revoked) = "IDV2004" "revoked" counts [Revoked]
        "The approval that stood was taken back.";
    Settled(Settled::Noted) = "IDV2005" "noted" counts [Noted]
        "It changes nothing of where the user stands, and is remembered: it may matter later.";
    Settled(Settled::Superseded) = "IDV2006" "superseded" counts [Superseded]
        "Its session had said something that counts more: nothing was written.";
    Settled(Settled::Duplicate) = "IDV2007" "duplicate" counts [Duplicate]
        "This very event had been applied: nothing was written.";
    Probed = "IDV2008" "probed" counts [Probed]
        "A synthetic callback came through; it is about nobody.";
    Settled(Settled::Unclaimed) = "IDV2009" "unclaimed" counts [Unclaimed]
        "A session of nobody who is here, which gives nobody anything: nothing was written.";
    Settled(Settled::Skipped) = "IDV2010" "skipped" counts [Skipped]
        "Its type tells no result, as the operator has said: nothing was written.";
    Quarantined = "IDV2101" "quarantined" counts [Quarantined]
        "No rule settles it: the message is among the dead letters.";
    Retried = "IDV2201" "retried" counts [Retried]
        "A transient fault: the message goes back to the queue.";
    Misconfigured = "IDV2202" "misconfigured" counts [Misconfigured]
        "A fault that an operator must fix: the message goes back to the queue.";
    Left = "IDV2203" "left" counts [Left]
        "Untried: too little time, or behind one of the same user's that failed.";
    Planned = "IDV3001" "planned" counts []
        "An operator chose dead letters and forecast what would become of each.";
    Redriven = "IDV3002" "redriven" counts []
        "An operator sends a dead letter back to the queue.";
    RedriveEnded = "IDV3003" "redrive_ended" counts []
        "An operator's run through a plan ended.";
    CorrectionProposed = "IDV3004" "correction_proposed" counts []
        "An operator says that a dead letter is about another user than the one it names.";
    CorrectionApproved = "IDV3005" "correction_approved" counts []
        "A second operator approves that.";
    CorrectionSealed = "IDV3006" "correction_sealed" counts []
        "The approved correction became part of a plan.";
    Archived = "IDV3101" "archived" counts []
        "An operator copied dead letters into an archive.";
    Discarded = "IDV3102" "discarded" counts []
        "An operator deleted a dead letter that is in an archive.";
    DiscardProposed = "IDV3103" "discard_proposed" counts []
        "An operator asks to delete dead letters that are evidence, and are in an archive.";
    DiscardApproved = "IDV3104" "discard_approved" counts []
        "A second operator approves that.";
    Restored = "IDV3105" "restored" counts []
        "An operator brings a dead letter back out of an archive.";
    SessionOpened = "IDV4001" "session_opened" counts [SessionOpened]
        "A proofing session was opened: at a sign-up, for its user, or by an operator.";
    SignUpRefused = "IDV4002" "sign_up_refused" counts [SignUpRefused]
        "A sign-up was refused.";
    SignUpUnproofed = "IDV4003" "sign_up_unproofed" counts [SignUpUnproofed]
        "1Kosmos was unavailable: a sign-up was let through without a session.";
    SessionWithheld = "IDV4004" "session_withheld" counts [SessionWithheld]
        "Somebody asked for a proofing session and did not show that it is theirs.";
    StepUpStarted = "IDV4101" "step_up_started" counts [StepUpStarted]
        "A biometric challenge was started in a sign-in.";
    StepUpPassed = "IDV4102" "step_up_passed" counts [StepUpPassed]
        "The challenge was answered by the proofed person.";
    StepUpPending = "IDV4103" "step_up_pending" counts [StepUpPending]
        "The challenge had not been answered yet; it can be asked again.";
    StepUpFailed = "IDV4104" "step_up_failed" counts [StepUpFailed]
        "The challenge was not answered by the proofed person.";
    StepUpRefused = "IDV4105" "step_up_refused" counts [StepUpFailed]
        "A sign-in with step-up ended without tokens.";
    FederationUnreadable = "IDV4201" "federation_unreadable" counts [FederationUnreadable]
        "A federated sign-in told its assurance in no form that is known.";
}

impl AuditCode {
    /// The code: `IDV1001`.
    pub fn code(self) -> &'static str {
        self.row().code
    }

    /// The event in a word: `accepted`.
    pub fn word(self) -> &'static str {
        self.row().word
    }

    /// What it means, in a sentence.
    pub fn meaning(self) -> &'static str {
        self.row().meaning
    }

    /// What is counted of it, whatever else its record says. What operators do is not counted by functions.
    pub fn counts(self) -> &'static [Metric] {
        self.row().counts
    }

    /// The code that is written like this; none where this version does not know it.
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::AuditCode;

    #[test]
    fn no_two_events_share_a_code_or_a_word() {
        for (index, one) in AuditCode::ALL.iter().enumerate() {
            assert_eq!(AuditCode::parse(one.code()), Some(*one));
            for other in AuditCode::ALL.iter().skip(index + 1) {
                assert!(one.code() != other.code() && one.word() != other.word(), "{one:?} {other:?}");
            }
        }
    }
}
