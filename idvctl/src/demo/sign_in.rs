//! What happens around the callbacks: people sign up, and sign in with their face.

use serde_json::{Value, json};

use super::world::World;
use crate::embedded::{SignInEnd, SimulatedPerson};
use crate::output::{Failure, Output};

/// A thing that somebody does with the app, and what is promised of it.
struct Act {
    title: &'static str,
    username: &'static str,
    does: Does,
    /// What Cognito answers.
    ends: &'static str,
    /// The audit record that it ends with: its event, and its reason if it has one.
    recorded: (&'static str, Option<&'static str>),
}

enum Does {
    /// Signs up with this attribute.
    SignUp(&'static str, &'static str),
    /// Signs in with step-up: with a password or without, and with this face.
    StepUp { password: Option<bool>, face: Face },
}

#[derive(Clone, Copy)]
enum Face {
    Own,
    Other,
}

const SIGN_UPS: [Act; 3] = [
    Act {
        title: "somebody signs up and says that they are proofed: refused",
        username: "eve",
        does: Does::SignUp("custom:ial", "3"),
        ends: "These details cannot be used to sign up.",
        recorded: ("sign_up_refused", Some("assurance_attribute")),
    },
    Act {
        title: "ada signs up: the pre sign-up trigger opens a proofing session at 1Kosmos",
        username: "ada",
        does: Does::SignUp("email", "ada@example.com"),
        ends: "UNCONFIRMED",
        recorded: ("session_opened", None),
    },
    Act {
        title: "bob signs up as well",
        username: "bob",
        does: Does::SignUp("email", "bob@example.com"),
        ends: "UNCONFIRMED",
        recorded: ("session_opened", None),
    },
];

const SIGN_INS: [Act; 4] = [
    Act {
        title: "ada wants to pay: password, then her face: tokens",
        username: "ada",
        does: Does::StepUp { password: Some(true), face: Face::Own },
        ends: "tokens",
        recorded: ("step_up_passed", None),
    },
    Act {
        title: "somebody who knows ada's password, three times with another face: no tokens",
        username: "ada",
        does: Does::StepUp { password: Some(true), face: Face::Other },
        ends: "NotAuthorizedException",
        recorded: ("step_up_refused", Some("too_many_attempts")),
    },
    Act {
        title: "somebody who leaves the password out: no tokens",
        username: "ada",
        does: Does::StepUp { password: None, face: Face::Own },
        ends: "NotAuthorizedException",
        recorded: ("step_up_refused", Some("no_password")),
    },
    Act {
        title: "bob, who was declined, has no face to show: no tokens",
        username: "bob",
        does: Does::StepUp { password: Some(true), face: Face::Own },
        ends: "NotAuthorizedException",
        recorded: ("step_up_refused", Some("not_proofed")),
    },
];

/// People sign up.
pub(super) async fn sign_ups(world: &World, output: Output, steps: &mut Vec<Value>) -> Result<bool, Failure> {
    play(&SIGN_UPS, world, output, steps).await
}

/// People sign in.
pub(super) async fn sign_ins(world: &World, output: Output, steps: &mut Vec<Value>) -> Result<bool, Failure> {
    play(&SIGN_INS, world, output, steps).await
}

async fn play(acts: &[Act], world: &World, output: Output, steps: &mut Vec<Value>) -> Result<bool, Failure> {
    let mut all_as_promised = true;
    for act in acts {
        let end = act.play(world).await;
        let record = world.last_record();
        let text = |name: &str| record.get(name).and_then(Value::as_str);
        let recorded = (text("event") == Some(act.recorded.0))
            && (act.recorded.1.is_none() || text("reason") == act.recorded.1);
        let as_promised = end == act.ends && recorded;
        all_as_promised &= as_promised;
        let mark = if as_promised { "ok" } else { "NOT AS PROMISED" };
        output.line(format!("\n{}. {} [{mark}]", steps.len().saturating_add(1), act.title))?;
        output.line(format!("   Cognito: {end}"))?;
        let reason = text("reason").map(|reason| format!("  {reason}")).unwrap_or_default();
        output.line(format!(
            "   {} {}{reason}",
            text("code").unwrap_or_default(),
            text("event").unwrap_or_default()
        ))?;
        steps.push(json!({
            "title": act.title,
            "answer": end,
            "outcome": text("event"),
            "reason": text("reason"),
            "as_promised": as_promised,
        }));
    }
    Ok(all_as_promised)
}

impl Act {
    /// What Cognito answers.
    async fn play(&self, world: &World) -> String {
        match self.does {
            Does::SignUp(name, value) => match world.sign_up(self.username, name, value).await {
                Ok(()) => world.status_of(self.username).unwrap_or("no user").to_owned(),
                Err(text) => text,
            },
            Does::StepUp { password, face } => {
                let answers = |public: &Value| {
                    if let Some(challenge) = public.get("challenge_id").and_then(Value::as_str) {
                        world.provider.answer(challenge, matches!(face, Face::Own));
                    }
                };
                match world.sign_in(self.username, &SimulatedPerson { password, answers: &answers }).await {
                    SignInEnd::Tokens => "tokens".to_owned(),
                    SignInEnd::NotAuthorized => "NotAuthorizedException".to_owned(),
                    SignInEnd::Refused(text) => text,
                }
            }
        }
    }
}
