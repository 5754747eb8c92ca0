//! The front door: what gets in, what does not, and what the sender is told. All through Lambda events.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use idv_callback::delivery::{AuthenticationError, SignatureProfile, sign};
use idv_callback::lambda::{HttpEvent, handle_http};
use idv_callback::ports::{CallbackQueue, Clock as _, Fault, KeyStoreError, OutgoingMessage, QueueError};
use idv_callback::timestamp::Timestamp;
use serde_json::{Value, json};

use crate::support::world::{RING, TestIntake, World, approval, other, ring, with, with_metadata, without};

/// A request in the making: header fields may stand more than once.
#[derive(Clone)]
struct Draft {
    method: &'static str,
    path: &'static str,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Draft {
    fn signed(world: &World, body: &[u8]) -> Self {
        Self::signed_as(world, &world.profile, "msg_1", world.clock.now(), body)
    }

    fn signed_as(_: &World, profile: &SignatureProfile, id: &str, at: Timestamp, body: &[u8]) -> Self {
        let mut headers = sign(profile, &ring().webhook[0].secret, id, at, body);
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
        Self { method: "POST", path: "/idv-callback", headers, body: body.to_vec() }
    }

    fn get(&self, name: &str) -> String {
        self.headers.iter().find(|(n, _)| n == name).unwrap().1.clone()
    }

    fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.retain(|(n, _)| n != name);
        self.add(name, value)
    }

    fn add(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    fn remove(mut self, name: &str) -> Self {
        self.headers.retain(|(n, _)| n != name);
        self
    }

    /// API Gateway REST, payload 1.0, binary media types `*/*`.
    fn rest(&self) -> Value {
        let mut multi = json!({});
        let mut last = json!({});
        for (name, value) in &self.headers {
            last[name] = json!(value);
            let values = multi[name].as_array().cloned().unwrap_or_default();
            multi[name] = values.into_iter().chain([json!(value)]).collect();
        }
        json!({
            "resource": "/{proxy+}", "path": self.path, "httpMethod": self.method,
            "headers": last, "multiValueHeaders": multi,
            "requestContext": { "stage": "prod", "path": format!("/prod{}", self.path), "httpMethod": self.method },
            "body": STANDARD.encode(&self.body), "isBase64Encoded": true,
        })
    }

    /// HTTP API, payload 2.0, with a named stage: repeated fields arrive joined by commas.
    fn http_api(&self) -> Value {
        let mut headers = json!({});
        for (name, value) in &self.headers {
            headers[name] = match headers[name].as_str() {
                Some(earlier) => json!(format!("{earlier},{value}")),
                None => json!(value),
            };
        }
        json!({
            "version": "2.0", "routeKey": "POST /idv-callback", "rawPath": format!("/prod{}", self.path),
            "headers": headers,
            "requestContext": { "stage": "prod", "http": { "method": self.method, "path": self.path } },
            "body": STANDARD.encode(&self.body), "isBase64Encoded": true,
        })
    }

    /// A function URL: payload 2.0 without a stage in the path, text as text.
    fn function_url(&self) -> Value {
        let mut event = self.http_api();
        event["rawPath"] = json!(self.path);
        event["requestContext"]["stage"] = json!("$default");
        if let Ok(text) = String::from_utf8(self.body.clone()) {
            event["body"] = json!(text);
            event["isBase64Encoded"] = json!(false);
        }
        event
    }

    /// A load balancer with multi-value headers.
    fn load_balancer(&self) -> Value {
        let rest = self.rest();
        json!({
            "requestContext": { "elb": { "targetGroupArn": "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/a/b" } },
            "httpMethod": self.method, "path": self.path,
            "multiValueHeaders": rest["multiValueHeaders"],
            "body": rest["body"], "isBase64Encoded": true,
        })
    }

    fn all_events(&self) -> [(&'static str, Value); 4] {
        [
            ("rest", self.rest()),
            ("http api", self.http_api()),
            ("function url", self.function_url()),
            ("load balancer", self.load_balancer()),
        ]
    }
}

async fn answer<Q: CallbackQueue>(world: &World, intake: &TestIntake<Q>, event: &Value) -> Value {
    let event: HttpEvent = serde_json::from_value(event.clone()).unwrap();
    serde_json::to_value(handle_http(intake, event, world.deadline(10)).await).unwrap()
}

fn body_of(response: &Value) -> Value {
    serde_json::from_str(response["body"].as_str().unwrap()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_authentic_callback_is_enqueued_and_acknowledged_through_every_front_door() {
    for profile in SignatureProfile::NAMES {
        let mut world = World::new();
        world.leaves_messages();
        world.profile = profile.parse().unwrap();
        let body = approval("ada", "evt_1", 0).to_string();
        for (door, event) in Draft::signed(&world, body.as_bytes()).all_events() {
            let response = answer(&world, &world.intake(), &event).await;
            assert_eq!(response["statusCode"], 202, "{profile} {door} {response}");
            let receipt = body_of(&response);
            assert_eq!(receipt["event_id"], "evt_1");
            assert_eq!(receipt["key_id"], "wh-1");
            assert_eq!(receipt["received_at"], "2026-11-22T10:00:00.000Z");
            assert_eq!(receipt["body_sha256"].as_str().unwrap().len(), 64);
            let record = world.audit.last();
            assert_eq!(record["receipt_id"], receipt["receipt_id"]);
            assert_eq!(record.get("unbound_timestamp").is_some(), profile == "body-only", "{record}");
        }
        // The same event through four doors is one message.
        assert_eq!(world.queues.callbacks.messages().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_balancer_gets_its_headers_in_the_form_it_sent_them() {
    let world = World::new();
    world.leaves_messages();
    let draft = Draft::signed(&world, b"{}");
    let response = answer(&world, &world.intake(), &draft.load_balancer()).await;
    assert_eq!(response["multiValueHeaders"]["content-type"][0], "application/json");
    assert!(response.get("headers").is_none());
    let response = answer(&world, &world.intake(), &draft.rest()).await;
    assert_eq!(response["headers"]["content-type"], "application/json");
}

/// What a sender does to us on a bad day, and everything that an attacker tries: none of it is queued, all of it gets
/// the same answer, and the log says which rule it broke.
#[tokio::test(start_paused = true)]
async fn whatever_is_not_authentic_is_refused_with_one_answer() {
    use AuthenticationError as E;
    let world = World::new();
    let body = approval("ada", "evt_1", 0).to_string().into_bytes();
    let good = Draft::signed(&world, &body);
    let signature = good.get("webhook-signature");
    let tag = STANDARD.decode(signature.trim_start_matches("v1,")).unwrap();
    let hex: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
    let now = world.clock.now();
    let resigned = |at: Timestamp| Draft::signed_as(&world, &world.profile, "msg_1", at, &body);
    let with_body = |body: Vec<u8>| Draft { body, ..good.clone() };
    let pretty = format!("{:#}", serde_json::from_slice::<Value>(&body).unwrap()).into_bytes();
    let timestamp = |text: &str| good.clone().set("webhook-timestamp", text);
    let signed_with = |text: &str| good.clone().set("webhook-signature", text);

    let table: Vec<(&str, Draft, E)> = vec![
        ("no id", good.clone().remove("webhook-id"), E::HeaderMissing),
        ("no timestamp", good.clone().remove("webhook-timestamp"), E::HeaderMissing),
        ("no signature", good.clone().remove("webhook-signature"), E::HeaderMissing),
        ("another body", with_body(b"{}".to_vec()), E::NoKeyMatches),
        ("one bit of the body", with_body([&body[..body.len() - 1], b"]"].concat()), E::NoKeyMatches),
        ("re-serialised body", with_body(pretty), E::NoKeyMatches),
        ("a newline more", with_body([&body[..], b"\n"].concat()), E::NoKeyMatches),
        ("empty body", with_body(Vec::new()), E::NoKeyMatches),
        ("another id", good.clone().set("webhook-id", "msg_2"), E::NoKeyMatches),
        ("empty id", good.clone().set("webhook-id", ""), E::MessageIdMalformed),
        ("id with a dot", good.clone().set("webhook-id", "msg.1"), E::MessageIdMalformed),
        ("id with a blank", good.clone().set("webhook-id", "msg 1"), E::MessageIdMalformed),
        ("id of 257", good.clone().set("webhook-id", "a".repeat(257)), E::MessageIdMalformed),
        ("id that is not ascii", good.clone().set("webhook-id", "m\u{e9}"), E::MessageIdMalformed),
        ("timestamp -1", timestamp("-1"), E::TimestampMalformed),
        ("timestamp +1", timestamp("+1"), E::TimestampMalformed),
        ("timestamp ' 1'", timestamp(" 1"), E::TimestampMalformed),
        ("timestamp 1e3", timestamp("1e3"), E::TimestampMalformed),
        ("timestamp 1.0", timestamp("1.0"), E::TimestampMalformed),
        ("timestamp 0x1", timestamp("0x1"), E::TimestampMalformed),
        ("timestamp empty", timestamp(""), E::TimestampMalformed),
        ("timestamp of 2^63", timestamp("9223372036854775808"), E::TimestampMalformed),
        ("timestamp of 2^64", timestamp("18446744073709551616"), E::TimestampMalformed),
        ("timestamp in arabic digits", timestamp("\u{661}\u{662}"), E::TimestampMalformed),
        ("timestamp of 2^63 - 1", timestamp("9223372036854775807"), E::NoKeyMatches),
        ("timestamp with a zero before", timestamp(&format!("0{}", now.unix_seconds())), E::NoKeyMatches),
        ("another timestamp", timestamp(&(now.unix_seconds() + 1).to_string()), E::NoKeyMatches),
        ("milliseconds", timestamp(&now.unix_millis().to_string()), E::NoKeyMatches),
        (
            "milliseconds, signed as such",
            resigned(Timestamp::from_unix_millis(now.unix_millis().saturating_mul(100))),
            E::TooNew,
        ),
        ("301 s ago", resigned(now.minus(Duration::from_secs(301))), E::TooOld),
        ("in 301 s", resigned(now.plus(Duration::from_secs(301))), E::TooNew),
        ("1970", resigned(Timestamp::from_unix_seconds(0)), E::TooOld),
        ("empty signature", signed_with(""), E::SignatureMalformed),
        ("no version", signed_with(signature.trim_start_matches("v1,")), E::SignatureMalformed),
        ("another version", signed_with(&signature.replace("v1,", "v2,")), E::SignatureMalformed),
        ("version in capitals", signed_with(&signature.replace("v1,", "V1,")), E::SignatureMalformed),
        ("hex for base64", signed_with(&format!("v1,{hex}")), E::SignatureMalformed),
        (
            "unpadded base64",
            signed_with(&format!("v1,{}", STANDARD_NO_PAD.encode(&tag))),
            E::SignatureMalformed,
        ),
        (
            "url-safe base64",
            signed_with(&format!("v1,{}", URL_SAFE.encode([0xFB; 32]))),
            E::SignatureMalformed,
        ),
        ("31 bytes", signed_with(&format!("v1,{}", STANDARD.encode(&tag[..31]))), E::SignatureMalformed),
        ("16 bytes", signed_with(&format!("v1,{}", STANDARD.encode(&tag[..16]))), E::SignatureMalformed),
        ("no bytes", signed_with("v1,"), E::SignatureMalformed),
        (
            "33 bytes",
            signed_with(&format!("v1,{}", STANDARD.encode([&tag[..], &[0]].concat()))),
            E::SignatureMalformed,
        ),
        ("zeros", signed_with(&format!("v1,{}", STANDARD.encode([0; 32]))), E::NoKeyMatches),
        ("two cut off", signed_with("v1,AAAA v1,BBBB"), E::SignatureMalformed),
        (
            "one cut off and one wrong",
            signed_with(&format!("v1,AAAA v1,{}", STANDARD.encode([0; 32]))),
            E::NoKeyMatches,
        ),
        ("joined by a comma", signed_with(&format!("{signature},{signature}")), E::SignatureMalformed),
        (
            "joined by comma and blank",
            signed_with(&format!("{signature}, {signature}")),
            E::SignatureMalformed,
        ),
        ("17 signatures", signed_with(&vec![signature.as_str(); 17].join(" ")), E::TooManySignatures),
        ("signature and body swapped ids", good.clone().set("webhook-id", "evt_1"), E::NoKeyMatches),
    ];
    assert!(table.len() >= 40);

    let mut answers = Vec::new();
    for (name, draft, error) in table {
        for (door, event) in draft.all_events() {
            let response = answer(&world, &world.intake(), &event).await;
            let record = world.audit.last();
            assert_eq!(record["reason"], error.code(), "{name} through {door}");
            assert_eq!(record["event"], "refused");
            answers.push((response["statusCode"].clone(), response["body"].clone()));
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0].0, 401);
    assert!(world.queues.callbacks.messages().is_empty());
}

#[tokio::test(start_paused = true)]
async fn repeated_signature_fields_are_refused_wherever_they_can_be_seen() {
    let world = World::new();
    let body = approval("ada", "evt_1", 0).to_string().into_bytes();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let draft = Draft::signed(&world, &body);
        let draft = draft.clone().add(name, draft.get(name));
        for (door, event) in draft.all_events() {
            let response = answer(&world, &world.intake(), &event).await;
            assert_eq!(response["statusCode"], 401, "{name} {door}");
        }
    }
    for profile in ["timestamped", "body-only"] {
        let mut world = World::new();
        world.profile = profile.parse().unwrap();
        let draft = Draft::signed(&world, &body);
        let draft = draft.clone().add("x-1kosmos-signature", draft.get("x-1kosmos-signature"));
        for (door, event) in draft.all_events() {
            let response = answer(&world, &world.intake(), &event).await;
            assert_eq!(response["statusCode"], 401, "{profile} {door}");
        }
    }
    assert!(world.queues.callbacks.messages().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_hexadecimal_profiles_have_their_own_bad_days() {
    use AuthenticationError as E;
    let mut world = World::new();
    world.leaves_messages();
    world.profile = "timestamped".parse().unwrap();
    let body = approval("ada", "evt_1", 0).to_string().into_bytes();
    let draft = Draft::signed(&world, &body);
    let header = "x-1kosmos-signature";
    let good = draft.get(header);
    let (time, tag) = good.split_once(",v1=").unwrap();
    let seconds = time.trim_start_matches("t=");
    // WorkOS counts milliseconds.
    let tag_of_millis =
        ring().webhook[0].secret.mac(&[format!("{seconds}000.").as_bytes(), &body]).to_bytes();
    let tag_of_millis: String = tag_of_millis.iter().map(|byte| format!("{byte:02x}")).collect();
    for (value, result) in [
        (good.clone(), Ok(())),
        (format!("t={seconds}000, v1={tag_of_millis}"), Ok(())),
        (format!("{time},v1={}", tag.to_uppercase()), Ok(())),
        (format!("v1={tag},{time}"), Ok(())),
        (format!("{time},v0=abc,v1={tag}"), Ok(())),
        (format!("{time},v1={},v1={tag}", "0".repeat(64)), Ok(())),
        (format!("{time}, v1={tag}"), Ok(())),
        (format!("{time},v1={} {time},v1={tag}", "0".repeat(64)), Ok(())),
        (format!("{time},v1=00,v1={tag}"), Ok(())),
        (format!("t=1,v1={tag} {time},v1={tag}"), Err(E::HeaderRepeated)),
        (format!("{good}, {good}"), Err(E::HeaderRepeated)),
        (format!("{good},{good}"), Err(E::HeaderRepeated)),
        (format!("{time},{time},v1={tag}"), Err(E::HeaderRepeated)),
        (format!("v1={tag}"), Err(E::TimestampMalformed)),
        (time.to_owned(), Err(E::SignatureMalformed)),
        (format!("t=-1,v1={tag}"), Err(E::TimestampMalformed)),
        (format!("t={seconds}000,v1={tag}"), Err(E::NoKeyMatches)),
        (format!("{time},v1={}", &tag[..62]), Err(E::SignatureMalformed)),
        (format!("{time},v1={tag}00"), Err(E::SignatureMalformed)),
        (format!("{time},v1={}zz", &tag[..62]), Err(E::SignatureMalformed)),
        (format!("{time},v1={}", STANDARD.encode([0; 32])), Err(E::SignatureMalformed)),
        (format!("{time};v1={tag}"), Err(E::TimestampMalformed)),
    ] {
        let response = answer(&world, &world.intake(), &draft.clone().set(header, &value).rest()).await;
        let record = world.audit.last();
        match result {
            Ok(()) => assert_eq!(response["statusCode"], 202, "{value}"),
            Err(error) => {
                assert_eq!(record["reason"], error.code(), "{value}");
                assert_eq!(response["statusCode"], 401);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_signature_holds_for_five_minutes_either_way() {
    let world = World::new();
    world.leaves_messages();
    let body = approval("ada", "evt_1", 0).to_string().into_bytes();
    let now = world.clock.now();
    for (at, status) in [
        (now.minus(Duration::from_secs(300)), 202),
        (now.plus(Duration::from_secs(300)), 202),
        (now.minus(Duration::from_secs(301)), 401),
        (now.plus(Duration::from_secs(301)), 401),
    ] {
        let draft = Draft::signed_as(&world, &world.profile, "msg_1", at, &body);
        let response = answer(&world, &world.intake(), &draft.rest()).await;
        assert_eq!(response["statusCode"], status, "{at}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_a_callback_is_told_why() {
    let world = World::new();
    world.leaves_messages();
    let body = approval("ada", "evt_1", 0).to_string().into_bytes();
    let good = Draft::signed(&world, &body);
    let forged = Draft { body: b"{}".to_vec(), ..good.clone() };
    let largest = "a".repeat(64 * 1024).into_bytes();
    let too_large = "a".repeat(64 * 1024 + 1).into_bytes();
    let table = [
        ("no type", forged.clone().remove("content-type"), 415),
        ("form", forged.clone().set("content-type", "application/x-www-form-urlencoded"), 415),
        ("text", forged.clone().set("content-type", "text/json"), 415),
        ("no type, authentic", good.clone().remove("content-type"), 202),
        ("form, authentic", good.clone().set("content-type", "application/x-www-form-urlencoded"), 202),
        ("text, authentic", good.clone().set("content-type", "text/plain"), 202),
        ("a slash behind", Draft { path: "/idv-callback/", ..good.clone() }, 202),
        ("two slashes behind", Draft { path: "/idv-callback//", ..good.clone() }, 404),
        ("charset", good.clone().set("content-type", "Application/JSON; charset=utf-8"), 202),
        ("suffix", good.clone().set("content-type", "application/cloudevents+json"), 202),
        ("get", Draft { method: "GET", ..good.clone() }, 405),
        ("put", Draft { method: "PUT", ..good.clone() }, 405),
        ("another path", Draft { path: "/idv-callbacks", ..good.clone() }, 404),
        ("a path below", Draft { path: "/idv-callback/x", ..good.clone() }, 404),
        ("64 KiB", Draft::signed(&world, &largest), 202),
        ("a byte more", Draft::signed(&world, &too_large), 413),
    ];
    for (name, draft, status) in table {
        for (door, event) in draft.all_events() {
            let response = answer(&world, &world.intake(), &event).await;
            assert_eq!(response["statusCode"], status, "{name} through {door}");
            let told = if name.ends_with(", authentic") { json!("other") } else { Value::Null };
            assert_eq!(world.audit.last()["content_type"], told, "{name}");
            if status != 202 {
                assert_eq!(body_of(&response)["status"], status);
                let headers = if door == "load balancer" {
                    &response["multiValueHeaders"]
                } else {
                    &response["headers"]
                };
                assert!(headers["content-type"].to_string().contains("application/problem+json"));
            }
        }
    }
    let mut garbage = good.rest();
    garbage["body"] = json!("%%% not base64 %%%");
    assert_eq!(answer(&world, &world.intake(), &garbage).await["statusCode"], 400);
    // Something that is no HTTP event at all.
    assert_eq!(answer(&world, &world.intake(), &json!({})).await["statusCode"], 404);
    assert_eq!(
        answer(&world, &world.intake(), &json!({"headers": null, "body": null})).await["statusCode"],
        404
    );
}

#[tokio::test(start_paused = true)]
async fn header_names_come_in_any_case() {
    let world = World::new();
    world.leaves_messages();
    let mut draft = Draft::signed(&world, &approval("ada", "evt_1", 0).to_string().into_bytes());
    for (name, _) in &mut draft.headers {
        *name = name.to_uppercase();
    }
    for (door, event) in draft.all_events() {
        assert_eq!(answer(&world, &world.intake(), &event).await["statusCode"], 202, "{door}");
    }
}

/// Authentic and unreadable: acknowledged, kept byte for byte, and never mistaken for an event.
#[tokio::test(start_paused = true)]
async fn an_authentic_body_that_cannot_be_read_is_kept_and_quarantined() {
    let a = || approval("ada", "evt_1", 0);
    let text = a().to_string();
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let duplicated = text.replacen('{', r#"{"status":"declined","#, 1);
    let escaped = text.replacen('{', r#"{"st\u0061tus":"declined","#, 1);
    let unknown = text.replacen('{', r#"{"x":{"y":1,"y":2},"#, 1);
    let table: Vec<(&str, Vec<u8>, &str)> = vec![
        ("not json", b"hello".to_vec(), "not_json"),
        ("empty", Vec::new(), "not_json"),
        ("not utf-8", vec![b'{', 0xFF, b'}'], "not_utf8"),
        ("byte order mark", format!("\u{feff}{text}").into_bytes(), "byte_order_mark"),
        ("a list", b"[]".to_vec(), "not_an_object"),
        ("two documents", format!("{text}{text}").into_bytes(), "not_json"),
        ("10,000 deep", deep.into_bytes(), "too_deep"),
        ("duplicate key", duplicated.into_bytes(), "duplicate_key"),
        ("duplicate key, escaped", escaped.into_bytes(), "duplicate_key"),
        ("duplicate unknown key", unknown.into_bytes(), "duplicate_key"),
        ("no session", without(a(), "session_id").to_string().into_bytes(), "session_id:missing"),
        ("no time", without(a(), "occurred_at").to_string().into_bytes(), "occurred_at:missing"),
        ("no metadata", without(a(), "metadata").to_string().into_bytes(), "metadata:missing"),
        (
            "metadata a string",
            with(a(), "metadata", json!("x")).to_string().into_bytes(),
            "metadata:wrong_type",
        ),
        (
            "no pool",
            with(a(), "metadata", json!({"cognito_username":"ada"})).to_string().into_bytes(),
            "cognito_user_pool:missing",
        ),
        (
            "bad pool",
            with_metadata(a(), "cognito_user_pool", json!("../x")).to_string().into_bytes(),
            "cognito_user_pool:malformed",
        ),
        (
            "bad user",
            with_metadata(a(), "cognito_username", json!("a b")).to_string().into_bytes(),
            "cognito_username:malformed",
        ),
        ("new status", with(a(), "status", json!("escalated")).to_string().into_bytes(), "status:malformed"),
        ("status a number", with(a(), "status", json!(1)).to_string().into_bytes(), "status:wrong_type"),
        ("no subject", without(a(), "blockid_sub").to_string().into_bytes(), "blockid_sub:missing"),
        (
            "empty subject",
            with(a(), "blockid_sub", json!("")).to_string().into_bytes(),
            "blockid_sub:malformed",
        ),
        ("two subjects", with(a(), "did", json!("other")).to_string().into_bytes(), "blockid_sub:ambiguous"),
        ("no level", without(a(), "ial").to_string().into_bytes(), "ial:missing"),
        ("level 4", with(a(), "ial", json!(4)).to_string().into_bytes(), "ial:malformed"),
        ("level -1", with(a(), "ial", json!(-1)).to_string().into_bytes(), "ial:malformed"),
        ("level 2.5", with(a(), "ial", json!(2.5)).to_string().into_bytes(), "ial:malformed"),
        ("level AAL2", with(a(), "ial", json!("AAL2")).to_string().into_bytes(), "ial:malformed"),
        (
            "liveness a string",
            with(a(), "liveness_verified", json!("true")).to_string().into_bytes(),
            "liveness_verified:wrong_type",
        ),
        ("no match", without(a(), "match_result").to_string().into_bytes(), "match_result:missing"),
        (
            "no date",
            with(a(), "occurred_at", json!("yesterday")).to_string().into_bytes(),
            "occurred_at:malformed",
        ),
        (
            "in two days",
            with(a(), "occurred_at", json!("2026-11-24T10:00:00Z")).to_string().into_bytes(),
            "occurred_at:in_the_future",
        ),
        (
            "a runtime's zero",
            with(a(), "occurred_at", json!("0001-01-01T00:00:00Z")).to_string().into_bytes(),
            "occurred_at:missing",
        ),
        (
            "type and status contradict each other",
            with(a(), "event_type", json!("verification.declined")).to_string().into_bytes(),
            "event_type:ambiguous",
        ),
        ("bad event id", with(a(), "event_id", json!("a b")).to_string().into_bytes(), "event_id:malformed"),
    ];
    for (name, body, problem) in table {
        let world = World::new();
        world.sign_up("ada", &[]);
        let response = answer(&world, &world.intake(), &Draft::signed(&world, &body).rest()).await;
        assert_eq!(response["statusCode"], 202, "{name}");
        assert_eq!(world.audit.last()["detail"], problem, "{name}");
        assert_eq!(world.audit.last()["code"], "IDV1002", "{name}");
        assert_eq!(world.settle().await, Vec::<String>::new());
        assert_eq!(world.dead_letter_reasons(), ["unreadable"], "{name}");
        let letter = &world.queues.dead_letters.messages()[0];
        let kept: Value = serde_json::from_str(&letter.body).unwrap();
        let kept = kept["content"]["unreadable"]["body_base64"].as_str().unwrap();
        assert_eq!(STANDARD.decode(kept).unwrap(), body, "{name}");
        assert_eq!(world.user("ada").status, "UNCONFIRMED");
    }
}

#[tokio::test(start_paused = true)]
async fn other_spellings_of_the_contract_are_understood() {
    let a = || approval("ada", "evt_1", 0);
    let renamed = |from: &str, to: &str| with(without(a(), from), to, a()[from].clone());
    let table = [
        ("alias sessionId", renamed("session_id", "sessionId")),
        ("alias event_ts", renamed("occurred_at", "event_ts")),
        ("alias sub", renamed("blockid_sub", "sub")),
        ("alias did", renamed("blockid_sub", "did")),
        ("alias ial_level", renamed("ial", "ial_level")),
        ("two names, one value", with(a(), "sub", a()["blockid_sub"].clone())),
        ("IAL2", with(a(), "ial", json!("IAL2"))),
        ("ial2", with(a(), "ial", json!("ial2"))),
        ("verified", with(a(), "status", json!("verified"))),
        ("SUCCESS", with(a(), "status", json!("SUCCESS"))),
        ("passed", with(a(), "status", json!("passed"))),
        ("no event id", without(a(), "event_id")),
        ("null optional", with(a(), "aal", Value::Null)),
        ("unknown fields", with(a(), "document", json!({"number": "D1", "face": ["x"]}))),
        (
            "sixteen deep",
            with(a(), "x", serde_json::from_str(&format!("{}{}", "[".repeat(15), "]".repeat(15))).unwrap()),
        ),
    ];
    for (name, callback) in table {
        let world = World::new();
        world.sign_up("ada", &[]);
        let body = callback.to_string();
        let response = answer(&world, &world.intake(), &Draft::signed(&world, body.as_bytes()).rest()).await;
        assert_eq!(response["statusCode"], 202, "{name}");
        world.settle().await;
        assert_eq!(world.user("ada").status, "CONFIRMED", "{name}: {:?}", world.audit.last());
    }
    for (word, status) in [("rejected", "declined"), ("failed", "declined"), ("ABANDONED", "abandoned")] {
        let world = World::new();
        world.sign_up("ada", &[]);
        world.post(&other(word, "ada", "evt_1", 0)).await;
        world.settle().await;
        assert_eq!(world.attribute("ada", "idv_status").as_deref(), Some(status));
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_event_twice_is_one_message_and_another_body_is_not_hidden() {
    let world = World::new();
    world.leaves_messages();
    let first = world.post(&approval("ada", "evt_1", 0)).await;
    let second = world.post(&approval("ada", "evt_1", 0)).await;
    assert_eq!(first.status, second.status);
    let receipt = |body: &str| serde_json::from_str::<Value>(body).unwrap()["receipt_id"].clone();
    assert_eq!(receipt(&first.body), receipt(&second.body));
    assert_eq!(world.queues.callbacks.messages().len(), 1);
    let other = world.post(&with(approval("ada", "evt_1", 0), "ial", json!(3))).await;
    assert_ne!(receipt(&first.body), receipt(&other.body));
    assert_eq!(world.queues.callbacks.messages().len(), 2);
}

/// A queue that is not there, or not in time.
struct BadQueue(Option<QueueError>);

impl CallbackQueue for BadQueue {
    async fn send(&self, _: OutgoingMessage) -> Result<(), QueueError> {
        match &self.0 {
            Some(error) => Err(error.clone()),
            None => std::future::pending().await,
        }
    }
}

/// The retry contract: a fault of ours never gets a final answer, and what is the sender's to fix never gets 503.
#[tokio::test(start_paused = true)]
async fn our_faults_ask_for_another_try_and_nothing_else_does() {
    let fault = || Fault::new("SendMessage", "x");
    let queues = [
        Some(QueueError::Transient(fault())),
        Some(QueueError::Misconfigured(fault())),
        Some(QueueError::NotInFlight(fault())),
        None,
    ];
    let body = approval("ada", "evt_1", 0).to_string().into_bytes();
    for queue in queues {
        let world = World::new();
        world.leaves_messages();
        let intake = world.intake_over(BadQueue(queue));
        let response = answer(&world, &intake, &Draft::signed(&world, &body).rest()).await;
        assert_eq!(response["statusCode"], 503);
        assert_eq!(response["headers"]["retry-after"], "10");
        assert_eq!(world.audit.last()["code"], "IDV1201");
        // A forged one is refused all the same: it never gets as far as the queue.
        let forged = Draft::signed(&world, &body).set("webhook-id", "msg_2");
        assert_eq!(answer(&world, &intake, &forged.rest()).await["statusCode"], 401);
    }

    for error in [KeyStoreError::Transient(fault()), KeyStoreError::Misconfigured(fault())] {
        let world = World::new();
        world.leaves_messages();
        *world.keys.outage.lock().unwrap() = Some(error);
        let draft = Draft::signed(&world, &body);
        assert_eq!(answer(&world, &world.intake(), &draft.rest()).await["statusCode"], 503);
        // What is malformed needs no key to be refused.
        let malformed = draft.clone().set("webhook-timestamp", "-1");
        assert_eq!(answer(&world, &world.intake(), &malformed.rest()).await["statusCode"], 401);
        assert!(world.queues.callbacks.messages().is_empty());
    }

    let world = World::new();
    world.leaves_messages();
    world.audit.break_it(true);
    let response = answer(&world, &world.intake(), &Draft::signed(&world, &body).rest()).await;
    assert_eq!(response["statusCode"], 503, "what is not recorded was not accepted");

    let world = World::new();
    world.leaves_messages();
    let event: HttpEvent = serde_json::from_value(Draft::signed(&world, &body).rest()).unwrap();
    let late = serde_json::to_value(handle_http(&world.intake(), event, world.deadline(0)).await).unwrap();
    assert_eq!(late["statusCode"], 503);
    assert_eq!(world.audit.last()["reason"], "out_of_time");
    assert!(world.queues.callbacks.messages().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_new_key_works_without_a_deploy_and_an_expired_one_stops() {
    let world = World::new();
    world.leaves_messages();
    let intake = world.intake();
    let body = approval("ada", "evt_1", 0).to_string().into_bytes();
    let draft_with = |secret: &str, id: &str| {
        let secret = idv_callback::secret::Secret::parse(secret).unwrap_or_else(|_| panic!("the secret"));
        let mut headers = sign(&world.profile, &secret, id, world.clock.now(), &body);
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
        Draft { method: "POST", path: "/idv-callback", headers, body: body.clone() }.rest()
    };
    let (old, new) = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "new-webhook-key-of-32-characters");
    assert_eq!(answer(&world, &intake, &draft_with(old, "m1")).await["statusCode"], 202);
    assert_eq!(*world.keys.fetches.lock().unwrap(), 1);

    // A key that was just added works at once: the first request that no key fits has the ring fetched anew.
    let both = RING.replace(
        r#""webhook": ["#,
        &format!(
            r#""webhook": [ {{ "id": "wh-2", "secret": "{new}", "not_after": "2026-11-22T10:10:00Z" }}, "#
        ),
    );
    world.keys.store.replace(both.as_str());
    let response = answer(&world, &intake, &draft_with(new, "m3")).await;
    assert_eq!(response["statusCode"], 202);
    assert_eq!(body_of(&response)["key_id"], "wh-2");
    assert_eq!(body_of(&answer(&world, &intake, &draft_with(old, "m4")).await)["key_id"], "wh-1");
    assert_eq!(*world.keys.fetches.lock().unwrap(), 2);

    // Forgeries cause one fetch a minute at the most.
    for _ in 0..100 {
        answer(&world, &intake, &draft_with("forged-forged-forged-forged-forged", "m5")).await;
    }
    assert_eq!(*world.keys.fetches.lock().unwrap(), 2);

    // While the key store cannot be reached, nobody knows whether an unknown key is a new one: try again.
    *world.keys.outage.lock().unwrap() = Some(KeyStoreError::Transient(Fault::new("GetSecretValue", "x")));
    tokio::time::advance(Duration::from_secs(61)).await;
    for _ in 0..2 {
        let unknown = draft_with("another-key-that-nobody-knows-yet", "m6");
        assert_eq!(answer(&world, &intake, &unknown).await["statusCode"], 503);
    }
    assert_eq!(*world.keys.fetches.lock().unwrap(), 3, "and one try a minute at the most");
    assert_eq!(
        answer(&world, &intake, &draft_with(old, "m7")).await["statusCode"],
        202,
        "known keys work on"
    );

    *world.keys.outage.lock().unwrap() = None;
    tokio::time::advance(Duration::from_secs(10 * 60)).await;
    assert_eq!(answer(&world, &intake, &draft_with(new, "m8")).await["statusCode"], 401, "wh-2 has expired");
    assert_eq!(answer(&world, &intake, &draft_with(old, "m9")).await["statusCode"], 202);
}

/// Nothing fails, so nothing asks for a newer ring: only its age does. And an old ring serves for an hour at the most.
#[tokio::test(start_paused = true)]
async fn a_removed_key_stops_within_five_minutes_and_an_outage_is_outlived_for_an_hour() {
    let world = World::new();
    world.leaves_messages();
    let intake = world.intake();
    let body = approval("ada", "evt_1", 0).to_string().into_bytes();
    let post = || async {
        answer(&world, &intake, &Draft::signed(&world, &body).rest()).await["statusCode"].clone()
    };
    assert_eq!(post().await, 202);
    *world.keys.outage.lock().unwrap() = Some(KeyStoreError::Transient(Fault::new("GetSecretValue", "x")));
    tokio::time::advance(Duration::from_secs(59 * 60)).await;
    assert_eq!(post().await, 202);
    tokio::time::advance(Duration::from_secs(2 * 60)).await;
    assert_eq!(post().await, 503);
    *world.keys.outage.lock().unwrap() = None;
    assert_eq!(post().await, 202);

    world
        .keys
        .store
        .replace(RING.replace("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "another-webhook-key-of-32-letters"));
    tokio::time::advance(Duration::from_secs(4 * 60)).await;
    assert_eq!(post().await, 202);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(post().await, 401);
}

#[tokio::test(start_paused = true)]
async fn every_key_is_tried_against_every_signature() {
    let world = World::new();
    world.leaves_messages();
    let many: Vec<_> =
        (0..8).map(|n| json!({"id": format!("k{n}"), "secret": format!("{n}").repeat(32)})).collect();
    let mut ring: Value = serde_json::from_str(RING).unwrap();
    ring["webhook"] = json!(many);
    world.keys.store.replace(ring.to_string());
    let body = approval("ada", "evt_1", 0).to_string().into_bytes();
    for n in 0..8 {
        let secret =
            idv_callback::secret::Secret::parse(&n.to_string().repeat(32)).unwrap_or_else(|_| panic!());
        let headers = sign(&world.profile, &secret, "m", world.clock.now(), &body);
        let signature = format!("v1,{} {} v1a,xyz", STANDARD.encode([0; 32]), headers[2].1);
        let draft = Draft { method: "POST", path: "/idv-callback", headers, body: body.clone() }
            .set("content-type", "application/json")
            .set("webhook-signature", signature);
        let response = answer(&world, &world.intake(), &draft.rest()).await;
        assert_eq!(body_of(&response)["key_id"], format!("k{n}"));
    }
}

/// Base paths, stages and routes, as each front door tells them; and a literal route does not hide another path.
#[tokio::test(start_paused = true)]
async fn the_path_is_found_in_every_form_of_event() {
    let world = World::new();
    world.leaves_messages();
    let draft = Draft::signed(&world, approval("ada", "evt_1", 0).to_string().as_bytes());
    let edited = |event: &Value, members: &[(&str, Value)]| {
        let mut event = event.clone();
        for (name, value) in members {
            event[*name] = value.clone();
        }
        event
    };
    let (rest, http) = (draft.rest(), draft.http_api());
    let table = [
        (
            "base path",
            edited(&rest, &[("resource", json!("/idv-callback")), ("path", json!("/v1/idv-callback"))]),
            202,
        ),
        ("literal", edited(&rest, &[("resource", json!("/idv-callback"))]), 202),
        (
            "other path",
            edited(&rest, &[("resource", json!("/idv-callback")), ("path", json!("/other"))]),
            404,
        ),
        ("root", edited(&rest, &[("resource", json!("/")), ("path", json!("/"))]), 404),
        ("route and base path", edited(&http, &[("rawPath", json!("/prod/v1/idv-callback"))]), 202),
        (
            "greedy route",
            edited(
                &http,
                &[("routeKey", json!("ANY /{proxy+}")), ("rawPath", json!("/prod/x/idv-callback"))],
            ),
            404,
        ),
        ("default route", edited(&http, &[("routeKey", json!("$default"))]), 202),
        (
            "HTTP API, format 1.0",
            edited(&rest, &[("version", json!("1.0")), ("path", json!("/prod/idv-callback"))]),
            202,
        ),
        ("no multi-value headers", edited(&rest, &[("multiValueHeaders", json!({}))]), 202),
        ("null multi-value headers", edited(&rest, &[("multiValueHeaders", Value::Null)]), 202),
    ];
    for (name, event, status) in table {
        assert_eq!(answer(&world, &world.intake(), &event).await["statusCode"], status, "{name}");
    }
}

/// A key store that hangs must not take the time for an answer.
#[tokio::test(start_paused = true)]
async fn a_hanging_key_store_is_our_fault_in_time() {
    let world = World::new();
    *world.keys.hangs.lock().unwrap() = true;
    let event: HttpEvent = serde_json::from_value(Draft::signed(&world, b"{}").rest()).unwrap();
    let start = world.clock.now();
    let response =
        serde_json::to_value(handle_http(&world.intake(), event, world.deadline(3)).await).unwrap();
    assert_eq!(
        (&response["statusCode"], world.audit.last()["reason"].as_str()),
        (&json!(503), Some("out_of_time"))
    );
    assert!(world.clock.now().since(start) < Duration::from_secs(3));
}

/// The events of these tests, and of the embedded front door, are what AWS' own types for them read and print.
#[tokio::test(start_paused = true)]
async fn the_events_are_those_that_aws_describes() {
    use aws_lambda_events::event::{alb::AlbTargetGroupRequest, apigw};

    fn through<T: serde::Serialize + serde::de::DeserializeOwned>(event: Value) -> Value {
        serde_json::to_value(serde_json::from_value::<T>(event).unwrap()).unwrap()
    }
    let world = World::new();
    world.leaves_messages();
    let draft = Draft::signed(&world, approval("ada", "evt_1", 0).to_string().as_bytes());
    let embedded = idv_callback::lambda::rest_event(&idv_callback::lambda::HttpMessage {
        method: "POST".to_owned(),
        path: "/idv-callback".to_owned(),
        headers: draft.headers.clone(),
        body: draft.body.clone(),
        source_ip: "192.0.2.1".to_owned(),
        received_at: world.clock.now(),
    });
    for event in [
        through::<apigw::ApiGatewayProxyRequest>(draft.rest()),
        through::<apigw::ApiGatewayProxyRequest>(embedded),
        through::<apigw::ApiGatewayV2httpRequest>(draft.http_api()),
        through::<apigw::ApiGatewayV2httpRequest>(draft.function_url()),
        through::<AlbTargetGroupRequest>(draft.load_balancer()),
    ] {
        assert_eq!(answer(&world, &world.intake(), &event).await["statusCode"], 202, "{event}");
    }
}
