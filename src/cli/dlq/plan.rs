//! `dlq plan|verify`: what would become of letters, and what became of them.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use super::list::{is_complete, remarks, tell};
use super::{Desk, correct, selection, unreachable};
use crate::audit::AuditCode;
use crate::cli::args::{DlqPlanOptions, DlqVerifyOptions};
use crate::cli::output::{Failure, Output, outcome};
use crate::cli::private_file;
use crate::clock::SystemClock;
use crate::ports::{DeadLetterStore as _, Depth};
use crate::redrive::{Became, Plan, PlannedLetter, Planning, Scanned, outcomes, returned};

/// Letters a second, unless told otherwise: the default of `apply`.
const RATE: usize = 5;

pub(super) async fn make(
    desk: &Desk<'_>,
    options: &DlqPlanOptions,
    output: Output,
) -> Result<ExitCode, Failure> {
    let mut selection = selection(&options.selection)?;
    let depth = desk.store.depth().await.map_err(|error| unreachable(&error))?;
    let users = desk.users()?;
    let log = desk.log().await?;
    if let Some(path) = &options.correction {
        let (message_id, correction) = correct::sealed(desk, (&log, &users), path).await?;
        selection.ids.push(message_id.clone());
        selection.corrections.insert(message_id, correction);
    }
    let by = (log.who.as_str(), options.because.as_str());
    let seen = |planning| match planning {
        Planning::Seen(seen) => tell(seen, depth.messages, output),
        Planning::Forecast(done, of) => tell(done, of as u64, output),
    };
    let made = Plan::make(&desk.store, &users.foresight(desk), &selection, depth.retention, by, seen).await;
    let (plan, scanned) = made.map_err(|error| unreachable(&error))?;
    private_file::write_new_json(&options.output, &plan)?;

    let mut record = log.act(AuditCode::Planned, &options.because);
    record.plan_sha256 = Some(plan.digest().to_owned());
    record.letters = Some(plan.letters.len());
    log.write(&record)?;

    report(&plan, &options.output, (depth, scanned), output)?;
    Ok(ExitCode::SUCCESS)
}

/// Counts the letters by what would become of them.
fn report(plan: &Plan, file: &Path, looked: (Depth, Scanned), output: Output) -> io::Result<()> {
    let (depth, scanned) = looked;
    let mut forecasts: BTreeMap<(String, &str), usize> = BTreeMap::new();
    for letter in &plan.letters {
        let word =
            if letter.confirms { format!("{}, confirms", letter.forecast) } else { letter.forecast.clone() };
        *forecasts.entry((word, "is sent")).or_default() += 1;
    }
    for letter in &plan.left_out {
        *forecasts.entry((letter.forecast.clone(), "stays")).or_default() += 1;
    }
    let rows = forecasts
        .iter()
        .map(|((word, what), count)| vec![word.clone(), (*what).to_owned(), count.to_string()]);
    output.table(&["would become", "so it", "letters"], rows.collect())?;
    let seconds = plan.letters.len() / RATE;
    let writes = writes(plan);
    output.line(format!(
        "{}: {} letters to send, {writes} writes to Cognito, about {seconds} s at {RATE} letters a second; {} stay",
        file.display(),
        plan.letters.len(),
        plan.left_out.len()
    ))?;
    output.note(
        "each is sent under a new deduplication id: SQS drops none because it saw it within five minutes",
    );
    remarks(depth, scanned, output);
    let forecasts: Vec<_> = forecasts
        .iter()
        .map(|((word, what), count)| json!({ "forecast": word, "does": what, "letters": count }))
        .collect();
    output.value(&json!({
        "plan": file,
        "digest": plan.digest(),
        "letters": plan.letters.len(),
        "stay": plan.left_out.len(),
        "forecasts": forecasts,
        "writes": writes,
        "seconds": seconds,
        "seen": scanned.seen,
        "in_queue": depth.messages,
        "complete": is_complete(depth, scanned),
    }))?;
    Ok(())
}

/// How many calls of Cognito's quotas for writing the plan uses.
fn writes(plan: &Plan) -> usize {
    let writes = |letter: &PlannedLetter| usize::from(letter.writes()) + usize::from(letter.confirms);
    plan.letters.iter().map(writes).sum()
}

pub(super) fn read(path: &Path) -> Result<Plan, Failure> {
    let complaint = |error: String| Failure::usage(format!("{}: {error}", path.display()));
    let json = std::fs::read(path).map_err(|error| complaint(error.to_string()))?;
    Plan::parse(&json).map_err(complaint)
}

pub(super) async fn verify(
    desk: &Desk<'_>,
    options: &DlqVerifyOptions,
    output: Output,
) -> Result<ExitCode, Failure> {
    let plan = read(&options.plan)?;
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
