//! What has been done of a plan: a line for each step, in a file beside the plan.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use idv_callback::timestamp::Timestamp;

use crate::cli::private_file;
use crate::output::Failure;
use crate::redrive::{Journal, Note, Sent, Stage, Stages};

/// A journal that is written to.
pub(crate) struct FileJournal {
    file: File,
    stages: Stages,
}

const STAGES: [(Stage, &str); 3] =
    [(Stage::Sending, "sending"), (Stage::Sent, "sent"), (Stage::Removed, "removed")];

/// The first word of a stage's line.
fn stage_word(stage: Stage) -> &'static str {
    STAGES.iter().find(|(known, _)| *known == stage).map_or("", |(_, word)| word)
}

/// The journal's file.
fn path(plan: &Path) -> PathBuf {
    let mut name = plan.file_name().unwrap_or_default().to_owned();
    name.push(".journal");
    plan.with_file_name(name)
}

fn complaint(journal: &Path, error: &str) -> Failure {
    Failure::usage(format!("{}: {error}", journal.display()))
}

/// What a journal of this plan says. A line that was cut short by a kill says nothing.
fn stages(journal: &Path, said: &str, digest: &str) -> Result<Stages, Failure> {
    let of = said.lines().find_map(|line| line.strip_prefix("plan "));
    if of.is_some_and(|of| of != digest) {
        return Err(complaint(journal, "it is the journal of another plan; move it to another place"));
    }
    let mut stages = Stages::default();
    // A last line without its end may have lost some of it.
    for line in said.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        let mut words = line.split(' ');
        let (Some(first), Some(message_id), Some(at)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let stage = STAGES.iter().find(|(_, word)| *word == first);
        if let (Some((stage, _)), Ok(at)) = (stage, Timestamp::parse(at)) {
            stages.take(&Note { message_id, stage: *stage, at, sent_as: words.next() });
        }
    }
    Ok(stages)
}

/// What the journal beside a plan says, for somebody who only looks; none where there is no journal.
pub(crate) fn look(plan: &Path, digest: &str) -> Result<Option<Stages>, Failure> {
    let journal = path(plan);
    match std::fs::read_to_string(&journal) {
        Ok(said) => stages(&journal, &said, digest).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(complaint(&journal, &error.to_string())),
    }
}

impl FileJournal {
    /// Takes the journal of this plan up, or begins it. One run at a time can have it.
    pub(crate) fn open(plan: &Path, digest: &str) -> Result<Self, Failure> {
        let journal = path(plan);
        let complaint = |error: io::Error| complaint(&journal, &error.to_string());
        let file = private_file::append(&journal).map_err(complaint)?;
        file.try_lock().map_err(|_| self::complaint(&journal, "another run is using it"))?;
        let said = std::fs::read_to_string(&journal).map_err(complaint)?;
        let mut opened = Self { file, stages: stages(&journal, &said, digest)? };
        // Begins a line of its own, whatever the last run left behind.
        opened.append(&format!("\nplan {digest}")).map_err(complaint)?;
        Ok(opened)
    }

    fn append(&mut self, line: &str) -> io::Result<()> {
        self.file.write_all(format!("{line}\n").as_bytes())?;
        self.file.sync_data()
    }
}

impl Journal for FileJournal {
    fn note(&mut self, note: &Note<'_>) -> io::Result<()> {
        let mut line = format!("{} {} {}", stage_word(note.stage), note.message_id, note.at);
        if let Some(sent_as) = note.sent_as {
            line = format!("{line} {sent_as}");
        }
        self.append(&line)?;
        self.stages.take(note);
        Ok(())
    }

    fn stage(&self, message_id: &str) -> Option<Stage> {
        self.stages.stage(message_id)
    }

    fn sent(&self, message_id: &str) -> Option<Sent> {
        self.stages.sent(message_id)
    }
}
