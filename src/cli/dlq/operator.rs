//! The record of what operators do: one audit record a line, appended to a file.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::audit::{AuditCode, AuditRecord};
use crate::cli::output::Failure;
use crate::cli::private_file;
use crate::clock::SystemClock;
use crate::ports::Clock as _;

/// Who works, and where that is written down.
pub(super) struct OperatorLog {
    path: PathBuf,
    pub(super) who: String,
}

impl OperatorLog {
    pub(super) fn new(path: &Path, who: String) -> Self {
        Self { path: path.to_owned(), who }
    }

    /// An act of this operator, now.
    pub(super) fn act(&self, code: AuditCode, because: &str) -> AuditRecord {
        let mut record = AuditRecord::new(code, SystemClock.now());
        record.operator = Some(self.who.clone());
        if because.is_empty() { record } else { record.because(because) }
    }

    /// Writes it down. What is not written down must not be done.
    pub(super) fn write(&self, record: &AuditRecord) -> Result<(), Failure> {
        let complaint =
            |error: std::io::Error| Failure::usage(format!("--audit-log {}: {error}", self.path.display()));
        let mut line = serde_json::to_vec(record).map_err(|error| Failure::usage(error.to_string()))?;
        line.push(b'\n');
        let mut file = private_file::append(&self.path).map_err(complaint)?;
        file.write_all(&line).and_then(|()| file.sync_data()).map_err(complaint)
    }
}
