//! `audit export`: the records in another form.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use idv_callback::config::Environment;
use serde_json::Value;

use crate::cli::audit::source::{Reader, Sources};
use crate::output::{self, Failure, Output, outcome};
use crate::trail::{Entry, ocsf};

/// A form.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// The Open Cybersecurity Schema Framework, 1.1.0, class API Activity: one event a line.
    Ocsf,
}

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) sources: Sources,
    /// The form.
    #[arg(long, value_enum)]
    pub(crate) format: ExportFormat,
}

pub(crate) async fn run(
    options: &Options,
    environment: &Environment,
    output: Output,
) -> Result<ExitCode, Failure> {
    let reader = Reader { sources: &options.sources, environment, output };
    let (mut written, mut failed) = (0_u64, None);
    reader
        .records(|_, record| {
            let (Some(entry), Ok(value)) = (Entry::read(record), serde_json::from_slice::<Value>(record))
            else {
                return;
            };
            let event = match options.format {
                ExportFormat::Ocsf => ocsf(&entry, &value),
            };
            written += 1;
            if failed.is_none() {
                failed = output::raw(format!("{event}\n").as_bytes()).err();
            }
        })
        .await?;
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(outcome(written > 0)),
    }
}
