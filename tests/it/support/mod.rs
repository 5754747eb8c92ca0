//! What tests of both packages are made of.
//!
//! | module | what it gives |
//! |---|---|
//! | [`world`] | the use cases over the embedded stack, with a clock that only moves when everybody waits; callbacks |
//! | [`specification`] | what a set of events must come to, written from the rules alone |
//! | [`failing_pool`] | a user pool whose calls fail when a test says so |
//! | [`aws_endpoint`] | a stand-in for AWS endpoints: says what it is told to, and remembers what it was asked |
//! | [`function`] | a function's binary under a Lambda Runtime API |
//! | [`dev`] | `idvctl dev` as a process |
//! | [`provider`] | a stand-in for 1Kosmos' API, as a process |
//! | [`emulator`] | ministack, an independent emulator of AWS, as a process |
//! | [`published_form`] | audit records held against their published schema |
//! | [`setup`] | the programs of others that the full tier needs, installed by pinned version |
#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) mod aws_endpoint;
pub(crate) mod dev;
pub(crate) mod emulator;
pub(crate) mod failing_pool;
pub(crate) mod function;
pub(crate) mod provider;
pub(crate) mod published_form;
pub(crate) mod setup;
pub(crate) mod specification;
pub(crate) mod world;
