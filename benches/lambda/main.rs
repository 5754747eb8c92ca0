//! Cold start, warm cost and size of the real functions under a Lambda Runtime API, with AWS over TLS, side by side in
//! one run with a bare `lambda_runtime` function, with one that signs its request by hand, and with Python (boto3 under
//! awslambdaric).
//!
//! `cargo bench` prints tables; `cargo bench -- callback|triggers|consumer|dead-letters|audit` one of them. Nothing is asserted: machines differ; compare the ratios of one run.
#![allow(
    missing_docs,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::too_many_lines,
    clippy::unchecked_time_subtraction,
    clippy::unwrap_used,
    reason = "a benchmark stops where something is not as it expects"
)]

mod audit;
mod aws;
mod dead_letters;
mod function;
mod messages;
mod peers;

use std::time::{Duration, Instant};

use aws::Aws;
use function::{Function, Sample};

/// Cold starts of each function, interleaved.
const COLD_STARTS: usize = 15;

/// Warm invocations of each function.
const WARM: usize = 300;

/// How long Cognito takes to answer in the consumer's part.
const COGNITO: Duration = Duration::from_millis(20);

fn main() {
    // `cargo test --benches` and `cargo nextest` run it to see that it is there.
    if std::env::args().any(|argument| argument == "--test" || argument == "--list") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let only = std::env::args().nth(1).filter(|name| !name.starts_with('-'));
        let wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
        if wanted("callback") {
            callback().await;
        }
        if wanted("triggers") {
            triggers().await;
        }
        if wanted("consumer") {
            consumer().await;
        }
        if wanted("audit") {
            audit::audit();
        }
        if wanted("dead-letters") {
            dead_letters::dead_letters().await;
        }
    });
}

/// One kind of function: its name, its command, and the file whose size counts.
struct Contender {
    name: &'static str,
    command: Vec<String>,
    binary: Option<String>,
}

async fn callback() {
    let aws = Aws::start(Duration::ZERO, None).await;
    let contenders = [
        Contender::binary("callback", &peers::function("callback")),
        Contender::binary("bare lambda_runtime", &peers::example("echo")),
        Contender::binary("hand-signed, no SDK", &peers::example("hand_signed")),
        Contender { name: "Python, boto3", command: peers::python(), binary: None },
    ];
    let mut samples: Vec<Vec<Sample>> = contenders.iter().map(|_| Vec::new()).collect();
    for _ in 0..COLD_STARTS {
        for (contender, samples) in contenders.iter().zip(&mut samples) {
            let function = Function::start(&contender.command, &aws, &[]).await;
            samples.push(function.first_answer(messages::callback(0), &aws).await);
        }
    }
    println!("callback: {COLD_STARTS} cold starts each, interleaved; {WARM} warm invocations; medians");
    println!(
        "{:22} {:>9} {:>12} {:>14} {:>12} {:>10} {:>8} {:>12} {:>12}",
        "",
        "size",
        "exec->/next",
        "exec->answer",
        "CPU to then",
        "CPU/warm",
        "peak",
        "connections",
        "calls/event"
    );
    let mut rows = Vec::new();
    for (contender, samples) in contenders.iter().zip(&samples) {
        let function = Function::start(&contender.command, &aws, &[]).await;
        function.first_answer(messages::callback(0), &aws).await;
        let (calls, cpu) = (aws.calls(), function.cpu());
        for n in 1..=WARM {
            function.invoke(messages::callback(n)).await;
        }
        let warm = (function.cpu() - cpu) / u32::try_from(WARM).unwrap();
        let row = Row {
            size: contender.binary.as_ref().map(|path| std::fs::metadata(path).unwrap().len()),
            next: median(samples.iter().map(|sample| sample.next)),
            answer: median(samples.iter().map(|sample| sample.answer)),
            cpu: median(samples.iter().map(|sample| sample.cpu)),
            warm,
            peak: function.peak_memory(),
            connections: samples[0].connections,
            calls: (aws.calls() - calls) as f64 / WARM as f64,
        };
        row.print(contender.name);
        rows.push(row);
    }
    let ratio = |name: &str, of: fn(&Row) -> Duration| {
        let own = of(&rows[0]).as_secs_f64();
        println!(
            "  {name}: {:.2} x bare runtime, {:.2} x hand-signed, 1/{:.1} of Python",
            own / of(&rows[1]).as_secs_f64(),
            own / of(&rows[2]).as_secs_f64(),
            of(&rows[3]).as_secs_f64() / own
        );
    };
    ratio("exec to first answer", |row| row.answer);
    ratio("CPU to first answer", |row| row.cpu);
    ratio("CPU per warm invocation", |row| row.warm);
}

/// The function that runs inside a person's sign-up and sign-in: a sign-up asks 1Kosmos, the step before a step-up asks nobody.
async fn triggers() {
    let aws = Aws::start(Duration::ZERO, None).await;
    // As on Lambda: the whole of the system's roots is loaded, with the one that is needed here among them.
    let roots = std::fs::read("/etc/ssl/certs/ca-certificates.crt").unwrap_or_default();
    let bundle = aws.ca_bundle.with_file_name("roots.pem");
    std::fs::write(&bundle, [roots, std::fs::read(&aws.ca_bundle).unwrap()].concat()).unwrap();
    let settings = [
        ("IDV_PROVIDER_URL", aws.url.as_str()),
        ("IDV_PROVIDER_SECRET_ID", "idv/1kosmos"),
        ("IDV_CALLBACK_URL", "https://idv.example.com/idv-callback"),
        ("SSL_CERT_FILE", bundle.to_str().unwrap()),
    ];
    let contenders = [
        Contender::binary("triggers", &peers::function("triggers")),
        Contender::binary("bare lambda_runtime", &peers::example("echo")),
    ];
    let mut rows = Vec::new();
    println!("\ntriggers: {COLD_STARTS} cold starts each, interleaved; medians");
    let mut samples: Vec<Vec<Sample>> = contenders.iter().map(|_| Vec::new()).collect();
    for _ in 0..COLD_STARTS {
        for (contender, samples) in contenders.iter().zip(&mut samples) {
            let function = Function::start(&contender.command, &aws, &settings).await;
            samples.push(function.first_answer(messages::sign_up(0), &aws).await);
        }
    }
    for (contender, samples) in contenders.iter().zip(&samples) {
        let function = Function::start(&contender.command, &aws, &settings).await;
        function.first_answer(messages::sign_up(0), &aws).await;
        let mut warm = Vec::new();
        for event in [messages::sign_up as fn(usize) -> serde_json::Value, messages::define] {
            let cpu = function.cpu();
            for n in 1..=WARM {
                function.invoke(event(n)).await;
            }
            warm.push((function.cpu() - cpu) / u32::try_from(WARM).unwrap());
        }
        let answer = median(samples.iter().map(|sample| sample.answer));
        println!(
            "{:22} {:>6.2} MB   exec to first answer of a sign-up {:>6.1} ms ({:.1} ms CPU), {} connections   warm: sign-up {} us, define {} us CPU   peak {:.1} MB",
            contender.name,
            std::fs::metadata(contender.binary.as_ref().unwrap()).unwrap().len() as f64 / 1e6,
            answer.as_secs_f64() * 1e3,
            median(samples.iter().map(|sample| sample.cpu)).as_secs_f64() * 1e3,
            samples[0].connections,
            warm[0].as_micros(),
            warm[1].as_micros(),
            function.peak_memory() as f64 / 1e6,
        );
        rows.push(answer.as_secs_f64());
    }
    println!("  exec to first answer: {:.2} x bare runtime", rows[0] / rows[1]);
}

struct Row {
    size: Option<u64>,
    next: Duration,
    answer: Duration,
    cpu: Duration,
    warm: Duration,
    peak: u64,
    connections: usize,
    calls: f64,
}

impl Row {
    fn print(&self, name: &str) {
        let size = self.size.map_or("-".to_owned(), |bytes| format!("{:.2} MB", bytes as f64 / 1e6));
        println!(
            "{name:22} {size:>9} {:>9.1} ms {:>11.1} ms {:>9.1} ms {:>7} us {:>5.1} MB {:>12} {:>12.2}",
            self.next.as_secs_f64() * 1e3,
            self.answer.as_secs_f64() * 1e3,
            self.cpu.as_secs_f64() * 1e3,
            self.warm.as_micros(),
            self.peak as f64 / 1e6,
            self.connections,
            self.calls,
        );
    }
}

impl Contender {
    fn binary(name: &'static str, path: &str) -> Self {
        Self { name, command: vec![path.to_owned()], binary: Some(path.to_owned()) }
    }
}

fn median(durations: impl Iterator<Item = Duration>) -> Duration {
    let mut all: Vec<_> = durations.collect();
    all.sort_unstable();
    all[all.len() / 2]
}

/// Batches of ten users against a Cognito that takes 20 ms for each call.
async fn consumer() {
    let aws = Aws::start(COGNITO, None).await;
    let binary = peers::function("consumer");
    let binary = binary.as_str();
    let size = std::fs::metadata(binary).unwrap().len() as f64 / 1e6;
    println!("\nconsumer: {size:.2} MB; batches of 10 users, Cognito answers in {} ms", COGNITO.as_millis());

    let function = Function::start(&[binary.to_owned()], &aws, &[("IDV_COGNITO_RPS", "10000")]).await;
    let cold = function.first_answer(messages::batch(0), &aws).await;
    let mut took = Vec::new();
    let (calls, cpu) = (aws.calls(), function.cpu());
    for n in 1..=20 {
        let batch = messages::batch(n);
        let start = Instant::now();
        function.invoke(batch).await;
        took.push(start.elapsed());
    }
    let batch = median(took.into_iter());
    println!(
        "  not paced: exec to first answer {:.1} ms; {:.1} ms a batch = {:.2} sequential calls of {:.1} ms; {} us CPU and {:.1} calls a message; {} connections; peak {:.1} MB",
        cold.answer.as_secs_f64() * 1e3,
        batch.as_secs_f64() * 1e3,
        batch.as_secs_f64() / aws.mean_latency().as_secs_f64(),
        aws.mean_latency().as_secs_f64() * 1e3,
        ((function.cpu() - cpu) / 200).as_micros(),
        (aws.calls() - calls) as f64 / 200.0,
        cold.connections + aws.connections(),
        function.peak_memory() as f64 / 1e6,
    );

    // Two sandboxes, which is the least concurrency that an event source mapping can have, share the quota.
    let aws = Aws::start(COGNITO, Some(25)).await;
    let start_one = || async {
        let function = Function::start(&[binary.to_owned()], &aws, &[("IDV_COGNITO_RPS", "12")]).await;
        function.first_answer(messages::batch(100), &aws).await;
        function
    };
    let functions = [start_one().await, start_one().await];
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (start, throttled) = (Instant::now(), aws.throttled());
    let rounds = functions.iter().zip([101, 201]).map(|(function, first)| async move {
        for n in first..first + 10 {
            function.invoke(messages::batch(n)).await;
        }
    });
    futures_util::future::join_all(rounds).await;
    let rate = 200.0 / start.elapsed().as_secs_f64();
    println!(
        "  two sandboxes, paced at 12 writes a second each: {rate:.1} a second = {:.0} % of the quota of 25, {} throttled",
        rate / 25.0 * 100.0,
        aws.throttled() - throttled
    );
}
