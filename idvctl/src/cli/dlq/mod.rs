//! `idvctl dlq`: dead letters, on AWS and, by the same calls, on the embedded stack.

mod apply;
mod approve;
mod archive;
mod archive_file;
mod chosen;
mod correct;
mod discard;
mod discard_proposal;
mod groups;
mod journal;
mod list;
mod listing;
mod plan;
mod proposal;
mod restore;
mod selection;
mod settings;
mod show;
mod verify;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use idv_callback::assurance::Policy;
use idv_callback::audit::pseudonym;
use idv_callback::aws::{AwsConnection, CognitoDirectory, MessageQueue};
use idv_callback::clock::SystemClock;
use idv_callback::config::{ConfigError, Environment};
use idv_callback::key_ring::KeyRing;
use idv_callback::ports::QueueError;
use idv_callback::settlement::Pace;
use idv_callback::verification::{UserReference, Username};

pub(crate) use listing::age;

use super::keys;
use super::local::{LIMITS, local_connection};
use super::operator::OperatorLog;
use super::private_file;
use crate::aws::{ConsumerRecords, DeployedConsumer, Inspection, caller_identity, connect};
use crate::embedded::{CALLBACK_QUEUE, DEAD_LETTER_QUEUE};
use crate::output::{Failure, Output};
use crate::ports::DeadLetter;
use crate::redrive::{
    COUNTS_INCLUDE_ALL_AFTER, DeadLetterSummary, DecisionSettings, Forecaster, Outcomes, scan,
};

#[derive(Subcommand)]
pub(crate) enum DlqCommand {
    /// List the dead letters. This changes nothing.
    List(list::Options),
    /// Show one dead letter, without personal data.
    Show(show::Options),
    /// Count the dead letters by cause: reason, call and error, version. Every cause is shown: there are few.
    Groups(groups::Options),
    /// Propose that a message is about another user than the one it names. A second operator must approve it. Changes nothing.
    Correct(correct::Options),
    /// Approve another operator's correction or discard of evidence, after a check of the messages. Changes nothing.
    Approve(approve::Options),
    /// Select messages, forecast the outcome of each, and write a plan. Changes nothing.
    Plan(plan::Options),
    /// Replay the messages of a plan: one, then five, then the rest. Can be run again with the same plan.
    #[command(alias = "replay")]
    Apply(apply::Options),
    /// Show the outcome of each message of a plan. Exit code 0 only when each is settled and nothing speaks against its forecast.
    Verify(verify::Options),
    /// Show what becomes a dead letter as it happens, and how many there are.
    Watch(watch::Options),
    /// Copy messages into an encrypted file, before SQS drops them.
    Archive(archive::Options),
    /// Copy messages into an encrypted file, then delete them. Evidence takes a second operator.
    Discard(discard::Options),
    /// Bring archived messages back into the dead-letter queue, and see that they are there.
    Restore(restore::Options),
}

impl DlqCommand {
    pub(crate) fn target(&self) -> &Target {
        match self {
            Self::List(options) => &options.target,
            Self::Groups(options) => &options.target,
            Self::Show(options) => &options.target,
            Self::Correct(options) => &options.target,
            Self::Approve(options) => &options.target,
            Self::Plan(options) => &options.target,
            Self::Apply(options) => &options.target,
            Self::Verify(options) => &options.target,
            Self::Archive(options) => &options.target,
            Self::Watch(options) => &options.target,
            Self::Discard(options) => &options.target,
            Self::Restore(options) => &options.target,
        }
    }
}

/// Which installation.
#[derive(Args, Clone)]
pub(crate) struct Target {
    /// The embedded stack of a running `idvctl dev`. [default address: http://127.0.0.1:8787]
    #[arg(long, value_name = "URL", num_args = 0..=1, require_equals = true,
          default_missing_value = "http://127.0.0.1:8787", conflicts_with_all = ["queue_url", "dead_letter_queue_url", "key_ring"])]
    pub(crate) local: Option<String>,
    /// The callback queue. [default: $IDV_QUEUE_URL]
    #[arg(long, value_name = "URL")]
    pub(crate) queue_url: Option<String>,
    /// The dead-letter queue. [default: $IDV_DEAD_LETTER_QUEUE_URL]
    #[arg(long, value_name = "URL")]
    pub(crate) dead_letter_queue_url: Option<String>,
    /// A user pool that the consumer may write to. Can be given several times. [default: $IDV_USER_POOL_IDS]
    #[arg(long, value_name = "ID")]
    pub(crate) user_pool: Vec<String>,
    /// The secret that holds the key ring, by name or ARN. [default: $IDV_KEY_RING_SECRET_ID]
    #[arg(long, value_name = "SECRET")]
    pub(crate) key_ring: Option<String>,
    /// The key ring in a file. [default with --local: $IDV_KEY_RING_FILE, or idv-keys.json]
    #[arg(long, value_name = "FILE", conflicts_with = "key_ring")]
    pub(crate) keys: Option<PathBuf>,
    /// Where the record of what you do is appended to.
    #[arg(long, default_value = "idv-operator-audit.jsonl", value_name = "FILE")]
    pub(crate) audit_log: PathBuf,
}

/// The pace of a consumer; four times as many reads. Cognito's quota for reading users is 120 a second for the account.
const WRITES_PER_SECOND: u32 = 10;

pub(crate) async fn run(
    command: &DlqCommand,
    environment: &Environment,
    output: Output,
) -> Result<ExitCode, Failure> {
    let session = OperatorSession::open(command.target(), environment, output).await?;
    match command {
        DlqCommand::List(options) => list::run(&session, options, output).await,
        DlqCommand::Groups(options) => groups::run(&session, options, output).await,
        DlqCommand::Show(options) => show::run(&session, options, output).await,
        DlqCommand::Correct(options) => correct::run(&session, options, output).await,
        DlqCommand::Approve(options) => approve::run(&session, options, output).await,
        DlqCommand::Plan(options) => plan::run(&session, options, output).await,
        DlqCommand::Apply(options) => apply::run(&session, options, output).await,
        DlqCommand::Verify(options) => verify::run(&session, options, output).await,
        DlqCommand::Watch(options) => watch::run(&session, options, output).await,
        DlqCommand::Archive(options) => archive::run(&session, options, output).await,
        DlqCommand::Discard(options) => discard::run(&session, options, output).await,
        DlqCommand::Restore(options) => restore::run(&session, options, output).await,
    }
}

/// What every operator works with. Who only looks is asked for no more than this: neither for their name nor for the pools.
pub(crate) struct OperatorSession<'a> {
    store: MessageQueue,
    ring: KeyRing,
    pub(crate) connection: AwsConnection,
    target: &'a Target,
    environment: &'a Environment,
}

impl<'a> OperatorSession<'a> {
    pub(crate) async fn open(
        target: &'a Target,
        environment: &'a Environment,
        output: Output,
    ) -> Result<Self, Failure> {
        let (connection, urls) = if let Some(url) = &target.local {
            (local_connection(url, environment).map_err(|error| wrong(&error))?, local_urls(url))
        } else {
            let connection = connect(environment, LIMITS).await.map_err(|error| wrong(&error))?;
            let urls = aws_urls(target, environment)?;
            refuse_wrong_queues(&connection, (&urls.0, &urls.1), output).await?;
            (connection, urls)
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

    /// The messages of this message id, receipt or event id that can be received now.
    async fn find_all(&self, id: &str) -> Result<Vec<DeadLetter>, Failure> {
        let mut found = Vec::new();
        let scanned = scan(&self.store, &SystemClock, async |dead: DeadLetter| {
            let shown = DeadLetterSummary::read(&dead, &self.ring, Duration::ZERO);
            let event = shown.event.as_ref().is_some_and(|event| event.event_id == id);
            if dead.id == id || event || shown.receipt.as_deref() == Some(id) {
                found.push(dead);
            }
            true
        });
        scanned.await.map_err(|error| unreachable(&error))?;
        Ok(found)
    }

    /// The message of this id, if it can be received now.
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

    /// The consumer of the callback queue, as it is deployed; or why it is not known.
    async fn consumer(&self) -> Result<DeployedConsumer, String> {
        DeployedConsumer::of_queue(&self.connection, &self.store.callbacks.url).await
    }

    /// Where that consumer records; or why that is not known.
    pub(crate) async fn log_group(&self) -> Result<String, String> {
        self.consumer().await.map(|consumer| consumer.log_group)
    }

    /// The pseudonym of the user of this name, and how their record stands; none where nobody has the name.
    pub(crate) async fn pseudonym_of(&self, username: &str) -> Result<Option<(String, String)>, Failure> {
        let users = self.users().await?;
        let wrong = |_| Failure::usage("that cannot be a user's name");
        for pool in &users.policy.pools {
            let username = Username::new(username).map_err(wrong)?;
            let reference = UserReference { pool: pool.clone(), username };
            let found = users.forecaster(self).read(&reference).await.map_err(Failure::unreachable)?;
            if let Some(user) = found {
                let sub = user.sub.as_deref().unwrap_or_default();
                let name = pseudonym(&self.ring.audit, pool, sub);
                let (_, told) = show::described(&user, &name);
                return Ok(Some((name, told)));
            }
        }
        Ok(None)
    }

    /// What that consumer records.
    fn records(&self, users: &UserAccess) -> ConsumerRecords<'_> {
        let log_group = users.consumer.as_ref().map(|consumer| consumer.log_group.clone());
        ConsumerRecords { connection: &self.connection, log_group: log_group.map_err(Clone::clone) }
    }

    /// Where the outcomes of messages are looked for.
    fn outcomes<'o>(
        &'o self,
        users: &'o UserAccess,
        log: &'o ConsumerRecords<'_>,
        seconds: u64,
    ) -> Outcomes<'o, MessageQueue, CognitoDirectory, SystemClock, ConsumerRecords<'o>> {
        // The embedded queues count exactly.
        let lag = if self.target.local.is_some() { Duration::ZERO } else { COUNTS_INCLUDE_ALL_AFTER };
        Outcomes {
            store: &self.store,
            forecaster: users.forecaster(self),
            log,
            counts_include_all_after: lag,
            patience: Duration::from_secs(seconds),
        }
    }

    /// Where it is written down who does what.
    async fn log(&self) -> Result<OperatorLog, Failure> {
        let identity = caller_identity(&self.connection).await;
        let who = identity.map_err(|fault| Failure::unreachable(fault.to_string()))?;
        // Nothing is done that cannot be written down.
        let log = &self.target.audit_log;
        private_file::append(log)
            .map_err(|error| Failure::usage(format!("--audit-log {}: {error}", log.display())))?;
        Ok(OperatorLog::new(&self.target.audit_log, who))
    }

    /// The users, with the settings of the consumer as it is deployed, where it can be asked.
    async fn users(&self) -> Result<UserAccess, Failure> {
        let consumer = self.consumer().await;
        let (policy, settings) = settings::resolve(&consumer, self.environment, &self.target.user_pool)?;
        Ok(UserAccess {
            directory: CognitoDirectory::new(&self.connection),
            policy,
            settings,
            consumer,
            pace: Pace::per_second(WRITES_PER_SECOND),
        })
    }
}

/// The users, and what the consumer asks of a proof.
struct UserAccess {
    directory: CognitoDirectory,
    policy: Policy,
    settings: DecisionSettings,
    consumer: Result<DeployedConsumer, String>,
    pace: Pace,
}

impl UserAccess {
    fn forecaster<'a>(
        &'a self,
        session: &'a OperatorSession<'_>,
    ) -> Forecaster<'a, CognitoDirectory, SystemClock> {
        Forecaster {
            directory: &self.directory,
            ring: &session.ring,
            policy: &self.policy,
            pace: &self.pace,
            clock: &SystemClock,
        }
    }
}

/// Refuses queues that are the same, or the wrong way round, or do not belong to each other: the callback queue's redrive policy
/// names the dead-letter queue.
async fn refuse_wrong_queues(
    connection: &AwsConnection,
    (callbacks, dead_letters): (&str, &str),
    output: Output,
) -> Result<(), Failure> {
    let inspection = Inspection::new(connection);
    let looked = (inspection.queue(callbacks).await, inspection.queue(dead_letters).await);
    if callbacks == dead_letters
        || matches!(&looked, (Ok(one), Ok(other)) if !one.arn.is_empty() && one.arn == other.arn)
    {
        return Err(Failure::usage(format!(
            "callback queue and dead-letter queue are the same: {callbacks}"
        )));
    }
    match looked {
        (Ok(callbacks), Ok(dead))
            if dead.redrive.as_ref().is_some_and(|(target, _)| *target == callbacks.arn) =>
        {
            Err(Failure::usage(format!(
                "the queues are the wrong way round: the redrive policy of {} names {}",
                dead.url, callbacks.arn
            )))
        }
        (Ok(callbacks), Ok(dead)) => match &callbacks.redrive {
            Some((target, _)) if *target != dead.arn => Err(Failure::usage(format!(
                "{} is not the dead-letter queue of {}, whose redrive policy names {target}",
                dead.url, callbacks.url
            ))),
            Some(_) => Ok(()),
            None => {
                output.note(format!(
                    "{} has no redrive policy, so nobody can say whether its dead-letter queue is {}",
                    callbacks.url, dead.url
                ));
                Ok(())
            }
        },
        (Err(why), _) => {
            output.note(format!("it could not be seen whether the two queues belong to each other: {why}"));
            Ok(())
        }
        // Every command asks this queue, and says so.
        (_, Err(_)) => Ok(()),
    }
}

fn wrong(error: &ConfigError) -> Failure {
    Failure::usage(error.to_string())
}

fn local_urls(url: &str) -> (String, String) {
    let queue = |name| format!("{}/local/{name}", url.trim_end_matches('/'));
    (queue(CALLBACK_QUEUE), queue(DEAD_LETTER_QUEUE))
}

fn aws_urls(target: &Target, environment: &Environment) -> Result<(String, String), Failure> {
    let one = |given: &Option<String>, variable: &str, flag: &str| {
        let found = given.clone().or_else(|| environment.get(variable));
        found.ok_or_else(|| Failure::usage(format!("which queue? give {flag} or set {variable}; or --local")))
    };
    Ok((
        one(&target.queue_url, "IDV_QUEUE_URL", "--queue-url")?,
        one(&target.dead_letter_queue_url, "IDV_DEAD_LETTER_QUEUE_URL", "--dead-letter-queue-url")?,
    ))
}

fn unreachable(error: &QueueError) -> Failure {
    Failure::unreachable(error.fault().to_string())
}
