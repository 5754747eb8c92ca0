//! Dead letters, with what would become of each; and one of them.

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde_json::Value;

use super::page::{alert, facts, field, seconds, table, text};
use super::site::{ACTIONS, Console};

/// How many dead letters one page shows.
const SHOWN: usize = 100;

impl Console {
    /// Dead letters with what would become of each.
    pub(super) async fn dead_letters(&self, reason: Option<&str>) -> Markup {
        let mut list = vec!["list".to_owned(), format!("--limit={SHOWN}")];
        list.extend(reason.map(|reason| format!("--reason={reason}")));
        let listed = self.ask(&list).await;
        if let Some(error) = listed.error() {
            return alert(error);
        }
        let letters = listed.list("letters");
        let (forecasts, unknown) =
            self.forecasts(letters.iter().map(|letter| text(letter, "message_id"))).await;
        let rows: Vec<_> = letters.iter().map(|letter| row(letter, &forecasts)).collect();
        let columns = ["choose", "message", "reason", "detail", "died", "time left", "if sent back now"];
        html! {
            @if let Some(there) = listed.value.get("there").and_then(Value::as_object) {
                nav aria-label="Reasons" { ul {
                    li { a href="/dead-letters" aria-current=[reason.is_none().then_some("page")] { "all" } }
                    @for (name, count) in there {
                        li { a href=(format!("/dead-letters/{name}"))
                               aria-current=[(reason == Some(name.as_str())).then_some("page")] {
                            (name) " (" (count) ")"
                        } }
                    }
                } }
            }
            p {
                (listed.number("dead_letters")) " dead letters, " (letters.len()) " shown, oldest first."
                @if listed.value.get("complete") == Some(&Value::Bool(false)) {
                    " Not every message could be seen: some are held, or SQS gives ten of one user at a time."
                }
            }
            @if let Some(why) = &unknown { (alert(&format!("What would become of them is not known: {why}"))) }
            @if letters.len() as u64 != listed.number("dead_letters") {
                p { "The others: by their reason, above, or by " code { "idvctl dlq list --all" } "." }
            }
            @if !letters.is_empty() {
                form method="post" action="/dead-letters/act" {
                    (self.hidden())
                    p { label { input type="checkbox" id="select-all"; " choose all that are shown, but no evidence" } }
                    (table("Dead letters", &columns, &rows))
                    (field("because", "Ticket", "Why: of what is sent back or discarded it stands in the audit log.", true))
                    (field("recipient", "age recipient", "Who can read an archive (age1…): to archive or discard.", false))
                    @for (action, name) in ACTIONS {
                        button name="action" value=(action) { (name) " …" }
                    }
                    p { "Each shows first what would happen, and asks." }
                }
            }
        }
    }

    /// What would become of each of these messages, and whether it would be sent.
    pub(super) async fn forecasts(
        &self,
        ids: impl Iterator<Item = String>,
    ) -> (BTreeMap<String, (String, bool)>, Option<String>) {
        let mut plan: Vec<_> = ids.map(|id| format!("--id={id}")).collect();
        if plan.is_empty() {
            return (BTreeMap::new(), None);
        }
        plan.extend(["plan", "--dry-run", "--because=console"].map(str::to_owned));
        plan.rotate_right(3);
        let planned = self.ask(&plan).await;
        let one = |each: &Value| {
            let confirms = each.get("confirms") == Some(&Value::Bool(true));
            let more = if confirms { ", confirms" } else { "" };
            let word = format!("{}{more}", text(each, "forecast"));
            (text(each, "message_id"), (word, each.get("is_sent") == Some(&Value::Bool(true))))
        };
        (planned.list("each").iter().map(one).collect(), planned.error().map(str::to_owned))
    }

    pub(super) async fn letter(&self, id: &str) -> Markup {
        let shown = self.ask(&["show".to_owned(), "--".to_owned(), id.to_owned()]).await;
        if let Some(error) = shown.error() {
            return alert(error);
        }
        let value = &shown.value;
        let receipt = text(value, "receipt_id");
        let event = value.get("event").cloned().unwrap_or_default();
        let user = value.get("user").cloned().unwrap_or_default();
        let said =
            format!("{} {} {}", text(&event, "event_id"), text(&event, "status"), text(&event, "session_id"));
        let stands = format!(
            "{} {} {} IAL {}",
            text(&user, "user"),
            text(&user, "status"),
            text(&user, "idv_status"),
            text(&user, "ial")
        );
        html! {
            (facts(&[
                ("message", html! { span.mono { (text(value, "message_id")) } }),
                ("reason", html! { (text(value, "reason")) }),
                ("means", html! { (text(value, "happened")) }),
                ("detail", html! { (text(value, "detail")) }),
                ("receipt", html! { a.mono href=(format!("/deliveries/{receipt}")) { (receipt) } }),
                ("event", html! { (said) }),
                ("died", html! { (text(value, "dead_since")) ", time left " (seconds(value, "seconds_left")) }),
                ("user", html! { @if user.is_null() { "not known, or nobody" } @else { (stands) } }),
                ("if sent back now", html! { (text(value, "forecast")) }),
                ("helps", html! { (text(value, "helps")) }),
                ("next command", html! { code { (text(value, "next")) } }),
            ]))
            form method="post" action="/dead-letters/act" {
                (self.hidden())
                input type="hidden" name="id" value=(text(value, "message_id"));
                (field("because", "Ticket", "Why: it stands in the audit log.", true))
                (field("recipient", "age recipient", "Who can read an archive (age1…): to archive or discard.", false))
                @for (action, name) in ACTIONS { button name="action" value=(action) { (name) " …" } }
            }
            h2 { "It is about another user" }
            p { "Say so when support has proved it. A second operator must approve it." }
            form method="post" action="/letters/correct" {
                (self.hidden())
                input type="hidden" name="id" value=(text(value, "message_id"));
                p.field {
                    label for="username" { "Name of the user that it is about" }
                    input id="username" name="username" required autocomplete="off" spellcheck="false";
                }
                p.field {
                    label for="correct-because" { "Ticket" }
                    input id="correct-because" name="because" required autocomplete="off";
                }
                button { "Propose" }
            }
        }
    }
}

pub(super) fn age(letter: &Value) -> String {
    use idv_callback::ports::Clock as _;
    let died = idv_callback::timestamp::Timestamp::parse(&text(letter, "dead_since"));
    died.map_or_else(
        |_| "-".to_owned(),
        |died| crate::cli::dlq::age(idv_callback::clock::SystemClock.now().since(died)),
    )
}

/// One dead letter of the table.
fn row(letter: &Value, forecasts: &BTreeMap<String, (String, bool)>) -> Vec<Markup> {
    let id = text(letter, "message_id");
    let label = format!("choose {id}");
    let (word, sends) = forecasts.get(&id).cloned().unwrap_or_default();
    vec![
        html! { input type="checkbox" name="id" value=(id) aria-label=(label)
        data-evidence=[(text(letter, "evidence") == "true").then_some("yes")]; },
        html! { a.mono href=(format!("/letters/{id}")) { (id) } },
        html! { (text(letter, "reason")) @if text(letter, "evidence") == "true" { " (evidence)" } },
        html! { (text(letter, "detail")) },
        html! { (age(letter)) " ago" },
        html! { (seconds(letter, "seconds_left")) },
        html! { span class=(if sends { "good" } else { "" }) { (word) } },
    ]
}
