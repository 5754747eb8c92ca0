//! Carrying a plan out: first one, then five, then the rest.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::time::Duration;

use idv_callback::envelope::group_id;
use idv_callback::hex::hex;
use idv_callback::ports::{Clock, OutgoingMessage, QueueError, UserDirectory};
use sha2::{Digest as _, Sha256};

use super::forecast::Forecaster;
use super::history::with_replay;
use super::plan::user_state;
use super::scan::{EMPTY_ANSWERS, LONGEST_SCAN, MOST_HELD, look, scan};
use super::verify::{ReplayOutcome, outcomes, returned};
use super::{Plan, PlannedMessage, body_sha256};
use crate::ports::{DeadLetter, DeadLetterStore};

/// How long the consumer has for a message that leaves no trace.
const TRACELESS: Duration = Duration::from_secs(5);

/// How far a message has come, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It is about to be sent.
    Sending,
    /// It was sent and arrived.
    Sent,
    /// It was sent, arrived and was removed.
    Removed,
}

/// What has been done of a plan, in this run of the tool or an earlier one, kept where a crash does not reach it.
pub trait Journal {
    /// Notes how far a message has come. It is stored when the call returns.
    ///
    /// # Errors
    /// When it cannot be stored.
    fn note(&mut self, message_id: &str, stage: Stage) -> io::Result<()>;

    /// The farthest that a message has come; none when nothing was done with it yet.
    fn stage(&self, message_id: &str) -> Option<Stage>;
}

/// How fast, and in which steps.
#[derive(Clone, Copy, Debug)]
pub struct Pacing {
    /// Messages a second.
    pub rate: u32,
    /// How many messages the first steps have; the rest follow at once.
    pub steps: [usize; 2],
    /// How long the outcome of a step is waited for.
    pub patience: Duration,
}

/// What a watcher is told.
pub enum Progress<'a> {
    /// A message is about to be sent.
    Sending(&'a PlannedMessage),
    /// It was sent and removed.
    Sent(&'a PlannedMessage),
    /// A step ended as it was forecast: so many messages of so many.
    Step(usize, usize),
}

/// Why it stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Nothing was done: these messages or users changed since the plan was made.
    Changed(Vec<String>),
    /// Messages of a step, or at the end of the whole plan, are dead again or not settled in time: by receipt, what became of
    /// each.
    Halted(BTreeMap<String, String>),
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
    /// Why it stopped before the end.
    pub stopped: Option<Stopped>,
}

/// Carries a plan out.
pub struct Apply<'a, S, D, C> {
    /// The queues.
    pub store: &'a S,
    /// The users, the keys, the policy, the clock.
    pub forecaster: Forecaster<'a, D, C>,
    /// Who does it.
    pub by: &'a str,
    /// How fast.
    pub pacing: Pacing,
}

impl<S: DeadLetterStore, D: UserDirectory, C: Clock> Apply<'_, S, D, C> {
    /// Does what is left of the plan. `watch` is told of each step, and says whether to go on.
    pub async fn run(
        &self,
        plan: &Plan,
        journal: &mut impl Journal,
        mut watch: impl FnMut(Progress<'_>) -> bool,
    ) -> Applied {
        let stopped = self.steps(plan, journal, &mut watch).await.err();
        let left = left(plan, journal).len();
        Applied { removed: plan.letters.len() - left, left, stopped }
    }

    async fn steps(
        &self,
        plan: &Plan,
        journal: &mut impl Journal,
        watch: &mut impl FnMut(Progress<'_>) -> bool,
    ) -> Result<(), Stopped> {
        self.unchanged(plan, journal).await?;
        let total = plan.letters.len();
        for step in self.pacing.steps.into_iter().chain([usize::MAX]) {
            let sent = self.send(plan, journal, step, watch).await?;
            let (last, nothing_sent) = (step == usize::MAX, sent.is_empty());
            let looked_for = if last { plan.letters.iter().collect() } else { sent };
            self.await_outcomes(plan, &looked_for).await?;
            let go_on = nothing_sent || watch(Progress::Step(total - left(plan, journal).len(), total));
            if !go_on && !last {
                return Err(Stopped::Asked);
            }
        }
        Ok(())
    }

    /// Every message that is still to be sent is there with the same body, and every user whose messages are all still to be
    /// sent has the same record.
    async fn unchanged(&self, plan: &Plan, journal: &mut impl Journal) -> Result<(), Stopped> {
        let mut found: HashSet<String> = HashSet::new();
        let planned: HashMap<_, _> = plan.letters.iter().map(by_id).collect();
        let scanned = scan(self.store, self.forecaster.clock, async |dead: DeadLetter| {
            let message = planned.get(dead.id.as_str());
            if message.is_some_and(|message| message.body_sha256 == body_sha256(&dead)) {
                found.insert(dead.id);
            }
            true
        })
        .await
        .map_err(Stopped::Queue)?;
        let held = self.store.depth().await.map_err(Stopped::Queue)?.held;
        let cannot_tell = scanned.cut_short || held > 0;
        let (mut changed, mut hidden): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
        let mut touched: HashSet<&str> = HashSet::new();
        for message in &plan.letters {
            let (id, stage) = (&message.message_id, journal.stage(&message.message_id));
            if stage.is_some() {
                touched.insert(&message.user);
            }
            if found.contains(id) || stage == Some(Stage::Removed) {
                continue;
            }
            if cannot_tell {
                hidden.push(id.clone());
            } else if stage == Some(Stage::Sent) {
                // It arrived, and it is not there any more: a crash kept its removal from being told.
                note(journal, message, Stage::Removed)?;
            } else {
                changed.push(format!("message {id} is no longer in the dead-letter queue"));
            }
        }
        if !hidden.is_empty() {
            return Err(Stopped::NotNow(hidden));
        }
        let mut asked: HashSet<&str> = HashSet::new();
        for message in &plan.letters {
            if touched.contains(message.user.as_str()) || !asked.insert(&message.user) {
                continue;
            }
            if self.state(message).await.map_err(Stopped::Directory)? != message.user_state {
                changed
                    .push(format!("the record of user {} has changed since the plan was made", message.user));
            }
        }
        if changed.is_empty() { Ok(()) } else { Err(Stopped::Changed(changed)) }
    }

    async fn state(&self, message: &PlannedMessage) -> Result<String, String> {
        let Some(reference) = message.reference() else { return Err("the plan names no user".to_owned()) };
        let user = self.forecaster.read(&reference).await?;
        Ok(user_state(self.forecaster.ring, user.as_ref()))
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
        let (mut sent, mut held, mut empty) = (Vec::new(), Vec::new(), 0);
        let mut holding_since = self.forecaster.clock.now();
        let outcome = loop {
            if left.is_empty() || sent.len() >= most {
                break Ok(());
            }
            if empty >= EMPTY_ANSWERS || held.len() >= MOST_HELD {
                break Err(Stopped::NotNow(left.keys().map(|id| (*id).to_owned()).collect()));
            }
            // What is not in the plan must not come back while it is still on the list of what is held.
            if self.forecaster.clock.now().since(holding_since) > LONGEST_SCAN {
                if let Err(error) = self.store.release(&std::mem::take(&mut held)).await {
                    break Err(Stopped::Queue(error));
                }
                holding_since = self.forecaster.clock.now();
            }
            let letters = match look(self.store).await {
                Ok(letters) => letters,
                Err(error) => break Err(Stopped::Queue(error)),
            };
            empty = if letters.is_empty() { empty + 1 } else { 0 };
            let mut failed = None;
            for dead in letters {
                let chosen =
                    left.get(dead.id.as_str()).copied().filter(|_| failed.is_none() && sent.len() < most);
                let Some(message) = chosen else {
                    held.push(dead.handle);
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
                        held.push(handle);
                        failed = Some(stopped);
                    }
                }
            }
            if let Some(stopped) = failed {
                break Err(stopped);
            }
        };
        let release = self.store.release(&held).await;
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
        let (run, now) = (plan.run(), self.forecaster.clock.now().to_string());
        let correction = message.correction.as_deref();
        let attributes = with_replay(&dead.attributes, correction, &run, &now, self.by, &plan.because);
        // A corrected message is handled among the other events of the user that it is about.
        // That of the user whom it is about: a corrected one, or one that could not be read when it came.
        let group = message.reference().map(|user| group_id(&user));
        note(journal, message, Stage::Sending)?;
        let outgoing = OutgoingMessage {
            body: dead.body,
            group_id: group.unwrap_or(dead.group_id),
            deduplication_id: deduplication_id(&run, &message.message_id),
            attributes,
        };
        self.store.send_back(outgoing).await.map_err(Stopped::Queue)?;
        note(journal, message, Stage::Sent)?;
        self.store.remove(&dead.handle).await.map_err(Stopped::Queue)?;
        note(journal, message, Stage::Removed)?;
        self.forecaster.clock.sleep(Duration::from_secs(1) / self.pacing.rate.max(1)).await;
        Ok(watch(Progress::Sent(message)))
    }

    async fn await_outcomes(&self, plan: &Plan, sent: &[&PlannedMessage]) -> Result<(), Stopped> {
        let clock = self.forecaster.clock;
        let outcomes = outcomes(&self.forecaster, sent.iter().copied(), self.pacing.patience).await;
        // A message that changes nothing leaves no trace on its user: the consumer gets the time to let it die again.
        if sent.iter().any(|message| message.leaves_no_trace()) {
            clock.sleep(TRACELESS.min(self.pacing.patience)).await;
        }
        let found = returned(self.store, clock, self.forecaster.ring, plan).await.map_err(Stopped::Queue)?;
        let back = found.dead_again;
        let failed = |(message, outcome): &(&PlannedMessage, ReplayOutcome)| {
            *outcome != ReplayOutcome::Settled || back.contains_key(&message.receipt_id)
        };
        let what = |message: &PlannedMessage| match back.get(&message.receipt_id) {
            Some(fingerprint) if *fingerprint == message.fingerprint => {
                format!("dead again for the same cause: {fingerprint}")
            }
            Some(fingerprint) => format!("dead again: {fingerprint}"),
            None => format!("not settled within {} s", self.pacing.patience.as_secs()),
        };
        let failed = outcomes.iter().filter(|outcome| failed(outcome));
        let failed: BTreeMap<_, _> =
            failed.map(|(message, _)| (message.receipt_id.clone(), what(message))).collect();
        if failed.is_empty() { Ok(()) } else { Err(Stopped::Halted(failed)) }
    }
}

fn note(journal: &mut impl Journal, message: &PlannedMessage, stage: Stage) -> Result<(), Stopped> {
    journal.note(&message.message_id, stage).map_err(|error| Stopped::Journal(error.to_string()))
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
