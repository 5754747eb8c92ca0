//! `dlq list|groups|show`: what is there.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Desk, selection, unreachable};
use crate::cli::args::DlqListOptions;
use crate::cli::output::{Failure, Output, outcome};
use crate::clock::SystemClock;
use crate::correction::CORRECTION_ATTRIBUTE;
use crate::ports::{Clock as _, DeadLetter, DeadLetterStore as _, Depth};
use crate::redrive::{Letter, Scanned, replays, scan};
use crate::timestamp::Timestamp;

/// How often somebody who waits is told how far it is.
const TOLD_EVERY: usize = 1000;

/// Letters that can be listed are kept; all are counted.
pub(super) async fn list(
    desk: &Desk<'_>,
    options: &DlqListOptions,
    output: Output,
) -> Result<ExitCode, Failure> {
    let selection = selection(&options.selection)?;
    let now = SystemClock.now();
    let (mut chosen, mut letters) = (0, Vec::new());
    let (depth, scanned) = look(desk, output, |letter| {
        if selection.takes(&letter) {
            chosen += 1;
            if letters.len() < options.most {
                letters.push(letter);
            }
        }
    })
    .await?;
    let columns =
        ["message", "reason", "detail", "receipt", "user", "attempts", "replays", "dead since", "time left"];
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let row = |letter: &Letter| {
        vec![
            letter.id.clone(),
            letter.reason.clone(),
            text(&letter.detail),
            text(&letter.receipt),
            text(&letter.user),
            text(&letter.attempts),
            letter.replays.to_string(),
            letter.sent_at.to_string(),
            time_left(letter.expires_at.since(now)),
        ]
    };
    output.table(&columns, letters.iter().map(row).collect())?;
    output.line(format!("{chosen} dead letters, {} shown", letters.len()))?;
    remarks(depth, scanned, output);
    output.value(&json!({
        "dead_letters": chosen,
        "letters": letters.iter().map(|letter| describe(letter, now)).collect::<Vec<_>>(),
        "seen": scanned.seen,
        "in_queue": depth.messages,
        "complete": is_complete(depth, scanned),
    }))?;
    Ok(ExitCode::SUCCESS)
}

/// Letters that died of the same.
#[derive(Default)]
struct Group {
    letters: usize,
    users: std::collections::HashSet<String>,
    oldest: Option<Timestamp>,
    expires: Option<Timestamp>,
}

pub(super) async fn groups(
    desk: &Desk<'_>,
    options: &DlqListOptions,
    output: Output,
) -> Result<ExitCode, Failure> {
    let selection = selection(&options.selection)?;
    let now = SystemClock.now();
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    let (depth, scanned) = look(desk, output, |letter| {
        if selection.takes(&letter) {
            let group = groups.entry(letter.fingerprint.clone()).or_default();
            group.letters += 1;
            group.oldest = Some(group.oldest.map_or(letter.sent_at, |oldest| oldest.min(letter.sent_at)));
            group.expires = Some(group.expires.map_or(letter.expires_at, |end| end.min(letter.expires_at)));
            group.users.insert(letter.group);
        }
    })
    .await?;
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.letters));
    let moment = |at: Option<Timestamp>| at.map_or_else(String::new, |at| at.to_string());
    let left = |group: &Group| group.expires.map_or_else(String::new, |end| time_left(end.since(now)));
    let row = |(print, group): &(String, Group)| {
        let counts = [group.letters.to_string(), group.users.len().to_string()];
        vec![print.clone(), counts[0].clone(), counts[1].clone(), moment(group.oldest), left(group)]
    };
    let columns = ["died of (reason, detail, version)", "letters", "users", "oldest", "time left"];
    output.table(&columns, groups.iter().map(row).collect())?;
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

pub(super) async fn show(desk: &Desk<'_>, id: &str, output: Output) -> Result<ExitCode, Failure> {
    let depth = desk.store.depth().await.map_err(|error| unreachable(&error))?;
    let Some(dead) = desk.find(id).await? else {
        output.note(format!("there is no dead letter {id} that can be had now"));
        return Ok(outcome(false));
    };
    let (letter, mut history) = (Letter::read(&dead, &desk.ring, depth.retention), replays(&dead.attributes));
    // A correction that another took the place of names a user.
    for replay in &mut history {
        replay.was.remove(CORRECTION_ATTRIBUTE);
    }
    let mut shown = describe(&letter, SystemClock.now());
    if let Value::Object(members) = &mut shown {
        members.insert("history".to_owned(), json!(history));
    }
    output.line(format!("{shown:#}"))?;
    output.value(&shown)?;
    Ok(ExitCode::SUCCESS)
}

/// Shows every letter, with a word now and then for who waits.
async fn look(
    desk: &Desk<'_>,
    output: Output,
    mut each: impl FnMut(Letter),
) -> Result<(Depth, Scanned), Failure> {
    let depth = desk.store.depth().await.map_err(|error| unreachable(&error))?;
    let mut seen = 0;
    let scanned = scan(&desk.store, &SystemClock, async |dead: DeadLetter| {
        seen += 1;
        tell(seen, depth.messages, output);
        each(Letter::read(&dead, &desk.ring, depth.retention));
        true
    })
    .await
    .map_err(|error| unreachable(&error))?;
    Ok((depth, scanned))
}

pub(super) fn tell(seen: usize, of: u64, output: Output) {
    if seen.is_multiple_of(TOLD_EVERY) && output.is_interactive() {
        output.note(format!("{seen} of about {of}"));
    }
}

/// Whether everything that is there was seen.
pub(super) fn is_complete(depth: Depth, scanned: Scanned) -> bool {
    !scanned.cut_short && scanned.seen as u64 >= depth.messages
}

/// What the figures do not say by themselves.
pub(super) fn remarks(depth: Depth, scanned: Scanned, output: Output) {
    if depth.held > 0 {
        output.note(format!(
            "{} more are held by somebody, by a look that was broken off perhaps; they come back within 15 minutes",
            depth.held
        ));
    }
    if scanned.cut_short {
        output.note(format!(
            "stopped after {} letters: there are more than can be held at a time",
            scanned.seen
        ));
    } else if (scanned.seen as u64) < depth.messages.saturating_sub(depth.held) {
        output.note("SQS counts more than could be seen: of one user's letters, ten at a time can be had");
    }
}

fn describe(letter: &Letter, now: Timestamp) -> Value {
    json!({
        "message_id": letter.id,
        "group": letter.group,
        "reason": letter.reason,
        "detail": letter.detail,
        "receipt_id": letter.receipt,
        "user": letter.user,
        "attempts": letter.attempts,
        "version": letter.version,
        "replays": letter.replays,
        "dead_since": letter.sent_at.to_string(),
        "expires_at": letter.expires_at.to_string(),
        "seconds_left": letter.expires_at.since(now).as_secs(),
        "body_sha256": letter.body_sha256,
    })
}

/// In days and hours, or hours and minutes.
fn time_left(left: Duration) -> String {
    let minutes = left.as_secs() / 60;
    let (days, hours) = (minutes / 1440, minutes / 60 % 24);
    if days > 0 { format!("{days} d {hours} h") } else { format!("{hours} h {} min", minutes % 60) }
}
