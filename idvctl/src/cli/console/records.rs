//! What was recorded of one delivery, or of one user: from the log group that the consumer writes to.

use std::time::Duration;

use idv_callback::clock::SystemClock;
use idv_callback::ports::Clock as _;
use maud::{Markup, html};

use crate::aws::LogRecords;
use crate::cli::dlq::OperatorSession;
use crate::trail::{Entry, entries_in};

use super::page::table;

/// How far back is looked: as long as SQS keeps a message, and a day.
const BACK: Duration = Duration::from_secs(15 * 86_400);

/// The records of a log group that fit, in the order of the log.
pub(super) async fn records(
    session: &OperatorSession<'_>,
    log_group: &str,
    fits: impl Fn(&Entry) -> bool,
) -> Result<Vec<Entry>, String> {
    let since = SystemClock.now().minus(BACK).unix_millis();
    let mut pages = LogRecords::new(&session.connection, log_group, Some(since), None);
    let mut found = Vec::new();
    while let Some(page) = pages.next().await.map_err(|fault| fault.to_string())? {
        let entries = page.iter().flat_map(|event| entries_in(event.message.as_bytes()));
        found.extend(entries.filter_map(Entry::read).filter(&fits));
    }
    Ok(found)
}

/// A life: each record in a sentence.
pub(super) fn life(entries: &[Entry]) -> Markup {
    if entries.is_empty() {
        return html! { p { "Nothing of it is in the log that is shown here." } };
    }
    let rows = entries.iter().map(|entry| {
        let receipt = entry.receipt_id.as_deref().unwrap_or_default();
        vec![
            html! { (entry.at) },
            html! { (entry.code.code()) " " (entry.code.word()) },
            html! { (entry.sentence()) },
            html! { @if !receipt.is_empty() { a.mono href=(format!("/deliveries/{receipt}")) { (receipt) } } },
        ]
    });
    table("What happened", &["when", "event", "what", "receipt"], &rows.collect::<Vec<_>>())
}
