//! The key ring, from Secrets Manager (API reference: `GetSecretValue`) or from a file.

use std::path::PathBuf;

use aws_sdk_secretsmanager::Client;

use super::connection::AwsConnection;
use super::failure::{Failure, Sort};
use crate::config::KeyRingSource;
use crate::key_ring::KeyRing;
use crate::ports::{Fault, KeyStore, KeyStoreError};

/// Where the key ring is stored.
#[derive(Clone)]
pub enum StoredKeyRing {
    /// In a secret.
    Secret {
        /// The client.
        client: Client,
        /// The secret's name or ARN.
        id: String,
    },
    /// In a file, which is read again at each fetch.
    File(PathBuf),
}

impl StoredKeyRing {
    /// The key ring that the configuration names.
    pub fn new(connection: &AwsConnection, source: &KeyRingSource) -> Self {
        match source {
            KeyRingSource::Secret(id) => Self::Secret { client: connection.secrets(), id: id.clone() },
            KeyRingSource::File(path) => Self::File(path.clone()),
        }
    }
}

impl KeyStore for StoredKeyRing {
    async fn fetch(&self) -> Result<KeyRing, KeyStoreError> {
        match self {
            Self::Secret { client, id } => fetch_secret(client, id).await,
            Self::File(path) => {
                let json = tokio::fs::read(path).await.map_err(|error| {
                    KeyStoreError::Misconfigured(Fault::new(
                        "file",
                        &error.kind().to_string().replace(' ', "_"),
                    ))
                })?;
                KeyRing::parse(&zeroize::Zeroizing::new(json)).map_err(KeyStoreError::Malformed)
            }
        }
    }
}

async fn fetch_secret(client: &Client, id: &str) -> Result<KeyRing, KeyStoreError> {
    const CALL: &str = "GetSecretValue";
    let answer = client.get_secret_value().secret_id(id).send().await.map_err(|error| {
        let Failure { fault, sort } = Failure::of(CALL, &error);
        match sort {
            Sort::Passing => KeyStoreError::Passing(fault),
            Sort::Other => KeyStoreError::Misconfigured(fault),
        }
    })?;
    let json = match (answer.secret_string, answer.secret_binary) {
        (Some(text), _) => text.into_bytes(),
        (None, Some(blob)) => blob.into_inner(),
        (None, None) => return Err(KeyStoreError::Misconfigured(Fault::new(CALL, "empty_secret"))),
    };
    KeyRing::parse(&zeroize::Zeroizing::new(json)).map_err(KeyStoreError::Malformed)
}
