//! One contract, two worlds: what this system relies on of SQS and Cognito, checked on the embedded stack and, through
//! the real SDK, on an independent emulator (ministack), so that our own fake cannot drift unseen.
//!
//! Where the emulator differs from AWS, the rule is named in [`DIFFERENCES`] with what AWS documents; a difference that
//! goes away fails the test as well, so that the list stays true.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::Duration;

use idv_callback::assurance::{AttributeChange, AttributeValue, UserStatus, names};
use idv_callback::aws::{AwsConnection, CallLimits, CognitoDirectory, MessageQueue, SqsQueue, StoredSecret};
use idv_callback::clock::SystemClock;
use idv_callback::config::SecretSource;
use idv_callback::ports::{
    CallbackQueue, DeadLetters, DirectoryError, KeyStore as _, OutgoingMessage, QueueError, ReceivedMessage,
    Redelivery, UserDirectory,
};
use idv_callback::verification::{PoolId, UserReference, Username};
use idvctl::embedded::{LocalQueues, QueueSettings, SignUp, UserPool};
use idvctl::ports::MessageSource;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::aws_endpoint::{AwsEndpoint, environment};
use crate::support::emulator::Emulator;
use crate::support::world::RING;

/// Where ministack 1.5.33 differs, with the page that says what AWS does.
const DIFFERENCES: [(&str, &str); 3] = [
    (
        "a confirmed user cannot be confirmed again",
        "AdminConfirmSignUp answers NotAuthorizedException, \"User cannot be confirmed. Current status is CONFIRMED\" \
         (API reference, AdminConfirmSignUp, Errors)",
    ),
    (
        "an attribute that the schema has not is refused",
        "InvalidParameterException (API reference, AdminUpdateUserAttributes; developer guide, \"Custom attributes\": \
         an attribute must be in the pool's schema)",
    ),
    (
        "of a write that is refused, nothing is written",
        "follows from the rule above: the write is not refused",
    ),
];

#[derive(Default)]
struct Verdicts(BTreeSet<&'static str>);

impl Verdicts {
    fn rule(&mut self, name: &'static str, holds: bool) {
        if !holds {
            self.0.insert(name);
        }
    }
}

/// The settings that both worlds are made with.
const VISIBILITY: Duration = Duration::from_secs(30);
const RECEIVES: u32 = 3;

fn message(group: &str, id: &str) -> OutgoingMessage {
    OutgoingMessage {
        body: format!("{{\"id\":\"{id}\",\"text\":\"ä\"}}"),
        group_id: group.to_owned(),
        deduplication_id: id.to_owned(),
        attributes: BTreeMap::from([("kept".to_owned(), "yes".to_owned())]),
    }
}

fn ids(messages: &[ReceivedMessage]) -> Vec<String> {
    messages
        .iter()
        .map(|message| {
            serde_json::from_str::<Value>(&message.body).unwrap()["id"].as_str().unwrap().to_owned()
        })
        .collect()
}

/// Receives until something comes, or not for a while.
async fn receive<Q: MessageSource>(queue: &Q) -> Vec<ReceivedMessage> {
    queue.receive(10).await.unwrap()
}

async fn check_queue<Q, D>(callbacks: &Q, dead_letters: &Q, both: &D) -> Verdicts
where
    Q: CallbackQueue + MessageSource + Redelivery,
    D: DeadLetters + Redelivery,
{
    let mut verdicts = Verdicts::default();
    for (group, id) in [("a", "a1"), ("b", "b1"), ("a", "a2"), ("a", "a1"), ("a", "a3")] {
        callbacks.send(message(group, id)).await.unwrap();
    }
    let first = receive(callbacks).await;
    let of_group = |messages: &[ReceivedMessage], group: &str| {
        let own: Vec<_> = messages.iter().filter(|message| message.group_id == group).cloned().collect();
        ids(&own)
    };
    verdicts.rule("a message with a deduplication id that came before is dropped", first.len() == 4);
    verdicts.rule("messages of a group come in order", of_group(&first, "a") == ["a1", "a2", "a3"]);
    verdicts.rule("groups are independent", of_group(&first, "b") == ["b1"]);
    verdicts.rule("the first receive counts one", first.iter().all(|message| message.attempt == 1));
    verdicts.rule("attributes come back", first.iter().all(|message| message.attributes["kept"] == "yes"));

    callbacks.send(message("a", "a4")).await.unwrap();
    callbacks.send(message("c", "c1")).await.unwrap();
    let second = receive(callbacks).await;
    verdicts.rule("a group with a message in flight waits, and no other does", ids(&second) == ["c1"]);

    for message in first.iter().chain(&second).filter(|message| message.group_id != "a") {
        callbacks.delete(&message.handle).await.unwrap();
    }
    for message in first.iter().filter(|message| message.group_id == "a") {
        both.delay(&message.handle, Duration::ZERO).await.unwrap();
    }
    let third = receive(callbacks).await;
    verdicts.rule("what comes back keeps its order", ids(&third) == ["a1", "a2", "a3", "a4"]);
    verdicts.rule("what comes back counts on", third.iter().take(3).all(|message| message.attempt == 2));

    let stale = callbacks.delete(&first[0].handle).await;
    let delayed = callbacks.delay("no-such-handle", Duration::from_secs(1)).await;
    verdicts.rule("a handle that never was is refused", matches!(delayed, Err(QueueError::NotInFlight(_))));
    // AWS promises no error for an old handle of a message in flight again; it must not delete the message.
    drop(stale);
    for message in
        third.iter().filter(|message| !ids(std::slice::from_ref(message)).contains(&"a4".to_owned()))
    {
        both.put(
            message,
            BTreeMap::from(
                [("idv-reason", "test"), ("kept", "yes")].map(|(n, v)| (n.to_owned(), v.to_owned())),
            ),
        )
        .await
        .unwrap();
        callbacks.delete(&message.handle).await.unwrap();
    }
    let letters = receive(dead_letters).await;
    verdicts.rule("dead letters keep body, group and order", ids(&letters) == ["a1", "a2", "a3"]);
    let beside = |letter: &ReceivedMessage| {
        letter.attributes["kept"] == "yes" && letter.attributes["idv-reason"] == "test"
    };
    verdicts.rule("dead letters have a reason beside their attributes", letters.iter().all(beside));
    for letter in &letters {
        dead_letters.delete(&letter.handle).await.unwrap();
    }

    let mut receives = 0;
    let mut handle = third.last().unwrap().handle.clone();
    loop {
        both.delay(&handle, Duration::ZERO).await.unwrap();
        let again = receive(callbacks).await;
        let Some(message) = again.first() else { break };
        receives = message.attempt;
        handle.clone_from(&message.handle);
    }
    verdicts.rule("a message is received as often as the redrive policy says", receives == RECEIVES);
    let moved = receive(dead_letters).await;
    verdicts.rule("and then moved to the dead-letter queue", ids(&moved) == ["a4"]);
    verdicts
}

async fn check_users<D: UserDirectory>(directory: &D, pool: &PoolId) -> Verdicts {
    let mut verdicts = Verdicts::default();
    let user = |name: &str| UserReference { pool: pool.clone(), username: Username::new(name).unwrap() };
    let (ada, nobody) = (user("ada"), user("nobody"));
    let set = |name, value: &str| AttributeChange::Set(name, AttributeValue::new(value).unwrap());
    let ial = [set(names::IAL, "2"), set(names::IDV_EVIDENCE, "passport")];

    verdicts.rule("an unknown user is not found", matches!(directory.find(&nobody).await, Ok(None)));
    let written = directory.write(&crate::support::world::named(&nobody), &ial).await;
    verdicts.rule("an unknown user cannot be written", written == Err(DirectoryError::UserNotFound));
    let confirmed = directory.confirm(&crate::support::world::named(&nobody)).await;
    verdicts.rule("an unknown user cannot be confirmed", confirmed == Err(DirectoryError::UserNotFound));

    let found = directory.find(&ada).await.unwrap().unwrap();
    verdicts.rule("who signed up is unconfirmed", found.status == UserStatus::Unconfirmed);
    let age = idv_callback::ports::Clock::now(&SystemClock).since(found.created_at);
    verdicts.rule("the time of sign-up is known", age < Duration::from_secs(600));
    verdicts.rule(
        "an unconfirmed user can be written",
        directory.write(&crate::support::world::named(&ada), &ial).await.is_ok(),
    );
    let present = || async { directory.find(&ada).await.unwrap().unwrap().assurance.unwrap().present };
    verdicts.rule("what was written is read", present().await == [names::IAL, names::IDV_EVIDENCE]);
    directory
        .write(&crate::support::world::named(&ada), &[AttributeChange::Clear(names::IDV_EVIDENCE)])
        .await
        .unwrap();
    verdicts.rule("an empty value deletes", present().await == [names::IAL]);

    let unknown = [set(names::IDV_SESSION, "vs_1"), set("custom:unheard_of", "x")];
    let refused = directory.write(&crate::support::world::named(&ada), &unknown).await;
    verdicts.rule(
        "an attribute that the schema has not is refused",
        matches!(refused, Err(DirectoryError::Misconfigured(_))),
    );
    verdicts.rule("of a write that is refused, nothing is written", present().await == [names::IAL]);

    verdicts.rule(
        "an unconfirmed user can be confirmed",
        directory.confirm(&crate::support::world::named(&ada)).await.is_ok(),
    );
    let found = directory.find(&ada).await.unwrap().unwrap();
    verdicts.rule("who is confirmed is read as such", found.status == UserStatus::Confirmed);
    let again = directory.confirm(&crate::support::world::named(&ada)).await;
    verdicts
        .rule("a confirmed user cannot be confirmed again", matches!(again, Err(DirectoryError::Refused(_))));
    let other = UserReference { pool: PoolId::new("us-east-1_NoSuchPool").unwrap(), ..ada };
    let elsewhere = directory.find(&other).await;
    verdicts.rule(
        "an unknown pool is somebody's mistake",
        matches!(elsewhere, Err(DirectoryError::Misconfigured(_))),
    );
    verdicts
}

#[tokio::test]
async fn the_embedded_stack_keeps_the_contract() {
    let settings =
        QueueSettings { visibility: VISIBILITY, maximum_receives: RECEIVES, wait: Duration::from_millis(50) };
    let queues = LocalQueues::new(settings, SystemClock);
    let broken = check_queue(&queues.callbacks, &queues.dead_letters, &queues).await.0;
    assert_eq!(broken, BTreeSet::new());

    let pool_id = PoolId::new("us-east-1_Pool").unwrap();
    let pool = UserPool::new(pool_id.clone(), None, SystemClock);
    pool.sign_up(SignUp { username: "ada".to_owned(), ..SignUp::default() }).unwrap();
    // The embedded schema is fixed; the attribute that it must refuse is in neither list.
    assert_eq!(check_users(&pool, &pool_id).await.0, BTreeSet::new());
}

async fn queue(emulator: &Emulator, name: &str, more: Value) -> String {
    let mut attributes =
        json!({ "FifoQueue": "true", "VisibilityTimeout": VISIBILITY.as_secs().to_string() });
    attributes.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made =
        emulator.call("sqs", "CreateQueue", json!({ "QueueName": name, "Attributes": attributes })).await;
    made["QueueUrl"].as_str().unwrap().to_owned()
}

/// A pool with the assurance attributes, and the user ada in it.
async fn pool(emulator: &Emulator) -> PoolId {
    let schema: Vec<_> = idv_callback::assurance::ASSURANCE_ATTRIBUTES
        .iter()
        .map(|name| {
            let name = name.trim_start_matches("custom:");
            json!({ "Name": name, "AttributeDataType": "String", "Mutable": true })
        })
        .collect();
    let made = emulator
        .call("cognito-idp", "CreateUserPool", json!({ "PoolName": "contract", "Schema": schema }))
        .await;
    let pool = made["UserPool"]["Id"].as_str().unwrap().to_owned();
    let client = json!({ "UserPoolId": pool, "ClientName": "contract" });
    let client = emulator.call("cognito-idp", "CreateUserPoolClient", client).await;
    let sign_up = json!({
        "ClientId": client["UserPoolClient"]["ClientId"],
        "Username": "ada",
        "Password": "Correct-horse-9",
    });
    emulator.call("cognito-idp", "SignUp", sign_up).await;
    PoolId::new(&pool).unwrap()
}

#[tokio::test]
async fn an_independent_emulator_keeps_the_contract_but_for_known_differences() {
    let emulator = Emulator::start().await;
    let limits = CallLimits { attempt: Duration::from_secs(8), operation: Duration::from_secs(9) };
    let connection = AwsConnection::of_function(&environment(&emulator.url), limits).unwrap();

    let dead = queue(&emulator, "dead.fifo", json!({})).await;
    let arn = "arn:aws:sqs:us-east-1:000000000000:dead.fifo";
    let redrive = json!({ "deadLetterTargetArn": arn, "maxReceiveCount": RECEIVES }).to_string();
    let callbacks = queue(&emulator, "idv.fifo", json!({ "RedrivePolicy": redrive })).await;
    let both = MessageQueue::new(&connection, &callbacks, &dead);
    let mut broken = check_queue(&both.callbacks, &SqsQueue::new(&connection, &dead), &both).await.0;

    let pool = pool(&emulator).await;
    broken.extend(check_users(&CognitoDirectory::new(&connection), &pool).await.0);
    assert_eq!(broken, DIFFERENCES.iter().map(|(rule, _)| *rule).collect());

    let secret = json!({ "Name": "idv/key-ring", "SecretString": RING });
    emulator.call("secretsmanager", "CreateSecret", secret).await;
    let store = StoredSecret::new(&connection, &SecretSource::Secret("idv/key-ring".to_owned()));
    assert_eq!(store.fetch().await.unwrap_or_else(|error| panic!("{error}")).webhook[0].id, "wh-1");
    let store = StoredSecret::new(&connection, &SecretSource::Secret("no-such".to_owned()));
    assert!(store.fetch().await.is_err());
}

/// `idvctl dev --queue-url …`: the same code as one process against AWS, as a container would run it, with the
/// credentials that ECS gives a container; and SIGTERM.
#[tokio::test]
async fn a_process_on_aws_closes_the_loop_and_stops_when_asked() {
    use tokio::io::{AsyncBufReadExt as _, BufReader};

    let emulator = Emulator::start().await;
    let (dead, callbacks) =
        (queue(&emulator, "dead.fifo", json!({})).await, queue(&emulator, "idv.fifo", json!({})).await);
    let pool = pool(&emulator).await;
    let secret = json!({ "Name": "idv/key-ring", "SecretString": RING });
    emulator.call("secretsmanager", "CreateSecret", secret).await;
    let credentials = AwsEndpoint::answering(|_| {
        let until = "2099-01-01T00:00:00Z";
        Some((200, json!({ "AccessKeyId": "a", "SecretAccessKey": "b", "Token": "c", "Expiration": until })))
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("ring.json");
    std::fs::write(&keys, RING).unwrap();
    let mut process = Command::new(crate::support::function::program("idvctl"))
        .args(["--json", "dev", "--listen", "127.0.0.1:0", "--queue-url", &callbacks])
        .args(["--dead-letter-queue-url", &dead, "--user-pool", pool.as_str()])
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ENDPOINT_URL", &emulator.url)
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/credentials", credentials.url))
        .env("HOME", folder.path())
        .env_remove("AWS_ACCESS_KEY_ID")
        .env("IDV_KEY_RING_SECRET_ID", "idv/key-ring")
        .env("IDV_BINDING", "optional")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let first: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
    let url = format!("{}/idv-callback", first["listening"].as_str().unwrap());

    let sent = Command::new(crate::support::function::program("idvctl"))
        .args(["send", "--url", &url, "--user", "ada", "--pool", pool.as_str(), "--keys"])
        .arg(&keys)
        .output()
        .await
        .unwrap();
    assert!(sent.status.success(), "{sent:?}");
    let mut words = Vec::new();
    while !words.contains(&"applied".to_owned()) {
        let line = tokio::time::timeout(Duration::from_secs(30), lines.next_line())
            .await
            .expect("no outcome in 30 s");
        let record: Value = serde_json::from_str(&line.unwrap().unwrap()).unwrap();
        words.push(record["event"].as_str().unwrap().to_owned());
    }
    let who = json!({ "UserPoolId": pool.as_str(), "Username": "ada" });
    let user = emulator.call("cognito-idp", "AdminGetUser", who).await;
    assert_eq!(user["UserStatus"], "CONFIRMED");
    assert!(user["UserAttributes"].to_string().contains("did:blockid:"));

    let pid = process.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let status =
        tokio::time::timeout(Duration::from_secs(20), process.wait()).await.expect("it does not stop");
    assert!(status.unwrap().success());
}
