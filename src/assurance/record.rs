//! A user's record, read strictly: what this system did not write itself it does not build upon.

use std::collections::BTreeMap;

use super::attributes::{AttributeChange, names};
use super::history::{History, Mark, Word};
use super::outcome::Settlement;
use crate::envelope::BodyDigest;
use crate::proofing::Claim;
use crate::timestamp::Timestamp;
use crate::verification::{AssuranceLevel, EventId, SessionId, Subject, Username};
use crate::vocabulary::Status;

/// A user as the pool knows them.
#[derive(Clone)]
pub struct UserRecord {
    /// The name under which the pool keeps the user: an alias (e-mail, phone, sub) finds a user, too, but is not this.
    pub username: Username,
    /// `sub`: a random value that only this user has, and only for as long as they exist.
    pub sub: Option<String>,
    /// The status.
    pub status: UserStatus,
    /// Whether the user may sign in: an administrator can disable one.
    pub enabled: bool,
    /// When the user was created.
    pub created_at: Timestamp,
    /// What the assurance attributes say.
    pub assurance: Result<Assurance, RecordUnreadable>,
    /// What the browser that signed up promised to know.
    pub claim: Option<Claim>,
}

impl UserRecord {
    /// The record as it would be after this.
    #[must_use]
    pub fn after(&self, settlement: &Settlement) -> Self {
        let status = if settlement.confirm { UserStatus::Confirmed } else { self.status };
        let assurance = match &self.assurance {
            Ok(assurance) => assurance.after(&settlement.changes),
            Err(unreadable) => Err(*unreadable),
        };
        Self { status, assurance, ..self.clone() }
    }
}

/// Cognito's `UserStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserStatus {
    /// Signed up, and not confirmed.
    Unconfirmed,
    /// Confirmed.
    Confirmed,
    /// Any other: created by an administrator, federated, to reset a password, archived. Confirming does not apply.
    Other,
}

/// An assurance attribute has a value that this system never writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordUnreadable {
    /// Its name.
    pub attribute: &'static str,
}

/// Where a user's proofing stands: `custom:idv_status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdvStatus {
    /// As the provider's status says. Approved: an approval stands; declined: the person was refused, or an approval was taken
    /// back.
    Said(Status),
    /// Approved, but not to what the policy asks for.
    Insufficient,
}

impl IdvStatus {
    const INSUFFICIENT: &str = "insufficient";

    /// Reads the attribute's value, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case(Self::INSUFFICIENT) {
            return Some(Self::Insufficient);
        }
        Status::of_canonical(&text.to_ascii_lowercase()).map(Self::Said)
    }

    /// The attribute's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Said(status) => status.word(),
            Self::Insufficient => Self::INSUFFICIENT,
        }
    }
}

/// What was applied last: `1 <occurred_at> <event_id> <body_sha256>`, the link from the user to the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedReceipt {
    /// When the event happened.
    pub occurred_at: Timestamp,
    /// Its id.
    pub event_id: EventId,
    /// The digest of the body that brought it.
    pub body_sha256: BodyDigest,
}

impl AppliedReceipt {
    /// Whether it is of this event. Without regard to case: an attribute's value may come back in another one.
    pub fn is_of(&self, event: &EventId) -> bool {
        self.event_id.as_str().eq_ignore_ascii_case(event.as_str())
    }

    /// Reads the attribute's value.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let (version, at, id, digest) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if version != "1" || parts.next().is_some() {
            return None;
        }
        Some(Self {
            occurred_at: Timestamp::parse(at).ok()?,
            event_id: EventId::new(id).ok()?,
            body_sha256: BodyDigest::parse(&digest.to_ascii_lowercase())?,
        })
    }
}

impl std::fmt::Display for AppliedReceipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "1 {} {} {}", self.occurred_at, self.event_id, self.body_sha256.as_str())
    }
}

/// What the assurance attributes say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assurance {
    /// `custom:blockid_sub`.
    pub subject: Option<Subject>,
    /// `custom:ial`.
    pub ial: Option<AssuranceLevel>,
    /// `custom:idv_status`.
    pub status: Option<IdvStatus>,
    /// `custom:idv_session`.
    pub session: Option<SessionId>,
    /// `custom:idv_receipt`.
    pub receipt: Option<AppliedReceipt>,
    /// `custom:idv_proofed_at`.
    pub proofed_at: Option<Timestamp>,
    /// `custom:idv_history`, as it stands there.
    pub history: Option<History>,
    /// The names of the assurance attributes that have a value.
    pub present: Vec<&'static str>,
}

impl Assurance {
    /// Reads a user's attributes; `get` gives the value of one. An empty value is the same as none.
    ///
    /// # Errors
    /// [`RecordUnreadable`] names the first attribute whose value this system never writes.
    pub fn read<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Result<Self, RecordUnreadable> {
        let get = |name| get(name).filter(|value| !value.is_empty());
        Ok(Self {
            subject: parsed(names::BLOCKID_SUB, get(names::BLOCKID_SUB), |text| Subject::new(text).ok())?,
            ial: parsed(names::IAL, get(names::IAL), AssuranceLevel::of_digit)?,
            status: parsed(names::IDV_STATUS, get(names::IDV_STATUS), IdvStatus::parse)?,
            session: parsed(names::IDV_SESSION, get(names::IDV_SESSION), |text| SessionId::new(text).ok())?,
            receipt: parsed(names::IDV_RECEIPT, get(names::IDV_RECEIPT), AppliedReceipt::parse)?,
            proofed_at: parsed(names::IDV_PROOFED_AT, get(names::IDV_PROOFED_AT), |text| {
                Timestamp::parse(text).ok()
            })?,
            history: parsed(names::IDV_HISTORY, get(names::IDV_HISTORY), History::parse)?,
            present: super::ASSURANCE_ATTRIBUTES.into_iter().filter(|name| get(name).is_some()).collect(),
        })
    }

    /// What these changes make of it.
    fn after(&self, changes: &[AttributeChange]) -> Result<Self, RecordUnreadable> {
        let standing = |name: &'static str| match name {
            names::BLOCKID_SUB => self.subject.as_ref().map(|subject| subject.as_str().to_owned()),
            names::IAL => self.ial.map(|ial| ial.to_string()),
            names::IDV_STATUS => self.status.map(|status| status.as_str().to_owned()),
            names::IDV_SESSION => self.session.as_ref().map(|session| session.as_str().to_owned()),
            names::IDV_RECEIPT => self.receipt.as_ref().map(ToString::to_string),
            names::IDV_PROOFED_AT => self.proofed_at.map(|at| at.to_string()),
            names::IDV_HISTORY => self.history.as_ref().map(ToString::to_string),
            // The others are there or not; nothing is decided by what they say.
            _ => self.present.contains(&name).then(|| "present".to_owned()),
        };
        let mut values: BTreeMap<&str, String> = super::ASSURANCE_ATTRIBUTES
            .into_iter()
            .filter_map(|name| Some((name, standing(name)?)))
            .collect();
        for change in changes {
            match change {
                AttributeChange::Set(name, value) => drop(values.insert(name, value.as_str().to_owned())),
                AttributeChange::Clear(name) => drop(values.remove(name)),
            }
        }
        Self::read(|name| values.get(name).map(String::as_str))
    }

    /// What the user's sessions have said. Where the history was not written together with the receipt, an older version was
    /// at work meanwhile: what the other attributes tell of that is added.
    pub fn past(&self) -> History {
        let never = Timestamp::from_unix_millis(i64::MAX);
        self.past_at(never, never)
    }

    /// The same, as an event sees it that counts as this moment and was received then. What an older version wrote down of a
    /// time ahead of that counts as the event's own moment: it must not silence what comes now.
    pub(super) fn past_at(&self, counts_as: Timestamp, received_at: Timestamp) -> History {
        let whole = |history: &&History| {
            self.receipt.as_ref().is_none_or(|receipt| history.ends_with(&receipt.event_id))
        };
        if let Some(history) = self.history.as_ref().filter(whole) {
            return history.clone();
        }
        let clamped = |at: Timestamp| if at > received_at { counts_as } else { at };
        self.past_of_older_version(clamped).with_all_of(self.history.clone().unwrap_or_default())
    }

    /// What can be told from the attributes that an older version wrote: the last status, of which session, and when the last
    /// event was. What came before that, nobody knows.
    fn past_of_older_version(&self, clamped: impl Fn(Timestamp) -> Timestamp) -> History {
        let receipt = self.receipt.as_ref();
        let last = receipt.map(|receipt| receipt.occurred_at);
        let session = self.session.clone().or_else(|| SessionId::new("-").ok());
        let mut words = Vec::new();
        if let (Some(status), Some(session)) = (self.status, session) {
            let at = last.or(self.proofed_at).unwrap_or(Timestamp::from_unix_seconds(0));
            let proofed = self.proofed_at.unwrap_or(at);
            let by =
                |at| receipt.filter(|receipt| receipt.occurred_at == at).map(|receipt| &receipt.event_id);
            let stood = self.ial == Some(AssuranceLevel::NONE) && self.proofed_at.is_some();
            if status == IdvStatus::Said(Status::Approved) || stood {
                let level = self.ial.unwrap_or(AssuranceLevel::NONE);
                let by = by(proofed).filter(|_| status == IdvStatus::Said(Status::Approved));
                let mark = Mark::of_older_version(clamped(proofed), by);
                words.push((session.clone(), Word::Approved(level), mark));
            }
            let word = match status {
                IdvStatus::Said(Status::Approved) => None,
                IdvStatus::Said(Status::Declined) => Some(Word::Declined),
                IdvStatus::Insufficient => Some(Word::Insufficient),
                IdvStatus::Said(Status::InReview) => Some(Word::InReview),
                IdvStatus::Said(Status::Expired) => Some(Word::Expired),
                IdvStatus::Said(Status::Abandoned) => Some(Word::Abandoned),
                IdvStatus::Said(Status::InProgress) => Some(Word::InProgress),
            };
            let at = at.max(proofed);
            words.extend(word.map(|word| (session, word, Mark::of_older_version(clamped(at), by(at)))));
        }
        History::of_older_version(words, last.map(clamped), receipt.map(|receipt| &receipt.event_id))
    }

    /// What the session was that came to nothing, or to too little, where the user may go through another one: the same for as
    /// long as that stands.
    pub fn ended_session(&self) -> Option<String> {
        let past = self.past();
        let standing = past.standing()?;
        let ended = matches!(standing.word, Word::Expired | Word::Abandoned | Word::Insufficient);
        ended
            .then(|| format!("{} {} {}", standing.session, standing.word.status().as_str(), standing.mark.at))
    }

    /// Whether this event was taken in, as far as can be told: what became irrelevant later is not remembered.
    pub fn has_taken_in(&self, event: &EventId) -> bool {
        self.receipt.as_ref().is_some_and(|receipt| receipt.is_of(event))
            || self.history.as_ref().is_some_and(|history| history.knows(event))
    }

    /// Whether an event, as a history of it alone, was taken in or does not matter any more.
    pub fn covers(&self, event: &History) -> bool {
        self.past().covers(event)
    }

    /// Whether an approval stands: the user's assurance may be relied upon.
    pub fn approval_stands(&self) -> bool {
        self.status == Some(IdvStatus::Said(Status::Approved))
            && self.subject.is_some()
            && self.ial.is_some_and(|ial| ial > AssuranceLevel::NONE)
    }
}

fn parsed<T>(
    attribute: &'static str,
    value: Option<&str>,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, RecordUnreadable> {
    value.map(|text| parse(text).ok_or(RecordUnreadable { attribute })).transpose()
}
