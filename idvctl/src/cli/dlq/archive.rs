//! `dlq archive`: nothing is dropped unseen.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use idv_callback::audit::AuditCode;
use idv_callback::clock::SystemClock;
use idv_callback::ports::Clock as _;
use serde_json::json;

use crate::cli::dlq::archive_file;
use crate::cli::dlq::archive_file::{ArchiveFile, recipients};
use crate::cli::dlq::listing::{is_complete, remarks};
use crate::cli::dlq::{OperatorSession, Target, unreachable};
use crate::output::{Failure, Output, outcome};
use crate::ports::{DeadLetter, DeadLetterStore as _};
use crate::redrive::take;

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Only those that SQS drops within so many days.
    #[arg(long, value_name = "DAYS")]
    pub(crate) expiring_within: Option<u64>,
    #[command(flatten)]
    pub(crate) archive: ArchiveFile,
}

pub(crate) async fn run(
    session: &OperatorSession<'_>,
    options: &Options,
    output: Output,
) -> Result<ExitCode, Failure> {
    let recipients = recipients(&options.archive)?;
    let log = session.log().await?;
    let depth = session.store.depth().await.map_err(|error| unreachable(&error))?;
    let within = options.expiring_within.map(|days| Duration::from_secs(days * 86_400));
    let now = SystemClock.now();
    let expires = |message: &DeadLetter| {
        within.is_none_or(|within| message.sent_at.plus(depth.retention).since(now) <= within)
    };
    let taken = take(&session.store, &SystemClock, expires).await;
    let (letters, scanned) = taken.map_err(|error| unreachable(&error))?;
    let kept = archive_file::write(&options.archive, &recipients, &letters);
    let handles: Vec<_> = letters.iter().map(|message| message.handle.clone()).collect();
    session.store.release(&handles).await.map_err(|error| unreachable(&error))?;
    kept?;
    let mut record = log.act(AuditCode::Archived, "");
    record.letters = Some(letters.len());
    log.write(&record)?;
    output.line(format!(
        "{}: {} messages copied; all are still in the dead-letter queue",
        options.archive.file.display(),
        letters.len()
    ))?;
    let complete = is_complete(depth, scanned);
    remarks(depth, scanned, output);
    output
        .value(&json!({ "archive": options.archive.file, "letters": letters.len(), "complete": complete }))?;
    // What was not seen is not kept.
    Ok(outcome(complete))
}
