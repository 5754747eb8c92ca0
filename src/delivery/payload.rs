//! The callback body, version 1. The vendor's JSON does not leave this file: an event comes out, and every field that
//! is not named here is dropped (it may hold names, numbers, images).

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::strict_json::{self, JsonError};
use crate::timestamp::{NotRfc3339, Timestamp};
use crate::verification::{
    Approval, AssuranceLevel, BindingToken, EventId, Evidence, Framework, Outcome, PoolId, SessionId,
    Subject, UserReference, Username, VerificationEvent,
};

/// How far ahead of our clock an event may lie. Events are ordered by their time, so one from far in the future would
/// make every later one look old; a day is more than any sender's wrong time zone.
const FUTURE_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// A field of the payload: the canonical name, and the others that are accepted for it.
pub struct Field {
    /// The canonical name.
    pub name: &'static str,
    /// Other names, seen in 1Kosmos' documents.
    pub aliases: &'static [&'static str],
}

const EVENT_ID: Field = Field { name: "event_id", aliases: &[] };
const OCCURRED_AT: Field = Field { name: "occurred_at", aliases: &["event_ts"] };
const SESSION_ID: Field = Field { name: "session_id", aliases: &["sessionId"] };
const STATUS: Field = Field { name: "status", aliases: &[] };
const SUBJECT: Field = Field { name: "blockid_sub", aliases: &["sub", "did"] };
const IAL: Field = Field { name: "ial", aliases: &["ial_level"] };
const AAL: Field = Field { name: "aal", aliases: &[] };
const LIVENESS: Field = Field { name: "liveness_verified", aliases: &[] };
const MATCH: Field = Field { name: "match_result", aliases: &[] };
const DOCUMENT_TYPE: Field = Field { name: "document_type", aliases: &[] };
const FRAMEWORK: Field = Field { name: "framework", aliases: &[] };
const EXPIRES_AT: Field = Field { name: "expires_at", aliases: &[] };
const METADATA: Field = Field { name: "metadata", aliases: &[] };
const POOL: Field = Field { name: "cognito_user_pool", aliases: &[] };
const USERNAME: Field = Field { name: "cognito_username", aliases: &[] };
const BINDING: Field = Field { name: "binding", aliases: &[] };

/// Every field that is read, with its aliases: the one table of the vendor's names.
pub const PAYLOAD_FIELDS: [&Field; 16] = [
    &EVENT_ID,
    &OCCURRED_AT,
    &SESSION_ID,
    &STATUS,
    &SUBJECT,
    &IAL,
    &AAL,
    &LIVENESS,
    &MATCH,
    &DOCUMENT_TYPE,
    &FRAMEWORK,
    &EXPIRES_AT,
    &METADATA,
    &POOL,
    &USERNAME,
    &BINDING,
];

/// Status words, canonical first; compared without case.
const STATUS_WORDS: [(&str, Status); 10] = [
    ("approved", Status::Approved),
    ("verified", Status::Approved),
    ("success", Status::Approved),
    ("passed", Status::Approved),
    ("declined", Status::Declined),
    ("rejected", Status::Declined),
    ("failed", Status::Declined),
    ("expired", Status::Expired),
    ("abandoned", Status::Abandoned),
    ("in_review", Status::InReview),
];

/// 1Kosmos' names of document objects, and the words that we record for them.
const EVIDENCE_WORDS: [(&str, &str); 3] =
    [("dl_object", "drivers_license"), ("ppt_object", "passport"), ("idcard_object", "id_card")];

#[derive(Clone, Copy)]
enum Status {
    Approved,
    Declined,
    Expired,
    Abandoned,
    InReview,
}

/// An authentic body that cannot be read as an event. It holds nothing of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadError {
    /// The body is not one strict JSON object.
    Json(JsonError),
    /// A field breaks a rule.
    Field(&'static str, Unreadable),
}

/// The rule that a field of the payload breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It is required and not there.
    Missing,
    /// It has another JSON type.
    WrongType,
    /// Its value is not of the form, or not one of the words, that this field has.
    Malformed,
    /// It stands under two names with different values.
    Ambiguous,
    /// It lies more than a day ahead of the time of receipt.
    InTheFuture,
}

impl fmt::Display for PayloadError {
    /// A stable word for logs: `session_id:missing`, `duplicate_key`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => f.write_str(error.code()),
            Self::Field(name, rule) => {
                let rule = match rule {
                    Unreadable::Missing => "missing",
                    Unreadable::WrongType => "wrong_type",
                    Unreadable::Malformed => "malformed",
                    Unreadable::Ambiguous => "ambiguous",
                    Unreadable::InTheFuture => "in_the_future",
                };
                write!(f, "{name}:{rule}")
            }
        }
    }
}

/// Reads a body that came from the provider: with its signature, or over its API.
pub(crate) fn parse(
    body: &[u8],
    message_id: Option<&EventId>,
    received_at: Timestamp,
) -> Result<VerificationEvent, PayloadError> {
    let object = Object(&strict_json::read_object(body).map_err(PayloadError::Json)?);
    let metadata = match object.get(&METADATA)? {
        Some(Value::Object(map)) => Object(map),
        Some(_) => return Err(METADATA.breaks(Unreadable::WrongType)),
        None => return Err(METADATA.breaks(Unreadable::Missing)),
    };
    let event_id = match (object.text(&EVENT_ID, EventId::new)?, message_id) {
        (Some(id), _) => id,
        (None, Some(id)) => id.clone(),
        (None, None) => return Err(EVENT_ID.breaks(Unreadable::Missing)),
    };
    Ok(VerificationEvent {
        event_id,
        occurred_at: occurred_at(&object, received_at)?,
        session: object.required(&SESSION_ID, SessionId::new)?,
        user: UserReference {
            pool: metadata.required(&POOL, PoolId::new)?,
            username: metadata.required(&USERNAME, Username::new)?,
        },
        binding: binding(&metadata)?,
        outcome: outcome(&object)?,
    })
}

/// An empty binding is none. One that is malformed is there: whether that matters is for the decision to say.
fn binding(metadata: &Object<'_>) -> Result<Option<BindingToken>, PayloadError> {
    Ok(match metadata.get(&BINDING)? {
        None => None,
        Some(Value::String(text)) if text.is_empty() => None,
        Some(Value::String(text)) => {
            Some(BindingToken::new(text).unwrap_or_else(|_| BindingToken::malformed()))
        }
        Some(_) => Some(BindingToken::malformed()),
    })
}

/// A date and time, or a date: then its first moment counts, so that nothing is taken to hold for longer than it does.
fn end_of_validity(text: &str) -> Result<Timestamp, NotRfc3339> {
    Timestamp::parse(text).or_else(|_| Timestamp::parse(&format!("{text}T00:00:00Z")))
}

fn occurred_at(object: &Object<'_>, received_at: Timestamp) -> Result<Timestamp, PayloadError> {
    let moment = object.required(&OCCURRED_AT, Timestamp::parse)?;
    if moment.since(received_at) > FUTURE_LIMIT {
        return Err(OCCURRED_AT.breaks(Unreadable::InTheFuture));
    }
    Ok(moment)
}

fn outcome(object: &Object<'_>) -> Result<Outcome, PayloadError> {
    let status = object.required(&STATUS, |text| {
        STATUS_WORDS
            .iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(text))
            .map(|(_, status)| *status)
            .ok_or(())
    })?;
    Ok(match status {
        Status::Approved => Outcome::Approved(approval(object)?),
        Status::Declined => Outcome::Declined,
        Status::Expired => Outcome::Expired,
        Status::Abandoned => Outcome::Abandoned,
        Status::InReview => Outcome::InReview,
    })
}

fn approval(object: &Object<'_>) -> Result<Approval, PayloadError> {
    Ok(Approval {
        subject: object.required(&SUBJECT, Subject::new)?,
        ial: object.level(&IAL)?.ok_or(IAL.breaks(Unreadable::Missing))?,
        aal: object.level(&AAL)?,
        liveness_verified: object.flag(&LIVENESS)?,
        match_result: object.flag(&MATCH)?,
        implied_by_level: false,
        evidence: object.text(&DOCUMENT_TYPE, |text| Ok::<_, ()>(evidence(text)))?,
        framework: object.text(&FRAMEWORK, Framework::new)?,
        expires_at: object.text(&EXPIRES_AT, end_of_validity)?,
    })
}

/// What is not a plain word is recorded as `other`: it could be anything, and the approval holds without it.
fn evidence(text: &str) -> Evidence {
    let known = EVIDENCE_WORDS.iter().find(|(vendor, _)| *vendor == text).map(|(_, word)| *word);
    Evidence::new(known.unwrap_or(text)).unwrap_or_else(|_| Evidence::other())
}

impl Field {
    fn breaks(&self, rule: Unreadable) -> PayloadError {
        PayloadError::Field(self.name, rule)
    }
}

struct Object<'a>(&'a Map<String, Value>);

impl<'a> Object<'a> {
    /// The field under any of its names; `null` is the same as not there.
    fn get(&self, field: &Field) -> Result<Option<&'a Value>, PayloadError> {
        let names = std::iter::once(&field.name).chain(field.aliases);
        let mut found: Option<&Value> = None;
        for value in names.filter_map(|name| self.0.get(*name)).filter(|value| !value.is_null()) {
            if found.is_some_and(|earlier| earlier != value) {
                return Err(field.breaks(Unreadable::Ambiguous));
            }
            found = Some(value);
        }
        Ok(found)
    }

    fn text<T, E>(
        &self,
        field: &Field,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, PayloadError> {
        match self.get(field)? {
            None => Ok(None),
            Some(Value::String(text)) => {
                read(text).map(Some).map_err(|_| field.breaks(Unreadable::Malformed))
            }
            Some(_) => Err(field.breaks(Unreadable::WrongType)),
        }
    }

    fn required<T, E>(
        &self,
        field: &Field,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, PayloadError> {
        self.text(field, read)?.ok_or(field.breaks(Unreadable::Missing))
    }

    fn flag(&self, field: &Field) -> Result<bool, PayloadError> {
        match self.get(field)? {
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(field.breaks(Unreadable::WrongType)),
            None => Err(field.breaks(Unreadable::Missing)),
        }
    }

    /// `2`, `"2"` or `"IAL2"`.
    fn level(&self, field: &Field) -> Result<Option<AssuranceLevel>, PayloadError> {
        let number = match self.get(field)? {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(text)) => level_word(field.name, text),
            Some(_) => return Err(field.breaks(Unreadable::WrongType)),
        };
        let level = number.and_then(|number| AssuranceLevel::new(number).ok());
        level.map(Some).ok_or(field.breaks(Unreadable::Malformed))
    }
}

/// `prefix` is the field's canonical name, `ial` or `aal`.
fn level_word(prefix: &str, text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.strip_prefix(prefix).unwrap_or(&lower);
    if digits.len() == 1 { digits.parse().ok() } else { None }
}
