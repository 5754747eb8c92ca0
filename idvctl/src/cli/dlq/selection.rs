//! Which dead letters a command is about, and what is said when that is none.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, StringValueParser, TypedValueParser};
use idv_callback::clock::SystemClock;
use idv_callback::ports::Clock as _;
use idv_callback::timestamp::Timestamp;
use idv_callback::vocabulary::Status;
use serde_json::{Value, json};

use crate::output::{Failure, Output};
use crate::redrive::{Census, Selection, reasons};

/// Which messages; what is not said does not choose. A message must fit every filter that is given.
#[derive(Args, Default)]
pub(crate) struct SelectionOptions {
    /// Only those of this reason. Can be given several times.
    #[arg(long, value_name = "REASON", value_parser = ReasonParser)]
    pub(crate) reason: Vec<String>,
    /// Only this message. Can be given several times.
    #[arg(long, value_name = "ID", value_parser = not_blank)]
    pub(crate) id: Vec<String>,
    /// Only this group (one user), or what its name begins with. Can be given several times.
    #[arg(long, value_name = "GROUP", value_parser = not_blank)]
    pub(crate) group: Vec<String>,
    /// Only the message of this receipt. Can be given several times.
    #[arg(long, value_name = "RECEIPT", value_parser = not_blank)]
    pub(crate) receipt: Vec<String>,
    /// Only those of this proofing session. Can be given several times.
    #[arg(long, value_name = "SESSION", value_parser = not_blank)]
    pub(crate) session: Vec<String>,
    /// Only those whose event has this status. Can be given several times.
    #[arg(long, value_name = "STATUS", value_parser = statuses())]
    pub(crate) status: Vec<String>,
    /// Only those whose event has this word in its event id, session, status, event type, level (ial2), type of document or
    /// framework. Given several times: each of the words.
    #[arg(long, value_name = "WORD", value_parser = not_blank)]
    pub(crate) contains: Vec<String>,
    /// Only those that died since, RFC 3339.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) since: Option<Timestamp>,
    /// Only those that died at least so long ago: 90s, 15m, 2h, 3d.
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub(crate) older_than: Option<Duration>,
    /// Only those that died less than so long ago: 90s, 15m, 2h, 3d.
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub(crate) newer_than: Option<Duration>,
    /// Only those that SQS drops within so many days.
    #[arg(long, value_name = "DAYS")]
    pub(crate) expiring_within: Option<u64>,
}

impl SelectionOptions {
    pub(crate) fn selection(&self) -> Selection {
        let now = SystemClock.now();
        let newest_of = self.newer_than.map(|age| now.minus(age));
        Selection {
            reasons: self.reason.clone(),
            ids: self.id.clone(),
            groups: self.group.clone(),
            receipts: self.receipt.clone(),
            sessions: self.session.clone(),
            statuses: self.status.clone(),
            words: self.contains.clone(),
            since: self.since.max(newest_of),
            before: self.older_than.map(|age| now.minus(age)),
            expires_before: self
                .expiring_within
                .map(|days| now.plus(Duration::from_secs(days.saturating_mul(86_400)))),
            corrections: BTreeMap::new(),
        }
    }
}

/// Any reason, for a message can have one of another version; completion offers those of this version.
#[derive(Clone)]
struct ReasonParser;

impl TypedValueParser for ReasonParser {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(reasons().map(PossibleValue::new)))
    }
}

fn statuses() -> PossibleValuesParser {
    PossibleValuesParser::new(Status::ALL.iter().map(|status| status.word()))
}

/// A text that says something.
pub(crate) fn not_blank(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() { Err("must not be blank") } else { Ok(text.trim().to_owned()) }
}

/// A ticket.
pub(crate) fn ticket(text: &str) -> Result<String, &'static str> {
    not_blank(text).map_err(|_| "must say why, as a ticket does: it must not be blank")
}

fn moment(text: &str) -> Result<Timestamp, &'static str> {
    Timestamp::parse(text).map_err(|_| "must be RFC 3339, like 2026-11-22T10:00:00Z")
}

fn age(text: &str) -> Result<Duration, &'static str> {
    const RULE: &str = "must be a number with s, m, h or d, like 15m or 3d";
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3_600,
        Some('d') => 86_400,
        _ => return Err(RULE),
    };
    let number: u64 = text.get(..text.len() - 1).and_then(|number| number.parse().ok()).ok_or(RULE)?;
    number.checked_mul(unit).filter(|seconds| *seconds <= 366 * 86_400).map(Duration::from_secs).ok_or(RULE)
}

/// Reasons and how many messages have each.
pub(crate) fn counts(of: &BTreeMap<String, usize>) -> String {
    let each: Vec<_> = of.iter().map(|(reason, count)| format!("{reason} ({count})")).collect();
    if each.is_empty() { "no dead letters".to_owned() } else { each.join(", ") }
}

/// A reason that no message has and this version does not know is a mistake, and not an answer.
pub(crate) fn refuse_unknown_reasons(selection: &Selection, census: &Census) -> Result<(), Failure> {
    let unknown = |reason: &&&String| !reasons().any(|known| known == reason.as_str());
    let missing = census.missing(selection);
    let Some(reason) = missing.iter().find(unknown) else { return Ok(()) };
    let near =
        reasons().filter(|known| strsim::levenshtein(known, reason) <= 2).collect::<Vec<_>>().join(" or ");
    let near = if near.is_empty() { String::new() } else { format!(" Did you mean {near}?") };
    Err(Failure::usage(format!(
        "no dead letter has the reason {reason}, and this version knows none of that name.{near} There are: {}",
        counts(&census.there)
    )))
}

/// Who names messages means each of them: one that is not there is a mistake, or is held by somebody.
pub(crate) fn refuse_absent(selection: &Selection, census: &Census) -> Result<(), Failure> {
    let absent = census.absent(selection);
    if absent.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = absent.into_iter().map(String::as_str).collect();
    Err(Failure::refused(format!(
        "not found, or held by somebody now: {}; nothing was done. Look again in a minute",
        names.join(", ")
    )))
}

/// What there is to say where nothing was chosen, to whoever wants to move or copy something.
pub(crate) fn nothing_chosen(census: &Census, complete: bool) -> Failure {
    let hidden = if complete { "" } else { ", and some that cannot be seen now: look again in a minute" };
    let there = format!("{}{hidden}", counts(&census.there));
    if census.unnamed.is_empty() {
        return Failure::refused(format!("no dead letter fits; there are: {there}"));
    }
    Failure::refused(format!("{}; there are: {there}", unnamed(census)))
}

/// What there is to say of evidence that stays.
fn unnamed(census: &Census) -> String {
    let reasons: Vec<_> = census.unnamed.keys().map(|reason| format!("--reason {reason}")).collect();
    format!(
        "{} stay: conflicts and suspected forgeries move only when they are named, by {} or --id",
        counts(&census.unnamed),
        reasons.join(", ")
    )
}

/// Says which evidence moves and which stays.
pub(crate) fn tell_evidence(census: &Census, output: Output) {
    if !census.named.is_empty() {
        output.note(format!("evidence is among them, which you named: {}", counts(&census.named)));
    }
    if !census.unnamed.is_empty() {
        output.note(unnamed(census));
    }
}

/// The same for machines.
pub(crate) fn evidence(census: &Census) -> Value {
    json!({ "named": census.named, "stays": census.unnamed })
}
