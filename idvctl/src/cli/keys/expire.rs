//! `keys expire`: a webhook key that ends by itself.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::keys::moment;
use crate::cli::keys::ring_file::{Editable, RingFile, has_id, no_such_key};
use crate::output::{Failure, Output};

#[derive(Args)]
pub(crate) struct Options {
    /// The key's id.
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) ring: RingFile,
    /// From when it is refused, RFC 3339. [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
}

/// A webhook key that ends by itself.
pub(crate) fn run(options: &Options, output: Output) -> Result<ExitCode, Failure> {
    let at = moment(options.at.as_ref(), "--at")?;
    let mut ring = Editable::read(&options.ring.file)?;
    let key = ring.keys("webhook")?.iter_mut().find(|key| has_id(key, &options.id));
    let key = key.and_then(Value::as_object_mut).ok_or_else(|| no_such_key(&options.id))?;
    key.insert("not_after".to_owned(), json!(at.to_string()));
    ring.write(&options.ring.file, output, &format!("webhook key {} ends at {at}", options.id))
}
