//! The decision: from an event and a user's record to what is written, or why nothing is. No I/O, no clock.

use std::time::Duration;

use super::attributes::{AttributeChange, AttributeValue, names};
use super::record::{AppliedReceipt, Assurance, IdvStatus, UserRecord, UserStatus};
use crate::binding::Binding;
use crate::envelope::BodyDigest;
use crate::verification::{Approval, AssuranceLevel, Malformed, Outcome, PoolId, VerificationEvent};

/// How long a callback for a user that does not exist is tried again: a callback can overtake the sign-up.
pub const USER_GRACE: Duration = Duration::from_secs(15 * 60);

/// What the operator asks of a proof.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The pools that may be written to.
    pub pools: Vec<PoolId>,
    /// The least identity assurance level that counts.
    pub minimum_ial: AssuranceLevel,
    /// Whether a callback must carry a [binding](crate::binding).
    pub binding_required: bool,
}

/// All that a decision depends on.
pub struct Facts<'a> {
    /// The event.
    pub event: &'a VerificationEvent,
    /// The digest of the body that brought it.
    pub body_sha256: &'a BodyDigest,
    /// How long ago the callback was accepted.
    pub age: Duration,
    /// The user, if there is one of that name.
    pub user: Option<&'a UserRecord>,
    /// What the callback's binding proves.
    pub binding: Binding,
}

/// What is to be done with an event.
#[derive(Clone, PartialEq, Eq)]
pub enum Decision {
    /// The event ends here, with this.
    Settle(Settlement),
    /// The user does not exist yet: try again later.
    AwaitUser,
    /// No rule leads to a result: it goes to the dead letters, for a person to look at.
    Quarantine(QuarantineReason),
}

/// How an event ends, and what that writes.
#[derive(Clone, PartialEq, Eq)]
pub struct Settlement {
    /// The outcome.
    pub outcome: Settled,
    /// What is written, all in one call; may be nothing.
    pub changes: Vec<AttributeChange>,
    /// Whether the user is confirmed, after the writing.
    pub confirm: bool,
}

impl Settlement {
    /// The identity assurance level that is written, if one is.
    pub fn ial_after(&self) -> Option<AssuranceLevel> {
        self.changes.iter().find_map(|change| match change {
            AttributeChange::Set(names::IAL, value) => AssuranceLevel::new(value.as_str().parse().ok()?).ok(),
            _ => None,
        })
    }
}

/// The outcome of a settled event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The approval was written and the user confirmed.
    Applied,
    /// A status that is not an approval was written.
    Recorded,
    /// An approval that does not reach what the policy asks for: its status was written.
    Insufficient,
    /// The approval that stood was taken back.
    Revoked,
    /// What another session came to stands; only the receipt moved on.
    Noted,
    /// Something newer was applied before: nothing was written.
    Superseded,
    /// This very event was applied before: nothing was written.
    Duplicate,
    /// A session of ours that nobody went through, and that is of nobody who is here: nothing was written.
    Unclaimed,
}

/// Why an event is not settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuarantineReason {
    /// The seal is not ours.
    BadSeal,
    /// The correction beside the envelope is not ours, or not of this envelope.
    BadCorrection,
    /// The envelope, or the callback's body, cannot be read.
    Unreadable,
    /// The pool is not on the allow-list.
    PoolNotAllowed,
    /// There is no such user, and the callback is older than [`USER_GRACE`].
    UserNotFound,
    /// The name finds a user, but is not the user's name: an alias can pass to another person.
    UsernameAlias,
    /// A binding is required and missing.
    BindingMissing,
    /// The binding is forged, for another user, or for one created at another time.
    BindingMismatch,
    /// The same event id came before with another body.
    EventConflict,
    /// The user is already proofed as somebody else.
    SubjectConflict,
    /// An assurance attribute of the user holds what this system never writes.
    RecordUnreadable,
    /// Cognito refuses to confirm the user.
    ConfirmRefused,
    /// Cognito refuses to write the attributes, for good.
    WriteRefused,
    /// It was tried as often as the queue allows.
    RetriesExhausted,
}

impl QuarantineReason {
    /// Every reason, for tables and tests.
    pub const ALL: [Self; 14] = [
        Self::BadSeal,
        Self::BadCorrection,
        Self::Unreadable,
        Self::PoolNotAllowed,
        Self::UserNotFound,
        Self::UsernameAlias,
        Self::BindingMissing,
        Self::BindingMismatch,
        Self::EventConflict,
        Self::SubjectConflict,
        Self::RecordUnreadable,
        Self::ConfirmRefused,
        Self::WriteRefused,
        Self::RetriesExhausted,
    ];

    /// The reason code on the dead letter, in the audit log and in metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::BadSeal => "bad_seal",
            Self::BadCorrection => "bad_correction",
            Self::Unreadable => "unreadable",
            Self::PoolNotAllowed => "pool_not_allowed",
            Self::UserNotFound => "user_not_found",
            Self::UsernameAlias => "username_alias",
            Self::BindingMissing => "binding_missing",
            Self::BindingMismatch => "binding_mismatch",
            Self::EventConflict => "event_conflict",
            Self::SubjectConflict => "subject_conflict",
            Self::RecordUnreadable => "record_unreadable",
            Self::ConfirmRefused => "confirm_refused",
            Self::WriteRefused => "write_refused",
            Self::RetriesExhausted => "retries_exhausted",
        }
    }
}

/// Decides. The rules are tried in order, and the first that applies is the decision.
pub fn decide(facts: &Facts<'_>, policy: &Policy) -> Decision {
    decide_or_quarantine(facts, policy).unwrap_or_else(Decision::Quarantine)
}

fn decide_or_quarantine(facts: &Facts<'_>, policy: &Policy) -> Result<Decision, QuarantineReason> {
    let event = facts.event;
    if !policy.pools.contains(&event.user.pool) {
        return Err(QuarantineReason::PoolNotAllowed);
    }
    let user = match facts.user.map(|user| (user, check_is_the_user(facts, user, policy))) {
        Some((user, Ok(()))) => user,
        _ if ran_out(facts) => {
            let outcome = Settled::Unclaimed;
            return Ok(Decision::Settle(Settlement { outcome, changes: Vec::new(), confirm: false }));
        }
        Some((_, Err(reason))) => return Err(reason),
        None if facts.age < USER_GRACE => return Ok(Decision::AwaitUser),
        None => return Err(QuarantineReason::UserNotFound),
    };
    let assurance = user.assurance.as_ref().map_err(|_| QuarantineReason::RecordUnreadable)?;
    let standing = Standing { facts, user, assurance };
    if let Some(outcome) = standing.against_receipt()? {
        return Ok(standing.settle(outcome, Vec::new()));
    }
    let (outcome, changes) = match &event.outcome {
        Outcome::Approved(approval) => standing.on_approval(approval, policy)?,
        Outcome::Declined => standing.on_other(IdvStatus::Declined),
        Outcome::Expired => standing.on_other(IdvStatus::Expired),
        Outcome::Abandoned => standing.on_other(IdvStatus::Abandoned),
        Outcome::InReview => standing.on_other(IdvStatus::InReview),
    };
    let changes = changes.and_then(|mut changes| {
        changes.push(standing.receipt()?);
        Ok(changes)
    });
    // Every value comes from an identifier that is shorter than an attribute may be.
    let changes = changes.map_err(|Malformed| QuarantineReason::Unreadable)?;
    Ok(standing.settle(outcome, changes))
}

/// Whether it is a session of ours that came to nothing. It is opened before Cognito looks whether the name is taken: where it
/// was, or the sign-up was given up, there is nobody to tell.
fn ran_out(facts: &Facts<'_>) -> bool {
    let is_ours = matches!(facts.binding, Binding::StartedAt(_) | Binding::ClaimedAt(..));
    is_ours && came_to_nothing(facts.event)
}

/// Whether nobody went through the session to its end.
fn came_to_nothing(event: &VerificationEvent) -> bool {
    matches!(event.outcome, Outcome::Expired | Outcome::Abandoned)
}

/// Whether the user found is the one that the session was opened for.
fn check_is_the_user(facts: &Facts<'_>, user: &UserRecord, policy: &Policy) -> Result<(), QuarantineReason> {
    let (named, found) = (facts.event.user.username.as_str(), user.username.as_str());
    // Pools compare names without case unless told otherwise, and the message group does, too.
    if named.to_lowercase() != found.to_lowercase() {
        return Err(QuarantineReason::UsernameAlias);
    }
    match &facts.binding {
        Binding::Absent if policy.binding_required => Err(QuarantineReason::BindingMissing),
        Binding::Absent => Ok(()),
        binding if binding.speaks_for(user.created_at, user.claim.as_ref()) => Ok(()),
        _ => Err(QuarantineReason::BindingMismatch),
    }
}

type Changes = Result<Vec<AttributeChange>, Malformed>;

struct Standing<'a> {
    facts: &'a Facts<'a>,
    user: &'a UserRecord,
    assurance: &'a Assurance,
}

impl Standing<'_> {
    /// Where the event stands against what was applied last; none when it is newer.
    fn against_receipt(&self) -> Result<Option<Settled>, QuarantineReason> {
        let Some(receipt) = &self.assurance.receipt else { return Ok(None) };
        let event = self.facts.event;
        if receipt.event_id == event.event_id && receipt.body_sha256 != *self.facts.body_sha256 {
            return Err(QuarantineReason::EventConflict);
        }
        let applied = (receipt.occurred_at, &receipt.event_id);
        Ok(match (event.occurred_at, &event.event_id).cmp(&applied) {
            std::cmp::Ordering::Less => Some(Settled::Superseded),
            std::cmp::Ordering::Equal => Some(Settled::Duplicate),
            std::cmp::Ordering::Greater => None,
        })
    }

    fn on_approval(
        &self,
        approval: &Approval,
        policy: &Policy,
    ) -> Result<(Settled, Changes), QuarantineReason> {
        if self.assurance.subject.as_ref().is_some_and(|subject| *subject != approval.subject) {
            return Err(QuarantineReason::SubjectConflict);
        }
        let checked = approval.implied_by_level || (approval.liveness_verified && approval.match_result);
        let sufficient = checked && approval.ial >= policy.minimum_ial;
        Ok(match (sufficient, self.assurance.approval_stands()) {
            (true, _) => (Settled::Applied, self.approval_changes(approval)),
            (false, false) => (Settled::Insufficient, status(IdvStatus::Insufficient).map(|set| vec![set])),
            // The provider takes its own approval back by approving the same session to less.
            (false, true) if self.is_recorded_session() => {
                (Settled::Revoked, revocation(IdvStatus::Insufficient))
            }
            (false, true) => (Settled::Noted, Ok(Vec::new())),
        })
    }

    fn on_other(&self, idv_status: IdvStatus) -> (Settled, Changes) {
        // Who was declined asks a person: that another session ran out is no reason for one more.
        let declined = self.assurance.status == Some(IdvStatus::Declined) && !self.is_recorded_session();
        if declined && came_to_nothing(self.facts.event) {
            return (Settled::Noted, Ok(Vec::new()));
        }
        if !self.assurance.approval_stands() {
            let session = set(names::IDV_SESSION, self.facts.event.session.as_str());
            let changes = status(idv_status).and_then(|status| Ok(vec![status, session?]));
            return (Settled::Recorded, changes);
        }
        match idv_status {
            IdvStatus::Declined if self.is_recorded_session() => {
                (Settled::Revoked, revocation(IdvStatus::Declined))
            }
            // A second attempt that came to nothing takes nothing away.
            _ => (Settled::Noted, Ok(Vec::new())),
        }
    }

    fn is_recorded_session(&self) -> bool {
        self.assurance.session.as_ref() == Some(&self.facts.event.session)
    }

    /// The approval as a whole: what an older one said and this one does not is deleted.
    fn approval_changes(&self, approval: &Approval) -> Changes {
        let event = self.facts.event;
        let mut changes = vec![
            set(names::BLOCKID_SUB, approval.subject.as_str())?,
            set(names::IAL, &approval.ial.to_string())?,
            status(IdvStatus::Approved)?,
            set(names::IDV_PROOFED_AT, &event.occurred_at.to_string())?,
            set(names::IDV_SESSION, event.session.as_str())?,
        ];
        let optional = [
            (names::AAL, approval.aal.map(|aal| aal.to_string())),
            (names::IDV_EXPIRES_AT, approval.expires_at.map(|at| at.to_string())),
            (names::IDV_EVIDENCE, approval.evidence.as_ref().map(|evidence| evidence.as_str().to_owned())),
            (
                names::IDV_FRAMEWORK,
                approval.framework.as_ref().map(|framework| framework.as_str().to_owned()),
            ),
        ];
        for (name, value) in optional {
            match value {
                Some(value) => changes.push(set(name, &value)?),
                None if self.assurance.present.contains(&name) => changes.push(AttributeChange::Clear(name)),
                None => {}
            }
        }
        Ok(changes)
    }

    fn receipt(&self) -> Result<AttributeChange, Malformed> {
        let receipt = AppliedReceipt {
            occurred_at: self.facts.event.occurred_at,
            event_id: self.facts.event.event_id.clone(),
            body_sha256: self.facts.body_sha256.clone(),
        };
        set(names::IDV_RECEIPT, &receipt.to_string())
    }

    /// A user is confirmed when an approval was just written; or when this is the approval that stands, and the
    /// confirming was lost: in a crash (then it comes again as a duplicate), or because it was refused and the message
    /// went to the dead letters (then it comes again later, and something newer may have been noted meanwhile).
    fn settle(&self, outcome: Settled, changes: Vec<AttributeChange>) -> Decision {
        let approved = match outcome {
            Settled::Applied => true,
            Settled::Duplicate => self.assurance.approval_stands(),
            Settled::Superseded => self.assurance.approval_stands() && self.is_standing_approval(),
            Settled::Recorded
            | Settled::Insufficient
            | Settled::Revoked
            | Settled::Noted
            | Settled::Unclaimed => false,
        };
        let confirm = approved && self.user.status == UserStatus::Unconfirmed;
        Decision::Settle(Settlement { outcome, changes, confirm })
    }

    fn is_standing_approval(&self) -> bool {
        let is_subject = |approval: &Approval| self.assurance.subject.as_ref() == Some(&approval.subject);
        self.is_recorded_session()
            && matches!(&self.facts.event.outcome, Outcome::Approved(approval) if is_subject(approval))
    }
}

fn set(name: &'static str, value: &str) -> Result<AttributeChange, Malformed> {
    AttributeValue::new(value).map(|value| AttributeChange::Set(name, value))
}

fn status(status: IdvStatus) -> Result<AttributeChange, Malformed> {
    set(names::IDV_STATUS, status.as_str())
}

/// The subject stays, so that nobody else can be proofed into this user.
fn revocation(to: IdvStatus) -> Changes {
    Ok(vec![status(to)?, set(names::IAL, &AssuranceLevel::NONE.to_string())?])
}
