//! The sample client in a browser, over the deployed template with the real binaries: somebody signs up, is proofed, signs in, and
//! confirms a payment by their face; a tampered client is refused. What is done and looked at is in `tests/web/drive.mjs`.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::setup;

#[tokio::test]
async fn a_person_goes_through_the_sample_client_and_a_tampered_one_is_refused() {
    // Installed under the same lock as for the other tests.
    setup::python();
    let target = Path::new(env!("CARGO_BIN_EXE_callback")).parent().unwrap().parent().unwrap();
    let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/web/run");
    let output = tokio::process::Command::new(run)
        .arg("--drive")
        .env("CARGO_TARGET_DIR", target)
        .env("CHROMIUM", setup::chromium())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let (said, complaint) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr).into_owned());
    assert!(output.status.success(), "{complaint}");
    let facts: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    for fact in [
        "signedUp",
        "reloadGoesOn",
        "unprovenIsNotLetIn",
        "triedAgain",
        "confirmed",
        "signedIn",
        "pendingIsNotYet",
        "steppedUp",
        "secretsKept",
    ] {
        assert_eq!(facts[fact], true, "{fact}: {facts}");
    }
    assert_eq!(facts["ial"], "2");
    assert_eq!(facts["somebodyElseTries"], 3);
    assert!(facts["accessibleSteps"].as_u64().unwrap() >= 10, "{facts}");
    let refused = facts["refused"].as_object().unwrap();
    // Cognito itself would refuse what the app client may not write; the emulator does not, so this is the trigger's word.
    let of_trigger = json!("UserLambdaValidationException");
    for attribute in ["signUpWithIal", "signUpWithSubject", "signUpWithStatus"] {
        assert_eq!(refused[attribute], of_trigger, "{attribute}");
    }
    for road in [
        "stepUpWithoutSrp",
        "stepUpByPassword",
        "stepUpBySrpAlone",
        "stepUpWithoutPassword",
        "ordinaryByChallenge",
    ] {
        assert!(refused[road].is_string(), "{road}: {facts}");
    }
}
