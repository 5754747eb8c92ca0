//! The binding: proof that a proofing session was opened for this very user, not for somebody who had the name before.
//!
//! It is made when the session is opened, travels in the session's metadata, and comes back with the callback:
//! `b1.<start, unix seconds>.<HMAC-SHA256 over pool, user name and start, hex>`. A user name can be deleted and taken
//! by somebody else while a proofing session runs for days; so the binding also says when the sign-up was, and holds
//! only for a user that was created in that minute or just after it.

use std::time::Duration;

use crate::delivery::hex;
use crate::key_ring::Key;
use crate::secret::Tag;
use crate::timestamp::Timestamp;
use crate::verification::{BindingToken, Malformed, UserReference};

/// How long after the start of the sign-up the user may be created. The start is told to the minute, so that the calls of one
/// sign-up ask for one and the same session; Cognito calls the trigger up to three times, 5 s each, and creates the user
/// when it has answered.
pub const CREATION_WINDOW: Duration = Duration::from_secs(60 + 3 * 5);

/// How far the two clocks, ours and Cognito's, may lie apart.
pub const CLOCK_SKEW: Duration = Duration::from_secs(5);

/// What a callback's binding proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// There is none.
    Absent,
    /// It was not made with one of our keys, or for another user.
    Forged,
    /// It was made for this user, at a sign-up that started at this time.
    StartedAt(Timestamp),
    /// Two operators say that the callback is about this user; no binding speaks for that or against it.
    Vouched,
}

impl Binding {
    /// Makes the token for a sign-up of this user that starts now.
    ///
    /// # Errors
    /// [`Malformed`] never in practice: the token's form is narrower than what [`BindingToken`] accepts.
    pub fn issue(key: &Key, user: &UserReference, start: Timestamp) -> Result<BindingToken, Malformed> {
        let start = start.unix_seconds().to_string();
        BindingToken::new(&format!("b1.{start}.{}", hex(&tag(key, user, &start).to_bytes())))
    }

    /// Checks the token that came with a callback for this user, against every key. Where there are no keys, bindings are
    /// not in use, and nobody can tell a good one from a forged one: then it is as if there were none.
    pub fn check(token: Option<&BindingToken>, user: &UserReference, keys: &[Key]) -> Self {
        let Some(token) = token else { return Self::Absent };
        if keys.is_empty() {
            return Self::Absent;
        }
        let Some((start, seconds, mac)) = parse(token) else { return Self::Forged };
        let matches = keys.iter().fold(false, |found, key| found | tag(key, user, start).matches(&mac));
        if matches { Self::StartedAt(Timestamp::from_unix_seconds(seconds)) } else { Self::Forged }
    }

    /// Whether a user created at this time can be the one that the session was opened for.
    pub fn covers(start: Timestamp, created_at: Timestamp) -> bool {
        created_at >= start.minus(CLOCK_SKEW) && created_at <= start.plus(CREATION_WINDOW)
    }
}

fn tag(key: &Key, user: &UserReference, start: &str) -> Tag {
    // None of the parts can hold a line feed, so no two different inputs are the same bytes.
    let (pool, username) = (user.pool.as_str().as_bytes(), user.username.as_str().as_bytes());
    key.secret.mac(&[b"idv-callback/binding/1\n", pool, b"\n", username, b"\n", start.as_bytes()])
}

fn parse(token: &BindingToken) -> Option<(&str, i64, [u8; 32])> {
    let rest = token.as_str().strip_prefix("b1.")?;
    let (start, mac) = rest.split_once('.')?;
    if start.is_empty() || !start.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((start, start.parse().ok()?, crate::delivery::hex_tag(mac).ok()?))
}

#[cfg(test)]
mod tests {
    use super::Binding;
    use crate::key_ring::Key;
    use crate::secret::Secret;
    use crate::timestamp::Timestamp;
    use crate::verification::{BindingToken, PoolId, UserReference, Username};

    fn key(byte: u8) -> Key {
        let secret = Secret::from_bytes(vec![byte; 32]).unwrap_or_else(|_| panic!("32 bytes"));
        Key { id: "b".into(), secret, not_after: None }
    }

    fn user(name: &str) -> UserReference {
        UserReference { pool: PoolId::new("us-east-1_A").unwrap(), username: Username::new(name).unwrap() }
    }

    #[test]
    fn holds_for_its_user_under_its_key_and_nothing_else() {
        let start = Timestamp::parse("2026-11-22T10:00:00Z").unwrap();
        let token = Binding::issue(&key(1), &user("ada"), start).unwrap();
        assert_eq!(Binding::check(Some(&token), &user("ada"), &[key(2), key(1)]), Binding::StartedAt(start));
        assert_eq!(Binding::check(Some(&token), &user("bob"), &[key(1)]), Binding::Forged);
        assert_eq!(Binding::check(Some(&token), &user("ada"), &[key(2)]), Binding::Forged);
        assert_eq!(Binding::check(None, &user("ada"), &[key(1)]), Binding::Absent);
        let later = token.as_str().replacen("b1.1", "b1.2", 1);
        for forged in [later.as_str(), "b1.", "b1.5.zz", "b2.5.00", "x"] {
            let forged = BindingToken::new(forged).unwrap();
            assert_eq!(Binding::check(Some(&forged), &user("ada"), &[key(1)]), Binding::Forged);
        }
    }

    #[test]
    fn covers_the_minute_of_the_start_and_three_calls() {
        let start = Timestamp::parse("2026-11-22T10:00:00Z").unwrap();
        for (created, covered) in [
            ("2026-11-22T09:59:54.999Z", false),
            ("2026-11-22T09:59:55.000Z", true),
            ("2026-11-22T10:01:15.000Z", true),
            ("2026-11-22T10:01:15.001Z", false),
        ] {
            assert_eq!(Binding::covers(start, Timestamp::parse(created).unwrap()), covered, "{created}");
        }
    }
}
