//! What `dev` prints while it runs.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use idv_callback::audit::{AuditCode, AuditRecord, Chain};
use idv_callback::clock::SystemClock;
use idv_callback::ports::{AuditSink, Clock as _};
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::cli::audit_file::AuditFile;
use crate::cli::record_line::record_line;
use crate::embedded::RecordLog;
use crate::output::{self, Output};

/// The audit log: a readable line for each record, or the record itself; and the record in a file, where one is named.
#[derive(Clone)]
pub(crate) struct EventPrinter {
    output: Output,
    chain: Arc<Chain>,
    begun: Arc<AtomicBool>,
    file: Option<Arc<AuditFile>>,
    records: RecordLog,
}

impl EventPrinter {
    /// A log that begins with its first record.
    pub(crate) fn new(output: Output, file: Option<&Path>) -> Self {
        let chain = Arc::new(Chain::new(idv_callback::telemetry::writer("dev", "", SystemClock.now())));
        let file = file.map(|path| Arc::new(AuditFile::new(path, "dev")));
        Self { output, chain, begun: Arc::default(), file, records: RecordLog::default() }
    }

    /// What was recorded lately.
    pub(crate) fn records(&self) -> RecordLog {
        self.records.clone()
    }

    fn print(&self, record: &AuditRecord) -> io::Result<()> {
        self.chain.append(record, |_, line| output::record(&String::from_utf8_lossy(line)))
    }
}

impl AuditSink for EventPrinter {
    fn record(&self, record: &AuditRecord) -> io::Result<()> {
        if let Some(file) = &self.file {
            file.record(record)?;
        }
        self.records.record(record)?;
        if self.output.is_json() {
            if !self.begun.swap(true, Ordering::Relaxed) {
                self.print(&AuditRecord::new(AuditCode::Started, record.at()).detail("dev"))?;
            }
            return self.print(record);
        }
        output::record(&record_line(&serde_json::to_value(record)?))
    }
}

/// Diagnostics of this crate, and no other, on standard error.
pub(crate) fn start_diagnostics() {
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false).with_target(false);
    let ours = Targets::new().with_target("idv_callback", Level::INFO);
    let subscriber = tracing_subscriber::registry().with(layer).with(ours);
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        tracing::debug!("diagnostics had been started before");
    }
}
