//! `idvctl dlq`: dead letters, on AWS and, by the same calls, on the embedded stack.

mod apply;
mod correct;
mod keep;
mod list;
mod plan;

use std::collections::BTreeMap;
use std::process::ExitCode;

use super::args::{DlqCommand, DlqSelection, DlqTarget};
use super::keys;
use super::local::{LIMITS, local_connection};
use super::operator::OperatorLog;
use super::output::{Failure, Output};
use crate::assurance::Policy;
use crate::aws::{AwsConnection, CognitoDirectory, MessageQueue, caller_identity};
use crate::clock::SystemClock;
use crate::config::{ConfigError, Environment, LocalConfig};
use crate::key_ring::KeyRing;
use crate::local::{CALLBACK_QUEUE, DEAD_LETTER_QUEUE};
use crate::ports::{DeadLetter, QueueError};
use crate::redrive::{Foresight, Selection, scan};
use crate::settlement::Pace;
use crate::verification::PoolId;

/// The pace of a consumer; four times as many reads. Cognito's quota for reading users is 120 a second for the account.
const WRITES_PER_SECOND: u32 = 10;

/// The embedded stack's pool, unless told otherwise.
const LOCAL_POOL: &str = "us-east-1_LocalPool";

pub(super) async fn run(
    command: DlqCommand,
    environment: &Environment,
    output: Output,
) -> Result<ExitCode, Failure> {
    let desk = Desk::open(command.target(), environment).await?;
    match &command {
        DlqCommand::List(options) => list::list(&desk, options, output).await,
        DlqCommand::Groups(options) => list::groups(&desk, options, output).await,
        DlqCommand::Show(options) => list::show(&desk, &options.id, output).await,
        DlqCommand::Correct(options) => correct::propose(&desk, options, output).await,
        DlqCommand::Approve(options) => correct::approve(&desk, options, output).await,
        DlqCommand::Plan(options) => plan::make(&desk, options, output).await,
        DlqCommand::Apply(options) => apply::apply(&desk, options, output).await,
        DlqCommand::Verify(options) => plan::verify(&desk, options, output).await,
        DlqCommand::Archive(options) => keep::archive(&desk, options, output).await,
        DlqCommand::Discard(options) => keep::discard(&desk, options, output).await,
    }
}

/// What every operator works with. Who only looks is asked for no more than this: neither for their name nor for the pools.
struct Desk<'a> {
    store: MessageQueue,
    ring: KeyRing,
    connection: AwsConnection,
    target: &'a DlqTarget,
    environment: &'a Environment,
}

impl<'a> Desk<'a> {
    async fn open(target: &'a DlqTarget, environment: &'a Environment) -> Result<Self, Failure> {
        let (connection, urls) = if let Some(url) = &target.local {
            (local_connection(url, environment).map_err(|error| wrong(&error))?, local_urls(url))
        } else {
            let connection =
                AwsConnection::of_process(environment, LIMITS).await.map_err(|error| wrong(&error))?;
            (connection, aws_urls(target, environment)?)
        };
        let secret = target.key_ring.clone().or_else(|| environment.get("IDV_KEY_RING_SECRET_ID"));
        let secret = secret.filter(|_| target.local.is_none());
        Ok(Self {
            store: MessageQueue::new(&connection, &urls.0, &urls.1),
            ring: keys::stored_ring(secret, target.keys.as_ref(), environment, &connection).await?,
            connection,
            target,
            environment,
        })
    }

    /// The letter of this id, if it can be had now.
    async fn find(&self, id: &str) -> Result<Option<DeadLetter>, Failure> {
        let mut found = None;
        let scanned = scan(&self.store, &SystemClock, async |dead: DeadLetter| {
            if dead.id == id {
                found = Some(dead);
            }
            found.is_none()
        });
        scanned.await.map_err(|error| unreachable(&error))?;
        Ok(found)
    }

    /// Where it is written down who does what.
    async fn log(&self) -> Result<OperatorLog, Failure> {
        let identity = caller_identity(&self.connection).await;
        let who = identity.map_err(|fault| Failure::unreachable(fault.to_string()))?;
        Ok(OperatorLog::new(&self.target.audit_log, who))
    }

    fn users(&self) -> Result<Users, Failure> {
        let config = LocalConfig::read(self.environment).map_err(|error| wrong(&error))?;
        // Real pools want a binding unless told otherwise, as the consumer does.
        let optional =
            self.target.local.is_some() || self.environment.get("IDV_BINDING").as_deref() == Some("optional");
        Ok(Users {
            directory: CognitoDirectory::new(&self.connection),
            policy: Policy {
                pools: pools(self.target, self.environment)?,
                minimum_ial: config.minimum_ial,
                binding_required: config.binding_required || !optional,
                event_types: config.event_types,
            },
            pace: Pace::per_second(WRITES_PER_SECOND),
        })
    }
}

/// The users, and what the consumer asks of a proof.
struct Users {
    directory: CognitoDirectory,
    policy: Policy,
    pace: Pace,
}

impl Users {
    fn foresight<'a>(&'a self, desk: &'a Desk<'_>) -> Foresight<'a, CognitoDirectory, SystemClock> {
        Foresight {
            directory: &self.directory,
            ring: &desk.ring,
            policy: &self.policy,
            pace: &self.pace,
            clock: &SystemClock,
        }
    }
}

fn wrong(error: &ConfigError) -> Failure {
    Failure::usage(error.to_string())
}

fn local_urls(url: &str) -> (String, String) {
    let queue = |name| format!("{}/local/{name}", url.trim_end_matches('/'));
    (queue(CALLBACK_QUEUE), queue(DEAD_LETTER_QUEUE))
}

fn aws_urls(target: &DlqTarget, environment: &Environment) -> Result<(String, String), Failure> {
    let one = |given: &Option<String>, variable: &str, flag: &str| {
        let found = given.clone().or_else(|| environment.get(variable));
        found.ok_or_else(|| Failure::usage(format!("which queue? give {flag} or set {variable}; or --local")))
    };
    Ok((
        one(&target.queue_url, "IDV_QUEUE_URL", "--queue-url")?,
        one(&target.dead_letter_queue_url, "IDV_DEAD_LETTER_QUEUE_URL", "--dead-letter-queue-url")?,
    ))
}

fn pools(target: &DlqTarget, environment: &Environment) -> Result<Vec<PoolId>, Failure> {
    let from_environment = || environment.get("IDV_USER_POOL_IDS").unwrap_or_default();
    let mut names = target.user_pool.clone();
    if names.is_empty() && target.local.is_some() {
        names.push(LOCAL_POOL.to_owned());
    }
    if names.is_empty() {
        names = from_environment()
            .split(',')
            .map(|id| id.trim().to_owned())
            .filter(|id| !id.is_empty())
            .collect();
    }
    if names.is_empty() {
        return Err(Failure::usage(
            "which user pools does the consumer serve? give --user-pool or set IDV_USER_POOL_IDS",
        ));
    }
    let pool = |id: &String| PoolId::of_real_pool(id);
    let pools: Result<Vec<_>, _> = names.iter().map(pool).collect();
    pools.map_err(|_| Failure::usage("--user-pool must be a user pool's id, like us-east-1_AbC123"))
}

fn selection(options: &DlqSelection) -> Result<Selection, Failure> {
    Ok(Selection {
        reasons: options.reason.clone(),
        ids: options.id.clone(),
        groups: options.group.clone(),
        since: options.since.as_ref().map(|at| keys::moment(Some(at), "--since")).transpose()?,
        corrections: BTreeMap::new(),
    })
}

fn unreachable(error: &QueueError) -> Failure {
    Failure::unreachable(error.fault().to_string())
}
