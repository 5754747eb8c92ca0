//! The command line as its users meet it: what it prints, and how it ends.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::dev::{Dev, SECRET, exchange};
use crate::support::world::{RING, approval};

/// `idvctl` in a folder that has the ring of the tests.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("idv-keys.json"), RING).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn idvctl(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_idvctl"))
            .args(arguments)
            .current_dir(self.0.path())
            .env_remove("IDV_KEY_RING_FILE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that does not read its input may have ended before.
        let _unread = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn json(&self, arguments: &[&str], input: &str) -> (i32, Value) {
        let output = self.idvctl(&[&["--json"], arguments].concat(), input);
        let text = String::from_utf8(output.stdout).unwrap();
        let value = serde_json::from_str(&text).unwrap_or_else(|error| {
            panic!("{arguments:?}: {error}: {text}{}", String::from_utf8_lossy(&output.stderr))
        });
        (output.status.code().unwrap(), value)
    }

    /// A captured request: header lines, an empty line, the body.
    fn capture(&self, headers: &[(&str, String)], body: &str) -> &'static str {
        let head: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        std::fs::write(
            self.path("captured.http"),
            format!("POST /idv-callback HTTP/1.1\r\n{head}\r\n{body}"),
        )
        .unwrap();
        "captured.http"
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn the_demo_keeps_its_promises() {
    let folder = Folder::new();
    let (code, demo) = folder.json(&["demo"], "");
    assert_eq!(code, 0);
    assert_eq!(demo["as_promised"], true);
    let outcomes: Vec<_> =
        demo["steps"].as_array().unwrap().iter().map(|step| (&step["answer"], &step["outcome"])).collect();
    let expected = [
        (json!("These details cannot be used to sign up."), json!("sign_up_refused")),
        (json!("UNCONFIRMED"), json!("session_opened")),
        (json!("UNCONFIRMED"), json!("session_opened")),
        (json!(401), Value::Null),
        (json!(202), json!("applied")),
        (json!(202), Value::Null),
        (json!(202), json!("superseded")),
        (json!(202), json!("recorded")),
        (json!(202), json!("noted")),
        (json!(202), json!("sender_test")),
        (json!(202), json!("quarantined")),
        (json!("tokens"), json!("step_up_passed")),
        (json!("NotAuthorizedException"), json!("step_up_refused")),
        (json!("NotAuthorizedException"), json!("step_up_refused")),
        (json!("NotAuthorizedException"), json!("step_up_refused")),
    ];
    assert_eq!(outcomes, expected.iter().map(|(answer, outcome)| (answer, outcome)).collect::<Vec<_>>());
    assert_eq!(demo["audit"]["sound"], true);
    assert!(demo["audit"]["accepted"].as_u64().unwrap() >= 4, "{}", demo["audit"]);
    assert_eq!(demo["dead_letters"][0]["reason"], "subject_conflict");
    assert_eq!(demo["users"][0]["attributes"]["custom:ial"], "2");
    let people = folder.idvctl(&["demo"], "");
    assert!(text(&people.stdout).contains("Every outcome is as promised."));
}

#[test]
fn sign_verify_and_a_real_receiver_agree() {
    let folder = Folder::new();
    let body = approval("ada", "evt_1", 0).to_string();
    for profile in ["standard-webhooks", "timestamped", "body-only"] {
        let (code, signed) = folder.json(&["sign", "--profile", profile, "--id", "msg_1"], &body);
        assert_eq!(code, 0);
        let headers = signed["headers"].as_object().unwrap();
        let headers: Vec<_> =
            headers.iter().map(|(n, v)| (n.as_str(), v.as_str().unwrap().to_owned())).collect();
        let file = folder.capture(&headers, &body);
        let (code, verdict) = folder.json(&["verify", file, "--profile", profile], "");
        assert_eq!((code, &verdict["key_id"]), (0, &json!("wh-1")), "{profile}");
        let file = folder.capture(&headers, &format!("{body} "));
        let (code, verdict) = folder.json(&["verify", file, "--profile", profile], "");
        assert_eq!((code, &verdict["cause"]), (1, &json!("no_key_matches")), "{profile}");
    }
}

#[test]
fn a_lambda_event_is_a_captured_request_too() {
    let folder = Folder::new();
    let event = crate::support::function::signed_event(b"{}");
    std::fs::write(folder.path("event.json"), event.to_string()).unwrap();
    let (code, verdict) = folder.json(&["verify", "event.json"], "");
    assert_eq!((code, &verdict["authentic"]), (0, &json!(true)));
    let (code, verdict) = folder.json(&["verify", "event.json", "--at", "2020-01-01T00:00:00Z"], "");
    assert_eq!((code, &verdict["cause"]), (1, &json!("too_new")));
}

/// Signs as a sender would that makes this mistake; `explain` names it.
#[test]
fn the_mistakes_of_senders_are_explained() {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
    use idv_callback::secret::hmac_sha256;

    let folder = Folder::new();
    let body = r#"{"event_id":"evt_1","name":"Åsa","list":[1,2]}"#;
    let key = STANDARD.decode(SECRET.trim_start_matches("whsec_")).unwrap();
    let example = STANDARD.decode("C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap();
    let mac = |key: &[u8], signed: &str| hmac_sha256(key, &[signed.as_bytes()]).to_bytes();
    let base64 = |tag: [u8; 32]| format!("v1,{}", STANDARD.encode(tag));
    let hex = |tag: [u8; 32]| tag.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let now = 1_795_341_600_i64;
    let signed = |body: &str| format!("msg_1.{now}.{body}");
    let spaced = r#"{"event_id": "evt_1", "name": "\u00c5sa", "list": [1, 2]}"#;
    let pretty = "{\n  \"event_id\": \"evt_1\",\n  \"name\": \"Åsa\",\n  \"list\": [\n    1,\n    2\n  ]\n}";
    let sorted = r#"{"event_id":"evt_1","list":[1,2],"name":"Åsa"}"#;
    let seconds = now.to_string();
    let millis = (now * 1000).to_string();

    let table: Vec<(&str, &str, String)> = vec![
        ("reserialised_json", &seconds, base64(mac(&key, &signed(spaced)))),
        ("reserialised_json", &seconds, base64(mac(&key, &signed(pretty)))),
        ("reserialised_json", &seconds, base64(mac(&key, &signed(sorted)))),
        ("trailing_newline", &seconds, base64(mac(&key, &signed(&format!("{body}\n"))))),
        ("empty_body", &seconds, base64(mac(&key, &signed("")))),
        ("hex_for_base64", &seconds, format!("v1,{}", hex(mac(&key, &signed(body))))),
        ("base64_form", &seconds, format!("v1,{}", STANDARD_NO_PAD.encode(mac(&key, &signed(body))))),
        ("truncated_signature", &seconds, format!("v1,{}", STANDARD.encode(&mac(&key, &signed(body))[..16]))),
        ("milliseconds", &millis, base64(mac(&key, &format!("msg_1.{millis}.{body}")))),
        ("milliseconds", &seconds, base64(mac(&key, &format!("msg_1.{millis}.{body}")))),
        ("key_not_decoded", &seconds, base64(mac(SECRET.as_bytes(), &signed(body)))),
        ("key_not_decoded", &seconds, base64(mac(&SECRET.as_bytes()[6..], &signed(body)))),
        ("test_key", &seconds, base64(mac(&example, &signed(body)))),
        ("old_key", &seconds, base64(mac(b"an-old-webhook-key-of-32-letters", &signed(body)))),
        ("wrong_key", &seconds, base64(mac(b"seal-seal-seal-seal-seal-seal-32", &signed(body)))),
        ("wrong_separator", &seconds, base64(mac(&key, &format!("msg_1:{now}:{body}")))),
        ("wrong_separator", &seconds, base64(mac(&key, &format!("msg_1{now}{body}")))),
        ("wrong_order", &seconds, base64(mac(&key, &format!("{now}.msg_1.{body}")))),
        ("body_only", &seconds, base64(mac(&key, body))),
        ("no_id", &seconds, base64(mac(&key, &format!("{now}.{body}")))),
    ];
    let old = r#""webhook": [ { "id": "wh-0", "secret": "an-old-webhook-key-of-32-letters", "not_after": "2026-01-01T00:00:00Z" }, "#;
    std::fs::write(folder.path("idv-keys.json"), RING.replace(r#""webhook": [ "#, old)).unwrap();
    for (mistake, timestamp, signature) in table {
        let headers = [
            ("webhook-id", "msg_1".to_owned()),
            ("webhook-timestamp", timestamp.to_owned()),
            ("webhook-signature", signature),
        ];
        let (code, explained) = folder.json(&["explain", folder.capture(&headers, body)], "");
        let codes: Vec<_> =
            explained["mistakes"].as_array().unwrap().iter().map(|m| m["code"].clone()).collect();
        assert_eq!(codes, [json!(mistake)], "{explained}");
        assert_eq!(code, 0);
        assert_eq!(explained["key_id"].is_null(), mistake == "test_key");
    }

    let good = base64(mac(&key, &signed(body)));
    let headers = |signature: &str| {
        [
            ("webhook-id", "msg_1".to_owned()),
            ("webhook-timestamp", seconds.clone()),
            ("webhook-signature", signature.to_owned()),
        ]
    };
    let (code, nothing) = folder.json(&["explain", folder.capture(&headers(&good), body)], "");
    assert_eq!((code, &nothing["authentic"]), (0, &json!(true)));
    let stranger = base64(mac(b"nobody knows this key at all, no", &signed(body)));
    let (code, nothing) = folder.json(&["explain", folder.capture(&headers(&stranger), body)], "");
    assert_eq!((code, &nothing["explained"]), (1, &json!(false)));
    let late = ["explain", folder.capture(&headers(&good), body), "--at", "2026-11-22T11:00:00Z"];
    let (code, explained) = folder.json(&late, "");
    assert_eq!((code, &explained["mistakes"][0]["code"]), (0, &json!("too_old")));
    let missing = [("x-signature", good)];
    let (code, explained) = folder.json(&["explain", folder.capture(&missing, body)], "");
    assert_eq!((code, &explained["mistakes"][0]["code"]), (0, &json!("no_field")));
}

#[test]
fn keys_are_made_private_and_shown_without_secrets() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    let made = folder.idvctl(&["keys", "new", "-o", "ring.json"], "");
    assert!(made.status.success());
    let mode = std::fs::metadata(folder.path("ring.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let ring: Value = serde_json::from_slice(&std::fs::read(folder.path("ring.json")).unwrap()).unwrap();
    let shown = folder.idvctl(&["keys", "show", "ring.json"], "");
    assert!(shown.status.success());
    for purpose in ["webhook", "seal", "binding"] {
        let key = &ring[purpose][0];
        assert!(text(&shown.stdout).contains(key["id"].as_str().unwrap()), "{}", text(&shown.stdout));
        assert!(text(&shown.stdout).contains("0 days ago"));
        assert!(!text(&shown.stdout).contains(&key["secret"].as_str().unwrap()[6..]));
    }
    let (_, listed) = folder.json(&["keys", "show", "ring.json"], "");
    assert_eq!(listed["keys"].as_array().unwrap().len(), 4);
    let again = folder.idvctl(&["keys", "new", "-o", "ring.json"], "");
    assert_eq!(again.status.code(), Some(2), "a ring is never overwritten");
}

#[test]
fn mistakes_of_usage_end_with_2_and_what_cannot_be_reached_with_3() {
    let folder = Folder::new();
    std::fs::write(folder.path("bad.json"), RING.replace(SECRET, "CANARY")).unwrap();
    std::fs::write(folder.path("no-request"), "hello").unwrap();
    for (arguments, code, complaint) in [
        (vec!["nonsense"], 2, "unrecognized subcommand"),
        (vec!["send", "--profile", "rot13"], 2, "standard-webhooks"),
        (vec!["send", "--url", "ftp://x/"], 2, "http://"),
        (vec!["send", "--key", "wh-9"], 2, "the key ring has wh-1"),
        (vec!["send", "--occurred-at", "today"], 2, "RFC 3339"),
        (vec!["send", "--url", "http://127.0.0.1:9/"], 3, "127.0.0.1:9"),
        (vec!["verify", "no-such-file"], 2, "no-such-file"),
        (vec!["verify", "no-request"], 2, "neither an HTTP message"),
        (vec!["keys", "show", "bad.json"], 2, "at least 24"),
        (vec!["dev", "--listen", "0.0.0.0:0"], 2, "--public"),
        (vec!["dev", "--pool", "x"], 2, "user pool id"),
        (vec!["dev", "--queue-url", "https://x/q.fifo"], 2, "--user-pool"),
    ] {
        let output = folder.idvctl(&arguments, "");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(complaint), "{arguments:?}: {said}");
        assert!(!said.contains("CANARY"));
    }
    let help = folder.idvctl(&["--help"], "");
    assert!(text(&help.stdout).contains("Exit codes: 0 done"));
    let completions = folder.idvctl(&["completions", "bash"], "");
    assert!(text(&completions.stdout).contains("_idvctl"));
}

#[test]
fn dev_receives_settles_and_shows() {
    let dev = Dev::start(&[]);
    let folder = Folder::new();
    let url = format!("{}/idv-callback", dev.url);
    let send = |more: &[&str]| {
        let arguments = [&["send", "--url", &url, "--pool", &dev.pool], more].concat();
        folder.json(&arguments, "")
    };
    dev.sign_up("ada");
    let (code, sent) = send(&["--user", "ada"]);
    assert_eq!((code, &sent["answers"]["202"]), (0, &json!(1)), "{sent}");
    let user = dev.confirmed("ada");
    assert_eq!(user["attributes"]["custom:idv_status"], "approved");
    assert_eq!(user["username"], "ada");

    // Another subject for the same user is a conflict, and stands among the dead letters.
    assert_eq!(send(&["--user", "ada", "--subject", "did:other"]).0, 0);
    let start = Instant::now();
    let letters = loop {
        let (status, letters) = dev.local("GET", "/_local/dead-letters", "");
        assert_eq!(status, 200);
        if letters.as_array().is_some_and(|letters| !letters.is_empty()) {
            break letters;
        }
        assert!(start.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(letters[0]["reason"], "subject_conflict");

    // Many at a time; and a forged one.
    let (code, many) =
        send(&["--user", "user{n}", "--status", "declined", "--count", "50", "--concurrency", "8"]);
    assert_eq!((code, &many["answers"]["202"]), (0, &json!(50)));
    assert!(many["milliseconds"]["p95"].is_u64());
    let forged = exchange(
        dev.url.trim_start_matches("http://"),
        b"POST /idv-callback HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
          webhook-id: m\r\nwebhook-timestamp: 1\r\nwebhook-signature: v1,AAAA\r\ncontent-length: 2\r\n\r\n{}",
    );
    assert!(forged.starts_with("HTTP/1.1 401"), "{forged}");
    assert!(forged.contains("application/problem+json"));

    // The embedded pool keeps Cognito's rules.
    for (body, status) in [
        (r#"{"username":"ada"}"#, 409),
        (r#"{"username":"a b"}"#, 400),
        (r#"{"username":"eve","attributes":{"custom:unheard_of":"x"}}"#, 400),
        (r#"{"name":"eve"}"#, 400),
        (r#"{"username":"eve","attributes":{"email":"eve@example.com"}}"#, 201),
    ] {
        assert_eq!(dev.local("POST", "/_local/users", body).0, status, "{body}");
    }
    assert_eq!(dev.local("GET", "/_local/users/nobody", "").0, 404);
    assert_eq!(dev.local("GET", "/_local/nonsense", "").0, 404);
    assert_eq!(dev.local("GET", "/idv-callback", "").0, 405);
}

/// The example that `dev` prints is pasted into a shell, and works.
#[test]
fn the_printed_curl_call_works() {
    let folder = Folder::new();
    let mut child = Command::new(env!("CARGO_BIN_EXE_idvctl"))
        .args(["dev", "--listen", "127.0.0.1:0"])
        .current_dir(folder.0.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let mut script = String::new();
    while !script.contains("_local/users/ada") {
        let line = lines.next().unwrap().unwrap();
        if !line.starts_with("listening") {
            script = format!("{script}{line}\n");
        }
    }
    std::thread::spawn(move || lines.for_each(drop));
    let script = script.replace("\ncurl -s http://127.0.0.1", "\nsleep 1\ncurl -s http://127.0.0.1");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    child.kill().and_then(|()| child.wait()).unwrap();
    assert!(text(&output.stdout).contains("CONFIRMED"), "{}{}", text(&output.stdout), text(&output.stderr));
}

/// SIGTERM: what is under way ends, and the process says so.
#[test]
fn dev_stops_when_asked() {
    let mut dev = Dev::start(&[]);
    dev.sign_up("ada");
    let pid = dev.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let start = Instant::now();
    let status = loop {
        if let Some(status) = dev.child.try_wait().unwrap() {
            break status;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "it does not stop");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(status.success());
    assert!(Path::new(&dev.folder.path().join("ring.json")).exists());
}

#[test]
fn a_ring_is_changed_one_key_at_a_time_and_never_left_without_one() {
    let folder = Folder::new();
    std::fs::write(folder.path("agreed.txt"), format!("{SECRET}\n")).unwrap();
    let done = folder.idvctl(&["keys", "add", "webhook", "--id", "wh-2", "--secret-file", "agreed.txt"], "");
    assert_eq!(String::from_utf8_lossy(&done.stdout), "idv-keys.json: webhook key wh-2 added\n");
    assert_eq!(folder.idvctl(&["keys", "add", "seal"], "").status.code(), Some(0));
    let (_, listed) = folder.json(&["keys", "show"], "");
    let ids: Vec<_> =
        listed["keys"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap()).collect();
    // A new seal key comes first: it is the one that seals from now on.
    assert_eq!((&ids[..2], ids[3]), (&["wh-1", "wh-2"][..], "seal-1"));
    assert!(ids[2].starts_with("seal-20"), "{ids:?}");
    let (mode, ring) =
        (folder.path("idv-keys.json").metadata().unwrap().permissions(), folder.path("idv-keys.json"));
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);

    let expire = ["keys", "expire", "wh-1", "--at", "2026-12-01T00:00:00Z"];
    assert_eq!(folder.idvctl(&expire, "").status.code(), Some(0));
    assert!(std::fs::read_to_string(&ring).unwrap().contains("2026-12-01T00:00:00.000Z"));
    assert_eq!(folder.idvctl(&["keys", "remove", "wh-1"], "").status.code(), Some(0));

    // What would leave no ring is not done, and the file stays as it was.
    let before = std::fs::read_to_string(&ring).unwrap();
    for (arguments, complaint) in [
        (vec!["keys", "remove", "wh-2"], "at least one key"),
        (vec!["keys", "remove", "audit-1"], "has no key"),
        (vec!["keys", "add", "webhook", "--id", "wh-2"], "another key of this purpose has the same id"),
        (vec!["keys", "add", "webhook", "--id", "a b"], "the id must be"),
        (vec!["keys", "expire", "nobody"], "has no key"),
    ] {
        let output = folder.idvctl(&arguments, "");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(complaint), "{arguments:?}: {said}");
        assert_eq!(std::fs::read_to_string(&ring).unwrap(), before);
    }

    // Through pipes, as between two calls of the AWS CLI: the ring comes in and goes out, and nothing else does.
    let piped = folder.idvctl(&["keys", "add", "webhook", "--id", "wh-3", "--ring", "-"], &before);
    let ring =
        idv_callback::key_ring::KeyRing::parse(&piped.stdout).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(ring.webhook.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(), ["wh-2", "wh-3"]);
}

#[test]
fn the_use_of_keys_is_counted_from_logs_of_any_form() {
    let folder = Folder::new();
    let record = |key: &str, code: &str, at: &str| {
        format!(r#"{{"schema":"idv-audit/1","code":"{code}","at":"{at}","key_id":"{key}"}}"#)
    };
    let log = [
        record("wh-1", "IDV1001", "2026-11-22T10:00:00.000Z"),
        format!("2026/11/22/[1]abc {}", record("wh-2", "IDV1002", "2026-11-22T10:00:02.000Z")),
        record("wh-1", "IDV2001", "2026-11-22T10:00:03.000Z"),
        record("wh-1", "IDV1001", "2026-11-22T10:00:04.000Z"),
        "START RequestId: x {not json".to_owned(),
    ];
    let (code, used) = folder.json(&["keys", "use", "-"], &log.join("\n"));
    let expected = json!({ "keys": [
        { "key_id": "wh-1", "callbacks": 2, "first": "2026-11-22T10:00:00.000Z", "last": "2026-11-22T10:00:04.000Z" },
        { "key_id": "wh-2", "callbacks": 1, "first": "2026-11-22T10:00:02.000Z", "last": "2026-11-22T10:00:02.000Z" },
    ] });
    assert_eq!((code, used), (0, expected));
    assert_eq!(folder.json(&["keys", "use", "-"], "nothing").0, 1);
}

/// `idvctl … | head -1`: whoever has read enough closes the pipe.
#[test]
fn a_reader_that_went_away_is_no_failure() {
    let folder = Folder::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_idvctl"));
    let output = command.args(["keys", "show"]).current_dir(folder.0.path()).stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}
