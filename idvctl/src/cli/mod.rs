//! `idvctl`: the command line. Exit codes: 0 done, 1 the outcome is no, 2 usage, 3 something could not be reached.
//!
//! A subcommand is a file with its options and its `run`, and two lines here.
#![expect(clippy::doc_markdown, reason = "these comments are the help that people read in a terminal")]

mod audit;
mod audit_file;
mod captured;
mod console;
mod dev;
mod dlq;
mod doctor;
mod explain;
mod keys;
mod local;
mod operator;
mod private_file;
mod progress;
mod proof;
mod record_line;
mod send;
mod sign;
mod signing;
mod verify;
mod watch;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use idv_callback::config::Environment;

use crate::output::{self, Failure, Output};

/// Receive, settle and explain identity-proofing callbacks.
#[derive(Parser)]
#[command(name = "idvctl", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// Print JSON, for machines.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str =
    "Exit codes: 0 done · 1 the outcome is no · 2 usage · 3 something could not be reached";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the whole loop once, in memory: sign-up, callbacks over HTTP, queue, consumer, user pool.
    Demo,
    /// Run the callback endpoint and the consumer in one process: in memory, or against real AWS.
    Dev(dev::Options),
    /// Build, sign and post callbacks.
    Send(send::Options),
    /// Print the signature header fields for a body on standard input.
    Sign(sign::Options),
    /// Check whether a captured request is authentic, and which key signed it.
    Verify(verify::Options),
    /// Find the mistake of the sender that explains a refused request.
    Explain(explain::Options),
    /// Show audit records as they are written: what is accepted, settled, refused, quarantined.
    Watch(watch::Options),
    /// Verify, reconcile, trace, report and bundle the audit trail.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// List, forecast, replay, verify, correct, archive and discard dead letters.
    #[command(subcommand)]
    Dlq(Box<dlq::DlqCommand>),
    /// Show an installation in a web page on this machine alone: what happens, dead letters, users; and work on it.
    Console(Box<console::Options>),
    /// Open a proofing session for a user who is there.
    #[command(subcommand)]
    Proof(proof::ProofCommand),
    /// Check an installation on AWS before somebody depends on it: queues, user pool, app clients, functions, key ring,
    /// clock. Read-only.
    Doctor(doctor::Options),
    /// Make, show and change key rings, and count the use of keys.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Print the manual page, or write the pages of all commands into a folder.
    Man {
        /// The folder, which must exist.
        #[arg(long, value_name = "FOLDER")]
        to: Option<PathBuf>,
    },
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Runs the program with the arguments of this process.
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() && std::env::args().any(|argument| argument == "--json") => {
            return Output::new(true).fail(&Failure::usage(error.to_string().trim_end()));
        }
        Err(error) => error.exit(),
    };
    let environment = Environment::of_this_process();
    let output = on_terminal(Output::new(arguments.json), &environment);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output.fail(&Failure::unreachable(format!("no async runtime: {error}"))),
    };
    match runtime.block_on(dispatch(arguments.command, &environment, output)) {
        Ok(code) => code,
        Err(failure) => output.fail(&failure),
    }
}

/// As wide as the terminal is, or as `COLUMNS` says; with colour where the terminal has it and `NO_COLOR` is not set.
fn on_terminal(output: Output, environment: &Environment) -> Output {
    let stdout = std::io::stdout();
    let said = environment.get("COLUMNS").and_then(|columns| columns.parse().ok());
    let seen = terminal_size::terminal_size_of(&stdout).map(|(width, _)| usize::from(width.0));
    let dumb = environment.get("TERM").is_none_or(|terminal| terminal == "dumb");
    let colour = stdout.is_terminal() && !dumb && environment.get("NO_COLOR").is_none();
    output.on_terminal(seen.or(said), colour)
}

async fn dispatch(command: Command, environment: &Environment, output: Output) -> Result<ExitCode, Failure> {
    match command {
        Command::Demo => crate::demo::run(output).await,
        Command::Dev(options) => dev::run(&options, environment, output).await,
        Command::Send(options) => send::run(&options, environment, output).await,
        Command::Sign(options) => sign::run(&options, environment, output),
        Command::Verify(options) => verify::run(&options, environment, output),
        Command::Explain(options) => explain::run(&options, environment, output),
        Command::Watch(options) => watch::run(&options, environment, output).await,
        Command::Audit(command) => audit::run(command, environment, output).await,
        Command::Dlq(command) => dlq::run(&command, environment, output).await,
        Command::Console(options) => console::run(*options, environment, output).await,
        Command::Proof(command) => proof::run(command, environment, output).await,
        Command::Doctor(options) => doctor::run(&options, environment, output).await,
        Command::Keys(command) => keys::run(command, environment, output),
        Command::Man { to } => {
            let command = Arguments::command();
            if let Some(folder) = to {
                clap_mangen::generate_to(command, folder)?;
            } else {
                let mut page = Vec::new();
                clap_mangen::Man::new(command).render(&mut page)?;
                output::raw(&page)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "idvctl", &mut script);
            output::raw(&script)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
