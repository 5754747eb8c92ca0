//! What stands on a dead letter beside the message.

use std::collections::BTreeMap;

use super::Attempt;
use crate::assurance::QuarantineReason;
use crate::audit::CODE_VERSION;
use crate::ports::ReceivedMessage;
use crate::timestamp::Timestamp;

/// The most attributes of one message (SQS API reference, `SendMessage`).
const MAXIMUM_ATTRIBUTES: usize = 10;

/// The attributes that a dead letter has beside its own.
pub mod dead_letter_attributes {
    /// The reason code.
    pub const REASON: &str = "idv-reason";
    /// More about the reason.
    pub const DETAIL: &str = "idv-detail";
    /// When it was quarantined, RFC 3339.
    pub const QUARANTINED_AT: &str = "idv-quarantined-at";
    /// By which version of the code.
    pub const VERSION: &str = "idv-version";
    /// How often it was received.
    pub const ATTEMPTS: &str = "idv-attempts";
    /// The receipt, where the envelope could be opened.
    pub const RECEIPT: &str = "idv-receipt";

    /// All of them.
    pub const ALL: [&str; 6] = [REASON, DETAIL, QUARANTINED_AT, VERSION, ATTEMPTS, RECEIPT];
}

/// The attributes of a dead letter: ours first, then the message's own as far as there is room.
pub(super) fn dead_letter(
    message: &ReceivedMessage,
    attempt: &Attempt,
    reason: QuarantineReason,
    detail: &str,
    now: Timestamp,
) -> BTreeMap<String, String> {
    use dead_letter_attributes as name;
    let statement = attempt.opened.as_ref().map(|(statement, _)| statement);
    let receipt = statement.map(|statement| statement.envelope.receipt_id().as_str().to_owned());
    let ours = [
        (name::REASON, Some(reason.code().to_owned())),
        (name::DETAIL, Some(detail.to_owned()).filter(|detail| !detail.is_empty())),
        (name::QUARANTINED_AT, Some(now.to_string())),
        (name::VERSION, Some(CODE_VERSION.to_owned())),
        (name::ATTEMPTS, Some(message.attempt.to_string())),
        (name::RECEIPT, receipt),
    ];
    let mut attributes: BTreeMap<_, _> =
        ours.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    // A message that died before must not keep what was said of that death.
    for (name, value) in message.attributes.iter().filter(|(name, _)| !name::ALL.contains(&name.as_str())) {
        if attributes.len() < MAXIMUM_ATTRIBUTES {
            attributes.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    attributes
}
