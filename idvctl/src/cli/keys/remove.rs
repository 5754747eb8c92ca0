//! `keys remove`: a key that nobody uses any more.

use std::process::ExitCode;

use clap::Args;

use crate::cli::keys::ring_file::{Editable, RingFile, has_id, no_such_key};
use crate::output::{Failure, Output};

#[derive(Args)]
pub(crate) struct Options {
    /// The key's id.
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) ring: RingFile,
}

/// A key that nobody uses any more.
pub(crate) fn run(options: &Options, output: Output) -> Result<ExitCode, Failure> {
    let mut ring = Editable::read(&options.ring.file)?;
    for purpose in ["webhook", "seal", "binding"] {
        let keys = ring.keys(purpose)?;
        let Some(place) = keys.iter().position(|key| has_id(key, &options.id)) else { continue };
        keys.remove(place);
        return ring.write(&options.ring.file, output, &format!("{purpose} key {} removed", options.id));
    }
    Err(no_such_key(&options.id))
}
