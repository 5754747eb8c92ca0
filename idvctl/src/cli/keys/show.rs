//! `keys show`: ids and ages.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use idv_callback::clock::SystemClock;
use idv_callback::config::Environment;
use idv_callback::key_ring::Key;
use idv_callback::ports::Clock as _;
use idv_callback::timestamp::Timestamp;
use serde_json::{Value, json};

use crate::cli::keys::{read_ring, ring_path};
use crate::output::{Failure, Output};

#[derive(Args)]
pub(crate) struct Options {
    /// The key ring. [default: $IDV_KEY_RING_FILE, or idv-keys.json]
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

pub(crate) fn run(options: &Options, environment: &Environment, output: Output) -> Result<ExitCode, Failure> {
    let ring = read_ring(&ring_path(options.file.as_ref(), environment))?;
    let now = SystemClock.now();
    let keys: Vec<_> = ring.keys().map(|(purpose, key)| describe(purpose, key, now)).collect();
    let shared = ring.shared_secrets();
    let cell = |key: &Value, name: &str| key[name].as_str().unwrap_or("-").to_owned();
    let columns = ["purpose", "id", "made", "not_after", "state"];
    let rows = keys.iter().map(|key| columns.iter().map(|name| cell(key, name)).collect());
    output.table(&columns, rows)?;
    for (one, other) in &shared {
        output.line(format!("! {one} and {other} have the same secret: give each its own secret"))?;
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
