//! `dlq archive|discard`: nothing is dropped unseen, and nothing is deleted that is not in an archive.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use super::list::{is_complete, remarks};
use super::{Desk, unreachable};
use crate::audit::AuditCode;
use crate::cli::args::{DlqArchiveFile, DlqArchiveOptions, DlqDiscardOptions};
use crate::cli::output::{Failure, Output, outcome};
use crate::cli::private_file;
use crate::clock::SystemClock;
use crate::ports::{Clock as _, DeadLetter, DeadLetterStore as _};
use crate::redrive::{Letter, take};

pub(super) async fn archive(
    desk: &Desk<'_>,
    options: &DlqArchiveOptions,
    output: Output,
) -> Result<ExitCode, Failure> {
    let recipients = recipients(&options.archive)?;
    let log = desk.log().await?;
    let depth = desk.store.depth().await.map_err(|error| unreachable(&error))?;
    let within = options.expiring_within.map(|days| Duration::from_secs(days * 86_400));
    let now = SystemClock.now();
    let expires = |letter: &DeadLetter| {
        within.is_none_or(|within| letter.sent_at.plus(depth.retention).since(now) <= within)
    };
    let taken = take(&desk.store, &SystemClock, expires).await;
    let (letters, scanned) = taken.map_err(|error| unreachable(&error))?;
    let kept = write(&options.archive, &recipients, &letters);
    let handles: Vec<_> = letters.iter().map(|letter| letter.handle.clone()).collect();
    desk.store.let_go(&handles).await.map_err(|error| unreachable(&error))?;
    kept?;
    let mut record = log.act(AuditCode::Archived, "");
    record.letters = Some(letters.len());
    log.write(&record)?;
    output.line(format!(
        "{}: {} letters; all are still in the queue",
        options.archive.file.display(),
        letters.len()
    ))?;
    let complete = is_complete(depth, scanned);
    remarks(depth, scanned, output);
    output
        .value(&json!({ "archive": options.archive.file, "letters": letters.len(), "complete": complete }))?;
    // What was not seen is not kept.
    Ok(outcome(complete))
}

pub(super) async fn discard(
    desk: &Desk<'_>,
    options: &DlqDiscardOptions,
    output: Output,
) -> Result<ExitCode, Failure> {
    let recipients = recipients(&options.archive)?;
    let log = desk.log().await?;
    let depth = desk.store.depth().await.map_err(|error| unreachable(&error))?;
    let chosen = |letter: &DeadLetter| options.id.contains(&letter.id);
    let taken = take(&desk.store, &SystemClock, chosen).await;
    let (letters, _) = taken.map_err(|error| unreachable(&error))?;
    let missing: Vec<_> =
        options.id.iter().filter(|id| !letters.iter().any(|letter| letter.id == **id)).collect();
    let handles: Vec<_> = letters.iter().map(|letter| letter.handle.clone()).collect();
    let kept = if missing.is_empty() { write(&options.archive, &recipients, &letters) } else { Ok(()) };
    if !missing.is_empty() || kept.is_err() {
        desk.store.let_go(&handles).await.map_err(|error| unreachable(&error))?;
        kept?;
        for id in &missing {
            output.note(format!("there is no dead letter {id} that can be had now; nothing was discarded"));
        }
        output.value(&json!({ "discarded": 0, "missing": missing }))?;
        return Ok(outcome(false));
    }
    for letter in &letters {
        let shown = Letter::read(letter, &desk.ring, depth.retention);
        let mut record = log.act(AuditCode::Discarded, &options.because);
        record.receipt_id = shown.receipt;
        record.message_id = Some(letter.id.clone());
        let written = log.write(&record.detail(format!("{} body {}", shown.reason, shown.body_sha256)));
        let removed = match written {
            Ok(()) => desk.store.remove(&letter.handle).await.map_err(|error| unreachable(&error)),
            unwritten => unwritten,
        };
        if removed.is_err() {
            // Those that are gone already are no matter to it.
            desk.store.let_go(&handles).await.map_err(|error| unreachable(&error))?;
            return removed.map(|()| outcome(false));
        }
    }
    output.line(format!("{} discarded; they are in {}", letters.len(), options.archive.file.display()))?;
    output.value(&json!({ "archive": options.archive.file, "discarded": letters.len() }))?;
    Ok(ExitCode::SUCCESS)
}

fn recipients(archive: &DlqArchiveFile) -> Result<Vec<age::x25519::Recipient>, Failure> {
    let one = |text: &String| {
        let parsed: Result<age::x25519::Recipient, _> = text.parse();
        parsed
            .map_err(|error| Failure::usage(format!("--recipient must be an age recipient, age1…: {error}")))
    };
    archive.recipient.iter().map(one).collect()
}

/// One letter a line, encrypted to the recipients, in a new file. When this returns, the file is on the disk.
fn write(
    archive: &DlqArchiveFile,
    recipients: &[age::x25519::Recipient],
    letters: &[DeadLetter],
) -> Result<(), Failure> {
    let complaint = |error: String| Failure::usage(format!("{}: {error}", archive.file.display()));
    let file = private_file::create(&archive.file).map_err(|error| complaint(error.to_string()))?;
    let recipients = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
    let encryptor =
        age::Encryptor::with_recipients(recipients).map_err(|error| complaint(error.to_string()))?;
    let mut output = encryptor.wrap_output(file).map_err(|error| complaint(error.to_string()))?;
    for letter in letters {
        let line = json!({
            "message_id": letter.id,
            "group_id": letter.group_id,
            "sent_at": letter.sent_at.to_string(),
            "attributes": letter.attributes,
            "body": letter.body,
        });
        writeln!(output, "{line}").map_err(|error| complaint(error.to_string()))?;
    }
    let file = output.finish().map_err(|error| complaint(error.to_string()))?;
    file.sync_all().map_err(|error| complaint(error.to_string()))
}
