//! `keys add`: a key more.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::json;
use zeroize::Zeroizing;

use crate::cli::keys::ring_file::{Editable, RingFile};
use crate::new_key_ring::fresh_secret;
use crate::output::{Failure, Output};

/// What a key is for.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyPurpose {
    Webhook,
    Seal,
    Binding,
}

impl KeyPurpose {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Seal => "seal",
            Self::Binding => "binding",
        }
    }
}

#[derive(Args)]
pub(crate) struct Options {
    /// What the key is for.
    #[arg(value_enum)]
    pub(crate) purpose: KeyPurpose,
    #[command(flatten)]
    pub(crate) ring: RingFile,
    /// The key's id. [default: the purpose and today's date]
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    /// A file that holds the secret. [default: a fresh one is made]
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,
}

/// A fresh key, or one whose secret somebody else chose.
pub(crate) fn run(options: &Options, output: Output) -> Result<ExitCode, Failure> {
    let secret = match &options.secret_file {
        None => Zeroizing::new(fresh_secret()?),
        Some(path) => {
            let text = std::fs::read_to_string(path).map(Zeroizing::new);
            let text = text.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
            Zeroizing::new(text.trim().to_owned())
        }
    };
    let mut ring = Editable::read(&options.ring.file)?;
    let purpose = options.purpose.as_str();
    let id = options.id.clone().map_or_else(|| ring.free_id(purpose), Ok)?;
    let key = json!({ "id": id, "secret": *secret });
    let keys = ring.keys(purpose)?;
    // Callbacks are sealed and bindings issued with the first key; whoever checks one tries all. A webhook key is the
    // sender's to choose, so its place says nothing.
    match options.purpose {
        KeyPurpose::Webhook => keys.push(key),
        KeyPurpose::Seal | KeyPurpose::Binding => keys.insert(0, key),
    }
    ring.write(&options.ring.file, output, &format!("{purpose} key {id} added"))
}
