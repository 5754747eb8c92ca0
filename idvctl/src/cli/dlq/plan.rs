//! `dlq plan`: what would become of messages.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use idv_callback::audit::AuditCode;
use serde_json::{Value, json};

use crate::cli::dlq::listing::{is_complete, remarks};
use crate::cli::dlq::proposal;
use crate::cli::dlq::selection::{
    SelectionOptions, evidence, nothing_chosen, refuse_absent, refuse_unknown_reasons, tell_evidence, ticket,
};
use crate::cli::dlq::settings;
use crate::cli::dlq::{OperatorSession, Target, unreachable};
use crate::cli::private_file;
use crate::cli::progress::Progress;
use crate::output::{Failure, Output, outcome};
use crate::ports::{DeadLetterStore as _, Depth};
use crate::redrive::{Census, Made, Plan, PlannedMessage, Planning, Scanned};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) selection: SelectionOptions,
    /// Only the message of this correction, and with it. Its approval is in FILE.approval.
    #[arg(long, value_name = "FILE", conflicts_with = "SelectionOptions")]
    pub(crate) correction: Option<PathBuf>,
    /// Why: a ticket.
    #[arg(long, value_name = "TICKET", value_parser = ticket)]
    pub(crate) because: String,
    /// Forecast, and write no plan.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Where to write the plan. It names users: the file is readable by you alone. Never overwritten.
    #[arg(short, long, default_value = "plan.json", value_name = "FILE")]
    pub(crate) output: PathBuf,
}

/// Messages a second, unless told otherwise: the default of `apply`.
const RATE: usize = 5;

pub(crate) async fn run(
    session: &OperatorSession<'_>,
    options: &Options,
    output: Output,
) -> Result<ExitCode, Failure> {
    let mut selection = options.selection.selection();
    if !options.dry_run {
        private_file::refuse_existing(&options.output)?;
    }
    let depth = session.store.depth().await.map_err(|error| unreachable(&error))?;
    let users = session.users().await?;
    let log = session.log().await?;
    if let Some(path) = &options.correction {
        let (message_id, correction) =
            proposal::sealed(session, (&log, &users), path, !options.dry_run).await?;
        selection.ids.push(message_id.clone());
        selection.corrections.insert(message_id, correction);
    }
    let mut progress = Progress::new("looking", depth.messages, output);
    let mut forecasting = false;
    let seen = |planning| match planning {
        Planning::Seen(seen) => progress.at(seen),
        Planning::Forecast(done, of) => {
            if !forecasting {
                forecasting = true;
                progress = Progress::new("asking what would become of each", of as u64, output);
            }
            progress.at(done);
        }
    };
    let made = Made { by: &log.who, because: &options.because, settings: &users.settings };
    let made =
        Plan::make(&session.store, &users.forecaster(session), &selection, depth.retention, made, seen).await;
    let (plan, census, scanned) = made.map_err(|error| unreachable(&error))?;
    refuse_unknown_reasons(&selection, &census)?;
    refuse_absent(&selection, &census)?;
    if census.chosen == 0 {
        return Err(nothing_chosen(&census, is_complete(depth, scanned)));
    }
    tell_evidence(&census, output);
    if let Some(consumer) = settings::is_off(&users.consumer) {
        output.note(settings::off(consumer));
    }
    let written = !plan.letters.is_empty() && !options.dry_run;
    let file = written.then_some(options.output.as_path());
    report(&plan, file, &census, (depth, scanned), output)?;
    if !written {
        return Ok(outcome(!plan.letters.is_empty()));
    }
    private_file::write_new_json(&options.output, &plan)?;
    let mut record = log.act(AuditCode::Planned, &options.because);
    record.plan_sha256 = Some(plan.digest().to_owned());
    record.letters = Some(plan.letters.len());
    log.write(&record)?;
    Ok(ExitCode::SUCCESS)
}

/// Counts the messages by what would become of them.
fn report(
    plan: &Plan,
    file: Option<&Path>,
    census: &Census,
    looked: (Depth, Scanned),
    output: Output,
) -> io::Result<()> {
    let (depth, scanned) = looked;
    let forecasts = by_forecast(plan);
    let rows = forecasts
        .iter()
        .map(|((word, what), count)| vec![word.clone(), (*what).to_owned(), count.to_string()]);
    output.table(&["forecast", "action", "messages"], rows)?;
    let said = &plan.settings;
    let pools = said.user_pools.join(", ");
    output.line(format!("settings of {}", said.of))?;
    output.line(format!(
        "binding {}, minimum IAL {}, user pools {pools}{}{}",
        said.binding,
        said.minimum_ial,
        if said.event_types.is_empty() { "" } else { ", event types " },
        said.event_types
    ))?;
    let seconds = plan.letters.len() / RATE;
    let writes = writes(plan);
    let name = file.map_or_else(|| "no plan was written".to_owned(), |file| file.display().to_string());
    output.line(format!(
        "{name}: {} messages to send back, {writes} writes to Cognito, at least {seconds} s at {RATE} messages a second and the wait for their outcomes; {} stay in the dead-letter queue",
        plan.letters.len(),
        plan.left_out.len()
    ))?;
    if file.is_some() {
        output.note(
            "each message is sent with a new deduplication id, so that SQS does not drop it as a duplicate",
        );
    }
    remarks(depth, scanned, output);
    let forecasts: Vec<_> = forecasts
        .iter()
        .map(|((word, what), count)| json!({ "forecast": word, "does": what, "letters": count }))
        .collect();
    output.value(&json!({
        "plan": file,
        "digest": file.map(|_| plan.digest()),
        "evidence": evidence(census),
        "settings": plan.settings,
        "each": (file.is_none() && output.is_json()).then(|| each(plan)),
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

/// How many messages have which forecast, and what is done with them.
fn by_forecast(plan: &Plan) -> BTreeMap<(String, &'static str), usize> {
    let mut forecasts: BTreeMap<(String, &'static str), usize> = BTreeMap::new();
    for message in &plan.letters {
        let word = if message.confirms {
            format!("{}, confirms", message.forecast)
        } else {
            message.forecast.clone()
        };
        *forecasts.entry((word, "is sent")).or_default() += 1;
    }
    for message in &plan.left_out {
        *forecasts.entry((message.forecast.clone(), "stays")).or_default() += 1;
    }
    forecasts
}

/// What would become of each message: of a plan that is not written, which nobody could look into.
fn each(plan: &Plan) -> Vec<Value> {
    let sent = plan.letters.iter().map(|message| {
        json!({
            "message_id": message.message_id,
            "forecast": message.forecast,
            "confirms": message.confirms,
            "is_sent": true,
            "user": message.user,
        })
    });
    let stay = plan.left_out.iter().map(
        |message| json!({ "message_id": message.message_id, "forecast": message.forecast, "is_sent": false }),
    );
    sent.chain(stay).collect()
}

/// How many calls of Cognito's quotas for writing the plan uses.
fn writes(plan: &Plan) -> usize {
    let writes = |message: &PlannedMessage| usize::from(message.writes()) + usize::from(message.confirms);
    plan.letters.iter().map(writes).sum()
}

pub(crate) fn read(path: &Path) -> Result<Plan, Failure> {
    let complaint = |error: String| Failure::usage(format!("{}: {error}", path.display()));
    let json = std::fs::read(path).map_err(|error| complaint(error.to_string()))?;
    Plan::parse(&json).map_err(complaint)
}
