//! Shared secrets, and the one algorithm that they are used with: HMAC-SHA256 (RFC 2104, FIPS 198-1).
//!
//! A [`Secret`] has no `Debug`, no `Display` and no `Clone`; its bytes are wiped when it is dropped.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// The least length of a secret, in bytes: the lower bound that Standard Webhooks sets (24 to 64).
pub const MINIMUM_SECRET_BYTES: usize = 24;

/// The prefix of a secret that is written in base64, as Standard Webhooks writes it.
pub const BASE64_SECRET_PREFIX: &str = "whsec_";

const ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A secret that two parties share.
pub struct Secret(Zeroizing<Vec<u8>>);

/// Why a text is not a usable secret. It never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretError {
    /// It begins with `whsec_`, but what follows is not base64.
    NotBase64,
    /// It has fewer bytes than [`MINIMUM_SECRET_BYTES`].
    TooShort(usize),
    /// It is a secret with something around it, or a key of another kind: taken as it is, no signature would ever match.
    Wrapped(Wrapping),
}

/// What stands around a secret that was not copied alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapping {
    /// A blank or a line feed at its beginning or end.
    Blanks,
    /// Quotation marks.
    Quotes,
    /// Something before `whsec_`: the version of a signature (`v1,`), the name of a variable.
    Prefix,
    /// `whsec_` in capitals.
    Capitals,
    /// It is a key of the asymmetric scheme of Standard Webhooks: `whsk_` (private) or `whpk_` (public).
    Asymmetric,
}

impl Wrapping {
    /// What stands around this text, if anything does.
    fn of(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let quotes = ['"', '\'', '`', '\u{201c}', '\u{201d}'];
        if text.trim() != text {
            Some(Self::Blanks)
        } else if text.starts_with(quotes) && text.ends_with(quotes) {
            Some(Self::Quotes)
        } else if lower.contains("whsk_") || lower.contains("whpk_") {
            Some(Self::Asymmetric)
        } else if lower.starts_with(BASE64_SECRET_PREFIX) && !text.starts_with(BASE64_SECRET_PREFIX) {
            Some(Self::Capitals)
        } else if lower.contains(BASE64_SECRET_PREFIX) && !lower.starts_with(BASE64_SECRET_PREFIX) {
            Some(Self::Prefix)
        } else {
            None
        }
    }

    /// What to do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Blanks => "the secret has blanks or line feeds around it; store it without them",
            Self::Quotes => "the secret has quotation marks around it; store it without them",
            Self::Prefix => "the secret has something before whsec_; store it from whsec_ on",
            Self::Capitals => "the secret begins with WHSEC_ in capitals; it must begin with whsec_",
            Self::Asymmetric => {
                "the secret holds whsk_ or whpk_, a key of the asymmetric scheme; this profile needs the shared secret, whsec_"
            }
        }
    }
}

/// An HMAC-SHA256 value: 32 bytes, compared in constant time.
#[derive(Clone)]
pub struct Tag(hmac::digest::CtOutput<Hmac<Sha256>>);

impl Secret {
    /// Reads a secret as it is configured: `whsec_` and base64 (padded or not), or else the text's own bytes.
    ///
    /// # Errors
    /// [`SecretError`] when the base64 is not valid, the secret is too short, or was not copied alone.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        if let Some(wrapping) = Wrapping::of(text) {
            return Err(SecretError::Wrapped(wrapping));
        }
        let bytes = match text.strip_prefix(BASE64_SECRET_PREFIX) {
            Some(encoded) => ANY_PADDING.decode(encoded).map_err(|_| SecretError::NotBase64)?,
            None => text.as_bytes().to_vec(),
        };
        Self::from_bytes(bytes)
    }

    /// Takes these bytes as the secret.
    ///
    /// # Errors
    /// [`SecretError::TooShort`] below [`MINIMUM_SECRET_BYTES`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, SecretError> {
        let bytes = Zeroizing::new(bytes);
        if bytes.len() < MINIMUM_SECRET_BYTES {
            return Err(SecretError::TooShort(bytes.len()));
        }
        Ok(Self(bytes))
    }

    /// The HMAC-SHA256 of the parts, one after the other.
    pub fn mac(&self, parts: &[&[u8]]) -> Tag {
        hmac_sha256(&self.0, parts)
    }

    /// The bytes. For trying how a sender could have misread them; never for printing.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// A one-way fingerprint of 64 bits, for saying that two secrets are the same without saying what they are.
    pub fn fingerprint(&self) -> [u8; 8] {
        let digest =
            Sha256::new().chain_update(b"idv-callback/fingerprint/1\n").chain_update(&*self.0).finalize();
        let mut short = [0; 8];
        for (to, from) in short.iter_mut().zip(digest) {
            *to = from;
        }
        short
    }
}

/// The HMAC-SHA256 under a key of any length. For secrets of the key ring use [`Secret::mac`], whose key has a
/// least length; this one is for test vectors and for explaining a refused signature.
#[expect(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104 section 2)")]
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Tag {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    for part in parts {
        mac.update(part);
    }
    Tag(mac.finalize())
}

impl Tag {
    /// The 32 bytes. For sending; never for logging.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.as_bytes().0
    }

    /// Whether this is the tag, in constant time.
    pub fn matches(&self, candidate: &[u8; 32]) -> bool {
        self.0 == hmac::digest::CtOutput::new((*candidate).into())
    }
}

#[cfg(test)]
mod tests {
    use super::{Secret, SecretError, Wrapping};

    #[test]
    fn base64_secrets_may_be_padded_or_not() {
        let padded =
            Secret::parse("whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=").unwrap_or_else(|_| panic!("padded"));
        let bare =
            Secret::parse("whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE").unwrap_or_else(|_| panic!("bare"));
        assert_eq!(padded.fingerprint(), bare.fingerprint());
    }

    #[test]
    fn a_secret_that_was_not_copied_alone_is_refused() {
        let good = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        for (wrapped, wrapping) in [
            (format!(" {good}"), Wrapping::Blanks),
            (format!("{good}\n"), Wrapping::Blanks),
            ("a raw secret of many characters ".to_owned(), Wrapping::Blanks),
            (format!("\"{good}\""), Wrapping::Quotes),
            (format!("'{good}'"), Wrapping::Quotes),
            (format!("v1,{good}"), Wrapping::Prefix),
            (format!("WEBHOOK_SECRET={good}"), Wrapping::Prefix),
            (format!("Bearer {good}"), Wrapping::Prefix),
            (good.replace("whsec_", "WHSEC_"), Wrapping::Capitals),
            (good.replace("whsec_", "whsk_"), Wrapping::Asymmetric),
            (good.replace("whsec_", "whpk_"), Wrapping::Asymmetric),
        ] {
            assert_eq!(Secret::parse(&wrapped).err(), Some(SecretError::Wrapped(wrapping)), "{wrapped}");
        }
        assert!(Secret::parse(good).is_ok() && Secret::parse("a raw secret of many characters").is_ok());
    }

    #[test]
    fn empty_short_and_garbled_secrets_are_refused() {
        assert_eq!(Secret::parse("").err(), Some(SecretError::TooShort(0)));
        assert_eq!(Secret::parse("whsec_").err(), Some(SecretError::TooShort(0)));
        assert_eq!(Secret::parse(&"a".repeat(23)).err(), Some(SecretError::TooShort(23)));
        assert_eq!(Secret::parse("whsec_!!!!").err(), Some(SecretError::NotBase64));
        assert!(Secret::parse(&"a".repeat(24)).is_ok());
    }
}
