//! Would it be decided the same way today? Every settled or quarantined record holds what its decision depended on.

use std::collections::BTreeMap;

use idv_callback::assurance::{Decision, QuarantineReason};
use idv_callback::audit::AuditCode;
use serde::Serialize;

use super::codes::Decided;
use super::entry::Entry;

/// A record that would be another today.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The receipt.
    pub receipt_id: String,
    /// When it was decided.
    pub at: String,
    /// By which version.
    pub version: String,
    /// What was decided.
    pub then: String,
    /// What would be decided now.
    pub now: String,
}

/// What came out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Redecision {
    /// How many were decided again, by the version that had decided them.
    pub decided: BTreeMap<String, u64>,
    /// How many hold nothing to decide by: no decision was made, or an older version did not write it down.
    pub without_facts: u64,
    /// How many hold facts that this code cannot read.
    pub unreadable: u64,
    /// Those that would be another today.
    pub differences: Vec<Difference>,
}

/// Reasons that the decision gives. The others come of calls that failed, or before there is anything to decide.
fn is_decided(reason: &str) -> bool {
    let told_elsewhere = [
        QuarantineReason::BadSeal,
        QuarantineReason::BadCorrection,
        QuarantineReason::ConfirmRefused,
        QuarantineReason::WriteRefused,
        QuarantineReason::RetriesExhausted,
    ];
    !told_elsewhere.iter().any(|other| other.code() == reason)
}

impl Redecision {
    /// Decides one record again.
    pub fn read(&mut self, entry: &Entry) {
        let (settled, quarantined) = match entry.meaning().decided {
            Decided::No => (false, false),
            Decided::Settled => (true, false),
            Decided::Quarantined => (false, entry.reason.as_deref().is_some_and(is_decided)),
        };
        if !settled && !quarantined {
            return;
        }
        let Some(facts) = &entry.facts else {
            self.without_facts += 1;
            return;
        };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (event_id, session, digest) =
            (text(&entry.event_id), text(&entry.session_id), text(&entry.body_sha256));
        let Ok(decision) = facts.decide_again(&event_id, &session, &digest) else {
            self.unreadable += 1;
            return;
        };
        *self.decided.entry(entry.version.clone()).or_default() += 1;
        let now = match decision {
            Decision::Settle(settlement) => {
                let word = AuditCode::Settled(settlement.outcome).word();
                if settlement.confirm { format!("{word}, confirms") } else { word.to_owned() }
            }
            Decision::AwaitUser => "awaits the user".to_owned(),
            Decision::Quarantine(reason) => format!("quarantined: {}", reason.code()),
        };
        let then = match (settled, entry.confirmed) {
            (true, Some(true)) => format!("{}, confirms", entry.code.word()),
            (true, _) => entry.code.word().to_owned(),
            (false, _) => format!("quarantined: {}", text(&entry.reason)),
        };
        if then != now {
            let (at, version) = (entry.at.clone(), entry.version.clone());
            self.differences.push(Difference { receipt_id: text(&entry.receipt_id), at, version, then, now });
        }
    }
}
