//! Is an installation fit to take callbacks? What was found, against what this system relies on; each finding with what
//! to do about it.

mod functions;
mod queues;
mod users;

use std::collections::BTreeMap;
use std::time::Duration;

use idv_callback::key_ring::KeyRing;
use idv_callback::ports::KeyStoreError;
use idv_callback::timestamp::Timestamp;

/// How far the clocks may be apart before signatures are at risk: the tolerance ahead is 60 s.
const SKEW_AT_RISK: Duration = Duration::from_secs(5);
const SKEW_TOO_FAR: Duration = Duration::from_secs(60);

/// What Secrets Manager says of a secret that has no value (`GetSecretValue`), and our own word for an empty one.
const NO_VALUE: [&str; 2] = ["ResourceNotFoundException", "empty_secret"];

/// What was looked at. What could not be looked at says why.
#[derive(Default)]
pub struct Installation {
    /// The callback queue.
    pub queue: Option<Asked<Queue>>,
    /// The dead-letter queue.
    pub dead_letters: Option<Asked<Queue>>,
    /// The user pool.
    pub pool: Option<Asked<Pool>>,
    /// The callback function, as API Gateway calls it.
    pub callback: Option<Asked<Function>>,
    /// The consumer function, as the event source mapping calls it.
    pub consumer: Option<Asked<Function>>,
    /// The event source mappings of the callback queue.
    pub mappings: Option<Asked<Vec<Mapping>>>,
    /// The key ring: what it is called, and whether it can be used.
    pub key_ring: Option<(String, Result<KeyRing, KeyStoreError>)>,
    /// The time here and the time at AWS.
    pub clocks: Option<(Timestamp, Timestamp)>,
}

/// An answer, or why there is none: the call and its error code.
pub type Asked<T> = Result<T, String>;

/// A queue.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    /// Its ARN.
    pub arn: String,
    /// Its URL.
    pub url: String,
    /// Whether it is a FIFO queue.
    pub fifo: bool,
    /// How long a received message stays invisible.
    pub visibility: Duration,
    /// How long messages are kept.
    pub retention: Duration,
    /// Whether messages are encrypted at rest.
    pub encrypted: bool,
    /// Whether order and throughput are by message group.
    pub by_group: bool,
    /// The dead-letter queue's ARN and the number of receives before a message goes there.
    pub redrive: Option<(String, u32)>,
}

/// A user pool.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    /// Its id.
    pub id: String,
    /// The attributes of its schema.
    pub schema: Vec<SchemaAttribute>,
    /// Whether people can sign up by themselves.
    pub self_sign_up: bool,
    /// What is verified by a code that Cognito sends at sign-up.
    pub verified_by_code: Vec<String>,
    /// Whether `Ada` and `ada` are two users.
    pub case_sensitive: bool,
    /// What Cognito asks for by itself once a password was right.
    pub own_challenges: Vec<OwnChallenge>,
    /// Which of [`TRIGGERS`] are set, each with the function that it calls.
    pub triggers: BTreeMap<&'static str, String>,
    /// Its app clients.
    pub clients: Vec<AppClient>,
}

/// The triggers of a pool (`LambdaConfig`) that sign-up and step-up need.
pub const TRIGGERS: [&str; 4] =
    ["PreSignUp", "DefineAuthChallenge", "CreateAuthChallenge", "VerifyAuthChallengeResponse"];

/// A challenge of Cognito's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnChallenge {
    /// A second factor that people may or must have.
    Mfa,
    /// That of a device that is remembered.
    Device,
}

/// An attribute of a pool's schema.
#[derive(Clone, Debug, Default)]
pub struct SchemaAttribute {
    /// The name, `custom:` included.
    pub name: String,
    /// Whether it is a string.
    pub string: bool,
    /// Whether it can be written more than once.
    pub mutable: bool,
    /// The longest value, in characters.
    pub maximum_length: Option<usize>,
}

/// An app client.
#[derive(Clone, Debug, Default)]
pub struct AppClient {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The attributes that a signed-in user may write through it; none when it does not say.
    pub writable: Option<Vec<String>>,
    /// How people may sign in through it: `ExplicitAuthFlows`.
    pub flows: Vec<String>,
    /// Whether people may sign in through it on the sign-in pages, or by an identity provider: `AllowedOAuthFlowsUserPoolClient`.
    pub by_pages: bool,
    /// What its tokens from the sign-in pages may do: `AllowedOAuthScopes`.
    pub scopes: Vec<String>,
}

/// A function.
#[derive(Clone, Debug, Default)]
pub struct Function {
    /// What was asked for: a name or an ARN, with an alias.
    pub asked: String,
    /// Its time limit.
    pub timeout: Duration,
    /// The log group that it writes to.
    pub log_group: String,
    /// Its environment variables.
    pub variables: BTreeMap<String, String>,
}

impl Function {
    /// Whether an alias or a version was asked for, rather than `$LATEST`.
    fn is_qualified(&self) -> bool {
        let parts = self.asked.split(':').count();
        if self.asked.starts_with("arn:") { parts == 8 } else { parts == 2 }
    }

    /// Whether this ARN is what was asked for.
    fn is_called(&self, arn: &str) -> bool {
        arn == self.asked || arn.ends_with(&format!(":function:{}", self.asked))
    }
}

/// An event source mapping.
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    /// The function that it calls, with its alias.
    pub function_arn: String,
    /// Whether it runs.
    pub enabled: bool,
    /// Whether a batch can fail in part.
    pub partial_failures: bool,
    /// The most functions at a time.
    pub maximum_concurrency: Option<u32>,
}

/// How a check came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Fine(String),
    /// It works, and there is a risk.
    Doubtful {
        /// What was found.
        found: String,
        /// What to do.
        remedy: String,
    },
    /// It does not work, or is not safe.
    Wrong {
        /// What was found.
        found: String,
        /// What to do.
        remedy: String,
    },
    /// It could not be looked at.
    Unknown {
        /// What happened.
        found: String,
        /// What to do.
        remedy: String,
    },
}

/// One check and how it came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckResult {
    /// What was checked.
    pub check: &'static str,
    /// How it came out.
    pub verdict: Verdict,
}

impl CheckResult {
    fn fine(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Fine(found.into()) }
    }

    fn doubtful(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Doubtful { found: found.into(), remedy: remedy.into() } }
    }

    fn wrong(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Wrong { found: found.into(), remedy: remedy.into() } }
    }

    fn unknown(check: &'static str, found: &str) -> Self {
        let remedy = "check the name, the region and that your credentials may make this call".to_owned();
        Self { check, verdict: Verdict::Unknown { found: found.to_owned(), remedy } }
    }

    /// Fine with these words, or wrong with the others.
    fn either(
        check: &'static str,
        good: bool,
        fine: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        if good { Self::fine(check, fine) } else { Self::wrong(check, found, remedy) }
    }
}

/// Looks at everything that was asked about.
pub fn examine(installation: &Installation, now: Timestamp) -> Vec<CheckResult> {
    let mut findings = queues::examine(installation);
    findings.extend(users::examine(installation));
    findings.extend(functions::examine(installation));
    findings.extend(key_ring(installation, now));
    findings.extend(clocks(installation));
    findings
}

fn key_ring(installation: &Installation, now: Timestamp) -> Vec<CheckResult> {
    const CHECK: &str = "key ring";
    let ring = match &installation.key_ring {
        None => return Vec::new(),
        Some((_, Err(problem))) => return vec![no_key_ring(CHECK, problem)],
        Some((_, Ok(ring))) => ring,
    };
    let live = ring.webhook_keys_at(now).count();
    let mut findings = vec![CheckResult::either(
        CHECK,
        live > 0,
        format!("{live} live webhook key(s), {} seal key(s)", ring.seal.len()),
        "no webhook key is live: every callback is refused",
        "add a key (runbooks/key-rotation.md)",
    )];
    for (one, other) in ring.shared_secrets() {
        let remedy = "give each key a secret of its own (idvctl keys new)";
        findings.push(CheckResult::doubtful(
            CHECK,
            format!("{one} and {other} have the same secret"),
            remedy,
        ));
    }
    if ring.binding.is_empty() {
        let remedy = "add one, unless IDV_BINDING is optional and stays so";
        findings.push(CheckResult::doubtful(CHECK, "there is no binding key", remedy));
    }
    findings
}

/// A ring that is there is never to be replaced by a new one: what it sealed could not be opened any more.
fn no_key_ring(check: &'static str, problem: &KeyStoreError) -> CheckResult {
    let found = problem.to_string().trim_start_matches("key ring: ").to_owned();
    match problem {
        KeyStoreError::Misconfigured(fault) if NO_VALUE.contains(&fault.code.as_str()) => {
            let remedy = "if this stack never had one, put a ring there (infra/README.md, \"Deploy\")";
            CheckResult::wrong(check, found, remedy)
        }
        KeyStoreError::Malformed(_) => {
            let remedy =
                "fix what is said, or go back to the version before (runbooks/key-rotation.md, \"If not\")";
            CheckResult::wrong(check, found, remedy)
        }
        KeyStoreError::Transient(_) | KeyStoreError::Misconfigured(_) => CheckResult::unknown(check, &found),
    }
}

fn clocks(installation: &Installation) -> Vec<CheckResult> {
    const CHECK: &str = "clock";
    let Some((here, there)) = installation.clocks else { return Vec::new() };
    let skew = here.since(there).max(there.since(here));
    let found = format!("this machine and AWS are {} s apart", skew.as_secs());
    let remedy = "set this machine's clock (NTP): what you sign here is refused by age otherwise";
    vec![if skew > SKEW_TOO_FAR {
        CheckResult::wrong(CHECK, found, remedy)
    } else if skew > SKEW_AT_RISK {
        CheckResult::doubtful(CHECK, found, remedy)
    } else {
        CheckResult::fine(CHECK, found)
    }]
}
