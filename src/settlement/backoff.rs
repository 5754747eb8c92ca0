//! When a message that could not be settled comes back.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

/// The shortest time before the second try.
pub const SHORTEST_BACKOFF: Duration = Duration::from_secs(2);

/// The longest time between two tries.
pub const LONGEST_BACKOFF: Duration = Duration::from_secs(15 * 60);

/// How long a message waits after its `attempt`th failed try: doubling from 2 s to 15 min, of which the upper half is
/// spread evenly over messages, so that those which failed together do not come back together.
///
/// The spread is derived from the group and the attempt and not from a random source: the messages of one user come
/// back together, and a test can say when.
pub fn backoff(group_id: &str, attempt: u32) -> Duration {
    let doublings = attempt.saturating_sub(1).min(16);
    let full = SHORTEST_BACKOFF.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST_BACKOFF);
    let half = full / 2;
    let delay = half + half.mul_f64(spread(group_id, attempt));
    delay.max(SHORTEST_BACKOFF)
}

/// A number from 0 to 1, the same for the same group and attempt.
fn spread(group_id: &str, attempt: u32) -> f64 {
    let digest = Sha256::new().chain_update(group_id).chain_update(attempt.to_be_bytes()).finalize();
    let number = digest.iter().take(4).fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    f64::from(number) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_BACKOFF, SHORTEST_BACKOFF, backoff};
    use crate::settlement::MAXIMUM_RECEIVES;
    use std::time::Duration;

    #[test]
    fn doubles_from_two_seconds_to_fifteen_minutes() {
        assert_eq!(backoff("a", 1), SHORTEST_BACKOFF);
        for attempt in 2..200 {
            let full = Duration::from_secs(1 << attempt.min(20)).min(LONGEST_BACKOFF);
            let delay = backoff("a", attempt);
            assert!(delay >= full / 2 && delay <= full, "{attempt}: {delay:?}");
        }
        assert!(backoff("a", u32::MAX) <= LONGEST_BACKOFF);
    }

    #[test]
    fn messages_that_failed_together_come_back_apart() {
        let delays: std::collections::HashSet<_> =
            (0..100).map(|group| backoff(&group.to_string(), 9).as_secs()).collect();
        assert!(delays.len() > 50, "{delays:?}");
    }

    #[test]
    fn hours_of_outage_use_up_no_message() {
        let total: Duration = (1..MAXIMUM_RECEIVES).map(|attempt| backoff("a", attempt)).sum();
        assert!(total > Duration::from_secs(5 * 60 * 60), "{total:?}");
    }
}
