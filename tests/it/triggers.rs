//! Cognito's triggers: events of the recorded shapes, and invented ones, through the real binary under a Lambda Runtime API,
//! with a 1Kosmos that misbehaves.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use idv_callback::assurance::{ASSURANCE_ATTRIBUTES, STAGING_ATTRIBUTES};
use idv_callback::binding::Binding;
use idv_callback::clock::SystemClock;
use idv_callback::envelope::Envelope;
use idv_callback::lambda::{HttpMessage, batch_event, rest_event};
use idv_callback::ports::{CallbackQueue as _, Clock as _, OutgoingMessage};
use idv_callback::proofing::Claim;
use idv_callback::verification::{BindingToken, PoolId, UserReference, Username};
use idvctl::trail::{Entry, Thread, Tracing};
use serde_json::{Value, json};

use crate::support::aws_endpoint::{Asked, AwsEndpoint, Said};
use crate::support::function::{Function, aws, settings};
use crate::support::provider::{ANSWER, API_KEY, OPEN, OneKosmos, SESSION, STEP_UP};
use crate::support::world::{POOL, RING, World, ring, with};

const CALLBACK_URL: &str = "https://idv.example.com/idv-callback";

/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

const SUB: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

const SUBJECT: &str = "did:blockid:CANARY-ada";

/// What a person is told when it cannot be done now.
const NOT_NOW: &str = "This is not possible right now. Please try again in a few minutes.";

fn secrets(asked: &Asked) -> Option<Said> {
    let of_api = asked.body["SecretId"] == "idv/1kosmos";
    of_api.then(|| (200, json!({ "SecretString": json!({ "api_key": API_KEY }).to_string() })))
}

/// The function, its AWS and its 1Kosmos.
pub(crate) struct Rig {
    pub(crate) provider: OneKosmos,
    pub(crate) endpoint: AwsEndpoint,
    pub(crate) function: Function,
}

impl Rig {
    async fn start(more: &[(&str, &str)]) -> Self {
        Self::of(env!("CARGO_BIN_EXE_triggers"), more).await
    }

    pub(crate) async fn of(binary: &str, more: &[(&str, &str)]) -> Self {
        Self::with_users(binary, more, |_| None).await
    }

    async fn with_users(
        binary: &str,
        more: &[(&str, &str)],
        users: impl Fn(&Asked) -> Option<Said> + Send + Sync + 'static,
    ) -> Self {
        Self::beside(OneKosmos::start().await, binary, more, users).await
    }

    /// A function that asks this 1Kosmos. What `users` says of a call goes before everything else.
    async fn beside(
        provider: OneKosmos,
        binary: &str,
        more: &[(&str, &str)],
        users: impl Fn(&Asked) -> Option<Said> + Send + Sync + 'static,
    ) -> Self {
        let rest = aws(&[]);
        let answers = move |asked: &Asked| users(asked).or_else(|| secrets(asked)).or_else(|| rest(asked));
        let endpoint = AwsEndpoint::answering(answers).await;
        let own = [
            ("IDV_PROVIDER_URL", provider.url.as_str()),
            ("IDV_PROVIDER_SECRET_ID", "idv/1kosmos"),
            ("IDV_CALLBACK_URL", CALLBACK_URL),
            ("IDV_ALLOWED_ORIGIN", "https://app.example.com"),
            ("AWS_REGION", "us-east-1"),
        ];
        let all = [&own[..], more].concat();
        let function = Function::start(binary, &settings(&endpoint.url, &all)).await;
        Self { provider, endpoint, function }
    }

    /// The answer, or the text that Cognito would show.
    pub(crate) async fn fire(&self, event: &Value) -> Result<Value, String> {
        let answer = self.function.invoke(event.clone()).await;
        answer.map_err(|error| error["error_message"].as_str().unwrap_or(&error.to_string()).to_owned())
    }

    pub(crate) fn last_record(&self) -> Value {
        self.function.records().last().cloned().unwrap()
    }

    fn words(&self) -> Vec<String> {
        let records = self.function.records();
        records.iter().skip(1).map(|record| record["event"].as_str().unwrap().to_owned()).collect()
    }

    /// What was put on the queue.
    fn sent(&self) -> Vec<OutgoingMessage> {
        let asked =
            self.endpoint.take_asked().into_iter().filter(|asked| asked.target.ends_with("SendMessage"));
        let text = |asked: &Asked, name: &str| asked.body[name].as_str().unwrap().to_owned();
        asked
            .map(|asked| OutgoingMessage {
                body: text(&asked, "MessageBody"),
                group_id: text(&asked, "MessageGroupId"),
                deduplication_id: text(&asked, "MessageDeduplicationId"),
                attributes: std::collections::BTreeMap::new(),
            })
            .collect()
    }

    /// Nothing of a person, and no secret, is in what the function prints.
    fn nothing_leaked(&self) {
        let output = self.function.output();
        for word in ["CANARY", API_KEY, VERIFIER, "/session/", "/challenge/"] {
            assert!(!output.contains(word), "{word} in {output}");
        }
    }
}

/// The common part (aws-lambda-rust-runtime, `example-cognito-event-userpools-*.json`).
fn event(source: &str, username: &str, request: Value, response: Value) -> Value {
    json!({
        "version": "1",
        "triggerSource": source,
        "region": "us-east-1",
        "userPoolId": POOL,
        "userName": username,
        "callerContext": { "awsSdkVersion": "aws-sdk-js-2.6.4", "clientId": "57b1b4c3example" },
        "request": request,
        "response": response,
    })
}

fn sign_up(username: &str, attributes: Value, metadata: Value) -> Value {
    let request = json!({ "userAttributes": attributes, "validationData": null, "clientMetadata": metadata });
    let response = json!({ "autoConfirmUser": false, "autoVerifyEmail": false, "autoVerifyPhone": false });
    event("PreSignUp_SignUp", username, request, response)
}

fn user(username: &str) -> UserReference {
    UserReference { pool: PoolId::new(POOL).unwrap(), username: Username::new(username).unwrap() }
}

fn claim() -> String {
    Claim::of_verifier(VERIFIER).unwrap().as_str().to_owned()
}

#[tokio::test]
async fn a_sign_up_opens_one_session_and_the_event_goes_back_as_it_came() {
    let rig = Rig::start(&[]).await;
    // In the middle of a minute, so that the calls of one sign-up fall into one.
    while SystemClock.now().unix_seconds() % 60 > 50 {
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let attributes = json!({ "email": "CANARY@example.com", "custom:idv_claim": claim() });
    let mut asked = sign_up("CANARY-ada", attributes, Value::Null);
    asked["request"]["somethingNew"] = json!({ "kept": [1, null] });
    let answer = rig.fire(&asked).await;
    assert_eq!(answer, Ok(asked.clone()), "{}", rig.function.output());

    // Cognito calls up to three times: one session, over one connection.
    for _ in 0..2 {
        rig.fire(&asked).await.unwrap();
    }
    let calls = rig.provider.take_calls().await;
    assert_eq!(calls.len(), 3);
    let keys: BTreeSet<_> = calls.iter().map(|call| call["idempotency_key"].as_str().unwrap()).collect();
    let connections: BTreeSet<_> = calls.iter().map(|call| call["connection"].as_u64().unwrap()).collect();
    assert_eq!((keys.len(), connections.len()), (1, 1), "{calls:?}");
    let body = &calls[0]["body"];
    let binding = body["metadata"]["binding"].as_str().unwrap();
    assert_eq!(
        *body,
        json!({
            "document_types": ["drivers_license", "passport"],
            "liveness_mode": "active",
            "callback_url": CALLBACK_URL,
            "metadata": {
                "cognito_user_pool": POOL,
                "cognito_username": "CANARY-ada",
                "binding": binding,
            },
        })
    );
    let token = BindingToken::new(binding).unwrap();
    let now = SystemClock.now();
    let bound = Binding::check(Some(&token), &user("CANARY-ada"), &ring().binding);
    let (ours, other) = (Claim::new(&claim()), Claim::new(&"A".repeat(43)));
    assert!(bound.speaks_for(now, ours.as_ref()), "{bound:?}");
    assert!(!bound.speaks_for(now, other.as_ref()) && !bound.speaks_for(now, None), "another browser's user");
    assert_eq!(Binding::check(Some(&token), &user("bob"), &ring().binding), Binding::Forged);
    let ids: BTreeSet<_> =
        rig.function.records().iter().skip(1).map(|r| r["session_id"].to_string()).collect();
    assert_eq!((ids.len(), rig.words()), (1, vec!["session_opened".to_owned(); 3]));

    // Somebody else who takes the name within the minute gets a session of their own, with a claim or without.
    for attributes in [
        json!({ "email": "other@example.com" }),
        json!({ "email": "another@example.com" }),
        json!({ "email": "CANARY@example.com", "custom:idv_claim": "A".repeat(43) }),
    ] {
        rig.fire(&sign_up("CANARY-ada", attributes, json!({}))).await.unwrap();
    }
    let calls = rig.provider.take_calls().await;
    let others: BTreeSet<_> = calls.iter().map(|call| call["idempotency_key"].as_str().unwrap()).collect();
    assert!(others.len() == 3 && others.is_disjoint(&keys), "{calls:?}");
    rig.nothing_leaked();
}

#[tokio::test]
async fn what_is_no_sign_up_of_a_person_passes_through_untouched_and_costs_nothing() {
    let rig = Rig::start(&[]).await;
    let attributes = json!({ "email": "ada@example.com", "custom:ial": "3", "nothing": null });
    let request = json!({ "userAttributes": attributes });
    let sources = [
        "PreSignUp_AdminCreateUser",
        "PreSignUp_ExternalProvider",
        "PostConfirmation_ConfirmSignUp",
        "TokenGeneration_Authentication",
        "TokenGeneration_RefreshTokens",
        "CustomMessage_SignUp",
        "SomethingOfNextYear",
        "",
    ];
    for source in sources {
        for response in [json!({}), Value::Null, json!({ "autoConfirmUser": true, "x": [null] })] {
            let asked = event(source, "ada", request.clone(), response);
            assert_eq!(rig.fire(&asked).await, Ok(asked.clone()), "{source}");
        }
    }
    for odd in [json!({}), json!({ "triggerSource": 7 }), json!([]), json!("x"), Value::Null] {
        assert_eq!(rig.fire(&odd).await, Ok(odd.clone()));
    }
    assert!(rig.provider.take_calls().await.is_empty());
    assert!(rig.words().is_empty());
}

#[tokio::test]
async fn nobody_signs_up_with_assurance() {
    let rig = Rig::start(&[("IDV_PROVIDER_DOWN", "admit")]).await;
    let ours = ASSURANCE_ATTRIBUTES.iter().chain(&STAGING_ATTRIBUTES).map(|name| (*name).to_owned());
    let spelt =
        ["dev:custom:ial", "CUSTOM:IAL", "custom:Blockid_Sub", "dev:custom:fed_ial"].map(str::to_owned);
    for name in ours.chain(spelt) {
        for value in [json!("2"), json!(""), json!(2), Value::Null, json!(["3"]), json!({})] {
            let attributes = json!({ "email": "CANARY@example.com", name.clone(): value });
            let refused = rig.fire(&sign_up("CANARY", attributes, json!({}))).await;
            assert_eq!(refused, Err("These details cannot be used to sign up.".to_owned()), "{name}");
        }
        assert_eq!(rig.last_record()["reason"], "assurance_attribute", "{name}");
    }
    // Names that Cognito itself would refuse, and a claim that is none.
    for odd in [
        with(sign_up("a b", json!({}), json!({})), "userName", json!("a b")),
        with(sign_up("ada", json!({}), json!({})), "userPoolId", json!("elsewhere")),
        sign_up("ada", json!({ "custom:idv_claim": "short" }), json!({})),
        sign_up("ada", json!(["custom:ial"]), json!({})),
    ] {
        let before = rig.words().len();
        assert!(rig.fire(&odd).await.is_err(), "{odd}");
        assert_eq!(rig.words().get(before).map(String::as_str), Some("sign_up_refused"), "{odd}");
    }
    assert!(rig.provider.take_calls().await.is_empty(), "refused before anything is paid for");
    rig.nothing_leaked();
}

#[tokio::test]
async fn while_1kosmos_is_down_sign_ups_are_refused_or_let_through_as_configured() {
    let troubles = [
        (json!({ "on": OPEN, "status": 500, "times": 0 }), "OpenSession: 5xx", 2),
        (json!({ "on": OPEN, "status": 429, "times": 0 }), "OpenSession: 429", 2),
        (json!({ "on": OPEN, "status": 401, "times": 0 }), "OpenSession: 401", 2),
        (json!({ "on": OPEN, "status": 409, "times": 0 }), "OpenSession: 409", 2),
        (json!({ "on": OPEN, "status": 400, "times": 0 }), "OpenSession: 400", 1),
        (json!({ "on": OPEN, "drop": true, "times": 0 }), "OpenSession: no_answer", 2),
        (json!({ "on": OPEN, "raw": "<html>CANARY", "times": 0 }), "OpenSession: bad_answer:json", 1),
        (
            json!({ "on": OPEN, "override": { "session_url": "javascript:1" }, "times": 0 }),
            "OpenSession: bad_answer:session_url",
            1,
        ),
        (json!({ "on": OPEN, "delay_ms": 6000, "times": 0 }), "OpenSession: timeout", 2),
    ];
    for (setting, word) in [("refuse", "sign_up_refused"), ("admit", "sign_up_unproofed")] {
        let rig = Rig::start(&[("IDV_PROVIDER_DOWN", setting), ("IDV_PROOF_FIRST", "allowed")]).await;
        let asked = sign_up("CANARY-ada", json!({ "email": "CANARY@example.com" }), json!({}));
        for (trouble, fault, tries) in &troubles {
            rig.provider.behave().await;
            rig.provider.control(trouble.clone()).await;
            rig.provider.take_calls().await;
            let begun = Instant::now();
            let answer = rig.fire(&asked).await;
            assert!(begun.elapsed() < Duration::from_millis(4900), "{fault}: Cognito waits 5 s");
            let expected = if setting == "admit" { Ok(asked.clone()) } else { Err(NOT_NOW.to_owned()) };
            assert_eq!(answer, expected, "{fault}");
            let record = rig.last_record();
            let told = (&record["event"], &record["reason"], &record["detail"]);
            let reason = if *fault == "OpenSession: 400" { "provider_refused" } else { "provider" };
            assert_eq!(told, (&json!(word), &json!(reason), &json!(fault)));
            let calls = rig.provider.take_calls().await;
            let keys: BTreeSet<_> = calls.iter().map(|call| call["idempotency_key"].to_string()).collect();
            assert_eq!(
                (calls.len(), keys.len()),
                (*tries, 1),
                "{fault}: two tries of one request at the most"
            );
        }
        // One transient fault is not noticed.
        rig.provider.behave().await;
        rig.provider.control(json!({ "on": OPEN, "status": 503 })).await;
        assert_eq!(rig.fire(&asked).await, Ok(asked.clone()));
        assert_eq!(rig.last_record()["event"], "session_opened");
        // Whoever brings a proof is never let through without it.
        rig.provider.control(json!({ "on": SESSION, "status": 503, "times": 0 })).await;
        let proof = json!({ "idv_session": "vs_1", "idv_verifier": VERIFIER });
        let proofed = sign_up("ada", json!({ "custom:idv_claim": claim() }), proof);
        assert_eq!(rig.fire(&proofed).await, Err(NOT_NOW.to_owned()));
        assert_eq!(rig.last_record()["event"], "sign_up_refused");
        rig.nothing_leaked();
    }
}

#[tokio::test]
async fn without_an_api_key_nobody_is_let_through_and_an_exchanged_one_works_without_a_deployment() {
    let missing = |asked: &Asked| {
        let error = json!({ "__type": "ResourceNotFoundException", "message": "CANARY" });
        (asked.body["SecretId"] == "idv/1kosmos").then_some((400, error))
    };
    let rig = Rig::with_users(env!("CARGO_BIN_EXE_triggers"), &[], missing).await;
    let asked = sign_up("ada", json!({}), json!({}));
    assert_eq!(rig.fire(&asked).await, Err(NOT_NOW.to_owned()));
    assert_eq!(rig.last_record()["detail"], "GetSecretValue: ResourceNotFoundException");
    assert!(rig.provider.take_calls().await.is_empty());
    rig.nothing_leaked();

    // The old key until it is asked for the second time.
    let fetched = AtomicUsize::new(0);
    let exchanged = move |asked: &Asked| {
        let first = asked.body["SecretId"] == "idv/1kosmos" && fetched.fetch_add(1, Ordering::Relaxed) == 0;
        let old = json!({ "api_key": "the-key-of-last-year" }).to_string();
        first.then(|| (200, json!({ "SecretString": old })))
    };
    let rig = Rig::with_users(env!("CARGO_BIN_EXE_triggers"), &[], exchanged).await;
    // Within the minute a refused key is not asked for again: wrong keys must not hammer the store.
    assert_eq!(rig.fire(&asked).await, Err(NOT_NOW.to_owned()));
    assert_eq!(rig.last_record()["detail"], "OpenSession: 401");
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(rig.fire(&asked).await, Ok(asked.clone()), "{}", rig.function.output());
}

/// Secrets that come slowly, and a 1Kosmos that does: Cognito's time is not used up by one after the other.
#[tokio::test]
async fn slow_secrets_and_a_slow_1kosmos_together_end_in_time() {
    let slow = |asked: &Asked| {
        if asked.body["SecretId"] == "idv/1kosmos" {
            std::thread::sleep(Duration::from_millis(800));
        }
        None
    };
    let provider = OneKosmos::start().await;
    provider.control(json!({ "on": OPEN, "delay_ms": 6000, "times": 0 })).await;
    let begun = Instant::now();
    let rig = Rig::beside(provider, env!("CARGO_BIN_EXE_triggers"), &[], slow).await;
    assert_eq!(rig.fire(&sign_up("ada", json!({}), json!({}))).await, Err(NOT_NOW.to_owned()));
    // The beginning of the process is in it: whoever signs up waits for that, too.
    assert!(begun.elapsed() < Duration::from_millis(5000), "{:?}", begun.elapsed());
}

// ── The proof came first (mechanism C) ─────────────────────────────────────────────────────────────────────────────

/// Asks `POST /idv-session`.
async fn ask_session(rig: &Rig, body: &Value) -> (u64, Value) {
    ask_session_in(rig, "application/json", body).await
}

async fn ask_session_in(rig: &Rig, content_type: &str, body: &Value) -> (u64, Value) {
    let event = rest_event(&HttpMessage {
        method: "POST".to_owned(),
        path: "/idv-session".to_owned(),
        headers: vec![("content-type".to_owned(), content_type.to_owned())],
        body: body.to_string().into_bytes(),
        source_ip: "192.0.2.1".to_owned(),
        received_at: SystemClock.now(),
    });
    let answer = rig.function.invoke(event).await.unwrap();
    assert_eq!(answer["headers"]["access-control-allow-origin"], "https://app.example.com");
    assert_eq!(answer["headers"]["cache-control"], "no-store");
    let body = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    (answer["statusCode"].as_u64().unwrap(), body)
}

#[tokio::test]
async fn a_proof_that_came_first_is_good_for_its_name_its_browser_and_its_hour() {
    let desk = Rig::of(env!("CARGO_BIN_EXE_session"), &[("IDV_PROOF_FIRST", "allowed")]).await;
    let before = json!({ "username": "CANARY-ada", "claim": claim(), "before_sign_up": true });
    let (status, opened) = ask_session(&desk, &before).await;
    assert_eq!(status, 200, "{opened} {}", desk.function.output());
    let session = opened["session_id"].as_str().unwrap();
    assert!(opened["session_url"].as_str().unwrap().starts_with(&desk.provider.url));
    let asked = &desk.provider.take_calls().await[0]["body"];
    assert!(asked["callback_url"].is_null(), "there is nobody yet to call back about");
    desk.nothing_leaked();

    // The triggers' function asks the same 1Kosmos.
    let allowed = [("IDV_PROOF_FIRST", "allowed")];
    let rig = Rig::beside(desk.provider, env!("CARGO_BIN_EXE_triggers"), &allowed, |_| None).await;
    let metadata = json!({ "idv_session": session, "idv_verifier": VERIFIER });
    let own = json!({ "email": "CANARY@example.com", "custom:idv_claim": claim() });
    let good = sign_up("CANARY-ada", own.clone(), metadata.clone());
    let no = "The proof of identity was not accepted. Please start again.".to_owned();

    assert_eq!(rig.fire(&good).await, Err(no.clone()));
    assert_eq!(rig.last_record()["reason"], "session_pending");
    rig.provider.decide(json!({ "session": session, "as": "approved" })).await;

    let now = SystemClock.now();
    let overrides = |member: Value| json!({ "on": SESSION, "override": member });
    let elsewhere = |name: &str, value: &str| {
        let mut metadata = asked["metadata"].clone();
        metadata[name] = json!(value);
        overrides(json!({ "metadata": metadata }))
    };
    let (stale, ahead) = (now.minus(Duration::from_secs(241)), now.plus(Duration::from_secs(70)));
    let key = &ring().binding[0];
    let ours = Claim::new(&claim()).unwrap();
    let of_another = Claim::new(&"C".repeat(43)).unwrap();
    let before = |start, claim: &Claim| {
        let token = Binding::issue_before(key, &user("CANARY-ada"), start, claim).unwrap();
        Some(elsewhere("binding", token.as_str()))
    };
    // A session from a sign-up, which has its callback, is no session from before one.
    let after = Binding::issue(key, &user("CANARY-ada"), now, Some(&ours)).unwrap();
    let but = |name: &str, value: &str| {
        sign_up("CANARY-ada", own.clone(), with(metadata.clone(), name, json!(value)))
    };
    let claims = |claim: &str| {
        sign_up("CANARY-ada", with(own.clone(), "custom:idv_claim", json!(claim)), metadata.clone())
    };
    let refusals: Vec<(&str, Value, Option<Value>)> = vec![
        ("session_of_another", sign_up("CANARY-bob", own.clone(), metadata.clone()), None),
        ("session_of_another", with(good.clone(), "userPoolId", json!("us-east-1_Other")), None),
        ("claim_mismatch", but("idv_verifier", &"B".repeat(43)), None),
        ("claim_mismatch", claims(&"B".repeat(43)), None),
        ("claim_mismatch", sign_up("CANARY-ada", json!({}), metadata.clone()), None),
        ("no_verifier", sign_up("CANARY-ada", own.clone(), json!({ "idv_session": session })), None),
        ("session_unknown", but("idv_session", "vs_unknown"), None),
        ("session_malformed", but("idv_session", "../../x"), None),
        ("session_malformed", but("idv_session", ".."), None),
        ("session_of_another", good.clone(), Some(overrides(json!({ "session_id": "vs_other" })))),
        ("session_of_another", good.clone(), Some(elsewhere("cognito_username", "CANARY-bob"))),
        ("session_not_bound", good.clone(), Some(elsewhere("binding", "b1.1.00"))),
        ("session_not_bound", good.clone(), Some(elsewhere("binding", ""))),
        ("session_not_bound", good.clone(), Some(elsewhere("binding", after.as_str()))),
        ("claim_mismatch", good.clone(), before(now, &of_another)),
        ("session_not_fresh", good.clone(), before(now.minus(Duration::from_secs(3661)), &ours)),
        ("session_not_fresh", good.clone(), before(ahead, &ours)),
        ("session_not_fresh", good.clone(), Some(overrides(json!({ "occurred_at": ahead.to_string() })))),
        ("session_not_fresh", good.clone(), Some(overrides(json!({ "occurred_at": stale.to_string() })))),
        ("session_not_approved", good.clone(), Some(overrides(json!({ "status": "declined" })))),
        ("session_insufficient", good.clone(), Some(overrides(json!({ "ial": 1 })))),
        ("session_insufficient", good.clone(), Some(overrides(json!({ "liveness_verified": false })))),
        ("session_insufficient", good.clone(), Some(overrides(json!({ "match_result": false })))),
    ];
    for (reason, asked, trouble) in refusals {
        if let Some(trouble) = trouble {
            rig.provider.control(trouble).await;
        }
        assert_eq!(rig.fire(&asked).await, Err(no.clone()), "{reason}");
        assert_eq!(rig.last_record()["reason"], reason, "{}", rig.last_record());
    }
    assert!(rig.sent().is_empty(), "nothing refused is on the queue");

    // The right one; and Cognito's second call for it is the same message.
    assert_eq!(rig.fire(&good).await, Ok(good.clone()));
    // Also where the answer holds a member that changes from one time to the next.
    rig.provider.control(overrides(json!({ "fetched": 2, "trace": "x" }))).await;
    assert_eq!(rig.fire(&good).await, Ok(good.clone()));
    let sent = rig.sent();
    assert_eq!((sent.len(), &sent[0].deduplication_id), (2, &sent[1].deduplication_id));
    assert_eq!(rig.last_record()["event"], "asserted");
    rig.nothing_leaked();

    // The consumer takes it by the same rules, for the user who is created now and for nobody else.
    let envelope = Envelope::open(&sent[0].body, &ring().seal).unwrap_or_else(|_| panic!("not sealed by us"));
    assert_eq!(
        (envelope.key_id.as_str(), envelope.event().unwrap().session.as_str()),
        ("session-result", session)
    );
    let soon = now.plus(Duration::from_secs(3));
    let of = |claim: &Claim| json!([{ "Name": "custom:idv_claim", "Value": claim.as_str() }]);
    let (confirmed, attributes) = settled_by_the_consumer(&sent[0], "CANARY-ada", soon, &of(&ours)).await;
    assert!(confirmed && attributes.contains("custom:blockid_sub"), "{attributes}");
    // Somebody whose first try failed after all: the same message is for them, minutes later.
    let later = now.plus(Duration::from_secs(200));
    assert!(settled_by_the_consumer(&sent[0], "CANARY-ada", later, &of(&ours)).await.0);
    // Whoever else took the name in that very second has it for nothing.
    for other in [json!([]), of(&of_another)] {
        let nothing = (false, String::new());
        assert_eq!(settled_by_the_consumer(&sent[0], "CANARY-ada", soon, &other).await, nothing);
    }
    // Cognito may tell the trigger the name in small letters.
    let lower = with(good.clone(), "userName", json!("canary-ADA"));
    assert_eq!(rig.fire(&lower).await, Ok(lower.clone()));

    // Where it is not allowed, no result is taken.
    let refused = Rig::beside(rig.provider, env!("CARGO_BIN_EXE_triggers"), &[], |_| None).await;
    assert_eq!(refused.fire(&good).await, Err(no));
    assert_eq!(refused.last_record()["reason"], "not_before_sign_up");
}

/// What 1Kosmos does not take is told from what it cannot answer now: the first would feed an alarm of ours for as long as
/// somebody asks.
#[tokio::test]
async fn a_session_that_1kosmos_does_not_open_is_no_outage() {
    let desk = Rig::of(env!("CARGO_BIN_EXE_session"), &[("IDV_PROOF_FIRST", "allowed")]).await;
    let before = json!({ "username": "CANARY-ada", "claim": claim(), "before_sign_up": true });
    for (refused, status, reason) in
        [(400, 422, "provider_refused"), (422, 422, "provider_refused"), (500, 503, "provider")]
    {
        desk.provider.behave().await;
        desk.provider.control(json!({ "on": OPEN, "status": refused, "times": 0 })).await;
        assert_eq!(ask_session(&desk, &before).await.0, status);
        assert_eq!(desk.last_record()["reason"], reason);
    }
    desk.nothing_leaked();
}

/// Runs the consumer function on a message, for a user of this name who was created then: whether it confirmed them, and what
/// it wrote.
async fn settled_by_the_consumer(
    message: &OutgoingMessage,
    username: &'static str,
    created: idv_callback::timestamp::Timestamp,
    attributes: &Value,
) -> (bool, String) {
    let seconds = created.unix_millis() / 1000;
    let attributes = attributes.clone();
    let rest = aws(&[]);
    let endpoint = AwsEndpoint::answering(move |asked| {
                let status = if username.starts_with("OneKosmos_") { "EXTERNAL_PROVIDER" } else { "UNCONFIRMED" };
        let user = json!({
            "Username": username, "UserStatus": status, "Enabled": true, "UserCreateDate": seconds, "UserAttributes": attributes,
        });
        if asked.target.ends_with("AdminGetUser") { Some((200, user)) } else { rest(asked) }
    })
    .await;
    let required = settings(&endpoint.url, &[("IDV_BINDING", "required")]);
    let function = Function::start(env!("CARGO_BIN_EXE_consumer"), &required).await;
    let world = World::new();
    world.leaves_messages();
    world.queues.callbacks.send(message.clone()).await.unwrap();
    function.invoke(batch_event(&world.receive().await)).await.unwrap();
    let asked = endpoint.take_asked();
    let find = |call: &str| asked.iter().find(|asked| asked.target.ends_with(call));
    let written = find("AdminUpdateUserAttributes").map(|asked| asked.body.to_string()).unwrap_or_default();
    (find("AdminConfirmSignUp").is_some(), written)
}

// ── The link to the session ────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn the_link_to_a_session_goes_to_the_browser_that_signed_up_and_to_nobody_else() {
    while SystemClock.now().unix_seconds() % 60 > 50 {
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let created = SystemClock.now().unix_seconds();
    let status: std::sync::Arc<std::sync::Mutex<(Value, &str)>> =
        std::sync::Arc::new(std::sync::Mutex::new((json!([]), "UNCONFIRMED")));
    let shown = std::sync::Arc::clone(&status);
    let rig = Rig::with_users(env!("CARGO_BIN_EXE_session"), &[], move |asked| {
        let name = asked.body["Username"].as_str().unwrap_or_default();
        if name.contains('\u{200b}') {
            return Some((400, json!({ "__type": "InvalidParameterException" })));
        }
        if !asked.target.ends_with("AdminGetUser") || name != "CANARY-ada" && name != "ada@example.com" {
            return None;
        }
        let (more, status) = shown.lock().unwrap().clone();
        let mut attributes = vec![
            json!({ "Name": "sub", "Value": SUB }),
            json!({ "Name": "custom:idv_claim", "Value": claim() }),
        ];
        attributes.extend(more.as_array().unwrap().clone());
        Some((200, json!({
            "Username": "CANARY-ada", "UserStatus": status, "Enabled": true, "UserCreateDate": created, "UserAttributes": attributes,
        })))
    })
    .await;
    let of = |name: &str, verifier: &str, open: bool| json!({ "username": name, "verifier": verifier, "open": open });

    let (code, body) = ask_session(&rig, &of("CANARY-ada", VERIFIER, true)).await;
    assert_eq!(
        (code, &body["status"], &body["confirmed"]),
        (200, &json!("waiting"), &json!(false)),
        "{body}"
    );
    let url = body["session_url"].clone();
    assert!(url.as_str().unwrap().starts_with(&rig.provider.url), "{body}");
    let (_, again) = ask_session(&rig, &of("CANARY-ada", VERIFIER, true)).await;
    assert_eq!(again["session_url"], url, "the same session, not another");
    let (_, looked) = ask_session(&rig, &of("CANARY-ada", VERIFIER, false)).await;
    assert!(looked["session_url"].is_null() && looked["status"] == "waiting", "{looked}");

    // It is the very session that the sign-up opened.
    rig.provider.take_calls().await;
    let rig = {
        let Rig { provider, endpoint, function } = rig;
        let triggers = Rig::beside(provider, env!("CARGO_BIN_EXE_triggers"), &[], |_| None).await;
        let asked = sign_up("CANARY-ada", json!({ "custom:idv_claim": claim() }), json!({}));
        triggers.fire(&asked).await.unwrap();
        Rig { provider: triggers.provider, endpoint, function }
    };
    ask_session(&rig, &of("CANARY-ada", VERIFIER, true)).await;
    let calls = rig.provider.take_calls().await;
    assert_eq!(calls[0]["idempotency_key"], calls[1]["idempotency_key"]);
    assert_eq!(calls[0]["body"], calls[1]["body"]);

    // In a pool whose people sign in by e-mail address the page knows no other name; the session is the user's all the same.
    let (code, by_alias) = ask_session(&rig, &of("ada@example.com", VERIFIER, true)).await;
    assert_eq!((code, &by_alias["session_url"]), (200, &json!(url)));
    assert_eq!(rig.provider.take_calls().await[0]["body"], calls[0]["body"]);

    // Anybody else: one answer for all of them, and no session is opened.
    rig.provider.take_calls().await;
    let mut answers = BTreeSet::new();
    for (name, verifier) in [
        ("CANARY-ada", "B".repeat(43)),
        ("nobody", VERIFIER.to_owned()),
        ("nobody", "B".repeat(43)),
        ("ada@example.com", "B".repeat(43)),
        // Cognito's pattern for names knows no such letter.
        ("CANARY-ada\u{200b}", VERIFIER.to_owned()),
    ] {
        let (code, body) = ask_session(&rig, &of(name, &verifier, true)).await;
        answers.insert(format!("{code} {body}"));
    }
    let (_, before) =
        ask_session(&rig, &json!({ "username": "x", "claim": claim(), "before_sign_up": true })).await;
    answers.insert(format!("404 {before}"));
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(answers.first().unwrap().starts_with("404 "), "{answers:?}");
    for malformed in [
        json!({}),
        json!([]),
        of("CANARY-ada", "short", true),
        of("a b", VERIFIER, true),
        with(of("x", VERIFIER, true), "more", json!(1)),
    ] {
        assert_eq!(ask_session(&rig, &malformed).await.0, 400, "{malformed}");
    }
    // What a foreign page could make a visitor's browser send without asking first.
    for content_type in ["text/plain", "application/x-www-form-urlencoded"] {
        let asked = of("CANARY-ada", VERIFIER, true);
        assert_eq!(ask_session_in(&rig, content_type, &asked).await.0, 415, "{content_type}");
    }
    assert!(rig.provider.take_calls().await.is_empty());
    assert!(rig.words().contains(&"session_withheld".to_owned()), "{:?}", rig.words());

    // After a session that came to nothing there is another; after a decision there is none.
    let attribute = |name: &str, value: &str| json!({ "Name": name, "Value": value });
    let receipt = format!("1 2026-11-22T10:00:00.000Z evt_1 {}", "0".repeat(64));
    for (word, opens) in [
        ("expired", true),
        ("abandoned", true),
        ("insufficient", true),
        ("declined", false),
        ("in_review", false),
        ("approved", false),
    ] {
        let more = json!([attribute("custom:idv_status", word), attribute("custom:idv_receipt", &receipt)]);
        *status.lock().unwrap() = (more, if word == "approved" { "CONFIRMED" } else { "UNCONFIRMED" });
        let (_, body) = ask_session(&rig, &of("CANARY-ada", VERIFIER, true)).await;
        assert_eq!((&body["status"], body["session_url"].is_string()), (&json!(word), opens), "{body}");
        assert_eq!(body["confirmed"], word == "approved");
        assert!(!opens || body["session_url"] != url, "another session than the one that ended");
    }
    rig.provider.control(json!({ "on": OPEN, "status": 500, "times": 0 })).await;
    *status.lock().unwrap() = (json!([]), "UNCONFIRMED");
    assert_eq!(ask_session(&rig, &of("CANARY-ada", VERIFIER, true)).await.0, 503);
    rig.nothing_leaked();
}

// ── Step-up ────────────────────────────────────────────────────────────────────────────────────────────────────────

fn proofed() -> Value {
    json!({
        "sub": SUB,
        "email": "CANARY@example.com",
        "custom:blockid_sub": SUBJECT,
        "custom:ial": "2",
        "custom:idv_status": "approved",
        "custom:idv_expires_at": "2100-01-01T00:00:00.000Z",
        "cognito:user_status": "CONFIRMED",
    })
}

fn past(name: &str, result: bool, note: &str) -> Value {
    json!({ "challengeName": name, "challengeResult": result, "challengeMetadata": note })
}

fn srp() -> Value {
    past("SRP_A", true, "")
}

fn password(right: bool) -> Value {
    past("PASSWORD_VERIFIER", right, "")
}

fn face(right: bool, id: &str) -> Value {
    past("CUSTOM_CHALLENGE", right, &format!("idv-step-up/1 {id}"))
}

fn define(session: Value, attributes: Value, not_found: bool) -> Value {
    let request = json!({ "userAttributes": attributes, "session": session, "clientMetadata": null, "userNotFound": not_found });
    let response = json!({ "challengeName": null, "issueTokens": null, "failAuthentication": null });
    event("DefineAuthChallenge_Authentication", "CANARY-ada", request, response)
}

fn ask(name: &str) -> Value {
    json!({ "challengeName": name, "issueTokens": false, "failAuthentication": false })
}

#[tokio::test]
async fn tokens_are_issued_for_password_and_face_and_for_nothing_less() {
    let tokens = || json!({ "issueTokens": true, "failAuthentication": false });
    let fail = || json!({ "issueTokens": false, "failAuthentication": true });
    let without = |name: &str| {
        let mut attributes = proofed();
        attributes.as_object_mut().unwrap().remove(name);
        attributes
    };
    let but = |name: &str, value: &str| with(proofed(), name, json!(value));
    let whole = || json!([srp(), password(true), face(true, "ch_1")]);
    let unnoted = |right: bool| json!({ "challengeName": "CUSTOM_CHALLENGE", "challengeResult": right, "challengeMetadata": null });

    let rig = Rig::start(&[]).await;
    let cases = [
        // The road.
        (json!([srp()]), proofed(), ask("PASSWORD_VERIFIER")),
        (json!([srp(), password(true)]), proofed(), ask("CUSTOM_CHALLENGE")),
        (whole(), proofed(), tokens()),
        (json!([srp(), password(true), face(false, "ch_1"), face(true, "ch_1")]), proofed(), tokens()),
        (
            json!([srp(), password(true), past("SOFTWARE_TOKEN_MFA", true, ""), face(true, "ch_1")]),
            proofed(),
            tokens(),
        ),
        (json!([srp(), password(true), unnoted(true)]), proofed(), tokens()),
        // Nothing but the beginning of the password's protocol, whose result is true from the start.
        (json!([]), proofed(), fail()),
        (Value::Null, proofed(), fail()),
        (json!([face(true, "ch_1")]), proofed(), fail()),
        (json!([srp(), face(true, "ch_1")]), proofed(), fail()),
        (json!([password(true), face(true, "ch_1")]), proofed(), fail()),
        (json!([srp(), srp()]), proofed(), fail()),
        (json!([srp(), password(false)]), proofed(), fail()),
        (json!([srp(), password(false), face(true, "ch_1")]), proofed(), fail()),
        (json!([srp(), password(true), face(true, "ch_1"), past("SRP_A", true, "")]), proofed(), fail()),
        (json!([srp(), password(true), past("SMS_MFA", false, ""), face(true, "ch_1")]), proofed(), fail()),
        (json!([srp(), password(true), past("ADMIN_NO_SRP_AUTH", true, "")]), proofed(), fail()),
        (json!([past("ADMIN_NO_SRP_AUTH", true, ""), face(true, "ch_1")]), proofed(), fail()),
        (json!([srp(), password(true), past("SOMETHING_NEW", true, "")]), proofed(), fail()),
        (
            json!([srp(), password(true), { "challengeName": "CUSTOM_CHALLENGE", "challengeResult": "true" }]),
            proofed(),
            ask("CUSTOM_CHALLENGE"),
        ),
        // Attempts: three challenges; answers to one challenge that came too early are not three.
        (
            json!([srp(), password(true), face(false, "a"), face(false, "a"), face(false, "a")]),
            proofed(),
            ask("CUSTOM_CHALLENGE"),
        ),
        (
            json!([srp(), password(true), face(false, "a"), face(false, "b")]),
            proofed(),
            ask("CUSTOM_CHALLENGE"),
        ),
        (
            json!([srp(), password(true), face(false, "a"), face(false, "b"), face(false, "c")]),
            proofed(),
            fail(),
        ),
        (json!([srp(), password(true), unnoted(false), unnoted(false), unnoted(false)]), proofed(), fail()),
        // Whoever has no assurance that counts has no face to show.
        (json!([srp(), password(true)]), without("custom:blockid_sub"), fail()),
        (whole(), without("custom:blockid_sub"), fail()),
        (whole(), but("custom:blockid_sub", ""), fail()),
        (whole(), without("custom:ial"), fail()),
        (whole(), but("custom:ial", "1"), fail()),
        (whole(), but("custom:ial", "0"), fail()),
        (whole(), but("custom:ial", "high"), fail()),
        (whole(), without("custom:idv_status"), fail()),
        (whole(), but("custom:idv_status", "declined"), fail()),
        (whole(), but("custom:idv_expires_at", "2020-01-01T00:00:00.000Z"), fail()),
        (whole(), but("custom:idv_expires_at", "soon"), fail()),
        (whole(), Value::Null, fail()),
        // A password that Cognito itself would lead on from, past the biometric, is not asked for.
        (json!([srp()]), but("cognito:user_status", "FORCE_CHANGE_PASSWORD"), fail()),
        (json!([srp()]), but("cognito:user_status", "SOMETHING_NEW"), fail()),
        (json!([srp()]), without("cognito:user_status"), fail()),
        (json!([srp(), password(true)]), but("cognito:user_status", "FORCE_CHANGE_PASSWORD"), fail()),
        (whole(), but("cognito:user_status", "FORCE_CHANGE_PASSWORD"), fail()),
        // Those whom it refuses by itself are told so by their password alone.
        (json!([srp()]), but("cognito:user_status", "UNCONFIRMED"), ask("PASSWORD_VERIFIER")),
        (json!([srp(), password(true)]), but("cognito:user_status", "UNCONFIRMED"), fail()),
    ];
    for (session, attributes, expected) in cases {
        let asked = define(session, attributes, false);
        let answer = rig.fire(&asked).await.unwrap();
        assert_eq!(answer["response"], expected, "{asked}");
        assert_eq!(with(answer, "response", Value::Null), with(asked, "response", Value::Null));
    }
    // Somebody who does not exist goes the same road, and nowhere.
    for (session, expected) in [
        (json!([srp()]), ask("PASSWORD_VERIFIER")),
        (json!([srp(), password(false)]), fail()),
        (whole(), fail()),
        (json!([srp(), password(true)]), fail()),
    ] {
        for attributes in [proofed(), json!({})] {
            let answer = rig.fire(&define(session.clone(), attributes, true)).await.unwrap();
            assert_eq!(answer["response"], expected);
        }
    }
    let refused = rig.function.records().into_iter().filter(|record| record["event"] == "step_up_refused");
    let reasons: BTreeSet<_> = refused.map(|record| record["reason"].as_str().unwrap().to_owned()).collect();
    let expected = [
        "level",
        "no_password",
        "no_user",
        "not_proofed",
        "password",
        "proof_expired",
        "record_unreadable",
        "second_factor",
        "too_many_attempts",
        "unknown_challenge",
        "user_status",
    ];
    assert_eq!(reasons.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    rig.nothing_leaked();

    // Where the biometric alone is asked for, by configuration.
    let alone = Rig::start(&[("IDV_FIRST_FACTOR", "none")]).await;
    for (session, attributes, not_found, expected) in [
        (json!([]), proofed(), false, ask("CUSTOM_CHALLENGE")),
        (json!([face(true, "a")]), proofed(), false, tokens()),
        (json!([]), json!({}), true, ask("CUSTOM_CHALLENGE")),
        (json!([face(false, "a")]), json!({}), true, ask("CUSTOM_CHALLENGE")),
        (json!([face(true, "a")]), json!({}), true, fail()),
        (json!([face(true, "a")]), without("custom:blockid_sub"), false, fail()),
        (json!([]), without("custom:blockid_sub"), false, ask("CUSTOM_CHALLENGE")),
        (json!([srp(), password(false)]), proofed(), false, fail()),
        (json!([face(false, "a"), face(false, "b"), face(false, "c")]), json!({}), true, fail()),
    ] {
        let asked = define(session, attributes, not_found);
        assert_eq!(alone.fire(&asked).await.unwrap()["response"], expected, "{asked}");
    }
}

fn create(session: Value, metadata: Value) -> Value {
    let request = json!({
        "userAttributes": proofed(), "challengeName": "CUSTOM_CHALLENGE", "session": session, "clientMetadata": metadata,
        "userNotFound": false,
    });
    let response = json!({ "publicChallengeParameters": null, "privateChallengeParameters": null, "challengeMetadata": null });
    event("CreateAuthChallenge_Authentication", "CANARY-ada", request, response)
}

/// The answer to a challenge that was created.
fn verify(created: &Value, answer: &str) -> Value {
    let request = json!({
        "userAttributes": proofed(),
        "privateChallengeParameters": created["response"]["privateChallengeParameters"],
        "challengeAnswer": answer,
        "clientMetadata": null,
        "userNotFound": false,
    });
    event(
        "VerifyAuthChallengeResponse_Authentication",
        "CANARY-ada",
        request,
        json!({ "answerCorrect": null }),
    )
}

fn begun() -> Value {
    json!([srp(), password(true)])
}

fn nonce(of: char) -> Value {
    json!({ "reason_code": "high_value_transaction", "idv_nonce": of.to_string().repeat(22) })
}

impl Rig {
    /// Starts a challenge in a sign-in of its own.
    async fn created(&self) -> (Value, String) {
        let created =
            self.fire(&create(begun(), json!({ "reason_code": "high_value_transaction" }))).await.unwrap();
        let id =
            created["response"]["publicChallengeParameters"]["challenge_id"].as_str().unwrap().to_owned();
        (created, id)
    }

    async fn is_correct(&self, created: &Value, answer: &str) -> bool {
        let answered = self.fire(&verify(created, answer)).await.unwrap();
        answered["response"]["answerCorrect"].as_bool().unwrap()
    }
}

#[tokio::test]
async fn a_step_up_is_passed_by_the_proofed_face_for_this_challenge_and_by_nothing_else() {
    let rig = Rig::start(&[]).await;
    let (created, id) = rig.created().await;
    let public = &created["response"]["publicChallengeParameters"];
    assert_eq!((&public["status"], &public["attempt"]), (&json!("started"), &json!("1")));
    assert!(public["challenge_url"].as_str().unwrap().starts_with(&rig.provider.url));
    assert_eq!(created["response"]["challengeMetadata"], format!("idv-step-up/1 {id}"));
    let calls = rig.provider.take_calls().await;
    let body = json!({ "user_id": SUBJECT, "reason_code": "high_value_transaction", "timeout_seconds": 300 });
    assert_eq!((&calls[0]["path"], &calls[0]["body"]), (&json!("/v1/auth/stepup"), &body));
    assert_eq!(calls.iter().filter(|call| call["method"] == "POST").count(), 1);
    rig.provider.decide(json!({ "challenge": id })).await;
    assert!(rig.is_correct(&created, &id).await, "{}", rig.function.output());
    let record = rig.last_record();
    assert_eq!((&record["event"], &record["challenge_id"]), (&json!("step_up_passed"), &json!(id)));
    // On the thread of the user, who is known by pseudonym.
    let pseudonym = idv_callback::audit::pseudonym(&ring().audit, &PoolId::new(POOL).unwrap(), SUB);
    assert_eq!(record["user"], pseudonym);

    // What is not the proofed person's yes to this challenge.
    let over = |member: Value| json!({ "on": ANSWER, "override": member });
    for (reason, decision, trouble) in [
        ("no_match", json!({ "match_result": false }), None),
        ("no_liveness", json!({ "liveness_verified": false }), None),
        ("expired", json!({ "as": "expired" }), None),
        ("wrong_subject", json!({}), Some(over(json!({ "user_id": "did:blockid:somebody-else" })))),
        ("wrong_challenge", json!({}), Some(over(json!({ "challenge_id": "ch_of_somebody_else" })))),
        ("unknown_challenge", json!({}), Some(json!({ "on": ANSWER, "status": 404 }))),
        // Somebody shows their face, and then says no.
        ("denied", json!({}), Some(over(json!({ "status": "declined" })))),
        ("denied", json!({}), Some(over(json!({ "status": "FAILED" })))),
    ] {
        let (created, id) = rig.created().await;
        let mut decision = decision;
        decision["challenge"] = json!(id);
        rig.provider.decide(decision).await;
        if let Some(trouble) = trouble {
            rig.provider.control(trouble).await;
        }
        assert!(!rig.is_correct(&created, &id).await, "{reason}");
        let record = rig.last_record();
        assert_eq!((&record["event"], &record["reason"]), (&json!("step_up_failed"), &json!(reason)));
    }
    // Answers that 1Kosmos does not give outright.
    for odd in
        [json!({ "match_result": "true" }), json!({ "liveness_verified": null }), json!({ "status": "done" })]
    {
        let (created, id) = rig.created().await;
        rig.provider.decide(json!({ "challenge": id })).await;
        rig.provider.control(over(odd.clone())).await;
        assert!(!rig.is_correct(&created, &id).await, "{odd}");
        assert_eq!(rig.last_record()["reason"], "provider");
    }
    // Another challenge's id as the answer; none of ours; no private parameters; assurance lost in between; nobody.
    let (created, id) = rig.created().await;
    let (other, other_id) = rig.created().await;
    for challenge in [&id, &other_id] {
        rig.provider.decide(json!({ "challenge": challenge })).await;
    }
    assert!(!rig.is_correct(&created, &other_id).await && !rig.is_correct(&other, &id).await);
    assert!(!rig.is_correct(&created, "").await && !rig.is_correct(&json!({ "response": {} }), &id).await);
    for (name, value) in
        [("custom:ial", "0"), ("custom:idv_status", "declined"), ("custom:blockid_sub", "did:blockid:other")]
    {
        let mut asked = verify(&created, &id);
        asked["request"]["userAttributes"][name] = json!(value);
        assert_eq!(rig.fire(&asked).await.unwrap()["response"]["answerCorrect"], false, "{name}");
    }
    // The subject was exchanged in between, and it is the new one's face.
    let other = "did:blockid:other";
    let mut exchanged = verify(&created, &id);
    exchanged["request"]["userAttributes"]["custom:blockid_sub"] = json!(other);
    rig.provider.control(over(json!({ "user_id": other }))).await;
    assert_eq!(rig.fire(&exchanged).await.unwrap()["response"]["answerCorrect"], false);
    rig.provider.behave().await;
    let mut nobody = verify(&created, &id);
    nobody["request"]["userNotFound"] = json!(true);
    assert_eq!(rig.fire(&nobody).await.unwrap()["response"]["answerCorrect"], false);
    // What Cognito makes up for somebody who is not there is nobody's thread.
    let record = rig.last_record();
    assert_eq!((&record["reason"], &record["user"]), (&json!("no_user"), &Value::Null));
    assert!(rig.is_correct(&created, &id).await, "and the right one still is");
    rig.nothing_leaked();
}

#[tokio::test]
async fn a_late_answer_is_not_yet_and_is_asked_again_without_a_new_push() {
    let rig = Rig::start(&[]).await;
    let (created, id) = rig.created().await;
    rig.provider.take_calls().await;
    let begun_at = Instant::now();
    assert!(!rig.is_correct(&created, &id).await);
    assert!(begun_at.elapsed() < Duration::from_millis(4900), "Cognito waits 5 s");
    assert_eq!(rig.last_record()["event"], "step_up_pending");
    assert!(rig.provider.take_calls().await.len() > 3, "it is asked for while there is time");

    // The next round is the same challenge, said to be pending.
    let again =
        rig.fire(&create(json!([srp(), password(true), face(false, &id)]), Value::Null)).await.unwrap();
    let public = &again["response"]["publicChallengeParameters"];
    assert_eq!(*public, json!({ "challenge_id": id, "status": "pending", "attempt": "1" }));
    assert!(!rig.provider.take_paths().await.contains(&STEP_UP.to_owned()), "no new push");
    // While 1Kosmos cannot be asked, neither.
    rig.provider.control(json!({ "on": ANSWER, "status": 500, "times": 0 })).await;
    rig.fire(&create(json!([srp(), password(true), face(false, &id)]), Value::Null)).await.unwrap();
    assert!(!rig.provider.take_paths().await.contains(&STEP_UP.to_owned()), "no new push");
    assert!(!rig.is_correct(&again, &id).await);
    assert_eq!(
        (&rig.last_record()["event"], &rig.last_record()["reason"]),
        (&json!("step_up_pending"), &json!("provider"))
    );
    rig.provider.behave().await;

    // The person answers while it is being asked for.
    let (asked, _) = tokio::join!(rig.is_correct(&again, &id), async {
        tokio::time::sleep(Duration::from_millis(1200)).await;
        rig.provider.decide(json!({ "challenge": id })).await
    });
    assert!(asked);

    // After a no there is a new challenge, up to three.
    let (_, first) = rig.created().await;
    rig.provider.decide(json!({ "challenge": first, "match_result": false })).await;
    let session = json!([srp(), password(true), face(false, &first)]);
    let second = rig.fire(&create(session, Value::Null)).await.unwrap();
    let public = &second["response"]["publicChallengeParameters"];
    assert_eq!((&public["status"], &public["attempt"]), (&json!("started"), &json!("2")));
    assert_ne!(public["challenge_id"], first);

    // The third, too, may be answered late, and after a no it is over.
    let after =
        |third: &str| json!([srp(), password(true), face(false, "a"), face(false, "b"), face(false, third)]);
    let (_, good) = rig.created().await;
    rig.provider.decide(json!({ "challenge": good })).await;
    let defined = rig.fire(&define(after(&good), proofed(), false)).await.unwrap();
    assert_eq!(defined["response"], ask("CUSTOM_CHALLENGE"), "a good answer that nobody has seen yet");
    let (_, third) = rig.created().await;
    let spent = after(&third);
    let defined = rig.fire(&define(spent.clone(), proofed(), false)).await.unwrap();
    assert_eq!(defined["response"], ask("CUSTOM_CHALLENGE"));
    rig.provider.decide(json!({ "challenge": third, "match_result": false })).await;
    let defined = rig.fire(&define(spent.clone(), proofed(), false)).await.unwrap();
    assert_eq!(defined["response"]["failAuthentication"], true);
    // Where it was declined only after that look, there is no fourth.
    rig.provider.take_calls().await;
    let last = rig.fire(&create(spent, Value::Null)).await.unwrap();
    assert_eq!(last["response"]["publicChallengeParameters"]["challenge_id"], third);
    assert!(!rig.provider.take_paths().await.contains(&STEP_UP.to_owned()), "no new push");
    assert!(!rig.is_correct(&last, &third).await);

    // 1Kosmos down: no challenge, and a text that says nothing from inside.
    rig.provider.control(json!({ "on": STEP_UP, "status": 500, "times": 0 })).await;
    assert_eq!(rig.fire(&create(begun(), Value::Null)).await, Err(NOT_NOW.to_owned()));
    assert_eq!(rig.last_record()["reason"], "provider");
    rig.nothing_leaked();
}

/// Nothing in Cognito's events tells two calls for one sign-in from two sign-ins, whatever an app sends along: each call is a
/// challenge of its own, and one answer lets one sign-in in.
#[tokio::test]
async fn one_answer_is_for_one_sign_in() {
    let rig = Rig::start(&[]).await;
    let id_of = |created: &Value| {
        created["response"]["publicChallengeParameters"]["challenge_id"].as_str().unwrap().to_owned()
    };
    for metadata in [Value::Null, nonce('n'), json!({ "idv_nonce": "1" })] {
        let asked = create(begun(), metadata);
        let (first, second) = (rig.fire(&asked).await.unwrap(), rig.fire(&asked).await.unwrap());
        assert_ne!(id_of(&first), id_of(&second));
        rig.provider.decide(json!({ "challenge": id_of(&first) })).await;
        assert!(rig.is_correct(&first, &id_of(&first)).await);
        assert!(!rig.is_correct(&second, &id_of(&first)).await, "the other's answer");
        assert!(!rig.is_correct(&second, &id_of(&second)).await, "not answered");
    }
    // An app whose SDK leaves out what it wanted to say is told so in the log.
    rig.fire(&create(begun(), json!({ "validation": "data" }))).await.unwrap();
    assert_eq!(rig.last_record()["detail"], "no_reason_code");
    // A reason that the provider does not take is no reason to fail.
    rig.provider.control(json!({ "on": STEP_UP, "status": 422, "times": 1 })).await;
    let created = rig.fire(&create(begun(), json!({ "reason_code": "made_up" }))).await.unwrap();
    assert_eq!(created["response"]["publicChallengeParameters"]["status"], "started");
    // What the app says it is for is told where it is a known word.
    rig.fire(&create(begun(), json!({ "reason_code": "to_CANARY".to_lowercase() }))).await.unwrap();
    assert_eq!(rig.last_record()["reason"], "other");
    rig.fire(&create(begun(), json!({ "reason_code": "To John!" }))).await.unwrap();
    assert_eq!(rig.last_record()["reason"], "sign_in");
}

/// Two rounds of a whole sign-in in which nobody answers, side by side: what the app sees, how many calls it takes, how long.
#[tokio::test]
async fn without_a_password_before_it_nobody_learns_who_exists() {
    let rig = Rig::start(&[("IDV_FIRST_FACTOR", "none")]).await;
    let mut seen = Vec::new();
    for (attributes, not_found) in [(proofed(), false), (json!({}), true), (json!({ "sub": SUB }), false)] {
        let as_this = |mut event: Value| {
            event["request"]["userAttributes"] = attributes.clone();
            event["request"]["userNotFound"] = json!(not_found);
            event
        };
        let (mut session, mut ids) = (Vec::new(), Vec::new());
        for round in 0..2 {
            // Time passes, and the challenge of the first round ends without an answer.
            if round == 1 && !not_found && attributes == proofed() {
                rig.provider.decide(json!({ "challenge": "latest", "as": "expired" })).await;
            }
            rig.provider.take_calls().await;
            let defined = rig.fire(&define(json!(session), attributes.clone(), not_found)).await.unwrap();
            let created = rig.fire(&as_this(create(json!(session), Value::Null))).await.unwrap();
            let calls = rig.provider.take_calls().await.len();
            let public = created["response"]["publicChallengeParameters"].clone();
            let id = public["challenge_id"].as_str().unwrap().to_owned();
            let begun = Instant::now();
            let answered = rig.fire(&as_this(verify(&created, &id))).await.unwrap();
            let waits = begun.elapsed() > Duration::from_secs(3);
            let hex = id.chars().all(|c| c.is_ascii_hexdigit());
            let form = (id.len(), hex, with(public, "challenge_id", json!("")));
            seen.push((round, defined["response"].clone(), form, calls, answered["response"].clone(), waits));
            let note = created["response"]["challengeMetadata"].as_str().unwrap();
            session.push(past("CUSTOM_CHALLENGE", false, note));
            ids.push(id);
        }
        assert_eq!(ids[0], ids[1], "the same challenge, which still waits");
        // While 1Kosmos is down nobody gets a challenge.
        rig.provider.control(json!({ "on": STEP_UP, "status": 500, "times": 0 })).await;
        rig.provider.control(json!({ "on": ANSWER, "status": 500, "times": 0 })).await;
        assert_eq!(rig.fire(&as_this(create(json!([]), Value::Null))).await, Err(NOT_NOW.to_owned()));
        // While only starting fails, everybody gets a challenge that nobody answers.
        rig.provider.behave().await;
        rig.provider.control(json!({ "on": STEP_UP, "status": 500, "times": 0 })).await;
        let created = rig.fire(&as_this(create(json!([]), Value::Null))).await.unwrap();
        let public = &created["response"]["publicChallengeParameters"];
        assert_eq!((&public["status"], &public["attempt"]), (&json!("started"), &json!("1")), "{attributes}");
        assert!(
            created["response"]["challengeMetadata"].as_str().unwrap().contains(" none-"),
            "{attributes}"
        );
        rig.provider.behave().await;
    }
    assert_eq!((&seen[0], &seen[1]), (&seen[2], &seen[3]));
    assert_eq!((&seen[0], &seen[1]), (&seen[4], &seen[5]));
    rig.nothing_leaked();
}

// ── Federation ─────────────────────────────────────────────────────────────────────────────────────────────────────

fn inbound(provider: &str, claims: Value) -> Value {
    let request = json!({
        "providerName": provider,
        "providerType": "OIDC",
        "attributes": { "tokenResponse": { "id_token": "CANARY" }, "idToken": claims, "userInfo": {} },
    });
    event("InboundFederation_ExternalProvider", "CANARY", request, json!({ "userAttributesToMap": {} }))
}

/// A federated user who is about to get tokens.
fn hosted(username: &str, identities: &Value, staged: &[(&str, &str)]) -> Value {
    let mut attributes = json!({ "sub": SUB, "cognito:user_status": "EXTERNAL_PROVIDER", "identities": identities.to_string() });
    for (name, value) in staged {
        attributes[*name] = json!(value);
    }
    let request = json!({ "userAttributes": attributes, "groupConfiguration": { "groupsToOverride": [] }, "clientMetadata": null });
    event("TokenGeneration_HostedAuth", username, request, json!({ "claimsOverrideDetails": null }))
}

#[tokio::test]
async fn a_federated_level_is_read_from_amr_and_promoted_by_what_only_cognito_writes() {
    let rig = Rig::start(&[]).await;
    let claims = |amr: Value| json!({ "sub": "CANARY-7", "email": "c@example.com", "amr": amr, "ial": "3", "ssn": "CANARY", "iss": "x" });
    for (amr, ial) in [
        (json!(["face", "/assurance/ial/2"]), "2"),
        (json!("[\"/assurance/ial/2/\"]"), "2"),
        (json!(["pwd"]), "0"),
        (json!(["/assurance/ial/two"]), "0"),
        (Value::Null, "0"),
    ] {
        let answer = rig.fire(&inbound("OneKosmos", claims(amr.clone()))).await.unwrap();
        let expected = json!({ "sub": "CANARY-7", "email": "c@example.com", "ial": ial });
        assert_eq!(answer["response"]["userAttributesToMap"], expected, "{amr}");
    }
    assert_eq!(rig.words(), ["federation_unreadable", "federation_unreadable"]);
    // The address may come from the userinfo endpoint; subject and methods from the signed token alone.
    let mut beside = inbound("OneKosmos", json!({ "sub": "CANARY-7", "amr": ["/assurance/ial/2"] }));
    beside["request"]["attributes"]["userInfo"] =
        json!({ "sub": "x", "email": "u@example.com", "amr": ["/assurance/ial/3"] });
    let expected = json!({ "sub": "CANARY-7", "email": "u@example.com", "ial": "2" });
    assert_eq!(rig.fire(&beside).await.unwrap()["response"]["userAttributesToMap"], expected);
    let other = rig.fire(&inbound("Google", claims(json!(["/assurance/ial/3"])))).await.unwrap();
    assert_eq!(
        other["response"]["userAttributesToMap"],
        json!({}),
        "another provider's claims stay as they are"
    );

    let now = SystemClock.now();
    let identity = |provider: &str, user_id: &str| {
        json!([{ "userId": user_id, "providerName": provider, "providerType": "OIDC", "issuer": null, "primary": "true",
                 "dateCreated": now.unix_millis().to_string() }])
    };
    let staged = [("custom:fed_sub", "CANARY-7"), ("custom:fed_ial", "2")];
    let name = "OneKosmos_CANARY-7";
    let good = hosted(name, &identity("OneKosmos", "CANARY-7"), &staged);
    assert_eq!(rig.fire(&good).await, Ok(good.clone()));
    let sent = rig.sent();
    assert_eq!(sent.len(), 1, "{}", rig.function.output());
    assert_eq!(rig.last_record()["event"], "asserted");
    let (confirmed, written) = settled_by_the_consumer(&sent[0], name, now, &json!([])).await;
    assert!(
        written.contains(r#"{"Name":"custom:blockid_sub","Value":"CANARY-7"}"#)
            && written.contains(r#"{"Name":"custom:ial","Value":"2"}"#),
        "{written}"
    );
    assert!(!confirmed, "who comes from a provider has nothing to confirm");
    // For a user of that name who was created at another time it is nothing.
    assert_eq!(
        settled_by_the_consumer(&sent[0], name, now.minus(Duration::from_secs(600)), &json!([])).await,
        (false, String::new())
    );

    // Less than before takes it back, where it came by such a sign-in; what came by a callback stays.
    let session = Envelope::open(&sent[0].body, &ring().seal).unwrap_or_else(|_| panic!("not sealed by us"));
    let session = session.event().unwrap().session.as_str().to_owned();
    let having = |ial: &str, session: &str| {
        json!({
            "custom:blockid_sub": "CANARY-7", "custom:ial": ial, "custom:idv_status": "approved",
            "custom:idv_session": session,
        })
    };
    let signs_in = |staged: &str, having: &Value| {
        let mut asked = hosted(
            name,
            &identity("OneKosmos", "CANARY-7"),
            &[("custom:fed_sub", "CANARY-7"), ("custom:fed_ial", staged)],
        );
        asked["request"]["userAttributes"]
            .as_object_mut()
            .unwrap()
            .extend(having.as_object().unwrap().clone());
        asked
    };
    for (has, staged, now_has) in [("2", "1", "0"), ("3", "2", "2"), ("2", "3", "3")] {
        let having = having(has, &session);
        let asked = signs_in(staged, &having);
        assert_eq!(rig.fire(&asked).await.as_ref(), Ok(&asked));
        let [message] = &rig.sent()[..] else { panic!("{has} to {staged}") };
        let attributes = having.as_object().unwrap().iter();
        let attributes = attributes.map(|(name, value)| json!({ "Name": name, "Value": value }));
        let (_, written) =
            settled_by_the_consumer(message, name, now, &attributes.collect::<Vec<_>>().into()).await;
        let expected = format!(r#"{{"Name":"custom:ial","Value":"{now_has}"}}"#);
        assert!(written.contains(&expected), "{has} to {staged}: {written}");
    }
    for (has, staged) in [("2", "1"), ("3", "2"), ("2", "2")] {
        let asked = signs_in(staged, &having(has, "sess_of_a_callback"));
        assert_eq!(rig.fire(&asked).await.as_ref(), Ok(&asked));
        assert!(rig.sent().is_empty(), "{has} stays, not {staged}");
    }
    for (has, staged) in [("2", "2"), ("2", "0")] {
        rig.fire(&signs_in(staged, &having(has, &session))).await.unwrap();
        assert!(rig.sent().is_empty(), "{has} to {staged}: they have it, or nothing is said of it");
    }

    // Attributes alone promote nobody, whatever they say.
    let bare = |attributes: Value| {
        let mut asked = good.clone();
        asked["request"]["userAttributes"] = attributes;
        asked
    };
    let quiet = [
        bare(json!({ "sub": SUB, "custom:fed_sub": "CANARY-7", "custom:fed_ial": "3" })),
        hosted(name, &identity("Google", "CANARY-7"), &staged),
        hosted("CANARY-local", &identity("OneKosmos", "CANARY-7"), &staged),
        hosted(name, &json!([identity("OneKosmos", "CANARY-7")[0], identity("Google", "1")[0]]), &staged),
        hosted(name, &identity("OneKosmos", "CANARY-7"), &[staged[0], ("custom:fed_ial", "1")]),
        hosted(
            name,
            &identity("OneKosmos", "CANARY-7"),
            &[
                staged[0],
                staged[1],
                ("custom:blockid_sub", "CANARY-7"),
                ("custom:ial", "2"),
                ("custom:idv_status", "approved"),
            ],
        ),
        with(good.clone(), "triggerSource", json!("TokenGeneration_Authentication")),
        with(good.clone(), "triggerSource", json!("TokenGeneration_RefreshTokens")),
    ];
    let unreadable = [
        hosted(name, &identity("OneKosmos", "CANARY-7"), &[("custom:fed_sub", "CANARY-8"), staged[1]]),
        hosted(name, &identity("OneKosmos", "CANARY-7"), &[staged[0]]),
        hosted(name, &identity("OneKosmos", "CANARY-7"), &[staged[0], ("custom:fed_ial", "9")]),
        hosted(name, &json!("CANARY"), &staged),
    ];
    let said = rig.words().len();
    for asked in &quiet {
        assert_eq!(rig.fire(asked).await.as_ref(), Ok(asked));
    }
    assert_eq!(rig.words().len(), said);
    for asked in &unreadable {
        assert_eq!(rig.fire(asked).await.as_ref(), Ok(asked));
        assert_eq!(rig.last_record()["event"], "federation_unreadable", "{asked}");
    }
    assert!(rig.sent().is_empty());
    rig.nothing_leaked();
}

/// Every record that the new functions print has the published form; the heartbeat is answered.
#[tokio::test]
async fn records_have_the_published_form_and_the_heartbeat_is_answered() {
    let rig = Rig::start(&[("IDV_PROVIDER_DOWN", "admit")]).await;
    let (created, id) = rig.created().await;
    rig.is_correct(&created, &id).await;
    rig.provider.decide(json!({ "challenge": id })).await;
    rig.is_correct(&created, &id).await;
    rig.is_correct(&created, "x").await;
    rig.fire(&define(json!([]), proofed(), false)).await.unwrap();
    rig.fire(&sign_up("ada", json!({}), json!({}))).await.unwrap();
    rig.fire(&inbound("OneKosmos", json!({}))).await.unwrap();
    assert!(rig.fire(&sign_up("ada", json!({ "custom:ial": "2" }), json!({}))).await.is_err());
    rig.provider.control(json!({ "on": OPEN, "status": 500, "times": 0 })).await;
    rig.fire(&sign_up("ada", json!({}), json!({}))).await.unwrap();
    let heartbeat = json!({ "source": "aws.events", "detail-type": "Scheduled Event" });
    assert_eq!(rig.function.invoke(heartbeat).await, Ok(Value::Null));
    let output = rig.function.output();
    let lines: Vec<_> = output.lines().filter(|line| line.contains("\"idv-audit/1\"")).collect();
    assert!(lines.len() >= 10, "{output}");
    crate::support::published_form::have_the_published_form(&lines);
    let mut verifier = idvctl::trail::Verifier::default();
    for (line, text) in (1..).zip(&lines) {
        verifier.read(idvctl::trail::Place { source: "triggers", line }, text.as_bytes());
    }
    assert!(verifier.finish(&[]).findings.is_empty());
    // A person's step-ups are on their thread.
    let pseudonym = idv_callback::audit::pseudonym(&ring().audit, &PoolId::new(POOL).unwrap(), SUB);
    let mut tracing = Tracing::default();
    tracing.user = Some(pseudonym);
    let entries: Vec<_> = lines.iter().map(|line| Entry::read(line.as_bytes()).unwrap()).collect();
    for entry in &entries {
        tracing.first(entry);
    }
    let mut thread = Thread::default();
    for entry in entries {
        tracing.second(entry, &mut thread);
    }
    let told: Vec<_> = thread.in_order().iter().map(|entry| entry.code.word().to_owned()).collect();
    let expected =
        ["step_up_started", "step_up_pending", "step_up_passed", "step_up_failed", "step_up_refused"];
    assert_eq!(told, expected);
    let counted: BTreeSet<_> = [
        "StepUpPassed",
        "StepUpPending",
        "StepUpFailed",
        "SessionOpened",
        "SignUpRefused",
        "SignUpUnproofed",
        "ProviderFaults",
        "FederationUnreadable",
    ]
    .into_iter()
    .filter(|metric| !output.contains(&format!("\"{metric}\":1.0")))
    .collect();
    assert!(counted.is_empty(), "{counted:?} in {output}");
    assert!(RING.contains("seal-1"));
}

// ── An operator opens a session ────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn an_operator_opens_a_session_for_a_user_who_is_there() {
    let provider = OneKosmos::start().await;
    let endpoint = AwsEndpoint::answering(|asked| {
        let created = 1_795_341_645.0; // in the middle of a minute
        let user = |more: Value| {
            let mut attributes = vec![json!({ "Name": "sub", "Value": SUB })];
            attributes.extend(more.as_array().unwrap().clone());
            json!({ "Username": asked.body["Username"], "UserStatus": "UNCONFIRMED", "Enabled": true, "UserCreateDate": created, "UserAttributes": attributes })
        };
        let approved = json!([
            { "Name": "custom:idv_status", "Value": "approved" },
            { "Name": "custom:blockid_sub", "Value": SUBJECT },
            { "Name": "custom:ial", "Value": "2" },
        ]);
        match (asked.target.rsplit('.').next().unwrap_or_default(), asked.body["Username"].as_str()) {
            ("AdminGetUser", Some("CANARY-ada")) => Some((200, user(json!([])))),
            ("AdminGetUser", Some("CANARY-proofed")) => Some((200, user(approved))),
            ("AdminGetUser", _) => Some((400, json!({ "__type": "UserNotFoundException", "message": "CANARY" }))),
            _ => None,
        }
    })
    .await;
    // Who works is asked of STS: the embedded stack's own answers, by AWS' signature.
    let dev = crate::support::dev::Dev::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ring.json"), RING).unwrap();
    std::fs::write(folder.path().join("1kosmos.json"), json!({ "api_key": API_KEY }).to_string()).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = tokio::process::Command::new(crate::support::function::program("idvctl"));
        command
            .args(["--json", "proof", "start", "--because", "T-1"])
            .args(arguments)
            .current_dir(folder.path())
            .env_clear()
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "operator")
            .env("AWS_SECRET_ACCESS_KEY", idvctl::embedded::LOCAL_SECRET)
            .env("AWS_ENDPOINT_URL", &endpoint.url)
            .env("AWS_ENDPOINT_URL_STS", &dev.url)
            .env("IDV_KEY_RING_FILE", "ring.json")
            .env("IDV_PROVIDER_URL", &provider.url)
            .env("IDV_PROVIDER_SECRET_FILE", "1kosmos.json")
            .env("IDV_CALLBACK_URL", CALLBACK_URL)
            .env("IDV_USER_POOL_IDS", POOL);
        async move {
            let output = command.output().await.unwrap();
            let said: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
            (output.status.code().unwrap(), said, String::from_utf8(output.stderr).unwrap())
        }
    };
    let (code, opened, complaint) = run(&["--user", "CANARY-ada"]).await;
    assert_eq!((code, &opened["opened"]), (0, &json!(true)), "{complaint}");
    let call = provider.take_calls().await.remove(0);
    let token = BindingToken::new(call["body"]["metadata"]["binding"].as_str().unwrap()).unwrap();
    let created = idv_callback::timestamp::Timestamp::from_unix_seconds(1_795_341_645);
    let bound = Binding::check(Some(&token), &user("CANARY-ada"), &ring().binding);
    assert!(bound.speaks_for(created, None), "the consumer will take it");
    let (_, again, _) = run(&["--user", "CANARY-ada"]).await;
    assert_eq!(again["session_id"], opened["session_id"], "the same while it is open");
    let (_, another, _) = run(&["--user", "CANARY-ada", "--again"]).await;
    assert_ne!(another["session_id"], opened["session_id"]);
    let (code, stands, _) = run(&["--user", "CANARY-proofed"]).await;
    assert_eq!((code, &stands["opened"]), (1, &json!(false)));
    let (code, refused, _) = run(&["--user", "nobody"]).await;
    let complaint = refused["error"].as_str().unwrap();
    assert!(code == 2 && complaint.contains("there is no user of that name"), "{refused}");
    let log = std::fs::read_to_string(folder.path().join("idv-operator-audit.jsonl")).unwrap();
    let records: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let words: Vec<_> = records.iter().map(|record| record["event"].as_str().unwrap()).collect();
    assert_eq!(words, ["started", "session_opened", "session_opened", "session_opened"]);
    assert!(records[1]["operator"].as_str().is_some_and(|who| who.contains("operator")), "{}", records[1]);
    assert_eq!((&records[1]["reason"], &records[1]["session_id"]), (&json!("T-1"), &opened["session_id"]));
    crate::support::published_form::have_the_published_form(&log.lines().collect::<Vec<_>>());
    assert!(!log.contains("CANARY") && !log.contains("/session/"), "{log}");
}

/// What the two functions ask of AWS, and what their roles allow: the same.
#[tokio::test]
async fn every_call_is_allowed_and_nothing_else_is() {
    let template = crate::template::template("parsed");
    let rig = Rig::start(&[]).await;
    let identity = json!([{ "userId": "7", "providerName": "OneKosmos", "dateCreated": SystemClock.now().unix_millis() }]);
    let staged = [("custom:fed_sub", "7"), ("custom:fed_ial", "2")];
    rig.fire(&hosted("OneKosmos_7", &identity, &staged)).await.unwrap();
    rig.fire(&sign_up("ada", json!({}), json!({}))).await.unwrap();
    let calls = crate::template::called(&rig.endpoint);
    let by_services = ["kms:Decrypt", "kms:GenerateDataKey"];
    assert_eq!(crate::template::actions(&template, "TriggersRole", &by_services), calls);
    let desk = Rig::of(env!("CARGO_BIN_EXE_session"), &[]).await;
    ask_session(&desk, &json!({ "username": "ada", "verifier": VERIFIER })).await;
    let calls = crate::template::called(&desk.endpoint);
    assert_eq!(crate::template::actions(&template, "SessionRole", &["kms:Decrypt"]), calls);
}
