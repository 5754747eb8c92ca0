//! Looking through the whole dead-letter queue, and leaving it as it was.

use std::time::Duration;

use crate::ports::{Clock, DeadLetter, DeadLetterStore, QueueError};

/// For how long a look holds a letter. If the tool is killed, letters are to be had again after this long.
pub const SCAN_HOLD: Duration = Duration::from_secs(15 * 60);

/// How long a look goes on: short enough that what was found first is still held, and so not found twice.
pub(super) const LONGEST_SCAN: Duration = Duration::from_secs(12 * 60);

/// How many letters a look holds: SQS lets 120,000 of a FIFO queue be in flight (developer guide, "FIFO queue quotas").
pub(super) const MOST_HELD: usize = 110_000;

/// The most that one answer brings (SQS API reference, `ReceiveMessage`).
const FULL_ANSWER: usize = 10;

/// How many empty answers in a row mean that there is nothing more.
const EMPTY_ANSWERS: u32 = 2;

/// Up to ten letters, and of each group all that one answer could bring. A full answer can end in the middle of a group,
/// whose rest could not be had while its beginning is held: that group is let go of, and comes whole with a later look.
pub(super) async fn look<S: DeadLetterStore>(store: &S) -> Result<Vec<DeadLetter>, QueueError> {
    let mut letters = store.look(SCAN_HOLD).await?;
    let Some(last) = letters.last().map(|letter| letter.group_id.clone()) else { return Ok(letters) };
    let begins = letters.iter().position(|letter| letter.group_id == last).unwrap_or_default();
    if letters.len() >= FULL_ANSWER && begins > 0 {
        let cut: Vec<_> = letters.drain(begins..).map(|letter| letter.handle).collect();
        store.let_go(&cut).await?;
    }
    Ok(letters)
}

/// Holds every letter that `choose` takes, and lets go of the others.
///
/// # Errors
/// [`QueueError`] when the queue cannot be asked; what was held comes back by itself.
pub async fn take<S: DeadLetterStore, C: Clock>(
    store: &S,
    clock: &C,
    choose: impl Fn(&DeadLetter) -> bool,
) -> Result<(Vec<DeadLetter>, Scanned), QueueError> {
    let started = clock.now();
    let (mut taken, mut others, mut empty): (Vec<DeadLetter>, Vec<String>, u32) = (Vec::new(), Vec::new(), 0);
    let mut cut_short = false;
    while empty < EMPTY_ANSWERS && !cut_short {
        let letters = match look(store).await {
            Ok(letters) => letters,
            Err(error) => {
                others.extend(taken.into_iter().map(|letter| letter.handle));
                // What cannot be let go of now comes back by itself; the first error says more.
                return store.let_go(&others).await.and(Err(error));
            }
        };
        empty = if letters.is_empty() { empty + 1 } else { 0 };
        cut_short = clock.now().since(started) > LONGEST_SCAN || others.len() + taken.len() >= MOST_HELD;
        for letter in letters {
            if choose(&letter) {
                taken.push(letter);
            } else {
                others.push(letter.handle);
            }
        }
    }
    store.let_go(&others).await?;
    let seen = others.len() + taken.len();
    Ok((taken, Scanned { seen, cut_short }))
}

/// What came of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// How many letters were seen.
    pub seen: usize,
    /// Whether the look ended before the queue did: too many, or too long.
    pub cut_short: bool,
}

/// Shows every letter that can be had, and lets go of all of them. `each` says whether to go on.
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
    let started = clock.now();
    let mut held = Vec::new();
    let (mut empty, mut go_on, mut cut_short) = (0, true, false);
    let mut failed = None;
    while go_on && empty < EMPTY_ANSWERS {
        if clock.now().since(started) > LONGEST_SCAN || held.len() >= MOST_HELD {
            cut_short = true;
            break;
        }
        match look(store).await {
            Err(error) => {
                failed = Some(error);
                break;
            }
            Ok(letters) => {
                empty = if letters.is_empty() { empty + 1 } else { 0 };
                for letter in letters {
                    held.push(letter.handle.clone());
                    go_on = go_on && each(letter).await;
                }
            }
        }
    }
    let seen = held.len();
    let let_go = store.let_go(&held).await;
    match failed {
        Some(error) => Err(error),
        None => let_go.map(|()| Scanned { seen, cut_short }),
    }
}
