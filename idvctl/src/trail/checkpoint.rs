//! Sealing: what each writer's chain had come to, as leaves of a Merkle tree, and signed checkpoints of it (C2SP, "tlog-checkpoint").
//!
//! A chain's last digest stands for all of its records, so a leaf is small, however many there are:
//! `{"writer":"…","from":0,"to":17,"head":"<64 hex>"}`. Leaves are only added; each checkpoint names the digest of the one before.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use idv_callback::audit::NO_RECORD;
use idv_callback::hex::hex;
use idv_callback::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::finding::{Finding, FindingKind};
use super::merkle::root;
use super::note::{NoteError, VerifyingKey, signed};

/// A stretch of one writer's chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaf {
    /// The writer.
    pub writer: String,
    /// The first record.
    pub from: u64,
    /// The last.
    pub to: u64,
    /// The digest of the last one's line.
    pub head: String,
}

/// All that is sealed: the leaves, and the checkpoints in order, each with the name of its file.
#[derive(Clone, Debug, Default)]
pub struct SealedLog {
    /// The leaves, one a line.
    pub leaves: String,
    /// The checkpoints.
    pub checkpoints: Vec<(String, String)>,
}

/// There is nothing to seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NothingNew;

/// What a checkpoint says.
struct Said<'c> {
    origin: &'c str,
    size: usize,
    root: &'c str,
    prev: &'c str,
}

impl SealedLog {
    /// Checks signatures, roots and links; gives the leaves, and what is wrong.
    pub fn check(&self, key: Option<&VerifyingKey>) -> (Vec<Leaf>, Vec<Finding>) {
        let (mut findings, mut prev, mut sealed) = (Vec::new(), NO_RECORD.to_owned(), 0);
        let lines: Vec<&str> = self.leaves.lines().collect();
        for (number, (name, note)) in self.checkpoints.iter().enumerate() {
            let mut find = |kind, text: &str| {
                let (writer, place, text) = (name.clone(), name.clone(), text.to_owned());
                let number = number as u64;
                findings.push(Finding { kind, writer, from: number, to: number, place, text });
            };
            if let Some(Err(error)) = key.map(|key| key.open(note)) {
                find(FindingKind::BadSignature, &error.to_string());
            }
            let before = std::mem::replace(&mut prev, hex(&Sha256::digest(note)));
            let Some(said) = read(note) else {
                find(FindingKind::BadCheckpoint, "it is no checkpoint");
                continue;
            };
            if key.is_some_and(|key| key.name() != said.origin) {
                find(FindingKind::BadCheckpoint, "it is another log's");
            }
            if said.prev != before {
                find(FindingKind::BadCheckpoint, "it does not follow the one before");
            }
            match lines.get(..said.size) {
                None => find(FindingKind::BadCheckpoint, "leaves that it seals are missing"),
                Some(_) if said.size < sealed => {
                    find(FindingKind::BadCheckpoint, "it seals less than the one before");
                }
                Some(leaves) => {
                    if STANDARD.encode(root(leaves.iter().map(|line| line.as_bytes()))) != said.root {
                        find(FindingKind::BadCheckpoint, "the leaves are not those that it seals");
                    }
                }
            }
            sealed = said.size.max(sealed);
        }
        let mut leaves = Vec::new();
        for (number, line) in lines.iter().enumerate() {
            let number = number as u64;
            let mut find = |text: &str| {
                let (kind, text, place) = (FindingKind::BadCheckpoint, text.to_owned(), "leaves".to_owned());
                findings.push(Finding {
                    kind,
                    writer: "leaves".to_owned(),
                    from: number,
                    to: number,
                    place,
                    text,
                });
            };
            match serde_json::from_str(line) {
                Ok(leaf) => leaves.push(leaf),
                Err(_) => find("it is no leaf"),
            }
            if number >= sealed as u64 {
                find("no checkpoint seals it");
            }
        }
        (leaves, findings)
    }

    /// The leaves that the first so many checkpoints seal.
    pub fn sealed_by(&self, checkpoints: usize) -> usize {
        let last = checkpoints.checked_sub(1).and_then(|index| self.checkpoints.get(index));
        last.and_then(|(_, note)| read(note)).map_or(0, |said| said.size)
    }

    /// The lines to add, and the text of the checkpoint that seals them, to be signed.
    ///
    /// # Errors
    /// [`NothingNew`].
    pub fn add(
        &self,
        new: &[Leaf],
        origin: &str,
        at: Timestamp,
        records: u64,
        findings: usize,
    ) -> Result<(String, String), NothingNew> {
        if new.is_empty() {
            return Err(NothingNew);
        }
        let mut added = String::new();
        for leaf in new {
            added.push_str(&serde_json::to_string(leaf).unwrap_or_default());
            added.push('\n');
        }
        let all = format!("{}{added}", self.leaves);
        let root = STANDARD.encode(root(all.lines().map(str::as_bytes)));
        let prev = self.checkpoints.last().map(|(_, note)| hex(&Sha256::digest(note)));
        let prev = prev.unwrap_or_else(|| NO_RECORD.to_owned());
        let size = all.lines().count();
        // Extension lines: what they say is signed, and no other verifier needs them.
        let text = format!(
            "{origin}\n{size}\n{root}\nprev {prev}\nat {at}\nrecords {records}\nfindings {findings}\n"
        );
        Ok((added, text))
    }

    /// A signed checkpoint.
    ///
    /// # Errors
    /// [`NoteError`] when the signature is not this key's.
    pub fn sign(text: &str, key: &VerifyingKey, signature: &[u8]) -> Result<String, NoteError> {
        let note = signed(text, key, signature);
        key.open(&note).map(drop)?;
        Ok(note)
    }
}

fn read(note: &str) -> Option<Said<'_>> {
    let mut lines = note.split("\n\n").next()?.lines();
    let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
    let prev = lines.find_map(|line| line.strip_prefix("prev "))?;
    Some(Said { origin, size: size.parse().ok()?, root, prev })
}
