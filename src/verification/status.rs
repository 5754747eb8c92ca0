//! How a session stands, in a word.

/// The table of status words: the canonical one, which stands in envelopes, attributes and audit records, and the others that
/// are read as it.
macro_rules! statuses {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal also [$($other:literal),*];)*) => {
        /// What a status word says.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Status {
            $($(#[doc = $doc])+ $name,)*
        }

        impl Status {
            /// Every status.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The canonical word.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            /// Every word for it, the canonical one first.
            pub fn words(self) -> &'static [&'static str] {
                match self {
                    $(Self::$name => &[$word, $($other),*],)*
                }
            }
        }
    };
}

statuses! {
    /// The person was proofed.
    Approved = "approved" also ["verified", "success", "passed", "accepted"];
    /// The person was refused.
    Declined = "declined" also ["denied", "rejected", "failed"];
    /// The session ran out of time.
    Expired = "expired" also ["timed_out", "timeout"];
    /// The person went away.
    Abandoned = "abandoned" also ["canceled", "cancelled"];
    /// Somebody at the provider looks at it.
    InReview = "in_review" also ["manual_review", "needs_review", "pending_review", "review"];
    /// The person has begun and not ended.
    InProgress = "in_progress" also ["started", "created", "pending", "submitted", "processing", "resubmission_requested"];
}

impl Status {
    /// The status of this canonical word, and of no other.
    pub fn of_canonical(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|status| status.word() == word)
    }
}
