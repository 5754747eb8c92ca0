//! The operators' and auditors' tool of the callback processor, and the stack that it embeds.
//!
//! # Modules, and who may import whom
//!
//! | tier | modules | may import, of here | of the service |
//! |---|---|---|---|
//! | ports | [`ports`] | | up to its ports |
//! | use cases | [`trail`], `redrive`, `preflight` | ports | up to its use cases |
//! | adapters | `aws`, [`embedded`] | ports, use cases | all but programs |
//! | what programs share | `output`, `callback_body`, `poster`, `new_key_ring` | all above, one another | all but programs |
//! | programs | [`demo`], `cli` | all above, one another | all but programs |
//!
//! `tests/fast/architecture.rs` reads the source of both packages and holds this table.

#![cfg_attr(not(feature = "operator"), allow(dead_code, reason = "the demo is a part of it"))]

#[cfg(feature = "operator")]
pub mod aws;
mod callback_body;
#[cfg(feature = "operator")]
pub mod cli;
pub mod demo;
pub mod embedded;
mod new_key_ring;
mod output;
pub mod ports;
mod poster;
#[cfg(feature = "operator")]
pub mod preflight;
#[cfg(feature = "operator")]
pub mod redrive;
pub mod trail;
