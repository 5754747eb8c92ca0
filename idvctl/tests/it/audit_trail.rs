//! The audit trail as an auditor meets it: tampering is named, by us and by a page of Python; nothing is lost unseen; every
//! decision can be made again; nobody's name is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use idv_callback::audit::{AuditCode, AuditRecord, Chain};
use idv_callback::binding::Binding;
use idv_callback::ports::{Clock, DirectoryError, Fault};
use idv_callback::proofing::Claim;
use idv_callback::timestamp::Timestamp;
use idv_callback::verification::{PoolId, UserReference, Username};
use idv_callback::vocabulary::EventTypes;
use idvctl::trail::{Entry, Reconciliation, Redecision, Thread, Tracing, UserLink};
use serde_json::{Value, json};

use crate::operator::Operator;
use crate::support::setup;
use crate::support::world::{POOL, World, approval, other, ring, with, with_metadata};

fn idvctl(folder: &Path, arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_idvctl");
    Command::new(program).args(arguments).current_dir(folder).output().unwrap()
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(1_795_341_600 + seconds)
}

/// What a writer writes: a beginning, then so many records.
fn written(writer: &str, records: u64) -> Vec<String> {
    let chain = Chain::new(writer);
    let mut lines = Vec::new();
    for n in 0..=records {
        let code = if n == 0 { AuditCode::Started } else { AuditCode::Refused };
        let record = AuditRecord::new(code, at(i64::try_from(n).unwrap())).because(format!("r{n}"));
        let keep = |_: &AuditRecord, line: &[u8]| {
            lines.push(String::from_utf8(line.to_vec()).unwrap());
            Ok(())
        };
        chain.append(&record, keep).unwrap();
    }
    lines
}

#[test]
fn a_record_is_this_line() {
    let line = &written("callback/stream/1-2", 1)[1];
    let first = &written("callback/stream/1-2", 0)[0];
    let digest = idv_callback::envelope::BodyDigest::of(first.as_bytes());
    let expected = format!(
        r#"{{"schema":"idv-audit/1","code":"IDV1101","event":"refused","at":"2026-11-22T10:00:01.000Z","version":"{}","reason":"r1","writer":"callback/stream/1-2","seq":1,"prev":"{}"}}"#,
        env!("CARGO_PKG_VERSION"),
        digest.as_str()
    );
    assert_eq!(*line, expected);
}

#[test]
fn a_writer_that_was_silent_says_that_it_is_there() {
    let chain = Chain::new("callback/x");
    let mut lines: Vec<Value> = Vec::new();
    for seconds in [0, 299, 599, 600] {
        let record = AuditRecord::new(AuditCode::Refused, at(seconds));
        let keep = |_: &AuditRecord, line: &[u8]| {
            lines.push(serde_json::from_slice(line).unwrap());
            Ok(())
        };
        chain.append(&record, keep).unwrap();
    }
    let words: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(words, ["refused", "refused", "alive", "refused", "refused"]);
    // What could not be written leaves no hole.
    let broken = |_: &AuditRecord, _: &[u8]| Err(std::io::Error::other("full"));
    assert!(chain.append(&AuditRecord::new(AuditCode::Refused, at(601)), broken).is_err());
    let keep = |_: &AuditRecord, line: &[u8]| {
        lines.push(serde_json::from_slice(line).unwrap());
        Ok(())
    };
    chain.append(&AuditRecord::new(AuditCode::Refused, at(602)), keep).unwrap();
    assert_eq!(lines.last().unwrap()["seq"], 5);
}

/// A trail of three writers, sealed twice, in the form of a bundle that was unpacked.
struct Trail {
    folder: tempfile::TempDir,
    key: String,
    lines: Vec<String>,
}

impl Trail {
    fn sealed() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let writers = ["callback/a/1-1", "callback/b/1-2", "consumer/a/1-3"];
        let all: Vec<Vec<String>> = writers.iter().map(|writer| written(writer, 11)).collect();
        // As a log delivers them: mixed, each writer's own in order.
        let mixed = |range: std::ops::Range<usize>| -> Vec<String> {
            range.flat_map(|n| all.iter().map(move |lines| lines[n].clone())).collect()
        };
        let trail = Self { folder, key: String::new(), lines: mixed(0..12) };
        let made = trail.run(&["--json", "audit", "keygen", "--name", "example.org/idv", "-o", "key"]);
        let key = json_of(&made)["public"].as_str().unwrap().to_owned();
        let trail = Self { key, ..trail };
        for lines in [mixed(0..6), mixed(0..12)] {
            trail.write(&lines);
            let seal = ["audit", "seal", "records", "--to", "sealed", "--signing-key", "key"];
            let sealed = trail.run(&seal);
            assert!(sealed.status.success(), "{sealed:?}");
        }
        trail
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        idvctl(self.folder.path(), arguments)
    }

    fn write(&self, lines: &[String]) {
        std::fs::create_dir_all(self.path("records")).unwrap();
        std::fs::write(
            self.path("records/log.jsonl"),
            lines.iter().map(|l| format!("{l}\n")).collect::<String>(),
        )
        .unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// What is found: by us, and by the page of Python, which must be the same.
    fn findings(&self) -> BTreeSet<(String, String, u64, u64)> {
        self.findings_with(&[])
    }

    fn findings_with(&self, more: &[&str]) -> BTreeSet<(String, String, u64, u64)> {
        let verify =
            ["--json", "audit", "verify", "records", "--sealed", "sealed", "--key", self.key.as_str()];
        let ours = self.run(&[&verify, more].concat());
        let value = json_of(&ours);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let finding = |f: &Value| {
            (text(&f["kind"]), text(&f["writer"]), f["from"].as_u64().unwrap(), f["to"].as_u64().unwrap())
        };
        let found: BTreeSet<_> = value["findings"].as_array().unwrap().iter().map(finding).collect();
        assert_eq!(value["sound"], found.is_empty());
        assert_eq!(ours.status.code(), Some(i32::from(!found.is_empty())));

        // The verifier finds the bundle's folders side by side.
        let bundle = self.path("bundle");
        let _fresh = std::fs::remove_dir_all(&bundle);
        std::fs::create_dir_all(bundle.join("checkpoints")).unwrap();
        std::fs::create_dir_all(bundle.join("records")).unwrap();
        for (from, to) in [("records", "records"), ("sealed/checkpoints", "checkpoints")] {
            for entry in std::fs::read_dir(self.path(from)).unwrap() {
                let entry = entry.unwrap();
                std::fs::copy(entry.path(), bundle.join(to).join(entry.file_name())).unwrap();
            }
        }
        std::fs::copy(self.path("sealed/leaves.jsonl"), bundle.join("leaves.jsonl")).unwrap();
        std::fs::write(bundle.join("verify.py"), idvctl::trail::VERIFIER).unwrap();
        let python = Command::new("python3")
            .args(["-I", "verify.py", ".", "--json", "--key", &self.key])
            .args(more)
            .current_dir(&bundle)
            .output()
            .unwrap();
        let theirs: Value =
            serde_json::from_slice(&python.stdout).unwrap_or_else(|error| panic!("{error}: {python:?}"));
        let finding = |f: &Value| (text(&f[0]), text(&f[1]), f[2].as_u64().unwrap(), f[3].as_u64().unwrap());
        let theirs_found: BTreeSet<_> = theirs["findings"].as_array().unwrap().iter().map(finding).collect();
        assert_eq!(found, theirs_found, "ours and Python's");
        assert_eq!(python.status.code(), Some(i32::from(!found.is_empty())));
        assert_eq!(value["records"], theirs["records"]);
        found
    }

    /// After somebody's hand went over the records.
    fn with_records(&self, change: impl FnOnce(&mut Vec<String>)) -> BTreeSet<(String, String, u64, u64)> {
        let mut lines = self.lines.clone();
        change(&mut lines);
        self.write(&lines);
        let found = self.findings();
        self.write(&self.lines);
        found
    }

    /// After somebody's hand went over a sealed file.
    fn with_file(
        &self,
        name: &str,
        change: impl FnOnce(String) -> String,
    ) -> BTreeSet<(String, String, u64, u64)> {
        let before = self.read(name);
        std::fs::write(self.path(name), change(before.clone())).unwrap();
        let found = self.findings();
        std::fs::write(self.path(name), before).unwrap();
        found
    }
}

fn set(findings: &[(&str, &str, u64, u64)]) -> BTreeSet<(String, String, u64, u64)> {
    findings.iter().map(|(kind, writer, from, to)| ((*kind).into(), (*writer).into(), *from, *to)).collect()
}

/// The line of this writer's record; the three writers take turns.
fn nth(writer: usize, seq: usize) -> usize {
    seq * 3 + writer
}

#[test]
fn whoever_touches_a_record_is_named_with_it() {
    let trail = Trail::sealed();
    assert_eq!(trail.findings(), set(&[]));
    let (a, b, c) = ("callback/a/1-1", "callback/b/1-2", "consumer/a/1-3");
    let edit = |line: &str| line.replace("\"reason\":\"r", "\"reason\":\"x");

    let cases: [(&str, Box<dyn FnOnce(&mut Vec<String>)>, BTreeSet<_>); 20] = [
        ("removed", Box::new(|l| drop(l.remove(nth(1, 5)))), set(&[("gap", b, 5, 5)])),
        (
            "several removed",
            Box::new(|l| l.retain(|l| !l.contains("\"r4\"") && !l.contains("\"r5\""))),
            set(&[("gap", a, 4, 5), ("gap", b, 4, 5), ("gap", c, 4, 5)]),
        ),
        ("the first removed", Box::new(|l| drop(l.remove(nth(2, 0)))), set(&[("gap", c, 0, 0)])),
        ("edited", Box::new(move |l| l[nth(0, 3)] = edit(&l[nth(0, 3)])), set(&[("changed", a, 3, 3)])),
        (
            "the first edited",
            Box::new(move |l| l[nth(0, 0)] = edit(&l[nth(0, 0)])),
            set(&[("changed", a, 0, 0)]),
        ),
        // Nothing comes behind the last one: only the seal tells.
        (
            "the last edited",
            Box::new(move |l| l[nth(0, 11)] = edit(&l[nth(0, 11)])),
            set(&[("sealed_changed", a, 11, 11)]),
        ),
        ("swapped", Box::new(|l| l.swap(nth(0, 4), nth(0, 5))), set(&[("reordered", a, 4, 4)])),
        (
            "moved to the end",
            Box::new(|l| {
                let line = l.remove(nth(1, 2));
                l.push(line);
            }),
            set(&[("reordered", b, 2, 2)]),
        ),
        (
            "doubled",
            Box::new(|l| {
                let line = l[nth(2, 7)].clone();
                l.insert(nth(2, 9), line);
            }),
            set(&[("duplicate", c, 7, 7)]),
        ),
        (
            "forked",
            Box::new(move |l| {
                let line = edit(&l[nth(2, 7)]);
                l.insert(nth(2, 9), line);
            }),
            set(&[("fork", c, 7, 7)]),
        ),
        (
            "cut off at the end",
            Box::new(|l| l.truncate(nth(0, 9))),
            set(&[("sealed_missing", a, 9, 11), ("sealed_missing", b, 9, 11), ("sealed_missing", c, 9, 11)]),
        ),
        (
            "a whole writer gone",
            Box::new(move |l| l.retain(|line| !line.contains(b))),
            set(&[("sealed_missing", b, 0, 5), ("sealed_missing", b, 6, 11)]),
        ),
        (
            "all gone",
            Box::new(Vec::clear),
            set(&[
                ("sealed_missing", a, 0, 5),
                ("sealed_missing", a, 6, 11),
                ("sealed_missing", b, 0, 5),
                ("sealed_missing", b, 6, 11),
                ("sealed_missing", c, 0, 5),
                ("sealed_missing", c, 6, 11),
            ]),
        ),
        (
            "without a link",
            Box::new(|l| {
                l.push(r#"{"schema":"idv-audit/1","code":"IDV1101","event":"refused","at":"x"}"#.to_owned());
            }),
            set(&[("unlinked", "", 0, 0)]),
        ),
        // What is no harm: lines that are no records, records in one line, a line cut short, new records, new writers.
        (
            "other lines",
            Box::new(|l| {
                l.insert(3, "{\"_aws\":{}}".to_owned());
                l.insert(9, "START RequestId".to_owned());
                l.push("{\"schema\":\"idv-audit/1\",\"code\":\"IDV1".to_owned());
            }),
            set(&[]),
        ),
        (
            "two in a line",
            Box::new(|l| {
                let next = l.remove(7);
                l[6].push_str(&next);
            }),
            set(&[]),
        ),
        (
            "a writer that never began",
            Box::new(|l| l.push(never_began())),
            set(&[("no_beginning", "consumer/new/9-9", 0, 0)]),
        ),
        (
            "a number from nowhere",
            Box::new(|l| l.push(l[0].replace("\"seq\":0", "\"seq\":1000000000000"))),
            set(&[("gap", a, 12, 999_999_999_999)]),
        ),
        (
            "a number that is none",
            Box::new(|l| l.push(l[0].replace("\"seq\":0", "\"seq\":-1"))),
            set(&[("unlinked", "", 0, 0)]),
        ),
        ("a new writer", Box::new(|l| l.extend(written("consumer/new/9-9", 3))), set(&[])),
    ];
    for (name, change, expected) in cases {
        assert_eq!(trail.with_records(change), expected, "{name}");
    }

    // A delivery that is at least once and in no order is no tampering; what is missing or changed is.
    let mut delivered = trail.lines.clone();
    delivered.reverse();
    delivered.extend_from_within(5..9);
    trail.write(&delivered);
    assert_eq!(trail.findings_with(&["--at-least-once"]), set(&[]));
    assert!(trail.findings().len() >= 7, "{:?}", trail.findings());
    delivered.retain(|line| !line.contains("\"r4\""));
    delivered[0] = edit(&delivered[0]);
    trail.write(&delivered);
    let expected = [("gap", a, 4, 4), ("gap", b, 4, 4), ("gap", c, 4, 4), ("sealed_changed", c, 11, 11)];
    assert_eq!(trail.findings_with(&["--at-least-once"]), set(&expected));
}

/// The first record of a writer, which is no beginning.
fn never_began() -> String {
    let mut line = String::new();
    let keep = |_: &AuditRecord, bytes: &[u8]| {
        line = String::from_utf8(bytes.to_vec()).unwrap();
        Ok(())
    };
    Chain::new("consumer/new/9-9").append(&AuditRecord::new(AuditCode::Refused, at(0)), keep).unwrap();
    line
}

/// An empty trail, an empty folder of seals, an empty key: none of them is sound.
#[test]
fn nothing_is_not_sound() {
    let trail = Trail::sealed();
    let none = trail.path("none");
    std::fs::create_dir_all(&none).unwrap();
    for arguments in [
        vec!["audit", "verify", "none"],
        vec!["audit", "reconcile", "none"],
        vec!["audit", "redecide", "none"],
        vec!["audit", "report", "none", "--html", "page.html"],
        vec!["audit", "verify", "records", "--sealed", "none", "--key", &trail.key],
        vec!["audit", "verify", "records", "--sealed", "no-such-folder"],
    ] {
        let output = trail.run(&arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
    }
    assert!(trail.read("page.html").contains("Not sound"));
    // A line that was cut short by a kill is no record, and hides none.
    let cut = format!("{}\n{}", trail.lines[0], &trail.lines[3][..90]);
    std::fs::write(trail.path("cut.jsonl"), cut).unwrap();
    let output = trail.run(&["audit", "reconcile", "cut.jsonl"]);
    assert!(output.status.success(), "{output:?}");
    // A record of a later version, with a code that is not known, is not passed over.
    let strange = trail.lines[0].replace("\"code\":\"IDV0001\"", "\"code\":\"IDV9001\"");
    std::fs::write(trail.path("strange.jsonl"), strange).unwrap();
    let output = trail.run(&["audit", "reconcile", "records", "strange.jsonl"]);
    assert!(
        output.status.code() == Some(1)
            && String::from_utf8_lossy(&output.stderr).contains("1 records cannot be read")
    );

    trail.write(&trail.lines);
    let made = trail.run(&["audit", "bundle", "records", "--sealed", "sealed", "-o", "b.tar"]);
    assert!(made.status.success(), "{made:?}");
    let unpack = |arguments: &[&str]| {
        let status = Command::new("tar").args(arguments).current_dir(trail.folder.path()).status().unwrap();
        assert!(status.success());
    };
    std::fs::create_dir_all(trail.path("unpacked")).unwrap();
    unpack(&["xf", "b.tar", "-C", "unpacked"]);
    unpack(&["cf", "again.tar", "-C", "unpacked", "."]);
    std::fs::write(trail.path("verify.py"), idvctl::trail::VERIFIER).unwrap();
    let python = |arguments: &[&str]| {
        let output = Command::new("python3")
            .args(["-I", "verify.py"])
            .args(arguments)
            .current_dir(trail.folder.path())
            .output()
            .unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let again = trail.run(&["audit", "bundle", "records", "-o", "b.tar"]);
    assert!(
        again.status.code() == Some(2) && String::from_utf8_lossy(&again.stderr).contains("b.tar: "),
        "{again:?}"
    );
    let left: Vec<_> =
        std::fs::read_dir(trail.folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("part")), "{left:?}");
    for bundle in ["b.tar", "again.tar", "unpacked"] {
        let (code, said) = python(&[bundle, "--key", &trail.key]);
        assert!(
            code == 0 && said.contains("36 records of 3 writers, 6 sealed ranges, signatures checked: sound"),
            "{said}"
        );
    }
    assert_eq!(python(&["none", "--key", &trail.key]).0, 1);
    assert_eq!(python(&["none"]).0, 1);
    assert_eq!(python(&["b.tar", "--key", ""]).0, 1);
}

/// A long trail with a hole, delivered twice: the hole, and nothing else.
#[test]
fn copies_of_a_long_trail_change_nothing() {
    let trail = Trail { lines: written("consumer/a/1-1", 9000), ..Trail::sealed() };
    let mut lines = trail.lines.clone();
    lines.drain(4..6);
    lines.extend_from_within(..);
    trail.write(&lines);
    std::fs::write(trail.path("sealed/leaves.jsonl"), "").unwrap();
    let found = trail.findings_with(&["--at-least-once"]);
    let chains: BTreeSet<_> = found.into_iter().filter(|finding| finding.0 != "bad_checkpoint").collect();
    assert_eq!(chains, set(&[("gap", "consumer/a/1-1", 4, 5)]));
}

/// Who stops speaking before the others is silent, too.
#[test]
fn a_silence_at_the_end_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut lines = written("consumer/a/1-1", 5);
    let chain = Chain::new("callback/a/1-2");
    for seconds in [0, 240, 480, 720, 960, 1200, 1440] {
        let code = if seconds == 0 { AuditCode::Started } else { AuditCode::Refused };
        let keep = |_: &AuditRecord, line: &[u8]| {
            lines.push(String::from_utf8(line.to_vec()).unwrap());
            Ok(())
        };
        chain.append(&AuditRecord::new(code, at(seconds)), keep).unwrap();
    }
    std::fs::write(folder.path().join("log"), lines.join("\n")).unwrap();
    let found =
        json_of(&idvctl(folder.path(), &["--json", "audit", "verify", "log", "--most-silence", "15"]));
    assert_eq!(found["findings"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(
        (&found["findings"][0]["kind"], &found["findings"][0]["writer"]),
        (&json!("silence"), &json!("consumer"))
    );
    let enough = idvctl(folder.path(), &["audit", "verify", "log", "--most-silence", "30"]);
    assert!(enough.status.success(), "{enough:?}");
}

#[test]
fn whoever_touches_a_seal_is_named_too() {
    let trail = Trail::sealed();
    let (one, two) = ("sealed/checkpoints/000001.txt", "sealed/checkpoints/000002.txt");
    let found = trail.with_file(one, |note| note.replace("records 18", "records 17"));
    // The second one names the digest of the first.
    assert_eq!(found, set(&[("bad_signature", "000001.txt", 0, 0), ("bad_checkpoint", "000002.txt", 1, 1)]));
    let found = trail.with_file(two, |note| note.replace("findings 0", "findings 1"));
    assert_eq!(found, set(&[("bad_signature", "000002.txt", 1, 1)]));
    let found = trail.with_file(two, |note| note.lines().take(7).map(|l| format!("{l}\n")).collect());
    assert!(found.contains(&("bad_signature".to_owned(), "000002.txt".to_owned(), 1, 1)), "{found:?}");
    let found = trail.with_file("sealed/leaves.jsonl", |leaves| leaves.replacen("\"to\":5", "\"to\":4", 1));
    assert!(found.contains(&("bad_checkpoint".to_owned(), "000001.txt".to_owned(), 0, 0)), "{found:?}");
    let found = trail.with_file("sealed/leaves.jsonl", |leaves| {
        let lines: Vec<_> = leaves.lines().collect();
        lines[..5].iter().map(|l| format!("{l}\n")).collect()
    });
    assert_eq!(found, set(&[("bad_checkpoint", "000002.txt", 1, 1)]));
    let forged = r#"{"writer":"consumer/x","from":0,"to":0,"head":"00"}"#;
    let found = trail.with_file("sealed/leaves.jsonl", |leaves| format!("{leaves}{forged}\n"));
    assert!(found.contains(&("bad_checkpoint".to_owned(), "leaves".to_owned(), 6, 6)), "{found:?}");

    // The first checkpoint gone: the second does not follow from nothing.
    let note = trail.read(one);
    std::fs::remove_file(trail.path(one)).unwrap();
    assert_eq!(trail.findings(), set(&[("bad_checkpoint", "000002.txt", 0, 0)]));
    std::fs::write(trail.path(one), &note).unwrap();

    // Another key of the same name signs nothing here, and cannot seal on.
    let other = trail.run(&["--json", "audit", "keygen", "--name", "example.org/idv", "-o", "other"]);
    let other = json_of(&other)["public"].as_str().unwrap().to_owned();
    let mallory = Trail { key: other, ..trail };
    let expected = [("bad_signature", "000001.txt", 0, 0), ("bad_signature", "000002.txt", 1, 1)];
    assert_eq!(mallory.findings(), set(&expected));
    let mut lines = mallory.lines.clone();
    lines.extend(written("consumer/new/9-9", 3));
    mallory.write(&lines);
    let sealed = mallory.run(&["audit", "seal", "records", "--to", "sealed", "--signing-key", "other"]);
    assert_eq!(sealed.status.code(), Some(1));
    assert_eq!(std::fs::read_dir(mallory.path("sealed/checkpoints")).unwrap().count(), 2);
    assert_eq!(
        std::fs::metadata(mallory.path("key")).unwrap().permissions(),
        std::os::unix::fs::PermissionsExt::from_mode(0o100_600)
    );
}

/// Of a period only the new records are at hand; what was sealed before is taken as given, and what is new must follow it.
#[test]
fn a_period_follows_the_one_before() {
    let trail = Trail::sealed();
    let newer: Vec<String> = trail.lines[18..].to_vec();
    let verify = |lines: &[String]| {
        trail.write(lines);
        let output = trail.run(&[
            "--json", "audit", "verify", "records", "--sealed", "sealed", "--key", &trail.key, "--after", "1",
        ]);
        let kinds: Vec<String> = json_of(&output)["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| {
                format!(
                    "{} {} {}-{}",
                    f["kind"].as_str().unwrap(),
                    f["writer"].as_str().unwrap(),
                    f["from"],
                    f["to"]
                )
            })
            .collect();
        kinds
    };
    assert_eq!(verify(&newer), Vec::<String>::new());
    assert_eq!(
        verify(&newer[3..]),
        ["gap callback/a/1-1 6-6", "gap callback/b/1-2 6-6", "gap consumer/a/1-3 6-6"]
    );
    let mut changed = newer.clone();
    changed[0] = changed[0].replace("\"prev\":\"", "\"prev\":\"f");
    assert!(
        verify(&changed).iter().any(|f| f.starts_with("changed callback/a/1-1 6")),
        "{:?}",
        verify(&changed)
    );
    // Sealing goes on from there.
    let mut third = newer;
    third.extend(written("consumer/new/9-9", 3));
    trail.write(&third);
    let sealed =
        trail.run(&["audit", "seal", "records", "--to", "sealed", "--signing-key", "key", "--only-new"]);
    assert!(sealed.status.success(), "{sealed:?}");
    let again =
        trail.run(&["audit", "seal", "records", "--to", "sealed", "--signing-key", "key", "--only-new"]);
    assert!(String::from_utf8_lossy(&again.stdout).contains("nothing new"), "{again:?}");
}

/// Everything that the functions record, and nothing that has no place.
async fn everything() -> World {
    let mut world = World::new();
    world.policy.binding_required = false;
    // The consumer knows the operator's word before the front door does: a deployment rolls out one after the other.
    let types = EventTypes::parse("account.linked=ignore").unwrap();
    for name in ["CANARY-ada", "CANARY-bob", "CANARY-eve", "CANARY-dan"] {
        world.sign_up(name, &[("email", "CANARY@example.org")]);
    }
    let second = |callback: Value| with(callback, "session_id", json!("vs_2"));
    // A session for a sign-up that was given up, because the name was taken, say.
    let now = Clock::now(&world.clock);
    let given_up = |name: &str, event: &str| {
        let user = UserReference { pool: PoolId::new(POOL).unwrap(), username: Username::new(name).unwrap() };
        let claim = Claim::of_verifier(&"v".repeat(43)).unwrap();
        let binding = Binding::issue(&ring().binding[0], &user, now, Some(&claim)).unwrap();
        with_metadata(other("expired", name, event, 10), "binding", json!(binding.as_str()))
    };
    let fay = [("email", "fay@CANARY.org"), ("email_verified", "true")];
    world.sign_up("CANARY-fay", &fay);
    let dan = with(approval("CANARY-dan", "evt_7", 10), "document_type", json!("canary"));
    let dan = with(dan, "framework", json!("CANARY"));
    for callback in [
        approval("CANARY-ada", "evt_1", 10),
        second(other("declined", "CANARY-ada", "evt_2", 20)),
        approval("CANARY-ada", "evt_1b", 5),
        other("declined", "CANARY-ada", "evt_3", 30),
        with(approval("CANARY-bob", "evt_4", 10), "ial", json!(1)),
        other("in_review", "CANARY-eve", "evt_5", 10),
        with(approval("CANARY-ada", "evt_6", 40), "blockid_sub", json!("did:CANARY")),
        with(approval("CANARY-ada", "evt_3", 30), "framework", json!("CANARY CANARY")),
        json!({ "event_id": "evt_22", "event_type": "webhook.test", "CANARY": 1 }),
        with(approval("CANARY-ada", "evt_23", 31), "event_type", json!("verification.redacted")),
        with(approval("CANARY-ada", "evt_24", 32), "event_type", json!("account.linked")),
        with(approval("CANARY-eve", "evt_25", 33), "aal", json!("CANARY")),
        dan.clone(),
        with_metadata(approval("CANARY-dan", "evt_8", 11), "cognito_user_pool", json!("us-east-1_Other")),
        with_metadata(approval("CANARY-dan", "evt_9", 12), "binding", json!("b1.1.CANARY")),
        approval("CANARY-nobody", "evt_10", 10),
        approval("CANARY@example.org", "evt_11", 10),
        approval("fay@CANARY.org", "evt_18", 10),
        given_up("CANARY-nobody", "evt_20"),
        given_up("CANARY-dan", "evt_21"),
        with_metadata(other("in_review", "x", "evt_12", 10), "cognito_user_pool", json!("synthetic-probe")),
        json!({ "event_id": "evt_13", "CANARY": true }),
    ] {
        world.post(&callback).await;
        world.policy.event_types = types.clone();
        world.settle().await;
        world.policy.event_types = EventTypes::default();
        world.clock_forward(1).await;
    }
    world.clock_forward(301).await;
    world.post(&dan).await;
    world.settle().await;
    world.policy.binding_required = true;
    world.post(&approval("CANARY-fay", "evt_19", 10)).await;
    world.settle().await;
    world.policy.binding_required = false;
    // Forged, and not even a callback.
    let mut forged = world.signed("evt_14", b"{}");
    forged.body = Some(b"{\"CANARY\":1}".to_vec());
    world.intake().answer(&forged, world.deadline(10)).await;
    let mut wrong = world.signed("evt_15", b"{}");
    "PUT".clone_into(&mut wrong.method);
    world.intake().answer(&wrong, world.deadline(10)).await;
    // Faults that pass, and one that does not.
    *world.keys.outage.lock().unwrap() =
        Some(idv_callback::ports::KeyStoreError::Transient(Fault::new("x", "y")));
    world.clock_forward(4000).await;
    world.post(&approval("CANARY-eve", "evt_16", 50)).await;
    *world.keys.outage.lock().unwrap() = None;
    world.post(&approval("CANARY-eve", "evt_17", 60)).await;
    for error in [
        DirectoryError::Transient(Fault::new("AdminGetUser", "TooManyRequestsException")),
        DirectoryError::Misconfigured(Fault::new("AdminGetUser", "AccessDeniedException")),
    ] {
        let consumer = world.consumer_over(
            crate::support::failing_pool::FailingPool::failing(&world, "find", error, false),
            world.queues.clone(),
        );
        world.settle_with(&consumer, &world.receive().await).await;
        world.clock_forward(1000).await;
    }
    for _ in 0..3 {
        world.settle().await;
        world.clock_forward(1000).await;
    }
    world
}

fn entries(lines: &[String]) -> Vec<Entry> {
    lines.iter().map(|line| Entry::read(line.as_bytes()).unwrap_or_else(|| panic!("{line}"))).collect()
}

#[tokio::test(start_paused = true)]
async fn every_record_has_the_published_form_and_decides_again_the_same() {
    let world = everything().await;
    let lines = world.audit.lines();
    let words: BTreeSet<_> = entries(&lines).into_iter().map(|entry| entry.code.word().to_owned()).collect();
    let functions =
        AuditCode::ALL.iter().map(|code| (code.code(), code.word())).filter(|(code, _)| *code < "IDV3");
    let all: BTreeSet<_> = functions.map(|(_, word)| word.to_owned()).collect();
    let missing: Vec<_> = all.difference(&words).collect();
    assert_eq!(missing, ["asserted", "stopped"], "what this does not go through");
    assert!(!lines.concat().contains("CANARY"), "{}", lines.iter().find(|l| l.contains("CANARY")).unwrap());

    crate::support::published_form::have_the_published_form(
        &lines.iter().map(String::as_str).collect::<Vec<_>>(),
    );

    let mut redecision = Redecision::default();
    for entry in &entries(&lines) {
        redecision.read(entry);
    }
    assert_eq!((redecision.differences.as_slice(), redecision.unreadable), (&[][..], 0));
    assert!(redecision.decided.values().sum::<u64>() >= 12, "{redecision:?}");
    // Another policy then, another outcome now: the facts are what is decided by.
    let stricter: Vec<_> =
        lines.iter().map(|line| line.replace("\"minimum_ial\":2", "\"minimum_ial\":3")).collect();
    let mut redecision = Redecision::default();
    for entry in &entries(&stricter) {
        redecision.read(entry);
    }
    let differs: BTreeSet<_> =
        redecision.differences.iter().map(|d| (d.then.as_str(), d.now.as_str())).collect();
    assert!(differs.contains(&("applied, confirms", "insufficient")), "{differs:?}");
}

#[tokio::test(start_paused = true)]
async fn every_accepted_callback_is_in_exactly_one_class() {
    let world = everything().await;
    let mut reconciliation = Reconciliation::default();
    let entries = entries(&world.audit.lines());
    for entry in &entries {
        reconciliation.read(entry);
    }
    let reconciled = reconciliation.finish(&[], false);
    assert!(reconciled.is_sound(), "{reconciled:?}");
    let accepted: BTreeSet<_> = entries
        .iter()
        .filter(|e| {
            e.code.word().starts_with("accepted") || ["ignored", "sender_test"].contains(&e.code.word())
        })
        .filter_map(|e| e.receipt_id.clone())
        .collect();
    assert_eq!(reconciled.accepted, accepted.len() as u64);
    assert_eq!(reconciled.classes.values().sum::<u64>(), reconciled.accepted);

    // Each record that is taken away shows, unless another says the same.
    for (index, taken) in entries.iter().enumerate() {
        let outcome = taken.code.code().starts_with("IDV20") || taken.code.word() == "quarantined";
        let again = entries
            .iter()
            .filter(|e| e.receipt_id == taken.receipt_id && e.code.code().starts_with("IDV2"))
            .count()
            > 1;
        if !outcome || again || taken.receipt_id.is_none() {
            continue;
        }
        let mut reconciliation = Reconciliation::default();
        let rest = entries.iter().enumerate().filter(|(n, _)| *n != index);
        for (_, entry) in rest {
            reconciliation.read(entry);
        }
        // A day later nothing is under way any more.
        let late = AuditRecord::new(AuditCode::Refused, at(3 * 86_400));
        let late = serde_json::to_vec(&late).unwrap();
        reconciliation.read(&Entry::read(&late).unwrap());
        let reconciled = reconciliation.finish(&[], false);
        assert_eq!(reconciled.lost, [taken.receipt_id.clone().unwrap()], "{taken:?}");
    }
}

/// A callback's two records, as little as they can be.
fn ended(receipt: u128, event: &str, code: &str, at: i64) -> Vec<Entry> {
    let record = |code: &str, event: &str, seconds: i64| {
        let json = json!({
            "schema": "idv-audit/1", "code": code, "event": event, "version": "0",
            "at": self::at(seconds).to_string(), "receipt_id": format!("rcpt_{receipt:032x}"),
        });
        Entry::read(json.to_string().as_bytes()).unwrap()
    };
    vec![record("IDV1001", "accepted", at), record(code, event, at + 1)]
}

#[test]
fn one_lost_among_many_is_found_and_so_is_what_came_from_nowhere() {
    let mut reconciliation = Reconciliation::default();
    for n in 0..100_000_u128 {
        let records = ended(n, "applied", "IDV2001", 0);
        reconciliation.read(&records[0]);
        if n != 77_777 {
            reconciliation.read(&records[1]);
        }
    }
    let under_way = ended(200_000, "applied", "IDV2001", 3 * 86_400);
    reconciliation.read(&under_way[0]);
    reconciliation.read(&ended(300_000, "applied", "IDV2001", 5)[1]);
    for entry in
        ended(400_000, "applied", "IDV2001", 5).iter().chain(&ended(400_000, "revoked", "IDV2004", 9))
    {
        reconciliation.read(entry);
    }
    for entry in ended(500_000, "quarantined", "IDV2101", 5) {
        reconciliation.read(&entry);
    }
    let reconciled = reconciliation.finish(&[], false);
    assert_eq!(reconciled.lost, [format!("rcpt_{:032x}", 77_777)]);
    assert_eq!(reconciled.never_accepted, [format!("rcpt_{:032x}", 300_000)]);
    assert_eq!(reconciled.contradictory, [format!("rcpt_{:032x}", 400_000)]);
    assert_eq!((reconciled.classes["in_flight"], reconciled.classes["quarantined"]), (1, 1));
    assert_eq!(reconciled.classes["applied"], 99_999, "all that were applied, and one that was taken back");
}

#[test]
fn one_proof_on_two_users_and_an_outcome_from_nowhere_are_told_from_what_came_before() {
    let of_user = |entry: &Entry, user: &str| Entry { user: Some(format!("u_{user}")), ..entry.clone() };
    let mut reconciliation = Reconciliation::default();
    let records = ended(1, "applied", "IDV2001", 0);
    for entry in [
        &records[0],
        &of_user(&records[1], "aaaaaaaa"),
        &of_user(&records[1], "aaaaaaaa"),
        &of_user(&records[1], "bbbbbbbb"),
    ] {
        reconciliation.read(entry);
    }
    // Accepted before this trail begins, and accepted within it by nobody of ours.
    let outcome = |receipt, seconds| Entry {
        seconds_since_received: Some(seconds),
        ..ended(receipt, "applied", "IDV2001", 50)[1].clone()
    };
    // What an operator did long ago does not make the trail begin earlier.
    let mut act = AuditRecord::new(AuditCode::Redriven, at(-86_400));
    act.receipt_id = Some(format!("rcpt_{:032x}", 9));
    reconciliation.read(&Entry::read(&serde_json::to_vec(&act).unwrap()).unwrap());
    reconciliation.read(&outcome(2, 3600.0));
    reconciliation.read(&outcome(3, 10.0));
    let reconciled = reconciliation.finish(&[], true);
    assert_eq!(reconciled.contradictory, [format!("rcpt_{:032x}", 1)]);
    assert_eq!(
        (reconciled.accepted_earlier, reconciled.never_accepted),
        (2, vec![format!("rcpt_{:032x}", 3)])
    );
}

/// A write that is followed by a refused confirmation is told with the refusal: nobody wrote around us.
#[tokio::test(start_paused = true)]
async fn a_change_is_told_whatever_comes_after_it() {
    let world = World::new();
    world.sign_up("ada", &[]);
    world.post(&approval("ada", "evt_1", 0)).await;
    let refused = DirectoryError::Refused(Fault::new("AdminConfirmSignUp", "UserLambdaValidationException"));
    let failing = crate::support::failing_pool::FailingPool::failing(&world, "confirm", refused, true);
    world.settle_with(&world.consumer_over(failing, world.queues.clone()), &world.receive().await).await;
    let record = world.audit.last();
    assert_eq!((&record["event"], &record["reason"]), (&json!("quarantined"), &json!("confirm_refused")));
    assert_eq!(record["calls"], json!([{ "call": "AdminUpdateUserAttributes" }]));
    let mut reconciliation = Reconciliation::default();
    for entry in &entries(&world.audit.lines()) {
        reconciliation.read(entry);
    }
    let link = |ial: &str| UserLink {
        user: "ada".to_owned(),
        receipt: world.attribute("ada", "idv_receipt"),
        ial: Some(ial.to_owned()),
        has_assurance: true,
    };
    assert!(reconciliation.finish(&[link("2")], false).is_sound());
}

#[test]
fn a_dead_letter_that_was_dropped_unseen_is_left_over() {
    let read = |events: &[(&str, &str, i64)]| {
        let mut reconciliation = Reconciliation::default();
        for (event, code, seconds) in events {
            for entry in &ended(1, event, code, *seconds) {
                reconciliation.read(entry);
            }
        }
        for entry in &ended(2, "applied", "IDV2001", 20 * 86_400) {
            reconciliation.read(entry);
        }
        reconciliation.finish(&[], false)
    };
    let (dead, again) = (("quarantined", "IDV2101", 0), ("quarantined", "IDV2101", 10 * 86_400));
    assert_eq!(read(&[dead]).dropped.len(), 1);
    assert!(read(&[dead, again]).is_sound(), "sent back, and dead again ten days ago");
    assert!(read(&[again, dead]).is_sound(), "in whatever order that comes");
    assert!(read(&[dead, ("redriven", "IDV3002", 10 * 86_400)]).is_sound(), "sent back ten days ago");
    assert_eq!(read(&[dead, ("discarded", "IDV3102", 9)]).classes["discarded"], 1);
    assert_eq!(read(&[dead, ("applied", "IDV2001", 9)]).classes["applied"], 2);
    assert_eq!(read(&[("applied", "IDV2001", 0), ("duplicate", "IDV2007", 9)]).classes["applied"], 2);
}

/// Users and calls that no record explains: somebody wrote around us.
#[tokio::test(start_paused = true)]
async fn who_wrote_around_us_is_found() {
    let world = World::new();
    world.sign_up("ada", &[]);
    world.sign_up("eve", &[]);
    world.sign_up("bob", &[]);
    world.post(&approval("ada", "evt_1", 0)).await;
    world.settle().await;
    let genuine = world.user("ada").attributes["custom:idv_receipt"].clone();
    let forged = format!("1 2026-11-22T09:00:00.000Z evt_9 {}", "0".repeat(64));
    world
        .pool
        .admin_update_user_attributes("eve", &[("custom:ial", "2"), ("custom:idv_receipt", &forged)])
        .unwrap();
    world.pool.admin_update_user_attributes("bob", &[("custom:ial", "3")]).unwrap();
    world.sign_up("dan", &[]);
    world.post(&approval("dan", "evt_2", 0)).await;
    world.settle().await;
    world.pool.admin_update_user_attributes("dan", &[("custom:ial", "3")]).unwrap();
    assert_ne!(genuine, forged);
    let folder = tempfile::tempdir().unwrap();
    let users: Vec<_> = world
        .pool
        .users()
        .iter()
        .map(|user| {
            let attributes = user.attributes.iter().map(|(name, value)| json!({ "Name": name, "Value": value }));
            json!({ "Username": user.username, "Attributes": attributes.collect::<Vec<_>>(), "UserStatus": user.status })
        })
        .collect();
    std::fs::write(folder.path().join("users.json"), json!({ "Users": users }).to_string()).unwrap();
    // As from AWS, where each call has an id.
    let log: String = world
        .audit
        .lines()
        .iter()
        .map(|line| {
            line.replace(
                r#"{"call":"AdminUpdateUserAttributes"}"#,
                r#"{"call":"AdminUpdateUserAttributes","request_id":"ours"}"#,
            ) + "\n"
        })
        .collect();
    std::fs::write(folder.path().join("log.jsonl"), &log).unwrap();
    let call = |name: &str, id: &str, error: Option<&str>| json!({ "eventName": name, "eventTime": "2026-11-22T09:00:00Z", "requestID": id, "errorCode": error, "userIdentity": {} });
    let trail = json!({ "Records": [
        call("AdminUpdateUserAttributes", "ours", None),
        call("AdminUpdateUserAttributes", "theirs", None),
        call("AdminConfirmSignUp", "refused", Some("NotAuthorizedException")),
        call("AdminGetUser", "look", None),
        with(call("AdminUpdateUserAttributes", "elsewhere", None), "requestParameters", json!({ "userPoolId": "us-east-1_Other" })),
        with(call("AdminUpdateUserAttributes", "ours", None), "requestParameters", json!({ "userPoolId": POOL })),
    ] });
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, trail.to_string().as_bytes()).unwrap();
    std::fs::write(folder.path().join("trail.json.gz"), packed.finish().unwrap()).unwrap();
    let reconcile = [
        "--json",
        "audit",
        "reconcile",
        "log.jsonl",
        "--users",
        "users.json",
        "--cloudtrail",
        "trail.json.gz",
        "--user-pool",
        POOL,
    ];
    let output = idvctl(folder.path(), &reconcile);
    let found = json_of(&output);
    let sub = |name: &str| format!("sub {}", world.user(name).attributes["sub"]);
    let mut expected = vec![sub("eve"), sub("bob"), sub("dan")];
    expected.sort();
    assert_eq!(found["users_without_record"], json!(expected));
    assert_eq!(
        found["calls_without_record"],
        json!(["AdminUpdateUserAttributes theirs 2026-11-22T09:00:00Z"])
    );
    assert_eq!((output.status.code(), &found["residue"]), (Some(1), &json!(4)));
}

/// A life, in words; and when the user is gone, nobody finds it by the name, while the chain holds.
#[test]
fn a_life_is_told_and_after_the_user_is_deleted_not_found_any_more() {
    let operator = Operator::listening(&["--audit-log", "audit.jsonl"]);
    operator.dev.sign_up("CANARY-ada");
    operator.dev.sign_up("CANARY-bob");
    operator.post(&crate::operator::local("CANARY-ada", "evt_1", 0));
    operator.dev.confirmed("CANARY-ada");
    operator.post(&crate::operator::local("CANARY-bob", "evt_2", 0));
    operator.dev.confirmed("CANARY-bob");
    let subject = with(crate::operator::local("CANARY-ada", "evt_3", 10), "blockid_sub", json!("did:other"));
    operator.post(&subject);
    operator.dead(1);
    let id = operator.json(&["list"]).1["letters"][0]["message_id"].as_str().unwrap().to_owned();
    let key = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
    let gone = operator.idvctl(&[
        "dlq",
        "discard",
        "--id",
        &id,
        "--because",
        "T-1",
        "--to",
        "x.age",
        "--recipient",
        key,
    ]);
    assert_eq!(gone.status.code(), Some(1), "evidence takes a second operator: {gone:?}");
    assert!(operator.idvctl_as("bea", &["dlq", "approve", "discard.json", "--yes"]).status.success());
    let gone = operator.idvctl(&["dlq", "discard", "--approved", "discard.json"]);
    assert!(gone.status.success(), "{gone:?}");

    let files = ["audit.jsonl", "idv-operator-audit.jsonl"];
    let trace = |what: &[&str]| operator.idvctl(&[&["audit", "trace"], &files[..], what].concat());
    let told = trace(&["--user", "CANARY-ada"]);
    let text = String::from_utf8(told.stdout).unwrap();
    let said: Vec<&str> =
        text.lines().filter(|line| line.starts_with(' ')).map(|line| line.split_at(27).1).collect();
    assert_eq!(said.len(), 5, "{text}");
    assert_eq!(said[0], "IDV1001 accepted: signed by key wh-1, stored on the queue");
    assert!(said[1].starts_with("IDV2001 the approval was written onto user u_"), "{text}");
    assert!(said[1].ends_with(
        ": IAL2, evidence drivers_license, liveness yes, match yes, framework nist_800_63A-3; level 0 to 2; confirmed"
    ));
    assert_eq!(said[3], "IDV2101 no rule settles it, so it is a dead letter: subject_conflict");
    assert!(said[4].starts_with("IDV3102 kept in an archive and deleted by arn:"), "{text}");
    assert!(!text.contains("CANARY") && !text.contains("evt_2"));
    let by = |what: &[&str]| {
        json_of(&operator.idvctl(&[&["--json", "audit", "trace"], &files[..], what].concat()))["records"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(by(&["--event", "evt_1"]), 2);
    assert_eq!(by(&["--receipt", "rcpt_"]), 7);
    assert_eq!(by(&["--session", "vs_1"]), 7);

    operator.dev.local("DELETE", "/_local/users/CANARY-ada", "");
    let gone = trace(&["--user", "CANARY-ada"]);
    assert!(String::from_utf8_lossy(&gone.stderr).contains("no user of that name any more"), "{gone:?}");
    assert!(trace(&["--user", "CANARY-bob"]).status.success());
    // The same name again is another user.
    operator.dev.sign_up("CANARY-ada");
    assert_eq!(trace(&["--user", "CANARY-ada"]).status.code(), Some(1));
    let checked = idvctl(operator.folder(), &[&["audit", "verify"], &files[..]].concat());
    assert!(String::from_utf8_lossy(&checked.stdout).contains("whole and unaltered"), "{checked:?}");
}

/// What was planned names no receipt, and belongs to the life of each letter that was sent.
#[test]
fn a_plan_belongs_to_the_lives_of_its_letters() {
    let record = |code: AuditCode, receipt: Option<&str>, plan: &str| {
        let mut record = AuditRecord::new(code, at(0)).because("T-1");
        record.receipt_id = receipt.map(str::to_owned);
        record.plan_sha256 = Some(plan.to_owned());
        Entry::read(&serde_json::to_vec(&record).unwrap()).unwrap()
    };
    let records = [
        record(AuditCode::Planned, None, "one"),
        record(AuditCode::Redriven, Some("rcpt_a"), "one"),
        record(AuditCode::Redriven, Some("rcpt_b"), "one"),
        record(AuditCode::RedriveEnded, None, "one"),
        record(AuditCode::Planned, None, "two"),
        record(AuditCode::Redriven, Some("rcpt_b"), "two"),
    ];
    let mut tracing = Tracing::default();
    tracing.receipt = Some("rcpt_a".to_owned());
    for entry in &records {
        tracing.first(entry);
    }
    let mut thread = Thread::default();
    for entry in &records {
        tracing.second(entry.clone(), &mut thread);
    }
    let said: Vec<_> = thread.in_order().iter().map(|entry| entry.code.word().to_owned()).collect();
    assert_eq!(said, ["planned", "redrive_ended", "redriven"]);
}

/// OCSF 1.1.0, class 6003: what the schema's files call required, the least that its objects must have, and its enumerations.
#[tokio::test(start_paused = true)]
async fn an_exported_record_is_an_ocsf_event() {
    let world = everything().await;
    let folder = tempfile::tempdir().unwrap();
    let lines = world.audit.lines();
    std::fs::write(folder.path().join("log.jsonl"), lines.join("\n")).unwrap();
    let exported = idvctl(folder.path(), &["audit", "export", "log.jsonl", "--format", "ocsf"]);
    let text = String::from_utf8(exported.stdout).unwrap();
    assert_eq!(text.lines().count(), lines.len());
    assert!(!text.contains("CANARY"));
    for line in text.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        for name in ["activity_id", "category_uid", "class_uid", "severity_id", "time", "type_uid"] {
            assert!(event[name].is_u64(), "{name} {line}");
        }
        assert_eq!((&event["class_uid"], &event["category_uid"]), (&json!(6003), &json!(6)));
        assert_eq!(event["type_uid"].as_u64().unwrap(), 600_300 + event["activity_id"].as_u64().unwrap());
        let captions =
            BTreeMap::from([(1, "Create"), (2, "Read"), (3, "Update"), (4, "Delete"), (99, "Other")]);
        assert_eq!(event["activity_name"], captions[&event["activity_id"].as_u64().unwrap()]);
        let captions = BTreeMap::from([(1, "Informational"), (2, "Low"), (3, "Medium")]);
        assert_eq!(event["severity"], captions[&event["severity_id"].as_u64().unwrap()]);
        assert_eq!(event["status"], if event["status_id"] == 1 { "Success" } else { "Failure" });
        assert_eq!(event["metadata"]["version"], "1.1.0");
        assert!(
            event["metadata"]["product"]["vendor_name"].is_string() && event["api"]["operation"].is_string()
        );
        assert!(event["actor"]["user"]["uid"].is_string() || event["actor"]["invoked_by"].is_string());
        assert!(event["src_endpoint"]["svc_name"].is_string());
        let known = [
            "activity_id",
            "activity_name",
            "actor",
            "api",
            "category_name",
            "category_uid",
            "class_name",
            "class_uid",
            "message",
            "metadata",
            "resources",
            "severity",
            "severity_id",
            "src_endpoint",
            "status",
            "status_code",
            "status_detail",
            "status_id",
            "time",
            "type_name",
            "type_uid",
            "unmapped",
        ];
        assert!(event.as_object().unwrap().keys().all(|name| known.contains(&name.as_str())), "{line}");
    }
}

/// The page in a browser: on a operator and on a phone, by day and by night.
#[tokio::test(start_paused = true)]
async fn the_page_can_be_read_on_a_desk_and_on_a_phone_by_day_and_by_night() {
    let world = everything().await;
    let folder = tempfile::tempdir().unwrap();
    let mut lines = world.audit.lines();
    // Something is wrong with it, so that every part of the page is there.
    let lost = lines.iter().position(|line| line.contains("\"applied\"")).unwrap();
    lines.remove(lost);
    std::fs::write(folder.path().join("log.jsonl"), lines.join("\n")).unwrap();
    let act = AuditRecord::new(AuditCode::Discarded, at(5)).because("<script>alert('CANARY')</script>");
    let late = AuditRecord::new(AuditCode::Refused, at(9 * 86_400)).because("bad_mac");
    let operator = [act, late].map(|record| serde_json::to_string(&record).unwrap() + "\n").concat();
    std::fs::write(folder.path().join("operator.jsonl"), operator).unwrap();
    let made =
        idvctl(folder.path(), &["audit", "report", "log.jsonl", "operator.jsonl", "--html", "page.html"]);
    assert_eq!(made.status.code(), Some(1), "{made:?}");
    let page = std::fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert!(
        !page.contains("<script")
            && !page.contains("http:")
            && !page.contains("https:")
            && !page.contains("url(")
    );
    assert!(!page.contains("CANARY-") && !page.contains("did:"));
    for word in ["✗ Not sound.", "gap", "accepted, but without an outcome: 1", "&lt;script&gt;", "unlinked"]
    {
        assert!(page.contains(word), "{word}");
    }

    let frame = r#"<!doctype html><body style="margin:0"><iframe src="page.html" style="border:0"></iframe><script>
      const frame = document.querySelector('iframe'), out = [];
      const light = c => { const n = c.match(/[0-9.]+/g).map(Number).slice(0, 3)
        .map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
        return .2126 * n[0] + .7152 * n[1] + .0722 * n[2]; };
      frame.onload = () => { const page = frame.contentDocument, root = page.documentElement, paper = light(getComputedStyle(page.body).backgroundColor);
        for (const width of [1280, 390, 320]) { frame.style.width = width + 'px'; frame.style.height = '900px';
          out.push([root.clientWidth, root.scrollWidth, Math.min(...[...page.querySelectorAll('h1,h2,p,td,th,caption,figcaption,.verdict')].map(e => {
            const ink = light(getComputedStyle(e).color); return (Math.max(ink, paper) + .05) / (Math.min(ink, paper) + .05); })).toFixed(1)]); }
        const sizes = [...page.querySelectorAll('svg rect')].filter(r => r.getBoundingClientRect().height > 0).length;
        document.title = JSON.stringify({ out, sizes, tables: page.querySelectorAll('table').length,
          named: [...page.querySelectorAll('svg[role=img]')].every(s => s.querySelector('title')), paper: paper.toFixed(2) }); };
      </script>"#;
    std::fs::write(folder.path().join("frame.html"), frame).unwrap();
    for (scheme, by_day) in [("1", true), ("0", false)] {
        let seen = Command::new(setup::chromium())
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--allow-file-access-from-files",
                "--dump-dom",
            ])
            .args(["--virtual-time-budget=5000", &format!("--blink-settings=preferredColorScheme={scheme}")])
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .arg(format!("file://{}", folder.path().join("frame.html").display()))
            .output()
            .unwrap();
        let dom = String::from_utf8_lossy(&seen.stdout).into_owned();
        let title =
            dom.split("<title>").nth(1).and_then(|rest| rest.split("</title>").next()).unwrap_or_default();
        let seen: Value = serde_json::from_str(&title.replace("&quot;", "\""))
            .unwrap_or_else(|error| panic!("{error}: {dom}{seen:?}"));
        for width in seen["out"].as_array().unwrap() {
            assert_eq!(width[0], width[1], "nothing sticks out at the side: {seen}");
            assert!(
                width[2].as_str().unwrap().parse::<f64>().unwrap() >= 4.5,
                "contrast (WCAG 2.2, 1.4.3): {seen}"
            );
        }
        assert!(
            seen["sizes"].as_u64().unwrap() > 10
                && seen["tables"].as_u64().unwrap() > 5
                && seen["named"] == true,
            "{seen}"
        );
        assert_eq!(seen["paper"].as_str().unwrap().parse::<f64>().unwrap() > 0.5, by_day, "{seen}");
    }
}

/// The archive in S3 and a log group, by the official SDK, from an emulator of them.
#[tokio::test]
async fn records_are_read_from_the_archive_and_from_a_log_group() {
    let emulator = crate::support::emulator::Emulator::start().await;
    let lines = written("callback/a/1-1", 9);
    let packed = |lines: &[String]| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(
            &mut packed,
            lines.iter().map(|l| format!("{l}\n")).collect::<String>().as_bytes(),
        )
        .unwrap();
        packed.finish().unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("one.gz"), packed(&lines[..5])).unwrap();
    std::fs::write(folder.path().join("two.gz"), packed(&lines[5..])).unwrap();
    std::fs::write(folder.path().join("log.json"), json!(written("consumer/b/1-2", 4)).to_string()).unwrap();
    let script = "import botocore.session,json,time\n\
        s=botocore.session.get_session(); s3=s.create_client('s3'); s3.create_bucket(Bucket='audit')\n\
        [s3.put_object(Bucket='audit',Key=k,Body=open(f,'rb').read()) for k,f in [('records/2026/11/22/10/b.gz','two.gz'),('records/2026/11/22/09/a.gz','one.gz'),('errors/x','log.json')]]\n\
        l=s.create_client('logs'); l.create_log_group(logGroupName='/aws/lambda/x'); l.create_log_stream(logGroupName='/aws/lambda/x',logStreamName='b')\n\
        t=int(time.time()*1000)\n\
        l.put_log_events(logGroupName='/aws/lambda/x',logStreamName='b',logEvents=[{'timestamp':t+i,'message':m} for i,m in enumerate(json.load(open('log.json')))])";
    let put = emulator.python(&["-c", script]).current_dir(folder.path()).output().await.unwrap();
    assert!(put.status.success(), "{put:?}");
    let program = env!("CARGO_BIN_EXE_idvctl");
    let verify = Command::new(program)
        .args(["--json", "audit", "verify", "s3://audit/records/", "logs:/aws/lambda/x"])
        .envs(emulator.variables())
        .output()
        .unwrap();
    let found = json_of(&verify);
    assert_eq!(
        (&found["records"], &found["writers"], &found["sound"]),
        (&json!(15), &json!(2), &json!(true)),
        "{found}"
    );
    let none = Command::new(program)
        .args(["audit", "verify", "s3://no-such-bucket/records/"])
        .envs(emulator.variables())
        .output()
        .unwrap();
    assert_eq!(none.status.code(), Some(3), "{none:?}");
    assert!(String::from_utf8_lossy(&none.stderr).contains("ListObjectsV2: NoSuchBucket"), "{none:?}");
}

/// A key that never leaves KMS: what is asked of it, and that what it signs is read by everybody.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_kms_seals() {
    use base64::Engine as _;
    use ring::signature::KeyPair as _;
    let base64 = base64::engine::general_purpose::STANDARD;
    let key = Arc::new(ring::signature::Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap());
    let der = [
        &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00],
        key.public_key().as_ref(),
    ]
    .concat();
    let signer = Arc::clone(&key);
    let aws = crate::support::aws_endpoint::AwsEndpoint::answering(move |asked| {
        Some(match asked.target.as_str() {
            "TrentService.GetPublicKey" => {
                (200, json!({ "PublicKey": base64.encode(&der), "KeySpec": "ECC_NIST_EDWARDS25519" }))
            }
            "TrentService.Sign" => {
                assert_eq!(asked.body["SigningAlgorithm"], "ED25519_SHA_512");
                assert_eq!(asked.body["MessageType"], "RAW");
                let message = base64.decode(asked.body["Message"].as_str().unwrap()).unwrap();
                (200, json!({ "Signature": base64.encode(signer.sign(&message)) }))
            }
            _ => return None,
        })
    })
    .await;
    let trail = Trail {
        folder: tempfile::tempdir().unwrap(),
        key: String::new(),
        lines: written("callback/a/1-1", 5),
    };
    trail.write(&trail.lines);
    let seal = [
        "--json",
        "audit",
        "seal",
        "records",
        "--to",
        "sealed",
        "--kms-key",
        "alias/audit",
        "--name",
        "example.org/kms",
    ];
    let url = aws.url.clone();
    let sealed = tokio::task::spawn_blocking(move || {
        let output = Command::new(env!("CARGO_BIN_EXE_idvctl"))
            .args(seal)
            .envs(crate::support::function::settings(&url, &[("AWS_REGION", "us-east-1")]))
            .current_dir(trail.folder.path())
            .output()
            .unwrap();
        (trail, output)
    });
    let (trail, output) = sealed.await.unwrap();
    let key = json_of(&output)["key"].as_str().unwrap().to_owned();
    let trail = Trail { key, ..trail };
    assert_eq!(trail.findings(), set(&[]));
}

/// What a function prints is one chain, whatever else is between, and the heartbeat is in it.
#[tokio::test]
async fn what_a_function_prints_is_an_unbroken_chain() {
    let aws = crate::support::aws_endpoint::AwsEndpoint::answering(crate::support::function::aws(&[])).await;
    let settings =
        crate::support::function::settings(&aws.url, &[("AWS_LAMBDA_LOG_STREAM_NAME", "2026/11/22/[7]abc")]);
    let heartbeat = json!({ "source": "aws.events", "detail-type": "Scheduled Event", "detail": {} });
    let mut output = String::new();
    for program in
        [crate::support::function::program("callback"), crate::support::function::program("consumer")]
    {
        let function = crate::support::function::Function::start(program.to_str().unwrap(), &settings).await;
        assert_eq!(function.invoke(heartbeat.clone()).await, Ok(Value::Null));
        // Something that is none, and something more.
        let strange =
            json!({ "source": "aws.events", "body": "x", "path": "/idv-callback", "httpMethod": "POST" });
        let _answered = function.invoke(strange).await;
        assert_eq!(function.invoke(heartbeat.clone()).await, Ok(Value::Null));
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        output += &function.output();
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("log"), &output).unwrap();
    let verified = json_of(&idvctl(folder.path(), &["--json", "audit", "verify", "log"]));
    assert_eq!((&verified["sound"], &verified["writers"]), (&json!(true), &json!(2)), "{verified} {output}");
    assert_eq!(output.matches("\"IDV0002\"").count(), 4, "{output}");
    assert!(output.contains("\"writer\":\"consumer/2026/11/22/[7]abc/"), "{output}");
}

/// A log group comes in pages: all of them are read, and each is asked for once.
#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_a_log_group_is_read() {
    let lines = written("callback/a/1-1", 5);
    let aws = crate::support::aws_endpoint::AwsEndpoint::answering(move |asked| {
        let page: usize = asked.body["nextToken"].as_str().map_or(0, |token| token.parse().unwrap());
        let event = |line: &String| json!({ "logStreamName": "s", "message": line });
        let events: Vec<_> = lines.iter().skip(page * 2).take(2).map(event).collect();
        let next = (page < 2).then(|| (page + 1).to_string());
        Some((200, json!({ "events": events, "nextToken": next })))
    })
    .await;
    let url = aws.url.clone();
    let verify = tokio::task::spawn_blocking(move || {
        Command::new(env!("CARGO_BIN_EXE_idvctl"))
            .args(["--json", "audit", "verify", "logs:/aws/lambda/x"])
            .envs(crate::support::function::settings(&url, &[("AWS_REGION", "us-east-1")]))
            .output()
            .unwrap()
    });
    let found = json_of(&verify.await.unwrap());
    assert_eq!((&found["records"], &found["sound"]), (&json!(6), &json!(true)), "{found}");
    assert_eq!(aws.asked().len(), 3);
}

/// What was fetched from the provider at a sign-up, or asserted in a federated sign-in, must end as a callback must.
#[tokio::test(start_paused = true)]
async fn what_did_not_come_as_a_callback_is_accounted_for_as_one() {
    let world = World::new();
    world.sign_up("ada", &[]);
    world.post(&approval("ada", "evt_1", 10)).await;
    let before = world.audit.lines().len();
    world.settle().await;
    let asserted = |line: &String| {
        line.replace(r#""code":"IDV1001","event":"accepted""#, r#""code":"IDV1003","event":"asserted""#)
    };
    let lines: Vec<_> = world.audit.lines().iter().map(asserted).collect();
    assert!(lines.concat().contains("IDV1003"));
    let reconciled = |lines: &[String]| {
        let mut reconciliation = Reconciliation::default();
        for entry in &entries(lines) {
            reconciliation.read(entry);
        }
        reconciliation.finish(&[], false)
    };
    let whole = reconciled(&lines);
    assert!(whole.is_sound() && whole.accepted == 1 && whole.residue() == 0, "{whole:?}");
    // Without its outcome it is known, and on its way.
    let begun = reconciled(&lines[..before]);
    assert!(begun.accepted == 1 && begun.classes != whole.classes, "{begun:?}");
}
