//! One line of the trail.

use std::borrow::Cow;
use std::fmt;

use idv_callback::audit::{AuditCode, DecisionFacts};
use idv_callback::timestamp::Timestamp;
use serde::{Deserialize, Deserializer};

use super::codes::{CodeMeaning, meaning_of};

/// Where a line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The file, or what else it was read from.
    pub source: &'a str,
    /// The line, from 1.
    pub line: u64,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source, self.line)
    }
}

/// What every record of this schema begins with.
const BEGINNING: &[u8] = br#"{"schema":"idv-audit/"#;

/// The records in a line. Usually one; some deliveries put several behind one another without a line feed. What is no audit
/// record (metrics, diagnostics, the platform's lines) is none.
pub fn entries_in(line: &[u8]) -> Vec<&[u8]> {
    if !line.starts_with(BEGINNING) {
        return Vec::new();
    }
    let joined = |window: &[u8]| window.first() == Some(&b'}') && window.get(1..) == Some(BEGINNING);
    let (mut records, mut rest) = (Vec::new(), line.trim_ascii_end());
    while let Some(end) = rest.windows(BEGINNING.len() + 1).position(joined) {
        let (record, behind) = rest.split_at(end + 1);
        records.push(record);
        rest = behind;
    }
    records.push(rest);
    records
}

/// What links a record to the others of its writer.
#[derive(Deserialize)]
pub(super) struct Link<'a> {
    #[serde(borrow)]
    pub(super) schema: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) code: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) at: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) writer: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) seq: Option<u64>,
    #[serde(borrow, default)]
    pub(super) prev: Option<Cow<'a, str>>,
}

/// A record.
#[derive(Clone, Debug, Deserialize)]
pub struct Entry {
    /// What happened.
    #[serde(deserialize_with = "known_code")]
    pub code: AuditCode,
    /// When, RFC 3339.
    pub at: String,
    /// The version of the code that wrote it.
    pub version: String,
    /// The writer.
    #[serde(default)]
    pub writer: String,
    /// Its number among the writer's.
    #[serde(default)]
    pub seq: u64,
    /// The receipt.
    pub receipt_id: Option<String>,
    /// The provider's id of the event.
    pub event_id: Option<String>,
    /// The proofing session.
    pub session_id: Option<String>,
    /// The digest of the callback's body.
    pub body_sha256: Option<String>,
    /// The webhook key.
    pub key_id: Option<String>,
    /// The user's pseudonym.
    pub user: Option<String>,
    /// The user's pool.
    pub user_pool: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// What the provider calls the event, where that decided.
    pub event_type: Option<String>,
    /// More about why.
    pub detail: Option<String>,
    /// SQS' message id.
    pub message_id: Option<String>,
    /// How often the message was received.
    pub attempt: Option<u32>,
    /// When the message comes back, in seconds.
    pub retry_in_seconds: Option<u64>,
    /// The level before.
    pub ial_before: Option<u8>,
    /// The level after.
    pub ial_after: Option<u8>,
    /// Whether this confirmed the user.
    pub confirmed: Option<bool>,
    /// Which operator.
    pub operator: Option<String>,
    /// Which other operator approved it.
    pub approved_by: Option<String>,
    /// The plan.
    pub plan_sha256: Option<String>,
    /// How many messages.
    pub letters: Option<u64>,
    /// How long ago the callback was received.
    pub seconds_since_received: Option<f64>,
    /// Whether it is about nobody.
    #[serde(default)]
    pub synthetic: bool,
    /// What the decision depended on.
    pub facts: Option<DecisionFacts>,
    /// The calls that changed the user.
    #[serde(default)]
    pub calls: Vec<Call>,
}

/// A call that changed a user.
#[derive(Clone, Debug, Deserialize)]
pub struct Call {
    /// The call.
    pub call: String,
    /// AWS' id of the request.
    pub request_id: Option<String>,
}

impl Entry {
    /// Reads a record; none if it is not one of a form that this code knows.
    pub fn read(record: &[u8]) -> Option<Self> {
        serde_json::from_slice(record).ok()
    }

    /// What its code is to the readers.
    pub(super) fn meaning(&self) -> CodeMeaning {
        meaning_of(self.code)
    }

    /// What happened and why, in a sentence.
    pub fn sentence(&self) -> String {
        (self.meaning().sentence)(self)
    }

    /// When.
    pub fn when(&self) -> Option<Timestamp> {
        Timestamp::parse(&self.at).ok()
    }

    /// What the writer is: `callback`, `consumer`, `operator`.
    pub fn process(&self) -> &str {
        process(&self.writer)
    }
}

/// What a writer is.
pub(super) fn process(writer: &str) -> &str {
    writer.split('/').next().unwrap_or(writer)
}

/// A code that this version does not know makes a record that it cannot read, and not one that it passes over.
fn known_code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AuditCode, D::Error> {
    let text = Cow::<str>::deserialize(deserializer)?;
    AuditCode::parse(&text).ok_or_else(|| serde::de::Error::custom("a code that is not known"))
}
