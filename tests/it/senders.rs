//! Senders that were not written here sign and post to `idvctl dev`, and the loop closes.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::setup;
use crate::world::{RING, with_metadata};

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// `idvctl dev` on a free port, with the ring of the tests.
pub(crate) struct Dev {
    pub(crate) child: Child,
    pub(crate) url: String,
    pub(crate) pool: String,
    pub(crate) folder: tempfile::TempDir,
}

impl Drop for Dev {
    fn drop(&mut self) {
        // It may have ended already.
        let _killed = self.child.kill();
    }
}

impl Dev {
    pub(crate) fn start(environment: &[(&str, &str)]) -> Self {
        Self::listening(&["127.0.0.1:0"], environment)
    }

    pub(crate) fn listening(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("ring.json");
        std::fs::write(&keys, RING).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_idvctl"))
            .args(["--json", "dev", "--keys"])
            .arg(&keys)
            .arg("--listen")
            .args(arguments)
            .current_dir(folder.path())
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        // Somebody has to read the rest, or the pipe fills up.
        std::thread::spawn(move || lines.for_each(drop));
        let text = |name: &str| first[name].as_str().unwrap().to_owned();
        Self { child, url: text("listening"), pool: text("user_pool"), folder }
    }

    /// A request to the embedded stack's own pages.
    pub(crate) fn local(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let host = self.url.trim_start_matches("http://");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let answer = exchange(host, format!("{head}{body}").as_bytes());
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    pub(crate) fn sign_up(&self, username: &str) -> Value {
        let (status, user) =
            self.local("POST", "/_local/users", &json!({ "username": username }).to_string());
        assert_eq!(status, 201);
        assert_eq!(user["status"], "UNCONFIRMED");
        user
    }

    /// The user once they are confirmed.
    pub(crate) fn confirmed(&self, username: &str) -> Value {
        let start = Instant::now();
        loop {
            let (status, user) = self.local("GET", &format!("/_local/users/{username}"), "");
            assert_eq!(status, 200);
            if user["status"] == "CONFIRMED" {
                return user;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "{username} stays {user}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Sends the bytes, and reads all that comes back.
pub(crate) fn exchange(host: &str, request: &[u8]) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

const PYTHON_STANDARD_WEBHOOKS: &str = r#"
import sys, json, datetime, urllib.request
from standardwebhooks.webhooks import Webhook
url, secret, body = sys.argv[1:4]
now = datetime.datetime.now(tz=datetime.timezone.utc)
headers = {"webhook-id": "msg_python", "webhook-timestamp": str(int(now.timestamp())),
           "webhook-signature": Webhook(secret).sign("msg_python", now, body), "content-type": "application/json"}
print(urllib.request.urlopen(urllib.request.Request(url, body.encode(), headers)).status)
"#;

/// Stripe's own library computes the signature; the header is put together as its documentation says.
const PYTHON_STRIPE: &str = r#"
import sys, time, urllib.request
from stripe import WebhookSignature
url, secret, body = sys.argv[1:4]
now = int(time.time())
signature = WebhookSignature._compute_signature(f"{now}.{body}", secret)
headers = {"x-1kosmos-signature": f"t={now},v1={signature}", "content-type": "application/json"}
print(urllib.request.urlopen(urllib.request.Request(url, body.encode(), headers)).status)
"#;

const NODE_STANDARD_WEBHOOKS: &str = r#"
const { Webhook } = require("standardwebhooks");
const [url, secret, body] = process.argv.slice(1);
const now = new Date();
const headers = { "webhook-id": "msg_node", "webhook-timestamp": String(Math.floor(now / 1000)),
                  "webhook-signature": new Webhook(secret).sign("msg_node", now, body), "content-type": "application/json" };
fetch(url, { method: "POST", headers, body }).then(answer => console.log(answer.status));
"#;

/// The callback, for the pool and with the binding that the sign-up gave.
fn callback(dev: &Dev, username: &str) -> String {
    let user = dev.sign_up(username);
    let callback = crate::world::approval(username, &format!("evt_{username}"), 0);
    let callback = with_metadata(callback, "cognito_user_pool", json!(dev.pool));
    with_metadata(callback, "binding", user["binding"].clone()).to_string()
}

fn status_of(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn the_python_and_node_libraries_of_standard_webhooks_are_understood() {
    let dev = Dev::start(&[("IDV_BINDING", "required")]);
    let url = format!("{}/idv-callback", dev.url);
    let body = callback(&dev, "python");
    let mut python = Command::new(setup::python().join("python"));
    assert_eq!(status_of(python.args(["-c", PYTHON_STANDARD_WEBHOOKS, &url, SECRET, &body])), "202");
    let body = callback(&dev, "node");
    let mut node = Command::new("node");
    let modules: &Path = &setup::node().join("node_modules");
    let node = node.env("NODE_PATH", modules).args(["-e", NODE_STANDARD_WEBHOOKS, &url, SECRET, &body]);
    assert_eq!(status_of(node), "202");
    for name in ["python", "node"] {
        let user = dev.confirmed(name);
        assert_eq!(user["attributes"]["custom:blockid_sub"], format!("did:blockid:{name}"));
        assert_eq!(user["user_pool"], dev.pool);
    }
}

#[test]
fn the_library_of_stripe_is_understood_by_the_profile_of_its_form() {
    let dev = Dev::start(&[("IDV_SIGNATURE_PROFILE", "timestamped")]);
    let ring = RING.replace(SECRET, "a-secret-that-is-plain-text-and-long");
    std::fs::write(dev.folder.path().join("ring.json"), ring).unwrap();
    let url = format!("{}/idv-callback", dev.url);
    let body = callback(&dev, "stripe");
    let mut python = Command::new(setup::python().join("python"));
    let secret = "a-secret-that-is-plain-text-and-long";
    assert_eq!(status_of(python.args(["-c", PYTHON_STRIPE, &url, secret, &body])), "202");
    dev.confirmed("stripe");
}
