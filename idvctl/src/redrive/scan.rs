//! Looking through the whole dead-letter queue, and leaving it as it was.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use futures_util::future::join_all;
use idv_callback::ports::{Clock, QueueError};

use super::held::{HOLD, Held};
use crate::ports::{DeadLetter, DeadLetterStore, Depth};

/// How many messages a look holds: SQS lets 120,000 of a FIFO queue be in flight (developer guide, "FIFO queue quotas").
pub(super) const MOST_HELD: usize = 110_000;

/// The most that one answer brings (SQS API reference, `ReceiveMessage`).
const FULL_ANSWER: usize = 10;

/// How many empty answers in a row mean that there is nothing more.
pub(super) const EMPTY_ANSWERS: u32 = 2;

/// How many receives are under way at once while each brings a full answer.
const RECEIVES_AT_ONCE: usize = 8;

/// Up to ten messages, and of each group all that one answer could bring. A full answer can end in the middle of a group,
/// whose rest could not be had while its beginning is held: that group is let go of, and comes whole with a later look.
pub(super) async fn look<S: DeadLetterStore>(store: &S) -> Result<(Vec<DeadLetter>, bool), QueueError> {
    let mut letters = store.receive(HOLD).await?;
    let full = letters.len() >= FULL_ANSWER;
    let Some(last) = letters.last().map(|message| message.group_id.clone()) else {
        return Ok((letters, full));
    };
    let begins = letters.iter().position(|message| message.group_id == last).unwrap_or_default();
    if full && begins > 0 {
        let cut: Vec<_> = letters.drain(begins..).map(|message| message.handle).collect();
        store.release(&cut).await?;
    }
    Ok((letters, full))
}

/// What came of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// How many messages were seen.
    pub seen: usize,
    /// Whether the look ended before the queue did: more messages than can be held at a time.
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

/// Messages that were taken: held until they are let go of.
pub struct Taken<'a, S, C> {
    /// The messages.
    pub letters: Vec<DeadLetter>,
    /// Their holds.
    pub held: Held<'a, S, C>,
    /// What came of the look.
    pub scanned: Scanned,
}

/// Shows every message that can be received, each once, and releases all of them. `each` says whether to go on.
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
    let (kept, walked) =
        walk(store, clock, async |message| if each(message).await { Next::LetGo } else { Next::Stop }).await;
    debug_assert!(kept.is_empty());
    walked
}

/// Holds every message that `choose` takes, and releases the others.
///
/// # Errors
/// [`QueueError`] when the queue cannot be asked; what was held is let go of, or comes back by itself.
pub async fn take<'a, S: DeadLetterStore, C: Clock>(
    store: &'a S,
    clock: &'a C,
    mut choose: impl FnMut(&DeadLetter) -> bool,
) -> Result<Taken<'a, S, C>, QueueError> {
    let mut letters: Vec<DeadLetter> = Vec::new();
    let (held, walked) = walk(store, clock, async |message| {
        if !choose(&message) {
            return Next::LetGo;
        }
        letters.push(message);
        Next::Keep
    })
    .await;
    match walked {
        Ok(scanned) => Ok(Taken { letters, held, scanned }),
        // What cannot be let go of now comes back by itself; the first error says more.
        Err(error) => held.release().await.and(Err(error)),
    }
}

/// Gives what is kept, and what came of the look.
async fn walk<'a, S: DeadLetterStore, C: Clock>(
    store: &'a S,
    clock: &'a C,
    mut each: impl AsyncFnMut(DeadLetter) -> Next,
) -> (Held<'a, S, C>, Result<Scanned, QueueError>) {
    let (mut held, mut kept) = (Held::new(store, clock), Held::new(store, clock));
    let (mut empty, mut go_on, mut cut_short, mut at_once) = (0, true, false, 1);
    // A message whose hold ran out comes once more: it is shown once.
    let (hasher, mut seen) = (RandomState::new(), HashSet::new());
    let mut outcome = Ok(());
    while outcome.is_ok() && go_on && empty < EMPTY_ANSWERS {
        if held.len() + kept.len() >= MOST_HELD {
            cut_short = true;
            break;
        }
        outcome = held.keep().await.and(kept.keep().await);
        let now = clock.now();
        let answers = join_all((0..at_once).map(|_| look(store))).await;
        let mut all_full = true;
        let mut nothing = true;
        for answer in answers {
            let (letters, full) = match answer {
                Ok(answer) => answer,
                Err(error) => {
                    outcome = outcome.and(Err(error));
                    continue;
                }
            };
            all_full &= full;
            nothing &= letters.is_empty();
            for message in letters {
                let handle = message.handle.clone();
                let first_time = seen.insert(hasher.hash_one(&message.id));
                let next = if go_on && first_time { each(message).await } else { Next::LetGo };
                go_on = go_on && !matches!(next, Next::Stop);
                let batch = if matches!(next, Next::Keep) { &mut kept } else { &mut held };
                batch.add(handle, now);
            }
        }
        at_once = if all_full { RECEIVES_AT_ONCE } else { 1 };
        empty = if nothing { empty + 1 } else { 0 };
    }
    let release = held.release().await;
    (kept, outcome.and(release).map(|()| Scanned { seen: seen.len(), cut_short }))
}
