//! `idvctl console`: a local web page over the commands, for people who would rather look than read.
//!
//! It listens on this machine alone, and answers whoever has the token of this start. Each page is written here; what is in it
//! comes from the commands of this program (`--json`), so that a page and a command cannot differ.

mod act;
mod form;
mod guard;
mod lab;
mod letters;
mod looks;
mod page;
mod records;
mod runs;
mod second;
mod site;
mod tool;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::time::Duration;

use clap::Args;
use idv_callback::clock::SystemClock;
use idv_callback::config::Environment;
use idv_callback::ports::Clock as _;
use serde_json::json;
use tokio::net::TcpListener;

use super::dlq::{OperatorSession, Target};
use crate::embedded::{Reply, serve};
use crate::output::{Failure, Output};
use guard::Guard;
use runs::Runs;
use site::Console;
use tool::Tool;

/// How long answers under way may take when it stops.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) target: Target,
    /// A log group that is shown beside the consumer's: the callback function's. Can be given several times.
    #[arg(long, value_name = "LOG-GROUP")]
    pub(crate) log_group: Vec<String>,
    /// Where to listen: 127.0.0.1 and a port. [default: any port]
    #[arg(long, default_value = "127.0.0.1:0", hide_default_value = true, value_name = "ADDRESS:PORT")]
    pub(crate) listen: SocketAddr,
    /// Where plans, archives and proposals are written. They can name users: the folder is readable by you alone.
    #[arg(long, default_value = "idv-console", value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
}

/// A reply that nobody stores, frames or reads from elsewhere.
fn plain(status: u16, kind: &str, body: &str) -> Reply {
    let headers = [
        ("content-type", kind),
        ("cache-control", "no-store"),
        (
            "content-security-policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        // Without a referrer a form would come from the origin "null".
        ("referrer-policy", "same-origin"),
        ("x-content-type-options", "nosniff"),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    Reply { status, headers, body: body.to_owned() }
}

pub(crate) async fn run(
    options: Options,
    environment: &Environment,
    output: Output,
) -> Result<ExitCode, Failure> {
    let log_groups = {
        let session = OperatorSession::open(&options.target, environment, output).await?;
        let own = session.log_group().await;
        own.map(|own| [vec![own], options.log_group.clone()].concat())
    };
    let (address, server) = start(options.target, options.listen, options.folder, log_groups).await?;
    output.line(format!("console on {address}"))?;
    output.value(&json!({ "console": address }))?;
    server.await;
    Ok(ExitCode::SUCCESS)
}

/// Listens; gives the address to open, and the server.
pub(crate) async fn start(
    target: Target,
    listen: SocketAddr,
    folder: PathBuf,
    log_groups: Result<Vec<String>, String>,
) -> Result<(String, impl Future<Output = ()>), Failure> {
    if listen.ip() != std::net::Ipv4Addr::LOCALHOST {
        return Err(Failure::usage(format!(
            "--listen {listen}: the console listens on 127.0.0.1 alone, which other machines cannot reach"
        )));
    }
    let listener = TcpListener::bind(listen).await;
    let listener = listener.map_err(|error| Failure::unreachable(format!("{listen}: {error}")))?;
    let port = listener.local_addr()?.port();
    let mut token = [0; 32];
    getrandom::fill(&mut token).map_err(|error| Failure::unreachable(format!("random bytes: {error}")))?;
    let guard = Guard::new(idv_callback::hex::hex(&token), port);
    let address = guard.address();
    let folder = std::path::absolute(folder)?;
    let tool = Tool::new(&target, folder)?;
    let console = Console {
        guard,
        tool,
        target,
        log_groups,
        runs: Runs::default(),
        files: AtomicU32::new(1),
        started: AtomicBool::new(false),
    };
    let (stop, stopped) = (super::dev::stop_signal()?, super::dev::stop_signal()?);
    let server = serve(listener, Arc::new(console), SystemClock, stop);
    // A timeline that is open would keep it until it is cut.
    let server = async move {
        tokio::select! {
            () = server => {}
            () = async { stopped.await; SystemClock.sleep(LAST_ANSWERS).await } => {}
        }
    };
    Ok((address, server))
}
