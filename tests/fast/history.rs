//! What is remembered of past sessions: clocks that are ahead, records of an earlier version, pools without the attribute,
//! attributes in another case, and what does not fit any more.

use std::time::Duration;

use idv_callback::assurance::{AttributeChange, History, UserRecord, names};
use idv_callback::audit::ChangeCall;
use idv_callback::binding::Binding;
use idv_callback::envelope::Envelope;
use idv_callback::ports::{Clock, DirectoryError, Fault, Person, UserDirectory};
use idv_callback::proofing::Claim;
use idv_callback::verification::{PoolId, UserReference, Username};
use idvctl::embedded::UserPool;
use idvctl::ports::MessageSource as _;
use serde_json::{Value, json};

use crate::support::world::{POOL, TestClock, World, approval, other, ring, with, with_metadata};

fn of(session: &str, callback: Value) -> Value {
    with(callback, "session_id", json!(session))
}

/// Sends a callback and settles it; gives the word of the record, or the reason of the quarantine.
async fn settled(world: &World, callback: &Value) -> String {
    assert_eq!(world.post(callback).await.status, 202);
    assert_eq!(world.settle().await, Vec::<String>::new(), "{:?}", world.audit.last());
    let record = world.audit.last();
    let word = if record["event"] == "quarantined" { &record["reason"] } else { &record["event"] };
    word.as_str().unwrap().to_owned()
}

/// A user's status, `idv_status` and level.
fn standing(world: &World) -> [String; 3] {
    let attribute = |name: &str| world.attribute("ada", name).unwrap_or_else(|| "-".to_owned());
    [world.user("ada").status.to_owned(), attribute("idv_status"), attribute("ial")]
}

fn with_ada(attributes: &[(&str, &str)]) -> World {
    let world = World::new();
    world.sign_up("ada", attributes);
    world
}

/// A clock that is ahead, or in another zone, silences nothing that comes later; and the same event again, when its time has
/// come, is no new approval.
#[tokio::test(start_paused = true)]
async fn what_is_dated_ahead_counts_as_the_moment_of_its_first_receipt() {
    let world = with_ada(&[]);
    let ahead = with(approval("ada", "evt_1", 0), "occurred_at", json!("2026-11-23T09:54:00Z"));
    assert_eq!(settled(&world, &ahead).await, "applied");
    assert_eq!(world.attribute("ada", "idv_proofed_at").as_deref(), Some("2026-11-22T10:00:00.000Z"));
    world.clock_forward(3600).await;
    let denied = with(other("declined", "ada", "evt_2", 0), "occurred_at", json!("2026-11-22T11:00:00Z"));
    assert_eq!(settled(&world, &denied).await, "revoked");
    for hours in [1, 23, 24] {
        world.clock_forward(hours * 3600).await;
        assert_eq!(settled(&world, &ahead).await, "duplicate", "after {hours} h");
        assert_eq!(standing(&world), ["CONFIRMED", "declined", "0"]);
    }
    // Another event, dated right, is a new approval.
    let newer = with(approval("ada", "evt_3", 0), "occurred_at", json!("2026-11-24T09:00:00Z"));
    assert_eq!(settled(&world, &newer).await, "applied");
}

/// A validity that ends between two deliveries of one event takes nothing away: the event was known.
#[tokio::test(start_paused = true)]
async fn a_repetition_after_the_end_of_validity_is_a_repetition() {
    let world = with_ada(&[]);
    let short = with(approval("ada", "evt_1", 0), "expires_at", json!("2026-11-22T10:30:00Z"));
    assert_eq!(settled(&world, &short).await, "applied");
    world.clock_forward(3600).await;
    assert_eq!(settled(&world, &short).await, "duplicate");
    assert_eq!(standing(&world), ["CONFIRMED", "approved", "2"]);
    let late = with(approval("ada", "evt_2", 60), "expires_at", json!("2026-11-22T10:30:00Z"));
    assert_eq!(settled(&world, &of("vs_2", late)).await, "noted");
    let over = with(approval("ada", "evt_3", 120), "expires_at", json!("2026-11-22T10:30:00Z"));
    assert_eq!(
        settled(&world, &over).await,
        "revoked",
        "of the session that gave the approval it is a denial"
    );
    assert_eq!(world.audit.last()["reason"], "validity_over");
}

/// The same id with members that nobody reads is the same event; with others it is a contradiction, whenever it comes.
#[tokio::test(start_paused = true)]
async fn an_event_is_known_by_what_it_says() {
    let world = with_ada(&[]);
    let first = approval("ada", "evt_1", 10);
    assert_eq!(settled(&world, &first).await, "applied");
    assert_eq!(settled(&world, &with(first.clone(), "attempt", json!(2))).await, "duplicate");
    assert_eq!(settled(&world, &of("vs_2", other("expired", "ada", "evt_2", 20))).await, "noted");
    assert_eq!(settled(&world, &with(first.clone(), "attempt", json!(3))).await, "duplicate", "also later");
    for other in [
        with(first.clone(), "ial", json!(3)),
        with(first.clone(), "expires_at", json!("2031-01-01T00:00:00Z")),
        of("vs_2", first.clone()),
        other("declined", "ada", "evt_1", 10),
        approval("ada", "evt_1", 11),
    ] {
        assert_eq!(settled(&world, &other).await, "event_conflict", "{other}");
    }
    assert_eq!(standing(&world), ["CONFIRMED", "approved", "2"]);
    // The same words about somebody else are another event, too.
    let elsewhere = with(first, "blockid_sub", json!("did:blockid:eve"));
    assert_eq!(settled(&world, &elsewhere).await, "event_conflict");
}

/// What an earlier version wrote goes on from where it stands. What it may have forgotten goes to a person.
#[tokio::test(start_paused = true)]
async fn records_of_an_earlier_version_are_read() {
    let receipt =
        |at: u32, id: &str| format!("1 {} {id} {}", crate::support::world::occurred_at(at), "0".repeat(64));
    let approved = |noted: u32| {
        let id = if noted == 10 { "evt_1" } else { "evt_9" };
        vec![
            ("custom:blockid_sub", "did:blockid:ada".to_owned()),
            ("custom:ial", "2".to_owned()),
            ("custom:idv_status", "approved".to_owned()),
            ("custom:idv_proofed_at", crate::support::world::occurred_at(10)),
            ("custom:idv_session", "vs_1".to_owned()),
            ("custom:idv_receipt", receipt(noted, id)),
        ]
    };
    let stands = |status: &str, at: u32| {
        vec![
            ("custom:idv_status", status.to_owned()),
            ("custom:idv_session", "vs_1".to_owned()),
            ("custom:idv_receipt", receipt(at, "evt_1")),
        ]
    };
    let mut revoked = approved(10);
    revoked[1].1 = "0".to_owned();
    revoked[2].1 = "declined".to_owned();
    revoked[5].1 = receipt(20, "evt_2");
    let approval_of = |session: &str, id: &str, at: u32| of(session, approval("ada", id, at));
    let no_of = |session: &str, id: &str, at: u32| of(session, other("declined", "ada", id, at));
    let rows: Vec<(&str, Vec<(&str, String)>, Value, &str, &str)> = vec![
        ("the approval again", approved(10), approval_of("vs_1", "evt_1", 10), "duplicate", "approved"),
        ("a denial in the same instant", approved(10), no_of("vs_1", "evt_2", 10), "revoked", "declined"),
        (
            "a denial after something was noted",
            approved(30),
            no_of("vs_1", "evt_2", 20),
            "revoked",
            "declined",
        ),
        ("a denial from before", approved(10), no_of("vs_1", "evt_0", 5), "superseded", "approved"),
        ("another session's denial", approved(10), no_of("vs_2", "evt_2", 20), "noted", "approved"),
        ("a newer approval", approved(10), approval_of("vs_2", "evt_2", 20), "applied", "approved"),
        ("an older approval", approved(10), approval_of("vs_2", "evt_0", 5), "noted", "approved"),
        (
            "an approval after reversed",
            revoked.clone(),
            approval_of("vs_1", "evt_3", 30),
            "applied",
            "approved",
        ),
        ("an older approval after reversed", revoked, approval_of("vs_2", "evt_0", 5), "noted", "declined"),
        (
            "approved after declined",
            stands("declined", 10),
            approval_of("vs_1", "evt_2", 20),
            "applied",
            "approved",
        ),
        (
            "approved before what came last",
            stands("declined", 10),
            approval_of("vs_1", "evt_2", 9),
            "session_forgotten",
            "declined",
        ),
        (
            "approved before its session ran out: that may have been written over a denial",
            stands("expired", 10),
            approval_of("vs_1", "evt_2", 9),
            "session_forgotten",
            "expired",
        ),
        (
            "approved, of a session that nobody remembers",
            stands("expired", 10),
            approval_of("vs_0", "evt_2", 9),
            "session_forgotten",
            "expired",
        ),
        (
            "in review, of such a session",
            stands("expired", 10),
            of("vs_0", other("in_review", "ada", "evt_2", 9)),
            "session_forgotten",
            "expired",
        ),
        (
            "a denial of such a session",
            stands("expired", 10),
            no_of("vs_0", "evt_2", 9),
            "recorded",
            "declined",
        ),
        (
            "approved, newer than all that",
            stands("expired", 10),
            approval_of("vs_0", "evt_2", 11),
            "applied",
            "approved",
        ),
        (
            "approved in the same instant as in review",
            stands("in_review", 10),
            approval_of("vs_1", "evt_2", 10),
            "applied",
            "approved",
        ),
        (
            "the same id, another status",
            stands("in_review", 10),
            no_of("vs_1", "evt_1", 10),
            "event_conflict",
            "in_review",
        ),
    ];
    for (name, attributes, callback, ends, status) in rows {
        let attributes: Vec<_> = attributes.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let world = with_ada(&attributes);
        assert_eq!(settled(&world, &callback).await, ends, "{name}");
        assert_eq!(world.attribute("ada", "idv_status").as_deref(), Some(status), "{name}");
    }
}

/// An approval that an earlier version took in from a clock that was ahead silences no denial.
#[tokio::test(start_paused = true)]
async fn an_approval_dated_ahead_by_an_earlier_version_can_be_taken_back() {
    let ahead = "2026-11-23T09:54:00.000Z";
    let receipt = format!("1 {ahead} evt_1 {}", "0".repeat(64));
    let world = with_ada(&[
        ("custom:blockid_sub", "did:blockid:ada"),
        ("custom:ial", "2"),
        ("custom:idv_status", "approved"),
        ("custom:idv_proofed_at", ahead),
        ("custom:idv_session", "vs_1"),
        ("custom:idv_receipt", &receipt),
    ]);
    let denied = with(other("declined", "ada", "evt_2", 0), "occurred_at", json!("2026-11-22T09:59:58Z"));
    assert_eq!(settled(&world, &denied).await, "revoked");
    assert_eq!(standing(&world)[1..], ["declined".to_owned(), "0".to_owned()]);
}

/// An earlier version that was at work in between (a deployment that was rolled back) leaves a receipt that the history does not
/// end with: what it wrote is added.
#[tokio::test(start_paused = true)]
async fn what_an_earlier_version_wrote_in_between_is_added() {
    let world = with_ada(&[]);
    assert_eq!(settled(&world, &approval("ada", "evt_1", 10)).await, "applied");
    let receipt = format!("1 {} evt_2 {}", crate::support::world::occurred_at(20), "0".repeat(64));
    let written =
        [("custom:idv_status", "declined"), ("custom:ial", "0"), ("custom:idv_receipt", receipt.as_str())];
    world.pool.admin_update_user_attributes("ada", &written).unwrap();
    // The denial that it took in stands against an approval from before, and for one from after.
    assert_eq!(settled(&world, &approval("ada", "evt_3", 15)).await, "session_forgotten");
    assert_eq!(settled(&world, &approval("ada", "evt_4", 25)).await, "applied");
}

/// A pool of an earlier version, which has no attribute for the history.
#[derive(Clone)]
struct WithoutHistory(UserPool<TestClock>);

impl UserDirectory for WithoutHistory {
    async fn find(&self, user: &UserReference) -> Result<Option<UserRecord>, DirectoryError> {
        self.0.find(user).await
    }

    async fn write(
        &self,
        user: &Person<'_>,
        changes: &[AttributeChange],
    ) -> Result<ChangeCall, DirectoryError> {
        if changes.iter().any(|change| change.name() == names::IDV_HISTORY) {
            let fault = Fault::new("AdminUpdateUserAttributes", "InvalidParameterException");
            return Err(DirectoryError::Misconfigured(fault));
        }
        self.0.write(user, changes).await
    }

    async fn confirm(&self, user: &Person<'_>) -> Result<ChangeCall, DirectoryError> {
        self.0.confirm(user).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_pool_of_an_earlier_version_goes_on_working_and_the_record_says_what_it_lacks() {
    let world = with_ada(&[]);
    for (callback, ends, status) in [
        (other("in_review", "ada", "evt_9", 10), "recorded", "in_review"),
        (approval("ada", "evt_1", 10), "applied", "approved"),
        (of("vs_2", other("expired", "ada", "evt_2", 200)), "noted", "approved"),
        (other("declined", "ada", "evt_3", 100), "revoked", "declined"),
    ] {
        world.post(&callback).await;
        let consumer = world.consumer_over(WithoutHistory(world.pool.clone()), world.queues.clone());
        assert_eq!(world.settle_with(&consumer, &world.receive().await).await, Vec::<String>::new());
        let record = world.audit.last();
        assert_eq!((&record["event"], &record["left_out"]), (&json!(ends), &json!(["custom:idv_history"])));
        assert_eq!(world.attribute("ada", "idv_status").as_deref(), Some(status), "{callback}");
    }
    assert_eq!(world.user("ada").status, "CONFIRMED");
}

/// Nothing hangs on the case of what Cognito gives back.
#[tokio::test(start_paused = true)]
async fn attributes_may_come_back_in_another_case() {
    for change in [str::to_lowercase, str::to_uppercase] {
        let world = with_ada(&[]);
        let shift = || {
            let user = world.user("ada");
            let custom = user.attributes.iter().filter(|(name, _)| name.starts_with("custom:"));
            let shifted: Vec<_> = custom.map(|(name, value)| (name.clone(), change(value))).collect();
            let shifted: Vec<_> =
                shifted.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            world.pool.admin_update_user_attributes("ada", &shifted).unwrap();
        };
        let a = |id: &str, at| {
            of("vs_Ab", with(approval("ada", id, at), "blockid_sub", json!("did:BlockID:Ada")))
        };
        for (callback, ends, standing_after) in [
            (a("Evt_1", 10), "applied", ["CONFIRMED", "approved", "2"]),
            (a("Evt_1", 10), "duplicate", ["CONFIRMED", "approved", "2"]),
            (of("vs_Ab", other("declined", "ada", "Evt_2", 10)), "revoked", ["CONFIRMED", "declined", "0"]),
            (a("Evt_3", 20), "applied", ["CONFIRMED", "approved", "2"]),
            (of("vs_Cd", other("declined", "ada", "Evt_4", 30)), "noted", ["CONFIRMED", "approved", "2"]),
        ] {
            tokio::time::advance(Duration::from_secs(301)).await;
            assert_eq!(settled(&world, &callback).await, ends, "{callback}");
            shift();
            let [status, idv_status, ial] = standing(&world);
            assert_eq!([status, idv_status.to_lowercase(), ial], standing_after, "{callback}");
        }
    }
}

/// Sessions that came to nothing make room for others; results and reviews never do. What does not fit fails closed.
#[tokio::test(start_paused = true)]
async fn what_does_not_fit_any_more_goes_to_a_person() {
    let uuid = |n: u32| format!("0f8fad5b-d9cb-469f-a165-{n:012}");
    // Sessions that ran out: any number of them.
    let world = with_ada(&[]);
    for n in 0..120 {
        let word = if n % 2 == 0 { "expired" } else { "abandoned" };
        let callback = of(&uuid(n), other(word, "ada", &format!("evt_{n}"), n + 100));
        assert_eq!(settled(&world, &callback).await, "recorded", "{n}");
    }
    let history = world.attribute("ada", "idv_history").unwrap();
    assert!(history.len() <= 2048 && History::parse(&history).is_some(), "{history}");
    // A review of one that is forgotten may be over; its approval, newer than all that, is as good as any.
    let review = |id: &str, at| of(&uuid(0), other("in_review", "ada", id, at));
    assert_eq!(settled(&world, &review("evt_a", 99)).await, "session_forgotten");
    assert_eq!(settled(&world, &of(&uuid(1), approval("ada", "evt_b", 101))).await, "session_forgotten");
    assert_eq!(settled(&world, &review("evt_c", 300)).await, "recorded");
    assert_eq!(settled(&world, &of(&uuid(1), approval("ada", "evt_d", 301))).await, "applied");

    // Sessions with a denial: some thirty, then it is for a person to say.
    let world = with_ada(&[]);
    let mut fitted = 0;
    let full = loop {
        let callback =
            of(&uuid(fitted), with(approval("ada", &format!("evt_{fitted}"), fitted), "ial", json!(1)));
        match settled(&world, &callback).await.as_str() {
            "insufficient" => fitted += 1,
            other => break other.to_owned(),
        }
    };
    assert_eq!(full, "history_full");
    assert!((25..50).contains(&fitted), "{fitted} sessions fit");
    // Of those that are remembered everything is still settled.
    assert_eq!(settled(&world, &of(&uuid(3), approval("ada", "evt_x", 9000))).await, "applied");
    assert_eq!(world.user("ada").status, "CONFIRMED");
    // And the denial of what stands always finds room.
    assert_eq!(settled(&world, &of(&uuid(3), other("declined", "ada", "evt_y", 9001))).await, "revoked");
    assert_eq!(standing(&world), ["CONFIRMED", "declined", "0"]);
    let history = world.attribute("ada", "idv_history").unwrap();
    assert!(
        history.len() <= 2048 && History::parse(&history).is_some_and(|read| read.to_string() == history)
    );
}

/// Denials of sessions that do not count may use up what is kept free. The denial of the approval that stands is written all the
/// same: what says least makes room for it.
#[tokio::test(start_paused = true)]
async fn the_denial_of_what_stands_always_finds_room() {
    let world = with_ada(&[]);
    let session = |n: u32| format!("vs_{n}");
    let mut approved = 0;
    let yes = |n| of(&session(n), approval("ada", &format!("evt_{n}"), n));
    while settled(&world, &yes(approved)).await == "applied" {
        approved += 1;
    }
    assert!(approved > 30, "{approved} approvals fit");
    let no = |n| of(&session(n), other("declined", "ada", &format!("evt_no_{n}"), 9000));
    let mut denied = 0;
    let full = loop {
        match settled(&world, &no(denied)).await.as_str() {
            "noted" => denied += 1,
            other => break other.to_owned(),
        }
    };
    assert_eq!(full, "history_full", "after {denied} denials of {approved}");
    assert_eq!(standing(&world), ["CONFIRMED", "approved", "2"]);
    assert_eq!(settled(&world, &no(approved - 1)).await, "revoked");
    assert_eq!(standing(&world), ["CONFIRMED", "declined", "0"]);
    // What more comes of a session that was forgotten for that is for a person to say.
    assert_eq!(settled(&world, &of(&session(denied), approval("ada", "evt_late", 1))).await, "history_full");
    assert_eq!(standing(&world), ["CONFIRMED", "declined", "0"]);
}

/// A sender whose clock is a little ahead is ordinary life: its events take no more room than others.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_always_a_little_ahead_fills_nothing() {
    let world = with_ada(&[]);
    for n in 0..60_u32 {
        let session = format!("vs_{n}");
        for (word, id) in [("started", "s"), ("in_review", "r"), ("expired", "e")] {
            let at = Clock::now(&world.clock).plus(Duration::from_secs(2)).to_string();
            let callback =
                with(of(&session, other(word, "ada", &format!("evt_{id}{n}"), 0)), "occurred_at", json!(at));
            // A session that only starts says less than one that has expired.
            let expected = if n > 0 && word == "started" { "noted" } else { "recorded" };
            assert_eq!(settled(&world, &callback).await, expected, "{n} {word}");
            world.clock_forward(5).await;
        }
    }
    let at = Clock::now(&world.clock).plus(Duration::from_secs(2)).to_string();
    let approved = with(of("vs_59", approval("ada", "evt_yes", 0)), "occurred_at", json!(at));
    assert_eq!(settled(&world, &approved).await, "applied");
}

/// The first receipt may come to light late: a message that died is sent back after the same event came again.
#[tokio::test(start_paused = true)]
async fn an_earlier_receipt_that_comes_to_light_late_counts() {
    let world = with_ada(&[]);
    let ahead = with(approval("ada", "evt_1", 0), "occurred_at", json!("2026-11-22T20:00:00Z"));
    world.post(&ahead).await;
    let first = world.receive().await.remove(0);
    world.queues.callbacks.delete(&first.handle).await.unwrap();
    world.clock_forward(3600).await;
    assert_eq!(settled(&world, &ahead).await, "applied");
    let denied = with(other("declined", "ada", "evt_2", 0), "occurred_at", json!("2026-11-22T10:30:00Z"));
    assert_eq!(settled(&world, &denied).await, "noted");
    assert_eq!(standing(&world), ["CONFIRMED", "approved", "2"], "it was received after the denial");
    let sent_back = [first];
    assert!(world.consumer().settle_batch(&sent_back, world.deadline(60)).await.is_empty());
    assert_eq!(world.audit.last()["event"], "revoked");
    assert_eq!(standing(&world), ["CONFIRMED", "declined", "0"]);
}

/// An administrator has disabled the user: nobody gets a verified identity by that, and a denial is not lost.
#[tokio::test(start_paused = true)]
async fn a_disabled_user_gets_nothing_and_loses_what_is_taken_back() {
    let world = with_ada(&[]);
    world.pool.admin_set_enabled("ada", false).unwrap();
    assert_eq!(settled(&world, &approval("ada", "evt_1", 10)).await, "user_disabled");
    assert_eq!(standing(&world), ["UNCONFIRMED", "-", "-"]);
    assert_eq!(settled(&world, &other("in_review", "ada", "evt_0", 5)).await, "recorded");
    world.pool.admin_set_enabled("ada", true).unwrap();
    assert_eq!(settled(&world, &approval("ada", "evt_2", 20)).await, "applied");
    world.pool.admin_set_enabled("ada", false).unwrap();
    let higher = with(approval("ada", "evt_4", 25), "ial", json!(3));
    assert_eq!(settled(&world, &higher).await, "user_disabled");
    assert_eq!(standing(&world), ["CONFIRMED", "approved", "2"]);
    assert_eq!(settled(&world, &other("declined", "ada", "evt_3", 30)).await, "revoked");
    assert_eq!(standing(&world), ["CONFIRMED", "declined", "0"]);
}

/// The name is given up and taken by somebody else between the reading and the writing.
#[derive(Clone)]
struct Retaken(UserPool<TestClock>);

impl UserDirectory for Retaken {
    async fn find(&self, user: &UserReference) -> Result<Option<UserRecord>, DirectoryError> {
        let found = self.0.find(user).await;
        let name = user.username.as_str();
        if self.0.admin_delete_user(name).is_ok() {
            let again = idvctl::embedded::SignUp { username: name.to_owned(), ..Default::default() };
            tokio::time::advance(Duration::from_secs(1)).await;
            self.0.sign_up(again).unwrap();
        }
        found
    }

    async fn write(
        &self,
        user: &Person<'_>,
        changes: &[AttributeChange],
    ) -> Result<ChangeCall, DirectoryError> {
        self.0.write(user, changes).await
    }

    async fn confirm(&self, user: &Person<'_>) -> Result<ChangeCall, DirectoryError> {
        self.0.confirm(user).await
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_takes_the_name_between_reading_and_writing_gets_nothing() {
    let world = with_ada(&[]);
    world.leaves_messages();
    world.post(&approval("ada", "evt_1", 0)).await;
    let consumer = world.consumer_over(Retaken(world.pool.clone()), world.queues.clone());
    let failed = world.settle_with(&consumer, &world.receive().await).await;
    assert_eq!(failed.len(), 1, "it comes back");
    assert_eq!(world.audit.last()["reason"], "user went away");
    assert_eq!(standing(&world), ["UNCONFIRMED", "-", "-"]);
}

/// Somebody has signed up with ada's `sub` for a name: what is ada's is still written to ada.
#[tokio::test(start_paused = true)]
async fn whoever_takes_a_sub_for_a_name_gets_nothing() {
    let world = with_ada(&[]);
    let sub = world.user("ada").attributes["sub"].clone();
    world.sign_up(&sub, &[]);
    assert_eq!(settled(&world, &approval("ada", "evt_1", 0)).await, "applied");
    assert_eq!(standing(&world), ["CONFIRMED", "approved", "2"]);
    assert_eq!(world.user(&sub).status, "UNCONFIRMED");
    assert_eq!(world.attribute(&sub, "ial"), None);
}

/// A proof that came with a sign-up which failed, because the name was taken: nobody's, and no sign of an attack. Whoever sends
/// a callback for another's name is another matter.
#[tokio::test(start_paused = true)]
async fn a_proof_that_came_first_for_a_name_that_is_taken_wakes_nobody() {
    let claim = |letter: &str| Claim::new(&letter.repeat(43)).unwrap();
    for (key_id, name, ends) in [
        ("session-result", "ada", "unclaimed"),
        ("session-result", "nobody", "unclaimed"),
        ("wh-1", "ada", "binding_mismatch"),
        ("wh-1", "nobody", "user_not_found"),
    ] {
        let world = with_ada(&[("custom:idv_claim", claim("a").as_str())]);
        world.leaves_messages();
        let received_at = Clock::now(&world.clock);
        let user = UserReference { pool: PoolId::new(POOL).unwrap(), username: Username::new(name).unwrap() };
        let binding = Binding::issue(&ring().binding[0], &user, received_at, Some(&claim("b"))).unwrap();
        let body = with_metadata(approval(name, "evt_1", 0), "binding", json!(binding.as_str()));
        world.post(&body).await;
        let mut message = world.receive().await.remove(0);
        let mut envelope = Envelope::open(&message.body, &ring().seal).unwrap_or_else(|_| panic!("not ours"));
        key_id.clone_into(&mut envelope.key_id);
        message.body = envelope.seal(&ring().seal[0]).unwrap();
        world.clock_forward(16 * 60).await;
        let failed = world.consumer().settle_batch(&[message], world.deadline(60)).await;
        assert_eq!(failed, Vec::<String>::new());
        let record = world.audit.last();
        let ended = if record["event"] == "quarantined" { &record["reason"] } else { &record["event"] };
        assert_eq!(ended, ends, "{key_id} {name}");
        assert_eq!(standing(&world), ["UNCONFIRMED", "-", "-"]);
    }
}
