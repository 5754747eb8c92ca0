//! The variables of the environment, in one table.

/// Every variable that this system reads, with what it is for. `AWS_REGION`, the credential variables and the other
/// variables of the AWS SDKs that are read by the adapters are listed, too.
pub const VARIABLES: [Variable; 38] = [
    Variable(
        "IDV_QUEUE_URL",
        "the callback queue",
        "https://sqs.us-east-1.amazonaws.com/123456789012/idv.fifo",
    ),
    Variable(
        "IDV_DEAD_LETTER_QUEUE_URL",
        "the dead-letter queue",
        "https://sqs.us-east-1.amazonaws.com/123456789012/idv-dead-letters.fifo",
    ),
    Variable("IDV_KEY_RING_SECRET_ID", "the Secrets Manager secret that holds the key ring", "idv/key-ring"),
    Variable("IDV_KEY_RING_FILE", "a file that holds the key ring, instead of a secret", "key-ring.json"),
    Variable("IDV_SIGNATURE_PROFILE", "how callbacks are signed (default standard-webhooks)", "timestamped"),
    Variable(
        "IDV_SIGNATURE_HEADER",
        "the signature's header field (default x-1kosmos-signature)",
        "x-1kosmos-signature",
    ),
    Variable(
        "IDV_ALLOW_UNBOUND_TIMESTAMP",
        "true to allow the profile body-only, which cannot tell a captured request from a new one (default false)",
        "true",
    ),
    Variable(
        "IDV_USER_POOL_IDS",
        "the user pools that may be written to",
        "us-east-1_AbC123,us-east-1_DeF456",
    ),
    Variable("IDV_MINIMUM_IAL", "the least identity assurance level that counts, 1 to 3 (default 2)", "2"),
    Variable("IDV_BINDING", "required or optional (default required)", "required"),
    Variable(
        "IDV_EVENT_TYPES",
        "what becomes of event types that are in no table: result or ignore for each (default none)",
        "verification.reopened=result,account.linked=ignore",
    ),
    Variable("IDV_COGNITO_RPS", "writes a second to Cognito by one consumer, 1 to 10000 (default 10)", "10"),
    Variable(
        "IDV_CALLBACK_VERSION",
        "the new version of the callback function, for the check before it takes traffic",
        "arn:aws:lambda:us-east-1:123456789012:function:idv-callback:7",
    ),
    Variable(
        "IDV_CONSUMER_VERSION",
        "the new version of the consumer function, for the check before it takes traffic",
        "arn:aws:lambda:us-east-1:123456789012:function:idv-consumer:7",
    ),
    Variable(
        "IDV_TRIGGERS_VERSION",
        "the new version of the trigger function, for the check before it takes traffic",
        "arn:aws:lambda:us-east-1:123456789012:function:idv-triggers:7",
    ),
    Variable(
        "IDV_METRICS_NAMESPACE",
        "the CloudWatch namespace of the metrics (default idv-callback)",
        "idv-callback/prod",
    ),
    Variable("IDV_PROVIDER_URL", "the tenant's 1Kosmos API", "https://acme.1kosmos.net"),
    Variable(
        "IDV_PROVIDER_SECRET_ID",
        "the Secrets Manager secret that holds the key for 1Kosmos' API: {\"api_key\": \"…\"}",
        "idv/1kosmos",
    ),
    Variable("IDV_PROVIDER_SECRET_FILE", "a file that holds that key, instead of a secret", "1kosmos.json"),
    Variable("IDV_CALLBACK_URL", "where 1Kosmos calls back", "https://idv.example.com/idv-callback"),
    Variable(
        "IDV_PROVIDER_DOWN",
        "what becomes of sign-ups while 1Kosmos is unavailable: refuse or admit (default refuse)",
        "refuse",
    ),
    Variable(
        "IDV_FIRST_FACTOR",
        "what comes before the biometric in a step-up: password or none (default password)",
        "password",
    ),
    Variable(
        "IDV_FEDERATION_PROVIDER",
        "the pool's identity provider whose assurance counts (default OneKosmos)",
        "OneKosmos",
    ),
    Variable(
        "IDV_PROOF_FIRST",
        "allowed or refused: sessions for people who have not signed up yet, and their results (default refused)",
        "refused",
    ),
    Variable(
        "IDV_ALLOWED_ORIGIN",
        "the origin of the app that asks for proofing sessions",
        "https://app.example.com",
    ),
    Variable("AWS_REGION", "the region; Lambda sets it", "us-east-1"),
    Variable("AWS_ACCESS_KEY_ID", "the credentials; Lambda sets them", "AKIAIOSFODNN7EXAMPLE"),
    Variable("AWS_SECRET_ACCESS_KEY", "the credentials; Lambda sets them", "(the secret that belongs to it)"),
    Variable("AWS_ENDPOINT_URL", "one endpoint for all services, for tests", "http://127.0.0.1:4566"),
    Variable(
        "AWS_ENDPOINT_URL_SQS",
        "the endpoint of SQS",
        "https://vpce-0a1b.sqs.us-east-1.vpce.amazonaws.com",
    ),
    Variable(
        "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER",
        "the endpoint of Cognito",
        "https://cognito-idp.us-east-1.amazonaws.com",
    ),
    Variable(
        "AWS_ENDPOINT_URL_SECRETS_MANAGER",
        "the endpoint of Secrets Manager",
        "https://secretsmanager.us-east-1.amazonaws.com",
    ),
    Variable("AWS_ENDPOINT_URL_STS", "the endpoint of STS", "https://sts.us-east-1.amazonaws.com"),
    Variable("AWS_ENDPOINT_URL_LAMBDA", "the endpoint of Lambda", "https://lambda.us-east-1.amazonaws.com"),
    Variable(
        "AWS_ENDPOINT_URL_CODEDEPLOY",
        "the endpoint of CodeDeploy",
        "https://codedeploy.us-east-1.amazonaws.com",
    ),
    Variable("AWS_ENDPOINT_URL_S3", "the endpoint of S3", "https://s3.us-east-1.amazonaws.com"),
    Variable(
        "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS",
        "the endpoint of CloudWatch Logs",
        "https://logs.us-east-1.amazonaws.com",
    ),
    Variable("AWS_ENDPOINT_URL_KMS", "the endpoint of KMS", "https://kms.us-east-1.amazonaws.com"),
];

/// A variable: its name, what it is for, and an example.
pub struct Variable(pub &'static str, pub &'static str, pub &'static str);
