//! The full tier: binaries, processes of others, an emulator of AWS, a browser. See CONTRIBUTING.md.
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

mod support;

mod aws_adapters;
mod binaries;
mod canary;
mod contract;
mod deployed;
mod federation;
mod metrics;
mod order;
mod runtime;
mod template;
mod triggers;
mod web;
