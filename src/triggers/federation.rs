//! Federated sign-in through 1Kosmos' `OpenID` provider: what it asserts becomes assurance, by the same queue and rules.
//!
//! Two triggers. *Inbound federation* runs before Cognito creates or updates the profile and sees the ID token's claims as they
//! came (developer guide, "Inbound federation Lambda trigger"): the level stands in `amr`, an array, and is read there. *Pre
//! token generation* runs at the sign-in itself (`TokenGeneration_HostedAuth`) and sees the profile with `identities`, which
//! only Cognito writes: who signed in through whom is taken from there, and nothing from an attribute that a person could
//! have written.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::sign_up::envelope;
use super::{Attributes, Denial, Refusal, Triggers, binding_key};
use crate::assurance::{Assurance, STAGED_IAL, STAGED_SUBJECT};
use crate::audit::{AuditCode, AuditRecord};
use crate::binding::Binding;
use crate::envelope::BodyDigest;
use crate::hex::hex;
use crate::key_ring::FEDERATION_KEY_ID;
use crate::ports::{AuditSink, CallbackQueue, Clock, Deadline, KeyStore, ProofingProvider};
use crate::timestamp::Timestamp;
use crate::verification::{
    Approval, AssuranceLevel, EventId, Malformed, Outcome, SessionId, Subject, UserReference,
    VerificationEvent,
};

/// The claim that the level is put into, for the pool's attribute mapping to take.
pub const LEVEL_CLAIM: &str = "ial";

/// Where 1Kosmos tells the level that was reached: `/assurance/ial/2` among the authentication methods.
const METHODS_CLAIM: &str = "amr";

/// The claims that stay, as the pool maps them, beside `sub`. What is left out is dropped, and the rest of what the provider tells
/// is not wanted.
const KEPT_CLAIMS: [&str; 2] = ["email", "email_verified"];

/// A sign-in through an identity provider, before the profile. No `Debug`: it is personal.
pub struct Inbound {
    /// Into which pool.
    pub pool: crate::verification::PoolId,
    /// Through which provider.
    pub provider: String,
    /// The claims of the ID token.
    pub claims: serde_json::Map<String, Value>,
    /// What the provider tells beside it (`OpenID` Connect Core, section 5.3): in the code flow the e-mail address, say.
    pub user_info: serde_json::Map<String, Value>,
}

/// A sign-in that is about to get tokens. No `Debug`: it is personal.
pub struct SignedIn {
    /// Who.
    pub user: UserReference,
    /// Their attributes.
    pub attributes: Attributes,
}

impl<P, Q, S, A, C> Triggers<P, Q, S, A, C>
where
    P: ProofingProvider,
    Q: CallbackQueue,
    S: KeyStore,
    A: AuditSink,
    C: Clock,
{
    /// The claims that are to be mapped; none where the provider is not the one whose assurance counts: then all stay as
    /// they are.
    ///
    /// # Errors
    /// [`Refusal`] when it could not be recorded that the level cannot be read.
    pub fn inbound(&self, inbound: &Inbound) -> Result<Attributes, Refusal> {
        if inbound.provider != self.settings.federation_provider {
            return Ok(Attributes::new());
        }
        let (claims, info) = (&inbound.claims, &inbound.user_info);
        let kept = KEPT_CLAIMS.iter().filter_map(|name| {
            Some(((*name).to_owned(), plain(claims.get(*name).or_else(|| info.get(*name))?)?))
        });
        let mut mapped: Attributes = kept.collect();
        mapped.extend(claims.get("sub").and_then(plain).map(|sub| ("sub".to_owned(), sub)));
        let level = level_of(claims.get(METHODS_CLAIM));
        if level.is_none() {
            let now = self.clock.now();
            let record = AuditRecord::new(AuditCode::FederationUnreadable, now).because("no_level_in_amr");
            self.store(&record.of_pool(&inbound.pool))?;
        }
        // Said outright, so that an older one does not stand.
        let level = level.unwrap_or(AssuranceLevel::NONE);
        mapped.insert(LEVEL_CLAIM.to_owned(), level.to_string());
        Ok(mapped)
    }

    /// Sends what a federated sign-in asserts to the consumer, where the user does not have it yet. The sign-in goes on either
    /// way: what could not be sent now is sent at the next one.
    ///
    /// # Errors
    /// [`Refusal`] when what happened could not be recorded.
    pub async fn promote(&self, signed_in: &SignedIn, deadline: Deadline) -> Result<(), Refusal> {
        match self.assert(signed_in, deadline).await {
            Ok(None) => Ok(()),
            Ok(Some(record)) => self.store(&record),
            Err(no) => {
                let code = if no.refusal == Refusal::NotNow {
                    AuditCode::Deferred
                } else {
                    AuditCode::FederationUnreadable
                };
                self.store(&no.record(code, self.clock.now()).of_pool(&signed_in.user.pool))
            }
        }
    }

    async fn assert(&self, signed_in: &SignedIn, deadline: Deadline) -> Result<Option<AuditRecord>, Denial> {
        let unreadable = |reason| Denial::because(reason, Refusal::NotAllowed);
        let Some(identity) = self.identity(signed_in).map_err(unreadable)? else { return Ok(None) };
        let value = |name: &str| signed_in.attributes.get(name).map(String::as_str);
        // What was mapped may be missing; where it is there and says another, something is wrong with the mapping.
        if value(STAGED_SUBJECT).is_some_and(|staged| !staged.eq_ignore_ascii_case(identity.subject.as_str()))
        {
            return Err(unreadable("subject_mismatch"));
        }
        let ial = value(STAGED_IAL).and_then(AssuranceLevel::of_digit);
        let ial = ial.ok_or_else(|| unreadable("level_not_mapped"))?;
        let standing = Assurance::read(|name| value(name)).map_err(|_| unreadable("record_unreadable"))?;
        // Who says nothing of a level takes nothing back.
        if ial == AssuranceLevel::NONE {
            return Ok(None);
        }
        let session = session(signed_in, &identity).map_err(|_| unreadable("identity"))?;
        // What an earlier sign-in asserted is taken back by asserting less; what came by a callback is not.
        let is_ours =
            standing.approval_stands() && standing.session.as_ref().is_some_and(|held| held.is(&session));
        let has_it = standing.approval_stands()
            && standing.subject.as_ref().is_some_and(|held| held.is(&identity.subject))
            && (standing.ial == Some(ial) || (!is_ours && standing.ial > Some(ial)));
        if has_it || (!is_ours && ial < self.settings.minimum_ial) {
            return Ok(None);
        }
        let ring = self.ring().await?;
        let now = self.clock.now();
        let (event, digest) = event(signed_in, &identity, session, ial, now);
        let binding = Binding::issue(binding_key(&ring)?, &signed_in.user, identity.since, None);
        let binding = binding.map_err(|_| Denial::because("binding_key", Refusal::NotNow))?;
        let event = event.map_err(|_| unreadable("identity"))?;
        let event = VerificationEvent { binding: Some(binding), ..event };
        let envelope = envelope(event, digest, FEDERATION_KEY_ID, now);
        self.enqueue(&envelope, &ring, self.left(deadline)).await?;
        Ok(Some(AuditRecord::new(AuditCode::Asserted, now).about(&envelope)))
    }

    /// Through whom the user signs in, by what only Cognito writes; none for everybody else. A profile that was linked to a
    /// local user is that user's: it is not promoted, as it could be taken over by linking.
    fn identity(&self, signed_in: &SignedIn) -> Result<Option<Identity>, &'static str> {
        let Some(text) = signed_in.attributes.get("identities") else { return Ok(None) };
        let list: Vec<Value> = serde_json::from_str(text).map_err(|_| "identities")?;
        let provider = self.settings.federation_provider.as_str();
        let Some(found) = list.iter().find(|one| one["providerName"] == provider) else { return Ok(None) };
        let subject = found["userId"].as_str().ok_or("identities")?;
        let own_name = format!("{provider}_{subject}").to_lowercase();
        if list.len() != 1 || signed_in.user.username.as_str().to_lowercase() != own_name {
            return Ok(None);
        }
        let since = match &found["dateCreated"] {
            Value::Number(millis) => millis.as_i64(),
            Value::String(millis) => millis.parse().ok(),
            _ => None,
        };
        Ok(Some(Identity {
            subject: Subject::new(subject).map_err(|_| "identities")?,
            since: Timestamp::from_unix_millis(since.ok_or("identities")?),
        }))
    }
}

/// Somebody as an identity provider knows them.
struct Identity {
    subject: Subject,
    /// Since when the pool knows them: when the profile was created.
    since: Timestamp,
}

/// What stands where a proofing has its session: all sign-ins of this user by this identity.
fn session(signed_in: &SignedIn, identity: &Identity) -> Result<SessionId, Malformed> {
    SessionId::new(&format!("fed_{}", digits(&who(signed_in, identity))))
}

/// None of the parts can hold a line feed.
fn who(signed_in: &SignedIn, identity: &Identity) -> String {
    let user = &signed_in.user;
    format!("{}\n{}\n{}", user.pool, user.username.as_str(), identity.subject.as_str())
}

fn digits(said: &str) -> String {
    hex(&Sha256::digest(said)).chars().take(32).collect()
}

/// The event of this sign-in, at its own moment: of two with different levels the later one stands.
fn event(
    signed_in: &SignedIn,
    identity: &Identity,
    session: SessionId,
    ial: AssuranceLevel,
    at: Timestamp,
) -> (Result<VerificationEvent, Malformed>, BodyDigest) {
    let said = format!("{}\n{ial}\n{at}", who(signed_in, identity));
    let make = || {
        Ok(VerificationEvent {
            event_id: EventId::new(&format!("fed_{}", digits(&said)))?,
            occurred_at: at,
            session,
            user: signed_in.user.clone(),
            binding: None,
            outcome: Outcome::Approved(Approval {
                subject: identity.subject.clone(),
                ial,
                aal: None,
                liveness_verified: false,
                match_result: false,
                implied_by_level: true,
                evidence: None,
                framework: None,
                expires_at: None,
            }),
            unknown_type: None,
        })
    };
    (make(), BodyDigest::of(said.as_bytes()))
}

/// The highest level among the methods: an array, or a text of which nobody says how Cognito makes it of an array. None where
/// there are no methods, or one of them speaks of a level in a form that is not known; no level where none of them does.
fn level_of(methods: Option<&Value>) -> Option<AssuranceLevel> {
    let words: Vec<String> = match methods? {
        Value::Array(list) => {
            list.iter().map(|one| one.as_str().map(str::to_owned)).collect::<Option<_>>()?
        }
        Value::String(text) => match serde_json::from_str::<Vec<String>>(text) {
            Ok(list) => list,
            Err(_) => text.split([',', ' ', '[', ']', '"']).map(str::to_owned).collect(),
        },
        _ => return None,
    };
    let speaks = |word: &String| {
        let lower = word.to_ascii_lowercase();
        lower.contains("/ial") || lower.starts_with("ial")
    };
    let levels: Option<Vec<_>> =
        words.iter().filter(|word| speaks(word)).map(|word| level_word(word)).collect();
    Some(levels?.into_iter().max().unwrap_or(AssuranceLevel::NONE))
}

/// `/assurance/ial/2`, with or without a slash behind it, or `IAL2`.
fn level_word(word: &str) -> Option<AssuranceLevel> {
    let lower = word.to_ascii_lowercase();
    let digits = lower.strip_prefix("/assurance/ial/").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    let digits = digits.or_else(|| lower.strip_prefix("ial"))?;
    let number = (digits.len() == 1).then(|| digits.parse().ok()).flatten()?;
    AssuranceLevel::new(number).ok()
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{AssuranceLevel, level_of};

    #[test]
    fn the_level_is_read_in_every_form_and_nothing_else_is() {
        for (methods, level) in [
            (json!(["/assurance/ial/2"]), Some(2)),
            (json!(["face", "/assurance/ial/1/", "/assurance/ial/2/"]), Some(2)),
            (json!("[\"/assurance/ial/2\",\"face\"]"), Some(2)),
            (json!("[/assurance/ial/2, face]"), Some(2)),
            (json!(["IAL2"]), Some(2)),
            (json!(["pwd", "/assurance/aal/2"]), Some(0)),
            (json!([]), Some(0)),
            (json!(["/assurance/ial/22"]), None),
            (json!(["/assurance/ial/4", "/assurance/ial/2"]), None),
            (json!(["ial"]), None),
            (json!([2, null, { "ial": 2 }]), None),
            (json!(2), None),
            (json!(null), None),
        ] {
            let read = level_of(Some(&methods)).map(AssuranceLevel::get);
            assert_eq!(read, level, "{methods}");
        }
        assert!(level_of(None).is_none());
    }
}
