//! A key ring with new secrets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use idv_callback::secret::BASE64_SECRET_PREFIX;
use idv_callback::timestamp::Timestamp;
use serde_json::json;
use zeroize::Zeroizing;

use crate::output::Failure;

/// The length of a fresh secret, in bytes: as long as the hash, which is what RFC 2104 section 3 asks for.
const SECRET_BYTES: usize = 32;

/// A key ring with fresh secrets, as JSON. The ids say when they were made.
pub(crate) fn fresh_ring(now: Timestamp) -> Result<Zeroizing<String>, Failure> {
    let at = now.to_string();
    let date = at.get(..10).unwrap_or_default();
    let ring = json!({
        "webhook": [ { "id": format!("webhook-{date}"), "secret": fresh_secret()? } ],
        "seal": [ { "id": format!("seal-{date}"), "secret": fresh_secret()? } ],
        "binding": [ { "id": format!("binding-{date}"), "secret": fresh_secret()? } ],
        "audit": { "id": format!("audit-{date}"), "secret": fresh_secret()? },
    });
    Ok(Zeroizing::new(format!("{ring:#}\n")))
}

pub(crate) fn fresh_secret() -> Result<String, Failure> {
    let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
    getrandom::fill(&mut *bytes)
        .map_err(|error| Failure::unreachable(format!("no random numbers from the system: {error}")))?;
    Ok(format!("{BASE64_SECRET_PREFIX}{}", STANDARD.encode(*bytes)))
}
