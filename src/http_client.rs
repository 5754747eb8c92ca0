//! An HTTP/1.1 client that keeps its connections; TLS by ring with the machine's root certificates.

use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode, Uri};
#[cfg(feature = "functions")]
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// How long a connection may wait for its next use: less than the minute or more after which servers close theirs.
const IDLE: Duration = Duration::from_secs(50);

/// The client.
#[derive(Clone)]
pub struct HttpClient(Connections);

#[derive(Clone)]
enum Connections {
    /// For `http`: works where the machine has no root certificates.
    Plain(Client<HttpConnector, Full<Bytes>>),
    #[cfg(feature = "functions")]
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

/// Why there is no answer.
#[derive(Debug)]
pub enum HttpError {
    /// Nothing came back: the error and what caused it.
    NoAnswer(String),
    /// The answer's body ended early, or is longer than it may be.
    CutOff(String),
}

impl HttpClient {
    /// A client for addresses of this one's scheme. Opens nothing yet.
    ///
    /// # Errors
    /// When the scheme is neither `http` nor `https`, or this machine has no root certificates.
    pub fn new(address: &Uri) -> Result<Self, String> {
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_idle_timeout(IDLE).pool_timer(TokioTimer::new());
        match address.scheme_str() {
            Some("http") => Ok(Self(Connections::Plain(builder.build(HttpConnector::new())))),
            #[cfg(feature = "functions")]
            Some("https") => {
                let connector = HttpsConnectorBuilder::new().with_native_roots();
                let connector =
                    connector.map_err(|error| format!("the system's root certificates: {error}"))?;
                let connector = connector.https_only().enable_http1().build();
                Ok(Self(Connections::Tls(builder.build(connector))))
            }
            _ => Err(format!("{address} must begin with http:// or https://")),
        }
    }

    /// Sends a request and reads the answer's body, up to this many bytes.
    ///
    /// # Errors
    /// [`HttpError`] when no answer came, or not all of it.
    pub async fn send(
        &self,
        request: Request<Full<Bytes>>,
        most_bytes: usize,
    ) -> Result<(StatusCode, Bytes), HttpError> {
        let answer = match &self.0 {
            Connections::Plain(client) => client.request(request),
            #[cfg(feature = "functions")]
            Connections::Tls(client) => client.request(request),
        };
        let answer = answer.await.map_err(|error| HttpError::NoAnswer(with_causes(&error)))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), most_bytes).collect().await;
        let body = body.map_err(|error| HttpError::CutOff(error.to_string()))?;
        Ok((status, body.to_bytes()))
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
