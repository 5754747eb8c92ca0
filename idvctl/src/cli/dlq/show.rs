//! `dlq show`: one dead letter.

use std::process::ExitCode;

use clap::Args;
use idv_callback::clock::SystemClock;
use idv_callback::correction::CORRECTION_ATTRIBUTE;
use idv_callback::ports::Clock as _;
use serde_json::{Value, json};

use crate::cli::dlq::listing::describe;
use crate::cli::dlq::{OperatorSession, Target, unreachable};
use crate::output::{Failure, Output, outcome};
use crate::ports::DeadLetterStore as _;
use crate::redrive::{DeadLetterSummary, replays};

#[derive(Args)]
pub(crate) struct Options {
    /// The message's id.
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) target: Target,
}

pub(crate) async fn run(
    session: &OperatorSession<'_>,
    options: &Options,
    output: Output,
) -> Result<ExitCode, Failure> {
    let depth = session.store.depth().await.map_err(|error| unreachable(&error))?;
    let Some(dead) = session.find(&options.id).await? else {
        output.note(format!("dead letter {} was not found, or somebody holds it now", options.id));
        return Ok(outcome(false));
    };
    let (message, mut history) =
        (DeadLetterSummary::read(&dead, &session.ring, depth.retention), replays(&dead.attributes));
    // A correction that another took the place of names a user.
    for replay in &mut history {
        replay.was.remove(CORRECTION_ATTRIBUTE);
    }
    let mut shown = describe(&message, SystemClock.now());
    if let Value::Object(members) = &mut shown {
        members.insert("history".to_owned(), json!(history));
    }
    output.line(format!("{shown:#}"))?;
    output.value(&shown)?;
    Ok(ExitCode::SUCCESS)
}
