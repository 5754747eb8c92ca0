//! Configuration from the environment: read here and nowhere else, all errors at once, each with the variable's name,
//! what it must be and an example.

use std::fmt;

use crate::assurance::Policy;
use crate::delivery::SignatureProfile;
use crate::verification::{AssuranceLevel, PoolId};
use crate::vocabulary::EventTypes;

mod sign_in;
mod variables;

pub use sign_in::{ProviderConfig, SessionConfig, TriggersConfig};
pub use variables::{VARIABLES, Variable};

/// A file of root certificates to trust instead of Amazon's own, for private endpoints: a variable of the AWS CLI.
pub const CA_BUNDLE: &str = "AWS_CA_BUNDLE";

/// Where values come from: the process's environment, or a test's table.
pub struct Environment(Box<Lookup>);

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

impl Environment {
    /// The environment of this process.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads it")]
    pub fn of_this_process() -> Self {
        Self(Box::new(|name| std::env::var(name).ok()))
    }

    /// An environment that holds what this function gives.
    pub fn new(get: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Box::new(get))
    }

    /// The value of a variable; an empty one is the same as none.
    pub fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }
}

/// Everything that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration has {} error(s): {}", self.0.len(), self.0.join("; "))
    }
}

impl std::error::Error for ConfigError {}

impl From<String> for ConfigError {
    fn from(complaint: String) -> Self {
        Self(vec![complaint])
    }
}

/// Where a secret is: the key ring, or the key for 1Kosmos' API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A secret of Secrets Manager: its name or ARN.
    Secret(String),
    /// A file.
    File(std::path::PathBuf),
}

/// The configuration of the callback function.
#[derive(Debug)]
pub struct CallbackConfig {
    /// `IDV_QUEUE_URL`
    pub queue_url: String,
    /// `IDV_KEY_RING_SECRET_ID` or `IDV_KEY_RING_FILE`
    pub key_ring: SecretSource,
    /// `IDV_SIGNATURE_PROFILE`, `IDV_SIGNATURE_HEADER`, `IDV_ALLOW_UNBOUND_TIMESTAMP`
    pub profile: SignatureProfile,
    /// `IDV_EVENT_TYPES`
    pub event_types: EventTypes,
    /// `IDV_METRICS_NAMESPACE`
    pub metrics_namespace: String,
}

/// The configuration of the consumer function.
#[derive(Debug)]
pub struct ConsumerConfig {
    /// `IDV_QUEUE_URL`
    pub queue_url: String,
    /// `IDV_DEAD_LETTER_QUEUE_URL`
    pub dead_letter_queue_url: String,
    /// `IDV_KEY_RING_SECRET_ID` or `IDV_KEY_RING_FILE`
    pub key_ring: SecretSource,
    /// `IDV_USER_POOL_IDS`, `IDV_MINIMUM_IAL`, `IDV_BINDING`, `IDV_EVENT_TYPES`
    pub policy: Policy,
    /// `IDV_COGNITO_RPS`
    pub cognito_rps: u32,
    /// `IDV_METRICS_NAMESPACE`
    pub metrics_namespace: String,
}

impl CallbackConfig {
    /// Reads it.
    ///
    /// # Errors
    /// [`ConfigError`] with everything that is wrong.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(environment);
        let queue_url = reader.url("IDV_QUEUE_URL");
        let key_ring = reader.key_ring();
        let (profile, event_types) = (reader.profile(), reader.event_types());
        let metrics_namespace = reader.metrics_namespace();
        reader.aws();
        let read = || {
            let (queue_url, key_ring, profile) = (queue_url?, key_ring?, profile?);
            Some(Self { queue_url, key_ring, profile, event_types, metrics_namespace })
        };
        reader.finish(read())
    }
}

impl ConsumerConfig {
    /// Reads it.
    ///
    /// # Errors
    /// [`ConfigError`] with everything that is wrong.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(environment);
        let urls = (reader.url("IDV_QUEUE_URL"), reader.url("IDV_DEAD_LETTER_QUEUE_URL"));
        let key_ring = reader.key_ring();
        let pools = reader.pools();
        let (minimum_ial, binding_required) = (reader.minimum_ial(), reader.binding_required());
        let (cognito_rps, event_types) = (reader.cognito_rps(), reader.event_types());
        let metrics_namespace = reader.metrics_namespace();
        reader.aws();
        let read = || {
            let policy = Policy { pools: pools?, minimum_ial, binding_required, event_types };
            let ((queue_url, dead_letter_queue_url), key_ring) = (urls.0.zip(urls.1)?, key_ring?);
            Some(Self { queue_url, dead_letter_queue_url, key_ring, policy, cognito_rps, metrics_namespace })
        };
        reader.finish(read())
    }
}

/// The configuration of the check before new versions take traffic.
#[derive(Debug)]
pub enum PreTrafficConfig {
    /// The functions of the callbacks.
    Callbacks {
        /// `IDV_KEY_RING_SECRET_ID` or `IDV_KEY_RING_FILE`
        key_ring: SecretSource,
        /// `IDV_SIGNATURE_PROFILE`, `IDV_SIGNATURE_HEADER`, `IDV_ALLOW_UNBOUND_TIMESTAMP`
        profile: SignatureProfile,
        /// `IDV_CALLBACK_VERSION`
        callback: String,
        /// `IDV_CONSUMER_VERSION`
        consumer: String,
    },
    /// The trigger function.
    SignIn {
        /// `IDV_TRIGGERS_VERSION`
        triggers: String,
    },
}

impl PreTrafficConfig {
    /// Reads it.
    ///
    /// # Errors
    /// [`ConfigError`] with everything that is wrong.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(environment);
        if let Some(triggers) = environment.get("IDV_TRIGGERS_VERSION") {
            reader.aws();
            return reader.finish(Some(Self::SignIn { triggers }));
        }
        let key_ring = reader.key_ring();
        let profile = reader.profile();
        let versions = (reader.text("IDV_CALLBACK_VERSION"), reader.text("IDV_CONSUMER_VERSION"));
        reader.aws();
        let read = || {
            let (callback, consumer) = versions.0.zip(versions.1)?;
            Some(Self::Callbacks { key_ring: key_ring?, profile: profile?, callback, consumer })
        };
        reader.finish(read())
    }
}

/// The part of the configuration that the embedded stack takes from the environment, too.
#[derive(Debug)]
pub struct LocalConfig {
    /// `IDV_SIGNATURE_PROFILE`, `IDV_SIGNATURE_HEADER`, `IDV_ALLOW_UNBOUND_TIMESTAMP`
    pub profile: SignatureProfile,
    /// `IDV_MINIMUM_IAL`
    pub minimum_ial: AssuranceLevel,
    /// `IDV_BINDING`, here optional unless set: senders that did not open a session have no binding.
    pub binding_required: bool,
    /// `IDV_COGNITO_RPS`
    pub cognito_rps: u32,
    /// `IDV_EVENT_TYPES`
    pub event_types: EventTypes,
}

impl LocalConfig {
    /// Reads it.
    ///
    /// # Errors
    /// [`ConfigError`] with everything that is wrong.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(environment);
        let profile = reader.profile();
        let minimum_ial = reader.minimum_ial();
        let binding_required = environment.get("IDV_BINDING").is_some() && reader.binding_required();
        let (cognito_rps, event_types) = (reader.cognito_rps(), reader.event_types());
        let read = |profile| Self { profile, minimum_ial, binding_required, cognito_rps, event_types };
        reader.finish(profile.map(read))
    }
}

/// Reads variables and gathers complaints.
struct Reader<'e> {
    environment: &'e Environment,
    complaints: Vec<String>,
}

impl<'e> Reader<'e> {
    fn new(environment: &'e Environment) -> Self {
        Self { environment, complaints: Vec::new() }
    }

    /// The configuration. Whatever could not be read has its complaint.
    fn finish<T>(self, read: Option<T>) -> Result<T, ConfigError> {
        read.filter(|_| self.complaints.is_empty()).ok_or(ConfigError(self.complaints))
    }

    fn complain(&mut self, name: &str, problem: &str) {
        let example = VARIABLES.iter().find(|variable| variable.0 == name).map_or("", |variable| variable.2);
        self.complaints.push(format!("{name} {problem}, for example {name}={example}"));
    }

    /// The value read; complains when it cannot be, and where there is none and no default.
    fn value<T>(
        &mut self,
        name: &str,
        default: Option<T>,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let result = match (self.environment.get(name), default) {
            (Some(text), _) => read(&text),
            (None, Some(default)) => Ok(default),
            (None, None) => Err("is not set".to_owned()),
        };
        result.map_err(|problem| self.complain(name, &problem)).ok()
    }

    /// What the AWS clients of a function cannot do without.
    fn aws(&mut self) {
        if self.environment.get("AWS_REGION").or_else(|| self.environment.get("AWS_DEFAULT_REGION")).is_none()
        {
            self.complain("AWS_REGION", "is not set");
        }
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
            self.value(name, None, |_| Ok(()));
        }
    }

    fn text(&mut self, name: &str) -> Option<String> {
        self.value(name, None, |text| Ok(text.to_owned()))
    }

    fn url(&mut self, name: &str) -> Option<String> {
        self.value(name, None, |text| {
            let is_url = text.starts_with("https://") || text.starts_with("http://");
            if !is_url {
                return Err("must be a queue URL".to_owned());
            }
            if !text.to_ascii_lowercase().ends_with(".fifo") {
                return Err("must be the URL of a FIFO queue, whose name ends in .fifo".to_owned());
            }
            Ok(text.to_owned())
        })
    }

    fn key_ring(&mut self) -> Option<SecretSource> {
        self.stored("IDV_KEY_RING_SECRET_ID", "IDV_KEY_RING_FILE")
    }

    /// A secret, or a file instead of it.
    fn stored(&mut self, secret_id: &str, path: &str) -> Option<SecretSource> {
        let secret = self.environment.get(secret_id).map(SecretSource::Secret);
        let file = self.environment.get(path).map(|path| SecretSource::File(path.into()));
        match (secret, file) {
            (Some(source), None) | (None, Some(source)) => return Some(source),
            (Some(_), Some(_)) => {
                self.complain(secret_id, &format!("and {path} are both set; set one of them"));
            }
            (None, None) => {
                self.complain(secret_id, &format!("is not set, nor is {path}; set one of them"));
            }
        }
        None
    }

    fn profile(&mut self) -> Option<SignatureProfile> {
        let profile =
            self.value("IDV_SIGNATURE_PROFILE", Some(SignatureProfile::StandardWebhooks), |text| {
                text.parse().map_err(|problem: String| problem.replacen("it ", "", 1))
            })?;
        let profile = match self.environment.get("IDV_SIGNATURE_HEADER") {
            Some(name) => profile.with_header(&name),
            None => profile,
        };
        let name = "IDV_ALLOW_UNBOUND_TIMESTAMP";
        let allowed = self
            .value(name, Some(false), |text| text.parse().map_err(|_| "must be true or false".to_owned()))?;
        if !profile.binds_timestamp() && !allowed {
            self.complain(name, "must be true to use the profile body-only, which accepts captured requests");
            return None;
        }
        Some(profile)
    }

    fn pools(&mut self) -> Option<Vec<PoolId>> {
        self.value("IDV_USER_POOL_IDS", None, |text| {
            let pools: Result<Vec<_>, _> =
                text.split(',').map(|id| PoolId::of_real_pool(id.trim())).collect();
            pools.map_err(|_| "must be user pool ids, separated by commas".to_owned())
        })
    }

    fn event_types(&mut self) -> EventTypes {
        let types = self.value("IDV_EVENT_TYPES", Some(EventTypes::default()), EventTypes::parse);
        types.unwrap_or_default()
    }

    fn minimum_ial(&mut self) -> AssuranceLevel {
        let level = self.value("IDV_MINIMUM_IAL", Some(2), |text| match text.parse() {
            Ok(level @ 1..=3) => Ok(level),
            _ => Err("must be 1, 2 or 3".to_owned()),
        });
        level.and_then(|level| AssuranceLevel::new(level).ok()).unwrap_or(AssuranceLevel::NONE)
    }

    fn binding_required(&mut self) -> bool {
        let required = self.value("IDV_BINDING", Some(true), |text| match text {
            "required" => Ok(true),
            "optional" => Ok(false),
            _ => Err("must be required or optional".to_owned()),
        });
        required.unwrap_or(true)
    }

    /// CloudWatch API reference, `PutMetricData`, `Namespace`.
    fn metrics_namespace(&mut self) -> String {
        let namespace = self.value("IDV_METRICS_NAMESPACE", Some("idv-callback".to_owned()), |text| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_/#".contains(c);
            let fits = text.len() <= 255 && text.chars().all(allowed) && !text.starts_with("AWS/");
            if fits { Ok(text.to_owned()) } else { Err("must be a CloudWatch namespace".to_owned()) }
        });
        namespace.unwrap_or_default()
    }

    fn cognito_rps(&mut self) -> u32 {
        let rps = self.value("IDV_COGNITO_RPS", Some(10), |text| match text.parse() {
            Ok(rps @ 1..=10_000) => Ok(rps),
            _ => Err("must be a whole number from 1 to 10000".to_owned()),
        });
        rps.unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::{CallbackConfig, ConsumerConfig, Environment};

    fn environment(pairs: &'static [(&'static str, &'static str)]) -> Environment {
        Environment::new(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn all_errors_come_at_once_with_name_rule_and_example() {
        let error = ConsumerConfig::read(&environment(&[
            ("IDV_QUEUE_URL", "idv.fifo"),
            ("IDV_DEAD_LETTER_QUEUE_URL", "https://sqs.us-east-1.amazonaws.com/1/dead"),
            ("IDV_USER_POOL_IDS", "us-east-1"),
            ("IDV_MINIMUM_IAL", "0"),
            ("IDV_BINDING", "yes"),
            ("IDV_COGNITO_RPS", "fast"),
            ("AWS_REGION", "us-east-1"),
        ]))
        .unwrap_err()
        .to_string();
        for expected in [
            "9 error(s)",
            "IDV_QUEUE_URL must be a queue URL, for example IDV_QUEUE_URL=https://",
            "IDV_DEAD_LETTER_QUEUE_URL must be the URL of a FIFO queue",
            "IDV_KEY_RING_SECRET_ID is not set, nor is IDV_KEY_RING_FILE",
            "IDV_USER_POOL_IDS must be user pool ids",
            "IDV_MINIMUM_IAL must be 1, 2 or 3",
            "IDV_BINDING must be required or optional",
            "IDV_COGNITO_RPS must be a whole number",
            "AWS_ACCESS_KEY_ID is not set",
            "AWS_SECRET_ACCESS_KEY is not set",
        ] {
            assert!(error.contains(expected), "{expected} not in: {error}");
        }
    }

    #[test]
    fn a_profile_without_freshness_must_be_allowed_by_name() {
        const BASE: [(&str, &str); 6] = [
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "x"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
            ("IDV_QUEUE_URL", "https://sqs.us-east-1.amazonaws.com/1/idv.fifo"),
            ("IDV_KEY_RING_FILE", "ring.json"),
            ("IDV_SIGNATURE_PROFILE", "body-only"),
        ];
        const ALLOWED: [(&str, &str); 7] =
            [BASE[0], BASE[1], BASE[2], BASE[3], BASE[4], BASE[5], ("IDV_ALLOW_UNBOUND_TIMESTAMP", "true")];
        let error = CallbackConfig::read(&environment(&BASE)).unwrap_err().to_string();
        assert!(error.contains("IDV_ALLOW_UNBOUND_TIMESTAMP must be true"), "{error}");
        assert!(CallbackConfig::read(&environment(&ALLOWED)).is_ok());
    }
}
