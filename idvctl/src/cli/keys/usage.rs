//! `keys use`: how often each webhook key was used, from the audit log.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use idv_callback::audit::AuditCode;
use serde_json::{Value, json};

use crate::output::{Failure, Output, outcome};

#[derive(Args)]
pub(crate) struct Options {
    /// Files of audit records, one a line, as the functions log them; - is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) logs: Vec<PathBuf>,
}

/// The use of one key.
#[derive(Default)]
struct KeyUse {
    callbacks: u64,
    first: String,
    last: String,
}

pub(crate) fn run(options: &Options, output: Output) -> Result<ExitCode, Failure> {
    let mut keys: BTreeMap<String, KeyUse> = BTreeMap::new();
    for path in &options.logs {
        let complaint = |error: std::io::Error| Failure::usage(format!("{}: {error}", path.display()));
        let reader: Box<dyn BufRead> = if path == Path::new("-") {
            Box::new(std::io::stdin().lock())
        } else {
            Box::new(BufReader::new(std::fs::File::open(path).map_err(complaint)?))
        };
        for line in reader.split(b'\n') {
            count(&line.map_err(complaint)?, &mut keys);
        }
    }
    let row = |(id, used): (&String, &KeyUse)| {
        vec![id.clone(), used.callbacks.to_string(), used.first.clone(), used.last.clone()]
    };
    output.table(&["webhook key", "callbacks", "first", "last"], keys.iter().map(row))?;
    let value = |(id, used): (&String, &KeyUse)| json!({ "key_id": id, "callbacks": used.callbacks, "first": used.first, "last": used.last });
    output.value(&json!({ "keys": keys.iter().map(value).collect::<Vec<_>>() }))?;
    Ok(outcome(!keys.is_empty()))
}

/// A line counts when it is the record of an accepted callback; what a log tool puts before it is passed over.
fn count(line: &[u8], keys: &mut BTreeMap<String, KeyUse>) {
    let start = line.iter().position(|byte| *byte == b'{').unwrap_or(line.len());
    let Ok(record) = serde_json::from_slice::<Value>(line.get(start..).unwrap_or_default()) else { return };
    let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
    let accepted = [AuditCode::Accepted, AuditCode::AcceptedUnreadable].map(AuditCode::code);
    if !accepted.contains(&text("code")) {
        return;
    }
    let used = keys.entry(text("key_id").to_owned()).or_default();
    used.callbacks += 1;
    let at = text("at");
    if used.first.is_empty() || at < used.first.as_str() {
        at.clone_into(&mut used.first);
    }
    if at > used.last.as_str() {
        at.clone_into(&mut used.last);
    }
}
