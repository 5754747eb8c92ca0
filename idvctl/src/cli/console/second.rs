//! Corrections, and the deletion of evidence: with their second person.

use std::path::PathBuf;

use maud::{Markup, html};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::act::{done, stop};
use super::form::Form;
use super::page::{alert, facts, text};
use super::site::{Console, Next};

impl Console {
    /// Shows what a file says, and asks.
    fn ask_first(&self, title: &str, action: &str, form: &Form, path: &std::path::Path) -> Next {
        match (proposal(path), digest(path)) {
            (Err(why), _) => stop(&why),
            (_, None) => stop("The file cannot be read."),
            (Ok(said), Some(digest)) => Next::Page(
                title.to_owned(),
                html! {
                    (facts(&said))
                    form method="post" action=(action) {
                        (self.hidden())
                        input type="hidden" name="file" value=(form.raw("file"));
                        input type="hidden" name="digest" value=(digest);
                        input type="hidden" name="sure" value="yes";
                        button { "Yes" }
                    }
                    p { a href="/second" { "No, go back" } }
                },
            ),
        }
    }

    pub(super) async fn correct(&self, form: &Form) -> Next {
        let file = match self.file("correction", "json") {
            Ok(file) => file,
            Err(why) => return stop(&why),
        };
        let answer = self
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
                "A correction, and the deletion of evidence, take two operators: two AWS identities. The second one gets \
                 the file, and opens a console of their own over a folder with it (here: " span.mono { (self.tool.folder().display()) } "), or types \
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
            if was_changed(form, &path) {
                return stop("The file was changed since it was shown. Look at it again.");
            }
            arguments.push("--yes".to_owned());
            let answer = self.ask(&arguments).await;
            return match answer.error() {
                Some(error) => stop(error),
                None => done(&format!("Approved by {}.", answer.text("approved_by")), "/second"),
            };
        }
        let answer = self.ask(&arguments).await;
        if let Some(error) = answer.error() {
            return stop(error);
        }
        self.ask_first("Do you approve?", "/second/approve", form, &path)
    }

    pub(super) async fn carry_out(&self, form: &Form) -> Next {
        let Some(path) = self.proposed(form) else { return stop("There is no such file.") };
        if form.get("sure").is_none() {
            return self.ask_first("Carry it out?", "/second/carry-out", form, &path);
        }
        if was_changed(form, &path) {
            return stop("The file was changed since it was shown. Look at it again.");
        }
        let file = path.display().to_string();
        if form.raw("file").starts_with("discard-") {
            let answer = self.ask(&["discard".to_owned(), format!("--approved={file}")]).await;
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
        let planned = self.ask(&arguments).await;
        match planned.error() {
            Some(error) => stop(error),
            None if !plan.exists() => stop("Sent back now it would die again, so it stays where it is."),
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

/// Whether a file is another one than was shown.
fn was_changed(form: &Form, path: &std::path::Path) -> bool {
    digest(path).is_none_or(|digest| form.raw("digest") != digest)
}

/// What tells a file from another of the same name.
fn digest(path: &std::path::Path) -> Option<String> {
    Some(idv_callback::hex::hex(&Sha256::digest(std::fs::read(path).ok()?)))
}

pub(super) fn because_of(path: &std::path::Path) -> String {
    let json = std::fs::read(path).unwrap_or_default();
    let value: Value = serde_json::from_slice(&json).unwrap_or_default();
    text(&value, "because")
}
