//! A user's record, read strictly: what this system did not write itself it does not build upon.

use std::collections::BTreeMap;

use super::attributes::{AttributeChange, names};
use super::decide::Settlement;
use crate::envelope::BodyDigest;
use crate::proofing::Claim;
use crate::timestamp::Timestamp;
use crate::verification::{AssuranceLevel, EventId, SessionId, Subject, Username};

/// A user as the pool knows them.
#[derive(Clone)]
pub struct UserRecord {
    /// The name under which the pool keeps the user: an alias (e-mail, phone, sub) finds a user, too, but is not this.
    pub username: Username,
    /// `sub`: a random value that only this user has, and only for as long as they exist.
    pub sub: Option<String>,
    /// The status.
    pub status: UserStatus,
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
    /// An approval stands.
    Approved,
    /// The person was refused, or an approval was taken back.
    Declined,
    /// The session ran out of time.
    Expired,
    /// The person went away.
    Abandoned,
    /// The provider looks at it.
    InReview,
    /// Approved, but not to what the policy asks for.
    Insufficient,
}

impl IdvStatus {
    const ALL: [Self; 6] =
        [Self::Approved, Self::Declined, Self::Expired, Self::Abandoned, Self::InReview, Self::Insufficient];

    /// Reads the attribute's value.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// The attribute's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Declined => "declined",
            Self::Expired => "expired",
            Self::Abandoned => "abandoned",
            Self::InReview => "in_review",
            Self::Insufficient => "insufficient",
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
            body_sha256: BodyDigest::parse(digest)?,
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
            ial: parsed(names::IAL, get(names::IAL), level)?,
            status: parsed(names::IDV_STATUS, get(names::IDV_STATUS), IdvStatus::parse)?,
            session: parsed(names::IDV_SESSION, get(names::IDV_SESSION), |text| SessionId::new(text).ok())?,
            receipt: parsed(names::IDV_RECEIPT, get(names::IDV_RECEIPT), AppliedReceipt::parse)?,
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

    /// Whether an approval stands: the user's assurance may be relied upon.
    pub fn approval_stands(&self) -> bool {
        self.status == Some(IdvStatus::Approved)
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

fn level(text: &str) -> Option<AssuranceLevel> {
    text.parse().ok().and_then(|number| AssuranceLevel::new(number).ok())
}
