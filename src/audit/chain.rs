//! The chain: each writer numbers its records, and links each to the one before by the SHA-256 of that one's line. A record that
//! was removed, edited, moved or doubled shows.
//!
//! ```json
//! {"schema":"idv-audit/1", …, "writer":"consumer/…","seq":7,"prev":"<64 hex>"}
//! ```

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::{AuditCode, AuditRecord};
use crate::hex::hex;
use crate::timestamp::Timestamp;

/// What the first record of a writer has for the one before.
pub const NO_RECORD: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// How long a writer says nothing before it says that it is there.
pub const HEARTBEAT: Duration = Duration::from_secs(5 * 60);

/// A writer's records so far.
pub struct Chain {
    writer: String,
    end: Mutex<End>,
}

#[derive(Clone)]
struct End {
    next: u64,
    prev: String,
    last: Option<Timestamp>,
}

impl Chain {
    /// A writer that has written nothing. Its name must not be another's.
    pub fn new(writer: impl Into<String>) -> Self {
        Self::after(writer, 0, NO_RECORD)
    }

    /// A writer that goes on: its next number, and the digest of its last line.
    pub fn after(writer: impl Into<String>, next: u64, prev: &str) -> Self {
        let end = End { next, prev: prev.to_owned(), last: None };
        Self { writer: writer.into(), end: Mutex::new(end) }
    }

    /// Links a record behind the last one, and has the line written. Where the writer has been silent for long, a record that
    /// it is there goes first.
    ///
    /// # Errors
    /// When it could not be written. Then the next record takes its place.
    pub fn append(
        &self,
        record: &AuditRecord,
        mut write: impl FnMut(&AuditRecord, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = end.last.map(|last| record.at().since(last)).unwrap_or_default();
        if silent >= HEARTBEAT && record.kind() != AuditCode::Alive {
            let alive = AuditRecord::new(AuditCode::Alive, record.at());
            *end = self.link(&end, &alive.detail(format!("after {} s", silent.as_secs())), &mut write)?;
        }
        *end = self.link(&end, record, &mut write)?;
        Ok(())
    }

    fn link(
        &self,
        end: &End,
        record: &AuditRecord,
        write: &mut impl FnMut(&AuditRecord, &[u8]) -> io::Result<()>,
    ) -> io::Result<End> {
        let mut line = serde_json::to_vec(record)?;
        let writer = serde_json::to_string(&self.writer)?;
        line.pop();
        line.extend_from_slice(
            format!(r#","writer":{writer},"seq":{},"prev":"{}"}}"#, end.next, end.prev).as_bytes(),
        );
        write(record, &line)?;
        Ok(End { next: end.next + 1, prev: hex(&Sha256::digest(&line)), last: Some(record.at()) })
    }
}
