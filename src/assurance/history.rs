//! What a user's proofing sessions have said so far, and what follows from it.
//!
//! Events come late, twice, in any order and from several sessions. So what a user ends as is a function of the *set* of their
//! events, and never of the order in which they came:
//!
//! * **A session's last word.** If it was ever approved sufficiently: a denial (declined, or approved to too little) at or
//!   after its latest approval, else that approval. If not: its denial. Declined outranks insufficient, and on equal
//!   instants the denial is later. Only a session without any result has a lower word: the latest of in review, expired,
//!   abandoned (on a tie in this order), then in progress.
//! * **Approved?** The session with the latest sufficient approval decides; on a tie one with a denial does. If its last word is
//!   an approval, the user has exactly that approval. Else the approval is taken back, and no older one comes back.
//! * **Not approved, or taken back?** The highest word of all sessions, approvals left out: declined or in review (the later,
//!   declined on a tie), then insufficient, then expired or abandoned (expired on a tie), then in progress.
//!
//! Of each session only what can still matter is remembered, in one attribute of the user (`custom:idv_history`):
//!
//! ```text
//! 1 =<event> ~<instant> +<word><mark> @<session> <word><mark> … @<session> …
//! ```
//!
//! An instant is 12 hexadecimal digits (milliseconds of Unix time); a mark is an instant, 10 digits of an event's id and 6 of
//! what it said, and a `+` where the event was dated ahead of our clock: then the instant is that of its first receipt. `=` names
//! the event that was written last, `~` says until when something may have been forgotten, `+` is an event that was dated ahead
//! and does not matter any more but for its repetitions. All of it is read without regard to case.

use std::cmp::Reverse;
use std::fmt;

mod session;

pub use session::Meaning;
use session::{EVENT_DIGITS, Session, hex_digits, instant};
pub(super) use session::{EventTag, Mark, Word};

use super::attributes::MAXIMUM_VALUE_CHARS;
use crate::timestamp::Timestamp;
use crate::verification::{AssuranceLevel, EventId, SessionId, VerificationEvent};

/// What two marks of a session take at the most, with their letters and blanks.
const ROOM_FOR_A_WORD: usize = 2 * 32;

/// What a user's sessions have said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    sessions: Vec<Session>,
    /// Events that were dated ahead of our clock and that no session holds any more: their repetitions must be known.
    ahead: Vec<(Word, Mark)>,
    /// Until when something may have been said that is not remembered.
    forgotten: Option<Timestamp>,
    /// The event that was written last.
    last: Option<EventTag>,
}

/// What is known of an event before it is taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing.
    New,
    /// It was taken in before.
    Repeated,
    /// An event of this id was taken in before that said something else.
    Contradicted,
}

/// What the sessions come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing<'h> {
    /// The word that counts.
    pub(super) word: Word,
    /// The session that said it.
    pub(super) session: &'h SessionId,
    /// When, and by which event.
    pub(super) mark: &'h Mark,
    /// Whether there was an approval that does not stand any more.
    pub(super) taken_back: bool,
}

impl Standing<'_> {
    /// Whether an approval stands.
    pub(super) fn is_approved(&self) -> bool {
        matches!(self.word, Word::Approved(_))
    }
}

/// Why an event cannot be taken in by the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// Its session may have said something that is not remembered.
    MayBeForgotten,
    /// There is no room for one more session.
    NoRoom,
}

impl History {
    /// A history that knows this and may have forgotten what happened until then.
    pub(super) fn of_older_version(
        words: impl IntoIterator<Item = (SessionId, Word, Mark)>,
        forgotten: Option<Timestamp>,
        last: Option<&EventId>,
    ) -> Self {
        let mut history = Self { forgotten, last: last.map(EventTag::of), ..Self::default() };
        for (session, word, mark) in words {
            history.hear(&session, word, mark);
        }
        history
    }

    /// The same, with what another history knows; it may have forgotten what either has.
    pub(super) fn with_all_of(mut self, other: Self) -> Self {
        for session in &other.sessions {
            for (word, mark) in session.marks() {
                self.hear(&session.id, word, mark.clone());
            }
        }
        self.ahead.extend(other.ahead);
        self.forgotten = self.forgotten.max(other.forgotten);
        self.last = other.last;
        self
    }

    /// Whether this event was written last.
    pub(super) fn ends_with(&self, event: &EventId) -> bool {
        self.last.as_ref() == Some(&EventTag::of(event))
    }

    /// Whether this very event is remembered.
    pub fn knows(&self, event: &EventId) -> bool {
        let tag = EventTag::of(event);
        self.marks().any(|(_, _, mark)| mark.event == tag)
            || self.ahead.iter().any(|(_, mark)| mark.event == tag)
    }

    /// A history of one event: an approval to what counts, or to too little, where it is one.
    pub fn of(event: &VerificationEvent, received_at: Timestamp, insufficient: bool) -> Self {
        let word = Word::of(&event.outcome, insufficient);
        let mark = Mark::of(event, Meaning::of(event), received_at);
        let mut history = Self::default();
        history.hear(&event.session, word, mark);
        history
    }

    /// Whether what another history says is in this one, or does not matter any more.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.clone().with_all_of(other.clone()).sessions == self.sessions
    }

    /// What is known of an event of this id that says this.
    pub(super) fn recognise(&self, event: &VerificationEvent, tag: &EventTag, meaning: &Meaning) -> Known {
        let ahead = self.ahead.iter().map(|(_, mark)| mark);
        let held = ahead.chain(self.marks().map(|(_, _, mark)| mark));
        let mut known = Known::New;
        for mark in held.filter(|mark| mark.event == *tag) {
            if mark.meaning == *meaning {
                return Known::Repeated;
            }
            known = if mark.meaning.is_unknown() { Known::Repeated } else { Known::Contradicted };
        }
        // An older version did not write down what was said: session, word and time have to do. It did not write the session
        // of an approval to too little.
        let differs = |(session, word, mark): (&SessionId, Word, &Mark)| {
            let said = match word {
                Word::Approved(_) => session.is(&event.session) && event.outcome.word() == "approved",
                Word::Insufficient => event.outcome.word() == "approved",
                word => session.is(&event.session) && event.outcome.word() == word.status().as_str(),
            };
            mark.event == *tag && mark.meaning.is_unknown() && !(said && mark.at == event.occurred_at)
        };
        if known == Known::Repeated && self.marks().any(differs) { Known::Contradicted } else { known }
    }

    /// The history with one more event of this session. Gives, too, whether anything of it is remembered.
    ///
    /// # Errors
    /// [`Doubt`] when the rules cannot tell what follows, because of what may have been forgotten.
    pub(super) fn with(&self, session: &SessionId, word: Word, mark: &Mark) -> Result<(Self, bool), Doubt> {
        let known = self.sessions.iter().find(|known| known.id.is(session));
        let mut after = Self { last: Some(mark.event.clone()), ..self.clone() };
        let remembered = after.hear(session, word, mark.clone());
        // What an unknown session said before is in doubt where it would confirm somebody, or have them wait for a reviewer.
        let early = self.forgotten.is_some_and(|until| mark.at <= until);
        let counts = after.standing().is_some_and(|standing| standing.mark.event == mark.event);
        let unknown = known.is_none() && counts && matches!(word, Word::Approved(_) | Word::InReview);
        // An older version wrote down which event came last, and not always when a denial was.
        let guessed = |(word, held): (Word, &Mark)| {
            matches!(word, Word::Declined | Word::Insufficient)
                && held.meaning.is_unknown()
                && held.at >= mark.at
        };
        let is_approval = matches!(word, Word::Approved(_));
        let denied_by_guess = is_approval && known.is_some_and(|k| k.marks().any(guessed));
        // Nor the denial of a session whose later word it wrote over it.
        let well =
            |(word, mark): (Word, &Mark)| !mark.is_of_older_version() || matches!(word, Word::Approved(_));
        let written_over = is_approval
            && known.is_some_and(|k| !k.marks().any(well))
            && self.forgotten.is_some_and(|until| mark.at < until);
        if (early && (unknown || denied_by_guess)) || written_over {
            return Err(Doubt::MayBeForgotten);
        }
        after.sessions.retain(|session| session.marks().next().is_some());
        // A new session must leave room for what those that are there will say, and an approval for its denial. A denial of what
        // stands always finds some.
        let is_denial = matches!(word, Word::Declined | Word::Insufficient);
        let kept_free = match (known.is_some(), is_denial) {
            (false, _) => 2 * ROOM_FOR_A_WORD,
            (true, false) => ROOM_FOR_A_WORD,
            (true, true) => 0,
        };
        let room = MAXIMUM_VALUE_CHARS - kept_free;
        let takes_back =
            is_denial && self.standing().is_some_and(|s| s.is_approved() && s.session.is(session));
        if after.fit(room, takes_back.then_some(session)) {
            Ok((after, remembered))
        } else {
            Err(Doubt::NoRoom)
        }
    }

    /// The history in which this event, which was dated ahead, was received first at this moment; none where that is known.
    pub(super) fn with_earlier_receipt(&self, event: &EventTag, at: Timestamp) -> Option<Self> {
        let later = |mark: &Mark| mark.event == *event && mark.ahead && mark.at > at;
        if !self.marks().any(|(_, _, mark)| later(mark)) {
            return None;
        }
        let mut after = Self { last: Some(event.clone()), ..self.clone() };
        after.sessions.iter_mut().for_each(|session| session.lower_to(event, at));
        Some(after)
    }

    /// Adds what an event says of a session. One that was dated ahead stays known when the session releases it.
    fn hear(&mut self, session: &SessionId, word: Word, mark: Mark) -> bool {
        let ahead = mark.ahead;
        let (remembered, released) = self.session(session).hear(word, mark);
        self.ahead.extend(released.into_iter().filter(|(_, mark)| mark.ahead));
        remembered || ahead
    }

    fn session(&mut self, id: &SessionId) -> &mut Session {
        let at = self.sessions.iter().position(|session| session.id.is(id)).unwrap_or(self.sessions.len());
        if at == self.sessions.len() {
            self.sessions.push(Session::new(id.clone()));
        }
        // The index was just found or made.
        #[expect(
            clippy::indexing_slicing,
            reason = "the session at this index was found or pushed just above"
        )]
        &mut self.sessions[at]
    }

    fn marks(&self) -> impl Iterator<Item = (&SessionId, Word, &Mark)> {
        self.sessions.iter().flat_map(|session| session.marks().map(|(word, mark)| (&session.id, word, mark)))
    }

    /// What all sessions together come to; none where nothing was said.
    pub(super) fn standing(&self) -> Option<Standing<'_>> {
        // A fixed choice between sessions of equal right: any would do, as long as it is always the same.
        let name = |session: &Session| Reverse(session.id.as_str().to_ascii_lowercase());
        let denied = |session: &Session| session.denial().is_some();
        let approvals =
            self.sessions.iter().filter_map(|session| Some((session, session.approved.as_ref()?)));
        let deciding = approvals.max_by_key(|(session, (_, mark))| (mark.at, denied(session), name(session)));
        if let Some((session, (level, mark))) = deciding
            && !denied(session)
        {
            let word = Word::Approved(*level);
            return Some(Standing { word, session: &session.id, mark, taken_back: false });
        }
        let words = self.sessions.iter().filter_map(|session| {
            let (word, mark) = session.last_word().filter(|(word, _)| !matches!(word, Word::Approved(_)))?;
            Some((session, word, mark))
        });
        let highest = words
            .max_by_key(|(session, word, mark)| (word.rank(), mark.at, word.precedence(), name(session)));
        let taken_back = deciding.is_some();
        highest.map(|(session, word, mark)| Standing { word, session: &session.id, mark, taken_back })
    }

    /// Releases what matters least until the rest fits. Results, and sessions in review, are forgotten only where that makes
    /// room for the denial of this session, whose approval stands.
    fn fit(&mut self, room: usize, denied: Option<&SessionId>) -> bool {
        while self.to_string().len() > room {
            if let Some(at) = self.ahead.iter().position(|(word, _)| !word.is_result()) {
                self.ahead.remove(at);
                continue;
            }
            if let Some(session) =
                self.sessions.iter_mut().find(|session| session.has_result() && session.lower.is_some())
            {
                session.lower = None;
                continue;
            }
            let standing = self.standing().map(|standing| standing.session.clone());
            let droppable = |session: &Session| match &session.lower {
                Some((Word::Expired | Word::Abandoned | Word::InProgress, mark)) => {
                    (standing.as_ref() != Some(&session.id) && !session.has_result()).then_some(mark.at)
                }
                _ => None,
            };
            let oldest = (self.sessions.iter().enumerate())
                .filter_map(|(index, session)| Some((droppable(session)?, index)))
                .min();
            let (at, index) = match (oldest, denied) {
                (Some(oldest), _) => oldest,
                (None, Some(denied)) => match self.least_of_the_others(denied) {
                    Some(least) => least,
                    None => return false,
                },
                (None, None) => return false,
            };
            self.sessions.remove(index);
            self.forgotten = self.forgotten.max(Some(at));
        }
        true
    }

    /// The session beside this one whose last word is lowest, and of these the oldest.
    fn least_of_the_others(&self, denied: &SessionId) -> Option<(Timestamp, usize)> {
        let others = self.sessions.iter().enumerate().filter(|(_, session)| !session.id.is(denied));
        let ranked = others.filter_map(|(index, session)| {
            let (word, mark) = session.last_word()?;
            Some((word.rank(), mark.at, index))
        });
        ranked.min().map(|(_, at, index)| (at, index))
    }

    /// Reads the attribute's value.
    pub fn parse(text: &str) -> Option<Self> {
        let mut tokens = text.split(' ');
        if tokens.next() != Some("1") {
            return None;
        }
        let mut history = Self::default();
        for token in tokens {
            let mut letters = token.chars();
            let first = letters.next()?.to_ascii_lowercase();
            let rest = letters.as_str();
            match first {
                '=' => history.last = Some(EventTag(hex_digits(rest, EVENT_DIGITS)?)),
                '~' => history.forgotten = Some(instant(rest)?),
                '+' => history.ahead.push(word_and_mark(rest)?),
                '@' => history.sessions.push(Session::new(SessionId::new(rest).ok()?)),
                _ => {
                    let session = history.sessions.last_mut()?;
                    match word_and_mark(token)? {
                        (Word::Approved(level), mark) => session.approved = Some((level, mark)),
                        (Word::Declined, mark) => session.declined = Some(mark),
                        (Word::Insufficient, mark) => session.insufficient = Some(mark),
                        lower => session.lower = Some(lower),
                    }
                }
            }
        }
        Some(history)
    }
}

/// `a2<mark>`, `d<mark>` and the like.
fn word_and_mark(token: &str) -> Option<(Word, Mark)> {
    let mut letters = token.chars();
    let letter = letters.next()?.to_ascii_lowercase();
    let rest = letters.as_str();
    if letter == 'a' {
        let (level, mark) = rest.split_at_checked(1)?;
        return Some((Word::Approved(AssuranceLevel::of_digit(level)?), Mark::parse(mark)?));
    }
    let lower = [
        Word::Declined,
        Word::Insufficient,
        Word::InReview,
        Word::Expired,
        Word::Abandoned,
        Word::InProgress,
    ];
    let word = lower.into_iter().find(|word| word.letter() == letter)?;
    Some((word, Mark::parse(rest)?))
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("1")?;
        if let Some(EventTag(last)) = &self.last {
            write!(f, " ={last}")?;
        }
        if let Some(until) = self.forgotten {
            write!(f, " ~{:012x}", until.unix_millis().max(0))?;
        }
        let written = |word: Word, mark: &Mark| match word {
            Word::Approved(level) => format!("a{level}{mark}"),
            word => format!("{}{mark}", word.letter()),
        };
        for (word, mark) in &self.ahead {
            write!(f, " +{}", written(*word, mark))?;
        }
        for session in &self.sessions {
            write!(f, " @{}", session.id)?;
            for (word, mark) in session.marks() {
                write!(f, " {}", written(word, mark))?;
            }
        }
        Ok(())
    }
}
