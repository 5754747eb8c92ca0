//! `idvctl dlq` as its users meet it, on a running embedded stack, through AWS' own calls.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Output};

use idv_callback::aws::{AwsConnection, CallLimits, SqsQueue};
use idv_callback::local::{CALLBACK_QUEUE, DEAD_LETTER_QUEUE};
use idv_callback::ports::{CallbackQueue as _, OutgoingMessage};
use serde_json::{Value, json};

use crate::aws_endpoint::environment;
use crate::senders::Dev;
use crate::world::{World, approval, with, with_metadata};

/// A stack that runs, and what an operator types.
pub(crate) struct Desk {
    pub(crate) dev: Dev,
}

impl Desk {
    pub(crate) fn new(environment: &[(&str, &str)]) -> Self {
        Self { dev: Dev::start(environment) }
    }

    /// With more arguments to `dev`.
    pub(crate) fn listening(arguments: &[&str]) -> Self {
        Self { dev: Dev::listening(&[&["127.0.0.1:0"], arguments].concat(), &[]) }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.dev.folder.path()
    }

    pub(crate) fn idvctl(&self, arguments: &[&str]) -> Output {
        self.idvctl_as("olga", arguments)
    }

    pub(crate) fn idvctl_as(&self, who: &str, arguments: &[&str]) -> Output {
        let local = format!("--local={}", self.dev.url);
        let mut command = Command::new(env!("CARGO_BIN_EXE_idvctl"));
        command.args(arguments).args([local.as_str(), "--keys", "ring.json"]).current_dir(self.folder());
        command.env("USER", who).output().unwrap()
    }

    /// A letter that died of a fault that is mended by now: what the callback function sealed, in the dead-letter queue.
    pub(crate) async fn put(&self, callback: &Value) {
        let body = callback.to_string().into_bytes();
        let world = World::new();
        let id = callback["event_id"].as_str().unwrap();
        let answer = world.intake().answer(&world.signed(id, &body), world.deadline(10)).await;
        assert_eq!(answer.status, 202);
        let message = world.queues.callbacks.messages().pop().unwrap();
        let connection =
            AwsConnection::of_function(&environment(&self.dev.url), CallLimits::CALLBACK).unwrap();
        let queue = SqsQueue::new(&connection, &format!("{}/local/{DEAD_LETTER_QUEUE}", self.dev.url));
        let attributes = [
            ("idv-reason", "confirm_refused"),
            ("idv-detail", "AdminConfirmSignUp: UserLambdaValidationException"),
        ];
        let letter = OutgoingMessage {
            body: message.body,
            group_id: message.group_id,
            deduplication_id: id.to_owned(),
            attributes: attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        };
        queue.send(letter).await.unwrap();
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let output = self.idvctl(&[&["--json", "dlq"], arguments].concat());
        let text = String::from_utf8_lossy(&output.stdout);
        let value = serde_json::from_str(&text);
        let complaint = String::from_utf8_lossy(&output.stderr);
        (
            output.status.code().unwrap(),
            value.unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}{complaint}")),
        )
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder().join(name)).unwrap()
    }

    pub(crate) fn post(&self, callback: &Value) {
        let file = self.folder().join("callback.json");
        std::fs::write(&file, callback.to_string()).unwrap();
        let url = format!("{}/idv-callback", self.dev.url);
        let sent = Command::new(env!("CARGO_BIN_EXE_idvctl"))
            .args(["send", "--url", &url, "--keys", "ring.json", "--body", file.to_str().unwrap()])
            .current_dir(self.folder())
            .output()
            .unwrap();
        assert!(sent.status.success(), "{sent:?}");
    }

    /// Waits until so many are dead.
    pub(crate) fn dead(&self, count: u64) {
        for _ in 0..100 {
            if self.json(&["list"]).1["dead_letters"] == count {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("{count} dead letters were expected: {}", self.json(&["list"]).1);
    }
}

pub(crate) fn local(username: &str, event_id: &str, at: u32) -> Value {
    with_metadata(approval(username, event_id, at), "cognito_user_pool", json!("us-east-1_LocalPool"))
}

#[test]
fn from_the_alarm_to_the_proof_in_a_few_commands() {
    let desk = Desk::new(&[]);
    desk.dev.sign_up("CANARY-ada");
    // Two that no rule settles: a pool that is not ours, and a subject that changes.
    desk.post(&with_metadata(local("CANARY-ada", "evt_1", 0), "cognito_user_pool", json!("us-east-1_Other")));
    desk.dead(1);
    desk.post(&local("CANARY-ada", "evt_2", 10));
    let other = with(local("CANARY-ada", "evt_3", 20), "blockid_sub", json!("did:CANARY"));
    desk.post(&with(other, "session_id", json!("vs_3")));
    desk.dead(2);

    let (_, groups) = desk.json(&["groups"]);
    let prints: Vec<_> = groups["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|g| g["fingerprint"].as_str().unwrap().split(' ').next().unwrap())
        .collect();
    assert_eq!(prints, ["pool_not_allowed", "subject_conflict"]);
    let (_, listed) = desk.json(&["list", "--reason", "subject_conflict"]);
    let id = listed["letters"][0]["message_id"].as_str().unwrap().to_owned();
    let (code, shown) = desk.json(&["show", &id]);
    assert_eq!((code, &shown["reason"], &shown["replays"]), (0, &json!("subject_conflict"), &json!(0)));
    assert_eq!(desk.json(&["list"]).1["dead_letters"], 2, "looking changes nothing");

    // Nothing would be helped as things are; with the other pool on the list, one user would not be found.
    let (_, planned) = desk.json(&["plan", "--because", "T-1", "-o", "first.json"]);
    assert_eq!((&planned["letters"], &planned["stay"]), (&json!(0), &json!(2)));

    // A plan is for its maker's eyes, and is never overwritten.
    let mode = std::fs::metadata(desk.folder().join("first.json")).unwrap().permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
    let again = desk.idvctl(&["dlq", "plan", "--because", "T-1", "-o", "first.json"]);
    assert!(again.status.code() == Some(2) && String::from_utf8_lossy(&again.stderr).contains("exists"));

    // What cannot be helped is kept and taken away, and not before it is kept.
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let discard = ["discard", "--id", &id, "--because", "T-2", "--to", "kept.age", "--recipient", &recipient];
    let (code, discarded) = desk.json(&discard);
    assert_eq!((code, &discarded["discarded"]), (0, &json!(1)));
    assert_eq!(desk.json(&["list"]).1["dead_letters"], 1);
    let decryptor =
        age::Decryptor::new(std::fs::File::open(desk.folder().join("kept.age")).unwrap()).unwrap();
    let mut kept = String::new();
    decryptor
        .decrypt(std::iter::once(&identity as &dyn age::Identity))
        .unwrap()
        .read_to_string(&mut kept)
        .unwrap();
    let kept: Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(
        (&kept["message_id"], kept["attributes"]["idv-reason"].as_str()),
        (&json!(id), Some("subject_conflict"))
    );
    assert!(kept["body"].as_str().unwrap().contains("\"seal\""));
    let (code, archived) = desk.json(&["archive", "--to", "all.age", "--recipient", &recipient]);
    assert_eq!((code, &archived["letters"]), (0, &json!(1)));
    assert_eq!(desk.json(&["list"]).1["dead_letters"], 1, "an archive is a copy");
    for (arguments, complaint) in [
        (
            vec![
                "dlq",
                "discard",
                "--id",
                "no-such",
                "--because",
                "T",
                "--to",
                "x.age",
                "--recipient",
                &recipient,
            ],
            "there is no dead letter no-such",
        ),
        (
            vec![
                "dlq",
                "discard",
                "--id",
                "dead-00000001",
                "--because",
                "T",
                "--to",
                "all.age",
                "--recipient",
                &recipient,
            ],
            "exists",
        ),
        (vec!["dlq", "archive", "--to", "y.age", "--recipient", "nobody"], "must be an age recipient"),
    ] {
        let output = desk.idvctl(&arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(complaint), "{arguments:?}: {said}");
    }
    assert_eq!(desk.json(&["list"]).1["dead_letters"], 1, "nothing is deleted that is not kept");

    // Everything that was done is written down, with who and why, and nobody's name.
    let acts: Vec<Value> =
        desk.read("idv-operator-audit.jsonl").lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let words: Vec<_> = acts.iter().map(|act| act["event"].as_str().unwrap()).collect();
    assert_eq!(words, ["started", "planned", "discarded", "archived"]);
    let acts = acts.get(1..).unwrap();
    assert!(acts.iter().all(|act| act["operator"] == "arn:aws:iam::000000000000:user/olga"));
    assert_eq!((&acts[1]["reason"], acts[1]["receipt_id"].is_string()), (&json!("T-2"), true));
    assert!(!desk.read("idv-operator-audit.jsonl").contains("CANARY"));
}

#[tokio::test]
async fn a_plan_is_carried_out_and_verified_and_can_be_repeated() {
    let desk = Desk::new(&[]);
    for n in 0..8 {
        let name = format!("user{n}");
        desk.dev.sign_up(&name);
        desk.put(&local(&name, &format!("evt_{n}"), n)).await;
    }
    let (_, planned) = desk.json(&["plan", "--because", "T-3"]);
    assert_eq!(
        planned["forecasts"],
        json!([{ "forecast": "applied, confirms", "does": "is sent", "letters": 8 }])
    );
    assert_eq!((&planned["writes"], &planned["stay"]), (&json!(16), &json!(0)));
    let (code, before) = desk.json(&["verify", "plan.json", "--wait", "0"]);
    assert_eq!((code, before["not_settled"].as_array().unwrap().len()), (1, 8), "nothing was sent yet");

    let (code, applied) = desk.json(&["replay", "plan.json", "--rate", "50"]);
    assert_eq!(
        (code, &applied["ended"], &applied["sent_back"]),
        (0, &json!("complete"), &json!(8)),
        "{applied}"
    );
    for n in 0..8 {
        desk.dev.confirmed(&format!("user{n}"));
    }
    let (code, verified) = desk.json(&["verify", "plan.json"]);
    assert_eq!((code, &verified["became"]), (0, &json!({ "applied as forecast": 8 })));
    // The same command again finds everything done.
    let (code, again) = desk.json(&["apply", "plan.json"]);
    assert_eq!((code, &again["sent_back"], &again["left"]), (0, &json!(8), &json!(0)));
    let acts: Vec<Value> =
        desk.read("idv-operator-audit.jsonl").lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let redriven: Vec<_> = acts.iter().filter(|act| act["event"] == "redriven").collect();
    assert_eq!(redriven.len(), 8);
    assert!(redriven.iter().all(|act| act["plan_sha256"] == planned["digest"] && act["reason"] == "T-3"));
}

/// The consumer wants a binding, and the operator forgot to say so: the first letter tells.
#[tokio::test]
async fn a_wrong_forecast_halts_after_the_first_letter() {
    let desk = Desk::new(&[("IDV_BINDING", "required")]);
    for n in 0..4 {
        let name = format!("user{n}");
        desk.dev.sign_up(&name);
        desk.put(&local(&name, &format!("evt_{n}"), n)).await;
    }
    desk.json(&["plan", "--because", "T-4"]);
    let (code, applied) = desk.json(&["apply", "plan.json", "--wait", "3"]);
    assert_eq!((code, &applied["ended"], &applied["left"]), (1, &json!("halted"), &json!(3)), "{applied}");
    let details = applied["details"][0].as_str().unwrap();
    let expected = format!("dead again: binding_missing - {}", idv_callback::audit::CODE_VERSION);
    assert!(details.ends_with(&expected), "nothing of the first death is left in the second: {details}");
    assert_eq!(desk.json(&["list"]).1["dead_letters"], 4);
    let (_, listed) = desk.json(&["list", "--reason", "binding_missing"]);
    assert_eq!(listed["letters"][0]["replays"], 1);
}

#[test]
fn who_can_be_reached_by_others_does_not_answer_aws_calls() {
    let mut dev = Dev::listening(&["0.0.0.0:0", "--public"], &[]);
    dev.url = dev.url.replace("0.0.0.0", "127.0.0.1");
    let desk = Desk { dev };
    let looked = desk.idvctl(&["dlq", "list"]);
    assert_eq!(looked.status.code(), Some(3), "{looked:?}");
    assert!(Desk::new(&[]).idvctl(&["dlq", "list"]).status.success());
}

#[test]
fn what_is_missing_is_said() {
    let ask = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_idvctl"))
            .args(arguments)
            .env("AWS_REGION", "us-east-1")
            .output()
            .unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = ask(&["dlq", "list"]);
    assert!(code == 2 && said.contains("give --queue-url or set IDV_QUEUE_URL; or --local"), "{said}");
    let (code, said) = ask(&["dlq", "list", "--local=http://127.0.0.1:1", "--keys", "no-such.json"]);
    assert!(code == 2 && said.contains("no-such.json"), "{said}");

    // Who only looks is asked for nothing more than the queues and the ring; who plans, for the pools.
    let desk = Desk::new(&[]);
    let queue = |name: &str| format!("{}/local/{name}", desk.dev.url);
    let on_aws = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_idvctl"))
            .args(arguments)
            .args(["--keys", "ring.json"])
            .envs([("AWS_REGION", "us-east-1"), ("AWS_ENDPOINT_URL", desk.dev.url.as_str())])
            .envs([("AWS_ACCESS_KEY_ID", "olga"), ("AWS_SECRET_ACCESS_KEY", "local")])
            .env("IDV_QUEUE_URL", queue(CALLBACK_QUEUE))
            .env("IDV_DEAD_LETTER_QUEUE_URL", queue(DEAD_LETTER_QUEUE))
            .current_dir(desk.folder())
            .output()
            .unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(on_aws(&["dlq", "list"]), (0, String::new()));
    let (code, said) = on_aws(&["dlq", "plan", "--because", "T"]);
    assert!(code == 2 && said.contains("give --user-pool or set IDV_USER_POOL_IDS"), "{said}");
}
