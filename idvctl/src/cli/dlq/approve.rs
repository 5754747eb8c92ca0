//! `dlq approve`: a second operator agrees.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use idv_callback::audit::AuditCode;
use serde_json::json;

use crate::aws::sign_statement;
use crate::cli::dlq::proposal;
use crate::cli::dlq::proposal::{Proposal, approval_path, refuse_if_applied};
use crate::cli::dlq::{OperatorSession, Target};
use crate::cli::private_file;
use crate::output::{Failure, Output, outcome};

#[derive(Args)]
pub(crate) struct Options {
    /// The correction. The approval is written beside it, as FILE.approval, and holds for some minutes.
    #[arg(value_name = "FILE")]
    pub(crate) correction: PathBuf,
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
    let (log, users) = (session.log().await?, session.users().await?);
    let proposal = Proposal::read(&options.correction)?;
    if proposal.by == log.who {
        return Err(Failure::usage(format!("{} proposed it; another operator must approve it", log.who)));
    }
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
        output.note("nothing is approved yet; if this is right, run the command again with --yes");
        output.value(&json!({ "approved": false, "receipt_id": proposal.receipt_id }))?;
        return Ok(outcome(false));
    }
    log.write(&proposal.record(&log, AuditCode::CorrectionApproved, (session, &user))?)?;
    let signed = sign_statement(&session.connection, &proposal.digest()?).await;
    let (who, signed) = signed.map_err(|fault| Failure::unreachable(fault.to_string()))?;
    let approval = approval_path(&options.correction);
    private_file::write_new_json(&approval, &signed)?;
    output.line(format!(
        "{}: approved by {who}; valid for some minutes: idvctl dlq plan --correction {}",
        approval.display(),
        options.correction.display()
    ))?;
    output.value(&json!({ "approval": approval, "approved_by": who, "receipt_id": proposal.receipt_id }))?;
    Ok(ExitCode::SUCCESS)
}
