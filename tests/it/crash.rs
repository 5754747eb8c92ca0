//! Any schedule of duplicates, reorderings, faults, crashes between any two calls and redeliveries ends where a model of
//! ten lines ends; and at no moment is anybody confirmed without assurance.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use idv_callback::assurance::{AttributeChange, UserRecord};
use idv_callback::audit::ChangeCall;
use idv_callback::local::{LocalQueues, UserPool};
use idv_callback::ports::{
    DeadLetters, DirectoryError, Fault, MessageSource as _, QueueError, ReceivedMessage, Redelivery,
    UserDirectory,
};
use idv_callback::verification::UserReference;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::world::{TestClock, World, approval, other, with};

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
        user: &UserReference,
        changes: &[AttributeChange],
    ) -> Result<ChangeCall, DirectoryError> {
        self.0.play(self.0.pool.write(user, changes), passing()).await
    }

    async fn confirm(&self, user: &UserReference) -> Result<ChangeCall, DirectoryError> {
        self.0.play(self.0.pool.confirm(user), passing()).await
    }
}

fn passing() -> DirectoryError {
    DirectoryError::Passing(Fault::new("x", "y"))
}

#[derive(Clone)]
struct Queues(Script, LocalQueues<TestClock>);

impl DeadLetters for Queues {
    async fn put(
        &self,
        message: &ReceivedMessage,
        attributes: BTreeMap<String, String>,
    ) -> Result<(), QueueError> {
        let error = QueueError::Passing(Fault::new("x", "y"));
        self.0.play(self.1.put(message, attributes), error).await
    }
}

impl Redelivery for Queues {
    async fn delay(&self, handle: &str, delay: Duration) -> Result<(), QueueError> {
        let error = QueueError::Passing(Fault::new("x", "y"));
        self.0.play(self.1.delay(handle, delay), error).await
    }
}

#[derive(Clone, Debug)]
struct Event {
    user: u8,
    time: u32,
    session: u8,
    /// 0 and 1 approve as one of two people, 2 approves to too little, 3 declines, 4 expires, 5 is in review.
    kind: u8,
}

impl Event {
    fn callback(&self, index: usize) -> Value {
        let (username, id) = (format!("user{}", self.user), format!("evt_{index}"));
        let subject = json!(format!("did:{}", self.kind.min(1)));
        let callback = match self.kind {
            0 | 1 => with(approval(&username, &id, self.time), "blockid_sub", subject),
            2 => with(
                with(approval(&username, &id, self.time), "ial", json!(1)),
                "blockid_sub",
                json!("did:0"),
            ),
            3 => other("declined", &username, &id, self.time),
            4 => other("expired", &username, &id, self.time),
            _ => other("in_review", &username, &id, self.time),
        };
        with(callback, "session_id", json!(format!("vs_{}", self.session)))
    }
}

/// What is known of a user: what was applied last, where the proofing stands and in which session, the subject.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    last: Option<(u32, String)>,
    status: Option<String>,
    session: Option<u8>,
    subject: Option<u8>,
    confirmed: bool,
}

impl Model {
    fn apply(&mut self, event: &Event, index: usize) {
        let key = (event.time, format!("evt_{index}"));
        let standing = self.status.clone().unwrap_or_default();
        let other_session = self.session.is_some_and(|session| session != event.session);
        let conflict = event.kind <= 2 && self.subject.is_some_and(|subject| subject != event.kind % 2);
        if self.last.as_ref().is_some_and(|last| key <= *last) || conflict {
            return;
        }
        self.last = Some(key);
        if standing == "declined" && event.kind == 4 && other_session {
            return;
        }
        let takes_back = !other_session && matches!(event.kind, 2 | 3);
        if event.kind <= 1 {
            (self.subject, self.session, self.confirmed) = (Some(event.kind), Some(event.session), true);
            self.status = Some("approved".to_owned());
        } else if standing != "approved" || takes_back {
            let word = ["insufficient", "declined", "expired", "in_review"][usize::from(event.kind - 2)];
            self.status = Some(word.to_owned());
            // A weak approval leaves the session as it was.
            self.session = if event.kind == 2 { self.session } else { Some(event.session) };
        }
    }
}

fn model_of(world: &World, user: u8) -> Model {
    let name = format!("user{user}");
    let attribute = |attribute: &str| world.attribute(&name, attribute);
    let last = attribute("idv_receipt").map(|receipt| {
        let parts: Vec<_> = receipt.split(' ').collect();
        let at = idv_callback::timestamp::Timestamp::parse(parts[1]).unwrap();
        let start = idv_callback::timestamp::Timestamp::parse("2026-11-22T09:00:00Z").unwrap();
        (u32::try_from(at.since(start).as_secs()).unwrap(), parts[2].to_owned())
    });
    let digit =
        |text: String| text.chars().last().unwrap().to_digit(10).and_then(|digit| u8::try_from(digit).ok());
    Model {
        last,
        status: attribute("idv_status"),
        session: attribute("idv_session").and_then(digit),
        subject: attribute("blockid_sub").and_then(digit),
        confirmed: world.user(&name).status == "CONFIRMED",
    }
}

async fn run(events: &[Event], schedule: &[(usize, bool)], steps: Vec<Step>) -> Result<(), TestCaseError> {
    let world = World::new();
    let mut models: Vec<Model> = vec![Model::default(); 3];
    for user in 0..3 {
        world.sign_up(&format!("user{user}"), &[]);
    }
    let mut receipts = BTreeSet::new();
    for (index, late) in schedule {
        let event = &events[index % events.len()];
        let answer = world.post(&event.callback(index % events.len())).await;
        prop_assert_eq!(answer.status, 202);
        let receipt: Value = serde_json::from_str(&answer.body).unwrap();
        receipts.insert(receipt["receipt_id"].as_str().unwrap().to_owned());
        models[usize::from(event.user)].apply(event, index % events.len());
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
    for (user, model) in (0_u8..).zip(&models) {
        prop_assert_eq!(&model_of(&world, user), model, "user {}", user);
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
    (0..3_u8, 0..8_u32, 0..2_u8, 0..6_u8).prop_map(|(user, time, session, kind)| Event {
        user,
        time,
        session,
        kind,
    })
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
