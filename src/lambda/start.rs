//! What is checked once, when a function starts.

use std::sync::Arc;

use crate::key_ring::KeyRing;
use crate::ports::KeyStoreError;

/// Looks at the first fetch of the key ring. One that is not there yet is no reason not to start: senders are asked to try
/// again, messages come back.
///
/// # Errors
/// What is wrong, where what is stored is not a usable key ring, or lacks a binding key that is needed.
pub fn check_key_ring(
    fetched: Result<Arc<KeyRing>, KeyStoreError>,
    needs_binding: bool,
) -> Result<(), String> {
    match fetched {
        Err(KeyStoreError::Malformed(error)) => Err(error.to_string()),
        Err(error) => {
            tracing::error!(%error, "the key ring could not be fetched");
            Ok(())
        }
        Ok(ring) if needs_binding && ring.binding.is_empty() => {
            Err("key ring: binding: at least one key is missing, because IDV_BINDING is required".to_owned())
        }
        Ok(ring) => {
            for (one, other) in ring.shared_secrets() {
                tracing::warn!(one, other, "two keys of different purposes have the same secret");
            }
            Ok(())
        }
    }
}
