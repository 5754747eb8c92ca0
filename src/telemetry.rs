//! What a process prints: audit records, their metrics, and diagnostics of our own code. One JSON object a line, on
//! standard output, which Lambda hands to CloudWatch Logs.
//!
//! Only what this package says is let through, and the warnings of the Lambda runtime, whatever the environment says: the SDK's
//! and the HTTP stack's debug output holds whole requests. A panic is told by its place alone, so the runtime's own line
//! about it is not.

use std::io::{self, Write as _};

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::audit::{AuditCode, AuditRecord, Chain};
use crate::clock::SystemClock;
use crate::config::Environment;
use crate::metrics;
use crate::ports::{AuditSink, Clock as _};
use crate::timestamp::Timestamp;

/// The crates of this package: the library and each program.
const OURS: [&str; 7] =
    ["idv_callback", "callback", "consumer", "triggers", "session", "pretraffic", "idvctl"];

/// Starts the diagnostics of a Lambda function, and makes a panic print where it was and nothing of what it said.
pub fn start() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|at| format!("{}:{}", at.file(), at.line())).unwrap_or_default();
        tracing::error!(place, "panic");
    }));
    let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(false);
    let layer = layer.with_span_list(false).with_writer(io::stdout);
    let ours = Targets::new()
        .with_targets(OURS.map(|name| (name, Level::INFO)))
        .with_target("lambda_runtime", Level::WARN)
        .with_target("lambda_runtime::layers::panic", LevelFilter::OFF);
    let subscriber = tracing_subscriber::registry().with(layer).with(ours);
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        tracing::debug!("diagnostics had been started before");
    }
}

/// The name of a process as a writer of the audit log: what it is, where its log is, and when and as which process it began.
/// No two processes have the same.
pub fn writer(process: &str, log_stream: &str, started: Timestamp) -> String {
    format!("{process}/{log_stream}/{}-{}", started.unix_millis(), std::process::id())
}

/// The log of a Lambda function on standard output: each audit record, and behind it the metrics that CloudWatch Logs
/// takes from it.
pub struct FunctionLog {
    namespace: String,
    chain: Chain,
}

impl FunctionLog {
    /// A log of this writer, whose metrics go to this namespace.
    pub fn new(namespace: &str, writer: String) -> Self {
        Self { namespace: namespace.to_owned(), chain: Chain::new(writer) }
    }
}

impl FunctionLog {
    /// The log of a function that begins now, with its first record; `detail` says more about it.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn begin(
        function: &str,
        detail: &str,
        environment: &Environment,
        namespace: &str,
    ) -> io::Result<Self> {
        let started = AuditRecord::new(AuditCode::Started, SystemClock.now());
        let stream = environment.get("AWS_LAMBDA_LOG_STREAM_NAME").unwrap_or_default();
        let log = Self::new(namespace, writer(function, &stream, started.at()));
        log.record(&started.detail(format!("{function}{detail}")))?;
        Ok(log)
    }
}

impl AuditSink for FunctionLog {
    fn record(&self, record: &AuditRecord) -> io::Result<()> {
        self.chain.append(record, |record, line| {
            let mut lines = line.to_vec();
            lines.push(b'\n');
            if let Some(metrics) = metrics::embedded(record, &self.namespace) {
                serde_json::to_writer(&mut lines, &metrics)?;
                lines.push(b'\n');
            }
            let mut stdout = io::stdout().lock();
            stdout.write_all(&lines)?;
            stdout.flush()
        })
    }
}
