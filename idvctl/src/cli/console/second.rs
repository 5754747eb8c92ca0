//! Corrections, and the deletion of evidence: with their second person.

use std::path::PathBuf;

use maud::{Markup, html};
use serde_json::Value;

use super::act::{done, stop};
use super::form::Form;
use super::page::{alert, facts, text};
use super::site::{Console, Next};

impl Console {
    pub(super) async fn correct(&self, form: &Form) -> Next {
        let file = match self.file("correction", "json") {
            Ok(file) => file,
            Err(why) => return stop(&why),
        };
        let answer = self
            .tool
            .ask(&[
                "correct".to_owned(),
                format!("--username={}", form.raw("username").trim()),
                format!("--because={}", form.raw("because").trim()),
                format!("--output={}", file.display()),
                "--".to_owned(),
                form.raw("id").to_owned(),
            ])
            .await;
        match answer.error() {
            Some(error) => stop(error),
            None => Next::Go("/second".to_owned()),
        }
    }

    /// What waits for a second person: the files in the console's folder.
    pub(super) fn second(&self) -> Markup {
        let mut files: Vec<String> = std::fs::read_dir(self.tool.folder())
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.starts_with("correction-") || name.starts_with("discard-"))
            .filter(|name| is_json(name))
            .collect();
        files.sort();
        html! {
            p {
                "A correction, and the deletion of evidence, take two operators: two AWS identities. The second one opens \
                 a console of their own over the same folder (" span.mono { (self.tool.folder().display()) } "), or types \
                 the commands of the runbook."
            }
            @if files.is_empty() { p { "Nothing waits." } }
            @for name in &files {
                @let path = self.tool.folder().join(name);
                @let approved = self.tool.folder().join(format!("{name}.approval")).exists();
                h2.mono { (name) }
                @match proposal(&path) {
                    Err(why) => (alert(&why)),
                    Ok(said) => (facts(&said)),
                }
                form method="post" action=(if approved { "/second/carry-out" } else { "/second/approve" }) {
                    (self.hidden())
                    input type="hidden" name="file" value=(name);
                    @if approved {
                        p.good { "Approved; an approval is good for some minutes." }
                        button { "Carry it out" }
                    } @else {
                        button.plain { "Look at it, and approve …" }
                    }
                }
            }
        }
    }

    /// The file of a form, if it is one of the folder's.
    pub(super) fn proposed(&self, form: &Form) -> Option<PathBuf> {
        let name = form.raw("file");
        let plain = !name.contains(['/', '\\']) && !name.starts_with('.') && is_json(name);
        let path = self.tool.folder().join(name);
        (plain && path.is_file()).then_some(path)
    }

    pub(super) async fn approve(&self, form: &Form) -> Next {
        let Some(path) = self.proposed(form) else { return stop("There is no such file.") };
        let mut arguments = vec!["approve".to_owned(), path.display().to_string()];
        if form.get("sure").is_some() {
            arguments.push("--yes".to_owned());
            let answer = self.tool.ask(&arguments).await;
            return match answer.error() {
                Some(error) => stop(error),
                None => done(&format!("Approved by {}.", answer.text("approved_by")), "/second"),
            };
        }
        let answer = self.tool.ask(&arguments).await;
        if let Some(error) = answer.error() {
            return stop(error);
        }
        let said = match proposal(&path) {
            Ok(said) => said,
            Err(why) => return stop(&why),
        };
        Next::Page(
            "Do you approve?".to_owned(),
            html! {
                p { "The message was looked at, and agrees with the file. Nothing is approved yet." }
                (facts(&said))
                form method="post" action="/second/approve" {
                    (self.hidden())
                    input type="hidden" name="file" value=(form.raw("file"));
                    input type="hidden" name="sure" value="yes";
                    button { "Yes, I approve" }
                }
                p { a href="/second" { "No, go back" } }
            },
        )
    }

    pub(super) async fn carry_out(&self, form: &Form) -> Next {
        let Some(path) = self.proposed(form) else { return stop("There is no such file.") };
        let file = path.display().to_string();
        if form.raw("file").starts_with("discard-") {
            let answer = self.tool.ask(&["discard".to_owned(), format!("--approved={file}")]).await;
            return match answer.error() {
                Some(error) => stop(error),
                None => {
                    done(&format!("{} messages were deleted.", answer.number("discarded")), "/dead-letters")
                }
            };
        }
        let plan = match self.file("plan", "json") {
            Ok(plan) => plan,
            Err(why) => return stop(&why),
        };
        let because = because_of(&path);
        let arguments = [
            "plan".to_owned(),
            format!("--correction={file}"),
            format!("--because={because}"),
            format!("--output={}", plan.display()),
        ];
        let planned = self.tool.ask(&arguments).await;
        match planned.error() {
            Some(error) => stop(error),
            None if !plan.exists() => stop("It would not be helped by that."),
            None => Next::Go(format!("/runs/{}", self.runs.begin(&self.tool, plan, &because))),
        }
    }
}

/// Whether a name is that of a file as this console writes them.
pub(super) fn is_json(name: &str) -> bool {
    std::path::Path::new(name).extension().is_some_and(|end| end == "json")
}

/// What a file proposes.
pub(super) fn proposal(path: &std::path::Path) -> Result<Vec<(&'static str, Markup)>, String> {
    let json = std::fs::read(path).map_err(|error| error.to_string())?;
    let value: Value = serde_json::from_slice(&json).map_err(|_| "it is not JSON".to_owned())?;
    let letters = value.get("letters").and_then(Value::as_array).map(Vec::len);
    let what = match letters {
        Some(letters) => html! { "delete " (letters) " messages that are evidence" },
        None => {
            html! { "receipt " (text(&value, "receipt_id")) " is about " (text(&value, "username")) ", not about " (text(&value, "named")) }
        }
    };
    Ok(vec![
        ("proposes", what),
        ("by", html! { (text(&value, "by")) }),
        ("because", html! { (text(&value, "because")) }),
    ])
}

pub(super) fn because_of(path: &std::path::Path) -> String {
    let json = std::fs::read(path).unwrap_or_default();
    let value: Value = serde_json::from_slice(&json).unwrap_or_default();
    text(&value, "because")
}
