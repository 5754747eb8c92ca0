//! What `idvctl keys` is told.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::DEFAULT_KEYS;

#[derive(Subcommand)]
pub(in crate::cli) enum KeysCommand {
    /// Make a key ring with fresh secrets.
    New(NewKeysOptions),
    /// Show ids and ages, never secrets.
    Show(ShowKeysOptions),
    /// Add a key with a fresh secret, or with one that was agreed on.
    Add(AddKeyOptions),
    /// Say when a webhook key stops being accepted: at once, unless --at says otherwise.
    Expire(ExpireKeyOptions),
    /// Take a key off the ring. The last one of a purpose stays.
    Remove(RemoveKeyOptions),
    /// Count the callbacks that each webhook key has signed, from audit logs. Exit code 1 when there is none.
    Use(KeyUseOptions),
}

/// The ring to change.
#[derive(Args)]
pub(in crate::cli) struct RingFile {
    /// The key ring, changed in place; - reads standard input and writes standard output.
    #[arg(long = "ring", default_value = DEFAULT_KEYS, value_name = "FILE")]
    pub(in crate::cli) file: PathBuf,
}

/// What a key is for.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum KeyPurpose {
    Webhook,
    Seal,
    Binding,
}

impl KeyPurpose {
    pub(in crate::cli) fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Seal => "seal",
            Self::Binding => "binding",
        }
    }
}

#[derive(Args)]
pub(in crate::cli) struct AddKeyOptions {
    /// What the key is for.
    #[arg(value_enum)]
    pub(in crate::cli) purpose: KeyPurpose,
    #[command(flatten)]
    pub(in crate::cli) ring: RingFile,
    /// The key's id. [default: the purpose and today's date]
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) id: Option<String>,
    /// A file that holds the secret. [default: a fresh one is made]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) secret_file: Option<PathBuf>,
}

#[derive(Args)]
pub(in crate::cli) struct ExpireKeyOptions {
    /// The key's id.
    #[arg(value_name = "ID")]
    pub(in crate::cli) id: String,
    #[command(flatten)]
    pub(in crate::cli) ring: RingFile,
    /// From when it is refused, RFC 3339. [default: now]
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) at: Option<String>,
}

#[derive(Args)]
pub(in crate::cli) struct RemoveKeyOptions {
    /// The key's id.
    #[arg(value_name = "ID")]
    pub(in crate::cli) id: String,
    #[command(flatten)]
    pub(in crate::cli) ring: RingFile,
}

#[derive(Args)]
pub(in crate::cli) struct KeyUseOptions {
    /// Files of audit records, one a line, as the functions log them; - is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub(in crate::cli) logs: Vec<PathBuf>,
}

#[derive(Args)]
pub(in crate::cli) struct NewKeysOptions {
    /// Where to write it; - for standard output. An existing file is never overwritten.
    #[arg(short, long, default_value = DEFAULT_KEYS, value_name = "FILE")]
    pub(in crate::cli) output: PathBuf,
}

#[derive(Args)]
pub(in crate::cli) struct ShowKeysOptions {
    /// The key ring. [default: $IDV_KEY_RING_FILE, or idv-keys.json]
    #[arg(value_name = "FILE")]
    pub(in crate::cli) file: Option<PathBuf>,
}
