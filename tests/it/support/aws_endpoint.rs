//! A stand-in for AWS endpoints: says what it is told to say, and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use idv_callback::clock::SystemClock;
use idv_callback::config::Environment;
use idv_callback::lambda::HttpMessage;
use idvctl::embedded::{Reply, Site, serve};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A request that came, reduced to what an AWS JSON protocol call is.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// `AmazonSQS.SendMessage`
    pub(crate) target: String,
    /// For services that speak REST: `/2015-03-31/functions/f/invocations`
    pub(crate) path: String,
    pub(crate) body: Value,
    pub(crate) authorization: String,
}

/// An answer: status and body.
pub(crate) type Said = (u16, Value);

type Answers = Arc<dyn Fn(&Asked) -> Option<Said> + Send + Sync>;

#[derive(Clone)]
pub(crate) struct AwsEndpoint {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    queued: Arc<Mutex<VecDeque<Said>>>,
    answers: Answers,
}

impl AwsEndpoint {
    /// Answers from the queue of [`say`](Self::say); then `{}`.
    pub(crate) async fn start() -> Self {
        Self::answering(|_| None).await
    }

    /// Answers with the function; where that has none, from the queue.
    pub(crate) async fn answering(answers: impl Fn(&Asked) -> Option<Said> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let endpoint =
            Self { url, asked: Arc::default(), queued: Arc::default(), answers: Arc::new(answers) };
        tokio::spawn(serve(listener, Arc::new(endpoint.clone()), SystemClock, std::future::pending()));
        endpoint
    }

    pub(crate) fn say(&self, status: u16, body: Value) {
        self.queued.lock().unwrap().push_back((status, body));
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// What was asked since the last time.
    pub(crate) fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    pub(crate) fn environment(&self) -> Environment {
        environment(&self.url)
    }
}

/// The environment of a function whose AWS is here.
pub(crate) fn environment(url: &str) -> Environment {
    let url = url.to_owned();
    Environment::new(move |name| match name {
        "AWS_REGION" => Some("us-east-1".to_owned()),
        "AWS_ENDPOINT_URL" => Some(url.clone()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("test".to_owned()),
        _ => None,
    })
}

impl Site for AwsEndpoint {
    async fn answer(&self, request: HttpMessage) -> Reply {
        let header = |name: &str| {
            let found = request.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let asked = Asked {
            target: header("x-amz-target"),
            path: request.path.clone(),
            body: serde_json::from_slice(&request.body).unwrap_or(Value::Null),
            authorization: header("authorization"),
        };
        self.asked.lock().unwrap().push(asked.clone());
        let said = (self.answers)(&asked).or_else(|| self.queued.lock().unwrap().pop_front());
        let (status, body) = said.unwrap_or((200, json!({})));
        let mut reply = Reply::json(status, &body);
        reply.headers = vec![("content-type".to_owned(), "application/x-amz-json-1.0".to_owned())];
        reply
    }
}
