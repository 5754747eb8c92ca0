//! A key ring in memory.

use std::sync::{Arc, Mutex, PoisonError};

use idv_callback::key_ring::KeyRing;
use idv_callback::ports::{KeyStore, KeyStoreError};
use zeroize::Zeroizing;

/// A key ring in memory, which can be replaced while it is in use.
#[derive(Clone)]
pub struct MemoryKeyStore(Arc<Mutex<Zeroizing<Vec<u8>>>>);

impl MemoryKeyStore {
    /// Stores this JSON document.
    pub fn new(json: impl Into<Vec<u8>>) -> Self {
        Self(Arc::new(Mutex::new(Zeroizing::new(json.into()))))
    }

    /// Stores another one.
    pub fn replace(&self, json: impl Into<Vec<u8>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Zeroizing::new(json.into());
    }
}

impl KeyStore for MemoryKeyStore {
    async fn fetch(&self) -> Result<KeyRing, KeyStoreError> {
        let json = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        KeyRing::parse(&json).map_err(KeyStoreError::Malformed)
    }
}
