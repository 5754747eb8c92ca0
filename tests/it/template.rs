//! `infra/template.yaml` held against the code: what the code reads is set, what it calls is allowed and nothing else is,
//! limits agree, what alarms name is there, what is drawn is measured.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use idv_callback::assurance::{
    ASSURANCE_ATTRIBUTES, CLAIM_ATTRIBUTE, STAGED_IAL, STAGED_SUBJECT, STAGING_ATTRIBUTES,
};
use idv_callback::audit::Metric;
use idv_callback::config::{
    CallbackConfig, ConsumerConfig, Environment, PreTrafficConfig, SessionConfig, TriggersConfig,
};
use idv_callback::proofing::STEP_UP_SECONDS;
use idv_callback::triggers::session;
use idv_callback::{intake, settlement, triggers};
use serde_json::{Value, json};

use crate::support::aws_endpoint::AwsEndpoint;
use crate::support::emulator::script;
use crate::support::function::{Function, aws, settings, signed_event};
use crate::support::setup;
use crate::support::world::{RING, World, approval};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

/// The template as JSON: `parsed` as it is written, `expanded` after the SAM transform.
pub(crate) fn template(form: &str) -> Value {
    let output =
        Command::new(setup::python().join("python")).args([&script("expand.py"), form]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn resources<'t>(template: &'t Value, kind: &str) -> BTreeMap<&'t str, &'t Value> {
    let all = template["Resources"].as_object().unwrap().iter();
    all.filter(|(_, resource)| resource["Type"] == kind)
        .map(|(name, r)| (name.as_str(), &r["Properties"]))
        .collect()
}

/// Parameters whose default is to leave out what they are for, as somebody would give them.
const GIVEN: [(&str, &str); 4] = [
    ("ProviderUrl", "https://acme.1kosmos.net"),
    ("ProviderSecretArn", "arn:aws:secretsmanager:us-east-1:123456789012:secret:idv/1kosmos-a1b2c3"),
    ("AllowedOrigin", "https://app.example.com"),
    ("CallbackUrlOverride", "https://idv.example.com/idv-callback"),
];

/// A value with parameters at their defaults, or as given above. What only a deployment knows becomes something of its form.
fn resolved(template: &Value, value: &Value) -> String {
    if let Some(text) = value.as_str() {
        return text.to_owned();
    }
    if let Some(name) = value["Ref"].as_str() {
        if let Some((_, given)) = GIVEN.iter().find(|(parameter, _)| *parameter == name) {
            return (*given).to_owned();
        }
        let default = &template["Parameters"][name]["Default"];
        return match (default, name) {
            (Value::Null, "UserPool") => "us-east-1_Pool".to_owned(),
            (Value::Null, "Queue" | "DeadLetters") => format!("https://sqs/{name}.fifo"),
            (Value::Null, _) => format!("arn:{name}"),
            (Value::String(text), _) => text.clone(),
            (other, _) => other.to_string(),
        };
    }
    if let Some(text) = value["Fn::Sub"].as_str() {
        return text.replace("${AWS::StackName}", "idv");
    }
    match value["Fn::If"].as_array() {
        Some(branches) => resolved(template, &branches[1]),
        None => panic!("{value}"),
    }
}

fn variables(template: &Value, function: &str) -> BTreeMap<String, String> {
    let variables =
        template["Resources"][function]["Properties"]["Environment"]["Variables"].as_object().unwrap();
    variables.iter().map(|(name, value)| (name.clone(), resolved(template, value))).collect()
}

/// Reads a configuration from these variables; gives the names that were looked up.
fn looked_up(variables: BTreeMap<String, String>, read: impl Fn(&Environment)) -> BTreeSet<String> {
    let asked: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let remember = Arc::clone(&asked);
    let environment = Environment::new(move |name| {
        remember.lock().unwrap().insert(name.to_owned());
        let given_by_lambda = name.starts_with("AWS_").then(|| "x".to_owned());
        variables.get(name).cloned().or(given_by_lambda)
    });
    read(&environment);
    drop(environment);
    Arc::into_inner(asked).unwrap().into_inner().unwrap()
}

/// Keys are in secrets or in files; functions have no files. The rest of what the code reads, Lambda sets.
fn is_for_the_template(name: &str) -> bool {
    !["IDV_KEY_RING_FILE", "IDV_PROVIDER_SECRET_FILE"].contains(&name) && !name.starts_with("AWS_")
}

#[test]
fn every_variable_that_a_function_reads_is_set_to_something_it_takes_and_none_else() {
    type Read = fn(&Environment);
    let template = template("parsed");
    let functions: [(&str, Read); 6] = [
        ("CallbackFunction", |e| drop(CallbackConfig::read(e).unwrap())),
        ("ConsumerFunction", |e| drop(ConsumerConfig::read(e).unwrap())),
        ("PreTrafficFunction", |e| drop(PreTrafficConfig::read(e).unwrap())),
        ("TriggersPreTrafficFunction", |e| drop(PreTrafficConfig::read(e).unwrap())),
        ("TriggersFunction", |e| drop(TriggersConfig::read(e).unwrap())),
        ("SessionFunction", |e| drop(SessionConfig::read(e).unwrap())),
    ];
    assert_eq!(resources(&template, "AWS::Serverless::Function").len(), functions.len());
    for (function, read) in functions {
        let set = variables(&template, function);
        // By this one the check before traffic tells which of the two it is.
        let is_the_other = |name: &str| function == "PreTrafficFunction" && name == "IDV_TRIGGERS_VERSION";
        let read: BTreeSet<_> = looked_up(set.clone(), read)
            .into_iter()
            .filter(|name| is_for_the_template(name) && !is_the_other(name))
            .collect();
        assert_eq!(set.into_keys().collect::<BTreeSet<_>>(), read, "{function}");
    }
}

#[test]
fn every_binary_is_one_of_the_package() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let template = template("parsed");
    for (name, resource) in template["Resources"].as_object().unwrap() {
        if resource["Type"] == "AWS::Serverless::Function" {
            let metadata = &resource["Metadata"];
            assert_eq!(metadata["BuildMethod"], "rust-cargolambda", "{name}");
            let binary = metadata["BuildProperties"]["Binary"].as_str().unwrap();
            assert!(manifest.contains(&format!("path = \"src/bin/{binary}.rs\"")), "{name}: {binary}");
        }
    }
}

#[test]
fn limits_agree_with_the_code() {
    let template = template("parsed");
    let of = |name: &str| &template["Resources"][name]["Properties"];
    let default = |name: &str| template["Parameters"][name]["Default"].as_u64().unwrap();
    let (callback, consumer, queue) = (of("CallbackFunction"), of("ConsumerFunction"), of("Queue"));
    assert_eq!(callback["Timeout"], intake::INVOCATION_TIMEOUT.as_secs());
    assert_eq!(consumer["Timeout"], settlement::INVOCATION_TIMEOUT.as_secs());
    assert_eq!(of("TriggersFunction")["Timeout"], triggers::INVOCATION_TIMEOUT.as_secs());
    assert_eq!(of("SessionFunction")["Timeout"], session::INVOCATION_TIMEOUT.as_secs());
    for (api, path, event, limit) in [
        ("Api", intake::CALLBACK_PATH, &callback["Events"]["Callback"], intake::INVOCATION_TIMEOUT),
        (
            "SessionApi",
            session::SESSION_PATH,
            &of("SessionFunction")["Events"]["Session"],
            session::INVOCATION_TIMEOUT,
        ),
    ] {
        let paths = of(api)["DefinitionBody"]["paths"].as_object().unwrap();
        assert_eq!(paths.keys().collect::<Vec<_>>(), [path], "{api}");
        let integration = &paths[path]["post"]["x-amazon-apigateway-integration"];
        let gateway = integration["timeoutInMillis"].as_u64().unwrap();
        assert!(u128::from(gateway) > limit.as_millis(), "{api}");
        // The permission is for what is called.
        assert_eq!(event["Properties"]["RestApiId"]["Ref"], api);
        assert_eq!(
            (&event["Properties"]["Path"], &event["Properties"]["Method"]),
            (&json!(path), &json!("POST"))
        );
    }
    assert_eq!(queue["VisibilityTimeout"], settlement::VISIBILITY_TIMEOUT.as_secs());
    assert_eq!(queue["RedrivePolicy"]["maxReceiveCount"], settlement::MAXIMUM_RECEIVES);
    let mapping = &consumer["Events"]["Callbacks"]["Properties"];
    assert_eq!(
        (&mapping["BatchSize"], &mapping["FunctionResponseTypes"]),
        (&json!(10), &json!(["ReportBatchItemFailures"]))
    );
    assert_eq!(mapping["ScalingConfig"]["MaximumConcurrency"]["Ref"], "ConsumerConcurrency");
    // Cognito's quota for the account (developer guide, "Quotas in Amazon Cognito", UserUpdate).
    assert!(default("ConsumerConcurrency") * default("CognitoWritesPerSecond") <= 25);
    let rules = of("WebAcl")["Rules"].as_array().unwrap();
    let size = rules.iter().find(|rule| rule["Name"] == "size").unwrap();
    assert_eq!(size["Statement"]["SizeConstraintStatement"]["Size"], intake::MAXIMUM_BODY_BYTES);
    for (name, function) in resources(&template, "AWS::Serverless::Function") {
        assert!(function["ReservedConcurrentExecutions"].is_null(), "{name}");
    }
}

#[test]
fn the_pool_has_the_attributes_and_no_code_confirms_anybody() {
    let template = template("parsed");
    let pool = &template["Resources"]["UserPool"]["Properties"];
    let schema = pool["Schema"].as_array().unwrap();
    let names: Vec<_> = schema.iter().map(|a| format!("custom:{}", a["Name"].as_str().unwrap())).collect();
    // First what is assurance, then what is not.
    let expected: Vec<_> =
        ASSURANCE_ATTRIBUTES.into_iter().chain([CLAIM_ATTRIBUTE]).chain(STAGING_ATTRIBUTES).collect();
    assert_eq!(names, expected);
    for attribute in schema {
        // The claim is set at sign-up and never again.
        let changes = attribute["Name"] != "idv_claim";
        assert!(attribute["Mutable"] == changes && attribute["AttributeDataType"] == "String", "{attribute}");
        assert_eq!(attribute["StringAttributeConstraints"], json!({ "MaxLength": "2048" }), "{attribute}");
    }
    assert!(pool["AutoVerifiedAttributes"].is_null(), "a code would confirm people without a proof");
    // What Cognito asks for by itself after a password, it may give tokens for, without a word to the triggers.
    assert_eq!(pool["MfaConfiguration"], "OFF");
    assert!(pool["DeviceConfiguration"].is_null());
}

fn words(list: &Value) -> Vec<&str> {
    list.as_array().unwrap_or_else(|| panic!("a list: {list}")).iter().map(|w| w.as_str().unwrap()).collect()
}

#[test]
fn no_client_may_write_assurance_and_the_step_up_client_knows_one_way_in() {
    let template = template("parsed");
    let clients = resources(&template, "AWS::Cognito::UserPoolClient");
    // Word by word: whoever lets a client write something has to say so here as well.
    let writable: BTreeMap<_, _> =
        clients.iter().map(|(name, client)| (*name, words(&client["WriteAttributes"]))).collect();
    let expected = BTreeMap::from([
        ("UserPoolClient", vec!["email", CLAIM_ATTRIBUTE]),
        ("StepUpClient", vec!["email"]),
        ("FederationClient", vec!["email", STAGED_SUBJECT, STAGED_IAL]),
    ]);
    assert_eq!(writable, expected);
    for (name, client) in &clients {
        let written = words(&client["WriteAttributes"]);
        assert!(!written.iter().any(|attribute| ASSURANCE_ATTRIBUTES.contains(attribute)), "{name}");
        let flows = words(&client["ExplicitAuthFlows"]);
        assert_eq!(flows.contains(&"ALLOW_CUSTOM_AUTH"), *name == "StepUpClient", "{name}: {flows:?}");
        assert_eq!(client["PreventUserExistenceErrors"], "ENABLED", "{name}");
        assert_eq!(client["EnableTokenRevocation"], true, "{name}");
    }

    let step_up = clients["StepUpClient"];
    assert_eq!(words(&step_up["ExplicitAuthFlows"]), ["ALLOW_CUSTOM_AUTH"]);
    assert_eq!(step_up["GenerateSecret"], false);
    for pages in ["SupportedIdentityProviders", "AllowedOAuthFlows", "AllowedOAuthFlowsUserPoolClient"] {
        assert!(step_up[pages].is_null(), "no sign-in pages and no identity provider: {pages}");
    }
    // The least that Cognito takes (API reference, `CreateUserPoolClient`).
    let validity = ["AccessTokenValidity", "IdTokenValidity", "RefreshTokenValidity"];
    assert_eq!(validity.map(|of| step_up[of].as_u64().unwrap()), [5, 5, 60]);
    let minutes = json!({ "AccessToken": "minutes", "IdToken": "minutes", "RefreshToken": "minutes" });
    assert_eq!(step_up["TokenValidityUnits"], minutes);
    // A challenge fits into the time for its answer, which Cognito takes from 3 to 15 minutes.
    let session = step_up["AuthSessionValidity"].as_u64().unwrap();
    assert!((3..=15).contains(&session) && session * 60 > STEP_UP_SECONDS, "{session}");
}

#[test]
fn a_federated_sign_in_stages_what_it_is_told_and_its_tokens_write_nothing() {
    let template = template("parsed");
    let of = |name: &str| &template["Resources"][name]["Properties"];
    let provider = of("FederationProvider");
    assert_eq!(
        provider["AttributeMapping"],
        json!({ "username": "sub", "email": "email", STAGED_SUBJECT: "sub", STAGED_IAL: "ial" })
    );
    // A mapped attribute is written at each sign-in (Cognito developer guide, "Mapping IdP attributes to profiles and
    // tokens"): by a client that may, and into one that can be changed.
    let client = of("FederationClient");
    let written = words(&client["WriteAttributes"]);
    for attribute in provider["AttributeMapping"].as_object().unwrap().keys() {
        assert!(attribute == "username" || written.contains(&attribute.as_str()), "{attribute}");
        assert!(!ASSURANCE_ATTRIBUTES.contains(&attribute.as_str()), "{attribute} would be believed");
    }
    let details = &provider["ProviderDetails"];
    for key in ["client_id", "client_secret"] {
        let reference = format!("{{{{resolve:secretsmanager:${{FederationSecretArn}}:SecretString:{key}}}}}");
        assert_eq!(details[key]["Fn::Sub"], reference.as_str());
    }
    assert_eq!(details["attributes_request_method"], "GET");
    // What is asked for is what counts; a sign-in with less would promote nobody.
    let scopes = json!({ "Fn::Sub": "openid email /assurance/ial/${MinimumIal}" });
    assert_eq!(details["authorize_scopes"], scopes);

    // One name, wherever it stands.
    let name = variables(&template, "TriggersFunction")["IDV_FEDERATION_PROVIDER"].clone();
    assert_eq!(provider["ProviderName"], name.as_str());
    assert_eq!(words(&client["SupportedIdentityProviders"]), [name.as_str()]);
    assert_eq!(template["Resources"]["FederationClient"]["DependsOn"], "FederationProvider");

    assert_eq!(client["GenerateSecret"], true);
    assert_eq!(words(&client["AllowedOAuthFlows"]), ["code"]);
    assert_eq!(words(&client["AllowedOAuthScopes"]), ["openid", "email"]);
    assert_eq!(words(&client["ExplicitAuthFlows"]), ["ALLOW_REFRESH_TOKEN_AUTH"]);
}

/// Which pool calls the trigger function, for what, and that it can be made at all.
#[test]
fn the_pool_asks_the_trigger_function_and_no_other_pool_may() {
    let template = template("parsed");
    let of = |name: &str| &template["Resources"][name]["Properties"];
    let alias = json!({ "Ref": "TriggersFunction.Alias" });
    let without = json!({ "Ref": "AWS::NoValue" });
    let federated = |made: Value| json!({ "Fn::If": ["HasFederation", made, without] });
    let triggers = json!({
        "PreSignUp": alias,
        "DefineAuthChallenge": alias,
        "CreateAuthChallenge": alias,
        "VerifyAuthChallengeResponse": alias,
        "InboundFederation": federated(json!({ "LambdaArn": alias, "LambdaVersion": "V1_0" })),
        "PreTokenGeneration": federated(alias.clone()),
    });
    assert_eq!(of("UserPool")["LambdaConfig"], json!({ "Fn::If": ["HasProvider", triggers, without] }));
    let pool = "arn:${AWS::Partition}:cognito-idp:${AWS::Region}:${AWS::AccountId}:userpool/${UserPoolId}";
    let permission = json!({
        "Action": "lambda:InvokeFunction",
        "FunctionName": alias,
        "Principal": "cognito-idp.amazonaws.com",
        "SourceAccount": { "Ref": "AWS::AccountId" },
        "SourceArn": { "Fn::If": [
            "MakesUserPool", { "Fn::GetAtt": ["UserPool", "Arn"] }, { "Fn::Sub": pool }
        ] },
    });
    assert_eq!(of("TriggersPermission"), &permission);
    // The pool refers to the function's alias. cfn-lint follows such circles through all resources (E3004); this is the
    // shortest.
    for name in [
        "TriggersFunction",
        "TriggersRole",
        "TriggersLogs",
        "TriggersErrorsAlarm",
        "TriggersPreTrafficFunction",
        "TriggersPreTrafficRole",
        "TriggersPreTrafficLogs",
    ] {
        let text = template["Resources"][name].to_string();
        assert!(!text.contains("\"UserPool") && !text.contains("${UserPool"), "{name} refers to the pool");
    }
}

/// Without `ProviderUrl` the stack is what it was.
#[test]
fn what_calls_1kosmos_is_made_on_wish_alone() {
    let template = template("expanded");
    let mut made = 0;
    for (name, resource) in template["Resources"].as_object().unwrap() {
        let parts = ["Triggers", "Session", "StepUp", "Federation", "Provider", "UserPoolDomain"];
        if parts.iter().any(|part| name.starts_with(part)) {
            made += 1;
            let on = resource["Condition"].as_str().unwrap_or_else(|| panic!("{name} is made always"));
            let known = ["HasProvider", "MakesProviderSecret", "MakesStepUpClient", "HasFederation"];
            assert!(known.contains(&on), "{name}: {on}");
        }
    }
    assert!(made > 30, "{made}");
    for parameter in ["ProviderUrl", "FederationIssuer"] {
        assert_eq!(template["Parameters"][parameter]["Default"], "", "{parameter}");
    }
    let conditions = &template["Conditions"];
    for (needs, what) in [("MakesProviderSecret", "HasProvider"), ("MakesStepUpClient", "HasProvider")]
        .into_iter()
        .chain([("MakesStepUpClient", "MakesUserPool")])
        .chain([("HasFederation", "HasProvider"), ("HasFederation", "MakesUserPool")])
    {
        let all = conditions[needs]["Fn::And"].as_array().unwrap();
        assert!(all.contains(&json!({ "Condition": what })), "{needs} without {what}");
    }
}

/// People's browsers come to an API of their own.
#[test]
fn the_address_for_browsers_answers_one_origin_and_is_throttled() {
    let template = template("expanded");
    let api = resources(&template, "AWS::ApiGateway::RestApi")["SessionApi"];
    assert!(api["BinaryMediaTypes"].is_null(), "the answer to OPTIONS would be lost");
    let path = &api["Body"]["paths"][session::SESSION_PATH];
    assert_eq!(path.as_object().unwrap().keys().collect::<Vec<_>>(), ["options", "post"]);
    let post = &path["post"]["x-amazon-apigateway-integration"];
    assert!(post["uri"].to_string().contains("SessionFunctionAliaslive"), "{post}");
    let preflight = &path["options"];
    let told = &preflight["x-amazon-apigateway-integration"]["responses"]["default"]["responseParameters"];
    let origin = json!({ "Fn::Sub": "'${AllowedOrigin}'" });
    for (header, value) in
        [("Origin", origin.clone()), ("Methods", json!("'POST'")), ("Headers", json!("'content-type'"))]
    {
        assert_eq!(told[format!("method.response.header.Access-Control-Allow-{header}")], value, "{header}");
        // What a response may have is declared in OpenAPI 3's form; in another API Gateway refuses the parameter.
        let declared = &preflight["responses"]["200"]["headers"][format!("Access-Control-Allow-{header}")];
        assert_eq!(declared["schema"]["type"], "string", "{header}");
    }
    // Also where API Gateway answers by itself; or the page could not read the status.
    let answers = api["Body"]["x-amazon-apigateway-gateway-responses"].as_object().unwrap();
    for (name, answer) in answers {
        let header = &answer["responseParameters"]["gatewayresponse.header.Access-Control-Allow-Origin"];
        assert_eq!(header, &origin, "{name}");
    }
    assert_eq!(
        answers.keys().collect::<Vec<_>>(),
        ["DEFAULT_5XX", "MISSING_AUTHENTICATION_TOKEN", "THROTTLED"]
    );
    let stages = resources(&template, "AWS::ApiGateway::Stage");
    let stage = stages.values().find(|stage| stage["RestApiId"]["Ref"] == "SessionApi").unwrap();
    let settings = &stage["MethodSettings"][0];
    assert_eq!(
        (&settings["ThrottlingRateLimit"], &settings["ThrottlingBurstLimit"]),
        (&json!(20), &json!(100))
    );
    assert_eq!((&settings["LoggingLevel"], &settings["DataTraceEnabled"]), (&json!("OFF"), &json!(false)));
    // No caller's address in the access log, as in the other one's.
    let format = stage["AccessLogSetting"]["Format"].as_str().unwrap();
    assert!(!format.contains("identity") && format.contains("$context.status"), "{format}");
}

#[test]
fn one_address_is_held_to_a_share_of_what_people_may_ask() {
    let template = template("expanded");
    let acl = resources(&template, "AWS::WAFv2::WebACL")["PeopleWebAcl"];
    let [sign_ups, rate] = acl["Rules"].as_array().unwrap().as_slice() else { panic!("{acl}") };
    let limit = |rule: &Value| {
        let based = &rule["Statement"]["RateBasedStatement"];
        assert_eq!((&based["AggregateKeyType"], &based["EvaluationWindowSec"]), (&json!("IP"), &json!(300)));
        assert!(rule["Action"]["Block"].is_object(), "{rule}");
        based["Limit"].as_u64().unwrap()
    };
    let stages = resources(&template, "AWS::ApiGateway::Stage");
    let (name, stage) = stages.iter().find(|(_, stage)| stage["RestApiId"]["Ref"] == "SessionApi").unwrap();
    let throttle = stage["MethodSettings"][0]["ThrottlingRateLimit"].as_u64().unwrap();
    assert!(limit(sign_ups) < limit(rate) && limit(rate) <= throttle * 300 / 4);
    // A page can read the answer and waits.
    let origin = json!({ "Name": "Access-Control-Allow-Origin", "Value": { "Ref": "AllowedOrigin" } });
    for rule in [sign_ups, rate] {
        let answer = &rule["Action"]["Block"]["CustomResponse"];
        assert_eq!(answer["ResponseCode"], 429);
        assert!(answer["ResponseHeaders"].as_array().unwrap().contains(&origin), "{answer}");
    }
    // What opens a session that is paid for: a sign-up, and the word by which a browser asks for one before it.
    let counted = &sign_ups["Statement"]["RateBasedStatement"]["ScopeDownStatement"]["OrStatement"];
    let found = counted["Statements"].as_array().unwrap().iter().map(|one| &one["ByteMatchStatement"]);
    let words: Vec<_> = found.map(|one| one["SearchString"].as_str().unwrap()).collect();
    assert_eq!(words, ["SignUp", ".SignUp", "before_sign_up"]);

    let associations = resources(&template, "AWS::WAFv2::WebACLAssociation");
    let people = associations.values().filter(|one| one["WebACLArn"].to_string().contains("PeopleWebAcl"));
    let guarded: Vec<_> = people.map(|one| one["ResourceArn"].to_string()).collect();
    assert_eq!(guarded.len(), 2, "{guarded:?}");
    assert!(guarded.iter().any(|arn| arn.contains("UserPool")), "{guarded:?}");
    let stage_of = format!("restapis/${{SessionApi}}/stages/${{{name}}}");
    assert!(guarded.iter().any(|arn| arn.contains(&stage_of)), "{guarded:?}");
    // A sign-in page's one-time codes and tokens are not logged.
    let logging = resources(&template, "AWS::WAFv2::LoggingConfiguration")["PeopleWebAclLogging"];
    let redacted = logging["RedactedFields"].as_array().unwrap();
    assert!(redacted.contains(&json!({ "QueryString": {} })), "{redacted:?}");
}

/// The actions of a role that the function itself needs: all but those of Lambda's own doing, which are listed here.
pub(crate) fn actions(template: &Value, role: &str, by_lambda: &[&str]) -> BTreeSet<String> {
    let policies = template["Resources"][role]["Properties"]["Policies"].as_array().unwrap().iter();
    let statements = policies.flat_map(|policy| policy["PolicyDocument"]["Statement"].as_array().unwrap());
    // A statement that a condition leaves out.
    let statements = statements.map(|statement| statement["Fn::If"].get(1).unwrap_or(statement));
    let mut actions = BTreeSet::new();
    for statement in statements {
        assert_eq!(statement["Effect"], "Allow");
        match &statement["Action"] {
            Value::Array(several) => {
                actions.extend(several.iter().map(|action| action.as_str().unwrap().to_owned()));
            }
            one => drop(actions.insert(one.as_str().unwrap().to_owned())),
        }
    }
    let always =
        ["logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords"];
    for action in always.iter().chain(by_lambda) {
        assert!(actions.remove(*action), "{role}: {action}");
    }
    actions
}

/// What a function asked of AWS, as IAM names it.
pub(crate) fn called(endpoint: &AwsEndpoint) -> BTreeSet<String> {
    let action = |target: &str, path: &str| match target.split_once('.') {
        Some(("AmazonSQS", call)) => format!("sqs:{call}"),
        Some(("secretsmanager", call)) => format!("secretsmanager:{call}"),
        Some(("AWSCognitoIdentityProviderService", call)) => format!("cognito-idp:{call}"),
        Some(("CodeDeploy_20141006", call)) => format!("codedeploy:{call}"),
        None if path.ends_with("/invocations") => "lambda:InvokeFunction".to_owned(),
        _ => panic!("{target} {path}"),
    };
    endpoint.take_asked().iter().map(|asked| action(&asked.target, &asked.path)).collect()
}

#[tokio::test]
async fn every_call_that_a_function_makes_is_allowed_and_nothing_else_is() {
    let template = template("parsed");
    let mut exercised = BTreeSet::new();

    let endpoint = AwsEndpoint::answering(aws(&[])).await;
    let function = Function::start(env!("CARGO_BIN_EXE_callback"), &settings(&endpoint.url, &[])).await;
    function.invoke(signed_event(approval("ada", "evt_1", 0).to_string().as_bytes())).await.unwrap();
    let calls = called(&endpoint);
    // What SQS and Secrets Manager do with the key in the function's name.
    let by_services = ["kms:Decrypt", "kms:GenerateDataKey"];
    assert_eq!(actions(&template, "CallbackRole", &by_services), calls);
    exercised.extend(calls);

    // A user who is there, one who is not and is given up on, one whom Cognito throttles.
    let users = aws(&["ada"]);
    let endpoint = AwsEndpoint::answering(move |asked| {
        let throttled = asked.body["Username"] == "bob";
        let too_many = json!({ "__type": "TooManyRequestsException", "message": "Rate exceeded" });
        if throttled { Some((400, too_many)) } else { users(asked) }
    })
    .await;
    let function = Function::start(env!("CARGO_BIN_EXE_consumer"), &settings(&endpoint.url, &[])).await;
    let world = World::new();
    world.leaves_messages();
    for name in ["ada", "nobody", "bob"] {
        world.post(&approval(name, &format!("evt_{name}"), 0)).await;
    }
    let batch = idv_callback::lambda::batch_event(&world.receive().await);
    let answer = function.invoke(batch).await.unwrap();
    assert_eq!(answer["batchItemFailures"].as_array().unwrap().len(), 1, "{answer}");
    let calls = called(&endpoint);
    // The event source mapping's pollers use the function's role.
    let by_lambda = [
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "kms:Decrypt",
        "kms:GenerateDataKey",
    ];
    assert_eq!(actions(&template, "ConsumerRole", &by_lambda), calls);
    exercised.extend(calls);

    let endpoint = AwsEndpoint::answering(|asked| {
        let secret = (200, json!({ "SecretString": RING }));
        asked
            .target
            .ends_with("GetSecretValue")
            .then_some(secret)
            .or(Some((200, json!({ "statusCode": 401 }))))
    })
    .await;
    let more =
        [("IDV_CALLBACK_VERSION", "f:1"), ("IDV_CONSUMER_VERSION", "g:1"), ("AWS_REGION", "us-east-1")];
    let function = Function::start(env!("CARGO_BIN_EXE_pretraffic"), &settings(&endpoint.url, &more)).await;
    let fit = function.invoke(json!({ "DeploymentId": "d", "LifecycleEventHookExecutionId": "e" })).await;
    assert_eq!(fit, Ok(json!(false)), "{}", function.output());
    let calls = called(&endpoint);
    assert_eq!(actions(&template, "PreTrafficRole", &["kms:Decrypt"]), calls);
    exercised.extend(calls);

    // And that was every call that the service's adapters can make.
    let known: BTreeSet<_> = exercised.iter().map(|action| action.split_once(':').unwrap().1).collect();
    let known: BTreeSet<_> =
        known.into_iter().map(|call| if call == "InvokeFunction" { "Invoke" } else { call }).collect();
    let found = calls_in_source();
    assert_eq!(found.iter().map(String::as_str).collect::<BTreeSet<_>>(), known);
}

/// The operations that the adapters name: `client.send_message()`.
fn calls_in_source() -> BTreeSet<String> {
    let mut calls = BTreeSet::new();
    for entry in std::fs::read_dir(root().join("src/aws")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for client in ["client.", "sqs.", "cognito.", "lambda."] {
            for piece in text.split(client).skip(1) {
                let name: String =
                    piece.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                if piece[name.len()..].starts_with("()")
                    && !["build", "clone", "client_id"].contains(&name.as_str())
                {
                    calls.insert(camel(&name));
                }
            }
        }
    }
    calls
}

fn camel(snake: &str) -> String {
    snake.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

#[test]
fn every_alarm_names_a_page_that_exists_and_every_page_is_in_the_index() {
    let template = template("parsed");
    let alarms = resources(&template, "AWS::CloudWatch::Alarm");
    assert!(alarms.len() >= 12);
    for (name, alarm) in alarms {
        let description = alarm["AlarmDescription"].as_str().unwrap();
        let page = description.split("Page: ").nth(1).unwrap_or_else(|| panic!("{name} names no page"));
        assert!(root().join(page).is_file(), "{name}: {page} does not exist");
        assert!(!alarm["AlarmActions"].as_array().unwrap().is_empty(), "{name} tells nobody");
        assert!(!alarm["TreatMissingData"].is_null(), "{name}");
    }
    let index = std::fs::read_to_string(root().join("runbooks/README.md")).unwrap();
    for entry in std::fs::read_dir(root().join("runbooks")).unwrap() {
        let page = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            page == "README.md" || index.contains(&format!("({page})")),
            "{page} is not in runbooks/README.md"
        );
    }
}

#[test]
fn every_metric_that_is_drawn_or_watched_is_one_that_the_code_or_aws_emits() {
    const OF_AWS: [&str; 5] = ["AWS/SQS", "AWS/ApiGateway", "AWS/Lambda", "AWS/Firehose", "AWS/Logs"];
    let ours = "idv-callback/${AWS::StackName}";
    let known: BTreeSet<_> = Metric::ALL.iter().map(|metric| metric.name()).collect();
    let template = template("parsed");
    let filters = resources(&template, "AWS::Logs::MetricFilter");
    let of_filters: BTreeSet<_> = filters
        .values()
        .map(|filter| filter["MetricTransformations"][0]["MetricName"].as_str().unwrap())
        .collect();
    let check = |place: &str, namespace: &str, metric: &str, dimension: Option<&str>| {
        if namespace == ours && of_filters.contains(metric) {
            return;
        }
        if namespace == ours {
            assert!(known.contains(metric), "{place}: {metric} is emitted by nothing");
            let metric = Metric::ALL.iter().find(|m| m.name() == metric).unwrap();
            assert!(dimension.is_none() || dimension == metric.dimension(), "{place}: {dimension:?}");
        } else {
            assert!(OF_AWS.contains(&namespace), "{place}: {namespace}");
        }
    };
    for (name, alarm) in resources(&template, "AWS::CloudWatch::Alarm") {
        let of_formula =
            alarm["Metrics"].as_array().into_iter().flatten().map(|m| &m["MetricStat"]["Metric"]);
        for metric in of_formula
            .filter(|metric| !metric.is_null())
            .chain((!alarm["MetricName"].is_null()).then_some(alarm))
        {
            let namespace = metric["Namespace"].as_str().or(metric["Namespace"]["Fn::Sub"].as_str()).unwrap();
            check(name, namespace, metric["MetricName"].as_str().unwrap(), None);
        }
    }
    let body = template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"].as_str().unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    let mut drawn = 0;
    for widget in body["widgets"].as_array().unwrap() {
        let title = widget["properties"]["title"].as_str().unwrap();
        for metric in widget["properties"]["metrics"].as_array().unwrap() {
            drawn += 1;
            match metric[0]["expression"].as_str() {
                // SEARCH('{"namespace",Dimension} MetricName="Name"', ...)
                Some(search) => {
                    let quoted: Vec<_> = search.split('"').collect();
                    let dimension = quoted[2].trim_start_matches(',').split('}').next().unwrap();
                    check(title, quoted[1], quoted[3], Some(dimension));
                }
                None => check(title, metric[0].as_str().unwrap(), metric[1].as_str().unwrap(), None),
            }
        }
    }
    assert!(drawn > 30);
    let namespaces = variables(&template, "CallbackFunction")["IDV_METRICS_NAMESPACE"].clone();
    assert_eq!(namespaces, ours.replace("${AWS::StackName}", "idv"));
}

/// No emulator reads JSON patterns, so the pattern is held to the form of what the functions print.
#[test]
fn the_audit_trail_takes_the_records_and_nothing_else() {
    let template = template("parsed");
    let subscriptions = resources(&template, "AWS::Logs::SubscriptionFilter");
    assert_eq!(
        subscriptions.keys().copied().collect::<Vec<_>>(),
        ["CallbackSubscription", "ConsumerSubscription", "SessionSubscription", "TriggersSubscription"]
    );
    for (name, subscription) in subscriptions {
        assert_eq!(subscription["FilterPattern"], r#"{ $.schema = "idv-audit/*" }"#, "{name}");
        let function = name.strip_suffix("Subscription").unwrap();
        assert_eq!(subscription["LogGroupName"]["Ref"], format!("{function}Logs").as_str());
        // And somebody is told if it does not.
        let alarm = &template["Resources"][format!("{function}TrailAlarm")]["Properties"];
        let watched = alarm["Dimensions"].as_array().unwrap();
        assert!(watched.contains(&json!({ "Name": "FilterName", "Value": { "Ref": name } })), "{name}");
    }
    let record = idv_callback::audit::AuditRecord::new(
        idv_callback::audit::AuditCode::Accepted,
        idv_callback::timestamp::Timestamp::from_unix_millis(0),
    );
    let metrics = idv_callback::metrics::embedded(&record, "ns").unwrap();
    assert!(metrics["schema"].is_null(), "{metrics}");
    assert!(serde_json::to_value(&record).unwrap()["schema"].as_str().unwrap().starts_with("idv-audit/"));
}

#[test]
fn every_suppressed_check_has_its_reason() {
    let text = std::fs::read_to_string(root().join("infra/checkov.yaml")).unwrap();
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let mut suppressed = 0;
    for pair in lines.windows(2).filter(|pair| pair[1].starts_with("- CKV")) {
        suppressed += 1;
        assert!(pair[0].starts_with("# "), "{} has no reason above it", pair[1]);
    }
    for (name, resource) in template("parsed")["Resources"].as_object().unwrap() {
        for skip in resource["Metadata"]["checkov"]["skip"].as_array().into_iter().flatten() {
            suppressed += 1;
            assert!(skip["comment"].as_str().is_some_and(|reason| reason.len() > 20), "{name}: {skip}");
        }
    }
    assert!(suppressed > 0);
}

/// `infra/parameters/*.toml`: each name is a parameter of the template, and each value one that it takes.
#[test]
fn the_parameter_files_fit_the_template() {
    let template = template("parsed");
    for stage in ["dev", "staging", "prod"] {
        let path = root().join(format!("infra/parameters/{stage}.toml"));
        let text = std::fs::read_to_string(&path).unwrap();
        // Those that are only proposed are as good as the others.
        let lines = text.lines().filter_map(|line| line.trim().trim_start_matches("# ").strip_prefix('"'));
        let mut count = 0;
        for (name, value) in lines.map(|line| line.split('"').next().unwrap().split_once('=').unwrap()) {
            count += 1;
            let parameter = &template["Parameters"][name];
            assert!(!parameter.is_null(), "{stage}: {name} is no parameter");
            let allowed = parameter["AllowedValues"].as_array();
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            assert!(
                allowed.is_none_or(|allowed| allowed.iter().any(|one| text(one) == value)),
                "{stage}: {name}={value}"
            );
        }
        assert!(count >= 6, "{stage}");
    }
}

/// What SAM makes of it: traffic goes through the alias, whose new versions are checked first and rolled back by alarms.
#[test]
fn functions_are_rolled_out_behind_an_alias_with_a_check_or_alarms() {
    let template = template("expanded");
    let mapping = resources(&template, "AWS::Lambda::EventSourceMapping")["ConsumerFunctionCallbacks"];
    assert_eq!(mapping["FunctionName"]["Ref"], "ConsumerFunctionAliaslive");
    let api = resources(&template, "AWS::ApiGateway::RestApi")["Api"];
    // By its name: by reference there would be a circle (the template says which).
    let integration = &api["Body"]["paths"]["/idv-callback"]["post"]["x-amazon-apigateway-integration"];
    let called = integration["uri"]["Fn::Sub"].as_str().unwrap();
    let function = &template["Resources"]["CallbackFunction"]["Properties"]["FunctionName"]["Fn::Sub"];
    let alias = &template["Resources"]["CallbackFunctionAliaslive"]["Properties"]["Name"];
    let (function, alias) = (function.as_str().unwrap(), alias.as_str().unwrap());
    assert!(called.ends_with(&format!(":function:{function}:{alias}/invocations")), "{called}");
    let permission = &template["Resources"]["CallbackFunctionCallbackPermissionv1"]["Properties"];
    assert_eq!(permission["FunctionName"]["Ref"], "CallbackFunctionAliaslive");
    assert_eq!(api["Body"]["paths"].as_object().unwrap().len(), 1);
    assert_eq!(api["Body"]["x-amazon-apigateway-binary-media-types"], json!(["*/*"]));
    for function in ["CallbackFunction", "ConsumerFunction"] {
        let policy = &template["Resources"][format!("{function}Aliaslive")]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"];
        assert_eq!(policy["BeforeAllowTrafficHook"]["Ref"], "PreTrafficFunction", "{function}");
        let group = &template["Resources"][format!("{function}DeploymentGroup")]["Properties"];
        let alarms = group["AlarmConfiguration"]["Alarms"].as_array().unwrap();
        assert!(alarms.len() >= 2 && group["AlarmConfiguration"]["Enabled"] == true, "{function}");
        let rollback = group["AutoRollbackConfiguration"]["Events"].to_string();
        assert!(
            rollback.contains("DEPLOYMENT_STOP_ON_ALARM") && rollback.contains("DEPLOYMENT_FAILURE"),
            "{rollback}"
        );
    }
    // The triggers have a check of their own; the session function, which changes nobody, is rolled back by its alarm alone.
    for (function, alarm, check) in [
        ("TriggersFunction", "Triggers", json!({ "Ref": "TriggersPreTrafficFunction" })),
        ("SessionFunction", "Session", Value::Null),
    ] {
        let alias = &template["Resources"][format!("{function}Aliaslive")];
        let policy = &alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"];
        let group = format!("{function}DeploymentGroup");
        assert_eq!(policy["DeploymentGroupName"]["Ref"], group.as_str());
        assert_eq!(policy["BeforeAllowTrafficHook"], check, "{function}");
        let group = &template["Resources"][group]["Properties"];
        assert_eq!(group["AlarmConfiguration"]["Enabled"], true, "{function}");
        let named = |kind: &str| json!({ "Name": { "Ref": format!("{alarm}{kind}Alarm") } });
        assert_eq!(group["AlarmConfiguration"]["Alarms"], json!([named("Errors"), named("Crashes")]));
    }
    // Nobody outside can roll a deployment back: what such alarms watch is counted for reasons of ours alone (`metrics`), or is
    // an error of a function that answers whatever comes (`runtime`). Raw 5xx and raw errors of what Cognito calls are not.
    let alarms = resources(&template, "AWS::CloudWatch::Alarm");
    let mut watched = BTreeSet::new();
    for function in ["CallbackFunction", "ConsumerFunction", "TriggersFunction", "SessionFunction"] {
        let group = &template["Resources"][format!("{function}DeploymentGroup")]["Properties"];
        for alarm in group["AlarmConfiguration"]["Alarms"].as_array().unwrap() {
            let alarm = alarms[alarm["Name"]["Ref"].as_str().unwrap()];
            assert!(alarm["Metrics"].is_null(), "no difference of two clocks");
            let of = alarm["Dimensions"][0]["Value"]["Ref"].as_str().unwrap_or("ours");
            watched.insert(format!("{of} {}", alarm["MetricName"].as_str().unwrap()));
        }
    }
    let expected = [
        "CallbackFunction Errors",
        "ConsumerFunction Errors",
        "ours CallbackFaults",
        "ours Misconfigured",
        "ours SessionCrashes",
        "ours SessionFaults",
        "ours TriggerFaults",
        "ours TriggersCrashes",
    ];
    assert_eq!(watched, expected.map(str::to_owned).into());
    // CodeDeploy's role may call no function of another name (safe deployments, SAM developer guide).
    for hook in ["PreTrafficFunction", "TriggersPreTrafficFunction"] {
        let name = &template["Resources"][hook]["Properties"]["FunctionName"]["Fn::Sub"];
        assert!(name.as_str().unwrap().starts_with("CodeDeployHook_"), "{hook}");
    }
}

/// Each statement of a role as `Sid actions on resources`, in one line.
fn statements(template: &Value, role: &str) -> Vec<String> {
    let policies = template["Resources"][role]["Properties"]["Policies"].as_array().unwrap().iter();
    let statements = policies.flat_map(|policy| policy["PolicyDocument"]["Statement"].as_array().unwrap());
    statements
        .map(|statement| {
            let statement = statement["Fn::If"].get(1).unwrap_or(statement);
            let (sid, resource) = (statement["Sid"].as_str().unwrap(), &statement["Resource"]);
            format!("{sid} {} on {resource}", statement["Action"]).replace('"', "")
        })
        .collect()
}

/// What each role may do to what, word by word: whoever changes it has to change it here as well.
#[test]
fn roles_reach_these_resources_and_no_others() {
    let template = template("parsed");
    let ring = "{Fn::If:[MakesKeyRing,{Ref:KeyRing},{Ref:KeyRingSecretArn}]}";
    let trace = "Trace [xray:PutTraceSegments,xray:PutTelemetryRecords] on *".to_owned();
    let attribute = |of: &str| format!("{{Fn::GetAtt:[{of},Arn]}}");
    let own_key = "UseKeyRingKey kms:Decrypt on {Ref:KeyRingKmsKeyArn}".to_owned();
    let read_ring = format!("ReadKeyRing secretsmanager:GetSecretValue on {ring}");
    let logs =
        |group: &str| format!("WriteLogs [logs:CreateLogStream,logs:PutLogEvents] on {}", attribute(group));
    let both_keys = format!("UseDataKey [kms:Decrypt,kms:GenerateDataKey] on {}", attribute("DataKey"));
    assert_eq!(
        statements(&template, "CallbackRole"),
        [
            format!("Enqueue [sqs:SendMessage,sqs:GetQueueAttributes] on {}", attribute("Queue")),
            read_ring.clone(),
            both_keys.clone(),
            own_key.clone(),
            logs("CallbackLogs"),
            trace.clone(),
        ]
    );
    let pool = "arn:${AWS::Partition}:cognito-idp:${AWS::Region}:${AWS::AccountId}:userpool/${UserPoolId}";
    let consume = "[sqs:ReceiveMessage,sqs:DeleteMessage,sqs:GetQueueAttributes,sqs:ChangeMessageVisibility]";
    let settle =
        "[cognito-idp:AdminGetUser,cognito-idp:AdminUpdateUserAttributes,cognito-idp:AdminConfirmSignUp]";
    assert_eq!(
        statements(&template, "ConsumerRole"),
        [
            format!("Consume {consume} on {}", attribute("Queue")),
            format!("Quarantine sqs:SendMessage on {}", attribute("DeadLetters")),
            format!(
                "SettleUsers {settle} on {{Fn::If:[MakesUserPool,{},{{Fn::Sub:{pool}}}]}}",
                attribute("UserPool")
            ),
            read_ring.clone(),
            both_keys.clone(),
            own_key.clone(),
            logs("ConsumerLogs"),
            trace.clone(),
        ]
    );
    let key_of_1kosmos = "{Fn::If:[HasProviderSecret,{Ref:ProviderSecretArn},{Ref:ProviderSecret}]}";
    let read_key = format!("ReadProviderKey secretsmanager:GetSecretValue on {key_of_1kosmos}");
    assert_eq!(
        statements(&template, "TriggersRole"),
        [
            format!("Enqueue sqs:SendMessage on {}", attribute("Queue")),
            read_ring.clone(),
            read_key.clone(),
            both_keys,
            own_key.clone(),
            logs("TriggersLogs"),
            trace.clone(),
        ]
    );
    assert_eq!(
        statements(&template, "SessionRole"),
        [
            format!(
                "ReadUsers cognito-idp:AdminGetUser on {{Fn::If:[MakesUserPool,{},{{Fn::Sub:{pool}}}]}}",
                attribute("UserPool")
            ),
            read_ring.clone(),
            read_key,
            format!("UseDataKey kms:Decrypt on {}", attribute("DataKey")),
            own_key.clone(),
            logs("SessionLogs"),
            trace.clone(),
        ]
    );
    let group = "arn:${AWS::Partition}:codedeploy:${AWS::Region}:${AWS::AccountId}:deploymentgroup:${ServerlessDeploymentApplication}/*";
    assert_eq!(
        statements(&template, "PreTrafficRole"),
        [
            "TryVersions lambda:InvokeFunction on [{Fn::Sub:${CallbackFunction.Arn}:*},{Fn::Sub:${ConsumerFunction.Arn}:*}]".to_owned(),
            format!("Report codedeploy:PutLifecycleEventHookExecutionStatus on {{Fn::Sub:{group}}}"),
            read_ring,
            format!("UseDataKey kms:Decrypt on {}", attribute("DataKey")),
            own_key,
            logs("PreTrafficLogs"),
            trace.clone(),
        ]
    );
    assert_eq!(
        statements(&template, "TriggersPreTrafficRole"),
        [
            "TryVersions lambda:InvokeFunction on {Fn::Sub:${TriggersFunction.Arn}:*}".to_owned(),
            format!("Report codedeploy:PutLifecycleEventHookExecutionStatus on {{Fn::Sub:{group}}}"),
            logs("TriggersPreTrafficLogs"),
            trace,
        ]
    );
}

/// A queue or bucket without a policy would take plain HTTP.
#[test]
fn every_queue_and_bucket_has_a_policy_that_wants_tls() {
    let template = template("parsed");
    let mut guarded = BTreeSet::new();
    for kind in ["AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy"] {
        for policy in resources(&template, kind).values() {
            let statements = policy["PolicyDocument"]["Statement"].as_array().unwrap();
            let denies = |s: &&Value| {
                s["Effect"] == "Deny" && s["Condition"]["Bool"]["aws:SecureTransport"] == "false"
            };
            let denial = statements.iter().find(denies).unwrap();
            let action = denial["Action"].as_str().unwrap();
            assert!(denial["Principal"] == "*" && action.ends_with(":*"), "{denial}");
            let named = policy["Queues"].as_array().map_or(&policy["Bucket"], |queues| &queues[0]);
            guarded.insert(named["Ref"].as_str().unwrap().to_owned());
        }
    }
    let (queues, buckets) =
        (resources(&template, "AWS::SQS::Queue"), resources(&template, "AWS::S3::Bucket"));
    let stores: BTreeSet<_> = queues.keys().chain(buckets.keys()).map(|name| (*name).to_owned()).collect();
    assert_eq!(guarded, stores);
}

/// `infra/deploy` with a stand-in for the SAM CLI: a changed parameter has to lead to new versions, which SAM alone does not
/// do.
#[test]
fn a_changed_parameter_makes_new_versions() {
    let folder = tempfile::tempdir().unwrap();
    let infra = folder.path().join("infra");
    std::fs::create_dir_all(infra.join("parameters")).unwrap();
    for name in ["deploy", "template.yaml", "parameters/dev.toml"] {
        std::fs::copy(root().join("infra").join(name), infra.join(name)).unwrap();
    }
    let sam = folder.path().join("sam");
    let build = "#!/bin/sh\nmkdir -p .aws-sam/build\n[ $1 = build ] && cp infra/template.yaml .aws-sam/build/ || echo \"$@\" > deployed\n";
    std::fs::write(&sam, build).unwrap();
    std::fs::set_permissions(&sam, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let versions = |more: &[&str]| {
        let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
        let run =
            Command::new(infra.join("deploy")).arg("dev").args(more).env("PATH", path).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let built = folder.path().join(".aws-sam/build/template.yaml");
        let mut expand = Command::new(setup::python().join("python"));
        let expanded =
            expand.args([&script("expand.py"), "expanded"]).env("TEMPLATE", built).output().unwrap();
        let expanded: Value = serde_json::from_slice(&expanded.stdout).unwrap();
        resources(&expanded, "AWS::Lambda::Version").keys().map(|name| (*name).to_owned()).collect::<Vec<_>>()
    };
    let first = versions(&[]);
    assert_eq!(first, versions(&[]), "nothing changed");
    let second = versions(&["--parameter-overrides", "MinimumIal=3"]);
    assert!(
        first.len() == 6 && first.iter().all(|version| !second.contains(version)),
        "{first:?} {second:?}"
    );
    let deployed = std::fs::read_to_string(folder.path().join("deployed")).unwrap();
    assert!(deployed.contains("--template-file .aws-sam/build/template.yaml"), "{deployed}");
}

#[test]
fn every_output_and_every_parameter_is_described() {
    let readme = std::fs::read_to_string(root().join("infra/README.md")).unwrap();
    let template = template("parsed");
    for (name, output) in template["Outputs"].as_object().unwrap() {
        assert!(readme.contains(&format!("`{name}`")), "{name} is not in infra/README.md");
        assert!(output["Description"].as_str().is_some_and(|text| text.len() > 5), "{name}");
    }
    for (name, parameter) in template["Parameters"].as_object().unwrap() {
        assert!(parameter["Description"].as_str().is_some_and(|text| text.len() > 10), "{name}");
    }
}
