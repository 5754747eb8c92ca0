//! Looking at every dead letter, and what the figures do not say by themselves.

use std::time::Duration;

use idv_callback::clock::SystemClock;
use idv_callback::timestamp::Timestamp;
use serde_json::{Value, json};

use crate::cli::dlq::{OperatorSession, unreachable};
use crate::output::{Failure, Output};
use crate::ports::{DeadLetter, DeadLetterStore as _, Depth};
use crate::redrive::{DeadLetterSummary, Scanned, scan};

/// How often somebody who waits is told how far it is.
pub(crate) const TOLD_EVERY: usize = 1000;

/// Shows every message, with a word now and then for who waits.
pub(crate) async fn look(
    session: &OperatorSession<'_>,
    output: Output,
    mut each: impl FnMut(DeadLetterSummary),
) -> Result<(Depth, Scanned), Failure> {
    let depth = session.store.depth().await.map_err(|error| unreachable(&error))?;
    let mut seen = 0;
    let scanned = scan(&session.store, &SystemClock, async |dead: DeadLetter| {
        seen += 1;
        tell(seen, depth.messages, output);
        each(DeadLetterSummary::read(&dead, &session.ring, depth.retention));
        true
    })
    .await
    .map_err(|error| unreachable(&error))?;
    Ok((depth, scanned))
}

pub(crate) fn tell(seen: usize, of: u64, output: Output) {
    if seen.is_multiple_of(TOLD_EVERY) && output.is_interactive() {
        output.note(format!("{seen} of about {of}"));
    }
}

/// Whether everything that is there was seen.
pub(crate) fn is_complete(depth: Depth, scanned: Scanned) -> bool {
    !scanned.cut_short && scanned.seen as u64 >= depth.messages
}

/// What the figures do not say by themselves.
pub(crate) fn remarks(depth: Depth, scanned: Scanned, output: Output) {
    if depth.held > 0 {
        output.note(format!(
            "{} more messages are held, perhaps by a command that was interrupted; they come back within 15 minutes",
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
            "SQS counts more messages than were seen: it gives at most ten messages of one user at a time",
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
        "user": message.user,
        "attempts": message.attempts,
        "version": message.version,
        "replays": message.replays,
        "dead_since": message.sent_at.to_string(),
        "expires_at": message.expires_at.to_string(),
        "seconds_left": message.expires_at.since(now).as_secs(),
        "body_sha256": message.body_sha256,
    })
}

/// In days and hours, or hours and minutes.
pub(crate) fn time_left(left: Duration) -> String {
    let minutes = left.as_secs() / 60;
    let (days, hours) = (minutes / 1440, minutes / 60 % 24);
    if days > 0 { format!("{days} d {hours} h") } else { format!("{hours} h {} min", minutes % 60) }
}
