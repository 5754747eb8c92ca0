//! The decision table, row by row, through queue and consumer: what is written, what is not, and how it is recorded.

use std::collections::BTreeMap;

use idv_callback::assurance::QuarantineReason;
use idv_callback::binding::Binding;
use idv_callback::verification::{AssuranceLevel, PoolId, UserReference, Username};
use serde_json::{Value, json};

use crate::support::world::{POOL, World, approval, other, ring, with, with_metadata};

/// Sends each of the callbacks and settles it; gives the world after, with user ada signed up.
async fn after(callbacks: &[Value]) -> World {
    let world = World::new();
    world.sign_up("ada", &[]);
    play(&world, callbacks).await;
    world
}

async fn play(world: &World, callbacks: &[Value]) {
    for callback in callbacks {
        assert_eq!(world.post(callback).await.status, 202);
        assert_eq!(world.settle().await, Vec::<String>::new(), "{:?}", world.audit.last());
    }
}

/// The custom attributes of ada, without their prefix.
fn attributes(world: &World) -> BTreeMap<String, String> {
    let all = world.user("ada").attributes.into_iter();
    all.filter_map(|(name, value)| Some((name.strip_prefix("custom:")?.to_owned(), value))).collect()
}

fn in_session(callback: Value, session: &str) -> Value {
    with(callback, "session_id", json!(session))
}

/// An approval that does not reach the policy.
fn weak(event_id: &str, at: u32) -> Value {
    with(approval("ada", event_id, at), "liveness_verified", json!(false))
}

#[tokio::test(start_paused = true)]
async fn an_approval_writes_everything_and_confirms() {
    let world = after(&[approval("ada", "evt_1", 0)]).await;
    assert_eq!(world.user("ada").status, "CONFIRMED");
    let attributes = attributes(&world);
    let receipt = attributes["idv_receipt"].split(' ').collect::<Vec<_>>();
    assert_eq!(receipt[..3], ["1", "2026-11-22T09:00:00.000Z", "evt_1"]);
    assert_eq!(receipt[3], world.audit.last()["body_sha256"].as_str().unwrap());
    for (name, value) in [
        ("blockid_sub", "did:blockid:ada"),
        ("ial", "2"),
        ("aal", "2"),
        ("idv_status", "approved"),
        ("idv_proofed_at", "2026-11-22T09:00:00.000Z"),
        ("idv_expires_at", "2030-01-01T00:00:00.000Z"),
        ("idv_session", "vs_1"),
        ("idv_evidence", "drivers_license"),
        ("idv_framework", "nist_800_63A-3"),
    ] {
        assert_eq!(attributes[name], value, "{name}");
    }
    assert_eq!(attributes.len(), 11);
    let record = world.audit.last();
    assert_eq!(
        (&record["ial_before"], &record["ial_after"], &record["confirmed"]),
        (&json!(0), &json!(2), &json!(true))
    );
    assert!(!world.user("ada").attributes.contains_key("email_verified"));
}

/// Each row: what came before, what comes now, how it ends, the user's status, `idv_status`, `ial`, `idv_session`.
#[tokio::test(start_paused = true)]
async fn every_rule_of_the_table() {
    type Row = (&'static str, Vec<Value>, Value, &'static str, Option<[&'static str; 4]>);
    let approved = || approval("ada", "evt_1", 10);
    let now = |status: &str| other(status, "ada", "evt_2", 20);
    let table: Vec<Row> = vec![
        ("declined", vec![], now("declined"), "recorded", Some(["UNCONFIRMED", "declined", "-", "vs_1"])),
        ("expired", vec![], now("expired"), "recorded", Some(["UNCONFIRMED", "expired", "-", "vs_1"])),
        ("abandoned", vec![], now("abandoned"), "recorded", Some(["UNCONFIRMED", "abandoned", "-", "vs_1"])),
        ("in review", vec![], now("in_review"), "recorded", Some(["UNCONFIRMED", "in_review", "-", "vs_1"])),
        (
            "no liveness",
            vec![],
            weak("evt_2", 20),
            "insufficient",
            Some(["UNCONFIRMED", "insufficient", "-", "vs_1"]),
        ),
        (
            "no match",
            vec![],
            with(approval("ada", "evt_2", 20), "match_result", json!(false)),
            "insufficient",
            Some(["UNCONFIRMED", "insufficient", "-", "vs_1"]),
        ),
        (
            "level too low",
            vec![],
            with(approval("ada", "evt_2", 20), "ial", json!(1)),
            "insufficient",
            Some(["UNCONFIRMED", "insufficient", "-", "vs_1"]),
        ),
        (
            "validity over",
            vec![],
            with(approval("ada", "evt_2", 20), "expires_at", json!("2026-11-22T09:59:59Z")),
            "insufficient",
            Some(["UNCONFIRMED", "insufficient", "-", "vs_1"]),
        ),
        (
            "another session ran out after declined",
            vec![other("declined", "ada", "evt_1", 10)],
            in_session(now("expired"), "vs_2"),
            "noted",
            Some(["UNCONFIRMED", "declined", "-", "vs_1"]),
        ),
        (
            "another session was left after reversed",
            vec![approved(), other("declined", "ada", "evt_1b", 15)],
            in_session(now("abandoned"), "vs_2"),
            "noted",
            Some(["CONFIRMED", "declined", "0", "vs_1"]),
        ),
        (
            "the same session ran out after declined",
            vec![other("declined", "ada", "evt_1", 10)],
            now("expired"),
            "noted",
            Some(["UNCONFIRMED", "declined", "-", "vs_1"]),
        ),
        (
            "approved after declined",
            vec![other("declined", "ada", "evt_1", 10)],
            approval("ada", "evt_2", 20),
            "applied",
            Some(["CONFIRMED", "approved", "2", "vs_1"]),
        ),
        (
            "a newer approval replaces",
            vec![approved()],
            in_session(with(approval("ada", "evt_2", 20), "ial", json!(3)), "vs_2"),
            "applied",
            Some(["CONFIRMED", "approved", "3", "vs_2"]),
        ),
        (
            "older",
            vec![approved()],
            other("declined", "ada", "evt_0", 9),
            "superseded",
            Some(["CONFIRMED", "approved", "2", "vs_1"]),
        ),
        (
            "same time, lesser id",
            vec![approved()],
            other("declined", "ada", "evt_0", 10),
            "revoked",
            Some(["CONFIRMED", "declined", "0", "vs_1"]),
        ),
        (
            "same time, greater id",
            vec![approved()],
            other("declined", "ada", "evt_2", 10),
            "revoked",
            Some(["CONFIRMED", "declined", "0", "vs_1"]),
        ),
        (
            "reversed",
            vec![approved()],
            now("declined"),
            "revoked",
            Some(["CONFIRMED", "declined", "0", "vs_1"]),
        ),
        (
            "reversed by approving to less",
            vec![approved()],
            weak("evt_2", 20),
            "revoked",
            Some(["CONFIRMED", "insufficient", "0", "vs_1"]),
        ),
        (
            "expired later",
            vec![approved()],
            now("expired"),
            "noted",
            Some(["CONFIRMED", "approved", "2", "vs_1"]),
        ),
        (
            "abandoned later",
            vec![approved()],
            now("abandoned"),
            "noted",
            Some(["CONFIRMED", "approved", "2", "vs_1"]),
        ),
        (
            "in review later",
            vec![approved()],
            now("in_review"),
            "noted",
            Some(["CONFIRMED", "approved", "2", "vs_1"]),
        ),
        (
            "second attempt declined",
            vec![approved()],
            in_session(now("declined"), "vs_2"),
            "noted",
            Some(["CONFIRMED", "approved", "2", "vs_1"]),
        ),
        (
            "second attempt insufficient",
            vec![approved()],
            in_session(weak("evt_2", 20), "vs_2"),
            "noted",
            Some(["CONFIRMED", "approved", "2", "vs_1"]),
        ),
        (
            "approved again after reversed",
            vec![approved(), other("declined", "ada", "evt_1b", 15)],
            approval("ada", "evt_2", 20),
            "applied",
            Some(["CONFIRMED", "approved", "2", "vs_1"]),
        ),
        (
            "declined after reversed",
            vec![approved(), other("declined", "ada", "evt_1b", 15)],
            in_session(now("declined"), "vs_2"),
            "recorded",
            Some(["CONFIRMED", "declined", "0", "vs_2"]),
        ),
        (
            "somebody else",
            vec![approved()],
            with(approval("ada", "evt_2", 20), "blockid_sub", json!("did:other")),
            "subject_conflict",
            Some(["CONFIRMED", "approved", "2", "vs_1"]),
        ),
        (
            "somebody else after reversed",
            vec![approved(), other("declined", "ada", "evt_1b", 15)],
            with(approval("ada", "evt_2", 20), "blockid_sub", json!("did:other")),
            "subject_conflict",
            Some(["CONFIRMED", "declined", "0", "vs_1"]),
        ),
        (
            "somebody else, insufficient",
            vec![approved()],
            with(weak("evt_2", 20), "blockid_sub", json!("did:other")),
            "subject_conflict",
            Some(["CONFIRMED", "approved", "2", "vs_1"]),
        ),
        (
            "same id, other body",
            vec![approved()],
            with(approval("ada", "evt_1", 20), "ial", json!(3)),
            "event_conflict",
            Some(["CONFIRMED", "approved", "2", "vs_1"]),
        ),
        (
            "another pool",
            vec![],
            with_metadata(approval("ada", "evt_2", 20), "cognito_user_pool", json!("us-east-1_Other")),
            "pool_not_allowed",
            None,
        ),
    ];
    for (name, before, now, ends, user) in table {
        let world = after(&before).await;
        play(&world, std::slice::from_ref(&now)).await;
        let record = world.audit.last();
        let ended = if record["event"] == "quarantined" { &record["reason"] } else { &record["event"] };
        assert_eq!(ended, ends, "{name}");
        let value = |attribute: &str| world.attribute("ada", attribute).unwrap_or_else(|| "-".to_owned());
        if let Some([status, idv_status, ial, session]) = user {
            assert_eq!(world.user("ada").status, status, "{name}");
            assert_eq!(
                [value("idv_status"), value("ial"), value("idv_session")],
                [idv_status, ial, session],
                "{name}"
            );
        }
        let moves_on =
            !matches!(ends, "superseded" | "subject_conflict" | "event_conflict" | "pool_not_allowed");
        assert_eq!(
            value("idv_receipt").contains(now["event_id"].as_str().unwrap()),
            moves_on || ends == "event_conflict",
            "{name}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_newer_approval_replaces_an_older_one_as_a_whole() {
    let mut bare = in_session(approval("ada", "evt_2", 20), "vs_2");
    for name in ["aal", "document_type", "framework", "expires_at"] {
        bare.as_object_mut().unwrap().remove(name);
    }
    let world = after(&[approval("ada", "evt_1", 10), bare]).await;
    let attributes = attributes(&world);
    assert_eq!(attributes.len(), 7, "nothing of the older approval stays: {attributes:?}");
    for gone in ["aal", "idv_evidence", "idv_framework", "idv_expires_at"] {
        assert!(!attributes.contains_key(gone), "{gone}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_type_of_evidence_that_is_no_word_is_not_stored() {
    for (told, stored) in [("dl_object", "drivers_license"), ("D1234567", "other"), ("passport", "passport")]
    {
        let world = after(&[with(approval("ada", "evt_1", 10), "document_type", json!(told))]).await;
        assert_eq!(attributes(&world)["idv_evidence"], stored);
    }
}

/// A redelivery after the deduplication window is a duplicate; and it heals a crash between writing and confirming.
#[tokio::test(start_paused = true)]
async fn a_duplicate_writes_nothing_and_confirms_who_was_left_unconfirmed() {
    let world = after(&[approval("ada", "evt_1", 10)]).await;
    tokio::time::advance(std::time::Duration::from_secs(301)).await;
    let before = attributes(&world);
    play(&world, &[approval("ada", "evt_1", 10)]).await;
    assert_eq!(world.audit.last()["event"], "duplicate");
    assert_eq!(world.audit.last()["confirmed"], false);
    assert_eq!(attributes(&world), before);

    // The attributes are there and the confirmation is not: a crash, or a dead letter. The approval itself confirms
    // when it comes again, also after something else was noted; nothing else does.
    let noted = after(&[approval("ada", "evt_1", 10), other("expired", "ada", "evt_9", 30)]).await;
    for (written, event, word, status) in [
        (before.clone(), approval("ada", "evt_1", 10), "duplicate", "CONFIRMED"),
        (self::attributes(&noted), approval("ada", "evt_1", 10), "duplicate", "CONFIRMED"),
        (before.clone(), in_session(approval("ada", "evt_0", 5), "vs_0"), "noted", "UNCONFIRMED"),
        (before.clone(), other("declined", "ada", "evt_0", 5), "superseded", "UNCONFIRMED"),
        (before.clone(), other("expired", "ada", "evt_10", 40), "noted", "UNCONFIRMED"),
    ] {
        let world = World::new();
        let written: Vec<_> = written.iter().map(|(n, v)| (format!("custom:{n}"), v.clone())).collect();
        let written: Vec<_> = written.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        world.sign_up("ada", &written);
        play(&world, &[event]).await;
        assert_eq!((world.audit.last()["event"].as_str(), world.user("ada").status), (Some(word), status));
    }
}

/// What is there and malformed is not what is missing, and a pool that is none is not one of ours.
#[tokio::test(start_paused = true)]
async fn malformed_references_have_their_own_reasons() {
    let bound = |binding: Value| with_metadata(approval("ada", "evt_1", 10), "binding", binding);
    let in_pool = |pool: &str| with_metadata(approval("ada", "evt_1", 10), "cognito_user_pool", json!(pool));
    for (required, callback, reason) in [
        (true, bound(json!("")), Some("binding_missing")),
        (false, bound(json!("")), None),
        (true, bound(json!("not a token")), Some("binding_mismatch")),
        (false, bound(json!(7)), Some("binding_mismatch")),
        (false, in_pool("other-pool"), Some("pool_not_allowed")),
    ] {
        let mut world = World::new();
        world.policy.binding_required = required;
        world.sign_up("ada", &[]);
        play(&world, &[callback]).await;
        assert_eq!(world.dead_letter_reasons(), reason.into_iter().collect::<Vec<_>>());
    }
    // Without binding keys nobody can tell; where bindings are optional, that is as if there were none.
    let world = World::new();
    let mut ring: Value = serde_json::from_str(crate::support::world::RING).unwrap();
    ring["binding"] = json!([]);
    world.keys.store.replace(ring.to_string());
    world.sign_up("ada", &[]);
    play(&world, &[bound(json!("b1.1.x"))]).await;
    assert_eq!(world.user("ada").status, "CONFIRMED");
}

#[tokio::test(start_paused = true)]
async fn optional_fields_in_unusual_forms_do_not_cost_an_approval() {
    let callback = with(approval("ada", "evt_1", 10), "framework", json!("NIST SP 800-63A rev 3"));
    let world = after(&[with(callback, "expires_at", json!("2030-01-01"))]).await;
    assert_eq!(attributes(&world)["idv_framework"], "NIST SP 800-63A rev 3");
    assert_eq!(attributes(&world)["idv_expires_at"], "2030-01-01T00:00:00.000Z");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_this_system_never_wrote_is_not_built_upon() {
    for (name, value) in [
        ("custom:idv_receipt", "2 x"),
        ("custom:idv_receipt", "1 2026-11-22T09:00:00.000Z evt_1 00"),
        ("custom:ial", "9"),
        ("custom:ial", "IAL2"),
        ("custom:idv_status", "verified"),
        ("custom:blockid_sub", "a b"),
    ] {
        let world = World::new();
        world.sign_up("ada", &[(name, value)]);
        play(&world, &[approval("ada", "evt_1", 10)]).await;
        assert_eq!(world.dead_letter_reasons(), ["record_unreadable"], "{name}={value}");
        assert_eq!(world.user("ada").status, "UNCONFIRMED");
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_an_alias_is_not_the_user() {
    let world = World::new();
    let user = world.sign_up("ada", &[("email", "ada@example.com"), ("email_verified", "true")]);
    for name in ["ada@example.com", user.attributes["sub"].as_str()] {
        play(&world, &[approval(name, &format!("evt_{}", name.len()), 10)]).await;
        assert_eq!(world.audit.last()["reason"], "username_alias");
    }
    assert_eq!(world.user("ada").status, "UNCONFIRMED");
    // Pools compare names without case: that is the same name.
    play(&world, &[approval("ADA", "evt_3", 10)]).await;
    assert_eq!(world.user("ada").status, "CONFIRMED");
}

#[tokio::test(start_paused = true)]
async fn a_binding_holds_for_the_user_that_was_created_with_it() {
    let token = |world: &World, username: &str| {
        let pool = PoolId::new(POOL).unwrap();
        let user = UserReference { pool, username: Username::new(username).unwrap() };
        let clock = idv_callback::ports::Clock::now(&world.clock);
        Binding::issue(&ring().binding[0], &user, clock, None).unwrap().as_str().to_owned()
    };
    let bound = |token: &str| with_metadata(approval("ada", "evt_1", 10), "binding", json!(token));
    let world_where = |required: bool| {
        let mut world = World::new();
        world.policy.binding_required = required;
        world
    };

    for required in [true, false] {
        let world = world_where(required);
        let ada = token(&world, "ada");
        tokio::time::advance(std::time::Duration::from_secs(20)).await;
        world.sign_up("ada", &[]);
        play(&world, &[bound(&ada)]).await;
        assert_eq!(world.user("ada").status, "CONFIRMED", "required: {required}");

        for (name, forged) in
            [("for bob", token(&world, "bob")), ("garbled", "b1.1.00".to_owned()), ("other", "x".to_owned())]
        {
            let world = world_where(required);
            world.sign_up("ada", &[]);
            play(&world, &[bound(&forged)]).await;
            assert_eq!(world.dead_letter_reasons(), ["binding_mismatch"], "{name}");
        }

        // The name was deleted, and somebody else took it.
        let world = world_where(required);
        let first = token(&world, "ada");
        world.sign_up("ada", &[]);
        world.pool.admin_delete_user("ada").unwrap();
        tokio::time::advance(std::time::Duration::from_secs(76)).await;
        world.sign_up("ada", &[]);
        play(&world, &[bound(&first)]).await;
        assert_eq!(world.dead_letter_reasons(), ["binding_mismatch"]);
        assert_eq!(world.user("ada").status, "UNCONFIRMED");
    }

    let world = world_where(true);
    world.sign_up("ada", &[]);
    play(&world, &[approval("ada", "evt_1", 10)]).await;
    assert_eq!(world.dead_letter_reasons(), ["binding_missing"]);

    // A session that was opened for a name which was taken, or whose sign-up was given up, runs out: nobody is to be told, and
    // nothing is wrong. What somebody went through to its end is for a person to look at, and so is what we did not open.
    let ran_out = |status: &str, id: &str, token: &str| {
        with_metadata(other(status, "ada", id, 10), "binding", json!(token))
    };
    for taken in [true, false] {
        let world = world_where(true);
        let given_up = token(&world, "ada");
        tokio::time::advance(std::time::Duration::from_secs(76)).await;
        if taken {
            world.sign_up("ada", &[("email", "ada@example.com"), ("email_verified", "true")]);
        }
        let aliased = with_metadata(
            ran_out("expired", "evt_a", &token(&world, "ada@example.com")),
            "cognito_username",
            json!("ada@example.com"),
        );
        for callback in
            [ran_out("expired", "evt_1", &given_up), ran_out("abandoned", "evt_2", &given_up), aliased]
        {
            play(&world, &[callback]).await;
            let record = world.audit.last();
            assert_eq!(
                (&record["event"], &record["user"]),
                (&json!("unclaimed"), &Value::Null),
                "taken: {taken}"
            );
        }
        assert_eq!(world.dead_letter_reasons(), Vec::<String>::new());
        if taken {
            assert_eq!(attributes(&world), BTreeMap::new());
            play(&world, &[ran_out("declined", "evt_3", &given_up)]).await;
            play(&world, &[ran_out("expired", "evt_4", "b1.1.00")]).await;
            assert_eq!(world.dead_letter_reasons(), ["binding_mismatch", "binding_mismatch"]);
            // Their own session, which ran out, is told to them.
            play(&world, &[ran_out("expired", "evt_5", &token(&world, "ada"))]).await;
            assert_eq!(attributes(&world)["idv_status"], "expired");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_policy_sets_the_least_level() {
    for (minimum, outcome) in [(1, "applied"), (2, "applied"), (3, "insufficient")] {
        let mut world = World::new();
        world.policy.minimum_ial = AssuranceLevel::new(minimum).unwrap();
        world.sign_up("ada", &[]);
        play(&world, &[approval("ada", "evt_1", 10)]).await;
        assert_eq!(world.audit.last()["event"], outcome);
    }
}

#[test]
fn no_two_reasons_share_a_code() {
    let codes: std::collections::BTreeSet<_> =
        QuarantineReason::ALL.iter().map(|reason| reason.code()).collect();
    assert_eq!(codes.len(), QuarantineReason::ALL.len());
}
