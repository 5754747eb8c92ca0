//! Times as senders write them: RFC 3339 as its section 5.6 has it, what libraries make of it, and numbers of Unix time.

use crate::timestamp::Timestamp;

/// The end of the first day of Unix time. A time up to here is the zero of a runtime (year 1, or 1970, in any offset): nobody
/// has set it.
const LAST_ZERO: i64 = 2 * 24 * 60 * 60;

/// The moments that a number can mean: 10 digits of seconds, September 2001 to November 2286. A year, a date without its
/// separators, a number of seconds to go and microseconds are none of them.
const EARLIEST: i64 = 1_000_000_000;
const LATEST: i64 = 10_000_000_000;

/// From this many digits on a number counts milliseconds: as seconds it would lie after the year 2286.
const DIGITS_OF_MILLISECONDS: usize = 11;

/// Whether nobody has set it.
pub(super) fn is_zero(at: Timestamp) -> bool {
    at.unix_seconds() <= LAST_ZERO
}

/// A date and time with an offset, or a number of seconds or milliseconds in digits.
pub(super) fn read(text: &str) -> Option<Timestamp> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return read_number(text);
    }
    Timestamp::parse(text).or_else(|error| Timestamp::parse(&spelled_out(text).ok_or(error)?)).ok()
}

/// The first moment of a date.
pub(super) fn read_date(text: &str) -> Option<Timestamp> {
    Timestamp::parse(&format!("{text}T00:00:00Z")).ok()
}

/// A number of Unix time: seconds, with or without a fraction; or milliseconds, from eleven digits on. The zero of a runtime is
/// read as such.
pub(super) fn read_number(number: &str) -> Option<Timestamp> {
    let at = unix_time(number)?;
    let plausible = (EARLIEST..LATEST).contains(&at.unix_seconds());
    let zero = at.unix_seconds() <= 0;
    (plausible || zero).then_some(at)
}

fn unix_time(number: &str) -> Option<Timestamp> {
    if number.bytes().all(|byte| byte.is_ascii_digit()) {
        let value: i64 = number.parse().ok()?;
        let millis = number.trim_start_matches('0').len() >= DIGITS_OF_MILLISECONDS;
        return Some(if millis {
            Timestamp::from_unix_millis(value)
        } else {
            Timestamp::from_unix_seconds(value)
        });
    }
    let value: f64 = number.parse().ok()?;
    // 11 digits are 10^10.
    let millis = if value.abs() < 1e10 { value * 1000.0 } else { value };
    let whole = format!("{:.0}", millis.floor());
    whole.parse().ok().map(Timestamp::from_unix_millis)
}

/// RFC 3339 of what libraries leave out or add: a blank for the `T`, no seconds where they are zero (Java), an offset without
/// its colon or its minutes, the zone's name behind it (`Z[UTC]`).
fn spelled_out(text: &str) -> Option<String> {
    let text = text.strip_suffix(']').and_then(|text| text.split_once('[')).map_or(text, |(time, _)| time);
    let (date, rest) = text.split_at_checked(10)?;
    let mut letters = rest.chars();
    let separator = letters.next().filter(|c| matches!(c, 'T' | 't' | ' '))?;
    let rest = rest.strip_prefix(separator)?;
    let at = rest.find(['Z', 'z', '+', '-'])?;
    let (time, offset) = rest.split_at_checked(at)?;
    let seconds = if time.len() == 5 { ":00" } else { "" };
    let digits = offset.len() > 1 && offset.bytes().skip(1).all(|byte| byte.is_ascii_digit());
    let offset = match (offset.split_at_checked(3), offset.len()) {
        (Some((hours, minutes)), 5) if digits => format!("{hours}:{minutes}"),
        (Some(_), 3) if digits => format!("{offset}:00"),
        _ => offset.to_owned(),
    };
    Some(format!("{date}T{time}{seconds}{offset}"))
}

#[cfg(test)]
mod tests {
    use super::{is_zero, read, read_date, read_number};

    #[test]
    fn reads_what_senders_write() {
        for text in [
            "2026-11-27T21:02:00Z",
            "2026-11-27t21:02:00z",
            "2026-11-27T21:02Z",
            "2026-11-27T22:02:00+0100",
            "2026-11-27T21:02+0000",
            "2026-11-27 21:02:00+00",
            "2026-11-27T21:02:00.000000Z",
            "2026-11-27T21:02Z[UTC]",
            "1795813320",
            "1795813320000",
        ] {
            assert_eq!(
                read(text).map(|at| at.to_string()).as_deref(),
                Some("2026-11-27T21:02:00.000Z"),
                "{text}"
            );
        }
        for number in ["1795813320", "1795813320000", "1.79581332E9", "1795813320.0", "1.79581332e12"] {
            let at = read_number(number).map(|at| at.to_string());
            assert_eq!(at.as_deref(), Some("2026-11-27T21:02:00.000Z"), "{number}");
        }
        for text in
            ["", "2026-11-27", "2026-11-27T21:02:00", "12/31/2027", "soon", "-1", "2026-11-27T21:02:00+01000"]
        {
            assert_eq!(read(text), None, "{text}");
        }
        for number in ["20271231", "2027", "31536000", "86400", "1795813320000000", "1e300"] {
            assert_eq!(read_number(number), None, "{number}");
        }
        assert!(read_date("2027-12-31").is_some() && read_date("12/31/2027").is_none());
    }

    #[test]
    fn the_zero_of_a_runtime_is_no_time() {
        for text in ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1970-01-01T01:00:00+01:00", "0"] {
            assert!(read(text).is_some_and(is_zero), "{text}");
        }
        assert!(read_number("-62135596800").is_some_and(is_zero));
        assert!(!read("2001-01-01T00:00:00Z").is_some_and(is_zero));
    }
}
