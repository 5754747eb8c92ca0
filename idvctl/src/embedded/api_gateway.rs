//! API Gateway: from a function's answer to the one that the client gets (developer guide, "Lambda proxy integrations in
//! API Gateway").

use serde_json::{Value, json};

use super::http_server::Reply;

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
