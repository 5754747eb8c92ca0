//! A moment in time, to the millisecond: the precision of every time that this system compares, stores or prints.

use std::fmt;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::datetime;

/// A moment in time in UTC, in whole milliseconds, between the years 0 and 9999.
///
/// Everything finer than a millisecond is cut off on the way in, so that a time read back from a user's
/// attributes compares equal to the one that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The text is not an RFC 3339 date and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotRfc3339;

impl Timestamp {
    const EARLIEST: i64 = datetime!(0000-01-01 00:00 UTC).unix_timestamp() * 1000;
    const LATEST: i64 = datetime!(9999-12-31 23:59:59 UTC).unix_timestamp() * 1000;

    /// The moment this many milliseconds after the Unix epoch, held within the years 0 to 9999.
    pub fn from_unix_millis(millis: i64) -> Self {
        Self(millis.clamp(Self::EARLIEST, Self::LATEST))
    }

    /// The moment this many seconds after the Unix epoch, held within the years 0 to 9999.
    pub fn from_unix_seconds(seconds: i64) -> Self {
        Self::from_unix_millis(seconds.saturating_mul(1000))
    }

    /// Reads an RFC 3339 date and time (section 5.6), in any offset.
    ///
    /// # Errors
    /// [`NotRfc3339`] when the text is not of that form.
    pub fn parse(text: &str) -> Result<Self, NotRfc3339> {
        // Letters may come in either case (RFC 3339 section 5.6, note).
        let moment = OffsetDateTime::parse(&text.to_ascii_uppercase(), &Rfc3339).map_err(|_| NotRfc3339)?;
        let millis = moment.unix_timestamp_nanos().div_euclid(1_000_000);
        i64::try_from(millis).map(Self::from_unix_millis).map_err(|_| NotRfc3339)
    }

    /// Milliseconds since the Unix epoch.
    pub fn unix_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded towards the past.
    pub fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// How long after `earlier` this is; nothing when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// This much later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_unix_millis(self.0.saturating_add(millis))
    }

    /// This much earlier.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_unix_millis(self.0.saturating_sub(millis))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, always with milliseconds: `2026-11-22T10:00:00.000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            moment.year(),
            u8::from(moment.month()),
            moment.day(),
            moment.hour(),
            moment.minute(),
            moment.second(),
            moment.millisecond()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn prints_what_it_reads() {
        for (text, printed) in [
            ("2026-11-22T10:00:00.000Z", "2026-11-22T10:00:00.000Z"),
            ("2026-11-22T12:00:00+02:00", "2026-11-22T10:00:00.000Z"),
            ("2026-11-22T10:00:00.1239999Z", "2026-11-22T10:00:00.123Z"),
            ("1969-12-31T23:59:59.9995Z", "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(Timestamp::parse(text).unwrap().to_string(), printed);
        }
    }

    #[test]
    fn refuses_what_is_not_a_date_and_time() {
        for text in ["", "2026-11-22", "1763805600", "2026-11-22T10:00:00", "2026-13-01T00:00:00Z"] {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn stays_within_the_years_it_can_print() {
        for millis in [i64::MIN, i64::MAX] {
            let moment = Timestamp::from_unix_millis(millis);
            assert_eq!(Timestamp::parse(&moment.to_string()).unwrap(), moment);
        }
    }
}
