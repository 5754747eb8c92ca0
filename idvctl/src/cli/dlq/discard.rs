//! `dlq discard`: nothing is deleted that is not in an archive.

use std::process::ExitCode;

use clap::Args;
use idv_callback::audit::AuditCode;
use idv_callback::clock::SystemClock;
use serde_json::json;

use crate::cli::dlq::archive_file;
use crate::cli::dlq::archive_file::{ArchiveFile, recipients};
use crate::cli::dlq::{OperatorSession, Target, unreachable};
use crate::output::{Failure, Output, outcome};
use crate::ports::{DeadLetter, DeadLetterStore as _};
use crate::redrive::{DeadLetterSummary, take};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) target: Target,
    /// The message. Can be given several times.
    #[arg(long, value_name = "ID", required = true)]
    pub(crate) id: Vec<String>,
    /// Why: a ticket.
    #[arg(long, value_name = "TICKET")]
    pub(crate) because: String,
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
    let chosen = |message: &DeadLetter| options.id.contains(&message.id);
    let taken = take(&session.store, &SystemClock, chosen).await;
    let (letters, _) = taken.map_err(|error| unreachable(&error))?;
    let missing: Vec<_> =
        options.id.iter().filter(|id| !letters.iter().any(|message| message.id == **id)).collect();
    let handles: Vec<_> = letters.iter().map(|message| message.handle.clone()).collect();
    let kept = if missing.is_empty() {
        archive_file::write(&options.archive, &recipients, &letters)
    } else {
        Ok(())
    };
    if !missing.is_empty() || kept.is_err() {
        session.store.release(&handles).await.map_err(|error| unreachable(&error))?;
        kept?;
        for id in &missing {
            output.note(format!(
                "dead letter {id} was not found, or somebody holds it now; nothing was discarded"
            ));
        }
        output.value(&json!({ "discarded": 0, "missing": missing }))?;
        return Ok(outcome(false));
    }
    for message in &letters {
        let shown = DeadLetterSummary::read(message, &session.ring, depth.retention);
        let mut record = log.act(AuditCode::Discarded, &options.because);
        record.receipt_id = shown.receipt;
        record.message_id = Some(message.id.clone());
        let written = log.write(&record.detail(format!("{} body {}", shown.reason, shown.body_sha256)));
        let removed = match written {
            Ok(()) => session.store.remove(&message.handle).await.map_err(|error| unreachable(&error)),
            unwritten => unwritten,
        };
        if removed.is_err() {
            // Those that are gone already are no matter to it.
            session.store.release(&handles).await.map_err(|error| unreachable(&error))?;
            return removed.map(|()| outcome(false));
        }
    }
    output.line(format!("{} discarded; they are in {}", letters.len(), options.archive.file.display()))?;
    output.value(&json!({ "archive": options.archive.file, "discarded": letters.len() }))?;
    Ok(ExitCode::SUCCESS)
}
