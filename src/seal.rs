//! Seals: a JSON document with an HMAC over its exact bytes, under a key that only this system's own parts hold.
//!
//! ```json
//! {"v":1,"seal":{"key_id":"seal-1","mac":"<64 hex>"},"content":{…}}
//! ```

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::hex::{hex, hex_tag};
use crate::key_ring::Key;
use crate::secret::Tag;

/// What a sealed document is. A seal of one kind is none of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealedAs {
    /// An accepted callback.
    Envelope,
    /// Whom a callback is about.
    Correction,
}

impl SealedAs {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Envelope => b"idv-callback/envelope/1\n",
            Self::Correction => b"idv-callback/correction/1\n",
        }
    }
}

/// Why a document is not taken for one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// It is not a document of a version that this code knows.
    Unreadable,
    /// It names a seal key that is not on the ring.
    UnknownSealKey,
    /// The seal is missing or not the one that the named key gives.
    BadSeal,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed<'a> {
    v: u32,
    #[serde(default)]
    seal: Option<Seal>,
    #[serde(borrow)]
    content: &'a RawValue,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seal {
    key_id: String,
    mac: String,
}

const VERSION: u32 = 1;

/// The document, sealed.
///
/// # Errors
/// Only if the JSON library fails to print.
pub fn seal(kind: SealedAs, key: &Key, content: &impl Serialize) -> Result<String, serde_json::Error> {
    let content = serde_json::value::to_raw_value(content)?;
    let seal = Seal { key_id: key.id.clone(), mac: hex(&tag(kind, key, &content).to_bytes()) };
    serde_json::to_string(&Sealed { v: VERSION, seal: Some(seal), content: &content })
}

/// Checks the seal, and only then reads the document.
///
/// # Errors
/// [`OpenError`] tells what is no document from what is not sealed by us.
pub fn open<T: DeserializeOwned>(kind: SealedAs, text: &str, keys: &[Key]) -> Result<T, OpenError> {
    let sealed: Sealed<'_> = serde_json::from_str(text).map_err(|_| OpenError::Unreadable)?;
    if sealed.v != VERSION {
        return Err(OpenError::Unreadable);
    }
    let seal = sealed.seal.ok_or(OpenError::BadSeal)?;
    let key = keys.iter().find(|key| key.id == seal.key_id).ok_or(OpenError::UnknownSealKey)?;
    let mac = hex_tag(&seal.mac).ok_or(OpenError::BadSeal)?;
    if !tag(kind, key, sealed.content).matches(&mac) {
        return Err(OpenError::BadSeal);
    }
    serde_json::from_str(sealed.content.get()).map_err(|_| OpenError::Unreadable)
}

fn tag(kind: SealedAs, key: &Key, content: &RawValue) -> Tag {
    key.secret.mac(&[kind.label(), content.get().as_bytes()])
}
