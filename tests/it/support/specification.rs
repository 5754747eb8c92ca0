//! What a set of events of one user comes to, written from the rules alone: nothing of the code is used here.

use std::cmp::Reverse;

/// What an event says. The order is that of equal instants: the later one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Word {
    InProgress,
    Abandoned,
    Expired,
    InReview,
    /// Approved to a level that counts.
    Approved(u8),
    Insufficient,
    Declined,
}

use Word::{Abandoned, Approved, Declined, Expired, InProgress, InReview, Insufficient};

/// An event: of which session, what, when; and a number of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Event {
    pub(crate) session: u8,
    pub(crate) word: Word,
    pub(crate) at: u32,
    pub(crate) number: usize,
}

/// What a user ends as: the event that decides, and whether an approval was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) by: Event,
    pub(crate) taken_back: bool,
}

/// How many sessions there are at the most.
const SESSIONS: u8 = 3;

/// What this set of events comes to.
pub(crate) fn ends(events: &[Event]) -> Option<Ends> {
    let sessions =
        || (0..SESSIONS).map(|session| events.iter().copied().filter(move |event| event.session == session));
    let approval = |(at, level): (u32, u8)| (at, Reverse(level));
    let latest_approval = |session: &mut dyn Iterator<Item = Event>| {
        session
            .filter_map(|event| if let Approved(level) = event.word { Some((event, level)) } else { None })
            .max_by_key(|(event, level)| (approval((event.at, *level)), Reverse(event.number)))
            .map(|(event, _)| event)
    };
    // A session's last word.
    let last_word = |session: Vec<Event>| {
        let approved = latest_approval(&mut session.iter().copied());
        let since = approved.map_or(0, |event| event.at);
        let denials = session.iter().copied().filter(|event| event.word >= Insufficient && event.at >= since);
        let denial = denials.max_by_key(|event| (event.word, event.at));
        let lower = session.iter().copied().filter(|event| event.word <= InReview);
        let lower = lower.max_by_key(|event| (event.word != InProgress, event.at, event.word));
        denial.or(approved).or(lower)
    };
    // The latest approval of all decides; on a tie the one of a session with a denial, else that of the first session.
    let words: Vec<_> = sessions()
        .map(|session| session.collect::<Vec<_>>())
        .filter(|session| !session.is_empty())
        .filter_map(|session| Some((latest_approval(&mut session.iter().copied()), last_word(session)?)))
        .collect();
    let is_approval = |event: &Event| matches!(event.word, Approved(_));
    let decides = words.iter().filter(|(approved, _)| approved.is_some()).max_by_key(|(approved, word)| {
        (approved.map(|event| event.at), !is_approval(word), Reverse(word.session))
    });
    if let Some((_, word)) = decides.filter(|(_, word)| is_approval(word)) {
        return Some(Ends { by: *word, taken_back: false });
    }
    // Else the highest word of all sessions, approvals left out.
    let rank = |word: Word| match word {
        Declined | InReview => 3,
        Insufficient => 2,
        Expired | Abandoned => 1,
        InProgress | Approved(_) => 0,
    };
    let highest = words
        .iter()
        .map(|(_, word)| *word)
        .filter(|word| !is_approval(word))
        .max_by_key(|event| (rank(event.word), event.at, event.word, Reverse(event.session)));
    highest.map(|by| Ends { by, taken_back: decides.is_some() })
}

/// The `custom:idv_status` of what a set comes to.
pub(crate) fn status(ends: &Ends) -> &'static str {
    match ends.by.word {
        Word::Approved(_) => "approved",
        Word::Insufficient => "insufficient",
        Word::Declined => "declined",
        Word::InReview => "in_review",
        Word::Expired => "expired",
        Word::Abandoned => "abandoned",
        Word::InProgress => "in_progress",
    }
}

/// The `custom:ial` of what a set comes to; none where nobody was ever approved.
pub(crate) fn ial(ends: &Ends) -> Option<String> {
    match ends.by.word {
        Word::Approved(level) => Some(level.to_string()),
        _ => ends.taken_back.then(|| "0".to_owned()),
    }
}
