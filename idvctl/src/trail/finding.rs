//! What is wrong with a trail, and where.

use std::fmt;

use serde::Serialize;

/// What is wrong with a trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Records are missing.
    Gap,
    /// A record, or the link of the next one, was changed after it was written.
    Changed,
    /// A record stands behind one that was written later.
    Reordered,
    /// A record stands there twice.
    Duplicate,
    /// Two records have one number.
    Fork,
    /// The first record of a writer does not say that it begins.
    NoBeginning,
    /// A record has no link, or is of a form that is not known.
    Unlinked,
    /// Records that were sealed are missing.
    SealedMissing,
    /// A record is not the one that was sealed.
    SealedChanged,
    /// A checkpoint's signature does not hold.
    BadSignature,
    /// A checkpoint does not follow from what is sealed, or not from the one before.
    BadCheckpoint,
    /// Nothing was said for too long.
    Silence,
}

impl FindingKind {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Changed => "changed",
            Self::Reordered => "reordered",
            Self::Duplicate => "duplicate",
            Self::Fork => "fork",
            Self::NoBeginning => "no_beginning",
            Self::Unlinked => "unlinked",
            Self::SealedMissing => "sealed_missing",
            Self::SealedChanged => "sealed_changed",
            Self::BadSignature => "bad_signature",
            Self::BadCheckpoint => "bad_checkpoint",
            Self::Silence => "silence",
        }
    }
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What.
    pub kind: FindingKind,
    /// Of which writer; of a checkpoint, its file.
    pub writer: String,
    /// The first record that it is about.
    pub from: u64,
    /// The last.
    pub to: u64,
    /// Where that shows.
    pub place: String,
    /// In words.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.kind.word(), self.writer)?;
        if self.from == self.to {
            write!(f, "{}", self.from)?;
        } else {
            write!(f, "{}-{}", self.from, self.to)?;
        }
        write!(f, " at {}: {}", self.place, self.text)
    }
}
