//! What a user's record says about their assurance, and what an event changes about it.
//!
//! The record *is* the ledger: there is no other database. What the user's sessions have said ([`History`]) stands beside the
//! values that follow from it, so every decision can be made from the event and the record alone.

mod attributes;
mod decide;
mod history;
mod outcome;
mod record;

pub use attributes::{
    ASSURANCE_ATTRIBUTES, AttributeChange, AttributeValue, CLAIM_ATTRIBUTE, MAXIMUM_VALUE_CHARS, STAGED_IAL,
    STAGED_SUBJECT, STAGING_ATTRIBUTES, names,
};
pub use decide::{Decision, Facts, Policy, USER_GRACE, decide};
pub use history::{History, Meaning};
pub use outcome::{Insufficiency, QuarantineReason, Settled, Settlement};
pub use record::{AppliedReceipt, Assurance, IdvStatus, RecordUnreadable, UserRecord, UserStatus};
