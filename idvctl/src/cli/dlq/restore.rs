//! `dlq restore`: archived messages are dead letters again.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use idv_callback::audit::AuditCode;
use idv_callback::clock::SystemClock;
use idv_callback::envelope::BodyDigest;
use idv_callback::hex::hex;
use idv_callback::ports::OutgoingMessage;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::cli::dlq::archive_file;
use crate::cli::dlq::listing::tell_by_reason;
use crate::cli::dlq::selection::{SelectionOptions, nothing_chosen, refuse_unknown_reasons, ticket};
use crate::cli::dlq::{OperatorSession, Target, unreachable};
use crate::output::{Failure, Output, outcome};
use crate::ports::{DeadLetter, DeadLetterStore as _};
use crate::redrive::{Census, DeadLetterSummary, Scanned, scan};

#[derive(Args)]
pub(crate) struct Options {
    /// The archive.
    #[arg(value_name = "FILE")]
    pub(crate) archive: PathBuf,
    /// A file with the age identity that can read it (AGE-SECRET-KEY-1…, as `age-keygen` writes it). Can be given several times.
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) identity: Vec<PathBuf>,
    /// Why: a ticket.
    #[arg(long, value_name = "TICKET", value_parser = ticket, required_unless_present = "dry_run")]
    pub(crate) because: Option<String>,
    #[command(flatten)]
    pub(crate) selection: SelectionOptions,
    #[command(flatten)]
    pub(crate) target: Target,
    /// Show which messages would be brought back; change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

pub(crate) async fn run(
    session: &OperatorSession<'_>,
    options: &Options,
    output: Output,
) -> Result<ExitCode, Failure> {
    let log = session.log().await?;
    let selection = options.selection.selection();
    let depth = session.store.depth().await.map_err(|error| unreachable(&error))?;
    let (before, scanned) = bodies(session).await?;
    if !scanned.saw_all_of(depth) && !options.dry_run {
        return Err(Failure::refused(
            "not every dead letter can be seen (some are held, or SQS gives ten of one user at a time), so what is \
             there already could be doubled; nothing was brought back. Look again in a minute",
        ));
    }
    let (mut census, mut chosen, mut there) = (Census::default(), BTreeMap::<String, usize>::new(), 0);
    let mut letters = Vec::new();
    for (number, archived) in archive_file::read(&options.archive, &options.identity)?.into_iter().enumerate()
    {
        let letter = archived.letter();
        let letter = letter.ok_or_else(|| {
            Failure::usage(format!("{}: line {} has no time", options.archive.display(), number + 1))
        })?;
        let shown = DeadLetterSummary::read(&letter, &session.ring, depth.retention);
        if !census.looks_at(&selection, &shown) {
            continue;
        }
        // A message is known by its body: its id is another one each time that it is sent.
        if before.contains(&shown.body_sha256) {
            there += 1;
            continue;
        }
        *chosen.entry(shown.reason.clone()).or_default() += 1;
        letters.push((letter, shown));
    }
    refuse_unknown_reasons(&selection, &census)?;
    if census.chosen == 0 {
        return Err(nothing_chosen(&census));
    }
    if options.dry_run {
        tell_by_reason(&chosen, "would be brought back", output)?;
        output.line(format!("{there} are dead letters now"))?;
        output.value(
            &json!({ "dry_run": true, "letters": letters.len(), "there": there, "reasons": chosen }),
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    for (letter, shown) in &letters {
        let mut record = log.act(AuditCode::Restored, options.because.as_deref().unwrap_or_default());
        record.receipt_id.clone_from(&shown.receipt);
        record.message_id = Some(letter.id.clone());
        log.write(&record.detail(format!("{} body {}", shown.reason, shown.body_sha256)))?;
        session.store.restore(outgoing(letter)).await.map_err(|error| unreachable(&error))?;
    }
    // What was sent is looked for: only what is there with the same body was brought back.
    let (after, _) = bodies(session).await?;
    let missing = letters.iter().filter(|(_, shown)| !after.contains(&shown.body_sha256)).count();
    let restored = letters.len() - missing;
    output.line(format!(
        "{restored} brought back and seen in the dead-letter queue; {there} were there; {missing} were sent and cannot be seen yet"
    ))?;
    output.value(&json!({ "restored": restored, "there": there, "not_seen": missing, "reasons": chosen }))?;
    Ok(outcome(missing == 0))
}

/// The digests of the bodies of all dead letters that can be seen.
async fn bodies(session: &OperatorSession<'_>) -> Result<(HashSet<String>, Scanned), Failure> {
    let mut bodies = HashSet::new();
    let scanned = scan(&session.store, &SystemClock, async |dead: DeadLetter| {
        bodies.insert(BodyDigest::of(dead.body.as_bytes()).as_str().to_owned());
        true
    });
    let scanned = scanned.await.map_err(|error| unreachable(&error))?;
    Ok((bodies, scanned))
}

/// The message as it was: body, group and attributes.
fn outgoing(letter: &DeadLetter) -> OutgoingMessage {
    // The same for each attempt, so that one that was broken off doubles nothing; another one when it was archived anew.
    let name = format!("restore\n{}\n{}", letter.id, letter.sent_at);
    OutgoingMessage {
        body: letter.body.clone(),
        group_id: letter.group_id.clone(),
        deduplication_id: hex(&Sha256::digest(name)),
        attributes: letter.attributes.clone(),
    }
}
