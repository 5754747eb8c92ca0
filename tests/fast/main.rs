//! The fast tier: pure Rust, in one process, over the embedded stack. See CONTRIBUTING.md.
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

#[path = "../it/support/mod.rs"]
mod support;

mod arbitrary;
mod architecture;
mod consumer;
mod counted;
mod crash;
mod decide;
mod front_door;
mod history;
mod pretraffic;
mod tolerance;
mod vectors;
