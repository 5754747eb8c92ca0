//! Canaries: marked strings in every secret, name, number and unknown field, and none of them in anything that comes
//! out: logs, audit lines, errors, panics, `Debug`.

use idv_callback::assurance::UserRecord;
use idv_callback::ports::UserDirectory as _;
use idv_callback::verification::{PoolId, UserReference, Username};
use idv_callback::vocabulary::EventTypes;
use serde_json::{Value, json};

use crate::support::aws_endpoint::AwsEndpoint;
use crate::support::function::{Function, settings, signed_event};
use crate::support::world::{POOL, RING, World, approval, other, with, with_metadata};

const CANARY: &str = "CANARY";

/// The ring of the tests, whose every secret is marked.
fn marked_ring() -> String {
    let secrets = [
        "seal-seal-seal-seal-seal-seal-32",
        "bind-bind-bind-bind-bind-bind-32",
        "audit-audit-audit-audit-audit-32",
    ];
    secrets.iter().enumerate().fold(RING.to_owned(), |ring, (number, secret)| {
        ring.replace(secret, &format!("{CANARY}-{number}-CANARY-CANARY-CANARY"))
    })
}

/// Callbacks that hold a person's data in every place that a sender could put it.
fn callbacks() -> Vec<Vec<u8>> {
    let person = |callback: Value| {
        let subject = with(callback, "blockid_sub", json!("did:CANARY"));
        let user = with_metadata(subject, "cognito_username", json!("CANARY-ada"));
        let named = with_metadata(user, "name", json!("CANARY"));
        let document =
            json!({ "number": "CANARY", "face": "CANARY", "dob": "CANARY", "address": ["CANARY"] });
        with(with(named, "document", document), "CANARY", json!("x"))
    };
    let good = || person(approval("x", "evt_1", 0));
    let readable = [
        good(),
        with(person(other("declined", "x", "evt_2", 1)), "session_id", json!("vs_2")),
        with(with(good(), "event_id", json!("evt_3")), "document_type", json!("CANARY 123")),
        with(with(good(), "event_id", json!("evt_4")), "blockid_sub", json!("did:CANARY-2")),
        with_metadata(with(good(), "event_id", json!("evt_5")), "binding", json!("CANARY")),
        // Unreadable for one field each, whose value is marked.
        with(good(), "occurred_at", json!("CANARY")),
        with(good(), "status", json!("CANARY")),
        with(good(), "ial", json!("CANARY")),
        with(good(), "session_id", json!("CANARY CANARY")),
        with(good(), "event_id", json!("CANARY CANARY")),
        with(good(), "framework", json!("CANARY CANARY")),
        with_metadata(good(), "cognito_user_pool", json!("CANARY")),
    ];
    let mut bodies: Vec<Vec<u8>> =
        readable.iter().map(|callback| callback.to_string().into_bytes()).collect();
    bodies.push(b"CANARY".to_vec());
    bodies.push(b"{\"CANARY\":1,\"CANARY\":2}".to_vec());
    bodies.push(b"{\"CANARY".to_vec());
    bodies.push(b"CANARY\xFF".to_vec());
    bodies
}

#[tokio::test]
async fn nothing_personal_or_secret_leaves_the_functions() {
    let aws = AwsEndpoint::answering(|asked| {
        let call = asked.target.rsplit('.').next().unwrap_or_default();
        let error = |code: &str| json!({ "__type": code, "message": "CANARY" });
        Some(match call {
            "GetSecretValue" => (200, json!({ "SecretString": marked_ring() })),
            "AdminGetUser" => (
                200,
                json!({
                    "Username": "CANARY-ada", "UserStatus": "UNCONFIRMED", "Enabled": true, "UserCreateDate": 1_795_341_600.0,
                    "UserAttributes": [
                        { "Name": "email", "Value": "CANARY@example.com" },
                        { "Name": "sub", "Value": "CANARY-sub" },
                    ],
                }),
            ),
            // One of each class, so that every way out is taken.
            "AdminUpdateUserAttributes" if asked.body.to_string().contains("evt_2") => {
                (400, error("InvalidParameterException"))
            }
            "AdminConfirmSignUp" => (400, error("UserLambdaValidationException")),
            "SendMessage" => (200, json!({ "MessageId": "m", "MD5OfMessageBody": "x" })),
            _ => (200, json!({})),
        })
    })
    .await;
    let callback =
        Function::start(env!("CARGO_BIN_EXE_callback"), &settings(&aws.url, &[("RUST_LOG", "trace")])).await;
    let consumer =
        Function::start(env!("CARGO_BIN_EXE_consumer"), &settings(&aws.url, &[("RUST_LOG", "trace")])).await;
    let mut answers = Vec::new();
    for body in callbacks() {
        let event = signed_event(&body);
        let forged = with(event.clone(), "body", json!("Q0FOQVJZIQ=="));
        for event in [event, forged] {
            answers.push(callback.invoke(event).await.unwrap());
        }
    }
    // Things that are not even events.
    for event in [json!("CANARY"), json!({"headers": "CANARY"}), json!({"body": "CANARY", "path": "CANARY"})]
    {
        answers.push(callback.invoke(event.clone()).await.unwrap());
        answers.push(consumer.invoke(event).await.unwrap_err());
    }
    let sent: Vec<Value> =
        aws.take_asked().into_iter().filter(|a| a.target.ends_with("SendMessage")).map(|a| a.body).collect();
    assert_eq!(sent.len(), callbacks().len());
    assert!(sent[0].to_string().contains(CANARY), "the queue does hold the user's name and subject");
    assert!(!sent[0].to_string().contains("dob"), "and nothing that is not needed");
    for (number, message) in sent.iter().enumerate() {
        let record = json!({
            "messageId": format!("m-{number}"), "receiptHandle": "CANARY", "body": message["MessageBody"],
            "attributes": { "MessageGroupId": message["MessageGroupId"], "ApproximateReceiveCount": "1" },
        });
        consumer.invoke(json!({ "Records": [record] })).await.unwrap();
    }
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let output = format!("{}{}", callback.output(), consumer.output());
    for word in
        ["accepted", "accepted_unreadable", "refused", "quarantined", "misconfigured", "confirm_refused"]
    {
        assert!(output.contains(word), "{word} is not exercised: {output}");
    }
    // (The answers to strange events echo nothing either.)
    for text in [output, json!(answers).to_string()] {
        let marked = |line: &&str| {
            [CANARY, "Q0FOQVJZ", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"].iter().any(|mark| line.contains(mark))
        };
        let line = text.lines().find(marked);
        assert_eq!(line, None);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_personal_or_secret_stands_in_a_debug() {
    let world = World::new();
    world.leaves_messages();
    world.sign_up("CANARY", &[("custom:blockid_sub", "CANARY")]);
    let user = UserReference { pool: PoolId::new(POOL).unwrap(), username: Username::new("CANARY").unwrap() };
    let record: UserRecord = world.pool.find(&user).await.unwrap().unwrap();
    let body = with_metadata(
        with(approval("CANARY", "evt_1", 0), "blockid_sub", json!("CANARY")),
        "binding",
        json!("CANARY"),
    );
    let body = body.to_string();
    let signed = world.signed("evt_1", body.as_bytes());
    let delivery =
        idv_callback::delivery::Delivery::read(&world.profile, &signed.headers, body.as_bytes()).unwrap();
    let now = idv_callback::ports::Clock::now(&world.clock);
    let event = delivery.verify(crate::support::world::ring().webhook.iter(), now).unwrap();
    let event = event.read_body(now, &EventTypes::default()).unwrap();
    world.intake().answer(&signed, world.deadline(10)).await;
    let messages = world.receive().await;
    assert!(messages[0].body.contains(CANARY));
    let shown = format!("{user:?} {event:?} {:?} {:?} {messages:?}", record.assurance, record.username);
    assert!(shown.contains("evt_1"), "what may be shown, is: {shown}");
    assert!(!shown.contains(CANARY), "{shown}");
}

const IN_CHILD: &str = "IDV_TEST_PANICS";

/// A panic says where it was, and nothing of what it said. Panics in a process of its own.
#[test]
fn a_panic_says_nothing() {
    if std::env::var_os(IN_CHILD).is_some() {
        idv_callback::telemetry::start();
        panic!("CANARY {}", "CANARY");
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let command = command.args(["--exact", "canary::a_panic_says_nothing", "--nocapture"]);
    let output = command.env("RUST_BACKTRACE", "1").env(IN_CHILD, "1").output().unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("\"message\":\"panic\"") && text.contains("canary.rs"), "{text}");
    assert!(!text.contains(CANARY), "{text}");
}
