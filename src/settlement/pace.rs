//! How fast Cognito is asked. Its quotas are for the whole account, and people who sign in share them: about 25 requests a
//! second that write users (UserUpdate), about 120 that read them (UserRead; developer guide, "Quotas in Amazon Cognito").

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::ports::Clock;
use crate::timestamp::Timestamp;

/// How many reads there may be for each write: what the quotas allow, and a little less.
const READS_PER_WRITE: u32 = 4;

/// The pace of one consumer: a token bucket for writes and one for reads.
pub struct Pace {
    writes: Bucket,
    reads: Bucket,
}

/// A token bucket that holds one token: requests leave evenly, never in a burst.
struct Bucket {
    interval_micros: u64,
    /// When the next token is there, in microseconds of the Unix epoch.
    next: Mutex<u64>,
}

impl Pace {
    /// So many writes a second, and four times as many reads. Not more than 250,000, not fewer than one.
    pub fn per_second(writes: u32) -> Self {
        let writes = writes.clamp(1, 250_000);
        Self { writes: Bucket::per_second(writes), reads: Bucket::per_second(writes * READS_PER_WRITE) }
    }

    /// Waits until a user may be written.
    pub async fn write<C: Clock>(&self, clock: &C) {
        self.writes.wait(clock).await;
    }

    /// Waits until a user may be read.
    pub async fn read<C: Clock>(&self, clock: &C) {
        self.reads.wait(clock).await;
    }

    /// How long somebody who asks now would have to wait, at the most.
    pub fn backlog(&self, now: Timestamp) -> Duration {
        self.writes.backlog(now).max(self.reads.backlog(now))
    }
}

impl Bucket {
    fn per_second(requests: u32) -> Self {
        Self { interval_micros: 1_000_000_u64.div_ceil(requests.into()), next: Mutex::new(0) }
    }

    async fn wait<C: Clock>(&self, clock: &C) {
        let wait = self.take(clock.now());
        if !wait.is_zero() {
            clock.sleep(wait).await;
        }
    }

    fn backlog(&self, now: Timestamp) -> Duration {
        let next = *self.next.lock().unwrap_or_else(PoisonError::into_inner);
        Duration::from_micros(next.saturating_sub(micros(now)))
    }

    fn take(&self, now: Timestamp) -> Duration {
        let now = micros(now);
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = (*next).max(now);
        *next = slot.saturating_add(self.interval_micros);
        Duration::from_micros(slot - now)
    }
}

fn micros(moment: Timestamp) -> u64 {
    u64::try_from(moment.unix_millis()).unwrap_or(0).saturating_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::Pace;
    use crate::timestamp::Timestamp;
    use std::time::Duration;

    #[test]
    fn tokens_come_evenly_and_do_not_pile_up() {
        let pace = Pace::per_second(25);
        let now = Timestamp::from_unix_seconds(1_000);
        let waits: Vec<_> = (0..4).map(|_| pace.writes.take(now).as_millis()).collect();
        assert_eq!(waits, [0, 40, 80, 120]);
        assert_eq!((0..3).map(|_| pace.reads.take(now).as_millis()).collect::<Vec<_>>(), [0, 10, 20]);
        assert_eq!(pace.backlog(now), Duration::from_millis(160));
        let later = Timestamp::from_unix_seconds(2_000);
        assert_eq!((pace.writes.take(later).as_millis(), pace.writes.take(later).as_millis()), (0, 40));
    }
}
