//! `audit verify`: is the trail whole and unaltered?

use std::process::ExitCode;

use clap::Args;
use idv_callback::config::Environment;
use serde_json::{Value, json};

use crate::cli::audit::check::{SealOptions, check, seals};
use crate::cli::audit::source::{Reader, Sources};
use crate::output::{Failure, Output, outcome};
use crate::trail::{Checked, Finding, FindingKind};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) sources: Sources,
    #[command(flatten)]
    pub(crate) seals: SealOptions,
    /// A silence of a kind of writer that is longer than this is a finding. Without it, it is only told.
    #[arg(long, value_name = "MINUTES")]
    pub(crate) most_silence: Option<u64>,
}

pub(crate) async fn run(
    options: &Options,
    environment: &Environment,
    output: Output,
) -> Result<ExitCode, Failure> {
    let reader = Reader { sources: &options.sources, environment, output };
    let seals = seals(&options.seals)?;
    let (mut checked, _) = check(&reader, seals.as_ref(), |_| {}, false).await?;
    if let Some(most) = options.most_silence {
        checked.findings.extend(too_silent(&checked, most));
    }
    for finding in &checked.findings {
        output.line(finding.to_string())?;
    }
    for (process, (seconds, since)) in &checked.silences {
        output.note(format!("{process}: the longest silence was {} min, from {since}", seconds / 60));
    }
    if checked.tolerated > 0 {
        output.note(format!("{} records are duplicates or out of order", checked.tolerated));
    }
    if checked.cut_short > 0 {
        output.note(format!("{} lines are incomplete and do not count as records", checked.cut_short));
    }
    if seals.is_none() {
        output.note(
            "no seals were given (--sealed): records missing at the end of a chain would not be noticed",
        );
    } else if options.seals.key.is_none() {
        output.note("the signatures were not checked: no public key was given (--key)");
    }
    let sound = checked.findings.is_empty() && checked.records > 0;
    let verdict = match (sound, checked.records) {
        (true, _) => "whole and unaltered",
        (false, 0) => "there are no records in it",
        (false, _) => "NOT SOUND",
    };
    output.line(format!(
        "{} records of {} writers, {} sealed ranges: {verdict}",
        checked.records,
        checked.writers,
        seals.as_ref().map_or(0, |seals| seals.leaves.len())
    ))?;
    let mut value = serde_json::to_value(&checked).unwrap_or_default();
    if let Value::Object(members) = &mut value {
        members.insert("sound".to_owned(), json!(sound));
    }
    output.value(&value)?;
    Ok(outcome(sound))
}

fn too_silent(checked: &Checked, minutes: u64) -> Vec<Finding> {
    let long = checked.silences.iter().filter(|(_, (seconds, _))| *seconds > minutes * 60);
    let finding = |(process, (seconds, since)): (&String, &(u64, String))| Finding {
        kind: FindingKind::Silence,
        writer: process.clone(),
        from: 0,
        to: 0,
        place: since.clone(),
        text: format!("no record for {} min", seconds / 60),
    };
    long.map(finding).collect()
}
