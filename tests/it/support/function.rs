//! A function as Lambda runs it: its binary under a Lambda Runtime API.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use idv_callback::lambda::{HttpMessage, rest_event};
use idv_callback::ports::Clock as _;
use lambda_simulator::{InvocationBuilder, InvocationStatus, Simulator};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

use crate::support::aws_endpoint::{Asked, Said};
use crate::support::world::{POOL, RING, request};

pub(crate) const QUEUE: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/idv.fifo";
pub(crate) const DEAD_LETTERS: &str =
    "https://sqs.us-east-1.amazonaws.com/123456789012/idv-dead-letters.fifo";

/// A function: its process, the runtime that drives it, and all that it prints.
pub(crate) struct Function {
    pub(crate) simulator: Simulator,
    pub(crate) child: Child,
    output: Arc<Mutex<String>>,
}

impl Function {
    pub(crate) async fn start(binary: &str, environment: &[(&str, &str)]) -> Self {
        let simulator = Simulator::builder().build().await.unwrap();
        let mut command = Command::new(binary);
        command.env_clear().envs(simulator.lambda_env_vars()).envs(environment.iter().copied());
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let output = Arc::default();
        collect(child.stdout.take().unwrap(), Arc::clone(&output));
        collect(child.stderr.take().unwrap(), Arc::clone(&output));
        Self { simulator, child, output }
    }

    pub(crate) async fn invoke(&self, event: Value) -> Result<Value, Value> {
        self.invoke_within(event, 60_000).await
    }

    pub(crate) async fn invoke_within(&self, event: Value, milliseconds: u64) -> Result<Value, Value> {
        let invocation = InvocationBuilder::new().payload(event).timeout_ms(milliseconds).build().unwrap();
        let id = self.simulator.enqueue(invocation).await;
        let state = self.simulator.wait_for_invocation_complete(&id, Duration::from_secs(60)).await.unwrap();
        match (state.status, state.response, state.error) {
            (InvocationStatus::Success, Some(response), _) => Ok(response.payload),
            (_, _, error) => Err(json!(error)),
        }
    }

    pub(crate) fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// The audit records it has printed.
    pub(crate) fn records(&self) -> Vec<Value> {
        let output = self.output();
        let lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["schema"] == "idv-audit/1").collect()
    }
}

fn collect(mut stream: impl tokio::io::AsyncRead + Unpin + Send + 'static, output: Arc<Mutex<String>>) {
    tokio::spawn(async move {
        let mut chunk = [0; 4096];
        while let Ok(bytes @ 1..) = stream.read(&mut chunk).await {
            output.lock().unwrap().push_str(&String::from_utf8_lossy(&chunk[..bytes]));
        }
    });
}

pub(crate) fn settings<'a>(url: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut all = vec![
        ("AWS_ENDPOINT_URL", url),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("IDV_QUEUE_URL", QUEUE),
        ("IDV_DEAD_LETTER_QUEUE_URL", DEAD_LETTERS),
        ("IDV_KEY_RING_SECRET_ID", "idv/key-ring"),
        ("IDV_USER_POOL_IDS", POOL),
        ("IDV_BINDING", "optional"),
    ];
    all.extend(more);
    all
}

/// AWS, with the users that a test knows.
pub(crate) fn aws(users: &'static [&'static str]) -> impl Fn(&Asked) -> Option<Said> + Send + Sync {
    move |asked| {
        let call = asked.target.rsplit('.').next().unwrap_or_default();
        let known = users.contains(&asked.body["Username"].as_str().unwrap_or_default());
        Some(match call {
            "GetSecretValue" => (200, json!({ "SecretString": RING })),
            "SendMessage" => (200, json!({ "MessageId": "m", "MD5OfMessageBody": "x" })),
            "GetQueueAttributes" => (200, json!({ "Attributes": { "FifoQueue": "true" } })),
            "AdminGetUser" if known => (
                200,
                json!({
                    "Username": asked.body["Username"],
                    "UserStatus": "UNCONFIRMED", "Enabled": true,
                    "UserCreateDate": 1_795_341_600.0,
                    "UserAttributes": [],
                }),
            ),
            "AdminGetUser" => {
                (400, json!({ "__type": "UserNotFoundException", "message": "User does not exist." }))
            }
            _ => (200, json!({})),
        })
    }
}

/// The REST event of a signed request.
pub(crate) fn signed_event(body: &[u8]) -> Value {
    let now = idv_callback::clock::SystemClock.now();
    let signed = request(&idv_callback::delivery::SignatureProfile::StandardWebhooks, "msg_1", now, body);
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature", "content-type"];
    let headers = names.map(|name| (name.to_owned(), signed.headers.single(name).unwrap().to_owned()));
    rest_event(&HttpMessage {
        method: "POST".to_owned(),
        path: "/idv-callback".to_owned(),
        headers: headers.into(),
        body: body.to_vec(),
        source_ip: "192.0.2.1".to_owned(),
        received_at: now,
    })
}

/// A program of this workspace, built beside the tests.
pub(crate) fn program(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests.parent().and_then(std::path::Path::parent).unwrap().join(name);
    assert!(path.exists(), "{} is not built: run `cargo build --workspace` first", path.display());
    path
}
