//! Checking a captured request as the front door would have.

use std::path::PathBuf;

use clap::Args;
use idv_callback::config::Environment;
use idv_callback::delivery::{AuthenticationError, Delivery, SignatureProfile, Verified};
use idv_callback::key_ring::KeyRing;
use idv_callback::timestamp::Timestamp;

use super::captured::{self, Captured};
use super::keys;
use crate::output::Failure;

/// Which keys and which scheme.
#[derive(Args)]
pub(crate) struct SigningOptions {
    /// The key ring. [default: $IDV_KEY_RING_FILE, or idv-keys.json]
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,
    /// The signature profile: standard-webhooks, timestamped or body-only. [default: $IDV_SIGNATURE_PROFILE, or
    /// standard-webhooks]
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<idv_callback::delivery::SignatureProfile>,
    /// The signature's header field, for timestamped and body-only. [default: $IDV_SIGNATURE_HEADER, or
    /// x-1kosmos-signature]
    #[arg(long, value_name = "NAME")]
    pub(crate) header: Option<String>,
    /// The id of the webhook key to sign with. [default: the first on the ring]
    #[arg(long, value_name = "ID")]
    pub(crate) key: Option<String>,
}

#[derive(Args)]
pub(crate) struct CapturedOptions {
    /// The captured request: an HTTP message (header lines, an empty line, the body), or a Lambda event in JSON.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) signing: SigningOptions,
    /// When the request came, RFC 3339. [default: the time that it says it was signed]
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
}

/// A captured request, and what it is checked with.
pub(crate) struct CapturedCase {
    pub(crate) ring: KeyRing,
    pub(crate) profile: SignatureProfile,
    pub(crate) captured: Captured,
    /// When the request came, if the arguments say so.
    pub(crate) at: Option<Timestamp>,
}

impl CapturedCase {
    pub(crate) fn read(options: &CapturedOptions, environment: &Environment) -> Result<Self, Failure> {
        Ok(Self {
            ring: keys::read_ring(&keys::ring_path(options.signing.keys.as_ref(), environment))?,
            profile: keys::profile(&options.signing, environment)?,
            captured: captured::read(&options.file)?,
            at: options.at.as_ref().map(|text| keys::moment(Some(text), "--at")).transpose()?,
        })
    }
}

/// Checks a captured request as the front door would have, at this time or at the time it says it was signed.
pub(crate) fn check<'c>(
    captured: &'c Captured,
    profile: &SignatureProfile,
    ring: &KeyRing,
    at: Option<Timestamp>,
) -> Result<Delivery<'c, Verified>, AuthenticationError> {
    let delivery = Delivery::read(profile, &captured.headers, &captured.body)?;
    let now = at.or(delivery.claimed_time().map(in_seconds)).unwrap_or(Timestamp::from_unix_seconds(0));
    delivery.verify(ring.webhook_keys_at(now), now)
}

/// A time beyond the year 5000 was meant in milliseconds.
fn in_seconds(claimed: Timestamp) -> Timestamp {
    match claimed.unix_seconds() {
        millis @ 100_000_000_001.. => Timestamp::from_unix_millis(millis),
        _ => claimed,
    }
}

/// The rule that is broken, for people.
pub(crate) fn sentence(error: AuthenticationError) -> &'static str {
    match error {
        AuthenticationError::HeaderMissing => "a signature header field is missing",
        AuthenticationError::HeaderRepeated => "a signature header field stands more than once",
        AuthenticationError::MessageIdMalformed => {
            "the message id is not 1 to 256 visible ASCII characters without a full stop"
        }
        AuthenticationError::TimestampMalformed => "the timestamp is not seconds in plain digits",
        AuthenticationError::SignatureMalformed => "the signature is not 32 bytes in the profile's form",
        AuthenticationError::TooManySignatures => "there are more signatures than a sender has keys",
        AuthenticationError::NoKeyMatches => "no key on the ring gives this signature",
        AuthenticationError::TooOld => "it was signed more than 300 s before",
        AuthenticationError::TooNew => "it was signed more than 300 s ahead",
    }
}
