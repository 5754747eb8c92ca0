//! Users and dead letters of the embedded stack, as JSON.

use idv_callback::settlement::dead_letter_attributes as letter;
use idv_callback::verification::PoolId;
use serde_json::{Value, json};

use super::{QueuedMessage, User};

/// A user as the pool has it.
pub(crate) fn user_json(pool: &PoolId, user: &User) -> Value {
    json!({
        "username": user.username,
        "user_pool": pool.as_str(),
        "status": user.status,
        "attributes": user.attributes,
    })
}

/// What was quarantined, and why. Not what it says: an unreadable callback can hold anything.
pub(crate) fn dead_letter(message: &QueuedMessage) -> Value {
    let attribute = |name: &str| message.attributes.get(name);
    json!({
        "message_id": message.id,
        "reason": attribute(letter::REASON),
        "detail": attribute(letter::DETAIL),
        "receipt_id": attribute(letter::RECEIPT),
        "quarantined_at": attribute(letter::QUARANTINED_AT),
        "version": attribute(letter::VERSION),
        "attempts": attribute(letter::ATTEMPTS),
    })
}
