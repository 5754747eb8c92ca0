//! The heartbeat: a scheduled event of `EventBridge`, on which a function says in the audit log that it is there.

use serde::Serialize;
use serde_json::Value;

/// Whether this is a scheduled event (`EventBridge` user guide, "Creating a rule that runs on a schedule"). What comes
/// through API Gateway or from SQS has no `source` of its own at the top.
pub fn is_heartbeat(event: &Value) -> bool {
    let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
    text("source") == "aws.events" && text("detail-type") == "Scheduled Event"
}

/// What a function answers: to an event, or to the heartbeat, which wants nothing.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum InvocationAnswer<T> {
    /// The answer to an event.
    Event(T),
    /// The heartbeat's: `null`.
    Heartbeat,
}
