//! An operator at a stack that runs: what they type, and what comes back.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use idv_callback::aws::{AwsConnection, CallLimits, MessageQueue, SqsQueue};
use idv_callback::ports::{CallbackQueue as _, OutgoingMessage};
use idvctl::embedded::{CALLBACK_QUEUE, DEAD_LETTER_QUEUE};
use idvctl::ports::DeadLetterStore as _;
use serde_json::{Value, json};

use crate::support::aws_endpoint::environment;
use crate::support::dev::Dev;
use crate::support::world::{World, approval, with_metadata};

/// A stack that runs, and what an operator types.
pub(crate) struct Operator {
    pub(crate) dev: Dev,
    pub(crate) held: std::sync::Mutex<Vec<String>>,
}

impl Operator {
    pub(crate) fn new(environment: &[(&str, &str)]) -> Self {
        Self { dev: Dev::start(environment), held: std::sync::Mutex::default() }
    }

    /// With more arguments to `dev`.
    pub(crate) fn listening(arguments: &[&str]) -> Self {
        Self {
            dev: Dev::listening(&[&["127.0.0.1:0"], arguments].concat(), &[]),
            held: std::sync::Mutex::default(),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.dev.folder.path()
    }

    pub(crate) fn idvctl(&self, arguments: &[&str]) -> Output {
        self.idvctl_as("olga", arguments)
    }

    pub(crate) fn idvctl_as(&self, who: &str, arguments: &[&str]) -> Output {
        self.command(arguments).env("USER", who).output().unwrap()
    }

    /// In a shell that says this.
    pub(crate) fn idvctl_in(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Output {
        self.command(arguments).envs(environment.iter().copied()).output().unwrap()
    }

    /// Without a stack.
    pub(crate) fn idvctl_alone(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_idvctl"))
            .args(arguments)
            .current_dir(self.folder())
            .output()
            .unwrap()
    }

    /// Beside whatever else happens.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// The same, without naming the stack.
    pub(crate) fn start_alone(&self, arguments: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_idvctl"));
        command
            .args(arguments)
            .current_dir(self.folder())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let local = format!("--local={}", self.dev.url);
        let mut command = Command::new(env!("CARGO_BIN_EXE_idvctl"));
        command.args(arguments).arg(local).current_dir(self.folder()).env("USER", "olga");
        let shows_records = arguments.iter().find(|word| !word.starts_with('-')) == Some(&"watch");
        if !shows_records {
            command.args(["--keys", "ring.json"]);
        }
        command
    }

    pub(crate) fn switch_consumer(&self, on: bool) {
        let (status, _) = self.dev.local("POST", "/_local/consumer", &json!({ "enabled": on }).to_string());
        assert_eq!(status, 200);
    }

    /// A letter that died of a fault that is fixed by now: what the callback function sealed, in the dead-letter queue.
    pub(crate) async fn put(&self, callback: &Value) {
        self.put_as(callback, "confirm_refused").await;
    }

    /// The same, of this reason.
    pub(crate) async fn put_as(&self, callback: &Value, reason: &str) {
        let body = callback.to_string().into_bytes();
        let world = World::new();
        world.leaves_messages();
        let id = callback["event_id"].as_str().unwrap();
        let answer = world.intake().answer(&world.signed(id, &body), world.deadline(10)).await;
        assert_eq!(answer.status, 202);
        let message = world.queues.callbacks.messages().pop().unwrap();
        let connection =
            AwsConnection::of_function(&environment(&self.dev.url), CallLimits::CALLBACK).unwrap();
        let queue = SqsQueue::new(&connection, &format!("{}/local/{DEAD_LETTER_QUEUE}", self.dev.url));
        let attributes =
            [("idv-reason", reason), ("idv-detail", "AdminConfirmSignUp: UserLambdaValidationException")];
        let letter = OutgoingMessage {
            body: message.body,
            group_id: message.group_id,
            deduplication_id: id.to_owned(),
            attributes: attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        };
        queue.send(letter).await.unwrap();
    }

    fn queues(&self) -> MessageQueue {
        let connection =
            AwsConnection::of_function(&environment(&self.dev.url), CallLimits::CALLBACK).unwrap();
        let url = |name: &str| format!("{}/local/{name}", self.dev.url);
        MessageQueue::new(&connection, &url(CALLBACK_QUEUE), &url(DEAD_LETTER_QUEUE))
    }

    /// Somebody else looks, and holds what they see.
    pub(crate) async fn hold_dead_letters(&self) {
        let held = self.queues().receive(std::time::Duration::from_secs(600)).await.unwrap();
        *self.held.lock().unwrap() = held.into_iter().map(|letter| letter.handle).collect();
    }

    pub(crate) async fn release_dead_letters(&self) {
        let handles = std::mem::take(&mut *self.held.lock().unwrap());
        self.queues().release(&handles).await.unwrap();
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let output = self.idvctl(&[&["--json", "dlq"], arguments].concat());
        let text = String::from_utf8_lossy(&output.stdout);
        let value = serde_json::from_str(&text);
        let complaint = String::from_utf8_lossy(&output.stderr);
        (
            output.status.code().unwrap(),
            value.unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}{complaint}")),
        )
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder().join(name)).unwrap()
    }

    pub(crate) fn post(&self, callback: &Value) {
        let file = self.folder().join("callback.json");
        std::fs::write(&file, callback.to_string()).unwrap();
        let url = format!("{}/idv-callback", self.dev.url);
        let sent = Command::new(env!("CARGO_BIN_EXE_idvctl"))
            .args(["send", "--url", &url, "--keys", "ring.json", "--body", file.to_str().unwrap()])
            .current_dir(self.folder())
            .output()
            .unwrap();
        assert!(sent.status.success(), "{sent:?}");
    }

    /// Waits until so many are dead.
    pub(crate) fn dead(&self, count: u64) {
        for _ in 0..100 {
            if self.json(&["list"]).1["dead_letters"] == count {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("{count} dead letters were expected: {}", self.json(&["list"]).1);
    }
}

pub(crate) fn local(username: &str, event_id: &str, at: u32) -> Value {
    with_metadata(approval(username, event_id, at), "cognito_user_pool", json!("us-east-1_LocalPool"))
}
