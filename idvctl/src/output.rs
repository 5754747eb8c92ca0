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

    /// The same, with what was done before.
    pub(crate) fn after(self, done: &str) -> Self {
        Self { message: format!("{}. {done}", self.message), ..self }
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
    width: Option<usize>,
    colour: bool,
}

/// How many columns there are between two columns of a record's lines.
const GAP: usize = 2;

/// The least width that a value gets, however narrow the terminal is.
const NARROWEST: usize = 20;

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, width: None, colour: false }
    }

    /// On a terminal of this width, if that is known, which has colour or has none.
    #[must_use]
    pub(crate) fn on_terminal(self, width: Option<usize>, colour: bool) -> Self {
        Self { width, colour: colour && !self.json, ..self }
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

    /// A line for people that says what is wrong.
    pub(crate) fn alarm(self, text: impl AsRef<str>) -> io::Result<()> {
        self.line(self.painted("\x1b[31m", text.as_ref()))
    }

    fn painted(self, colour: &str, text: &str) -> String {
        if self.colour { format!("{colour}{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A table for people; where the terminal is too narrow for it, a few lines for each row. Nothing where there are no rows.
    pub(crate) fn table(
        self,
        header: &[&str],
        rows: impl IntoIterator<Item = Vec<String>>,
    ) -> io::Result<()> {
        let rows: Vec<_> = rows.into_iter().collect();
        if rows.is_empty() || self.json {
            return Ok(());
        }
        let text = framed(header, &rows);
        let wide = text.lines().map(|line| line.chars().count()).max().unwrap_or_default();
        if self.width.is_some_and(|width| wide > width) {
            return rows.iter().try_for_each(|row| {
                let named = header.iter().copied().zip(row.iter().map(String::as_str));
                self.record(&named.collect::<Vec<_>>())?;
                self.line("")
            });
        }
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        if let Some(line) = lines.get_mut(1) {
            *line = self.painted("\x1b[1m", line);
        }
        self.line(lines.join("\n"))
    }

    /// Names and values for people, a line each; a value that is too long goes on below its beginning.
    pub(crate) fn record(self, values: &[(&str, &str)]) -> io::Result<()> {
        let indent = values.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default() + GAP;
        let room = self.width.map_or(usize::MAX, |width| width.saturating_sub(indent).max(NARROWEST));
        for (name, value) in values {
            for (number, line) in wrapped(value, room).into_iter().enumerate() {
                let name = if number == 0 { *name } else { "" };
                let name = self.painted("\x1b[1m", &format!("{name:<indent$}"));
                self.line(format!("{name}{line}"))?;
            }
        }
        Ok(())
    }
}

/// A text in lines of at most so many characters, broken between words where that can be.
fn wrapped(text: &str, room: usize) -> Vec<String> {
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split(' ') {
        let together = line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && together <= room {
            line = format!("{line} {word}");
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        let letters: Vec<char> = word.chars().collect();
        for part in letters.chunks(room) {
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            line = part.iter().collect();
        }
    }
    lines.push(line);
    lines
}

fn framed(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    table.add_rows(rows.iter().map(|row| row.iter()));
    table.to_string()
}

impl Output {
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
