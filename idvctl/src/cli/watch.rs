//! `idvctl watch`: what is accepted, settled, refused and quarantined, as it happens.

use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use clap::builder::PossibleValuesParser;
use idv_callback::audit::AuditCode;
use idv_callback::aws::AwsConnection;
use idv_callback::clock::SystemClock;
use idv_callback::config::Environment;
use idv_callback::ports::Clock as _;
use idv_callback::timestamp::Timestamp;
use serde_json::Value;

use super::local::{LIMITS, local_connection};
use super::record_line::record_line;
use crate::aws::{LogRecords, connect};
use crate::embedded::LOG_GROUP;
use crate::output::{self, Failure, Output};
use crate::trail::entries_in;

/// How often a log group is asked: `FilterLogEvents` may be called some times a second for an account and region.
const LOG_POLL: Duration = Duration::from_secs(2);

/// How often a file is looked at.
const FILE_POLL: Duration = Duration::from_millis(250);

/// How late CloudWatch Logs may show an event.
const LATE: Duration = Duration::from_secs(120);

/// How many event ids are remembered, so that none is shown twice.
const REMEMBERED: usize = 100_000;

#[derive(Args)]
pub(crate) struct Options {
    /// A file of records, as `idvctl dev --audit-log` and `idvctl dlq` write them, or logs:LOG-GROUP.
    #[arg(value_name = "SOURCE", required_unless_present = "local")]
    pub(crate) source: Option<String>,
    /// The embedded stack of a running `idvctl dev`. [default address: http://127.0.0.1:8787]
    #[arg(long, value_name = "URL", num_args = 0..=1, require_equals = true,
          default_missing_value = "http://127.0.0.1:8787", conflicts_with = "source")]
    pub(crate) local: Option<String>,
    #[command(flatten)]
    pub(crate) filter: Filter,
}

/// Which records, and for how long.
#[derive(Args, Clone)]
pub(crate) struct Filter {
    /// Only these events: accepted, applied, refused, quarantined … Can be given several times.
    #[arg(long, value_name = "EVENT", value_parser = words())]
    pub(crate) event: Vec<String>,
    /// Only those of this reason.
    #[arg(long, value_name = "REASON")]
    pub(crate) reason: Option<String>,
    /// Only those of this receipt.
    #[arg(long, value_name = "RECEIPT")]
    pub(crate) receipt: Option<String>,
    /// Only those of this proofing session.
    #[arg(long, value_name = "SESSION")]
    pub(crate) session: Option<String>,
    /// Only those of this user: the pseudonym, u_….
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Begin so many seconds back.
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    pub(crate) back: u64,
    /// End after so many records.
    #[arg(long, value_name = "N")]
    pub(crate) most: Option<usize>,
    /// End after so many seconds.
    #[arg(long = "for", value_name = "SECONDS")]
    pub(crate) seconds: Option<u64>,
}

fn words() -> PossibleValuesParser {
    PossibleValuesParser::new(AuditCode::ALL.iter().map(|code| code.word()))
}

impl Filter {
    fn takes(&self, record: &Value) -> bool {
        let is = |name: &str, wanted: &Option<String>| {
            wanted.is_none() || record.get(name).and_then(Value::as_str) == wanted.as_deref()
        };
        let event = record.get("event").and_then(Value::as_str).unwrap_or_default();
        (self.event.is_empty() || self.event.iter().any(|wanted| wanted == event))
            && is("reason", &self.reason)
            && is("receipt_id", &self.receipt)
            && is("session_id", &self.session)
            && is("user", &self.user)
    }
}

/// Shows records until as many were shown as are wanted, or the time is over.
pub(crate) struct Watch<'a> {
    filter: &'a Filter,
    output: Output,
    until: Option<Timestamp>,
    shown: usize,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(filter: &'a Filter, output: Output) -> Self {
        let until = filter.seconds.map(|seconds| SystemClock.now().plus(Duration::from_secs(seconds)));
        Self { filter, output, until, shown: 0 }
    }

    fn is_over(&self) -> bool {
        self.filter.most.is_some_and(|most| self.shown >= most)
            || self.until.is_some_and(|until| SystemClock.now() >= until)
    }

    /// Shows what is a record and fits.
    fn show(&mut self, line: &str) -> Result<(), Failure> {
        for record in entries_in(line.as_bytes()) {
            let Ok(value) = serde_json::from_slice::<Value>(record) else { continue };
            if !self.filter.takes(&value) || self.is_over() {
                continue;
            }
            self.shown += 1;
            if self.output.is_json() {
                output::raw(&[record, b"\n"].concat())?;
            } else {
                self.output.line(record_line(&value))?;
            }
        }
        Ok(())
    }

    /// Follows a log group: by asking again and again, so that no live-tail session is begun and paid for.
    pub(crate) async fn log_group(&mut self, connection: &AwsConnection, group: &str) -> Result<(), Failure> {
        let begun = SystemClock.now().minus(Duration::from_secs(self.filter.back));
        let (mut since, mut seen, mut order) = (begun, HashSet::new(), VecDeque::new());
        let mut first_look = true;
        while !self.is_over() {
            let asked = SystemClock.now();
            let mut pages = LogRecords::new(connection, group, Some(since.unix_millis()), None);
            loop {
                let page = match pages.next().await {
                    Ok(Some(page)) => page,
                    Ok(None) => break,
                    Err(fault) if first_look => return Err(Failure::unreachable(fault.to_string())),
                    Err(fault) => {
                        self.output.note(format!("{fault}; asking again"));
                        break;
                    }
                };
                for event in page {
                    if seen.insert(event.id.clone()) {
                        order.push_back(event.id);
                        self.show(&event.message)?;
                    }
                }
            }
            while order.len() > REMEMBERED {
                order.pop_front().map(|id| seen.remove(&id));
            }
            first_look = false;
            since = begun.max(asked.minus(LATE));
            if !self.is_over() {
                SystemClock.sleep(LOG_POLL).await;
            }
        }
        Ok(())
    }

    /// Follows a file that grows; one that was cut or replaced is read from its beginning.
    async fn file(&mut self, path: &Path) -> Result<(), Failure> {
        let complaint = |error: std::io::Error| Failure::usage(format!("{}: {error}", path.display()));
        let mut file = BufReader::new(File::open(path).map_err(complaint)?);
        let mut place =
            if self.filter.back == 0 { file.seek(SeekFrom::End(0)).map_err(complaint)? } else { 0 };
        let mut number = inode(path).map_err(complaint)?;
        let mut line = String::new();
        while !self.is_over() {
            let length = std::fs::metadata(path).map_err(complaint)?.len();
            if length < place || inode(path).map_err(complaint)? != number {
                number = inode(path).map_err(complaint)?;
                file = BufReader::new(File::open(path).map_err(complaint)?);
                place = 0;
                line.clear();
            }
            match file.read_line(&mut line).map_err(complaint)? {
                0 => SystemClock.sleep(FILE_POLL).await,
                read => place += read as u64,
            }
            if line.ends_with('\n') {
                let whole = std::mem::take(&mut line);
                self.show_recent(whole.trim_end())?;
            }
        }
        Ok(())
    }

    /// Shows a line of a file that is not older than what is wanted.
    fn show_recent(&mut self, line: &str) -> Result<(), Failure> {
        let at = serde_json::from_str::<Value>(line).ok();
        let at = at.and_then(|record| Timestamp::parse(record.get("at")?.as_str()?).ok());
        let oldest = SystemClock.now().minus(Duration::from_secs(self.filter.back));
        if self.filter.back > 0 && at.is_some_and(|at| at < oldest) { Ok(()) } else { self.show(line) }
    }
}

/// What tells a file from another of the same name.
fn inode(path: &Path) -> std::io::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(std::fs::metadata(path)?.ino())
}

pub(crate) async fn run(
    options: &Options,
    environment: &Environment,
    output: Output,
) -> Result<ExitCode, Failure> {
    let usage = |error: idv_callback::config::ConfigError| Failure::usage(error.to_string());
    let mut watch = Watch::new(&options.filter, output);
    match (&options.local, &options.source) {
        (Some(url), _) => {
            let connection = local_connection(url, environment).map_err(usage)?;
            watch.log_group(&connection, LOG_GROUP).await?;
        }
        (None, Some(source)) => match source.strip_prefix("logs:") {
            Some(group) => {
                let connection = connect(environment, LIMITS).await.map_err(usage)?;
                watch.log_group(&connection, group).await?;
            }
            None => watch.file(&PathBuf::from(source)).await?,
        },
        (None, None) => return Err(Failure::usage("which? give a SOURCE or --local")),
    }
    Ok(ExitCode::SUCCESS)
}
