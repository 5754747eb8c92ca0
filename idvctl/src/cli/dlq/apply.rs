//! `dlq apply`: a plan is carried out.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use idv_callback::audit::AuditCode;
use serde_json::json;

use super::plan::read;
use crate::cli::dlq::{OperatorSession, Target, unreachable};
use crate::cli::operator::OperatorLog;
use crate::cli::private_file;
use crate::output::{Failure, Output, outcome};
use crate::redrive::{Applied, Apply, Journal, Pacing, Plan, PlannedMessage, Progress, Stage, Stopped};

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
    /// How long the outcome of a first step is waited for, in seconds.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub(crate) wait: u64,
}

/// What has been done of a plan: a line for each step, in a file beside the plan.
struct FileJournal {
    file: File,
    stages: HashMap<String, Stage>,
}

/// The first word of a stage's line.
fn stage_word(stage: Stage) -> &'static str {
    match stage {
        Stage::Sending => "sending",
        Stage::Sent => "sent",
        Stage::Removed => "removed",
    }
}

impl FileJournal {
    fn path(plan: &Path) -> PathBuf {
        let mut name = plan.file_name().unwrap_or_default().to_owned();
        name.push(".journal");
        plan.with_file_name(name)
    }

    /// Takes the journal of this plan up, or begins it. One run at a time can have it.
    fn open(path: &Path, digest: &str) -> Result<Self, Failure> {
        let journal = Self::path(path);
        let complaint = |error: String| Failure::usage(format!("{}: {error}", journal.display()));
        let file = private_file::append(&journal).map_err(|error| complaint(error.to_string()))?;
        file.try_lock().map_err(|_| complaint("another run is using it".to_owned()))?;
        let said = std::fs::read_to_string(&journal).map_err(|error| complaint(error.to_string()))?;
        let of = said.lines().find_map(|line| line.strip_prefix("plan "));
        if of.is_some_and(|of| of != digest) {
            return Err(complaint("it is the journal of another plan; move it to another place".to_owned()));
        }
        let mut opened = Self { file, stages: HashMap::new() };
        for (first, id) in said.lines().filter_map(|line| line.split_once(' ')) {
            // A line that was cut short by a kill is none of these, or names no message of the plan.
            let stages = [Stage::Sending, Stage::Sent, Stage::Removed];
            if let Some(stage) = stages.into_iter().find(|stage| stage_word(*stage) == first) {
                opened.reached(id, stage);
            }
        }
        // Begins a line of its own, whatever the last run left behind.
        let begun = opened.file.write_all(b"\n").and_then(|()| opened.append("plan", digest));
        begun.map_err(|error| complaint(error.to_string()))?;
        Ok(opened)
    }

    /// A message that is sent once more after a crash has come no less far than it had.
    fn reached(&mut self, id: &str, stage: Stage) {
        let farthest = self.stages.entry(id.to_owned()).or_insert(stage);
        *farthest = stage.max(*farthest);
    }

    fn append(&mut self, word: &str, id: &str) -> io::Result<()> {
        self.file.write_all(format!("{word} {id}\n").as_bytes())?;
        self.file.sync_data()
    }
}

impl Journal for FileJournal {
    fn note(&mut self, message_id: &str, stage: Stage) -> io::Result<()> {
        self.append(stage_word(stage), message_id)?;
        self.reached(message_id, stage);
        Ok(())
    }

    fn stage(&self, message_id: &str) -> Option<Stage> {
        self.stages.get(message_id).copied()
    }
}

pub(crate) async fn run(
    session: &OperatorSession<'_>,
    options: &Options,
    output: Output,
) -> Result<ExitCode, Failure> {
    let plan = read(&options.plan)?;
    let users = session.users()?;
    let log = session.log().await?;
    let mut journal = FileJournal::open(&options.plan, plan.digest())?;
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
    let canary = usize::try_from(options.canary).unwrap_or(1);
    let run = Apply {
        store: &session.store,
        forecaster: users.forecaster(session),
        by: &log.who,
        pacing: Pacing {
            rate: options.rate,
            steps: [canary, canary * 5],
            patience: Duration::from_secs(options.wait),
        },
    };
    let mut unwritten = None;
    let applied = run
        .run(&plan, &mut journal, |progress| {
            let told = tell(&log, &plan, &progress, output);
            unwritten = told.err();
            unwritten.is_none() && !asked.load(Ordering::Relaxed)
        })
        .await;
    listener.abort();
    if let Some(failure) = unwritten {
        return Err(failure);
    }
    let mut record = log.act(AuditCode::RedriveEnded, &plan.because);
    record.plan_sha256 = Some(plan.digest().to_owned());
    record.letters = Some(applied.removed);
    log.write(&record.detail(word(applied.stopped.as_ref())))?;
    report(&applied, &options.plan, output)
}

/// Every message that was sent has its record, with the receipt as its thread.
fn tell(log: &OperatorLog, plan: &Plan, progress: &Progress<'_>, output: Output) -> Result<(), Failure> {
    match progress {
        // Written down before it is done.
        Progress::Sending(message) => log.write(&redriven(log, plan, message)),
        Progress::Sent(_) => Ok(()),
        Progress::Step(done, total) => {
            output.note(format!("{done} of {total} sent back"));
            Ok(())
        }
    }
}

fn redriven(log: &OperatorLog, plan: &Plan, message: &PlannedMessage) -> idv_callback::audit::AuditRecord {
    let mut record = log.act(AuditCode::Redriven, &plan.because);
    record.receipt_id = Some(message.receipt_id.clone());
    record.user.clone_from(&message.pseudonym);
    record.message_id = Some(message.message_id.clone());
    record.plan_sha256 = Some(plan.digest().to_owned());
    record
}

fn word(stopped: Option<&Stopped>) -> &'static str {
    match stopped {
        None => "complete",
        Some(Stopped::Changed(_)) => "changed",
        Some(Stopped::Halted(_)) => "halted",
        Some(Stopped::NotNow(_)) => "not_now",
        Some(Stopped::Directory(_)) => "directory",
        Some(Stopped::Queue(_)) => "queue",
        Some(Stopped::Journal(_)) => "journal",
        Some(Stopped::Asked) => "asked",
    }
}

fn report(applied: &Applied, plan: &Path, output: Output) -> Result<ExitCode, Failure> {
    let (again, plan) = ("run the same command again to continue from here", plan.display());
    let details: Vec<String> = match &applied.stopped {
        Some(Stopped::Changed(changes)) => changes.clone(),
        Some(Stopped::NotNow(ids)) => ids.clone(),
        Some(Stopped::Halted(letters)) => {
            letters.iter().map(|(receipt, what)| format!("{receipt} {what}")).collect()
        }
        _ => Vec::new(),
    };
    let what = match &applied.stopped {
        None => "each ended as forecast".to_owned(),
        Some(Stopped::Changed(_)) => "the plan is out of date; make a new one".to_owned(),
        Some(Stopped::NotNow(_)) => {
            format!(
                "these messages are held, perhaps by a run that was interrupted; they come back within 15 minutes. Then {again}"
            )
        }
        Some(Stopped::Directory(fault)) => format!("a user could not be read: {fault}; {again}"),
        Some(Stopped::Halted(_)) if applied.left > 0 => {
            "halted: these messages did not end as forecast; the rest stays in the dead-letter queue"
                .to_owned()
        }
        Some(Stopped::Halted(_)) => {
            format!("these messages have not ended as forecast; check again: idvctl dlq verify {plan}")
        }
        Some(Stopped::Asked) => format!("stopped because you asked; {again}"),
        Some(Stopped::Journal(error)) => format!("the journal could not be written: {error}; {again}"),
        Some(Stopped::Queue(error)) => format!("a call to a queue failed: {}; {again}", error.fault()),
    };
    output.line(format!("{} sent back, {} left: {what}", applied.removed, applied.left))?;
    for detail in details.iter().take(20) {
        output.line(format!("! {detail}"))?;
    }
    output.value(&json!({
        "sent_back": applied.removed,
        "left": applied.left,
        "ended": word(applied.stopped.as_ref()),
        "details": details,
    }))?;
    match &applied.stopped {
        Some(Stopped::Queue(error)) => Err(unreachable(error)),
        Some(Stopped::Directory(fault)) => Err(Failure::unreachable(fault)),
        stopped => Ok(outcome(stopped.is_none())),
    }
}
