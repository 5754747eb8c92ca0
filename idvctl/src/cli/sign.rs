//! `idvctl sign`: the signature of a body.

use std::io::Read as _;
use std::process::ExitCode;

use clap::Args;
use idv_callback::config::Environment;
use idv_callback::delivery::sign as sign_body;
use serde_json::{Map, json};

use super::keys;
use crate::callback_body::fresh_id;
use crate::cli::signing::SigningOptions;
use crate::output::{Failure, Output};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) signing: SigningOptions,
    /// The message id, for standard-webhooks. [default: made up]
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    /// The time of signing, RFC 3339. [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
}

pub(crate) fn run(options: &Options, environment: &Environment, output: Output) -> Result<ExitCode, Failure> {
    let ring = keys::read_ring(&keys::ring_path(options.signing.keys.as_ref(), environment))?;
    let profile = keys::profile(&options.signing, environment)?;
    let key = keys::signing_key(&ring, &options.signing)?;
    let id = options.id.clone().map_or_else(|| fresh_id("msg_"), Ok)?;
    let at = keys::moment(options.at.as_ref(), "--at")?;
    let mut body = Vec::new();
    std::io::stdin()
        .lock()
        .read_to_end(&mut body)
        .map_err(|error| Failure::usage(format!("standard input: {error}")))?;
    let headers = sign_body(&profile, &key.secret, &id, at, &body);
    for (name, value) in &headers {
        output.line(format!("{name}: {value}"))?;
    }
    let headers: Map<_, _> = headers.into_iter().map(|(name, value)| (name, value.into())).collect();
    output.value(&json!({ "headers": headers }))?;
    Ok(ExitCode::SUCCESS)
}
