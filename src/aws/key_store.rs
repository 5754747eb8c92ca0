//! The key ring, and the key for 1Kosmos' API, from Secrets Manager (API reference: `GetSecretValue`) or from a file.

use std::path::PathBuf;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::primitives::Blob;
use zeroize::Zeroizing;

use super::connection::AwsConnection;
use super::failure::{Failure, Sort};
use crate::config::SecretSource;
use crate::key_ring::KeyRing;
use crate::ports::{ApiKey, ApiKeyStore, Fault, KeyStore, KeyStoreError};

/// Where a secret is stored.
#[derive(Clone)]
pub enum StoredSecret {
    /// In Secrets Manager.
    Secret {
        /// The client.
        client: Client,
        /// The secret's name or ARN.
        id: String,
    },
    /// In a file, which is read again at each fetch.
    File(PathBuf),
}

impl StoredSecret {
    /// The one that the configuration names.
    pub fn new(connection: &AwsConnection, source: &SecretSource) -> Self {
        match source {
            SecretSource::Secret(id) => Self::Secret { client: connection.secrets(), id: id.clone() },
            SecretSource::File(path) => Self::File(path.clone()),
        }
    }

    async fn read(&self) -> Result<Zeroizing<Vec<u8>>, Failure> {
        match self {
            Self::Secret { client, id } => fetch_secret(client, id).await,
            Self::File(path) => {
                let read = tokio::fs::read(path).await.map(Zeroizing::new);
                let code = |error: std::io::Error| error.kind().to_string().replace(' ', "_");
                read.map_err(|error| Failure { fault: Fault::new("file", &code(error)), sort: Sort::Other })
            }
        }
    }
}

impl KeyStore for StoredSecret {
    async fn fetch(&self) -> Result<KeyRing, KeyStoreError> {
        let json = self.read().await.map_err(|Failure { fault, sort }| match sort {
            Sort::Transient => KeyStoreError::Transient(fault),
            Sort::Other => KeyStoreError::Misconfigured(fault),
        })?;
        KeyRing::parse(&json).map_err(KeyStoreError::Malformed)
    }
}

impl ApiKeyStore for StoredSecret {
    async fn fetch(&self) -> Result<ApiKey, Fault> {
        let json = self.read().await.map_err(|failure| failure.fault)?;
        ApiKey::parse(&json).ok_or_else(|| Fault::new("api_key", "malformed"))
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
