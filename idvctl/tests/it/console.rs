//! The console as its users meet it: in a browser, and from outside.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::operator::{Operator, local};
use crate::support::dev::exchange;
use crate::support::setup;
use crate::support::world::with_metadata;

/// The address that `dev` printed, the host in it, and the token.
fn address(operator: &Operator) -> (String, String, String) {
    let address = operator.dev.first["console"].as_str().unwrap().to_owned();
    let (host, token) = address.trim_start_matches("http://").split_once("/start/").unwrap();
    (address.clone(), host.to_owned(), token.to_owned())
}

fn ask(host: &str, method: &str, path: &str, fields: &[(&str, &str)], body: &str) -> (u16, String) {
    let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!(
        "{method} {path} HTTP/1.1\r\n{fields}connection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let answer = exchange(host, format!("{head}{body}").as_bytes());
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

/// Whoever does not have the token, comes by another name, or comes from another page, sees nothing and changes nothing.
#[tokio::test]
async fn a_stranger_sees_nothing_and_changes_nothing() {
    let operator = Operator::new(&[]);
    operator.dev.sign_up("ada");
    operator.put(&local("ada", "evt_1", 0)).await;
    let (_, host, token) = address(&operator);
    let host = host.as_str();
    let port = host.split_once(':').unwrap().1;
    let origin = format!("http://{host}");
    let cookie = format!("idv-console-{port}={token}");
    let wrong = format!("idv-console-{port}={}", "0".repeat(64));
    let own = [("host", host), ("cookie", &cookie)];

    let (status, started) = ask(host, "GET", &format!("/start/{token}"), &[("host", host)], "");
    assert!(
        status == 303
            && started.contains("HttpOnly; SameSite=Strict")
            && started.contains("\r\nlocation: /\r\n")
    );
    assert_eq!(ask(host, "GET", &format!("/start/{token}"), &[("host", host)], "").0, 403, "once");
    let (status, page) = ask(host, "GET", "/dead-letters", &own, "");
    assert!(status == 200 && page.contains("dead-00000001"), "{page}");
    for field in ["cache-control: no-store", "frame-ancestors 'none'", "referrer-policy: same-origin"] {
        assert!(page.contains(field), "{field}: {page}");
    }
    let form = page.split("name=\"form\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let body = format!("form={form}&id=dead-00000001&action=send&because=T&sure=yes");

    let rebound = format!("rebound.example:{port}");
    for path in ["/", "/dead-letters", "/events", "/console.js", "/letters/dead-00000001", "/runs/1"] {
        for (fields, expected) in [
            (vec![("host", host)], 403),
            (vec![("host", host), ("cookie", &wrong)], 403),
            (vec![("host", &rebound), ("cookie", &cookie)], 421),
            (vec![("host", host), ("host", &rebound), ("cookie", &cookie)], 421),
            (vec![("host", host), ("cookie", &cookie), ("origin", "https://evil.example")], 403),
        ] {
            let (status, answer) = ask(host, "GET", path, &fields, "");
            // Two host fields are refused by the HTTP server itself.
            assert!(status == expected || (expected == 421 && status == 400), "{path} {fields:?}: {answer}");
            assert!(!answer.contains("dead-0000") && !answer.contains(&token), "{path} {fields:?}: {answer}");
        }
    }
    assert_eq!(ask(host, "GET", &format!("/start/{}", "0".repeat(64)), &[("host", host)], "").0, 403);
    assert_eq!(ask(host, "GET", &format!("/start/{token}"), &[("host", &rebound)], "").0, 421);
    let other_port = [own[0], own[1], ("sec-fetch-site", "same-site")];
    assert_eq!(ask(host, "GET", "/dead-letters", &other_port, "").0, 403);

    let kind = ("content-type", "application/x-www-form-urlencoded");
    let from_here = ("origin", origin.as_str());
    let unsigned = body.replace(&form, &"0".repeat(64));
    for (fields, body) in [
        (vec![own[0], own[1], kind], &body),
        (vec![own[0], own[1], kind, ("origin", "null")], &body),
        (vec![own[0], own[1], kind, ("origin", "https://evil.example")], &body),
        (vec![own[0], own[1], kind, from_here, ("sec-fetch-site", "cross-site")], &body),
        (vec![own[0], own[1], kind, from_here], &unsigned),
        (vec![own[0], kind, from_here], &body),
    ] {
        for path in [
            "/dead-letters/act",
            "/letters/correct",
            "/second/approve",
            "/second/carry-out",
            "/users",
            "/lab",
        ] {
            let (status, answer) = ask(host, "POST", path, &fields, body);
            assert_eq!(status, 403, "{path} {fields:?}: {answer}");
        }
    }
    assert_eq!(operator.json(&["list"]).1["dead_letters"], 1);
    // The same request from the console's own page is done.
    let (status, answer) = ask(host, "POST", "/dead-letters/act", &[own[0], own[1], kind, from_here], &body);
    assert!(status == 303 && answer.contains("location: /runs/1"), "{answer}");
    operator.dev.confirmed("ada");
}

#[test]
fn other_machines_cannot_reach_it() {
    let operator = Operator::new(&[]);
    let refused = operator.idvctl(&["console", "--listen", "0.0.0.0:0"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(2) && said.contains("listens on 127.0.0.1 alone"), "{said}");
    let mut started = operator.start(&["--json", "console"]);
    let mut line = String::new();
    BufReader::new(started.stdout.take().unwrap()).read_line(&mut line).unwrap();
    started.kill().unwrap();
    started.wait().unwrap();
    let said: Value = serde_json::from_str(&line).unwrap();
    assert!(said["console"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{said}");
}

/// A page of another site, with a form that posts itself to the console, and a script that reads from it.
fn stranger() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap();
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let console =
                request.split("console=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
            let console = console.replace("%3A", ":").replace("%2F", "/");
            let page = if request.starts_with("GET /read") {
                format!(
                    "<p id=read></p><script>fetch('{console}/dead-letters', {{credentials: 'include'}})\
                     .then((a) => a.text()).then((t) => {{ read.textContent = t }}, () => {{ read.textContent = 'refused' }})\
                     </script>"
                )
            } else {
                format!(
                    "<form method=post action='{console}/dead-letters/act'><input name=id value=dead-00000001>\
                     <input name=action value=send><input name=because value=T><input name=sure value=yes></form>\
                     <script>document.forms[0].submit()</script>"
                )
            };
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close";
            // A browser that was closed reads no more.
            drop(write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{page}", page.len()));
        }
    });
    address
}

#[tokio::test]
async fn an_operator_goes_through_it_in_a_browser() {
    let operator = Operator::new(&[]);
    for n in 0..40 {
        let name = format!("user{n}");
        operator.dev.sign_up(&name);
        operator.put(&local(&name, &format!("evt_{n}"), n)).await;
    }
    let elsewhere = json!("us-east-1_Other");
    operator.post(&with_metadata(local("user1", "evt_elsewhere", 0), "cognito_user_pool", elsewhere));
    operator.dead(41);
    let forged = operator.folder().join("forged.txt");
    let at = 1_764_000_000;
    let signature = format!("v1,{}=", "A".repeat(43));
    std::fs::write(
        &forged,
        format!("webhook-id: msg_1\nwebhook-timestamp: {at}\nwebhook-signature: {signature}\n\n{{\"event_id\":\"x\"}}"),
    )
    .unwrap();
    let (address, _, token) = address(&operator);
    let drive = setup::repository().join("idvctl/tests/console/drive.mjs");
    let mut command = Command::new("node");
    command
        .arg(drive)
        .arg(setup::browser())
        .arg(&address)
        .arg(stranger())
        .arg(setup::chromium())
        .arg(&forged);
    command.args(std::env::var("IDV_CONSOLE_SCREENSHOT").ok());
    let driven = command.stdin(Stdio::null()).output().unwrap();
    let complaint = String::from_utf8_lossy(&driven.stderr);
    assert!(driven.status.success(), "{complaint}");
    let said = String::from_utf8(driven.stdout).unwrap();
    let facts: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!((&facts["outcomes"], &facts["strangersForm"]), (&json!(40), &json!(403)), "{facts}");
    assert!(facts["accessiblePages"].as_u64().unwrap() >= 28, "{facts}");
    for n in 0..40 {
        operator.dev.confirmed(&format!("user{n}"));
    }
    // Nobody's name and no token is in what operators leave behind.
    let audit = operator.read("idv-operator-audit.jsonl");
    assert!(!audit.contains("user1") && !audit.contains(&token) && !audit.contains("grace"), "{audit}");
}
