//! Signing by a key that never leaves AWS KMS (KMS developer guide, "Key spec reference": `ECC_NIST_EDWARDS25519`).

use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{MessageType, SigningAlgorithmSpec};
use idv_callback::aws::{AwsConnection, Failure};
use idv_callback::ports::Fault;

use super::clients;

/// What the DER form of an Ed25519 public key begins with (RFC 8410, section 4).
const DER: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The public half of a key.
///
/// # Errors
/// [`Fault`] when KMS cannot be asked, or the key is not one of Ed25519.
pub async fn public_key(connection: &AwsConnection, key: &str) -> Result<[u8; 32], Fault> {
    const CALL: &str = "GetPublicKey";
    let kms_client = clients::kms(connection);
    let answer = kms_client.get_public_key().key_id(key).send().await;
    let answer = answer.map_err(|error| Failure::of(CALL, &error).fault)?;
    let bytes = answer.public_key().map(|blob| blob.as_ref().to_vec()).unwrap_or_default();
    let key = bytes.strip_prefix(&DER).and_then(|key| key.try_into().ok());
    key.ok_or_else(|| Fault::new(CALL, "not_an_ed25519_key"))
}

/// Signs a text.
///
/// # Errors
/// [`Fault`] when KMS cannot be asked.
pub async fn sign(connection: &AwsConnection, key: &str, text: &str) -> Result<Vec<u8>, Fault> {
    const CALL: &str = "Sign";
    let kms_client = clients::kms(connection);
    let call = kms_client.sign().key_id(key).message(Blob::new(text.as_bytes()));
    let call = call.message_type(MessageType::Raw).signing_algorithm(SigningAlgorithmSpec::Ed25519Sha512);
    let answer = call.send().await.map_err(|error| Failure::of(CALL, &error).fault)?;
    Ok(answer.signature().map(|blob| blob.as_ref().to_vec()).unwrap_or_default())
}
