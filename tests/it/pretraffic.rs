//! The check before a new version takes traffic: it lets sound versions through and holds unsound ones back.

use idv_callback::delivery::SignatureProfile;
use idv_callback::lambda::{HttpEvent, handle_http, handle_sqs};
use idv_callback::local::{FifoQueue, MemoryKeyStore, UserPool};
use idv_callback::ports::{Clock as _, Deadline, Fault, FunctionVersions, Invoked};
use idv_callback::pretraffic::PreTraffic;
use serde_json::{Value, json};

use crate::world::{RING, TestClock, TestConsumer, TestIntake, World};

type Answer = dyn Fn(&Value) -> Value + Send + Sync;

/// The real code as two versions; what they answer and log can be falsified.
struct Versions {
    world: World,
    intake: TestIntake<FifoQueue<TestClock>>,
    consumer: TestConsumer<UserPool<TestClock>, idv_callback::local::LocalQueues<TestClock>>,
    falsified: Option<(&'static str, Box<Answer>)>,
}

impl FunctionVersions for Versions {
    async fn invoke(&self, version: &str, event: &Value) -> Result<Invoked, Fault> {
        let deadline = Deadline(self.world.clock.now().plus(std::time::Duration::from_secs(60)));
        let answer = match version {
            "callback:2" => {
                json!(handle_http(&self.intake, HttpEvent::read(event.clone()), deadline).await)
            }
            "consumer:2" => json!(handle_sqs(&self.consumer, event.clone(), deadline).await.unwrap()),
            _ => return Err(Fault::new("Invoke", "ResourceNotFoundException")),
        };
        let log = self.world.audit.all().iter().map(ToString::to_string).collect();
        let answer = match &self.falsified {
            Some((falsified, falsify)) if *falsified == version => falsify(&answer),
            _ => answer,
        };
        Ok(Invoked { answer, log })
    }
}

fn check(falsified: Option<(&'static str, Box<Answer>)>) -> PreTraffic<Versions, MemoryKeyStore, TestClock> {
    let world = World::new();
    let (clock, intake, consumer) = (world.clock, world.intake(), world.consumer());
    PreTraffic {
        versions: Versions { world, intake, consumer, falsified },
        keys: MemoryKeyStore::new(RING),
        clock,
        profile: SignatureProfile::StandardWebhooks,
        callback: "callback:2".to_owned(),
        consumer: "consumer:2".to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn sound_versions_pass_and_the_probe_touches_nobody() {
    let check = check(None);
    check.check().await.unwrap();
    let words = check.versions.world.audit.words();
    assert_eq!(words, ["refused", "accepted", "probed"]);
    // What was enqueued goes the way of every callback, and ends there.
    assert!(check.versions.world.settle().await.is_empty());
    assert_eq!(check.versions.world.audit.words(), ["refused", "accepted", "probed", "probed"]);
    assert!(check.versions.world.dead_letter_reasons().is_empty());
}

#[tokio::test(start_paused = true)]
async fn unsound_versions_are_held_back_with_the_step_that_failed() {
    let always = |answer: Value| -> Box<Answer> { Box::new(move |_| answer.clone()) };
    let cases: [(&'static str, Box<Answer>, &str); 5] = [
        ("callback:2", always(json!({ "statusCode": 202 })), "a forged callback: answered with 202"),
        ("callback:2", always(json!({ "statusCode": 401 })), "a signed callback: answered with 401"),
        (
            "callback:2",
            always(json!({ "errorType": "Runtime.ExitError" })),
            "answered with Runtime.ExitError, expected 401",
        ),
        (
            "consumer:2",
            always(json!({ "batchItemFailures": [ { "itemIdentifier": "x" } ] })),
            "a sealed callback: was not settled",
        ),
        (
            "consumer:2",
            always(json!({ "errorType": "Runtime.ExitError" })),
            "a sealed callback: was not settled",
        ),
    ];
    for (version, falsify, expected) in cases {
        let check = check(Some((version, falsify)));
        let unfit = check.check().await.unwrap_err().to_string();
        assert!(unfit.contains(expected), "{unfit}");
    }
}

/// `CodeDeploy` has to be told, whatever a version does: it waits for an hour.
#[tokio::test(start_paused = true)]
async fn a_version_that_hangs_is_held_back_in_time() {
    struct Hanging;
    impl FunctionVersions for Hanging {
        async fn invoke(&self, _: &str, _: &Value) -> Result<Invoked, Fault> {
            std::future::pending().await
        }
    }
    let sound = check(None);
    let check = PreTraffic {
        versions: Hanging,
        keys: sound.keys,
        clock: sound.clock,
        profile: sound.profile,
        callback: sound.callback,
        consumer: sound.consumer,
    };
    assert_eq!(check.check().await.unwrap_err().to_string(), "time: not done within 80 s");
}

/// The answer to a message that is settled is the same as to one that is quarantined: the record makes the difference.
#[tokio::test(start_paused = true)]
async fn a_consumer_that_does_not_know_the_seal_is_held_back() {
    let mut check = check(None);
    check.keys = MemoryKeyStore::new(RING.replace("seal-seal", "lies-lies"));
    let unfit = check.check().await.unwrap_err().to_string();
    assert!(unfit.contains("left no record IDV2008"), "{unfit}");
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_not_there_is_said() {
    let mut check = check(None);
    check.callback = "callback:3".to_owned();
    let unfit = check.check().await.unwrap_err().to_string();
    assert_eq!(unfit, "a forged callback: Invoke: ResourceNotFoundException");
}
