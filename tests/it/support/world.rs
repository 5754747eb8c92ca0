//! A world to test in: the use cases over the embedded stack, with a clock that only moves when everybody waits.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use idv_callback::assurance::Policy;
use idv_callback::audit::{AuditCode, AuditRecord, Chain};
use idv_callback::delivery::{SignatureProfile, sign};
use idv_callback::intake::{Answer, Intake, Request};
use idv_callback::key_cache::KeyCache;
use idv_callback::key_ring::KeyRing;
use idv_callback::ports::{
    AuditSink, Clock, DeadLetters, Deadline, KeyStore, KeyStoreError, Person, ReceivedMessage, Redelivery,
    UserDirectory,
};
use idv_callback::settlement::{Consumer, Pace};
use idv_callback::timestamp::Timestamp;
use idv_callback::verification::{AssuranceLevel, PoolId, UserReference};
use idv_callback::vocabulary::EventTypes;
use idvctl::embedded::{FifoQueue, LocalQueues, MemoryKeyStore, QueueSettings, SignUp, User, UserPool};
use idvctl::ports::MessageSource;
use idvctl::trail::{Entry, Reconciliation};
use serde_json::{Value, json};
use tokio::time::Instant;

pub(crate) const POOL: &str = "us-east-1_TestPool";

/// A ring with a secret of its own for each purpose.
pub(crate) const RING: &str = r#"{
  "webhook": [ { "id": "wh-1", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" } ],
  "seal": [ { "id": "seal-1", "secret": "seal-seal-seal-seal-seal-seal-32" } ],
  "binding": [ { "id": "binding-1", "secret": "bind-bind-bind-bind-bind-bind-32" } ],
  "audit": { "id": "audit-1", "secret": "audit-audit-audit-audit-audit-32" } }"#;

/// The secret of the webhook key, as a sender has it.
pub(crate) fn ring_secret() -> String {
    let ring: Value = serde_json::from_str(RING).unwrap();
    ring["webhook"][0]["secret"].as_str().unwrap().to_owned()
}

pub(crate) fn ring() -> KeyRing {
    KeyRing::parse(RING.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

/// tokio's clock, which under `start_paused` jumps ahead when nothing else can happen.
#[derive(Clone, Copy)]
pub(crate) struct TestClock(Instant);

impl TestClock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::parse("2026-11-22T10:00:00Z").unwrap().plus(self.0.elapsed())
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// An audit log in memory, which can be broken.
#[derive(Clone)]
pub(crate) struct Recorder {
    records: Arc<Mutex<Vec<Value>>>,
    chain: Arc<Chain>,
    lines: Arc<Mutex<Vec<String>>>,
    broken: Arc<Mutex<bool>>,
}

impl Default for Recorder {
    fn default() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let writer = format!("test/{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        Self {
            records: Arc::default(),
            chain: Arc::new(Chain::new(writer)),
            lines: Arc::default(),
            broken: Arc::default(),
        }
    }
}

impl Recorder {
    pub(crate) fn all(&self) -> Vec<Value> {
        self.records.lock().unwrap().clone()
    }

    /// The log as a function writes it: chained lines, from the beginning.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    pub(crate) fn words(&self) -> Vec<String> {
        self.all().iter().map(|record| record["event"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn last(&self) -> Value {
        self.all().pop().expect("a record")
    }

    pub(crate) fn break_it(&self, broken: bool) {
        *self.broken.lock().unwrap() = broken;
    }
}

impl AuditSink for Recorder {
    fn record(&self, record: &AuditRecord) -> io::Result<()> {
        if *self.broken.lock().unwrap() {
            return Err(io::Error::from(io::ErrorKind::BrokenPipe));
        }
        self.records.lock().unwrap().push(serde_json::to_value(record).unwrap());
        let mut lines = self.lines.lock().unwrap();
        let first = lines.is_empty();
        let mut push = |_: &AuditRecord, line: &[u8]| {
            lines.push(String::from_utf8(line.to_vec()).unwrap());
            Ok(())
        };
        if first {
            let started = AuditRecord::new(AuditCode::Started, record.at()).detail("test");
            self.chain.append(&started, &mut push)?;
        }
        self.chain.append(record, push)
    }
}

/// A key store that counts, and can be out of reach.
#[derive(Clone)]
pub(crate) struct TestKeys {
    pub(crate) store: MemoryKeyStore,
    pub(crate) outage: Arc<Mutex<Option<KeyStoreError>>>,
    pub(crate) fetches: Arc<Mutex<u32>>,
    pub(crate) hangs: Arc<Mutex<bool>>,
}

impl KeyStore for TestKeys {
    async fn fetch(&self) -> Result<KeyRing, KeyStoreError> {
        *self.fetches.lock().unwrap() += 1;
        if *self.hangs.lock().unwrap() {
            std::future::pending::<()>().await;
        }
        let outage = self.outage.lock().unwrap().clone();
        match outage {
            Some(error) => Err(error),
            None => self.store.fetch().await,
        }
    }
}

pub(crate) type TestQueue = FifoQueue<TestClock>;
pub(crate) type TestIntake<Q> = Intake<Q, TestKeys, Recorder, TestClock>;
pub(crate) type TestConsumer<D, Q> = Consumer<D, Q, TestKeys, Recorder, TestClock>;

pub(crate) struct World {
    pub(crate) clock: TestClock,
    pub(crate) queues: LocalQueues<TestClock>,
    pub(crate) pool: UserPool<TestClock>,
    pub(crate) keys: TestKeys,
    pub(crate) audit: Recorder,
    pub(crate) policy: Policy,
    pub(crate) profile: SignatureProfile,
    /// An operator's, who reads users beside the consumer.
    pub(crate) pace: Pace,
    leaves_messages: std::sync::atomic::AtomicBool,
}

impl Drop for World {
    /// A test that ends leaves nothing behind unseen: what is still on the queue, it must have counted on; and what was accepted
    /// and is not on the queue any more has its outcome in the audit log.
    fn drop(&mut self) {
        if !std::thread::panicking() && !self.leaves_messages.load(Ordering::Relaxed) {
            let left = self.queues.callbacks.messages().len();
            assert_eq!(
                left, 0,
                "messages are left on the queue: settle them, or say `world.leaves_messages()`"
            );
            let mut reconciliation = Reconciliation::default();
            for line in self.audit.lines() {
                reconciliation.read(&Entry::read(line.as_bytes()).expect("a record that can be read"));
            }
            let left = reconciliation.finish(&[], true).classes["in_flight"];
            assert_eq!(left, 0, "accepted, and neither on the queue nor with an outcome");
        }
    }
}

impl World {
    /// This test ends with messages on the queue.
    pub(crate) fn leaves_messages(&self) {
        self.leaves_messages.store(true, Ordering::Relaxed);
    }

    pub(crate) fn new() -> Self {
        let clock = TestClock::start();
        let settings = QueueSettings {
            visibility: idv_callback::settlement::VISIBILITY_TIMEOUT,
            maximum_receives: idv_callback::settlement::MAXIMUM_RECEIVES,
            wait: Duration::ZERO,
        };
        let pool = PoolId::new(POOL).unwrap();
        Self {
            clock,
            queues: LocalQueues::new(settings, clock),
            pool: UserPool::new(pool.clone(), None, clock),
            keys: TestKeys {
                store: MemoryKeyStore::new(RING),
                outage: Arc::default(),
                fetches: Arc::default(),
                hangs: Arc::default(),
            },
            audit: Recorder::default(),
            policy: Policy {
                pools: vec![pool],
                minimum_ial: AssuranceLevel::new(2).unwrap(),
                binding_required: false,
                event_types: EventTypes::default(),
            },
            profile: SignatureProfile::StandardWebhooks,
            pace: Pace::per_second(1000),
            leaves_messages: std::sync::atomic::AtomicBool::new(false),
        }
    }

    pub(crate) fn intake_over<Q>(&self, queue: Q) -> TestIntake<Q> {
        Intake {
            queue,
            keys: KeyCache::new(self.keys.clone(), self.clock),
            audit: self.audit.clone(),
            clock: self.clock,
            profile: self.profile.clone(),
            event_types: self.policy.event_types.clone(),
        }
    }

    pub(crate) fn intake(&self) -> TestIntake<TestQueue> {
        self.intake_over(self.queues.callbacks.clone())
    }

    pub(crate) fn consumer_over<D, Q>(&self, directory: D, queue: Q) -> TestConsumer<D, Q> {
        Consumer {
            directory,
            queue,
            keys: KeyCache::new(self.keys.clone(), self.clock),
            audit: self.audit.clone(),
            clock: self.clock,
            policy: self.policy.clone(),
            pace: Pace::per_second(1000),
        }
    }

    pub(crate) fn consumer(&self) -> TestConsumer<UserPool<TestClock>, LocalQueues<TestClock>> {
        self.consumer_over(self.pool.clone(), self.queues.clone())
    }

    pub(crate) async fn clock_forward(&self, seconds: u64) {
        self.clock.sleep(Duration::from_secs(seconds)).await;
    }

    pub(crate) fn deadline(&self, seconds: u64) -> Deadline {
        Deadline(self.clock.now().plus(Duration::from_secs(seconds)))
    }

    pub(crate) fn sign_up(&self, username: &str, attributes: &[(&str, &str)]) -> User {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let attributes: BTreeMap<_, _> = attributes.collect();
        self.pool.sign_up(SignUp { username: username.to_owned(), attributes }).unwrap()
    }

    pub(crate) fn user(&self, username: &str) -> User {
        self.pool.users().into_iter().find(|user| user.username == username).expect("the user")
    }

    pub(crate) fn attribute(&self, username: &str, name: &str) -> Option<String> {
        self.user(username).attributes.get(&format!("custom:{name}")).cloned()
    }

    /// A signed request with this body.
    pub(crate) fn signed(&self, message_id: &str, body: &[u8]) -> Request {
        request(&self.profile, message_id, self.clock.now(), body)
    }

    /// Posts a callback, signed.
    pub(crate) async fn post(&self, callback: &Value) -> Answer {
        let body = callback.to_string();
        let id = callback["event_id"].as_str().unwrap_or("msg_1");
        self.intake().answer(&self.signed(id, body.as_bytes()), self.deadline(10)).await
    }

    pub(crate) async fn receive(&self) -> Vec<ReceivedMessage> {
        self.queues.callbacks.receive(10).await.unwrap()
    }

    /// Receives one batch, settles it, deletes what is settled; gives the ids that must come back.
    pub(crate) async fn settle(&self) -> Vec<String> {
        self.settle_with(&self.consumer(), &self.receive().await).await
    }

    /// Settles this batch with this consumer, and deletes what is settled; gives the ids that must come back.
    pub(crate) async fn settle_with<D, Q>(
        &self,
        consumer: &TestConsumer<D, Q>,
        batch: &[ReceivedMessage],
    ) -> Vec<String>
    where
        D: UserDirectory,
        Q: DeadLetters + Redelivery,
    {
        let failed = consumer.settle_batch(batch, self.deadline(60)).await;
        for message in batch.iter().filter(|message| !failed.contains(&message.id)) {
            self.queues.callbacks.delete(&message.handle).await.unwrap();
        }
        failed
    }

    /// The reasons of the dead letters.
    pub(crate) fn dead_letter_reasons(&self) -> Vec<String> {
        let letters = self.queues.dead_letters.messages();
        letters.iter().map(|letter| letter.attributes["idv-reason"].clone()).collect()
    }
}

/// Whoever has the name.
pub(crate) fn named(reference: &UserReference) -> Person<'_> {
    Person { reference, sub: None }
}

pub(crate) fn request(profile: &SignatureProfile, message_id: &str, at: Timestamp, body: &[u8]) -> Request {
    let mut headers = sign(profile, &ring().webhook[0].secret, message_id, at, body);
    headers.push(("content-type".to_owned(), "application/json".to_owned()));
    Request {
        method: "POST".to_owned(),
        path: "/idv-callback".to_owned(),
        headers: headers.into_iter().collect(),
        body: Some(body.to_vec()),
        trace_id: None,
        unsupported: None,
    }
}

/// An approval of this user, which happened `at` seconds after 09:00.
pub(crate) fn approval(username: &str, event_id: &str, at: u32) -> Value {
    json!({
        "event_id": event_id,
        "event_type": "verification.completed",
        "occurred_at": occurred_at(at),
        "session_id": "vs_1",
        "status": "approved",
        "blockid_sub": format!("did:blockid:{username}"),
        "ial": 2,
        "aal": 2,
        "liveness_verified": true,
        "match_result": true,
        "document_type": "drivers_license",
        "framework": "nist_800_63A-3",
        "expires_at": "2030-01-01T00:00:00Z",
        "metadata": { "cognito_user_pool": POOL, "cognito_username": username },
    })
}

/// Another status of this user.
pub(crate) fn other(status: &str, username: &str, event_id: &str, at: u32) -> Value {
    json!({
        "event_id": event_id,
        "occurred_at": occurred_at(at),
        "session_id": "vs_1",
        "status": status,
        "metadata": { "cognito_user_pool": POOL, "cognito_username": username },
    })
}

pub(crate) fn occurred_at(seconds: u32) -> String {
    Timestamp::parse("2026-11-22T09:00:00Z").unwrap().plus(Duration::from_secs(seconds.into())).to_string()
}

/// The value with one member set.
pub(crate) fn with(mut value: Value, name: &str, member: Value) -> Value {
    value[name] = member;
    value
}

/// The value with one member of its metadata set.
pub(crate) fn with_metadata(mut value: Value, name: &str, member: Value) -> Value {
    value["metadata"][name] = member;
    value
}

/// The value without one member.
pub(crate) fn without(mut value: Value, name: &str) -> Value {
    value.as_object_mut().unwrap().remove(name);
    value
}
