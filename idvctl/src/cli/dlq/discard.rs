//! `dlq discard`: nothing is deleted that is not in an archive.

use std::process::ExitCode;

use clap::Args;
use idv_callback::audit::AuditCode;
use idv_callback::clock::SystemClock;
use serde_json::json;

use crate::cli::dlq::archive_file;
use crate::cli::dlq::archive_file::{ArchiveFile, recipients};
use crate::cli::dlq::{Desk, Target, unreachable};
use crate::output::{Failure, Output, outcome};
use crate::ports::{DeadLetter, DeadLetterStore as _};
use crate::redrive::{Letter, take};

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

pub(crate) async fn run(desk: &Desk<'_>, options: &Options, output: Output) -> Result<ExitCode, Failure> {
    let recipients = recipients(&options.archive)?;
    let log = desk.log().await?;
    let depth = desk.store.depth().await.map_err(|error| unreachable(&error))?;
    let chosen = |letter: &DeadLetter| options.id.contains(&letter.id);
    let taken = take(&desk.store, &SystemClock, chosen).await;
    let (letters, _) = taken.map_err(|error| unreachable(&error))?;
    let missing: Vec<_> =
        options.id.iter().filter(|id| !letters.iter().any(|letter| letter.id == **id)).collect();
    let handles: Vec<_> = letters.iter().map(|letter| letter.handle.clone()).collect();
    let kept = if missing.is_empty() {
        archive_file::write(&options.archive, &recipients, &letters)
    } else {
        Ok(())
    };
    if !missing.is_empty() || kept.is_err() {
        desk.store.let_go(&handles).await.map_err(|error| unreachable(&error))?;
        kept?;
        for id in &missing {
            output.note(format!("there is no dead letter {id} that can be had now; nothing was discarded"));
        }
        output.value(&json!({ "discarded": 0, "missing": missing }))?;
        return Ok(outcome(false));
    }
    for letter in &letters {
        let shown = Letter::read(letter, &desk.ring, depth.retention);
        let mut record = log.act(AuditCode::Discarded, &options.because);
        record.receipt_id = shown.receipt;
        record.message_id = Some(letter.id.clone());
        let written = log.write(&record.detail(format!("{} body {}", shown.reason, shown.body_sha256)));
        let removed = match written {
            Ok(()) => desk.store.remove(&letter.handle).await.map_err(|error| unreachable(&error)),
            unwritten => unwritten,
        };
        if removed.is_err() {
            // Those that are gone already are no matter to it.
            desk.store.let_go(&handles).await.map_err(|error| unreachable(&error))?;
            return removed.map(|()| outcome(false));
        }
    }
    output.line(format!("{} discarded; they are in {}", letters.len(), options.archive.file.display()))?;
    output.value(&json!({ "archive": options.archive.file, "discarded": letters.len() }))?;
    Ok(ExitCode::SUCCESS)
}
