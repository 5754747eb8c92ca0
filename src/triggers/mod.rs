//! What Cognito asks on the way: at a sign-up, in a sign-in with step-up, in a federated sign-in; and where a person asks for
//! the link to their proofing session.
//!
//! Somebody waits for each of these. Cognito gives a trigger 5 s, which cannot be changed, and may call it again (developer guide,
//! "Things to know about Lambda triggers": three times, as it had it until March 2026); so every call to 1Kosmos has its share
//! of that time, and repeated calls ask for one and the same thing.

pub mod federation;
pub mod session;
pub mod sign_up;
pub mod step_up;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::audit::{AuditCode, AuditRecord};
use crate::envelope::Envelope;
use crate::key_cache::KeyCache;
use crate::key_ring::{Key, KeyRing};
use crate::metrics::{PROVIDER, PROVIDER_REFUSED};
use crate::ports::{
    AuditSink, CallbackQueue, Clock, Deadline, Fault, KeyStore, OutgoingMessage, ProofingProvider,
    ProviderError,
};
use crate::timestamp::Timestamp;
use crate::verification::AssuranceLevel;

/// The time limit of the triggers' function: Cognito's own.
pub const INVOCATION_TIMEOUT: Duration = Duration::from_secs(5);

/// What is left of the time for writing down what happened and for the way back.
const RESERVE: Duration = Duration::from_millis(700);

/// The triggers.
pub struct Triggers<P, Q, S, A, C> {
    /// Who proofs people.
    pub provider: P,
    /// Where results go that did not come as a callback.
    pub queue: Q,
    /// The keys.
    pub keys: KeyCache<S, C>,
    /// The audit log.
    pub audit: A,
    /// The clock.
    pub clock: C,
    /// What the operator asks for.
    pub settings: Settings,
}

/// What the operator asks for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The least identity assurance level that counts.
    pub minimum_ial: AssuranceLevel,
    /// What becomes of sign-ups while 1Kosmos is unavailable.
    pub when_provider_is_down: WhenDown,
    /// What comes before the biometric in a sign-in with step-up.
    pub first_factor: FirstFactor,
    /// Whether the result of a session from before the sign-up is taken.
    pub proof_first: bool,
    /// The name of the pool's identity provider whose assurance counts.
    pub federation_provider: String,
}

/// What becomes of sign-ups while 1Kosmos is unavailable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenDown {
    /// They are refused.
    Refuse,
    /// They are let through; `idvctl proof start` opens a session later.
    Admit,
}

/// What comes before the biometric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstFactor {
    /// The password.
    Password,
    /// Nothing: the biometric alone.
    None,
}

/// Attributes of a user, or what an app passes on. No `Debug`: they are personal.
pub type Attributes = BTreeMap<String, String>;

/// Why Cognito is told no. Its text is shown to the person, so it says nothing from inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// What was sent cannot be signed up with.
    NotAllowed,
    /// The proof that came with the sign-up is none.
    ProofNotAccepted,
    /// Not now.
    NotNow,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAllowed => "These details cannot be used to sign up.",
            Self::ProofNotAccepted => "The proof of identity was not accepted. Please start again.",
            Self::NotNow => "This is not possible right now. Please try again in a few minutes.",
        })
    }
}

impl std::error::Error for Refusal {}

/// Why something was not done: for the record, and for the person.
struct Denial {
    reason: &'static str,
    detail: Option<String>,
    refusal: Refusal,
    /// Set where it is 1Kosmos that is unavailable, or does not take what it is asked.
    provider_is_down: bool,
}

impl Denial {
    fn because(reason: &'static str, refusal: Refusal) -> Self {
        Self { reason, detail: None, refusal, provider_is_down: false }
    }

    fn failed(reason: &'static str, fault: &impl fmt::Display) -> Self {
        Self { detail: Some(fault.to_string()), ..Self::because(reason, Refusal::NotNow) }
    }

    fn record(&self, code: AuditCode, at: Timestamp) -> AuditRecord {
        let record = AuditRecord::new(code, at).because(self.reason);
        match &self.detail {
            Some(detail) => record.detail(detail.clone()),
            None => record,
        }
    }
}

impl From<ProviderError> for Denial {
    fn from(error: ProviderError) -> Self {
        let fault = match error {
            ProviderError::NotFound => Fault::new("1Kosmos", "404"),
            ProviderError::Refused(fault) => {
                return Self { provider_is_down: true, ..Self::failed(PROVIDER_REFUSED, &fault) };
            }
            ProviderError::Failed(fault) => fault,
        };
        Self { provider_is_down: true, ..Self::failed(PROVIDER, &fault) }
    }
}

impl<P, Q, S, A, C> Triggers<P, Q, S, A, C>
where
    P: ProofingProvider,
    Q: CallbackQueue,
    S: KeyStore,
    A: AuditSink,
    C: Clock,
{
    /// How long calls may take, of what is left of this invocation.
    fn left(&self, deadline: Deadline) -> Duration {
        deadline.remaining(self.clock.now()).saturating_sub(RESERVE)
    }

    async fn ring(&self) -> Result<Arc<KeyRing>, Denial> {
        let ring = self.keys.current().await;
        ring.map_err(|error| Denial::failed("key_store", &error))
    }

    /// Something came that cannot be read: nobody is let through by it.
    ///
    /// # Errors
    /// [`Refusal`] when that could not be recorded.
    pub fn unreadable(&self, code: AuditCode) -> Result<(), Refusal> {
        self.store(&AuditRecord::new(code, self.clock.now()).because("unreadable_event"))
    }

    /// What is not recorded is not done.
    fn store(&self, record: &AuditRecord) -> Result<(), Refusal> {
        self.audit.record(record).map_err(|_| Refusal::NotNow)
    }

    /// Puts a result on the queue, sealed, as if it had come as a callback.
    async fn enqueue(&self, envelope: &Envelope, ring: &KeyRing, within: Duration) -> Result<(), Denial> {
        let unsealed = || Denial::because("seal", Refusal::NotNow);
        let key = ring.seal.first().ok_or_else(unsealed)?;
        let message = OutgoingMessage {
            body: envelope.seal(key).map_err(|_| unsealed())?,
            group_id: envelope.group_id(),
            deduplication_id: envelope.deduplication_id(),
            attributes: BTreeMap::new(),
        };
        tokio::select! {
            biased;
            sent = self.queue.send(message) => sent.map_err(|error| Denial::failed("queue", error.fault())),
            () = self.clock.sleep(within) => Err(Denial::because("out_of_time", Refusal::NotNow)),
        }
    }
}

/// The key that bindings, and keys of repeated requests, are made with. A ring without one is refused at the start.
fn binding_key(ring: &KeyRing) -> Result<&Key, Denial> {
    ring.binding.first().ok_or_else(|| Denial::because("binding_key", Refusal::NotNow))
}

/// The beginning of the minute: what is told to the minute is the same in each call of one sign-up.
pub fn minute_of(at: Timestamp) -> Timestamp {
    Timestamp::from_unix_seconds(at.unix_seconds().div_euclid(60).saturating_mul(60))
}
