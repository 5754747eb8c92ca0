//! Events as AWS sends them: what the pre-traffic check and the embedded stack call the functions with.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::ports::ReceivedMessage;
use crate::timestamp::Timestamp;

/// An HTTP request as it came over the wire.
pub struct HttpMessage {
    /// The method.
    pub method: String,
    /// The path, percent-encoded.
    pub path: String,
    /// The header fields, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Who sent it.
    pub source_ip: String,
    /// When it came.
    pub received_at: Timestamp,
}

impl HttpMessage {
    /// The first header field of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// The event of a REST API with Lambda proxy integration and binary media types `*/*` (API Gateway developer guide, "Lambda
/// proxy integrations in API Gateway").
pub fn rest_event(request: &HttpMessage) -> Value {
    let mut last: BTreeMap<&str, &str> = BTreeMap::new();
    let mut all: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, value) in &request.headers {
        last.insert(name, value);
        all.entry(name).or_default().push(value);
    }
    json!({
        "resource": "/{proxy+}",
        "path": request.path,
        "httpMethod": request.method,
        "headers": last,
        "multiValueHeaders": all,
        "queryStringParameters": null,
        "multiValueQueryStringParameters": null,
        "pathParameters": { "proxy": request.path.trim_start_matches('/') },
        "stageVariables": null,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "httpMethod": request.method,
            "identity": { "sourceIp": request.source_ip },
            "path": format!("/local{}", request.path),
            "protocol": "HTTP/1.1",
            "requestId": "local",
            "requestTimeEpoch": request.received_at.unix_millis(),
            "resourcePath": "/{proxy+}",
            "stage": "local",
        },
        "body": STANDARD.encode(&request.body),
        "isBase64Encoded": true,
    })
}

/// The event of a batch (Lambda developer guide, "Using Lambda with Amazon SQS").
pub fn batch_event(messages: &[ReceivedMessage]) -> Value {
    let records: Vec<Value> = messages
        .iter()
        .map(|message| {
            let attributes = message.attributes.iter().map(|(name, value)| {
                let value = json!({
                    "stringValue": value,
                    "stringListValues": [],
                    "binaryListValues": [],
                    "dataType": "String",
                });
                (name.clone(), value)
            });
            json!({
                "messageId": message.id,
                "receiptHandle": message.handle,
                "body": message.body,
                "attributes": {
                    "ApproximateReceiveCount": message.attempt.to_string(),
                    "MessageGroupId": message.group_id,
                    "SequenceNumber": sequence_number(&message.id),
                },
                "messageAttributes": attributes.collect::<serde_json::Map<_, _>>(),
                "eventSource": "aws:sqs",
            })
        })
        .collect();
    json!({ "Records": records })
}

/// A number in the form that SQS gives it: 20 digits, as a text. The embedded queues number their messages.
fn sequence_number(message_id: &str) -> String {
    let digits: String = message_id.chars().filter(char::is_ascii_digit).collect();
    format!("18849{digits:0>15}")
}

/// What Cognito sends to a trigger (developer guide, "Customizing user pool workflows with Lambda triggers", "User pool
/// Lambda trigger event"). The pool's id begins with its region.
pub fn trigger_event(source: &str, pool: &str, username: &str, client: &str, request: &Value) -> Value {
    json!({
        "version": "1",
        "triggerSource": source,
        "region": pool.split('_').next().unwrap_or_default(),
        "userPoolId": pool,
        "userName": username,
        "callerContext": { "awsSdkVersion": "embedded", "clientId": client },
        "request": request,
        "response": {},
    })
}
