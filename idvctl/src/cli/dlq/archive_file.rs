//! An encrypted file of dead letters: one message a line, encrypted to age recipients.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use idv_callback::hex::hex;
use idv_callback::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::cli::private_file;
use crate::output::Failure;
use crate::ports::DeadLetter;

/// A message in an archive. No `Debug`: its body names a user.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ArchivedMessage {
    pub(crate) message_id: String,
    pub(crate) group_id: String,
    pub(crate) sent_at: String,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl ArchivedMessage {
    fn of(message: &DeadLetter) -> Self {
        Self {
            message_id: message.id.clone(),
            group_id: message.group_id.clone(),
            sent_at: message.sent_at.to_string(),
            attributes: message.attributes.clone(),
            body: message.body.clone(),
        }
    }

    /// As it was in the queue; nobody holds it.
    pub(crate) fn letter(self) -> Option<DeadLetter> {
        Some(DeadLetter {
            sent_at: Timestamp::parse(&self.sent_at).ok()?,
            id: self.message_id,
            handle: String::new(),
            body: self.body,
            group_id: self.group_id,
            attributes: self.attributes,
        })
    }
}

fn complaint(file: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::usage(format!("{}: {error}", file.display()))
}

pub(crate) fn recipients(texts: &[String]) -> Result<Vec<age::x25519::Recipient>, Failure> {
    let one = |text: &String| {
        let parsed: Result<age::x25519::Recipient, _> = text.parse();
        parsed
            .map_err(|error| Failure::usage(format!("--recipient must be an age recipient, age1…: {error}")))
    };
    texts.iter().map(one).collect()
}

/// Writes a new file. When this returns, it is on the disk.
pub(crate) fn write(
    path: &Path,
    recipients: &[age::x25519::Recipient],
    letters: &[DeadLetter],
) -> Result<(), Failure> {
    let wrong = |error: &dyn std::fmt::Display| complaint(path, error);
    let file = private_file::create(path).map_err(|error| wrong(&error))?;
    let recipients = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(recipients).map_err(|error| wrong(&error))?;
    let mut output = encryptor.wrap_output(file).map_err(|error| wrong(&error))?;
    for message in letters {
        let line = serde_json::to_string(&ArchivedMessage::of(message)).map_err(|error| wrong(&error))?;
        writeln!(output, "{line}").map_err(|error| wrong(&error))?;
    }
    let file = output.finish().map_err(|error| wrong(&error))?;
    file.sync_all().map_err(|error| wrong(&error))
}

/// The digest of an archive's file, as it lies on the disk.
pub(crate) fn digest(path: &Path) -> Result<String, Failure> {
    let bytes = std::fs::read(path).map_err(|error| complaint(path, error))?;
    Ok(hex(&Sha256::digest(bytes)))
}

/// Reads an archive with the identities of these files (`age-keygen` makes one). A file that was changed or cut short is
/// refused: age authenticates it to its end.
pub(crate) fn read(path: &Path, identities: &[PathBuf]) -> Result<Vec<ArchivedMessage>, Failure> {
    let mut keys: Vec<Box<dyn age::Identity>> = Vec::new();
    for file in identities {
        let text = std::fs::read_to_string(file).map_err(|error| complaint(file, error))?;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let key: Result<age::x25519::Identity, _> = line.parse();
            let key = key.map_err(|_| complaint(file, "a line is no age identity, AGE-SECRET-KEY-1…"))?;
            keys.push(Box::new(key));
        }
    }
    let file = std::fs::File::open(path).map_err(|error| complaint(path, error))?;
    let decryptor = age::Decryptor::new(BufReader::new(file)).map_err(|error| complaint(path, error))?;
    let plain = decryptor.decrypt(keys.iter().map(AsRef::as_ref)).map_err(|error| complaint(path, error))?;
    let mut messages = Vec::new();
    for (number, line) in BufReader::new(plain).lines().enumerate() {
        let line = line.map_err(|error| complaint(path, error))?;
        let message = serde_json::from_str(&line);
        messages.push(message.map_err(|_| complaint(path, format!("line {} is no message", number + 1)))?);
    }
    Ok(messages)
}
