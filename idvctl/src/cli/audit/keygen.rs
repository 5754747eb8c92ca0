//! `audit keygen`: a key for sealing.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::cli::private_file;
use crate::output::{Failure, Output};
use crate::trail::SigningKey;

#[derive(Args)]
pub(crate) struct Options {
    /// The log's name, like example.org/idv-audit.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    /// Where to write the secret key. Never overwritten.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

pub(crate) fn run(options: &Options, output: Output) -> Result<ExitCode, Failure> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| Failure::unreachable(format!("no random numbers from the system: {error}")))?;
    let key =
        SigningKey::new(&options.name, seed).map_err(|error| Failure::usage(format!("--name: {error}")))?;
    private_file::write_new(&options.output, key.secret_text().as_bytes())
        .map_err(|error| Failure::usage(format!("{}: {error}", options.output.display())))?;
    output.line(key.public().to_string())?;
    output.value(&json!({ "secret": options.output, "public": key.public().to_string() }))?;
    Ok(ExitCode::SUCCESS)
}
