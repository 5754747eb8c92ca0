//! `dlq list`: what is there, oldest first.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use idv_callback::clock::SystemClock;
use idv_callback::ports::Clock as _;
use idv_callback::timestamp::Timestamp;
use serde_json::json;

use crate::cli::dlq::listing::{age, describe, is_complete, look, remarks, short, time_left};
use crate::cli::dlq::selection::{SelectionOptions, counts, refuse_unknown_reasons};
use crate::cli::dlq::{OperatorSession, Target};
use crate::output::{Failure, Output};
use crate::redrive::{Census, DeadLetterSummary};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) selection: SelectionOptions,
    /// List this many at the most; all are counted.
    #[arg(long, alias = "most", default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    /// List all.
    #[arg(long, conflicts_with = "limit")]
    pub(crate) all: bool,
    /// List those behind this one: the cursor that a list which was cut short ends with.
    #[arg(long, value_name = "CURSOR", value_parser = Cursor::parse)]
    pub(crate) cursor: Option<Cursor>,
}

/// A place in the list: when a message died, and its id.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cursor(Timestamp, String);

impl Cursor {
    fn of(message: &DeadLetterSummary) -> Self {
        Self(message.sent_at, message.id.clone())
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let rule = "must be the cursor that a list ended with";
        let (at, id) = text.split_once('/').ok_or(rule)?;
        Ok(Self(Timestamp::parse(at).map_err(|_| rule)?, id.to_owned()))
    }

    fn text(&self) -> String {
        format!("{}/{}", self.0, self.1)
    }
}

/// Messages that can be listed are kept; all are counted.
pub(crate) async fn run(
    session: &OperatorSession<'_>,
    options: &Options,
    output: Output,
) -> Result<ExitCode, Failure> {
    let selection = options.selection.selection();
    let now = SystemClock.now();
    let most = if options.all { usize::MAX } else { usize::try_from(options.limit).unwrap_or(usize::MAX) };
    let (mut census, mut behind, mut letters) = (Census::default(), 0, BTreeMap::new());
    let (depth, scanned) = look(session, output, |message| {
        if !census.looks_at(&selection, &message) {
            return;
        }
        let place = Cursor::of(&message);
        if options.cursor.as_ref().is_some_and(|cursor| place <= *cursor) {
            return;
        }
        behind += 1;
        letters.insert(place, message);
        if letters.len() > most {
            letters.pop_last();
        }
    })
    .await?;
    refuse_unknown_reasons(&selection, &census)?;
    let more = behind - letters.len();
    let cursor = letters.last_key_value().map(|(place, _)| place.text()).filter(|_| more > 0);
    let columns = ["message", "reason", "detail", "receipt", "group", "replays", "died", "time left"];
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let row = |message: &DeadLetterSummary| {
        vec![
            message.id.clone(),
            message.reason.clone(),
            text(&message.detail),
            text(&message.receipt),
            short(&message.group),
            message.replays.to_string(),
            format!("{} ago", age(now.since(message.sent_at))),
            time_left(message.expires_at.since(now)),
        ]
    };
    output.table(&columns, letters.values().map(row))?;
    output.line(format!("{} dead letters, {} shown", census.chosen, letters.len()))?;
    if census.chosen == 0 && !selection.is_everything() {
        output.line(format!("there are: {}", counts(&census.there)))?;
    }
    if let Some(cursor) = &cursor {
        output.line(format!("{more} more: --all, --limit N, or --cursor {cursor}"))?;
    }
    remarks(depth, scanned, output);
    output.value(&json!({
        "dead_letters": census.chosen,
        "shown": letters.len(),
        "more": more,
        "next_cursor": cursor,
        "letters": letters.values().map(|message| describe(message, now)).collect::<Vec<_>>(),
        "there": census.there,
        "seen": scanned.seen,
        "in_queue": depth.messages,
        "complete": is_complete(depth, scanned),
    }))?;
    Ok(ExitCode::SUCCESS)
}
