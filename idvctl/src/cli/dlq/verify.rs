//! `dlq verify`: what became of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use idv_callback::clock::SystemClock;
use serde_json::json;

use crate::cli::dlq::{OperatorSession, Target, unreachable};
use crate::output::{Failure, Output, outcome};
use crate::redrive::{ReplayOutcome, outcomes, returned};

#[derive(Args)]
pub(crate) struct Options {
    /// The plan.
    #[arg(value_name = "PLAN")]
    pub(crate) plan: PathBuf,
    #[command(flatten)]
    pub(crate) target: Target,
    /// How long to wait for what is not settled yet, in seconds.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub(crate) wait: u64,
}

pub(crate) async fn run(
    session: &OperatorSession<'_>,
    options: &Options,
    output: Output,
) -> Result<ExitCode, Failure> {
    let plan = super::plan::read(&options.plan)?;
    let patience = Duration::from_secs(options.wait);
    let users = session.users()?;
    let outcomes = outcomes(&users.forecaster(session), &plan.letters, patience).await;
    let found = returned(&session.store, &SystemClock, &session.ring, &plan).await;
    let found = found.map_err(|error| unreachable(&error))?;
    let (mut ended, mut not_settled): (BTreeMap<String, usize>, Vec<_>) = (BTreeMap::new(), Vec::new());
    for (message, outcome) in outcomes {
        let (good, what) = match (found.dead_again.get(&message.receipt_id), outcome) {
            (Some(fingerprint), _) => (false, format!("dead again: {fingerprint}")),
            _ if found.unsent.contains(&message.message_id) => (false, "not sent".to_owned()),
            (None, ReplayOutcome::Settled) => (true, format!("{} as forecast", message.forecast)),
            (None, ReplayOutcome::UserGone) => (false, "the user is gone".to_owned()),
            (None, ReplayOutcome::Unknown(why)) => (false, format!("unknown: {why}")),
            (None, ReplayOutcome::Pending) => (false, "not settled yet".to_owned()),
        };
        *ended.entry(what.clone()).or_default() += 1;
        if !good {
            not_settled
                .push(json!({ "receipt_id": message.receipt_id, "user": message.user, "became": what }));
        }
    }
    let rows = ended.iter().map(|(what, count)| vec![what.clone(), count.to_string()]).collect();
    output.table(&["outcome", "messages"], rows)?;
    for message in not_settled.iter().take(20) {
        output.line(format!("! {} {}", text(message, "receipt_id"), text(message, "became")))?;
    }
    output.value(&json!({ "became": ended, "not_settled": not_settled }))?;
    Ok(outcome(not_settled.is_empty()))
}

fn text<'v>(value: &'v serde_json::Value, name: &str) -> &'v str {
    value.get(name).and_then(serde_json::Value::as_str).unwrap_or_default()
}
