//! The users, by Amazon Cognito (API reference: `AdminGetUser`, `AdminUpdateUserAttributes`, `AdminConfirmSignUp`).

use aws_sdk_cognitoidentityprovider::Client;
use aws_sdk_cognitoidentityprovider::operation::RequestId as _;
use aws_sdk_cognitoidentityprovider::operation::admin_get_user::AdminGetUserOutput;
use aws_sdk_cognitoidentityprovider::types::{AttributeType, UserStatusType};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::connection::AwsConnection;
use super::failure::{Failure, Sort};
use crate::assurance::{Assurance, AttributeChange, CLAIM_ATTRIBUTE, UserRecord, UserStatus};
use crate::audit::ChangeCall;
use crate::ports::{DirectoryError, Fault, Person, UserDirectory};
use crate::proofing::Claim;
use crate::timestamp::Timestamp;
use crate::verification::{PoolId, UserReference, Username};

const GET: &str = "AdminGetUser";
const UPDATE: &str = "AdminUpdateUserAttributes";
const CONFIRM: &str = "AdminConfirmSignUp";

/// A trigger of the pool said no or answered nonsense, or a value belongs to somebody else.
const REFUSALS: [&str; 3] =
    ["UserLambdaValidationException", "InvalidLambdaResponseException", "AliasExistsException"];

/// A name that the sign-up never gives: asking for it opens the connection and tells whether the pool may be read.
const NOBODY: &str = "idv-callback-warm-up";

/// The users of every pool that the credentials may reach.
#[derive(Clone)]
pub struct CognitoDirectory {
    client: Client,
}

impl CognitoDirectory {
    /// A directory over this connection.
    pub fn new(connection: &AwsConnection) -> Self {
        Self { client: connection.cognito() }
    }

    /// Asks for a user that does not exist, so that the connection is open before the first message needs it.
    ///
    /// # Errors
    /// [`DirectoryError`] when the pool cannot be asked.
    pub async fn warm_up(&self, pool: &PoolId) -> Result<(), DirectoryError> {
        let Ok(username) = Username::new(NOBODY) else { return Ok(()) };
        self.find(&UserReference { pool: pool.clone(), username }).await.map(drop)
    }
}

impl CognitoDirectory {
    /// Changes a person by `sub` where it is told (API reference, `AdminUpdateUserAttributes`, `Username`: "the `sub` of a local
    /// user").
    async fn change(&self, user: &Person<'_>, change: Change<'_>) -> Result<ChangeCall, DirectoryError> {
        let pool = user.reference.pool.as_str();
        let name = user.sub.unwrap_or(user.reference.username.as_str());
        let (call, request_id) = match change {
            Change::Write(changes) => {
                let attributes: Result<Vec<_>, _> = changes.iter().map(attribute).collect();
                let request = self.client.admin_update_user_attributes().user_pool_id(pool).username(name);
                let answer = request.set_user_attributes(Some(attributes?)).send().await;
                let answer = answer.map_err(|error| failed(UPDATE, &error))?;
                (UPDATE, answer.request_id().map(str::to_owned))
            }
            Change::Confirm => {
                let request = self.client.admin_confirm_sign_up().user_pool_id(pool).username(name);
                let answer = request.send().await.map_err(|error| failed(CONFIRM, &error))?;
                (CONFIRM, answer.request_id().map(str::to_owned))
            }
        };
        Ok(ChangeCall { call, request_id })
    }
}

impl UserDirectory for CognitoDirectory {
    async fn find(&self, user: &UserReference) -> Result<Option<UserRecord>, DirectoryError> {
        let request = self.client.admin_get_user().user_pool_id(user.pool.as_str());
        match request.username(user.username.as_str()).send().await {
            Ok(answer) => read(&answer).map(Some),
            Err(error) => match failed(GET, &error) {
                DirectoryError::UserNotFound => Ok(None),
                error => Err(error),
            },
        }
    }

    async fn write(
        &self,
        user: &Person<'_>,
        changes: &[AttributeChange],
    ) -> Result<ChangeCall, DirectoryError> {
        self.change(user, Change::Write(changes)).await
    }

    async fn confirm(&self, user: &Person<'_>) -> Result<ChangeCall, DirectoryError> {
        self.change(user, Change::Confirm).await
    }
}

/// What is changed.
#[derive(Clone, Copy)]
enum Change<'a> {
    Write(&'a [AttributeChange]),
    Confirm,
}

/// An empty value deletes the attribute (API reference, `AdminUpdateUserAttributes`).
fn attribute(change: &AttributeChange) -> Result<AttributeType, DirectoryError> {
    let value = match change {
        AttributeChange::Set(_, value) => value.as_str(),
        AttributeChange::Clear(_) => "",
    };
    let attribute = AttributeType::builder().name(change.name()).value(value).build();
    attribute.map_err(|_| DirectoryError::Refused(Fault::new(UPDATE, "bad_attribute")))
}

fn read(answer: &AdminGetUserOutput) -> Result<UserRecord, DirectoryError> {
    let unreadable = |what| DirectoryError::Misconfigured(Fault::new(GET, what));
    let created = answer.user_create_date().ok_or_else(|| unreadable("no_creation_date"))?;
    let created = created.to_millis().map_err(|_| unreadable("bad_creation_date"))?;
    let attributes = answer.user_attributes();
    let value = |name: &str| attributes.iter().find(|attribute| attribute.name() == name)?.value();
    Ok(UserRecord {
        username: Username::new(answer.username()).map_err(|_| unreadable("bad_username"))?,
        status: match answer.user_status() {
            Some(UserStatusType::Unconfirmed) => UserStatus::Unconfirmed,
            Some(UserStatusType::Confirmed) => UserStatus::Confirmed,
            _ => UserStatus::Other,
        },
        enabled: answer.enabled(),
        created_at: Timestamp::from_unix_millis(created),
        sub: value("sub").map(str::to_owned),
        assurance: Assurance::read(value),
        claim: value(CLAIM_ATTRIBUTE).and_then(Claim::new),
    })
}

fn failed<E: ProvideErrorMetadata>(call: &'static str, error: &SdkError<E, HttpResponse>) -> DirectoryError {
    let Failure { fault, sort } = Failure::of(call, error);
    match (sort, fault.code.as_str(), call) {
        (Sort::Transient, _, _) => DirectoryError::Transient(fault),
        // A name that Cognito never gives is an invalid parameter to it: the other one, the pool's id, has a form that was checked.
        (Sort::Other, "UserNotFoundException", _) | (Sort::Other, "InvalidParameterException", GET) => {
            DirectoryError::UserNotFound
        }
        // The code of "already confirmed" as well as of a real refusal: the caller asks for the user.
        (Sort::Other, "NotAuthorizedException", CONFIRM) => DirectoryError::Refused(fault),
        (Sort::Other, code, _) if REFUSALS.contains(&code) => DirectoryError::Refused(fault),
        (Sort::Other, _, _) => DirectoryError::Misconfigured(fault),
    }
}
