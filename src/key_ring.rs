//! The key ring: every secret that the system holds, with an id each, read from one JSON document.
//!
//! ```json
//! { "webhook": [ { "id": "wh-2026-11", "secret": "whsec_…", "not_after": "2027-01-01T00:00:00Z" } ],
//!   "seal":    [ { "id": "seal-1", "secret": "whsec_…" } ],
//!   "binding": [ { "id": "bind-1", "secret": "whsec_…" } ],
//!   "audit":     { "id": "audit-1", "secret": "whsec_…" } }
//! ```
//!
//! Of several keys for one purpose all are accepted, and the first one signs.

use std::fmt;

use serde_json::{Map, Value};

use crate::secret::{BASE64_SECRET_PREFIX, MINIMUM_SECRET_BYTES, Secret, SecretError};
use crate::strict_json::{self, JsonError};
use crate::timestamp::Timestamp;

/// What stands in place of the id of a webhook key where a result was fetched from the provider at a sign-up.
pub const FETCHED_KEY_ID: &str = "session-result";

/// The same where a level was asserted in a federated sign-in.
pub const FEDERATION_KEY_ID: &str = "federation";

/// How many keys one purpose may have at a time: each webhook key costs a MAC over the body of every request.
pub const MAXIMUM_KEYS: usize = 8;

/// A secret with its id.
pub struct Key {
    /// The id: 1 to 64 of `A-Z a-z 0-9 . _ -`. It is logged and counted, so that a key's use is a fact.
    pub id: String,
    /// The secret.
    pub secret: Secret,
    /// From when on the key is not accepted any more; only webhook keys have this.
    pub not_after: Option<Timestamp>,
}

/// All keys.
pub struct KeyRing {
    /// What the provider signs callbacks with. At least one.
    pub webhook: Vec<Key>,
    /// What envelopes on the queue are sealed with. At least one.
    pub seal: Vec<Key>,
    /// What binds a proofing session to a user. May be empty where bindings are optional.
    pub binding: Vec<Key>,
    /// What pseudonyms in the audit log are made with.
    pub audit: Key,
}

/// What is wrong with a key ring. It names the key, never the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRingError {
    /// Where: `webhook[1] ("wh-2")`.
    place: String,
    problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Problem {
    Json(JsonError),
    Missing(&'static str),
    WrongType(&'static str),
    BadId,
    DuplicateId,
    TooMany,
    Secret(SecretError),
    NotAfter,
    Unknown(&'static [&'static str]),
}

impl fmt::Display for KeyRingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key ring: {}: ", self.place)?;
        match &self.problem {
            Problem::Json(error) => error.fmt(f),
            Problem::Missing(what) => write!(f, "{what} is missing"),
            Problem::WrongType(what) => write!(f, "it must be {what}"),
            Problem::BadId => write!(
                f,
                "the id must be 1 to 64 of A-Z a-z 0-9 . _ -, no secret, and not {FETCHED_KEY_ID} or {FEDERATION_KEY_ID}"
            ),
            Problem::DuplicateId => f.write_str("another key of this purpose has the same id"),
            Problem::TooMany => write!(f, "it holds more than {MAXIMUM_KEYS} keys; remove those not used"),
            Problem::Secret(SecretError::NotBase64) => {
                f.write_str("the secret begins with whsec_ but is not base64 after it")
            }
            Problem::Secret(SecretError::TooShort(bytes)) => write!(
                f,
                "the secret has {bytes} bytes, but must have at least {MINIMUM_SECRET_BYTES}; \
                 `idvctl keys new` makes good ones"
            ),
            Problem::Secret(SecretError::Wrapped(wrapping)) => f.write_str(wrapping.advice()),
            Problem::NotAfter => f.write_str("not_after must be RFC 3339, like 2027-01-01T00:00:00Z"),
            // Its name is not told: where a secret slipped out of its place, that could be the secret.
            Problem::Unknown(known) => write!(f, "it has a member other than {}", known.join(", ")),
        }
    }
}

impl std::error::Error for KeyRingError {}

impl KeyRing {
    /// Reads the JSON document.
    ///
    /// # Errors
    /// [`KeyRingError`] names the first key that is wrong and how.
    pub fn parse(json: &[u8]) -> Result<Self, KeyRingError> {
        let document =
            strict_json::read_object(json).map_err(|error| fail("document", Problem::Json(error)))?;
        only(&document, "document", &["webhook", "seal", "binding", "audit"])?;
        let ring = Self {
            webhook: at_least_one(keys(&document, "webhook")?, "webhook")?,
            seal: at_least_one(keys(&document, "seal")?, "seal")?,
            binding: keys(&document, "binding")?,
            audit: match document.get("audit") {
                Some(value) => key(value, "audit")?,
                None => return Err(fail("audit", Problem::Missing("the key"))),
            },
        };
        ring.check_ids()?;
        Ok(ring)
    }

    /// The webhook keys that are accepted at this moment.
    pub fn webhook_keys_at(&self, now: Timestamp) -> impl Iterator<Item = &Key> {
        self.webhook.iter().filter(move |key| key.not_after.is_none_or(|end| now < end))
    }

    /// Every key with the name of its purpose.
    pub fn keys(&self) -> impl Iterator<Item = (&'static str, &Key)> {
        let of = |purpose| move |key| (purpose, key);
        (self.webhook.iter().map(of("webhook")))
            .chain(self.seal.iter().map(of("seal")))
            .chain(self.binding.iter().map(of("binding")))
            .chain(std::iter::once(&self.audit).map(of("audit")))
    }

    /// Pairs of keys of different purposes that have the same secret: `webhook "wh-1"`, `seal "seal-1"`. The holder of
    /// one could act as the other: the provider could seal envelopes, say. Such a ring works; it should not stay.
    pub fn shared_secrets(&self) -> Vec<(String, String)> {
        let keys: Vec<_> =
            self.keys().map(|(purpose, key)| (purpose, key, key.secret.fingerprint())).collect();
        let name = |purpose: &str, key: &Key| format!("{purpose} {:?}", key.id);
        let mut pairs = Vec::new();
        for (index, (purpose, key, print)) in keys.iter().enumerate() {
            let earlier = keys.iter().take(index).find(|(other, _, p)| p == print && other != purpose);
            pairs.extend(earlier.map(|(other, earlier, _)| (name(other, earlier), name(purpose, key))));
        }
        pairs
    }

    fn check_ids(&self) -> Result<(), KeyRingError> {
        let ids: Vec<_> = self.keys().map(|(purpose, key)| (purpose, key.id.as_str())).collect();
        match ids.iter().enumerate().find(|(index, id)| ids.iter().take(*index).any(|earlier| earlier == *id))
        {
            Some((_, (purpose, id))) => Err(fail(&format!("{purpose} ({id:?})"), Problem::DuplicateId)),
            None => Ok(()),
        }
    }
}

fn fail(place: &str, problem: Problem) -> KeyRingError {
    KeyRingError { place: place.to_owned(), problem }
}

fn only(map: &Map<String, Value>, place: &str, known: &'static [&'static str]) -> Result<(), KeyRingError> {
    match map.keys().find(|name| !known.contains(&name.as_str())) {
        Some(_) => Err(fail(place, Problem::Unknown(known))),
        None => Ok(()),
    }
}

fn at_least_one(keys: Vec<Key>, purpose: &str) -> Result<Vec<Key>, KeyRingError> {
    if keys.is_empty() { Err(fail(purpose, Problem::Missing("at least one key"))) } else { Ok(keys) }
}

fn keys(document: &Map<String, Value>, purpose: &str) -> Result<Vec<Key>, KeyRingError> {
    let list = match document.get(purpose) {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(fail(purpose, Problem::WrongType("a list of keys"))),
    };
    if list.len() > MAXIMUM_KEYS {
        return Err(fail(purpose, Problem::TooMany));
    }
    list.iter().enumerate().map(|(index, value)| key(value, &format!("{purpose}[{index}]"))).collect()
}

fn key(value: &Value, place: &str) -> Result<Key, KeyRingError> {
    let Value::Object(map) = value else {
        return Err(fail(place, Problem::WrongType("an object with id and secret")));
    };
    let id = text(map, "id", place)?.ok_or_else(|| fail(place, Problem::Missing("the id")))?;
    if id.is_empty() || id.len() > 64 || !id.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
        return Err(fail(place, Problem::BadId));
    }
    // Ids are logged: one that looks like a secret has changed places with it. And what did not come as a callback is told by
    // the id of its key, which no key may have.
    if id.starts_with(BASE64_SECRET_PREFIX) || [FETCHED_KEY_ID, FEDERATION_KEY_ID].contains(&id) {
        return Err(fail(place, Problem::BadId));
    }
    let place = format!("{place} ({id:?})");
    only(map, &place, &["id", "secret", "not_after"])?;
    let secret = text(map, "secret", &place)?.ok_or_else(|| fail(&place, Problem::Missing("the secret")))?;
    let secret = Secret::parse(secret).map_err(|error| fail(&place, Problem::Secret(error)))?;
    let not_after = text(map, "not_after", &place)?
        .map(Timestamp::parse)
        .transpose()
        .map_err(|_| fail(&place, Problem::NotAfter))?;
    Ok(Key { id: id.to_owned(), secret, not_after })
}

fn text<'a>(
    map: &'a Map<String, Value>,
    name: &'static str,
    place: &str,
) -> Result<Option<&'a str>, KeyRingError> {
    match map.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(fail(&format!("{place}.{name}"), Problem::WrongType("a string"))),
    }
}

#[cfg(test)]
mod tests {
    use super::KeyRing;

    fn ring(webhook: &str, rest: &str) -> String {
        format!(r#"{{"webhook":[{webhook}],{rest}}}"#)
    }

    const REST: &str = r#""seal":[{"id":"s","secret":"sealsealsealsealsealseal"}],"audit":{"id":"a","secret":"auditauditauditauditaudi"}"#;

    #[test]
    fn every_complaint_names_the_key_and_never_the_secret() {
        let good = r#"{"id":"w","secret":"CANARYCANARYCANARYCANARY"}"#;
        assert!(KeyRing::parse(ring(good, REST).as_bytes()).is_ok());
        for (webhook, complaint) in [
            ("", "webhook: at least one key"),
            (r#"{"id":"w"}"#, "webhook[0] (\"w\"): the secret is missing"),
            (r#"{"id":"w","secret":""}"#, "the secret has 0 bytes"),
            (r#"{"id":"w","secret":"CANARY"}"#, "webhook[0] (\"w\"): the secret has 6 bytes"),
            (r#"{"id":"w","secret":"whsec_CANARY***"}"#, "not base64"),
            (r#"{"id":"w","secret":["CANARY"]}"#, "must be a string"),
            (r#"{"id":"w","whsec_CANARY":"x"}"#, "it has a member other than id, secret, not_after"),
            (r#"{"id":"whsec_CANARY","secret":"webhook-2026-11-22-and-more"}"#, "the id must be"),
            (r#"{"id":"w w","secret":"CANARYCANARYCANARYCANARY"}"#, "the id must be"),
            (r#"{"id":"w","secret":"CANARYCANARYCANARYCANARY","not_after":"soon"}"#, "not_after must be"),
            (
                r#"{"id":"w","secret":"CANARYCANARYCANARYCANARY"},{"id":"w","secret":"CANARYCANARYCANARYCANARZ"}"#,
                "webhook (\"w\"): another key of this purpose has the same id",
            ),
        ] {
            let error = KeyRing::parse(ring(webhook, REST).as_bytes()).err().unwrap().to_string();
            assert!(error.contains(complaint), "{error}");
            assert!(!error.contains("CANARY"), "{error}");
        }
    }

    #[test]
    fn a_secret_with_two_purposes_is_named() {
        let shared = r#"{"id":"w","secret":"sealsealsealsealsealseal"}"#;
        let ring = KeyRing::parse(ring(shared, REST).as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(ring.shared_secrets(), [("webhook \"w\"".to_owned(), "seal \"s\"".to_owned())]);
    }
}
