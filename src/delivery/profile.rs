//! Signature profiles: how a sender says who it is. 1Kosmos publishes none, so the scheme is data, chosen by
//! configuration, and everything that depends on it stands in this file.
//!
//! | profile | header fields | signed bytes | encoding |
//! |---|---|---|---|
//! | `standard-webhooks` | `webhook-id`, `webhook-timestamp`, `webhook-signature: v1,<b64> v1,<b64>…` | `{id}.{ts}.` + body | base64 |
//! | `timestamped` | one field: `t=<unix s or ms>,v1=<hex>[,v1=<hex>…]` | `{t}.` + body | hex |
//! | `body-only` | one field: `[sha256=]<hex>` | body | hex |
//!
//! `standard-webhooks` is the specification of that name (standardwebhooks.com, version 1); `timestamped` is the form
//! of Stripe and Persona; `body-only` is the form of GitHub, Onfido and others, and says nothing about when it was
//! signed.

use crate::hex::{hex, hex_tag};
use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::AuthenticationError;
use super::header_fields::HeaderFields;
use crate::secret::{Secret, Tag};
use crate::timestamp::Timestamp;

/// The field that `timestamped` and `body-only` signatures stand in unless configured otherwise.
pub const DEFAULT_SIGNATURE_HEADER: &str = "x-1kosmos-signature";

/// The most signatures one request may carry: a sender that is changing keys sends two.
const MAXIMUM_SIGNATURES: usize = 16;

/// Which signature scheme callbacks carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureProfile {
    /// `webhook-id`, `webhook-timestamp`, `webhook-signature`.
    StandardWebhooks,
    /// A timestamp and hexadecimal signatures in one field.
    Timestamped {
        /// The field's name.
        header: String,
    },
    /// A hexadecimal signature over the body alone. It cannot tell a fresh request from a captured one.
    BodyOnly {
        /// The field's name.
        header: String,
    },
}

/// What the signature header fields say, before anything is known to be true.
pub(super) struct SignatureClaim {
    pub(super) message_id: Option<String>,
    /// The timestamp exactly as received, and as a number of seconds.
    pub(super) timestamp: Option<(String, i64)>,
    pub(super) signatures: Vec<[u8; 32]>,
}

impl SignatureClaim {
    /// The tag that a holder of the secret would have sent for this claim.
    pub(super) fn tag(&self, secret: &Secret, body: &[u8]) -> Tag {
        let timestamp = self.timestamp.as_ref().map(|(text, _)| text.as_str());
        tag(secret, self.message_id.as_deref(), timestamp, body)
    }
}

fn tag(secret: &Secret, message_id: Option<&str>, timestamp: Option<&str>, body: &[u8]) -> Tag {
    match (message_id, timestamp) {
        (Some(id), Some(at)) => secret.mac(&[id.as_bytes(), b".", at.as_bytes(), b".", body]),
        (None, Some(at)) => secret.mac(&[at.as_bytes(), b".", body]),
        (_, None) => secret.mac(&[body]),
    }
}

impl SignatureProfile {
    /// The names that configuration and command line know.
    pub const NAMES: [&'static str; 3] = ["standard-webhooks", "timestamped", "body-only"];

    /// The same profile, with its one signature field under this name. `standard-webhooks` has fixed names.
    #[must_use]
    pub fn with_header(self, name: &str) -> Self {
        let header = name.to_ascii_lowercase();
        match self {
            Self::StandardWebhooks => Self::StandardWebhooks,
            Self::Timestamped { .. } => Self::Timestamped { header },
            Self::BodyOnly { .. } => Self::BodyOnly { header },
        }
    }

    /// Whether the signature says when it was made. Without that, a captured request is as good as a new one.
    pub fn binds_timestamp(&self) -> bool {
        !matches!(self, Self::BodyOnly { .. })
    }

    /// The name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::StandardWebhooks => "standard-webhooks",
            Self::Timestamped { .. } => "timestamped",
            Self::BodyOnly { .. } => "body-only",
        }
    }

    pub(super) fn read(&self, headers: &HeaderFields) -> Result<SignatureClaim, AuthenticationError> {
        match self {
            Self::StandardWebhooks => read_standard(headers),
            Self::Timestamped { header } => read_timestamped(headers.exactly_one(header)?),
            Self::BodyOnly { header } => {
                let value = headers.exactly_one(header)?;
                let signature = hex_tag(value.strip_prefix("sha256=").unwrap_or(value))
                    .ok_or(AuthenticationError::SignatureMalformed)?;
                Ok(SignatureClaim { message_id: None, timestamp: None, signatures: vec![signature] })
            }
        }
    }
}

impl FromStr for SignatureProfile {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let header = DEFAULT_SIGNATURE_HEADER.to_owned();
        match name {
            "standard-webhooks" => Ok(Self::StandardWebhooks),
            "timestamped" => Ok(Self::Timestamped { header }),
            "body-only" => Ok(Self::BodyOnly { header }),
            _ => Err(format!("it must be one of {}", Self::NAMES.join(", "))),
        }
    }
}

impl fmt::Display for SignatureProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The header fields that a sender adds to a request with this body.
pub fn sign(
    profile: &SignatureProfile,
    secret: &Secret,
    message_id: &str,
    at: Timestamp,
    body: &[u8],
) -> Vec<(String, String)> {
    let seconds = at.unix_seconds().to_string();
    match profile {
        SignatureProfile::StandardWebhooks => {
            let tag = tag(secret, Some(message_id), Some(&seconds), body);
            vec![
                ("webhook-id".to_owned(), message_id.to_owned()),
                ("webhook-timestamp".to_owned(), seconds),
                ("webhook-signature".to_owned(), format!("v1,{}", STANDARD.encode(tag.to_bytes()))),
            ]
        }
        SignatureProfile::Timestamped { header } => {
            let hex = hex(&tag(secret, None, Some(&seconds), body).to_bytes());
            vec![(header.clone(), format!("t={seconds},v1={hex}"))]
        }
        SignatureProfile::BodyOnly { header } => {
            vec![(header.clone(), format!("sha256={}", hex(&tag(secret, None, None, body).to_bytes())))]
        }
    }
}

fn read_standard(headers: &HeaderFields) -> Result<SignatureClaim, AuthenticationError> {
    let id = headers.exactly_one("webhook-id")?;
    let timestamp = headers.exactly_one("webhook-timestamp")?;
    let signatures = headers.exactly_one("webhook-signature")?;
    // The id is part of the signed bytes, with a full stop behind it.
    if !(1..=256).contains(&id.len()) || !id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'.') {
        return Err(AuthenticationError::MessageIdMalformed);
    }
    let mut found = Vec::new();
    for item in signatures.split(' ') {
        match item.split_once(',') {
            // A second comma: two fields that a proxy has joined.
            Some((_, value)) if value.contains(',') => return Err(AuthenticationError::SignatureMalformed),
            Some(("v1", value)) => found.extend(base64_tag(value)),
            // Other versions (v1a is Ed25519) are the sender's business, and what is malformed helps nobody.
            _ => {}
        }
        if found.len() > MAXIMUM_SIGNATURES {
            return Err(AuthenticationError::TooManySignatures);
        }
    }
    Ok(SignatureClaim {
        message_id: Some(id.to_owned()),
        timestamp: Some((timestamp.to_owned(), seconds(timestamp)?)),
        signatures: some_but_not_too_many(found)?,
    })
}

/// `t=…,v1=…[,v1=…]`, with or without blanks behind the commas; several of these with blanks between them while a sender
/// changes keys (Persona), all of the same second.
fn read_timestamped(value: &str) -> Result<SignatureClaim, AuthenticationError> {
    let value = value.replace(", ", ",");
    let mut claimed: Option<(String, i64)> = None;
    let mut found = Vec::new();
    for group in value.split(' ').filter(|group| !group.is_empty()) {
        let mut timestamp = None;
        for item in group.split(',') {
            match item.split_once('=') {
                Some(("t", _)) if timestamp.is_some() => return Err(AuthenticationError::HeaderRepeated),
                Some(("t", text)) => timestamp = Some((text.to_owned(), seconds_or_millis(text)?)),
                Some(("v1", value)) => found.extend(hex_tag(value)),
                // Other schemes are the sender's business, and what is malformed helps nobody.
                _ => {}
            }
        }
        let timestamp = timestamp.ok_or(AuthenticationError::TimestampMalformed)?;
        if claimed.as_ref().is_some_and(|earlier| *earlier != timestamp) {
            return Err(AuthenticationError::HeaderRepeated);
        }
        claimed = Some(timestamp);
    }
    let timestamp = Some(claimed.ok_or(AuthenticationError::TimestampMalformed)?);
    Ok(SignatureClaim { message_id: None, timestamp, signatures: some_but_not_too_many(found)? })
}

fn some_but_not_too_many(signatures: Vec<[u8; 32]>) -> Result<Vec<[u8; 32]>, AuthenticationError> {
    match signatures.len() {
        0 => Err(AuthenticationError::SignatureMalformed),
        1..=MAXIMUM_SIGNATURES => Ok(signatures),
        _ => Err(AuthenticationError::TooManySignatures),
    }
}

/// The same, or milliseconds (WorkOS): eleven digits of seconds would lie after the year 5000.
fn seconds_or_millis(text: &str) -> Result<i64, AuthenticationError> {
    let number = seconds(text)?;
    Ok(if number >= 100_000_000_000 { number / 1000 } else { number })
}

/// Seconds since the Unix epoch in plain ASCII digits: no sign, no blank, no exponent, nothing that overflows.
fn seconds(text: &str) -> Result<i64, AuthenticationError> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(AuthenticationError::TimestampMalformed);
    }
    text.parse().map_err(|_| AuthenticationError::TimestampMalformed)
}

/// Padded base64 in the standard alphabet, of exactly 32 bytes.
fn base64_tag(text: &str) -> Result<[u8; 32], AuthenticationError> {
    let bytes = STANDARD.decode(text).map_err(|_| AuthenticationError::SignatureMalformed)?;
    bytes.try_into().map_err(|_| AuthenticationError::SignatureMalformed)
}
