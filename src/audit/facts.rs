//! What a decision depended on, as it stands in its record: enough to decide again, and to say by what the identity was proofed
//! (NIST SP 800-63A: level, framework, type of evidence, methods, by whom), with a pseudonym for every name.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::subject_pseudonym;
use crate::assurance::{
    ASSURANCE_ATTRIBUTES, AppliedReceipt, Assurance, Decision, Facts, History, IdvStatus, Meaning, Policy,
    RecordUnreadable, UserRecord, UserStatus, decide,
};
use crate::binding::Binding;
use crate::envelope::BodyDigest;
use crate::key_ring::Key;
use crate::proofing::Claim;
use crate::timestamp::Timestamp;
use crate::verification::{
    Approval, ApprovalForm, AssuranceLevel, EventId, EventType, Evidence, Framework, Malformed, Outcome,
    PoolId, SessionId, Subject, UserReference, Username, VerificationEvent,
};
use crate::vocabulary::{EventTypes, Status, Use};

/// The types of evidence that are told. The provider's other words could be anything.
const EVIDENCE: [&str; 8] = [
    "drivers_license",
    "passport",
    "id_card",
    "national_id",
    "residence_permit",
    "permanent_resident_card",
    "visa",
    "state_id",
];

/// What is told of a binding with the user's own claim, and of one with another.
const CLAIMED: &str = "claimed";
const CLAIMED_BY_ANOTHER: &str = "claimed_by_another";

/// What the name of a trust framework begins with, to be told.
const FRAMEWORKS: [&str; 7] = ["nist", "eidas", "kantara", "iso", "gpg45", "dvs", "etsi"];

/// All that a decision depended on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionFacts {
    /// When it happened, RFC 3339.
    pub occurred_at: String,
    /// How the proofing ended.
    pub status: String,
    /// Who decided that: the provider. Whether a person looked at it is not told.
    pub decided_by: String,
    /// What was approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalForm>,
    /// What the event said, in short, as the user's history has it; older records do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meaning: Option<String>,
    /// When the callback was accepted, RFC 3339; older records do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_at: Option<String>,
    /// Set where the result was fetched at a sign-up, and did not come as a callback.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fetched_at_sign_up: bool,
    /// The event's type, where it is in no table, and what the operator had said of it: `result`, `ignore` or `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_type: Option<String>,
    /// How long before the decision the callback was accepted, in milliseconds.
    pub age_ms: u64,
    /// What the binding proved: `absent`, `forged`, `vouched`, or when the sign-up started, and whether with the user's claim.
    pub binding: String,
    /// The user's record before, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserFacts>,
    /// Whether the pool was on the list.
    pub pool_allowed: bool,
    /// The least level that counted.
    pub minimum_ial: u8,
    /// Whether a binding was required.
    pub binding_required: bool,
}

/// A user's record before the decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserFacts {
    /// `unconfirmed`, `confirmed` or `other`.
    pub status: String,
    /// Whether the user has a claim; older records do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has_claim: Option<bool>,
    /// Whether an administrator has disabled the user.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    /// When the user was created, RFC 3339.
    pub created_at: String,
    /// Whether the callback's name is not the user's own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alias: bool,
    /// The attribute that cannot be read, if one cannot; then the rest is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
    /// A pseudonym of the subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The identity assurance level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ial: Option<u8>,
    /// Where the proofing stood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idv_status: Option<String>,
    /// The session that the status is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// What was applied last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
    /// When the approval happened that was written last, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proofed_at: Option<String>,
    /// What the user's sessions had said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<String>,
    /// The assurance attributes that had a value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub present: Vec<String>,
}

impl DecisionFacts {
    /// The facts of a decision under this policy.
    pub fn of(facts: &Facts<'_>, policy: &Policy, audit_key: &Key) -> Self {
        let sub = facts.user.and_then(|user| user.sub.as_deref());
        let subject = |subject: &Subject| Some(subject_pseudonym(audit_key, sub?, subject));
        let event = facts.event;
        Self {
            occurred_at: event.occurred_at.to_string(),
            status: event.outcome.word().to_owned(),
            decided_by: "provider".to_owned(),
            approval: event
                .outcome
                .approval()
                .map(|approval| approval_form(approval, subject(&approval.subject))),
            meaning: Some(facts.meaning.as_str().to_owned()),
            received_at: Some(facts.received_at.to_string()),
            fetched_at_sign_up: facts.fetched_at_sign_up,
            unknown_type: event.unknown_type.as_ref().map(|unknown| {
                let said = match policy.event_types.of(unknown) {
                    Some(Use::Result) => "result",
                    Some(Use::Ignore) => "ignore",
                    None => "unknown",
                };
                format!("{unknown}={said}")
            }),
            age_ms: u64::try_from(facts.age.as_millis()).unwrap_or(u64::MAX),
            binding: match &facts.binding {
                Binding::Absent => "absent".to_owned(),
                Binding::Forged => "forged".to_owned(),
                Binding::Vouched => "vouched".to_owned(),
                Binding::StartedAt(start) => start.to_string(),
                // Not the claim itself: whether it is this user's is what counts.
                Binding::ClaimedAt(start, claim) => {
                    let same = facts.user.is_some_and(|user| user.claim.as_ref() == Some(claim));
                    format!("{} {start}", if same { CLAIMED } else { CLAIMED_BY_ANOTHER })
                }
            },
            user: facts.user.map(|user| UserFacts::of(user, &event.user, subject)),
            pool_allowed: policy.pools.contains(&event.user.pool),
            minimum_ial: policy.minimum_ial.get(),
            binding_required: policy.binding_required,
        }
    }

    /// Decides again, by today's rules.
    ///
    /// # Errors
    /// [`Malformed`] when the facts, or the event's id, session or digest beside them, are not what this system writes.
    pub fn decide_again(
        &self,
        event_id: &str,
        session: &str,
        body_sha256: &str,
    ) -> Result<Decision, Malformed> {
        // Every name is a pseudonym or left out: what counts is which are the same.
        let (pool, name) = (PoolId::new("us-east-1_Pool")?, Username::new("user")?);
        let policy = Policy {
            pools: if self.pool_allowed { vec![pool.clone()] } else { Vec::new() },
            minimum_ial: AssuranceLevel::new(self.minimum_ial.into())?,
            binding_required: self.binding_required,
            event_types: self.event_types(),
        };
        let event = VerificationEvent {
            event_id: EventId::new(event_id)?,
            occurred_at: moment(&self.occurred_at)?,
            session: SessionId::new(session)?,
            user: UserReference { pool, username: name.clone() },
            binding: None,
            outcome: self.outcome()?,
            unknown_type: match self.unknown_type.as_deref().and_then(|text| text.split_once('=')) {
                None => None,
                Some((name, _)) => Some(EventType::new(name)?),
            },
        };
        let claimed = self.binding.starts_with(CLAIMED);
        let user = self.user.as_ref().map(|user| user.read(name, claimed)).transpose()?;
        let facts = Facts {
            event: &event,
            body_sha256: &BodyDigest::parse(body_sha256).ok_or(Malformed)?,
            meaning: match &self.meaning {
                None => Meaning::of(&event),
                Some(text) => Meaning::parse(text).ok_or(Malformed)?,
            },
            // An older version took the time that the event itself tells.
            received_at: self.received_at.as_deref().map_or(Ok(event.occurred_at), moment)?,
            fetched_at_sign_up: self.fetched_at_sign_up,
            age: Duration::from_millis(self.age_ms),
            user: user.as_ref(),
            binding: match self.binding.as_str() {
                "absent" => Binding::Absent,
                "forged" => Binding::Forged,
                "vouched" => Binding::Vouched,
                said => match said.split_once(' ') {
                    None => Binding::StartedAt(moment(said)?),
                    Some((CLAIMED, start)) => Binding::ClaimedAt(moment(start)?, claim('A')?),
                    Some((CLAIMED_BY_ANOTHER, start)) => Binding::ClaimedAt(moment(start)?, claim('B')?),
                    Some(_) => return Err(Malformed),
                },
            },
        };
        Ok(decide(&facts, &policy))
    }

    fn event_types(&self) -> EventTypes {
        let said = self.unknown_type.as_deref().filter(|text| !text.ends_with("=unknown"));
        said.and_then(|text| EventTypes::parse(text).ok()).unwrap_or_default()
    }

    fn outcome(&self) -> Result<Outcome, Malformed> {
        let status = Status::of_canonical(&self.status).ok_or(Malformed)?;
        let approval = self.approval.as_ref().map(ApprovalForm::read_pseudonymous).transpose()?;
        Outcome::of(status, approval).ok_or(Malformed)
    }
}

/// What was approved, as far as an audit record may tell it.
fn approval_form(approval: &Approval, subject: Option<String>) -> ApprovalForm {
    let mut form = ApprovalForm::pseudonymous(approval, subject);
    form.evidence = approval.evidence.as_ref().map(known_evidence);
    form.framework = approval.framework.as_ref().map(known_framework);
    form
}

impl UserFacts {
    fn of(user: &UserRecord, named: &UserReference, pseudonym: impl Fn(&Subject) -> Option<String>) -> Self {
        let (assurance, unreadable) = match &user.assurance {
            Ok(assurance) => (assurance.clone(), None),
            Err(unreadable) => (Assurance::default(), Some(unreadable.attribute.to_owned())),
        };
        Self {
            status: match user.status {
                UserStatus::Unconfirmed => "unconfirmed",
                UserStatus::Confirmed => "confirmed",
                UserStatus::Other => "other",
            }
            .to_owned(),
            has_claim: Some(user.claim.is_some()),
            disabled: !user.enabled,
            created_at: user.created_at.to_string(),
            alias: user.username.as_str().to_lowercase() != named.username.as_str().to_lowercase(),
            unreadable,
            subject: assurance.subject.as_ref().and_then(pseudonym),
            ial: assurance.ial.map(AssuranceLevel::get),
            idv_status: assurance.status.map(|status| status.as_str().to_owned()),
            session: assurance.session.map(|session| session.as_str().to_owned()),
            receipt: assurance.receipt.map(|receipt| receipt.to_string()),
            proofed_at: assurance.proofed_at.map(|at| at.to_string()),
            history: assurance.history.map(|history| history.to_string()),
            present: assurance.present.into_iter().map(str::to_owned).collect(),
        }
    }

    /// `claimed`: whether the binding was one with a claim, by which a user's is known in older records.
    fn read(&self, name: Username, claimed: bool) -> Result<UserRecord, Malformed> {
        let attribute =
            |text: &String| ASSURANCE_ATTRIBUTES.into_iter().find(|name| name == text).ok_or(Malformed);
        let assurance = match &self.unreadable {
            Some(name) => Err(RecordUnreadable { attribute: attribute(name)? }),
            None => Ok(Assurance {
                subject: self.subject.as_deref().map(Subject::new).transpose()?,
                ial: self.ial.map(|level| AssuranceLevel::new(level.into())).transpose()?,
                status: match &self.idv_status {
                    None => None,
                    Some(word) => Some(IdvStatus::parse(word).ok_or(Malformed)?),
                },
                session: self.session.as_deref().map(SessionId::new).transpose()?,
                receipt: match &self.receipt {
                    None => None,
                    Some(text) => Some(AppliedReceipt::parse(text).ok_or(Malformed)?),
                },
                proofed_at: self.proofed_at.as_deref().map(moment).transpose()?,
                history: match &self.history {
                    None => None,
                    Some(text) => Some(History::parse(text).ok_or(Malformed)?),
                },
                present: self.present.iter().map(attribute).collect::<Result<_, _>>()?,
            }),
        };
        Ok(UserRecord {
            username: if self.alias { Username::new("somebody-else")? } else { name },
            sub: None,
            status: match self.status.as_str() {
                "unconfirmed" => UserStatus::Unconfirmed,
                "confirmed" => UserStatus::Confirmed,
                "other" => UserStatus::Other,
                _ => return Err(Malformed),
            },
            enabled: !self.disabled,
            created_at: moment(&self.created_at)?,
            assurance,
            claim: if self.has_claim.unwrap_or(claimed) { Some(claim('A')?) } else { None },
        })
    }
}

fn known_evidence(evidence: &Evidence) -> String {
    let known = EVIDENCE.into_iter().find(|word| *word == evidence.as_str());
    known.unwrap_or("other").to_owned()
}

fn known_framework(framework: &Framework) -> String {
    let word = framework.as_str();
    let plain = word.len() <= 24 && word.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    let lower = word.to_ascii_lowercase();
    let known = plain && FRAMEWORKS.iter().any(|beginning| lower.starts_with(beginning));
    if known { word.to_owned() } else { "other".to_owned() }
}

/// Any claim: what counts is which are the same.
fn claim(letter: char) -> Result<Claim, Malformed> {
    Claim::new(&letter.to_string().repeat(43)).ok_or(Malformed)
}

fn moment(text: &str) -> Result<Timestamp, Malformed> {
    Timestamp::parse(text).map_err(|_| Malformed)
}
