//! `audit verify|reconcile|redecide|report`: what is the trail worth?

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use serde::Deserialize;
use serde_json::{Value, json};

use super::source::{Reader, files, is_json, unpacked};
use crate::assurance::{ASSURANCE_ATTRIBUTES, names};
use crate::audit::CODE_VERSION;
use crate::cli::args::{
    AuditBeside, AuditReconcileOptions, AuditReportOptions, AuditSeals, AuditSources, AuditVerifyOptions,
};
use crate::cli::output::{Failure, Output, outcome};
use crate::cli::private_file;
use crate::clock::SystemClock;
use crate::config::Environment;
use crate::ports::Clock as _;
use crate::trail::{
    Checked, Entry, Finding, Kind, Leaf, Reconciled, Reconciliation, Redecision, Report, SealedLog,
    Statistics, UserLink, Verifier, VerifyingKey,
};

/// The calls that change a user's attributes or status.
const CHANGES: [&str; 3] = ["AdminUpdateUserAttributes", "AdminConfirmSignUp", "AdminDeleteUserAttributes"];

/// What is sealed, checked.
struct Seals {
    leaves: Vec<Leaf>,
    given: usize,
    signed: bool,
    findings: Vec<Finding>,
}

pub(super) fn read_sealed(folder: &Path) -> Result<SealedLog, Failure> {
    let complaint =
        |path: &Path, error: std::io::Error| Failure::usage(format!("{}: {error}", path.display()));
    let leaves = folder.join("leaves.jsonl");
    let text = match std::fs::read_to_string(&leaves) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        text => text.map_err(|error| complaint(&leaves, error))?,
    };
    let (mut checkpoints, notes) = (Vec::new(), folder.join("checkpoints"));
    if notes.exists() {
        for path in files(&notes)? {
            let note = std::fs::read_to_string(&path).map_err(|error| complaint(&path, error))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            checkpoints.push((name, note));
        }
    }
    Ok(SealedLog { leaves: text, checkpoints })
}

/// A public key: its text, or a file with it.
pub(super) fn verifying_key(text: &str) -> Result<VerifyingKey, Failure> {
    let content = if text.matches('+').count() >= 2 {
        text.to_owned()
    } else {
        std::fs::read_to_string(text).map_err(|error| Failure::usage(format!("--key {text}: {error}")))?
    };
    VerifyingKey::parse(&content).map_err(|error| Failure::usage(format!("--key: {error}")))
}

fn seals(options: &AuditSeals) -> Result<Option<Seals>, Failure> {
    let Some(folder) = &options.sealed else { return Ok(None) };
    let key = options.key.as_deref().map(verifying_key).transpose()?;
    let log = read_sealed(folder)?;
    let (leaves, mut findings) = log.check(key.as_ref());
    if log.checkpoints.is_empty() {
        let (writer, place) = ("checkpoints".to_owned(), folder.display().to_string());
        let text = "there is no checkpoint".to_owned();
        findings.push(Finding { kind: Kind::BadCheckpoint, writer, from: 0, to: 0, place, text });
    }
    Ok(Some(Seals { leaves, given: log.sealed_by(options.after), signed: key.is_some(), findings }))
}

/// Reads all records once: into the verifier, and each one that this code can read into `each`.
async fn check(
    reader: &Reader<'_>,
    seals: Option<&Seals>,
    mut each: impl FnMut(&Entry),
    wants_entries: bool,
) -> Result<(Checked, u64), Failure> {
    let given = seals.and_then(|seals| seals.leaves.get(..seals.given)).unwrap_or_default();
    let mut verifier = Verifier::default().after(given).at_least_once(reader.sources.at_least_once);
    let mut unreadable = 0;
    let mut read = |place: crate::trail::Place<'_>, record: &[u8]| {
        verifier.read(place, record);
        match wants_entries.then(|| Entry::read(record)) {
            Some(Some(entry)) => each(&entry),
            // What was cut short by a kill is no record.
            Some(None) if is_json(record) => unreadable += 1,
            Some(None) | None => {}
        }
    };
    reader.records(&mut read).await?;
    let mut checked = verifier.finish(seals.map(|seals| seals.leaves.as_slice()).unwrap_or_default());
    checked.findings.extend(seals.map(|seals| seals.findings.clone()).unwrap_or_default());
    Ok((checked, unreadable))
}

/// What cannot be read is not passed over: it could be what is looked for.
fn readable(records: u64, unreadable: u64, output: Output) -> bool {
    if unreadable > 0 {
        output
            .note(format!("{unreadable} records cannot be read by this version of idvctl ({CODE_VERSION})"));
    }
    if records == 0 {
        output.note("there are no records in it");
    }
    unreadable == 0 && records > 0
}

pub(super) async fn verify(
    options: &AuditVerifyOptions,
    environment: &Environment,
    output: Output,
) -> Result<ExitCode, Failure> {
    let reader = Reader { sources: &options.sources, environment, output };
    let seals = seals(&options.seals)?;
    let (mut checked, _) = check(&reader, seals.as_ref(), |_| {}, false).await?;
    if let Some(most) = options.most_silence {
        checked.findings.extend(too_silent(&checked, most));
    }
    for finding in &checked.findings {
        output.line(finding.to_string())?;
    }
    for (process, (seconds, since)) in &checked.silences {
        output.note(format!("{process}: the longest silence was {} min, from {since}", seconds / 60));
    }
    if checked.tolerated > 0 {
        output.note(format!("{} records are copies, or out of their order", checked.tolerated));
    }
    if checked.cut_short > 0 {
        output.note(format!("{} lines were cut short, and are no records", checked.cut_short));
    }
    if seals.is_none() {
        output.note("nothing is sealed: records cut off at the end of a chain would not show (--sealed)");
    } else if options.seals.key.is_none() {
        output.note("the signatures were not looked at (--key)");
    }
    let sound = checked.findings.is_empty() && checked.records > 0;
    let verdict = match (sound, checked.records) {
        (true, _) => "whole and unaltered",
        (false, 0) => "there is nothing in it",
        (false, _) => "NOT SOUND",
    };
    output.line(format!(
        "{} records of {} writers, {} sealed stretches: {verdict}",
        checked.records,
        checked.writers,
        seals.as_ref().map_or(0, |seals| seals.leaves.len())
    ))?;
    let mut value = serde_json::to_value(&checked).unwrap_or_default();
    if let Value::Object(members) = &mut value {
        members.insert("sound".to_owned(), json!(sound));
    }
    output.value(&value)?;
    Ok(outcome(sound))
}

fn too_silent(checked: &Checked, minutes: u64) -> Vec<Finding> {
    let long = checked.silences.iter().filter(|(_, (seconds, _))| *seconds > minutes * 60);
    let finding = |(process, (seconds, since)): (&String, &(u64, String))| Finding {
        kind: Kind::Silence,
        writer: process.clone(),
        from: 0,
        to: 0,
        place: since.clone(),
        text: format!("nothing was said for {} min", seconds / 60),
    };
    long.map(finding).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Users {
    users: Vec<ListedUser>,
}

/// A user as `ListUsers` gives them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListedUser {
    pub(super) username: String,
    attributes: Vec<ListedAttribute>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedAttribute {
    name: String,
    #[serde(default)]
    value: String,
}

impl ListedUser {
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|attribute| attribute.name == name);
        found.map(|attribute| attribute.value.as_str()).filter(|value| !value.is_empty())
    }
}

pub(super) fn listed_users(path: &Path) -> Result<Vec<ListedUser>, Failure> {
    let complaint = |error: String| Failure::usage(format!("--users {}: {error}", path.display()));
    let json = std::fs::read(path).map_err(|error| complaint(error.to_string()))?;
    let users: Users = serde_json::from_slice(&json).map_err(|error| {
        complaint(format!("it is no output of `aws cognito-idp list-users` (line {})", error.line()))
    })?;
    Ok(users.users)
}

/// Users are told by their `sub`: it finds them in Cognito, and is no name.
fn user_links(path: Option<&Path>) -> Result<Vec<UserLink>, Failure> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let link = |user: &ListedUser| UserLink {
        user: format!("sub {}", user.attribute("sub").unwrap_or("unknown")),
        receipt: user.attribute(names::IDV_RECEIPT).map(str::to_owned),
        ial: user.attribute(names::IAL).map(str::to_owned),
        has_assurance: ASSURANCE_ATTRIBUTES.iter().any(|name| user.attribute(name).is_some()),
    };
    Ok(listed_users(path)?.iter().map(link).collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CloudTrailFile {
    records: Vec<CloudTrailRecord>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CloudTrailRecord {
    event_name: String,
    event_time: String,
    #[serde(rename = "requestID", default)]
    request_id: String,
    #[serde(default)]
    error_code: Option<String>,
    #[serde(default)]
    request_parameters: Option<CloudTrailParameters>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CloudTrailParameters {
    #[serde(default)]
    user_pool_id: Option<String>,
}

fn read_cloudtrail(
    path: &Path,
    pools: &[String],
    reconciliation: &mut Reconciliation,
) -> Result<(), Failure> {
    for file in files(path)? {
        let complaint = |error: String| Failure::usage(format!("--cloudtrail {}: {error}", file.display()));
        let mut json = Vec::new();
        let read =
            File::open(&file).and_then(unpacked).and_then(|mut content| content.read_to_end(&mut json));
        read.map_err(|error| complaint(error.to_string()))?;
        let trail: CloudTrailFile = serde_json::from_slice(&json)
            .map_err(|error| complaint(format!("it is no file of CloudTrail (line {})", error.line())))?;
        for record in trail.records {
            if CHANGES.contains(&record.event_name.as_str()) && record.error_code.is_none() {
                let pool = record.request_parameters.and_then(|parameters| parameters.user_pool_id);
                // A call whose pool is not told could be on any.
                if pool.is_none_or(|pool| pools.is_empty() || pools.contains(&pool)) {
                    reconciliation.read_call(&record.event_name, &record.request_id, &record.event_time);
                }
            }
        }
    }
    Ok(())
}

fn finish(mut reconciliation: Reconciliation, beside: &AuditBeside) -> Result<Reconciled, Failure> {
    for path in &beside.cloudtrail {
        read_cloudtrail(path, &beside.user_pool, &mut reconciliation)?;
    }
    let users = user_links(beside.users.as_deref())?;
    Ok(reconciliation.finish(&users, beside.begins_later))
}

pub(super) async fn reconcile(
    options: &AuditReconcileOptions,
    environment: &Environment,
    output: Output,
) -> Result<ExitCode, Failure> {
    let reader = Reader { sources: &options.sources, environment, output };
    let mut reconciliation = Reconciliation::default();
    let (records, unreadable) = reader.entries(|entry| reconciliation.read(&entry)).await?;
    let readable = readable(records, unreadable, output);
    let reconciled = finish(reconciliation, &options.beside)?;
    let counted = reconciled.classes.iter().filter(|(_, count)| **count > 0);
    let rows = counted.map(|(class, count)| vec![(*class).to_owned(), count.to_string()]).collect();
    output.table(&["accepted, and then", "callbacks"], rows)?;
    for (what, list) in reconciled.left_over() {
        for one in list {
            output.line(format!("! {what}: {one}"))?;
        }
    }
    if reconciled.accepted_earlier > 0 {
        output.note(format!("{} outcomes are of callbacks accepted earlier", reconciled.accepted_earlier));
    }
    let counted: u64 = reconciled.classes.values().sum();
    output.line(format!(
        "{} accepted = {counted} with one outcome or under way + {} left over: {}",
        reconciled.accepted,
        reconciled.residue(),
        if reconciled.is_sound() && readable { "sound" } else { "NOT SOUND" }
    ))?;
    let mut value = serde_json::to_value(&reconciled).unwrap_or_default();
    if let Value::Object(members) = &mut value {
        members.insert("residue".to_owned(), json!(reconciled.residue()));
        members.insert("records_unreadable".to_owned(), json!(unreadable));
        members.insert("sound".to_owned(), json!(reconciled.is_sound() && readable));
    }
    output.value(&value)?;
    Ok(outcome(reconciled.is_sound() && readable))
}

pub(super) async fn redecide(
    sources: &AuditSources,
    environment: &Environment,
    output: Output,
) -> Result<ExitCode, Failure> {
    let reader = Reader { sources, environment, output };
    let mut redecision = Redecision::default();
    let (records, unreadable) = reader.entries(|entry| redecision.read(&entry)).await?;
    let readable = readable(records, unreadable, output);
    for difference in redecision.differences.iter().take(1000) {
        output.line(format!(
            "{} {} (version {}): {}; today: {}",
            difference.at, difference.receipt_id, difference.version, difference.then, difference.now
        ))?;
    }
    for (version, count) in &redecision.decided {
        let others = redecision.differences.iter().filter(|d| d.version == *version).count();
        output
            .line(format!("version {version}: {count} decided again by {CODE_VERSION}, {others} differ"))?;
    }
    if redecision.without_facts + redecision.unreadable > 0 {
        output.note(format!(
            "{} hold nothing to decide by, {} cannot be read",
            redecision.without_facts, redecision.unreadable
        ));
    }
    output.value(&serde_json::to_value(&redecision).unwrap_or_default())?;
    Ok(outcome(redecision.differences.is_empty() && redecision.unreadable == 0 && readable))
}

pub(super) async fn report(
    options: &AuditReportOptions,
    environment: &Environment,
    output: Output,
) -> Result<ExitCode, Failure> {
    let reader = Reader { sources: &options.sources, environment, output };
    let seals = seals(&options.seals)?;
    let (mut statistics, mut reconciliation) = (Statistics::default(), Reconciliation::default());
    let each = |entry: &Entry| {
        statistics.read(entry);
        reconciliation.read(entry);
    };
    let (checked, unreadable) = check(&reader, seals.as_ref(), each, true).await?;
    let readable = readable(checked.records, unreadable, output);
    let reconciled = finish(reconciliation, &options.beside)?;
    let made = SystemClock.now().to_string();
    let page = Report {
        statistics: &statistics,
        checked: &checked,
        sealed: seals.as_ref().map(|seals| (seals.leaves.len(), seals.signed)),
        unreadable,
        reconciled: &reconciled,
        made: (&made, CODE_VERSION),
    };
    let written = private_file::write_new(&options.html, page.html().as_bytes());
    written.map_err(|error| Failure::usage(format!("--html {}: {error}", options.html.display())))?;
    let sound = checked.findings.is_empty() && reconciled.is_sound() && readable;
    let verdict = if sound { "sound" } else { "NOT SOUND" };
    output.line(format!("{}: {} records, {verdict}", options.html.display(), checked.records))?;
    output.value(&json!({ "page": options.html, "records": checked.records, "sound": sound }))?;
    Ok(outcome(sound))
}
