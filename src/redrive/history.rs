//! What was done with a letter before: an attribute beside it that only grows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::settlement::dead_letter_attributes as attribute;

/// The attribute that holds the history: a JSON list, oldest first.
pub const HISTORY_ATTRIBUTE: &str = "idv-replays";

/// One time that a letter was sent back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// The run: the plan that it was part of.
    pub run: String,
    /// When, RFC 3339.
    pub at: String,
    /// Who.
    pub by: String,
    /// Why.
    pub because: String,
    /// What it had died of: reason and detail, which the consumer overwrites when it dies again.
    pub was: String,
}

/// The history of a letter. One that cannot be read is an empty one; it is kept as it is all the same.
pub fn replays(attributes: &BTreeMap<String, String>) -> Vec<Replay> {
    attributes.get(HISTORY_ATTRIBUTE).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// The letter's attributes, all of them as they are, and one more line of history.
pub(super) fn with_replay(
    attributes: &BTreeMap<String, String>,
    run: &str,
    at: &str,
    by: &str,
    because: &str,
) -> BTreeMap<String, String> {
    let text = |name: &str| attributes.get(name).map(String::as_str).unwrap_or_default();
    let was = format!("{} {}", text(attribute::REASON), text(attribute::DETAIL)).trim().to_owned();
    let mut history = replays(attributes);
    // The same run twice is a run that was broken off and taken up again: one line is enough.
    if history.last().is_none_or(|last| last.run != run) {
        history.push(Replay {
            run: run.to_owned(),
            at: at.to_owned(),
            by: by.to_owned(),
            because: because.to_owned(),
            was,
        });
    }
    let mut all = attributes.clone();
    if let Ok(text) = serde_json::to_string(&history) {
        all.insert(HISTORY_ATTRIBUTE.to_owned(), text);
    }
    all
}
