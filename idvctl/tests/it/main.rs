//! The full tier of `idvctl`: the program as its users meet it. See CONTRIBUTING.md.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::format_collect,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::panic,
    clippy::similar_names,
    clippy::string_slice,
    clippy::too_many_lines,
    clippy::type_complexity,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and a table of cases is as long as it is"
)]

#[path = "../../../tests/it/support/mod.rs"]
mod support;

mod audit_trail;
mod cli;
mod console;
mod correction;
mod dlq;
mod operator;
mod runbooks;
mod senders;
