//! `idvctl demo`: the whole loop, once, in memory: sign-up, proofing session, a real HTTP request with a real signature, the
//! queue, the consumer, the user pool, a sign-in with step-up; all by the handlers that Lambda runs.

mod sign_in;
mod world;

use std::process::ExitCode;

use idv_callback::vocabulary::Status;
use serde_json::{Value, json};
use world::{Sent, World};

use crate::output::{Failure, Output, outcome};

/// One thing that happens, and what is promised of it.
struct Step {
    title: &'static str,
    /// Whose callback.
    username: &'static str,
    status: Status,
    /// How many seconds before now it happened.
    seconds_ago: u64,
    session: &'static str,
    subject: &'static str,
    event_id: &'static str,
    /// What is sent in place of a callback of our form.
    body: Option<&'static str>,
    forged: bool,
    /// The status code that the sender gets.
    answer: u16,
    /// The word of the audit record that the event ends with; none where it never reaches the consumer.
    ends: Option<&'static str>,
    /// The reason in that record.
    reason: Option<&'static str>,
    /// The user's status afterwards.
    user_status: &'static str,
}

const APPROVAL: Step = Step {
    title: "1Kosmos approves ada: attributes are written, then the user is confirmed",
    username: "ada",
    status: Status::Approved,
    seconds_ago: 60,
    session: "vs_1",
    subject: "did:blockid:5a105e8b9d40e1329780d62ea2265d8a",
    event_id: "evt_ada_approved",
    body: None,
    forged: false,
    answer: 202,
    ends: Some("applied"),
    reason: None,
    user_status: "CONFIRMED",
};

const STEPS: [Step; 8] = [
    Step {
        title: "somebody without the key approves ada: refused, nothing is queued",
        event_id: "evt_forged",
        forged: true,
        answer: 401,
        ends: None,
        user_status: "UNCONFIRMED",
        ..APPROVAL
    },
    APPROVAL,
    Step {
        title: "the same callback again: the same receipt, and the queue drops it",
        ends: None,
        ..APPROVAL
    },
    Step {
        title: "a late event of the same session, from before the approval: superseded, nothing is written",
        status: Status::InReview,
        seconds_ago: 120,
        event_id: "evt_ada_in_review",
        ends: Some("superseded"),
        ..APPROVAL
    },
    Step {
        title: "1Kosmos declines bob: recorded, and bob stays unconfirmed",
        username: "bob",
        status: Status::Declined,
        session: "vs_2",
        event_id: "evt_bob_declined",
        ends: Some("recorded"),
        user_status: "UNCONFIRMED",
        ..APPROVAL
    },
    Step {
        title: "an approval of bob in the very same instant, arriving later: the \"no\" wins, bob stays unconfirmed",
        username: "bob",
        session: "vs_2",
        subject: "did:blockid:77aa3c81d2f04b6e9c1f00bb8e6a90cd",
        event_id: "evt_bob_approved",
        ends: Some("noted"),
        user_status: "UNCONFIRMED",
        ..APPROVAL
    },
    Step {
        title: "1Kosmos tries its connection: recorded as a sender's test, and nobody is woken",
        event_id: "evt_test",
        body: Some(r#"{"event_type":"webhook.test"}"#),
        ends: Some("sender_test"),
        ..APPROVAL
    },
    Step {
        title: "an approval of ada as somebody else: a dead letter, with its reason",
        seconds_ago: 0,
        session: "vs_other",
        subject: "did:blockid:00000000000000000000000000000000",
        event_id: "evt_other_subject",
        ends: Some("quarantined"),
        reason: Some("subject_conflict"),
        ..APPROVAL
    },
];

/// The program `demo`.
pub fn main(json: bool) -> ExitCode {
    let output = Output::new(json);
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(run(output)).unwrap_or_else(|failure| output.fail(&failure)),
        Err(error) => output.fail(&Failure::unreachable(format!("no async runtime: {error}"))),
    }
}

pub(crate) async fn run(output: Output) -> Result<ExitCode, Failure> {
    let world = World::start().await?;
    output.line(format!("The embedded stack listens on {}.", world.url()))?;
    let mut steps = Vec::new();
    let mut all_as_promised = sign_in::sign_ups(&world, output, &mut steps).await?;
    output.line("")?;
    output.table(&["user", "status"], world.statuses())?;
    for step in &STEPS {
        let sent = world.send(step).await?;
        let record = world.outcome_of(step, &sent).await;
        let as_promised = is_as_promised(step, &sent, &record, &world);
        all_as_promised &= as_promised;
        show(output, steps.len().saturating_add(1), step, &sent, &record, as_promised)?;
        steps.push(json!({
            "title": step.title,
            "answer": sent.status,
            "receipt_id": sent.receipt_id(),
            "outcome": record.get("event"),
            "reason": record.get("reason"),
            "as_promised": as_promised,
        }));
    }
    all_as_promised &= sign_in::sign_ins(&world, output, &mut steps).await?;
    output.line("")?;
    output.table(&["user", "status", "attribute", "value"], world.attribute_rows())?;
    let dead_letters = world.dead_letters();
    let cell =
        |letter: &Value, name: &str| letter.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
    let columns = ["reason", "receipt_id", "quarantined_at"];
    let rows = dead_letters.iter().map(|letter| columns.iter().map(|name| cell(letter, name)).collect());
    output.table(&columns, rows)?;
    let (checked, reconciled) = world.audited();
    let audited = checked.findings.is_empty() && reconciled.is_sound();
    output.line(format!(
        "The audit trail: {} records, {}; {} accepted = {} with exactly one outcome + {} unexplained.",
        checked.records,
        if checked.findings.is_empty() { "whole and unaltered" } else { "NOT SOUND" },
        reconciled.accepted,
        reconciled.classes.values().sum::<u64>(),
        reconciled.residue()
    ))?;
    let all_as_promised = all_as_promised && audited;
    output.line(if all_as_promised {
        "Every outcome is as promised."
    } else {
        "NOT every outcome is as promised."
    })?;
    output.value(&json!({
        "steps": steps,
        "users": world.users(),
        "dead_letters": dead_letters,
        "audit": { "records": checked.records, "accepted": reconciled.accepted, "sound": audited },
        "as_promised": all_as_promised,
    }))?;
    world.stop().await;
    Ok(outcome(all_as_promised))
}

fn is_as_promised(step: &Step, sent: &Sent, record: &Value, world: &World) -> bool {
    let text = |name: &str| record.get(name).and_then(Value::as_str);
    let ended = text("event") == step.ends && text("reason") == step.reason;
    sent.status == step.answer && ended && world.status_of(step.username) == Some(step.user_status)
}

fn show(
    output: Output,
    number: usize,
    step: &Step,
    sent: &Sent,
    record: &Value,
    as_promised: bool,
) -> Result<(), Failure> {
    let mark = if as_promised { "ok" } else { "NOT AS PROMISED" };
    output.line(format!("\n{number}. {} [{mark}]", step.title))?;
    let receipt = sent.receipt_id().map(|id| format!("  {id}")).unwrap_or_default();
    output.line(format!("   POST /idv-callback  {}{receipt}", sent.status))?;
    let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    if !record.is_null() {
        let level = |name: &str| record.get(name).map_or("-".to_owned(), Value::to_string);
        let levels = match record["ial_after"].as_u64() {
            Some(_) => format!("  ial {} -> {}", level("ial_before"), level("ial_after")),
            None => format!("  {}", text("reason")),
        };
        let confirmed = if record["confirmed"] == true { "  confirmed" } else { "" };
        output.line(format!("   {} {}{levels}{confirmed}", text("code"), text("event")))?;
    }
    Ok(())
}
