//! Overview, deliveries, users, and the inspector.

use idv_callback::config::Environment;
use maud::{Markup, html};
use serde_json::Value;

use super::form::Form;
use super::page::{alert, field, text};
use super::records::{life, records};
use super::site::Console;
use super::tool::Answer;
use crate::cli::dlq::OperatorSession;
use crate::cli::private_file;
use crate::trail::Entry;

impl Console {
    pub(super) async fn overview(&self) -> Markup {
        let groups = self.ask(&["groups".to_owned()]).await;
        let stages: [(&str, &str); 5] = [
            ("accepted", "accepted accepted_unreadable asserted"),
            ("refused", "refused rejected deferred"),
            (
                "settled",
                "applied recorded insufficient revoked noted superseded duplicate unclaimed skipped probed",
            ),
            ("will be tried again", "retried misconfigured left"),
            ("quarantined", "quarantined"),
        ];
        html! {
            h2 { "Callbacks, in the last ten minutes and since" }
            ul.funnel {
                @for (name, events) in stages {
                    li { strong data-counts=(events) { "0" } (name) }
                }
                li { strong { (groups.number("in_queue")) } a href="/dead-letters" { "dead letters" } }
            }
            @if let Some(error) = groups.error() { (alert(error)) }
            @if let Err(why) = &self.log_groups { (alert(&format!("The log cannot be shown: {why}"))) }
            @if self.tool.local.is_none() && self.log_groups.as_ref().is_ok_and(|groups| groups.len() == 1) {
                p { "Only the consumer's log is shown. What was accepted and refused is in the callback function's: name it \
                     by " code { "--log-group" } "." }
            }
            h2 id="timeline-name" { "What happens" }
            p id="timeline-state" role="status" { "Not connected." }
            ol id="timeline" reversed aria-labelledby="timeline-name" {}
            @let runs = self.runs.all();
            @if !runs.is_empty() {
                h2 { "Runs" }
                ul { @for (number, run) in &runs {
                    li { a href=(format!("/runs/{number}")) { "Run " (number) ": " (run.because) } }
                } }
            }
        }
    }

    pub(super) async fn delivery(&self, receipt: &str) -> Markup {
        let found = self.recorded(|entry| entry.receipt_id.as_deref() == Some(receipt)).await;
        html! {
            p { "Receipt " span.mono { (receipt) } }
            @match found { Ok(entries) => (life(&entries)), Err(why) => (alert(&why)) }
        }
    }

    pub(super) async fn recorded(
        &self,
        fits: impl Fn(&Entry) -> bool + Send + Sync,
    ) -> Result<Vec<Entry>, String> {
        let environment = Environment::of_this_process();
        let session =
            OperatorSession::open(&self.target, &environment, crate::output::Output::new(true)).await;
        let session = session.map_err(|failure| failure.message().to_owned())?;
        let mut found = Vec::new();
        for group in self.log_groups.clone()? {
            found.extend(records(&session, &group, &fits).await?);
        }
        found.sort_by(|one, other| one.at.cmp(&other.at));
        Ok(found)
    }

    pub(super) fn users_form(&self) -> Markup {
        html! {
            p { "A user's history by name: whoever may read the user pool may see whose pseudonym is whose." }
            form method="post" action="/users" {
                (self.hidden())
                (field("username", "Name", "The user's name in the pool. It stands in no address and in no log.", true))
                button { "Look" }
            }
        }
    }

    pub(super) async fn user(&self, form: &Form) -> Markup {
        let name = form.raw("username").trim();
        let environment = Environment::of_this_process();
        let looked = async {
            let session =
                OperatorSession::open(&self.target, &environment, crate::output::Output::new(true)).await?;
            session.pseudonym_of(name).await
        };
        match looked.await {
            Err(failure) => html! { (alert(failure.message())) (self.users_form()) },
            Ok(None) => html! { (alert("Nobody of that name is in the pool.")) (self.users_form()) },
            Ok(Some((pseudonym, stands))) => {
                let found = self.recorded(|entry| entry.user.as_deref() == Some(pseudonym.as_str())).await;
                html! {
                    p { "Pseudonym " span.mono { (pseudonym) } }
                    p { (stands) }
                    @match found { Ok(entries) => (life(&entries)), Err(why) => (alert(&why)) }
                    (self.users_form())
                }
            }
        }
    }

    pub(super) fn inspector(&self, told: Option<&Markup>) -> Markup {
        html! {
            p {
                "Paste a request as it was captured: header lines, an empty line, the body byte for byte; or the event of \
                 a Lambda function. It is checked on this machine with your key ring file, and lies in the console's folder while that takes."
            }
            @if let Some(told) = told { div role="status" { (told) } }
            form method="post" action="/inspector" {
                (self.hidden())
                p.field {
                    label for="request" { "Request" }
                    textarea id="request" name="request" required spellcheck="false" {}
                }
                button { "Inspect" }
            }
        }
    }

    pub(super) async fn inspect(&self, request: &str) -> Markup {
        let file = match self.file("request", "txt") {
            Ok(file) => file,
            Err(why) => return self.inspector(Some(&alert(&why))),
        };
        // A form sends line feeds as CR LF; a body that was pasted had what it had, and most have none.
        let written = private_file::write_new(&file, request.replace("\r\n", "\n").as_bytes());
        let answer = match written {
            Ok(()) => self.tool.other(&["explain".to_owned(), file.display().to_string()]).await,
            Err(error) => Answer { code: 2, value: serde_json::json!({ "error": error.to_string() }) },
        };
        let removed = std::fs::remove_file(&file);
        let told = html! {
            @if let Some(error) = answer.error() {
                (alert(error))
            } @else if answer.value.get("authentic") == Some(&Value::Bool(true)) {
                p.good { "It is authentic, signed with key " (answer.text("key_id")) "." }
            } @else {
                p.bad { "Refused: " (answer.text("sentence")) " (" (answer.text("cause")) ")" }
                @for mistake in answer.list("mistakes") {
                    p { strong { (text(mistake, "code")) } ": " (text(mistake, "advice")) }
                }
                @if answer.list("mistakes").is_empty() { p { "None of the known mistakes explains the signature." } }
            }
            @if removed.is_err() { (alert("The request could not be removed from the console's folder.")) }
        };
        self.inspector(Some(&told))
    }
}
