//! `dlq verify`: what became of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use idv_callback::timestamp::Timestamp;
use serde_json::json;

use crate::cli::dlq::listing::tell_some;
use crate::cli::dlq::{OperatorSession, Target, unreachable};
use crate::output::{Failure, Output, outcome};
use crate::redrive::{ReplayOutcome, Sent};

#[derive(Args)]
pub(crate) struct Options {
    /// The plan.
    #[arg(value_name = "PLAN")]
    pub(crate) plan: PathBuf,
    #[command(flatten)]
    pub(crate) target: Target,
    /// How long to wait for what is not settled yet, in seconds.
    #[arg(long, default_value_t = 90, value_name = "SECONDS")]
    pub(crate) wait: u64,
}

pub(crate) async fn run(
    session: &OperatorSession<'_>,
    options: &Options,
    output: Output,
) -> Result<ExitCode, Failure> {
    let plan = super::plan::read(&options.plan)?;
    let users = session.users().await?;
    let journal = super::journal::look(&options.plan, plan.digest())?;
    let made_at = Timestamp::parse(&plan.made_at).ok();
    let messages = plan.letters.iter().map(|message| {
        let sent = match &journal {
            Some(journal) => journal.sent(&message.message_id),
            // It may have been sent from another machine, after the plan was made.
            None => made_at.map(|since| Sent { since, until: None, message_id: None }),
        };
        (message, sent)
    });
    let records = session.records(&users);
    let outcomes = session.outcomes(&users, &records, options.wait).of(&plan, messages).await;
    let outcomes = outcomes.map_err(|error| unreachable(&error))?;
    let (mut ended, mut not_settled): (BTreeMap<String, usize>, Vec<_>) = (BTreeMap::new(), Vec::new());
    let mut each = Vec::new();
    for (message, outcome) in &outcomes {
        let what = outcome.what(message);
        each.push(json!({
            "message_id": message.message_id,
            "receipt_id": message.receipt_id,
            "user": message.user,
            "became": what,
            "is_good": outcome.is_good(),
        }));
        if !outcome.is_good() {
            not_settled
                .push(json!({ "receipt_id": message.receipt_id, "user": message.user, "became": what }));
        }
        *ended.entry(what).or_default() += 1;
    }
    let rows = ended.iter().map(|(what, count)| vec![what.clone(), count.to_string()]);
    output.table(&["outcome", "messages"], rows)?;
    let lines = not_settled
        .iter()
        .map(|message| format!("{} {}", text(message, "receipt_id"), text(message, "became")));
    tell_some(&lines.collect::<Vec<_>>(), output)?;
    if outcomes.iter().any(|(_, outcome)| matches!(outcome, ReplayOutcome::NotKnown(_))) {
        output.note(
            "what is not known yet may still come: does the consumer run (idvctl doctor)? Then look again",
        );
    }
    output.value(&json!({ "became": ended, "not_settled": not_settled, "each": each }))?;
    Ok(outcome(not_settled.is_empty()))
}

fn text<'v>(value: &'v serde_json::Value, name: &str) -> &'v str {
    value.get(name).and_then(serde_json::Value::as_str).unwrap_or_default()
}
