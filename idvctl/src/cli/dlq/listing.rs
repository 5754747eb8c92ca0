//! Looking at every dead letter, and what the figures do not say by themselves.

use std::time::Duration;

use idv_callback::clock::SystemClock;
use idv_callback::timestamp::Timestamp;
use serde_json::{Value, json};

use crate::cli::dlq::{Desk, unreachable};
use crate::output::{Failure, Output};
use crate::ports::{DeadLetter, DeadLetterStore as _, Depth};
use crate::redrive::{Letter, Scanned, scan};

/// How often somebody who waits is told how far it is.
pub(crate) const TOLD_EVERY: usize = 1000;

/// Shows every letter, with a word now and then for who waits.
pub(crate) async fn look(
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

pub(crate) fn describe(letter: &Letter, now: Timestamp) -> Value {
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
pub(crate) fn time_left(left: Duration) -> String {
    let minutes = left.as_secs() / 60;
    let (days, hours) = (minutes / 1440, minutes / 60 % 24);
    if days > 0 { format!("{days} d {hours} h") } else { format!("{hours} h {} min", minutes % 60) }
}
