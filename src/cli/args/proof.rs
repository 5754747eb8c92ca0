//! What `idvctl proof` is told.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub(in crate::cli) enum ProofCommand {
    /// Open a proofing session for a user who is there: let through while 1Kosmos was down, or older than this system. The
    /// link is printed once; whoever has it can prove to be the user, so give it to them alone.
    Start(ProofStartOptions),
}

#[derive(Args)]
pub(in crate::cli) struct ProofStartOptions {
    /// The user's name.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) user: String,
    /// The user pool. [default: $IDV_USER_POOL_IDS, if that is one]
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) user_pool: Option<String>,
    /// Why: a ticket, for the record.
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) because: String,
    /// Open another session than the one that may be open, or although an approval stands.
    #[arg(long)]
    pub(in crate::cli) again: bool,
    /// The secret that holds the key ring, by name or ARN. [default: $IDV_KEY_RING_SECRET_ID]
    #[arg(long, value_name = "SECRET", conflicts_with = "keys")]
    pub(in crate::cli) key_ring: Option<String>,
    /// A file that holds the key ring. [default: $IDV_KEY_RING_FILE, or idv-keys.json]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) keys: Option<PathBuf>,
    /// Where operators' acts are recorded.
    #[arg(long, value_name = "FILE", default_value = "idv-operator-audit.jsonl")]
    pub(in crate::cli) audit_log: PathBuf,
}
