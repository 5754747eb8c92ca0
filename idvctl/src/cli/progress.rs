//! How far something is, for somebody who waits.

use std::fmt;
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressState, ProgressStyle};

use crate::output::Output;

/// How often it is drawn again, also while nothing happens.
const TICK: Duration = Duration::from_millis(250);

/// What is fewer than this is over before anybody reads of it.
const FEW: u64 = 10;

/// A line that moves, where a person is watching a terminal; nothing elsewhere. It is gone when this is dropped.
pub(crate) struct Progress {
    bar: ProgressBar,
    output: Output,
}

impl Progress {
    /// Of so many, about.
    pub(crate) fn new(what: &'static str, total: u64, output: Output) -> Self {
        let hidden = total < FEW || !output.is_interactive();
        let bar = if hidden { ProgressBar::hidden() } else { ProgressBar::new(total) };
        let style = "{msg} {pos} of about {len}, {elapsed} so far, {left}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style.with_key("left", left));
        }
        bar.set_message(what);
        if !hidden {
            bar.enable_steady_tick(TICK);
        }
        Self { bar, output }
    }

    /// So many are done.
    pub(crate) fn at(&self, done: usize) {
        self.bar.set_position(done as u64);
    }

    /// What is being done now.
    pub(crate) fn doing(&self, what: impl Into<String>) {
        self.bar.set_message(what.into());
    }

    /// One more is done.
    pub(crate) fn one_more(&self) {
        self.bar.inc(1);
    }

    /// A line for people beside it.
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        self.bar.suspend(|| self.output.note(text));
    }
}

/// What is left, reckoned from what was done so far; while nothing is done, nobody knows.
fn left(state: &ProgressState, text: &mut dyn fmt::Write) {
    let written = match state.pos() {
        0 => write!(text, "time left not known"),
        _ => write!(text, "about {} left", HumanDuration(state.eta())),
    };
    debug_assert!(written.is_ok(), "a text takes all that is written");
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
