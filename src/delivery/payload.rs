//! The callback body, version 1. The vendor's JSON does not leave this file: an event comes out, and every field that
//! is not named here is dropped (it may hold names, numbers, images).
//!
//! Strict where something hangs on it, tolerant where nothing does: an optional field that is odd is left out and named, and
//! the event stands without it.

use std::fmt;
use std::time::Duration;

use super::fields::{
    AAL, BINDING, DOCUMENT_TYPE, EVENT_ID, EVENT_TYPE, EXPIRES_AT, FRAMEWORK, Field, IAL, LIVENESS, MATCH,
    METADATA, OCCURRED_AT, Object, POOL, SESSION_ID, STATUS, SUBJECT, USERNAME,
};
use super::moment;
use crate::strict_json::{self, JsonError, Member};
use crate::timestamp::Timestamp;
use crate::verification::{
    Approval, AssuranceLevel, BindingToken, EventId, EventType, Evidence, Framework, Outcome, PoolId,
    SessionId, Subject, UserReference, Username, VerificationEvent,
};
use crate::vocabulary::{self, EventTypes, Status, Tells};

/// How far ahead of our clock an event may lie: more than any sender's wrong time zone.
const FUTURE_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Where a sender's test that is in no form of ours may say that it is one.
const TEST_HINTS: [&str; 2] = ["type", "event"];

/// 1Kosmos' names of document objects, and the words that we record for them.
const EVIDENCE_WORDS: [(&str, &str); 3] =
    [("dl_object", "drivers_license"), ("ppt_object", "passport"), ("idcard_object", "id_card")];

/// What an authentic body says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Something about a user's session; and the optional fields that were left out, by name.
    Event(Box<VerificationEvent>, Vec<&'static str>),
    /// Nothing that changes anybody.
    NoResult(NoResult, EventType),
}

/// Why an event changes nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoResult {
    /// Its type tells no result: somebody deleted, exported or looked at the record of a session.
    Administrative,
    /// A sender tries its connection.
    SenderTest,
    /// Somebody is under way, and it cannot be read who: another event will follow.
    Progress,
}

/// An authentic body that cannot be read as an event. It holds nothing of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayloadError {
    /// The body is not one strict JSON object.
    Json(JsonError),
    /// A field breaks a rule.
    Field(&'static str, Unreadable),
    /// The event's type is not known, and it holds no whole result either.
    UnknownType(EventType),
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
    /// It stands under two names with different values, or contradicts another field.
    Ambiguous,
    /// It lies more than a day ahead of the time of receipt.
    InTheFuture,
}

impl fmt::Display for PayloadError {
    /// A stable word for logs: `session_id:missing`, `duplicate_key`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => f.write_str(error.code()),
            Self::UnknownType(event_type) => write!(f, "event_type:unknown:{event_type}"),
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
    types: &EventTypes,
) -> Result<Reading, PayloadError> {
    let members = strict_json::read_members(body).map_err(PayloadError::Json)?;
    let object = Object::of(&members);
    let (event_type, tells) = match event_type(&object)? {
        None => (None, Tells::Result(None)),
        Some(text) => (Some(printable(&text)), types.tells(&text)),
    };
    let name = || event_type.clone().unwrap_or_else(|| printable(""));
    let said_by_type = match tells {
        Tells::SenderTest => return Ok(Reading::NoResult(NoResult::SenderTest, name())),
        Tells::NoResult => return Ok(Reading::NoResult(NoResult::Administrative, name())),
        Tells::Result(status) => status,
        Tells::Unknown => None,
    };
    let status = status(&object, said_by_type);
    let is_progress = status == Ok(Status::InProgress);
    // Of whatever type: that somebody is under way wakes nobody.
    let unknown_type = event_type.clone().filter(|_| tells == Tells::Unknown && !is_progress);
    let read =
        status.and_then(|status| event(&object, message_id, received_at, status, unknown_type.clone()));
    match (read, unknown_type) {
        (Ok((event, mut left_out)), _) => {
            let told = object.one(&STATUS, word).ok().flatten();
            left_out.extend(
                (is_progress && told.is_some_and(|told| told != Status::InProgress)).then_some(STATUS.name),
            );
            Ok(Reading::Event(Box::new(event), left_out))
        }
        (Err(_), None) if is_progress => Ok(Reading::NoResult(NoResult::Progress, name())),
        (Err(_), Some(unknown)) => Err(PayloadError::UnknownType(unknown)),
        (Err(error), None) => Err(error),
    }
}

/// The type as it may be told; one that could be anything is not.
fn printable(text: &str) -> EventType {
    EventType::new(text).unwrap_or_else(|_| EventType::unprintable())
}

/// The event type. A test of a sender that knows no form of ours may say so elsewhere; nothing else is believed there.
fn event_type(object: &Object<'_>) -> Result<Option<String>, PayloadError> {
    let said = object.one(&EVENT_TYPE, |value| match value {
        Member::Text(Some(text)) => Ok(TypeName(text)),
        Member::Text(None) => Err(Unreadable::Malformed),
        _ => Err(Unreadable::WrongType),
    })?;
    if let Some(TypeName(said)) = said.filter(|TypeName(text)| !text.is_empty()) {
        return Ok(Some(said));
    }
    // With a result in it, those members could say anything else.
    if [&SESSION_ID, &STATUS, &METADATA].iter().any(|field| !object.values(field).is_empty()) {
        return Ok(None);
    }
    let hint = |name: &str| match object.members.get(name) {
        Some(Member::Text(Some(text))) if vocabulary::tells(&text) == Tells::SenderTest => Some(text),
        _ => None,
    };
    Ok(TEST_HINTS.into_iter().find_map(hint))
}

/// An event type, which compares without case.
struct TypeName(String);

impl PartialEq for TypeName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

fn word(value: Member<'_>) -> Result<Status, Unreadable> {
    match value {
        Member::Text(text) => text.and_then(|word| vocabulary::status(&word)).ok_or(Unreadable::Malformed),
        _ => Err(Unreadable::WrongType),
    }
}

/// How the session stands. Where the type and the status name different results, neither is believed. Where the type says that
/// somebody is under way, the status is how the session stood when the event was sent, and tells nothing; but a denial is not
/// dropped for that.
fn status(object: &Object<'_>, said_by_type: Option<Status>) -> Result<Status, PayloadError> {
    let empty = matches!(object.members.get(STATUS.name), Some(Member::Text(Some(text))) if text.is_empty());
    let word = if empty && said_by_type.is_some() { Ok(None) } else { object.one(&STATUS, word) };
    match (word, said_by_type) {
        (Ok(Some(Status::Declined)), Some(Status::InProgress)) => {
            Err(EVENT_TYPE.breaks(Unreadable::Ambiguous))
        }
        (_, Some(Status::InProgress)) => Ok(Status::InProgress),
        (Err(error), _) => Err(error),
        (Ok(Some(word)), Some(said)) if word != said => Err(EVENT_TYPE.breaks(Unreadable::Ambiguous)),
        (Ok(Some(word)), _) => Ok(word),
        (Ok(None), Some(said)) => Ok(said),
        (Ok(None), None) => Err(STATUS.breaks(Unreadable::Missing)),
    }
}

fn event(
    object: &Object<'_>,
    message_id: Option<&EventId>,
    received_at: Timestamp,
    status: Status,
    unknown_type: Option<EventType>,
) -> Result<(VerificationEvent, Vec<&'static str>), PayloadError> {
    let metadata = match object.values(&METADATA).pop() {
        Some(Member::Object(members)) => members,
        None | Some(Member::Null) => return Err(METADATA.breaks(Unreadable::Missing)),
        Some(_) => return Err(METADATA.breaks(Unreadable::WrongType)),
    };
    let metadata = Object::of(&metadata);
    let event_id = match (object.one(&EVENT_ID, |value| name(value, EventId::new))?, message_id) {
        (Some(id), _) => id,
        (None, Some(id)) => id.clone(),
        (None, None) => return Err(EVENT_ID.breaks(Unreadable::Missing)),
    };
    let mut left_out = Vec::new();
    let event = VerificationEvent {
        event_id,
        occurred_at: occurred_at(object, received_at)?,
        session: object.required(&SESSION_ID, |value| name(value, SessionId::new))?,
        user: UserReference {
            pool: metadata.required(&POOL, |value| name(value, PoolId::new))?,
            username: metadata.required(&USERNAME, |value| name(value, Username::new))?,
        },
        binding: binding(&metadata),
        outcome: match status {
            Status::Approved => Outcome::Approved(approval(object, &mut left_out)?),
            Status::Declined => Outcome::Declined,
            Status::Expired => Outcome::Expired,
            Status::Abandoned => Outcome::Abandoned,
            Status::InReview => Outcome::InReview,
            Status::InProgress => Outcome::InProgress,
        },
        unknown_type,
    };
    Ok((event, left_out))
}

/// An empty binding is none. One that is malformed is there: whether that matters is for the decision to say.
fn binding(metadata: &Object<'_>) -> Option<BindingToken> {
    match metadata.values(&BINDING).pop()? {
        Member::Null => None,
        Member::Text(Some(text)) if text.is_empty() => None,
        Member::Text(Some(text)) => {
            Some(BindingToken::new(&text).unwrap_or_else(|_| BindingToken::malformed()))
        }
        _ => Some(BindingToken::malformed()),
    }
}

fn occurred_at(object: &Object<'_>, received_at: Timestamp) -> Result<Timestamp, PayloadError> {
    let at = object.required(&OCCURRED_AT, time)?;
    // The zero of a runtime says that nobody has set it.
    if moment::is_zero(at) {
        return Err(OCCURRED_AT.breaks(Unreadable::Missing));
    }
    if at.since(received_at) > FUTURE_LIMIT {
        return Err(OCCURRED_AT.breaks(Unreadable::InTheFuture));
    }
    Ok(at)
}

fn approval(object: &Object<'_>, left_out: &mut Vec<&'static str>) -> Result<Approval, PayloadError> {
    Ok(Approval {
        subject: object.required(&SUBJECT, |value| name(value, Subject::new))?,
        ial: object.required(&IAL, |value| level(&IAL, &value))?,
        aal: object.optional(&AAL, |value| level(&AAL, &value), left_out),
        liveness_verified: object.required(&LIVENESS, |value| flag(&value))?,
        match_result: object.required(&MATCH, |value| flag(&value))?,
        implied_by_level: false,
        evidence: object.optional(&DOCUMENT_TYPE, |value| evidence(&value), left_out),
        framework: object.optional(&FRAMEWORK, |value| framework(&value), left_out),
        expires_at: object.optional(&EXPIRES_AT, |value| end_of_validity(&value), left_out),
    })
}

/// What is not a plain word is recorded as `other`: it could be anything, and the approval holds without it.
fn evidence(value: &Member<'_>) -> Result<Evidence, Unreadable> {
    let Member::Text(Some(text)) = value else { return Err(Unreadable::WrongType) };
    let known = EVIDENCE_WORDS.iter().find(|(vendor, _)| vendor == text).map(|(_, word)| *word);
    Ok(Evidence::new(known.unwrap_or(text)).unwrap_or_else(|_| Evidence::other()))
}

fn framework(value: &Member<'_>) -> Result<Framework, Unreadable> {
    match value {
        Member::Text(Some(text)) => Framework::new(text).map_err(|_| Unreadable::Malformed),
        _ => Err(Unreadable::WrongType),
    }
}

/// A time, or a date: then its first moment counts, so that nothing is taken to hold for longer than it does.
fn end_of_validity(value: &Member<'_>) -> Result<Timestamp, Unreadable> {
    let end = match value {
        Member::Text(Some(text)) => moment::read(text).or_else(|| moment::read_date(text)),
        Member::Number(number) => moment::read_number(number),
        _ => return Err(Unreadable::WrongType),
    };
    end.filter(|end| !moment::is_zero(*end)).ok_or(Unreadable::Malformed)
}

fn time(value: Member<'_>) -> Result<Timestamp, Unreadable> {
    match value {
        Member::Text(text) => text.and_then(|text| moment::read(&text)).ok_or(Unreadable::Malformed),
        Member::Number(number) => moment::read_number(number).ok_or(Unreadable::Malformed),
        _ => Err(Unreadable::WrongType),
    }
}

/// A name: a text, or a whole number as it is written.
fn name<T, E>(value: Member<'_>, read: impl FnOnce(&str) -> Result<T, E>) -> Result<T, Unreadable> {
    let text = match value {
        Member::Text(text) => text.ok_or(Unreadable::Malformed)?,
        Member::Number(number) if number.bytes().all(|byte| byte.is_ascii_digit()) => number.to_owned(),
        _ => return Err(Unreadable::WrongType),
    };
    read(&text).map_err(|_| Unreadable::Malformed)
}

fn flag(value: &Member<'_>) -> Result<bool, Unreadable> {
    match value {
        Member::Flag(flag) => Ok(*flag),
        _ => Err(Unreadable::WrongType),
    }
}

/// `2`, `2.0`, `2e0`, `"2"`, `"2.0"` or `"IAL2"`.
fn level(field: &Field, value: &Member<'_>) -> Result<AssuranceLevel, Unreadable> {
    let number = match value {
        Member::Number(number) => whole(number),
        Member::Text(Some(text)) => {
            let lower = text.to_ascii_lowercase();
            let digits = lower.strip_prefix(field.name).map(|rest| rest.trim_start_matches([' ', '-', '_']));
            whole(digits.unwrap_or(&lower))
        }
        Member::Text(None) => None,
        _ => return Err(Unreadable::WrongType),
    };
    number.and_then(|number| AssuranceLevel::new(number).ok()).ok_or(Unreadable::Malformed)
}

/// One digit, also where a library has written it with a fraction or an exponent of zero: `2.0`, `2e0`, `2.0E+00`.
fn whole(text: &str) -> Option<u64> {
    let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let (digit, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let zeros = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte == b'0');
    let plain = digit.len() == 1 && zeros(fraction) && zeros(exponent);
    plain.then(|| digit.parse().ok()).flatten()
}
