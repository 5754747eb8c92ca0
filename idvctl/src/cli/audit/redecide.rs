//! `audit redecide`: would today's rules decide the same?

use std::process::ExitCode;

use clap::Args;
use idv_callback::audit::CODE_VERSION;
use idv_callback::config::Environment;

use crate::cli::audit::check::readable;
use crate::cli::audit::source::{Reader, Sources};
use crate::output::{Failure, Output, outcome};
use crate::trail::Redecision;

/// What is decided again.
#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) sources: Sources,
}

pub(crate) async fn run(
    options: &Options,
    environment: &Environment,
    output: Output,
) -> Result<ExitCode, Failure> {
    let reader = Reader { sources: &options.sources, environment, output };
    let mut redecision = Redecision::default();
    let (records, unreadable) = reader.entries(|entry| redecision.read(&entry)).await?;
    let readable = readable(records, unreadable, output);
    for difference in redecision.differences.iter().take(1000) {
        output.line(format!(
            "{} {} (version {}): {}; today: {}",
            difference.at, difference.receipt_id, difference.version, difference.then, difference.now
        ))?;
    }
    for (version, count) in &redecision.decided {
        let others = redecision.differences.iter().filter(|d| d.version == *version).count();
        output.line(format!(
            "version {version}: {count} decided again by version {CODE_VERSION}, {others} with another result"
        ))?;
    }
    if redecision.without_facts + redecision.unreadable > 0 {
        output.note(format!(
            "{} records hold no facts to decide by, {} cannot be read",
            redecision.without_facts, redecision.unreadable
        ));
    }
    output.value(&serde_json::to_value(&redecision).unwrap_or_default())?;
    Ok(outcome(redecision.differences.is_empty() && redecision.unreadable == 0 && readable))
}
