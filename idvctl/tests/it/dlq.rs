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

    // Nothing would be helped as things are, and no plan is made of nothing. The conflict is evidence: nobody named it.
    let (code, planned) = operator.json(&["plan", "--because", "T-1", "-o", "first.json"]);
    assert_eq!(
        (code, &planned["plan"], &planned["letters"], &planned["stay"]),
        (1, &json!(null), &json!(0), &json!(1))
    );
    assert_eq!(planned["evidence"], json!({ "named": {}, "stays": { "subject_conflict": 1 } }));
    assert!(!operator.folder().join("first.json").exists());

    // What cannot be helped is kept and taken away, and not before it is kept.
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let discard = ["discard", "--id", &id, "--because", "T-2", "--to", "kept.age", "--recipient", &recipient];
    let (code, proposed) = operator.json(&discard);
    assert_eq!((code, &proposed["discarded"], &proposed["letters"]), (1, &json!(0), &json!(1)));
    assert_eq!(operator.json(&["list"]).1["dead_letters"], 2, "evidence takes two");
    let approve = ["dlq", "approve", "discard.json", "--yes"];
    let own = operator.idvctl(&approve);
    assert!(String::from_utf8_lossy(&own.stderr).contains("another operator must approve it"), "{own:?}");
    let looked = operator.idvctl_as("bea", &approve[..3]);
    let shown = String::from_utf8_lossy(&looked.stdout);
    assert!(
        looked.status.code() == Some(1) && shown.contains("subject_conflict (1), because \"T-2\""),
        "{shown}"
    );
    // A list that was changed by hand could name what no archive holds.
    let proposed = operator.read("discard.json");
    std::fs::write(operator.folder().join("changed.json"), proposed.replace("subject_conflict", "bad_seal"))
        .unwrap();
    let changed = operator.idvctl_as("bea", &["dlq", "approve", "changed.json", "--yes"]);
    assert!(String::from_utf8_lossy(&changed.stderr).contains("it was changed after"), "{changed:?}");
    let unapproved = operator.idvctl(&["dlq", "discard", "--approved", "discard.json"]);
    assert_eq!(unapproved.status.code(), Some(2), "{unapproved:?}");
    assert!(operator.idvctl_as("bea", &approve).status.success());
    let again = operator.idvctl_as("bea", &approve);
    assert!(
        again.status.code() == Some(2) && String::from_utf8_lossy(&again.stderr).contains("exists"),
        "{again:?}"
    );
    let (code, discarded) = operator.json(&["discard", "--approved", "discard.json"]);
    assert_eq!((code, &discarded["discarded"]), (0, &json!(1)));
    assert_eq!(discarded["approved_by"], "arn:aws:iam::000000000000:user/bea");
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
            "not found, or held by somebody now: no-such",
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
    assert_eq!(words, ["started", "discard_proposed", "discard_approved", "discarded", "archived"]);
    let who: Vec<_> = acts.get(1..).unwrap().iter().map(|act| act["operator"].as_str().unwrap()).collect();
    let (olga, bea) = ("arn:aws:iam::000000000000:user/olga", "arn:aws:iam::000000000000:user/bea");
    assert_eq!(who, [olga, bea, olga, olga]);
    assert_eq!((&acts[3]["reason"], acts[3]["receipt_id"].is_string()), (&json!("T-2"), true));
    assert_eq!(acts[3]["approved_by"], bea);
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
    // A plan is for its maker's eyes, and is never overwritten; that is said before anything is looked at.
    let mode = std::fs::metadata(operator.folder().join("plan.json")).unwrap().permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
    let again = operator.idvctl(&["dlq", "plan", "--because", "T-3"]);
    assert!(again.status.code() == Some(2) && String::from_utf8_lossy(&again.stderr).contains("exists"));
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
        ("IDV_BINDING", "optional", "IDV_BINDING: \"optional\" and \"required\""),
        ("IDV_MINIMUM_IAL", "1", "IDV_MINIMUM_IAL: \"1\" and \"2\""),
        ("IDV_USER_POOL_IDS", "us-east-1_Other", "IDV_USER_POOL_IDS: \"us-east-1_Other\" and"),
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
    let operator = Operator { dev, held: std::sync::Mutex::default() };
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
    // Whose pools is asked of the deployed consumer, where it can be asked; and no plan is made of nothing.
    let (code, said) = on_aws(&["dlq", "plan", "--because", "T"]);
    assert!(code == 1 && said.contains("no dead letter fits; there are: no dead letters"), "{said}");
    // Queues that are the same, the wrong way round, or of two installations.
    let (callbacks, dead) = (queue(CALLBACK_QUEUE), queue(DEAD_LETTER_QUEUE));
    let same = callbacks.replace("/local/", "/000000000000/");
    for (callbacks, dead, expected) in [
        (&callbacks, &callbacks, "callback queue and dead-letter queue are the same"),
        (&callbacks, &same, "callback queue and dead-letter queue are the same"),
        (&dead, &callbacks, "the queues are the wrong way round"),
    ] {
        for command in ["list", "groups", "plan"] {
            let because: &[&str] = if command == "plan" { &["--because", "T"] } else { &[] };
            let urls = ["--queue-url", callbacks, "--dead-letter-queue-url", dead];
            let (code, said) = on_aws(&[&["dlq", command], because, &urls].concat());
            assert!(code == 2 && said.contains(expected), "{command}: {said}");
        }
    }
    assert_eq!(on_aws(&["dlq", "list", "--dead-letter-queue-url", &queue("no-such.fifo")]).0, 3);
}

/// A word that is mistyped is a mistake, and not an all-clear; a word that fits nothing is told what there is.
#[test]
fn a_typo_is_told_what_is_there() {
    let operator = Operator::new(&[]);
    operator.dev.sign_up("ada");
    let elsewhere = json!("us-east-1_Other");
    operator.post(&with_metadata(local("ada", "evt_1", 0), "cognito_user_pool", elsewhere));
    operator.dead(1);
    let age = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
    let commands: [&[&str]; 5] = [
        &["list"],
        &["groups"],
        &["plan", "--because", "T", "-o", "typo.json"],
        &["archive", "--to", "typo.age", "--recipient", age],
        &["discard", "--because", "T", "--to", "typo.age", "--recipient", age],
    ];
    for command in commands {
        let (code, said) = operator.json(&[command, &["--reason", "subject_conflct"]].concat());
        let error = said["error"].as_str().unwrap_or_default();
        assert!(code == 2 && error.contains("Did you mean subject_conflict?"), "{command:?}: {said}");
        assert!(error.contains("There are: pool_not_allowed (1)"), "{command:?}: {said}");
    }
    // A reason that exists and that no message has: an answer to who looks, and none to who wants to do something.
    for (command, code) in commands.into_iter().zip([0, 0, 1, 1, 1]) {
        let (ended, said) = operator.json(&[command, &["--reason", "bad_seal"]].concat());
        assert_eq!(ended, code, "{command:?}: {said}");
        assert_eq!(said["error"].is_string(), code == 1, "{command:?}: {said}");
    }
    assert!(!operator.folder().join("typo.json").exists() && !operator.folder().join("typo.age").exists());
    // A message that is named and is not there; a filter of a variable that is not set; a time that no clock has.
    for (command, code) in commands.into_iter().skip(2).zip([1, 1, 1]) {
        let (ended, said) =
            operator.json(&[command, &["--id", "dead-00000001", "--id", "dead-nobody"]].concat());
        let error = said["error"].as_str().unwrap_or_default();
        assert!(ended == code && error.contains("not found, or held by somebody now: dead-nobody"), "{said}");
        let (ended, said) = operator.json(&[command, &["--group", ""]].concat());
        assert!(ended == 2 && said["error"].as_str().unwrap().contains("must not be blank"), "{said}");
    }
    assert_eq!(operator.json(&["list", "--expiring-within", "300000000000000"]).1["dead_letters"], 1);
    assert_eq!(operator.json(&["list"]).1["dead_letters"], 1);
    // A ticket says something.
    for command in ["plan", "discard"] {
        let (code, said) = operator.json(&[command, "--because", " ", "--id", "x"]);
        assert!(code == 2 && said["error"].as_str().unwrap().contains("must not be blank"), "{said}");
    }
    // Completion knows the reasons.
    let bash = operator.idvctl_alone(&["completions", "bash"]);
    let script = String::from_utf8(bash.stdout).unwrap();
    assert!(
        script.contains("\"subject_conflict\"") || script.contains("subject_conflict "),
        "completion knows the reasons"
    );
}

/// Evidence leaves only when it is named, with whatever else is asked for.
#[tokio::test]
async fn evidence_moves_only_when_it_is_named() {
    let operator = Operator::new(&[]);
    for n in 0..3 {
        let name = format!("user{n}");
        operator.dev.sign_up(&name);
        operator.put_as(&local(&name, &format!("evt_{n}"), n), "subject_conflict").await;
    }
    operator.dev.sign_up("ada");
    operator.put(&local("ada", "evt_ada", 0)).await;
    for filter in [&[][..], &["--newer-than", "1h"], &["--status", "approved"], &["--contains", "evt_"]] {
        let (code, planned) = operator.json(&[&["plan", "--because", "T", "--dry-run"], filter].concat());
        assert_eq!((code, &planned["letters"]), (0, &json!(1)), "{filter:?}: {planned}");
        assert_eq!(planned["evidence"]["stays"], json!({ "subject_conflict": 3 }), "{filter:?}");
    }
    let (code, said) = operator.json(&["plan", "--because", "T", "--session", "vs_nobody"]);
    assert!(code == 1 && said["error"].as_str().unwrap().contains("no dead letter fits"), "{said}");
    let named = ["plan", "--because", "T", "--dry-run", "--reason", "subject_conflict"];
    let (code, planned) = operator.json(&named);
    assert_eq!((code, &planned["letters"]), (0, &json!(3)));
    assert_eq!(planned["evidence"]["named"], json!({ "subject_conflict": 3 }), "and it says so");
    let text = operator.idvctl(&[&["dlq"], &named[..]].concat());
    assert!(
        String::from_utf8_lossy(&text.stderr).contains("which you named: subject_conflict (3)"),
        "{text:?}"
    );
    assert_eq!(operator.json(&["list"]).1["dead_letters"], 4);
}

/// What was archived and dropped comes back as it was: body, group, reason; once, however often it is asked for.
#[tokio::test]
async fn an_archive_is_brought_back() {
    let operator = Operator::new(&[]);
    for n in 0..3 {
        let name = format!("user{n}");
        operator.dev.sign_up(&name);
        operator.put(&local(&name, &format!("evt_{n}"), n)).await;
    }
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let key = age::secrecy::ExposeSecret::expose_secret(&identity.to_string()).to_owned();
    std::fs::write(operator.folder().join("key.txt"), format!("# a comment\n{key}\n")).unwrap();
    let shown = |list: &Value| -> Vec<Value> {
        let letters = list["letters"].as_array().unwrap().iter();
        let mut shown: Vec<_> = letters
            .map(|letter| {
                json!([
                    letter["receipt_id"],
                    letter["reason"],
                    letter["detail"],
                    letter["group"],
                    letter["body_sha256"]
                ])
            })
            .collect();
        shown.sort_by_key(ToString::to_string);
        shown
    };
    let before = shown(&operator.json(&["list"]).1);
    let discard =
        ["discard", "--status", "approved", "--because", "T-1", "--to", "all.age", "--recipient", &recipient];
    let dry = operator.json(&[&discard[..], &["--dry-run"]].concat());
    assert_eq!((dry.0, &dry.1["reasons"]), (0, &json!({ "confirm_refused": 3 })));
    assert_eq!(operator.json(&["list"]).1["dead_letters"], 3, "a dry run changes nothing");
    assert_eq!(operator.json(&discard).1["discarded"], 3);
    assert_eq!(operator.json(&["list"]).1["dead_letters"], 0);

    let restore = ["restore", "all.age", "--identity", "key.txt", "--because", "T-2"];
    assert_eq!(operator.json(&[&restore[..], &["--dry-run"]].concat()).1["letters"], 3);
    let (code, one) = operator.json(&[&restore[..], &["--contains", "evt_1"]].concat());
    assert_eq!((code, &one["restored"], &one["there"]), (0, &json!(1), &json!(0)));
    let (code, rest) = operator.json(&restore);
    assert_eq!((code, &rest["restored"], &rest["there"]), (0, &json!(2), &json!(1)));
    assert_eq!(operator.json(&restore).1["restored"], 0, "what is there is not doubled");
    // What somebody holds is there, too: nothing is concluded from what cannot be seen.
    operator.hold_dead_letters().await;
    let (code, held) = operator.json(&restore);
    assert!(
        code == 1 && held["error"].as_str().unwrap().contains("not every dead letter can be seen"),
        "{held}"
    );
    operator.release_dead_letters().await;
    assert_eq!(shown(&operator.json(&["list"]).1), before);
    // And ends as it would have.
    operator.json(&["plan", "--because", "T-3"]);
    let (code, applied) = operator.json(&["apply", "plan.json", "--rate", "50"]);
    assert_eq!((code, &applied["became"]), (0, &json!({ "applied as forecast": 3 })), "{applied}");

    // A file that was changed, and a key that is not one of its own.
    let mut bytes = std::fs::read(operator.folder().join("all.age")).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(operator.folder().join("changed.age"), bytes).unwrap();
    let other = age::x25519::Identity::generate().to_string();
    let other = age::secrecy::ExposeSecret::expose_secret(&other).to_owned();
    std::fs::write(operator.folder().join("other.txt"), other).unwrap();
    for (file, key) in [("changed.age", "key.txt"), ("all.age", "other.txt")] {
        let (code, said) = operator.json(&["restore", file, "--identity", key, "--because", "T"]);
        assert!(code == 2 && said["error"].is_string(), "{file} {key}: {said}");
        assert!(!said.to_string().contains("AGE-SECRET"), "{said}");
    }
}

/// By message id, receipt or event id: what happened, what it means, the user's record, what would become of it, what to do.
#[test]
fn one_dead_letter_is_explained_to_a_person() {
    let operator = Operator::new(&[]);
    operator.dev.sign_up("CANARY-ada");
    operator.post(&local("CANARY-ada", "evt_1", 0));
    operator.dev.confirmed("CANARY-ada");
    let other = with(local("CANARY-ada", "evt_2", 10), "blockid_sub", json!("did:CANARY"));
    operator.post(&with(other, "session_id", json!("vs_2")));
    operator.dead(1);
    let listed = operator.json(&["list"]).1["letters"][0].clone();
    let ids = [&listed["message_id"], &listed["receipt_id"], &listed["event"]["event_id"]];
    let audit = operator.idvctl(&["--json", "watch", "--back", "60", "--for", "1", "--event", "applied"]);
    let applied: Value = serde_json::from_slice(&audit.stdout).unwrap();
    let shown = ids.map(|id| operator.json(&["show", id.as_str().unwrap()]));
    for (code, shown) in &shown {
        assert_eq!(
            (code, &shown["reason"], &shown["evidence"]),
            (&0, &json!("subject_conflict"), &json!(true))
        );
        assert_eq!(shown["forecast"], "dead again: subject_conflict");
        assert_eq!(shown["user"]["user"], applied["user"], "the pseudonym is the audit log's");
        assert_eq!((&shown["user"]["ial"], &shown["user"]["idv_status"]), (&json!(2), &json!("approved")));
        assert!(shown["next"].as_str().unwrap().starts_with("idvctl dlq archive --id "));
    }
    let text = operator.idvctl_in(&[("COLUMNS", "60")], &["dlq", "show", ids[1].as_str().unwrap()]);
    let text = String::from_utf8(text.stdout).unwrap();
    for line in ["means         the user is proofed as somebody else already", "sent back     0"] {
        assert!(text.contains(line), "{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
    assert!(!format!("{shown:?}{text}").contains("CANARY"), "{text}");
    let (code, nothing) = operator.json(&["show", "evt_nobody"]);
    assert!(code == 1 && nothing["error"].as_str().unwrap().contains("no dead letter has this"), "{nothing}");
}

/// A list that is cut says so, and how to go on; no letter is shown twice or left out.
#[tokio::test]
async fn a_list_that_is_cut_says_so() {
    let operator = Operator::new(&[]);
    for n in 0..7 {
        operator.put(&local(&format!("user{n}"), &format!("evt_{n}"), n)).await;
    }
    let (_, first) = operator.json(&["list", "--limit", "3"]);
    assert_eq!((&first["dead_letters"], &first["shown"], &first["more"]), (&json!(7), &json!(3), &json!(4)));
    let (mut pages, mut cursor, mut seen) = (1, first["next_cursor"].clone(), ids_of(&first));
    while let Some(place) = cursor.as_str() {
        let (_, page) = operator.json(&["list", "--limit", "3", "--cursor", place]);
        seen.extend(ids_of(&page));
        cursor = page["next_cursor"].clone();
        pages += 1;
    }
    let all = operator.json(&["list", "--all"]).1;
    assert_eq!((pages, &seen, &all["more"]), (3, &ids_of(&all), &json!(0)));
    let text = String::from_utf8(operator.idvctl(&["dlq", "list", "--limit", "3"]).stdout).unwrap();
    assert!(text.contains("7 dead letters, 3 shown\n4 more: --all, --limit N, or --cursor "), "{text}");
    // In 60 columns nothing is cut off and nothing runs over; around nothing there is no frame.
    let narrow = operator.idvctl_in(&[("COLUMNS", "60")], &["dlq", "list", "--limit", "3"]);
    let narrow = String::from_utf8(narrow.stdout).unwrap();
    let listing = narrow.lines().take_while(|line| !line.starts_with("4 more"));
    assert!(listing.clone().all(|line| line.chars().count() <= 60), "{narrow}");
    assert!(ids_of(&first).iter().all(|id| narrow.contains(id)), "{narrow}");
    let none = operator.idvctl(&["dlq", "list", "--reason", "bad_seal"]);
    let none = String::from_utf8(none.stdout).unwrap();
    assert_eq!(none, "0 dead letters, 0 shown\nthere are: confirm_refused (7)\n");
}

fn ids_of(list: &Value) -> Vec<String> {
    let letters = list["letters"].as_array().unwrap().iter();
    letters.map(|letter| letter["message_id"].as_str().unwrap().to_owned()).collect()
}

/// What happens is shown as it happens, once each, and nothing else than what was asked for.
#[test]
fn what_happens_can_be_watched() {
    let operator = Operator::listening(&["--audit-log", "audit.jsonl"]);
    operator.dev.sign_up("ada");
    operator.post(&local("ada", "evt_0", 0));
    operator.dev.confirmed("ada");
    let watches = [
        operator.start(&["watch", "--event", "quarantined", "--most", "2", "--for", "20"]),
        operator.start_alone(&[
            "watch",
            "audit.jsonl",
            "--event",
            "quarantined",
            "--most",
            "2",
            "--for",
            "20",
        ]),
        operator.start(&["dlq", "watch", "--most", "2", "--for", "20"]),
    ];
    // They begin with what happens from now on.
    std::thread::sleep(std::time::Duration::from_secs(1));
    for n in 1..3 {
        let elsewhere = json!("us-east-1_Other");
        operator.post(&with_metadata(local("ada", &format!("evt_{n}"), n), "cognito_user_pool", elsewhere));
    }
    for watch in watches {
        let told = watch.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&told.stdout);
        let lines: Vec<_> = text.lines().filter(|line| line.contains("IDV2101 quarantined rcpt_")).collect();
        assert_eq!(
            (lines.len(), lines[0] == lines[1]),
            (2, false),
            "{text}{}",
            String::from_utf8_lossy(&told.stderr)
        );
        assert!(!text.contains("IDV1001"), "{text}");
    }
    let typo = operator.idvctl(&["watch", "--event", "quarantine"]);
    assert_eq!(typo.status.code(), Some(2));
}
