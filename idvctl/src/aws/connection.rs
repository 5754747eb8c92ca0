//! A connection for a person or a container: with the SDK's whole chain of credentials, of which no function is built.

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::provider_config::ProviderConfig;
use aws_sdk_sqs::config::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use idv_callback::aws::{AwsConnection, CallLimits, http_client, region};
use idv_callback::config::{ConfigError, Environment};

/// Credentials of the environment, a profile, web identity, the container or the instance.
///
/// # Errors
/// [`ConfigError`] when the region is not set, or a certificate file cannot be read.
pub async fn connect(environment: &Environment, limits: CallLimits) -> Result<AwsConnection, ConfigError> {
    let region = region(environment)?;
    let settings = ProviderConfig::empty()
        .with_region(Some(region.clone()))
        .with_http_client(http_client(environment)?)
        .with_sleep_impl(TokioSleep::new())
        .with_time_source(SystemTimeSource::new());
    let chain = DefaultCredentialsChain::builder().configure(settings).region(region).build().await;
    AwsConnection::with_credentials(environment, limits, SharedCredentialsProvider::new(chain))
}
