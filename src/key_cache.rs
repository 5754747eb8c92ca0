//! The key ring, kept for a while, so that a callback costs no call to the key store and a new key needs no deploy.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::key_ring::KeyRing;
use crate::ports::{Clock, KeyStore, KeyStoreError};
use crate::timestamp::Timestamp;

/// How long a ring is used before it is fetched again: how long a removed key works on.
pub const TIME_TO_LIVE: Duration = Duration::from_secs(5 * 60);

/// How long a ring is used on while the key store cannot be reached.
pub const STALE_LIMIT: Duration = Duration::from_secs(60 * 60);

/// The least time between two fetches that a failed check asks for: forged requests must not hammer the key store.
pub const REFRESH_INTERVAL: Duration = Duration::from_secs(60);

/// A key store and the ring last fetched from it.
pub struct KeyCache<S, C> {
    store: S,
    clock: C,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ring: Option<(Arc<KeyRing>, Timestamp)>,
    /// When a fetch failed last, if none has succeeded since.
    failed: Option<(Timestamp, KeyStoreError)>,
    /// When a failed check asked for a fetch last.
    refreshed_at: Option<Timestamp>,
}

/// What came of asking for a newer ring.
pub enum Refresh {
    /// The ring as it stands now.
    Fetched(Arc<KeyRing>),
    /// A failed check asked for a fetch less than [`REFRESH_INTERVAL`] ago.
    NotDue,
    /// The key store cannot be reached, now or at the last try less than [`REFRESH_INTERVAL`] ago.
    Failed(KeyStoreError),
}

impl<S: KeyStore, C: Clock> KeyCache<S, C> {
    /// An empty cache before this store.
    pub fn new(store: S, clock: C) -> Self {
        Self { store, clock, state: Mutex::default() }
    }

    /// The ring, fetched if there is none younger than [`TIME_TO_LIVE`]. While the store cannot be reached the old one
    /// serves for up to [`STALE_LIMIT`].
    ///
    /// # Errors
    /// [`KeyStoreError`] when it cannot be fetched and there is no ring to go on with.
    pub async fn current(&self) -> Result<Arc<KeyRing>, KeyStoreError> {
        let mut state = self.state.lock().await;
        let now = self.clock.now();
        let at_hand = state.ring.as_ref().map(|(ring, at)| (Arc::clone(ring), now.since(*at)));
        let good_for = if state.failed_lately(now).is_some() { STALE_LIMIT } else { TIME_TO_LIVE };
        if let Some((ring, _)) = at_hand.as_ref().filter(|(_, age)| *age < good_for) {
            return Ok(Arc::clone(ring));
        }
        match (self.fetch(&mut state, now).await, at_hand) {
            (Ok(ring), _) => Ok(ring),
            (Err(_), Some((ring, age))) if age < STALE_LIMIT => Ok(ring),
            (Err(error), _) => Err(error),
        }
    }

    /// Asks for a newer ring because a check failed with the one at hand.
    pub async fn refresh(&self) -> Refresh {
        let mut state = self.state.lock().await;
        let now = self.clock.now();
        if let Some(error) = state.failed_lately(now) {
            return Refresh::Failed(error.clone());
        }
        if state.refreshed_at.is_some_and(|at| now.since(at) < REFRESH_INTERVAL) {
            return Refresh::NotDue;
        }
        state.refreshed_at = Some(now);
        match self.fetch(&mut state, now).await {
            Ok(ring) => Refresh::Fetched(ring),
            Err(error) => Refresh::Failed(error),
        }
    }

    async fn fetch(&self, state: &mut State, now: Timestamp) -> Result<Arc<KeyRing>, KeyStoreError> {
        let fetched = self.store.fetch().await.map(Arc::new);
        match &fetched {
            Ok(ring) => {
                state.ring = Some((Arc::clone(ring), now));
                state.failed = None;
            }
            Err(error) => state.failed = Some((now, error.clone())),
        }
        fetched
    }
}

impl State {
    /// The fault of a fetch that failed less than [`REFRESH_INTERVAL`] ago.
    fn failed_lately(&self, now: Timestamp) -> Option<&KeyStoreError> {
        self.failed.as_ref().filter(|(at, _)| now.since(*at) < REFRESH_INTERVAL).map(|(_, error)| error)
    }
}
