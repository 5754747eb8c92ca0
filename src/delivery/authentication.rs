//! Whether a request comes from the holder of a key, and recently.

use std::time::Duration;

use super::header_fields::HeaderFields;
use super::payload::{self, PayloadError, Reading};
use super::profile::{SignatureClaim, SignatureProfile};
use crate::key_ring::Key;
use crate::timestamp::Timestamp;
use crate::verification::EventId;
use crate::vocabulary::EventTypes;

/// How old a signature may be: what the senders' own libraries have (Standard Webhooks, Stripe). SQS drops what it has seen
/// for 300 s; a captured request that comes later than that ends as `duplicate` on the user's record.
pub const PAST_TOLERANCE: Duration = Duration::from_secs(300);

/// How far ahead of our clock a signature may be: a sender whose clock is two minutes ahead would else be refused for ever.
pub const FUTURE_TOLERANCE: Duration = Duration::from_secs(300);

/// A request body with what its signature header fields claim, or prove.
pub struct Delivery<'b, State> {
    body: &'b [u8],
    state: State,
}

/// The state of a delivery whose signature is well formed but not verified.
pub struct Unverified(SignatureClaim);

/// The state of a delivery that was signed with one of our keys, within the tolerance.
pub struct Verified {
    key_id: String,
    message_id: Option<EventId>,
    freshness: Freshness,
}

/// Whether the signature says when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It does, and that was within the tolerance.
    Bound,
    /// It does not (`body-only`): this could be a captured request.
    Unbound,
}

/// The rule that a request breaks. The caller is told none of this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthenticationError {
    /// A signature header field is missing.
    HeaderMissing,
    /// A signature header field, or a part of it that must stand once, stands more than once.
    HeaderRepeated,
    /// The message id is not 1 to 256 visible ASCII characters without a full stop.
    MessageIdMalformed,
    /// The timestamp is not a number of seconds in plain digits.
    TimestampMalformed,
    /// A signature is not 32 bytes in the profile's encoding, or the field is not in the profile's form.
    SignatureMalformed,
    /// There are more signatures than any sender has keys.
    TooManySignatures,
    /// No key gives any of the signatures.
    NoKeyMatches,
    /// It was signed longer ago than [`PAST_TOLERANCE`].
    TooOld,
    /// It was signed further ahead of our clock than [`FUTURE_TOLERANCE`].
    TooNew,
}

impl AuthenticationError {
    every! {
        HeaderMissing,
        HeaderRepeated,
        MessageIdMalformed,
        TimestampMalformed,
        SignatureMalformed,
        TooManySignatures,
        NoKeyMatches,
        TooOld,
        TooNew,
    }

    /// A stable word for logs and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::HeaderMissing => "header_missing",
            Self::HeaderRepeated => "header_repeated",
            Self::MessageIdMalformed => "message_id_malformed",
            Self::TimestampMalformed => "timestamp_malformed",
            Self::SignatureMalformed => "signature_malformed",
            Self::TooManySignatures => "too_many_signatures",
            Self::NoKeyMatches => "no_key_matches",
            Self::TooOld => "too_old",
            Self::TooNew => "too_new",
        }
    }
}

impl<'b> Delivery<'b, Unverified> {
    /// Finds exactly one of each header field that the profile needs, and checks their form. Touches no key and not
    /// the body.
    ///
    /// # Errors
    /// [`AuthenticationError`] for a missing, repeated or malformed field.
    pub fn read(
        profile: &SignatureProfile,
        headers: &HeaderFields,
        body: &'b [u8],
    ) -> Result<Self, AuthenticationError> {
        Ok(Self { body, state: Unverified(profile.read(headers)?) })
    }

    /// When it says it was signed. Not verified.
    pub fn claimed_time(&self) -> Option<Timestamp> {
        let Unverified(claim) = &self.state;
        claim.timestamp.as_ref().map(|(_, seconds)| Timestamp::from_unix_seconds(*seconds))
    }

    /// Tries every key against every signature, without stopping at the first match, in constant time for each, and
    /// only then looks at the clock.
    ///
    /// # Errors
    /// [`AuthenticationError::NoKeyMatches`], [`TooOld`](AuthenticationError::TooOld) or
    /// [`TooNew`](AuthenticationError::TooNew).
    pub fn verify<'k>(
        &self,
        keys: impl Iterator<Item = &'k Key>,
        now: Timestamp,
    ) -> Result<Delivery<'b, Verified>, AuthenticationError> {
        let Unverified(claim) = &self.state;
        let mut matching: Option<&Key> = None;
        for key in keys {
            let tag = claim.tag(&key.secret, self.body);
            let matches =
                claim.signatures.iter().fold(false, |found, candidate| found | tag.matches(candidate));
            if matches && matching.is_none() {
                matching = Some(key);
            }
        }
        let key = matching.ok_or(AuthenticationError::NoKeyMatches)?;
        let freshness = claim.check_freshness(now)?;
        // The header's form is narrower than an event id's, so this never turns an id into none.
        let message_id = claim.message_id.as_deref().and_then(|id| EventId::new(id).ok());
        Ok(Delivery { body: self.body, state: Verified { key_id: key.id.clone(), message_id, freshness } })
    }
}

impl SignatureClaim {
    fn check_freshness(&self, now: Timestamp) -> Result<Freshness, AuthenticationError> {
        let Some((_, seconds)) = self.timestamp else { return Ok(Freshness::Unbound) };
        let signed_at = Timestamp::from_unix_seconds(seconds);
        if now.since(signed_at) > PAST_TOLERANCE {
            return Err(AuthenticationError::TooOld);
        }
        if signed_at.since(now) > FUTURE_TOLERANCE {
            return Err(AuthenticationError::TooNew);
        }
        Ok(Freshness::Bound)
    }
}

impl<'b> Delivery<'b, Verified> {
    /// The id of the key that signed it.
    pub fn key_id(&self) -> &str {
        &self.state.key_id
    }

    /// The message id, where the profile has one: it was signed, too.
    pub fn message_id(&self) -> Option<&EventId> {
        self.state.message_id.as_ref()
    }

    /// Whether the signature says when it was made.
    pub fn freshness(&self) -> Freshness {
        self.state.freshness
    }

    /// The bytes that were signed.
    pub fn body(&self) -> &'b [u8] {
        self.body
    }

    /// Reads what the body says; `types` is what the operator has said of event types.
    ///
    /// # Errors
    /// [`PayloadError`] names the field and the rule; it holds nothing of the body.
    pub fn read_body(&self, received_at: Timestamp, types: &EventTypes) -> Result<Reading, PayloadError> {
        payload::parse(self.body, self.message_id(), received_at, types)
    }
}
