//! Messages that are held: for a short time, which is extended for as long as the tool lives. When it is killed, they can be
//! received again within a minute.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use idv_callback::ports::{Clock, QueueError};
use idv_callback::timestamp::Timestamp;

use crate::ports::DeadLetterStore;

/// For how long a message is held.
pub(super) const HOLD: Duration = Duration::from_secs(60);

/// How old a hold becomes before it is extended. What is left of it is the time that the calls may take.
const EXTENDED_AFTER: Duration = Duration::from_secs(20);

/// How many calls are under way at once: each is about ten messages.
pub(super) const CALLS_AT_ONCE: usize = 32;

/// The most messages of one call (API reference, `ChangeMessageVisibilityBatch`).
const BATCH: usize = 10;

/// Messages that are held.
pub struct Held<'a, S, C> {
    store: &'a S,
    clock: &'a C,
    /// Since when, oldest first.
    batches: VecDeque<(Timestamp, Vec<String>)>,
    messages: usize,
}

impl<'a, S: DeadLetterStore, C: Clock> Held<'a, S, C> {
    /// None yet.
    pub fn new(store: &'a S, clock: &'a C) -> Self {
        Self { store, clock, batches: VecDeque::new(), messages: 0 }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.messages
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// One more, which was received at this time.
    pub fn add(&mut self, handle: String, since: Timestamp) {
        self.messages += 1;
        match self.batches.back_mut() {
            Some((begun, batch)) if *begun == since && batch.len() < BATCH => batch.push(handle),
            _ => self.batches.push_back((since, vec![handle])),
        }
    }

    /// Extends the holds that are due. Is to be called at least every ten seconds.
    ///
    /// # Errors
    /// [`QueueError`] when the queue cannot be asked.
    pub async fn keep(&mut self) -> Result<(), QueueError> {
        let now = self.clock.now();
        let due = self.batches.iter().take_while(|(since, _)| now.since(*since) >= EXTENDED_AFTER).count();
        let batches: Vec<_> = self.batches.drain(..due).map(|(_, batch)| batch).collect();
        let extended = for_each(&batches, |batch| self.store.hold(batch, HOLD)).await;
        // They were extended between the two times, and are due again by the later one at the latest.
        let done = self.clock.now();
        self.batches.extend(batches.into_iter().map(|batch| (done, batch)));
        extended
    }

    /// Lets go of all.
    ///
    /// # Errors
    /// [`QueueError`] when the queue cannot be asked; what is still held comes back by itself.
    pub async fn release(self) -> Result<(), QueueError> {
        let mut full: Vec<Vec<String>> = Vec::new();
        for handle in self.batches.into_iter().flat_map(|(_, batch)| batch) {
            match full.last_mut() {
                Some(batch) if batch.len() < BATCH => batch.push(handle),
                _ => full.push(vec![handle]),
            }
        }
        for_each(&full, |batch| self.store.release(batch)).await
    }
}

/// Makes a call for each batch, several at once; gives the first error, after all were tried.
async fn for_each<'b, F: Future<Output = Result<(), QueueError>>>(
    batches: &'b [Vec<String>],
    call: impl Fn(&'b Vec<String>) -> F,
) -> Result<(), QueueError> {
    let calls = stream::iter(batches.iter().map(call)).buffer_unordered(CALLS_AT_ONCE);
    calls.fold(Ok(()), async |first: Result<(), QueueError>, one| first.and(one)).await
}
