//! What a failed call to AWS means. Decided here, once, from the error's code and status; never from its message, which
//! nobody promises and which can quote what was sent.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::ErrorKind;

use crate::ports::Fault;

/// A failed call.
pub struct Failure {
    /// The call and the code.
    pub fault: Fault,
    /// What sort of failure it is, as far as that is the same for every call.
    pub sort: Sort,
}

/// The sort of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// It passes: throttling, an error inside the service, no answer.
    Transient,
    /// Everything else. Unless the call knows better, an operator has to fix something.
    Other,
}

/// Codes of failures that pass, with any status: those that botocore and the SDKs retry as throttling or transient, and
/// the quota and server errors in the API references of the calls made here.
const PASSING: [&str; 24] = [
    "EC2ThrottledException",
    "InternalError",
    "InternalErrorException",
    "InternalFailure",
    "InternalServerError",
    "InternalServiceError",
    "KmsThrottled",
    "LimitExceededException",
    "OverLimit",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestExpired",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyFailedAttemptsException",
    "TooManyRequestsException",
    // A trigger of the pool crashed or took too long. It may answer next time; the user may be confirmed already.
    "UnexpectedLambdaException",
];

impl Failure {
    /// Reads an error of the SDK.
    pub fn of<E: ProvideErrorMetadata>(call: &'static str, error: &SdkError<E, HttpResponse>) -> Self {
        let (code, sort) = match error {
            SdkError::TimeoutError(_) => ("timeout", Sort::Transient),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => ("timeout", Sort::Transient),
            SdkError::DispatchFailure(failure) if failure.is_user() => ("bad_request", Sort::Other),
            SdkError::DispatchFailure(failure) if failure.is_io() => ("no_connection", Sort::Transient),
            // The other side closed the connection between the request and its answer.
            SdkError::DispatchFailure(failure) if failure.as_other() == Some(ErrorKind::TransientError) => {
                ("no_answer", Sort::Transient)
            }
            SdkError::DispatchFailure(_) => ("not_sent", Sort::Other),
            SdkError::ResponseError(_) => ("unreadable_answer", Sort::Transient),
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status();
                let code = answer.err().code().map(without_namespace);
                let passing = status.is_server_error()
                    || status.as_u16() == 429
                    || code.is_some_and(|code| PASSING.contains(&code));
                (code.unwrap_or("unknown"), if passing { Sort::Transient } else { Sort::Other })
            }
            // No credentials, or a request that cannot be built.
            _ => ("not_built", Sort::Other),
        };
        Self { fault: Fault::new(call, code), sort }
    }
}

/// SQS' older form of codes: `AWS.SimpleQueueService.NonExistentQueue`.
fn without_namespace(code: &str) -> &str {
    code.rsplit_once('.').map_or(code, |(_, last)| last)
}
