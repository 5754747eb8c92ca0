//! The audit trail as its readers have it: is it whole and unaltered, did every accepted callback end in exactly one outcome,
//! what was the life of one, and would it be decided the same way today.
//!
//! Everything here reads lines, one at a time, in the order in which they come; nothing is asked of AWS.

mod checkpoint;
mod codes;
mod entry;
mod finding;
#[cfg(feature = "operator")]
mod html;
mod merkle;
mod note;
mod ocsf;
mod reconcile;
mod redecide;
#[cfg(feature = "operator")]
mod report;
mod sentence;
mod trace;
mod verify;

pub use checkpoint::{Leaf, NothingNew, SealedLog};
pub use entry::{Entry, Place, entries_in};
pub use finding::{Finding, FindingKind};
#[cfg(feature = "operator")]
pub(crate) use html::table;
pub use note::{NoteError, SigningKey, VerifyingKey, signed};
pub use ocsf::ocsf;
pub use reconcile::{Class, Reconciled, Reconciliation, UserLink};
pub use redecide::{Difference, Redecision};
#[cfg(feature = "operator")]
pub use report::{Report, Statistics};
pub use trace::{Thread, Tracing};
pub use verify::{Checked, Verifier};

/// The page of Python that checks a trail without any of this code.
pub const VERIFIER: &str = include_str!("verify.py");

/// The form of a record, as JSON Schema.
pub const RECORD_SCHEMA: &str = include_str!("record.schema.json");
