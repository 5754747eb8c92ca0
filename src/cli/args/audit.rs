//! What `idvctl audit` is told.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Subcommand)]
pub(in crate::cli) enum AuditCommand {
    /// Say whether a trail is whole and unaltered: every gap, edit, reorder, duplicate and fork, by record. Offline.
    Verify(AuditVerifyOptions),
    /// Seal what is new: a Merkle tree over the chains' ends, and a signed checkpoint of it.
    Seal(AuditSealOptions),
    /// Make a key for sealing, and print its public half.
    Keygen(AuditKeygenOptions),
    /// Tell the life of one delivery or of one user, in order, with the reason for each step.
    Trace(AuditTraceOptions),
    /// Say whether every accepted callback ended in exactly one outcome, and whether every change to a user has a record.
    Reconcile(AuditReconcileOptions),
    /// Decide everything again, by today's rules, and list what would be another.
    Redecide(AuditSources),
    /// Make one self-contained page to print or open offline.
    Report(AuditReportOptions),
    /// Print the records in another form.
    Export(AuditExportOptions),
    /// Put records, seals, schema and a verifier of one page into a file.
    Bundle(AuditBundleOptions),
    /// Print the JSON Schema of a record.
    Schema,
    /// Print the table of all codes, in Markdown.
    Codes,
}

/// Where the records are.
#[derive(Args)]
pub(in crate::cli) struct AuditSources {
    /// Files of records, plain or gzip; folders of such files, in the order of their names; s3://BUCKET/PREFIX;
    /// logs:LOG-GROUP; - is standard input.
    #[arg(required = true, value_name = "SOURCE")]
    pub(in crate::cli) sources: Vec<String>,
    /// Identical copies of a record, and records out of their order, are told and are no finding: Firehose, say, delivers at
    /// least once and in no order.
    #[arg(long)]
    pub(in crate::cli) at_least_once: bool,
    /// Of a log group, only what was logged since, RFC 3339.
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) since: Option<String>,
    /// Of a log group, only what was logged before, RFC 3339.
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) until: Option<String>,
}

/// What is sealed.
#[derive(Args)]
pub(in crate::cli) struct AuditSeals {
    /// The folder that `seal` keeps: leaves.jsonl and checkpoints.
    #[arg(long, value_name = "FOLDER")]
    pub(in crate::cli) sealed: Option<PathBuf>,
    /// The public key, as `keygen` prints it, or a file with it.
    #[arg(long, value_name = "KEY", requires = "sealed")]
    pub(in crate::cli) key: Option<String>,
    /// Take what the first N checkpoints seal as given: only the records behind that are here.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "sealed")]
    pub(in crate::cli) after: usize,
}

#[derive(Args)]
pub(in crate::cli) struct AuditVerifyOptions {
    #[command(flatten)]
    pub(in crate::cli) sources: AuditSources,
    #[command(flatten)]
    pub(in crate::cli) seals: AuditSeals,
    /// A silence of a kind of writer that is longer than this is a finding. Without it, it is only told.
    #[arg(long, value_name = "MINUTES")]
    pub(in crate::cli) most_silence: Option<u64>,
}

#[derive(Args)]
pub(in crate::cli) struct AuditSealOptions {
    #[command(flatten)]
    pub(in crate::cli) sources: AuditSources,
    /// The folder to add to.
    #[arg(long, value_name = "FOLDER")]
    pub(in crate::cli) to: PathBuf,
    /// The file of the secret key.
    #[arg(long, value_name = "FILE", required_unless_present = "kms_key")]
    pub(in crate::cli) signing_key: Option<PathBuf>,
    /// An asymmetric key in AWS KMS (ECC_NIST_EDWARDS25519, for signing), by ARN or alias.
    #[arg(long, value_name = "KEY", conflicts_with = "signing_key", requires = "name")]
    pub(in crate::cli) kms_key: Option<String>,
    /// The name of the KMS key's log.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) name: Option<String>,
    /// The records are only those behind what is sealed; else everything sealed must be there, too.
    #[arg(long)]
    pub(in crate::cli) only_new: bool,
    /// Seal although something is wrong; the checkpoint says of how many findings.
    #[arg(long)]
    pub(in crate::cli) with_findings: bool,
}

#[derive(Args)]
pub(in crate::cli) struct AuditKeygenOptions {
    /// The log's name, like example.org/idv-audit.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) name: String,
    /// Where to write the secret key. Never overwritten.
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) output: PathBuf,
}

#[derive(Args)]
pub(in crate::cli) struct AuditTraceOptions {
    #[command(flatten)]
    pub(in crate::cli) sources: AuditSources,
    #[command(flatten)]
    pub(in crate::cli) what: AuditTraced,
    /// The pool of --user.
    #[arg(long, value_name = "ID", default_value = "us-east-1_LocalPool")]
    pub(in crate::cli) pool: String,
    /// The user's `sub`, if nobody is to be asked for it.
    #[arg(long, value_name = "SUB", requires = "user")]
    pub(in crate::cli) sub: Option<String>,
    /// An export of the pool, from `aws cognito-idp list-users`, to find the user in.
    #[arg(long, value_name = "FILE", requires = "user")]
    pub(in crate::cli) users: Option<PathBuf>,
    /// The key ring, whose audit key makes pseudonyms. [default: $IDV_KEY_RING_FILE, or idv-keys.json]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) keys: Option<PathBuf>,
    /// The embedded stack of a running `idvctl dev`, to find the user in. [default address: http://127.0.0.1:8787]
    #[arg(long, value_name = "URL", num_args = 0..=1, require_equals = true,
          default_missing_value = "http://127.0.0.1:8787")]
    pub(in crate::cli) local: Option<String>,
}

/// Whose life.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(in crate::cli) struct AuditTraced {
    /// A receipt, or what it begins with.
    #[arg(long, value_name = "RECEIPT")]
    pub(in crate::cli) receipt: Option<String>,
    /// A proofing session.
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) session: Option<String>,
    /// An event.
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) event: Option<String>,
    /// A user, by name.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) user: Option<String>,
    /// A user, by pseudonym.
    #[arg(long, value_name = "PSEUDONYM")]
    pub(in crate::cli) pseudonym: Option<String>,
}

#[derive(Args)]
pub(in crate::cli) struct AuditReconcileOptions {
    #[command(flatten)]
    pub(in crate::cli) sources: AuditSources,
    #[command(flatten)]
    pub(in crate::cli) beside: AuditBeside,
}

/// What a trail is held against.
#[derive(Args)]
pub(in crate::cli) struct AuditBeside {
    /// An export of a pool, from `aws cognito-idp list-users`: users whose record comes from no record here.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) users: Option<PathBuf>,
    /// Files or folders of CloudTrail: calls that changed a user and that no record explains. Can be given several times.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) cloudtrail: Vec<PathBuf>,
    /// Of CloudTrail, only calls on this pool. Can be given several times; without it, calls on any.
    #[arg(long, value_name = "ID", requires = "cloudtrail")]
    pub(in crate::cli) user_pool: Vec<String>,
    /// The trail does not begin at the beginning: outcomes of callbacks accepted earlier are expected.
    #[arg(long)]
    pub(in crate::cli) begins_later: bool,
}

#[derive(Args)]
pub(in crate::cli) struct AuditReportOptions {
    #[command(flatten)]
    pub(in crate::cli) sources: AuditSources,
    #[command(flatten)]
    pub(in crate::cli) seals: AuditSeals,
    #[command(flatten)]
    pub(in crate::cli) beside: AuditBeside,
    /// Where to write the page. Never overwritten.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) html: PathBuf,
}

/// A form.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ExportFormat {
    /// The Open Cybersecurity Schema Framework, 1.1.0, class API Activity: one event a line.
    Ocsf,
}

#[derive(Args)]
pub(in crate::cli) struct AuditExportOptions {
    #[command(flatten)]
    pub(in crate::cli) sources: AuditSources,
    /// The form.
    #[arg(long, value_enum)]
    pub(in crate::cli) format: ExportFormat,
}

#[derive(Args)]
pub(in crate::cli) struct AuditBundleOptions {
    #[command(flatten)]
    pub(in crate::cli) sources: AuditSources,
    /// The folder that `seal` keeps.
    #[arg(long, value_name = "FOLDER")]
    pub(in crate::cli) sealed: Option<PathBuf>,
    /// Where to write the bundle, a .tar. Never overwritten.
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) output: PathBuf,
}
