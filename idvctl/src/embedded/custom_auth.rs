//! A sign-in by custom authentication, as Cognito leads it through the pool's three triggers (developer guide, "Custom
//! authentication challenge Lambda triggers"). The embedded pool keeps no passwords: whether one was right is told.

use std::future::Future;

use idv_callback::lambda::trigger_event;
use idv_callback::verification::PoolId;
use serde_json::{Value, json};

use super::user_pool::User;

/// How many rounds Cognito would go at the most here, whatever the triggers say.
const ROUNDS: usize = 20;

/// What a person does.
pub struct SimulatedPerson<'p> {
    /// Whether the app begins with a password (`SRP_A`), and whether it is right.
    pub password: Option<bool>,
    /// What is done about a challenge, given its public parameters; the answer is the challenge's id.
    pub answers: &'p (dyn Fn(&Value) + Send + Sync),
}

/// How a sign-in ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignInEnd {
    /// With tokens.
    Tokens,
    /// `NotAuthorizedException`.
    NotAuthorized,
    /// A trigger said no: `UserLambdaValidationException` and its text.
    Refused(String),
}

/// Leads one sign-in of a user who is there. `fire` is the triggers' function: from the event to the answer, or the text that
/// it refuses with.
pub async fn sign_in<F, R>(pool: &PoolId, user: &User, person: &SimulatedPerson<'_>, fire: F) -> SignInEnd
where
    F: Fn(Value) -> R,
    R: Future<Output = Result<Value, String>>,
{
    let mut sign_in = SignIn { pool, user, person, fire, session: Vec::new() };
    if person.password.is_some() {
        sign_in.remember("SRP_A", true, &Value::Null);
    }
    for _ in 0..ROUNDS {
        match sign_in.round().await {
            Ok(None) => {}
            Ok(Some(end)) => return end,
            Err(text) => return SignInEnd::Refused(text),
        }
    }
    SignInEnd::NotAuthorized
}

struct SignIn<'s, F> {
    pool: &'s PoolId,
    user: &'s User,
    person: &'s SimulatedPerson<'s>,
    fire: F,
    session: Vec<Value>,
}

impl<F, R> SignIn<'_, F>
where
    F: Fn(Value) -> R,
    R: Future<Output = Result<Value, String>>,
{
    async fn round(&mut self) -> Result<Option<SignInEnd>, String> {
        let defined = self.ask("DefineAuthChallenge", json!({})).await?;
        if *member(&defined, "failAuthentication") == true {
            return Ok(Some(SignInEnd::NotAuthorized));
        }
        if *member(&defined, "issueTokens") == true {
            return Ok(Some(SignInEnd::Tokens));
        }
        let name = member(&defined, "challengeName").as_str().unwrap_or_default();
        if name == "PASSWORD_VERIFIER" {
            // Cognito checks it, and ends a sign-in with a wrong one without asking anybody.
            if self.person.password != Some(true) {
                return Ok(Some(SignInEnd::NotAuthorized));
            }
            self.remember(name, true, &Value::Null);
            return Ok(None);
        }
        let created = self.ask("CreateAuthChallenge", json!({ "challengeName": name })).await?;
        let public = member(&created, "publicChallengeParameters");
        (self.person.answers)(public);
        let answer = json!({
            "challengeAnswer": member(public, "challenge_id"),
            "privateChallengeParameters": member(&created, "privateChallengeParameters"),
        });
        let verified = self.ask("VerifyAuthChallengeResponse", answer).await?;
        self.remember(
            name,
            *member(&verified, "answerCorrect") == true,
            member(&created, "challengeMetadata"),
        );
        Ok(None)
    }

    fn remember(&mut self, name: &str, result: bool, note: &Value) {
        let past = json!({ "challengeName": name, "challengeResult": result, "challengeMetadata": note });
        self.session.push(past);
    }

    /// Asks one trigger; gives its `response`.
    async fn ask(&self, trigger: &str, more: Value) -> Result<Value, String> {
        let mut attributes = json!(self.user.attributes);
        if let Value::Object(attributes) = &mut attributes {
            attributes.insert("cognito:user_status".to_owned(), json!(self.user.status));
        }
        let mut request =
            json!({ "userAttributes": attributes, "session": self.session, "userNotFound": false });
        if let (Value::Object(request), Value::Object(more)) = (&mut request, more) {
            request.extend(more);
        }
        let source = format!("{trigger}_Authentication");
        let event = trigger_event(&source, self.pool.as_str(), &self.user.username, "step-up", &request);
        Ok(member(&(self.fire)(event).await?, "response").clone())
    }
}

fn member<'v>(value: &'v Value, name: &str) -> &'v Value {
    value.get(name).unwrap_or(&Value::Null)
}
