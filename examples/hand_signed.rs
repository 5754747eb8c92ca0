//! The callback function without the SDK: one signature checked, one request to SQS signed by hand. What the benchmark
//! holds the SDK's cost against; it has none of the care of the real one.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    reason = "a peer in a benchmark"
)]

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use idv_callback::secret::hmac_sha256;
use idv_callback::timestamp::Timestamp;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

type Https = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let env = |name: &str| std::env::var(name).unwrap();
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(env("AWS_CA_BUNDLE"))? {
        roots.add(certificate?)?;
    }
    let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let connector =
        hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().build();
    let client: Https = Client::builder(TokioExecutor::new()).build(connector);
    let (endpoint, queue) = (env("AWS_ENDPOINT_URL"), env("IDV_QUEUE_URL"));
    let secrets = env("AWS_ENDPOINT_URL_SECRETS_MANAGER");
    let (id, secret) = (env("AWS_ACCESS_KEY_ID"), env("AWS_SECRET_ACCESS_KEY"));
    let call = async |target: &str, body: Value| {
        let endpoint = if target.starts_with("AmazonSQS") { &endpoint } else { &secrets };
        let request = signed(endpoint, target, &body.to_string(), &id, &secret);
        let answer = client.request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice::<Value>(&answer).unwrap()
    };
    let ring =
        call("secretsmanager.GetSecretValue", json!({ "SecretId": env("IDV_KEY_RING_SECRET_ID") })).await;
    let ring: Value = serde_json::from_str(ring["SecretString"].as_str().unwrap())?;
    let key = STANDARD.decode(ring["webhook"][0]["secret"].as_str().unwrap().trim_start_matches("whsec_"))?;
    let (call, key, queue) = (&call, &key, &queue);
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        let header = |name: &str| event.payload["headers"][name].as_str().unwrap_or_default().to_owned();
        let body = STANDARD.decode(event.payload["body"].as_str().unwrap())?;
        let prefix = format!("{}.{}.", header("webhook-id"), header("webhook-timestamp"));
        let tag = STANDARD.encode(hmac_sha256(key, &[prefix.as_bytes(), &body]).to_bytes());
        if header("webhook-signature") != format!("v1,{tag}") {
            return Ok::<_, Error>(json!({ "statusCode": 401, "body": "{}" }));
        }
        let message = json!({
            "QueueUrl": queue, "MessageBody": String::from_utf8(body)?,
            "MessageGroupId": "g", "MessageDeduplicationId": hex(&Sha256::digest(prefix)),
        });
        call("AmazonSQS.SendMessage", message).await;
        Ok(json!({ "statusCode": 202, "body": "{}" }))
    }))
    .await
}

/// Signature version 4, for a POST to the root of a service.
fn signed(endpoint: &str, target: &str, body: &str, id: &str, secret: &str) -> Request<Full<Bytes>> {
    let service = if target.starts_with("AmazonSQS") { "sqs" } else { "secretsmanager" };
    let host = endpoint.trim_start_matches("https://");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let now = Timestamp::from_unix_seconds(i64::try_from(now).unwrap()).to_string();
    let stamp: String = now[..19].chars().filter(|c| *c != '-' && *c != ':').chain(['Z']).collect();
    let headers = format!(
        "content-type:application/x-amz-json-1.0\nhost:{host}\nx-amz-date:{stamp}\nx-amz-target:{target}\n"
    );
    let names = "content-type;host;x-amz-date;x-amz-target";
    let canonical = format!("POST\n/\n\n{headers}\n{names}\n{}", hex(&Sha256::digest(body)));
    let scope = format!("{}/us-east-1/{service}/aws4_request", &stamp[..8]);
    let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let key = scope.split('/').fold(format!("AWS4{secret}").into_bytes(), |key, part| {
        hmac_sha256(&key, &[part.as_bytes()]).to_bytes().to_vec()
    });
    let signature = hex(&hmac_sha256(&key, &[to_sign.as_bytes()]).to_bytes());
    let authorization =
        format!("AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}");
    Request::post(format!("{endpoint}/"))
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-date", stamp)
        .header("x-amz-target", target)
        .header("authorization", authorization)
        .body(Full::from(body.to_owned()))
        .unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
