//! `idvctl keys`: key rings.

mod add;
mod expire;
pub(crate) mod new;
mod remove;
mod ring_file;
mod show;
mod usage;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use idv_callback::aws::{AwsConnection, StoredSecret};
use idv_callback::clock::SystemClock;
use idv_callback::config::{Environment, SecretSource};
use idv_callback::delivery::SignatureProfile;
use idv_callback::key_ring::{Key, KeyRing};
use idv_callback::ports::{Clock as _, KeyStore as _};
use idv_callback::timestamp::Timestamp;
use zeroize::Zeroizing;

use crate::cli::signing::SigningOptions;
use crate::output::{Failure, Output};

#[derive(Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key ring with fresh secrets.
    New(new::Options),
    /// Show ids and ages, never secrets.
    Show(show::Options),
    /// Add a key with a fresh secret, or with one that was agreed on.
    Add(add::Options),
    /// Say when a webhook key stops being accepted: at once, unless --at says otherwise.
    Expire(expire::Options),
    /// Take a key off the ring. The last one of a purpose stays.
    Remove(remove::Options),
    /// Count the callbacks that each webhook key has signed, from audit logs. Exit code 1 when there is none.
    Use(usage::Options),
}

/// Where the key ring is unless told otherwise: what `dev` makes and the other commands find.
pub(crate) const DEFAULT_KEYS: &str = "idv-keys.json";

/// The file that the arguments or the environment name.
pub(crate) fn ring_path(given: Option<&PathBuf>, environment: &Environment) -> PathBuf {
    let from_environment = || environment.get("IDV_KEY_RING_FILE").map(PathBuf::from);
    given.cloned().or_else(from_environment).unwrap_or_else(|| DEFAULT_KEYS.into())
}

/// Reads a key ring.
pub(crate) fn read_ring(path: &Path) -> Result<KeyRing, Failure> {
    let json = std::fs::read(path).map_err(|error| {
        Failure::usage(format!("{}: {error}; `idvctl keys new` makes a key ring", path.display()))
    })?;
    KeyRing::parse(&Zeroizing::new(json))
        .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

/// Reads the key ring of this secret; where none is named, or a file is, of the file.
pub(crate) async fn stored_ring(
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

/// The scheme that the arguments or the environment name.
pub(crate) fn profile(
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
pub(crate) fn signing_key<'r>(ring: &'r KeyRing, options: &SigningOptions) -> Result<&'r Key, Failure> {
    let found = match &options.key {
        None => ring.webhook.first(),
        Some(id) => ring.webhook.iter().find(|key| key.id == *id),
    };
    found.ok_or_else(|| {
        let ids: Vec<_> = ring.webhook.iter().map(|key| key.id.as_str()).collect();
        Failure::usage(format!("there is no webhook key with that id; the key ring has {}", ids.join(", ")))
    })
}

/// The moment that an argument names, or now.
pub(crate) fn moment(given: Option<&String>, name: &str) -> Result<Timestamp, Failure> {
    match given {
        None => Ok(SystemClock.now()),
        Some(text) => Timestamp::parse(text)
            .map_err(|_| Failure::usage(format!("{name} must be RFC 3339, like 2026-11-22T10:00:00Z"))),
    }
}

pub(crate) fn run(
    command: KeysCommand,
    environment: &Environment,
    output: Output,
) -> Result<ExitCode, Failure> {
    match command {
        KeysCommand::New(options) => new::run(&options, output),
        KeysCommand::Show(options) => show::run(&options, environment, output),
        KeysCommand::Add(options) => add::run(&options, output),
        KeysCommand::Expire(options) => expire::run(&options, output),
        KeysCommand::Remove(options) => remove::run(&options, output),
        KeysCommand::Use(options) => usage::run(&options, output),
    }
}
