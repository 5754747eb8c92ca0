//! Plans that are carried out while somebody watches: `dlq apply`, and then `dlq verify` for what became of each message.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use maud::{Markup, html};
use serde_json::Value;

use super::page::{alert, table, text};
use super::tool::{Answer, Tool};

/// All runs of this start. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Runs(Arc<Mutex<BTreeMap<u32, Run>>>);

/// One run.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) plan: PathBuf,
    pub(super) because: String,
    /// What `apply` answered; none while it runs.
    pub(super) applied: Option<Value>,
    pub(super) code: i32,
    /// What `verify` answered.
    pub(super) verified: Option<Value>,
}

/// How far the journal beside a plan says that it is.
pub(super) struct Stages {
    pub(super) sent: usize,
    pub(super) removed: usize,
}

impl Run {
    pub(super) fn is_over(&self) -> bool {
        self.verified.is_some()
    }

    pub(super) fn stages(&self) -> Stages {
        let mut journal = self.plan.clone().into_os_string();
        journal.push(".journal");
        // A journal that is not there yet says nothing.
        let text = std::fs::read_to_string(journal).unwrap_or_default();
        let count = |word: &str| {
            let ids = text.lines().filter_map(|line| line.strip_prefix(word)?.split(' ').next());
            ids.collect::<std::collections::BTreeSet<_>>().len()
        };
        Stages { sent: count("sent "), removed: count("removed ") }
    }
}

impl Runs {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Run>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, number: u32) -> Option<Run> {
        self.lock().get(&number).cloned()
    }

    pub(super) fn all(&self) -> Vec<(u32, Run)> {
        self.lock().iter().map(|(number, run)| (*number, run.clone())).collect()
    }

    /// The one that is under way.
    pub(super) fn under_way(&self) -> Option<u32> {
        self.lock().iter().find(|(_, run)| !run.is_over()).map(|(number, _)| *number)
    }

    /// Begins to carry a plan out; gives the run's number.
    pub(super) fn begin(&self, tool: &Tool, plan: PathBuf, because: &str) -> u32 {
        let mut runs = self.lock();
        let number = runs.last_key_value().map_or(1, |(last, _)| last + 1);
        let run =
            Run { plan: plan.clone(), because: because.to_owned(), applied: None, code: 0, verified: None };
        runs.insert(number, run);
        let (all, tool) = (self.clone(), tool.clone());
        tokio::spawn(async move {
            let plan = plan.display().to_string();
            let Answer { code, value } = tool.ask(&["apply".to_owned(), plan.clone()]).await;
            if let Some(run) = all.lock().get_mut(&number) {
                run.applied = Some(value);
                run.code = code;
            }
            let verified = tool.ask(&["verify".to_owned(), plan, "--wait=0".to_owned()]).await;
            if let Some(run) = all.lock().get_mut(&number) {
                run.verified = Some(verified.value);
            }
        });
        number
    }
}

/// How far a run is, and what became of each message.
pub(super) fn run_part(run: &Run) -> Markup {
    let stages = run.stages();
    let rows = run.verified.iter().flat_map(|verified| {
        let each = verified.get("each").and_then(Value::as_array).cloned().unwrap_or_default();
        each.into_iter().map(|message| {
            let good = message.get("is_good") == Some(&Value::Bool(true));
            vec![
                html! { a.mono href=(format!("/deliveries/{}", text(&message, "receipt_id"))) { (text(&message, "receipt_id")) } },
                html! { span.mono { (text(&message, "user")) } },
                html! { span class=(if good { "good" } else { "bad" }) { (text(&message, "became")) } },
            ]
        })
    });
    let rows: Vec<_> = rows.collect();
    html! {
        @match &run.applied {
            None => {
                p { (stages.removed) " sent back. First one message, then five, then the rest; after each step the outcomes \
                     are waited for." }
                progress aria-label="sent back" {}
            }
            Some(applied) => {
                @if let Some(error) = applied.get("error").and_then(Value::as_str) { (alert(error)) }
                @else {
                    p class=(if run.code == 0 { "good" } else { "bad" }) {
                        (text(applied, "sent_back")) " sent back, " (text(applied, "left")) " left: "
                        (text(applied, "ended"))
                    }
                }
            }
        }
        @if run.is_over() {
            div data-over="yes" { (table("What became of each", &["receipt", "user", "outcome"], &rows)) }
        }
        @if stages.sent > stages.removed { p { (stages.sent - stages.removed) " under way" } }
    }
}
