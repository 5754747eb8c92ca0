//! The binaries under a Runtime API that hands over any bytes and gives any answer: whatever comes is answered and recorded, and
//! what goes wrong on the way is told.

use std::collections::VecDeque;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use idv_callback::clock::SystemClock;
use idv_callback::lambda::HttpMessage;
use idv_callback::lambda::InvocationEvent;
use idvctl::embedded::{Reply, Site, serve};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::support::aws_endpoint::AwsEndpoint;
use crate::support::function::{aws, settings, signed_event};
use crate::support::world::{approval, with};

/// The private marker of `serde_json`'s `raw_value`, which no reader of ours may take for one of its own.
const MARKER: &str = "$serde_json::private::RawValue";

/// What was posted back: where to, and what.
type Posted = (String, String);

#[derive(Clone, Default)]
struct RuntimeApi {
    events: Arc<Mutex<VecDeque<String>>>,
    posted: Arc<Mutex<Vec<Posted>>>,
    /// What an answer of the function is answered with.
    status: Arc<Mutex<u16>>,
}

impl Site for RuntimeApi {
    async fn answer(&self, request: HttpMessage) -> Reply {
        if request.path.ends_with("/invocation/next") {
            loop {
                let event = self.events.lock().unwrap().pop_front();
                if let Some(body) = event {
                    let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
                    let headers = vec![
                        own("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd"),
                        own("lambda-runtime-deadline-ms", "4102444800000"),
                        own("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:1:function:f"),
                    ];
                    return Reply { status: 200, headers, body };
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        let body = String::from_utf8_lossy(&request.body).into_owned();
        self.posted.lock().unwrap().push((request.path.rsplit('/').next().unwrap().to_owned(), body));
        Reply::json(*self.status.lock().unwrap(), &json!({}))
    }
}

struct Running {
    api: RuntimeApi,
    child: Child,
    output: Arc<Mutex<String>>,
    server: Option<tokio::runtime::Runtime>,
    _endpoint: AwsEndpoint,
}

impl Running {
    async fn start(binary: &str, endpoint: AwsEndpoint, more: &[(&str, &str)]) -> Self {
        let api = RuntimeApi { status: Arc::new(Mutex::new(202)), ..RuntimeApi::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        // On a runtime of its own, which can go away with all its connections.
        let server =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = listener.into_std().unwrap();
        let site = Arc::new(api.clone());
        server.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            serve(listener, site, SystemClock, std::future::pending()).await;
        });
        let own = [
            ("AWS_LAMBDA_RUNTIME_API", address.as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", "f"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_REGION", "us-east-1"),
            ("IDV_PROVIDER_URL", "http://127.0.0.1:9"),
            ("IDV_PROVIDER_SECRET_ID", "idv/1kosmos"),
            ("IDV_CALLBACK_URL", "https://idv.example.com/idv-callback"),
            ("IDV_ALLOWED_ORIGIN", "https://app.example.com"),
        ];
        let mut child = Command::new(binary)
            .env_clear()
            .envs(settings(&endpoint.url, &[&own[..], more].concat()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let output: Arc<Mutex<String>> = Arc::default();
        let (mut stdout, printed) = (child.stdout.take().unwrap(), Arc::clone(&output));
        tokio::spawn(async move {
            let mut chunk = [0; 4096];
            while let Ok(bytes @ 1..) = stdout.read(&mut chunk).await {
                printed.lock().unwrap().push_str(&String::from_utf8_lossy(&chunk[..bytes]));
            }
        });
        Self { api, child, output, server: Some(server), _endpoint: endpoint }
    }

    /// Hands over these bytes; gives where the function posted to, and what.
    async fn invoke(&self, event: &str) -> Posted {
        let before = self.api.posted.lock().unwrap().len();
        self.api.events.lock().unwrap().push_back(event.to_owned());
        for _ in 0..2000 {
            if let Some(posted) = self.api.posted.lock().unwrap().get(before) {
                return posted.clone();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("no answer to {event}: {}", self.output());
    }

    fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// How many audit records were printed beside that of the start, as soon as there are so many.
    async fn records(&self, expected: usize) -> usize {
        let count = || {
            let output = self.output();
            output.lines().filter(|line| line.contains("idv-audit/") && !line.contains("IDV0001")).count()
        };
        for _ in 0..1000 {
            if count() >= expected {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        count()
    }

    /// The Runtime API goes away.
    fn go_away(&mut self) {
        self.server.take().unwrap().shutdown_background();
    }

    async fn prints(&self, words: &[&str]) {
        for _ in 0..2000 {
            if words.iter().all(|word| self.output().contains(word)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{words:?} are not all in {}", self.output());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.server.is_some() {
            self.go_away();
        }
    }
}

/// AWS as the functions need it, with the key for 1Kosmos' API.
async fn working() -> AwsEndpoint {
    let rest = aws(&["ada"]);
    AwsEndpoint::answering(move |asked| {
        if asked.body["SecretId"] == "idv/1kosmos" {
            return Some((200, json!({ "SecretString": "{\"api_key\":\"k\"}" })));
        }
        rest(asked)
    })
    .await
}

/// The event with what a stranger can write into any of it: in each of these places the marker as a name, and a text that is no
/// Unicode.
fn poisoned(event: &Value, pointers: &[&str]) -> Vec<String> {
    let mut events = Vec::new();
    for pointer in pointers {
        for (name, value) in [(MARKER, json!("1")), (MARKER, json!({ "x": [1] })), ("x", json!("LONE"))] {
            let mut poisoned = event.clone();
            let (parent, member) = pointer.rsplit_once('/').unwrap();
            let place = &mut poisoned.pointer_mut(parent).unwrap()[member];
            if !place.is_object() {
                *place = json!({});
            }
            place[name] = value;
            events.push(poisoned.to_string().replace("\"LONE\"", "\"\\ud800\""));
        }
    }
    events
}

/// Whoever writes into an event cannot keep it from being answered.
#[tokio::test]
async fn whatever_lambda_hands_over_gets_an_answer_and_a_record() {
    let http =
        ["/queryStringParameters", "/multiValueQueryStringParameters", "/headers", "/requestContext/x"];
    let signed = signed_event(approval("ada", "evt_1", 0).to_string().as_bytes());
    let session = json!({
        "resource": "/idv-session", "path": "/idv-session", "httpMethod": "POST", "headers": {},
        "requestContext": {}, "body": "{}", "isBase64Encoded": false,
    });
    let define = json!({
        "version": "1", "triggerSource": "DefineAuthChallenge_Authentication", "region": "us-east-1",
        "userPoolId": crate::support::world::POOL, "userName": "ada", "callerContext": {},
        "request": { "userAttributes": {}, "session": [], "userNotFound": true }, "response": {},
    });
    let sign_up = with(define.clone(), "triggerSource", json!("PreSignUp_SignUp"));
    let sign_up = with(sign_up, "request", json!({ "userAttributes": { "custom:ial": "3" } }));
    let batch = json!({ "Records": [], "x": {} });
    let passing = with(define.clone(), "triggerSource", json!("PostConfirmation_ConfirmSignUp"));
    let metadata = ["/request/clientMetadata", "/request/validationData", "/request/userAttributes"];
    for (binary, event, pointers, answer) in [
        (env!("CARGO_BIN_EXE_callback"), signed.clone(), &http[..2], "\"statusCode\":202"),
        (env!("CARGO_BIN_EXE_callback"), json!({}), &["/x"], "\"statusCode\":404"),
        (env!("CARGO_BIN_EXE_session"), session, &http[..], "\"statusCode\":415"),
        (env!("CARGO_BIN_EXE_triggers"), define, &metadata, "\"failAuthentication\":true"),
        (env!("CARGO_BIN_EXE_triggers"), passing, &metadata, "PostConfirmation"),
        (env!("CARGO_BIN_EXE_triggers"), sign_up, &metadata[..2], "These details cannot be used"),
        (env!("CARGO_BIN_EXE_consumer"), batch, &["/x", "/Records/x"][..1], "\"batchItemFailures\":[]"),
    ] {
        let running = Running::start(binary, working().await, &[]).await;
        let events = poisoned(&event, pointers);
        for event in &events {
            let (_, posted) = running.invoke(event).await;
            assert!(posted.contains(answer), "{binary} {event}: {posted} {}", running.output());
        }
        // A trigger that is not ours, and a batch of nothing, have nothing to tell.
        let nothing = answer.contains("PostConfirmation") || answer.contains("batchItemFailures");
        let expected = if nothing { 0 } else { events.len() };
        assert_eq!(running.records(expected).await, expected, "{binary} {}", running.output());
        let output = running.output();
        assert!(!output.contains("deserialization"), "{output}");
    }
    // An answer goes back as it came: also what nobody here reads.
    let event =
        format!(r#"{{"triggerSource":"Other","request":{{"{MARKER}":"1","n":1e2}},"response":null}}"#);
    let running = Running::start(env!("CARGO_BIN_EXE_triggers"), working().await, &[]).await;
    let (path, posted) = running.invoke(&event).await;
    assert_eq!(path, "response");
    assert!(posted.contains("\"triggerSource\":\"Other\"") && posted.contains(MARKER), "{posted}");
}

/// Any JSON text is read.
#[test]
fn every_event_is_read() {
    for text in [r#""\udfff""#, "1e999", "[[[]]]", "null", r#"{"a":1,"a":2}"#, r#"{"\ud83d":"\ud83d\ude00"}"#]
    {
        let event: InvocationEvent = serde_json::from_slice(text.as_bytes()).unwrap();
        drop(event.read());
    }
}

/// A load balancer, a function URL and API Gateway are front doors; VPC Lattice is not, and is told so.
#[tokio::test]
async fn a_front_door_that_is_not_supported_is_named() {
    let running = Running::start(env!("CARGO_BIN_EXE_callback"), working().await, &[]).await;
    for event in [
        json!({ "version": "2.0", "path": "/idv-callback", "method": "POST", "headers": { "host": ["x"] },
                "requestContext": { "serviceNetworkArn": "arn:aws:vpc-lattice:x", "timeEpoch": "1" }, "body": "{}" }),
        json!({ "raw_path": "/idv-callback", "method": "POST", "headers": {}, "query_string_parameters": {}, "body": "{}" }),
    ] {
        let (_, posted) = running.invoke(&event.to_string()).await;
        assert!(posted.contains("\"statusCode\":501") && posted.contains("VPC Lattice"), "{posted}");
        running.prints(&["unsupported_event"]).await;
    }
}

/// Every line of the programs themselves is told, not only the library's.
#[tokio::test]
async fn what_the_programs_say_is_told() {
    let refusing = || {
        AwsEndpoint::answering(|asked| {
            let ring = asked.target.ends_with("GetSecretValue") && asked.body["SecretId"] == "idv/key-ring";
            Some(if ring {
                (200, json!({ "SecretString": crate::support::world::RING }))
            } else {
                (400, json!({ "__type": "AccessDeniedException", "message": "CANARY" }))
            })
        })
    };
    for (binary, target, line) in [
        (env!("CARGO_BIN_EXE_callback"), "callback", "the queue could not be asked"),
        (env!("CARGO_BIN_EXE_consumer"), "consumer", "the user pool could not be asked"),
        (env!("CARGO_BIN_EXE_triggers"), "triggers", "the key for 1Kosmos' API could not be fetched"),
        (env!("CARGO_BIN_EXE_session"), "session", "the key for 1Kosmos' API could not be fetched"),
    ] {
        let running = Running::start(binary, refusing().await, &[]).await;
        running.prints(&[line, &format!("\"target\":\"{target}\"")]).await;
        assert!(!running.output().contains("CANARY"));
    }
    let versions = [
        ("IDV_CALLBACK_VERSION", "arn:aws:lambda:us-east-1:1:function:c:1"),
        ("IDV_CONSUMER_VERSION", "arn:aws:lambda:us-east-1:1:function:d:1"),
    ];
    let running = Running::start(env!("CARGO_BIN_EXE_pretraffic"), refusing().await, &versions).await;
    running.invoke(r#"{"DeploymentId":"d-1","LifecycleEventHookExecutionId":"e"}"#).await;
    running.prints(&["a new version is not fit", "\"target\":\"pretraffic\""]).await;
}

/// The log says "accepted", and the sender got an error: the runtime's own warning is the only trace of that.
#[tokio::test]
async fn an_answer_that_lambda_does_not_take_is_told() {
    for status in [413, 410] {
        let running = Running::start(env!("CARGO_BIN_EXE_callback"), working().await, &[]).await;
        *running.api.status.lock().unwrap() = status;
        running.invoke(&signed_event(b"{}").to_string()).await;
        running.prints(&["Lambda Runtime API returned non-200 response", &status.to_string()]).await;
    }
    let more = [("AWS_LAMBDA_MAX_CONCURRENCY", "4")];
    let running = Running::start(env!("CARGO_BIN_EXE_callback"), working().await, &more).await;
    running.prints(&["AWS_LAMBDA_MAX_CONCURRENCY", "running sequentially"]).await;
}

#[tokio::test]
async fn a_batch_that_is_none_and_a_queue_that_is_not_fifo_are_told() {
    let running = Running::start(env!("CARGO_BIN_EXE_consumer"), working().await, &[]).await;
    let (path, _) = running.invoke(r#"{"Records":"CANARY"}"#).await;
    assert_eq!(path, "error", "the whole of it comes back");
    running.prints(&["the batch fails as a whole", "not one of an SQS queue"]).await;
    // A standard queue with groups has no sequence numbers.
    let record = json!({ "messageId": "m", "receiptHandle": "r", "body": "x", "attributes": { "MessageGroupId": "g", "ApproximateReceiveCount": "1" } });
    running.invoke(&json!({ "Records": [record] }).to_string()).await;
    running.prints(&["the event source must be a FIFO queue"]).await;
    assert!(!running.output().contains("CANARY"));
}

#[tokio::test]
async fn that_the_runtime_api_went_away_is_no_failure_to_start() {
    let mut running = Running::start(env!("CARGO_BIN_EXE_callback"), working().await, &[]).await;
    running.invoke(&signed_event(b"{}").to_string()).await;
    running.go_away();
    let ended = tokio::time::timeout(Duration::from_secs(30), running.child.wait()).await.unwrap().unwrap();
    assert!(!ended.success());
    running.prints(&["the Lambda Runtime API cannot be reached any more"]).await;
    assert!(!running.output().contains("could not start"), "{}", running.output());
}
