//! `dlq archive`: nothing is dropped unseen.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use idv_callback::audit::AuditCode;
use serde_json::json;

use crate::cli::dlq::archive_file::{self, recipients};
use crate::cli::dlq::chosen::Chosen;
use crate::cli::dlq::listing::{is_complete, remarks, tell_by_reason};
use crate::cli::dlq::selection::{SelectionOptions, nothing_chosen, refuse_absent, refuse_unknown_reasons};
use crate::cli::dlq::{OperatorSession, Target, unreachable};
use crate::cli::private_file;
use crate::output::{Failure, Output, outcome};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) selection: SelectionOptions,
    /// The file, which must not exist yet.
    #[arg(long = "to", value_name = "FILE", required_unless_present = "dry_run")]
    pub(crate) file: Option<PathBuf>,
    /// Who can read it: an age X25519 recipient (age1…; `age-keygen` makes one). Can be given several times.
    #[arg(long, value_name = "RECIPIENT", required_unless_present = "dry_run")]
    pub(crate) recipient: Vec<String>,
    /// Show which messages would be copied; write nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

pub(crate) async fn run(
    session: &OperatorSession<'_>,
    options: &Options,
    output: Output,
) -> Result<ExitCode, Failure> {
    let recipients = recipients(&options.recipient)?;
    let file = options.file.as_ref().filter(|_| !options.dry_run);
    if let Some(file) = file {
        private_file::refuse_existing(file)?;
    }
    let log = session.log().await?;
    let selection = options.selection.selection();
    let Chosen { taken, census, reasons, depth } = Chosen::hold(session, &selection, false).await?;
    let (letters, complete) = (taken.letters, is_complete(depth, taken.scanned));
    let absent = refuse_absent(&selection, &census);
    let kept = match file {
        Some(file) if !letters.is_empty() && absent.is_ok() => {
            archive_file::write(file, &recipients, &letters)
        }
        _ => Ok(()),
    };
    taken.held.release().await.map_err(|error| unreachable(&error))?;
    kept?;
    absent?;
    refuse_unknown_reasons(&selection, &census)?;
    if letters.is_empty() && !selection.is_everything() {
        return Err(nothing_chosen(&census, complete));
    }
    if let Some(file) = file.filter(|_| !letters.is_empty()) {
        let mut record = log.act(AuditCode::Archived, "");
        record.letters = Some(letters.len());
        log.write(&record)?;
        output.line(format!(
            "{}: {} messages copied; all are still in the dead-letter queue",
            file.display(),
            letters.len()
        ))?;
    } else {
        tell_by_reason(&reasons, "would be copied", output)?;
    }
    remarks(depth, taken.scanned, output);
    output.value(&json!({
        "archive": file.filter(|_| !letters.is_empty()),
        "dry_run": options.dry_run,
        "letters": letters.len(),
        "reasons": reasons,
        "complete": complete,
    }))?;
    // What was not seen is not kept.
    Ok(outcome(complete && !letters.is_empty()))
}
