//! Carrying a plan out: first one, then five, then the rest.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use idv_callback::envelope::group_id;
use idv_callback::hex::hex;
use idv_callback::ports::{Clock, OutgoingMessage, QueueError, UserDirectory};
use sha2::{Digest as _, Sha256};

use super::forecast::READS_AT_ONCE;
use super::held::Held;
use super::history::with_replay;
use super::journal::{Journal, Note, Stage};
use super::plan::user_state;
use super::scan::{EMPTY_ANSWERS, MOST_HELD, look, scan};
use super::verify::{Outcomes, ReplayOutcome};
use super::{Plan, PlannedMessage, body_sha256};
use crate::ports::{ConsumerLog, DeadLetter, DeadLetterStore};

/// How fast, and in which steps.
#[derive(Clone, Copy, Debug)]
pub struct Pacing {
    /// Messages a second.
    pub rate: u32,
    /// How many messages the first steps have; the rest follow at once.
    pub steps: [usize; 2],
}

/// What a watcher is told.
pub enum Progress<'a> {
    /// A message is about to be sent.
    Sending(&'a PlannedMessage),
    /// It was sent and removed.
    Sent(&'a PlannedMessage),
    /// The outcomes of so many messages are looked for.
    Awaiting(usize),
    /// A step ended as it was forecast: so many messages of so many.
    Step(usize, usize),
}

/// Why it stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Nothing was done: these messages or users changed since the plan was made.
    Changed(Vec<String>),
    /// Messages of a step, or of the whole plan at its end, ended otherwise than forecast: by receipt, what became of each.
    Halted(BTreeMap<String, String>),
    /// It is not known what became of messages that were sent, and none ended otherwise than forecast: by receipt, why not.
    NotKnown(BTreeMap<String, String>),
    /// These messages cannot be had now: somebody holds them, by a run that was broken off perhaps.
    NotNow(Vec<String>),
    /// A user could not be read.
    Directory(String),
    /// A queue could not be asked.
    Queue(QueueError),
    /// The journal could not be written.
    Journal(String),
    /// Somebody asked for it.
    Asked,
}

/// How far it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Sent and removed, in this run of the tool or an earlier one.
    pub removed: usize,
    /// Still to be done.
    pub left: usize,
    /// What became of those that were looked at last and ended well: how many of each.
    pub ended: BTreeMap<String, usize>,
    /// Why it stopped before the end.
    pub stopped: Option<Stopped>,
}

/// What became of messages: how many ended well, and how; of the others, by receipt, how each ended or why that is not known.
#[derive(Default)]
struct Looked {
    good: BTreeMap<String, usize>,
    bad: BTreeMap<String, String>,
    unknown: BTreeMap<String, String>,
}

/// Carries a plan out.
pub struct Apply<'a, S, D, C, L> {
    /// Where outcomes are looked for: the queues, the users, the consumer's log.
    pub outcomes: Outcomes<'a, S, D, C, L>,
    /// Who does it.
    pub by: &'a str,
    /// How fast.
    pub pacing: Pacing,
}

impl<S: DeadLetterStore, D: UserDirectory, C: Clock, L: ConsumerLog> Apply<'_, S, D, C, L> {
    /// Does what is left of the plan. `watch` is told of each step, and says whether to go on.
    pub async fn run(
        &self,
        plan: &Plan,
        journal: &mut impl Journal,
        mut watch: impl FnMut(Progress<'_>) -> bool,
    ) -> Applied {
        let mut ended = BTreeMap::new();
        let stopped = self.steps(plan, journal, &mut ended, &mut watch).await.err();
        let left = left(plan, journal).len();
        Applied { removed: plan.letters.len() - left, left, ended, stopped }
    }

    async fn steps(
        &self,
        plan: &Plan,
        journal: &mut impl Journal,
        ended: &mut BTreeMap<String, usize>,
        watch: &mut impl FnMut(Progress<'_>) -> bool,
    ) -> Result<(), Stopped> {
        self.unchanged(plan, journal).await?;
        self.known(plan, journal, ended, watch).await?;
        let total = plan.letters.len();
        for step in self.pacing.steps.into_iter().chain([usize::MAX]) {
            let sent = self.send(plan, journal, step, watch).await?;
            let (last, nothing_sent) = (step == usize::MAX, sent.is_empty());
            let looked_for = if last { plan.letters.iter().collect() } else { sent };
            watch(Progress::Awaiting(looked_for.len()));
            let Looked { good, mut bad, mut unknown } = self.look_at(plan, journal, &looked_for).await?;
            *ended = good;
            if !bad.is_empty() {
                bad.append(&mut unknown);
                return Err(Stopped::Halted(bad));
            }
            if !unknown.is_empty() {
                return Err(Stopped::NotKnown(unknown));
            }
            let go_on = nothing_sent || watch(Progress::Step(total - left(plan, journal).len(), total));
            if !go_on && !last {
                return Err(Stopped::Asked);
            }
        }
        Ok(())
    }

    /// Nothing more is sent while it is not known what became of what an earlier run sent. What ended otherwise than forecast
    /// was told then, and whoever runs the plan again has mended that.
    async fn known(
        &self,
        plan: &Plan,
        journal: &impl Journal,
        ended: &mut BTreeMap<String, usize>,
        watch: &mut impl FnMut(Progress<'_>) -> bool,
    ) -> Result<(), Stopped> {
        let sent = plan.letters.iter().filter(|message| journal.stage(&message.message_id).is_some());
        let sent: Vec<_> = sent.collect();
        if sent.is_empty() || left(plan, journal).is_empty() {
            return Ok(());
        }
        watch(Progress::Awaiting(sent.len()));
        let looked = self.look_at(plan, journal, &sent).await?;
        *ended = looked.good;
        if looked.unknown.is_empty() { Ok(()) } else { Err(Stopped::NotKnown(looked.unknown)) }
    }

    /// Every message that is still to be sent is there with the same body, and every user whose messages are all still to be
    /// sent has the same record.
    async fn unchanged(&self, plan: &Plan, journal: &mut impl Journal) -> Result<(), Stopped> {
        let mut found: HashSet<String> = HashSet::new();
        let planned: HashMap<_, _> = plan.letters.iter().map(by_id).collect();
        let scanned = scan(self.outcomes.store, self.outcomes.forecaster.clock, async |dead: DeadLetter| {
            let message = planned.get(dead.id.as_str());
            if message.is_some_and(|message| message.body_sha256 == body_sha256(&dead)) {
                found.insert(dead.id);
            }
            true
        })
        .await
        .map_err(Stopped::Queue)?;
        let depth = self.outcomes.store.depth().await.map_err(Stopped::Queue)?;
        let cannot_tell = depth.held > 0 || !scanned.saw_all_of(depth);
        let (mut changed, mut hidden): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
        let mut touched: HashSet<&str> = HashSet::new();
        for message in &plan.letters {
            let (id, stage) = (&message.message_id, journal.stage(&message.message_id));
            if stage.is_some() {
                touched.insert(&message.group);
            }
            if found.contains(id) || stage == Some(Stage::Removed) {
                continue;
            }
            if cannot_tell {
                hidden.push(id.clone());
            } else if stage == Some(Stage::Sent) {
                // It arrived, and it is not there any more: a crash kept its removal from being told.
                self.note(journal, message, Stage::Removed, None)?;
            } else {
                changed.push(format!("message {id} is no longer in the dead-letter queue"));
            }
        }
        if !hidden.is_empty() {
            return Err(Stopped::NotNow(hidden));
        }
        let mut asked: HashSet<&str> = HashSet::new();
        let mut first: Vec<&PlannedMessage> = Vec::new();
        for message in &plan.letters {
            if !touched.contains(message.group.as_str()) && asked.insert(&message.group) {
                first.push(message);
            }
        }
        let states = first.into_iter().map(|message| async move { (message, self.state(message).await) });
        let mut states = std::pin::pin!(stream::iter(states).buffered(READS_AT_ONCE));
        while let Some((message, state)) = states.next().await {
            if state.map_err(Stopped::Directory)? != message.user_state {
                changed.push(match &message.user {
                    Some(user) => format!("the record of user {user} has changed since the plan was made"),
                    None => "a user who was not there when the plan was made is there now".to_owned(),
                });
            }
        }
        if changed.is_empty() { Ok(()) } else { Err(Stopped::Changed(changed)) }
    }

    async fn state(&self, message: &PlannedMessage) -> Result<String, String> {
        let Some(reference) = message.reference() else { return Err("the plan names no user".to_owned()) };
        let user = self.outcomes.forecaster.read(&reference).await?;
        Ok(user_state(self.outcomes.forecaster.ring, user.as_ref()))
    }

    /// Sends up to so many messages back, in the order in which the queue gives them; gives those that were sent.
    async fn send<'p>(
        &self,
        plan: &'p Plan,
        journal: &mut impl Journal,
        most: usize,
        watch: &mut impl FnMut(Progress<'_>) -> bool,
    ) -> Result<Vec<&'p PlannedMessage>, Stopped> {
        let mut left: HashMap<_, _> = left(plan, journal).into_iter().map(by_id).collect();
        let (store, clock) = (self.outcomes.store, self.outcomes.forecaster.clock);
        let (mut sent, mut held, mut empty) = (Vec::new(), Held::new(store, clock), 0);
        let outcome = loop {
            if left.is_empty() || sent.len() >= most {
                break Ok(());
            }
            if empty >= EMPTY_ANSWERS || held.len() >= MOST_HELD {
                break Err(Stopped::NotNow(left.keys().map(|id| (*id).to_owned()).collect()));
            }
            // What is not in the plan must not come back while it is still on the list of what is held.
            if let Err(error) = held.keep().await {
                break Err(Stopped::Queue(error));
            }
            let now = clock.now();
            let letters = match look(store).await {
                Ok((letters, _)) => letters,
                Err(error) => break Err(Stopped::Queue(error)),
            };
            empty = if letters.is_empty() { empty + 1 } else { 0 };
            let mut failed = None;
            for dead in letters {
                let chosen =
                    left.get(dead.id.as_str()).copied().filter(|_| failed.is_none() && sent.len() < most);
                let Some(message) = chosen else {
                    held.add(dead.handle, now);
                    continue;
                };
                let handle = dead.handle.clone();
                match self.send_one(plan, message, dead, journal, watch).await {
                    Ok(go_on) => {
                        left.remove(message.message_id.as_str());
                        sent.push(message);
                        failed = (!go_on).then_some(Stopped::Asked);
                    }
                    Err(stopped) => {
                        held.add(handle, now);
                        failed = Some(stopped);
                    }
                }
            }
            if let Some(stopped) = failed {
                break Err(stopped);
            }
        };
        let release = held.release().await;
        outcome.and(release.map_err(Stopped::Queue)).map(|()| sent)
    }

    /// Send, see that it arrived, delete. Says whether to go on.
    async fn send_one(
        &self,
        plan: &Plan,
        message: &PlannedMessage,
        dead: DeadLetter,
        journal: &mut impl Journal,
        watch: &mut impl FnMut(Progress<'_>) -> bool,
    ) -> Result<bool, Stopped> {
        if !watch(Progress::Sending(message)) {
            return Err(Stopped::Asked);
        }
        let (run, now) = (plan.run(), self.outcomes.forecaster.clock.now().to_string());
        let correction = message.correction.as_deref();
        let attributes = with_replay(&dead.attributes, correction, &run, &now, self.by, &plan.because);
        // A corrected message is handled among the other events of the user that it is about.
        // That of the user whom it is about: a corrected one, or one that could not be read when it came.
        let group = message.reference().map(|user| group_id(&user));
        self.note(journal, message, Stage::Sending, None)?;
        let outgoing = OutgoingMessage {
            body: dead.body,
            group_id: group.unwrap_or(dead.group_id),
            deduplication_id: deduplication_id(&run, &message.message_id),
            attributes,
        };
        let sent_as = self.outcomes.store.send_back(outgoing).await.map_err(Stopped::Queue)?;
        self.note(journal, message, Stage::Sent, Some(&sent_as))?;
        self.outcomes.store.remove(&dead.handle).await.map_err(Stopped::Queue)?;
        self.note(journal, message, Stage::Removed, None)?;
        self.outcomes.forecaster.clock.sleep(Duration::from_secs(1) / self.pacing.rate.max(1)).await;
        Ok(watch(Progress::Sent(message)))
    }

    async fn look_at(
        &self,
        plan: &Plan,
        journal: &impl Journal,
        messages: &[&PlannedMessage],
    ) -> Result<Looked, Stopped> {
        let sent = messages.iter().map(|message| (*message, journal.sent(&message.message_id)));
        let outcomes = self.outcomes.of(plan, sent).await.map_err(Stopped::Queue)?;
        let mut looked = Looked::default();
        for (message, outcome) in outcomes {
            let what = outcome.what(message);
            if outcome.is_good() {
                *looked.good.entry(what).or_default() += 1;
            } else if matches!(outcome, ReplayOutcome::NotKnown(_)) {
                looked.unknown.insert(message.receipt_id.clone(), what);
            } else {
                looked.bad.insert(message.receipt_id.clone(), what);
            }
        }
        Ok(looked)
    }

    fn note(
        &self,
        journal: &mut impl Journal,
        message: &PlannedMessage,
        stage: Stage,
        sent_as: Option<&str>,
    ) -> Result<(), Stopped> {
        let at = self.outcomes.forecaster.clock.now();
        let note = Note { message_id: &message.message_id, stage, at, sent_as };
        journal.note(&note).map_err(|error| Stopped::Journal(error.to_string()))
    }
}

/// The messages of a plan that are still to be sent, or to be removed.
fn left<'p>(plan: &'p Plan, journal: &impl Journal) -> Vec<&'p PlannedMessage> {
    let left =
        plan.letters.iter().filter(|message| journal.stage(&message.message_id) != Some(Stage::Removed));
    left.collect()
}

fn by_id(message: &PlannedMessage) -> (&str, &PlannedMessage) {
    (&message.message_id, message)
}

/// New for each run, so that SQS does not drop what it saw within five minutes; the same when a run is taken up again, so
/// that what was sent just before a crash is not doubled.
fn deduplication_id(run: &str, message_id: &str) -> String {
    hex(&Sha256::digest(format!("{run}\n{message_id}")))
}
