//! The commands behind the pages: this very program, with `--json`. Each is the command that an operator could have typed, with
//! the same checks, the same records and the same answer.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use crate::cli::dlq::Target;
use crate::output::Failure;

/// How this program is run for an installation.
#[derive(Clone)]
pub(super) struct Tool {
    program: PathBuf,
    folder: PathBuf,
    target: Vec<String>,
    /// The embedded stack's address.
    pub(super) local: Option<String>,
    keys: Option<PathBuf>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// What a command answered.
pub(super) struct Answer {
    pub(super) code: i32,
    pub(super) value: Value,
}

impl Answer {
    /// What went wrong, in the command's words.
    pub(super) fn error(&self) -> Option<&str> {
        self.value.get("error").and_then(Value::as_str)
    }

    pub(super) fn text(&self, name: &str) -> &str {
        self.value.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn number(&self, name: &str) -> u64 {
        self.value.get(name).and_then(Value::as_u64).unwrap_or_default()
    }

    pub(super) fn list(&self, name: &str) -> &[Value] {
        self.value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }
}

impl Tool {
    /// For this installation; what commands write is in this folder.
    pub(super) fn new(target: &Target, folder: PathBuf) -> Result<Self, Failure> {
        let program = std::env::current_exe()?;
        let absolute = |path: &PathBuf| std::path::absolute(path);
        let mut words = Vec::new();
        let mut word = |name: &str, value: Option<&String>| {
            words.extend(value.map(|value| format!("--{name}={value}")));
        };
        word("local", target.local.as_ref());
        word("queue-url", target.queue_url.as_ref());
        word("dead-letter-queue-url", target.dead_letter_queue_url.as_ref());
        word("key-ring", target.key_ring.as_ref());
        target.user_pool.iter().for_each(|pool| word("user-pool", Some(pool)));
        let keys = target.keys.as_ref().map(absolute).transpose()?;
        if let Some(keys) = &keys {
            words.push(format!("--keys={}", keys.display()));
        }
        words.push(format!("--audit-log={}", absolute(&target.audit_log)?.display()));
        Ok(Self { program, folder, target: words, local: target.local.clone(), keys, turn: Arc::default() })
    }

    pub(super) fn folder(&self) -> &PathBuf {
        &self.folder
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--json").stdin(Stdio::null());
        command
    }

    /// A command of `idvctl dlq`.
    pub(super) fn dlq(&self, arguments: &[String]) -> Command {
        let mut command = self.command();
        // The options before what may stand behind `--`.
        let (name, rest) = arguments.split_at(arguments.len().min(1));
        command.arg("dlq").args(name).args(&self.target).args(rest);
        command
    }

    /// Runs a command of `idvctl dlq` to its end, also when nobody waits for the answer any more. One at a time: looks hide
    /// messages from one another.
    pub(super) async fn ask(&self, arguments: &[String]) -> Answer {
        let (command, turn) = (self.dlq(arguments), Arc::clone(&self.turn));
        to_its_end(async move {
            let _turn = turn.lock().await;
            run(command).await
        })
        .await
    }

    /// Runs another command to its end, with the key ring where there is one in a file.
    pub(super) async fn other(&self, arguments: &[String]) -> Answer {
        let mut command = self.command();
        command.args(arguments);
        if let Some(keys) = &self.keys {
            command.arg(format!("--keys={}", keys.display()));
        }
        to_its_end(run(command)).await
    }

    /// Records as they are written, one JSON document each, for as long as somebody reads.
    pub(super) fn watch(&self, log_groups: &[String]) -> Result<mpsc::Receiver<String>, String> {
        let (sender, receiver) = mpsc::channel(100);
        for group in log_groups {
            self.watch_one(group, sender.clone())?;
        }
        Ok(receiver)
    }

    fn watch_one(&self, group: &str, sender: mpsc::Sender<String>) -> Result<(), String> {
        let mut command = self.command();
        command.kill_on_drop(true);
        command.arg("watch").arg("--back=600").stdout(Stdio::piped()).stderr(Stdio::null());
        match &self.local {
            Some(url) => command.arg(format!("--local={url}")),
            None => command.arg(format!("logs:{group}")),
        };
        let mut child: Child = command.spawn().map_err(|error| error.to_string())?;
        let stdout = child.stdout.take().ok_or("no output")?;
        tokio::spawn(async move {
            let mut lines = BufReader::new(stdout).lines();
            loop {
                let line = tokio::select! {
                    line = lines.next_line() => line,
                    () = sender.closed() => break,
                };
                let Ok(Some(line)) = line else { break };
                if sender.send(line).await.is_err() {
                    break;
                }
            }
            // Nobody reads any more, or it ended: it is stopped when it is dropped.
            drop(child);
        });
        Ok(())
    }
}

/// Goes on when the request that asked for it is broken off: a command that is killed midway has done a part of its work.
async fn to_its_end(command: impl Future<Output = Answer> + Send + 'static) -> Answer {
    tokio::spawn(command).await.unwrap_or_else(|error| Answer {
        code: 3,
        value: serde_json::json!({ "error": format!("the command broke off: {error}") }),
    })
}

async fn run(mut command: Command) -> Answer {
    let output = match command.output().await {
        Ok(output) => output,
        Err(error) => {
            return Answer { code: 3, value: serde_json::json!({ "error": format!("idvctl: {error}") }) };
        }
    };
    let last = String::from_utf8_lossy(&output.stdout).lines().last().map(str::to_owned);
    let value = last.and_then(|line| serde_json::from_str(&line).ok());
    let value = value.unwrap_or_else(|| serde_json::json!({ "error": "idvctl gave no answer" }));
    Answer { code: output.status.code().unwrap_or(3), value }
}
