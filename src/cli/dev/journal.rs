//! What `dev` prints while it runs.

use std::io;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::audit::AuditRecord;
use crate::cli::output::{self, Output};
use crate::ports::AuditSink;

/// The audit log: a readable line for each record, or the record itself.
#[derive(Clone, Copy)]
pub(super) struct Journal(pub(super) Output);

impl AuditSink for Journal {
    fn record(&self, record: &AuditRecord) -> io::Result<()> {
        let value = serde_json::to_value(record)?;
        if self.0.is_json() {
            return output::record(&value.to_string());
        }
        let text = |name: &str| match value.get(name)? {
            serde_json::Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        let mut line = ["at", "code", "event", "receipt_id", "user", "reason", "detail"]
            .iter()
            .filter_map(|name| text(name))
            .collect::<Vec<_>>()
            .join(" ");
        if let (Some(before), Some(after)) = (text("ial_before"), text("ial_after")) {
            line = format!("{line} ial {before}->{after}");
        }
        if record.confirmed == Some(true) {
            line.push_str(" confirmed");
        }
        if let Some(seconds) = text("retry_in_seconds") {
            line = format!("{line} again in {seconds} s");
        }
        output::record(&line)
    }
}

/// Diagnostics of this crate, and no other, on standard error.
pub(super) fn start_diagnostics() {
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false).with_target(false);
    let ours = Targets::new().with_target("idv_callback", Level::INFO);
    let subscriber = tracing_subscriber::registry().with(layer).with(ours);
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        tracing::debug!("diagnostics had been started before");
    }
}
