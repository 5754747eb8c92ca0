//! `idvctl dlq` as its users meet it, on a running embedded stack, through AWS' own calls.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Command;

use idvctl::embedded::{CALLBACK_QUEUE, DEAD_LETTER_QUEUE};
use serde_json::{Value, json};

use crate::operator::{Operator, local};
use crate::support::world::{with, with_metadata};

#[test]
fn from_the_alarm_to_the_proof_in_a_few_commands() {
    let operator = Operator::new(&[]);
    operator.dev.sign_up("CANARY-ada");
    // Two that no rule settles: a pool that is not ours, and a subject that changes.
    operator.post(&with_metadata(
        local("CANARY-ada", "evt_1", 0),
        "cognito_user_pool",
        json!("us-east-1_Other"),
    ));
    operator.dead(1);
    operator.post(&local("CANARY-ada", "evt_2", 10));
    let other = with(local("CANARY-ada", "evt_3", 20), "blockid_sub", json!("did:CANARY"));
    operator.post(&with(other, "session_id", json!("vs_3")));
    operator.dead(2);

    let (_, groups) = operator.json(&["groups"]);
    let prints: Vec<_> = groups["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|g| g["fingerprint"].as_str().unwrap().split(' ').next().unwrap())
        .collect();
    assert_eq!(prints, ["pool_not_allowed", "subject_conflict"]);
    let (_, listed) = operator.json(&["list", "--reason", "subject_conflict"]);
    let id = listed["letters"][0]["message_id"].as_str().unwrap().to_owned();
    let (code, shown) = operator.json(&["show", &id]);
    assert_eq!((code, &shown["reason"], &shown["replays"]), (0, &json!("subject_conflict"), &json!(0)));
    assert_eq!(operator.json(&["list"]).1["dead_letters"], 2, "looking changes nothing");

    // Nothing would be helped as things are; with the other pool on the list, one user would not be found.
    let (_, planned) = operator.json(&["plan", "--because", "T-1", "-o", "first.json"]);
    assert_eq!((&planned["letters"], &planned["stay"]), (&json!(0), &json!(2)));

    // A plan is for its maker's eyes, and is never overwritten.
    let mode = std::fs::metadata(operator.folder().join("first.json")).unwrap().permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
    let again = operator.idvctl(&["dlq", "plan", "--because", "T-1", "-o", "first.json"]);
    assert!(again.status.code() == Some(2) && String::from_utf8_lossy(&again.stderr).contains("exists"));

    // What cannot be helped is kept and taken away, and not before it is kept.
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let discard = ["discard", "--id", &id, "--because", "T-2", "--to", "kept.age", "--recipient", &recipient];
    let (code, discarded) = operator.json(&discard);
    assert_eq!((code, &discarded["discarded"]), (0, &json!(1)));
    assert_eq!(operator.json(&["list"]).1["dead_letters"], 1);
    let decryptor =
        age::Decryptor::new(std::fs::File::open(operator.folder().join("kept.age")).unwrap()).unwrap();
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
    let (code, archived) = operator.json(&["archive", "--to", "all.age", "--recipient", &recipient]);
    assert_eq!((code, &archived["letters"]), (0, &json!(1)));
    assert_eq!(operator.json(&["list"]).1["dead_letters"], 1, "an archive is a copy");
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
            "dead letter no-such was not found",
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
        let output = operator.idvctl(&arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(complaint), "{arguments:?}: {said}");
    }
    assert_eq!(operator.json(&["list"]).1["dead_letters"], 1, "nothing is deleted that is not kept");

    // Everything that was done is written down, with who and why, and nobody's name.
    let acts: Vec<Value> =
        operator.read("idv-operator-audit.jsonl").lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let words: Vec<_> = acts.iter().map(|act| act["event"].as_str().unwrap()).collect();
    assert_eq!(words, ["started", "planned", "discarded", "archived"]);
    let acts = acts.get(1..).unwrap();
    assert!(acts.iter().all(|act| act["operator"] == "arn:aws:iam::000000000000:user/olga"));
    assert_eq!((&acts[1]["reason"], acts[1]["receipt_id"].is_string()), (&json!("T-2"), true));
    assert!(!operator.read("idv-operator-audit.jsonl").contains("CANARY"));
}

#[tokio::test]
async fn a_plan_is_carried_out_and_verified_and_can_be_repeated() {
    let operator = Operator::new(&[]);
    for n in 0..8 {
        let name = format!("user{n}");
        operator.dev.sign_up(&name);
        operator.put(&local(&name, &format!("evt_{n}"), n)).await;
    }
    let (_, planned) = operator.json(&["plan", "--because", "T-3"]);
    assert_eq!(
        planned["forecasts"],
        json!([{ "forecast": "applied, confirms", "does": "is sent", "letters": 8 }])
    );
    assert_eq!((&planned["writes"], &planned["stay"]), (&json!(16), &json!(0)));
    let (code, before) = operator.json(&["verify", "plan.json", "--wait", "0"]);
    assert_eq!((code, before["not_settled"].as_array().unwrap().len()), (1, 8), "nothing was sent yet");

    let (code, applied) = operator.json(&["replay", "plan.json", "--rate", "50"]);
    assert_eq!(
        (code, &applied["ended"], &applied["sent_back"]),
        (0, &json!("complete"), &json!(8)),
        "{applied}"
    );
    for n in 0..8 {
        operator.dev.confirmed(&format!("user{n}"));
    }
    let (code, verified) = operator.json(&["verify", "plan.json"]);
    assert_eq!((code, &verified["became"]), (0, &json!({ "applied as forecast": 8 })));
    // The same command again finds everything done.
    let (code, again) = operator.json(&["apply", "plan.json"]);
    assert_eq!((code, &again["sent_back"], &again["left"]), (0, &json!(8), &json!(0)));
    let acts: Vec<Value> =
        operator.read("idv-operator-audit.jsonl").lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let redriven: Vec<_> = acts.iter().filter(|act| act["event"] == "redriven").collect();
    assert_eq!(redriven.len(), 8);
    assert!(redriven.iter().all(|act| act["plan_sha256"] == planned["digest"] && act["reason"] == "T-3"));
}

/// The consumer wants a binding: the forecast is made by its settings, and a shell that says otherwise is refused.
#[tokio::test]
async fn the_deployed_consumer_decides_the_forecast() {
    let operator = Operator::new(&[("IDV_BINDING", "required")]);
    operator.dev.sign_up("ada");
    operator.put(&local("ada", "evt_1", 0)).await;
    let (_, planned) = operator.json(&["plan", "--because", "T-4"]);
    assert_eq!(
        (&planned["settings"]["binding"], &planned["forecasts"]),
        (
            &json!("required"),
            &json!([{ "forecast": "dead again: binding_missing", "does": "stays", "letters": 1 }])
        )
    );
    assert!(planned["settings"]["of"].as_str().unwrap().contains(":function:idv-consumer"));
    for (name, value, said) in [
        ("IDV_BINDING", "optional", "IDV_BINDING is \"optional\" here and \"required\" there"),
        ("IDV_MINIMUM_IAL", "1", "IDV_MINIMUM_IAL is \"1\" here and \"2\" there"),
        ("IDV_USER_POOL_IDS", "us-east-1_Other", "IDV_USER_POOL_IDS is \"us-east-1_Other\" here"),
    ] {
        let plan = ["dlq", "plan", "--because", "T-4", "-o", "other.json"];
        let refused = operator.idvctl_in(&[(name, value)], &plan);
        let complaint = String::from_utf8_lossy(&refused.stderr);
        assert!(refused.status.code() == Some(2) && complaint.contains(said), "{name}: {complaint}");
    }
}

/// The consumer is switched off after the first step: the second one does not end, and nobody says that it did.
#[tokio::test]
async fn what_no_consumer_settled_is_not_said_to_be_done() {
    let operator = Operator::new(&[]);
    for n in 0..8 {
        let name = format!("user{n}");
        operator.dev.sign_up(&name);
        operator.put(&local(&name, &format!("evt_{n}"), n)).await;
    }
    operator.json(&["plan", "--because", "T-5"]);
    let mut apply = operator.start(&["dlq", "apply", "plan.json", "--rate", "2", "--wait", "2"]);
    let mut told = BufReader::new(apply.stderr.take().unwrap()).lines();
    told.find(|line| line.as_ref().unwrap() == "1 of 8 sent back").expect("the first step ends").unwrap();
    operator.switch_consumer(false);
    told.for_each(drop);
    let applied = apply.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&applied.stdout);
    assert_eq!(applied.status.code(), Some(1), "{said}");
    assert!(
        said.contains("6 sent back, 2 left: the outcome of ") && said.contains("is not known yet"),
        "{said}"
    );
    assert!(said.contains("idvctl dlq verify plan.json"), "it says what to do: {said}");

    let (code, verified) = operator.json(&["verify", "plan.json", "--wait", "1"]);
    let words = verified["became"].as_object().unwrap();
    assert_eq!((code, &words["not sent"]), (1, &json!(2)), "{verified}");
    let unknown = "not known yet: the consumer's log does not name it; the callback queue has ";
    assert!(words.keys().any(|word| word.starts_with(unknown)), "{verified}");

    // It is known to be off: nothing more is sent.
    let refused = operator.idvctl(&["dlq", "apply", "plan.json"]);
    let complaint = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(1) && complaint.contains("nothing was sent"), "{complaint}");
    assert!(complaint.contains("is switched off"), "{complaint}");

    operator.switch_consumer(true);
    let (code, applied) = operator.json(&["apply", "plan.json", "--rate", "50"]);
    assert_eq!((code, &applied["became"]), (0, &json!({ "applied as forecast": 8 })), "{applied}");
    let (code, verified) = operator.json(&["verify", "plan.json"]);
    assert_eq!((code, &verified["became"]), (0, &json!({ "applied as forecast": 8 })));
}

#[test]
fn who_can_be_reached_by_others_does_not_answer_aws_calls() {
    let mut dev = crate::support::dev::Dev::listening(&["0.0.0.0:0", "--public"], &[]);
    dev.url = dev.url.replace("0.0.0.0", "127.0.0.1");
    let operator = Operator { dev };
    let looked = operator.idvctl(&["dlq", "list"]);
    assert_eq!(looked.status.code(), Some(3), "{looked:?}");
    assert!(Operator::new(&[]).idvctl(&["dlq", "list"]).status.success());
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
    let operator = Operator::new(&[]);
    let queue = |name: &str| format!("{}/local/{name}", operator.dev.url);
    let on_aws = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_idvctl"))
            .args(arguments)
            .args(["--keys", "ring.json"])
            .envs([("AWS_REGION", "us-east-1"), ("AWS_ENDPOINT_URL", operator.dev.url.as_str())])
            .envs([("AWS_ACCESS_KEY_ID", "olga"), ("AWS_SECRET_ACCESS_KEY", "local")])
            .env("IDV_QUEUE_URL", queue(CALLBACK_QUEUE))
            .env("IDV_DEAD_LETTER_QUEUE_URL", queue(DEAD_LETTER_QUEUE))
            .current_dir(operator.folder())
            .output()
            .unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(on_aws(&["dlq", "list"]), (0, String::new()));
    // The pools are the deployed consumer's, where it can be asked.
    let (code, said) = on_aws(&["dlq", "plan", "--because", "T"]);
    assert!(code == 0 && said.contains("deduplication id"), "{said}");
}
