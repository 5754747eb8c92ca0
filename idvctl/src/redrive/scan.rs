//! Looking through the whole dead-letter queue, and leaving it as it was.

use std::time::Duration;

use idv_callback::ports::{Clock, QueueError};

use crate::ports::{DeadLetter, DeadLetterStore, Depth};

/// For how long a look holds a message. If the tool is killed, messages can be received again after this long.
const SCAN_HOLD: Duration = Duration::from_secs(15 * 60);

/// How long a look goes on: short enough that what was found first is still held, and so not found twice.
pub(super) const LONGEST_SCAN: Duration = Duration::from_secs(12 * 60);

/// How many messages a look holds: SQS lets 120,000 of a FIFO queue be in flight (developer guide, "FIFO queue quotas").
pub(super) const MOST_HELD: usize = 110_000;

/// The most that one answer brings (SQS API reference, `ReceiveMessage`).
const FULL_ANSWER: usize = 10;

/// How many empty answers in a row mean that there is nothing more.
pub(super) const EMPTY_ANSWERS: u32 = 2;

/// Up to ten messages, and of each group all that one answer could bring. A full answer can end in the middle of a group,
/// whose rest could not be had while its beginning is held: that group is let go of, and comes whole with a later look.
pub(super) async fn look<S: DeadLetterStore>(store: &S) -> Result<Vec<DeadLetter>, QueueError> {
    let mut letters = store.receive(SCAN_HOLD).await?;
    let Some(last) = letters.last().map(|message| message.group_id.clone()) else { return Ok(letters) };
    let begins = letters.iter().position(|message| message.group_id == last).unwrap_or_default();
    if letters.len() >= FULL_ANSWER && begins > 0 {
        let cut: Vec<_> = letters.drain(begins..).map(|message| message.handle).collect();
        store.release(&cut).await?;
    }
    Ok(letters)
}

/// What came of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// How many messages were seen.
    pub seen: usize,
    /// Whether the look ended before the queue did: too many, or too long.
    pub cut_short: bool,
}

impl Scanned {
    /// Whether everything was seen that is there.
    pub fn saw_all_of(self, depth: Depth) -> bool {
        !self.cut_short && self.seen as u64 >= depth.messages
    }
}

/// What is to be done with a message that was seen.
enum Next {
    LetGo,
    Keep,
    Stop,
}

/// Shows every message that can be received, and releases all of them. `each` says whether to go on.
///
/// Of a group only as many can be seen as one answer brings, ten at most: while they are held, SQS gives none of those
/// behind them.
///
/// # Errors
/// [`QueueError`] when the queue cannot be asked; what was held is let go of, or comes back by itself.
pub async fn scan<S: DeadLetterStore, C: Clock>(
    store: &S,
    clock: &C,
    mut each: impl AsyncFnMut(DeadLetter) -> bool,
) -> Result<Scanned, QueueError> {
    walk(store, clock, async |message| if each(message).await { Next::LetGo } else { Next::Stop }).await
}

/// Holds every message that `choose` takes, and releases the others.
///
/// # Errors
/// [`QueueError`] when the queue cannot be asked; what was held is let go of, or comes back by itself.
pub async fn take<S: DeadLetterStore, C: Clock>(
    store: &S,
    clock: &C,
    choose: impl Fn(&DeadLetter) -> bool,
) -> Result<(Vec<DeadLetter>, Scanned), QueueError> {
    let mut taken: Vec<DeadLetter> = Vec::new();
    let walked = walk(store, clock, async |message| {
        if !choose(&message) {
            return Next::LetGo;
        }
        taken.push(message);
        Next::Keep
    })
    .await;
    match walked {
        Ok(scanned) => Ok((taken, scanned)),
        Err(error) => {
            let handles: Vec<_> = taken.into_iter().map(|message| message.handle).collect();
            // What cannot be let go of now comes back by itself; the first error says more.
            store.release(&handles).await.and(Err(error))
        }
    }
}

async fn walk<S: DeadLetterStore, C: Clock>(
    store: &S,
    clock: &C,
    mut each: impl AsyncFnMut(DeadLetter) -> Next,
) -> Result<Scanned, QueueError> {
    let started = clock.now();
    let (mut held, mut kept, mut empty, mut go_on, mut cut_short) = (Vec::new(), 0, 0, true, false);
    let mut outcome = Ok(());
    while go_on && empty < EMPTY_ANSWERS {
        if clock.now().since(started) > LONGEST_SCAN || held.len() + kept >= MOST_HELD {
            cut_short = true;
            break;
        }
        let letters = match look(store).await {
            Ok(letters) => letters,
            Err(error) => {
                outcome = Err(error);
                break;
            }
        };
        empty = if letters.is_empty() { empty + 1 } else { 0 };
        for message in letters {
            let handle = message.handle.clone();
            let next = if go_on { each(message).await } else { Next::LetGo };
            go_on = go_on && !matches!(next, Next::Stop);
            if matches!(next, Next::Keep) {
                kept += 1;
            } else {
                held.push(handle);
            }
        }
    }
    let release = store.release(&held).await;
    outcome.and(release).map(|()| Scanned { seen: held.len() + kept, cut_short })
}
