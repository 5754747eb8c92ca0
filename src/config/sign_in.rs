//! The configuration of what happens at sign-up and sign-in.

use super::{ConfigError, Environment, Reader, SecretSource};
use crate::intake::CALLBACK_PATH;
use crate::triggers::{FirstFactor, Settings, WhenDown};
use crate::verification::PoolId;

/// Where 1Kosmos' API is, and how it is asked.
#[derive(Debug)]
pub struct ProviderConfig {
    /// `IDV_PROVIDER_URL`
    pub url: String,
    /// `IDV_PROVIDER_SECRET_ID` or `IDV_PROVIDER_SECRET_FILE`
    pub api_key: SecretSource,
    /// `IDV_CALLBACK_URL`
    pub callback_url: String,
}

/// The configuration of the triggers' function.
#[derive(Debug)]
pub struct TriggersConfig {
    /// `IDV_QUEUE_URL`
    pub queue_url: String,
    /// `IDV_KEY_RING_SECRET_ID` or `IDV_KEY_RING_FILE`
    pub key_ring: SecretSource,
    /// 1Kosmos.
    pub provider: ProviderConfig,
    /// `IDV_MINIMUM_IAL`, `IDV_PROVIDER_DOWN`, `IDV_FIRST_FACTOR`, `IDV_PROOF_FIRST`, `IDV_FEDERATION_PROVIDER`
    pub settings: Settings,
    /// `IDV_METRICS_NAMESPACE`
    pub metrics_namespace: String,
}

/// The configuration of the function that tells people of their session.
#[derive(Debug)]
pub struct SessionConfig {
    /// `IDV_KEY_RING_SECRET_ID` or `IDV_KEY_RING_FILE`
    pub key_ring: SecretSource,
    /// 1Kosmos.
    pub provider: ProviderConfig,
    /// `IDV_USER_POOL_IDS`: one.
    pub pool: PoolId,
    /// `IDV_PROOF_FIRST`
    pub before_sign_up: bool,
    /// `IDV_ALLOWED_ORIGIN`
    pub allowed_origin: String,
    /// `IDV_METRICS_NAMESPACE`
    pub metrics_namespace: String,
}

impl ProviderConfig {
    /// Reads it.
    ///
    /// # Errors
    /// [`ConfigError`] with everything that is wrong.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(environment);
        let provider = reader.provider();
        reader.finish(provider)
    }
}

impl TriggersConfig {
    /// Reads it.
    ///
    /// # Errors
    /// [`ConfigError`] with everything that is wrong.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(environment);
        let queue_url = reader.url("IDV_QUEUE_URL");
        let (key_ring, provider) = (reader.key_ring(), reader.provider());
        let settings = reader.settings();
        let metrics_namespace = reader.metrics_namespace();
        reader.aws();
        let read = || {
            let (queue_url, key_ring, provider) = (queue_url?, key_ring?, provider?);
            Some(Self { queue_url, key_ring, provider, settings, metrics_namespace })
        };
        reader.finish(read())
    }
}

impl SessionConfig {
    /// Reads it.
    ///
    /// # Errors
    /// [`ConfigError`] with everything that is wrong.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(environment);
        let (key_ring, provider) = (reader.key_ring(), reader.provider());
        let pool = reader.pools().and_then(|mut pools| if pools.len() == 1 { pools.pop() } else { None });
        if pool.is_none() && environment.get("IDV_USER_POOL_IDS").is_some() {
            reader.complain("IDV_USER_POOL_IDS", "must be one user pool id here");
        }
        let before_sign_up = reader.proof_first();
        let allowed_origin = reader.origin("IDV_ALLOWED_ORIGIN");
        let metrics_namespace = reader.metrics_namespace();
        reader.aws();
        let read = || {
            let (key_ring, provider, pool) = (key_ring?, provider?, pool?);
            let allowed_origin = allowed_origin?;
            Some(Self { key_ring, provider, pool, before_sign_up, allowed_origin, metrics_namespace })
        };
        reader.finish(read())
    }
}

impl Reader<'_> {
    fn provider(&mut self) -> Option<ProviderConfig> {
        let url = self.origin("IDV_PROVIDER_URL");
        let callback_url = self.value("IDV_CALLBACK_URL", None, |text| {
            let fits = is_web(text) && text.len() <= 2048 && text.bytes().all(|byte| byte.is_ascii_graphic());
            // 1Kosmos would post to it, and get 404, for every session that was opened with it.
            let address = text.split_once("://").map_or(text, |(_, address)| address);
            let path = address.split_once('/').map_or("", |(_, path)| path);
            let path = path.split(['?', '#']).next().unwrap_or_default();
            let path = format!("/{}", path.strip_suffix('/').unwrap_or(path));
            let leads_there = path.ends_with(CALLBACK_PATH);
            match (fits, leads_there) {
                (true, true) => Ok(text.to_owned()),
                (true, false) => Err(format!("must be one whose path ends in {CALLBACK_PATH}")),
                (false, _) => Err("must be an https:// URL".to_owned()),
            }
        });
        let api_key = self.stored("IDV_PROVIDER_SECRET_ID", "IDV_PROVIDER_SECRET_FILE");
        Some(ProviderConfig { url: url?, api_key: api_key?, callback_url: callback_url? })
    }

    fn proof_first(&mut self) -> bool {
        self.one_of("IDV_PROOF_FIRST", false, &[("allowed", true), ("refused", false)])
    }

    fn settings(&mut self) -> Settings {
        let name = "IDV_FEDERATION_PROVIDER";
        let federation_provider = self.value(name, Some("OneKosmos".to_owned()), |text| {
            // Cognito API reference, `ProviderNameTypeV2`: 3 to 32 characters, no underscore.
            let fits = (3..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
            if fits { Ok(text.to_owned()) } else { Err("must be 3 to 32 letters and digits".to_owned()) }
        });
        Settings {
            minimum_ial: self.minimum_ial(),
            when_provider_is_down: self.one_of(
                "IDV_PROVIDER_DOWN",
                WhenDown::Refuse,
                &[("refuse", WhenDown::Refuse), ("admit", WhenDown::Admit)],
            ),
            first_factor: self.one_of(
                "IDV_FIRST_FACTOR",
                FirstFactor::Password,
                &[("password", FirstFactor::Password), ("none", FirstFactor::None)],
            ),
            proof_first: self.proof_first(),
            federation_provider: federation_provider.unwrap_or_default(),
        }
    }

    /// One of these words; the default where none is set, and where it is none of them: then there is a complaint.
    fn one_of<T: Copy>(&mut self, name: &str, default: T, words: &[(&str, T)]) -> T {
        let chosen = self.value(name, Some(default), |text| {
            let found = words.iter().find(|(word, _)| *word == text);
            let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            found.map(|(_, value)| *value).ok_or_else(|| format!("must be {}", known.join(" or ")))
        });
        chosen.unwrap_or(default)
    }

    /// Scheme, host and port, and no path.
    fn origin(&mut self, name: &str) -> Option<String> {
        self.value(name, None, |text| {
            let host = text.split_once("://").map_or("", |(_, host)| host);
            let allowed = |c: char| c.is_ascii_alphanumeric() || ".:-".contains(c);
            let fits = is_web(text) && !host.is_empty() && host.chars().all(allowed);
            let rule = "must be https:// and a host, and no path";
            if fits { Ok(text.to_owned()) } else { Err(rule.to_owned()) }
        })
    }
}

/// Over TLS, or to this machine: that is for tests and for the first look.
fn is_web(text: &str) -> bool {
    text.starts_with("https://")
        || text.starts_with("http://127.0.0.1:")
        || text.starts_with("http://localhost:")
}

#[cfg(test)]
mod tests {
    use super::{Environment, SessionConfig, TriggersConfig};

    fn environment(pairs: &'static [(&'static str, &'static str)]) -> Environment {
        Environment::new(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn all_errors_come_at_once_with_name_rule_and_example() {
        let environment = environment(&[
            ("IDV_PROVIDER_URL", "http://acme.1kosmos.net"),
            ("IDV_PROVIDER_SECRET_ID", "s"),
            ("IDV_PROVIDER_SECRET_FILE", "f"),
            ("IDV_CALLBACK_URL", "ftp://x"),
            ("IDV_PROVIDER_DOWN", "no"),
            ("IDV_FIRST_FACTOR", "pin"),
            ("IDV_FEDERATION_PROVIDER", "One_Kosmos"),
            ("IDV_USER_POOL_IDS", "us-east-1_A,us-east-1_B"),
            ("IDV_ALLOWED_ORIGIN", "https://app.example.com/"),
            ("IDV_PROOF_FIRST", "yes"),
        ]);
        let elsewhere = Environment::new(|name| {
            (name == "IDV_CALLBACK_URL").then(|| "https://idv-callback/?next=/idv-callback".to_owned())
        });
        let elsewhere = TriggersConfig::read(&elsewhere).unwrap_err().to_string();
        let triggers = TriggersConfig::read(&environment).unwrap_err().to_string();
        let session = SessionConfig::read(&environment).unwrap_err().to_string();
        for (error, expected) in [
            (&triggers, "IDV_QUEUE_URL is not set"),
            (&triggers, "IDV_PROVIDER_URL must be https:// and a host"),
            (&triggers, "IDV_PROVIDER_SECRET_ID and IDV_PROVIDER_SECRET_FILE are both set"),
            (&triggers, "IDV_CALLBACK_URL must be an https:// URL"),
            (&elsewhere, "IDV_CALLBACK_URL must be one whose path ends in /idv-callback"),
            (&triggers, "IDV_PROVIDER_DOWN must be refuse or admit"),
            (&triggers, "IDV_FIRST_FACTOR must be password or none"),
            (&triggers, "IDV_FEDERATION_PROVIDER must be 3 to 32"),
            (&session, "IDV_USER_POOL_IDS must be one user pool id"),
            (&session, "IDV_ALLOWED_ORIGIN must be https:// and a host, and no path"),
            (&session, "IDV_PROOF_FIRST must be allowed or refused"),
        ] {
            assert!(error.contains(expected), "{expected} not in: {error}");
        }
    }
}
