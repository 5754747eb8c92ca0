//! Reading a trail together with what is sealed of it.

use std::path::{Path, PathBuf};

use clap::Args;
use idv_callback::audit::CODE_VERSION;

use crate::cli::audit::source::{Reader, files, is_json};
use crate::output::{Failure, Output};
use crate::trail::{Checked, Entry, Finding, FindingKind, Leaf, SealedLog, Verifier, VerifyingKey};

/// What is sealed.
#[derive(Args)]
pub(crate) struct SealOptions {
    /// The folder that `seal` keeps: leaves.jsonl and checkpoints.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) sealed: Option<PathBuf>,
    /// The public key, as `keygen` prints it, or a file with it.
    #[arg(long, value_name = "KEY", requires = "sealed")]
    pub(crate) key: Option<String>,
    /// Take what the first N checkpoints seal as given: only the records behind that are here.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "sealed")]
    pub(crate) after: usize,
}

/// What is sealed, checked.
pub(crate) struct Seals {
    pub(crate) leaves: Vec<Leaf>,
    pub(crate) given: usize,
    pub(crate) signed: bool,
    pub(crate) findings: Vec<Finding>,
}

pub(crate) fn read_sealed(folder: &Path) -> Result<SealedLog, Failure> {
    let complaint =
        |path: &Path, error: std::io::Error| Failure::usage(format!("{}: {error}", path.display()));
    let leaves = folder.join("leaves.jsonl");
    let text = match std::fs::read_to_string(&leaves) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        text => text.map_err(|error| complaint(&leaves, error))?,
    };
    let (mut checkpoints, notes) = (Vec::new(), folder.join("checkpoints"));
    if notes.exists() {
        for path in files(&notes)? {
            let note = std::fs::read_to_string(&path).map_err(|error| complaint(&path, error))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            checkpoints.push((name, note));
        }
    }
    Ok(SealedLog { leaves: text, checkpoints })
}

/// A public key: its text, or a file with it.
pub(crate) fn verifying_key(text: &str) -> Result<VerifyingKey, Failure> {
    let content = if text.matches('+').count() >= 2 {
        text.to_owned()
    } else {
        std::fs::read_to_string(text).map_err(|error| Failure::usage(format!("--key {text}: {error}")))?
    };
    VerifyingKey::parse(&content).map_err(|error| Failure::usage(format!("--key: {error}")))
}

pub(crate) fn seals(options: &SealOptions) -> Result<Option<Seals>, Failure> {
    let Some(folder) = &options.sealed else { return Ok(None) };
    let key = options.key.as_deref().map(verifying_key).transpose()?;
    let log = read_sealed(folder)?;
    let (leaves, mut findings) = log.check(key.as_ref());
    if log.checkpoints.is_empty() {
        let (writer, place) = ("checkpoints".to_owned(), folder.display().to_string());
        let text = "there is no checkpoint".to_owned();
        findings.push(Finding { kind: FindingKind::BadCheckpoint, writer, from: 0, to: 0, place, text });
    }
    Ok(Some(Seals { leaves, given: log.sealed_by(options.after), signed: key.is_some(), findings }))
}

/// Reads all records once: into the verifier, and each one that this code can read into `each`.
pub(crate) async fn check(
    reader: &Reader<'_>,
    seals: Option<&Seals>,
    mut each: impl FnMut(&Entry),
    wants_entries: bool,
) -> Result<(Checked, u64), Failure> {
    let given = seals.and_then(|seals| seals.leaves.get(..seals.given)).unwrap_or_default();
    let mut verifier = Verifier::default().after(given).at_least_once(reader.sources.at_least_once);
    let mut unreadable = 0;
    let mut read = |place: crate::trail::Place<'_>, record: &[u8]| {
        verifier.read(place, record);
        match wants_entries.then(|| Entry::read(record)) {
            Some(Some(entry)) => each(&entry),
            // What was cut short by a kill is no record.
            Some(None) if is_json(record) => unreadable += 1,
            Some(None) | None => {}
        }
    };
    reader.records(&mut read).await?;
    let mut checked = verifier.finish(seals.map(|seals| seals.leaves.as_slice()).unwrap_or_default());
    checked.findings.extend(seals.map(|seals| seals.findings.clone()).unwrap_or_default());
    Ok((checked, unreadable))
}

/// What cannot be read is not passed over: it could be what is looked for.
pub(crate) fn readable(records: u64, unreadable: u64, output: Output) -> bool {
    if unreadable > 0 {
        output
            .note(format!("{unreadable} records cannot be read by this version of idvctl ({CODE_VERSION})"));
    }
    if records == 0 {
        output.note("there are no records in it");
    }
    unreadable == 0 && records > 0
}
