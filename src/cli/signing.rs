//! `idvctl sign` and `idvctl verify`.

use std::io::Read as _;
use std::process::ExitCode;

use serde_json::{Map, json};

use super::args::{CapturedOptions, SignOptions};
use super::captured::{self, Captured};
use super::keys;
use super::message::fresh_id;
use super::output::{Failure, Output, outcome};
use crate::config::Environment;
use crate::delivery::{AuthenticationError, Delivery, SignatureProfile, Verified, sign as sign_body};
use crate::key_ring::KeyRing;
use crate::timestamp::Timestamp;

pub(super) fn sign(
    options: &SignOptions,
    environment: &Environment,
    output: Output,
) -> Result<ExitCode, Failure> {
    let ring = keys::read_ring(&keys::ring_path(options.signing.keys.as_ref(), environment))?;
    let profile = keys::profile(&options.signing, environment)?;
    let key = keys::signing_key(&ring, &options.signing)?;
    let id = options.id.clone().map_or_else(|| fresh_id("msg_"), Ok)?;
    let at = keys::moment(options.at.as_ref(), "--at")?;
    let mut body = Vec::new();
    std::io::stdin()
        .lock()
        .read_to_end(&mut body)
        .map_err(|error| Failure::usage(format!("standard input: {error}")))?;
    let headers = sign_body(&profile, &key.secret, &id, at, &body);
    for (name, value) in &headers {
        output.line(format!("{name}: {value}"))?;
    }
    let headers: Map<_, _> = headers.into_iter().map(|(name, value)| (name, value.into())).collect();
    output.value(&json!({ "headers": headers }))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn verify(
    options: &CapturedOptions,
    environment: &Environment,
    output: Output,
) -> Result<ExitCode, Failure> {
    let Case { ring, profile, captured, at } = Case::read(options, environment)?;
    match check(&captured, &profile, &ring, at) {
        Ok(delivery) => {
            let at = at.map_or("at the time it was signed".to_owned(), |at| format!("at {at}"));
            output.line(format!("authentic {at}, signed with key {}", delivery.key_id()))?;
            output.value(&json!({ "authentic": true, "key_id": delivery.key_id() }))?;
            Ok(outcome(true))
        }
        Err(error) => {
            output.line(format!("not authentic: {} ({})", sentence(error), error.code()))?;
            output.value(&json!({ "authentic": false, "cause": error.code() }))?;
            Ok(outcome(false))
        }
    }
}

/// A captured request, and what it is checked with.
pub(super) struct Case {
    pub(super) ring: KeyRing,
    pub(super) profile: SignatureProfile,
    pub(super) captured: Captured,
    /// When the request came, if the arguments say so.
    pub(super) at: Option<Timestamp>,
}

impl Case {
    pub(super) fn read(options: &CapturedOptions, environment: &Environment) -> Result<Self, Failure> {
        Ok(Self {
            ring: keys::read_ring(&keys::ring_path(options.signing.keys.as_ref(), environment))?,
            profile: keys::profile(&options.signing, environment)?,
            captured: captured::read(&options.file)?,
            at: options.at.as_ref().map(|text| keys::moment(Some(text), "--at")).transpose()?,
        })
    }
}

/// Checks a captured request as the front door would have, at this time or at the time it says it was signed.
pub(super) fn check<'c>(
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
pub(super) fn sentence(error: AuthenticationError) -> &'static str {
    match error {
        AuthenticationError::HeaderMissing => "a signature header field is missing",
        AuthenticationError::HeaderRepeated => "a signature header field stands more than once",
        AuthenticationError::MessageIdMalformed => "the message id is not 1 to 128 of A-Z a-z 0-9 _ -",
        AuthenticationError::TimestampMalformed => "the timestamp is not seconds in plain digits",
        AuthenticationError::SignatureMalformed => "the signature is not 32 bytes in the profile's form",
        AuthenticationError::TooManySignatures => "there are more signatures than a sender has keys",
        AuthenticationError::NoKeyMatches => "no key on the ring gives this signature",
        AuthenticationError::TooOld => "it was signed more than 240 s before",
        AuthenticationError::TooNew => "it was signed more than 60 s ahead",
    }
}
