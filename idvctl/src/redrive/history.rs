//! What was done with a message before: an attribute beside it that only grows.

use std::collections::BTreeMap;

use idv_callback::correction::CORRECTION_ATTRIBUTE;
use idv_callback::settlement::dead_letter_attributes as attribute;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The attribute that holds the history: a JSON list, oldest first.
const HISTORY_ATTRIBUTE: &str = "idv-replays";

/// One time that a message was sent back.
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
    /// What was beside it then: reason, detail and the rest, which the next death writes anew.
    pub was: BTreeMap<String, String>,
}

/// The history of a message, as far as it can be read.
pub fn replays(attributes: &BTreeMap<String, String>) -> Vec<Replay> {
    entries(attributes).into_iter().filter_map(|entry| serde_json::from_value(entry).ok()).collect()
}

/// Every entry as it is. What is no list is kept as the first entry.
fn entries(attributes: &BTreeMap<String, String>) -> Vec<Value> {
    let Some(text) = attributes.get(HISTORY_ATTRIBUTE) else { return Vec::new() };
    serde_json::from_str(text).unwrap_or_else(|_| vec![Value::String(text.clone())])
}

/// The attributes to send a message back with: its own as they are; what told of its death moves into one more line of
/// history, so that it cannot be taken for the next one's. So does a correction that a new one takes the place of.
pub(super) fn with_replay(
    attributes: &BTreeMap<String, String>,
    correction: Option<&str>,
    run: &str,
    at: &str,
    by: &str,
    because: &str,
) -> BTreeMap<String, String> {
    let replaced = |name: &str| correction.is_some() && name == CORRECTION_ATTRIBUTE;
    let (was, mut own): (BTreeMap<_, _>, BTreeMap<_, _>) = attributes
        .clone()
        .into_iter()
        .partition(|(name, _)| attribute::ALL.contains(&name.as_str()) || replaced(name));
    own.extend(correction.map(|sealed| (CORRECTION_ATTRIBUTE.to_owned(), sealed.to_owned())));
    let replay = Replay {
        run: run.to_owned(),
        at: at.to_owned(),
        by: by.to_owned(),
        because: because.to_owned(),
        was,
    };
    let mut history = entries(attributes);
    history.extend(serde_json::to_value(&replay));
    own.insert(HISTORY_ATTRIBUTE.to_owned(), Value::Array(history).to_string());
    own
}
