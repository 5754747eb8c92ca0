//! The embedded queues and pool as AWS' own calls: the part of the SQS and Cognito JSON protocols that `idvctl` uses, so
//! that the very code that works on AWS works on the embedded stack.

use std::collections::BTreeMap;
use std::time::Duration;

use idv_callback::lambda::HttpMessage;
use idv_callback::ports::{Clock, OutgoingMessage, QueueError, Redelivery as _};
use idv_callback::settlement::MAXIMUM_RECEIVES;
use md5::{Digest as _, Md5};
use serde_json::{Map, Value, json};

use super::deployment::{DEAD_LETTER_QUEUE_ARN, Deployment, QUEUE_ARN};
use super::http_server::Reply;
use super::queue::{FifoQueue, LocalQueues, QueuedMessage};
use super::sts;
use super::user_pool::{PoolError, UserPool};
use crate::ports::MessageSource as _;

/// The names that the queues have in their URLs.
pub const CALLBACK_QUEUE: &str = "idv.fifo";
/// The dead-letter queue's.
pub const DEAD_LETTER_QUEUE: &str = "idv-dead-letters.fifo";

/// The embedded stack behind AWS' calls.
#[derive(Clone)]
pub struct AwsApi<C> {
    queues: LocalQueues<C>,
    pool: UserPool<C>,
    deployment: Deployment,
}

/// An error as AWS names it.
struct Refused(u16, String);

impl From<QueueError> for Refused {
    fn from(error: QueueError) -> Self {
        Self(400, error.fault().code.clone())
    }
}

impl From<PoolError> for Refused {
    fn from(error: PoolError) -> Self {
        Self(400, error.code().to_owned())
    }
}

impl<C: Clock + Clone> AwsApi<C> {
    /// These queues, this pool and this consumer.
    pub fn new(queues: LocalQueues<C>, pool: UserPool<C>, deployment: Deployment) -> Self {
        Self { queues, pool, deployment }
    }

    /// Whether a request is one of Lambda's calls, which go by their path (Lambda API reference).
    pub fn is_of_lambda(path: &str) -> bool {
        path.starts_with("/2015-03-31/")
    }

    fn lambda(&self, request: &HttpMessage) -> Reply {
        let path = request.path.trim_end_matches('/');
        if request.method == "GET" && path == "/2015-03-31/event-source-mappings" {
            return Reply::json(200, &self.deployment.mappings());
        }
        if request.method == "GET"
            && path.starts_with("/2015-03-31/functions/")
            && path.ends_with("/configuration")
        {
            return Reply::json(200, &self.deployment.function());
        }
        Reply::json(404, &json!({ "__type": "ResourceNotFoundException", "Message": "not embedded" }))
    }

    /// Answers a call.
    pub async fn answer(&self, request: &HttpMessage) -> Reply {
        if Self::is_of_lambda(&request.path) {
            return self.lambda(request);
        }
        let target = request.header("x-amz-target").unwrap_or_default();
        if target.is_empty() && request.body.starts_with(b"Action=GetCallerIdentity&") {
            return sts::get_caller_identity(request);
        }
        let arguments: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let answered = match target.rsplit('.').next().unwrap_or_default() {
            "FilterLogEvents" => Ok(self.deployment.events(&arguments)),
            "AdminGetUser" => self.admin_get_user(&arguments),
            "GetQueueAttributes" => self.get_queue_attributes(&arguments),
            "ReceiveMessage" => self.receive_message(&arguments),
            "SendMessage" => self.send_message(&arguments),
            "DeleteMessage" => self.delete_message(&arguments).await,
            "ChangeMessageVisibilityBatch" => self.change_visibility(&arguments).await,
            other => Err(Refused(400, format!("UnknownOperationException.{other}"))),
        };
        match answered {
            Ok(value) => Reply::json(200, &value),
            Err(Refused(status, code)) => Reply::json(status, &json!({ "__type": code, "message": code })),
        }
    }

    fn queue(&self, arguments: &Value) -> Result<&FifoQueue<C>, Refused> {
        let url = text(arguments, "QueueUrl");
        match url.rsplit('/').next() {
            Some(CALLBACK_QUEUE) => Ok(&self.queues.callbacks),
            Some(DEAD_LETTER_QUEUE) => Ok(&self.queues.dead_letters),
            _ => Err(Refused(400, "QueueDoesNotExist".to_owned())),
        }
    }

    fn admin_get_user(&self, arguments: &Value) -> Result<Value, Refused> {
        if text(arguments, "UserPoolId") != self.pool.id().as_str() {
            return Err(PoolError::ResourceNotFound.into());
        }
        let user = self.pool.admin_get_user(text(arguments, "Username"))?;
        let attribute = |(name, value): (&String, &String)| json!({ "Name": name, "Value": value });
        Ok(json!({
            "Username": user.username,
            "UserStatus": user.status,
            "Enabled": user.enabled,
            "UserCreateDate": seconds(user.created_at.unix_millis()),
            "UserAttributes": user.attributes.iter().map(attribute).collect::<Vec<_>>(),
        }))
    }

    fn get_queue_attributes(&self, arguments: &Value) -> Result<Value, Refused> {
        let (messages, in_flight) = self.queue(arguments)?.counts();
        let is_callbacks = text(arguments, "QueueUrl").ends_with(CALLBACK_QUEUE);
        let arn = if is_callbacks { QUEUE_ARN } else { DEAD_LETTER_QUEUE_ARN };
        let policy =
            json!({ "deadLetterTargetArn": DEAD_LETTER_QUEUE_ARN, "maxReceiveCount": MAXIMUM_RECEIVES });
        let mut attributes = json!({
            "QueueArn": arn,
            "ApproximateNumberOfMessages": (messages - in_flight).to_string(),
            "ApproximateNumberOfMessagesNotVisible": in_flight.to_string(),
            "ApproximateNumberOfMessagesDelayed": "0",
            "FifoQueue": "true",
            "MessageRetentionPeriod": "1209600",
        });
        if is_callbacks && let Value::Object(attributes) = &mut attributes {
            attributes.insert("RedrivePolicy".to_owned(), json!(policy.to_string()));
        }
        Ok(json!({ "Attributes": attributes }))
    }

    fn receive_message(&self, arguments: &Value) -> Result<Value, Refused> {
        let number = |name: &str| arguments.get(name).and_then(Value::as_u64);
        let most = usize::try_from(number("MaxNumberOfMessages").unwrap_or(1)).unwrap_or(10);
        let hold = Duration::from_secs(number("VisibilityTimeout").unwrap_or(360));
        let messages = self.queue(arguments)?.receive_for(most, hold)?;
        Ok(json!({ "Messages": messages.iter().map(message).collect::<Vec<_>>() }))
    }

    fn send_message(&self, arguments: &Value) -> Result<Value, Refused> {
        let body = text(arguments, "MessageBody");
        let attributes = arguments.get("MessageAttributes").and_then(Value::as_object);
        let attribute =
            |(name, value): (&String, &Value)| (name.clone(), text(value, "StringValue").to_owned());
        let message = OutgoingMessage {
            body: body.to_owned(),
            group_id: text(arguments, "MessageGroupId").to_owned(),
            deduplication_id: text(arguments, "MessageDeduplicationId").to_owned(),
            attributes: attributes.into_iter().flatten().map(attribute).collect::<BTreeMap<_, _>>(),
        };
        let id = self.queue(arguments)?.accept(message)?;
        Ok(json!({ "MessageId": id, "MD5OfMessageBody": digest(body) }))
    }

    async fn delete_message(&self, arguments: &Value) -> Result<Value, Refused> {
        self.queue(arguments)?.delete(text(arguments, "ReceiptHandle")).await?;
        Ok(json!({}))
    }

    async fn change_visibility(&self, arguments: &Value) -> Result<Value, Refused> {
        let queue = self.queue(arguments)?;
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for entry in arguments.get("Entries").and_then(Value::as_array).into_iter().flatten() {
            let id = text(entry, "Id");
            let visibility = entry.get("VisibilityTimeout").and_then(Value::as_u64).unwrap_or(0);
            match queue.delay(text(entry, "ReceiptHandle"), Duration::from_secs(visibility)).await {
                Ok(()) => successful.push(json!({ "Id": id })),
                Err(error) => {
                    failed.push(json!({ "Id": id, "SenderFault": true, "Code": error.fault().code.clone() }));
                }
            }
        }
        Ok(json!({ "Successful": successful, "Failed": failed }))
    }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn seconds(millis: i64) -> Value {
    // As Cognito tells it: seconds with a fraction.
    let text = format!("{}.{:03}", millis.div_euclid(1000), millis.rem_euclid(1000));
    serde_json::from_str(&text).unwrap_or_default()
}

fn digest(body: &str) -> String {
    idv_callback::hex::hex(&Md5::digest(body.as_bytes()))
}

fn message(message: &QueuedMessage) -> Value {
    let attribute = |(name, value): (&String, &String)| {
        (name.clone(), json!({ "DataType": "String", "StringValue": value }))
    };
    json!({
        "MessageId": message.id,
        "ReceiptHandle": message.handle(),
        "Body": message.body,
        "MD5OfBody": digest(&message.body),
        "Attributes": {
            "ApproximateReceiveCount": message.receives.to_string(),
            "MessageDeduplicationId": message.deduplication_id,
            "MessageGroupId": message.group_id,
            "SentTimestamp": message.sent_at.unix_millis().to_string(),
        },
        "MessageAttributes": message.attributes.iter().map(attribute).collect::<Map<_, _>>(),
    })
}
