//! `idvctl dev` as a process, and what is asked of it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::function::program;
use crate::support::world::RING;

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// `idvctl dev` on a free port, with the ring of the tests.
pub(crate) struct Dev {
    pub(crate) child: Child,
    pub(crate) url: String,
    pub(crate) pool: String,
    pub(crate) folder: tempfile::TempDir,
    /// What it printed first.
    pub(crate) first: Value,
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
        let mut child = Command::new(program("idvctl"))
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
        let (url, pool) = (text("listening"), text("user_pool"));
        Self { child, url, pool, folder, first }
    }

    /// A request to the embedded stack's own pages.
    pub(crate) fn local(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let host = self.url.trim_start_matches("http://");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
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
