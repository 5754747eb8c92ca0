//! The life of one delivery or of one user, in order, with the reason for each step in a sentence.

use std::collections::BTreeSet;

use super::entry::Entry;

/// What is looked for. What is not said does not choose.
#[derive(Clone, Debug, Default)]
pub struct Tracing {
    /// This receipt, or what it begins with.
    pub receipt: Option<String>,
    /// This proofing session.
    pub session: Option<String>,
    /// This event.
    pub event: Option<String>,
    /// The user of this pseudonym.
    pub user: Option<String>,
    receipts: BTreeSet<String>,
    sessions: BTreeSet<String>,
    plans: BTreeSet<String>,
}

/// The records found.
#[derive(Clone, Debug, Default)]
pub struct Thread {
    entries: Vec<Entry>,
}

impl Tracing {
    /// First reading: notes the receipts and plans that belong to what is looked for. A callback that was accepted names no
    /// user, and a plan names no receipt: both are found by what does.
    pub fn first(&mut self, entry: &Entry) {
        if !self.names(entry) {
            return;
        }
        self.receipts.extend(entry.receipt_id.clone());
        self.sessions.extend(entry.session_id.clone());
        if entry.code.starts_with("IDV3") {
            self.plans.extend(entry.plan_sha256.clone());
        }
    }

    /// Second reading: keeps what belongs to it.
    pub fn second(&self, entry: Entry, thread: &mut Thread) {
        let by_receipt = entry.receipt_id.as_ref().is_some_and(|receipt| self.receipts.contains(receipt));
        let by_plan = entry.receipt_id.is_none()
            && entry.plan_sha256.as_ref().is_some_and(|plan| self.plans.contains(plan));
        // What happens at a sign-up or sign-in has no receipt: its thread is the session, or the user.
        let signing_in = entry.code.starts_with("IDV4")
            && (self.names(&entry) || entry.session_id.as_ref().is_some_and(|id| self.sessions.contains(id)));
        if by_receipt || by_plan || signing_in {
            thread.entries.push(entry);
        }
    }

    fn names(&self, entry: &Entry) -> bool {
        let same = |wanted: &Option<String>, is: &Option<String>| wanted.is_some() && wanted == is;
        let begins = match (&self.receipt, &entry.receipt_id) {
            (Some(wanted), Some(is)) => is.starts_with(wanted.as_str()),
            _ => false,
        };
        begins
            || same(&self.session, &entry.session_id)
            || same(&self.event, &entry.event_id)
            || same(&self.user, &entry.user)
    }
}

impl Thread {
    /// The records in the order of their time; of one time, in the order of the receipt's life.
    pub fn in_order(mut self) -> Vec<Entry> {
        self.entries.sort_by(|one, other| {
            (&one.at, &one.receipt_id, &one.code).cmp(&(&other.at, &other.receipt_id, &other.code))
        });
        self.entries
    }
}

impl Entry {
    /// What happened and why, in a sentence.
    pub fn sentence(&self) -> String {
        match self.code.get(..4) {
            Some("IDV2") => self.settling(),
            Some("IDV3") => self.act(),
            Some("IDV4") => self.signing_in(),
            _ => self.intake(),
        }
    }

    fn because(&self) -> String {
        match (&self.reason, &self.detail) {
            (Some(reason), Some(detail)) => format!("{reason} ({detail})"),
            (one, other) => one.clone().or_else(|| other.clone()).unwrap_or_default(),
        }
    }

    fn whom(&self) -> String {
        self.user.as_ref().map_or_else(|| "the user".to_owned(), |user| format!("user {user}"))
    }

    fn by(&self) -> String {
        match (&self.operator, &self.approved_by) {
            (Some(by), Some(other)) => format!(" by {by}, approved by {other}"),
            (Some(by), None) => format!(" by {by}"),
            _ => String::new(),
        }
    }

    fn intake(&self) -> String {
        let key = self.key_id.as_deref().unwrap_or("not told");
        match self.event.as_str() {
            "accepted" => format!("accepted: signed by key {key}, stored on the queue"),
            "asserted" if key == "federation" => {
                "asserted in a federated sign-in, stored on the queue".to_owned()
            }
            "ignored" => format!(
                "signed by key {key}; its type ({}) tells no result: recorded, and nothing else",
                self.event_type.as_deref().unwrap_or("not told")
            ),
            "sender_test" => format!("signed by key {key}; a sender's test: recorded, and nothing else"),
            "asserted" => "fetched from 1Kosmos at the sign-up, stored on the queue".to_owned(),
            "accepted_unreadable" => {
                format!("accepted as raw bytes: signed by key {key}, but {}", self.because())
            }
            _ => self.because(),
        }
    }

    fn signing_in(&self) -> String {
        let (whom, because) = (self.whom(), self.because());
        match self.event.as_str() {
            "session_opened" => format!("a proofing session was opened{}", self.by()),
            "sign_up_refused" => format!("a sign-up was refused: {because}"),
            "sign_up_unproofed" => format!("a sign-up was let through without a session: {because}"),
            "step_up_started" => format!("a step-up of {whom} was started, for {because}"),
            "step_up_passed" => format!("{whom} passed the step-up: liveness yes, match yes"),
            "step_up_pending" => format!("{whom} had not answered the step-up yet"),
            "step_up_failed" => format!("{whom} did not pass the step-up: {because}"),
            "step_up_refused" => format!("a sign-in of {whom} with step-up ended without tokens: {because}"),
            _ => because,
        }
    }

    fn settling(&self) -> String {
        let (whom, because) = (self.whom(), self.because());
        let status = self.facts.as_ref().map_or("the result", |facts| facts.status.as_str());
        let again = self.retry_in_seconds.map_or_else(String::new, |s| format!("; again in {s} s"));
        let what = match self.event.as_str() {
            "applied" => format!("the approval was written onto {whom}{}", self.proof()),
            "recorded" => format!("\"{status}\" was written onto {whom}, for whom no approval stands"),
            "insufficient" => {
                let proof = self.proof();
                format!(
                    "the approval does not count ({}); only that was written onto {whom}{proof}",
                    self.because()
                )
            }
            "revoked" => format!("the approval of {whom} was taken back: {status}"),
            "noted" => format!("\"{status}\" changes nothing of where {whom} stands, and is remembered"),
            "superseded" => {
                format!("its session had said something that counts more of {whom}: nothing written")
            }
            "duplicate" => format!("this very event had been applied to {whom}: nothing written"),
            "probed" => return "a synthetic callback came through; it is about nobody".to_owned(),
            "skipped" => {
                return "its type tells no result, as the operator has said: nothing written".to_owned();
            }
            "unclaimed" => return format!("\"{status}\", for nobody who is here: nothing written"),
            "quarantined" => format!("no rule settles it, so it is a dead letter: {because}"),
            "retried" => return format!("a fault that passes, {because}{again}"),
            "misconfigured" => return format!("a fault that an operator must mend, {because}{again}"),
            _ => return format!("not tried now: {because}"),
        };
        let levels = match (self.ial_before, self.ial_after) {
            (Some(before), Some(after)) if before != after => format!("; level {before} to {after}"),
            (Some(before), Some(_)) => format!("; level stays {before}"),
            _ => String::new(),
        };
        let confirmed = if self.confirmed == Some(true) { "; confirmed" } else { "" };
        let whose = if self.operator.is_some() {
            format!("; whose it is was said{}", self.by())
        } else {
            String::new()
        };
        format!("{what}{levels}{confirmed}{whose}")
    }

    /// What was approved, by what.
    fn proof(&self) -> String {
        let approval = self.facts.as_ref().and_then(|facts| facts.approval.as_ref());
        approval.map_or_else(String::new, |approval| {
            let yes = |is: bool| if is { "yes" } else { "no" };
            let told = |text: &Option<String>| text.clone().unwrap_or_else(|| "not told".to_owned());
            let checks = if approval.implied_by_level {
                "asserted by the provider as a whole".to_owned()
            } else {
                let (liveness, matched) = (yes(approval.liveness_verified), yes(approval.match_result));
                format!("liveness {liveness}, match {matched}")
            };
            let (evidence, framework) = (told(&approval.evidence), told(&approval.framework));
            format!(": IAL{}, evidence {evidence}, {checks}, framework {framework}", approval.ial)
        })
    }

    fn act(&self) -> String {
        let (by, whom) = (self.by(), self.whom());
        let reason = self.reason.as_deref().unwrap_or("not told");
        match self.event.as_str() {
            "planned" => format!("part of a plan to send letters back{by}, because {reason}"),
            "redriven" => format!("sent back to the queue{by}, because {reason}"),
            "redrive_ended" => format!("the run through the plan ended: {}", self.because()),
            "correction_proposed" => format!("said to be about {whom}{by}, because {reason}"),
            "correction_approved" => format!("that was approved{by}"),
            "correction_sealed" => format!("the correction became part of a plan{by}"),
            "discarded" => format!("kept in an archive and deleted{by}, because {}", self.because()),
            _ => format!("{}{by}", self.because()),
        }
    }
}
