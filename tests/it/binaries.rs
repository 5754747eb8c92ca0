//! The real binaries under a Lambda Runtime API, with a stand-in for AWS: what they call, how often, over how many
//! connections, and what they print.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use idv_callback::lambda::batch_event;
use idv_callback::ports::CallbackQueue as _;
use idvctl::ports::MessageSource as _;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

use crate::support::aws_endpoint::AwsEndpoint;
use crate::support::function::{Function, aws, settings, signed_event};
use crate::support::world::{RING, World, approval, with};

/// Counts the connections to an endpoint, and can cut them.
struct Wire {
    url: String,
    opened: Arc<Mutex<u32>>,
    cut: broadcast::Sender<()>,
}

impl Wire {
    async fn to(endpoint: &AwsEndpoint) -> Self {
        let target = endpoint.url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let opened = Arc::new(Mutex::new(0));
        let (cut, _) = broadcast::channel(1);
        let (count, cutter) = (Arc::clone(&opened), cut.clone());
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                *count.lock().unwrap() += 1;
                let (target, mut cut) = (target.clone(), cutter.subscribe());
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(target).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = cut.recv() => {}
                    }
                });
            }
        });
        Self { url, opened, cut }
    }

    fn opened(&self) -> u32 {
        *self.opened.lock().unwrap()
    }
}

fn calls(endpoint: &AwsEndpoint) -> Vec<String> {
    let asked = endpoint.take_asked();
    asked.iter().map(|asked| asked.target.rsplit('.').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_callback_function_sends_one_message_over_the_connection_opened_at_the_start() {
    let endpoint = AwsEndpoint::answering(aws(&[])).await;
    let wire = Wire::to(&endpoint).await;
    let function = Function::start(env!("CARGO_BIN_EXE_callback"), &settings(&wire.url, &[])).await;
    let body = approval("ada", "evt_1", 0).to_string();
    let response = function.invoke(signed_event(body.as_bytes())).await.unwrap();
    assert_eq!(response["statusCode"], 202, "{response} {}", function.output());
    let mut at_start = calls(&endpoint);
    assert_eq!(at_start.pop().unwrap(), "SendMessage");
    at_start.sort();
    assert_eq!(at_start, ["GetQueueAttributes", "GetSecretValue"]);
    // Both services have one endpoint here, asked at the same time: one connection each.
    assert_eq!(wire.opened(), 2);

    for n in 0..20 {
        let body = approval("ada", &format!("evt_{n}"), n).to_string();
        assert_eq!(function.invoke(signed_event(body.as_bytes())).await.unwrap()["statusCode"], 202);
    }
    assert_eq!(calls(&endpoint), ["SendMessage"; 20]);
    assert_eq!(wire.opened(), 2, "no callback opens a connection");

    // The sandbox slept, and the other side has closed its connections: nobody may notice.
    for round in 0..3 {
        wire.cut.send(()).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let body = approval("ada", &format!("evt_after_{round}"), 50 + round).to_string();
        assert_eq!(function.invoke(signed_event(body.as_bytes())).await.unwrap()["statusCode"], 202);
    }
    let forged = with(signed_event(body.as_bytes()), "body", json!("e30="));
    assert_eq!(function.invoke(forged).await.unwrap()["statusCode"], 401);
    let words: Vec<_> = function.records().iter().map(|r| r["event"].as_str().unwrap().to_owned()).collect();
    assert_eq!((words[0].as_str(), words.len()), ("started", 26), "{words:?}");
    assert_eq!(words.last().unwrap(), "refused");
}

/// Some emulators send a deadline that is over on arrival.
#[tokio::test]
async fn a_deadline_in_the_past_is_not_believed() {
    let endpoint = AwsEndpoint::answering(aws(&["ada"])).await;
    let function = Function::start(env!("CARGO_BIN_EXE_callback"), &settings(&endpoint.url, &[])).await;
    function.invoke(signed_event(b"{}")).await.unwrap();
    let response = function.invoke_within(signed_event(b"{}"), 0).await.unwrap();
    assert_eq!(response["statusCode"], 202, "{}", function.output());
}

#[tokio::test]
async fn the_consumer_function_reads_writes_and_confirms() {
    let endpoint = AwsEndpoint::answering(aws(&["ada", "bob"])).await;
    let wire = Wire::to(&endpoint).await;
    let function = Function::start(env!("CARGO_BIN_EXE_consumer"), &settings(&wire.url, &[])).await;
    let world = World::new();
    world.leaves_messages();
    world.post(&approval("ada", "evt_1", 0)).await;
    world.post(&approval("nobody", "evt_2", 0)).await;
    let mut batch = world.receive().await;
    let poison = idv_callback::ports::ReceivedMessage {
        id: "poison".to_owned(),
        body: "x".to_owned(),
        group_id: "p".to_owned(),
        ..batch[0].clone()
    };
    batch.push(poison);
    let response = function.invoke(batch_event(&batch)).await.unwrap();
    // The world's clock stands in the past, so the unknown user is old enough to be given up on.
    let age_known = function.records().iter().any(|record| record["reason"] == "user_not_found");
    assert!(age_known, "{}", function.output());
    assert_eq!(response, json!({ "batchItemFailures": [] }), "{}", function.output());
    let mut called = calls(&endpoint);
    called.sort();
    let expected = [
        "AdminConfirmSignUp",
        "AdminGetUser",
        "AdminGetUser",
        "AdminGetUser",
        "AdminUpdateUserAttributes",
        "GetSecretValue",
        "SendMessage",
        "SendMessage",
    ];
    assert_eq!(called, expected);
    let applied = function.records().into_iter().find(|record| record["event"] == "applied").unwrap();
    assert_eq!((&applied["ial_after"], &applied["confirmed"]), (&json!(2), &json!(true)));

    let empty = function.invoke(json!({ "Records": [] })).await.unwrap();
    assert_eq!(empty, json!({ "batchItemFailures": [] }));
    // A batch that cannot be answered record by record fails as a whole: all of it comes back.
    assert!(function.invoke(json!({ "Records": [ { "messageId": "" } ] })).await.is_err());
}

#[tokio::test]
async fn a_function_that_is_not_configured_says_everything_that_is_wrong_and_does_not_start() {
    for (binary, complaints) in [
        (
            env!("CARGO_BIN_EXE_callback"),
            vec!["IDV_QUEUE_URL", "IDV_KEY_RING_SECRET_ID", "IDV_SIGNATURE_PROFILE"],
        ),
        (
            env!("CARGO_BIN_EXE_consumer"),
            vec!["IDV_QUEUE_URL", "IDV_DEAD_LETTER_QUEUE_URL", "IDV_KEY_RING_SECRET_ID", "IDV_USER_POOL_IDS"],
        ),
    ] {
        let mut function = Function::start(binary, &[("IDV_SIGNATURE_PROFILE", "rot13")]).await;
        let status =
            tokio::time::timeout(Duration::from_secs(30), function.child.wait()).await.unwrap().unwrap();
        assert!(!status.success());
        tokio::time::sleep(Duration::from_millis(100)).await;
        for complaint in complaints {
            assert!(function.output().contains(complaint), "{complaint} not in {}", function.output());
        }
    }
}

#[tokio::test]
async fn a_short_key_keeps_a_function_from_starting_and_is_named() {
    let endpoint = AwsEndpoint::answering(|asked| {
        let short = RING.replace("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "CANARY");
        asked.target.contains("GetSecretValue").then(|| (200, json!({ "SecretString": short })))
    })
    .await;
    let mut function = Function::start(env!("CARGO_BIN_EXE_callback"), &settings(&endpoint.url, &[])).await;
    let status = tokio::time::timeout(Duration::from_secs(30), function.child.wait()).await.unwrap().unwrap();
    assert!(!status.success());
    tokio::time::sleep(Duration::from_millis(100)).await;
    let output = function.output();
    assert!(
        output.contains("wh-1") && output.contains("at least 24") && !output.contains("CANARY"),
        "{output}"
    );
}

#[tokio::test]
async fn a_consumer_that_needs_bindings_needs_a_binding_key() {
    let endpoint = AwsEndpoint::answering(|asked| {
        let mut ring: Value = serde_json::from_str(RING).unwrap();
        ring["binding"] = json!([]);
        asked.target.contains("GetSecretValue").then(|| (200, json!({ "SecretString": ring.to_string() })))
    })
    .await;
    let required = settings(&endpoint.url, &[("IDV_BINDING", "required")]);
    let mut function = Function::start(env!("CARGO_BIN_EXE_consumer"), &required).await;
    let status = tokio::time::timeout(Duration::from_secs(30), function.child.wait()).await.unwrap().unwrap();
    assert!(!status.success());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(function.output().contains("IDV_BINDING is required"), "{}", function.output());
}

#[tokio::test]
async fn a_key_store_that_cannot_be_reached_asks_senders_to_try_again() {
    let endpoint = AwsEndpoint::answering(|asked| {
        let error = json!({ "__type": "ThrottlingException", "message": "Rate exceeded" });
        asked.target.contains("GetSecretValue").then_some((400, error))
    })
    .await;
    let function = Function::start(env!("CARGO_BIN_EXE_callback"), &settings(&endpoint.url, &[])).await;
    let response = function.invoke(signed_event(b"{}")).await.unwrap();
    assert_eq!(response["statusCode"], 503, "{}", function.output());
    assert_eq!(function.records().last().unwrap()["reason"], "key_store");
}

/// The embedded queue's own view of a batch and the one that Lambda gets are the same messages.
#[tokio::test(start_paused = true)]
async fn the_embedded_event_source_makes_the_events_that_lambda_makes() {
    let world = World::new();
    world.leaves_messages();
    world
        .queues
        .callbacks
        .send(idv_callback::ports::OutgoingMessage {
            body: "b".to_owned(),
            group_id: "g".to_owned(),
            deduplication_id: "d".to_owned(),
            attributes: [("a".to_owned(), "1".to_owned())].into(),
        })
        .await
        .unwrap();
    let batch = world.queues.callbacks.receive(1).await.unwrap();
    let read = idv_callback::lambda::received_messages(batch_event(&batch)).unwrap();
    assert_eq!(read, batch);
}
