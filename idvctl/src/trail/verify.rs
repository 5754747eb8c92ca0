//! Is the trail whole and unaltered? Every gap, edit, reorder, duplicate and fork is named.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use idv_callback::audit::{NO_RECORD, SCHEMA};
use idv_callback::hex::{hex, hex_tag};
use idv_callback::timestamp::Timestamp;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::checkpoint::Leaf;
use super::entry::{Link, Place, process};
use super::finding::{Finding, FindingKind};

/// How many records of one writer may come before one that belongs before them, until that one counts as missing.
const MOST_PENDING: usize = 4096;

/// How much of each digest is kept, to tell a record that came twice from another one with its number.
type Short = [u8; 16];

/// In which steps silence is measured.
const STEP: Duration = Duration::from_secs(60);

/// What came out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Checked {
    /// How many records were read.
    pub records: u64,
    /// Of how many writers.
    pub writers: u64,
    /// Lines that begin like a record and cannot be read: cut short by a kill, say. They are no records.
    pub cut_short: u64,
    /// The longest silence of each kind of writer, in seconds, and when it began.
    pub silences: BTreeMap<String, (u64, String)>,
    /// Identical copies, and records out of their order, where that is expected.
    pub tolerated: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What there is to seal: of each writer the records behind what is sealed.
    #[serde(skip)]
    pub unsealed: Vec<Leaf>,
}

/// Reads a trail, record by record.
#[derive(Default)]
pub struct Verifier {
    writers: HashMap<String, Writer>,
    given: HashMap<String, Leaf>,
    spoke: BTreeMap<String, BTreeSet<i64>>,
    copies_expected: bool,
    checked: Checked,
}

/// A record that waits for those before it.
struct Waiting {
    digest: [u8; 32],
    prev: String,
    code: String,
    place: String,
}

struct Writer {
    /// The number of the first record that is looked at.
    base: u64,
    next: u64,
    /// The digest of the last record, in hexadecimal digits; none where it is not known.
    head: Option<String>,
    seen: Seen,
    waiting: BTreeMap<u64, Waiting>,
    last_place: String,
}

/// The beginnings of the digests of records, by their numbers: stretches without a gap, and those that came late.
#[derive(Default)]
struct Seen {
    stretches: Vec<(u64, Vec<Short>)>,
    late: BTreeMap<u64, Short>,
}

impl Seen {
    /// The next record, at the end of the last stretch or behind a gap.
    fn push(&mut self, seq: u64, digest: Short) {
        match self.stretches.last_mut() {
            Some((start, stretch)) if start.saturating_add(stretch.len() as u64) == seq => {
                stretch.push(digest);
            }
            _ => self.stretches.push((seq, vec![digest])),
        }
    }

    fn get(&self, seq: u64) -> Option<Short> {
        let behind = self.stretches.partition_point(|(start, _)| *start <= seq);
        let stretch = behind.checked_sub(1).and_then(|index| self.stretches.get(index));
        let found =
            stretch.and_then(|(start, stretch)| stretch.get(usize::try_from(seq - start).ok()?).copied());
        found.or_else(|| self.late.get(&seq).copied())
    }
}

impl Verifier {
    /// Takes what these leaves seal as given: of each writer only what comes behind it is looked at.
    #[must_use]
    pub fn after(mut self, leaves: &[Leaf]) -> Self {
        for leaf in leaves {
            self.given.insert(leaf.writer.clone(), leaf.clone());
        }
        self
    }

    /// Where records are delivered at least once and in no order, neither is a finding.
    #[must_use]
    pub fn at_least_once(mut self, expected: bool) -> Self {
        self.copies_expected = expected;
        self
    }

    /// Reads one record.
    pub fn read(&mut self, place: Place<'_>, record: &[u8]) {
        let Ok(link) = serde_json::from_slice::<Link<'_>>(record) else {
            match serde_json::from_slice::<serde::de::IgnoredAny>(record) {
                Ok(_) => {
                    self.checked.records += 1;
                    self.unlinked(place, "its link cannot be read");
                }
                Err(_) => self.checked.cut_short += 1,
            }
            return;
        };
        self.checked.records += 1;
        let (Some(writer), Some(seq), Some(prev)) = (&link.writer, link.seq, &link.prev) else {
            self.unlinked(place, "it has no writer, number or link");
            return;
        };
        if link.schema != SCHEMA {
            self.unlinked(place, "its schema is not known");
            return;
        }
        // An operator speaks when there is something to do, and has no heartbeat.
        if process(writer) != "operator"
            && let Ok(at) = Timestamp::parse(&link.at)
        {
            let step = at.unix_seconds() / i64::try_from(STEP.as_secs()).unwrap_or(60);
            self.spoke.entry(process(writer).to_owned()).or_default().insert(step);
        }
        if !self.writers.contains_key(writer.as_ref()) {
            let begun = Writer::after(self.given.get(writer.as_ref()));
            self.writers.insert(writer.clone().into_owned(), begun);
        }
        let Some(state) = self.writers.get_mut(writer.as_ref()) else { return };
        let waiting = Waiting {
            digest: Sha256::digest(record).into(),
            prev: prev.clone().into_owned(),
            code: link.code.into_owned(),
            place: place.to_string(),
        };
        state.take(writer, seq, waiting, &mut self.checked.findings);
    }

    fn unlinked(&mut self, place: Place<'_>, text: &str) {
        self.checked.findings.push(Finding {
            kind: FindingKind::Unlinked,
            writer: String::new(),
            from: 0,
            to: 0,
            place: place.to_string(),
            text: text.to_owned(),
        });
    }

    /// Ends; what was sealed must be there as it was sealed.
    pub fn finish(mut self, sealed: &[Leaf]) -> Checked {
        let mut writers: Vec<_> = self.writers.iter_mut().collect();
        writers.sort_by(|one, other| one.0.cmp(other.0));
        for (name, writer) in writers {
            writer.settle(name, 0, &mut self.checked.findings);
            let ends =
                sealed.iter().filter(|leaf| leaf.writer == *name).map(|leaf| leaf.to.saturating_add(1));
            let from = ends.fold(writer.base, u64::max);
            if let (Some(head), true) = (&writer.head, writer.next > from) {
                let (to, head) = (writer.next - 1, head.clone());
                self.checked.unsealed.push(Leaf { writer: (*name).clone(), from, to, head });
            }
        }
        if self.copies_expected {
            let harmless =
                |finding: &Finding| matches!(finding.kind, FindingKind::Duplicate | FindingKind::Reordered);
            let before = self.checked.findings.len();
            self.checked.findings.retain(|finding| !harmless(finding));
            self.checked.tolerated = (before - self.checked.findings.len()) as u64;
        }
        for leaf in sealed {
            if self.given.get(&leaf.writer).is_some_and(|given| given.to >= leaf.to) {
                continue;
            }
            self.checked.findings.extend(check_leaf(leaf, self.writers.get(&leaf.writer)));
        }
        self.checked.writers = self.writers.len() as u64;
        let end = self.spoke.values().filter_map(|steps| steps.last().copied()).max();
        for (process, steps) in &self.spoke {
            // The end of the trail counts, too: who stopped speaking before the others is silent since then.
            let mut marks: Vec<i64> = steps.iter().copied().collect();
            marks.extend(end.map(|end| end + 1));
            let longest = marks.iter().zip(marks.iter().skip(1)).max_by_key(|(one, next)| *next - *one);
            if let Some((from, to)) = longest {
                let step = i64::try_from(STEP.as_secs()).unwrap_or(60);
                let seconds = u64::try_from((to - from - 1) * step).unwrap_or(0);
                let since = Timestamp::from_unix_seconds(from * step).to_string();
                if seconds > 0 {
                    self.checked.silences.insert(process.clone(), (seconds, since));
                }
            }
        }
        self.checked
    }
}

impl Writer {
    fn after(given: Option<&Leaf>) -> Self {
        let base = given.map_or(0, |leaf| leaf.to.saturating_add(1));
        Self {
            base,
            next: base,
            head: Some(given.map_or_else(|| NO_RECORD.to_owned(), |leaf| leaf.head.clone())),
            seen: Seen::default(),
            waiting: BTreeMap::new(),
            last_place: String::new(),
        }
    }

    fn take(&mut self, writer: &str, seq: u64, record: Waiting, findings: &mut Vec<Finding>) {
        let mut find = |kind, place: &str, text: String| {
            let writer = writer.to_owned();
            findings.push(Finding { kind, writer, from: seq, to: seq, place: place.to_owned(), text });
        };
        if seq < self.base {
            return;
        }
        if seq < self.next {
            match self.seen.get(seq) {
                Some(seen) if seen == short(&record.digest) => {
                    find(FindingKind::Duplicate, &record.place, "it stands there before".to_owned());
                }
                None => {
                    self.seen.late.insert(seq, short(&record.digest));
                    find(FindingKind::Reordered, &record.place, "it stands behind later ones".to_owned());
                }
                Some(_) => {
                    find(
                        FindingKind::Fork,
                        &record.place,
                        "another record before has this number".to_owned(),
                    );
                }
            }
            return;
        }
        if seq > self.next {
            match self.waiting.get(&seq) {
                Some(first) if first.digest == record.digest => {
                    find(FindingKind::Duplicate, &record.place, format!("it stands at {}, too", first.place));
                }
                Some(first) => {
                    find(
                        FindingKind::Fork,
                        &record.place,
                        format!("the record at {} has this number, too", first.place),
                    );
                }
                None => {
                    self.waiting.insert(seq, record);
                    if self.waiting.len() > MOST_PENDING {
                        self.settle(writer, MOST_PENDING / 2, findings);
                    }
                }
            }
            return;
        }
        if let Some((later, first)) = self.waiting.first_key_value() {
            find(
                FindingKind::Reordered,
                &record.place,
                format!("it stands behind record {later} ({})", first.place),
            );
        }
        self.accept(writer, record, findings);
        while let Some(record) = self.waiting.remove(&self.next) {
            self.accept(writer, record, findings);
        }
    }

    /// The next one.
    fn accept(&mut self, writer: &str, record: Waiting, findings: &mut Vec<Finding>) {
        let seq = self.next;
        let mut find = |kind, at: u64, place: &str, text: String| {
            let writer = writer.to_owned();
            findings.push(Finding { kind, writer, from: at, to: at, place: place.to_owned(), text });
        };
        match &self.head {
            Some(head) if *head == record.prev => {}
            Some(_) if seq == self.base => {
                find(
                    FindingKind::Changed,
                    seq,
                    &record.place,
                    "its link is not to the one before".to_owned(),
                );
            }
            Some(_) => {
                let text = format!("record {seq} ({}) was written after another one", record.place);
                find(FindingKind::Changed, seq - 1, &self.last_place, text);
            }
            None => {}
        }
        if seq == 0 && record.code != "IDV0001" {
            find(
                FindingKind::NoBeginning,
                0,
                &record.place,
                "the first record is not one of a beginning".to_owned(),
            );
        }
        self.head = Some(hex(&record.digest));
        self.seen.push(seq, short(&record.digest));
        self.last_place = record.place;
        self.next = seq.saturating_add(1);
    }

    /// Those before the waiting ones do not come any more, until so few are left.
    fn settle(&mut self, writer: &str, left: usize, findings: &mut Vec<Finding>) {
        while self.waiting.len() > left {
            let Some((seq, record)) = self.waiting.pop_first() else { return };
            if seq > self.next {
                let after = if self.last_place.is_empty() { "nothing" } else { self.last_place.as_str() };
                findings.push(Finding {
                    kind: FindingKind::Gap,
                    writer: writer.to_owned(),
                    from: self.next,
                    to: seq - 1,
                    place: record.place.clone(),
                    text: format!("missing between {after} and record {seq}"),
                });
                self.next = seq;
                self.head = None;
            }
            self.accept(writer, record, findings);
        }
        // None that waits may be the next one: a copy of it would take its place.
        while let Some(record) = self.waiting.remove(&self.next) {
            self.accept(writer, record, findings);
        }
    }
}

fn check_leaf(leaf: &Leaf, writer: Option<&Writer>) -> Option<Finding> {
    let finding = |kind, from, text: &str| {
        let (writer, place) = (leaf.writer.clone(), "sealed".to_owned());
        Some(Finding { kind, writer, from, to: leaf.to, place, text: text.to_owned() })
    };
    let Some(writer) = writer else {
        return finding(FindingKind::SealedMissing, leaf.from, "sealed records are not there");
    };
    if writer.next <= leaf.to {
        return finding(
            FindingKind::SealedMissing,
            writer.next.max(leaf.from),
            "sealed records are not there",
        );
    }
    match (writer.seen.get(leaf.to), hex_tag(&leaf.head)) {
        // A gap is told of already.
        (None, _) => None,
        (Some(seen), Some(head)) if seen == short(&head) => None,
        (Some(_), _) => finding(FindingKind::SealedChanged, leaf.to, "it is not the record that was sealed"),
    }
}

fn short(digest: &[u8; 32]) -> Short {
    let mut short = Short::default();
    short.iter_mut().zip(digest).for_each(|(to, from)| *to = *from);
    short
}
