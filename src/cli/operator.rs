//! The record of what operators do, in a file.

use std::path::Path;

use super::audit_file::AuditFile;
use super::output::Failure;
use crate::audit::{AuditCode, AuditRecord};
use crate::clock::SystemClock;
use crate::ports::{AuditSink as _, Clock as _};

/// Who works, and where that is written down.
pub(super) struct OperatorLog {
    file: AuditFile,
    pub(super) who: String,
}

impl OperatorLog {
    pub(super) fn new(path: &Path, who: String) -> Self {
        Self { file: AuditFile::new(path, "operator"), who }
    }

    /// An act of this operator, now.
    pub(super) fn act(&self, code: AuditCode, because: &str) -> AuditRecord {
        let mut record = AuditRecord::new(code, SystemClock.now());
        record.operator = Some(self.who.clone());
        if because.is_empty() { record } else { record.because(because) }
    }

    /// Writes it down. What is not written down must not be done.
    pub(super) fn write(&self, record: &AuditRecord) -> Result<(), Failure> {
        let written = self.file.record(record);
        written
            .map_err(|error| Failure::usage(format!("--audit-log {}: {error}", self.file.path().display())))
    }
}
