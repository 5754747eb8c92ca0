//! Senders that were not written here sign and post to `idvctl dev`, and the loop closes.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::support::dev::{Dev, SECRET};
use crate::support::setup;
use crate::support::world::{RING, with_metadata};

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
    let callback = crate::support::world::approval(username, &format!("evt_{username}"), 0);
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
