//! `dlq discard`: nothing is deleted that is not in an archive; and no evidence without a second operator.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use idv_callback::audit::AuditCode;
use idv_callback::clock::SystemClock;
use idv_callback::envelope::BodyDigest;
use serde_json::json;

use crate::cli::dlq::archive_file::{self, recipients};
use crate::cli::dlq::chosen::Chosen;
use crate::cli::dlq::discard_proposal::DiscardProposal;
use crate::cli::dlq::listing::{is_complete, remarks, tell_by_reason};
use crate::cli::dlq::proposal::approved_by;
use crate::cli::dlq::selection::{
    SelectionOptions, evidence, nothing_chosen, refuse_absent, refuse_unknown_reasons, tell_evidence, ticket,
};
use crate::cli::dlq::{OperatorSession, Target, unreachable};
use crate::cli::operator::OperatorLog;
use crate::cli::private_file;
use crate::output::{Failure, Output, outcome};
use crate::ports::{DeadLetter, DeadLetterStore as _};
use crate::redrive::{DeadLetterSummary, Selection, Taken, take};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) selection: SelectionOptions,
    /// Why: a ticket.
    #[arg(long, value_name = "TICKET", value_parser = ticket, required_unless_present_any = ["approved", "dry_run"])]
    pub(crate) because: Option<String>,
    /// The archive that they are copied into first. The file must not exist yet.
    #[arg(long = "to", value_name = "FILE", required_unless_present_any = ["approved", "dry_run"])]
    pub(crate) file: Option<PathBuf>,
    /// Who can read it: an age X25519 recipient (age1…; `age-keygen` makes one). Can be given several times.
    #[arg(long, value_name = "RECIPIENT", required_unless_present_any = ["approved", "dry_run"])]
    pub(crate) recipient: Vec<String>,
    /// Conflicts and suspected forgeries are evidence: they are copied, and this file is written for a second operator to
    /// approve. Never overwritten.
    #[arg(short, long, default_value = "discard.json", value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Delete what a second operator has approved: the file that an earlier `discard` wrote. Its approval is in FILE.approval.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["SelectionOptions", "because", "file", "recipient"])]
    pub(crate) approved: Option<PathBuf>,
    /// Show which messages would be deleted; change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

pub(crate) async fn run(
    session: &OperatorSession<'_>,
    options: &Options,
    output: Output,
) -> Result<ExitCode, Failure> {
    if let Some(file) = &options.approved {
        return discard_approved(session, options, file, output).await;
    }
    let selection = options.selection.selection();
    if selection.is_everything() {
        return Err(Failure::usage("which messages? give --reason, --id or another filter"));
    }
    let (because, file) = (options.because.as_deref().unwrap_or_default(), options.file.as_deref());
    let recipients = recipients(&options.recipient)?;
    for path in file.into_iter().filter(|_| !options.dry_run) {
        private_file::refuse_existing(path)?;
    }
    let log = session.log().await?;
    let chosen = Chosen::hold(session, &selection, true).await?;
    if let Some(failure) = refusal(&selection, &chosen) {
        chosen.release().await?;
        return Err(failure);
    }
    let census = chosen.census.clone();
    tell_evidence(&census, output);
    let Some(file) = file.filter(|_| !options.dry_run) else { return dry_run(chosen, output).await };
    if !census.named.is_empty()
        && let Err(failure) = private_file::refuse_existing(&options.output)
    {
        chosen.release().await?;
        return Err(failure);
    }
    let (depth, scanned, taken) = (chosen.depth, chosen.taken.scanned, chosen.taken);
    let kept = archive_file::write(file, &recipients, &taken.letters);
    if kept.is_err() || !census.named.is_empty() {
        let proposed = match kept {
            Ok(()) => propose(session, (&log, because), (file, &taken.letters), &options.output),
            Err(failure) => Err(failure),
        };
        taken.held.release().await.map_err(|error| unreachable(&error))?;
        return told_proposed(proposed?, options, output);
    }
    let count = delete(session, taken, (&log, because, None)).await?;
    output.line(format!("{count} discarded; they are in {}", file.display()))?;
    remarks(depth, scanned, output);
    let complete = is_complete(depth, scanned);
    output.value(&json!({
        "archive": file,
        "discarded": count,
        "evidence": evidence(&census),
        "complete": complete,
    }))?;
    // Who named the messages meant these; who gave a filter may have meant some that could not be seen.
    Ok(outcome(complete || !selection.ids.is_empty()))
}

/// Why nothing is done.
fn refusal(selection: &Selection, chosen: &Chosen<'_>) -> Option<Failure> {
    let census = &chosen.census;
    if let Err(failure) = refuse_unknown_reasons(selection, census).and(refuse_absent(selection, census)) {
        return Some(failure);
    }
    let complete = is_complete(chosen.depth, chosen.taken.scanned);
    chosen.taken.letters.is_empty().then(|| nothing_chosen(census, complete))
}

/// Says what would be done.
async fn dry_run(chosen: Chosen<'_>, output: Output) -> Result<ExitCode, Failure> {
    let (letters, reasons, census) =
        (chosen.taken.letters.len(), chosen.reasons.clone(), chosen.census.clone());
    let (depth, scanned) = (chosen.depth, chosen.taken.scanned);
    chosen.release().await?;
    tell_by_reason(&reasons, "would be copied and deleted", output)?;
    remarks(depth, scanned, output);
    output.value(&json!({
        "dry_run": true,
        "letters": letters,
        "reasons": reasons,
        "evidence": evidence(&census),
        "complete": is_complete(depth, scanned),
    }))?;
    Ok(ExitCode::SUCCESS)
}

/// Asks for a second operator.
fn propose(
    session: &OperatorSession<'_>,
    (log, because): (&OperatorLog, &str),
    (archive, letters): (&Path, &[DeadLetter]),
    path: &Path,
) -> Result<usize, Failure> {
    let proposal = DiscardProposal::of(session, (because, &log.who), archive, letters)?;
    let mut record = log.act(AuditCode::DiscardProposed, because);
    record.letters = Some(letters.len());
    private_file::write_new_json(path, &proposal)?;
    log.write(&record)?;
    Ok(letters.len())
}

fn told_proposed(letters: usize, options: &Options, output: Output) -> Result<ExitCode, Failure> {
    let (file, archive) = (options.output.display(), options.file.as_ref());
    let archive = archive.map(|file| file.display().to_string()).unwrap_or_default();
    output.line(format!(
        "nothing was discarded: evidence is among the {letters} messages, which are copied into {archive}. A second \
         operator looks and approves: idvctl dlq approve {file}; then: idvctl dlq discard --approved {file}"
    ))?;
    output.value(&json!({
        "discarded": 0,
        "letters": letters,
        "archive": options.file,
        "proposal": options.output,
    }))?;
    Ok(outcome(false))
}

/// Deletes exactly what was approved, and is in the archive.
async fn discard_approved(
    session: &OperatorSession<'_>,
    options: &Options,
    path: &Path,
    output: Output,
) -> Result<ExitCode, Failure> {
    let log = session.log().await?;
    let proposal = DiscardProposal::read(path, session)?;
    if proposal.by != log.who {
        return Err(Failure::usage(format!(
            "{} proposed it, so only the same operator can do it",
            proposal.by
        )));
    }
    if archive_file::digest(Path::new(&proposal.archive))? != proposal.archive_sha256 {
        return Err(Failure::usage(format!(
            "{}: the archive is not the one that was approved",
            proposal.archive
        )));
    }
    let approved_by = approved_by(session, path, (&proposal.digest()?, &proposal.by)).await?;
    let chosen = |message: &DeadLetter| proposal.names(&message.id, &BodyDigest::of(message.body.as_bytes()));
    let taken = take(&session.store, &SystemClock, chosen).await.map_err(|error| unreachable(&error))?;
    let missing = proposal.letters.len() - taken.letters.len();
    if missing > 0 || options.dry_run {
        taken.held.release().await.map_err(|error| unreachable(&error))?;
        if missing > 0 {
            return Err(Failure::refused(format!(
                "{missing} of {} messages are not there as they were approved; nothing was discarded",
                proposal.letters.len()
            )));
        }
        output.line(format!("{} messages would be deleted", proposal.letters.len()))?;
        output.value(&json!({ "dry_run": true, "letters": proposal.letters.len() }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let count = delete(session, taken, (&log, &proposal.because, Some(&approved_by))).await?;
    output.line(format!("{count} discarded, approved by {approved_by}; they are in {}", proposal.archive))?;
    output.value(&json!({ "archive": proposal.archive, "discarded": count, "approved_by": approved_by }))?;
    Ok(ExitCode::SUCCESS)
}

/// Each is written down before it is deleted.
async fn delete(
    session: &OperatorSession<'_>,
    mut taken: Taken<'_, idv_callback::aws::MessageQueue, SystemClock>,
    (log, because, approved_by): (&OperatorLog, &str, Option<&str>),
) -> Result<usize, Failure> {
    let all = taken.letters.len();
    for (done, message) in taken.letters.iter().enumerate() {
        let shown = DeadLetterSummary::read(message, &session.ring, std::time::Duration::ZERO);
        let mut record = log.act(AuditCode::Discarded, because);
        record.receipt_id = shown.receipt;
        record.message_id = Some(message.id.clone());
        record.approved_by = approved_by.map(str::to_owned);
        let written = log.write(&record.detail(format!("{} body {}", shown.reason, shown.body_sha256)));
        let removed = match written {
            Ok(()) => async {
                taken.held.keep().await?;
                session.store.remove(&message.handle).await
            }
            .await
            .map_err(|error| unreachable(&error)),
            unwritten => unwritten,
        };
        if let Err(failure) = removed {
            // Those that are gone already are no matter to it; what stays held comes back within a minute.
            let released = taken.held.release().await;
            let held = if released.is_err() { " They can be seen again within a minute." } else { "" };
            return Err(failure.after(&format!(
                "{done} of {all} messages were deleted, and are in the archive; the others are dead letters still.{held}"
            )));
        }
    }
    Ok(all)
}
