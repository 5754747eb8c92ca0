//! Callback bodies, as a proofing provider would write them.

use serde_json::{Value, json};

use super::args::StatusWord;
use super::output::Failure;
use crate::timestamp::Timestamp;

/// What a callback says.
pub(super) struct Callback<'a> {
    pub(super) event_id: &'a str,
    pub(super) status: StatusWord,
    pub(super) occurred_at: Timestamp,
    pub(super) session: &'a str,
    pub(super) subject: &'a str,
    pub(super) ial: u8,
    pub(super) pool: &'a str,
    pub(super) username: &'a str,
    pub(super) binding: Option<&'a str>,
}

impl Callback<'_> {
    /// The body, payload version 1.
    pub(super) fn body(&self) -> String {
        let mut body = json!({
            "event_id": self.event_id,
            "event_type": "verification.completed",
            "occurred_at": self.occurred_at.to_string(),
            "session_id": self.session,
            "status": self.status.as_str(),
            "metadata": {
                "cognito_user_pool": self.pool,
                "cognito_username": self.username,
                "binding": self.binding,
            },
        });
        if self.status == StatusWord::Approved {
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
pub(super) fn fresh_id(prefix: &str) -> Result<String, Failure> {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::unreachable(format!("no random numbers from the system: {error}")))?;
    Ok(format!("{prefix}{}", crate::delivery::hex(&bytes)))
}
