//! API Gateway: from an HTTP request to the event of a REST API with Lambda proxy integration and binary media types
//! `*/*`, and from the function's answer back (developer guide, "Lambda proxy integrations in API Gateway").

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::http_server::{HttpMessage, Reply};

/// The event that the function gets.
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

/// What goes back to the client. An answer without a status code is what API Gateway calls a malformed proxy response.
pub fn from_lambda_response(response: &Value) -> Reply {
    let status = response["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok());
    let Some(status) = status else {
        return Reply::json(502, &json!({ "message": "Internal server error" }));
    };
    let headers = response["headers"].as_object().into_iter().flatten();
    let headers = headers.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    Reply {
        status,
        headers: headers.collect(),
        body: response["body"].as_str().unwrap_or_default().to_owned(),
    }
}
