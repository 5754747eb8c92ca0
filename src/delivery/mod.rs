//! From received bytes to a verified event.
//!
//! A [`Delivery`] starts [`Unverified`]: one signature of each kind was found and is well formed, and nothing more is
//! known. Only [`Delivery::verify`] makes a [`Verified`] one, and only a verified delivery can be parsed: code that
//! forgets to verify does not compile.

mod authentication;
mod fields;
mod header_fields;
mod moment;
mod payload;
mod profile;

pub use authentication::{
    AuthenticationError, Delivery, FUTURE_TOLERANCE, Freshness, PAST_TOLERANCE, Unverified, Verified,
};
pub use fields::{Field, PAYLOAD_FIELDS};
pub use header_fields::HeaderFields;
pub(crate) use payload::parse as parse_payload;
pub use payload::{NoResult, PayloadError, Reading, Unreadable};
pub use profile::{DEFAULT_SIGNATURE_HEADER, SignatureProfile, sign};
