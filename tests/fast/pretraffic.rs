//! The check before a new version takes traffic: it lets sound versions through and holds unsound ones back.

use idv_callback::delivery::SignatureProfile;
use idv_callback::lambda::{HttpEvent, handle_http, handle_sqs};
use idv_callback::ports::{Clock as _, Deadline, Fault, FunctionVersions, Invoked};
use idv_callback::pretraffic::{PreTraffic, SignInCheck};
use idvctl::embedded::{FifoQueue, MemoryKeyStore, UserPool};
use serde_json::{Value, json};

use crate::support::world::{RING, TestClock, TestConsumer, TestIntake, World};

type Answer = dyn Fn(&Value) -> Value + Send + Sync;

/// The real code as two versions; what they answer and log can be falsified.
struct Versions {
    world: World,
    intake: TestIntake<FifoQueue<TestClock>>,
    consumer: TestConsumer<UserPool<TestClock>, idvctl::embedded::LocalQueues<TestClock>>,
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
    world.leaves_messages();
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

/// A trigger function that answers like this; the real one is tried in `deployed`.
struct Trigger(Box<Answer>);

impl FunctionVersions for Trigger {
    async fn invoke(&self, _: &str, event: &Value) -> Result<Invoked, Fault> {
        Ok(Invoked { answer: (self.0)(event), log: String::new() })
    }
}

#[tokio::test(start_paused = true)]
async fn triggers_that_let_somebody_through_or_in_are_held_back() {
    let sound = |event: &Value| match event["triggerSource"].as_str().unwrap() {
        "PreSignUp_SignUp" => json!({
            "errorType": "Refusal", "errorMessage": "These details cannot be used to sign up.",
        }),
        _ => {
            json!({ "response": { "challengeName": null, "issueTokens": false, "failAuthentication": true } })
        }
    };
    let unsound = |wrong: Value, at: &'static str| -> Box<Answer> {
        Box::new(move |event| if event["triggerSource"] == at { wrong.clone() } else { sound(event) })
    };
    let (sign_up, define) = ("PreSignUp_SignUp", "DefineAuthChallenge_Authentication");
    let exits = json!({ "errorType": "Runtime.ExitError", "errorMessage": "exit status 1" });
    let cases: [(Box<Answer>, Result<(), &str>); 5] = [
        (Box::new(sound), Ok(())),
        (
            unsound(json!({ "response": { "autoConfirmUser": false } }), sign_up),
            Err("a sign-up with a level of its own: was not refused"),
        ),
        (unsound(exits.clone(), sign_up), Err("a sign-up with a level of its own: was not refused")),
        (
            unsound(json!({ "response": { "issueTokens": true } }), define),
            Err("a sign-in without a password: was not answered with: no tokens"),
        ),
        (unsound(exits, define), Err("a sign-in without a password: was not answered with: no tokens")),
    ];
    for (answer, expected) in cases {
        let (versions, clock) = (Trigger(answer), World::new().clock);
        let check = SignInCheck { versions, clock, triggers: "triggers:2".to_owned() };
        let found = check.check().await.map_err(|unfit| unfit.to_string());
        assert_eq!(found, expected.map_err(str::to_owned));
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
