//! A function's process under a Lambda Runtime API, and what the kernel says of it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};

use crate::aws::Aws;
use crate::messages::POOL;

pub(crate) struct Function {
    child: Child,
    started: Instant,
    runtime: Arc<Runtime>,
}

/// One cold start.
pub(crate) struct Sample {
    /// From exec to the first request for an event.
    pub(crate) next: Duration,
    /// From exec to the first answer.
    pub(crate) answer: Duration,
    /// The CPU time up to there.
    pub(crate) cpu: Duration,
    /// The connections to AWS up to there.
    pub(crate) connections: usize,
}

struct Runtime {
    events: mpsc::UnboundedSender<(String, Value)>,
    waiting: tokio::sync::Mutex<mpsc::UnboundedReceiver<(String, Value)>>,
    answers: Mutex<HashMap<String, oneshot::Sender<(Instant, Bytes)>>>,
    first_next: Mutex<Option<Instant>>,
    count: Mutex<usize>,
}

impl Function {
    pub(crate) async fn start(command: &[String], aws: &Aws, more: &[(&str, &str)]) -> Self {
        let (events, waiting) = mpsc::unbounded_channel();
        let runtime = Arc::new(Runtime {
            events,
            waiting: tokio::sync::Mutex::new(waiting),
            answers: Mutex::default(),
            first_next: Mutex::default(),
            count: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = listener.local_addr().unwrap().to_string();
        let shared = Arc::clone(&runtime);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let runtime = Arc::clone(&shared);
                let service = service_fn(move |request| answer(Arc::clone(&runtime), request));
                let server = hyper::server::conn::http1::Builder::new();
                // A function that ends breaks its connection.
                tokio::spawn(
                    async move { drop(server.serve_connection(TokioIo::new(stream), service).await) },
                );
            }
        });
        aws.connections();
        let started = Instant::now();
        let child = Command::new(&command[0])
            .args(&command[1..])
            .env_clear()
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", api.as_str()),
                ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
                ("AWS_REGION", "us-east-1"),
                ("AWS_DEFAULT_REGION", "us-east-1"),
                ("AWS_ACCESS_KEY_ID", "bench"),
                ("AWS_SECRET_ACCESS_KEY", "bench"),
                ("AWS_ENDPOINT_URL", &aws.url),
                ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &aws.secrets_url),
                ("AWS_CA_BUNDLE", aws.ca_bundle.to_str().unwrap()),
                ("IDV_QUEUE_URL", "https://sqs.us-east-1.amazonaws.com/1/idv.fifo"),
                ("IDV_DEAD_LETTER_QUEUE_URL", "https://sqs.us-east-1.amazonaws.com/1/dead.fifo"),
                ("IDV_KEY_RING_SECRET_ID", "idv/key-ring"),
                ("IDV_USER_POOL_IDS", POOL),
                ("IDV_BINDING", "optional"),
                ("PATH", "/usr/bin:/bin"),
                ("LAMBDA_TASK_ROOT", concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers")),
                ("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers")),
                ("PYTHONDONTWRITEBYTECODE", "1"),
            ])
            .envs(more.iter().copied())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { child, started, runtime }
    }

    pub(crate) async fn first_answer(&self, event: Value, aws: &Aws) -> Sample {
        let answered = self.invoke(event).await;
        let next = self.runtime.first_next.lock().unwrap().unwrap();
        Sample {
            next: next - self.started,
            answer: answered - self.started,
            cpu: self.cpu(),
            connections: aws.connections(),
        }
    }

    /// Hands over one event; tells when the answer was there.
    pub(crate) async fn invoke(&self, event: Value) -> Instant {
        let id = {
            let mut count = self.runtime.count.lock().unwrap();
            *count += 1;
            count.to_string()
        };
        let (sender, receiver) = oneshot::channel();
        self.runtime.answers.lock().unwrap().insert(id.clone(), sender);
        self.runtime.events.send((id, event)).unwrap();
        let answer =
            tokio::time::timeout(Duration::from_secs(60), receiver).await.expect("no answer in a minute");
        let (at, body) = answer.unwrap();
        let answer: Value = serde_json::from_slice(&body).unwrap();
        let good = answer["statusCode"] == 202
            || answer["batchItemFailures"] == serde_json::json!([])
            || answer["triggerSource"].is_string();
        assert!(good, "{answer}");
        at
    }

    /// The CPU time of all its threads so far, those that have ended included.
    pub(crate) fn cpu(&self) -> Duration {
        let pid = self.child.id().unwrap();
        let alive = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        let alive = alive.filter_map(|thread| {
            let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        // Exact for the living; the process's own count has steps of 10 ms, and the dead as well.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let after_name = stat.rsplit(") ").next().unwrap().split(' ');
        let ticks: u64 = after_name.skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        let (exact, coarse) = (Duration::from_nanos(alive.sum()), Duration::from_millis(ticks * 10));
        if coarse > exact + Duration::from_millis(20) { coarse } else { exact }
    }

    /// The most memory it has had, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }
}

async fn answer(
    runtime: Arc<Runtime>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    if request.method() == Method::GET {
        runtime.first_next.lock().unwrap().get_or_insert_with(Instant::now);
        let (id, event) = runtime.waiting.lock().await.recv().await.unwrap();
        let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(60);
        let response = Response::builder()
            .header("lambda-runtime-aws-request-id", id)
            .header("lambda-runtime-deadline-ms", deadline.as_millis().to_string())
            .header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:1:function:bench")
            .header("lambda-runtime-trace-id", "Root=1-67891233-abcdef012345678912345678")
            .header("content-type", "application/json")
            .body(Full::from(event.to_string()));
        return Ok(response.unwrap());
    }
    let id = path.split('/').rev().nth(1).unwrap_or_default().to_owned();
    let body =
        request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    if let Some(waiting) = runtime.answers.lock().unwrap().remove(&id) {
        // Nobody waits any more where the minute is over.
        drop(waiting.send((Instant::now(), body)));
    }
    Ok(Response::builder().status(202).body(Full::default()).unwrap())
}
