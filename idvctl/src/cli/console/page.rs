//! The frame of every page, and its pieces. Every text is escaped by the templates.

use maud::{DOCTYPE, Markup, html};
use serde_json::Value;

pub(super) use crate::trail::table;

/// The places of the console, in the order of its navigation.
const PLACES: [(&str, &str); 6] = [
    ("/", "Overview"),
    ("/dead-letters", "Dead letters"),
    ("/users", "Users"),
    ("/second", "Second person"),
    ("/inspector", "Inspector"),
    ("/lab", "Lab"),
];

/// A page.
pub(super) fn page(title: &str, place: &str, with_lab: bool, content: &Markup) -> String {
    let places = PLACES.iter().filter(|(path, _)| *path != "/lab" || with_lab);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " - idv-callback console" }
                link rel="stylesheet" href="/console.css";
                link rel="icon" href="data:,";
                script src="/console.js" defer {}
            }
            body {
                a.skip href="#main" { "Skip to content" }
                header {
                    span.name { "idv-callback console" }
                    nav aria-label="Console" {
                        ul { @for (path, name) in places {
                            li { a href=(path) aria-current=[(*path == place).then_some("page")] { (name) } }
                        } }
                    }
                }
                main id="main" tabindex="-1" { h1 { (title) } (content) }
            }
        }
    }
    .into_string()
}

/// Names and values.
pub(super) fn facts(rows: &[(&str, Markup)]) -> Markup {
    html! { dl { @for (name, value) in rows { dt { (name) } dd { (value) } } } }
}

/// A message that nobody may overlook.
pub(super) fn alert(text: &str) -> Markup {
    html! { p.alert role="alert" { (text) } }
}

/// A text field with its label and what to write.
pub(super) fn field(name: &str, label: &str, hint: &str, required: bool) -> Markup {
    html! {
        p.field {
            label for=(name) { (label) }
            span.hint id=(format!("{name}-hint")) { (hint) }
            input id=(name) name=(name) aria-describedby=(format!("{name}-hint")) required[required]
                  autocomplete="off" spellcheck="false";
        }
    }
}

/// A value of JSON as text; nothing for what is not there.
pub(super) fn text(value: &Value, name: &str) -> String {
    match value.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// An amount of seconds for people.
pub(super) fn seconds(value: &Value, name: &str) -> String {
    let seconds = value.get(name).and_then(Value::as_u64).unwrap_or_default();
    crate::cli::dlq::age(std::time::Duration::from_secs(seconds))
}
