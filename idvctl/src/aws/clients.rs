//! The clients of services that no function calls.

use idv_callback::aws::AwsConnection;

/// The client of a service: each SDK crate has types of its own that look alike.
macro_rules! client {
    ($name:ident, $sdk:ident, $variable:literal) => {
        pub(super) fn $name(connection: &AwsConnection) -> $sdk::Client {
            let mut config = $sdk::config::Builder::from(connection.sdk_config());
            config.set_endpoint_url(connection.endpoint($variable));
            $sdk::Client::from_conf(config.build())
        }
    };
}

client!(sts, aws_sdk_sts, "AWS_ENDPOINT_URL_STS");
client!(logs, aws_sdk_cloudwatchlogs, "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS");
client!(kms, aws_sdk_kms, "AWS_ENDPOINT_URL_KMS");

pub(super) fn s3(connection: &AwsConnection) -> aws_sdk_s3::Client {
    let mut config = aws_sdk_s3::config::Builder::from(connection.sdk_config());
    let endpoint = connection.endpoint("AWS_ENDPOINT_URL_S3");
    // Buckets have hosts of their own at AWS, and paths elsewhere.
    config.set_force_path_style(endpoint.as_ref().map(|_| true));
    config.set_endpoint_url(endpoint);
    aws_sdk_s3::Client::from_conf(config.build())
}
