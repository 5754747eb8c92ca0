//! The integration tests: behaviour through the front doors.
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

mod arbitrary;
mod architecture;
mod audit_trail;
mod aws_adapters;
mod aws_endpoint;
mod binaries;
mod canary;
mod cli;
mod consumer;
mod contract;
mod correction;
mod counted;
mod crash;
mod decide;
mod deployed;
mod dlq;
mod emulator;
mod federation;
mod front_door;
mod history;
mod metrics;
mod onekosmos;
mod order;
mod preflight;
mod pretraffic;
mod redrive;
mod runbooks;
mod runtime;
mod senders;
mod setup;
mod specification;
mod template;
mod tolerance;
mod triggers;
mod vectors;
mod web;
mod world;
