//! The embedded stack as the demo uses it.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::Uri;
use idv_callback::audit::{AuditCode, AuditRecord, Chain};
use idv_callback::clock::SystemClock;
use idv_callback::config::LocalConfig;
use idv_callback::delivery::{SignatureProfile, sign};
use idv_callback::key_cache::KeyCache;
use idv_callback::key_ring::KeyRing;
use idv_callback::lambda::{handle_trigger, trigger_event};
use idv_callback::ports::{AuditSink, Clock as _, Deadline};
use idv_callback::timestamp::Timestamp;
use idv_callback::triggers::{FirstFactor, INVOCATION_TIMEOUT, Settings, Triggers, WhenDown};
use idv_callback::verification::{AssuranceLevel, PoolId};
use idv_callback::vocabulary::EventTypes;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Step;
use crate::callback_body::Callback;
use crate::embedded::{
    FifoQueue, LocalProofing, LocalQueues, MemoryKeyStore, SignInEnd, SignUp, SimulatedPerson, UserPool,
    dead_letter, installation, serve, sign_in, user_json,
};
use crate::embedded::{FrontDoor, Switch, consume};
use crate::new_key_ring::fresh_ring;
use crate::output::Failure;
use crate::poster::Poster;
use crate::trail::{Checked, Entry, Place, Reconciled, Reconciliation, Verifier};

/// How long an outcome may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// An audit log in memory: chained lines, as the functions print them.
#[derive(Clone)]
struct Recorder {
    chain: Arc<Chain>,
    lines: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Recorder {
    fn start(at: Timestamp) -> io::Result<Self> {
        let chain = Arc::new(Chain::new(idv_callback::telemetry::writer("demo", "", at)));
        let recorder = Self { chain, lines: Arc::default() };
        recorder.record(&AuditRecord::new(AuditCode::Started, at).detail("demo"))?;
        Ok(recorder)
    }

    fn lines(&self) -> Vec<Vec<u8>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn records(&self) -> Vec<Value> {
        self.lines().iter().filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }
}

impl AuditSink for Recorder {
    fn record(&self, record: &AuditRecord) -> io::Result<()> {
        self.chain.append(record, |_, line| {
            self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_vec());
            Ok(())
        })
    }
}

/// What the sender got.
pub(super) struct Sent {
    pub(super) status: u16,
    body: Value,
}

impl Sent {
    pub(super) fn receipt_id(&self) -> Option<&str> {
        self.body.get("receipt_id")?.as_str()
    }
}

type LocalTriggers = Triggers<LocalProofing, FifoQueue<SystemClock>, MemoryKeyStore, Recorder, SystemClock>;

/// The code of a record that the front door ends a sender's test with.
const SENDER_TEST: &str = "IDV1005";

pub(super) struct World {
    address: SocketAddr,
    poster: Poster,
    pool: UserPool<SystemClock>,
    queues: LocalQueues<SystemClock>,
    ring: KeyRing,
    other_ring: KeyRing,
    recorder: Recorder,
    started_at: Timestamp,
    pub(super) provider: LocalProofing,
    triggers: LocalTriggers,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

fn settings(minimum_ial: AssuranceLevel) -> Settings {
    Settings {
        minimum_ial,
        when_provider_is_down: WhenDown::Refuse,
        first_factor: FirstFactor::Password,
        proof_first: false,
        federation_provider: "OneKosmos".to_owned(),
    }
}

impl World {
    pub(super) async fn start() -> Result<Self, Failure> {
        let started_at = SystemClock.now();
        let json = fresh_ring(started_at)?;
        let read = |json: &str| {
            KeyRing::parse(json.as_bytes()).map_err(|error| Failure::unreachable(error.to_string()))
        };
        let (ring, other_ring) = (read(&json)?, read(&fresh_ring(started_at)?)?);
        let recorder = Recorder::start(started_at)?;
        let pool_id = PoolId::new("us-east-1_DemoPool").map_err(|_| Failure::usage("the pool's id"))?;
        let level = AssuranceLevel::new(2).map_err(|_| Failure::usage("the level"))?;
        let config = LocalConfig {
            profile: SignatureProfile::StandardWebhooks,
            minimum_ial: level,
            binding_required: true,
            cognito_rps: 25,
            event_types: EventTypes::default(),
        };
        let keys = MemoryKeyStore::new(json.as_bytes());
        let (pool, queues, intake, consumer) = installation(pool_id, &keys, &recorder, &config);
        let provider = LocalProofing::default();
        let triggers = Triggers {
            provider: provider.clone(),
            queue: queues.callbacks.clone(),
            keys: KeyCache::new(keys, SystemClock),
            audit: recorder.clone(),
            clock: SystemClock,
            settings: settings(level),
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.map_err(|error| Failure::unreachable(format!("127.0.0.1: {error}")))?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let until = |mut stopped: watch::Receiver<bool>| async move {
            // An error means that the sender is gone: the demo is over.
            let _over = stopped.wait_for(|stop| *stop).await.map(drop);
        };
        let server = serve(listener, Arc::new(FrontDoor(intake)), SystemClock, until(stopped.clone()));
        let consumer =
            consume(Arc::new(consumer), queues.callbacks.clone(), Switch::default(), until(stopped));
        let tasks = vec![tokio::spawn(server), tokio::spawn(consumer)];
        let url = Uri::from_static("http://127.0.0.1");
        let poster = Poster::new(&url)?;
        Ok(Self {
            address,
            poster,
            pool,
            queues,
            ring,
            other_ring,
            recorder,
            started_at,
            provider,
            triggers,
            stop,
            tasks,
        })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/idv-callback", self.address)
    }

    /// Lets what is under way end.
    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        drop(self.poster);
        for task in self.tasks {
            // A task that panicked has already said so; nothing depends on it any more.
            let _ended = task.await;
        }
    }

    /// Signs somebody up, as Cognito does it: the trigger is asked, then the user is created.
    pub(super) async fn sign_up(&self, username: &str, name: &str, value: &str) -> Result<(), String> {
        let attributes = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let request = json!({ "userAttributes": attributes, "validationData": null, "clientMetadata": null });
        let event = trigger_event("PreSignUp_SignUp", self.pool.id().as_str(), username, "web", &request);
        self.fire(event).await?;
        let created = self.pool.sign_up(SignUp { username: username.to_owned(), attributes });
        created.map(drop).map_err(|error| error.code().to_owned())
    }

    /// Signs somebody in with step-up.
    pub(super) async fn sign_in(&self, username: &str, person: &SimulatedPerson<'_>) -> SignInEnd {
        match self.pool.uncounted().admin_get_user(username) {
            Ok(user) => sign_in(self.pool.id(), &user, person, |event| self.fire(event)).await,
            Err(error) => SignInEnd::Refused(error.code().to_owned()),
        }
    }

    async fn fire(&self, event: Value) -> Result<Value, String> {
        let deadline = Deadline(SystemClock.now().plus(INVOCATION_TIMEOUT));
        handle_trigger(&self.triggers, event, deadline).await.map_err(|refusal| refusal.to_string())
    }

    pub(super) fn last_record(&self) -> Value {
        self.recorder.records().pop().unwrap_or_default()
    }

    pub(super) async fn send(&self, step: &Step) -> Result<Sent, Failure> {
        let session = self.provider.session_of(step.username);
        let callback = Callback {
            event_id: step.event_id,
            status: step.status,
            occurred_at: self.started_at.minus(Duration::from_secs(step.seconds_ago)),
            session: step.session,
            subject: step.subject,
            ial: 2,
            pool: self.pool.id().as_str(),
            username: step.username,
            binding: session.as_ref().map(|(_, token)| token.as_str()),
        };
        let body = step.body.map_or_else(|| callback.body(), str::to_owned).into_bytes();
        let ring = if step.forged { &self.other_ring } else { &self.ring };
        let key = ring.webhook.first().ok_or_else(|| Failure::usage("the ring has no webhook key"))?;
        let headers =
            sign(&SignatureProfile::StandardWebhooks, &key.secret, step.event_id, SystemClock.now(), &body);
        let url = self.url().parse().map_err(|error| Failure::usage(format!("{error}")))?;
        let answer = self.poster.post(&url, &headers, body).await?;
        Ok(Sent { status: answer.status, body: answer.body })
    }

    /// The consumer's record of this callback; nothing where none is promised and the queue has nothing left.
    pub(super) async fn outcome_of(&self, step: &Step, sent: &Sent) -> Value {
        let seen_before = step.ends.is_none();
        let deadline = SystemClock.now().plus(PATIENCE);
        loop {
            let record = sent.receipt_id().filter(|_| !seen_before).and_then(|id| self.settled(id));
            if let Some(record) = record {
                return record;
            }
            let idle = seen_before && self.queues.callbacks.messages().is_empty();
            if idle || SystemClock.now() >= deadline {
                return Value::Null;
            }
            SystemClock.sleep(Duration::from_millis(5)).await;
        }
    }

    fn settled(&self, receipt_id: &str) -> Option<Value> {
        let records = self.recorder.records();
        let is_it = |record: &&Value| {
            record["receipt_id"] == receipt_id
                && record["code"].as_str().is_some_and(|code| code.starts_with("IDV2") || code == SENDER_TEST)
        };
        records.iter().find(is_it).cloned()
    }

    /// What an auditor would find: is the trail whole, and did every accepted callback end?
    pub(super) fn audited(&self) -> (Checked, Reconciled) {
        let (mut verifier, mut reconciliation) = (Verifier::default(), Reconciliation::default());
        for (line, record) in (1..).zip(self.recorder.lines()) {
            verifier.read(Place { source: "demo", line }, &record);
            if let Some(entry) = Entry::read(&record) {
                reconciliation.read(&entry);
            }
        }
        (verifier.finish(&[]), reconciliation.finish(&[], false))
    }

    pub(super) fn status_of(&self, username: &str) -> Option<&'static str> {
        self.pool.users().iter().find(|user| user.username == username).map(|user| user.status)
    }

    pub(super) fn statuses(&self) -> Vec<Vec<String>> {
        self.pool.users().into_iter().map(|user| vec![user.username, user.status.to_owned()]).collect()
    }

    pub(super) fn attribute_rows(&self) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        for user in self.pool.users() {
            let custom = user.attributes.iter().filter(|(name, _)| name.starts_with("custom:"));
            for (index, (name, value)) in custom.enumerate() {
                let first = |text: &str| if index == 0 { text.to_owned() } else { String::new() };
                rows.push(vec![first(&user.username), first(user.status), name.clone(), value.clone()]);
            }
        }
        rows
    }

    pub(super) fn users(&self) -> Vec<Value> {
        self.pool.users().iter().map(|user| user_json(self.pool.id(), user)).collect()
    }

    pub(super) fn dead_letters(&self) -> Vec<Value> {
        self.queues.dead_letters.messages().iter().map(|letter| json!(dead_letter(letter))).collect()
    }
}
