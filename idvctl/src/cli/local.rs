//! The embedded stack of a running `idvctl dev`, as AWS.

use std::time::Duration;

use idv_callback::aws::{AwsConnection, CallLimits};
use idv_callback::config::{ConfigError, Environment};

use crate::embedded::LOCAL_SECRET;

/// A person waits, so a slow answer is better than none.
pub(crate) const LIMITS: CallLimits =
    CallLimits { attempt: Duration::from_secs(8), operation: Duration::from_secs(20) };

/// The embedded stack knows an operator by the access key's id: here it is the operating system's name for them.
pub(crate) fn local_connection(url: &str, environment: &Environment) -> Result<AwsConnection, ConfigError> {
    let url = url.trim_end_matches('/').to_owned();
    let user = environment.get("USER").unwrap_or_default();
    let user: String = user.chars().filter(|c| c.is_ascii_alphanumeric() || "+=.@_-".contains(*c)).collect();
    let environment = Environment::new(move |name| match name {
        "AWS_ENDPOINT_URL" => Some(url.clone()),
        "AWS_REGION" => Some("us-east-1".to_owned()),
        "AWS_ACCESS_KEY_ID" if user.is_empty() => Some("unknown".to_owned()),
        "AWS_ACCESS_KEY_ID" => Some(user.clone()),
        "AWS_SECRET_ACCESS_KEY" => Some(LOCAL_SECRET.to_owned()),
        _ => None,
    });
    AwsConnection::of_function(&environment, LIMITS)
}
