//! Looking at every dead letter, and what the figures do not say by themselves.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use idv_callback::clock::SystemClock;
use idv_callback::timestamp::Timestamp;
use serde_json::{Value, json};

use crate::cli::dlq::{OperatorSession, unreachable};
use crate::cli::progress::Progress;
use crate::output::{Failure, Output};
use crate::ports::{DeadLetter, DeadLetterStore as _, Depth};
use crate::redrive::{DeadLetterSummary, EventSummary, Scanned, scan};

/// Shows every message, with a word now and then for who waits.
pub(crate) async fn look(
    session: &OperatorSession<'_>,
    output: Output,
    mut each: impl FnMut(DeadLetterSummary),
) -> Result<(Depth, Scanned), Failure> {
    let depth = session.store.depth().await.map_err(|error| unreachable(&error))?;
    let (mut seen, progress) = (0, Progress::new("looking", depth.messages, output));
    let scanned = scan(&session.store, &SystemClock, async |dead: DeadLetter| {
        seen += 1;
        progress.at(seen);
        each(DeadLetterSummary::read(&dead, &session.ring, depth.retention));
        true
    })
    .await
    .map_err(|error| unreachable(&error))?;
    Ok((depth, scanned))
}

/// Whether everything that is there was seen.
pub(crate) fn is_complete(depth: Depth, scanned: Scanned) -> bool {
    scanned.saw_all_of(depth)
}

/// What the figures do not say by themselves.
pub(crate) fn remarks(depth: Depth, scanned: Scanned, output: Output) {
    if depth.held > 0 {
        output.note(format!(
            "{} more messages are held, by somebody else or by a command that was interrupted; those come back within a minute",
            depth.held
        ));
    }
    if scanned.cut_short {
        output.note(format!(
            "stopped after {} messages: SQS does not let more be held at a time",
            scanned.seen
        ));
    } else if (scanned.seen as u64) < depth.messages.saturating_sub(depth.held) {
        output.note(
            "SQS counts more messages than were seen: it gives at most ten messages of one user at a time, and none behind one that is held",
        );
    }
}

pub(crate) fn describe(message: &DeadLetterSummary, now: Timestamp) -> Value {
    json!({
        "message_id": message.id,
        "group": message.group,
        "reason": message.reason,
        "detail": message.detail,
        "receipt_id": message.receipt,
        "event": message.event.as_ref().map(describe_event),
        "evidence": message.is_evidence(),
        "attempts": message.attempts,
        "version": message.version,
        "replays": message.replays,
        "dead_since": message.sent_at.to_string(),
        "expires_at": message.expires_at.to_string(),
        "seconds_left": message.expires_at.since(now).as_secs(),
        "body_sha256": message.body_sha256,
    })
}

/// How many lines of what went wrong are shown; `--json` has all.
const SHOWN: usize = 20;

/// Says what went wrong, and how much more there is of it.
pub(crate) fn tell_some(lines: &[String], output: Output) -> io::Result<()> {
    for line in lines.iter().take(SHOWN) {
        output.alarm(format!("! {line}"))?;
    }
    match lines.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => output.line(format!("{more} more: --json has all")),
    }
}

/// Says how many messages of each reason are meant.
pub(crate) fn tell_by_reason(of: &BTreeMap<String, usize>, what: &str, output: Output) -> io::Result<()> {
    let rows = of.iter().map(|(reason, count)| vec![reason.clone(), count.to_string()]);
    output.table(&["reason", "messages"], rows)?;
    output.line(format!("{} messages {what}", of.values().sum::<usize>()))
}

fn describe_event(event: &EventSummary) -> Value {
    json!({
        "event_id": event.event_id,
        "session_id": event.session_id,
        "status": event.status,
        "occurred_at": event.occurred_at.to_string(),
        "event_type": event.event_type,
        "ial": event.ial,
        "evidence": event.evidence,
        "framework": event.framework,
    })
}

/// What tells a group from the others of a list; `--group` takes it.
pub(crate) fn short(group: &str) -> String {
    group.chars().take(12).collect()
}

/// How long ago, in one or two units.
pub(crate) fn age(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min", seconds / 60),
        _ => time_left(age),
    }
}

/// In days and hours, or hours and minutes.
pub(crate) fn time_left(left: Duration) -> String {
    let minutes = left.as_secs() / 60;
    let (days, hours) = (minutes / 1440, minutes / 60 % 24);
    if days > 0 { format!("{days} d {hours} h") } else { format!("{hours} h {} min", minutes % 60) }
}
