//! The consumer around the decision: batches, groups, time, faults, dead letters.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use idv_callback::assurance::{AttributeChange, UserRecord};
use idv_callback::audit::{CODE_VERSION, ChangeCall};
use idv_callback::lambda::batch_event;
use idv_callback::lambda::handle_sqs;
use idv_callback::ports::{
    CallbackQueue as _, Clock as _, DeadLetters, DirectoryError, Fault, KeyStoreError, OutgoingMessage,
    Person, QueueError, ReceivedMessage, Redelivery, UserDirectory,
};
use idv_callback::settlement::{MAXIMUM_RECEIVES, Pace};
use idv_callback::verification::UserReference;
use idvctl::embedded::{LocalQueues, Quotas, UserPool};
use serde_json::{Value, json};

use crate::support::failing_pool::FailingPool;
use crate::support::world::{RING, TestClock, TestConsumer, World, approval, other, with};

fn fault(code: &str) -> Fault {
    Fault::new("AdminUpdateUserAttributes", code)
}

#[tokio::test(start_paused = true)]
async fn a_failed_message_holds_back_its_own_group_and_no_other() {
    let world = World::new();
    world.sign_up("ada", &[]);
    world.sign_up("eve", &[]);
    // bob does not exist yet.
    world.post(&other("in_review", "ada", "a1", 1)).await;
    world.post(&other("in_review", "bob", "b1", 1)).await;
    world.post(&approval("ada", "a2", 2)).await;
    world.post(&approval("bob", "b2", 2)).await;
    world.post(&approval("eve", "e1", 1)).await;
    let mut batch = world.receive().await;
    // The users' messages mixed, as SQS may give them.
    batch.sort_by(|one, other| one.id.cmp(&other.id));
    let ids: Vec<_> = batch.iter().map(|message| message.id.clone()).collect();
    let response = handle_sqs(&world.consumer(), batch_event(&batch), world.deadline(60)).await.unwrap();
    let failed: Vec<_> = response.batch_item_failures.iter().map(|f| f.item_identifier.clone()).collect();
    assert_eq!(failed, [ids[1].clone(), ids[3].clone()]);
    assert_eq!(world.user("ada").status, "CONFIRMED");
    assert_eq!(world.user("eve").status, "CONFIRMED");
    for message in [&batch[0], &batch[2], &batch[4]] {
        idvctl::ports::MessageSource::delete(&world.queues.callbacks, &message.handle).await.unwrap();
    }

    // Both come back together, in order, and once bob has signed up both are settled.
    world.sign_up("bob", &[]);
    assert!(world.receive().await.is_empty());
    tokio::time::advance(Duration::from_secs(3)).await;
    assert_eq!(world.settle().await, Vec::<String>::new());
    assert_eq!(world.user("bob").status, "CONFIRMED");
    assert!(world.attribute("bob", "idv_receipt").unwrap().contains("b2"));
    assert!(world.queues.callbacks.messages().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_callback_may_overtake_the_sign_up_by_a_quarter_of_an_hour() {
    let world = World::new();
    world.post(&approval("ada", "evt_1", 0)).await;
    let start = world.clock.now();
    while world.dead_letter_reasons().is_empty() {
        world.settle().await;
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(world.clock.now().since(start) < Duration::from_secs(3600));
    }
    assert_eq!(world.dead_letter_reasons(), ["user_not_found"]);
    assert!(world.clock.now().since(start) >= Duration::from_secs(15 * 60));
}

/// A pool in which reading takes this long.
#[derive(Clone)]
struct Slow(UserPool<TestClock>, Duration);

impl UserDirectory for Slow {
    async fn find(&self, user: &UserReference) -> Result<Option<UserRecord>, DirectoryError> {
        tokio::time::sleep(self.1).await;
        self.0.find(user).await
    }

    async fn write(
        &self,
        user: &Person<'_>,
        changes: &[AttributeChange],
    ) -> Result<ChangeCall, DirectoryError> {
        self.0.write(user, changes).await
    }

    async fn confirm(&self, user: &Person<'_>) -> Result<ChangeCall, DirectoryError> {
        self.0.confirm(user).await
    }
}

#[tokio::test(start_paused = true)]
async fn no_record_is_begun_without_the_time_to_end_it() {
    // Five events of one user at 15 s each, for two reads: after three, less than a record's 24 s are left of the minute. In
    // an invocation of 3 s, which is Lambda's default, half of it must be left.
    for (seconds_each, limit, done) in [(7_500, 60, 3), (350, 3, 3), (10, 3, 5), (1, 2, 5)] {
        let world = World::new();
        world.leaves_messages();
        world.sign_up("ada", &[]);
        for n in 0..5 {
            world.post(&other("in_review", "ada", &format!("evt_{n}"), n)).await;
        }
        let batch = world.receive().await;
        let slow = Slow(world.pool.clone(), Duration::from_millis(seconds_each));
        let consumer = world.consumer_over(slow, world.queues.clone());
        let failed = consumer.settle_batch(&batch, world.deadline(limit)).await;
        assert_eq!(failed.len(), 5 - done, "{seconds_each} ms each in {limit} s");
        assert_eq!(world.audit.words().iter().filter(|word| *word == "recorded").count(), done);
        assert_eq!(world.audit.words().iter().filter(|word| *word == "left").count(), 5 - done);
    }
}

#[tokio::test(start_paused = true)]
async fn an_invocation_answers_before_its_time_is_over() {
    let world = World::new();
    for name in ["ada", "bob"] {
        world.sign_up(name, &[]);
        world.post(&approval(name, name, 0)).await;
    }
    let batch = world.receive().await;
    let slow = Slow(world.pool.clone(), Duration::from_secs(3600));
    let consumer = world.consumer_over(slow, world.queues.clone());
    let start = world.clock.now();
    assert_eq!(consumer.settle_batch(&batch, world.deadline(5)).await.len(), 2);
    assert!(world.clock.now().since(start) < Duration::from_secs(5));
    assert_eq!(world.audit.last()["reason"], "out_of_time");
    assert!(world.audit.last()["receipt_id"].is_string());
    // What was broken off is done when it comes back.
    tokio::time::advance(Duration::from_secs(3)).await;
    assert_eq!(world.settle().await, Vec::<String>::new());
    assert_eq!(world.user("ada").status, "CONFIRMED");
}

#[tokio::test(start_paused = true)]
async fn a_backlog_at_the_token_bucket_counts_as_time() {
    let world = World::new();
    world.leaves_messages();
    let names: Vec<_> = (0..10).map(|n| format!("user{n}")).collect();
    for name in &names {
        world.sign_up(name, &[]);
        world.post(&approval(name, name, 0)).await;
    }
    let mut consumer = world.consumer();
    consumer.pace = Pace::per_second(1);
    let batch = world.receive().await;
    let start = world.clock.now();
    let failed = world.settle_with(&consumer, &batch).await;
    assert!(failed.is_empty(), "ten writes at one a second fit into a minute: {failed:?}");
    let took = world.clock.now().since(start);
    assert!(took >= Duration::from_secs(9) && took < Duration::from_secs(12), "{took:?}");
    for name in &names {
        world.post(&other("declined", name, &format!("{name}d"), 5)).await;
    }
    let batch = world.receive().await;
    let failed = consumer.settle_batch(&batch[..1], world.deadline(1)).await;
    assert_eq!(failed.len(), 1, "the token of before is not there yet, so the time is too short");
}

/// Callbacks that write nothing must not use up what people who sign in need of the quota for reading.
#[tokio::test(start_paused = true)]
async fn reads_are_paced_at_four_times_the_writes() {
    let world = World::new();
    world.leaves_messages();
    for n in 0..9 {
        world.post(&approval(&format!("nobody{n}"), &format!("e{n}"), 0)).await;
    }
    let mut consumer = world.consumer();
    consumer.pace = Pace::per_second(1);
    let (batch, start) = (world.receive().await, world.clock.now());
    assert_eq!(consumer.settle_batch(&batch, world.deadline(60)).await.len(), 9);
    assert_eq!(world.clock.now().since(start), Duration::from_secs(2));
}

/// 100 users at Cognito's own quota: nothing is throttled, and nearly all of the quota is used.
#[tokio::test(start_paused = true)]
async fn paced_writes_use_the_quota_and_never_exceed_it() {
    let mut world = World::new();
    for n in 0..100 {
        world.sign_up(&format!("user{n}"), &[]);
        world.post(&approval(&format!("user{n}"), &format!("e{n}"), 0)).await;
    }
    let quotas = Quotas { user_creation: 50, user_update: 25, user_read: 120 };
    let strict = UserPool::new(world.pool.id().clone(), Some(quotas), world.clock);
    for n in 0..100 {
        let user = idvctl::embedded::SignUp { username: format!("user{n}"), ..Default::default() };
        while strict.sign_up(user.clone()).is_err() {
            tokio::time::advance(Duration::from_millis(100)).await;
        }
    }
    world.pool = strict;
    let mut consumer = world.consumer();
    consumer.pace = Pace::per_second(25);
    tokio::time::advance(Duration::from_secs(2)).await;
    let start = world.clock.now();
    loop {
        let batch = world.receive().await;
        if batch.is_empty() {
            break;
        }
        assert_eq!(world.settle_with(&consumer, &batch).await, Vec::<String>::new());
    }
    let took = world.clock.now().since(start);
    assert!(world.audit.words().iter().all(|word| word != "retried"));
    // Each of the ten batches waits for its first two reads.
    let used = 99.0 / took.as_secs_f64() / 25.0;
    assert!(used >= 0.9, "{used}");
}

/// Faults that pass, and an operator's mistakes, send nothing to the dead letters; the alarm tells them apart.
#[tokio::test(start_paused = true)]
async fn faults_come_back_and_are_told_apart() {
    let table = [
        (DirectoryError::Transient(fault("TooManyRequestsException")), "IDV2201", "retried"),
        (DirectoryError::Misconfigured(fault("AccessDeniedException")), "IDV2202", "misconfigured"),
        (DirectoryError::UserNotFound, "IDV2201", "retried"),
    ];
    for call in ["find", "write", "confirm"] {
        for (error, code, word) in &table {
            if call == "find" && *error == DirectoryError::UserNotFound {
                continue;
            }
            let world = World::new();
            world.sign_up("ada", &[]);
            world.post(&approval("ada", "evt_1", 0)).await;
            let consumer = world.consumer_over(
                FailingPool::failing(&world, call, error.clone(), false),
                world.queues.clone(),
            );
            let batch = world.receive().await;
            assert_eq!(consumer.settle_batch(&batch, world.deadline(60)).await.len(), 1, "{call} {word}");
            let record = world.audit.last();
            assert_eq!((&record["code"], &record["event"]), (&json!(code), &json!(word)));
            assert!(world.queues.dead_letters.messages().is_empty());
            tokio::time::advance(Duration::from_secs(2)).await;
            assert_eq!(world.settle().await, Vec::<String>::new());
            assert_eq!(world.user("ada").status, "CONFIRMED", "{call} {word}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_to_confirm_is_believed_only_of_an_unconfirmed_user() {
    let refused = || DirectoryError::Refused(Fault::new("AdminConfirmSignUp", "NotAuthorizedException"));
    // Somebody else confirmed the user between our read and our call.
    let world = World::new();
    world.leaves_messages();
    world.sign_up("ada", &[]);
    world.post(&approval("ada", "evt_1", 0)).await;
    let batch = world.receive().await;
    let racing = Racing(FailingPool::new(&world));
    let consumer = world.consumer_over(racing, world.queues.clone());
    assert_eq!(consumer.settle_batch(&batch, world.deadline(60)).await, Vec::<String>::new());
    assert_eq!(world.audit.last()["event"], "applied");

    // The user is unconfirmed and stays it: that is a real refusal.
    let world = World::new();
    world.leaves_messages();
    world.sign_up("ada", &[]);
    world.post(&approval("ada", "evt_1", 0)).await;
    let batch = world.receive().await;
    let failing = FailingPool::failing(&world, "confirm", refused(), true);
    let consumer = world.consumer_over(failing.clone(), world.queues.clone());
    assert_eq!(consumer.settle_batch(&batch, world.deadline(60)).await, Vec::<String>::new());
    assert_eq!(world.dead_letter_reasons(), ["confirm_refused"]);
    assert_eq!(*failing.calls.lock().unwrap(), ["find", "find", "write", "confirm", "find"]);
}

/// Somebody confirms the user just before we do.
#[derive(Clone)]
struct Racing(FailingPool);

impl UserDirectory for Racing {
    async fn find(&self, user: &UserReference) -> Result<Option<UserRecord>, DirectoryError> {
        self.0.find(user).await
    }

    async fn write(
        &self,
        user: &Person<'_>,
        changes: &[AttributeChange],
    ) -> Result<ChangeCall, DirectoryError> {
        self.0.write(user, changes).await
    }

    async fn confirm(&self, user: &Person<'_>) -> Result<ChangeCall, DirectoryError> {
        self.0.pool.admin_confirm_sign_up(user.reference.username.as_str()).unwrap();
        self.0.confirm(user).await
    }
}

#[tokio::test(start_paused = true)]
async fn an_approval_costs_four_calls_and_a_duplicate_one() {
    let world = World::new();
    world.sign_up("ada", &[]);
    let failing = FailingPool::new(&world);
    for expected in [vec!["find", "find", "write", "confirm"], vec!["find"]] {
        tokio::time::advance(Duration::from_secs(301)).await;
        world.post(&approval("ada", "evt_1", 0)).await;
        let batch = world.receive().await;
        let consumer = world.consumer_over(failing.clone(), world.queues.clone());
        assert!(world.settle_with(&consumer, &batch).await.is_empty());
        assert_eq!(std::mem::take(&mut *failing.calls.lock().unwrap()), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_has_its_reason_beside_it_and_its_body_untouched() {
    let world = World::new();
    world.sign_up("ada", &[("custom:blockid_sub", "did:somebody-else")]);
    world.post(&approval("ada", "evt_1", 0)).await;
    let sent = world.queues.callbacks.messages()[0].clone();
    world.settle().await;
    let letter = world.queues.dead_letters.messages()[0].clone();
    assert_eq!(letter.body, sent.body);
    assert_eq!(letter.group_id, sent.group_id);
    assert_eq!(letter.deduplication_id, sent.id);
    let receipt = world.audit.last()["receipt_id"].as_str().unwrap().to_owned();
    let expected = [
        ("idv-attempts", "1"),
        ("idv-quarantined-at", "2026-11-22T10:00:00.000Z"),
        ("idv-reason", "subject_conflict"),
        ("idv-receipt", &receipt),
        ("idv-version", CODE_VERSION),
    ];
    let expected: BTreeMap<_, _> = expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    assert_eq!(letter.attributes, expected);
    assert!(world.queues.callbacks.messages().is_empty());
}

/// A message takes ten attributes; somebody else may have filled them all.
#[tokio::test(start_paused = true)]
async fn a_dead_letter_keeps_the_attributes_that_it_came_with_as_far_as_there_is_room() {
    let world = World::new();
    let message = |id: &str, count: usize| OutgoingMessage {
        body: "not ours".to_owned(),
        group_id: id.to_owned(),
        deduplication_id: id.to_owned(),
        attributes: (0..count).map(|n| (format!("own-{n}"), "x".to_owned())).collect(),
    };
    world.queues.callbacks.send(message("few", 2)).await.unwrap();
    world.queues.callbacks.send(message("many", 10)).await.unwrap();
    assert_eq!(world.settle().await, Vec::<String>::new());
    let letters = world.queues.dead_letters.messages();
    assert_eq!(letters[0].attributes.len(), 5 + 2);
    assert_eq!(letters[1].attributes.len(), 10);
    assert!(letters.iter().all(|letter| letter.attributes["idv-reason"] == "unreadable"));
}

/// Queues whose dead letters cannot be written.
#[derive(Clone)]
struct NoDeadLetters(LocalQueues<TestClock>);

impl DeadLetters for NoDeadLetters {
    async fn put(&self, _: &ReceivedMessage, _: BTreeMap<String, String>) -> Result<(), QueueError> {
        Err(QueueError::Misconfigured(Fault::new("SendMessage", "QueueDoesNotExist")))
    }
}

impl Redelivery for NoDeadLetters {
    async fn delay(&self, handle: &str, delay: Duration) -> Result<(), QueueError> {
        self.0.delay(handle, delay).await
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_stored_as_a_dead_letter_stays_on_the_queue() {
    let world = World::new();
    world.leaves_messages();
    world.sign_up("ada", &[("custom:blockid_sub", "did:somebody-else")]);
    world.post(&approval("ada", "evt_1", 0)).await;
    let batch = world.receive().await;
    let consumer = world.consumer_over(world.pool.clone(), NoDeadLetters(world.queues.clone()));
    assert_eq!(consumer.settle_batch(&batch, world.deadline(60)).await.len(), 1);
    assert_eq!(world.audit.last()["event"], "misconfigured");
    assert_eq!(world.queues.callbacks.messages().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_recorded_is_done_again() {
    let world = World::new();
    world.sign_up("ada", &[]);
    world.post(&approval("ada", "evt_1", 0)).await;
    world.audit.break_it(true);
    assert_eq!(world.settle().await.len(), 1);
    world.audit.break_it(false);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(world.settle().await, Vec::<String>::new());
    assert_eq!(world.audit.last()["event"], "duplicate");
    assert_eq!(world.user("ada").status, "CONFIRMED");
}

/// Permission to send to the queue is not permission to confirm a user.
#[tokio::test(start_paused = true)]
async fn only_sealed_envelopes_are_opened() {
    let world = World::new();
    world.leaves_messages();
    world.sign_up("ada", &[]);
    world.post(&approval("ada", "evt_1", 0)).await;
    let batch = world.receive().await;
    let genuine: Value = serde_json::from_str(&batch[0].body).unwrap();
    let edited = batch[0].body.replace("did:blockid:ada", "did:blockid:eve");
    let relaid = batch[0].body.replace(",\"event\":", ", \"event\":");
    let mac = genuine["seal"]["mac"].as_str().unwrap();
    let table = [
        ("edited", edited, "bad_seal"),
        ("other white space in the content", relaid, "bad_seal"),
        ("no seal", json!({"v": 1, "content": genuine["content"]}).to_string(), "bad_seal"),
        ("unknown key", batch[0].body.replace("seal-1", "seal-9"), "bad_seal"),
        ("cut-off seal", batch[0].body.replace(mac, &mac[..62]), "bad_seal"),
        ("the webhook key as seal key", batch[0].body.replace("seal-1", "wh-1"), "bad_seal"),
        ("not json", "hello".to_owned(), "unreadable"),
        ("another version", batch[0].body.replace("\"v\":1", "\"v\":2"), "unreadable"),
        ("an unknown member", batch[0].body.replacen('{', "{\"x\":1,", 1), "unreadable"),
        ("two seals", batch[0].body.replacen('{', "{\"seal\":null,", 1), "unreadable"),
    ];
    for (number, (name, body, reason)) in table.into_iter().enumerate() {
        let world = World::new();
        world.leaves_messages();
        world.sign_up("ada", &[]);
        let message = OutgoingMessage {
            body,
            group_id: "g".to_owned(),
            deduplication_id: number.to_string(),
            attributes: BTreeMap::new(),
        };
        world.queues.callbacks.send(message).await.unwrap();
        // A seal key that is not known is looked for first: the ring at hand may be old.
        let consumer = world.consumer();
        for _ in 0..3 {
            let batch = world.receive().await;
            consumer.settle_batch(&batch, world.deadline(60)).await;
            tokio::time::advance(Duration::from_secs(61)).await;
        }
        assert_eq!(world.dead_letter_reasons(), [reason], "{name}");
        assert_eq!(world.user("ada").status, "UNCONFIRMED");
    }
}

/// A consumer that has fetched the key ring and settled something with it.
async fn with_a_ring_at_hand() -> (World, TestConsumer<UserPool<TestClock>, LocalQueues<TestClock>>) {
    let world = World::new();
    world.sign_up("ada", &[]);
    let consumer = world.consumer();
    world.post(&other("in_review", "ada", "evt_0", 0)).await;
    assert!(world.settle_with(&consumer, &world.receive().await).await.is_empty());
    assert_eq!(world.audit.last()["event"], "recorded");
    (world, consumer)
}

#[tokio::test(start_paused = true)]
async fn a_new_seal_key_is_fetched_before_a_seal_is_called_bad() {
    let (world, consumer) = with_a_ring_at_hand().await;
    world.leaves_messages();

    let rotated = RING.replace(
        r#""seal": [ "#,
        r#""seal": [ { "id": "seal-2", "secret": "another-seal-key-of-32-characters" }, "#,
    );
    world.keys.store.replace(rotated.as_str());
    world.post(&approval("ada", "evt_1", 1)).await;
    let batch = world.receive().await;
    let failed = world.settle_with(&consumer, &batch).await;
    assert!(failed.is_empty(), "the ring is fetched anew at once");
    assert_eq!(world.user("ada").status, "CONFIRMED");

    world.post(&other("declined", "ada", "evt_2", 2)).await;
    *world.keys.outage.lock().unwrap() = Some(KeyStoreError::Transient(Fault::new("GetSecretValue", "x")));
    let fresh = world.consumer();
    let batch = world.receive().await;
    assert_eq!(
        fresh.settle_batch(&batch, world.deadline(60)).await.len(),
        1,
        "without keys nothing is decided"
    );
    assert!(world.queues.dead_letters.messages().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_new_binding_key_is_fetched_before_a_binding_is_called_forged() {
    use idv_callback::binding::Binding;
    use idv_callback::verification::{PoolId, Username};

    let (world, consumer) = with_a_ring_at_hand().await;
    world.leaves_messages();

    let rotated = RING.replace(
        r#""binding": [ "#,
        r#""binding": [ { "id": "binding-2", "secret": "another-binding-key-of-32-letters" }, "#,
    );
    world.keys.store.replace(rotated.as_str());
    let ring =
        idv_callback::key_ring::KeyRing::parse(rotated.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let user = UserReference {
        pool: PoolId::new(crate::support::world::POOL).unwrap(),
        username: Username::new("ada").unwrap(),
    };
    let token = Binding::issue(&ring.binding[0], &user, world.clock.now(), None).unwrap();
    let bound =
        crate::support::world::with_metadata(approval("ada", "evt_1", 1), "binding", json!(token.as_str()));
    world.post(&bound).await;
    let batch = world.receive().await;
    assert!(consumer.settle_batch(&batch, world.deadline(60)).await.is_empty());
    assert_eq!(world.user("ada").status, "CONFIRMED", "{}", world.audit.last());
}

#[tokio::test(start_paused = true)]
async fn the_last_try_leaves_a_reason() {
    let world = World::new();
    world.sign_up("ada", &[]);
    world.post(&approval("ada", "evt_1", 0)).await;
    let error = DirectoryError::Transient(fault("InternalErrorException"));
    let failing = FailingPool::failing(&world, "write", error, true);
    let consumer = world.consumer_over(failing, world.queues.clone());
    let tries = AtomicU32::new(0);
    while world.queues.dead_letters.messages().is_empty() {
        let batch = world.receive().await;
        tries.fetch_add(u32::try_from(batch.len()).unwrap(), Ordering::Relaxed);
        world.settle_with(&consumer, &batch).await;
        tokio::time::advance(Duration::from_secs(900)).await;
    }
    assert_eq!(tries.into_inner(), MAXIMUM_RECEIVES);
    assert_eq!(world.dead_letter_reasons(), ["retries_exhausted"]);
    let letter = &world.queues.dead_letters.messages()[0];
    assert_eq!(letter.attributes["idv-detail"], "AdminUpdateUserAttributes: InternalErrorException");
}

/// The batch as Lambda hands it over: each record is looked at by itself.
#[tokio::test(start_paused = true)]
async fn one_bad_record_does_not_spoil_the_batch() {
    let world = World::new();
    world.leaves_messages();
    world.sign_up("ada", &[]);
    world.post(&with(approval("ada", "evt_1", 0), "ial", json!(2))).await;
    let mut batch = world.receive().await;
    for (id, body) in [("m-empty", ""), ("m-list", "[]"), ("m-text", "hello")] {
        let bad = ReceivedMessage {
            id: id.to_owned(),
            body: body.to_owned(),
            group_id: id.to_owned(),
            ..batch[0].clone()
        };
        batch.insert(0, bad);
    }
    let event = batch_event(&batch);
    let response = handle_sqs(&world.consumer(), event, world.deadline(60)).await.unwrap();
    // The empty body cannot be stored as a dead letter (SQS takes no empty message, so none can come).
    let failed: Vec<_> = response.batch_item_failures.iter().map(|f| f.item_identifier.as_str()).collect();
    assert_eq!(failed, ["m-empty"]);
    assert_eq!(world.dead_letter_reasons(), ["unreadable", "unreadable"]);
    assert_eq!(world.user("ada").status, "CONFIRMED");

    for (broken, complaint) in [
        (
            json!({"Records": [{"messageId": "", "body": "x", "attributes": {"MessageGroupId": "g"}}]}),
            "no message id",
        ),
        (json!({"Records": "CANARY"}), "not one of an SQS queue"),
    ] {
        let error = handle_sqs(&world.consumer(), broken, world.deadline(60)).await.unwrap_err();
        assert!(error.to_string().contains(complaint), "{error}");
        assert!(!error.to_string().contains("CANARY"));
    }
    let empty = json!({"Records": []});
    let response = handle_sqs(&world.consumer(), empty, world.deadline(60)).await.unwrap();
    assert_eq!(serde_json::to_value(response).unwrap(), json!({"batchItemFailures": []}));
}
