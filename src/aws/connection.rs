//! How this system talks to AWS: TLS by ring, Amazon's own root certificates, short timeouts, few retries.
//!
//! The SDK's default TLS (aws-lc) gathers entropy at its first handshake, which at 128 MB of Lambda memory costs two
//! thirds of a second of somebody's first request; ring does not.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_sqs::config::{BehaviorVersion, Credentials as Keys, Region, SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;

use crate::config::{CA_BUNDLE, ConfigError, Environment};

/// Amazon Trust Services' roots (amazontrust.com/repository): what every public AWS endpoint's chain ends in. Loading
/// the system's whole store costs milliseconds of every cold start.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon-roots.pem");

/// How long calls may take. Every call is tried at most twice.
#[derive(Clone, Copy, Debug)]
pub struct CallLimits {
    /// One try.
    pub attempt: Duration,
    /// All tries together, the waiting between them included.
    pub operation: Duration,
}

impl CallLimits {
    /// For the callback function: senders wait 5 to 15 s for an answer, and a cold start may need two calls.
    pub const CALLBACK: Self =
        Self { attempt: Duration::from_millis(1500), operation: Duration::from_millis(3200) };

    /// For the triggers: what is left of Cognito's 5 s when 1Kosmos was asked.
    pub const TRIGGERS: Self =
        Self { attempt: Duration::from_millis(900), operation: Duration::from_millis(1500) };

    /// For the consumer: six calls of a record fit into [`RECORD_BUDGET`](crate::settlement::RECORD_BUDGET).
    pub const CONSUMER: Self =
        Self { attempt: Duration::from_millis(1900), operation: Duration::from_millis(4000) };

    /// For trying new versions: a cold start and the longest time that an invocation may take.
    pub const PRETRAFFIC: Self =
        Self { attempt: Duration::from_secs(65), operation: Duration::from_secs(65) };

    const CONNECT: Duration = Duration::from_millis(1000);
    const FIRST_BACKOFF: Duration = Duration::from_millis(100);
    const TRIES: u32 = 2;
}

/// The settings that all clients share: one HTTP client, so one connection for each endpoint.
#[derive(Clone)]
pub struct AwsConnection {
    config: SdkConfig,
    endpoints: EndpointOverrides,
}

/// Where the services are, if not where the SDK thinks: the one of a service's own, or the one for all.
#[derive(Clone)]
struct EndpointOverrides {
    all: Option<String>,
    own: BTreeMap<&'static str, String>,
}

impl EndpointOverrides {
    /// The variables of the services that are called, as every AWS SDK names them.
    const VARIABLES: [&str; 9] = [
        SQS,
        COGNITO,
        SECRETS,
        LAMBDA,
        CODEDEPLOY,
        "AWS_ENDPOINT_URL_STS",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS",
        "AWS_ENDPOINT_URL_KMS",
    ];

    fn read(environment: &Environment) -> Self {
        let own = Self::VARIABLES.into_iter().filter_map(|name| Some((name, environment.get(name)?)));
        Self { all: environment.get("AWS_ENDPOINT_URL"), own: own.collect() }
    }

    fn of(&self, variable: &str) -> Option<String> {
        self.own.get(variable).or(self.all.as_ref()).cloned()
    }
}

const SQS: &str = "AWS_ENDPOINT_URL_SQS";
const COGNITO: &str = "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER";
const SECRETS: &str = "AWS_ENDPOINT_URL_SECRETS_MANAGER";
const LAMBDA: &str = "AWS_ENDPOINT_URL_LAMBDA";
const CODEDEPLOY: &str = "AWS_ENDPOINT_URL_CODEDEPLOY";

/// The client of a service: each SDK crate has types of its own that look alike.
macro_rules! client {
    ($name:ident, $sdk:ident, $variable:ident) => {
        /// A client of this service.
        pub fn $name(&self) -> $sdk::Client {
            let mut config = $sdk::config::Builder::from(&self.config);
            config.set_endpoint_url(self.endpoints.of($variable));
            $sdk::Client::from_conf(config.build())
        }
    };
}

impl AwsConnection {
    /// For a Lambda function: the credentials are in the environment; no files are read, no metadata service is asked.
    /// Opens nothing yet.
    ///
    /// # Errors
    /// [`ConfigError`] when the region or the credentials are not set, or a certificate file cannot be read.
    pub fn of_function(environment: &Environment, limits: CallLimits) -> Result<Self, ConfigError> {
        let get = |name: &str| environment.get(name).ok_or_else(|| format!("{name} is not set"));
        let (id, secret) = (get("AWS_ACCESS_KEY_ID")?, get("AWS_SECRET_ACCESS_KEY")?);
        let token = environment.get("AWS_SESSION_TOKEN");
        let credentials = SharedCredentialsProvider::new(Keys::new(id, secret, token, None, "environment"));
        Self::with_credentials(environment, limits, credentials)
    }

    /// With these credentials.
    ///
    /// # Errors
    /// [`ConfigError`] when the region is not set, or a certificate file cannot be read.
    pub fn with_credentials(
        environment: &Environment,
        limits: CallLimits,
        credentials: SharedCredentialsProvider,
    ) -> Result<Self, ConfigError> {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CallLimits::CONNECT)
            .operation_attempt_timeout(limits.attempt)
            .operation_timeout(limits.operation)
            .build();
        let retries = RetryConfig::standard()
            .with_max_attempts(CallLimits::TRIES)
            .with_initial_backoff(CallLimits::FIRST_BACKOFF);
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(region(environment)?)
            .credentials_provider(credentials)
            .http_client(http_client(environment)?)
            .sleep_impl(TokioSleep::new())
            .timeout_config(timeouts)
            // Every attempt has a limit, and bodies are small: watching their throughput would only cost.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .retry_config(retries)
            .build();
        Ok(Self { config, endpoints: EndpointOverrides::read(environment) })
    }

    client!(sqs, aws_sdk_sqs, SQS);
    client!(cognito, aws_sdk_cognitoidentityprovider, COGNITO);
    client!(secrets, aws_sdk_secretsmanager, SECRETS);
    client!(lambda, aws_sdk_lambda, LAMBDA);
    client!(codedeploy, aws_sdk_codedeploy, CODEDEPLOY);

    /// What every client is built from.
    pub fn sdk_config(&self) -> &SdkConfig {
        &self.config
    }

    /// The endpoint of a service, where the environment names one; `variable` is the service's own, `AWS_ENDPOINT_URL_KMS`.
    pub fn endpoint(&self, variable: &str) -> Option<String> {
        self.endpoints.of(variable)
    }
}

/// The region that the environment names.
///
/// # Errors
/// [`ConfigError`] when it is not set.
pub fn region(environment: &Environment) -> Result<Region, ConfigError> {
    let region = environment.get("AWS_REGION").or_else(|| environment.get("AWS_DEFAULT_REGION"));
    region
        .map(Region::new)
        .ok_or_else(|| "AWS_REGION is not set, for example AWS_REGION=us-east-1".to_owned().into())
}

/// The HTTP client that every call goes through.
///
/// # Errors
/// [`ConfigError`] when a certificate file cannot be read.
pub fn http_client(environment: &Environment) -> Result<SharedHttpClient, ConfigError> {
    let roots = match environment.get(CA_BUNDLE) {
        None => AMAZON_ROOTS.to_vec(),
        Some(path) => std::fs::read(&path).map_err(|error| {
            format!("{CA_BUNDLE} must be a readable file of PEM certificates, but {path} is not: {error}")
        })?,
    };
    let trust = TrustStore::empty().with_pem_certificate(roots);
    let tls = TlsContext::builder().with_trust_store(trust).build();
    let tls = tls.map_err(|error| format!("{CA_BUNDLE} must hold PEM certificates: {error}"))?;
    let client = aws_smithy_http_client::Builder::new();
    Ok(client.tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls).build_https())
}
