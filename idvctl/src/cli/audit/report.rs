//! `audit report`: one page for the auditor.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use idv_callback::audit::CODE_VERSION;
use idv_callback::clock::SystemClock;
use idv_callback::config::Environment;
use idv_callback::ports::Clock as _;
use serde_json::json;

use crate::cli::audit::check::{SealOptions, check, readable, seals};
use crate::cli::audit::comparison::{Comparison, finish};
use crate::cli::audit::source::{Reader, Sources};
use crate::cli::private_file;
use crate::output::{Failure, Output, outcome};
use crate::trail::{Entry, Reconciliation, Report, Statistics};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) sources: Sources,
    #[command(flatten)]
    pub(crate) seals: SealOptions,
    #[command(flatten)]
    pub(crate) beside: Comparison,
    /// Where to write the page. Never overwritten.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: PathBuf,
}

pub(crate) async fn run(
    options: &Options,
    environment: &Environment,
    output: Output,
) -> Result<ExitCode, Failure> {
    let reader = Reader { sources: &options.sources, environment, output };
    let seals = seals(&options.seals)?;
    let (mut statistics, mut reconciliation) = (Statistics::default(), Reconciliation::default());
    let each = |entry: &Entry| {
        statistics.read(entry);
        reconciliation.read(entry);
    };
    let (checked, unreadable) = check(&reader, seals.as_ref(), each, true).await?;
    let readable = readable(checked.records, unreadable, output);
    let reconciled = finish(reconciliation, &options.beside)?;
    let made = SystemClock.now().to_string();
    let page = Report {
        statistics: &statistics,
        checked: &checked,
        sealed: seals.as_ref().map(|seals| (seals.leaves.len(), seals.signed)),
        unreadable,
        reconciled: &reconciled,
        made: (&made, CODE_VERSION),
    };
    let written = private_file::write_new(&options.html, page.html().as_bytes());
    written.map_err(|error| Failure::usage(format!("--html {}: {error}", options.html.display())))?;
    let sound = checked.findings.is_empty() && reconciled.is_sound() && readable;
    let verdict = if sound { "sound" } else { "NOT SOUND" };
    output.line(format!("{}: {} records, {verdict}", options.html.display(), checked.records))?;
    output.value(&json!({ "page": options.html, "records": checked.records, "sound": sound }))?;
    Ok(outcome(sound))
}
