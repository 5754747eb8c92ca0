//! Callback bodies, as a proofing provider would write them.

use idv_callback::timestamp::Timestamp;
use idv_callback::vocabulary::Status;
use serde_json::{Value, json};

use crate::output::Failure;

/// What a callback says.
pub(crate) struct Callback<'a> {
    pub(crate) event_id: &'a str,
    pub(crate) status: Status,
    pub(crate) occurred_at: Timestamp,
    pub(crate) session: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) ial: u8,
    pub(crate) pool: &'a str,
    pub(crate) username: &'a str,
    pub(crate) binding: Option<&'a str>,
}

impl Callback<'_> {
    /// The body, payload version 1.
    pub(crate) fn body(&self) -> String {
        let mut body = json!({
            "event_id": self.event_id,
            "event_type": "verification.completed",
            "occurred_at": self.occurred_at.to_string(),
            "session_id": self.session,
            "status": self.status.word(),
            "metadata": {
                "cognito_user_pool": self.pool,
                "cognito_username": self.username,
                "binding": self.binding,
            },
        });
        if self.status == Status::Approved {
            let approval = json!({
                "blockid_sub": self.subject,
                "ial": self.ial,
                "aal": 2,
                "liveness_verified": true,
                "match_result": true,
                "document_type": "drivers_license",
                "framework": "nist_800_63A-3",
            });
            if let (Value::Object(body), Value::Object(approval)) = (&mut body, approval) {
                body.extend(approval);
            }
        }
        body.to_string()
    }
}

/// A fresh identifier: the prefix and 96 random bits in hexadecimal.
pub(crate) fn fresh_id(prefix: &str) -> Result<String, Failure> {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::unreachable(format!("no random numbers from the system: {error}")))?;
    Ok(format!("{prefix}{}", idv_callback::hex::hex(&bytes)))
}
