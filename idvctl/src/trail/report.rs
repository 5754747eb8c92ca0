//! The page that an auditor prints: one file, no scripts, nothing fetched from anywhere.

use std::collections::BTreeMap;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::codes::{Part, Says};
use super::entry::Entry;
use super::finding::Finding;
use super::html::{STYLE, bars, table};
use super::reconcile::{Class, Reconciled};
use super::verify::Checked;

const TITLE: &str = "Identity proofing callbacks: audit report";

/// The most acts of operators that are listed.
const MOST_ACTS: usize = 1000;

/// A row of days is at least this long, so that one day is a bar and not a wall.
const FEWEST_DAYS: u64 = 14;

/// The most things left over that are listed of each kind.
const MOST_LISTED: usize = 200;

/// Bounds of the times to confirmation, in seconds, and their names.
const TIMES: [(f64, &str); 8] = [
    (2.0, "up to 2 s"),
    (10.0, "up to 10 s"),
    (60.0, "up to 1 min"),
    (600.0, "up to 10 min"),
    (3600.0, "up to 1 h"),
    (6.0 * 3600.0, "up to 6 h"),
    (12.0 * 3600.0, "up to 12 h"),
    (f64::INFINITY, "longer than 12 h"),
];

/// An act of an operator.
struct Act {
    at: String,
    what: String,
    operator: String,
    about: String,
}

/// What is counted of a trail.
#[derive(Default)]
pub struct Statistics {
    first: Option<String>,
    last: Option<String>,
    /// By day, the outcomes of that day.
    days: BTreeMap<String, BTreeMap<&'static str, u64>>,
    refusals: BTreeMap<String, u64>,
    quarantines: BTreeMap<String, u64>,
    keys: BTreeMap<String, u64>,
    versions: BTreeMap<String, u64>,
    times: [u64; TIMES.len()],
    acts: Vec<Act>,
    acts_in_all: u64,
}

impl Statistics {
    /// Counts one record.
    pub fn read(&mut self, entry: &Entry) {
        let at = || Some(entry.at.clone());
        if self.first.as_ref().is_none_or(|first| entry.at < *first) {
            self.first = at();
        }
        if self.last.as_ref().is_none_or(|last| entry.at > *last) {
            self.last = at();
        }
        *self.versions.entry(entry.version.clone()).or_default() += 1;
        let reason = || entry.reason.clone().unwrap_or_else(|| "not told".to_owned());
        let meaning = entry.meaning();
        let (accepted, class) = match meaning.says {
            Says::Nothing | Says::UnderWay | Says::Redriven => (false, None),
            Says::Refused => {
                *self.refusals.entry(format!("{}: {}", entry.code.word(), reason())).or_default() += 1;
                self.day(entry, "refused");
                (false, None)
            }
            Says::Accepted => (true, None),
            Says::AcceptedAs(class) => (true, Some(class)),
            Says::Ended(class) => (false, Some(class)),
        };
        if accepted {
            let key = entry.key_id.clone().unwrap_or_else(|| "not told".to_owned());
            *self.keys.entry(key).or_default() += 1;
            self.day(entry, "accepted");
        }
        if let Some(class) = class {
            if class == Class::Quarantined {
                *self.quarantines.entry(reason()).or_default() += 1;
            }
            self.day(entry, class.word());
        }
        if let (Some(true), Some(seconds)) = (entry.confirmed, entry.seconds_since_received) {
            let slot = TIMES.iter().position(|(bound, _)| seconds <= *bound);
            if let Some(count) = slot.and_then(|slot| self.times.get_mut(slot)) {
                *count += 1;
            }
        }
        if meaning.part == Part::Operator {
            self.acts_in_all += 1;
            if self.acts.len() < MOST_ACTS {
                self.acts.push(Act {
                    at: entry.at.clone(),
                    what: entry.code.word().replace('_', " "),
                    operator: entry.operator.clone().unwrap_or_default(),
                    about: act(entry),
                });
            }
        }
    }

    fn day(&mut self, entry: &Entry, word: &'static str) {
        let day = entry.at.get(..10).unwrap_or_default().to_owned();
        *self.days.entry(day).or_default().entry(word).or_default() += 1;
    }
}

fn act(entry: &Entry) -> String {
    let letters = entry.letters.map(|letters| format!("{letters} messages"));
    let approved = entry.approved_by.as_ref().map(|other| format!("approved by {other}"));
    let parts = [entry.reason.clone(), approved, entry.receipt_id.clone(), letters, entry.detail.clone()];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// All that the page says.
pub struct Report<'a> {
    /// What was counted.
    pub statistics: &'a Statistics,
    /// Whether the trail is whole.
    pub checked: &'a Checked,
    /// How many stretches of chains are sealed, and whether the signatures were looked at; none when no seals were given.
    pub sealed: Option<(usize, bool)>,
    /// How many records could not be read.
    pub unreadable: u64,
    /// Whether every callback has its outcome.
    pub reconciled: &'a Reconciled,
    /// When the page was made, and by which version.
    pub made: (&'a str, &'a str),
}

impl Report<'_> {
    /// The page.
    pub fn html(&self) -> String {
        let (statistics, reconciled) = (self.statistics, self.reconciled);
        let told = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".to_owned());
        let readable = self.unreadable == 0 && self.checked.records > 0;
        let sound = self.checked.findings.is_empty() && reconciled.is_sound() && readable;
        let times = TIMES.iter().zip(statistics.times).map(|((_, name), count)| ((*name).to_owned(), count));
        let list = |map: &BTreeMap<String, u64>| map.iter().map(|(k, v)| (k.clone(), *v)).collect::<Vec<_>>();
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta http-equiv="Content-Security-Policy"
                        content="default-src 'none'; style-src 'unsafe-inline'";
                    title { (TITLE) }
                    style { (PreEscaped(STYLE)) }
                }
                body { main {
                    h1 { (TITLE) }
                    p {
                        "Records from " (told(&statistics.first)) " to " (told(&statistics.last))
                        ". Made " (self.made.0) " by idvctl " (self.made.1) "."
                    }
                    (verdict(sound))
                    (self.integrity())
                    (self.funnel())
                    (self.over_time())
                    (bars(
                        "Time to confirmation",
                        "From a callback's arrival to the user's confirmation.",
                        &times.collect::<Vec<_>>(),
                    ))
                    (bars("Refusals by cause", "Requests of which nothing was kept.", &list(&statistics.refusals)))
                    (bars("Dead letters by reason", "Each time that a message died.", &list(&statistics.quarantines)))
                    (bars(
                        "Use of webhook keys",
                        "Accepted callbacks by the key that signed them.",
                        &list(&statistics.keys),
                    ))
                    (bars("Versions", "Records by the version of the code.", &list(&statistics.versions)))
                    (self.acts())
                    (self.residue())
                    @if !readable {
                        p {
                            "There are " (self.checked.records) " records, of which " (self.unreadable)
                            " could not be read."
                        }
                    }
                } }
            }
        };
        page.into_string() + "\n"
    }

    fn integrity(&self) -> Markup {
        let checked = self.checked;
        let sealed = match self.sealed {
            None => "No checkpoints were given: the end of each chain could have been cut off.".to_owned(),
            Some((leaves, true)) => format!(
                "Checkpoints seal {leaves} ranges of chains; their signatures hold, or are told of below."
            ),
            Some((leaves, false)) => {
                format!("Checkpoints seal {leaves} ranges of chains; their signatures were NOT checked.")
            }
        };
        let silence = |(process, (seconds, since)): (&String, &(u64, String))| {
            vec![process.clone(), format!("{} min", seconds / 60), since.clone()]
        };
        let silences: Vec<_> = checked.silences.iter().map(silence).collect();
        let findings: Vec<_> = checked.findings.iter().take(MOST_LISTED).map(row_of_finding).collect();
        html! {
            section {
                h2 { "Integrity" }
                p {
                    (checked.records) " records of " (checked.writers) " writers were checked; "
                    (checked.findings.len()) " findings. " (sealed)
                }
                @if !silences.is_empty() {
                    (table("Longest silence", &["writers", "for", "since"], &silences))
                }
                @if !findings.is_empty() {
                    (table("Findings", &["what", "writer", "records", "where", "in words"], &findings))
                }
            }
        }
    }

    fn funnel(&self) -> Markup {
        let reconciled = self.reconciled;
        let mut rows = vec![("accepted".to_owned(), reconciled.accepted)];
        for class in Class::ALL.iter().rev() {
            let count = reconciled.classes.get(class.word()).copied().unwrap_or_default();
            rows.push((format!("→ {}", class.word().replace('_', " ")), count));
        }
        rows.push(("→ unexplained".to_owned(), reconciled.residue() as u64));
        bars("From accepted to outcome", "Each accepted callback once, however often it came.", &rows)
    }

    fn over_time(&self) -> Markup {
        let days = &self.statistics.days;
        let (Some(first), Some(last)) = (days.keys().next(), days.keys().next_back()) else {
            return html! {};
        };
        let words =
            ["accepted", "refused"].into_iter().chain(Class::ALL.iter().rev().map(|class| class.word()));
        let counts = |word: &str| -> Vec<u64> {
            days.values().map(|day| day.get(word).copied().unwrap_or_default()).collect()
        };
        html! {
            section {
                h2 { "By day" }
                p { "From " (first) " to " (last) ". Each row has its own scale; its highest day is told." }
                @for word in words {
                    (chart(&word.replace('_', " "), (first, last), &counts(word)))
                }
            }
        }
    }

    fn acts(&self) -> Markup {
        let statistics = self.statistics;
        let row = |act: &Act| vec![act.at.clone(), act.what.clone(), act.operator.clone(), act.about.clone()];
        let mut rows: Vec<_> = statistics.acts.iter().map(row).collect();
        rows.sort();
        html! {
            section {
                h2 { "Acts of operators" }
                p {
                    (statistics.acts_in_all) " acts"
                    @if statistics.acts_in_all > statistics.acts.len() as u64 {
                        ", of which the first " (statistics.acts.len()) " are listed"
                    }
                    "."
                }
                @if !rows.is_empty() {
                    (table("What operators did", &["when", "what", "who", "why, and about what"], &rows))
                }
            }
        }
    }

    fn residue(&self) -> Markup {
        let reconciled = self.reconciled;
        let listed = |list: &[String]| -> Vec<_> {
            list.iter().take(MOST_LISTED).map(|one| vec![one.clone()]).collect()
        };
        html! {
            section {
                h2 { "Unexplained" }
                p {
                    (reconciled.residue()) " in all."
                    @if reconciled.accepted_earlier > 0 {
                        " " (reconciled.accepted_earlier) " outcomes are of callbacks before this trail."
                    }
                }
                @for (what, list) in reconciled.left_over() {
                    @if !list.is_empty() {
                        (table(&format!("{what}: {}", list.len()), &["which"], &listed(list)))
                    }
                }
            }
        }
    }
}

fn verdict(sound: bool) -> Markup {
    html! {
        @if sound {
            p class="verdict sound" {
                strong { "✓ Sound." } " The trail is whole, and every accepted callback has exactly one outcome."
            }
        } @else {
            p class="verdict unsound" { strong { "✗ Not sound." } " What is wrong is listed below." }
        }
    }
}

fn row_of_finding(finding: &Finding) -> Vec<String> {
    let records = if finding.from == finding.to {
        finding.from.to_string()
    } else {
        format!("{}–{}", finding.from, finding.to)
    };
    let (kind, writer) = (finding.kind.word().to_owned(), finding.writer.clone());
    vec![kind, writer, records, finding.place.clone(), finding.text.clone()]
}

/// A bar for each day; nothing where all are zero.
fn chart(name: &str, (first, last): (&str, &str), counts: &[u64]) -> Markup {
    let (total, highest) = (counts.iter().sum::<u64>(), counts.iter().copied().max().unwrap_or_default());
    let of = (counts.len() as u64).max(FEWEST_DAYS);
    let bar = |(index, count): (u64, &u64)| {
        let (x, width, height) = (7200 * index / of, (6120 / of).max(3), 460 * count / highest.max(1));
        html! { rect x=(x) y=(470 - height) width=(width) height=(height) {} }
    };
    html! {
        @if highest > 0 {
            figure {
                figcaption { (name) ": " (total) ", highest " (highest) " a day" }
                svg viewBox="0 0 7200 480" role="img" preserveAspectRatio="none" {
                    title { (name) " by day, " (first) " to " (last) ": " (total) " in all, " (highest) " at most" }
                    @for bar in (0..).zip(counts).map(bar) { (bar) }
                    line x1="0" y1="475" x2="7200" y2="475" {}
                }
            }
        }
    }
}
