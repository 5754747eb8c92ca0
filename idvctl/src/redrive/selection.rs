//! Which dead letters are meant.

use std::collections::{BTreeMap, BTreeSet};

use idv_callback::assurance::QuarantineReason;
use idv_callback::correction::Correction;
use idv_callback::timestamp::Timestamp;

use super::{DeadLetterSummary, NO_REASON};

/// The reasons that speak of a conflict or a suspected forgery. Such messages are evidence.
const EVIDENCE: [QuarantineReason; 5] = [
    QuarantineReason::BadSeal,
    QuarantineReason::BadCorrection,
    QuarantineReason::BindingMismatch,
    QuarantineReason::EventConflict,
    QuarantineReason::SubjectConflict,
];

/// Every reason that a dead letter can have.
pub fn reasons() -> impl Iterator<Item = &'static str> {
    QuarantineReason::ALL.iter().map(|reason| reason.code()).chain([NO_REASON])
}

/// Which messages; what is not said does not choose.
#[derive(Clone, Default)]
pub struct Selection {
    /// These reasons.
    pub reasons: Vec<String>,
    /// These message ids.
    pub ids: Vec<String>,
    /// These groups, or beginnings of them.
    pub groups: Vec<String>,
    /// These receipts.
    pub receipts: Vec<String>,
    /// These proofing sessions.
    pub sessions: Vec<String>,
    /// Whose event has one of these statuses.
    pub statuses: Vec<String>,
    /// Whose event has each of these words in a field that may be shown.
    pub words: Vec<String>,
    /// Dead since then.
    pub since: Option<Timestamp>,
    /// Dead before then.
    pub before: Option<Timestamp>,
    /// Which SQS drops before then.
    pub expires_before: Option<Timestamp>,
    /// What is said of whom these messages are about.
    pub corrections: BTreeMap<String, Correction>,
}

impl Selection {
    /// Whether a message is chosen.
    pub fn takes(&self, message: &DeadLetterSummary) -> bool {
        let one_of =
            |list: &[String], fits: &dyn Fn(&String) -> bool| list.is_empty() || list.iter().any(fits);
        let event = message.event.as_ref();
        let words = || event.map(super::EventSummary::words).unwrap_or_default();
        let has = |word: &String| words().iter().any(|value| value.contains(&word.to_ascii_lowercase()));
        one_of(&self.reasons, &|reason| *reason == message.reason)
            && one_of(&self.ids, &|id| *id == message.id)
            && one_of(&self.groups, &|group| message.group.starts_with(group.as_str()))
            && one_of(&self.receipts, &|receipt| message.receipt.as_ref() == Some(receipt))
            && one_of(&self.sessions, &|session| event.is_some_and(|event| event.session_id == *session))
            && one_of(&self.statuses, &|status| event.is_some_and(|event| event.status == *status))
            && self.words.iter().all(has)
            && self.since.is_none_or(|since| message.sent_at >= since)
            && self.before.is_none_or(|before| message.sent_at < before)
            && self.expires_before.is_none_or(|before| message.expires_at <= before)
    }

    /// Whether a message is chosen by its reason or its id, and not only along with others.
    pub fn names(&self, message: &DeadLetterSummary) -> bool {
        self.reasons.contains(&message.reason) || self.ids.contains(&message.id)
    }

    /// Whether nothing was said, so that every message is chosen.
    pub fn is_everything(&self) -> bool {
        let lists = [&self.reasons, &self.ids, &self.groups, &self.receipts, &self.sessions];
        let more = [&self.statuses, &self.words];
        lists.into_iter().chain(more).all(Vec::is_empty)
            && [self.since, self.before, self.expires_before].iter().all(Option::is_none)
    }
}

impl DeadLetterSummary {
    /// Whether it speaks of a conflict or a suspected forgery. Such a message moves only when it is named by reason or id. So does
    /// one whose reason nobody of this version wrote.
    pub fn is_evidence(&self) -> bool {
        EVIDENCE.iter().any(|reason| reason.code() == self.reason)
            || !reasons().any(|reason| reason == self.reason)
    }
}

/// What dead letters there are, and which were chosen: for whoever chose something that is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// How many there are of each reason.
    pub there: BTreeMap<String, usize>,
    /// How many were chosen.
    pub chosen: usize,
    /// The ids and receipts that were asked for and are there.
    pub found: BTreeSet<String>,
    /// How many of those stay because they are evidence that was not named, by reason.
    pub unnamed: BTreeMap<String, usize>,
    /// How many of those that were chosen are evidence that was named, by reason.
    pub named: BTreeMap<String, usize>,
}

impl Census {
    /// Counts a message; says whether it is chosen to be looked at.
    pub fn looks_at(&mut self, selection: &Selection, message: &DeadLetterSummary) -> bool {
        *self.there.entry(message.reason.clone()).or_default() += 1;
        if selection.ids.contains(&message.id) {
            self.found.insert(message.id.clone());
        }
        if let Some(receipt) = message.receipt.as_ref().filter(|receipt| selection.receipts.contains(receipt))
        {
            self.found.insert(receipt.clone());
        }
        let chosen = selection.takes(message);
        self.chosen += usize::from(chosen);
        chosen
    }

    /// Counts a message; says whether it is chosen to be moved.
    pub fn moves(&mut self, selection: &Selection, message: &DeadLetterSummary) -> bool {
        if !self.looks_at(selection, message) {
            return false;
        }
        if !message.is_evidence() {
            return true;
        }
        let named = selection.names(message);
        let counts = if named { &mut self.named } else { &mut self.unnamed };
        *counts.entry(message.reason.clone()).or_default() += 1;
        self.chosen -= usize::from(!named);
        named
    }

    /// The ids and receipts that were asked for and that no dead letter has.
    pub fn absent<'s>(&self, selection: &'s Selection) -> Vec<&'s String> {
        let named = selection.ids.iter().chain(&selection.receipts);
        named.filter(|name| !self.found.contains(*name)).collect()
    }

    /// The reasons that were asked for and that no dead letter has.
    pub fn missing<'s>(&self, selection: &'s Selection) -> Vec<&'s String> {
        selection.reasons.iter().filter(|reason| !self.there.contains_key(*reason)).collect()
    }
}
