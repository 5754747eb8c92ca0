//! The provider's words: how a session stands (the words are beside [`Status`]), and what kind of event this is. One table each;
//! SENDERS.md has the same, held by a test.
//!
//! Words compare without case, and blanks, `-` and `_` in them count for nothing: `In Review`, `in-review` and `InReview` are
//! one word. What is not in a table is not guessed.

use crate::verification::EventType;
pub use crate::verification::Status;

/// What an event type is of: its first part, `verification` in `verification.completed`. May be missing.
pub const SUBJECTS_OF_RESULTS: [&str; 9] = [
    "verification",
    "verification_session",
    "identity_verification",
    "identity.verification_session",
    "proofing",
    "proofing_session",
    "identity_proofing",
    "session",
    "idv",
];

/// What an event type may end in, beside a status word, to tell how a session stands: the status field says how.
pub const RESULT_WORDS: [&str; 6] =
    ["completed", "finished", "updated", "status_updated", "status_changed", "result"];

/// What an event type may end in that tells no result: somebody did something with the record of a session.
pub const ADMINISTRATIVE_WORDS: [&str; 24] = [
    "redacted",
    "deleted",
    "purged",
    "erased",
    "removed",
    "anonymized",
    "anonymised",
    "exported",
    "archived",
    "unarchived",
    "restored",
    "viewed",
    "accessed",
    "downloaded",
    "shared",
    "tagged",
    "untagged",
    "assigned",
    "unassigned",
    "commented",
    "note_added",
    "reminder_sent",
    "link_sent",
    "retention_expired",
];

/// What a sender's test is called.
pub const TEST_WORDS: [&str; 4] = ["ping", "test", "testing", "test_event"];

/// What may stand beside a test word.
pub const TEST_CARRIERS: [&str; 9] = [
    "webhook",
    "webhooks",
    "endpoint",
    "event",
    "callback",
    "connection",
    "sender",
    "message",
    "notification",
];

/// What an event type tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tells {
    /// How a session stands, by the status field; or by this word, where the type names one.
    Result(Option<Status>),
    /// Nothing about a result.
    NoResult,
    /// That a sender tries its connection.
    SenderTest,
    /// It is in no table.
    Unknown,
}

/// The word without what does not count in it.
fn bare(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, ' ' | '-' | '_')).map(|c| c.to_ascii_lowercase()).collect()
}

/// What a status word says.
pub fn status(text: &str) -> Option<Status> {
    let word = bare(text);
    let is_it = |status: &Status| status.words().iter().any(|known| bare(known) == word);
    Status::ALL.iter().copied().find(is_it)
}

/// What an event of this type tells.
pub fn tells(event_type: &str) -> Tells {
    let parts: Vec<String> = event_type
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|part| !part.is_empty())
        .map(bare)
        .collect();
    let one_of = |list: &[&str], word: &str| list.iter().any(|known| bare(&known.replace('.', "")) == word);
    let about_results = |words: &[String]| words.is_empty() || one_of(&SUBJECTS_OF_RESULTS, &words.concat());
    // The last word may itself be written in parts: `verification.in_review`.
    for at in 0..parts.len() {
        let (about, word) = parts.split_at(at);
        let word = word.concat();
        if one_of(&TEST_WORDS, &word)
            && (about_results(about) || about.iter().all(|part| one_of(&TEST_CARRIERS, part)))
        {
            return Tells::SenderTest;
        }
        if about_results(about) {
            if let Some(status) = status(&word) {
                return Tells::Result(Some(status));
            }
            if one_of(&RESULT_WORDS, &word) {
                return Tells::Result(None);
            }
        }
        // Whatever it was done to: it is not how a session stands.
        if one_of(&ADMINISTRATIVE_WORDS, &word) {
            return Tells::NoResult;
        }
    }
    let is_test = |part: &String| one_of(&TEST_WORDS, part);
    let only_test = parts.iter().all(|part| is_test(part) || one_of(&TEST_CARRIERS, part));
    if only_test && parts.iter().any(is_test) { Tells::SenderTest } else { Tells::Unknown }
}

/// What an operator has events of a type used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// They tell how a session stands.
    Result,
    /// They are recorded, and change nothing.
    Ignore,
}

/// What an operator has said of event types: `IDV_EVENT_TYPES`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventTypes(Vec<(EventType, Use)>);

impl EventTypes {
    /// Reads `verification.reopened=result,account.linked=ignore`.
    ///
    /// # Errors
    /// What it must be.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rule = "must be event types with =result or =ignore, separated by commas";
        let entry = |entry: &str| {
            let (name, used) = entry.split_once('=')?;
            let used = match used.trim() {
                "result" => Use::Result,
                "ignore" => Use::Ignore,
                _ => return None,
            };
            EventType::new(name.trim()).ok().map(|name| (name, used))
        };
        let entries: Option<Vec<_>> = text.split(',').map(entry).collect();
        let entries = entries.ok_or_else(|| rule.to_owned())?;
        let twice = |(index, (name, _)): (usize, &(EventType, Use))| {
            entries.iter().take(index).any(|(earlier, _)| is_same(earlier, name))
        };
        if entries.iter().enumerate().any(twice) {
            return Err("names an event type twice".to_owned());
        }
        Ok(Self(entries))
    }

    /// What events of this type are used for, where the operator has said it.
    pub fn of(&self, event_type: &EventType) -> Option<Use> {
        self.0.iter().find(|(name, _)| is_same(name, event_type)).map(|(_, used)| *used)
    }

    /// What an event of this type tells: by the operator's word, else by the tables.
    pub fn tells(&self, event_type: &str) -> Tells {
        let said = EventType::new(event_type).ok().and_then(|event_type| self.of(&event_type));
        match said {
            Some(Use::Result) => Tells::Result(None),
            Some(Use::Ignore) => Tells::NoResult,
            None => tells(event_type),
        }
    }
}

fn is_same(one: &EventType, other: &EventType) -> bool {
    one.as_str().eq_ignore_ascii_case(other.as_str())
}

#[cfg(test)]
mod tests {
    use super::{EventTypes, Status, Tells, status, tells};

    #[test]
    fn words_count_without_case_and_separators() {
        for meaning in Status::ALL {
            for word in meaning.words() {
                let blanks = word.replace('_', " ");
                for spelling in
                    [word.to_uppercase(), blanks.clone(), word.replace('_', "-"), word.replace('_', "")]
                {
                    assert_eq!(status(&spelling), Some(*meaning), "{spelling}");
                }
            }
        }
        for word in ["", "aproved", "not approved", "unverified", "approved!"] {
            assert_eq!(status(word), None, "{word}");
        }
    }

    #[test]
    fn event_types_tell_what_they_tell() {
        for (event_type, told) in [
            ("verification.completed", Tells::Result(None)),
            ("Verification_Completed", Tells::Result(None)),
            ("verification.in_review", Tells::Result(Some(Status::InReview))),
            ("identity.verification_session.verified", Tells::Result(Some(Status::Approved))),
            ("session/started", Tells::Result(Some(Status::InProgress))),
            ("approved", Tells::Result(Some(Status::Approved))),
            ("verification.redacted", Tells::NoResult),
            ("document.deleted", Tells::NoResult),
            ("verification.note_added", Tells::NoResult),
            ("ping", Tells::SenderTest),
            ("webhook.test", Tells::SenderTest),
            ("test.webhook", Tells::SenderTest),
            ("TEST_EVENT", Tells::SenderTest),
            ("verification.test", Tells::SenderTest),
            ("verification.reopened", Tells::Unknown),
            ("document.approved", Tells::Unknown),
            ("user.completed", Tells::Unknown),
            ("liveness_test.completed", Tells::Unknown),
            ("", Tells::Unknown),
        ] {
            assert_eq!(tells(event_type), told, "{event_type}");
        }
    }

    #[test]
    fn the_operators_word_comes_first() {
        let types = EventTypes::parse("Verification.Reopened=result, verification.completed=ignore").unwrap();
        assert_eq!(types.tells("verification.reopened"), Tells::Result(None));
        assert_eq!(types.tells("verification.completed"), Tells::NoResult);
        assert_eq!(types.tells("ping"), Tells::SenderTest);
        for wrong in ["", "a", "a=", "a=yes", "a b=result", "a=result,A=ignore", "a=result,"] {
            assert!(EventTypes::parse(wrong).is_err(), "{wrong}");
        }
    }
}
