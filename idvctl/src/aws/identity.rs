//! Who calls (STS API reference, `GetCallerIdentity`), and who signed a statement.
//!
//! A statement is signed by an AWS identity without a key of its own: the signer makes a `GetCallerIdentity` call that has the
//! statement's digest among its signed header fields, and hands out the call's signature. Whoever has the statement makes
//! the same call with it, and STS says whose it is. AWS takes a signature for some minutes only (IAM user guide, "AWS
//! Signature Version 4 for API requests").

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextMut;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use idv_callback::aws::{AwsConnection, Failure};
use idv_callback::ports::Fault;
use serde::{Deserialize, Serialize};

use super::clients;

const CALL: &str = "GetCallerIdentity";

/// The header field that holds the digest of what is signed.
const STATEMENT: &str = "x-idv-statement";

/// Header fields that the caller's own call has: where it goes, and how long its body is.
const OWN: [&str; 2] = ["host", "content-length"];

/// The ARN of the credentials in use.
///
/// # Errors
/// [`Fault`] when STS cannot be asked.
pub async fn caller_identity(connection: &AwsConnection) -> Result<String, Fault> {
    identity(connection, None).await
}

/// A call's signature, which proves who made it. No `Debug`: it can hold a session token.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedCall {
    headers: BTreeMap<String, String>,
}

/// Signs the statement of this digest with the credentials in use; gives their ARN, too.
///
/// # Errors
/// [`Fault`] when STS cannot be asked.
pub async fn sign_statement(connection: &AwsConnection, digest: &str) -> Result<(String, SignedCall), Fault> {
    let seen = Arc::default();
    let arn =
        identity(connection, Some(Hand::Sign { digest: digest.to_owned(), seen: Arc::clone(&seen) })).await?;
    let headers = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok((arn, SignedCall { headers }))
}

/// The ARN of whoever signed the statement of this digest.
///
/// # Errors
/// [`Fault`] when the signature is not one of this statement, is too old, or STS cannot be asked.
pub async fn who_signed(
    connection: &AwsConnection,
    digest: &str,
    call: &SignedCall,
) -> Result<String, Fault> {
    let signed = call.headers.get("authorization").and_then(|text| {
        // Exactly this form, so that what is read here is what AWS reads.
        let (credential, rest) =
            text.strip_prefix("AWS4-HMAC-SHA256 Credential=")?.split_once(", SignedHeaders=")?;
        let (names, signature) = rest.split_once(", Signature=")?;
        let plain = [credential, names, signature].iter().all(|part| !part.contains([',', '=', ' ']));
        Some(plain && names.split(';').any(|name| name == STATEMENT))
    });
    if signed != Some(true) || call.headers.get(STATEMENT).is_none_or(|signed| signed != digest) {
        return Err(Fault::new(CALL, "not_of_this_statement"));
    }
    identity(connection, Some(Hand::Show(call.headers.clone()))).await
}

async fn identity(connection: &AwsConnection, hand: Option<Hand>) -> Result<String, Fault> {
    let sts_client = clients::sts(connection);
    let call = sts_client.get_caller_identity().customize();
    let call = match hand {
        None => call,
        Some(hand) => call.interceptor(hand),
    };
    let answer = call.send().await.map_err(|error| Failure::of(CALL, &error).fault)?;
    answer.arn().map(str::to_owned).ok_or_else(|| Fault::new(CALL, "no_arn"))
}

/// What is done with a call's header fields.
enum Hand {
    /// The digest is added before the call is signed; what was signed is kept.
    Sign { digest: String, seen: Arc<Mutex<BTreeMap<String, String>>> },
    /// What somebody else signed takes the place of what was signed here.
    Show(BTreeMap<String, String>),
}

impl std::fmt::Debug for Hand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hand")
    }
}

#[dyn_dispatch_hint]
impl Intercept for Hand {
    fn name(&self) -> &'static str {
        "statement"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Self::Sign { digest, .. } = self {
            context.request_mut().headers_mut().try_insert(STATEMENT, digest.clone())?;
        }
        Ok(())
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.request_mut().headers_mut();
        match self {
            Self::Sign { seen, .. } => {
                let sent = headers.iter().filter(|(name, _)| !OWN.contains(name));
                let sent = sent.map(|(name, value)| (name.to_owned(), value.to_owned()));
                *seen.lock().unwrap_or_else(PoisonError::into_inner) = sent.collect();
            }
            Self::Show(signed) => {
                for name in headers.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>() {
                    if !OWN.contains(&name.as_str()) {
                        headers.remove(&name);
                    }
                }
                for (name, value) in signed.iter().filter(|(name, _)| !OWN.contains(&name.as_str())) {
                    headers.try_insert(name.clone(), value.clone())?;
                }
            }
        }
        Ok(())
    }
}
