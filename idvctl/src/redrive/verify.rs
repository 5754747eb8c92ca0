//! What became of letters that were sent back: the users' records tell, and the dead-letter queue.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use idv_callback::assurance::{Assurance, UserStatus};
use idv_callback::key_ring::KeyRing;
use idv_callback::ports::{Clock, QueueError, UserDirectory};
use idv_callback::verification::EventId;

use super::foresee::Foresight;
use super::scan::scan;
use super::{Plan, PlannedLetter, fingerprint, open};
use crate::ports::{DeadLetter, DeadLetterStore};

/// How often the outcome of a letter is looked for.
const POLL: Duration = Duration::from_secs(1);

/// What became of a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Became {
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

impl Became {
    fn may_change(&self) -> bool {
        matches!(self, Self::Pending | Self::Unknown(_))
    }
}

/// Asks the user's record.
pub async fn became<D: UserDirectory, C: Clock>(
    foresight: &Foresight<'_, D, C>,
    letter: &PlannedLetter,
) -> Became {
    let (Some(reference), Ok(event)) = (letter.reference(), EventId::new(&letter.event_id)) else {
        return Became::Unknown("the plan names no user".to_owned());
    };
    let user = match foresight.read(&reference).await {
        Ok(Some(user)) => user,
        Ok(None) => return Became::UserGone,
        Err(why) => return Became::Unknown(why),
    };
    let reached = |held: &Assurance| {
        held.has_taken_in(&event) || letter.adds().is_some_and(|added| held.covers(&added))
    };
    let reached = !letter.writes() || user.assurance.as_ref().is_ok_and(reached);
    let confirmed = !letter.confirms || user.status == UserStatus::Confirmed;
    if reached && confirmed { Became::Settled } else { Became::Pending }
}

/// Asks for each letter, and for those that are not settled again and again, for so long.
pub async fn outcomes<'p, D: UserDirectory, C: Clock>(
    foresight: &Foresight<'_, D, C>,
    letters: impl IntoIterator<Item = &'p PlannedLetter>,
    patience: Duration,
) -> Vec<(&'p PlannedLetter, Became)> {
    let started = foresight.clock.now();
    let mut outcomes: Vec<_> = letters.into_iter().map(|letter| (letter, Became::Pending)).collect();
    loop {
        let mut open = false;
        for (letter, outcome) in outcomes.iter_mut().filter(|(_, outcome)| outcome.may_change()) {
            *outcome = became(foresight, letter).await;
            open |= outcome.may_change();
        }
        if !open || foresight.clock.now().since(started) >= patience {
            return outcomes;
        }
        foresight.clock.sleep(POLL).await;
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

/// Looks for a plan's letters in the dead-letter queue.
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
    let planned: HashSet<_> = plan.letters.iter().map(|letter| letter.receipt_id.as_str()).collect();
    let ids: HashSet<_> = plan.letters.iter().map(|letter| letter.message_id.as_str()).collect();
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
