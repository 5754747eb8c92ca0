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
use std::sync::atomic::AtomicU32;

use clap::Args;
use idv_callback::clock::SystemClock;
use idv_callback::config::Environment;
use serde_json::json;
use tokio::net::TcpListener;

use super::dlq::{OperatorSession, Target};
use crate::embedded::{Reply, serve};
use crate::output::{Failure, Output};
use guard::Guard;
use runs::Runs;
use site::Console;
use tool::Tool;

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Where to listen: an address of this machine alone. [default: 127.0.0.1, any port]
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
    let log_group = {
        let session = OperatorSession::open(&options.target, environment, output).await?;
        session.log_group().await
    };
    let (address, server) =
        start(options.target, options.listen, options.folder, log_group, super::dev::stop_signal()?).await?;
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
    log_group: Result<String, String>,
    stop: impl Future<Output = ()> + Send,
) -> Result<(String, impl Future<Output = ()>), Failure> {
    if !listen.ip().is_loopback() {
        return Err(Failure::usage(format!(
            "--listen {listen}: other machines can reach that; use an address of 127.0.0.0/8"
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
    let console = Console { guard, tool, target, log_group, runs: Runs::default(), files: AtomicU32::new(1) };
    Ok((address, serve(listener, Arc::new(console), SystemClock, stop)))
}
