//! The console's addresses.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use idv_callback::lambda::HttpMessage;
use maud::{Markup, html};
use serde_json::json;
use tokio::sync::mpsc;

use super::form::Form;
use super::guard::{Guard, Refused};
use super::page::page;
use super::runs::{Runs, run_part};
use super::tool::{Answer, Tool};
use super::{lab, plain};
use crate::cli::dlq::Target;
use crate::cli::private_file;
use crate::embedded::{Reply, Site};

/// The console of one start.
pub(super) struct Console {
    pub(super) guard: Guard,
    pub(super) tool: Tool,
    pub(super) target: Target,
    /// The consumer's log group and those that were named, or why it is not known.
    pub(super) log_groups: Result<Vec<String>, String>,
    pub(super) runs: Runs,
    pub(super) files: AtomicU32,
    /// Whether the address with the token was opened.
    pub(super) started: AtomicBool,
}

/// What came of a form: a page, or the address to go on to.
pub(super) enum Next {
    Page(String, Markup),
    Go(String),
}

/// What is asked for with the ticked messages.
pub(super) const ACTIONS: [(&str, &str); 3] =
    [("send", "Send back"), ("archive", "Archive"), ("discard", "Discard")];

impl Site for Console {
    async fn answer(&self, request: HttpMessage) -> Reply {
        if let Some(token) = request.path.strip_prefix("/start/") {
            return self.start(&request, token);
        }
        if let Err(refused) = self.guard.check(&request) {
            return refused.reply();
        }
        match request.method.as_str() {
            "GET" => self.get(&request.path).await,
            "POST" => self.post(&request).await,
            _ => plain(405, "text/plain; charset=utf-8", "GET and POST"),
        }
    }

    fn events(&self, request: &HttpMessage) -> Option<mpsc::Receiver<String>> {
        if request.method != "GET" || request.path != "/events" || self.guard.check(request).is_err() {
            return None;
        }
        self.tool.watch(self.log_groups.as_ref().ok()?).ok()
    }
}

impl Console {
    /// The token of the address becomes a cookie, and leaves the address.
    pub(super) fn start(&self, request: &HttpMessage, token: &str) -> Reply {
        if let Err(refused) = self.guard.host(request) {
            return refused.reply();
        }
        // Once: an address stays in a browser's history.
        if !self.guard.is_token(token) || self.started.swap(true, Ordering::Relaxed) {
            return Refused::Token.reply();
        }
        let mut reply = plain(303, "text/plain; charset=utf-8", "");
        reply.headers.push(("location".to_owned(), "/".to_owned()));
        reply.headers.push(("set-cookie".to_owned(), self.guard.set_cookie()));
        reply
    }

    pub(super) fn page(&self, title: &str, place: &str, content: &Markup) -> Reply {
        let text = page(title, place, self.tool.local.is_some(), content);
        plain(200, "text/html; charset=utf-8", &text)
    }

    /// Asks a command that looks through the queue; not while a run is under way, whose messages a look would hide.
    pub(super) async fn ask(&self, arguments: &[String]) -> Answer {
        match self.runs.under_way() {
            None => self.tool.ask(arguments).await,
            Some(number) => Answer {
                code: 1,
                value: json!({ "error": format!("run {number} is under way: look at it, and come back when it is over") }),
            },
        }
    }

    pub(super) fn hidden(&self) -> Markup {
        html! { input type="hidden" name="form" value=(self.guard.form_token()); }
    }

    /// A new file in the console's folder, which is made when the first one is.
    pub(super) fn file(&self, kind: &str, end: &str) -> Result<PathBuf, String> {
        let folder = self.tool.folder();
        private_file::folder(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        loop {
            let number = self.files.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("{kind}-{number}.{end}"));
            if !path.exists() {
                return Ok(path);
            }
        }
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        let parts: Vec<_> = path.split('/').skip(1).collect();
        match parts.as_slice() {
            [""] => self.page("Overview", "/", &self.overview().await),
            ["console.css"] => plain(200, "text/css; charset=utf-8", include_str!("console.css")),
            ["console.js"] => plain(200, "text/javascript; charset=utf-8", include_str!("console.js")),
            ["dead-letters"] => self.page("Dead letters", "/dead-letters", &self.dead_letters(None).await),
            ["dead-letters", reason] => {
                self.page("Dead letters", "/dead-letters", &self.dead_letters(Some(reason)).await)
            }
            ["letters", id] => self.page("Dead letter", "/dead-letters", &self.letter(id).await),
            ["deliveries", receipt] => {
                let content = self.delivery(receipt).await;
                self.page("Delivery", "/", &content)
            }
            ["runs", number] => self.run_page(number),
            ["runs", number, "part"] => match number.parse().ok().and_then(|number| self.runs.get(number)) {
                Some(run) => plain(200, "text/html; charset=utf-8", &run_part(&run).into_string()),
                None => plain(404, "text/plain; charset=utf-8", "no such run"),
            },
            ["users"] => self.page("Users", "/users", &self.users_form()),
            ["second"] => self.page("Second person", "/second", &self.second()),
            ["inspector"] => self.page("Inspector", "/inspector", &self.inspector(None)),
            ["lab"] if self.tool.local.is_some() => {
                self.page("Lab", "/lab", &lab::page(&self.hidden(), None))
            }
            _ => plain(404, "text/plain; charset=utf-8", "There is no such page."),
        }
    }

    pub(super) async fn post(&self, request: &HttpMessage) -> Reply {
        let form = Form::read(&request.body);
        if let Err(refused) = self.guard.check_form(form.get("form")) {
            return refused.reply();
        }
        let (place, next) = match request.path.as_str() {
            "/dead-letters/act" => ("/dead-letters", self.act(&form).await),
            "/letters/correct" => ("/second", self.correct(&form).await),
            "/second/approve" => ("/second", self.approve(&form).await),
            "/second/carry-out" => ("/second", self.carry_out(&form).await),
            "/users" => ("/users", Next::Page("User".to_owned(), self.user(&form).await)),
            "/inspector" => {
                ("/inspector", Next::Page("Inspector".to_owned(), self.inspect(form.raw("request")).await))
            }
            "/lab" if self.tool.local.is_some() => {
                let told = lab::act(&self.tool, &form).await;
                ("/lab", Next::Page("Lab".to_owned(), lab::page(&self.hidden(), Some(&told))))
            }
            _ => return plain(404, "text/plain; charset=utf-8", "There is no such page."),
        };
        match next {
            Next::Page(title, content) => self.page(&title, place, &content),
            Next::Go(address) => {
                let mut reply = plain(303, "text/plain; charset=utf-8", "");
                reply.headers.push(("location".to_owned(), address));
                reply
            }
        }
    }

    pub(super) fn run_page(&self, number: &str) -> Reply {
        let Some(run) = number.parse().ok().and_then(|number| self.runs.get(number)) else {
            return plain(404, "text/plain; charset=utf-8", "There is no such run.");
        };
        let content = html! {
            p { "Ticket: " strong { (run.because) } ". Plan: " span.mono { (run.plan.display()) } }
            div aria-live="polite" data-refresh=[(!run.is_over()).then(|| format!("/runs/{number}/part"))] {
                (run_part(&run))
            }
            p { a href="/dead-letters" { "Dead letters" } }
        };
        self.page(&format!("Run {number}"), "/dead-letters", &content)
    }
}
