//! Federated sign-in over the deployed template: a real `OpenID` provider in 1Kosmos' place, an emulator of Cognito that
//! federates and calls the triggers, and the real binaries.

use std::collections::BTreeMap;
use std::process::Stdio;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::deployed::{attribute, deploy, eventually};
use crate::support::emulator::Emulator;
use crate::support::provider::{API_KEY, OneKosmos};
use crate::support::setup;
use crate::support::world::RING;

const CLIENT_ID: &str = "cognito-at-1kosmos";
const CLIENT_SECRET: &str = "a-secret-of-thirty-two-characters";
const APP: &str = "https://app.example.com/back";
const PREFIX: &str = "idv-federation";

/// 1Kosmos as an `OpenID` provider.
struct Issuer {
    url: String,
    _process: Child,
}

impl Issuer {
    async fn start() -> Self {
        let redirect = format!("https://{PREFIX}.auth.us-east-1.amazoncognito.com/oauth2/idpresponse");
        let mut process = Command::new("node")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/onekosmos/oidc.mjs"))
            .args([&redirect, CLIENT_ID, CLIENT_SECRET])
            .env("NODE_MODULES", setup::node())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().expect("the issuer's address");
        Self { url: line.strip_prefix("listening on ").unwrap().to_owned(), _process: process }
    }
}

/// A browser: it follows where it is sent, and keeps cookies.
struct Browser {
    http: Client<HttpConnector, Full<Bytes>>,
    emulator: String,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    fn new(emulator: &str) -> Self {
        let http = Client::builder(TokioExecutor::new()).build_http();
        Self { http, emulator: emulator.to_owned(), cookies: BTreeMap::new() }
    }

    async fn get(&mut self, url: &str) -> (u16, Option<String>, String) {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = Request::get(url).header("cookie", cookies.join("; "));
        let answer = self.http.request(request.body(Full::default()).unwrap()).await.unwrap();
        for cookie in answer.headers().get_all("set-cookie") {
            let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let status = answer.status().as_u16();
        let location = answer.headers().get("location").map(|place| place.to_str().unwrap().to_owned());
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, location, String::from_utf8_lossy(&body).into_owned())
    }

    /// Signs in; gives the code that comes back to the app.
    async fn sign_in(&mut self, client: &str) -> Result<String, String> {
        let mut url = format!(
            "{}/oauth2/authorize?identity_provider=OneKosmos&client_id={client}&response_type=code&scope=openid+email\
             &redirect_uri={}&state=s",
            self.emulator,
            APP.replace(':', "%3A").replace('/', "%2F"),
        );
        for _ in 0..12 {
            let (status, location, body) = self.get(&url).await;
            let Some(next) = location else { return Err(format!("{status} {url} {body}")) };
            if next.starts_with(APP) {
                let code = next.split("code=").nth(1).ok_or_else(|| next.clone())?;
                return Ok(code.split('&').next().unwrap().to_owned());
            }
            // The pool's own domain is the emulator; what is relative is of the host that said it.
            let host = url.split('/').take(3).collect::<Vec<_>>().join("/");
            let own = format!("https://{PREFIX}.auth.us-east-1.amazoncognito.com");
            url = match next.strip_prefix(&own) {
                Some(path) => format!("{}{path}", self.emulator),
                None if next.starts_with('/') => format!("{host}{next}"),
                None => next,
            };
        }
        Err("sent around in a circle".to_owned())
    }
}

struct Federation {
    emulator: Emulator,
    outputs: Value,
    issuer: Issuer,
    secret: String,
    _provider: OneKosmos,
}

impl Federation {
    async fn start() -> Self {
        let (issuer, provider, emulator) =
            (Issuer::start().await, OneKosmos::start().await, Emulator::start().await);
        let secret = async |name: &str, value: String| {
            let made = json!({ "Name": name, "SecretString": value });
            emulator.call("secretsmanager", "CreateSecret", made).await["ARN"].as_str().unwrap().to_owned()
        };
        let ring = secret("idv/key-ring", RING.to_owned()).await;
        let key = secret("idv/1kosmos", json!({ "api_key": API_KEY }).to_string()).await;
        let client = json!({ "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET });
        let client = secret("idv/federation", client.to_string()).await;
        let parameters = [
            format!("KeyRingSecretArn={ring}"),
            format!("ProviderUrl={}", provider.url),
            format!("ProviderSecretArn={key}"),
            "AllowedOrigin=https://app.example.com".to_owned(),
            format!("FederationIssuer={}", issuer.url),
            format!("FederationSecretArn={client}"),
            format!("FederationCallbackUrls={APP}"),
            format!("UserPoolDomainPrefix={PREFIX}"),
        ];
        let parameters: Vec<_> = parameters.iter().flat_map(|parameter| ["--parameter", parameter]).collect();
        let output = deploy(&emulator, "idv", &parameters).await;
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{complaint} {}", emulator.log());
        let outputs: Value = serde_json::from_slice(&output.stdout).unwrap();
        // CloudFormation of the emulator does not know identity providers: this one is made as the template says.
        let template = crate::template::template("parsed");
        let wanted = &template["Resources"]["FederationProvider"]["Properties"];
        let mut provider_of_template = json!({
            "UserPoolId": outputs["UserPoolId"],
            "ProviderName": wanted["ProviderName"],
            "ProviderType": wanted["ProviderType"],
            "ProviderDetails": wanted["ProviderDetails"],
            "AttributeMapping": wanted["AttributeMapping"],
        });
        for (name, value) in
            [("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET), ("oidc_issuer", &issuer.url)]
        {
            provider_of_template["ProviderDetails"][name] = json!(value);
        }
        let scopes = &mut provider_of_template["ProviderDetails"]["authorize_scopes"];
        let level = template["Parameters"]["MinimumIal"]["Default"].to_string();
        *scopes =
            json!(scopes["Fn::Sub"].as_str().unwrap().replace("${MinimumIal}", level.trim_matches('"')));
        emulator.call("cognito-idp", "CreateIdentityProvider", provider_of_template).await;
        let who = json!({ "UserPoolId": outputs["UserPoolId"], "ClientId": outputs["FederationClientId"] });
        let described = emulator.call("cognito-idp", "DescribeUserPoolClient", who).await;
        let secret = described["UserPoolClient"]["ClientSecret"].as_str().unwrap().to_owned();
        Self { emulator, outputs, issuer, secret, _provider: provider }
    }

    fn client(&self) -> &str {
        self.outputs["FederationClientId"].as_str().unwrap()
    }

    /// Somebody signs in through 1Kosmos; gives the tokens.
    async fn sign_in(&self, sub: &str, amr: &Value) -> Value {
        let http: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let person = json!({ "sub": sub, "email": "CANARY@example.com", "amr": amr });
        let put = Request::put(format!("{}/_person", self.issuer.url)).body(Full::from(person.to_string()));
        http.request(put.unwrap()).await.unwrap();
        let code = Browser::new(&self.emulator.url).sign_in(self.client()).await;
        let code = code.unwrap_or_else(|told| panic!("{told} {}", self.emulator.log()));
        let form = format!(
            "grant_type=authorization_code&client_id={}&client_secret={}&code={code}&redirect_uri={APP}",
            self.client(),
            self.secret
        );
        let request =
            Request::builder().method(Method::POST).uri(format!("{}/oauth2/token", self.emulator.url));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let (status, tokens) = self.emulator.send(request.body(Full::from(form)).unwrap()).await;
        assert_eq!(status, 200, "{tokens} {}", self.emulator.log());
        tokens
    }

    /// Every line that the functions have logged.
    async fn log(&self) -> Vec<String> {
        let groups = self.emulator.call("logs", "DescribeLogGroups", json!({})).await;
        let mut log = Vec::new();
        for group in groups["logGroups"].as_array().unwrap() {
            let ask = json!({ "logGroupName": group["logGroupName"] });
            let events = self.emulator.call("logs", "FilterLogEvents", ask).await;
            let events = events["events"].as_array().unwrap().iter();
            log.extend(events.map(|event| event["message"].as_str().unwrap().to_owned()));
        }
        log
    }

    async fn user(&self, username: &str) -> Value {
        let who = json!({ "UserPoolId": self.outputs["UserPoolId"], "Username": username });
        self.emulator.call("cognito-idp", "AdminGetUser", who).await
    }
}

#[tokio::test]
async fn who_signs_in_through_1kosmos_has_the_level_that_amr_tells_and_cannot_raise_it() {
    let federation = Federation::start().await;
    let name = "OneKosmos_did-CANARY-7";

    // Without a level in amr: signed in, and no more.
    federation.sign_in("did-CANARY-7", &json!(["pwd"])).await;
    let user = federation.user(name).await;
    assert_eq!(user["UserStatus"], "EXTERNAL_PROVIDER");
    assert_eq!((attribute(&user, "custom:fed_ial"), attribute(&user, "custom:ial")), (Some("0"), None));

    // With one: the consumer writes it, by its own rules.
    let tokens = federation.sign_in("did-CANARY-7", &json!(["face", "/assurance/ial/2"])).await;
    let user = eventually("a promoted user", || async {
        let user = federation.user(name).await;
        (attribute(&user, "custom:ial") == Some("2")).then_some(user)
    })
    .await;
    assert_eq!(attribute(&user, "custom:blockid_sub"), Some("did-CANARY-7"));
    assert_eq!(attribute(&user, "custom:idv_status"), Some("approved"));

    // The person's own token has no permission to write attributes, and so none to write what is staged.
    let access = tokens["access_token"].as_str().unwrap();
    let scopes = claims(access)["scope"].as_str().unwrap().to_owned();
    assert!(!scopes.contains("aws.cognito.signin.user.admin"), "{scopes}");
    // A refresh tells the level; a second sign-in sends nothing more.
    let again = federation.sign_in("did-CANARY-7", &json!(["/assurance/ial/2"])).await;
    assert_eq!(claims(again["id_token"].as_str().unwrap())["custom:ial"], "2");
    // To say nothing of a level at a later sign-in takes nothing away.
    federation.sign_in("did-CANARY-7", &json!(["pwd"])).await;
    let log = federation.log().await;
    let said = |word: &str| {
        log.iter()
            .flat_map(|text| text.lines())
            .filter(|line| line.contains(&format!("\"event\":\"{word}\"")))
            .count()
    };
    assert_eq!((said("asserted"), said("applied")), (1, 1), "{log:#?}");
    assert_eq!(said("federation_unreadable"), 0, "to say nothing of a level is no fault");
    assert!(!log.concat().contains("CANARY"), "{log:#?}");
    assert_eq!(attribute(&federation.user(name).await, "custom:ial"), Some("2"));

    // To say less does.
    federation.sign_in("did-CANARY-7", &json!(["/assurance/ial/1"])).await;
    eventually("what was asserted, taken back", || async {
        let user = federation.user(name).await;
        let now = (attribute(&user, "custom:ial"), attribute(&user, "custom:idv_status"));
        (now == (Some("0"), Some("insufficient"))).then_some(())
    })
    .await;
}

/// The claims of a token, which is not checked here.
fn claims(token: &str) -> Value {
    use base64::Engine as _;
    let part = token.split('.').nth(1).unwrap();
    let json = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).unwrap();
    serde_json::from_slice(&json).unwrap()
}
