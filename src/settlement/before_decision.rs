//! What is looked at before anybody is asked about a user. The consumer and the forecast of a replay both begin here, so that
//! they cannot differ.

use std::borrow::Cow;

use crate::assurance::{Policy, QuarantineReason};
use crate::correction::Statement;
use crate::verification::VerificationEvent;
use crate::vocabulary::Use;

/// What becomes of a message for which no user is looked at.
#[derive(Debug, PartialEq, Eq)]
pub enum WithoutDecision {
    /// Its type tells no result, as the operator has said: it is settled, and changes nobody.
    Skipped,
    /// It is a synthetic callback, about nobody.
    Probed,
    /// It goes to the dead letters: the reason, and more about it.
    Quarantined(QuarantineReason, String),
}

/// The event to be decided, of a user in one of our pools. Looks, in this order: whether the message tells a result, whether it
/// can be read, whose pool it names. A pool's id comes from the message, and only ours may be asked about it.
///
/// # Errors
/// [`WithoutDecision`] where there is nothing to be decided.
pub fn event_to_decide<'s>(
    statement: &'s Statement,
    policy: &Policy,
) -> Result<Cow<'s, VerificationEvent>, WithoutDecision> {
    if statement.tells_no_result() {
        return Err(WithoutDecision::Skipped);
    }
    let unreadable = |(reason, detail): (_, &str)| WithoutDecision::Quarantined(reason, detail.to_owned());
    let event = statement.event().map_err(unreadable)?;
    if event.user.pool.is_synthetic() {
        return Err(WithoutDecision::Probed);
    }
    if !policy.pools.contains(&event.user.pool) {
        return Err(WithoutDecision::Quarantined(QuarantineReason::PoolNotAllowed, String::new()));
    }
    let used = event.unknown_type.as_ref().and_then(|name| policy.event_types.of(name));
    if used == Some(Use::Ignore) { Err(WithoutDecision::Skipped) } else { Ok(event) }
}
