//! A small HTTP server for the embedded stack.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt as _, Either, Full, Limited};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use idv_callback::lambda::HttpMessage;
use idv_callback::ports::Clock;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// The largest request that API Gateway takes: 10 MB (developer guide, "Quotas").
const MAXIMUM_BYTES: usize = 10 * 1024 * 1024;

/// How long a client may take to send a body, and the server to let requests end when it stops.
const PATIENCE: Duration = Duration::from_secs(10);

/// What answers requests.
pub trait Site: Send + Sync + 'static {
    /// Answers one request.
    fn answer(&self, request: HttpMessage) -> impl Future<Output = Reply> + Send;

    /// What is sent as server-sent events for as long as there is something and somebody reads; none for any other request.
    fn events(&self, _request: &HttpMessage) -> Option<mpsc::Receiver<String>> {
        None
    }
}

/// A body that is there, or one that comes by and by.
type Body = Either<Full<Bytes>, EventBody>;

/// Server-sent events (WHATWG HTML, "Server-sent events").
pub(super) struct EventBody(mpsc::Receiver<String>);

impl hyper::body::Body for EventBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = |line: String| Ok(Frame::data(Bytes::from(format!("data: {line}\n\n"))));
        self.0.poll_recv(context).map(|line| line.map(frame))
    }
}

/// An answer. No `Debug`: its body can hold a user.
#[derive(Clone)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Reply {
    /// A JSON answer.
    pub fn json(status: u16, body: &Value) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { status, headers, body: format!("{body}\n") }
    }
}

/// Serves until `stop` is ready; then takes no new connections, and lets the requests under way end.
pub async fn serve<S: Site, C: Clock + Clone + 'static>(
    listener: TcpListener,
    site: Arc<S>,
    clock: C,
    stop: impl Future<Output = ()> + Send,
) {
    let connections = GracefulShutdown::new();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, peer)) => spawn(stream, peer, &site, &clock, &connections),
            Err(error) => tracing::warn!(kind = %error.kind(), "a connection could not be accepted"),
        }
    }
    tokio::select! {
        () = connections.shutdown() => {}
        () = clock.sleep(PATIENCE) => tracing::warn!("connections that did not end in time are cut"),
    }
}

fn spawn<S: Site, C: Clock + Clone + 'static>(
    stream: TcpStream,
    peer: SocketAddr,
    site: &Arc<S>,
    clock: &C,
    connections: &GracefulShutdown,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::warn!(kind = %error.kind(), "answers on this connection may be late");
    }
    let (site, clock) = (Arc::clone(site), clock.clone());
    let service = service_fn(move |request| {
        let (site, clock) = (Arc::clone(&site), clock.clone());
        async move { Ok::<_, Infallible>(answer(&*site, &clock, peer, request).await) }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    let connection = server.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    let connection = connections.watch(connection);
    // A connection that breaks is the client's business: whatever was accepted on it is on the queue.
    tokio::spawn(async move { drop(connection.await) });
}

async fn answer<S: Site, C: Clock>(
    site: &S,
    clock: &C,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = tokio::select! {
        body = Limited::new(body, MAXIMUM_BYTES).collect() => body,
        () = clock.sleep(PATIENCE) => {
            return respond(Reply::json(408, &json!({ "message": "Request Timeout" })));
        }
    };
    let Ok(body) = body else {
        return respond(Reply::json(413, &json!({ "message": "Request Too Long" })));
    };
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes())));
    let message = HttpMessage {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        headers: headers.collect(),
        body: body.to_bytes().to_vec(),
        source_ip: peer.ip().to_string(),
        received_at: clock.now(),
    };
    if let Some(events) = site.events(&message) {
        let response = Response::builder().header("content-type", "text/event-stream");
        let response = response.header("cache-control", "no-store");
        return response.body(Either::Right(EventBody(events))).unwrap_or_else(|_| bad_gateway());
    }
    respond(site.answer(message).await)
}

fn bad_gateway() -> Response<Body> {
    let mut failed = Response::new(Either::Left(Full::default()));
    *failed.status_mut() = StatusCode::BAD_GATEWAY;
    failed
}

fn respond(reply: Reply) -> Response<Body> {
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(Either::Left(Full::from(reply.body))).unwrap_or_else(|_| bad_gateway())
}
