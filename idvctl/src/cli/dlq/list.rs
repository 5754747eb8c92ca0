//! `dlq list`: what is there.

use std::process::ExitCode;

use clap::Args;
use idv_callback::clock::SystemClock;
use idv_callback::ports::Clock as _;
use serde_json::json;

use crate::cli::dlq::listing::{describe, is_complete, look, remarks, time_left};
use crate::cli::dlq::{OperatorSession, SelectionOptions, Target, selection};
use crate::output::{Failure, Output};
use crate::redrive::DeadLetterSummary;

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) selection: SelectionOptions,
    /// List this many at the most; all are counted.
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub(crate) most: usize,
}

/// Messages that can be listed are kept; all are counted.
pub(crate) async fn run(
    session: &OperatorSession<'_>,
    options: &Options,
    output: Output,
) -> Result<ExitCode, Failure> {
    let selection = selection(&options.selection)?;
    let now = SystemClock.now();
    let (mut chosen, mut letters) = (0, Vec::new());
    let (depth, scanned) = look(session, output, |message| {
        if selection.takes(&message) {
            chosen += 1;
            if letters.len() < options.most {
                letters.push(message);
            }
        }
    })
    .await?;
    let columns =
        ["message", "reason", "detail", "receipt", "user", "attempts", "replays", "dead since", "time left"];
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let row = |message: &DeadLetterSummary| {
        vec![
            message.id.clone(),
            message.reason.clone(),
            text(&message.detail),
            text(&message.receipt),
            text(&message.user),
            text(&message.attempts),
            message.replays.to_string(),
            message.sent_at.to_string(),
            time_left(message.expires_at.since(now)),
        ]
    };
    output.table(&columns, letters.iter().map(row).collect())?;
    output.line(format!("{chosen} dead letters, {} shown", letters.len()))?;
    remarks(depth, scanned, output);
    output.value(&json!({
        "dead_letters": chosen,
        "letters": letters.iter().map(|message| describe(message, now)).collect::<Vec<_>>(),
        "seen": scanned.seen,
        "in_queue": depth.messages,
        "complete": is_complete(depth, scanned),
    }))?;
    Ok(ExitCode::SUCCESS)
}
