//! How this system talks to AWS: TLS by ring, Amazon's own root certificates, short timeouts, few retries.
//!
//! The SDK's default TLS (aws-lc) gathers entropy at its first handshake, which at 128 MB of Lambda memory costs two
//! thirds of a second of somebody's first request; ring does not.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::config::{Credentials as Keys, SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;

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
    /// The variables of the services that are called here, as every AWS SDK names them.
    const VARIABLES: [&str; 9] = [SQS, COGNITO, SECRETS, STS, LAMBDA, CODEDEPLOY, S3, LOGS, KMS];

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
const STS: &str = "AWS_ENDPOINT_URL_STS";
const LAMBDA: &str = "AWS_ENDPOINT_URL_LAMBDA";
const CODEDEPLOY: &str = "AWS_ENDPOINT_URL_CODEDEPLOY";
const S3: &str = "AWS_ENDPOINT_URL_S3";
const LOGS: &str = "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS";
const KMS: &str = "AWS_ENDPOINT_URL_KMS";

/// The client of a service: each SDK crate has types of its own that look alike.
macro_rules! client {
    ($name:ident, $sdk:ident, $variable:ident) => {
        pub(super) fn $name(&self) -> $sdk::Client {
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
        Self::new(environment, limits, region(environment)?, credentials)
    }

    /// For a person or a container: the SDK's whole chain of credentials (environment, profiles, web identity,
    /// container, instance). A function of its own, so that the Lambda binaries are built without that chain.
    ///
    /// # Errors
    /// [`ConfigError`] when the region is not set, or a certificate file cannot be read.
    pub async fn of_process(environment: &Environment, limits: CallLimits) -> Result<Self, ConfigError> {
        let region = region(environment)?;
        let http_client = http_client(environment.get(CA_BUNDLE).as_deref())?;
        let settings = ProviderConfig::empty()
            .with_region(Some(region.clone()))
            .with_http_client(http_client)
            .with_sleep_impl(TokioSleep::new())
            .with_time_source(SystemTimeSource::new());
        let chain = aws_config::default_provider::credentials::DefaultCredentialsChain::builder();
        let chain = chain.configure(settings).region(region.clone()).build().await;
        Self::new(environment, limits, region, SharedCredentialsProvider::new(chain))
    }

    fn new(
        environment: &Environment,
        limits: CallLimits,
        region: Region,
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
            .region(region)
            .credentials_provider(credentials)
            .http_client(http_client(environment.get(CA_BUNDLE).as_deref())?)
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
    client!(sts, aws_sdk_sts, STS);
    client!(lambda, aws_sdk_lambda, LAMBDA);
    client!(codedeploy, aws_sdk_codedeploy, CODEDEPLOY);
    client!(logs, aws_sdk_cloudwatchlogs, LOGS);
    client!(kms, aws_sdk_kms, KMS);

    pub(super) fn s3(&self) -> aws_sdk_s3::Client {
        let mut config = aws_sdk_s3::config::Builder::from(&self.config);
        let endpoint = self.endpoints.of(S3);
        // Buckets have hosts of their own at AWS, and paths elsewhere.
        config.set_force_path_style(endpoint.as_ref().map(|_| true));
        config.set_endpoint_url(endpoint);
        aws_sdk_s3::Client::from_conf(config.build())
    }
}

fn region(environment: &Environment) -> Result<Region, ConfigError> {
    let region = environment.get("AWS_REGION").or_else(|| environment.get("AWS_DEFAULT_REGION"));
    region
        .map(Region::new)
        .ok_or_else(|| "AWS_REGION is not set, for example AWS_REGION=us-east-1".to_owned().into())
}

fn http_client(ca_bundle: Option<&str>) -> Result<SharedHttpClient, ConfigError> {
    let roots = match ca_bundle {
        None => AMAZON_ROOTS.to_vec(),
        Some(path) => std::fs::read(path).map_err(|error| {
            format!("{CA_BUNDLE} must be a readable file of PEM certificates, but {path} is not: {error}")
        })?,
    };
    let trust = TrustStore::empty().with_pem_certificate(roots);
    let tls = TlsContext::builder().with_trust_store(trust).build();
    let tls = tls.map_err(|error| format!("{CA_BUNDLE} must hold PEM certificates: {error}"))?;
    let client = aws_smithy_http_client::Builder::new();
    Ok(client.tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls).build_https())
}
