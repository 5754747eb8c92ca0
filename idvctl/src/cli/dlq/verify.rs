//! `dlq verify`: what became of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use idv_callback::clock::SystemClock;
use serde_json::json;

use crate::cli::dlq::{Desk, Target, unreachable};
use crate::output::{Failure, Output, outcome};
use crate::redrive::{Became, outcomes, returned};

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

pub(crate) async fn run(desk: &Desk<'_>, options: &Options, output: Output) -> Result<ExitCode, Failure> {
    let plan = super::plan::read(&options.plan)?;
    let patience = Duration::from_secs(options.wait);
    let users = desk.users()?;
    let outcomes = outcomes(&users.foresight(desk), &plan.letters, patience).await;
    let found = returned(&desk.store, &SystemClock, &desk.ring, &plan).await;
    let found = found.map_err(|error| unreachable(&error))?;
    let (mut ended, mut not_settled): (BTreeMap<String, usize>, Vec<_>) = (BTreeMap::new(), Vec::new());
    for (letter, outcome) in outcomes {
        let (good, what) = match (found.dead_again.get(&letter.receipt_id), outcome) {
            (Some(fingerprint), _) => (false, format!("dead again: {fingerprint}")),
            _ if found.unsent.contains(&letter.message_id) => (false, "not sent".to_owned()),
            (None, Became::Settled) => (true, format!("{} as forecast", letter.forecast)),
            (None, Became::UserGone) => (false, "the user is gone".to_owned()),
            (None, Became::Unknown(why)) => (false, format!("unknown: {why}")),
            (None, Became::Pending) => (false, "not settled yet".to_owned()),
        };
        *ended.entry(what.clone()).or_default() += 1;
        if !good {
            not_settled.push(json!({ "receipt_id": letter.receipt_id, "user": letter.user, "became": what }));
        }
    }
    let rows = ended.iter().map(|(what, count)| vec![what.clone(), count.to_string()]).collect();
    output.table(&["became", "letters"], rows)?;
    for letter in not_settled.iter().take(20) {
        output.line(format!("! {} {}", text(letter, "receipt_id"), text(letter, "became")))?;
    }
    output.value(&json!({ "became": ended, "not_settled": not_settled }))?;
    Ok(outcome(not_settled.is_empty()))
}

fn text<'v>(value: &'v serde_json::Value, name: &str) -> &'v str {
    value.get(name).and_then(serde_json::Value::as_str).unwrap_or_default()
}
