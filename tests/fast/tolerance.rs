//! Honest callbacks that are odd: other spellings, other types, fields that nobody expected, tests of the sender. Nothing that is
//! authentic is lost, nobody is woken without need, and the record says what was left out.

use std::collections::BTreeMap;
use std::time::Duration;

use idv_callback::delivery::PAYLOAD_FIELDS;
use idv_callback::envelope::{BodyDigest, Content, Envelope, group_id};
use idv_callback::ports::{CallbackQueue as _, Clock, OutgoingMessage};
use idv_callback::verification::{PoolId, UserReference, Username};
use idv_callback::vocabulary::{
    ADMINISTRATIVE_WORDS, EventTypes, RESULT_WORDS, SUBJECTS_OF_RESULTS, Status, TEST_WORDS,
};
use serde_json::{Value, json};

use crate::support::world::{POOL, World, approval, other, ring, with, with_metadata, without};

/// A world with ada, who has sent this; gives the record of the front door.
async fn sent(world: &World, body: &[u8]) -> Value {
    let answer = world.intake().answer(&world.signed("msg_1", body), world.deadline(10)).await;
    assert_eq!(answer.status, 202, "{}", String::from_utf8_lossy(body));
    let record = world.audit.last();
    while !world.queues.callbacks.messages().is_empty() {
        assert_eq!(world.settle().await, Vec::<String>::new(), "{:?}", world.audit.last());
    }
    record
}

fn with_ada() -> World {
    let world = World::new();
    world.sign_up("ada", &[]);
    world
}

fn a() -> Value {
    approval("ada", "evt_1", 10)
}

/// Optional fields that are odd cost nothing but themselves, and the record names them.
#[tokio::test(start_paused = true)]
async fn an_odd_optional_field_is_left_out_and_named() {
    let rows = [
        ("aal", json!(""), "aal"),
        ("aal", json!("N/A"), "aal"),
        ("aal", json!(4), "aal"),
        ("aal", json!({ "level": 2 }), "aal"),
        ("framework", json!(""), "idv_framework"),
        ("framework", json!("a".repeat(65)), "idv_framework"),
        ("framework", json!("nist\u{e9}"), "idv_framework"),
        ("framework", json!(["nist"]), "idv_framework"),
        ("document_type", json!(["passport"]), "idv_evidence"),
        ("document_type", json!(7), "idv_evidence"),
        ("expires_at", json!(""), "idv_expires_at"),
        ("expires_at", json!("12/31/2027"), "idv_expires_at"),
        ("expires_at", json!("never"), "idv_expires_at"),
        ("expires_at", json!("0001-01-01T00:00:00Z"), "idv_expires_at"),
        ("expires_at", json!(true), "idv_expires_at"),
        // Numbers that are no moments: a date without separators, a year, seconds to go, microseconds.
        ("expires_at", json!(20_271_231), "idv_expires_at"),
        ("expires_at", json!("2027"), "idv_expires_at"),
        ("expires_at", json!(31_536_000), "idv_expires_at"),
        ("expires_at", json!(1_893_456_000_000_000_u64), "idv_expires_at"),
    ];
    for (field, value, attribute) in rows {
        let world = with_ada();
        let record = sent(&world, with(a(), field, value.clone()).to_string().as_bytes()).await;
        assert_eq!(record["left_out"], json!([field]), "{field} {value}");
        assert!(!record.to_string().contains("12/31"), "the value is not told");
        assert_eq!(world.user("ada").status, "CONFIRMED", "{field} {value}");
        assert_eq!(world.attribute("ada", attribute), None, "{field} {value}");
    }
    let world = with_ada();
    let odd = with(with(a(), "aal", json!("?")), "framework", json!(1));
    assert_eq!(sent(&world, odd.to_string().as_bytes()).await["left_out"], json!(["aal", "framework"]));
    // What is as it should be is not named.
    assert!(sent(&with_ada(), a().to_string().as_bytes()).await.get("left_out").is_none());
}

/// The same value in the spelling of another library.
#[tokio::test(start_paused = true)]
async fn a_value_may_be_written_as_libraries_write_it() {
    let raw = |from: &str, to: &str| a().to_string().replacen(from, to, 1);
    let at = |to: &str| raw("\"2026-11-22T09:00:10.000Z\"", to);
    let rows: Vec<(String, &str, &str)> = vec![
        (raw("\"ial\":2", "\"ial\":2.0"), "ial", "2"),
        (raw("\"ial\":2", "\"ial\":2e0"), "ial", "2"),
        (raw("\"ial\":2", "\"ial\":\"2.0\""), "ial", "2"),
        (raw("\"ial\":2", "\"ial\":\"ial-2\""), "ial", "2"),
        (raw("\"ial\":2", "\"ial\":2,\"ial_level\":\"IAL2\""), "ial", "2"),
        (raw("\"ial\":2", "\"ial\":\"\",\"ial_level\":\"IAL2\""), "ial", "2"),
        (raw("\"ial\":2", "\"ial\":null,\"ial_level\":2"), "ial", "2"),
        (raw("\"vs_1\"", "12345"), "idv_session", "12345"),
        // A result that says "test" where nobody reads it is a result.
        (
            without(a(), "event_type").to_string().replacen('{', "{\"type\":\"test\",\"event\":\"ping\",", 1),
            "ial",
            "2",
        ),
        (raw("\"vs_1\"", "\"urn:vs/1+2=~\""), "idv_session", "urn:vs/1+2=~"),
        (at("1795338010"), "idv_proofed_at", "2026-11-22T09:00:10.000Z"),
        (at("1795338010000"), "idv_proofed_at", "2026-11-22T09:00:10.000Z"),
        (at("\"1795338010\""), "idv_proofed_at", "2026-11-22T09:00:10.000Z"),
        (at("1.79533801E9"), "idv_proofed_at", "2026-11-22T09:00:10.000Z"),
        (at("\"2026-11-22T09:01Z\""), "idv_proofed_at", "2026-11-22T09:01:00.000Z"),
        (at("\"2026-11-22T09:00:10+0000\""), "idv_proofed_at", "2026-11-22T09:00:10.000Z"),
        (
            at("\"2026-11-22 09:00:10Z\",\"event_ts\":1795338010"),
            "idv_proofed_at",
            "2026-11-22T09:00:10.000Z",
        ),
        (raw("\"2030-01-01T00:00:00Z\"", "1893456000"), "idv_expires_at", "2030-01-01T00:00:00.000Z"),
        (raw("\"2030-01-01T00:00:00Z\"", "\"2030-01-01\""), "idv_expires_at", "2030-01-01T00:00:00.000Z"),
        // What nobody reads costs nothing.
        (raw("{", "{\"x\":\"\\ud800\",\"y\":1e400,\"\\udfff\":{\"z\":[1e999]},"), "ial", "2"),
        (raw("{", "{\"$serde_json::private::RawValue\":\"x\","), "ial", "2"),
    ];
    for (body, attribute, value) in rows {
        let world = with_ada();
        sent(&world, body.as_bytes()).await;
        assert_eq!(world.attribute("ada", attribute).as_deref(), Some(value), "{body}");
        assert_eq!(world.user("ada").status, "CONFIRMED", "{body}");
    }
}

/// Every word of the table, in the spellings that a sender may have, settles as what it stands for.
#[tokio::test(start_paused = true)]
async fn every_status_word_is_what_the_table_says() {
    for (status, words) in Status::ALL.iter().map(|status| (*status, status.words())) {
        let settled = match status {
            Status::Approved => "approved",
            Status::Declined => "declined",
            Status::Expired => "expired",
            Status::Abandoned => "abandoned",
            Status::InReview => "in_review",
            Status::InProgress => "in_progress",
        };
        for word in words {
            for spelling in
                [(*word).to_owned(), word.to_uppercase().replace('_', " "), word.replace('_', "-")]
            {
                let world = with_ada();
                sent(&world, with(a(), "status", json!(spelling)).to_string().as_bytes()).await;
                assert_eq!(world.attribute("ada", "idv_status").as_deref(), Some(settled), "{spelling}");
                assert_eq!(world.dead_letter_reasons(), Vec::<String>::new());
            }
        }
    }
}

/// An event type that tells no result changes nobody, whatever stands beside it, and is no dead letter.
#[tokio::test(start_paused = true)]
async fn what_is_not_about_a_result_changes_nobody() {
    let types = ADMINISTRATIVE_WORDS.iter().map(|word| (format!("verification.{word}"), "ignored"));
    let tests = TEST_WORDS.iter().flat_map(|word| [(*word).to_owned(), format!("webhook.{word}")]);
    for (event_type, recorded) in types.chain(tests.map(|test| (test, "sender_test"))) {
        let world = with_ada();
        let record = sent(&world, with(a(), "event_type", json!(event_type)).to_string().as_bytes()).await;
        assert_eq!((&record["event"], &record["event_type"]), (&json!(recorded), &json!(event_type)));
        // Without anything else in it, too.
        let bare = json!({ "event_type": event_type.to_uppercase(), "data": null });
        assert_eq!(sent(&world, bare.to_string().as_bytes()).await["event"], recorded, "{bare}");
        assert_eq!(world.user("ada").attributes.len(), 1, "the sub alone: {event_type}");
        assert_eq!(world.dead_letter_reasons(), Vec::<String>::new(), "{event_type}");
        assert_eq!(world.audit.all().len(), 2, "one record each: {event_type}");
    }
    // A revoked session is not approved again by the deletion of its data.
    let world = with_ada();
    for callback in [
        a(),
        other("declined", "ada", "evt_2", 20),
        with(approval("ada", "evt_3", 30), "event_type", json!("verification.redacted")),
    ] {
        sent(&world, callback.to_string().as_bytes()).await;
    }
    assert_eq!(world.attribute("ada", "idv_status").as_deref(), Some("declined"));
    // A sender's test in no form of ours.
    for body in [r#"{"type":"ping"}"#, r#"{"event":"webhook.test","id":1}"#] {
        assert_eq!(sent(&with_ada(), body.as_bytes()).await["event"], "sender_test", "{body}");
    }
}

/// Somebody who is under way wakes nobody, whoever they are.
#[tokio::test(start_paused = true)]
async fn progress_wakes_nobody() {
    let begun = || other("started", "ada", "evt_1", 10);
    for (body, recorded, settled) in [
        (begun(), "accepted", Some("recorded")),
        (with(begun(), "event_type", json!("verification.started")), "accepted", Some("recorded")),
        (
            without(with(begun(), "event_type", json!("session.created")), "status"),
            "accepted",
            Some("recorded"),
        ),
        // The state that the session is in by the time of sending is no result of a "created".
        (with(a(), "event_type", json!("verification.created")), "accepted", Some("recorded")),
        (with(begun(), "event_type", json!("verification.reopened")), "accepted", Some("recorded")),
        (with_metadata(begun(), "cognito_username", json!("nobody")), "accepted", Some("unclaimed")),
        (with_metadata(begun(), "binding", json!("b1.1.x")), "accepted", Some("unclaimed")),
        (without(begun(), "metadata"), "ignored", None),
        (without(begun(), "occurred_at"), "ignored", None),
    ] {
        let world = with_ada();
        let record = sent(&world, body.to_string().as_bytes()).await;
        assert_eq!(record["event"], recorded, "{body}");
        if let Some(settled) = settled {
            assert_eq!(world.audit.last()["event"], settled, "{body}");
        }
        assert_eq!(world.dead_letter_reasons(), Vec::<String>::new(), "{body}");
        assert_eq!(world.user("ada").status, "UNCONFIRMED");
    }
}

/// A type and a status that cannot both be true: neither is believed, and a "no" is not dropped for a "under way".
#[tokio::test(start_paused = true)]
async fn a_type_and_a_status_that_contradict_go_to_a_person() {
    for (event_type, status) in [
        ("verification.processing", "declined"),
        ("verification.approved", "declined"),
        ("verification.declined", "approved"),
        ("verification.expired", "approved"),
    ] {
        let world = with_ada();
        let body = with(with(a(), "event_type", json!(event_type)), "status", json!(status));
        let record = sent(&world, body.to_string().as_bytes()).await;
        assert_eq!(record["detail"], "event_type:ambiguous", "{body}");
        assert_eq!(world.user("ada").status, "UNCONFIRMED", "{body}");
        assert_eq!(world.dead_letter_reasons(), ["unreadable"], "{body}");
    }
}

/// A type that is in no table goes to a person, who says what becomes of such events; then it is sent back.
#[tokio::test(start_paused = true)]
async fn an_event_type_that_is_not_known_is_named_and_one_setting_takes_it_in() {
    let reopened = || with(a(), "event_type", json!("verification.reopened"));
    for (setting, event, status) in [
        (None, "quarantined", "UNCONFIRMED"),
        (Some("Verification.Reopened=result"), "applied", "CONFIRMED"),
        (Some("verification.reopened=ignore"), "skipped", "UNCONFIRMED"),
    ] {
        let mut world = with_ada();
        sent(&world, reopened().to_string().as_bytes()).await;
        let died = world.audit.last();
        assert_eq!((&died["event"], &died["reason"]), (&json!("quarantined"), &json!("unknown_event_type")));
        assert_eq!(died["detail"], "event_type:unknown:verification.reopened");
        let letter = world.queues.dead_letters.messages().remove(0);
        world.policy.event_types = setting.map(|text| EventTypes::parse(text).unwrap()).unwrap_or_default();
        tokio::time::advance(Duration::from_secs(301)).await;
        send_back(&world, &letter.body, &letter.group_id).await;
        world.settle().await;
        assert_eq!(world.audit.last()["event"], event, "{setting:?}");
        assert_eq!(world.user("ada").status, status, "{setting:?}");
        // Set, the front door knows it at once.
        if setting.is_some_and(|setting| setting.ends_with("ignore")) {
            assert_eq!(sent(&world, reopened().to_string().as_bytes()).await["event"], "ignored");
        }
    }
    // Without a whole result in it, it is named all the same.
    let world = with_ada();
    let record = sent(&world, br#"{"event_type":"account.linked","event_id":"evt_9"}"#).await;
    assert_eq!(record["detail"], "event_type:unknown:account.linked");
    assert_eq!(world.dead_letter_reasons(), ["unknown_event_type"]);
}

/// Sends a message as an operator's tool sends a dead letter back.
async fn send_back(world: &World, body: &str, group_id: &str) {
    let message = OutgoingMessage {
        body: body.to_owned(),
        group_id: group_id.to_owned(),
        deduplication_id: format!("again-{}", Clock::now(&world.clock).unix_millis()),
        attributes: BTreeMap::new(),
    };
    world.queues.callbacks.send(message).await.unwrap();
}

/// A body that an older version could not read is read once more when it is sent back: in its user's group, where it meets no
/// other event of theirs, and nowhere else.
#[tokio::test(start_paused = true)]
async fn a_body_that_can_be_read_now_is_settled_when_it_is_sent_back() {
    let world = with_ada();
    let body = with(a(), "aal", json!("")).to_string().into_bytes();
    let received_at = Clock::now(&world.clock);
    let envelope = Envelope {
        received_at,
        key_id: "wh-1".to_owned(),
        body_sha256: BodyDigest::of(&body),
        trace_id: None,
        content: Content::Unreadable { body, message_id: None, problem: "aal:malformed".to_owned() },
    };
    let sealed = envelope.seal(&ring().seal[0]).unwrap();
    let group = group_id(&UserReference {
        pool: PoolId::new(POOL).unwrap(),
        username: Username::new("ada").unwrap(),
    });
    for (group, event, status) in
        [(envelope.group_id(), "quarantined", "UNCONFIRMED"), (group, "applied", "CONFIRMED")]
    {
        send_back(&world, &sealed, &group).await;
        world.settle().await;
        let record = world.audit.last();
        assert_eq!((&record["event"], world.user("ada").status), (&json!(event), status));
        assert_eq!(record["receipt_id"], envelope.receipt_id().as_str(), "the thread is one");
        tokio::time::advance(Duration::from_secs(1)).await;
    }
}

/// An event id, a message id and a session id may be a UUID, a URN, a DID or base64.
#[tokio::test(start_paused = true)]
async fn ids_may_be_of_any_form_that_senders_use() {
    for id in ["urn:uuid:0f8fad5b", "did:web:a/b#1", "YWJj+/==", "evt~1", "a.b", &"x".repeat(256)] {
        let world = with_ada();
        let message_id = id.replace('.', "-");
        let body = with(a(), "event_id", json!(id)).to_string();
        let answer =
            world.intake().answer(&world.signed(&message_id, body.as_bytes()), world.deadline(10)).await;
        assert_eq!(answer.status, 202, "{id}");
        world.settle().await;
        assert_eq!(world.user("ada").status, "CONFIRMED", "{id}");
    }
}

/// The tables of SENDERS.md are those of the code.
#[test]
fn the_readme_has_the_tables_of_the_code() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("SENDERS.md")).unwrap();
    let code = |words: &[&str]| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" ");
    let mut lines = Vec::new();
    for field in PAYLOAD_FIELDS {
        let names: Vec<_> = std::iter::once(&field.name).chain(field.aliases).copied().collect();
        lines.push(format!("| {} | {} | {} |", code(&names), field.required, field.holds));
    }
    for (status, words) in Status::ALL.iter().map(|status| (*status, status.words())) {
        let meaning = match status {
            Status::Approved => "approved",
            Status::Declined => "declined",
            Status::Expired => "expired",
            Status::Abandoned => "abandoned",
            Status::InReview => "in review",
            Status::InProgress => "in progress",
        };
        lines.push(format!("| {meaning} | {} |", code(words)));
    }
    lines.push(format!(
        "| a result | one of {} or nothing, then one of {} or a status word |",
        code(&SUBJECTS_OF_RESULTS),
        code(&RESULT_WORDS)
    ));
    lines.push(format!("| no result | anything, then one of {} |", code(&ADMINISTRATIVE_WORDS)));
    lines.push(format!(
        "| a sender's test | one of {}, alone or beside `webhook`, `endpoint` and the like |",
        code(&TEST_WORDS)
    ));
    for line in &lines {
        assert!(page.lines().any(|held| held == line), "SENDERS.md lacks:\n{}", lines.join("\n"));
    }
}
