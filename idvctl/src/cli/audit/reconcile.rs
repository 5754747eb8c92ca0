//! `audit reconcile`: did every accepted callback end in exactly one outcome?

use std::process::ExitCode;

use clap::Args;
use idv_callback::config::Environment;
use serde_json::{Value, json};

use crate::cli::audit::check::readable;
use crate::cli::audit::comparison::{Comparison, finish};
use crate::cli::audit::source::{Reader, Sources};
use crate::output::{Failure, Output, outcome};
use crate::trail::Reconciliation;

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) sources: Sources,
    #[command(flatten)]
    pub(crate) beside: Comparison,
}

pub(crate) async fn run(
    options: &Options,
    environment: &Environment,
    output: Output,
) -> Result<ExitCode, Failure> {
    let reader = Reader { sources: &options.sources, environment, output };
    let mut reconciliation = Reconciliation::default();
    let (records, unreadable) = reader.entries(|entry| reconciliation.read(&entry)).await?;
    let readable = readable(records, unreadable, output);
    let reconciled = finish(reconciliation, &options.beside)?;
    let counted = reconciled.classes.iter().filter(|(_, count)| **count > 0);
    let rows = counted.map(|(class, count)| vec![(*class).to_owned(), count.to_string()]);
    output.table(&["accepted callbacks by outcome", "callbacks"], rows)?;
    for (what, list) in reconciled.left_over() {
        for one in list {
            output.line(format!("! {what}: {one}"))?;
        }
    }
    if reconciled.accepted_earlier > 0 {
        output.note(format!("{} outcomes are of callbacks accepted earlier", reconciled.accepted_earlier));
    }
    let counted: u64 = reconciled.classes.values().sum();
    output.line(format!(
        "{} accepted = {counted} with exactly one outcome or in progress + {} unexplained: {}",
        reconciled.accepted,
        reconciled.residue(),
        if reconciled.is_sound() && readable { "sound" } else { "NOT SOUND" }
    ))?;
    let mut value = serde_json::to_value(&reconciled).unwrap_or_default();
    if let Value::Object(members) = &mut value {
        members.insert("residue".to_owned(), json!(reconciled.residue()));
        members.insert("records_unreadable".to_owned(), json!(unreadable));
        members.insert("sound".to_owned(), json!(reconciled.is_sound() && readable));
    }
    output.value(&value)?;
    Ok(outcome(reconciled.is_sound() && readable))
}
