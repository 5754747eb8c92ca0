//! What only the embedded stack has: users who sign up, callbacks of every kind, a consumer that can be stopped.

use hyper::Uri;
use idv_callback::clock::SystemClock;
use idv_callback::ports::Clock as _;
use idv_callback::vocabulary::Status;
use maud::{Markup, html};
use serde_json::json;

use super::form::Form;
use super::page::alert;
use super::tool::Tool;
use crate::poster::Poster;

/// Kinds of callbacks beside the statuses: a name, and what it is.
const ODD: [(&str, &str); 3] = [
    ("elsewhere", "approved, for a user pool that is not served"),
    ("somebody-else", "approved, as another person than before"),
    ("forged", "with a signature that no key of the ring made"),
];

pub(super) fn page(hidden: &Markup, told: Option<&Markup>) -> Markup {
    html! {
        p { "The embedded stack of idvctl dev. Nothing here touches AWS." }
        @if let Some(told) = told { div role="status" { (told) } }
        h2 { "Sign up a user" }
        form method="post" action="/lab" {
            (hidden)
            p.field {
                label for="new-user" { "Name" }
                input id="new-user" name="username" required autocomplete="off";
            }
            button name="action" value="sign-up" { "Sign up" }
        }
        h2 { "Send a callback" }
        form method="post" action="/lab" {
            (hidden)
            p.field { label for="user" { "User" } input id="user" name="username" required autocomplete="off"; }
            p.field { label for="session" { "Session (made up when empty)" } input id="session" name="session" autocomplete="off"; }
            p.field {
                label for="kind" { "Kind" }
                select id="kind" name="kind" {
                    @for status in Status::ALL { option value=(status.word()) { (status.word()) } }
                    @for (name, what) in ODD { option value=(name) { (what) } }
                }
            }
            button name="action" value="send" { "Send" }
        }
        h2 { "The consumer" }
        form method="post" action="/lab" {
            (hidden)
            button name="action" value="stop" { "Stop the consumer" }
            button name="action" value="run" { "Let the consumer run" }
        }
    }
}

pub(super) async fn act(tool: &Tool, form: &Form) -> Markup {
    let name = form.raw("username").trim();
    let told = match form.raw("action") {
        "sign-up" => post(tool, "/_local/users", &json!({ "username": name })).await,
        "send" => send(tool, form).await,
        "stop" => post(tool, "/_local/consumer", &json!({ "enabled": false })).await,
        "run" => post(tool, "/_local/consumer", &json!({ "enabled": true })).await,
        _ => Err("What is to be done?".to_owned()),
    };
    match told {
        Ok(said) => html! { p.good { (said) } },
        Err(why) => alert(&why),
    }
}

async fn post(tool: &Tool, path: &str, body: &serde_json::Value) -> Result<String, String> {
    let local = tool.local.as_deref().unwrap_or_default().trim_end_matches('/');
    let url: Uri = format!("{local}{path}").parse().map_err(|_| "the address of the stack".to_owned())?;
    let poster = Poster::new(&url).map_err(|failure| failure.message().to_owned())?;
    let answer = poster.post(&url, &[], body.to_string().into_bytes()).await;
    let answer = answer.map_err(|failure| failure.message().to_owned())?;
    let said = match path {
        "/_local/users" => "Signed up.".to_owned(),
        _ => format!(
            "The consumer is {}.",
            if body.get("enabled") == Some(&json!(true)) { "running" } else { "stopped" }
        ),
    };
    if answer.status < 300 {
        Ok(said)
    } else {
        Err(format!("the stack answered {}: {}", answer.status, answer.body))
    }
}

async fn send(tool: &Tool, form: &Form) -> Result<String, String> {
    let local = tool.local.as_deref().unwrap_or_default().trim_end_matches('/').to_owned();
    let kind = form.raw("kind");
    let status = if Status::of_canonical(kind).is_some() { kind } else { "approved" };
    let mut arguments = vec![
        "send".to_owned(),
        format!("--url={local}/idv-callback"),
        format!("--user={}", form.raw("username").trim()),
        format!("--status={status}"),
    ];
    arguments.extend(form.get("session").map(|session| format!("--session={session}")));
    match kind {
        "elsewhere" => arguments.push("--pool=us-east-1_Elsewhere".to_owned()),
        "somebody-else" => arguments.push("--subject=did:blockid:somebody-else".to_owned()),
        "forged" => return forge(&local).await,
        _ => {}
    }
    let answer = tool.other(&arguments).await;
    match answer.error() {
        Some(error) => Err(error.to_owned()),
        None => Ok(format!("The callback was answered: {}", super::page::text(&answer.value, "answers"))),
    }
}

/// A callback that nobody signed who has a key.
async fn forge(local: &str) -> Result<String, String> {
    let url: Uri =
        format!("{local}/idv-callback").parse().map_err(|_| "the address of the stack".to_owned())?;
    let headers = [
        ("webhook-id", "msg_forged".to_owned()),
        ("webhook-timestamp", SystemClock.now().unix_seconds().to_string()),
        ("webhook-signature", format!("v1,{}=", "A".repeat(43))),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value));
    let poster = Poster::new(&url).map_err(|failure| failure.message().to_owned())?;
    let answer = poster.post(&url, &headers, b"{}".to_vec()).await;
    let answer = answer.map_err(|failure| failure.message().to_owned())?;
    Ok(format!("The callback was answered: {}", answer.status))
}
