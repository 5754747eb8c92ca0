//! What `idvctl dlq` is told.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub(in crate::cli) enum DlqCommand {
    /// List the dead letters. Looking leaves every letter as it was.
    List(DlqListOptions),
    /// Show all that may be shown of one.
    Show(DlqShowOptions),
    /// Count them by what they died of: reason, call and error, version.
    Groups(DlqListOptions),
    /// Say that a letter is about another user than the one it names. A second operator must approve it. Changes nothing.
    Correct(DlqCorrectOptions),
    /// Approve another operator's correction, after looking at the letter and at the user. Changes nothing.
    Approve(DlqApproveOptions),
    /// Choose letters, forecast what would become of each, and write that down. Changes nothing.
    Plan(DlqPlanOptions),
    /// Carry a plan out: one letter, then five, then the rest. Can be repeated with the same plan.
    #[command(alias = "replay")]
    Apply(DlqApplyOptions),
    /// Say what became of each letter of a plan. Exit code 0 only when all ended as forecast.
    Verify(DlqVerifyOptions),
    /// Copy letters into an encrypted file, before SQS drops them.
    Archive(DlqArchiveOptions),
    /// Copy letters into an encrypted file, then delete them.
    Discard(DlqDiscardOptions),
}

impl DlqCommand {
    pub(in crate::cli) fn target(&self) -> &DlqTarget {
        match self {
            Self::List(options) | Self::Groups(options) => &options.target,
            Self::Show(options) => &options.target,
            Self::Correct(options) => &options.target,
            Self::Approve(options) => &options.target,
            Self::Plan(options) => &options.target,
            Self::Apply(options) => &options.target,
            Self::Verify(options) => &options.target,
            Self::Archive(options) => &options.target,
            Self::Discard(options) => &options.target,
        }
    }
}

/// Which installation.
#[derive(Args)]
pub(in crate::cli) struct DlqTarget {
    /// The embedded stack of a running `idvctl dev`. [default address: http://127.0.0.1:8787]
    #[arg(long, value_name = "URL", num_args = 0..=1, require_equals = true,
          default_missing_value = "http://127.0.0.1:8787", conflicts_with_all = ["queue_url", "dead_letter_queue_url", "key_ring"])]
    pub(in crate::cli) local: Option<String>,
    /// The callback queue. [default: $IDV_QUEUE_URL]
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) queue_url: Option<String>,
    /// The dead-letter queue. [default: $IDV_DEAD_LETTER_QUEUE_URL]
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) dead_letter_queue_url: Option<String>,
    /// A user pool that the consumer may write to. Can be given several times. [default: $IDV_USER_POOL_IDS]
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) user_pool: Vec<String>,
    /// The secret that holds the key ring, by name or ARN. [default: $IDV_KEY_RING_SECRET_ID]
    #[arg(long, value_name = "SECRET")]
    pub(in crate::cli) key_ring: Option<String>,
    /// The key ring in a file. [default with --local: $IDV_KEY_RING_FILE, or idv-keys.json]
    #[arg(long, value_name = "FILE", conflicts_with = "key_ring")]
    pub(in crate::cli) keys: Option<PathBuf>,
    /// Where the record of what you do is appended to.
    #[arg(long, default_value = "idv-operator-audit.jsonl", value_name = "FILE")]
    pub(in crate::cli) audit_log: PathBuf,
}

/// Which letters; what is not said does not choose.
#[derive(Args)]
pub(in crate::cli) struct DlqSelection {
    /// Only those of this reason. Can be given several times.
    #[arg(long, value_name = "REASON")]
    pub(in crate::cli) reason: Vec<String>,
    /// Only this message. Can be given several times.
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) id: Vec<String>,
    /// Only this group (one user), or what its name begins with. Can be given several times.
    #[arg(long, value_name = "GROUP")]
    pub(in crate::cli) group: Vec<String>,
    /// Only those that died since, RFC 3339.
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) since: Option<String>,
}

#[derive(Args)]
pub(in crate::cli) struct DlqListOptions {
    #[command(flatten)]
    pub(in crate::cli) target: DlqTarget,
    #[command(flatten)]
    pub(in crate::cli) selection: DlqSelection,
    /// List this many at the most; all are counted.
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub(in crate::cli) most: usize,
}

#[derive(Args)]
pub(in crate::cli) struct DlqShowOptions {
    /// The message's id.
    #[arg(value_name = "ID")]
    pub(in crate::cli) id: String,
    #[command(flatten)]
    pub(in crate::cli) target: DlqTarget,
}

#[derive(Args)]
pub(in crate::cli) struct DlqCorrectOptions {
    /// The message's id.
    #[arg(value_name = "ID")]
    pub(in crate::cli) id: String,
    /// The name of the user that it is about, in the pool that it names.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) username: String,
    /// Why: a ticket.
    #[arg(long, value_name = "TICKET")]
    pub(in crate::cli) because: String,
    /// Where to write the correction. It names users: the file is readable by you alone. Never overwritten.
    #[arg(short, long, default_value = "correction.json", value_name = "FILE")]
    pub(in crate::cli) output: PathBuf,
    #[command(flatten)]
    pub(in crate::cli) target: DlqTarget,
}

#[derive(Args)]
pub(in crate::cli) struct DlqApproveOptions {
    /// The correction. The approval is written beside it, as FILE.approval, and holds for some minutes.
    #[arg(value_name = "FILE")]
    pub(in crate::cli) correction: PathBuf,
    /// Approve it. Without this, only what it says is shown.
    #[arg(long)]
    pub(in crate::cli) yes: bool,
    #[command(flatten)]
    pub(in crate::cli) target: DlqTarget,
}

#[derive(Args)]
pub(in crate::cli) struct DlqPlanOptions {
    #[command(flatten)]
    pub(in crate::cli) target: DlqTarget,
    #[command(flatten)]
    pub(in crate::cli) selection: DlqSelection,
    /// Only the letter of this correction, and with it. Its approval is in FILE.approval.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["reason", "id", "group", "since"])]
    pub(in crate::cli) correction: Option<PathBuf>,
    /// Why: a ticket.
    #[arg(long, value_name = "TICKET")]
    pub(in crate::cli) because: String,
    /// Where to write the plan. It names users: the file is readable by you alone. Never overwritten.
    #[arg(short, long, default_value = "plan.json", value_name = "FILE")]
    pub(in crate::cli) output: PathBuf,
}

#[derive(Args)]
pub(in crate::cli) struct DlqApplyOptions {
    /// The plan.
    #[arg(value_name = "PLAN")]
    pub(in crate::cli) plan: PathBuf,
    #[command(flatten)]
    pub(in crate::cli) target: DlqTarget,
    /// Letters a second. Cognito's quota (25 writes a second by default) is shared with people who sign in.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(in crate::cli) rate: u32,
    /// How many letters the first step has.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(in crate::cli) canary: u32,
    /// How long the outcome of a first step is waited for, in seconds.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub(in crate::cli) wait: u64,
}

#[derive(Args)]
pub(in crate::cli) struct DlqVerifyOptions {
    /// The plan.
    #[arg(value_name = "PLAN")]
    pub(in crate::cli) plan: PathBuf,
    #[command(flatten)]
    pub(in crate::cli) target: DlqTarget,
    /// How long to wait for what is not settled yet, in seconds.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub(in crate::cli) wait: u64,
}

#[derive(Args)]
pub(in crate::cli) struct DlqArchiveOptions {
    #[command(flatten)]
    pub(in crate::cli) target: DlqTarget,
    /// Only those that SQS drops within so many days.
    #[arg(long, value_name = "DAYS")]
    pub(in crate::cli) expiring_within: Option<u64>,
    #[command(flatten)]
    pub(in crate::cli) archive: DlqArchiveFile,
}

#[derive(Args)]
pub(in crate::cli) struct DlqDiscardOptions {
    #[command(flatten)]
    pub(in crate::cli) target: DlqTarget,
    /// The message. Can be given several times.
    #[arg(long, value_name = "ID", required = true)]
    pub(in crate::cli) id: Vec<String>,
    /// Why: a ticket.
    #[arg(long, value_name = "TICKET")]
    pub(in crate::cli) because: String,
    #[command(flatten)]
    pub(in crate::cli) archive: DlqArchiveFile,
}

/// Where letters are kept.
#[derive(Args)]
pub(in crate::cli) struct DlqArchiveFile {
    /// The file, which must not exist yet.
    #[arg(long = "to", value_name = "FILE")]
    pub(in crate::cli) file: PathBuf,
    /// Who can read it: an age X25519 recipient (age1…; `age-keygen` makes one). Can be given several times.
    #[arg(long, value_name = "RECIPIENT", required = true)]
    pub(in crate::cli) recipient: Vec<String>,
}
