//! `idvctl`: the command line. Exit codes: 0 done, 1 the outcome is no, 2 usage, 3 something could not be reached.

mod args;
mod audit;
mod audit_file;
mod captured;
mod client;
mod demo;
mod dev;
mod dlq;
mod doctor;
mod explain;
mod keys;
mod local;
mod message;
mod operator;
mod output;
mod private_file;
mod proof;
mod send;
mod signing;
mod stack;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use crate::config::Environment;
use args::{Arguments, Command, KeysCommand, ProofCommand};
use output::{Failure, Output};

/// Runs the program with the arguments of this process.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let output = Output::new(arguments.json);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output.fail(&Failure::unreachable(format!("no async runtime: {error}"))),
    };
    let environment = Environment::of_this_process();
    match runtime.block_on(dispatch(arguments.command, &environment, output)) {
        Ok(code) => code,
        Err(failure) => output.fail(&failure),
    }
}

async fn dispatch(command: Command, environment: &Environment, output: Output) -> Result<ExitCode, Failure> {
    match command {
        Command::Demo => demo::run(output).await,
        Command::Dev(options) => dev::run(&options, environment, output).await,
        Command::Send(options) => send::run(&options, environment, output).await,
        Command::Sign(options) => signing::sign(&options, environment, output),
        Command::Verify(options) => signing::verify(&options, environment, output),
        Command::Explain(options) => explain::run(&options, environment, output),
        Command::Audit(command) => audit::run(command, environment, output).await,
        Command::Dlq(command) => dlq::run(command, environment, output).await,
        Command::Proof(ProofCommand::Start(options)) => proof::start(&options, environment, output).await,
        Command::Doctor(options) => doctor::run(&options, environment, output).await,
        Command::Keys(KeysCommand::New(options)) => keys::new(&options, output),
        Command::Keys(KeysCommand::Show(options)) => keys::show(&options, environment, output),
        Command::Keys(KeysCommand::Add(options)) => keys::add(&options, output),
        Command::Keys(KeysCommand::Expire(options)) => keys::expire(&options, output),
        Command::Keys(KeysCommand::Remove(options)) => keys::remove(&options, output),
        Command::Keys(KeysCommand::Use(options)) => keys::usage(&options, output),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "idvctl", &mut script);
            output::raw(&script)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
