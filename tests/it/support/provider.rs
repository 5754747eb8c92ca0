//! 1Kosmos, played by `tests/onekosmos/server.py`, which misbehaves on demand.

use std::process::Stdio;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

pub(crate) const API_KEY: &str = "the-key-for-the-api-of-1kosmos";

/// The path of a call, as `control` names it.
pub(crate) const OPEN: &str = "POST /v1/verify/sessions";
pub(crate) const SESSION: &str = "GET /v1/verify/sessions";
pub(crate) const STEP_UP: &str = "POST /v1/auth/stepup";
pub(crate) const ANSWER: &str = "GET /v1/auth/stepup";

pub(crate) struct OneKosmos {
    pub(crate) url: String,
    http: Client<HttpConnector, Full<Bytes>>,
    _process: Child,
}

impl OneKosmos {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(arguments: &[&str]) -> Self {
        let secret = crate::support::world::ring_secret();
        let script = crate::support::setup::repository().join("tests/onekosmos/server.py");
        let mut process = Command::new("python3")
            .arg(script)
            .args(["--port", "0", "--api-key", API_KEY, "--webhook-secret", &secret])
            .args(arguments)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("python3");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().expect("the server's address");
        let url = line.strip_prefix("listening on ").unwrap().to_owned();
        Self { url, http: Client::builder(TokioExecutor::new()).build_http(), _process: process }
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> Value {
        let (status, answer) = send(&self.http, method, &format!("{}{path}", self.url), body).await;
        assert_eq!(status, 200, "{path} {body}: {answer}");
        answer
    }

    /// How the next calls are answered.
    pub(crate) async fn control(&self, how: Value) {
        self.ask(Method::POST, "/_control", &how).await;
    }

    /// No orders any more.
    pub(crate) async fn behave(&self) {
        self.control(json!({ "reset": true })).await;
    }

    /// Decides as a person would.
    pub(crate) async fn decide(&self, what: Value) -> Value {
        self.ask(Method::POST, "/_decide", &what).await
    }

    /// The calls since the last time.
    pub(crate) async fn take_calls(&self) -> Vec<Value> {
        self.ask(Method::DELETE, "/_calls", &Value::Null).await.as_array().unwrap().clone()
    }

    /// The calls since the last time, as `POST /v1/verify/sessions`; ids are left out.
    pub(crate) async fn take_paths(&self) -> Vec<String> {
        let calls = self.take_calls().await;
        let plain = |call: &Value| {
            let path = call["path"].as_str().unwrap();
            let end = path.match_indices('/').nth(3).map_or(path.len(), |(at, _)| at);
            format!("{} {}", call["method"].as_str().unwrap(), &path[..end])
        };
        calls.iter().map(plain).collect()
    }
}

/// A JSON request over plain HTTP.
pub(crate) async fn send(
    http: &Client<HttpConnector, Full<Bytes>>,
    method: Method,
    url: &str,
    body: &Value,
) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = Request::builder().method(method).uri(url).header("content-type", "application/json");
    let answer = http.request(request.body(Full::from(body)).unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}
