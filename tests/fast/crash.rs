//! Any schedule of duplicates, reorderings, clocks that are ahead, faults, crashes between any two calls and redeliveries ends
//! where the [specification](crate::support::specification) ends; and at no moment is anybody confirmed without assurance.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use idv_callback::assurance::{AttributeChange, UserRecord};
use idv_callback::audit::ChangeCall;
use idv_callback::ports::{
    DeadLetters, DirectoryError, Fault, Person, QueueError, ReceivedMessage, Redelivery, UserDirectory,
};
use idv_callback::timestamp::Timestamp;
use idv_callback::verification::UserReference;
use idvctl::embedded::{LocalQueues, UserPool};
use idvctl::ports::MessageSource as _;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::specification::{self, Word, ial, status};
use crate::support::world::{TestClock, World, approval, other, with};

/// What happens at one call to a port.
#[derive(Clone, Copy, Debug)]
enum Step {
    Works,
    /// It fails, and has done nothing.
    FailsBefore,
    /// It has done its work, and the answer is lost.
    FailsAfter,
    /// The process dies before the call.
    DiesBefore,
    /// The process dies after the call.
    DiesAfter,
}

#[derive(Clone)]
struct Script {
    steps: Arc<Mutex<VecDeque<Step>>>,
    death: Arc<Notify>,
    pool: UserPool<TestClock>,
}

impl Script {
    async fn play<T, E>(&self, call: impl Future<Output = Result<T, E>>, error: E) -> Result<T, E> {
        let step = self.steps.lock().unwrap().pop_front().unwrap_or(Step::Works);
        let outcome = match step {
            Step::Works => call.await,
            Step::FailsBefore => Err(error),
            Step::FailsAfter => {
                let _lost = call.await;
                Err(error)
            }
            Step::DiesBefore => self.die().await,
            Step::DiesAfter => {
                let _lost = call.await;
                self.die().await
            }
        };
        self.check();
        outcome
    }

    async fn die<T>(&self) -> T {
        self.check();
        self.death.notify_one();
        std::future::pending().await
    }

    fn check(&self) {
        for user in self.pool.users().iter().filter(|user| user.status == "CONFIRMED") {
            for name in ["custom:blockid_sub", "custom:ial", "custom:idv_receipt"] {
                assert!(user.attributes.contains_key(name), "confirmed without {name}");
            }
        }
    }
}

#[derive(Clone)]
struct Directory(Script);

impl UserDirectory for Directory {
    async fn find(&self, user: &UserReference) -> Result<Option<UserRecord>, DirectoryError> {
        self.0.play(self.0.pool.find(user), passing()).await
    }

    async fn write(
        &self,
        user: &Person<'_>,
        changes: &[AttributeChange],
    ) -> Result<ChangeCall, DirectoryError> {
        self.0.play(self.0.pool.write(user, changes), passing()).await
    }

    async fn confirm(&self, user: &Person<'_>) -> Result<ChangeCall, DirectoryError> {
        self.0.play(self.0.pool.confirm(user), passing()).await
    }
}

fn passing() -> DirectoryError {
    DirectoryError::Transient(Fault::new("x", "y"))
}

#[derive(Clone)]
struct Queues(Script, LocalQueues<TestClock>);

impl DeadLetters for Queues {
    async fn put(
        &self,
        message: &ReceivedMessage,
        attributes: BTreeMap<String, String>,
    ) -> Result<(), QueueError> {
        let error = QueueError::Transient(Fault::new("x", "y"));
        self.0.play(self.1.put(message, attributes), error).await
    }
}

impl Redelivery for Queues {
    async fn delay(&self, handle: &str, delay: Duration) -> Result<(), QueueError> {
        let error = QueueError::Transient(Fault::new("x", "y"));
        self.0.play(self.1.delay(handle, delay), error).await
    }
}

/// One event of one user.
#[derive(Clone, Debug)]
struct Event {
    user: u8,
    /// In seconds; of one that is dated ahead, from six hours after its receipt on.
    time: u32,
    ahead: bool,
    session: u8,
    word: Word,
}

impl Event {
    fn callback(&self, index: usize) -> Value {
        let (username, id) = (format!("user{}", self.user), format!("evt_{index}"));
        let time = self.time + if self.ahead { 7 * 3600 } else { 0 };
        let callback = match self.word {
            Word::Approved(level) => with(approval(&username, &id, time), "ial", json!(level)),
            Word::Insufficient => with(approval(&username, &id, time), "ial", json!(1)),
            Word::Declined => other("declined", &username, &id, time),
            Word::Expired => other("expired", &username, &id, time),
            Word::Abandoned => other("abandoned", &username, &id, time),
            Word::InReview => other("in_review", &username, &id, time),
            Word::InProgress => other("in_progress", &username, &id, time),
        };
        with(callback, "session_id", json!(format!("vs_{}", self.session)))
    }

    /// In milliseconds since 09:00: its own time, or that of its first receipt if that was earlier.
    fn at(&self, received_at: Timestamp) -> u32 {
        let since = received_at.since(Timestamp::parse("2026-11-22T09:00:00Z").unwrap()).as_millis();
        let own = self.time * 1000;
        if self.ahead { u32::try_from(since).unwrap() } else { own }
    }
}

/// What can be seen of a user: the status, the level, the session, whether they are confirmed.
type Seen = (Option<String>, Option<String>, Option<String>, bool);

fn seen(world: &World, user: u8) -> Seen {
    let name = format!("user{user}");
    let attribute = |attribute: &str| world.attribute(&name, attribute);
    let confirmed = world.user(&name).status == "CONFIRMED";
    (attribute("idv_status"), attribute("ial"), attribute("idv_session"), confirmed)
}

/// What is to be seen of a user of whom this was told; whether they are confirmed may depend on the order where an approval was
/// taken back.
fn expected(told: &[specification::Event], confirmed: bool) -> Seen {
    let Some(ends) = specification::ends(told) else { return (None, None, None, false) };
    let ever = told.iter().any(|event| matches!(event.word, Word::Approved(_)));
    let approved = matches!(ends.by.word, Word::Approved(_));
    let session = format!("vs_{}", ends.by.session);
    (Some(status(&ends).to_owned()), ial(&ends), Some(session), approved || (ever && confirmed))
}

async fn run(events: &[Event], schedule: &[(usize, bool)], steps: Vec<Step>) -> Result<(), TestCaseError> {
    let world = World::new();
    let mut told: Vec<Vec<specification::Event>> = vec![Vec::new(); 3];
    for user in 0..3 {
        world.sign_up(&format!("user{user}"), &[]);
    }
    let mut receipts = BTreeSet::new();
    for (index, late) in schedule {
        let number = index % events.len();
        let event = &events[number];
        let of_user = &mut told[usize::from(event.user)];
        if of_user.iter().all(|known| known.number != number) {
            let at = event.at(idv_callback::ports::Clock::now(&world.clock));
            let (session, word) = (event.session, event.word);
            of_user.push(specification::Event { session, word, at, number });
        }
        let answer = world.post(&event.callback(number)).await;
        prop_assert_eq!(answer.status, 202);
        let receipt: Value = serde_json::from_str(&answer.body).unwrap();
        receipts.insert(receipt["receipt_id"].as_str().unwrap().to_owned());
        if *late {
            tokio::time::advance(Duration::from_secs(301)).await;
        }
    }
    let script =
        Script { steps: Arc::new(Mutex::new(steps.into())), death: Arc::default(), pool: world.pool.clone() };
    while !world.queues.callbacks.messages().is_empty() {
        let batch = world.receive().await;
        let consumer =
            world.consumer_over(Directory(script.clone()), Queues(script.clone(), world.queues.clone()));
        let settled = tokio::select! {
            failed = consumer.settle_batch(&batch, world.deadline(60)) => Some(failed),
            () = script.death.notified() => None,
        };
        for message in &batch {
            if settled.as_ref().is_some_and(|failed| !failed.contains(&message.id)) {
                world.queues.callbacks.delete(&message.handle).await.unwrap();
            }
        }
        tokio::time::advance(Duration::from_secs(120)).await;
    }
    for (user, told) in (0_u8..).zip(&told) {
        let seen = seen(&world, user);
        prop_assert_eq!(&seen, &expected(told, seen.3), "user {}: {:?}", user, told);
    }
    // Every accepted callback has an outcome.
    let settled: BTreeSet<_> = world
        .audit
        .all()
        .iter()
        .filter(|record| {
            ["IDV20", "IDV21"].iter().any(|kind| record["code"].as_str().unwrap().starts_with(kind))
        })
        .filter_map(|record| record["receipt_id"].as_str().map(str::to_owned))
        .collect();
    prop_assert_eq!(settled, receipts);
    Ok(())
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Works),
        1 => Just(Step::FailsBefore),
        1 => Just(Step::FailsAfter),
        1 => Just(Step::DiesBefore),
        1 => Just(Step::DiesAfter),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let word = prop::sample::select(vec![
        Word::Approved(2),
        Word::Approved(3),
        Word::Insufficient,
        Word::Declined,
        Word::Expired,
        Word::Abandoned,
        Word::InReview,
        Word::InProgress,
    ]);
    (0..3_u8, 0..8_u32, prop::bool::weighted(0.2), 0..2_u8, word)
        .prop_map(|(user, time, ahead, session, word)| Event { user, time, ahead, session, word })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_schedule_ends_where_the_model_ends(
        events in prop::collection::vec(event(), 1..10),
        schedule in prop::collection::vec((0..10_usize, prop::bool::weighted(0.2)), 1..16),
        steps in prop::collection::vec(step(), 0..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(run(&events, &schedule, steps))?;
    }
}
