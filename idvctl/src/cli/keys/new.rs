//! `keys new`: a key ring with new secrets.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use idv_callback::clock::SystemClock;
use idv_callback::ports::Clock as _;
use serde_json::json;

use crate::cli::keys::DEFAULT_KEYS;
use crate::cli::private_file;
use crate::new_key_ring::fresh_ring;
use crate::output::{self, Failure, Output};

#[derive(Args)]
pub(crate) struct Options {
    /// Where to write it; - for standard output. An existing file is never overwritten.
    #[arg(short, long, default_value = DEFAULT_KEYS, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

/// Writes a file that only its owner may read, and never over another.
pub(crate) fn write_ring(path: &Path, ring: &str) -> Result<(), Failure> {
    let written = private_file::write_new(path, ring.as_bytes());
    written.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

pub(crate) fn run(options: &Options, output: Output) -> Result<ExitCode, Failure> {
    let ring = fresh_ring(SystemClock.now())?;
    if options.output == Path::new("-") {
        output::raw(ring.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    write_ring(&options.output, &ring)?;
    output.line(format!("{}: a new key ring; only you can read the file", options.output.display()))?;
    output.value(&json!({ "file": options.output }))?;
    Ok(ExitCode::SUCCESS)
}
