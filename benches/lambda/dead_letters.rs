//! A hundred thousand dead letters on the embedded stack: how long an operator waits, and how much memory it takes.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use idv_callback::aws::{AwsConnection, CallLimits, MessageQueue};
use idv_callback::config::Environment;
use idvctl::embedded::{CALLBACK_QUEUE, DEAD_LETTER_QUEUE};
use idvctl::ports::DeadLetterStore as _;

/// How many.
const LETTERS: u64 = 100_000;

/// The tool, which `cargo bench` of the whole workspace builds beside this program.
pub(crate) fn idvctl() -> std::path::PathBuf {
    let benches = std::env::current_exe().unwrap();
    let path = benches.parent().and_then(Path::parent).unwrap().join("idvctl");
    assert!(
        path.exists(),
        "{} is not built: run `cargo build --release --package idvctl` first",
        path.display()
    );
    path
}

/// The stack, stopped at the end.
struct Dev(Child);

impl Drop for Dev {
    fn drop(&mut self) {
        self.0.kill().unwrap();
    }
}

pub(crate) async fn dead_letters() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["keys", "new"]);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    let dev = Command::new(idvctl())
        .args(["--json", "dev", "--listen", &format!("127.0.0.1:{port}")])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let _dev = Dev(dev);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let started = Instant::now();
    let callback = format!("{url}/idv-callback");
    let count = LETTERS.to_string();
    let many = ["send", "--url", &callback, "--count", &count, "--concurrency", "32"];
    // A pool that is not served: each dies at once, and each is of another user.
    run(folder.path(), &[&many[..], &["--user", "user{n}", "--pool", "us-east-1_Elsewhere"]].concat());
    let depth = depth_of(&url);
    while depth.depth().await.unwrap().messages < LETTERS {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!(
        "\ndead letters: {LETTERS} of as many users on the embedded stack (sent and dead in {:.0?})",
        started.elapsed()
    );
    println!("{:22} {:>9} {:>14} {:>12}", "", "time", "letters/s", "peak memory");
    let local = format!("--local={url}");
    for (name, arguments) in [
        ("dlq list", vec!["dlq", "list", &local]),
        ("dlq groups", vec!["dlq", "groups", &local]),
        ("dlq plan", vec!["dlq", "plan", &local, "--because", "bench"]),
    ] {
        let (time, peak) = measured(folder.path(), &arguments);
        let rate = LETTERS as f64 / time.as_secs_f64();
        println!("{name:22} {:>7.1} s {rate:>14.0} {:>9.1} MB", time.as_secs_f64(), peak as f64 / 1024.0);
    }
}

fn depth_of(url: &str) -> MessageQueue {
    let endpoint = url.to_owned();
    let environment = Environment::new(move |name| match name {
        "AWS_ENDPOINT_URL" => Some(endpoint.clone()),
        "AWS_REGION" => Some("us-east-1".to_owned()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("local".to_owned()),
        _ => None,
    });
    let connection = AwsConnection::of_function(&environment, CallLimits::CONSUMER).unwrap();
    let queue = |name| format!("{url}/local/{name}");
    MessageQueue::new(&connection, &queue(CALLBACK_QUEUE), &queue(DEAD_LETTER_QUEUE))
}

fn run(folder: &Path, arguments: &[&str]) {
    let output = Command::new(idvctl()).args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// How long a command runs, and its peak memory in KiB.
pub(crate) fn measured(folder: &Path, arguments: &[&str]) -> (Duration, u64) {
    let started = Instant::now();
    let mut child =
        Command::new(idvctl()).args(arguments).current_dir(folder).stdout(Stdio::null()).spawn().unwrap();
    let mut peak = 0;
    loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak = peak.max(now.unwrap_or(0));
        if let Some(ended) = child.try_wait().unwrap() {
            // 1 is an answer, too.
            assert!(ended.code().is_some_and(|code| code <= 1), "{arguments:?}");
            return (started.elapsed(), peak);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
