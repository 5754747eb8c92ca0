//! `dlq approve`: a second operator agrees.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use idv_callback::audit::AuditCode;
use idv_callback::clock::SystemClock;
use idv_callback::envelope::BodyDigest;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::aws::sign_statement;
use crate::cli::dlq::discard_proposal::{self, DiscardProposal};
use crate::cli::dlq::proposal;
use crate::cli::dlq::proposal::{Proposal, approval_path, refuse_if_applied};
use crate::cli::dlq::selection::counts;
use crate::cli::dlq::{OperatorSession, Target, unreachable};
use crate::cli::private_file;
use crate::output::{Failure, Output, outcome};
use crate::ports::{DeadLetter, DeadLetterStore as _};
use crate::redrive::{DeadLetterSummary, scan};

/// How long an approval can be used: AWS takes a signed call for five minutes, and some time more.
const APPROVAL_HOLDS: Duration = Duration::from_secs(15 * 60);

#[derive(Args)]
pub(crate) struct Options {
    /// The correction, or the file of a `discard` of evidence. The approval is written beside it, as FILE.approval, and holds
    /// for some minutes.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Approve it. Without this, only what it says is shown.
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

pub(crate) async fn run(
    session: &OperatorSession<'_>,
    options: &Options,
    output: Output,
) -> Result<ExitCode, Failure> {
    // A second approval of the same file would be a second record of one act, unless the first one is not valid any more.
    let approval = approval_path(&options.file);
    let age = approval.metadata().and_then(|found| found.modified()).ok().and_then(|at| at.elapsed().ok());
    if age.is_some_and(|age| age >= APPROVAL_HOLDS) {
        std::fs::remove_file(&approval)
            .map_err(|error| Failure::usage(format!("{}: {error}", approval.display())))?;
    }
    private_file::refuse_existing(&approval)?;
    match schema(&options.file)?.as_str() {
        discard_proposal::SCHEMA => approve_discard(session, options, output).await,
        _ => approve_correction(session, options, output).await,
    }
}

/// The schema that a file says it has.
fn schema(path: &Path) -> Result<String, Failure> {
    #[derive(Deserialize)]
    struct Beginning {
        schema: String,
    }
    let complaint = |error: String| Failure::usage(format!("{}: {error}", path.display()));
    let json = std::fs::read(path).map_err(|error| complaint(error.to_string()))?;
    let beginning: Beginning = serde_json::from_slice(&json)
        .map_err(|_| complaint("it is no file that `dlq correct` or `dlq discard` wrote".to_owned()))?;
    Ok(beginning.schema)
}

fn refuse_own(by: &str, who: &str) -> Result<(), Failure> {
    if by != who {
        return Ok(());
    }
    Err(Failure::usage(format!("{who} proposed it; another operator must approve it")))
}

/// Says that nothing is approved yet.
fn told_to_look(output: Output, value: &Value) -> Result<ExitCode, Failure> {
    output.note("nothing is approved yet; if this is right, run the command again with --yes");
    output.value(value)?;
    Ok(outcome(false))
}

async fn signed(
    session: &OperatorSession<'_>,
    file: &Path,
    digest: &str,
) -> Result<(PathBuf, String), Failure> {
    let signed = sign_statement(&session.connection, digest).await;
    let (who, signed) = signed.map_err(|fault| Failure::unreachable(fault.to_string()))?;
    let approval = approval_path(file);
    private_file::write_new_json(&approval, &signed)?;
    Ok((approval, who))
}

async fn approve_discard(
    session: &OperatorSession<'_>,
    options: &Options,
    output: Output,
) -> Result<ExitCode, Failure> {
    let log = session.log().await?;
    let proposal = DiscardProposal::read(&options.file, session)?;
    refuse_own(&proposal.by, &log.who)?;
    // What the file says is its maker's word; the messages are asked.
    let depth = session.store.depth().await.map_err(|error| unreachable(&error))?;
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let scanned = scan(&session.store, &SystemClock, async |dead: DeadLetter| {
        if proposal.names(&dead.id, &BodyDigest::of(dead.body.as_bytes())) {
            let shown = DeadLetterSummary::read(&dead, &session.ring, depth.retention);
            *reasons.entry(shown.reason).or_default() += 1;
        }
        true
    });
    scanned.await.map_err(|error| unreachable(&error))?;
    let (there, named) = (reasons.values().sum::<usize>(), proposal.letters.len());
    if there != named {
        return Err(Failure::refused(format!(
            "{there} of {named} messages are there as the file says; look again in a minute, or have it proposed anew"
        )));
    }
    output.line(format!(
        "{:?} asks to delete {named} messages for good: {}, because {:?}; according to the file they are in {:?}",
        proposal.by,
        counts(&reasons),
        proposal.because,
        proposal.archive
    ))?;
    if !options.yes {
        return told_to_look(output, &json!({ "approved": false, "letters": named, "reasons": reasons }));
    }
    let mut record = log.act(AuditCode::DiscardApproved, &proposal.because);
    record.letters = Some(named);
    log.write(&record)?;
    let (approval, who) = signed(session, &options.file, &proposal.digest()?).await?;
    let file = options.file.display();
    output.line(format!(
        "{}: approved by {who}; valid for some minutes: idvctl dlq discard --approved {file}",
        approval.display()
    ))?;
    output.value(&json!({ "approval": approval, "approved_by": who, "letters": named }))?;
    Ok(ExitCode::SUCCESS)
}

async fn approve_correction(
    session: &OperatorSession<'_>,
    options: &Options,
    output: Output,
) -> Result<ExitCode, Failure> {
    let (log, users) = (session.log().await?, session.users().await?);
    let proposal = Proposal::read(&options.file)?;
    refuse_own(&proposal.by, &log.who)?;
    // What the file says is its maker's word; the message is asked.
    let (message, statement) = proposal::find(session, &proposal.message_id).await?;
    refuse_if_applied(session, &users, &statement).await?;
    let said = (proposal.username.as_str(), proposal.because.as_str(), proposal.by.as_str());
    let truth = Proposal::of(&message, &statement, said)?;
    if truth != proposal {
        return Err(Failure::usage("the correction file does not agree with the message"));
    }
    let user = proposal.find_user(session, &users).await?;
    // Before anything is signed, and with whatever control characters the proposer wrote made visible.
    output.line(format!(
        "{} names {:?}; {:?} says that it is about {:?} ({:?}, created {}), because {:?}",
        proposal.receipt_id,
        proposal.named,
        proposal.by,
        proposal.username,
        user.status,
        user.created_at,
        proposal.because
    ))?;
    if !options.yes {
        return told_to_look(output, &json!({ "approved": false, "receipt_id": proposal.receipt_id }));
    }
    log.write(&proposal.record(&log, AuditCode::CorrectionApproved, (session, &user))?)?;
    let (approval, who) = signed(session, &options.file, &proposal.digest()?).await?;
    output.line(format!(
        "{}: approved by {who}; valid for some minutes: idvctl dlq plan --correction {}",
        approval.display(),
        options.file.display()
    ))?;
    output.value(&json!({ "approval": approval, "approved_by": who, "receipt_id": proposal.receipt_id }))?;
    Ok(ExitCode::SUCCESS)
}
