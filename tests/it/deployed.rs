//! The real template with the real binaries on an emulator of AWS that enforces IAM, over TLS: API Gateway, Lambda, SQS,
//! Cognito, logs.
//!
//! What the emulator (ministack 1.5.33) cannot create is left out by name: `LEFT_OUT` in `tests/infra/deploy.py`. Where
//! it is known to behave unlike AWS is listed in [`DIFFERENCES`]; a difference that goes away fails the test.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use idv_callback::clock::SystemClock;
use idv_callback::delivery::{SignatureProfile, sign};
use idv_callback::ports::Clock as _;
use idv_callback::proofing::Claim;
use idv_callback::secret::Secret;
use idv_callback::verification::SYNTHETIC_POOL;
use serde_json::{Value, json};

use crate::support::aws_endpoint::AwsEndpoint;
use crate::support::emulator::{Emulator, script};
use crate::support::provider::{API_KEY, OneKosmos};
use crate::support::world::{RING, ring, with, with_metadata};

/// Where the emulator is unlike AWS in what these tests touch, with the page that says what AWS does.
const DIFFERENCES: [(&str, &str); 3] = [
    (
        "the secret of the template is known by its ARN",
        "Ref of a secret is its ARN (CloudFormation, AWS::SecretsManager::Secret, \"Return values\"); here it is the \
         name, which no policy matches, so the ring is in a secret of its own, given by KeyRingSecretArn",
    ),
    (
        "a path that the API does not have is 404",
        "GatewayResponses give MISSING_AUTHENTICATION_TOKEN another status (API Gateway developer guide, \"Gateway \
         response types\")",
    ),
    (
        "the audit trail reaches the bucket as the lines that were written",
        "Firehose decompresses and extracts messages (Firehose developer guide, \"Decompress CloudWatch Logs\")",
    ),
];

/// A deployed stack.
struct Stack {
    emulator: Emulator,
    outputs: Value,
    api: String,
}

const NAME: &str = "idv";

const SECOND_SECRET: &str = "the-second-secret-of-the-vendor-32";

/// Parameters of a stack that opens sessions, too.
const WITH_SIGN_IN: [&str; 3] =
    ["Binding=optional", "ProviderUrl=https://acme.1kosmos.net", "AllowedOrigin=https://app.example.com"];

pub(crate) async fn deploy(emulator: &Emulator, name: &str, more: &[&str]) -> Output {
    let binaries = Path::new(env!("CARGO_BIN_EXE_callback")).parent().unwrap().to_str().unwrap();
    let deploy = script("deploy.py");
    let arguments = [&[deploy.as_str(), name, binaries], more].concat();
    emulator.python(&arguments).output().await.unwrap()
}

impl Stack {
    async fn deploy(variables: &[(&str, &str)]) -> Self {
        Self::deploy_to(Emulator::start_guarded(variables).await, &["Binding=optional".to_owned()]).await
    }

    async fn deploy_to(emulator: Emulator, more: &[String]) -> Self {
        let secret = json!({ "Name": "idv/key-ring", "SecretString": RING });
        let secret = emulator.call("secretsmanager", "CreateSecret", secret).await;
        let ring = format!("KeyRingSecretArn={}", secret["ARN"].as_str().unwrap());
        let parameters = std::iter::once(&ring).chain(more).flat_map(|one| ["--parameter", one]);
        let output = deploy(&emulator, NAME, &parameters.collect::<Vec<_>>()).await;
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{complaint} {}", emulator.log());
        let outputs: Value = serde_json::from_slice(&output.stdout).unwrap();
        let api = outputs["CallbackUrl"].as_str().unwrap().split(['/', '.']).nth(2).unwrap().to_owned();
        Self { emulator, outputs, api }
    }

    fn output(&self, name: &str) -> &str {
        self.outputs[name].as_str().unwrap_or_else(|| panic!("no output {name}"))
    }

    /// Somebody signs up, through the app client, as a browser would.
    async fn sign_up(&self, username: &str) {
        let sign_up = json!({
            "ClientId": self.output("UserPoolClientId"),
            "Username": username,
            "Password": "Correct-horse-9",
        });
        self.emulator.call("cognito-idp", "SignUp", sign_up).await;
    }

    async fn user(&self, username: &str) -> Value {
        let who = json!({ "UserPoolId": self.output("UserPoolId"), "Username": username });
        self.emulator.call("cognito-idp", "AdminGetUser", who).await
    }

    async fn confirmed(&self, username: &str) -> Value {
        eventually("a confirmed user", || async {
            let user = self.user(username).await;
            (user["UserStatus"] == "CONFIRMED").then_some(user)
        })
        .await
    }

    fn url(&self, path: &str) -> String {
        format!("{}/restapis/{}/v1/_user_request_{path}", self.emulator.url, self.api)
    }

    fn approval(&self, username: &str, event_id: &str) -> Value {
        let event = crate::support::world::approval(username, event_id, 0);
        let now = with(event, "occurred_at", json!(SystemClock.now().to_string()));
        with_metadata(now, "cognito_user_pool", json!(self.output("UserPoolId")))
    }

    /// Posts a body, signed by the ring's key, through API Gateway.
    async fn post(&self, message_id: &str, body: Vec<u8>) -> (u16, Value) {
        let profile = SignatureProfile::StandardWebhooks;
        let headers = sign(&profile, &ring().webhook[0].secret, message_id, SystemClock.now(), &body);
        self.post_as(headers, body).await
    }

    async fn post_as(&self, headers: Vec<(String, String)>, body: Vec<u8>) -> (u16, Value) {
        let mut request = Request::post(self.url("/idv-callback")).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        self.emulator.send(request.body(Full::from(body)).unwrap()).await
    }

    async fn mapping(&self) -> Value {
        let queue = json!({ "EventSourceArn": format!("arn:aws:sqs:us-east-1:000000000000:{NAME}.fifo") });
        self.emulator.call("lambda", "ListEventSourceMappings", queue).await["EventSourceMappings"][0].clone()
    }

    async fn messages(&self, queue: &str) -> i64 {
        let names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
        let ask = json!({ "QueueUrl": self.output(queue), "AttributeNames": names });
        let answer = self.emulator.call("sqs", "GetQueueAttributes", ask).await;
        names.iter().map(|name| answer["Attributes"][name].as_str().unwrap().parse::<i64>().unwrap()).sum()
    }

    /// Until nothing is on the queue: the record is written before the poller deletes the message.
    async fn drained(&self) {
        eventually("an empty queue", || async { (self.messages("QueueUrl").await == 0).then_some(()) }).await;
    }

    /// Every line that the functions and API Gateway have logged.
    async fn log(&self) -> Vec<String> {
        let groups = self.emulator.call("logs", "DescribeLogGroups", json!({})).await;
        let mut lines = Vec::new();
        for group in groups["logGroups"].as_array().unwrap() {
            let ask = json!({ "logGroupName": group["logGroupName"] });
            let events = self.emulator.call("logs", "FilterLogEvents", ask).await;
            let events = events["events"].as_array().unwrap().iter();
            lines.extend(events.map(|event| event["message"].as_str().unwrap().to_owned()));
        }
        lines
    }

    async fn records(&self) -> Vec<Value> {
        let lines = self.log().await;
        let values =
            lines.iter().flat_map(|text| text.lines()).filter_map(|line| serde_json::from_str(line).ok());
        values.filter(|value: &Value| value["schema"] == "idv-audit/1").collect()
    }

    async fn record(&self, word: &str, event_id: &str) -> Value {
        eventually(word, || async {
            let mut records = self.records().await.into_iter();
            records.find(|record| record["event"] == word && record["event_id"] == event_id)
        })
        .await
    }
}

/// Asks until there is an answer, for half a minute.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, ask: impl Fn() -> F) -> T {
    for _ in 0..150 {
        if let Some(found) = ask().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("{what}: not within 30 s");
}

pub(crate) fn attribute<'a>(user: &'a Value, name: &str) -> Option<&'a str> {
    let mut attributes = user["UserAttributes"].as_array().unwrap().iter();
    attributes.find(|attribute| attribute["Name"] == name)?["Value"].as_str()
}

#[tokio::test]
async fn the_loop_closes_on_the_deployed_template() {
    let stack = Stack::deploy(&[]).await;
    let mut broken = BTreeSet::new();

    // The whole loop.
    stack.sign_up("CANARY-ada").await;
    assert_eq!(stack.user("CANARY-ada").await["UserStatus"], "UNCONFIRMED");
    let body = stack.approval("CANARY-ada", "evt_1").to_string().into_bytes();
    let (status, receipt) = stack.post("msg_1", body.clone()).await;
    assert_eq!(status, 202, "{receipt} {:#?}", stack.log().await);
    let user = stack.confirmed("CANARY-ada").await;
    assert_eq!(attribute(&user, "custom:blockid_sub"), Some("did:blockid:CANARY-ada"));
    assert_eq!(attribute(&user, "custom:ial"), Some("2"));
    let applied = stack.record("applied", "evt_1").await;
    assert_eq!(applied["receipt_id"], receipt["receipt_id"]);
    stack.drained().await;

    // A key that is put on the ring works at once, without a deployment.
    let mut keys: Value = serde_json::from_str(RING).unwrap();
    keys["webhook"].as_array_mut().unwrap().push(json!({ "id": "wh-2", "secret": SECOND_SECRET }));
    let secret = json!({ "SecretId": "idv/key-ring", "SecretString": keys.to_string() });
    stack.emulator.call("secretsmanager", "PutSecretValue", secret).await;
    let event =
        with(stack.approval("CANARY-ada", "evt_2"), "session_id", json!("vs_2")).to_string().into_bytes();
    let second = Secret::parse(SECOND_SECRET).unwrap_or_else(|_| panic!("no secret"));
    let signed = sign(&SignatureProfile::StandardWebhooks, &second, "msg_1b", SystemClock.now(), &event);
    let (status, receipt) = stack.post_as(signed, event).await;
    assert_eq!((status, &receipt["key_id"]), (202, &json!("wh-2")), "{receipt}");
    stack.record("applied", "evt_2").await;
    stack.drained().await;

    // Forged: signed by another key; signed for another body; two of a signature's header fields.
    let other = Secret::parse("somebody-elses-secret-of-32-bytes").unwrap_or_else(|_| panic!());
    let profile = SignatureProfile::StandardWebhooks;
    let forged = sign(&profile, &other, "msg_2", SystemClock.now(), &body);
    assert_eq!(stack.post_as(forged, body.clone()).await.0, 401);
    let signed = sign(&profile, &ring().webhook[0].secret, "msg_2", SystemClock.now(), b"{}");
    assert_eq!(stack.post_as(signed, body.clone()).await.0, 401);
    let mut twice = sign(&profile, &ring().webhook[0].secret, "msg_2", SystemClock.now(), &body);
    twice.push(("webhook-id".to_owned(), "msg_3".to_owned()));
    assert_eq!(stack.post_as(twice, body).await.0, 401);
    assert_eq!(stack.messages("QueueUrl").await, 0);
    let enqueued = stack.records().await.iter().filter(|record| record["event"] == "accepted").count();
    assert_eq!(enqueued, 2, "nothing forged is enqueued");

    // Bytes that are not UTF-8 arrive as they were signed, and what cannot be read is a dead letter with its reason.
    let (status, receipt) = stack.post("msg_4", b"CANARY\xFF\xFE".to_vec()).await;
    assert_eq!(status, 202, "{receipt}: the body must arrive as the bytes that were signed");
    assert_eq!(
        eventually("a dead letter", || async {
            Some(stack.messages("DeadLetterQueueUrl").await).filter(|count| *count > 0)
        })
        .await,
        1
    );
    // An operator sees it by the road that leads to AWS, and it is as it was.
    let (code, groups) = stack.idvctl(&["--json", "dlq", "groups"]).await;
    assert_eq!(code, 0, "{groups}");
    let groups: Value = serde_json::from_str(&groups).unwrap();
    let print = groups["groups"][0]["fingerprint"].as_str().unwrap();
    assert!(print.starts_with("unreadable "), "{groups}");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (plan, log, kept) = (path("plan.json"), path("audit.jsonl"), path("kept.age"));
    let (plan, log, kept) = (plan.as_str(), log.as_str(), kept.as_str());
    // Unlike AWS, the emulator answers with the parameter's text where a number belongs, which the SDK does not read.
    let mapping = stack.mapping().await["UUID"].clone();
    let number = json!({ "UUID": mapping, "ScalingConfig": { "MaximumConcurrency": 2 } });
    stack.emulator.call("lambda", "UpdateEventSourceMapping", number).await;
    let made = stack.idvctl(&["dlq", "plan", "--because", "T-1", "-o", plan, "--audit-log", log]).await;
    assert!(made.0 == 1 && made.1.contains("no plan was written"), "{}", made.1);
    assert!(made.1.contains("settings of arn:aws:lambda:"), "the deployed consumer's: {}", made.1);
    let age = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
    let archive = ["dlq", "archive", "--to", kept, "--recipient", age, "--audit-log", log];
    let made = stack.idvctl(&archive).await;
    assert_eq!(made.0, 0, "{}", made.1);
    let log = std::fs::read_to_string(log).unwrap();
    let act: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_eq!(act["operator"], "arn:aws:iam::000000000000:root", "the caller is who STS says it is");
    let ask = json!({ "QueueUrl": stack.output("DeadLetterQueueUrl"), "MessageAttributeNames": ["All"] });
    let letters = stack.emulator.call("sqs", "ReceiveMessage", ask).await;
    let attributes = &letters["Messages"][0]["MessageAttributes"];
    assert_eq!(attributes["idv-reason"]["StringValue"], "unreadable");
    assert_eq!(attributes["idv-receipt"]["StringValue"], receipt["receipt_id"]);

    // A batch of three users, of whom one is not there: two are settled, and the third comes back.
    let mapping = stack.mapping().await;
    let switch = |on: bool| json!({ "UUID": mapping["UUID"], "Enabled": on });
    stack.emulator.call("lambda", "UpdateEventSourceMapping", switch(false)).await;
    for name in ["CANARY-bob", "CANARY-eve"] {
        stack.sign_up(name).await;
    }
    for (number, name) in ["CANARY-bob", "CANARY-nobody", "CANARY-eve"].iter().enumerate() {
        let id = format!("evt_b{number}");
        let body = stack.approval(name, &id).to_string().into_bytes();
        assert_eq!(stack.post(&id, body).await.0, 202);
    }
    assert_eq!(stack.messages("QueueUrl").await, 3);
    stack.emulator.call("lambda", "UpdateEventSourceMapping", switch(true)).await;
    stack.confirmed("CANARY-bob").await;
    stack.confirmed("CANARY-eve").await;
    assert_eq!(stack.record("retried", "evt_b1").await["reason"], "user_not_found");
    assert_eq!(stack.messages("QueueUrl").await, 1);

    // What is no callback.
    let get = Request::get(stack.url("/elsewhere")).body(Full::from(Bytes::new())).unwrap();
    if stack.emulator.send(get).await.0 != 404 {
        broken.insert("a path that the API does not have is 404");
    }

    // Nobody's name and nobody's subject is in any log.
    let log = stack.log().await;
    assert!(log.iter().any(|line| line.contains("CloudWatchMetrics")), "{log:#?}");
    let leaks: Vec<_> = log.iter().filter(|line| line.contains("CANARY")).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");

    if !stack.audit_trail_is_plain().await {
        broken.insert("the audit trail reaches the bucket as the lines that were written");
    }
    if !stack.secrets_are_known_by_arn().await {
        broken.insert("the secret of the template is known by its ARN");
    }
    assert_eq!(broken, DIFFERENCES.iter().map(|(rule, _)| *rule).collect());
}

impl Stack {
    async fn audit_trail_is_plain(&self) -> bool {
        let listed =
            self.emulator.call("s3", "ListObjectsV2", json!({ "Bucket": self.output("AuditBucket") })).await;
        !listed["Contents"].is_null()
    }

    /// Deploys once more, without a secret of our own.
    async fn secrets_are_known_by_arn(&self) -> bool {
        let again =
            deploy(&self.emulator, "second", &["--parameter", "ApiGatewayAccountLogging=existing"]).await;
        assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
        let outputs: Value = serde_json::from_slice(&again.stdout).unwrap();
        outputs["KeyRingSecret"].as_str().unwrap().starts_with("arn:")
    }
}

/// The roles are proven, not read: what a policy does not allow does not happen, is told as an operator's mistake, and
/// loses nothing.
#[tokio::test]
async fn a_permission_that_is_missing_is_told_and_loses_nothing() {
    let stack = Stack::deploy(&[]).await;
    let resource = json!({ "StackName": NAME, "LogicalResourceId": "ConsumerRole" });
    let resource = stack.emulator.call("cloudformation", "DescribeStackResource", resource).await;
    let role = resource["StackResourceDetail"]["PhysicalResourceId"].clone();
    let name = json!({ "RoleName": role, "PolicyName": "consumer" });
    let policy = stack.emulator.call("iam", "GetRolePolicy", name.clone()).await["PolicyDocument"].clone();
    let mut without = policy.clone();
    for statement in without["Statement"].as_array_mut().unwrap() {
        if statement["Sid"] == "SettleUsers" {
            statement["Action"] =
                json!(["cognito-idp:AdminGetUser", "cognito-idp:AdminUpdateUserAttributes"]);
        }
    }
    let put = |document: &Value| with(name.clone(), "PolicyDocument", json!(document.to_string()));
    stack.emulator.call("iam", "PutRolePolicy", put(&without)).await;

    stack.sign_up("ada").await;
    let body = stack.approval("ada", "evt_1").to_string().into_bytes();
    assert_eq!(stack.post("evt_1", body).await.0, 202);
    let record = stack.record("misconfigured", "evt_1").await;
    let reason = record["reason"].as_str().unwrap();
    assert!(reason.starts_with("AdminConfirmSignUp: AccessDenied"), "{reason}");
    assert_eq!(stack.user("ada").await["UserStatus"], "UNCONFIRMED");
    assert_eq!((stack.messages("QueueUrl").await, stack.messages("DeadLetterQueueUrl").await), (1, 0));

    stack.emulator.call("iam", "PutRolePolicy", put(&policy)).await;
    stack.confirmed("ada").await;
    assert_eq!(stack.record("duplicate", "evt_1").await["confirmed"], true);
}

/// From the sign-up on, as its own roles allow it: Cognito calls the trigger, which opens a session; the browser gets its link;
/// the signed callback comes through API Gateway, and the user is confirmed under the binding of that sign-up.
#[tokio::test]
async fn the_loop_from_the_sign_up_on_closes_under_the_functions_own_roles() {
    let emulator = Emulator::start_guarded(&[]).await;
    let certificate = emulator.ca_bundle.clone().unwrap();
    let provider = OneKosmos::start_with(&["--ca", certificate.to_str().unwrap()]).await;
    let key = json!({ "Name": "idv/1kosmos", "SecretString": json!({ "api_key": API_KEY }).to_string() });
    let key = emulator.call("secretsmanager", "CreateSecret", key).await;
    let parameters = [
        format!("ProviderUrl={}", provider.url),
        format!("ProviderSecretArn={}", key["ARN"].as_str().unwrap()),
        "AllowedOrigin=https://app.example.com".to_owned(),
    ];
    let stack = Stack::deploy_to(emulator, &parameters).await;
    provider.control(json!({ "callback_url": stack.url("/idv-callback") })).await;

    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let claim = Claim::of_verifier(verifier).unwrap();
    let sign_up = |name: &str, attribute: &str, value: &str| {
        json!({
            "ClientId": stack.output("UserPoolClientId"),
            "Username": name,
            "Password": "Correct-horse-9",
            "UserAttributes": [{ "Name": "email", "Value": "CANARY@example.com" }, { "Name": attribute, "Value": value }],
        })
    };
    let refused =
        stack.emulator.try_call("cognito-idp", "SignUp", sign_up("CANARY-eve", "custom:ial", "3")).await;
    assert!(
        refused.as_ref().is_err_and(|text| text.contains("These details cannot be used to sign up.")),
        "{refused:?}"
    );
    assert!(provider.take_calls().await.is_empty());
    let ada = sign_up("CANARY-ada", "custom:idv_claim", claim.as_str());
    stack.emulator.call("cognito-idp", "SignUp", ada).await;
    assert_eq!(provider.take_paths().await, ["POST /v1/verify/sessions"]);
    assert_eq!(stack.user("CANARY-ada").await["UserStatus"], "UNCONFIRMED");

    // The browser asks through an API of its own.
    let api = stack.output("SessionUrl").split(['/', '.']).nth(2).unwrap();
    let url = format!("{}/restapis/{api}/v1/_user_request_/idv-session", stack.emulator.url);
    let ask = async |body: Value| {
        let request = Request::post(&url).header("content-type", "application/json");
        stack.emulator.send(request.body(Full::from(body.to_string())).unwrap()).await
    };
    let (status, told) = ask(json!({ "username": "CANARY-ada", "verifier": verifier, "open": true })).await;
    assert_eq!((status, &told["status"]), (200, &json!("waiting")), "{told} {:#?}", stack.log().await);
    let session = told["session_url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let (status, _) =
        ask(json!({ "username": "CANARY-ada", "verifier": "B".repeat(43), "open": true })).await;
    assert_eq!(status, 404);

    provider.decide(json!({ "session": session, "as": "approved" })).await;
    let user = stack.confirmed("CANARY-ada").await;
    assert_eq!(attribute(&user, "custom:ial"), Some("2"));
    let (_, told) = ask(json!({ "username": "CANARY-ada", "verifier": verifier })).await;
    assert_eq!(told, json!({ "status": "approved", "confirmed": true }));

    // Cognito asks the trigger about a sign-in without a password, and gives no tokens.
    let begun = json!({
        "ClientId": stack.output("StepUpClientId"), "AuthFlow": "CUSTOM_AUTH", "AuthParameters": { "USERNAME": "CANARY-ada" },
    });
    let begun = stack.emulator.try_call("cognito-idp", "InitiateAuth", begun).await;
    assert!(begun.as_ref().is_err_and(|text| text.contains("NotAuthorizedException")), "{begun:?}");
    let words: Vec<_> =
        stack.records().await.iter().map(|r| r["event"].as_str().unwrap().to_owned()).collect();
    for word in ["session_opened", "sign_up_refused", "session_withheld", "applied", "step_up_refused"] {
        assert!(words.contains(&word.to_owned()), "{word}: {words:?}");
    }
    let log = stack.log().await.concat();
    assert!(!log.contains("CANARY") && !log.contains(verifier) && !log.contains("/session/"), "{log}");
}

/// `CodeDeploy` is not there, so a stand-in takes the report; what the check does to get there is real.
#[tokio::test]
async fn the_check_before_traffic_runs_under_its_own_role() {
    let codedeploy = AwsEndpoint::start().await;
    let emulator = Emulator::start_guarded(&[("AWS_ENDPOINT_URL_CODEDEPLOY", &codedeploy.url)]).await;
    let stack = Stack::deploy_to(emulator, &WITH_SIGN_IN.map(str::to_owned)).await;
    for check in [format!("CodeDeployHook_{NAME}"), format!("CodeDeployHook_{NAME}_triggers")] {
        let hook = json!({ "DeploymentId": "d-1", "LifecycleEventHookExecutionId": "e-1" });
        let ask = json!({ "FunctionName": check, "Payload": hook.to_string() });
        let answer = stack.emulator.call("lambda", "Invoke", ask).await;
        assert!(answer["FunctionError"].is_null(), "{answer} {:#?}", stack.log().await);
        let told = codedeploy.take_asked();
        assert_eq!(told.len(), 1, "{check}");
        assert_eq!(told[0].target, "CodeDeploy_20141006.PutLifecycleEventHookExecutionStatus");
        let expected =
            json!({ "deploymentId": "d-1", "lifecycleEventHookExecutionId": "e-1", "status": "Succeeded" });
        assert_eq!(told[0].body, expected, "{check} {:#?}", stack.log().await);
    }
    // The signed one was really enqueued, and the live consumer let it through.
    let words = eventually("both probes", || async {
        let words: Vec<_> =
            stack.records().await.iter().map(|r| r["event"].as_str().unwrap().to_owned()).collect();
        (words.iter().filter(|word| *word == "probed").count() == 2).then_some(words)
    })
    .await;
    assert!(words.contains(&"accepted".to_owned()), "{SYNTHETIC_POOL}: {words:?}");
}

/// What is left out of the template is left out because it has to be: with it the emulator creates no stack.
#[tokio::test]
async fn nothing_is_left_out_of_the_template_without_need() {
    let emulator = Emulator::start().await;
    for (number, name) in ["deployment-preference", "metric-math"].iter().enumerate() {
        let output = deploy(&emulator, &format!("with-{number}"), &["--keep", name]).await;
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{name} need not be left out any more");
        assert!(complaint.contains("CodeDeploy") || complaint.contains("metric math"), "{complaint}");
    }
}

/// `idvctl doctor`, by the command that the stack itself gives.
#[tokio::test]
async fn the_doctor_finds_the_deployed_stack_sound_and_the_faults_that_are_put_into_it() {
    let stack = Stack::deploy_to(Emulator::start_guarded(&[]).await, &WITH_SIGN_IN.map(str::to_owned)).await;
    // Unlike AWS, the emulator answers with the parameter's text where a number belongs (MaximumConcurrency), which the
    // SDK does not read.
    let (code, report) = stack.doctor().await;
    assert!(
        code == 3 && report.contains("unknown   event source mapping: ListEventSourceMappings"),
        "{report}"
    );
    let mapping = stack.mapping().await["UUID"].clone();
    let number = json!({ "UUID": mapping, "ScalingConfig": { "MaximumConcurrency": 2 } });
    stack.emulator.call("lambda", "UpdateEventSourceMapping", number).await;
    let (code, report) = stack.doctor().await;
    assert_eq!(code, 0, "{report}");
    assert_eq!(
        report.lines().filter(|line| line.starts_with("ok")).count(),
        report.lines().count(),
        "{report}"
    );

    // As the console makes them: may write everything.
    let pool = stack.output("UserPoolId");
    let client = json!({
        "UserPoolId": pool, "ClientName": "console", "WriteAttributes": ["email", "custom:ial"],
        "ExplicitAuthFlows": ["ALLOW_CUSTOM_AUTH"], "AllowedOAuthFlowsUserPoolClient": true,
        "AllowedOAuthFlows": ["code"], "AllowedOAuthScopes": ["openid"], "CallbackURLs": ["https://app.example.com"],
    });
    stack.emulator.call("cognito-idp", "CreateUserPoolClient", client).await;
    let second_factor = json!({
        "UserPoolId": pool, "MfaConfiguration": "OPTIONAL", "SoftwareTokenMfaConfiguration": { "Enabled": true },
    });
    stack.emulator.call("cognito-idp", "SetUserPoolMfaConfig", second_factor).await;
    let batches = json!({ "UUID": mapping, "FunctionResponseTypes": [], "Enabled": false });
    stack.emulator.call("lambda", "UpdateEventSourceMapping", batches).await;
    let visibility =
        json!({ "QueueUrl": stack.output("QueueUrl"), "Attributes": { "VisibilityTimeout": "60" } });
    stack.emulator.call("sqs", "SetQueueAttributes", visibility).await;
    let ring = json!({ "SecretId": "idv/key-ring", "SecretString": RING.replace("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "CANARY") });
    stack.emulator.call("secretsmanager", "PutSecretValue", ring).await;
    let (code, report) = stack.doctor().await;
    assert_eq!(code, 1, "{report}");
    for expected in [
        "WRONG     app clients: anybody who signs in through console",
        "can write custom:ial",
        "people get tokens by the sign-in pages, too: without a biometric",
        "WRONG     user pool: step-up: people can have a second factor of Cognito's",
        "WRONG     event source mapping: is switched off",
        "WRONG     event source mapping: takes no partial failures",
        "WRONG     queue: visibility: 60 s, for a function of 60 s",
        "-> set VisibilityTimeout to 360 s",
        "WRONG     key ring: webhook[0] (\"wh-1\"): the secret has 6 bytes",
    ] {
        assert!(report.contains(expected), "{expected} is not in {report}");
    }
    assert!(!report.contains("CANARY"));
}

impl Stack {
    async fn doctor(&self) -> (i32, String) {
        let command = self.output("DoctorCommand");
        self.idvctl(&command.strip_prefix("idvctl ").unwrap().split(' ').collect::<Vec<_>>()).await
    }

    /// What an operator types, with what the runbooks export: exit code, and what it prints.
    async fn idvctl(&self, arguments: &[&str]) -> (i32, String) {
        let output = tokio::process::Command::new(crate::support::function::program("idvctl"))
            .args(arguments)
            .envs(self.emulator.variables())
            .env("IDV_QUEUE_URL", self.output("QueueUrl"))
            .env("IDV_DEAD_LETTER_QUEUE_URL", self.output("DeadLetterQueueUrl"))
            .env("IDV_USER_POOL_IDS", self.output("UserPoolId"))
            .env("IDV_KEY_RING_SECRET_ID", self.output("KeyRingSecret"))
            .output()
            .await
            .unwrap();
        let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code().unwrap(), printed)
    }
}
