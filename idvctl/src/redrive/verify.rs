//! What became of messages that were sent back: the users' records tell, and the dead-letter queue.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use idv_callback::assurance::{Assurance, UserStatus};
use idv_callback::key_ring::KeyRing;
use idv_callback::ports::{Clock, QueueError, UserDirectory};
use idv_callback::verification::EventId;

use super::forecast::Forecaster;
use super::scan::scan;
use super::{Plan, PlannedMessage, fingerprint, open};
use crate::ports::{DeadLetter, DeadLetterStore};

/// How often the outcome of a message is looked for.
const POLL: Duration = Duration::from_secs(1);

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayOutcome {
    /// The user's record remembers this event, or what makes it irrelevant, if anything of it was to be written, and is confirmed
    /// if that was expected.
    Settled,
    /// Not yet.
    Pending,
    /// There is no such user any more.
    UserGone,
    /// The user cannot be read.
    Unknown(String),
}

impl ReplayOutcome {
    fn may_change(&self) -> bool {
        matches!(self, Self::Pending | Self::Unknown(_))
    }
}

/// Asks the user's record.
pub async fn replay_outcome<D: UserDirectory, C: Clock>(
    forecaster: &Forecaster<'_, D, C>,
    message: &PlannedMessage,
) -> ReplayOutcome {
    let (Some(reference), Ok(event)) = (message.reference(), EventId::new(&message.event_id)) else {
        return ReplayOutcome::Unknown("the plan names no user".to_owned());
    };
    let user = match forecaster.read(&reference).await {
        Ok(Some(user)) => user,
        Ok(None) => return ReplayOutcome::UserGone,
        Err(why) => return ReplayOutcome::Unknown(why),
    };
    let reached = |held: &Assurance| {
        held.has_taken_in(&event) || message.adds().is_some_and(|added| held.covers(&added))
    };
    let reached = !message.writes() || user.assurance.as_ref().is_ok_and(reached);
    let confirmed = !message.confirms || user.status == UserStatus::Confirmed;
    if reached && confirmed { ReplayOutcome::Settled } else { ReplayOutcome::Pending }
}

/// Asks for each message, and for those that are not settled again and again, for so long.
pub async fn outcomes<'p, D: UserDirectory, C: Clock>(
    forecaster: &Forecaster<'_, D, C>,
    letters: impl IntoIterator<Item = &'p PlannedMessage>,
    patience: Duration,
) -> Vec<(&'p PlannedMessage, ReplayOutcome)> {
    let started = forecaster.clock.now();
    let mut outcomes: Vec<_> = letters.into_iter().map(|message| (message, ReplayOutcome::Pending)).collect();
    loop {
        let mut open = false;
        for (message, outcome) in outcomes.iter_mut().filter(|(_, outcome)| outcome.may_change()) {
            *outcome = replay_outcome(forecaster, message).await;
            open |= outcome.may_change();
        }
        if !open || forecaster.clock.now().since(started) >= patience {
            return outcomes;
        }
        forecaster.clock.sleep(POLL).await;
    }
}

/// What the dead-letter queue says of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Returned {
    /// Those that died again, by receipt, with what of.
    pub dead_again: BTreeMap<String, String>,
    /// The messages that lie there as they did when the plan was made.
    pub unsent: HashSet<String>,
}

/// Looks for a plan's messages in the dead-letter queue.
///
/// # Errors
/// [`QueueError`] when the queue cannot be asked.
pub async fn returned<S: DeadLetterStore, C: Clock>(
    store: &S,
    clock: &C,
    ring: &KeyRing,
    plan: &Plan,
) -> Result<Returned, QueueError> {
    let run = plan.run();
    let planned: HashSet<_> = plan.letters.iter().map(|message| message.receipt_id.as_str()).collect();
    let ids: HashSet<_> = plan.letters.iter().map(|message| message.message_id.as_str()).collect();
    let mut returned = Returned::default();
    scan(store, clock, async |dead: DeadLetter| {
        if ids.contains(dead.id.as_str()) {
            returned.unsent.insert(dead.id.clone());
        } else if let Ok(statement) = open(&dead, ring) {
            let receipt = statement.envelope.receipt_id().as_str().to_owned();
            let of_this_run = super::replays(&dead.attributes).iter().any(|replay| replay.run == run);
            if of_this_run && planned.contains(receipt.as_str()) {
                returned.dead_again.insert(receipt, fingerprint(&dead.attributes));
            }
        }
        true
    })
    .await?;
    Ok(returned)
}
