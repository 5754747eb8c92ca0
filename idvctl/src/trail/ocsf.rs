//! Records as events of the Open Cybersecurity Schema Framework, version 1.1.0: class 6003, API Activity.

use idv_callback::timestamp::Timestamp;
use serde_json::{Map, Value, json};

use super::codes::{Activity, Part, Severity};
use super::entry::Entry;

/// The version of the schema.
const VERSION: &str = "1.1.0";

/// API Activity.
const CLASS: u32 = 6003;

/// Application Activity.
const CATEGORY: u32 = 6;

/// The record as an OCSF event. What has no place of its own in the schema is `unmapped`.
pub fn ocsf(entry: &Entry, record: &Value) -> Value {
    let meaning = entry.meaning();
    let (activity, activity_name) = match meaning.activity {
        Activity::Create => (1, "Create"),
        Activity::Update => (3, "Update"),
        Activity::Other => (99, "Other"),
    };
    let (status_id, status) = if meaning.failed { (2, "Failure") } else { (1, "Success") };
    let (severity_id, severity) = match meaning.severity {
        Severity::Informational => (1, "Informational"),
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
    };
    let actor = match (meaning.part, &entry.operator) {
        (Part::Operator, Some(operator)) => json!({ "user": { "uid": operator } }),
        (Part::FrontDoor, _) => json!({ "invoked_by": "1Kosmos" }),
        (Part::Writer | Part::Consumer | Part::Operator | Part::SignIn, _) => {
            json!({ "invoked_by": "idv-callback" })
        }
    };
    let mut event = json!({
        "activity_id": activity,
        "activity_name": activity_name,
        "actor": actor,
        "api": { "operation": entry.code.word(), "service": { "name": format!("idv-callback {}", entry.process()) } },
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
        "status_code": entry.code.code(),
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
