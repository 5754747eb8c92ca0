//! A million records: how long an auditor waits, and how much memory it takes, beside `sha256sum` over the same file.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::process::{Command, Stdio};
use std::time::Instant;

use idv_callback::assurance::Settled;
use idv_callback::audit::{AuditCode, AuditRecord, Chain};
use idv_callback::timestamp::Timestamp;

use crate::dead_letters::{idvctl, measured};

/// How many callbacks; each has two records.
const CALLBACKS: u64 = 500_000;

/// The one without an outcome.
const LOST: u64 = 333_333;

pub(crate) fn audit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trail.jsonl");
    write(&path);
    let size = std::fs::metadata(&path).unwrap().len();
    let started = Instant::now();
    let sum = Command::new("sha256sum").arg(&path).stdout(Stdio::null()).status();
    let floor = started.elapsed().as_secs_f64();
    println!("\naudit: {} records of 8 writers, {} MB", 2 * CALLBACKS + 7, size / 1_000_000);
    println!("{:22} {:>9} {:>14} {:>12} {:>14}", "", "time", "records/s", "peak memory", "x sha256sum");
    if sum.is_ok_and(|status| status.success()) {
        println!("{:22} {floor:>7.1} s", "sha256sum");
    }
    for arguments in [
        vec!["audit", "verify", "trail.jsonl"],
        vec!["audit", "reconcile", "trail.jsonl"],
        vec!["audit", "redecide", "trail.jsonl"],
        vec!["audit", "report", "trail.jsonl", "--html", "page.html"],
    ] {
        let (time, peak) = measured(folder.path(), &arguments);
        let seconds = time.as_secs_f64();
        let rate = 2.0 * CALLBACKS as f64 / seconds;
        let memory = peak as f64 / 1024.0;
        println!(
            "{:22} {seconds:>7.1} s {rate:>14.0} {memory:>9.1} MB {:>14.1}",
            arguments[..2].join(" "),
            seconds / floor
        );
    }
    let found = Command::new(idvctl()).args(["audit", "reconcile"]).arg(&path).output().unwrap();
    let found = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(found.contains(&format!("! accepted, but without an outcome: rcpt_{LOST:032x}")), "{found}");
    println!("the one lost outcome was found: rcpt_{LOST:032x}");
}

fn write(path: &std::path::Path) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let chains: Vec<_> = (0..8).map(|n| Chain::new(format!("bench/{n}/1-{n}"))).collect();
    let at = |n: u64| Timestamp::from_unix_seconds(1_795_341_600).plus(std::time::Duration::from_secs(n));
    let mut append = |chain: &Chain, record: &AuditRecord| {
        let write = |_: &AuditRecord, line: &[u8]| file.write_all(line).and_then(|()| file.write_all(b"\n"));
        chain.append(record, write).unwrap();
    };
    for chain in &chains {
        append(chain, &AuditRecord::new(AuditCode::Started, at(0)));
    }
    for n in 0..CALLBACKS {
        let codes = [AuditCode::Accepted, AuditCode::Settled(Settled::Applied)];
        for (which, code) in codes.into_iter().enumerate().filter(|(which, _)| *which == 0 || n != LOST) {
            let mut record = AuditRecord::new(code, at(n)).detail("x".repeat(400));
            record.receipt_id = Some(format!("rcpt_{n:032x}"));
            append(&chains[usize::try_from(n % 4).unwrap() + 4 * which], &record);
        }
    }
}
