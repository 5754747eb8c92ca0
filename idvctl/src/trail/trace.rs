//! The life of one delivery or of one user, in order.

use std::collections::BTreeSet;

use super::codes::Part;
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
        if entry.meaning().part == Part::Operator {
            self.plans.extend(entry.plan_sha256.clone());
        }
    }

    /// Second reading: keeps what belongs to it.
    pub fn second(&self, entry: Entry, thread: &mut Thread) {
        let by_receipt = entry.receipt_id.as_ref().is_some_and(|receipt| self.receipts.contains(receipt));
        let by_plan = entry.receipt_id.is_none()
            && entry.plan_sha256.as_ref().is_some_and(|plan| self.plans.contains(plan));
        // What happens at a sign-up or sign-in has no receipt: its thread is the session, or the user.
        let signing_in = entry.meaning().part == Part::SignIn
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
            (&one.at, &one.receipt_id, one.code.code()).cmp(&(
                &other.at,
                &other.receipt_id,
                other.code.code(),
            ))
        });
        self.entries
    }
}
