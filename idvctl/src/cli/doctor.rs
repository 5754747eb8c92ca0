//! `idvctl doctor`: looks at an installation on AWS and says what is wrong with it.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use idv_callback::aws::{AwsConnection, CallLimits, StoredSecret};
use idv_callback::clock::SystemClock;
use idv_callback::config::{Environment, SecretSource};
use idv_callback::ports::{Clock as _, KeyStore as _};
use serde_json::json;

use crate::aws::Inspection;
use crate::aws::connect;
use crate::output::{Failure, Output, outcome};
use crate::preflight::{CheckResult, Installation, Verdict, examine};

/// What to look at; what is not named is not looked at. The stack's output `DoctorCommand` names it all.
#[derive(Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Options {
    /// The callback queue.
    #[arg(long, value_name = "URL")]
    pub(crate) queue_url: Option<String>,
    /// The dead-letter queue.
    #[arg(long, value_name = "URL")]
    pub(crate) dead_letter_queue_url: Option<String>,
    /// The user pool.
    #[arg(long, value_name = "ID")]
    pub(crate) user_pool: Option<String>,
    /// The secret that holds the key ring, by name or ARN.
    #[arg(long, value_name = "SECRET")]
    pub(crate) key_ring: Option<String>,
    /// The callback function with its alias, as in idv-callback:live.
    #[arg(long, value_name = "FUNCTION")]
    pub(crate) callback_function: Option<String>,
    /// The consumer function with its alias, as in idv-consumer:live.
    #[arg(long, value_name = "FUNCTION")]
    pub(crate) consumer_function: Option<String>,
}

/// A person waits, so a slow answer is better than none.
const LIMITS: CallLimits = CallLimits { attempt: Duration::from_secs(5), operation: Duration::from_secs(12) };

pub(crate) async fn run(
    options: &Options,
    environment: &Environment,
    output: Output,
) -> Result<ExitCode, Failure> {
    let connection = connect(environment, LIMITS).await;
    let connection = connection.map_err(|error| Failure::usage(error.to_string()))?;
    let installation = look(options, &connection).await;
    let findings = examine(&installation, SystemClock.now());
    report(&findings, output)?;
    let has = |sort: fn(&Verdict) -> bool| findings.iter().any(|finding| sort(&finding.verdict));
    if has(|verdict| matches!(verdict, Verdict::Wrong { .. })) {
        return Ok(outcome(false));
    }
    if has(|verdict| matches!(verdict, Verdict::Unknown { .. })) {
        return Err(Failure::unreachable("not everything could be checked"));
    }
    Ok(outcome(true))
}

/// Asks for what the options name.
async fn look(options: &Options, connection: &AwsConnection) -> Installation {
    let inspection = Inspection::new(connection);
    let mut installation = Installation::default();
    if let Some(url) = &options.queue_url {
        let queue = inspection.queue(url).await;
        installation.clocks = inspection.server_time().map(|there| (SystemClock.now(), there));
        if let (Ok(queue), Some(_)) = (&queue, &options.consumer_function) {
            installation.mappings = Some(inspection.mappings(&queue.arn).await);
        }
        installation.queue = Some(queue);
    }
    if let Some(url) = &options.dead_letter_queue_url {
        installation.dead_letters = Some(inspection.queue(url).await);
    }
    if let Some(pool) = &options.user_pool {
        installation.pool = Some(inspection.pool(pool).await);
    }
    if let Some(name) = &options.callback_function {
        installation.callback = Some(inspection.function(name).await);
    }
    if let Some(name) = &options.consumer_function {
        installation.consumer = Some(inspection.function(name).await);
    }
    if let Some(secret) = &options.key_ring {
        let ring = StoredSecret::new(connection, &SecretSource::Secret(secret.clone())).fetch().await;
        installation.key_ring = Some((secret.clone(), ring));
    }
    installation
}

fn report(findings: &[CheckResult], output: Output) -> Result<(), Failure> {
    let mut lines = Vec::new();
    for CheckResult { check, verdict } in findings {
        let (word, found, remedy) = match verdict {
            Verdict::Fine(found) => ("ok", found, None),
            Verdict::Doubtful { found, remedy } => ("doubtful", found, Some(remedy)),
            Verdict::Wrong { found, remedy } => ("WRONG", found, Some(remedy)),
            Verdict::Unknown { found, remedy } => ("unknown", found, Some(remedy)),
        };
        output.line(format!("{word:<9} {check}: {found}"))?;
        if let Some(remedy) = remedy {
            output.line(format!("          -> {remedy}"))?;
        }
        lines.push(
            json!({ "check": check, "verdict": word.to_lowercase(), "found": found, "remedy": remedy }),
        );
    }
    output.value(&json!({ "findings": lines }))?;
    Ok(())
}
