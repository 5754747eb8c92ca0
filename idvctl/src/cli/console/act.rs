//! What is done with dead letters: first what would happen, then, when that was said yes to, what was done.

use maud::html;
use serde_json::Value;

use super::form::Form;
use super::page::{alert, table, text};
use super::site::{Console, Next};

impl Console {
    /// First what would happen, then, when that was said yes to, what was done.
    pub(super) async fn act(&self, form: &Form) -> Next {
        let ids: Vec<_> = form.all("id").iter().map(|id| format!("--id={id}")).collect();
        let (action, because) = (form.raw("action").to_owned(), form.raw("because").trim().to_owned());
        if ids.is_empty() {
            return stop("Nothing was chosen.");
        }
        if because.is_empty() {
            return stop("A ticket must say why.");
        }
        let sure = form.get("sure").is_some();
        match (action.as_str(), sure) {
            ("send", false) => self.preview(form, "plan", &ids, &because).await,
            ("archive" | "discard", false) if form.get("recipient").is_none() => {
                stop("Who can read the archive? Give an age recipient.")
            }
            ("archive", false) => self.preview(form, "archive", &ids, &because).await,
            ("discard", false) => self.preview(form, "discard", &ids, &because).await,
            ("send", true) => self.send(ids, &because).await,
            ("archive" | "discard", true) => self.keep(&action, ids, form).await,
            _ => stop("Choose an action."),
        }
    }

    pub(super) async fn preview(&self, form: &Form, command: &str, ids: &[String], because: &str) -> Next {
        let mut arguments = vec![command.to_owned(), "--dry-run".to_owned()];
        arguments.extend(ids.iter().cloned());
        if command == "plan" {
            arguments.push(format!("--because={because}"));
        }
        let answer = self.ask(&arguments).await;
        if let Some(error) = answer.error() {
            return stop(error);
        }
        let action = form.raw("action");
        let forecasts = answer.list("forecasts").iter().map(|forecast| {
            ["forecast", "does", "letters"].map(|name| html! { (text(forecast, name)) }).to_vec()
        });
        let forecasts: Vec<_> = forecasts.collect();
        let reasons = answer.value.get("reasons").and_then(Value::as_object);
        let can = answer.number("letters") > 0;
        let evidence = answer.value.get("evidence").and_then(|evidence| evidence.get("named")?.as_object());
        let evidence = evidence.into_iter().flatten().map(|(reason, count)| format!("{reason} ({count})"));
        let evidence = evidence.collect::<Vec<_>>().join(", ");
        let settings = answer.value.get("settings").cloned().unwrap_or_default();
        Next::Page(
            "Are you sure?".to_owned(),
            html! {
                @if !evidence.is_empty() {
                    (alert(&format!("Evidence of a conflict or a suspected forgery is among them: {evidence}")))
                }
                p { "Nothing was done yet. Ticket: " strong { (because) } "." }
                @if !forecasts.is_empty() {
                    (table("What would become of each", &["forecast", "action", "messages"], &forecasts))
                    p {
                        "By the settings of " span.mono { (text(&settings, "of")) } ": binding "
                        (text(&settings, "binding")) ", minimum IAL " (text(&settings, "minimum_ial")) "."
                    }
                    p { "One message is sent first, and its outcome waited for; then five; then the rest." }
                }
                @if let Some(reasons) = reasons {
                    ul { @for (reason, count) in reasons { li { (reason) ": " (count) } } }
                }
                @if action == "discard" {
                    p { "They are copied into an archive, then deleted. Evidence is copied, and deleted when a second \
                         operator has approved it." }
                }
                @if can {
                    form method="post" action="/dead-letters/act" {
                        (self.hidden())
                        input type="hidden" name="action" value=(action);
                        input type="hidden" name="because" value=(because);
                        input type="hidden" name="recipient" value=(form.raw("recipient").trim());
                        input type="hidden" name="sure" value="yes";
                        @for id in form.all("id") { input type="hidden" name="id" value=(id); }
                        button { "Yes, do it" }
                    }
                } @else {
                    p.bad { "Sent back now they would die again, so they stay where they are." }
                }
                p { a href="/dead-letters" { "No, go back" } }
            },
        )
    }

    pub(super) async fn send(&self, ids: Vec<String>, because: &str) -> Next {
        let file = match self.file("plan", "json") {
            Ok(file) => file,
            Err(why) => return stop(&why),
        };
        let mut arguments = vec!["plan".to_owned(), format!("--because={because}")];
        arguments.push(format!("--output={}", file.display()));
        arguments.extend(ids);
        let planned = self.ask(&arguments).await;
        if let Some(error) = planned.error() {
            return stop(error);
        }
        if !file.exists() {
            return stop("Sent back now they would die again, so they stay where they are.");
        }
        Next::Go(format!("/runs/{}", self.runs.begin(&self.tool, file, because)))
    }

    pub(super) async fn keep(&self, action: &str, ids: Vec<String>, form: &Form) -> Next {
        let (archive, proposal) = match (self.file(action, "age"), self.file("discard", "json")) {
            (Ok(archive), Ok(proposal)) => (archive, proposal),
            (Err(why), _) | (_, Err(why)) => return stop(&why),
        };
        let mut arguments = vec![action.to_owned(), format!("--to={}", archive.display())];
        arguments.push(format!("--recipient={}", form.raw("recipient").trim()));
        if action == "discard" {
            arguments.push(format!("--because={}", form.raw("because").trim()));
            arguments.push(format!("--output={}", proposal.display()));
        }
        arguments.extend(ids);
        let answer = self.ask(&arguments).await;
        if let Some(error) = answer.error() {
            return stop(error);
        }
        if !answer.text("proposal").is_empty() {
            return Next::Go("/second".to_owned());
        }
        let (name, count) = match action {
            "archive" => ("copied; all are still in the dead-letter queue", answer.number("letters")),
            _ => ("copied and deleted", answer.number("discarded")),
        };
        if answer.value.get("complete") == Some(&Value::Bool(false)) {
            return stop(&format!(
                "{count} messages were {name}: {}. Not every message could be seen; look again in a minute.",
                archive.display()
            ));
        }
        done(&format!("{count} messages were {name}: {}", archive.display()), "/dead-letters")
    }
}

pub(super) fn stop(why: &str) -> Next {
    Next::Page(
        "That did not work".to_owned(),
        html! { (alert(why)) p { a href="/dead-letters" { "Dead letters" } } },
    )
}

pub(super) fn done(what: &str, place: &str) -> Next {
    Next::Page("Done".to_owned(), html! { p.good role="status" { (what) } p { a href=(place) { "Go on" } } })
}
