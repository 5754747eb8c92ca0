//! The arguments.
#![expect(clippy::doc_markdown, reason = "these comments are the help that people read in a terminal")]

mod audit;
mod dlq;
mod keys;
mod proof;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(super) use audit::*;
pub(super) use dlq::*;
pub(super) use keys::*;
pub(super) use proof::*;

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
    /// The audit trail: is it whole, did every callback end, what happened to whom, and a page for the auditor.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Dead letters: see what is there, what would become of each, send them back, see what became of them.
    #[command(subcommand)]
    Dlq(DlqCommand),
    /// Open a proofing session for a user who is there.
    #[command(subcommand)]
    Proof(ProofCommand),
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
    /// Append the audit log to this file, too: chained records, one a line.
    #[arg(long, value_name = "FILE")]
    pub(super) audit_log: Option<PathBuf>,
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
    // clap breaks the line at its own `{n}`; a code that resets the colour, and is taken out where there is none, parts it.
    #[arg(
        long,
        default_value = "ada",
        value_name = "NAME",
        help = "The user's name; with --count, {\u{1b}[0mn} stands for the number"
    )]
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
    InProgress,
}

impl StatusWord {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Declined => "declined",
            Self::Expired => "expired",
            Self::Abandoned => "abandoned",
            Self::InReview => "in_review",
            Self::InProgress => "in_progress",
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
