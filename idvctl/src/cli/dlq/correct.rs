//! `dlq correct`: one operator says whom a message is about.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use idv_callback::audit::AuditCode;
use serde_json::json;

use crate::cli::dlq::proposal;
use crate::cli::dlq::proposal::{Proposal, refuse_if_applied};
use crate::cli::dlq::selection::ticket;
use crate::cli::dlq::{OperatorSession, Target};
use crate::cli::private_file;
use crate::output::{Failure, Output};

#[derive(Args)]
pub(crate) struct Options {
    /// The message's id.
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// The name of the user that it is about, in the pool that it names.
    #[arg(long, value_name = "NAME")]
    pub(crate) username: String,
    /// Why: a ticket.
    #[arg(long, value_name = "TICKET", value_parser = ticket)]
    pub(crate) because: String,
    /// Where to write the correction. It names users: the file is readable by you alone. Never overwritten.
    #[arg(short, long, default_value = "correction.json", value_name = "FILE")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) target: Target,
}

pub(crate) async fn run(
    session: &OperatorSession<'_>,
    options: &Options,
    output: Output,
) -> Result<ExitCode, Failure> {
    private_file::refuse_existing(&options.output)?;
    let (log, users) = (session.log().await?, session.users().await?);
    let (message, statement) = proposal::find(session, &options.id).await?;
    refuse_if_applied(session, &users, &statement).await?;
    let said = (options.username.as_str(), options.because.as_str(), log.who.as_str());
    let proposal = Proposal::of(&message, &statement, said)?;
    let user = proposal.find_user(session, &users).await?;
    log.write(&proposal.record(&log, AuditCode::CorrectionProposed, (session, &user))?)?;
    private_file::write_new_json(&options.output, &proposal)?;
    let file = options.output.display();
    output
        .line(format!("{file}: a second operator looks at it and approves it: idvctl dlq approve {file}"))?;
    output.value(&json!({ "correction": options.output, "receipt_id": proposal.receipt_id }))?;
    Ok(ExitCode::SUCCESS)
}
