//! The binding: proof that a proofing session was opened for this very user, not for somebody who had the name before.
//!
//! It is made when the session is opened, travels in the session's metadata, and comes back with the callback. A user name can
//! be deleted and taken by somebody else while a proofing session runs for days; so the binding also says when the sign-up was:
//!
//! * `b1.<start, unix seconds>.<MAC>` holds for a user that was created in that minute or just after it;
//! * `b2.<start>.<claim>.<MAC>` holds for a user with this [claim](Claim) alone: the one that the browser made which signed up;
//! * `p1.<start>.<claim>.<MAC>` is of a session that was opened before there was a user. It binds nobody; a sign-up that brings its
//!   result gets a `b2`.
//!
//! The MAC is HMAC-SHA256 over the kind, the pool, the user name and what stands before it, in hexadecimal digits.

use std::time::Duration;

use crate::hex::hex;
use crate::key_ring::Key;
use crate::proofing::Claim;
use crate::secret::Tag;
use crate::timestamp::Timestamp;
use crate::verification::{BindingToken, Malformed, UserReference};

/// How long after the start of the sign-up the user may be created. The start is told to the minute, so that the calls of one
/// sign-up ask for one and the same session; Cognito calls the trigger up to three times, 5 s each, and creates the user
/// when it has answered.
pub const CREATION_WINDOW: Duration = Duration::from_secs(60 + 3 * 5);

/// The same where the claim says who it is: somebody whose sign-up failed may try again, for as long as a callback waits for
/// its user ([`USER_GRACE`](crate::assurance::USER_GRACE)).
pub const CLAIM_WINDOW: Duration = Duration::from_secs(15 * 60);

/// How far the two clocks, ours and Cognito's, may lie apart.
pub const CLOCK_SKEW: Duration = Duration::from_secs(5);

/// What a callback's binding proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// There is none.
    Absent,
    /// It was not made with one of our keys, or for another user.
    Forged,
    /// It was made for this user, at a sign-up that started at this time.
    StartedAt(Timestamp),
    /// It was made for this user, at a sign-up that started at this time and promised this.
    ClaimedAt(Timestamp, Claim),
    /// Two operators say that the callback is about this user; no binding speaks for that or against it.
    Vouched,
}

impl Binding {
    /// Makes the token for a sign-up of this user that starts now, with what the browser promised if it did.
    ///
    /// # Errors
    /// [`Malformed`] never in practice: the token's form is narrower than what [`BindingToken`] accepts.
    pub fn issue(
        key: &Key,
        user: &UserReference,
        start: Timestamp,
        claim: Option<&Claim>,
    ) -> Result<BindingToken, Malformed> {
        match claim {
            None => token(key, user, "b1", &start.unix_seconds().to_string()),
            Some(claim) => token(key, user, "b2", &claimed(start, claim)),
        }
    }

    /// Makes the token for a session that is opened before this user signs up.
    ///
    /// # Errors
    /// [`Malformed`] never in practice.
    pub fn issue_before(
        key: &Key,
        user: &UserReference,
        start: Timestamp,
        claim: &Claim,
    ) -> Result<BindingToken, Malformed> {
        token(key, user, "p1", &claimed(start, claim))
    }

    /// Checks the token that came with a callback for this user, against every key. Where there are no keys, bindings are
    /// not in use, and nobody can tell a good one from a forged one: then it is as if there were none.
    pub fn check(token: Option<&BindingToken>, user: &UserReference, keys: &[Key]) -> Self {
        let Some(token) = token else { return Self::Absent };
        if keys.is_empty() {
            return Self::Absent;
        }
        match read(token, user, keys) {
            Some(("b1", start, None)) => Self::StartedAt(start),
            Some(("b2", start, Some(claim))) => Self::ClaimedAt(start, claim),
            _ => Self::Forged,
        }
    }

    /// Checks the token of a session that was opened before this user signed up: when that was, and what was promised.
    pub fn check_before(
        token: Option<&BindingToken>,
        user: &UserReference,
        keys: &[Key],
    ) -> Option<(Timestamp, Claim)> {
        match read(token?, user, keys)? {
            ("p1", start, Some(claim)) => Some((start, claim)),
            _ => None,
        }
    }

    /// Whether it speaks for a user who was created at this time, with this claim.
    pub fn speaks_for(&self, created_at: Timestamp, claim: Option<&Claim>) -> bool {
        let within = |start: Timestamp, window| {
            created_at >= start.minus(CLOCK_SKEW) && created_at <= start.plus(window)
        };
        match self {
            Self::Absent | Self::Forged => false,
            Self::Vouched => true,
            // A user with a claim is spoken for by that claim alone.
            Self::StartedAt(start) => claim.is_none() && within(*start, CREATION_WINDOW),
            Self::ClaimedAt(start, promised) => within(*start, CLAIM_WINDOW) && claim == Some(promised),
        }
    }
}

fn claimed(start: Timestamp, claim: &Claim) -> String {
    format!("{}.{}", start.unix_seconds(), claim.as_str())
}

fn token(key: &Key, user: &UserReference, kind: &str, said: &str) -> Result<BindingToken, Malformed> {
    BindingToken::new(&format!("{kind}.{said}.{}", hex(&tag(key, user, kind, said).to_bytes())))
}

fn tag(key: &Key, user: &UserReference, kind: &str, said: &str) -> Tag {
    // None of the parts can hold a line feed, so no two different inputs are the same bytes.
    let label: &[u8] = match kind {
        "b1" => b"idv-callback/binding/1\n",
        "b2" => b"idv-callback/binding/2\n",
        _ => b"idv-callback/proof-first/1\n",
    };
    let (pool, username) = (user.pool.as_str().as_bytes(), user.username.as_str().as_bytes());
    key.secret.mac(&[label, pool, b"\n", username, b"\n", said.as_bytes()])
}

/// The kind, the start and the claim of a token that one of our keys made for this user.
fn read<'t>(
    token: &'t BindingToken,
    user: &UserReference,
    keys: &[Key],
) -> Option<(&'t str, Timestamp, Option<Claim>)> {
    let (kind, rest) =
        token.as_str().split_once('.').filter(|(kind, _)| ["b1", "b2", "p1"].contains(kind))?;
    let (said, mac) = rest.rsplit_once('.')?;
    let mac = crate::hex::hex_tag(mac)?;
    let (start, claim) = match said.split_once('.') {
        None => (said, None),
        Some((start, claim)) => (start, Some(Claim::new(claim)?)),
    };
    if start.is_empty() || !start.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let start = Timestamp::from_unix_seconds(start.parse().ok()?);
    let ours = keys.iter().fold(false, |found, key| found | tag(key, user, kind, said).matches(&mac));
    ours.then_some((kind, start, claim))
}

#[cfg(test)]
mod tests {
    use super::Binding;
    use crate::key_ring::Key;
    use crate::proofing::Claim;
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

    fn claim(letter: &str) -> Claim {
        Claim::new(&letter.repeat(43)).unwrap()
    }

    #[test]
    fn holds_for_its_user_under_its_key_and_nothing_else() {
        let start = Timestamp::parse("2026-11-22T10:00:00Z").unwrap();
        let bare = Binding::issue(&key(1), &user("ada"), start, None).unwrap();
        let claimed = Binding::issue(&key(1), &user("ada"), start, Some(&claim("c"))).unwrap();
        for (token, proves) in
            [(&bare, Binding::StartedAt(start)), (&claimed, Binding::ClaimedAt(start, claim("c")))]
        {
            assert_eq!(Binding::check(Some(token), &user("ada"), &[key(2), key(1)]), proves);
            assert_eq!(Binding::check(Some(token), &user("bob"), &[key(1)]), Binding::Forged);
            assert_eq!(Binding::check(Some(token), &user("ada"), &[key(2)]), Binding::Forged);
            assert!(Binding::check_before(Some(token), &user("ada"), &[key(1)]).is_none());
        }
        assert_eq!(Binding::check(None, &user("ada"), &[key(1)]), Binding::Absent);
        let later = bare.as_str().replacen("b1.1", "b1.2", 1);
        let other = claimed.as_str().replacen("ccc", "ddd", 1);
        let (as_b1, as_b2) =
            (claimed.as_str().replacen("b2", "b1", 1), bare.as_str().replacen("b1", "b2", 1));
        for forged in
            [&later, &other, &as_b1, &as_b2, "b1.", "b1.5.zz", "b2.5.00", "b2.5.c.00", "b3.5.00", "x"]
        {
            let forged = BindingToken::new(forged).unwrap();
            assert_eq!(Binding::check(Some(&forged), &user("ada"), &[key(1)]), Binding::Forged, "{forged:?}");
        }
    }

    #[test]
    fn a_session_from_before_the_sign_up_binds_nobody() {
        let start = Timestamp::parse("2026-11-22T10:00:00Z").unwrap();
        let token = Binding::issue_before(&key(1), &user("ada"), start, &claim("c")).unwrap();
        assert_eq!(Binding::check(Some(&token), &user("ada"), &[key(1)]), Binding::Forged);
        assert_eq!(Binding::check_before(Some(&token), &user("ada"), &[key(1)]), Some((start, claim("c"))));
        assert!(Binding::check_before(Some(&token), &user("bob"), &[key(1)]).is_none());
    }

    #[test]
    fn speaks_for_the_user_of_that_minute_or_of_that_claim() {
        let start = Timestamp::parse("2026-11-22T10:00:00Z").unwrap();
        for (created, by_time, by_claim) in [
            ("2026-11-22T09:59:54.999Z", false, false),
            ("2026-11-22T09:59:55.000Z", true, true),
            ("2026-11-22T10:01:15.000Z", true, true),
            ("2026-11-22T10:01:15.001Z", false, true),
            ("2026-11-22T10:15:00.000Z", false, true),
            ("2026-11-22T10:15:00.001Z", false, false),
        ] {
            let created = Timestamp::parse(created).unwrap();
            let (bare, claimed) = (Binding::StartedAt(start), Binding::ClaimedAt(start, claim("c")));
            assert_eq!(bare.speaks_for(created, None), by_time, "{created}");
            assert!(!bare.speaks_for(created, Some(&claim("x"))), "{created}");
            assert_eq!(claimed.speaks_for(created, Some(&claim("c"))), by_claim, "{created}");
            assert!(!claimed.speaks_for(created, Some(&claim("x"))) && !claimed.speaks_for(created, None));
        }
    }
}
