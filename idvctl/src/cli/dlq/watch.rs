//! `dlq watch`: what becomes a dead letter, and what becomes of dead letters, as it happens.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use idv_callback::clock::SystemClock;
use idv_callback::ports::Clock as _;
use serde_json::json;

use crate::cli::dlq::{OperatorSession, Target, unreachable};
use crate::cli::watch::{Filter, Watch};
use crate::output::{Failure, Output};
use crate::ports::{DeadLetterStore as _, Depth};

/// How often the queue is counted.
const COUNTED: Duration = Duration::from_secs(5);

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) filter: Filter,
}

pub(crate) async fn run(
    session: &OperatorSession<'_>,
    options: &Options,
    output: Output,
) -> Result<ExitCode, Failure> {
    let consumer = session.consumer().await.map_err(Failure::unreachable)?;
    let mut filter = options.filter.clone();
    if filter.event.is_empty() {
        filter.event = ["quarantined", "retried", "misconfigured"].map(str::to_owned).into();
    }
    let mut watch = Watch::new(&filter, output);
    tokio::select! {
        watched = watch.log_group(&session.connection, &consumer.log_group) => watched?,
        counted = count(session, output) => counted?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Tells how many dead letters there are, each time that it changes.
async fn count(session: &OperatorSession<'_>, output: Output) -> Result<(), Failure> {
    let mut last: Option<u64> = None;
    loop {
        let Depth { messages, .. } = session.store.depth().await.map_err(|error| unreachable(&error))?;
        if last != Some(messages) {
            let before = last.map(|before| format!(", {before} before")).unwrap_or_default();
            output.line(format!("{} {messages} dead letters{before}", SystemClock.now()))?;
            output.value(&json!({ "at": SystemClock.now().to_string(), "dead_letters": messages }))?;
        }
        last = Some(messages);
        SystemClock.sleep(COUNTED).await;
    }
}
