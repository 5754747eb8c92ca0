//! Events of Cognito's triggers (developer guide, "Customizing user pool workflows with Lambda triggers").
//!
//! An event goes back as it came, with our part of `response` filled in: members that we do not know, and triggers that we do not
//! know, pass through untouched. What is missing, or `null`, or of another type, is as if it were empty.

use serde_json::{Map, Value, json};

use crate::audit::AuditCode;
use crate::ports::{AuditSink, CallbackQueue, Clock, Deadline, KeyStore, ProofingProvider};
use crate::triggers::federation::{Inbound, SignedIn};
use crate::triggers::sign_up::SignUp;
use crate::triggers::step_up::{ChallengeAnswer, Created, Next, Past, SignIn};
use crate::triggers::{Attributes, Refusal, Triggers};
use crate::verification::{PoolId, UserReference, Username};

/// Answers one event.
///
/// # Errors
/// [`Refusal`]: Cognito shows its text to the person, and goes no further.
pub async fn handle_trigger<P, Q, S, A, C>(
    triggers: &Triggers<P, Q, S, A, C>,
    mut event: Value,
    deadline: Deadline,
) -> Result<Value, Refusal>
where
    P: ProofingProvider,
    Q: CallbackQueue,
    S: KeyStore,
    A: AuditSink,
    C: Clock,
{
    let source = event.get("triggerSource").and_then(Value::as_str).unwrap_or_default();
    let request = event.get("request").unwrap_or(&Value::Null);
    let response = match source {
        "PreSignUp_SignUp" => {
            let Some(sign_up) = sign_up(&event) else {
                triggers.unreadable(AuditCode::SignUpRefused)?;
                return Err(Refusal::NotAllowed);
            };
            triggers.sign_up(&sign_up, deadline).await?;
            // The proof confirms, and nothing else does.
            json!({ "autoConfirmUser": false, "autoVerifyEmail": false, "autoVerifyPhone": false })
        }
        "DefineAuthChallenge_Authentication" => {
            let next = if let Some(sign_in) = sign_in(&event) {
                triggers.define(&sign_in, deadline).await?
            } else {
                triggers.unreadable(AuditCode::StepUpRefused)?;
                Next::Fail("unreadable_event")
            };
            defined(next)
        }
        "CreateAuthChallenge_Authentication" => {
            let Some(sign_in) = sign_in(&event) else {
                triggers.unreadable(AuditCode::StepUpRefused)?;
                return Err(Refusal::NotNow);
            };
            created(&triggers.create(&sign_in, deadline).await?)
        }
        "VerifyAuthChallengeResponse_Authentication" => {
            let correct = if let Some(answer) = answer(&event) {
                triggers.verify(&answer, deadline).await?
            } else {
                triggers.unreadable(AuditCode::StepUpFailed)?;
                false
            };
            json!({ "answerCorrect": correct })
        }
        "InboundFederation_ExternalProvider" => {
            let Some(inbound) = inbound(&event) else {
                triggers.unreadable(AuditCode::FederationUnreadable)?;
                return Err(Refusal::NotNow);
            };
            let claims = triggers.inbound(&inbound)?;
            json!({ "userAttributesToMap": claims })
        }
        "TokenGeneration_HostedAuth" => {
            if let Some(user) = user(&event) {
                let attributes = strings(&request["userAttributes"]);
                triggers.promote(&SignedIn { user, attributes }, deadline).await?;
            }
            json!({})
        }
        _ => return Ok(event),
    };
    fill(&mut event, response);
    Ok(event)
}

/// Sets our members of `response`, takes those away that are `null`, and leaves the others.
fn fill(event: &mut Value, ours: Value) {
    let (Value::Object(event), Value::Object(ours)) = (event, ours) else { return };
    let response = event.entry("response").or_insert(Value::Null);
    if !response.is_object() {
        *response = Value::Object(Map::new());
    }
    if let Value::Object(response) = response {
        for (name, value) in ours {
            if value.is_null() {
                response.remove(&name);
            } else {
                response.insert(name, value);
            }
        }
    }
}

fn created(challenge: &Created) -> Value {
    json!({
        "publicChallengeParameters": challenge.public,
        "privateChallengeParameters": challenge.private,
        "challengeMetadata": challenge.note,
    })
}

fn defined(next: Next) -> Value {
    let (name, issue, fail) = match next {
        Next::Ask(name) => (json!(name), false, false),
        Next::IssueTokens => (Value::Null, true, false),
        Next::Fail(_) => (Value::Null, false, true),
    };
    json!({ "challengeName": name, "issueTokens": issue, "failAuthentication": fail })
}

fn user(event: &Value) -> Option<UserReference> {
    let text = |name: &str| event.get(name).and_then(Value::as_str);
    Some(UserReference {
        pool: PoolId::of_real_pool(text("userPoolId")?).ok()?,
        username: Username::new(text("userName")?).ok()?,
    })
}

fn sign_up(event: &Value) -> Option<SignUp> {
    let request = event.get("request")?;
    // A name counts, whatever stands behind it.
    let named = match request.get("userAttributes") {
        None | Some(Value::Null) => Attributes::new(),
        Some(Value::Object(members)) => members.keys().map(|name| (name.clone(), String::new())).collect(),
        Some(_) => return None,
    };
    let mut attributes = named;
    attributes.extend(strings(&request["userAttributes"]));
    Some(SignUp { user: user(event)?, attributes, metadata: strings(&request["clientMetadata"]) })
}

fn sign_in(event: &Value) -> Option<SignIn> {
    let request = event.get("request")?;
    let past = request["session"].as_array().map(Vec::as_slice).unwrap_or_default().iter();
    let text = |past: &Value, name: &str| past[name].as_str().unwrap_or_default().to_owned();
    Some(SignIn {
        user: user(event)?,
        attributes: strings(&request["userAttributes"]),
        not_found: request["userNotFound"].as_bool().unwrap_or_default(),
        past: past
            .map(|past| Past {
                name: text(past, "challengeName"),
                // Only what is said outright is right.
                correct: past["challengeResult"] == true,
                note: text(past, "challengeMetadata"),
            })
            .collect(),
        metadata: strings(&request["clientMetadata"]),
    })
}

fn answer(event: &Value) -> Option<ChallengeAnswer> {
    let request = event.get("request")?;
    Some(ChallengeAnswer {
        sign_in: sign_in(event)?,
        private: strings(&request["privateChallengeParameters"]),
        // Some SDKs wrap it (developer guide, "Verify Auth Challenge response Lambda trigger": a string).
        answer: request["challengeAnswer"].as_str().unwrap_or_default().to_owned(),
    })
}

fn inbound(event: &Value) -> Option<Inbound> {
    let request = event.get("request")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let part = |name: &str| {
        let attributes = request.get("attributes")?;
        attributes.get(name)?.as_object().cloned()
    };
    Some(Inbound {
        pool: PoolId::of_real_pool(event.get("userPoolId")?.as_str()?).ok()?,
        provider: text(&request["providerName"]),
        claims: part("idToken").unwrap_or_default(),
        user_info: part("userInfo").unwrap_or_default(),
    })
}

/// The members that are texts, numbers or flags, as text.
fn strings(map: &Value) -> Attributes {
    let members = map.as_object().into_iter().flatten();
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    members.filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect()
}
