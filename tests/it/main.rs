//! The integration tests: behaviour through the front doors.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::too_many_lines,
    clippy::disallowed_methods,
    clippy::needless_pass_by_value
)]

mod architecture;
mod aws_adapters;
mod aws_endpoint;
mod binaries;
mod canary;
mod cli;
mod consumer;
mod contract;
mod crash;
mod decide;
mod front_door;
mod senders;
mod setup;
mod vectors;
mod world;
