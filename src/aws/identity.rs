//! Who calls (STS API reference, `GetCallerIdentity`).

use super::connection::AwsConnection;
use super::failure::Failure;
use crate::ports::Fault;

/// The ARN of the credentials in use.
///
/// # Errors
/// [`Fault`] when STS cannot be asked.
pub async fn caller_identity(connection: &AwsConnection) -> Result<String, Fault> {
    const CALL: &str = "GetCallerIdentity";
    let sts_client = connection.sts();
    let answer = sts_client.get_caller_identity().send().await;
    let answer = answer.map_err(|error| Failure::of(CALL, &error).fault)?;
    answer.arn().map(str::to_owned).ok_or_else(|| Fault::new(CALL, "no_arn"))
}
