//! The key ring, and the key for 1Kosmos' API, from Secrets Manager (API reference: `GetSecretValue`) or from a file.

use std::path::{Path, PathBuf};

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::primitives::Blob;
use zeroize::Zeroizing;

use super::connection::AwsConnection;
use super::failure::{Failure, Sort};
use crate::config::KeyRingSource;
use crate::key_ring::KeyRing;
use crate::ports::{ApiKey, ApiKeyStore, Fault, KeyStore, KeyStoreError};

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
        let json = match self {
            Self::Secret { client, id } => {
                fetch_secret(client, id).await.map_err(|Failure { fault, sort }| match sort {
                    Sort::Passing => KeyStoreError::Passing(fault),
                    Sort::Other => KeyStoreError::Misconfigured(fault),
                })?
            }
            Self::File(path) => read_file(path).await.map_err(KeyStoreError::Misconfigured)?,
        };
        KeyRing::parse(&json).map_err(KeyStoreError::Malformed)
    }
}

const CALL: &str = "GetSecretValue";

async fn fetch_secret(client: &Client, id: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let answer = client.get_secret_value().secret_id(id).send().await;
    let answer = answer.map_err(|error| Failure::of(CALL, &error))?;
    let empty = || Failure { fault: Fault::new(CALL, "empty_secret"), sort: Sort::Other };
    let text = answer.secret_string.map(String::into_bytes);
    text.or_else(|| answer.secret_binary.map(Blob::into_inner)).map(Zeroizing::new).ok_or_else(empty)
}

async fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let read = tokio::fs::read(path).await;
    read.map(Zeroizing::new).map_err(|error| Fault::new("file", &error.kind().to_string().replace(' ', "_")))
}

/// Where the key for 1Kosmos' API is stored.
#[derive(Clone)]
pub enum StoredApiKey {
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

impl StoredApiKey {
    /// The key that the configuration names.
    pub fn new(connection: &AwsConnection, source: &KeyRingSource) -> Self {
        match source {
            KeyRingSource::Secret(id) => Self::Secret { client: connection.secrets(), id: id.clone() },
            KeyRingSource::File(path) => Self::File(path.clone()),
        }
    }
}

impl ApiKeyStore for StoredApiKey {
    async fn fetch(&self) -> Result<ApiKey, Fault> {
        let json = match self {
            Self::Secret { client, id } => fetch_secret(client, id).await.map_err(|failure| failure.fault)?,
            Self::File(path) => read_file(path).await?,
        };
        ApiKey::parse(&json).ok_or_else(|| Fault::new("api_key", "malformed"))
    }
}
