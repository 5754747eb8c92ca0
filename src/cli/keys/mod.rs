//! `idvctl keys`: key rings.

mod edit;
mod usage;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use zeroize::Zeroizing;

pub(super) use edit::{add, expire, remove};
pub(super) use usage::usage;

use super::args::{DEFAULT_KEYS, NewKeysOptions, ShowKeysOptions, SigningOptions};
use super::output::{self, Failure, Output, outcome};
use super::private_file;
use crate::aws::{AwsConnection, StoredSecret};
use crate::clock::SystemClock;
use crate::config::{Environment, SecretSource};
use crate::delivery::SignatureProfile;
use crate::key_ring::{Key, KeyRing};
use crate::ports::{Clock as _, KeyStore as _};
use crate::secret::BASE64_SECRET_PREFIX;
use crate::timestamp::Timestamp;

/// The length of a fresh secret, in bytes: as long as the hash, which is what RFC 2104 section 3 asks for.
const SECRET_BYTES: usize = 32;

/// The file that the arguments or the environment name.
pub(super) fn ring_path(given: Option<&PathBuf>, environment: &Environment) -> PathBuf {
    let from_environment = || environment.get("IDV_KEY_RING_FILE").map(PathBuf::from);
    given.cloned().or_else(from_environment).unwrap_or_else(|| DEFAULT_KEYS.into())
}

/// Reads a key ring.
pub(super) fn read_ring(path: &Path) -> Result<KeyRing, Failure> {
    let json = std::fs::read(path).map_err(|error| {
        Failure::usage(format!("{}: {error}; `idvctl keys new` makes a key ring", path.display()))
    })?;
    KeyRing::parse(&Zeroizing::new(json))
        .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

/// Reads the key ring of this secret; where none is named, or a file is, of the file.
pub(super) async fn stored_ring(
    secret: Option<String>,
    path: Option<&PathBuf>,
    environment: &Environment,
    connection: &AwsConnection,
) -> Result<KeyRing, Failure> {
    match secret.filter(|_| path.is_none()) {
        None => read_ring(&ring_path(path, environment)),
        Some(secret) => {
            let ring = StoredSecret::new(connection, &SecretSource::Secret(secret)).fetch().await;
            ring.map_err(|error| Failure::unreachable(error.to_string()))
        }
    }
}

/// A key ring with fresh secrets, as JSON. The ids say when they were made.
pub(super) fn fresh_ring(now: Timestamp) -> Result<Zeroizing<String>, Failure> {
    let at = now.to_string();
    let date = at.get(..10).unwrap_or_default();
    let ring = json!({
        "webhook": [ { "id": format!("webhook-{date}"), "secret": fresh_secret()? } ],
        "seal": [ { "id": format!("seal-{date}"), "secret": fresh_secret()? } ],
        "binding": [ { "id": format!("binding-{date}"), "secret": fresh_secret()? } ],
        "audit": { "id": format!("audit-{date}"), "secret": fresh_secret()? },
    });
    Ok(Zeroizing::new(format!("{ring:#}\n")))
}

fn fresh_secret() -> Result<String, Failure> {
    let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
    getrandom::fill(&mut *bytes)
        .map_err(|error| Failure::unreachable(format!("no random numbers from the system: {error}")))?;
    Ok(format!("{BASE64_SECRET_PREFIX}{}", STANDARD.encode(*bytes)))
}

/// Writes a file that only its owner may read, and never over another.
pub(super) fn write_ring(path: &Path, ring: &str) -> Result<(), Failure> {
    let written = private_file::write_new(path, ring.as_bytes());
    written.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

pub(super) fn new(options: &NewKeysOptions, output: Output) -> Result<ExitCode, Failure> {
    let ring = fresh_ring(SystemClock.now())?;
    if options.output == Path::new("-") {
        output::raw(ring.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    write_ring(&options.output, &ring)?;
    output.line(format!("{}: a new key ring, readable by you alone", options.output.display()))?;
    output.value(&json!({ "file": options.output }))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn show(
    options: &ShowKeysOptions,
    environment: &Environment,
    output: Output,
) -> Result<ExitCode, Failure> {
    let ring = read_ring(&ring_path(options.file.as_ref(), environment))?;
    let now = SystemClock.now();
    let keys: Vec<_> = ring.keys().map(|(purpose, key)| describe(purpose, key, now)).collect();
    let shared = ring.shared_secrets();
    let cell = |key: &Value, name: &str| key[name].as_str().unwrap_or("-").to_owned();
    let columns = ["purpose", "id", "made", "not_after", "state"];
    let rows = keys.iter().map(|key| columns.iter().map(|name| cell(key, name)).collect()).collect();
    output.table(&columns, rows)?;
    for (one, other) in &shared {
        output.line(format!("! {one} and {other} have the same secret: give each one of its own"))?;
    }
    output.value(&json!({ "keys": keys, "shared_secrets": shared }))?;
    Ok(ExitCode::SUCCESS)
}

/// The age comes from the date in the id, where the id has one: a secret does not say when it was made.
fn describe(purpose: &str, key: &Key, now: Timestamp) -> Value {
    let date = key.id.get(key.id.len().saturating_sub(10)..).unwrap_or_default();
    let made = Timestamp::parse(&format!("{date}T00:00:00Z")).ok();
    let age = made.map(|made| format!("{date}, {} days ago", now.since(made).as_secs() / 86_400));
    let expired = key.not_after.is_some_and(|end| end <= now);
    json!({
        "purpose": purpose,
        "id": key.id,
        "made": age,
        "not_after": key.not_after.map(|end| end.to_string()),
        "state": if expired { "expired" } else { "live" },
    })
}

/// The scheme that the arguments or the environment name.
pub(super) fn profile(
    options: &SigningOptions,
    environment: &Environment,
) -> Result<SignatureProfile, Failure> {
    let from_environment = || match environment.get("IDV_SIGNATURE_PROFILE") {
        None => Ok(SignatureProfile::StandardWebhooks),
        Some(name) => name.parse().map_err(|error| Failure::usage(format!("IDV_SIGNATURE_PROFILE: {error}"))),
    };
    let profile = options.profile.clone().map_or_else(from_environment, Ok)?;
    let header = options.header.clone().or_else(|| environment.get("IDV_SIGNATURE_HEADER"));
    Ok(header.map_or(profile.clone(), |header| profile.with_header(&header)))
}

/// The key to sign with.
pub(super) fn signing_key<'r>(ring: &'r KeyRing, options: &SigningOptions) -> Result<&'r Key, Failure> {
    let found = match &options.key {
        None => ring.webhook.first(),
        Some(id) => ring.webhook.iter().find(|key| key.id == *id),
    };
    found.ok_or_else(|| {
        let ids: Vec<_> = ring.webhook.iter().map(|key| key.id.as_str()).collect();
        Failure::usage(format!("no webhook key of that id; the ring has {}", ids.join(", ")))
    })
}

/// The moment that an argument names, or now.
pub(super) fn moment(given: Option<&String>, name: &str) -> Result<Timestamp, Failure> {
    match given {
        None => Ok(SystemClock.now()),
        Some(text) => Timestamp::parse(text)
            .map_err(|_| Failure::usage(format!("{name} must be RFC 3339, like 2026-11-22T10:00:00Z"))),
    }
}
