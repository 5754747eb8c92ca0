//! HTTP events: API Gateway REST (payload 1.0), HTTP API and function URL (payload 2.0), Application Load Balancer.
//!
//! One tolerant structure reads all three. The forms are those of the API Gateway developer guide ("Lambda proxy
//! integrations", "Working with AWS Lambda proxy integrations for HTTP APIs") and of the Elastic Load Balancing user
//! guide ("Lambda functions as targets").

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::delivery::HeaderFields;
use crate::intake::{Answer, Intake, Request};
use crate::ports::{AuditSink, CallbackQueue, Clock, Deadline, KeyStore, ProofingProvider, UserDirectory};
use crate::triggers::session::SessionEndpoint;

/// An HTTP request as Lambda receives it. What is not needed is not read; what is missing is empty. No `Debug`: it
/// holds a body.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpEvent {
    version: Option<String>,
    route_key: Option<String>,
    http_method: Option<String>,
    resource: Option<String>,
    path: Option<String>,
    raw_path: Option<String>,
    headers: Option<BTreeMap<String, Option<String>>>,
    multi_value_headers: Option<BTreeMap<String, Option<Vec<String>>>>,
    request_context: Option<RequestContext>,
    body: Option<String>,
    is_base64_encoded: Option<bool>,
    /// Which service it comes from, where that is none of the above.
    #[serde(skip)]
    unsupported: Option<&'static str>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RequestContext {
    stage: Option<String>,
    http: Option<Http>,
    elb: Option<serde::de::IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Http {
    method: Option<String>,
}

/// The answer as Lambda takes it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpResponse {
    status_code: u16,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    multi_value_headers: BTreeMap<&'static str, Vec<String>>,
    body: String,
    is_base64_encoded: bool,
}

/// Answers one event.
pub async fn handle_http<Q: CallbackQueue, S: KeyStore, A: AuditSink, C: Clock>(
    intake: &Intake<Q, S, A, C>,
    event: HttpEvent,
    deadline: Deadline,
) -> HttpResponse {
    let multi_value = event.wants_multi_value_headers();
    let request = event.into_request();
    HttpResponse::new(intake.answer(&request, deadline).await, multi_value)
}

/// Answers one request for a proofing session.
pub async fn handle_session<P: ProofingProvider, D: UserDirectory, S: KeyStore, A: AuditSink, C: Clock>(
    endpoint: &SessionEndpoint<P, D, S, A, C>,
    event: HttpEvent,
    deadline: Deadline,
) -> HttpResponse {
    let multi_value = event.wants_multi_value_headers();
    let request = event.into_request();
    HttpResponse::new(endpoint.answer(&request, deadline).await, multi_value)
}

impl HttpEvent {
    /// Reads what a function was invoked with. What is not an HTTP event at all is one without method and path, which
    /// is answered like any other request that is no callback: an error here would quote it.
    pub fn read(mut payload: serde_json::Value) -> Self {
        let unsupported = is_of_lattice(&payload).then_some("VPC Lattice");
        leave_out_what_is_odd(&mut payload);
        Self { unsupported, ..serde_json::from_value(payload).unwrap_or_default() }
    }

    /// A load balancer that sends multi-value headers takes no other kind back.
    fn wants_multi_value_headers(&self) -> bool {
        self.multi_value_headers.is_some() && self.request_context.as_ref().is_some_and(|c| c.elb.is_some())
    }

    /// The request in it.
    pub fn into_request(self) -> Request {
        if let Some(service) = self.unsupported {
            return Request { unsupported: Some(service), ..Request::default() };
        }
        let context = self.request_context.unwrap_or_default();
        // Payload 2.0 has it here alone; what some tools write elsewhere in such an event is not it.
        let method = context.http.and_then(|http| http.method).or(self.http_method).unwrap_or_default();
        let stage = context.stage.as_deref();
        let sent = match (self.path, self.raw_path) {
            // The first format of an HTTP API has the stage in the path, a REST API has not.
            (Some(path), _) if self.version.as_deref() == Some("1.0") => without_stage(path, stage),
            (Some(path), _) => path,
            (None, raw_path) => without_stage(raw_path.unwrap_or_default(), stage),
        };
        let route = self.resource.or(self.route_key).unwrap_or_default();
        let path = without_base_path(sent, &route);
        let body = self.body.unwrap_or_default();
        let body = if self.is_base64_encoded.unwrap_or_default() {
            STANDARD.decode(body).ok()
        } else {
            Some(body.into_bytes())
        };
        let headers = header_fields(self.headers, self.multi_value_headers);
        let trace_id = headers.single("x-amzn-trace-id").and_then(root_of_trace);
        Request { method: method.to_ascii_uppercase(), path, headers, body, trace_id, unsupported: None }
    }
}

/// Takes away header fields that are none, so that one of them does not cost the others.
fn leave_out_what_is_odd(payload: &mut serde_json::Value) {
    let is_text = |value: &serde_json::Value| value.is_string() || value.is_null();
    if let Some(headers) = payload.get_mut("headers").and_then(serde_json::Value::as_object_mut) {
        headers.retain(|_, value| is_text(value));
    }
    if let Some(headers) = payload.get_mut("multiValueHeaders").and_then(serde_json::Value::as_object_mut) {
        let all_text = |value: &serde_json::Value| {
            value.as_array().is_some_and(|all| all.iter().all(serde_json::Value::is_string))
        };
        headers.retain(|_, value| value.is_null() || all_text(value));
    }
}

/// Whether it is an event of VPC Lattice (VPC Lattice user guide, "Lambda functions as targets"): the first version writes
/// `raw_path`, the second names the service network in its context.
fn is_of_lattice(payload: &serde_json::Value) -> bool {
    let context = payload.get("requestContext");
    let of_network = context.is_some_and(|context| context.get("serviceNetworkArn").is_some());
    of_network || (payload.get("raw_path").is_some() && payload.get("rawPath").is_none())
}

/// An HTTP API with a named stage puts it before the path.
fn without_stage(path: String, stage: Option<&str>) -> String {
    let stripped = stage.and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage));
    match stripped {
        Some(rest) if rest.starts_with('/') => rest.to_owned(),
        _ => path,
    }
}

/// A custom domain can put a base path before the route; the route itself is told as `/idv-callback` or
/// `POST /idv-callback`. A route that is a pattern tells nothing.
fn without_base_path(path: String, route: &str) -> String {
    let route = route.rsplit(' ').next().unwrap_or_default();
    let is_path = route.starts_with('/') && !route.contains('{') && route.len() > 1;
    let ends_in_route =
        path.strip_suffix('/').unwrap_or(&path).ends_with(route.strip_suffix('/').unwrap_or(route));
    if is_path && ends_in_route { route.to_owned() } else { path }
}

/// Where both forms are there, the multi-value one holds every field and the other only the last of each name.
fn header_fields(
    single: Option<BTreeMap<String, Option<String>>>,
    multi: Option<BTreeMap<String, Option<Vec<String>>>>,
) -> HeaderFields {
    match multi.filter(|multi| !multi.is_empty()) {
        Some(multi) => multi
            .into_iter()
            .flat_map(|(name, values)| {
                values.unwrap_or_default().into_iter().map(move |value| (name.clone(), value))
            })
            .collect(),
        None => single.into_iter().flatten().filter_map(|(name, value)| Some((name, value?))).collect(),
    }
}

/// `Root=1-67891233-abcdef012345678912345678` of the X-Ray header, if it is one: the sender can write anything there.
fn root_of_trace(header: &str) -> Option<String> {
    let root = header.split(';').find_map(|part| part.trim().strip_prefix("Root="))?;
    let is_id = root.len() == 35 && root.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    is_id.then(|| root.to_owned())
}

impl HttpResponse {
    fn new(answer: Answer, multi_value: bool) -> Self {
        let mut response = Self {
            status_code: answer.status,
            headers: BTreeMap::new(),
            multi_value_headers: BTreeMap::new(),
            body: answer.body,
            is_base64_encoded: false,
        };
        for (name, value) in answer.headers {
            if multi_value {
                response.multi_value_headers.insert(name, vec![value]);
            } else {
                response.headers.insert(name, value);
            }
        }
        response
    }
}
