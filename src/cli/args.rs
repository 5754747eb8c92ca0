//! The arguments.
#![expect(clippy::doc_markdown, reason = "these comments are the help that people read in a terminal")]

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Where the key ring is unless told otherwise: what `dev` makes and the other commands find.
pub(super) const DEFAULT_KEYS: &str = "idv-keys.json";

/// Receive, settle and explain identity-proofing callbacks.
#[derive(Parser)]
#[command(name = "idvctl", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub(super) struct Arguments {
    /// Print JSON, for machines.
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

const EXIT_CODES: &str =
    "Exit codes: 0 done · 1 the outcome is no · 2 usage · 3 something could not be reached";

#[derive(Subcommand)]
pub(super) enum Command {
    /// Close the whole loop once, in memory: sign-up, callbacks over HTTP, queue, consumer, user pool.
    Demo,
    /// Run the front door and the consumer in one process: in memory, or against real AWS.
    Dev(DevOptions),
    /// Build, sign and post callbacks.
    Send(SendOptions),
    /// Print the signature header fields for a body on standard input.
    Sign(SignOptions),
    /// Tell whether a captured request is authentic, and under which key.
    Verify(CapturedOptions),
    /// Tell which mistake of the sender explains a refused request.
    Explain(CapturedOptions),
    /// Dead letters: see what is there, what would become of each, send them back, see what became of them.
    #[command(subcommand)]
    Dlq(DlqCommand),
    /// Check an installation on AWS before somebody depends on it: queues, user pool, app clients, functions, key ring,
    /// clock. Read-only.
    Doctor(DoctorOptions),
    /// Make, show and change key rings, and count the use of keys.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Args)]
pub(super) struct DevOptions {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8787", value_name = "ADDRESS:PORT")]
    pub(super) listen: SocketAddr,
    /// Allow an address that other machines can reach.
    #[arg(long)]
    pub(super) public: bool,
    /// The key ring; made if the file does not exist. [default: $IDV_KEY_RING_FILE, or idv-keys.json]
    #[arg(long, value_name = "FILE")]
    pub(super) keys: Option<PathBuf>,
    /// The id of the embedded user pool.
    #[arg(long, default_value = "us-east-1_LocalPool", value_name = "ID")]
    pub(super) pool: String,
    /// Real AWS: the callback queue. Also needs --dead-letter-queue-url, --user-pool and credentials.
    #[arg(long, value_name = "URL", requires_all = ["dead_letter_queue_url", "user_pool"])]
    pub(super) queue_url: Option<String>,
    /// Real AWS: the dead-letter queue.
    #[arg(long, value_name = "URL", requires = "queue_url")]
    pub(super) dead_letter_queue_url: Option<String>,
    /// Real AWS: a user pool that may be written to. Can be given several times.
    #[arg(long, value_name = "ID", requires = "queue_url")]
    pub(super) user_pool: Vec<String>,
}

#[derive(Subcommand)]
pub(super) enum DlqCommand {
    /// List the dead letters. Looking leaves every letter as it was.
    List(DlqListOptions),
    /// Show all that may be shown of one.
    Show(DlqShowOptions),
    /// Count them by what they died of: reason, call and error, version.
    Groups(DlqListOptions),
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
    pub(super) fn target(&self) -> &DlqTarget {
        match self {
            Self::List(options) | Self::Groups(options) => &options.target,
            Self::Show(options) => &options.target,
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
pub(super) struct DlqTarget {
    /// The embedded stack of a running `idvctl dev`. [default address: http://127.0.0.1:8787]
    #[arg(long, value_name = "URL", num_args = 0..=1, require_equals = true,
          default_missing_value = "http://127.0.0.1:8787", conflicts_with_all = ["queue_url", "dead_letter_queue_url", "key_ring"])]
    pub(super) local: Option<String>,
    /// The callback queue. [default: $IDV_QUEUE_URL]
    #[arg(long, value_name = "URL")]
    pub(super) queue_url: Option<String>,
    /// The dead-letter queue. [default: $IDV_DEAD_LETTER_QUEUE_URL]
    #[arg(long, value_name = "URL")]
    pub(super) dead_letter_queue_url: Option<String>,
    /// A user pool that the consumer may write to. Can be given several times. [default: $IDV_USER_POOL_IDS]
    #[arg(long, value_name = "ID")]
    pub(super) user_pool: Vec<String>,
    /// The secret that holds the key ring, by name or ARN. [default: $IDV_KEY_RING_SECRET_ID]
    #[arg(long, value_name = "SECRET")]
    pub(super) key_ring: Option<String>,
    /// The key ring in a file. [default with --local: $IDV_KEY_RING_FILE, or idv-keys.json]
    #[arg(long, value_name = "FILE", conflicts_with = "key_ring")]
    pub(super) keys: Option<PathBuf>,
    /// Where the record of what you do is appended to.
    #[arg(long, default_value = "idv-operator-audit.jsonl", value_name = "FILE")]
    pub(super) audit_log: PathBuf,
}

/// Which letters; what is not said does not choose.
#[derive(Args)]
pub(super) struct DlqSelection {
    /// Only those of this reason. Can be given several times.
    #[arg(long, value_name = "REASON")]
    pub(super) reason: Vec<String>,
    /// Only this message. Can be given several times.
    #[arg(long, value_name = "ID")]
    pub(super) id: Vec<String>,
    /// Only this group (one user), or what its name begins with. Can be given several times.
    #[arg(long, value_name = "GROUP")]
    pub(super) group: Vec<String>,
    /// Only those that died since, RFC 3339.
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<String>,
}

#[derive(Args)]
pub(super) struct DlqListOptions {
    #[command(flatten)]
    pub(super) target: DlqTarget,
    #[command(flatten)]
    pub(super) selection: DlqSelection,
    /// List this many at the most; all are counted.
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub(super) most: usize,
}

#[derive(Args)]
pub(super) struct DlqShowOptions {
    /// The message's id.
    #[arg(value_name = "ID")]
    pub(super) id: String,
    #[command(flatten)]
    pub(super) target: DlqTarget,
}

#[derive(Args)]
pub(super) struct DlqPlanOptions {
    #[command(flatten)]
    pub(super) target: DlqTarget,
    #[command(flatten)]
    pub(super) selection: DlqSelection,
    /// Why: a ticket.
    #[arg(long, value_name = "TICKET")]
    pub(super) because: String,
    /// Where to write the plan. It names users: the file is readable by you alone. Never overwritten.
    #[arg(short, long, default_value = "plan.json", value_name = "FILE")]
    pub(super) output: PathBuf,
}

#[derive(Args)]
pub(super) struct DlqApplyOptions {
    /// The plan.
    #[arg(value_name = "PLAN")]
    pub(super) plan: PathBuf,
    #[command(flatten)]
    pub(super) target: DlqTarget,
    /// Letters a second. Cognito's quota (25 writes a second by default) is shared with people who sign in.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(super) rate: u32,
    /// How many letters the first step has.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(super) canary: u32,
    /// How long the outcome of a first step is waited for, in seconds.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub(super) wait: u64,
}

#[derive(Args)]
pub(super) struct DlqVerifyOptions {
    /// The plan.
    #[arg(value_name = "PLAN")]
    pub(super) plan: PathBuf,
    #[command(flatten)]
    pub(super) target: DlqTarget,
    /// How long to wait for what is not settled yet, in seconds.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub(super) wait: u64,
}

#[derive(Args)]
pub(super) struct DlqArchiveOptions {
    #[command(flatten)]
    pub(super) target: DlqTarget,
    /// Only those that SQS drops within so many days.
    #[arg(long, value_name = "DAYS")]
    pub(super) expiring_within: Option<u64>,
    #[command(flatten)]
    pub(super) archive: DlqArchiveFile,
}

#[derive(Args)]
pub(super) struct DlqDiscardOptions {
    #[command(flatten)]
    pub(super) target: DlqTarget,
    /// The message. Can be given several times.
    #[arg(long, value_name = "ID", required = true)]
    pub(super) id: Vec<String>,
    /// Why: a ticket.
    #[arg(long, value_name = "TICKET")]
    pub(super) because: String,
    #[command(flatten)]
    pub(super) archive: DlqArchiveFile,
}

/// Where letters are kept.
#[derive(Args)]
pub(super) struct DlqArchiveFile {
    /// The file, which must not exist yet.
    #[arg(long = "to", value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Who can read it: an age X25519 recipient (age1…; `age-keygen` makes one). Can be given several times.
    #[arg(long, value_name = "RECIPIENT", required = true)]
    pub(super) recipient: Vec<String>,
}

/// What to look at; what is not named is not looked at. The stack's output `DoctorCommand` names it all.
#[derive(Args)]
#[group(required = true, multiple = true)]
pub(super) struct DoctorOptions {
    /// The callback queue.
    #[arg(long, value_name = "URL")]
    pub(super) queue_url: Option<String>,
    /// The dead-letter queue.
    #[arg(long, value_name = "URL")]
    pub(super) dead_letter_queue_url: Option<String>,
    /// The user pool.
    #[arg(long, value_name = "ID")]
    pub(super) user_pool: Option<String>,
    /// The secret that holds the key ring, by name or ARN.
    #[arg(long, value_name = "SECRET")]
    pub(super) key_ring: Option<String>,
    /// The callback function with its alias, as in idv-callback:live.
    #[arg(long, value_name = "FUNCTION")]
    pub(super) callback_function: Option<String>,
    /// The consumer function with its alias, as in idv-consumer:live.
    #[arg(long, value_name = "FUNCTION")]
    pub(super) consumer_function: Option<String>,
}

/// Which keys and which scheme.
#[derive(Args)]
pub(super) struct SigningOptions {
    /// The key ring. [default: $IDV_KEY_RING_FILE, or idv-keys.json]
    #[arg(long, value_name = "FILE")]
    pub(super) keys: Option<PathBuf>,
    /// The signature profile: standard-webhooks, timestamped or body-only. [default: $IDV_SIGNATURE_PROFILE, or
    /// standard-webhooks]
    #[arg(long, value_name = "NAME")]
    pub(super) profile: Option<crate::delivery::SignatureProfile>,
    /// The signature's header field, for timestamped and body-only. [default: $IDV_SIGNATURE_HEADER, or
    /// x-1kosmos-signature]
    #[arg(long, value_name = "NAME")]
    pub(super) header: Option<String>,
    /// The id of the webhook key to sign with. [default: the first on the ring]
    #[arg(long, value_name = "ID")]
    pub(super) key: Option<String>,
}

#[derive(Args)]
pub(super) struct SendOptions {
    /// Where to post.
    #[arg(long, default_value = "http://127.0.0.1:8787/idv-callback", value_name = "URL")]
    pub(super) url: String,
    #[command(flatten)]
    pub(super) signing: SigningOptions,
    /// How the proofing ended.
    #[arg(long, value_enum, default_value = "approved")]
    pub(super) status: StatusWord,
    /// The user's name; with --count, {n} stands for the number.
    #[arg(long, default_value = "ada", value_name = "NAME")]
    pub(super) user: String,
    /// The user pool.
    #[arg(long, default_value = "us-east-1_LocalPool", value_name = "ID")]
    pub(super) pool: String,
    /// The subject, as the provider knows the person. [default: made from the user's name]
    #[arg(long, value_name = "SUBJECT")]
    pub(super) subject: Option<String>,
    /// The identity assurance level.
    #[arg(long, default_value_t = 2, value_name = "LEVEL")]
    pub(super) ial: u8,
    /// The session. [default: made up]
    #[arg(long, value_name = "ID")]
    pub(super) session: Option<String>,
    /// When it happened, RFC 3339. [default: now]
    #[arg(long, value_name = "TIME")]
    pub(super) occurred_at: Option<String>,
    /// The binding from the session's metadata.
    #[arg(long, value_name = "TOKEN")]
    pub(super) binding: Option<String>,
    /// Post this file as it is, instead of a body made here.
    #[arg(long, value_name = "FILE")]
    pub(super) body: Option<PathBuf>,
    /// How many callbacks to send.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(super) count: u32,
    /// How many to have under way at a time.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(super) concurrency: u32,
}

/// How a proofing session ended.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum StatusWord {
    Approved,
    Declined,
    Expired,
    Abandoned,
    InReview,
}

impl StatusWord {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Declined => "declined",
            Self::Expired => "expired",
            Self::Abandoned => "abandoned",
            Self::InReview => "in_review",
        }
    }
}

#[derive(Args)]
pub(super) struct SignOptions {
    #[command(flatten)]
    pub(super) signing: SigningOptions,
    /// The message id, for standard-webhooks. [default: made up]
    #[arg(long, value_name = "ID")]
    pub(super) id: Option<String>,
    /// The time of signing, RFC 3339. [default: now]
    #[arg(long, value_name = "TIME")]
    pub(super) at: Option<String>,
}

#[derive(Args)]
pub(super) struct CapturedOptions {
    /// The captured request: an HTTP message (header lines, an empty line, the body), or a Lambda event in JSON.
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    #[command(flatten)]
    pub(super) signing: SigningOptions,
    /// When the request came, RFC 3339. [default: the time that it says it was signed]
    #[arg(long, value_name = "TIME")]
    pub(super) at: Option<String>,
}

#[derive(Subcommand)]
pub(super) enum KeysCommand {
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
pub(super) struct RingFile {
    /// The key ring, changed in place; - reads standard input and writes standard output.
    #[arg(long = "ring", default_value = DEFAULT_KEYS, value_name = "FILE")]
    pub(super) file: PathBuf,
}

/// What a key is for.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum KeyPurpose {
    Webhook,
    Seal,
    Binding,
}

impl KeyPurpose {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Seal => "seal",
            Self::Binding => "binding",
        }
    }
}

#[derive(Args)]
pub(super) struct AddKeyOptions {
    /// What the key is for.
    #[arg(value_enum)]
    pub(super) purpose: KeyPurpose,
    #[command(flatten)]
    pub(super) ring: RingFile,
    /// The key's id. [default: the purpose and today's date]
    #[arg(long, value_name = "ID")]
    pub(super) id: Option<String>,
    /// A file that holds the secret. [default: a fresh one is made]
    #[arg(long, value_name = "FILE")]
    pub(super) secret_file: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct ExpireKeyOptions {
    /// The key's id.
    #[arg(value_name = "ID")]
    pub(super) id: String,
    #[command(flatten)]
    pub(super) ring: RingFile,
    /// From when it is refused, RFC 3339. [default: now]
    #[arg(long, value_name = "TIME")]
    pub(super) at: Option<String>,
}

#[derive(Args)]
pub(super) struct RemoveKeyOptions {
    /// The key's id.
    #[arg(value_name = "ID")]
    pub(super) id: String,
    #[command(flatten)]
    pub(super) ring: RingFile,
}

#[derive(Args)]
pub(super) struct KeyUseOptions {
    /// Files of audit records, one a line, as the functions log them; - is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub(super) logs: Vec<PathBuf>,
}

#[derive(Args)]
pub(super) struct NewKeysOptions {
    /// Where to write it; - for standard output. An existing file is never overwritten.
    #[arg(short, long, default_value = DEFAULT_KEYS, value_name = "FILE")]
    pub(super) output: PathBuf,
}

#[derive(Args)]
pub(super) struct ShowKeysOptions {
    /// The key ring. [default: $IDV_KEY_RING_FILE, or idv-keys.json]
    #[arg(value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
}
