//! The record of what operators do, in a file.

use std::path::Path;

use idv_callback::audit::{AuditCode, AuditRecord};
use idv_callback::clock::SystemClock;
use idv_callback::ports::{AuditSink as _, Clock as _};

use super::audit_file::AuditFile;
use crate::output::Failure;

/// Who works, and where that is written down.
pub(crate) struct OperatorLog {
    file: AuditFile,
    pub(crate) who: String,
}

impl OperatorLog {
    pub(crate) fn new(path: &Path, who: String) -> Self {
        Self { file: AuditFile::new(path, "operator"), who }
    }

    /// An act of this operator, now.
    pub(crate) fn act(&self, code: AuditCode, because: &str) -> AuditRecord {
        let mut record = AuditRecord::new(code, SystemClock.now());
        record.operator = Some(self.who.clone());
        if because.is_empty() { record } else { record.because(because) }
    }

    /// Writes it down. What is not written down must not be done.
    pub(crate) fn write(&self, record: &AuditRecord) -> Result<(), Failure> {
        let written = self.file.record(record);
        written
            .map_err(|error| Failure::usage(format!("--audit-log {}: {error}", self.file.path().display())))
    }
}
