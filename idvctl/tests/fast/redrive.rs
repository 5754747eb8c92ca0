//! Dead letters: looking changes nothing, the forecast is what happens, and a tool that is killed anywhere loses nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use idv_callback::assurance::{AttributeChange, AttributeValue, Policy, UserRecord, names};
use idv_callback::audit::{AuditCode, ChangeCall};
use idv_callback::correction::{Correction, CorrectionContent};
use idv_callback::envelope::{BodyDigest, group_id};
use idv_callback::key_ring::KeyRing;
use idv_callback::ports::{
    CallbackQueue as _, Clock as _, DirectoryError, Fault, OutgoingMessage, Person, QueueError,
    Redelivery as _, UserDirectory,
};
use idv_callback::settlement::{Pace, VISIBILITY_TIMEOUT};
use idv_callback::timestamp::Timestamp;
use idv_callback::verification::{UserReference, Username};
use idv_callback::vocabulary::EventTypes;
use idvctl::embedded::{LocalQueues, UserPool};
use idvctl::ports::{ConsumerLog, DeadLetter, DeadLetterStore, Depth, Recorded, RecordedOutcome, Waiting};
use idvctl::redrive::{
    Applied, Apply, DeadLetterSummary, DecisionSettings, Forecaster, Journal, Made, Note, Outcomes, Pacing,
    Plan, PlannedMessage, Progress, ReplayOutcome, Selection, Sent, Stage, Stages, Stopped, replays,
    returned, scan, take,
};
use idvctl::trail::Entry;
use serde_json::{Value, json};

use crate::support::world::{TestClock, World, approval, other, ring, with, with_metadata};

const RETENTION: Duration = Duration::from_secs(14 * 86_400);

const STEPS: Pacing = Pacing { rate: 50, steps: [1, 5] };

const MADE: Made<'static> = Made {
    by: "ops",
    because: "T-1",
    settings: &DecisionSettings {
        of: String::new(),
        binding: String::new(),
        minimum_ial: 2,
        user_pools: Vec::new(),
        event_types: String::new(),
    },
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A journal that a crash of the tool does not reach.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Stages>>);

impl Journal for Notes {
    fn note(&mut self, note: &Note<'_>) -> io::Result<()> {
        self.0.lock().unwrap().take(note);
        Ok(())
    }

    fn stage(&self, id: &str) -> Option<Stage> {
        self.0.lock().unwrap().stage(id)
    }

    fn sent(&self, id: &str) -> Option<Sent> {
        self.0.lock().unwrap().sent(id)
    }
}

/// What the consumer recorded, as its log group would tell it; or a log that cannot be asked.
struct Log<'a>(Option<&'a World>);

impl ConsumerLog for Log<'_> {
    async fn outcomes(&self, since: Timestamp) -> Result<Vec<Recorded>, String> {
        let world = self.0.ok_or("FilterLogEvents: AccessDeniedException")?;
        let records = world.audit.lines().into_iter().map(|line| Entry::read(line.as_bytes()).unwrap());
        let told = records.filter_map(|record| {
            let outcome = match record.code {
                AuditCode::Settled(_) => {
                    RecordedOutcome::Settled(record.code.word(), record.confirmed == Some(true))
                }
                AuditCode::Quarantined => RecordedOutcome::Quarantined(record.reason.clone()?),
                _ => return None,
            };
            let at = record.when()?;
            Some(Recorded { message_id: record.message_id?, receipt_id: record.receipt_id?, at, outcome })
        });
        Ok(told.filter(|record| record.at >= since).collect())
    }
}

/// The queues, until the tool is killed: from that call on nothing works. The call at which it happens is carried out
/// or not.
#[derive(Clone)]
struct Killed {
    queues: LocalQueues<TestClock>,
    calls: Arc<Mutex<usize>>,
    at: usize,
    carried_out: bool,
}

impl Killed {
    fn never(queues: &LocalQueues<TestClock>) -> Self {
        Self { queues: queues.clone(), calls: Arc::default(), at: usize::MAX, carried_out: false }
    }

    /// Whether the call is made, and whether it is answered.
    fn call(&self) -> (bool, bool) {
        let mut calls = self.calls.lock().unwrap();
        *calls += 1;
        let number = *calls - 1;
        (number < self.at || (number == self.at && self.carried_out), number < self.at)
    }

    fn killed<T>() -> Result<T, QueueError> {
        Err(QueueError::Transient(Fault::new("any", "killed")))
    }
}

macro_rules! call {
    ($self:ident, $call:expr) => {{
        let (made, answered) = $self.call();
        if made {
            let result = $call.await;
            if answered { result } else { Self::killed() }
        } else {
            Self::killed()
        }
    }};
}

impl DeadLetterStore for Killed {
    async fn receive(&self, hold: Duration) -> Result<Vec<DeadLetter>, QueueError> {
        call!(self, self.queues.receive(hold))
    }

    async fn release(&self, handles: &[String]) -> Result<(), QueueError> {
        call!(self, self.queues.release(handles))
    }

    async fn remove(&self, handle: &str) -> Result<(), QueueError> {
        call!(self, self.queues.remove(handle))
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        call!(self, self.queues.depth())
    }

    async fn send_back(&self, message: OutgoingMessage) -> Result<String, QueueError> {
        call!(self, self.queues.send_back(message))
    }

    async fn restore(&self, message: OutgoingMessage) -> Result<String, QueueError> {
        call!(self, self.queues.restore(message))
    }

    async fn waiting(&self) -> Result<Waiting, QueueError> {
        call!(self, self.queues.waiting())
    }

    async fn hold(&self, handles: &[String], hold: Duration) -> Result<(), QueueError> {
        call!(self, self.queues.hold(handles, hold))
    }
}

fn forecaster<'a>(
    world: &'a World,
    ring: &'a KeyRing,
    policy: &'a Policy,
) -> Forecaster<'a, UserPool<TestClock>, TestClock> {
    Forecaster { directory: &world.pool, ring, policy, pace: &world.pace, clock: &world.clock }
}

async fn plan(world: &World, selection: &Selection) -> Plan {
    let ring = ring();
    let forecaster = forecaster(world, &ring, &world.policy);
    Plan::make(&world.queues, &forecaster, selection, RETENTION, MADE, |_| {}).await.unwrap().0
}

/// Where outcomes are looked for, for so long.
fn outcomes<'a, S>(
    store: &'a S,
    forecaster: Forecaster<'a, UserPool<TestClock>, TestClock>,
    log: &'a Log<'a>,
    patience: Duration,
) -> Outcomes<'a, S, UserPool<TestClock>, TestClock, Log<'a>> {
    Outcomes { store, forecaster, log, counts_include_all_after: Duration::from_secs(60), patience }
}

/// What is seen of a message at one look; that it was sent is known from the journal of another machine, or not at all.
async fn outcome(world: &World, plan: &Plan, letter: &PlannedMessage, log: &Log<'_>) -> ReplayOutcome {
    let ring = ring();
    let made_at = Timestamp::parse(&plan.made_at).unwrap();
    let sent = Sent { since: made_at, until: Some(made_at), message_id: None };
    let look = outcomes(&world.queues, forecaster(world, &ring, &world.policy), log, Duration::ZERO);
    look.of(plan, [(letter, Some(sent))]).await.unwrap().pop().unwrap().1
}

/// Runs the tool beside the consumer, with the consumer's policy.
async fn apply(world: &World, store: &Killed, plan: &Plan, notes: &mut Notes) -> Applied {
    watched(world, &world.policy, store, plan, notes, |_| true).await
}

/// Runs the tool beside a consumer that has another policy, with somebody watching.
async fn watched(
    world: &World,
    policy: &Policy,
    store: &Killed,
    plan: &Plan,
    notes: &mut Notes,
    watch: impl FnMut(Progress<'_>) -> bool,
) -> Applied {
    let ring = ring();
    let log = Log(Some(world));
    let outcomes = outcomes(store, forecaster(world, &ring, policy), &log, PATIENCE);
    let tool = Apply { outcomes, by: "ops", pacing: STEPS };
    tokio::select! {
        applied = tool.run(plan, notes, watch) => applied,
        () = consume(world) => unreachable!(),
    }
}

/// Runs the tool beside a consumer that has the fault still.
async fn apply_too_early(world: &mut World, plan: &Plan) -> Applied {
    let policy = world.policy.clone();
    world.policy.pools.clear();
    let store = Killed::never(&world.queues);
    let applied = watched(world, &policy, &store, plan, &mut Notes::default(), |_| true).await;
    world.policy = policy;
    applied
}

/// The consumer, for as long as somebody waits beside it.
async fn consume(world: &World) {
    loop {
        world.settle().await;
        world.clock.sleep(Duration::from_millis(300)).await;
    }
}

/// A consumer that has a fault: it serves no pool.
async fn die(world: &mut World) {
    let sound = std::mem::take(&mut world.policy.pools);
    while !world.queues.callbacks.messages().is_empty() {
        world.settle().await;
    }
    world.policy.pools = sound;
}

/// What is shown of each letter, in order.
async fn letters(world: &World) -> Vec<DeadLetterSummary> {
    let ring = ring();
    let mut letters = Vec::new();
    scan(&world.queues, &world.clock, async |dead: DeadLetter| {
        letters.push(DeadLetterSummary::read(&dead, &ring, RETENTION));
        true
    })
    .await
    .unwrap();
    letters
}

fn forecasts(plan: &Plan) -> Vec<(String, bool)> {
    plan.letters.iter().map(|letter| (letter.forecast.clone(), letter.confirms)).collect()
}

#[tokio::test(start_paused = true)]
async fn looking_leaves_every_letter_as_it_was() {
    let mut world = World::new();
    for n in 0..25 {
        world.post(&approval(&format!("user{}", n % 12), &format!("evt_{n}"), n)).await;
    }
    die(&mut world).await;
    let before: Vec<_> =
        world.queues.dead_letters.messages().iter().map(|m| (m.id.clone(), m.body.clone())).collect();
    let seen = letters(&world).await;
    assert_eq!(seen.len(), 25);
    assert_eq!(world.queues.depth().await.unwrap().held, 0, "all can be received again");
    let after: Vec<_> =
        world.queues.dead_letters.messages().iter().map(|m| (m.id.clone(), m.body.clone())).collect();
    assert_eq!(before, after);
    // Nobody's name is shown, and each user is one group.
    let shown = format!("{seen:?}");
    assert!(!shown.contains("user1") && !shown.contains("did:"), "{shown}");
    let groups: BTreeSet<_> = seen.iter().map(|letter| letter.group.clone()).collect();
    assert_eq!(groups.len(), 12);
    let left = seen[0].expires_at.since(world.clock.now());
    assert!(left > Duration::from_secs(13 * 86_400) && left <= Duration::from_secs(14 * 86_400));

    // Killed in the middle of a look: what was held can be received again after a minute.
    for at in 0..4 {
        let store = Killed { at, ..Killed::never(&world.queues) };
        assert!(scan(&store, &world.clock, async |_| true).await.is_err());
        world.clock.sleep(Duration::from_secs(61)).await;
        assert_eq!(letters(&world).await.len(), 25);
    }
}

/// Holds are short, and extended while the tool lives: whoever takes letters has them to itself until it lets go or is killed.
#[tokio::test(start_paused = true)]
async fn a_hold_lasts_while_the_tool_lives_and_a_minute_longer() {
    let mut world = World::new();
    for n in 0..25 {
        world.post(&approval(&format!("user{n}"), &format!("evt_{n}"), n)).await;
    }
    die(&mut world).await;
    let store = Killed::never(&world.queues);
    let mut taken = take(&store, &world.clock, |_| true).await.unwrap();
    assert_eq!((taken.letters.len(), taken.held.len()), (25, 25));
    for _ in 0..30 {
        world.clock_forward(10).await;
        taken.held.keep().await.unwrap();
        assert_eq!(world.queues.depth().await.unwrap().held, 25);
    }
    // An extension for every second look at the most, ten letters a call; not one for each look and letter.
    assert!(*store.calls.lock().unwrap() < 100, "{}", store.calls.lock().unwrap());
    let killed = taken;
    world.clock_forward(61).await;
    assert_eq!(letters(&world).await.len(), 25, "killed, it hides them for a minute");
    drop(killed);
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_tells_no_result_any_more_is_forecast_to_stay() {
    let mut world = World::new();
    world.sign_up("ada", &[]);
    world.post(&with(approval("ada", "evt_1", 10), "event_type", json!("verification.reopened"))).await;
    die(&mut world).await;
    world.policy.event_types = EventTypes::parse("verification.reopened=ignore").unwrap();

    let plan = plan(&world, &Selection::default()).await;
    assert!(plan.letters.is_empty());
    let stays: Vec<_> = plan.left_out.iter().map(|letter| letter.forecast.as_str()).collect();
    assert_eq!(stays, ["unknown: its event type tells no result any more: archive and discard it"]);
}

#[tokio::test(start_paused = true)]
async fn the_forecast_is_what_happens() {
    let mut world = World::new();
    for name in ["ada", "bob", "eve", "dan"] {
        world.sign_up(name, &[]);
    }
    // ada: an approval and then its reversal, both dead. bob: dead, and another
    // session was declined since, which takes nothing away from the one that was approved. eve: as good as dead
    // letters get. dan: another subject stands. zoe: never signed up. And one of a pool that is not ours.
    let letters = [
        approval("ada", "evt_1", 10),
        other("declined", "ada", "evt_2", 20),
        approval("bob", "evt_3", 10),
        approval("eve", "evt_4", 10),
        approval("dan", "evt_5", 10),
        approval("zoe", "evt_6", 10),
        with_metadata(approval("eve", "evt_7", 11), "cognito_user_pool", json!("us-east-1_Other")),
    ];
    for letter in &letters {
        world.post(letter).await;
    }
    die(&mut world).await;
    world.post(&with(other("declined", "bob", "evt_8", 30), "session_id", json!("vs_2"))).await;
    world.post(&with(approval("dan", "evt_9", 5), "blockid_sub", json!("did:blockid:other"))).await;
    world.settle().await;
    world.clock.sleep(Duration::from_secs(20 * 60)).await;

    let plan = plan(&world, &Selection::default()).await;
    let expected = [("applied", true), ("revoked", false), ("applied", true), ("applied", true)];
    assert_eq!(forecasts(&plan), expected.map(|(word, confirms)| (word.to_owned(), confirms)));
    let stays: BTreeSet<_> = plan.left_out.iter().map(|letter| letter.forecast.as_str()).collect();
    assert_eq!(
        stays,
        ["dead again: pool_not_allowed", "dead again: subject_conflict", "dead again: user_not_found"].into()
    );

    let applied = apply(&world, &Killed::never(&world.queues), &plan, &mut Notes::default()).await;
    assert_eq!((applied.removed, applied.left, applied.stopped), (4, 0, None));
    while !world.queues.callbacks.messages().is_empty() {
        world.settle().await;
    }
    for letter in &plan.letters {
        assert_eq!(outcome(&world, &plan, letter, &Log(Some(&world))).await, ReplayOutcome::AsForecast);
    }
    let status = |name: &str| (world.user(name).status, world.attribute(name, "idv_status").unwrap());
    assert_eq!(status("ada"), ("CONFIRMED", "declined".to_owned()));
    assert_eq!(world.attribute("ada", "ial").as_deref(), Some("0"));
    assert_eq!(
        status("bob"),
        ("CONFIRMED", "approved".to_owned()),
        "another session's denial takes nothing away"
    );
    assert_eq!(status("eve"), ("CONFIRMED", "approved".to_owned()));
    assert_eq!(world.queues.dead_letters.messages().len(), 3, "what would not be helped stays where it is");
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_chosen_by_reason_time_id_and_group() {
    let mut world = World::new();
    for name in ["ada", "bob"] {
        world.sign_up(name, &[]);
        world.post(&approval(name, &format!("evt_{name}"), 0)).await;
    }
    die(&mut world).await;
    world.clock.sleep(Duration::from_secs(60)).await;
    let noon = world.clock.now();
    world.sign_up("eve", &[]);
    world.post(&approval("eve", "evt_eve", 0)).await;
    die(&mut world).await;
    let all = letters(&world).await;
    let chosen = async |selection: Selection| plan(&world, &selection).await.letters.len();
    assert_eq!(chosen(Selection::default()).await, 3);
    assert_eq!(chosen(Selection { reasons: vec!["bad_seal".to_owned()], ..Selection::default() }).await, 0);
    assert_eq!(chosen(Selection { since: Some(noon), ..Selection::default() }).await, 1);
    assert_eq!(chosen(Selection { ids: vec![all[1].id.clone()], ..Selection::default() }).await, 1);
    assert_eq!(
        chosen(Selection { groups: vec![all[0].group[..8].to_owned()], ..Selection::default() }).await,
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_is_out_of_date_or_changed_by_hand_is_refused() {
    let mut world = World::new();
    for name in ["ada", "bob"] {
        world.sign_up(name, &[]);
        world.post(&approval(name, &format!("evt_{name}"), 0)).await;
    }
    die(&mut world).await;
    let plan = plan(&world, &Selection::default()).await;
    // Somebody else settled one user, and took the other one's letter away.
    world.post(&with(approval("ada", "evt_newer", 60), "session_id", json!("vs_2"))).await;
    world.settle().await;
    let bobs = world.queues.receive(Duration::from_secs(60)).await.unwrap().pop().unwrap();
    world.queues.remove(&bobs.handle).await.unwrap();
    world.clock.sleep(Duration::from_secs(60)).await;
    let applied = apply(&world, &Killed::never(&world.queues), &plan, &mut Notes::default()).await;
    let Some(Stopped::Changed(changes)) = applied.stopped else { panic!("{applied:?}") };
    assert_eq!(changes.len(), 2, "{changes:?}");
    assert!(
        changes[0].contains("is no longer in the dead-letter queue")
            && changes[1].contains("has changed since the plan")
    );
    assert!(!format!("{changes:?}").contains("ada"), "users are told by their pseudonyms");
    assert_eq!((applied.removed, world.queues.callbacks.messages().len()), (0, 0));

    let json = serde_json::to_value(&plan).unwrap();
    assert!(Plan::parse(json.to_string().as_bytes()).is_ok());
    let mut changed = json.clone();
    changed["letters"][0]["username"] = json!("mallory");
    let refused = |value: &Value| Plan::parse(value.to_string().as_bytes()).err().unwrap();
    assert!(refused(&changed).contains("changed after it was made"));
    assert!(refused(&json!({ "schema": "x" })).contains("not a plan"));
}

#[tokio::test(start_paused = true)]
async fn the_first_letter_halts_the_rest_when_the_fault_is_not_mended() {
    let mut world = World::new();
    for n in 0..10 {
        world.sign_up(&format!("user{n}"), &[]);
        world.post(&approval(&format!("user{n}"), &format!("evt_{n}"), 0)).await;
    }
    die(&mut world).await;
    let plan = plan(&world, &Selection::default()).await;
    let before = letters(&world).await;
    let (ring, applied) = (ring(), apply_too_early(&mut world, &plan).await);
    let Some(Stopped::Halted(letters_halted)) = &applied.stopped else { panic!("{applied:?}") };
    let what = letters_halted.values().next().unwrap();
    assert!(what.starts_with("dead again for the same cause: pool_not_allowed"), "{what}");
    assert_eq!((applied.removed, applied.left), (1, 9));
    let after = letters(&world).await;
    assert_eq!(after.len(), 10);
    assert_eq!(after.iter().filter(|letter| letter.replays == 1).count(), 1);
    assert_eq!(after.iter().filter(|letter| letter.replays == 0).count(), 9);
    let back = returned(&world.queues, &world.clock, &ring, &plan).await.unwrap().dead_again;
    assert_eq!(back.keys().collect::<Vec<_>>(), letters_halted.keys().collect::<Vec<_>>());
    // Its history tells of the first death, and the body is the one that was sealed.
    let again = world
        .queues
        .dead_letters
        .messages()
        .into_iter()
        .find(|m| !replays(&m.attributes).is_empty())
        .unwrap();
    let history = replays(&again.attributes);
    assert_eq!((history.len(), history[0].by.as_str(), history[0].because.as_str()), (1, "ops", "T-1"));
    assert_eq!((history[0].was["idv-reason"].as_str(), history[0].was.len()), ("pool_not_allowed", 5));
    assert!(
        before.iter().any(|letter| letter.receipt == after.iter().find(|l| l.replays == 1).unwrap().receipt)
    );
    assert!(again.body.contains("\"seal\""));
}

/// Whatever call the tool is killed at, and whether that call was carried out or not: nothing is lost, and the same
/// command ends the work.
#[tokio::test(start_paused = true)]
async fn killed_between_any_two_calls_it_loses_nothing_and_goes_on() {
    let mut finished = 0;
    for at in 0..60 {
        for carried_out in [false, true] {
            let mut world = World::new();
            let names: Vec<_> = (0..8).map(|n| format!("user{n}")).collect();
            for name in &names {
                world.sign_up(name, &[]);
                world.post(&approval(name, &format!("evt_{name}"), 0)).await;
            }
            // Two letters of one user, in order.
            world.post(&other("declined", "user0", "evt_again", 10)).await;
            die(&mut world).await;
            let plan = plan(&world, &Selection::default()).await;
            let mut notes = Notes::default();
            let store = Killed { at, carried_out, ..Killed::never(&world.queues) };
            let first = apply(&world, &store, &plan, &mut notes).await;
            finished += usize::from(first.stopped.is_none());
            assert_all_there(&world, &plan, &format!("killed at {at}, {carried_out}")).await;

            // At once, what the killed run holds cannot be had, and nothing is concluded from that; when it has come back,
            // the same command ends the work.
            let at_once = apply(&world, &Killed::never(&world.queues), &plan, &mut notes).await;
            assert!(
                matches!(at_once.stopped, None | Some(Stopped::NotNow(_))),
                "killed at {at}, {carried_out}: {at_once:?}"
            );
            assert_all_there(&world, &plan, &format!("killed at {at}, {carried_out}, at once")).await;
            // What the consumer had in hand when it was cut off, too.
            world.clock.sleep(VISIBILITY_TIMEOUT).await;
            let second = apply(&world, &Killed::never(&world.queues), &plan, &mut notes).await;
            assert_eq!(second.stopped, None, "killed at {at}, {carried_out}: {second:?}");
            assert_eq!((second.removed, second.left), (9, 0), "killed at {at}, {carried_out}");
            while !world.queues.callbacks.messages().is_empty() {
                world.settle().await;
                world.clock.sleep(Duration::from_secs(1)).await;
            }
            assert!(world.queues.dead_letters.messages().is_empty(), "killed at {at}, {carried_out}");
            for name in &names {
                assert_eq!(world.user(name).status, "CONFIRMED", "{name} at {at}, {carried_out}");
            }
            assert_eq!(world.attribute("user0", "idv_status").as_deref(), Some("declined"));
        }
    }
    assert!(
        finished > 0 && finished < 120,
        "the calls were {finished}: some kills must have come before the end"
    );
}

/// Every letter of the plan is a dead letter, on the queue, or settled.
async fn assert_all_there(world: &World, plan: &Plan, when: &str) {
    let bodies: Vec<String> = world.queues.dead_letters.messages().into_iter().map(|m| m.body).collect();
    let queued: Vec<String> = world.queues.callbacks.messages().into_iter().map(|m| m.body).collect();
    for letter in &plan.letters {
        let there = bodies.iter().chain(&queued).any(|body| body.contains(&letter.event_id));
        let settled = outcome(world, plan, letter, &Log(Some(world))).await.is_good();
        assert!(there || settled, "{when}: {} is lost", letter.event_id);
    }
}

/// A class of events dead-letters because of a fault of ours; it is fixed; three commands bring everybody to the right
/// state, and newer decisions stand.
#[tokio::test(start_paused = true)]
async fn a_fault_of_the_consumer_is_made_good() {
    let mut world = World::new();
    let names: Vec<_> = (0..30).map(|n| format!("user{n}")).collect();
    for (n, name) in (0u32..).zip(&names) {
        world.sign_up(name, &[]);
        world.post(&approval(name, &format!("evt_{name}"), n)).await;
    }
    die(&mut world).await;
    // Mended; for every third user something newer comes before anybody looks at the dead letters.
    for name in names.iter().step_by(3) {
        let newer = with(approval(name, &format!("evt_newer_{name}"), 3600), "session_id", json!("vs_new"));
        world.post(&with(newer, "ial", json!(3))).await;
    }
    while !world.queues.callbacks.messages().is_empty() {
        world.settle().await;
    }
    let plan = plan(&world, &Selection::default()).await;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for letter in &plan.letters {
        *counts.entry(letter.forecast.clone()).or_default() += 1;
    }
    assert_eq!(counts, [("applied".to_owned(), 20), ("noted".to_owned(), 10)].into());
    let mut told = 0;
    let store = Killed::never(&world.queues);
    let applied = watched(&world, &world.policy, &store, &plan, &mut Notes::default(), |progress| {
        told += usize::from(matches!(progress, Progress::Sent(_)));
        true
    })
    .await;
    assert_eq!((applied.removed, applied.left, applied.stopped, told), (30, 0, None, 30));
    while !world.queues.callbacks.messages().is_empty() {
        world.settle().await;
    }
    for (n, name) in names.iter().enumerate() {
        assert_eq!(world.user(name).status, "CONFIRMED", "{name}");
        let expected = if n % 3 == 0 { "3" } else { "2" };
        assert_eq!(world.attribute(name, "ial").as_deref(), Some(expected), "{name}");
    }
    for letter in &plan.letters {
        assert_eq!(outcome(&world, &plan, letter, &Log(Some(&world))).await, ReplayOutcome::AsForecast);
    }
    assert!(world.queues.dead_letters.messages().is_empty());
}

/// Attributes are written before the user is confirmed, so a receipt alone is no proof; and no record is, before it names the
/// event.
#[tokio::test(start_paused = true)]
async fn a_user_who_is_to_be_confirmed_is_not_done_before_that() {
    let mut world = World::new();
    world.leaves_messages();
    world.sign_up("ada", &[]);
    world.post(&approval("ada", "evt_1", 0)).await;
    die(&mut world).await;
    let plan = plan(&world, &Selection::default()).await;
    let (letter, user) = (&plan.letters[0], plan.letters[0].reference().unwrap());
    let silent = Log(None);
    assert_eq!(outcome(&world, &plan, letter, &silent).await, ReplayOutcome::NotSent);
    unattended(&world, &plan, &mut Notes::default(), &silent).await;
    let known = async || match outcome(&world, &plan, letter, &silent).await {
        ReplayOutcome::AsForecast => true,
        ReplayOutcome::NotKnown(_) => false,
        other => panic!("{other:?}"),
    };
    assert!(!known().await);
    let receipt = format!("1 {} {} {}", letter.occurred_at, letter.event_id, "0".repeat(64));
    let receipt = AttributeChange::Set(names::IDV_RECEIPT, AttributeValue::new(receipt).unwrap());
    world.pool.write(&crate::support::world::named(&user), &[receipt]).await.unwrap();
    assert!(!known().await);
    world.pool.confirm(&crate::support::world::named(&user)).await.unwrap();
    assert!(!known().await, "a record that names the event, and does not say what it said");
    let history = AttributeChange::Set(names::IDV_HISTORY, AttributeValue::new(letter.adds.clone()).unwrap());
    world.pool.write(&crate::support::world::named(&user), &[history]).await.unwrap();
    assert!(known().await);
}

/// A consumer that decides otherwise than it was forecast is not one that did as forecast, whoever tells.
#[tokio::test(start_paused = true)]
async fn an_outcome_that_is_not_the_forecast_is_told() {
    for asked in [true, false] {
        let mut world = World::new();
        world.sign_up("ada", &[]);
        world.post(&approval("ada", "evt_1", 0)).await;
        die(&mut world).await;
        let plan = plan(&world, &Selection::default()).await;
        assert_eq!(forecasts(&plan), [("applied".to_owned(), true)]);
        // The consumer was given another policy since.
        let policy = world.policy.clone();
        world.policy.minimum_ial = idv_callback::verification::AssuranceLevel::new(3).unwrap();
        let ring = ring();
        let log = Log(Some(&world).filter(|_| asked));
        let patience = Duration::from_secs(90);
        let outcomes = outcomes(&world.queues, forecaster(&world, &ring, &policy), &log, patience);
        let tool = Apply { outcomes, by: "ops", pacing: STEPS };
        let mut notes = Notes::default();
        let applied = tokio::select! {
            applied = tool.run(&plan, &mut notes, |_| true) => applied,
            () = consume(&world) => unreachable!(),
        };
        let Some(Stopped::Halted(ended)) = applied.stopped else { panic!("{applied:?}") };
        let what = ended.values().next().unwrap();
        assert!(what.starts_with("not as forecast: ") && what.ends_with("(forecast: applied)"), "{what}");
    }
}

/// A letter that is on no queue any more is done when what it says is on the record or does not matter any more, and not before:
/// ties and later words of its session are looked at, not counted.
#[tokio::test(start_paused = true)]
async fn a_letter_is_done_when_what_it_says_is_covered() {
    let review = || other("in_review", "ada", "evt_1", 10);
    let denial = || other("declined", "ada", "evt_1", 10);
    for (dead, since, done) in [
        // Whatever the approval came to, the review before it is over.
        (review(), approval("ada", "evt_2", 20), true),
        (review(), approval("ada", "evt_2", 10), true),
        (review(), with(approval("ada", "evt_2", 20), "session_id", json!("vs_2")), false),
        (denial(), approval("ada", "evt_2", 20), true),
        (denial(), approval("ada", "evt_2", 10), false),
        (denial(), other("expired", "ada", "evt_2", 20), false),
        // The denial that came since takes an approval back of which the record knows nothing yet.
        (approval("ada", "evt_1", 10), other("declined", "ada", "evt_2", 20), false),
    ] {
        let mut world = World::new();
        world.sign_up("ada", &[]);
        world.post(&dead).await;
        let elsewhere = json!("us-east-1_Other");
        world.post(&with_metadata(approval("eve", "evt_eve", 0), "cognito_user_pool", elsewhere)).await;
        die(&mut world).await;
        let first = plan(&world, &Selection::default()).await;
        world.post(&since).await;
        while !world.queues.callbacks.messages().is_empty() {
            world.settle().await;
        }
        if world.user("ada").status == "UNCONFIRMED" {
            let user = first.letters[0].reference().unwrap();
            world.pool.confirm(&crate::support::world::named(&user)).await.unwrap();
        }
        // Somebody takes it away, and holds another one: while not every dead letter can be seen, nothing is known of it.
        let (mut taken, others): (Vec<_>, Vec<_>) = world
            .queues
            .receive(Duration::from_secs(120))
            .await
            .unwrap()
            .into_iter()
            .partition(|letter| letter.id == first.letters[0].message_id);
        let letter = taken.pop().unwrap();
        world.queues.remove(&letter.handle).await.unwrap();
        world.clock_forward(60).await;
        let became = outcome(&world, &first, &first.letters[0], &Log(None)).await;
        assert!(matches!(&became, ReplayOutcome::NotKnown(why) if why.contains("not all dead letters")));
        let handles: Vec<_> = others.into_iter().map(|letter| letter.handle).collect();
        world.queues.release(&handles).await.unwrap();
        let became = outcome(&world, &first, &first.letters[0], &Log(None)).await;
        assert_eq!(became.is_good(), done, "{dead} {since}: {became:?}");

        // Puts it back: the user has changed since, so a new plan it takes.
        let message = OutgoingMessage {
            body: letter.body,
            group_id: letter.group_id,
            deduplication_id: "back".to_owned(),
            attributes: letter.attributes,
        };
        world.queues.dead_letters.send(message).await.unwrap();
        let second = plan(&world, &Selection::default()).await;
        let applied = apply(&world, &Killed::never(&world.queues), &second, &mut Notes::default()).await;
        assert_eq!(applied.stopped, None, "{dead} {since}");
        for (plan, silent) in [(&first, true), (&second, true), (&second, false)] {
            let log = Log(Some(&world).filter(|_| !silent));
            world.clock_forward(60).await;
            let became = outcome(&world, plan, &plan.letters[0], &log).await;
            assert!(became.is_good(), "{dead} {since}: {became:?}");
        }
    }
}

/// The tool, with no consumer beside it.
async fn unattended(world: &World, plan: &Plan, notes: &mut Notes, log: &Log<'_>) -> Applied {
    let ring = ring();
    let outcomes = outcomes(&world.queues, forecaster(world, &ring, &world.policy), log, PATIENCE);
    Apply { outcomes, by: "ops", pacing: STEPS }.run(plan, notes, |_| true).await
}

/// With the consumer stopped nothing is settled, whatever the users' records looked like before: not by the queue, which has the
/// message, and not by the record, which is as new as it was. So nothing more is sent, and the tool does not say that it is done.
#[tokio::test(start_paused = true)]
async fn without_a_consumer_nothing_is_said_to_be_done() {
    for asked in [true, false] {
        let mut world = World::new();
        // Five whose approval is settled by now, so that the dead review before it is `superseded`, and a dead copy of the
        // approval is a `duplicate`: neither writes anything.
        for n in 0..5 {
            let name = format!("user{n}");
            world.sign_up(&name, &[]);
            world.post(&other("in_review", &name, &format!("evt_{n}"), 10)).await;
            world.post(&approval(&name, &format!("evt_yes_{n}"), 20)).await;
        }
        die(&mut world).await;
        // Later than SQS drops what it saw before.
        world.clock_forward(301).await;
        for n in 0..5 {
            world.post(&approval(&format!("user{n}"), &format!("evt_yes_{n}"), 20)).await;
        }
        while !world.queues.callbacks.messages().is_empty() {
            world.settle().await;
        }
        let plan = plan(&world, &Selection::default()).await;
        assert_eq!(plan.letters.len(), 10);
        assert!(plan.letters.iter().all(PlannedMessage::leaves_no_trace));

        let mut notes = Notes::default();
        for _ in 0..2 {
            let log = Log(Some(&world).filter(|_| asked));
            let applied = unattended(&world, &plan, &mut notes, &log).await;
            let Some(Stopped::NotKnown(why)) = &applied.stopped else { panic!("{applied:?}") };
            assert_eq!((why.len(), applied.removed, applied.left), (1, 1, 9), "{applied:?}");
            let why = why.values().next().unwrap();
            assert!(why.contains("the callback queue has 1 messages, 0 of them in flight"), "{why}");
            assert_eq!(why.contains("AccessDenied"), !asked, "{why}");
            // However long it lies there.
            world.clock_forward(61).await;
        }
        // A consumer that holds the message has not settled it either.
        let held = world.queues.callbacks.receive_for(10, Duration::from_secs(360)).unwrap();
        let became = outcome(&world, &plan, &plan.letters[0], &Log(None)).await;
        assert!(matches!(&became, ReplayOutcome::NotKnown(why) if why.contains("1 of them in flight")));
        world.queues.callbacks.delay(held[0].handle(), Duration::ZERO).await.unwrap();

        // The consumer is started: the same command ends the work, and knows it.
        let log = Log(Some(&world).filter(|_| asked));
        let ring = ring();
        let patience = Duration::from_secs(90);
        let outcomes = outcomes(&world.queues, forecaster(&world, &ring, &world.policy), &log, patience);
        let tool = Apply { outcomes, by: "ops", pacing: STEPS };
        let before = world.clock.now();
        let applied = tokio::select! {
            applied = tool.run(&plan, &mut notes, |_| true) => applied,
            () = consume(&world) => unreachable!(),
        };
        assert_eq!((applied.stopped, applied.left), (None, 0));
        let ended: usize = applied.ended.values().sum();
        assert_eq!(ended, 10);
        let words: Vec<_> = applied.ended.keys().map(String::as_str).collect();
        let took = world.clock.now().since(before);
        if asked {
            assert_eq!(words, ["duplicate as forecast", "superseded as forecast"]);
        } else {
            // The counts of the queue say nothing of what was sent less than a minute ago.
            assert!(
                words.iter().all(|word| word.starts_with("settled: it left the callback queue")),
                "{words:?}"
            );
            assert!(took > Duration::from_secs(3 * 60), "{took:?}");
        }
    }
}

/// History grows, and what cannot be read of it is kept.
#[tokio::test(start_paused = true)]
async fn each_death_adds_to_the_history() {
    let mut world = World::new();
    world.sign_up("ada", &[]);
    world.post(&approval("ada", "evt_1", 0)).await;
    die(&mut world).await;
    for deaths in 1..=3 {
        let plan = plan(&world, &Selection::default()).await;
        let applied = apply_too_early(&mut world, &plan).await;
        assert!(matches!(applied.stopped, Some(Stopped::Halted(_))), "{applied:?}");
        let letter = world.queues.dead_letters.messages().pop().unwrap();
        let history = replays(&letter.attributes);
        assert_eq!(history.len(), deaths);
        let runs: BTreeSet<_> = history.iter().map(|replay| &replay.run).collect();
        assert_eq!(runs.len(), deaths, "each line is another run's");
    }
}

/// Letters that change nothing leave no trace on their users: that they died again has to show all the same.
#[tokio::test(start_paused = true)]
async fn letters_without_a_trace_are_looked_for_among_the_dead() {
    let mut world = World::new();
    for n in 0..8 {
        world.sign_up(&format!("user{n}"), &[]);
        world.post(&approval(&format!("user{n}"), &format!("evt_{n}"), 0)).await;
    }
    die(&mut world).await;
    for n in 0..8 {
        world.post(&approval(&format!("user{n}"), &format!("evt_newer_{n}"), 60)).await;
    }
    while !world.queues.callbacks.messages().is_empty() {
        world.settle().await;
    }
    let plan = plan(&world, &Selection::default()).await;
    assert!(plan.letters.iter().all(|letter| letter.forecast == "superseded"));
    let (ring, applied) = (ring(), apply_too_early(&mut world, &plan).await);
    assert!(matches!(applied.stopped, Some(Stopped::Halted(_))) && applied.removed == 1, "{applied:?}");
    let unsent = returned(&world.queues, &world.clock, &ring, &plan).await.unwrap().unsent;
    assert_eq!(unsent.len(), 7, "what was not sent is told from what was");
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_it_to_stop_is_heard_between_two_letters() {
    let mut world = World::new();
    for n in 0..5 {
        world.sign_up(&format!("user{n}"), &[]);
        world.post(&approval(&format!("user{n}"), &format!("evt_{n}"), 0)).await;
    }
    die(&mut world).await;
    let plan = plan(&world, &Selection::default()).await;
    let (store, mut notes) = (Killed::never(&world.queues), Notes::default());
    let mut sent = 0;
    let applied = watched(&world, &world.policy, &store, &plan, &mut notes, |progress| {
        sent += usize::from(matches!(progress, Progress::Sent(_)));
        sent < 2
    })
    .await;
    assert_eq!((applied.removed, applied.left, applied.stopped), (2, 3, Some(Stopped::Asked)));
    assert_eq!(world.queues.depth().await.unwrap(), Depth { messages: 3, held: 0, retention: RETENTION });
    assert_eq!(apply(&world, &store, &plan, &mut notes).await.stopped, None);
}

/// The queues, on a day on which nothing can be removed.
struct Sticky<'a>(&'a LocalQueues<TestClock>);

impl DeadLetterStore for Sticky<'_> {
    async fn receive(&self, hold: Duration) -> Result<Vec<DeadLetter>, QueueError> {
        self.0.receive(hold).await
    }

    async fn release(&self, handles: &[String]) -> Result<(), QueueError> {
        self.0.release(handles).await
    }

    async fn remove(&self, _: &str) -> Result<(), QueueError> {
        Killed::killed()
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        self.0.depth().await
    }

    async fn send_back(&self, message: OutgoingMessage) -> Result<String, QueueError> {
        self.0.send_back(message).await
    }

    async fn restore(&self, message: OutgoingMessage) -> Result<String, QueueError> {
        self.0.restore(message).await
    }

    async fn waiting(&self) -> Result<Waiting, QueueError> {
        self.0.waiting().await
    }

    async fn hold(&self, handles: &[String], hold: Duration) -> Result<(), QueueError> {
        self.0.hold(handles, hold).await
    }
}

/// A letter that was sent and could not be removed is sent by a new plan, too, although SQS saw it within five minutes.
#[tokio::test(start_paused = true)]
async fn a_new_plan_is_not_taken_for_the_last_one() {
    let mut world = World::new();
    world.sign_up("ada", &[]);
    world.post(&approval("ada", "evt_1", 0)).await;
    die(&mut world).await;
    let first = plan(&world, &Selection::default()).await;
    let ring = ring();
    let policy = world.policy.clone();
    let (sticky, log) = (Sticky(&world.queues), Log(Some(&world)));
    let outcomes = outcomes(&sticky, forecaster(&world, &ring, &policy), &log, PATIENCE);
    let tool = Apply { outcomes, by: "ops", pacing: STEPS };
    let applied = tool.run(&first, &mut Notes::default(), |_| true).await;
    assert!(matches!(applied.stopped, Some(Stopped::Queue(_))), "{applied:?}");
    die(&mut world).await;
    assert_eq!(world.queues.dead_letters.messages().len(), 2);
    let ids = vec![first.letters[0].message_id.clone()];
    let second = plan(&world, &Selection { ids, ..Selection::default() }).await;
    let applied = apply(&world, &Killed::never(&world.queues), &second, &mut Notes::default()).await;
    assert_eq!((applied.removed, applied.stopped), (1, None));
    assert_eq!(world.user("ada").status, "CONFIRMED");
}

#[tokio::test(start_paused = true)]
async fn a_letter_goes_into_the_group_of_whom_it_is_about() {
    let mut world = World::new();
    world.leaves_messages();
    world.sign_up("ada", &[]);
    world.post(&approval("ada-l", "evt_1", 0)).await;
    die(&mut world).await;
    let letter = world.queues.dead_letters.messages().pop().unwrap();
    let ring = ring();
    let content = CorrectionContent {
        envelope_sha256: BodyDigest::of(letter.body.as_bytes()).as_str().to_owned(),
        username: "ada".to_owned(),
        because: "T-1".to_owned(),
        by: "arn:aws:iam::123456789012:user/olga".to_owned(),
        approved_by: "arn:aws:iam::123456789012:user/bea".to_owned(),
    };
    let correction = Correction::new(content, &ring.seal[0]).unwrap_or_else(|error| panic!("{error}"));
    let corrections = BTreeMap::from([(letter.id.clone(), correction)]);
    let plan = plan(&world, &Selection { corrections, ..Selection::default() }).await;
    assert_eq!(forecasts(&plan), [("applied".to_owned(), true)]);
    let log = Log(Some(&world));
    let outcomes = outcomes(&world.queues, forecaster(&world, &ring, &world.policy), &log, PATIENCE);
    let tool = Apply { outcomes, by: "ops", pacing: STEPS };
    tool.run(&plan, &mut Notes::default(), |_| true).await;
    let sent = world.queues.callbacks.messages().pop().unwrap();
    let of = |name: &str| {
        group_id(&UserReference {
            pool: world.policy.pools[0].clone(),
            username: Username::new(name).unwrap(),
        })
    };
    assert_eq!((&sent.group_id, &sent.body), (&of("ada"), &letter.body));
    assert_eq!(letter.group_id, of("ada-l"));

    // One that lies where it does not belong is looked at by a person.
    let message = OutgoingMessage {
        body: letter.body.clone(),
        group_id: of("eve"),
        deduplication_id: "misplaced".to_owned(),
        attributes: BTreeMap::new(),
    };
    world.queues.dead_letters.send(message).await.unwrap();
    let planned = self::plan(&world, &Selection::default()).await;
    assert!(
        planned.left_out.iter().any(|letter| letter.forecast.contains("the message group of another user"))
    );
}

/// A pool that takes its time to answer.
struct Slow<'a>(&'a World, Duration);

impl UserDirectory for Slow<'_> {
    async fn find(&self, user: &UserReference) -> Result<Option<UserRecord>, DirectoryError> {
        self.0.clock.sleep(self.1).await;
        self.0.pool.find(user).await
    }

    async fn write(
        &self,
        user: &Person<'_>,
        changes: &[AttributeChange],
    ) -> Result<ChangeCall, DirectoryError> {
        self.0.pool.write(user, changes).await
    }

    async fn confirm(&self, user: &Person<'_>) -> Result<ChangeCall, DirectoryError> {
        self.0.pool.confirm(user).await
    }
}

/// How long a plan takes says the pace of reading, and not how long Cognito takes for each answer.
#[tokio::test(start_paused = true)]
async fn a_plan_reads_users_at_the_pace_however_slow_the_answers_are() {
    let mut world = World::new();
    for n in 0..1000 {
        world.post(&approval(&format!("user{n}"), &format!("evt_{n}"), n)).await;
    }
    die(&mut world).await;
    for millis in [20, 100] {
        let (ring, pace) = (ring(), Pace::per_second(10));
        let directory = Slow(&world, Duration::from_millis(millis));
        let forecaster = Forecaster {
            directory: &directory,
            ring: &ring,
            policy: &world.policy,
            pace: &pace,
            clock: &world.clock,
        };
        let before = world.clock.now();
        let all = Selection::default();
        let made = Plan::make(&world.queues, &forecaster, &all, RETENTION, MADE, |_| {}).await.unwrap();
        assert_eq!(made.0.left_out.len(), 1000);
        // Forty a second.
        let took = world.clock.now().since(before).as_secs_f64();
        assert!((25.0 * 0.95..25.0 * 1.05).contains(&took), "{millis} ms an answer: {took} s");
    }
}

/// The quota for reading users is shared with people who sign in: a plan of many takes longer than letters can be held.
#[tokio::test(start_paused = true)]
async fn a_plan_of_many_users_is_not_cut_off() {
    let mut world = World::new();
    for n in 0..4000 {
        world.post(&approval(&format!("user{n}"), &format!("evt_{n}"), n)).await;
    }
    die(&mut world).await;
    world.pace = Pace::per_second(1);
    let before = world.clock.now();
    let plan = plan(&world, &Selection::default()).await;
    assert_eq!(plan.left_out.len(), 4000);
    assert!(
        world.clock.now().since(before) > Duration::from_secs(16 * 60),
        "letters are held for fifteen minutes"
    );
    assert_eq!(world.queues.depth().await.unwrap().held, 0);
}
