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
use crate::cli::dlq::selection::{
    SelectionOptions, nothing_chosen, refuse_absent, refuse_unknown_reasons, ticket,
};
use crate::cli::dlq::{OperatorSession, Target, unreachable};
use crate::cli::operator::OperatorLog;
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
    let before = Seen::look(session).await?;
    if !before.scanned.saw_all_of(depth) {
        return Err(Failure::refused(
            "not every dead letter can be seen (some are held, or SQS gives ten of one user at a time), so what is \
             there already could be doubled; nothing is brought back. Look again in a minute",
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
        if before.bodies.contains(&shown.body_sha256) {
            there += 1;
            continue;
        }
        *chosen.entry(shown.reason.clone()).or_default() += 1;
        letters.push((letter, shown));
    }
    refuse_unknown_reasons(&selection, &census)?;
    refuse_absent(&selection, &census)?;
    if census.chosen == 0 {
        return Err(nothing_chosen(&census, true));
    }
    // Of one user in their order.
    letters.sort_by_key(|(letter, _)| letter.sent_at);
    if options.dry_run {
        tell_by_reason(&chosen, "would be brought back", output)?;
        output.line(format!("{there} are dead letters now"))?;
        output.value(
            &json!({ "dry_run": true, "letters": letters.len(), "there": there, "reasons": chosen }),
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    let sent = bring_all_back(session, &log, options, &letters).await?;
    // What was sent is looked for, by the id that it was given: SQS drops what it was sent within five minutes before.
    let after = Seen::look(session).await?;
    let is_back = |id: &&String| after.ids.contains(*id) && !before.ids.contains(*id);
    let restored = sent.iter().filter(is_back).count();
    let missing = sent.len() - restored;
    output.line(format!("{restored} brought back and seen in the dead-letter queue; {there} were there"))?;
    if missing > 0 {
        output.alarm(format!(
            "{missing} were sent and are not seen there: SQS shows ten messages of one user at a time, and drops what it was \
             sent within five minutes before. Look in five minutes (idvctl dlq groups) before you run this again"
        ))?;
    }
    output.value(&json!({ "restored": restored, "there": there, "not_seen": missing, "reasons": chosen }))?;
    Ok(outcome(missing == 0))
}

/// Sends each; gives the ids that they have in the dead-letter queue.
async fn bring_all_back(
    session: &OperatorSession<'_>,
    log: &OperatorLog,
    options: &Options,
    letters: &[(DeadLetter, DeadLetterSummary)],
) -> Result<Vec<String>, Failure> {
    let mut sent = Vec::new();
    for (letter, shown) in letters {
        let brought = bring_back(session, log, options, (letter, shown)).await;
        sent.push(brought.map_err(|failure| {
            failure.after(&format!("{} of {} messages were sent before that", sent.len(), letters.len()))
        })?);
    }
    Ok(sent)
}

/// Gives the id that the message has in the dead-letter queue.
async fn bring_back(
    session: &OperatorSession<'_>,
    log: &OperatorLog,
    options: &Options,
    (letter, shown): (&DeadLetter, &DeadLetterSummary),
) -> Result<String, Failure> {
    let mut record = log.act(AuditCode::Restored, options.because.as_deref().unwrap_or_default());
    record.receipt_id.clone_from(&shown.receipt);
    record.message_id = Some(letter.id.clone());
    log.write(&record.detail(format!("{} body {}", shown.reason, shown.body_sha256)))?;
    session.store.restore(outgoing(letter)).await.map_err(|error| unreachable(&error))
}

/// The dead letters that can be seen.
struct Seen {
    ids: HashSet<String>,
    /// Digests.
    bodies: HashSet<String>,
    scanned: Scanned,
}

impl Seen {
    async fn look(session: &OperatorSession<'_>) -> Result<Self, Failure> {
        let (mut ids, mut bodies) = (HashSet::new(), HashSet::new());
        let scanned = scan(&session.store, &SystemClock, async |dead: DeadLetter| {
            bodies.insert(BodyDigest::of(dead.body.as_bytes()).as_str().to_owned());
            ids.insert(dead.id);
            true
        });
        let scanned = scanned.await.map_err(|error| unreachable(&error))?;
        Ok(Self { ids, bodies, scanned })
    }
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
