//! `audit trace`: one delivery or one user, record by record.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use idv_callback::audit::pseudonym;
use idv_callback::aws::{CallLimits, CognitoDirectory};
use idv_callback::config::Environment;
use idv_callback::ports::UserDirectory as _;
use idv_callback::verification::{PoolId, UserReference, Username};
use serde_json::json;

use crate::aws::connect;
use crate::cli::audit::comparison::listed_users;
use crate::cli::audit::source::{Reader, Sources};
use crate::cli::keys;
use crate::cli::local::local_connection;
use crate::output::{Failure, Output, outcome};
use crate::trail::{Entry, Thread, Tracing};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) sources: Sources,
    #[command(flatten)]
    pub(crate) what: Traced,
    /// The pool of --user.
    #[arg(long, value_name = "ID", default_value = "us-east-1_LocalPool")]
    pub(crate) pool: String,
    /// The user's `sub`, if nobody is to be asked for it.
    #[arg(long, value_name = "SUB", requires = "user")]
    pub(crate) sub: Option<String>,
    /// An export of the pool, from `aws cognito-idp list-users`, to find the user in.
    #[arg(long, value_name = "FILE", requires = "user")]
    pub(crate) users: Option<PathBuf>,
    /// The key ring, whose audit key makes pseudonyms. [default: $IDV_KEY_RING_FILE, or idv-keys.json]
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,
    /// The embedded stack of a running `idvctl dev`, to find the user in. [default address: http://127.0.0.1:8787]
    #[arg(long, value_name = "URL", num_args = 0..=1, require_equals = true,
          default_missing_value = "http://127.0.0.1:8787")]
    pub(crate) local: Option<String>,
}

/// Whose life.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Traced {
    /// A receipt, or what it begins with.
    #[arg(long, value_name = "RECEIPT")]
    pub(crate) receipt: Option<String>,
    /// A proofing session.
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,
    /// An event.
    #[arg(long, value_name = "ID")]
    pub(crate) event: Option<String>,
    /// A user, by name.
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// A user, by pseudonym.
    #[arg(long, value_name = "PSEUDONYM")]
    pub(crate) pseudonym: Option<String>,
}

pub(crate) async fn run(
    options: &Options,
    environment: &Environment,
    output: Output,
) -> Result<ExitCode, Failure> {
    let reader = Reader { sources: &options.sources, environment, output };
    if !reader.is_repeatable() {
        return Err(Failure::usage("the records are read twice: name files instead of standard input"));
    }
    let user = match (&options.what.user, &options.what.pseudonym) {
        (Some(name), _) => Some(find_pseudonym(name, options, environment).await?),
        (None, given) => given.clone(),
    };
    let what = &options.what;
    let mut tracing = Tracing::default();
    tracing.receipt.clone_from(&what.receipt);
    tracing.session.clone_from(&what.session);
    tracing.event.clone_from(&what.event);
    tracing.user = user;
    let (_, unreadable) = reader.entries(|entry| tracing.first(&entry)).await?;
    let mut thread = Thread::default();
    reader.entries(|entry| tracing.second(entry, &mut thread)).await?;
    let entries = thread.in_order();
    let mut receipt = None;
    for entry in &entries {
        if entry.receipt_id != receipt {
            receipt.clone_from(&entry.receipt_id);
            output.line(receipt.as_deref().unwrap_or("(not about a single callback)"))?;
        }
        output.line(format!("  {} {} {}", entry.at, entry.code.code(), entry.sentence()))?;
    }
    let value = |entry: &Entry| {
        json!({
            "at": entry.at,
            "code": entry.code.code(),
            "event": entry.code.word(),
            "receipt_id": entry.receipt_id,
            "sentence": entry.sentence(),
            "writer": entry.writer,
            "seq": entry.seq,
        })
    };
    output.value(&json!({ "records": entries.iter().map(value).collect::<Vec<_>>() }))?;
    if unreadable > 0 {
        output.note(format!("{unreadable} records cannot be read by this version of idvctl"));
    }
    if entries.is_empty() {
        output.note("these records hold nothing about that");
    }
    Ok(outcome(!entries.is_empty()))
}

/// The pseudonym of a user whose name is known. Their `sub` goes into it: from the command line, an export, or the pool.
async fn find_pseudonym(name: &str, options: &Options, environment: &Environment) -> Result<String, Failure> {
    let wrong = |_| Failure::usage("--user must be a user's name, and --pool a user pool's id");
    let pool = PoolId::of_real_pool(&options.pool).map_err(wrong)?;
    let gone = "there is no user of that name any more; with the user went what their pseudonym is made of, \
                so that nobody can find their records by the name";
    let sub = if let Some(sub) = &options.sub {
        sub.clone()
    } else if let Some(path) = &options.users {
        let users = listed_users(path)?;
        let user = users.iter().find(|user| user.username.eq_ignore_ascii_case(name));
        let sub = user.and_then(|user| user.attribute("sub"));
        sub.ok_or_else(|| Failure::usage(gone))?.to_owned()
    } else {
        let connection = match &options.local {
            Some(url) => local_connection(url, environment),
            None => connect(environment, CallLimits::CONSUMER).await,
        };
        let connection = connection.map_err(|error| Failure::usage(error.to_string()))?;
        let user = UserReference { pool: pool.clone(), username: Username::new(name).map_err(wrong)? };
        let found = match CognitoDirectory::new(&connection).find(&user).await {
            Ok(found) => found,
            Err(error) => {
                error.into_fault().map_or(Ok(None), |fault| Err(Failure::unreachable(fault.to_string())))?
            }
        };
        found.and_then(|user| user.sub).ok_or_else(|| Failure::usage(gone))?
    };
    let ring = keys::read_ring(&keys::ring_path(options.keys.as_ref(), environment))?;
    Ok(pseudonym(&ring.audit, &pool, &sub))
}
