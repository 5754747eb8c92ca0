//! `dlq show`: one dead letter, for a person: what happened, what that means, what would become of it, what to do next.

use std::process::ExitCode;

use clap::Args;
use idv_callback::assurance::UserRecord;
use idv_callback::audit::pseudonym;
use idv_callback::clock::SystemClock;
use idv_callback::correction::CORRECTION_ATTRIBUTE;
use idv_callback::ports::Clock as _;
use idv_callback::verification::AssuranceLevel;
use serde_json::{Value, json};

use crate::cli::dlq::listing::{age, describe, time_left};
use crate::cli::dlq::{OperatorSession, Target, unreachable};
use crate::output::{Failure, Output};
use crate::ports::{DeadLetter, DeadLetterStore as _};
use crate::redrive::{DeadLetterSummary, Forecasted, Meaning, meaning, open, replays};

#[derive(Args)]
pub(crate) struct Options {
    /// The message's id, its receipt, or the id of its event.
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) target: Target,
}

/// What would become of a message, and the user's record now.
struct Prospect {
    forecast: String,
    helps: bool,
    known: bool,
    user: Value,
    told: String,
}

pub(crate) async fn run(
    session: &OperatorSession<'_>,
    options: &Options,
    output: Output,
) -> Result<ExitCode, Failure> {
    let depth = session.store.depth().await.map_err(|error| unreachable(&error))?;
    let mut found = session.find_all(&options.id).await?;
    let Some(dead) = found.pop() else {
        return Err(Failure::refused(format!(
            "{}: no dead letter has this message id, receipt or event id, or somebody holds it now (look again in a \
             minute). What became of a receipt: idvctl audit trace SOURCE --receipt {}",
            options.id, options.id
        )));
    };
    if !found.is_empty() {
        let ids: Vec<_> = found.iter().chain([&dead]).map(|dead| dead.id.as_str()).collect();
        return Err(Failure::usage(format!("{} dead letters have it: {}", ids.len(), ids.join(", "))));
    }
    let message = DeadLetterSummary::read(&dead, &session.ring, depth.retention);
    let prospect = prospect(session, &dead).await;
    let meaning = meaning(&message.reason);
    let next = next(&message, &prospect);
    let mut history = replays(&dead.attributes);
    // A correction that another took the place of names a user.
    for replay in &mut history {
        replay.was.remove(CORRECTION_ATTRIBUTE);
    }
    tell(&message, &meaning, &prospect, &next, output)?;
    let mut shown = describe(&message, SystemClock.now());
    if let Value::Object(members) = &mut shown {
        members.insert("history".to_owned(), json!(history));
        members.insert("happened".to_owned(), json!(meaning.happened));
        members.insert("helps".to_owned(), json!(meaning.helps));
        members.insert("forecast".to_owned(), json!(prospect.forecast));
        members.insert("user".to_owned(), prospect.user);
        members.insert("next".to_owned(), json!(next));
    }
    output.value(&shown)?;
    Ok(ExitCode::SUCCESS)
}

fn tell(
    message: &DeadLetterSummary,
    meaning: &Meaning,
    prospect: &Prospect,
    next: &str,
    output: Output,
) -> Result<(), Failure> {
    let now = SystemClock.now();
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let event = message.event.as_ref().map_or_else(
        || "cannot be read".to_owned(),
        |event| {
            let level = event.ial.map(|ial| format!(", IAL {ial}")).unwrap_or_default();
            let kind = event.event_type.as_ref().map(|kind| format!(", type {kind}")).unwrap_or_default();
            format!(
                "{}: {}{level}{kind}, session {}, {}",
                event.event_id, event.status, event.session_id, event.occurred_at
            )
        },
    );
    let died = format!(
        "{} ago ({}), after {} tries, version {}",
        age(now.since(message.sent_at)),
        message.sent_at,
        or_none(&message.attempts),
        or_none(&message.version)
    );
    let dropped = format!("in {}", time_left(message.expires_at.since(now)));
    let detail = or_none(&message.detail);
    let receipt = or_none(&message.receipt);
    let replays = message.replays.to_string();
    let evidence = "yes: it moves only when it is named, and its deletion takes a second operator";
    let mut lines = vec![
        ("message", message.id.as_str()),
        ("reason", &message.reason),
        ("means", meaning.happened),
        ("detail", &detail),
        ("receipt", &receipt),
        ("event", &event),
        ("died", &died),
        ("SQS drops it", &dropped),
        ("sent back", &replays),
        ("user", &prospect.told),
        ("forecast", &prospect.forecast),
        ("helps", meaning.helps),
        ("next", next),
    ];
    if message.is_evidence() {
        lines.insert(3, ("evidence", evidence));
    }
    output.record(&lines)?;
    Ok(())
}

/// Whoever may only look sees why it is not known.
async fn prospect(session: &OperatorSession<'_>, dead: &DeadLetter) -> Prospect {
    let unknown = |why: String| Prospect {
        forecast: format!("not known: {why}"),
        helps: false,
        known: false,
        user: Value::Null,
        told: format!("not known: {why}"),
    };
    let users = match session.users().await {
        Ok(users) => users,
        Err(failure) => return unknown(failure.message().to_owned()),
    };
    let forecaster = users.forecaster(session);
    let opened = open(dead, &session.ring);
    let Forecasted { word, confirms, is_sent } = forecaster.one(&dead.group_id, opened.clone()).await;
    let forecast = if confirms { format!("{word}, confirms the user") } else { word };
    let reference = opened.as_ref().ok().and_then(|statement| Some(statement.event().ok()?.user.clone()));
    let (user, told) = match &reference {
        None => (Value::Null, "the callback cannot be read".to_owned()),
        Some(reference) => match forecaster.read(reference).await {
            Err(why) => (Value::Null, format!("not known: {why}")),
            Ok(None) => (Value::Null, "nobody of that name is in the pool".to_owned()),
            Ok(Some(user)) => {
                let sub = user.sub.as_deref();
                let name = sub.map(|sub| pseudonym(&session.ring.audit, &reference.pool, sub));
                described(&user, name.as_deref().unwrap_or("-"))
            }
        },
    };
    Prospect { forecast, helps: is_sent, known: true, user, told }
}

/// The user's record now, without whose it is.
pub(super) fn described(user: &UserRecord, name: &str) -> (Value, String) {
    let status = format!("{:?}", user.status).to_lowercase();
    let enabled = if user.enabled { "" } else { ", disabled" };
    match &user.assurance {
        Err(unreadable) => (
            json!({ "user": name, "status": status, "enabled": user.enabled, "unreadable": unreadable.attribute }),
            format!("{name}: {status}{enabled}, its {} cannot be read", unreadable.attribute),
        ),
        Ok(assurance) => {
            let idv_status = assurance.status.map(|status| status.as_str().to_owned());
            let ial = assurance.ial.map_or(0, AssuranceLevel::get);
            let proofed = if assurance.subject.is_some() { "has a subject" } else { "has no subject" };
            (
                json!({
                    "user": name,
                    "status": status,
                    "enabled": user.enabled,
                    "idv_status": idv_status,
                    "ial": ial,
                    "has_subject": assurance.subject.is_some(),
                }),
                format!(
                    "{name}: {status}{enabled}, proofing {}, IAL {ial}, {proofed}",
                    idv_status.as_deref().unwrap_or("not begun")
                ),
            )
        }
    }
}

fn next(message: &DeadLetterSummary, prospect: &Prospect) -> String {
    let id = &message.id;
    if !prospect.known {
        return "see to it that its user and the consumer can be read (above), and look again".to_owned();
    }
    if prospect.helps && message.is_evidence() {
        return format!(
            "runbooks/conflict-or-suspected-forgery.md; only then: idvctl dlq plan --id {id} --because TICKET"
        );
    }
    if prospect.helps {
        return format!("idvctl dlq plan --id {id} --because TICKET");
    }
    match message.reason.as_str() {
        "user_not_found" | "username_alias" => {
            format!(
                "idvctl dlq correct {id} --username NAME --because TICKET, when support has proved whose it is"
            )
        }
        _ => format!("idvctl dlq archive --id {id} --to FILE --recipient age1…, before SQS drops it"),
    }
}
