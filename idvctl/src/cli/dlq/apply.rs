//! `dlq apply`: a plan is carried out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use idv_callback::audit::AuditCode;
use serde_json::json;

use super::journal::FileJournal;
use super::listing::tell_some;
use super::plan::read;
use super::settings;
use crate::cli::dlq::{OperatorSession, Target};
use crate::cli::operator::OperatorLog;
use crate::cli::progress::Progress as WaitBar;
use crate::output::{Failure, Output, outcome};
use crate::redrive::{Applied, Apply, Pacing, Plan, PlannedMessage, Progress, Stopped};

#[derive(Args)]
pub(crate) struct Options {
    /// The plan.
    #[arg(value_name = "PLAN")]
    pub(crate) plan: PathBuf,
    #[command(flatten)]
    pub(crate) target: Target,
    /// Messages a second. Cognito's quota (25 writes a second by default) is shared with people who sign in.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(crate) rate: u32,
    /// How many messages the first step has.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) canary: u32,
    /// How long the outcome of a step is waited for, in seconds.
    #[arg(long, default_value_t = 90, value_name = "SECONDS")]
    pub(crate) wait: u64,
}

pub(crate) async fn run(
    session: &OperatorSession<'_>,
    options: &Options,
    output: Output,
) -> Result<ExitCode, Failure> {
    let plan = read(&options.plan)?;
    if plan.letters.is_empty() {
        return Err(Failure::refused(format!(
            "{}: the plan has no messages to send back",
            options.plan.display()
        )));
    }
    let users = session.users().await?;
    let differences = users.settings.differences(&plan.settings);
    if !differences.is_empty() {
        let differences = differences.join("; ");
        return Err(Failure::usage(format!(
            "the plan was made by other settings: {differences} (first the consumer's now, then the plan's). Make a new one"
        )));
    }
    if let Some(consumer) = settings::is_off(&users.consumer) {
        return Err(Failure::refused(format!("nothing was sent: {}", settings::off(consumer))));
    }
    let log = session.log().await?;
    let mut journal = FileJournal::open(&options.plan, plan.digest())?;
    let (asked, listener) = when_asked_to_stop(output);
    let records = session.records(&users);
    let canary = usize::try_from(options.canary).unwrap_or(1);
    let run = Apply {
        outcomes: session.outcomes(&users, &records, options.wait),
        by: &log.who,
        pacing: Pacing { rate: options.rate, steps: [canary, canary * 5] },
    };
    let bar = WaitBar::new("sending", plan.letters.len() as u64, output);
    let mut unwritten = None;
    let applied = run
        .run(&plan, &mut journal, |progress| {
            if asked.load(Ordering::Relaxed) {
                return false;
            }
            let told = tell(&log, &plan, &progress, &bar);
            unwritten = told.err();
            unwritten.is_none() && !asked.load(Ordering::Relaxed)
        })
        .await;
    listener.abort();
    drop(bar);
    if let Some(failure) = unwritten {
        return Err(failure);
    }
    let mut record = log.act(AuditCode::RedriveEnded, &plan.because);
    record.plan_sha256 = Some(plan.digest().to_owned());
    record.letters = Some(applied.removed);
    log.write(&record.detail(word(applied.stopped.as_ref())))?;
    report(&applied, &options.plan, output)
}

/// Set when somebody presses Ctrl-C; the second time ends the process.
fn when_asked_to_stop(output: Output) -> (Arc<AtomicBool>, tokio::task::JoinHandle<()>) {
    let asked = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&asked);
    let listener = tokio::spawn(async move {
        // Without a listener Ctrl-C ends the process, which loses nothing either.
        if tokio::signal::ctrl_c().await.is_ok() {
            flag.store(true, Ordering::Relaxed);
            output.note("stopping after this message; press Ctrl-C again to stop at once (nothing is lost either way)");
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(130);
            }
        }
    });
    (asked, listener)
}

/// Every message that was sent has its record, with the receipt as its thread.
fn tell(log: &OperatorLog, plan: &Plan, progress: &Progress<'_>, bar: &WaitBar) -> Result<(), Failure> {
    match progress {
        // Written down before it is done.
        Progress::Sending(message) => log.write(&redriven(log, plan, message)),
        Progress::Sent(_) => {
            bar.one_more();
            Ok(())
        }
        Progress::Awaiting(messages) => {
            bar.doing(format!("waiting for the outcome of {messages} messages;"));
            Ok(())
        }
        Progress::Step(done, total) => {
            bar.at(*done);
            bar.doing("sending");
            bar.note(format!("{done} of {total} sent back"));
            Ok(())
        }
    }
}

fn redriven(log: &OperatorLog, plan: &Plan, message: &PlannedMessage) -> idv_callback::audit::AuditRecord {
    let mut record = log.act(AuditCode::Redriven, &plan.because);
    record.receipt_id = Some(message.receipt_id.clone());
    record.user.clone_from(&message.user);
    record.message_id = Some(message.message_id.clone());
    record.plan_sha256 = Some(plan.digest().to_owned());
    record
}

fn word(stopped: Option<&Stopped>) -> &'static str {
    match stopped {
        None => "complete",
        Some(Stopped::Changed(_)) => "changed",
        Some(Stopped::Halted(_)) => "halted",
        Some(Stopped::NotKnown(_)) => "not_known",
        Some(Stopped::NotNow(_)) => "not_now",
        Some(Stopped::Directory(_)) => "directory",
        Some(Stopped::Queue(_)) => "queue",
        Some(Stopped::Journal(_)) => "journal",
        Some(Stopped::Asked) => "asked",
    }
}

/// How the messages ended, none of them badly.
fn ended_well(ended: &BTreeMap<String, usize>) -> String {
    if ended.is_empty() {
        return "nothing was to be sent".to_owned();
    }
    let each = ended.iter().map(|(what, count)| format!("{count} {what}"));
    each.collect::<Vec<_>>().join(", ")
}

fn report(applied: &Applied, plan: &Path, output: Output) -> Result<ExitCode, Failure> {
    let (again, plan) = ("run the same command again to continue from here", plan.display());
    let details: Vec<String> = match &applied.stopped {
        Some(Stopped::Changed(changes)) => changes.clone(),
        Some(Stopped::NotNow(ids)) => ids.clone(),
        Some(Stopped::Halted(letters) | Stopped::NotKnown(letters)) => {
            letters.iter().map(|(receipt, what)| format!("{receipt} {what}")).collect()
        }
        _ => Vec::new(),
    };
    let what = match &applied.stopped {
        None => ended_well(&applied.ended),
        Some(Stopped::Changed(_)) => "the plan is out of date; make a new one".to_owned(),
        Some(Stopped::NotNow(_)) => {
            format!(
                "these messages are held, perhaps by a run that was interrupted; they come back within a minute. Then {again}"
            )
        }
        Some(Stopped::Directory(fault)) => format!("a user could not be read: {fault}; {again}"),
        Some(Stopped::Halted(_)) if applied.left > 0 => {
            "halted: these messages did not end as forecast; the rest stays in the dead-letter queue"
                .to_owned()
        }
        Some(Stopped::Halted(_)) => "these messages did not end as forecast".to_owned(),
        Some(Stopped::NotKnown(letters)) => {
            format!(
                "the outcome of {} is not known yet, so no more are sent. Does the consumer run (idvctl doctor)? \
                 Look again: idvctl dlq verify {plan}; once it says what became of them, {again}",
                letters.len()
            )
        }
        Some(Stopped::Asked) => format!("stopped because you asked; {again}"),
        Some(Stopped::Journal(error)) => format!("the journal could not be written: {error}; {again}"),
        Some(Stopped::Queue(error)) => format!("a call to a queue failed: {}; {again}", error.fault()),
    };
    output.line(format!("{} sent back, {} left: {what}", applied.removed, applied.left))?;
    tell_some(&details, output)?;
    let (code, error) = match &applied.stopped {
        None => (ExitCode::SUCCESS, None),
        Some(Stopped::Queue(error)) => (ExitCode::from(3), Some(error.fault().to_string())),
        Some(Stopped::Directory(fault)) => (ExitCode::from(3), Some(fault.clone())),
        Some(_) => (outcome(false), None),
    };
    output.value(&json!({
        "error": error,
        "sent_back": applied.removed,
        "left": applied.left,
        "ended": word(applied.stopped.as_ref()),
        "became": applied.ended,
        "details": details,
    }))?;
    Ok(code)
}
