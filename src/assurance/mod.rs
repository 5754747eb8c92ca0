//! What a user's record says about their assurance, and what an event changes about it.
//!
//! The record *is* the ledger: there is no other database. The receipt of what was applied last stands beside the
//! values it wrote, so every decision can be made from the event and the record alone.

mod attributes;
mod decide;
mod record;

pub use attributes::{
    ASSURANCE_ATTRIBUTES, AttributeChange, AttributeValue, CLAIM_ATTRIBUTE, MAXIMUM_VALUE_CHARS, STAGED_IAL,
    STAGED_SUBJECT, STAGING_ATTRIBUTES, names,
};
pub use decide::{Decision, Facts, Policy, QuarantineReason, Settled, Settlement, USER_GRACE, decide};
pub use record::{AppliedReceipt, Assurance, IdvStatus, RecordUnreadable, UserRecord, UserStatus};
