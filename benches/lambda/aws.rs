//! SQS, Cognito and Secrets Manager over TLS, as far as the functions call them.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::messages::RING;

pub(crate) struct Aws {
    pub(crate) url: String,
    /// Secrets Manager has a host of its own, as in AWS: nobody gets by with one connection.
    pub(crate) secrets_url: String,
    pub(crate) ca_bundle: PathBuf,
    state: Arc<State>,
    _folder: tempfile::TempDir,
}

#[derive(Default)]
struct State {
    latency: Duration,
    quota: Option<usize>,
    calls: AtomicUsize,
    connections: AtomicUsize,
    throttled: AtomicUsize,
    held: Mutex<(Duration, u32)>,
    updates: Mutex<VecDeque<Instant>>,
}

impl Aws {
    /// `latency` is Cognito's, and `quota` how many writes it takes in a second.
    pub(crate) async fn start(latency: Duration, quota: Option<usize>) -> Self {
        let certified =
            rcgen::generate_simple_self_signed(["localhost", "127.0.0.1"].map(str::to_owned)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let ca_bundle = folder.path().join("ca.pem");
        std::fs::write(&ca_bundle, certified.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key);
        let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = format!("https://localhost:{port}");
        let secrets_url = format!("https://127.0.0.1:{port}");
        let state = Arc::new(State { latency, quota, ..State::default() });
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::Relaxed);
                // As AWS does it: without this an answer waits 40 ms for the other side's delayed acknowledgement.
                stream.set_nodelay(true).unwrap();
                let (acceptor, state) = (acceptor.clone(), Arc::clone(&shared));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(|request| answer(Arc::clone(&state), request));
                    let server = hyper::server::conn::http1::Builder::new();
                    // A function that ends breaks its connections.
                    drop(server.serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        Self { url, secrets_url, ca_bundle, state, _folder: folder }
    }

    pub(crate) fn calls(&self) -> usize {
        self.state.calls.load(Ordering::Relaxed)
    }

    /// Connections opened since the last time.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.swap(0, Ordering::Relaxed)
    }

    /// How long Cognito's calls took here on average: a timer is a millisecond late as a rule.
    pub(crate) fn mean_latency(&self) -> Duration {
        let (total, count) = *self.state.held.lock().unwrap();
        total / count.max(1)
    }

    pub(crate) fn throttled(&self) -> usize {
        self.state.throttled.load(Ordering::Relaxed)
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    state.calls.fetch_add(1, Ordering::Relaxed);
    let target =
        request.headers().get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let call = target.rsplit('.').next().unwrap_or_default().to_owned();
    if request.uri().path() == "/v1/verify/sessions" {
        let opened = json!({ "session_id": "vs_1", "session_url": "https://acme.1kosmos.example/s/1" });
        return Ok(Response::builder().status(201).body(Full::from(opened.to_string())).unwrap());
    }
    let body =
        request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let asked: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    if call.starts_with("Admin") {
        let start = Instant::now();
        tokio::time::sleep(state.latency).await;
        let mut held = state.held.lock().unwrap();
        *held = (held.0 + start.elapsed(), held.1 + 1);
    }
    let (status, said) = match call.as_str() {
        "GetSecretValue" if asked["SecretId"] == "idv/1kosmos" => {
            (200, json!({ "SecretString": r#"{"api_key":"a-key-for-the-api-of-1kosmos"}"# }))
        }
        "GetSecretValue" => (200, json!({ "SecretString": RING })),
        "SendMessage" => (200, json!({ "MessageId": "m", "SequenceNumber": "1" })),
        "AdminGetUser" => (
            200,
            json!({
                "Username": asked["Username"], "UserStatus": "UNCONFIRMED", "UserAttributes": [],
                "UserCreateDate": 1_795_341_600.0, "UserLastModifiedDate": 1_795_341_600.0, "Enabled": true,
            }),
        ),
        "AdminUpdateUserAttributes" if state.is_throttled() => {
            (400, json!({ "__type": "TooManyRequestsException", "message": "Too many requests" }))
        }
        _ => (200, json!({})),
    };
    let response = Response::builder().status(status).header("content-type", "application/x-amz-json-1.0");
    Ok(response.body(Full::from(said.to_string())).unwrap())
}

impl State {
    /// Counts a write against the quota, where there is one: so many in any second.
    fn is_throttled(&self) -> bool {
        let Some(quota) = self.quota else { return false };
        let mut updates = self.updates.lock().unwrap();
        let now = Instant::now();
        updates.retain(|at| now - *at < Duration::from_secs(1));
        updates.push_back(now);
        // One more than the quota: the requests' ways here do not all take the same time.
        let throttled = updates.len() > quota + 1;
        if throttled {
            self.throttled.fetch_add(1, Ordering::Relaxed);
        }
        throttled
    }
}
