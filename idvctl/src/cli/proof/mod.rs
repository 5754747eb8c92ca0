//! `idvctl proof`: proofing sessions.

mod start;

use std::process::ExitCode;

use clap::Subcommand;
use idv_callback::config::Environment;

use crate::output::{Failure, Output};

#[derive(Subcommand)]
pub(crate) enum ProofCommand {
    /// Open a proofing session for a user who is there: let through while 1Kosmos was down, or older than this system. The
    /// link is printed once; whoever has it can prove to be the user, so give it to them alone.
    Start(start::Options),
}

pub(crate) async fn run(
    command: ProofCommand,
    environment: &Environment,
    output: Output,
) -> Result<ExitCode, Failure> {
    match command {
        ProofCommand::Start(options) => start::run(&options, environment, output).await,
    }
}
