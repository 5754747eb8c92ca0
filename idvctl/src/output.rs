//! What the command line prints, for people or for machines, and how it fails.

use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};

/// A command that did not do what was asked.
pub(crate) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// Exit code 2: the arguments, or a file that they name, are wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: 2, message: message.into() }
    }

    /// Exit code 1: it was not done.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into() }
    }

    /// What it says.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Exit code 3: something could not be reached.
    pub(crate) fn unreachable(message: impl Into<String>) -> Self {
        Self { code: 3, message: message.into() }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::unreachable(format!("standard output: {error}"))
    }
}

/// Exit code 1: the outcome is no.
pub(crate) fn outcome(yes: bool) -> ExitCode {
    if yes { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// Writes bytes to standard output as they are, for people and machines alike. Somebody who has read enough (`| head`)
/// and closed the pipe is no failure.
pub(crate) fn raw(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes a line to standard output, and says so when it cannot: for what must not be lost.
pub(crate) fn record(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    stdout.flush()
}

/// Where results go: standard output. What a command says about itself goes to standard error.
#[derive(Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Whether a person is watching.
    pub(crate) fn is_interactive(self) -> bool {
        !self.json && io::stderr().is_terminal()
    }

    /// A line for people.
    pub(crate) fn line(self, text: impl AsRef<str>) -> io::Result<()> {
        if self.json { Ok(()) } else { raw(format!("{}\n", text.as_ref()).as_bytes()) }
    }

    /// A value for machines.
    pub(crate) fn value(self, value: &Value) -> io::Result<()> {
        if self.json { raw(format!("{value}\n").as_bytes()) } else { Ok(()) }
    }

    /// A table for people.
    pub(crate) fn table(self, header: &[&str], rows: Vec<Vec<String>>) -> io::Result<()> {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(header);
        table.add_rows(rows);
        self.line(table.to_string())
    }

    /// A line to standard error, for people.
    pub(crate) fn note(self, text: impl AsRef<str>) {
        if !self.json {
            // Nobody is left to tell when standard error is closed, and the command's result does not depend on it.
            let _unheard = writeln!(io::stderr().lock(), "{}", text.as_ref());
        }
    }

    /// Says why a command failed; gives its exit code.
    pub(crate) fn fail(self, failure: &Failure) -> ExitCode {
        // What cannot be written any more, nobody is there to hear; the exit code tells it, too.
        let _unheard = if self.json {
            // On the same stream as every other answer.
            let value = json!({ "error": failure.message, "exit_code": failure.code });
            raw(format!("{value}\n").as_bytes())
        } else {
            writeln!(io::stderr().lock(), "idvctl: {}", failure.message)
        };
        ExitCode::from(failure.code)
    }
}
