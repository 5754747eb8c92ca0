//! Looking at an installation: read-only calls to SQS (`GetQueueAttributes`), Cognito (`DescribeUserPool`,
//! `ListUserPoolClients`, `DescribeUserPoolClient`) and Lambda (`GetFunctionConfiguration`, `ListEventSourceMappings`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_cognitoidentityprovider::types::{
    AdminCreateUserConfigType, AttributeDataType, LambdaConfigType, SchemaAttributeType, UserPoolMfaType,
    UsernameConfigurationType,
};
use aws_sdk_lambda::types::{
    EventSourceMappingConfiguration, FunctionResponseType, LoggingConfig, ScalingConfig,
};
use aws_sdk_sqs::types::QueueAttributeName;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::DateTime;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::date_time::Format;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use idv_callback::aws::{AwsConnection, Failure};
use idv_callback::timestamp::Timestamp;

use crate::preflight::{
    AppClient, Asked, Function, Mapping, OwnChallenge, Pool, Queue, SchemaAttribute, TRIGGERS,
};

/// The most app clients of one page (API reference, `ListUserPoolClients`).
const CLIENTS_PER_PAGE: i32 = 60;

/// Reads how an installation is set up; changes nothing.
#[derive(Clone)]
pub struct Inspection {
    sqs: aws_sdk_sqs::Client,
    cognito: aws_sdk_cognitoidentityprovider::Client,
    lambda: aws_sdk_lambda::Client,
    time: ServerTime,
}

impl Inspection {
    /// Over this connection.
    pub fn new(connection: &AwsConnection) -> Self {
        Self {
            sqs: connection.sqs(),
            cognito: connection.cognito(),
            lambda: connection.lambda(),
            time: ServerTime::default(),
        }
    }

    /// The time that AWS' last answer about a queue was given at.
    pub fn server_time(&self) -> Option<Timestamp> {
        *self.time.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A queue.
    ///
    /// # Errors
    /// The call and its error code.
    pub async fn queue(&self, url: &str) -> Asked<Queue> {
        let request = self.sqs.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All);
        let answer = request.customize().interceptor(self.time.clone()).send().await;
        let answer = answer.map_err(|error| problem("GetQueueAttributes", &error))?;
        let attributes = answer.attributes().cloned().unwrap_or_default();
        let text = |name| attributes.get(&name).map(String::as_str).unwrap_or_default();
        let seconds = |name| Duration::from_secs(text(name).parse().unwrap_or_default());
        Ok(Queue {
            arn: text(QueueAttributeName::QueueArn).to_owned(),
            url: url.to_owned(),
            fifo: text(QueueAttributeName::FifoQueue) == "true",
            visibility: seconds(QueueAttributeName::VisibilityTimeout),
            retention: seconds(QueueAttributeName::MessageRetentionPeriod),
            encrypted: text(QueueAttributeName::SqsManagedSseEnabled) == "true"
                || !text(QueueAttributeName::KmsMasterKeyId).is_empty(),
            by_group: text(QueueAttributeName::FifoThroughputLimit) == "perMessageGroupId",
            redrive: redrive_policy(text(QueueAttributeName::RedrivePolicy)),
        })
    }

    /// A user pool with all its app clients.
    ///
    /// # Errors
    /// The call and its error code.
    pub async fn pool(&self, id: &str) -> Asked<Pool> {
        let answer = self.cognito.describe_user_pool().user_pool_id(id).send().await;
        let answer = answer.map_err(|error| problem("DescribeUserPool", &error))?;
        let pool = answer.user_pool().ok_or("DescribeUserPool: no_pool")?;
        let case = pool.username_configuration().map(UsernameConfigurationType::case_sensitive);
        let admin = pool.admin_create_user_config();
        let only_admin = admin.is_some_and(AdminCreateUserConfigType::allow_admin_create_user_only);
        let mfa = pool.mfa_configuration().filter(|mfa| **mfa != UserPoolMfaType::Off);
        let mfa = mfa.map(|_| OwnChallenge::Mfa);
        let device = pool.device_configuration().map(|_| OwnChallenge::Device);
        Ok(Pool {
            id: id.to_owned(),
            schema: pool.schema_attributes().iter().map(schema_attribute).collect(),
            self_sign_up: !only_admin,
            verified_by_code: pool.auto_verified_attributes().iter().map(ToString::to_string).collect(),
            // A pool made without the setting tells capital letters apart.
            case_sensitive: case.unwrap_or(true),
            triggers: pool.lambda_config().map(triggers).unwrap_or_default(),
            own_challenges: mfa.into_iter().chain(device).collect(),
            clients: self.clients(id).await?,
        })
    }

    async fn clients(&self, pool: &str) -> Asked<Vec<AppClient>> {
        let (mut clients, mut page) = (Vec::new(), None);
        loop {
            let request = self.cognito.list_user_pool_clients().user_pool_id(pool);
            let request = request.max_results(CLIENTS_PER_PAGE).set_next_token(page);
            let answer = request.send().await.map_err(|error| problem("ListUserPoolClients", &error))?;
            for client in answer.user_pool_clients() {
                let id = client.client_id().unwrap_or_default();
                let request = self.cognito.describe_user_pool_client().user_pool_id(pool).client_id(id);
                let answer =
                    request.send().await.map_err(|error| problem("DescribeUserPoolClient", &error))?;
                let described = answer.user_pool_client().ok_or("DescribeUserPoolClient: no_client")?;
                clients.push(AppClient {
                    id: id.to_owned(),
                    name: described.client_name().unwrap_or_default().to_owned(),
                    writable: described.write_attributes.clone(),
                    flows: described.explicit_auth_flows().iter().map(ToString::to_string).collect(),
                    by_pages: described.allowed_o_auth_flows_user_pool_client().unwrap_or_default(),
                    scopes: described.allowed_o_auth_scopes().to_vec(),
                });
            }
            page = answer.next_token().map(str::to_owned);
            if page.is_none() {
                return Ok(clients);
            }
        }
    }

    /// A function, by name or ARN with an alias.
    ///
    /// # Errors
    /// The call and its error code.
    pub async fn function(&self, name: &str) -> Asked<Function> {
        let answer = self.lambda.get_function_configuration().function_name(name).send().await;
        let answer = answer.map_err(|error| problem("GetFunctionConfiguration", &error))?;
        let variables = answer.environment().and_then(|environment| environment.variables());
        let named = answer.logging_config().and_then(LoggingConfig::log_group);
        let default = || format!("/aws/lambda/{}", answer.function_name().unwrap_or_default());
        Ok(Function {
            asked: name.to_owned(),
            log_group: named.map_or_else(default, str::to_owned),
            timeout: Duration::from_secs(
                u64::try_from(answer.timeout().unwrap_or_default()).unwrap_or_default(),
            ),
            variables: variables
                .into_iter()
                .flatten()
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect::<BTreeMap<_, _>>(),
        })
    }

    /// The event source mappings of a queue.
    ///
    /// # Errors
    /// The call and its error code.
    pub async fn mappings(&self, queue_arn: &str) -> Asked<Vec<Mapping>> {
        let answer = self.lambda.list_event_source_mappings().event_source_arn(queue_arn).send().await;
        let answer = answer.map_err(|error| problem("ListEventSourceMappings", &error))?;
        Ok(answer.event_source_mappings().iter().map(mapping).collect())
    }
}

fn problem<E: ProvideErrorMetadata>(call: &'static str, error: &SdkError<E, HttpResponse>) -> String {
    Failure::of(call, error).fault.to_string()
}

fn redrive_policy(json: &str) -> Option<(String, u32)> {
    let policy: serde_json::Value = serde_json::from_str(json).ok()?;
    let count = policy.get("maxReceiveCount")?;
    // SQS gives a number where it was set as one, and a string where it was set as that.
    let count = count.as_u64().or_else(|| count.as_str()?.parse().ok())?;
    Some((policy.get("deadLetterTargetArn")?.as_str()?.to_owned(), u32::try_from(count).ok()?))
}

fn triggers(config: &LambdaConfigType) -> BTreeMap<&'static str, String> {
    let functions = [
        config.pre_sign_up(),
        config.define_auth_challenge(),
        config.create_auth_challenge(),
        config.verify_auth_challenge_response(),
    ];
    let set = TRIGGERS.into_iter().zip(functions);
    set.filter_map(|(name, function)| Some((name, function?.to_owned()))).collect()
}

fn schema_attribute(attribute: &SchemaAttributeType) -> SchemaAttribute {
    let constraints = attribute.string_attribute_constraints();
    SchemaAttribute {
        name: attribute.name().unwrap_or_default().to_owned(),
        string: attribute.attribute_data_type() == Some(&AttributeDataType::String),
        mutable: attribute.mutable().unwrap_or_default(),
        maximum_length: constraints.and_then(|limits| limits.max_length()?.parse().ok()),
    }
}

fn mapping(mapping: &EventSourceMappingConfiguration) -> Mapping {
    let concurrency = mapping.scaling_config().and_then(ScalingConfig::maximum_concurrency);
    Mapping {
        function_arn: mapping.function_arn().unwrap_or_default().to_owned(),
        enabled: matches!(mapping.state(), Some("Enabled" | "Enabling" | "Creating" | "Updating")),
        partial_failures: mapping
            .function_response_types()
            .contains(&FunctionResponseType::ReportBatchItemFailures),
        maximum_concurrency: concurrency.and_then(|most| u32::try_from(most).ok()),
    }
}

/// Remembers the `Date` of an answer.
#[derive(Clone, Debug, Default)]
struct ServerTime(Arc<Mutex<Option<Timestamp>>>);

impl Intercept for ServerTime {
    fn name(&self) -> &'static str {
        "ServerTime"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, Format::HttpDate).ok());
        if let Some(millis) = date.and_then(|date| date.to_millis().ok()) {
            let told = Some(Timestamp::from_unix_millis(millis));
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = told;
        }
        Ok(())
    }
}
