//! The page that an auditor prints: one file, no scripts, nothing fetched from anywhere.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::codes::{Part, Says};
use super::entry::Entry;
use super::html::{STYLE, bars, escape, table};
use super::reconcile::{Class, Reconciled};
use super::verify::Checked;

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
        let reading = entry.reading();
        let (accepted, class) = match reading.says {
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
        if reading.part == Part::Operator {
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
        let mut page = String::new();
        // Writing into a string cannot fail.
        let _infallible = self.write(&mut page);
        page
    }

    fn write(&self, page: &mut String) -> std::fmt::Result {
        let (statistics, reconciled) = (self.statistics, self.reconciled);
        let span = |text: &Option<String>| escape(text.as_deref().unwrap_or("–"));
        let (from, to) = (span(&statistics.first), span(&statistics.last));
        let whole = self.checked.findings.is_empty();
        let readable = self.unreadable == 0 && self.checked.records > 0;
        let sound = whole && reconciled.is_sound() && readable;
        write!(
            page,
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
             <title>Identity proofing callbacks: audit report</title><style>{STYLE}</style></head><body><main>\
             <h1>Identity proofing callbacks: audit report</h1>\
             <p>Records from {from} to {to}. Made {} by idvctl {}.</p>\
             <p class=\"verdict {}\"><strong>{}</strong> {}</p>",
            escape(self.made.0),
            escape(self.made.1),
            if sound { "sound" } else { "unsound" },
            if sound { "✓ Sound." } else { "✗ Not sound." },
            if sound {
                "The trail is whole, and every accepted callback has exactly one outcome."
            } else {
                "What is wrong is listed below."
            },
        )?;
        self.integrity(page)?;
        self.funnel(page)?;
        self.over_time(page)?;
        let times: Vec<_> =
            TIMES.iter().zip(statistics.times).map(|((_, name), n)| ((*name).to_owned(), n)).collect();
        bars(page, "Time to confirmation", "From a callback's arrival to the user's confirmation.", &times)?;
        let list = |map: &BTreeMap<String, u64>| map.iter().map(|(k, v)| (k.clone(), *v)).collect::<Vec<_>>();
        bars(page, "Refusals by cause", "Requests of which nothing was kept.", &list(&statistics.refusals))?;
        bars(
            page,
            "Dead letters by reason",
            "Each time that a message died.",
            &list(&statistics.quarantines),
        )?;
        bars(
            page,
            "Use of webhook keys",
            "Accepted callbacks by the key that signed them.",
            &list(&statistics.keys),
        )?;
        bars(page, "Versions", "Records by the version of the code.", &list(&statistics.versions))?;
        self.acts(page)?;
        self.residue(page)?;
        if !readable {
            let (records, unreadable) = (self.checked.records, self.unreadable);
            write!(page, "<p>There are {records} records, of which {unreadable} could not be read.</p>")?;
        }
        page.push_str("</main></body></html>\n");
        Ok(())
    }

    fn integrity(&self, page: &mut String) -> std::fmt::Result {
        let checked = self.checked;
        write!(
            page,
            "<section><h2>Integrity</h2><p>{} records of {} writers were checked; {} findings. {}</p>",
            checked.records,
            checked.writers,
            checked.findings.len(),
            match self.sealed {
                None =>
                    "No checkpoints were given: the end of each chain could have been cut off.".to_owned(),
                Some((leaves, true)) => {
                    format!(
                        "Checkpoints seal {leaves} stretches of chains; their signatures hold, or are told of below."
                    )
                }
                Some((leaves, false)) => {
                    format!(
                        "Checkpoints seal {leaves} stretches of chains; their signatures were NOT looked at."
                    )
                }
            }
        )?;
        let silences = checked.silences.iter();
        let silences: Vec<_> = silences
            .map(|(process, (seconds, since))| {
                vec![process.clone(), format!("{} min", seconds / 60), since.clone()]
            })
            .collect();
        if !silences.is_empty() {
            table(page, "Longest silence", &["writers", "for", "since"], &silences)?;
        }
        let findings: Vec<_> = checked
            .findings
            .iter()
            .take(MOST_LISTED)
            .map(|finding| {
                let records = if finding.from == finding.to {
                    finding.from.to_string()
                } else {
                    format!("{}–{}", finding.from, finding.to)
                };
                let (kind, writer) = (finding.kind.word().to_owned(), finding.writer.clone());
                vec![kind, writer, records, finding.place.clone(), finding.text.clone()]
            })
            .collect();
        if !findings.is_empty() {
            table(page, "Findings", &["what", "writer", "records", "where", "in words"], &findings)?;
        }
        page.push_str("</section>");
        Ok(())
    }

    fn funnel(&self, page: &mut String) -> std::fmt::Result {
        let reconciled = self.reconciled;
        let mut rows = vec![("accepted".to_owned(), reconciled.accepted)];
        for class in Class::ALL.iter().rev() {
            let count = reconciled.classes.get(class.word()).copied().unwrap_or_default();
            rows.push((format!("→ {}", class.word().replace('_', " ")), count));
        }
        rows.push(("→ left over".to_owned(), reconciled.residue() as u64));
        bars(page, "From accepted to outcome", "Each accepted callback once, however often it came.", &rows)
    }

    fn over_time(&self, page: &mut String) -> std::fmt::Result {
        let days = &self.statistics.days;
        if days.is_empty() {
            return Ok(());
        }
        let (first, last) = (days.keys().next(), days.keys().next_back());
        let text = |day: Option<&String>| escape(day.map_or("–", String::as_str));
        let (first, last) = (text(first), text(last));
        write!(
            page,
            "<section><h2>By day</h2><p>From {first} to {last}. Each row has its own scale; its highest day is told.</p>"
        )?;
        let words: Vec<&str> = ["accepted", "refused"]
            .into_iter()
            .chain(Class::ALL.iter().rev().map(|class| class.word()))
            .collect();
        for word in words {
            let counts: Vec<u64> =
                days.values().map(|day| day.get(word).copied().unwrap_or_default()).collect();
            let highest = counts.iter().copied().max().unwrap_or_default();
            if highest == 0 {
                continue;
            }
            let (name, total) = (word.replace('_', " "), counts.iter().sum::<u64>());
            write!(
                page,
                "<figure><figcaption>{name}: {total}, highest {highest} a day</figcaption>\
                 <svg viewBox=\"0 0 7200 480\" role=\"img\" preserveAspectRatio=\"none\">\
                 <title>{name} by day, {first} to {last}: {total} in all, {highest} at most</title>"
            )?;
            let of = (counts.len() as u64).max(FEWEST_DAYS);
            for (index, count) in (0_u64..).zip(&counts) {
                let (x, width, height) = (7200 * index / of, (6120 / of).max(3), 460 * count / highest);
                write!(
                    page,
                    "<rect x=\"{x}\" y=\"{}\" width=\"{width}\" height=\"{height}\"/>",
                    470 - height
                )?;
            }
            page.push_str("<line x1=\"0\" y1=\"475\" x2=\"7200\" y2=\"475\"/></svg></figure>");
        }
        page.push_str("</section>");
        Ok(())
    }

    fn acts(&self, page: &mut String) -> std::fmt::Result {
        let statistics = self.statistics;
        write!(page, "<section><h2>Acts of operators</h2><p>{} acts", statistics.acts_in_all)?;
        if statistics.acts_in_all > statistics.acts.len() as u64 {
            write!(page, ", of which the first {} are listed", statistics.acts.len())?;
        }
        page.push_str(".</p>");
        let mut rows: Vec<_> = statistics
            .acts
            .iter()
            .map(|act| vec![act.at.clone(), act.what.clone(), act.operator.clone(), act.about.clone()])
            .collect();
        rows.sort();
        if !rows.is_empty() {
            table(page, "What operators did", &["when", "what", "who", "why, and about what"], &rows)?;
        }
        page.push_str("</section>");
        Ok(())
    }

    fn residue(&self, page: &mut String) -> std::fmt::Result {
        let reconciled = self.reconciled;
        write!(page, "<section><h2>Left over</h2><p>{} in all.", reconciled.residue())?;
        if reconciled.accepted_earlier > 0 {
            write!(page, " {} outcomes are of callbacks before this trail.", reconciled.accepted_earlier)?;
        }
        page.push_str("</p>");
        for (what, list) in reconciled.left_over() {
            if list.is_empty() {
                continue;
            }
            let rows: Vec<_> = list.iter().take(MOST_LISTED).map(|one| vec![one.clone()]).collect();
            table(page, &format!("{what}: {}", list.len()), &["which"], &rows)?;
        }
        page.push_str("</section>");
        Ok(())
    }
}
