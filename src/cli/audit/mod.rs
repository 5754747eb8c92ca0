//! `idvctl audit`: the trail as auditors read it.

mod bundle;
mod check;
mod lives;
mod source;

use std::process::ExitCode;

use super::args::AuditCommand;
use super::output::{self, Failure, Output};
use crate::audit::AuditCode;
use crate::config::Environment;

pub(super) async fn run(
    command: AuditCommand,
    environment: &Environment,
    output: Output,
) -> Result<ExitCode, Failure> {
    match command {
        AuditCommand::Verify(options) => check::verify(&options, environment, output).await,
        AuditCommand::Seal(options) => bundle::seal(&options, environment, output).await,
        AuditCommand::Keygen(options) => bundle::keygen(&options, output),
        AuditCommand::Trace(options) => lives::trace(&options, environment, output).await,
        AuditCommand::Reconcile(options) => check::reconcile(&options, environment, output).await,
        AuditCommand::Redecide(sources) => check::redecide(&sources, environment, output).await,
        AuditCommand::Report(options) => check::report(&options, environment, output).await,
        AuditCommand::Export(options) => lives::export(&options, environment, output).await,
        AuditCommand::Bundle(options) => bundle::bundle(&options, environment, output).await,
        AuditCommand::Schema => {
            output::raw(crate::trail::RECORD_SCHEMA.as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        AuditCommand::Codes => {
            output::raw(codes().as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The table of all codes, in Markdown.
fn codes() -> String {
    let mut table = "| code | event | meaning |\n|---|---|---|\n".to_owned();
    for code in AuditCode::ALL {
        let (number, word) = code.code_and_word();
        table.push_str(&["| `", number, "` | `", word, "` | ", code.meaning(), " |\n"].concat());
    }
    table
}
