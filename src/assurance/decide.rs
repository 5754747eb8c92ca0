//! The decision: from an event and a user's record to what is written, or why nothing is. No I/O, no clock.

use std::time::Duration;

use super::attributes::{AttributeChange, AttributeValue, names};
use super::history::{Doubt, EventTag, History, Known, Mark, Meaning, Standing, Word};
use super::outcome::{Insufficiency, QuarantineReason, Settled, Settlement};
use super::record::{AppliedReceipt, Assurance, IdvStatus, UserRecord, UserStatus};
use crate::binding::Binding;
use crate::envelope::BodyDigest;
use crate::timestamp::Timestamp;
use crate::verification::{Approval, AssuranceLevel, Malformed, Outcome, PoolId, VerificationEvent};
use crate::vocabulary::{EventTypes, Status, Use};

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
    /// What becomes of event types that are not known.
    pub event_types: EventTypes,
}

/// All that a decision depends on.
pub struct Facts<'a> {
    /// The event.
    pub event: &'a VerificationEvent,
    /// The digest of the body that brought it.
    pub body_sha256: &'a BodyDigest,
    /// What the event says, in short: by this a repetition is known.
    pub meaning: Meaning,
    /// When the callback was accepted.
    pub received_at: Timestamp,
    /// How long ago that was.
    pub age: Duration,
    /// Whether the result did not come as a callback, but with a sign-up that could still fail.
    pub fetched_at_sign_up: bool,
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

/// Decides. The rules are tried in order, and the first that applies is the decision.
pub fn decide(facts: &Facts<'_>, policy: &Policy) -> Decision {
    decide_or_quarantine(facts, policy).unwrap_or_else(Decision::Quarantine)
}

fn decide_or_quarantine(facts: &Facts<'_>, policy: &Policy) -> Result<Decision, QuarantineReason> {
    let event = facts.event;
    if !policy.pools.contains(&event.user.pool) {
        return Err(QuarantineReason::PoolNotAllowed);
    }
    match event.unknown_type.as_ref().map(|unknown| policy.event_types.of(unknown)) {
        None | Some(Some(Use::Result)) => {}
        Some(Some(Use::Ignore)) => {
            return Ok(Decision::Settle(Settlement::without_change(Settled::Skipped)));
        }
        Some(None) => return Err(QuarantineReason::UnknownEventType),
    }
    let of_nobody = || Ok(Decision::Settle(Settlement::without_change(Settled::Unclaimed)));
    let user = match facts.user.map(|user| (user, check_is_the_user(facts, user, policy))) {
        Some((user, Ok(()))) => user,
        _ if gives_nobody_anything(facts) => return of_nobody(),
        // Cognito looks whether the name is taken only after the trigger has put the result on the queue.
        Some((_, Err(QuarantineReason::BindingMismatch))) if facts.fetched_at_sign_up && is_ours(facts) => {
            return of_nobody();
        }
        Some((_, Err(reason))) => return Err(reason),
        None if facts.age < USER_GRACE => return Ok(Decision::AwaitUser),
        None if facts.fetched_at_sign_up => return of_nobody(),
        None => return Err(QuarantineReason::UserNotFound),
    };
    let assurance = user.assurance.as_ref().map_err(|_| QuarantineReason::RecordUnreadable)?;
    let past = assurance.past_at(event.occurred_at.min(facts.received_at), facts.received_at);
    let tag = EventTag::of(&event.event_id);
    Case { facts, user, assurance, policy, past: &past, tag: &tag }.settle().map(Decision::Settle)
}

/// Whether the event only says that somebody is under way, or is of a session of ours that came to nothing. A session is opened
/// before Cognito looks whether the name is taken: where it was, or the sign-up was given up, there is nobody to tell, and
/// nobody is woken.
fn gives_nobody_anything(facts: &Facts<'_>) -> bool {
    match facts.event.outcome {
        Outcome::InProgress => true,
        Outcome::Expired | Outcome::Abandoned => is_ours(facts),
        Outcome::Approved(_) | Outcome::Declined | Outcome::InReview => false,
    }
}

fn is_ours(facts: &Facts<'_>) -> bool {
    matches!(facts.binding, Binding::StartedAt(_) | Binding::ClaimedAt(..))
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

/// An event of a user who is there, against what the user's sessions have said.
struct Case<'a> {
    facts: &'a Facts<'a>,
    user: &'a UserRecord,
    assurance: &'a Assurance,
    policy: &'a Policy,
    past: &'a History,
    /// The event's id, as the history has it.
    tag: &'a EventTag,
}

impl Case<'_> {
    fn settle(&self) -> Result<Settlement, QuarantineReason> {
        let event = self.facts.event;
        let mark = Mark::of(event, self.facts.meaning.clone(), self.facts.received_at);
        let repeated = || self.settled(Settled::Duplicate, Ok(Vec::new()), None, self.past);
        match self.past.recognise(event, self.tag, &self.facts.meaning) {
            Known::Contradicted => return Err(QuarantineReason::EventConflict),
            Known::Repeated if self.is_of_another_subject() => return Err(QuarantineReason::EventConflict),
            Known::Repeated => {
                let Some(after) = self.past.with_earlier_receipt(self.tag, mark.at) else {
                    return repeated();
                };
                let (word, insufficiency) = self.word()?;
                return self.lead_to(&after, word, &mark, true, insufficiency);
            }
            Known::New if self.is_receipt_with_this_body() => return repeated(),
            Known::New => {}
        }
        let (word, insufficiency) = self.word()?;
        let (after, remembered) =
            self.past.with(&event.session, word, &mark).map_err(|doubt| match doubt {
                Doubt::MayBeForgotten => QuarantineReason::SessionForgotten,
                Doubt::NoRoom => QuarantineReason::HistoryFull,
            })?;
        self.lead_to(&after, word, &mark, remembered, insufficiency)
    }

    /// Whether it approves somebody else than the user is proofed as. A repetition may: what an event said is known without the
    /// subject.
    fn is_of_another_subject(&self) -> bool {
        let Outcome::Approved(approval) = &self.facts.event.outcome else { return false };
        self.assurance.subject.as_ref().is_some_and(|subject| !subject.is(&approval.subject))
    }

    /// What it takes to get to this history.
    fn lead_to(
        &self,
        after: &History,
        word: Word,
        mark: &Mark,
        remembered: bool,
        insufficiency: Option<Insufficiency>,
    ) -> Result<Settlement, QuarantineReason> {
        let (before, now) = (self.past.standing(), after.standing());
        let outcome = outcome(before.as_ref(), now.as_ref(), word, mark, remembered);
        if outcome == Settled::Superseded {
            return self.settled(outcome, Ok(Vec::new()), insufficiency, self.past);
        }
        let changes =
            now.as_ref().map_or_else(|| Ok(Vec::new()), |now| self.changes(before.as_ref(), now, mark));
        let changes = changes.and_then(|mut changes| {
            changes.push(self.receipt()?);
            changes.push(set(names::IDV_HISTORY, &after.to_string())?);
            Ok(changes)
        });
        if outcome == Settled::Applied && !self.user.enabled {
            return Err(QuarantineReason::UserDisabled);
        }
        self.settled(outcome, changes, insufficiency, after)
    }

    /// What the event says of its session, and why it does not count as an approval where it claims to be one.
    fn word(&self) -> Result<(Word, Option<Insufficiency>), QuarantineReason> {
        if self.is_of_another_subject() {
            return Err(QuarantineReason::SubjectConflict);
        }
        let outcome = &self.facts.event.outcome;
        let insufficiency = match outcome {
            Outcome::Approved(approval) => self.insufficiency(approval),
            _ => None,
        };
        Ok((Word::of(outcome, insufficiency.is_some()), insufficiency))
    }

    fn insufficiency(&self, approval: &Approval) -> Option<Insufficiency> {
        let now = self.facts.received_at.plus(self.facts.age);
        if !approval.implied_by_level && !approval.liveness_verified {
            Some(Insufficiency::Liveness)
        } else if !approval.implied_by_level && !approval.match_result {
            Some(Insufficiency::Match)
        } else if approval.ial < self.policy.minimum_ial || approval.ial == AssuranceLevel::NONE {
            Some(Insufficiency::Level)
        } else if approval.expires_at.is_some_and(|end| end <= now) {
            Some(Insufficiency::ValidityOver)
        } else {
            None
        }
    }

    /// An older version remembers the event that it wrote last by its body alone.
    fn is_receipt_with_this_body(&self) -> bool {
        let event = &self.facts.event.event_id;
        let receipt = self.assurance.receipt.as_ref();
        receipt.is_some_and(|receipt| receipt.is_of(event) && receipt.body_sha256 == *self.facts.body_sha256)
    }

    /// What leads from where the user stood to where they stand now.
    fn changes(&self, before: Option<&Standing<'_>>, now: &Standing<'_>, mark: &Mark) -> Changes {
        if now.is_approved() {
            return match &self.facts.event.outcome {
                Outcome::Approved(approval) if now.mark.event == mark.event => {
                    self.approval_changes(approval, mark.at)
                }
                _ => Ok(Vec::new()),
            };
        }
        let mut changes = vec![status(now.word.status())?, set(names::IDV_SESSION, now.session.as_str())?];
        if now.taken_back {
            // The subject stays, so that nobody else can be proofed into this user.
            changes.push(set(names::IAL, &AssuranceLevel::NONE.to_string())?);
            let of_approval = [
                names::AAL,
                names::IDV_PROOFED_AT,
                names::IDV_EXPIRES_AT,
                names::IDV_EVIDENCE,
                names::IDV_FRAMEWORK,
            ];
            let present = of_approval.into_iter().filter(|name| self.assurance.present.contains(name));
            changes.extend(present.map(AttributeChange::Clear));
        }
        let same = before.is_some_and(|before| {
            (before.word.status(), before.session, before.taken_back)
                == (now.word.status(), now.session, now.taken_back)
        });
        Ok(if same && now.mark.event != mark.event { Vec::new() } else { changes })
    }

    /// The approval as a whole: what an older one said and this one does not is deleted.
    fn approval_changes(&self, approval: &Approval, at: Timestamp) -> Changes {
        let event = self.facts.event;
        let mut changes = vec![
            set(names::BLOCKID_SUB, approval.subject.as_str())?,
            set(names::IAL, &approval.ial.to_string())?,
            status(IdvStatus::Said(Status::Approved))?,
            set(names::IDV_PROOFED_AT, &at.to_string())?,
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

    /// A user is confirmed by the approval that stands and by nothing else: when it is written; or, where the confirming was
    /// lost (in a crash, or because it was refused and the message went to the dead letters), when it comes again.
    fn settled(
        &self,
        outcome: Settled,
        changes: Changes,
        insufficiency: Option<Insufficiency>,
        after: &History,
    ) -> Result<Settlement, QuarantineReason> {
        // Every value comes from an identifier that is shorter than an attribute may be, and the history was made to fit.
        let changes = changes.map_err(|Malformed| QuarantineReason::Unreadable)?;
        let stands = after.standing().is_some_and(|standing| standing.is_approved() && self.is(&standing));
        let confirm = stands && self.user.status == UserStatus::Unconfirmed;
        if confirm && !self.user.enabled {
            return Err(QuarantineReason::UserDisabled);
        }
        Ok(Settlement { outcome, changes, confirm, insufficiency })
    }

    /// Whether this event is the one that the user stands by. An older version remembers it by its session and subject.
    fn is(&self, standing: &Standing<'_>) -> bool {
        let Outcome::Approved(approval) = &self.facts.event.outcome else { return false };
        let same_event = standing.mark.event == *self.tag;
        let subject = self.assurance.subject.as_ref().is_some_and(|subject| subject.is(&approval.subject));
        let event = self.facts.event;
        let receipt = self.assurance.receipt.as_ref().is_some_and(|receipt| receipt.is_of(&event.event_id));
        let by_older_version = standing.mark.is_of_older_version()
            && (standing.mark.at == event.occurred_at || receipt)
            && standing.session.is(&event.session);
        same_event || (by_older_version && subject)
    }
}

/// How an event ends that leads from `before` to `now`.
fn outcome(
    before: Option<&Standing<'_>>,
    now: Option<&Standing<'_>>,
    word: Word,
    mark: &Mark,
    remembered: bool,
) -> Settled {
    let was_approved = before.is_some_and(Standing::is_approved);
    let counts = now.is_some_and(|now| now.mark.event == mark.event && now.mark.meaning == mark.meaning);
    let stands_elsewhere = |now: &Standing<'_>| {
        before.is_none_or(|b| (b.word.status(), b.session) != (now.word.status(), now.session))
    };
    match now {
        Some(now) if was_approved && !now.is_approved() => Settled::Revoked,
        Some(now) if counts && now.is_approved() => Settled::Applied,
        Some(_) if counts && matches!(word, Word::Insufficient) => Settled::Insufficient,
        Some(_) if counts => Settled::Recorded,
        Some(now) if !now.is_approved() && stands_elsewhere(now) => Settled::Recorded,
        _ if remembered => Settled::Noted,
        _ => Settled::Superseded,
    }
}

fn set(name: &'static str, value: &str) -> Result<AttributeChange, Malformed> {
    AttributeValue::new(value).map(|value| AttributeChange::Set(name, value))
}

fn status(status: IdvStatus) -> Result<AttributeChange, Malformed> {
    set(names::IDV_STATUS, status.as_str())
}
