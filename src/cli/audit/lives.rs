//! `audit trace|export`: the records themselves.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::check::listed_users;
use super::source::Reader;
use crate::audit::pseudonym;
use crate::aws::{AwsConnection, CallLimits, CognitoDirectory};
use crate::cli::args::{AuditExportOptions, AuditTraceOptions, ExportFormat};
use crate::cli::keys;
use crate::cli::local::local_connection;
use crate::cli::output::{self, Failure, Output, outcome};
use crate::config::Environment;
use crate::ports::UserDirectory as _;
use crate::trail::{Entry, Thread, Tracing, ocsf};
use crate::verification::{PoolId, UserReference, Username};

pub(super) async fn trace(
    options: &AuditTraceOptions,
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
            output.line(receipt.as_deref().unwrap_or("(of no single callback)"))?;
        }
        output.line(format!("  {} {} {}", entry.at, entry.code, entry.sentence()))?;
    }
    let value = |entry: &Entry| {
        json!({
            "at": entry.at,
            "code": entry.code,
            "event": entry.event,
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
        output.note("there is nothing of that in these records");
    }
    Ok(outcome(!entries.is_empty()))
}

/// The pseudonym of a user whose name is known. Their `sub` goes into it: from the command line, an export, or the pool.
async fn find_pseudonym(
    name: &str,
    options: &AuditTraceOptions,
    environment: &Environment,
) -> Result<String, Failure> {
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
            None => AwsConnection::of_process(environment, CallLimits::CONSUMER).await,
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

pub(super) async fn export(
    options: &AuditExportOptions,
    environment: &Environment,
    output: Output,
) -> Result<ExitCode, Failure> {
    let reader = Reader { sources: &options.sources, environment, output };
    let (mut written, mut failed) = (0_u64, None);
    reader
        .records(|_, record| {
            let (Some(entry), Ok(value)) = (Entry::read(record), serde_json::from_slice::<Value>(record))
            else {
                return;
            };
            let event = match options.format {
                ExportFormat::Ocsf => ocsf(&entry, &value),
            };
            written += 1;
            if failed.is_none() {
                failed = output::raw(format!("{event}\n").as_bytes()).err();
            }
        })
        .await?;
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(outcome(written > 0)),
    }
}
