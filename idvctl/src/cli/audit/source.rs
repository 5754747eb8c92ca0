//! Where records are read from: files, folders, standard input, S3, a log group. Each is read once, line by line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use flate2::bufread::MultiGzDecoder;
use idv_callback::aws::{AwsConnection, CallLimits};
use idv_callback::config::Environment;

use crate::aws::{LogRecords, connect, object, objects};
use crate::cli::keys;
use crate::output::{Failure, Output};
use crate::trail::{Entry, Place, entries_in};

/// Where the records are.
#[derive(Args)]
pub(crate) struct Sources {
    /// Files of records, plain or gzip; folders of such files, in the order of their names; s3://BUCKET/PREFIX;
    /// logs:LOG-GROUP; - is standard input.
    #[arg(required = true, value_name = "SOURCE")]
    pub(crate) places: Vec<String>,
    /// Identical copies of a record, and records out of their order, are told and are no finding: Firehose, say, delivers at
    /// least once and in no order.
    #[arg(long)]
    pub(crate) at_least_once: bool,
    /// Of a log group, only what was logged since, RFC 3339.
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Of a log group, only what was logged before, RFC 3339.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
}

/// How often somebody who waits is told how far it is.
pub(crate) const TOLD_EVERY: u64 = 100_000;

/// A person waits, and an object of the archive is a few megabytes.
pub(crate) const LIMITS: CallLimits = CallLimits {
    attempt: std::time::Duration::from_secs(60),
    operation: std::time::Duration::from_secs(120),
};

/// What a source is read with.
pub(crate) struct Reader<'a> {
    pub(crate) sources: &'a Sources,
    pub(crate) environment: &'a Environment,
    pub(crate) output: Output,
}

impl Reader<'_> {
    /// Whether it can be read twice.
    pub(crate) fn is_repeatable(&self) -> bool {
        !self.sources.places.iter().any(|source| source == "-")
    }

    /// Every record, with its place, in order.
    pub(crate) async fn records(&self, mut each: impl FnMut(Place<'_>, &[u8])) -> Result<(), Failure> {
        let mut seen = 0;
        let mut told = |place: Place<'_>, record: &[u8]| {
            seen += 1;
            if seen % TOLD_EVERY == 0 && self.output.is_interactive() {
                self.output.note(format!("{seen} records, at {place}"));
            }
            each(place, record);
        };
        for source in &self.sources.places {
            if source == "-" {
                lines("standard input", io::stdin().lock(), &mut told)
                    .map_err(|error| Failure::unreachable(format!("standard input: {error}")))?;
            } else if let Some(place) = source.strip_prefix("s3://") {
                self.bucket(place, &mut told).await?;
            } else if let Some(group) = source.strip_prefix("logs:") {
                self.log_group(group, &mut told).await?;
            } else {
                for path in files(Path::new(source))? {
                    file(&path, &mut told)?;
                }
            }
        }
        Ok(())
    }

    /// Every record that this code can read; gives how many there were, and how many it could not read.
    pub(crate) async fn entries(&self, mut each: impl FnMut(Entry)) -> Result<(u64, u64), Failure> {
        let (mut records, mut unreadable) = (0, 0);
        let mut read = |_: Place<'_>, record: &[u8]| {
            match Entry::read(record) {
                Some(entry) => each(entry),
                None if is_json(record) => unreadable += 1,
                // Cut short by a kill: no record.
                None => return,
            }
            records += 1;
        };
        self.records(&mut read).await?;
        Ok((records, unreadable))
    }

    pub(crate) async fn connection(&self) -> Result<AwsConnection, Failure> {
        let connection = connect(self.environment, LIMITS).await;
        connection.map_err(|error| Failure::usage(error.to_string()))
    }

    pub(crate) async fn bucket(
        &self,
        place: &str,
        each: &mut impl FnMut(Place<'_>, &[u8]),
    ) -> Result<(), Failure> {
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let connection = self.connection().await?;
        let unreachable = |fault: idv_callback::ports::Fault| Failure::unreachable(fault.to_string());
        for name in objects(&connection, bucket, prefix).await.map_err(unreachable)? {
            let content = object(&connection, bucket, &name).await.map_err(unreachable)?;
            let source = format!("s3://{bucket}/{name}");
            plain_or_gzip(&source, content.as_slice(), each)
                .map_err(|error| Failure::unreachable(format!("{source}: {error}")))?;
        }
        Ok(())
    }

    pub(crate) async fn log_group(
        &self,
        group: &str,
        each: &mut impl FnMut(Place<'_>, &[u8]),
    ) -> Result<(), Failure> {
        let moment = |text: &Option<String>, name| match text {
            None => Ok(None),
            Some(text) => keys::moment(Some(text), name).map(|at| Some(at.unix_millis())),
        };
        let (since, until) =
            (moment(&self.sources.since, "--since")?, moment(&self.sources.until, "--until")?);
        let connection = self.connection().await?;
        let mut pages = LogRecords::new(&connection, group, since, until);
        let mut line = 0;
        while let Some(events) =
            pages.next().await.map_err(|fault| Failure::unreachable(fault.to_string()))?
        {
            for event in events {
                line += 1;
                let source = format!("logs:{group}/{}", event.stream);
                for record in entries_in(event.message.as_bytes()) {
                    each(Place { source: &source, line }, record);
                }
            }
        }
        Ok(())
    }
}

/// Whether it is a whole JSON value.
pub(crate) fn is_json(record: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(record).is_ok()
}

/// The file, or all files of a folder, in the order of their paths.
pub(crate) fn files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let complaint = |error: io::Error| Failure::usage(format!("{}: {error}", path.display()));
    if !std::fs::metadata(path).map_err(complaint)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let mut entries =
        std::fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(complaint)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        found.extend(files(&entry.path())?);
    }
    Ok(found)
}

pub(crate) fn file(path: &Path, each: &mut impl FnMut(Place<'_>, &[u8])) -> Result<(), Failure> {
    let complaint = |error: io::Error| Failure::usage(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(complaint)?;
    plain_or_gzip(&path.display().to_string(), file, each).map_err(complaint)
}

pub(crate) fn plain_or_gzip(
    source: &str,
    content: impl Read,
    each: &mut impl FnMut(Place<'_>, &[u8]),
) -> io::Result<()> {
    lines(source, unpacked(content)?, each)
}

/// The content, unpacked if it is gzip.
pub(crate) fn unpacked<'c>(content: impl Read + 'c) -> io::Result<Box<dyn BufRead + 'c>> {
    let mut content = BufReader::with_capacity(1 << 18, content);
    if content.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        Ok(Box::new(BufReader::with_capacity(1 << 18, MultiGzDecoder::new(content))))
    } else {
        Ok(Box::new(content))
    }
}

pub(crate) fn lines(
    source: &str,
    mut content: impl BufRead,
    each: &mut impl FnMut(Place<'_>, &[u8]),
) -> io::Result<()> {
    let (mut text, mut line) = (Vec::new(), 0);
    loop {
        text.clear();
        if content.read_until(b'\n', &mut text)? == 0 {
            return Ok(());
        }
        line += 1;
        for record in entries_in(&text) {
            each(Place { source, line }, record);
        }
    }
}
