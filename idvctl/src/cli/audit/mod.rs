//! `idvctl audit`: the trail as auditors read it.

mod bundle;
mod check;
mod codes;
mod comparison;
mod export;
mod keygen;
mod reconcile;
mod redecide;
mod report;
mod seal;
mod source;
mod trace;
mod verify;

use std::process::ExitCode;

use clap::Subcommand;
use idv_callback::config::Environment;

use crate::output::{self, Failure, Output};

#[derive(Subcommand)]
pub(crate) enum AuditCommand {
    /// Check whether a trail is whole and unaltered: every gap, edit, reorder, duplicate and fork, by record. Offline.
    Verify(verify::Options),
    /// Seal what is new: a Merkle tree over the chains' ends, and a signed checkpoint of it.
    Seal(seal::Options),
    /// Make a key for sealing, and print its public half.
    Keygen(keygen::Options),
    /// Show what happened to one delivery or one user, step by step, with the reason for each step.
    Trace(trace::Options),
    /// Check whether every accepted callback has exactly one outcome, and every change to a user a record.
    Reconcile(reconcile::Options),
    /// Decide everything again by today's rules, and list what would be decided differently.
    Redecide(redecide::Options),
    /// Make one self-contained page to print or open offline.
    Report(report::Options),
    /// Print the records in another form.
    Export(export::Options),
    /// Put records, seals, schema and a verifier of one page into a file.
    Bundle(bundle::Options),
    /// Print the JSON Schema of a record.
    Schema,
    /// Print the table of all codes, in Markdown.
    Codes,
}

pub(crate) async fn run(
    command: AuditCommand,
    environment: &Environment,
    output: Output,
) -> Result<ExitCode, Failure> {
    match command {
        AuditCommand::Verify(options) => verify::run(&options, environment, output).await,
        AuditCommand::Seal(options) => seal::run(&options, environment, output).await,
        AuditCommand::Keygen(options) => keygen::run(&options, output),
        AuditCommand::Trace(options) => trace::run(&options, environment, output).await,
        AuditCommand::Reconcile(options) => reconcile::run(&options, environment, output).await,
        AuditCommand::Redecide(options) => redecide::run(&options, environment, output).await,
        AuditCommand::Report(options) => report::run(&options, environment, output).await,
        AuditCommand::Export(options) => export::run(&options, environment, output).await,
        AuditCommand::Bundle(options) => bundle::run(&options, environment, output).await,
        AuditCommand::Schema => {
            output::raw(crate::trail::RECORD_SCHEMA.as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        AuditCommand::Codes => {
            output::raw(codes::table().as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
