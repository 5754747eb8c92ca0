//! What is counted or measured.

/// The table of all metrics: each with its unit in CloudWatch, and what it is broken down by beside its total.
macro_rules! metrics {
    ($($(#[doc = $doc:literal])+ $name:ident in $unit:ident $(by $dimension:literal)?;)*) => {
        /// What is counted or measured.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Metric {
            $($(#[doc = $doc])+ $name,)*
        }

        impl Metric {
            /// Every metric.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name in CloudWatch.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The unit in CloudWatch.
            pub fn unit(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($unit),)*
                }
            }

            /// What the metric is broken down by, beside its total.
            pub fn dimension(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => None$(.or(Some($dimension)))?,)*
                }
            }
        }
    };
}

metrics! {
    /// Requests that came to the callback function, whatever became of them.
    Received in Count;
    /// Callbacks that were authenticated, read and stored.
    Accepted in Count;
    /// Callbacks that were authenticated and stored, but whose body cannot be read.
    AcceptedUnreadable in Count;
    /// Messages that SQS took: `Accepted`, `AcceptedUnreadable` and `Asserted` together.
    Enqueued in Count;
    /// Authentic callbacks that tell no result, by their type.
    Ignored in Count;
    /// Authentic callbacks that are a sender's test.
    SenderTest in Count;
    /// Callbacks that were not authenticated, by cause.
    Refused in Count by "Cause";
    /// Requests that were no callback at all, by cause.
    Rejected in Count by "Cause";
    /// Callbacks whose sender was asked to try again, by cause.
    Deferred in Count by "Cause";
    /// Accepted callbacks, by the id of the webhook key that signed them.
    KeyUse in Count by "KeyId";
    /// Approvals written onto a user.
    Applied in Count;
    /// Other results written onto a user without an approval.
    Recorded in Count;
    /// Approvals that do not reach the policy.
    Insufficient in Count;
    /// Approvals that were taken back.
    Revoked in Count;
    /// Events that change nothing of where the user stands, and are remembered.
    Noted in Count;
    /// Events whose session had said something that counts more.
    Superseded in Count;
    /// Events that had been taken in before.
    Duplicate in Count;
    /// Events of nobody who is here, which give nobody anything.
    Unclaimed in Count;
    /// Messages whose type tells no result, as the operator has said.
    Skipped in Count;
    /// Optional fields that were left out because they are odd; messages that a pool without a history took.
    LeftOut in Count;
    /// Synthetic callbacks that came through.
    Probed in Count;
    /// Messages that went to the dead letters, by reason.
    Quarantined in Count by "Reason";
    /// Of these, those that an attack or a mix-up of people would look like.
    Suspicious in Count;
    /// Messages that went back to the queue because of a transient fault.
    Retried in Count;
    /// Of these, those that AWS throttled.
    Throttled in Count;
    /// Messages that went back to the queue because of a fault that an operator must fix.
    Misconfigured in Count;
    /// Messages that went back untried.
    Left in Count;
    /// How long a callback that went back has been waiting, in seconds.
    Waiting in Seconds;
    /// From the callback's arrival to the user's confirmation, in seconds.
    CallbackToConfirmed in Seconds;
    /// Results that were fetched from the provider, or asserted in a federated sign-in, and stored.
    Asserted in Count;
    /// Proofing sessions that were opened.
    SessionOpened in Count;
    /// Sign-ups that were refused, by reason.
    SignUpRefused in Count by "Reason";
    /// Sign-ups that were let through without a proofing session.
    SignUpUnproofed in Count;
    /// Requests for a proofing session by somebody who did not show that it is theirs, by reason.
    SessionWithheld in Count by "Reason";
    /// Step-up challenges that were started.
    StepUpStarted in Count;
    /// Step-ups that were passed.
    StepUpPassed in Count;
    /// Step-ups that were asked for before the person had answered.
    StepUpPending in Count;
    /// Step-ups that were not passed, and sign-ins with step-up that ended without tokens, by reason.
    StepUpFailed in Count by "Reason";
    /// Of all these, those where 1Kosmos was unavailable.
    ProviderFaults in Count;
    /// Of all these, those where 1Kosmos does not take what it is asked.
    ProviderRefusals in Count;
    /// Callbacks that were put off for a reason of ours, which nobody outside can bring about.
    CallbackFaults in Count;
    /// Triggers that answered with an error for such a reason.
    TriggerFaults in Count;
    /// Requests for a session that were put off for such a reason.
    SessionFaults in Count;
    /// Federated sign-ins that told their level in no form that is known.
    FederationUnreadable in Count;
}
