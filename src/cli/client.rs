//! The HTTP client that posts callbacks.

use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::output::Failure;

/// How long an answer may take: what senders wait at most.
const PATIENCE: Duration = Duration::from_secs(15);

/// How much of an answer is read.
const MAXIMUM_ANSWER_BYTES: usize = 64 * 1024;

/// A client that keeps its connections.
#[derive(Clone)]
pub(super) enum Poster {
    /// For `http`: works where the machine has no root certificates.
    Plain(Client<HttpConnector, Full<Bytes>>),
    /// For `https`, with the machine's root certificates.
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

/// What came back.
pub(super) struct Answered {
    pub(super) status: u16,
    /// The body, if it is JSON.
    pub(super) body: Value,
}

impl Poster {
    pub(super) fn new(url: &Uri) -> Result<Self, Failure> {
        let client = Client::builder(TokioExecutor::new());
        match url.scheme_str() {
            Some("http") => Ok(Self::Plain(client.build(HttpConnector::new()))),
            Some("https") => {
                let connector = HttpsConnectorBuilder::new().with_native_roots().map_err(|error| {
                    Failure::unreachable(format!("the system's root certificates: {error}"))
                })?;
                Ok(Self::Tls(client.build(connector.https_only().enable_http1().build())))
            }
            _ => Err(Failure::usage(format!("{url} must begin with http:// or https://"))),
        }
    }

    pub(super) async fn post(
        &self,
        url: &Uri,
        headers: &[(String, String)],
        body: Vec<u8>,
    ) -> Result<Answered, Failure> {
        let mut request = Request::builder().method(Method::POST).uri(url.clone());
        request = request.header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::from(body));
        let request =
            request.map_err(|error| Failure::usage(format!("the request cannot be built: {error}")))?;
        let answer = match self {
            Self::Plain(client) => client.request(request),
            Self::Tls(client) => client.request(request),
        };
        let answer = tokio::time::timeout(PATIENCE, answer).await;
        let answer = answer.map_err(|_| Failure::unreachable(format!("{url}: no answer in 15 s")))?;
        let answer = answer.map_err(|error| Failure::unreachable(format!("{url}: {}", chain(&error))))?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), MAXIMUM_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| Failure::unreachable(format!("{url}: {error}")))?.to_bytes();
        Ok(Answered { status, body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
    }
}

/// The error and what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
