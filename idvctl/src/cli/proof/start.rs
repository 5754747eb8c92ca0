//! `proof start`: a proofing session for a user who is there.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use idv_callback::assurance::UserRecord;
use idv_callback::audit::AuditCode;
use idv_callback::aws::{CognitoDirectory, StoredSecret};
use idv_callback::clock::SystemClock;
use idv_callback::config::{ConfigError, Environment, ProviderConfig};
use idv_callback::onekosmos::OneKosmos;
use idv_callback::ports::{DirectoryError, UserDirectory as _};
use idv_callback::proofing::{IdempotencyKey, PersonalLink};
use idv_callback::triggers::session::open_for_user;
use idv_callback::verification::{PoolId, UserReference, Username};
use serde_json::json;

use crate::aws::caller_identity;
use crate::aws::connect;
use crate::cli::keys;
use crate::cli::local::LIMITS;
use crate::cli::operator::OperatorLog;
use crate::output::{Failure, Output, outcome};

#[derive(Args)]
pub(crate) struct Options {
    /// The user's name.
    #[arg(long, value_name = "NAME")]
    pub(crate) user: String,
    /// The user pool. [default: $IDV_USER_POOL_IDS, if that is one]
    #[arg(long, value_name = "ID")]
    pub(crate) user_pool: Option<String>,
    /// Why: a ticket, for the record.
    #[arg(long, value_name = "TEXT")]
    pub(crate) because: String,
    /// Open another session than the one that may be open, or although an approval stands.
    #[arg(long)]
    pub(crate) again: bool,
    /// The secret that holds the key ring, by name or ARN. [default: $IDV_KEY_RING_SECRET_ID]
    #[arg(long, value_name = "SECRET", conflicts_with = "keys")]
    pub(crate) key_ring: Option<String>,
    /// A file that holds the key ring. [default: $IDV_KEY_RING_FILE, or idv-keys.json]
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,
    /// Where operators' acts are recorded.
    #[arg(long, value_name = "FILE", default_value = "idv-operator-audit.jsonl")]
    pub(crate) audit_log: PathBuf,
}

/// A person waits, so a slow answer is better than none.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn run(
    options: &Options,
    environment: &Environment,
    output: Output,
) -> Result<ExitCode, Failure> {
    let usage = |error: ConfigError| Failure::usage(error.to_string());
    let provider = ProviderConfig::read(environment).map_err(usage)?;
    let user = user(options, environment)?;
    let connection = connect(environment, LIMITS).await.map_err(usage)?;
    let secret = options.key_ring.clone().or_else(|| environment.get("IDV_KEY_RING_SECRET_ID"));
    let ring = keys::stored_ring(secret, options.keys.as_ref(), environment, &connection).await?;
    let record = find(&CognitoDirectory::new(&connection), &user).await?;
    let user = UserReference { username: record.username.clone(), ..user };
    let stands = record.assurance.as_ref().is_ok_and(idv_callback::assurance::Assurance::approval_stands);
    if stands && !options.again {
        output.line(
            "This user has a valid approval, so no session was opened. Use --again to open one anyway.",
        )?;
        output.value(&json!({ "opened": false, "reason": "an approval stands" }))?;
        return Ok(outcome(false));
    }
    let who = caller_identity(&connection).await;
    let who = who.map_err(|fault| Failure::unreachable(fault.to_string()))?;
    let log = OperatorLog::new(&options.audit_log, who);
    let another = options.again.then(IdempotencyKey::random).transpose();
    let another = another.map_err(|error| Failure::unreachable(error.to_string()))?;
    let api_key = StoredSecret::new(&connection, &provider.api_key);
    let provider = OneKosmos::new(&provider.url, &provider.callback_url, api_key, SystemClock);
    let provider = provider.map_err(Failure::usage)?;
    let opened = open_for_user(&provider, &ring, &user, &record, another, PATIENCE).await;
    let opened = opened.map_err(|fault| Failure::unreachable(fault.to_string()))?;
    let act = log.act(AuditCode::SessionOpened, &options.because).session(&opened.id);
    log.write(&act.of_user(&ring.audit, &user.pool, record.sub.as_deref()))?;
    output.line(format!("session  {}", opened.id))?;
    let link = opened.link.as_ref().map(PersonalLink::as_str);
    output.line(format!("link     {}", link.unwrap_or("none: 1Kosmos tells the user itself")))?;
    output.note("give the link to this user only: whoever opens it can prove to be this user");
    output.value(&json!({ "opened": true, "session_id": opened.id.as_str(), "session_url": link }))?;
    Ok(outcome(true))
}

fn user(options: &Options, environment: &Environment) -> Result<UserReference, Failure> {
    let pool = options.user_pool.clone().or_else(|| environment.get("IDV_USER_POOL_IDS"));
    let pool =
        pool.ok_or_else(|| Failure::usage("which user pool? give --user-pool or set IDV_USER_POOL_IDS"))?;
    let pool = PoolId::of_real_pool(&pool);
    let username = Username::new(&options.user);
    Ok(UserReference {
        pool: pool
            .map_err(|_| Failure::usage("--user-pool must be one user pool's id, like us-east-1_AbC123"))?,
        username: username.map_err(|_| Failure::usage("--user must be a user's name"))?,
    })
}

async fn find(directory: &CognitoDirectory, user: &UserReference) -> Result<UserRecord, Failure> {
    let nobody = || Failure::usage("there is no user of that name in the pool");
    match directory.find(user).await {
        Ok(found) => found.ok_or_else(nobody),
        Err(DirectoryError::UserNotFound) => Err(nobody()),
        Err(error) => {
            Err(Failure::unreachable(error.into_fault().map(|fault| fault.to_string()).unwrap_or_default()))
        }
    }
}
