//! `dlq groups`: what they died of.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use idv_callback::clock::SystemClock;
use idv_callback::ports::Clock as _;
use idv_callback::timestamp::Timestamp;
use serde_json::json;

use crate::cli::dlq::listing::{age, is_complete, look, remarks, time_left};
use crate::cli::dlq::selection::{SelectionOptions, counts, refuse_unknown_reasons};
use crate::cli::dlq::{OperatorSession, Target};
use crate::output::{Failure, Output};
use crate::redrive::Census;

/// What is counted.
#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) selection: SelectionOptions,
}

/// Messages that died of the same.
#[derive(Default)]
struct Group {
    letters: usize,
    users: std::collections::HashSet<String>,
    oldest: Option<Timestamp>,
    expires: Option<Timestamp>,
}

pub(crate) async fn run(
    session: &OperatorSession<'_>,
    options: &Options,
    output: Output,
) -> Result<ExitCode, Failure> {
    let selection = options.selection.selection();
    let mut census = Census::default();
    let now = SystemClock.now();
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    let (depth, scanned) = look(session, output, |message| {
        if census.looks_at(&selection, &message) {
            let group = groups.entry(message.fingerprint.clone()).or_default();
            group.letters += 1;
            group.oldest = Some(group.oldest.map_or(message.sent_at, |oldest| oldest.min(message.sent_at)));
            group.expires = Some(group.expires.map_or(message.expires_at, |end| end.min(message.expires_at)));
            group.users.insert(message.group);
        }
    })
    .await?;
    refuse_unknown_reasons(&selection, &census)?;
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.letters));
    let moment = |at: Option<Timestamp>| at.map_or_else(String::new, |at| at.to_string());
    let since =
        |at: Option<Timestamp>| at.map_or_else(String::new, |at| format!("{} ago", age(now.since(at))));
    let left = |group: &Group| group.expires.map_or_else(String::new, |end| time_left(end.since(now)));
    let row = |(print, group): &(String, Group)| {
        let counts = [group.letters.to_string(), group.users.len().to_string()];
        vec![print.clone(), counts[0].clone(), counts[1].clone(), since(group.oldest), left(group)]
    };
    let columns = ["cause (reason, detail, version)", "messages", "users", "oldest", "time left"];
    output.table(&columns, groups.iter().map(row))?;
    if groups.is_empty() {
        output.line(format!("no dead letter fits; there are: {}", counts(&census.there)))?;
    }
    remarks(depth, scanned, output);
    let value = |(print, group): &(String, Group)| {
        json!({
            "fingerprint": print,
            "letters": group.letters,
            "users": group.users.len(),
            "oldest": moment(group.oldest),
            "seconds_left": group.expires.map(|end| end.since(now).as_secs()),
        })
    };
    output.value(&json!({
        "groups": groups.iter().map(value).collect::<Vec<_>>(),
        "seen": scanned.seen,
        "in_queue": depth.messages,
        "complete": is_complete(depth, scanned),
    }))?;
    Ok(ExitCode::SUCCESS)
}
