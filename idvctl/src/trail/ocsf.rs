//! Records as events of the Open Cybersecurity Schema Framework, version 1.1.0: class 6003, API Activity.

use idv_callback::timestamp::Timestamp;
use serde_json::{Map, Value, json};

use super::entry::Entry;

/// The version of the schema.
const VERSION: &str = "1.1.0";

/// API Activity.
const CLASS: u32 = 6003;

/// Application Activity.
const CATEGORY: u32 = 6;

/// The record as an OCSF event. What has no place of its own in the schema is `unmapped`.
pub fn ocsf(entry: &Entry, record: &Value) -> Value {
    let (activity, activity_name) = match entry.code.get(..5) {
        Some("IDV10") if !["ignored", "sender_test"].contains(&entry.event.as_str()) => (1, "Create"),
        Some("IDV20") => (3, "Update"),
        _ => (99, "Other"),
    };
    let failed = ["IDV11", "IDV12", "IDV21", "IDV22"].iter().any(|code| entry.code.starts_with(code))
        || (entry.code.starts_with("IDV4")
            && ["refused", "failed", "withheld", "unreadable"]
                .iter()
                .any(|word| entry.event.ends_with(word)));
    let (status_id, status) = if failed { (2, "Failure") } else { (1, "Success") };
    let (severity_id, severity) = match entry.event.as_str() {
        "quarantined" | "misconfigured" => (3, "Medium"),
        "refused" | "retried" => (2, "Low"),
        _ => (1, "Informational"),
    };
    let actor = match &entry.operator {
        Some(operator) if entry.code.starts_with("IDV3") => json!({ "user": { "uid": operator } }),
        _ => json!({ "invoked_by": if entry.code.starts_with("IDV1") { "1Kosmos" } else { "idv-callback" } }),
    };
    let mut event = json!({
        "activity_id": activity,
        "activity_name": activity_name,
        "actor": actor,
        "api": { "operation": entry.event, "service": { "name": format!("idv-callback {}", entry.process()) } },
        "category_name": "Application Activity",
        "category_uid": CATEGORY,
        "class_name": "API Activity",
        "class_uid": CLASS,
        "message": entry.sentence(),
        "metadata": {
            "version": VERSION,
            "uid": format!("{} {}", entry.writer, entry.seq),
            "product": { "name": "idv-callback", "vendor_name": "idv-callback", "version": entry.version },
            "log_name": "idv-audit",
        },
        "severity": severity,
        "severity_id": severity_id,
        // No address of a sender is kept: the source is the part of the system that wrote the record.
        "src_endpoint": { "svc_name": format!("idv-callback {}", entry.process()) },
        "status": status,
        "status_code": entry.code,
        "status_id": status_id,
        "time": entry.when().map_or(0, Timestamp::unix_millis),
        "type_name": format!("API Activity: {activity_name}"),
        "type_uid": CLASS * 100 + activity,
        "unmapped": record,
    });
    if let Value::Object(members) = &mut event {
        add(members, "status_detail", entry.reason.as_ref().map(|reason| json!(reason)));
        let user = entry.user.as_ref();
        let resource = user.map(|user| json!([{ "uid": user, "type": "Amazon Cognito user (pseudonym)" }]));
        add(members, "resources", resource);
    }
    event
}

fn add(members: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    members.extend(value.map(|value| (name.to_owned(), value)));
}
