//! Whom a letter is about, said by two operators: what a correction can do, what it cannot, and how it is approved.

use std::collections::BTreeMap;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use idv_callback::aws::{AwsConnection, CallLimits};
use idv_callback::binding::Binding;
use idv_callback::clock::SystemClock;
use idv_callback::correction::{CORRECTION_ATTRIBUTE, Correction, CorrectionContent};
use idv_callback::envelope::{BodyDigest, group_id};
use idv_callback::key_ring::KeyRing;
use idv_callback::lambda::HttpMessage;
use idv_callback::ports::{CallbackQueue as _, OutgoingMessage};
use idv_callback::seal::{self, SealedAs};
use idv_callback::timestamp::Timestamp;
use idv_callback::verification::{PoolId, UserReference, Username};
use idvctl::aws::{sign_statement, who_signed};
use idvctl::embedded::LocalQueues;
use idvctl::embedded::{AwsApi, Deployment, LOCAL_SECRET, QueueSettings, Reply, Site, UserPool, serve};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::operator::Operator;
use crate::support::world::{POOL, RING, World, approval, ring, with, with_metadata};

fn reference(username: &str) -> UserReference {
    UserReference { pool: PoolId::new(POOL).unwrap(), username: Username::new(username).unwrap() }
}

fn content(message: &str, username: &str) -> CorrectionContent {
    CorrectionContent {
        envelope_sha256: BodyDigest::of(message.as_bytes()).as_str().to_owned(),
        username: username.to_owned(),
        because: "T-1".to_owned(),
        by: "arn:aws:iam::123456789012:user/olga".to_owned(),
        approved_by: "arn:aws:iam::123456789012:user/bea".to_owned(),
    }
}

/// What the callback function put on the queue for this callback; it is taken off.
async fn accepted(world: &World, callback: &Value) -> String {
    world.post(callback).await;
    let message = world.receive().await.pop().unwrap();
    idvctl::ports::MessageSource::delete(&world.queues.callbacks, &message.handle).await.unwrap();
    message.body
}

/// Sends a message with a correction beside it, and lets the consumer settle it; gives its last audit record.
async fn settle(world: &World, body: &str, correction: &str) -> Value {
    let attributes: BTreeMap<_, _> = [(CORRECTION_ATTRIBUTE.to_owned(), correction.to_owned())].into();
    let deduplication_id = BodyDigest::of(format!("{body}{correction}").as_bytes()).as_str().to_owned();
    let message =
        OutgoingMessage { body: body.to_owned(), group_id: "g".to_owned(), deduplication_id, attributes };
    world.queues.callbacks.send(message).await.unwrap();
    world.settle().await;
    world.audit.last()
}

#[tokio::test(start_paused = true)]
async fn a_correction_names_the_user_and_changes_nothing_else() {
    let mut world = World::new();
    world.policy.binding_required = true;
    let key = &ring().seal[0];
    for name in ["ada", "bob", "eve"] {
        world.sign_up(name, &[]);
    }
    let corrected = |body: &str, to: &str| {
        Correction::new(content(body, to), key).unwrap_or_else(|error| panic!("{error}")).sealed().to_owned()
    };
    // The name that the callback has is nobody's. Two operators say whose it is; that takes the place of the binding.
    let body = accepted(&world, &approval("ada-lovelace", "evt_1", 0)).await;
    let record = settle(&world, &body, &corrected(&body, "ada")).await;
    assert_eq!((&record["event"], &record["confirmed"]), (&json!("applied"), &json!(true)));
    assert_eq!(
        (&record["operator"], &record["approved_by"]),
        (&json!("arn:aws:iam::123456789012:user/olga"), &json!("arn:aws:iam::123456789012:user/bea"))
    );
    assert_ne!(record["user"], record["named_user"]);
    assert_eq!(world.attribute("ada", "blockid_sub").as_deref(), Some("did:blockid:ada-lovelace"));

    // It lifts no level, replaces no subject, and makes nothing good that is forged.
    let weak = with(approval("bobby", "evt_2", 0), "ial", json!(1));
    let body = accepted(&world, &weak).await;
    assert_eq!(settle(&world, &body, &corrected(&body, "bob")).await["event"], "insufficient");
    assert_eq!(world.user("bob").status, "UNCONFIRMED");
    let body = accepted(&world, &approval("adele", "evt_3", 10)).await;
    assert_eq!(settle(&world, &body, &corrected(&body, "ada")).await["reason"], "subject_conflict");
    let forged = format!("b1.1.{}", "0".repeat(64));
    let bound = with_metadata(approval("evelyn", "evt_4", 0), "binding", json!(forged));
    let body = accepted(&world, &bound).await;
    assert_eq!(settle(&world, &body, &corrected(&body, "eve")).await["reason"], "binding_mismatch");
    // A real binding is one of the user that was named, and proves nothing of the other.
    let long_ago = Timestamp::parse("2026-11-22T08:00:00Z").unwrap();
    let token = Binding::issue(&ring().binding[0], &reference("evelyn"), long_ago, None).unwrap();
    let bound = with_metadata(approval("evelyn", "evt_5", 0), "binding", json!(token.as_str()));
    let body = accepted(&world, &bound).await;
    assert_eq!(settle(&world, &body, &corrected(&body, "eve")).await["event"], "applied");
}

#[tokio::test(start_paused = true)]
async fn a_correction_that_is_not_sealed_for_this_letter_by_two_confirms_nobody() {
    let world = World::new();
    world.leaves_messages();
    world.sign_up("ada", &[]);
    world.sign_up("mallory", &[]);
    let ring = ring();
    let key = &ring.seal[0];
    let other = RING.replace("seal-seal-seal", "leas-leas-leas");
    let other = KeyRing::parse(other.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let body = accepted(&world, &approval("ada", "evt_1", 0)).await;
    let another = accepted(&world, &approval("ada", "evt_2", 0)).await;
    let sealed = |kind: SealedAs, content: &CorrectionContent| seal::seal(kind, key, content).unwrap();
    let stranger = CorrectionContent {
        approved_by: "arn:aws:iam::999999999999:user/bea".to_owned(),
        ..content(&body, "mallory")
    };
    let alone = CorrectionContent {
        approved_by: "arn:aws:iam::123456789012:user/olga".to_owned(),
        ..content(&body, "mallory")
    };
    let nobody = CorrectionContent { approved_by: String::new(), ..content(&body, "mallory") };
    assert!(
        Correction::new(stranger.clone(), key).is_err()
            && Correction::new(alone.clone(), key).is_err()
            && Correction::new(nobody.clone(), key).is_err()
    );
    let good = sealed(SealedAs::Correction, &content(&body, "mallory"));
    for (correction, detail) in [
        ("{}".to_owned(), "unreadable"),
        (content_json(&content(&body, "mallory")), "unreadable"),
        (seal::seal(SealedAs::Correction, &other.seal[0], &content(&body, "mallory")).unwrap(), "wrong"),
        (sealed(SealedAs::Correction, &content(&another, "mallory")), "wrong"),
        (sealed(SealedAs::Envelope, &content(&body, "mallory")), "wrong"),
        (sealed(SealedAs::Correction, &alone), "unreadable"),
        (sealed(SealedAs::Correction, &stranger), "unreadable"),
        (sealed(SealedAs::Correction, &nobody), "unreadable"),
        (good.replace("mallory", "malorie"), "wrong"),
        (good.replace("seal-1", "seal-9"), "unknown key"),
    ] {
        let record = settle(&world, &body, &correction).await;
        assert_eq!(record["reason"], "bad_correction", "{correction}");
        assert_eq!(record["detail"], detail, "{correction}");
        assert!(record["receipt_id"].is_string());
    }
    assert!(["ada", "mallory"].iter().all(|name| world.user(name).status == "UNCONFIRMED"));
    let reasons = world.dead_letter_reasons();
    assert!(reasons.len() == 10 && reasons.iter().all(|reason| reason == "bad_correction"));
    // The seal of a correction is none of an envelope.
    world
        .queues
        .callbacks
        .send(OutgoingMessage {
            body: good.clone(),
            group_id: "g".to_owned(),
            deduplication_id: "swapped".to_owned(),
            attributes: BTreeMap::new(),
        })
        .await
        .unwrap();
    world.settle().await;
    assert_eq!(world.audit.last()["reason"], "bad_seal");
    assert_eq!(settle(&world, &body, &good).await["event"], "applied", "the test's own way of sealing works");
}

fn content_json(content: &CorrectionContent) -> String {
    serde_json::to_string(content).unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

/// A letter that names somebody by an alias.
fn misnamed(operator: &Operator) -> String {
    let person =
        json!({ "username": "ada", "attributes": { "email": "CANARY@x.org", "email_verified": "true" } });
    assert_eq!(operator.dev.local("POST", "/_local/users", &person.to_string()).0, 201);
    operator.dev.sign_up("eve");
    operator.post(&crate::operator::local("CANARY@x.org", "evt_1", 0));
    operator.dead(1);
    operator.json(&["list"]).1["letters"][0]["message_id"].as_str().unwrap().to_owned()
}

#[test]
fn one_operator_proposes_another_approves_and_the_right_user_gets_in() {
    let operator = Operator::new(&[]);
    let id = misnamed(&operator);
    let run = |who: &str, arguments: &[&str]| operator.idvctl_as(who, &[&["dlq"], arguments].concat());
    let refused = |who: &str, arguments: &[&str], complaint: &str| {
        let output = run(who, arguments);
        assert!(!output.status.success() && said(&output).contains(complaint), "{}", said(&output));
    };
    let propose = ["correct", &id, "--username", "ada", "--because", "T-1"];
    refused("olga", &["correct", &id, "--username", "zoe", "--because", "T-1"], "has no user of that name");
    refused(
        "olga",
        &["correct", "x", "--username", "ada", "--because", "T-1"],
        "dead letter x was not found",
    );
    assert!(run("olga", &propose).status.success());
    let plan = ["plan", "--correction", "correction.json", "--because", "T-1"];
    refused("olga", &plan, "correction.json.approval");
    refused("olga", &["approve", "correction.json", "--yes"], "another operator must approve it");
    let looked = run("bea", &["approve", "correction.json"]);
    assert!(
        looked.status.code() == Some(1) && said(&looked).contains("nothing is approved yet"),
        "{}",
        said(&looked)
    );
    assert!(!operator.folder().join("correction.json.approval").exists());

    // What is approved is the letter's truth, not the file's.
    let honest = operator.read("correction.json");
    let file = operator.folder().join("correction.json");
    std::fs::write(&file, honest.replace("CANARY@x.org", "somebody")).unwrap();
    refused("bea", &["approve", "correction.json"], "does not agree with the message");
    std::fs::write(&file, &honest).unwrap();
    let approved = run("bea", &["approve", "correction.json", "--yes"]);
    assert!(approved.status.success(), "{}", said(&approved));
    assert!(
        said(&approved).contains(r#"names "CANARY@x.org"; "#) && said(&approved).contains(r#"about "ada""#)
    );

    // It holds for what was approved, for who proposed it, and under the name of who approved it.
    std::fs::write(&file, honest.replace(r#""username": "ada""#, r#""username": "eve""#)).unwrap();
    refused("olga", &plan, "is not valid (GetCallerIdentity: not_of_this_statement)");
    std::fs::write(&file, &honest).unwrap();
    refused("bea", &plan, "proposed it, so only the same operator can plan it");
    let approval = operator.folder().join("correction.json.approval");
    let signed = std::fs::read_to_string(&approval).unwrap();
    std::fs::write(&approval, signed.replace("Credential=bea/", "Credential=kim/")).unwrap();
    assert!(run("olga", &plan).status.success(), "every key of the embedded stack has the same secret");
    std::fs::remove_file(operator.folder().join("plan.json")).unwrap();
    let byte = signed.split("Signature=").nth(1).unwrap().chars().next().unwrap();
    let other = if byte == '0' { "Signature=1" } else { "Signature=0" };
    std::fs::write(&approval, signed.replace(&format!("Signature={byte}"), other)).unwrap();
    refused("olga", &plan, "SignatureDoesNotMatch");
    std::fs::write(&approval, &signed).unwrap();

    let planned = run("olga", &plan);
    assert!(planned.status.success() && said(&planned).contains("applied, confirms"), "{}", said(&planned));
    assert!(run("olga", &["apply", "plan.json"]).status.success());
    assert!(run("olga", &["verify", "plan.json"]).status.success());
    operator.dev.confirmed("ada");
    assert_eq!(operator.dev.local("GET", "/_local/users/eve", "").1["status"], "UNCONFIRMED");

    // What was done once cannot be given to another user.
    let log = operator.read("idv-operator-audit.jsonl");
    assert!(!log.contains("CANARY"), "{log}");
    let acts: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let sealed = acts.iter().rfind(|act| act["event"] == "correction_sealed").unwrap();
    assert!(sealed["operator"].as_str().unwrap().ends_with(":user/olga"));
    assert!(sealed["approved_by"].as_str().unwrap().ends_with(":user/bea"));
    assert_ne!(sealed["user"], sealed["named_user"]);
}

/// The proof of a user that was confirmed by it is nobody else's.
#[tokio::test]
async fn what_was_applied_is_not_given_to_another_user() {
    let operator = Operator::new(&[]);
    operator.dev.sign_up("ada");
    operator.dev.sign_up("eve");
    let callback = crate::operator::local("ada", "evt_1", 0);
    operator.post(&callback);
    operator.dev.confirmed("ada");
    operator.put(&callback).await;
    let (_, listed) = operator.json(&["list"]);
    let id = listed["letters"][0]["message_id"].as_str().unwrap();
    let output = operator.idvctl(&["dlq", "correct", id, "--username", "eve", "--because", "T-1"]);
    assert!(!output.status.success() && said(&output).contains("has this proof"), "{}", said(&output));
}

/// The embedded stack's STS, on a clock that is ahead.
struct Ahead(AwsApi<SystemClock>, Duration);

impl Site for Ahead {
    async fn answer(&self, request: HttpMessage) -> Reply {
        self.0.answer(&HttpMessage { received_at: request.received_at.plus(self.1), ..request }).await
    }
}

#[tokio::test]
async fn an_approval_holds_for_minutes() {
    let settings = QueueSettings { visibility: Duration::ZERO, maximum_receives: 1, wait: Duration::ZERO };
    let pool = UserPool::new(PoolId::new(POOL).unwrap(), None, SystemClock);
    let api = AwsApi::new(LocalQueues::new(settings, SystemClock), pool, Deployment::default());
    for (ahead, holds) in [(0, true), (240, true), (301, false)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let site = Ahead(api.clone(), Duration::from_secs(ahead));
        tokio::spawn(serve(listener, Arc::new(site), SystemClock, std::future::pending()));
        let as_who = |name: &'static str| {
            let url = url.clone();
            let environment = idv_callback::config::Environment::new(move |variable| match variable {
                "AWS_REGION" => Some("us-east-1".to_owned()),
                "AWS_ENDPOINT_URL" => Some(url.clone()),
                "AWS_ACCESS_KEY_ID" => Some(name.to_owned()),
                "AWS_SECRET_ACCESS_KEY" => Some(LOCAL_SECRET.to_owned()),
                _ => None,
            });
            AwsConnection::of_function(&environment, CallLimits::CONSUMER).unwrap()
        };
        let signed = sign_statement(&as_who("bea"), "digest").await;
        assert_eq!(signed.is_ok(), holds, "{ahead}");
        let Ok((arn, call)) = signed else { continue };
        assert_eq!(who_signed(&as_who("olga"), "digest", &call).await.unwrap(), arn);
        assert!(arn.ends_with(":user/bea"));
        let other = who_signed(&as_who("olga"), "another", &call).await.unwrap_err();
        assert_eq!(other.code, "not_of_this_statement");
    }
    assert_eq!(group_id(&reference("Ada")), group_id(&reference("ada")));
}
