//! How fast users are written: Cognito's UserUpdate quota is about 25 requests a second for the whole account (developer
//! guide, "Quotas in Amazon Cognito"), and people who sign in share it.

use std::sync::Mutex;
use std::time::Duration;

use crate::ports::Clock;
use crate::timestamp::Timestamp;

/// A token bucket that holds one token: requests leave evenly, never in a burst.
pub struct Pace {
    interval_micros: u64,
    /// When the next token is there, in microseconds of the Unix epoch.
    next: Mutex<u64>,
}

impl Pace {
    /// So many requests a second. Not more than a million, not fewer than one.
    pub fn per_second(requests: u32) -> Self {
        let requests = u64::from(requests.clamp(1, 1_000_000));
        Self { interval_micros: 1_000_000_u64.div_ceil(requests), next: Mutex::new(0) }
    }

    /// Waits for the next token and takes it.
    pub async fn wait<C: Clock>(&self, clock: &C) {
        let wait = self.take(clock.now());
        if !wait.is_zero() {
            clock.sleep(wait).await;
        }
    }

    /// How long somebody who asks now would have to wait.
    pub fn backlog(&self, now: Timestamp) -> Duration {
        let next = *self.next.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Duration::from_micros(next.saturating_sub(micros(now)))
    }

    fn take(&self, now: Timestamp) -> Duration {
        let now = micros(now);
        let mut next = self.next.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
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
        let waits: Vec<_> = (0..4).map(|_| pace.take(now).as_millis()).collect();
        assert_eq!(waits, [0, 40, 80, 120]);
        assert_eq!(pace.backlog(now), Duration::from_millis(160));
        let later = Timestamp::from_unix_seconds(2_000);
        assert_eq!((pace.take(later).as_millis(), pace.take(later).as_millis()), (0, 40));
    }
}
