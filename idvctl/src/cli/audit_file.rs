//! An audit log in a file: one writer's chain, whichever process appends to it.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use idv_callback::audit::{AuditCode, AuditRecord, Chain};
use idv_callback::clock::SystemClock;
use idv_callback::hex::hex;
use idv_callback::ports::{AuditSink, Clock as _};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::private_file;

/// How much of a file's end is read to find its last record.
const TAIL: u64 = 1 << 20;

/// The log.
pub(crate) struct AuditFile {
    path: PathBuf,
    what: &'static str,
    end: Mutex<Option<(u64, Chain)>>,
}

#[derive(Deserialize)]
struct LastRecord {
    writer: String,
    seq: u64,
}

impl AuditFile {
    /// The log in this file, which need not exist yet; it is said to be of this.
    pub(crate) fn new(path: &Path, what: &'static str) -> Self {
        Self { path: path.to_owned(), what, end: Mutex::new(None) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The chain as the file has it, after its last record, or a new one. What is behind the last record was cut short by a
    /// kill; it gets a line of its own.
    fn resume(&self, file: &mut File, length: u64) -> io::Result<Chain> {
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        if tail.last().is_some_and(|byte| *byte != b'\n') {
            file.write_all(b"\n")?;
        }
        let last = tail.rsplit(|byte| *byte == b'\n').find_map(|line| {
            let link: LastRecord = serde_json::from_slice(line).ok()?;
            Some(Chain::after(link.writer, link.seq + 1, &hex(&Sha256::digest(line))))
        });
        if let Some(chain) = last {
            return Ok(chain);
        }
        let now = SystemClock.now();
        let chain = Chain::new(idv_callback::telemetry::writer(self.what, "", now));
        let started = AuditRecord::new(AuditCode::Started, now).detail(self.what);
        chain.append(&started, |_, line| Self::write(file, line))?;
        Ok(chain)
    }

    fn write(file: &mut File, line: &[u8]) -> io::Result<()> {
        file.write_all(&[line, b"\n"].concat())
    }
}

impl AuditSink for AuditFile {
    fn record(&self, record: &AuditRecord) -> io::Result<()> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = private_file::append(&self.path)?;
        // Until the file is closed no other process appends to it.
        file.lock()?;
        let length = file.metadata()?.len();
        let chain = match end.take() {
            Some((ours, chain)) if ours == length => chain,
            _ => self.resume(&mut file, length)?,
        };
        chain.append(record, |_, line| Self::write(&mut file, line))?;
        file.sync_data()?;
        *end = Some((file.metadata()?.len(), chain));
        Ok(())
    }
}
