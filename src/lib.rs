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
//! | pure | [`timestamp`], [`hex`], [`secret`], [`strict_json`], [`verification`], [`vocabulary`], [`key_ring`], [`delivery`], [`proofing`], [`binding`], [`seal`], [`envelope`], [`assurance`], [`correction`], [`audit`], [`metrics`] | pure |
//! | ports | [`ports`] | pure |
//! | use cases | [`key_cache`], [`intake`], [`settlement`], [`triggers`] | pure, ports, use cases |
//! | adapters | [`lambda`], `aws`, [`http_client`], `onekosmos`, [`config`], [`clock`], [`telemetry`] | all above; of one another only `config`, `clock`, `telemetry`, `http_client` |
//! | programs | [`pretraffic`] | all above |
//!
//! Pure modules do no I/O and read no clock. `aws` and `onekosmos` are there with the feature `functions` (the default). The
//! operators' tool and the embedded stack are the package `idvctl`; nothing here knows it. `tests/fast/architecture.rs` reads
//! the source and holds this table.

#[macro_use]
mod every;

pub mod assurance;
pub mod audit;
#[cfg(feature = "functions")]
pub mod aws;
pub mod binding;
pub mod clock;
pub mod config;
pub mod correction;
pub mod delivery;
pub mod envelope;
pub mod hex;
pub mod http_client;
pub mod intake;
pub mod key_cache;
pub mod key_ring;
pub mod lambda;
pub mod metrics;
#[cfg(feature = "functions")]
pub mod onekosmos;
pub mod ports;
pub mod pretraffic;
pub mod proofing;
pub mod seal;
pub mod secret;
pub mod settlement;
pub mod strict_json;
pub mod telemetry;
pub mod timestamp;
pub mod triggers;
pub mod verification;
pub mod vocabulary;
