//! What happened and why, in sentences. Which record has which is in the table of [codes](super::codes).

use super::entry::Entry;

impl Entry {
    pub(super) fn because(&self) -> String {
        match (&self.reason, &self.detail) {
            (Some(reason), Some(detail)) => format!("{reason} ({detail})"),
            (one, other) => one.clone().or_else(|| other.clone()).unwrap_or_default(),
        }
    }

    pub(super) fn whom(&self) -> String {
        self.user.as_ref().map_or_else(|| "the user".to_owned(), |user| format!("user {user}"))
    }

    pub(super) fn by(&self) -> String {
        match (&self.operator, &self.approved_by) {
            (Some(by), Some(other)) => format!(" by {by}, approved by {other}"),
            (Some(by), None) => format!(" by {by}"),
            _ => String::new(),
        }
    }

    fn status(&self) -> &str {
        self.facts.as_ref().map_or("the result", |facts| facts.status.as_str())
    }

    fn key(&self) -> &str {
        self.key_id.as_deref().unwrap_or("not told")
    }

    fn ticket(&self) -> &str {
        self.reason.as_deref().unwrap_or("not told")
    }

    pub(super) fn was_accepted(&self) -> String {
        format!("accepted: signed by key {}, stored on the queue", self.key())
    }

    pub(super) fn was_accepted_unreadable(&self) -> String {
        format!("accepted as raw bytes: signed by key {}, but {}", self.key(), self.because())
    }

    pub(super) fn was_asserted(&self) -> String {
        if self.key() == "federation" {
            "asserted in a federated sign-in, stored on the queue".to_owned()
        } else {
            "fetched from 1Kosmos at the sign-up, stored on the queue".to_owned()
        }
    }

    pub(super) fn was_ignored(&self) -> String {
        let event_type = self.event_type.as_deref().unwrap_or("not told");
        format!(
            "signed by key {}; its type ({event_type}) tells no result: recorded, and nothing else",
            self.key()
        )
    }

    pub(super) fn was_a_test(&self) -> String {
        format!("signed by key {}; a sender's test: recorded, and nothing else", self.key())
    }

    pub(super) fn step_up_was_started(&self) -> String {
        format!("a step-up of {} was started, for {}", self.whom(), self.because())
    }

    pub(super) fn step_up_failed(&self) -> String {
        format!("{} did not pass the step-up: {}", self.whom(), self.because())
    }

    pub(super) fn step_up_was_refused(&self) -> String {
        format!("a sign-in of {} with step-up ended without tokens: {}", self.whom(), self.because())
    }

    pub(super) fn was_applied(&self) -> String {
        self.with_levels(&format!("the approval was written onto {}{}", self.whom(), self.proof()))
    }

    pub(super) fn was_recorded(&self) -> String {
        let (status, whom) = (self.status(), self.whom());
        self.with_levels(&format!("\"{status}\" was written onto {whom}, for whom no approval stands"))
    }

    pub(super) fn was_insufficient(&self) -> String {
        let (because, whom, proof) = (self.because(), self.whom(), self.proof());
        self.with_levels(&format!(
            "the approval does not count ({because}); only that was written onto {whom}{proof}"
        ))
    }

    pub(super) fn was_revoked(&self) -> String {
        self.with_levels(&format!("the approval of {} was taken back: {}", self.whom(), self.status()))
    }

    pub(super) fn was_noted(&self) -> String {
        let (status, whom) = (self.status(), self.whom());
        self.with_levels(&format!("\"{status}\" changes nothing of where {whom} stands, and is remembered"))
    }

    pub(super) fn was_superseded(&self) -> String {
        let whom = self.whom();
        self.with_levels(&format!(
            "its session had said something that counts more of {whom}: nothing written"
        ))
    }

    pub(super) fn was_a_duplicate(&self) -> String {
        let whom = self.whom();
        self.with_levels(&format!("this very event had been applied to {whom}: nothing written"))
    }

    pub(super) fn was_unclaimed(&self) -> String {
        format!("\"{}\", for nobody who is here: nothing written", self.status())
    }

    pub(super) fn was_quarantined(&self) -> String {
        self.with_levels(&format!("no rule settles it, so it is a dead letter: {}", self.because()))
    }

    fn again(&self) -> String {
        self.retry_in_seconds.map_or_else(String::new, |seconds| format!("; again in {seconds} s"))
    }

    pub(super) fn was_retried(&self) -> String {
        format!("a transient fault, {}{}", self.because(), self.again())
    }

    pub(super) fn was_misconfigured(&self) -> String {
        format!("a fault that an operator must fix, {}{}", self.because(), self.again())
    }

    /// The sentence, and behind it what became of the user.
    fn with_levels(&self, what: &str) -> String {
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

    pub(super) fn was_planned(&self) -> String {
        format!("part of a plan to send messages back{}, because {}", self.by(), self.ticket())
    }

    pub(super) fn was_redriven(&self) -> String {
        format!("sent back to the queue{}, because {}", self.by(), self.ticket())
    }

    pub(super) fn was_corrected(&self) -> String {
        format!("said to be about {}{}, because {}", self.whom(), self.by(), self.ticket())
    }

    pub(super) fn was_restored(&self) -> String {
        format!("brought back out of an archive, a dead letter again{}: {}", self.by(), self.because())
    }

    pub(super) fn was_discarded(&self) -> String {
        format!("kept in an archive and deleted{}, because {}", self.by(), self.because())
    }
}
