//! The callback processor of an asynchronous identity-proofing loop: 1Kosmos tells, Amazon Cognito learns.
//!
//! # One delivery
//!
//! 1Kosmos posts a signed callback. [`lambda`] (or the local HTTP server) makes a [`intake::Request`] of it; the
//! [`intake`] finds the signature ([`delivery`]), checks it against the [key ring](key_ring), reads the
//! [event](verification) in it, seals it into an [`envelope`], puts that on a FIFO queue and answers with a receipt.
//! The [consumer](settlement) opens the envelope, reads the user, [decides](assurance), writes the user's attributes,
//! confirms the user and [records](audit) what it did. What no rule can settle goes to the dead letters with a reason.
//!
//! # Modules in reading order, and who may import whom
//!
//! | tier | modules | may import |
//! |---|---|---|
//! | pure: no I/O, no clock | [`timestamp`], [`secret`], [`strict_json`], [`verification`], [`vocabulary`], [`key_ring`], [`delivery`], [`proofing`], [`binding`], [`seal`], [`envelope`], [`assurance`], [`correction`], [`audit`], [`metrics`] | pure |
//! | ports | [`ports`] | pure |
//! | use cases | [`key_cache`], [`intake`], [`settlement`], [`triggers`], [`redrive`], [`preflight`], [`trail`] | pure, ports |
//! | adapters | [`lambda`], [`aws`], [`onekosmos`], [`local`], [`config`], [`clock`], [`telemetry`] | all above; of one another only `config`, `clock`, `telemetry` |
//! | programs | [`cli`], [`pretraffic`] | all above |
//!
//! `tests/it/architecture.rs` reads the source and holds this table.

pub mod assurance;
pub mod audit;
pub mod aws;
pub mod binding;
pub mod cli;
pub mod clock;
pub mod config;
pub mod correction;
pub mod delivery;
pub mod envelope;
pub mod intake;
pub mod key_cache;
pub mod key_ring;
pub mod lambda;
pub mod local;
pub mod metrics;
pub mod onekosmos;
pub mod ports;
pub mod preflight;
pub mod pretraffic;
pub mod proofing;
pub mod redrive;
pub mod seal;
pub mod secret;
pub mod settlement;
pub mod strict_json;
pub mod telemetry;
pub mod timestamp;
pub mod trail;
pub mod triggers;
pub mod verification;
pub mod vocabulary;
