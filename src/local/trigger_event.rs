//! What Cognito sends to a trigger (developer guide, "Customizing user pool workflows with Lambda triggers", "User pool Lambda
//! trigger event").

use serde_json::{Value, json};

/// The event that the function gets. The pool's id begins with its region.
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
