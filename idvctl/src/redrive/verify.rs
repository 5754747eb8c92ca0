//! What became of messages that were sent back. Nothing is concluded from silence: a message has ended when the consumer's log
//! names it, when its user's record names its event, or when the callback queue was counted empty and it is not among the dead
//! letters. Of every other message it is said that its outcome is not known.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use idv_callback::assurance::{Assurance, UserRecord, UserStatus};
use idv_callback::key_ring::KeyRing;
use idv_callback::ports::{Clock, QueueError, UserDirectory};
use idv_callback::timestamp::Timestamp;
use idv_callback::verification::EventId;

use super::forecast::Forecaster;
use super::scan::scan;
use super::{Plan, PlannedMessage, fingerprint, open};
use crate::ports::{ConsumerLog, DeadLetter, DeadLetterStore, Recorded, RecordedOutcome, Waiting};

/// How often the outcome of a message is looked for.
const POLL: Duration = Duration::from_secs(1);

/// How far the clocks here and of the consumer may be apart.
const CLOCK_SKEW: Duration = Duration::from_secs(300);

/// The words of outcomes that write nothing.
const WRITE_NOTHING: [&str; 2] = ["duplicate", "superseded"];

/// Of how many messages the users are read at each look, although the log may still tell.
const FEW: usize = 20;

/// How long after a message was sent SQS' counts include it: "at least 1 minute after the producers stop sending messages" (SQS
/// developer guide, "Approximating the number of messages"; API reference, `GetQueueAttributes`).
pub const COUNTS_INCLUDE_ALL_AFTER: Duration = Duration::from_secs(60);

/// What is known of a message that was sent back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Before it was sent for the first time.
    pub since: Timestamp,
    /// After it was sent for the last time; none where nobody noted that.
    pub until: Option<Timestamp>,
    /// The id that it has in the callback queue; none where a crash came between sending and noting it.
    pub message_id: Option<String>,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayOutcome {
    /// It ended as it was forecast.
    AsForecast,
    /// It is settled, and nothing speaks against the forecast: what is known of how.
    Settled(String),
    /// It ended otherwise.
    Otherwise(String),
    /// It is among the dead letters again: what of.
    DeadAgain(String),
    /// It was not sent.
    NotSent,
    /// That is not known yet: why not.
    NotKnown(String),
}

impl ReplayOutcome {
    /// What became of a message, in a few words.
    pub fn what(&self, message: &PlannedMessage) -> String {
        match self {
            Self::AsForecast => format!("{} as forecast", message.forecast),
            Self::Settled(how) => format!("{how} (forecast: {})", message.forecast),
            Self::Otherwise(how) => format!("not as forecast: {how} (forecast: {})", message.forecast),
            Self::DeadAgain(fingerprint) if *fingerprint == message.fingerprint => {
                format!("dead again for the same cause: {fingerprint}")
            }
            Self::DeadAgain(fingerprint) => format!("dead again: {fingerprint}"),
            Self::NotSent => "not sent".to_owned(),
            Self::NotKnown(why) => format!("not known yet: {why}"),
        }
    }

    /// Whether it ended well.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::AsForecast | Self::Settled(_))
    }
}

/// Where outcomes are looked for.
pub struct Outcomes<'a, S, D, C, L> {
    /// The queues.
    pub store: &'a S,
    /// The users, the keys, the clock.
    pub forecaster: Forecaster<'a, D, C>,
    /// The consumer's log.
    pub log: &'a L,
    /// How long after a message was sent the counts of the callback queue include it.
    pub counts_include_all_after: Duration,
    /// How long what is not known yet is waited for.
    pub patience: Duration,
}

/// A message whose outcome is looked for.
struct Wanted<'p> {
    message: &'p PlannedMessage,
    sent: Option<Sent>,
    outcome: Option<ReplayOutcome>,
}

impl<S: DeadLetterStore, D: UserDirectory, C: Clock, L: ConsumerLog> Outcomes<'_, S, D, C, L> {
    /// Looks for each of these messages of a plan, again and again, for as long as the patience lasts.
    ///
    /// # Errors
    /// [`QueueError`] when a queue cannot be asked.
    pub async fn of<'p>(
        &self,
        plan: &Plan,
        messages: impl IntoIterator<Item = (&'p PlannedMessage, Option<Sent>)>,
    ) -> Result<Vec<(&'p PlannedMessage, ReplayOutcome)>, QueueError> {
        let clock = self.forecaster.clock;
        let started = clock.now();
        let wanted = messages.into_iter().map(|(message, sent)| Wanted { message, sent, outcome: None });
        let mut wanted: Vec<_> = wanted.collect();
        let (mut log_silent, mut waiting, mut counted);
        loop {
            log_silent = self.ask_log(&mut wanted).await;
            let last_look = clock.now().since(started) >= self.patience;
            let left = open_ones(&wanted);
            if left > 0 && (left <= FEW || last_look) {
                self.ask_users(&mut wanted).await;
            }
            waiting = self.store.waiting().await?;
            counted = waiting.messages == 0 && self.counts_include(&wanted);
            if counted && open_ones(&wanted) > 0 {
                // The counts are about right: a message between two states can be missed once.
                clock.sleep(POLL).await;
                waiting = self.store.waiting().await?;
                counted = waiting.messages == 0;
            }
            if open_ones(&wanted) == 0 || counted || last_look {
                break;
            }
            clock.sleep(POLL).await;
        }
        // After the callback queue was counted: a message goes to the dead letters before it leaves that queue.
        let found = returned(self.store, clock, self.forecaster.ring, plan).await?;
        let mut outcomes = Vec::with_capacity(wanted.len());
        for Wanted { message, sent, outcome } in wanted {
            let outcome = match (found.dead_again.get(&message.receipt_id), outcome, &sent) {
                (Some(fingerprint), ..) => ReplayOutcome::DeadAgain(fingerprint.clone()),
                _ if found.unsent.contains(&message.message_id) => ReplayOutcome::NotSent,
                (None, Some(outcome), _) => outcome,
                (None, None, None) => {
                    ReplayOutcome::NotKnown("no journal beside the plan says that it was sent".to_owned())
                }
                (None, None, Some(_)) if counted && found.complete => self.of_gone(message).await,
                (None, None, Some(_)) => {
                    ReplayOutcome::NotKnown(why(log_silent.as_deref(), waiting, counted))
                }
            };
            outcomes.push((message, outcome));
        }
        Ok(outcomes)
    }

    /// Takes from the log what it says; gives why it cannot be asked.
    async fn ask_log(&self, wanted: &mut [Wanted<'_>]) -> Option<String> {
        let open = wanted.iter_mut().filter(|wanted| wanted.outcome.is_none());
        let open: Vec<_> = open.filter_map(|wanted| Some((wanted.sent.clone()?, wanted))).collect();
        let since = open.iter().map(|(sent, _)| sent.since).min()?;
        let records = match self.log.outcomes(since.minus(CLOCK_SKEW)).await {
            Ok(records) => records,
            Err(why) => return Some(why),
        };
        let mut by_message: HashMap<&str, &Recorded> = HashMap::new();
        let mut by_receipt: HashMap<&str, &Recorded> = HashMap::new();
        for record in &records {
            // A message that is delivered once more is a duplicate of itself: its first outcome counts.
            by_message.entry(&record.message_id).or_insert(record);
            if record.at >= since {
                by_receipt.entry(&record.receipt_id).or_insert(record);
            }
        }
        for (sent, wanted) in open {
            let record = match &sent.message_id {
                Some(id) => by_message.get(id.as_str()),
                None => by_receipt.get(wanted.message.receipt_id.as_str()).filter(|r| r.at >= sent.since),
            };
            if let Some(record) = record {
                wanted.outcome = Some(self.of_recorded(wanted.message, &record.outcome).await);
            }
        }
        None
    }

    async fn of_recorded(&self, message: &PlannedMessage, recorded: &RecordedOutcome) -> ReplayOutcome {
        match recorded {
            RecordedOutcome::Quarantined(fingerprint) => ReplayOutcome::DeadAgain(fingerprint.clone()),
            RecordedOutcome::Settled(word, confirmed)
                if *word == message.forecast && (*confirmed || !message.confirms) =>
            {
                ReplayOutcome::AsForecast
            }
            // A copy of it, or something newer, was settled before it: then what it says is on the record or over.
            RecordedOutcome::Settled(word, _) if WRITE_NOTHING.contains(word) => {
                self.covered(message, word).await
            }
            RecordedOutcome::Settled(word, _) => ReplayOutcome::Otherwise((*word).to_owned()),
        }
    }

    /// Takes from the users' records what they say: only a record that names the event says anything of it.
    async fn ask_users(&self, wanted: &mut [Wanted<'_>]) {
        let open = wanted.iter_mut().filter(|wanted| wanted.outcome.is_none() && wanted.sent.is_some());
        for wanted in open.filter(|wanted| wanted.message.writes()) {
            let named = self.user(wanted.message).await.ok().is_some_and(|(user, event)| {
                let says_it = |held: &Assurance| says(held, wanted.message, &event);
                user.assurance.as_ref().is_ok_and(says_it) && is_confirmed_as_forecast(wanted.message, &user)
            });
            if named {
                wanted.outcome = Some(ReplayOutcome::AsForecast);
            }
        }
    }

    /// Of a message that is on neither queue any more: it was settled. What as, the user's record tells.
    async fn of_gone(&self, message: &PlannedMessage) -> ReplayOutcome {
        const GONE: &str = "settled: it left the callback queue and is not dead again";
        if message.leaves_no_trace() {
            return ReplayOutcome::Settled(GONE.to_owned());
        }
        self.covered(message, GONE).await
    }

    /// Of a message that was settled as this, which is not the forecast.
    async fn covered(&self, message: &PlannedMessage, word: &str) -> ReplayOutcome {
        let (user, event) = match self.user(message).await {
            Ok(found) => found,
            Err(why) => return ReplayOutcome::Otherwise(format!("{word}; {why}")),
        };
        let known = |held: &Assurance| says(held, message, &event);
        let covers = |held: &Assurance| message.adds().is_some_and(|added| held.covers(&added));
        let assurance = user.assurance.as_ref();
        if !is_confirmed_as_forecast(message, &user) {
            return ReplayOutcome::Otherwise(format!("{word}; the user is not confirmed"));
        }
        if message.writes() && assurance.is_ok_and(known) {
            return ReplayOutcome::AsForecast;
        }
        if !message.writes() || assurance.is_ok_and(covers) {
            return ReplayOutcome::Settled(word.to_owned());
        }
        ReplayOutcome::Otherwise(format!("{word}; the user's record does not have it"))
    }

    async fn user(&self, message: &PlannedMessage) -> Result<(UserRecord, EventId), String> {
        let (Some(reference), Ok(event)) = (message.reference(), EventId::new(&message.event_id)) else {
            return Err("the plan names no user".to_owned());
        };
        let user = self.forecaster.read(&reference).await?;
        Ok((user.ok_or("the user is gone")?, event))
    }

    /// Whether all that was sent was sent so long ago that the callback queue's counts include it.
    fn counts_include(&self, wanted: &[Wanted<'_>]) -> bool {
        let now = self.forecaster.clock.now();
        let mut sent = wanted.iter().filter_map(|wanted| wanted.sent.as_ref()).peekable();
        let long_ago = |until: Timestamp| now.since(until) >= self.counts_include_all_after;
        sent.peek().is_some() && sent.all(|sent| sent.until.is_some_and(long_ago))
    }
}

fn open_ones(wanted: &[Wanted<'_>]) -> usize {
    wanted.iter().filter(|wanted| wanted.outcome.is_none() && wanted.sent.is_some()).count()
}

/// Whether a record names the event, and says of its session what the forecast would have added. A pool without
/// `custom:idv_history` has no more to say than whether an approval stands.
fn says(held: &Assurance, message: &PlannedMessage, event: &EventId) -> bool {
    held.has_taken_in(event)
        && match &held.history {
            Some(_) => message.adds().is_some_and(|added| held.covers(&added)),
            None => message.forecast != "applied" || held.approval_stands(),
        }
}

fn is_confirmed_as_forecast(message: &PlannedMessage, user: &UserRecord) -> bool {
    !message.confirms || user.status == UserStatus::Confirmed
}

/// Why nothing is known yet, and what there is to be seen of it.
fn why(log_silent: Option<&str>, waiting: Waiting, counted: bool) -> String {
    let log = match log_silent {
        None => "the consumer's log does not name it".to_owned(),
        Some(why) => format!("the consumer's log cannot be asked ({why})"),
    };
    let queue = match (waiting.messages, counted) {
        (0, true) => "not all dead letters could be seen".to_owned(),
        (0, false) => "the callback queue is counted empty, and not yet for long enough".to_owned(),
        (messages, _) => {
            format!("the callback queue has {messages} messages, {} of them in flight", waiting.in_flight)
        }
    };
    format!("{log}; {queue}")
}

/// What the dead-letter queue says of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Returned {
    /// Those that died again, by receipt, with what of.
    pub dead_again: BTreeMap<String, String>,
    /// The messages that lie there as they did when the plan was made.
    pub unsent: HashSet<String>,
    /// Whether every dead letter was seen.
    pub complete: bool,
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
    let scanned = scan(store, clock, async |dead: DeadLetter| {
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
    returned.complete = scanned.saw_all_of(store.depth().await?);
    Ok(returned)
}
