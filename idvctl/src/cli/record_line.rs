//! An audit record in a line for people.

use serde_json::Value;

/// What it says, without what only readers of the trail need.
pub(crate) fn record_line(record: &Value) -> String {
    let text = |name: &str| match record.get(name)? {
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let parts = ["at", "code", "event", "receipt_id", "user", "reason", "detail"];
    let mut line = parts.iter().filter_map(|name| text(name)).collect::<Vec<_>>().join(" ");
    if let (Some(before), Some(after)) = (text("ial_before"), text("ial_after")) {
        line = format!("{line} ial {before}->{after}");
    }
    if record.get("confirmed") == Some(&Value::Bool(true)) {
        line.push_str(" confirmed");
    }
    if let Some(seconds) = text("retry_in_seconds") {
        line = format!("{line} again in {seconds} s");
    }
    line
}
