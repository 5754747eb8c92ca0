//! ministack, an independent emulator of AWS: run as a process, asked as AWS would be.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto, pki_types::CertificateDer};

use crate::support::setup;

/// A running ministack.
pub(crate) struct Emulator {
    pub(crate) url: String,
    /// The root of its certificate, where it speaks TLS.
    pub(crate) ca_bundle: Option<PathBuf>,
    folder: tempfile::TempDir,
    http: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    admin: Mutex<Option<Admin>>,
    _process: Child,
}

/// A process that makes calls with the account's own credentials, through AWS' SDK for Python.
struct Admin {
    _process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Emulator {
    /// Over HTTP, and whoever calls may do anything.
    pub(crate) async fn start() -> Self {
        Self::start_with(tempfile::tempdir().unwrap(), "http", &[], None).await
    }

    /// Over TLS, and with IAM: who calls may do what their policies allow. Functions inherit the variables.
    pub(crate) async fn start_guarded(variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certified = rcgen::generate_simple_self_signed(names).unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let (certificate, key) = (path("certificate.pem"), path("key.pem"));
        std::fs::write(&certificate, certified.cert.pem()).unwrap();
        std::fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
        let mut all = vec![
            ("AUTH", "true"),
            ("USE_SSL", "1"),
            ("MINISTACK_SSL_CERT", &certificate),
            ("MINISTACK_SSL_KEY", &key),
            ("AWS_CA_BUNDLE", &certificate),
        ];
        all.extend(variables);
        Self::start_with(folder, "https", &all, Some(certified.cert.der().clone())).await
    }

    async fn start_with(
        folder: tempfile::TempDir,
        scheme: &str,
        variables: &[(&str, &str)],
        root: Option<CertificateDer<'static>>,
    ) -> Self {
        let port = setup::free_port();
        let url = format!("{scheme}://127.0.0.1:{port}");
        let binary = setup::python().join("ministack");
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", setup::python().display());
        let process = Command::new(&binary)
            .env_clear()
            .env("PATH", path)
            .env("HOME", folder.path())
            .env("TMPDIR", folder.path())
            .env("GATEWAY_PORT", port.to_string())
            .env("BIND_HOST", "127.0.0.1")
            .env("AWS_ENDPOINT_URL", &url)
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join("ministack.log")).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{} could not be started: {error}", binary.display()));
        let ca_bundle = root.is_some().then(|| folder.path().join("certificate.pem"));
        let http = https_client(root);
        let emulator = Self { url, ca_bundle, folder, http, admin: Mutex::default(), _process: process };
        for _ in 0..300 {
            if emulator.is_up().await {
                return emulator;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("ministack did not answer within 30 s: {}", emulator.log());
    }

    async fn is_up(&self) -> bool {
        let url = format!("{}/_ministack/health", self.url).parse().unwrap();
        self.http.get(url).await.is_ok_and(|answer| answer.status().is_success())
    }

    /// What the emulator has printed.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("ministack.log")).unwrap_or_default()
    }

    /// A program of the virtual environment, with this AWS and the account's own credentials.
    pub(crate) fn python(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(setup::python().join("python"));
        command.args(arguments).envs(self.variables());
        command
    }

    /// The variables that make an SDK or `idvctl` use this AWS.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            ("AWS_ENDPOINT_URL", self.url.clone()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ];
        if let Some(path) = &self.ca_bundle {
            variables.push(("AWS_CA_BUNDLE", path.to_str().unwrap().to_owned()));
        }
        variables
    }

    /// A call with the account's own credentials: its answer, or the error's text.
    pub(crate) async fn try_call(
        &self,
        service: &str,
        operation: &str,
        arguments: Value,
    ) -> Result<Value, String> {
        let mut admin = self.admin.lock().await;
        if admin.is_none() {
            let mut process = self
                .python(&[&script("aws.py")])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .unwrap();
            let output = BufReader::new(process.stdout.take().unwrap()).lines();
            *admin = Some(Admin { input: process.stdin.take().unwrap(), output, _process: process });
        }
        let admin = admin.as_mut().unwrap();
        let line = format!("{}\n", json!([service, operation, arguments]));
        admin.input.write_all(line.as_bytes()).await.unwrap();
        let said = admin.output.next_line().await.unwrap();
        let said: Value = serde_json::from_str(&said.expect("aws.py ended")).unwrap();
        match said.get("error") {
            Some(error) => Err(error.as_str().unwrap().to_owned()),
            None => Ok(said["answer"].clone()),
        }
    }

    /// A call that must work.
    pub(crate) async fn call(&self, service: &str, operation: &str, arguments: Value) -> Value {
        let answer = self.try_call(service, operation, arguments).await;
        answer.unwrap_or_else(|error| panic!("{service} {operation}: {error}"))
    }

    /// An HTTP request as anybody on the internet could send it: status and body.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> (u16, Value) {
        let answer = self.http.request(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }
}

/// A client that trusts this root alone, or speaks plain HTTP.
fn https_client(root: Option<CertificateDer<'static>>) -> Client<HttpsConnector<HttpConnector>, Full<Bytes>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(root);
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().build();
    Client::builder(TokioExecutor::new()).build(connector)
}

/// The path of a script of these tests.
pub(crate) fn script(name: &str) -> String {
    let path = crate::support::setup::repository().join("tests/infra").join(name);
    path.to_str().unwrap().to_owned()
}
