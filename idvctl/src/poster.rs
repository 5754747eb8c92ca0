//! Posting callbacks.

use std::time::Duration;

use http_body_util::Full;
use hyper::{Method, Request, Uri};
use idv_callback::http_client::{HttpClient, HttpError};
use serde_json::Value;

use crate::output::Failure;

/// How long an answer may take: what senders wait at most.
const PATIENCE: Duration = Duration::from_secs(15);

/// How much of an answer is read.
const MAXIMUM_ANSWER_BYTES: usize = 64 * 1024;

/// A client that posts callbacks.
#[derive(Clone)]
pub(crate) struct Poster(HttpClient);

/// What came back.
pub(crate) struct HttpAnswer {
    pub(crate) status: u16,
    /// The body, if it is JSON.
    pub(crate) body: Value,
}

impl Poster {
    pub(crate) fn new(url: &Uri) -> Result<Self, Failure> {
        let known = matches!(url.scheme_str(), Some("http" | "https"));
        let failure = if known { Failure::unreachable } else { Failure::usage };
        HttpClient::new(url).map(Self).map_err(failure)
    }

    pub(crate) async fn post(
        &self,
        url: &Uri,
        headers: &[(String, String)],
        body: Vec<u8>,
    ) -> Result<HttpAnswer, Failure> {
        let mut request = Request::builder().method(Method::POST).uri(url.clone());
        request = request.header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::from(body));
        let request =
            request.map_err(|error| Failure::usage(format!("the request cannot be built: {error}")))?;
        let answer = tokio::time::timeout(PATIENCE, self.0.send(request, MAXIMUM_ANSWER_BYTES)).await;
        let answer = answer.map_err(|_| Failure::unreachable(format!("{url}: no answer in 15 s")))?;
        let (status, body) = answer.map_err(|error| {
            let (HttpError::NoAnswer(text) | HttpError::CutOff(text)) = error;
            Failure::unreachable(format!("{url}: {text}"))
        })?;
        Ok(HttpAnswer { status: status.as_u16(), body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
    }
}
