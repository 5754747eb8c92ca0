//! The AWS adapters: the exact request that each call sends, and the class that it gives to every documented error.
//!
//! The error codes are those in the API references of the calls (Amazon Cognito user pools, Amazon SQS, AWS Secrets
//! Manager: "Errors" and "Common errors"), in the wire form of the services' JSON protocols.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use idv_callback::assurance::{AttributeChange, AttributeValue, UserStatus, names};
use idv_callback::aws::{AwsConnection, CallLimits, CognitoDirectory, MessageQueue, SqsQueue, StoredSecret};
use idv_callback::config::SecretSource;
use idv_callback::ports::{
    CallbackQueue as _, DeadLetters as _, DirectoryError, KeyStore as _, KeyStoreError, OutgoingMessage,
    QueueError, ReceivedMessage, Redelivery as _, UserDirectory as _,
};
use idv_callback::settlement::RECORD_BUDGET;
use idv_callback::verification::{PoolId, UserReference, Username};
use idvctl::ports::MessageSource as _;
use serde_json::{Value, json};

use crate::support::aws_endpoint::{AwsEndpoint, environment};
use crate::support::world::RING;

const QUEUE: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/idv.fifo";

/// Fast, so that the retries of the tables do not take minutes.
const FAST: CallLimits =
    CallLimits { attempt: Duration::from_millis(800), operation: Duration::from_millis(1500) };

fn connection(endpoint: &AwsEndpoint) -> AwsConnection {
    AwsConnection::of_function(&endpoint.environment(), FAST).unwrap()
}

fn ada() -> UserReference {
    UserReference { pool: PoolId::new("us-east-1_AbC123").unwrap(), username: Username::new("ada").unwrap() }
}

fn changes() -> Vec<AttributeChange> {
    vec![
        AttributeChange::Set(names::IAL, AttributeValue::new("2").unwrap()),
        AttributeChange::Clear(names::IDV_EVIDENCE),
    ]
}

fn user() -> Value {
    json!({
        "Username": "ada",
        "UserStatus": "UNCONFIRMED", "Enabled": true,
        "Enabled": true,
        "UserCreateDate": 1_795_341_600.125,
        "UserLastModifiedDate": 1_795_341_600.125,
        "UserAttributes": [ { "Name": "sub", "Value": "x" }, { "Name": "custom:ial", "Value": "2" } ],
    })
}

/// An error as the services send it; the message must never come out anywhere.
fn error(code: &str) -> Value {
    json!({ "__type": code, "message": "CANARY User cannot be confirmed. Current status is CONFIRMED" })
}

fn message() -> OutgoingMessage {
    OutgoingMessage {
        body: "{\"v\":1}".to_owned(),
        group_id: "group".to_owned(),
        deduplication_id: "dedup".to_owned(),
        attributes: BTreeMap::new(),
    }
}

fn received() -> ReceivedMessage {
    ReceivedMessage {
        id: "m-1".to_owned(),
        handle: "handle".to_owned(),
        body: "body".to_owned(),
        group_id: "group".to_owned(),
        attempt: 3,
        attributes: BTreeMap::from([("kept".to_owned(), "yes".to_owned())]),
    }
}

#[tokio::test]
async fn the_directory_sends_exactly_these_requests() {
    let endpoint = AwsEndpoint::start().await;
    let directory = CognitoDirectory::new(&connection(&endpoint));
    endpoint.say(200, user());
    let found = directory.find(&ada()).await.unwrap().unwrap();
    assert_eq!(found.status, UserStatus::Unconfirmed);
    assert_eq!(found.created_at.to_string(), "2026-11-22T10:00:00.125Z");
    assert_eq!(found.assurance.unwrap().ial.unwrap().get(), 2);
    directory.write(&crate::support::world::named(&ada()), &changes()).await.unwrap();
    directory.confirm(&crate::support::world::named(&ada())).await.unwrap();
    let who = json!({ "UserPoolId": "us-east-1_AbC123", "Username": "ada" });
    let mut update = who.clone();
    update["UserAttributes"] =
        json!([ { "Name": "custom:ial", "Value": "2" }, { "Name": "custom:idv_evidence", "Value": "" } ]);
    let asked: Vec<_> = endpoint.asked().into_iter().map(|asked| (asked.target, asked.body)).collect();
    let service = "AWSCognitoIdentityProviderService";
    assert_eq!(
        asked,
        [
            (format!("{service}.AdminGetUser"), who.clone()),
            (format!("{service}.AdminUpdateUserAttributes"), update),
            (format!("{service}.AdminConfirmSignUp"), who),
        ]
    );
    let authorization = &endpoint.asked()[0].authorization;
    assert!(authorization.contains("/us-east-1/cognito-idp/aws4_request"), "{authorization}");
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Class {
    NotFound,
    Transient,
    Misconfigured,
    Refused,
    NotInFlight,
}

fn class_of(error: &DirectoryError) -> Class {
    match error {
        DirectoryError::UserNotFound => Class::NotFound,
        DirectoryError::Transient(_) => Class::Transient,
        DirectoryError::Misconfigured(_) => Class::Misconfigured,
        DirectoryError::Refused(_) => Class::Refused,
    }
}

/// Status, code, and the class for `AdminGetUser`, `AdminUpdateUserAttributes`, `AdminConfirmSignUp`.
#[tokio::test]
async fn the_directory_gives_every_documented_error_its_class() {
    use Class::{Misconfigured as Mis, NotFound, Refused, Transient as Pass};
    let table = [
        (400, "UserNotFoundException", [NotFound, NotFound, NotFound]),
        (400, "NotAuthorizedException", [Mis, Mis, Refused]),
        (400, "ResourceNotFoundException", [Mis, Mis, Mis]),
        (400, "InvalidParameterException", [NotFound, Mis, Mis]),
        (400, "OperationNotEnabledException", [Mis, Mis, Mis]),
        (400, "TooManyRequestsException", [Pass, Pass, Pass]),
        (500, "InternalErrorException", [Pass, Pass, Pass]),
        (400, "LimitExceededException", [Pass, Pass, Pass]),
        (400, "TooManyFailedAttemptsException", [Pass, Pass, Pass]),
        (400, "UnexpectedLambdaException", [Pass, Pass, Pass]),
        (400, "UserLambdaValidationException", [Refused, Refused, Refused]),
        (400, "InvalidLambdaResponseException", [Refused, Refused, Refused]),
        (400, "AliasExistsException", [Refused, Refused, Refused]),
        (400, "InvalidSmsRoleAccessPolicyException", [Mis, Mis, Mis]),
        (400, "InvalidSmsRoleTrustRelationshipException", [Mis, Mis, Mis]),
        (400, "InvalidEmailRoleAccessPolicyException", [Mis, Mis, Mis]),
        // Common errors.
        (400, "AccessDeniedException", [Mis, Mis, Mis]),
        (403, "ExpiredTokenException", [Mis, Mis, Mis]),
        (403, "IncompleteSignature", [Mis, Mis, Mis]),
        (403, "InvalidClientTokenId", [Mis, Mis, Mis]),
        (403, "UnrecognizedClientException", [Mis, Mis, Mis]),
        (400, "OptInRequired", [Mis, Mis, Mis]),
        (400, "ValidationError", [Mis, Mis, Mis]),
        (400, "RequestExpired", [Pass, Pass, Pass]),
        (400, "ThrottlingException", [Pass, Pass, Pass]),
        (500, "InternalFailure", [Pass, Pass, Pass]),
        (503, "ServiceUnavailable", [Pass, Pass, Pass]),
        (429, "Unheard", [Pass, Pass, Pass]),
        (502, "Unheard", [Pass, Pass, Pass]),
        (400, "Unheard", [Mis, Mis, Mis]),
    ];
    let mut checks = tokio::task::JoinSet::new();
    for (status, code, classes) in table {
        checks.spawn(async move {
            let endpoint = AwsEndpoint::answering(move |_| Some((status, error(code)))).await;
            let directory = CognitoDirectory::new(&connection(&endpoint));
            let errors = [
                directory.find(&ada()).await.map(|found| assert!(found.is_none())).err(),
                directory.write(&crate::support::world::named(&ada()), &changes()).await.err(),
                directory.confirm(&crate::support::world::named(&ada())).await.err(),
            ];
            for (error, class) in errors.iter().zip(classes) {
                // For reading, a user that is not there is not an error.
                let got = error.as_ref().map_or(Class::NotFound, class_of);
                assert_eq!(got, class, "{status} {code}: {error:?}");
                assert!(!format!("{error:?}").contains("CANARY"), "{error:?}");
            }
        });
    }
    checks.join_all().await;
}

#[tokio::test]
async fn a_user_that_cannot_be_read_is_not_guessed_at() {
    let endpoint = AwsEndpoint::start().await;
    let directory = CognitoDirectory::new(&connection(&endpoint));
    for (name, value, status) in [
        ("UserStatus", json!("CONFIRMED"), Some(UserStatus::Confirmed)),
        ("UserStatus", json!("FORCE_CHANGE_PASSWORD"), Some(UserStatus::Other)),
        ("UserStatus", json!("EXTERNAL_PROVIDER"), Some(UserStatus::Other)),
        ("UserStatus", json!("SOMETHING_NEW"), Some(UserStatus::Other)),
        ("UserStatus", Value::Null, Some(UserStatus::Other)),
        ("UserCreateDate", Value::Null, None),
    ] {
        let mut answer = user();
        answer[name] = value;
        endpoint.say(200, answer);
        let found = directory.find(&ada()).await;
        assert_eq!(found.ok().flatten().map(|user| user.status), status);
    }
}

#[tokio::test]
async fn the_queues_send_exactly_these_requests() {
    let endpoint = AwsEndpoint::start().await;
    let connection = connection(&endpoint);
    let queue = MessageQueue::new(&connection, QUEUE, "https://sqs.us-east-1.amazonaws.com/1/dead.fifo");
    endpoint.say(200, json!({ "MessageId": "m", "MD5OfMessageBody": "x" }));
    queue.callbacks.send(message()).await.unwrap();
    queue.delay("handle", Duration::from_secs(90)).await.unwrap();
    queue.callbacks.delete("handle").await.unwrap();
    endpoint.say(200, json!({ "MessageId": "m", "MD5OfMessageBody": "x" }));
    queue
        .put(
            &received(),
            BTreeMap::from(
                [("idv-reason", "bad_seal"), ("kept", "yes")].map(|(n, v)| (n.to_owned(), v.to_owned())),
            ),
        )
        .await
        .unwrap();
    let text = |value: &str| json!({ "DataType": "String", "StringValue": value });
    let asked: Vec<_> = endpoint.take_asked().into_iter().map(|asked| (asked.target, asked.body)).collect();
    assert_eq!(
        asked,
        [
            (
                "AmazonSQS.SendMessage".to_owned(),
                json!({
                    "QueueUrl": QUEUE, "MessageBody": "{\"v\":1}",
                    "MessageGroupId": "group", "MessageDeduplicationId": "dedup",
                }),
            ),
            (
                "AmazonSQS.ChangeMessageVisibility".to_owned(),
                json!({ "QueueUrl": QUEUE, "ReceiptHandle": "handle", "VisibilityTimeout": 90 }),
            ),
            ("AmazonSQS.DeleteMessage".to_owned(), json!({ "QueueUrl": QUEUE, "ReceiptHandle": "handle" }),),
            (
                "AmazonSQS.SendMessage".to_owned(),
                json!({
                    "QueueUrl": "https://sqs.us-east-1.amazonaws.com/1/dead.fifo", "MessageBody": "body",
                    "MessageGroupId": "group", "MessageDeduplicationId": "m-1",
                    "MessageAttributes": { "idv-reason": text("bad_seal"), "kept": text("yes") },
                }),
            ),
        ]
    );

    endpoint.say(
        200,
        json!({ "Messages": [ {
            "MessageId": "m-1", "ReceiptHandle": "handle", "Body": "body",
            "Attributes": { "MessageGroupId": "group", "ApproximateReceiveCount": "3" },
            "MessageAttributes": { "kept": text("yes") },
        } ] }),
    );
    let messages = queue.callbacks.receive(10).await.unwrap();
    assert_eq!(messages, [received()]);
    let asked = endpoint.take_asked().remove(0);
    assert_eq!(asked.target, "AmazonSQS.ReceiveMessage");
    assert_eq!((&asked.body["MaxNumberOfMessages"], &asked.body["WaitTimeSeconds"]), (&json!(10), &json!(5)));
    assert_eq!(asked.body["MessageSystemAttributeNames"], json!(["All"]));
    assert_eq!(asked.body["MessageAttributeNames"], json!(["All"]));
}

fn queue_class(error: &QueueError) -> Class {
    match error {
        QueueError::Transient(_) => Class::Transient,
        QueueError::Misconfigured(_) => Class::Misconfigured,
        QueueError::NotInFlight(_) => Class::NotInFlight,
    }
}

/// Status, code, and the class for `SendMessage` and `ChangeMessageVisibility`.
#[tokio::test]
async fn the_queues_give_every_documented_error_its_class() {
    use Class::{Misconfigured as Mis, NotInFlight as Gone, Transient as Pass};
    let table = [
        (400, "com.amazonaws.sqs#QueueDoesNotExist", [Mis, Mis]),
        (400, "AWS.SimpleQueueService.NonExistentQueue", [Mis, Mis]),
        (400, "com.amazonaws.sqs#InvalidAddress", [Mis, Mis]),
        (400, "com.amazonaws.sqs#InvalidSecurity", [Mis, Mis]),
        (400, "com.amazonaws.sqs#InvalidMessageContents", [Mis, Mis]),
        (400, "com.amazonaws.sqs#UnsupportedOperation", [Mis, Mis]),
        (400, "com.amazonaws.sqs#RequestThrottled", [Pass, Pass]),
        (400, "com.amazonaws.sqs#OverLimit", [Pass, Pass]),
        (400, "com.amazonaws.sqs#KmsThrottled", [Pass, Pass]),
        (400, "com.amazonaws.sqs#KmsAccessDenied", [Mis, Mis]),
        (400, "com.amazonaws.sqs#KmsDisabled", [Mis, Mis]),
        (400, "com.amazonaws.sqs#KmsInvalidKeyUsage", [Mis, Mis]),
        (400, "com.amazonaws.sqs#KmsInvalidState", [Mis, Mis]),
        (400, "com.amazonaws.sqs#KmsNotFound", [Mis, Mis]),
        (400, "com.amazonaws.sqs#KmsOptInRequired", [Mis, Mis]),
        (400, "com.amazonaws.sqs#MessageNotInflight", [Mis, Gone]),
        (400, "com.amazonaws.sqs#ReceiptHandleIsInvalid", [Mis, Gone]),
        (400, "InvalidParameterValue", [Mis, Gone]),
        (403, "AccessDenied", [Mis, Mis]),
        (403, "InvalidClientTokenId", [Mis, Mis]),
        (403, "SignatureDoesNotMatch", [Mis, Mis]),
        (500, "InternalError", [Pass, Pass]),
        (503, "ServiceUnavailable", [Pass, Pass]),
    ];
    let mut checks = tokio::task::JoinSet::new();
    for (status, code, classes) in table {
        checks.spawn(async move {
            let endpoint = AwsEndpoint::answering(move |_| Some((status, error(code)))).await;
            let queue = SqsQueue::new(&connection(&endpoint), QUEUE);
            let errors = [
                queue.send(message()).await.unwrap_err(),
                queue.delay("handle", Duration::from_secs(1)).await.unwrap_err(),
            ];
            for (error, class) in errors.iter().zip(classes) {
                assert_eq!(queue_class(error), class, "{status} {code}: {error:?}");
                assert!(!format!("{error:?}").contains("CANARY"));
            }
        });
    }
    checks.join_all().await;
}

#[tokio::test]
async fn the_key_ring_is_fetched_and_every_documented_error_has_its_class() {
    let endpoint = AwsEndpoint::start().await;
    let source = SecretSource::Secret("idv/key-ring".to_owned());
    let store = StoredSecret::new(&connection(&endpoint), &source);
    endpoint.say(200, json!({ "SecretString": RING, "VersionId": "v" }));
    assert_eq!(store.fetch().await.unwrap_or_else(|error| panic!("{error}")).webhook[0].id, "wh-1");
    let asked = endpoint.take_asked().remove(0);
    assert_eq!(asked.target, "secretsmanager.GetSecretValue");
    assert_eq!(asked.body, json!({ "SecretId": "idv/key-ring" }));
    let binary = base64::engine::general_purpose::STANDARD.encode(RING);
    endpoint.say(200, json!({ "SecretBinary": binary }));
    assert!(store.fetch().await.is_ok());
    endpoint.say(200, json!({ "SecretString": "{\"webhook\":\"CANARY\"}" }));
    let malformed = store.fetch().await.err().unwrap();
    assert!(matches!(malformed, KeyStoreError::Malformed(_)));
    assert!(!malformed.to_string().contains("CANARY"));

    for (status, code, passes) in [
        (400, "ResourceNotFoundException", false),
        (400, "InvalidParameterException", false),
        (400, "InvalidRequestException", false),
        (400, "DecryptionFailure", false),
        (400, "AccessDeniedException", false),
        (500, "InternalServiceError", true),
        (400, "ThrottlingException", true),
    ] {
        let endpoint = AwsEndpoint::answering(move |_| Some((status, error(code)))).await;
        let store = StoredSecret::new(&connection(&endpoint), &source);
        let error = store.fetch().await.err().unwrap();
        assert_eq!(matches!(error, KeyStoreError::Transient(_)), passes, "{code}");
        assert!(error.to_string().contains(code) && !error.to_string().contains("CANARY"), "{error}");
    }
}

/// No answer, or none in time, is a transient fault, and a call ends within its limit.
#[tokio::test]
async fn calls_end_in_time() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let connect = |url: String| async move { AwsConnection::of_function(&environment(&url), FAST).unwrap() };
    let start = Instant::now();
    let queue = SqsQueue::new(&connect(url).await, QUEUE);
    let error = queue.send(message()).await.unwrap_err();
    assert_eq!(error.fault().code, "timeout");
    assert_eq!(queue_class(&error), Class::Transient);
    assert!(start.elapsed() < FAST.operation + Duration::from_secs(1));

    let closed = SqsQueue::new(&connect("http://127.0.0.1:9".to_owned()).await, QUEUE);
    let error = closed.send(message()).await.unwrap_err();
    assert_eq!((queue_class(&error), error.fault().code.as_str()), (Class::Transient, "no_connection"));

    // The other side takes the request and closes the connection: that is nobody's misconfiguration.
    let rude = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", rude.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = rude.accept().await {
            let mut request = [0; 4096];
            let _read = tokio::io::AsyncReadExt::read(&mut stream, &mut request).await;
        }
    });
    let error = SqsQueue::new(&connect(url).await, QUEUE).send(message()).await.unwrap_err();
    assert_eq!(queue_class(&error), Class::Transient, "{error:?}");

    // A record's calls (read, write, confirm, read again, one to a queue) fit into its budget.
    assert!(5 * CallLimits::CONSUMER.operation <= RECORD_BUDGET);
    assert!(RECORD_BUDGET * 2 <= idv_callback::settlement::INVOCATION_TIMEOUT);
    // Key ring and queue fit into the callback function's time.
    assert!(2 * CallLimits::CALLBACK.operation < idv_callback::intake::INVOCATION_TIMEOUT);
}

#[tokio::test]
async fn a_call_that_fails_once_is_tried_again() {
    let endpoint = AwsEndpoint::start().await;
    let queue = SqsQueue::new(&connection(&endpoint), QUEUE);
    endpoint.say(503, error("ServiceUnavailable"));
    endpoint.say(200, json!({ "MessageId": "m", "MD5OfMessageBody": "x" }));
    queue.send(message()).await.unwrap();
    assert_eq!(endpoint.asked().len(), 2);
    endpoint.say(503, error("ServiceUnavailable"));
    endpoint.say(503, error("ServiceUnavailable"));
    endpoint.take_asked();
    assert!(queue.send(message()).await.is_err());
    assert_eq!(endpoint.asked().len(), 2, "twice and no more");
}
