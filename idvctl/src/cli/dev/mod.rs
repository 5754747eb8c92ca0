//! `idvctl dev`: the front door and the consumer in one process, staying up.

mod journal;
mod site;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use idv_callback::aws::{CallLimits, CognitoDirectory, MessageQueue, SqsQueue, StoredSecret};
use idv_callback::clock::SystemClock;
use idv_callback::config::{Environment, LocalConfig, SecretSource};
use idv_callback::delivery::{SignatureProfile, sign};
use idv_callback::intake::Intake;
use idv_callback::key_cache::KeyCache;
use idv_callback::key_ring::KeyRing;
use idv_callback::lambda::check_key_ring;
use idv_callback::ports::Clock as _;
use idv_callback::settlement::{Consumer, Pace};
use idv_callback::verification::PoolId;
use idv_callback::vocabulary::Status;
use journal::EventPrinter;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::console;
use super::dlq::Target;
use super::keys;
use crate::aws::connect;
use crate::callback_body::Callback;
use crate::embedded::{Deployment, FrontDoor, LOG_GROUP, Switch, consume, installation, policy, serve};
use crate::new_key_ring::fresh_ring;
use crate::output::{Failure, Output};

#[derive(Args)]
pub(crate) struct Options {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8787", value_name = "ADDRESS:PORT")]
    pub(crate) listen: SocketAddr,
    /// Allow an address that other machines can reach.
    #[arg(long)]
    pub(crate) public: bool,
    /// The key ring; made if the file does not exist. [default: $IDV_KEY_RING_FILE, or idv-keys.json]
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,
    /// Append the audit log to this file, too: chained records, one a line.
    #[arg(long, value_name = "FILE")]
    pub(crate) audit_log: Option<PathBuf>,
    /// Start no console beside the stack.
    #[arg(long)]
    pub(crate) no_console: bool,
    /// The id of the embedded user pool.
    #[arg(long, default_value = "us-east-1_LocalPool", value_name = "ID")]
    pub(crate) pool: String,
    /// Real AWS: the callback queue. Also needs --dead-letter-queue-url, --user-pool and credentials.
    #[arg(long, value_name = "URL", requires_all = ["dead_letter_queue_url", "user_pool"])]
    pub(crate) queue_url: Option<String>,
    /// Real AWS: the dead-letter queue.
    #[arg(long, value_name = "URL", requires = "queue_url")]
    pub(crate) dead_letter_queue_url: Option<String>,
    /// Real AWS: a user pool that may be written to. Can be given several times.
    #[arg(long, value_name = "ID", requires = "queue_url")]
    pub(crate) user_pool: Vec<String>,
}

pub(crate) async fn run(
    options: &Options,
    environment: &Environment,
    output: Output,
) -> Result<ExitCode, Failure> {
    if !options.listen.ip().is_loopback() && !options.public {
        let complaint = format!(
            "{} can be reached by other machines; use an address of 127.0.0.0/8, or add --public",
            options.listen
        );
        return Err(Failure::usage(complaint));
    }
    journal::start_diagnostics();
    let config = LocalConfig::read(environment).map_err(|error| Failure::usage(error.to_string()))?;
    match &options.queue_url {
        None => run_embedded(options, environment, &config, output).await,
        Some(queue_url) => run_on_aws(options, environment, &config, queue_url, output).await,
    }
}

async fn run_embedded(
    options: &Options,
    environment: &Environment,
    config: &LocalConfig,
    output: Output,
) -> Result<ExitCode, Failure> {
    let path = keys::ring_path(options.keys.as_ref(), environment);
    if !path.exists() {
        keys::new::write_ring(&path, &fresh_ring(SystemClock.now())?)?;
        output.note(format!("{}: a new key ring", path.display()));
    }
    let ring = keys::read_ring(&path)?;
    let pool_id = pool_id(&options.pool)?;
    let journal = EventPrinter::new(output, options.audit_log.as_deref());
    let store = StoredSecret::File(path);
    let (pool, queues, intake, consumer) = installation(pool_id, &store, &journal, config);
    let (stop_serving, stop_consuming) = (stop_signal()?, stop_signal()?);
    let listener = listen(options).await?;
    let address = listener.local_addr()?;
    let console = console(options, address, store.clone()).await?;
    let page = console.as_ref().map(|(page, _)| page.clone());
    output.line(format!("listening on http://{address}, user pool {}", pool.id()))?;
    if let Some(page) = &page {
        output.line(format!("console on {page}"))?;
    }
    output.value(&json!({
        "listening": format!("http://{address}"),
        "user_pool": pool.id().as_str(),
        "console": page,
    }))?;
    output.line(format!("\n{}\n", example(&config.profile, &ring, pool.id(), &address.to_string())?))?;
    let deployment = Deployment {
        variables: variables(environment, config, pool.id()),
        switch: Switch::default(),
        records: journal.records(),
    };
    let switch = deployment.switch.clone();
    let site = site::LocalSite::new(
        FrontDoor(intake),
        pool.uncounted(),
        queues.clone(),
        store,
        deployment,
        address.ip().is_loopback(),
    );
    let server = serve(listener, Arc::new(site), SystemClock, stop_serving);
    let console = async {
        if let Some((_, server)) = console {
            server.await;
        }
    };
    tokio::join!(server, consume(Arc::new(consumer), queues.callbacks, switch, stop_consuming), console);
    output.note("stopped; the embedded queue and user pool were in memory and are gone");
    Ok(ExitCode::SUCCESS)
}

/// The same code against real AWS: a container is a supported way to run it.
async fn run_on_aws(
    options: &Options,
    environment: &Environment,
    config: &LocalConfig,
    queue_url: &str,
    output: Output,
) -> Result<ExitCode, Failure> {
    let dead_letters = options.dead_letter_queue_url.as_deref().unwrap_or_default();
    if let Some(url) =
        [queue_url, dead_letters].iter().find(|url| !url.to_ascii_lowercase().ends_with(".fifo"))
    {
        return Err(Failure::usage(format!(
            "{url} must be the URL of a FIFO queue, whose name ends in .fifo"
        )));
    }
    let pools = options.user_pool.iter().map(|id| pool_id(id)).collect::<Result<Vec<_>, _>>()?;
    let usage = |error: idv_callback::config::ConfigError| Failure::usage(error.to_string());
    let source = match (&options.keys, environment.get("IDV_KEY_RING_SECRET_ID")) {
        (None, Some(secret)) => SecretSource::Secret(secret),
        (given, _) => SecretSource::File(keys::ring_path(given.as_ref(), environment)),
    };
    let front = connect(environment, CallLimits::CALLBACK).await;
    let back = connect(environment, CallLimits::CONSUMER).await;
    let (front, back) = (front.map_err(usage)?, back.map_err(usage)?);
    let queue = MessageQueue::new(&back, queue_url, dead_letters);
    let journal = EventPrinter::new(output, options.audit_log.as_deref());
    let intake = Intake {
        queue: SqsQueue::new(&front, queue_url),
        keys: KeyCache::new(StoredSecret::new(&front, &source), SystemClock),
        audit: journal.clone(),
        clock: SystemClock,
        profile: config.profile.clone(),
        event_types: config.event_types.clone(),
    };
    let consumer = Consumer {
        directory: CognitoDirectory::new(&back),
        queue: queue.clone(),
        keys: KeyCache::new(StoredSecret::new(&back, &source), SystemClock),
        audit: journal,
        clock: SystemClock,
        policy: policy(pools, config, environment.get("IDV_BINDING").is_none()),
        pace: Pace::per_second(config.cognito_rps),
    };
    check_key_ring(intake.keys.current().await, consumer.policy.binding_required).map_err(Failure::usage)?;
    let (stop_serving, stop_consuming) = (stop_signal()?, stop_signal()?);
    let listener = listen(options).await?;
    let address = listener.local_addr()?;
    output.line(format!("listening on http://{address}, queue {queue_url}"))?;
    output.value(&json!({ "listening": format!("http://{address}"), "queue": queue_url }))?;
    let server = serve(listener, Arc::new(FrontDoor(intake)), SystemClock, stop_serving);
    tokio::join!(server, consume(Arc::new(consumer), queue.callbacks, Switch::default(), stop_consuming));
    output.note("stopped; messages that are not settled are still on the queue");
    Ok(ExitCode::SUCCESS)
}

/// The console of this stack; none where other machines can reach it, or where none is wanted.
async fn console(
    options: &Options,
    address: SocketAddr,
    store: StoredSecret,
) -> Result<Option<(String, impl Future<Output = ()>)>, Failure> {
    if !address.ip().is_loopback() || options.no_console {
        return Ok(None);
    }
    let StoredSecret::File(keys) = store else { return Ok(None) };
    let target = Target {
        local: Some(format!("http://{address}")),
        queue_url: None,
        dead_letter_queue_url: None,
        user_pool: Vec::new(),
        key_ring: None,
        keys: Some(keys),
        audit_log: PathBuf::from("idv-operator-audit.jsonl"),
    };
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let log_groups = Ok(vec![LOG_GROUP.to_owned()]);
    let folder = PathBuf::from("idv-console");
    console::start(target, any_port, folder, log_groups).await.map(Some)
}

/// The embedded consumer's environment variables: those of this process that a consumer reads, and what follows from the
/// embedded stack.
fn variables(environment: &Environment, config: &LocalConfig, pool: &PoolId) -> BTreeMap<String, String> {
    let binding = if config.binding_required { "required" } else { "optional" };
    let taken = ["IDV_MINIMUM_IAL", "IDV_EVENT_TYPES"];
    let taken = taken.iter().filter_map(|name| Some(((*name).to_owned(), environment.get(name)?)));
    let own = [("IDV_BINDING", binding), ("IDV_USER_POOL_IDS", pool.as_str())];
    taken.chain(own.map(|(name, value)| (name.to_owned(), value.to_owned()))).collect()
}

fn pool_id(text: &str) -> Result<PoolId, Failure> {
    PoolId::of_real_pool(text)
        .map_err(|_| Failure::usage(format!("{text:?} is not a user pool id, like us-east-1_AbC123")))
}

async fn listen(options: &Options) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(options.listen).await;
    listener.map_err(|error| Failure::unreachable(format!("{}: {error}", options.listen)))
}

/// Ready when the process is asked to stop: SIGTERM, or Ctrl-C.
pub(crate) fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// A `curl` call with a valid signature. It holds for four minutes: that is how old a signature may be.
fn example(
    profile: &SignatureProfile,
    ring: &KeyRing,
    pool: &PoolId,
    address: &str,
) -> Result<String, Failure> {
    let event_id = crate::callback_body::fresh_id("evt_")?;
    let now = SystemClock.now();
    let subject = super::send::subject_of("ada");
    let callback = Callback {
        event_id: &event_id,
        status: Status::Approved,
        occurred_at: now,
        session: "vs_example",
        subject: &subject,
        ial: 2,
        pool: pool.as_str(),
        username: "ada",
        binding: None,
    };
    let body = callback.body();
    let key = ring.webhook.first().ok_or_else(|| Failure::usage("the ring has no webhook key"))?;
    let headers = sign(profile, &key.secret, &event_id, now, body.as_bytes());
    let headers: Vec<_> =
        headers.iter().map(|(name, value)| format!("  -H '{name}: {value}' \\\n")).collect();
    let headers = headers.concat();
    let user = format!("curl -s http://{address}/_local/users -d '{{\"username\":\"ada\"}}'");
    Ok(format!(
        "{user}\ncurl -s http://{address}/idv-callback -H 'content-type: application/json' \\\n\
         {headers}  --data-raw '{body}'\ncurl -s http://{address}/_local/users/ada"
    ))
}
