//! What `CodeDeploy` asks before a new version takes traffic: does it refuse a forged callback, take a signed one in,
//! and settle a sealed one?
//!
//! The callbacks are synthetic: they name a pool that cannot exist ([`SYNTHETIC_POOL`]), so they are about nobody. The
//! signed one really is enqueued, which proves the new version's permissions; the consumer that is live records it as
//! `probed`.
//!
//! The trigger function has a check of its own ([`SignInCheck`]): the user pool calls that function's alias, and the consumer
//! knows the pool, so one check that knew all three could not be deployed.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::assurance::names;
use crate::audit::AuditCode;
use crate::delivery::{SignatureProfile, sign};
use crate::envelope::{BodyDigest, Content, Envelope};
use crate::hex::hex;
use crate::key_ring::KeyRing;
use crate::lambda::{HttpMessage, batch_event, rest_event, trigger_event};
use crate::ports::{Clock, FunctionVersions, KeyStore, ReceivedMessage};
use crate::secret::Secret;
use crate::triggers::Refusal;
use crate::verification::{
    EventId, Outcome, PoolId, SYNTHETIC_POOL, SessionId, UserReference, Username, VerificationEvent,
};

/// How long the whole check may take: less than the function's own limit of 90 s, so that `CodeDeploy` is always told.
const PATIENCE: Duration = Duration::from_secs(80);

/// The check.
pub struct PreTraffic<V, S, C> {
    /// The functions.
    pub versions: V,
    /// The keys.
    pub keys: S,
    /// The clock.
    pub clock: C,
    /// How callbacks are signed.
    pub profile: SignatureProfile,
    /// The callback function's new version.
    pub callback: String,
    /// The consumer function's new version.
    pub consumer: String,
}

/// Why a version must not take traffic.
#[derive(Debug)]
pub struct Unfit {
    step: &'static str,
    found: String,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.found)
    }
}

impl<V: FunctionVersions, S: KeyStore, C: Clock> PreTraffic<V, S, C> {
    /// Tries both new versions.
    ///
    /// # Errors
    /// [`Unfit`] with the first thing that a version did wrong.
    pub async fn check(&self) -> Result<(), Unfit> {
        within_patience(&self.clock, self.check_all()).await
    }

    async fn check_all(&self) -> Result<(), Unfit> {
        let unfit = |step| move |found: String| Unfit { step, found };
        let ring = self.keys.fetch().await.map_err(|error| unfit("key ring")(error.to_string()))?;
        let id = fresh_id().map_err(unfit("random numbers"))?;
        let stranger = Secret::parse(&fresh_id().map_err(unfit("random numbers"))?);
        let stranger = stranger.map_err(|error| unfit("random numbers")(format!("{error:?}")))?;
        self.expect("a forged callback", 401, self.request(&stranger, &id)).await?;
        let now = self.clock.now();
        let key = ring.webhook_keys_at(now).next();
        let key = key.ok_or_else(|| unfit("key ring")("no webhook key is live".to_owned()))?;
        self.expect("a signed callback", 202, self.request(&key.secret, &id)).await?;
        self.settles(&ring, &id).await.map_err(unfit("a sealed callback"))
    }

    async fn expect(&self, step: &'static str, status: u64, event: Value) -> Result<(), Unfit> {
        let invoked = self.versions.invoke(&self.callback, &event).await;
        let answer = invoked.map_err(|fault| Unfit { step, found: fault.to_string() })?.answer;
        let answered = answer.get("statusCode").and_then(Value::as_u64);
        if answered == Some(status) {
            return Ok(());
        }
        // Of an answer that is none (a crash) only its kind is told.
        let kind = || answer.get("errorType").and_then(Value::as_str).unwrap_or("no status").to_owned();
        let answered = answered.map_or_else(kind, |status| status.to_string());
        Err(Unfit { step, found: format!("answered with {answered}, expected {status}") })
    }

    fn request(&self, secret: &Secret, id: &str) -> Value {
        let now = self.clock.now();
        let body = json!({
            "event_id": id,
            "event_type": "synthetic.probe",
            "occurred_at": now.to_string(),
            "session_id": id,
            "status": "in_review",
            "metadata": { "cognito_user_pool": SYNTHETIC_POOL, "cognito_username": SYNTHETIC_POOL },
        });
        let body = body.to_string().into_bytes();
        let mut headers = sign(&self.profile, secret, id, now, &body);
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
        rest_event(&HttpMessage {
            method: "POST".to_owned(),
            path: crate::intake::CALLBACK_PATH.to_owned(),
            headers,
            body,
            source_ip: String::new(),
            received_at: now,
        })
    }

    /// The consumer's answer is the same for a message settled and one quarantined, so its log is asked.
    async fn settles(&self, ring: &KeyRing, id: &str) -> Result<(), String> {
        let message = self.sealed(ring, id)?;
        let invoked = self.versions.invoke(&self.consumer, &batch_event(&[message])).await;
        let invoked = invoked.map_err(|fault| fault.to_string())?;
        let code = AuditCode::Probed.code();
        if invoked.answer != json!({ "batchItemFailures": [] }) {
            return Err("was not settled".to_owned());
        }
        if !invoked.log.contains(code) {
            return Err(format!("left no record {code}"));
        }
        Ok(())
    }

    fn sealed(&self, ring: &KeyRing, id: &str) -> Result<ReceivedMessage, String> {
        let malformed = |_| "could not be made".to_owned();
        let envelope = Envelope {
            received_at: self.clock.now(),
            key_id: "pretraffic".to_owned(),
            body_sha256: BodyDigest::of(id.as_bytes()),
            trace_id: None,
            content: Content::Event(VerificationEvent {
                event_id: EventId::new(id).map_err(malformed)?,
                occurred_at: self.clock.now(),
                session: SessionId::new(id).map_err(malformed)?,
                user: UserReference {
                    pool: PoolId::new(SYNTHETIC_POOL).map_err(malformed)?,
                    username: Username::new(SYNTHETIC_POOL).map_err(malformed)?,
                },
                outcome: Outcome::InReview,
                unknown_type: None,
                binding: None,
            }),
        };
        let key = ring.seal.first().ok_or("has no seal key")?;
        Ok(ReceivedMessage {
            id: id.to_owned(),
            handle: id.to_owned(),
            body: envelope.seal(key).map_err(|_| "could not be sealed".to_owned())?,
            group_id: envelope.group_id(),
            attempt: 1,
            attributes: BTreeMap::new(),
        })
    }
}

/// The check of the trigger function.
pub struct SignInCheck<V, C> {
    /// The functions.
    pub versions: V,
    /// The clock.
    pub clock: C,
    /// The trigger function's new version.
    pub triggers: String,
}

impl<V: FunctionVersions, C: Clock> SignInCheck<V, C> {
    /// Tries the new version: it starts only with its settings and a sound key ring, and lets nobody in or through that it must
    /// not. No session is opened and nobody is asked for their face; a pool of this name cannot exist.
    ///
    /// # Errors
    /// [`Unfit`] with the first thing that it did wrong.
    pub async fn check(&self) -> Result<(), Unfit> {
        within_patience(&self.clock, self.check_all()).await
    }

    async fn check_all(&self) -> Result<(), Unfit> {
        let event = |source: &str, request: &Value| {
            trigger_event(source, "synthetic_probe", SYNTHETIC_POOL, SYNTHETIC_POOL, request)
        };
        let claimed = json!({ "userAttributes": { names::IAL: "3" } });
        let step = "a sign-up with a level of its own";
        let answer = self.ask(step, &event("PreSignUp_SignUp", &claimed)).await?;
        let told = answer.get("errorMessage").and_then(Value::as_str);
        if told != Some(Refusal::NotAllowed.to_string().as_str()) {
            return Err(Unfit { step, found: "was not refused".to_owned() });
        }
        let step = "a sign-in without a password";
        let begun = json!({ "userAttributes": {}, "session": [], "userNotFound": true });
        let answer = self.ask(step, &event("DefineAuthChallenge_Authentication", &begun)).await?;
        if answer.pointer("/response/issueTokens") != Some(&Value::Bool(false)) {
            return Err(Unfit { step, found: "was not answered with: no tokens".to_owned() });
        }
        Ok(())
    }

    async fn ask(&self, step: &'static str, event: &Value) -> Result<Value, Unfit> {
        let invoked = self.versions.invoke(&self.triggers, event).await;
        Ok(invoked.map_err(|fault| Unfit { step, found: fault.to_string() })?.answer)
    }
}

async fn within_patience(
    clock: &impl Clock,
    check: impl Future<Output = Result<(), Unfit>>,
) -> Result<(), Unfit> {
    tokio::select! {
        biased;
        checked = check => checked,
        () = clock.sleep(PATIENCE) => {
            Err(Unfit { step: "time", found: format!("not done within {} s", PATIENCE.as_secs()) })
        }
    }
}

fn fresh_id() -> Result<String, String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    Ok(format!("probe_{}", hex(&bytes)))
}
