//! What one session has said: words, each with when and by which event.

use std::cmp::Reverse;
use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::assurance::record::IdvStatus;
use crate::hex::hex;
use crate::timestamp::Timestamp;
use crate::verification::{AssuranceLevel, EventId, Outcome, SessionId, VerificationEvent};
use crate::vocabulary::Status;

/// How many hexadecimal digits stand for an instant, for an event's id, and for what it said.
const INSTANT_DIGITS: usize = 12;
pub(super) const EVENT_DIGITS: usize = 10;
const MEANING_DIGITS: usize = 6;

/// What stands behind the mark of an event that was dated ahead.
const AHEAD: &str = "+";

/// What stands for what an event said where that is not known: an older version did not write it down.
const UNKNOWN_MEANING: &str = "000000";

/// A digest of what an event said: when, of which session, how it ended, to which level. The same event sent again with
/// members that nobody reads has the same. It leaves out who the person is, so that it can stand in a log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Meaning(String);

impl Meaning {
    /// What this event says.
    pub fn of(event: &VerificationEvent) -> Self {
        Self(digits(&[b"idv-callback/meaning/1\n", event.said().as_bytes()], MEANING_DIGITS))
    }

    /// Reads its digits.
    pub fn parse(text: &str) -> Option<Self> {
        hex_digits(text, MEANING_DIGITS).map(Self)
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn unknown() -> Self {
        Self(UNKNOWN_MEANING.to_owned())
    }

    pub(super) fn is_unknown(&self) -> bool {
        self.0 == UNKNOWN_MEANING
    }
}

/// An event's id, shortened. Within one user's events no two have the same by chance.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::assurance) struct EventTag(pub(super) String);

impl EventTag {
    pub(in crate::assurance) fn of(event: &EventId) -> Self {
        // An attribute may come back in another case, and with it the id in an older receipt.
        let id = event.as_str().to_ascii_lowercase();
        Self(digits(&[b"idv-callback/event-tag/1\n", id.as_bytes()], EVENT_DIGITS))
    }
}

fn digits(parts: &[&[u8]], many: usize) -> String {
    let digest = parts.iter().fold(Sha256::new(), Sha256::chain_update).finalize();
    hex(&digest).chars().take(many).collect()
}

pub(super) fn hex_digits(text: &str, many: usize) -> Option<String> {
    let fits = text.len() == many && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    fits.then(|| text.to_ascii_lowercase())
}

/// When something was said, by which event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::assurance) struct Mark {
    pub(in crate::assurance) at: Timestamp,
    pub(in crate::assurance) event: EventTag,
    pub(in crate::assurance) meaning: Meaning,
    /// Whether the event was dated ahead of our clock, so that `at` is the moment of its first receipt.
    pub(in crate::assurance) ahead: bool,
}

impl Mark {
    /// The mark of an event. What is dated ahead of our clock counts as the moment of its first receipt.
    pub(in crate::assurance) fn of(
        event: &VerificationEvent,
        meaning: Meaning,
        received_at: Timestamp,
    ) -> Self {
        Self {
            at: event.occurred_at.min(received_at),
            event: EventTag::of(&event.event_id),
            meaning,
            ahead: event.occurred_at > received_at,
        }
    }

    /// A mark that an older version left: what the event said is not known.
    pub(in crate::assurance) fn of_older_version(at: Timestamp, event: Option<&EventId>) -> Self {
        let event = event.map_or_else(|| EventTag("0".repeat(EVENT_DIGITS)), EventTag::of);
        Self { at, event, meaning: Meaning::unknown(), ahead: false }
    }

    /// Whether an older version left it.
    pub(in crate::assurance) fn is_of_older_version(&self) -> bool {
        self.meaning.is_unknown()
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let (at, rest) = text.split_at_checked(INSTANT_DIGITS)?;
        let (event, rest) = rest.split_at_checked(EVENT_DIGITS)?;
        let meaning = rest.strip_suffix(AHEAD).unwrap_or(rest);
        Some(Self {
            at: instant(at)?,
            event: EventTag(hex_digits(event, EVENT_DIGITS)?),
            meaning: Meaning::parse(meaning)?,
            ahead: rest.ends_with(AHEAD),
        })
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ahead = if self.ahead { AHEAD } else { "" };
        write!(f, "{:012x}{}{}{ahead}", self.at.unix_millis().max(0), self.event.0, self.meaning.0)
    }
}

pub(super) fn instant(text: &str) -> Option<Timestamp> {
    let text = hex_digits(text, INSTANT_DIGITS)?;
    i64::from_str_radix(&text, 16).ok().map(Timestamp::from_unix_millis)
}

/// What an event says of its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::assurance) enum Word {
    /// Approved, to a level that counts.
    Approved(AssuranceLevel),
    Declined,
    /// Approved, but not to what counts.
    Insufficient,
    InReview,
    Expired,
    Abandoned,
    InProgress,
}

impl Word {
    /// What an outcome says of its session.
    pub(in crate::assurance) fn of(outcome: &Outcome, insufficient: bool) -> Self {
        match outcome {
            Outcome::Approved(_) if insufficient => Self::Insufficient,
            Outcome::Approved(approval) => Self::Approved(approval.ial),
            Outcome::Declined => Self::Declined,
            Outcome::Expired => Self::Expired,
            Outcome::Abandoned => Self::Abandoned,
            Outcome::InReview => Self::InReview,
            Outcome::InProgress => Self::InProgress,
        }
    }

    /// The status that the word leads to.
    pub(in crate::assurance) fn status(self) -> IdvStatus {
        match self {
            Self::Approved(_) => IdvStatus::Said(Status::Approved),
            Self::Declined => IdvStatus::Said(Status::Declined),
            Self::Insufficient => IdvStatus::Insufficient,
            Self::InReview => IdvStatus::Said(Status::InReview),
            Self::Expired => IdvStatus::Said(Status::Expired),
            Self::Abandoned => IdvStatus::Said(Status::Abandoned),
            Self::InProgress => IdvStatus::Said(Status::InProgress),
        }
    }

    /// Whether it is a result: what no lower word takes back.
    pub(super) fn is_result(self) -> bool {
        matches!(self, Self::Approved(_) | Self::Declined | Self::Insufficient)
    }

    /// Among the words of several sessions the higher one counts, and of equal ones the later.
    pub(super) fn rank(self) -> u8 {
        match self {
            Self::Declined | Self::InReview => 3,
            Self::Insufficient => 2,
            Self::Expired | Self::Abandoned => 1,
            Self::Approved(_) | Self::InProgress => 0,
        }
    }

    /// At one instant the greater one counts.
    pub(super) fn precedence(self) -> u8 {
        match self {
            Self::Approved(_) | Self::InProgress => 0,
            Self::Abandoned => 1,
            Self::Expired => 2,
            Self::InReview => 3,
            Self::Insufficient => 4,
            Self::Declined => 5,
        }
    }

    pub(super) fn letter(self) -> char {
        match self {
            Self::Approved(_) => 'a',
            Self::Declined => 'd',
            Self::Insufficient => 'n',
            Self::InReview => 'r',
            Self::Expired => 'e',
            Self::Abandoned => 'b',
            Self::InProgress => 'p',
        }
    }
}

/// What one session has said, as far as it can still matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) id: SessionId,
    /// The latest sufficient approval.
    pub(super) approved: Option<(AssuranceLevel, Mark)>,
    /// The latest denial by "declined", at or after that; earlier, where the approval was dated ahead: an earlier receipt of it
    /// may come to light.
    pub(super) declined: Option<Mark>,
    /// The latest denial by an approval to too little, at or after that, and after `declined`.
    pub(super) insufficient: Option<Mark>,
    /// The latest word that is no result. Beside a result it counts for nothing; it tells a repetition.
    pub(super) lower: Option<(Word, Mark)>,
}

impl Session {
    pub(super) fn new(id: SessionId) -> Self {
        Self { id, approved: None, declined: None, insufficient: None, lower: None }
    }

    pub(super) fn marks(&self) -> impl Iterator<Item = (Word, &Mark)> {
        let approved = self.approved.iter().map(|(level, mark)| (Word::Approved(*level), mark));
        let declined = self.declined.iter().map(|mark| (Word::Declined, mark));
        let insufficient = self.insufficient.iter().map(|mark| (Word::Insufficient, mark));
        approved
            .chain(declined)
            .chain(insufficient)
            .chain(self.lower.iter().map(|(word, mark)| (*word, mark)))
    }

    pub(super) fn has_result(&self) -> bool {
        self.marks().any(|(word, _)| word.is_result())
    }

    /// The denial that counts: at or after the latest approval.
    pub(super) fn denial(&self) -> Option<(Word, &Mark)> {
        let since = self.approved.as_ref().map(|(_, mark)| mark.at);
        let counts = |mark: &&Mark| Some(mark.at) >= since;
        let declined = self.declined.as_ref().filter(counts).map(|mark| (Word::Declined, mark));
        declined.or_else(|| self.insufficient.as_ref().filter(counts).map(|mark| (Word::Insufficient, mark)))
    }

    /// The last word.
    pub(super) fn last_word(&self) -> Option<(Word, &Mark)> {
        self.denial()
            .or_else(|| self.approved.as_ref().map(|(level, mark)| (Word::Approved(*level), mark)))
            .or_else(|| self.lower.as_ref().map(|(word, mark)| (*word, mark)))
    }

    /// Adds what an event says, and releases what cannot matter any more. Gives whether anything is remembered of it, and
    /// what was let go of.
    pub(super) fn hear(&mut self, word: Word, mark: Mark) -> (bool, Vec<(Word, Mark)>) {
        let event = mark.event.clone();
        let mut before: Vec<_> = self.marks().map(|(word, mark)| (word, mark.clone())).collect();
        before.push((word, mark.clone()));
        self.take_in(word, mark);
        before.retain(|(_, old)| self.marks().all(|(_, held)| held != old));
        (self.marks().any(|(_, mark)| mark.event == event), before)
    }

    fn take_in(&mut self, word: Word, mark: Mark) {
        match word {
            Word::Approved(level) => {
                let order = |level: AssuranceLevel, mark: &Mark| {
                    (mark.at, Reverse(level), Reverse((mark.event.clone(), mark.meaning.clone())))
                };
                let later = self.approved.as_ref().is_none_or(|(l, m)| order(level, &mark) > order(*l, m));
                if later {
                    self.approved = Some((level, mark));
                }
            }
            Word::Declined => keep_later(&mut self.declined, mark),
            Word::Insufficient => keep_later(&mut self.insufficient, mark),
            Word::InReview | Word::Expired | Word::Abandoned | Word::InProgress => {
                let order = |word: Word, mark: &Mark| (word != Word::InProgress, mark.at, word.precedence());
                if self.lower.as_ref().is_none_or(|(w, m)| order(word, &mark) > order(*w, m)) {
                    self.lower = Some((word, mark));
                }
            }
        }
        let approved_at = self.approved.as_ref().filter(|(_, mark)| !mark.ahead).map(|(_, mark)| mark.at);
        self.declined.take_if(|mark| Some(mark.at) < approved_at);
        let declined_at = self.declined.as_ref().map(|mark| mark.at);
        self.insufficient.take_if(|mark| Some(mark.at) < approved_at || Some(mark.at) <= declined_at);
        let result_at = self.marks().filter(|(word, _)| word.is_result()).map(|(_, mark)| mark.at).max();
        self.lower.take_if(|(_, mark)| Some(mark.at) <= result_at);
    }

    /// Gives an event the moment of an earlier receipt.
    pub(super) fn lower_to(&mut self, event: &EventTag, at: Timestamp) {
        let approved = self.approved.as_mut().map(|(_, mark)| mark);
        let lower = self.lower.as_mut().map(|(_, mark)| mark);
        let marks = [approved, self.declined.as_mut(), self.insufficient.as_mut(), lower];
        for mark in marks.into_iter().flatten().filter(|mark| mark.event == *event && mark.ahead) {
            mark.at = mark.at.min(at);
        }
    }
}

fn keep_later(held: &mut Option<Mark>, mark: Mark) {
    let order = |mark: &Mark| (mark.at, Reverse((mark.event.clone(), mark.meaning.clone())));
    if held.as_ref().is_none_or(|held| order(&mark) > order(held)) {
        *held = Some(mark);
    }
}
