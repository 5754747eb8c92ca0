//! Signed callbacks, and batches of sealed envelopes.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use idv_callback::clock::SystemClock;
use idv_callback::delivery::{SignatureProfile, sign};
use idv_callback::envelope::{BodyDigest, Content, Envelope};
use idv_callback::key_ring::KeyRing;
use idv_callback::lambda::batch_event;
use idv_callback::ports::{Clock as _, ReceivedMessage};
use idv_callback::verification::{
    Approval, AssuranceLevel, EventId, Outcome, PoolId, SessionId, Subject, UserReference, Username,
    VerificationEvent,
};
use serde_json::{Value, json};

pub(crate) const POOL: &str = "us-east-1_Bench";

pub(crate) const RING: &str = r#"{
  "webhook": [ { "id": "wh-1", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" } ],
  "seal": [ { "id": "seal-1", "secret": "seal-seal-seal-seal-seal-seal-32" } ],
  "binding": [ { "id": "binding-1", "secret": "bind-bind-bind-bind-bind-bind-32" } ],
  "audit": { "id": "audit-1", "secret": "audit-audit-audit-audit-audit-32" } }"#;

fn ring() -> KeyRing {
    KeyRing::parse(RING.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

/// The HTTP API event of a signed approval.
pub(crate) fn callback(n: usize) -> Value {
    let now = SystemClock.now();
    let id = format!("evt_{n}_{}", now.unix_millis());
    let body = json!({
        "event_id": id, "event_type": "verification.completed", "occurred_at": now.to_string(),
        "session_id": "vs_1", "status": "approved", "blockid_sub": "did:blockid:5a105e8b9d40e1329780d62ea2265d8a",
        "ial": 2, "aal": 2, "liveness_verified": true, "match_result": true, "document_type": "drivers_license",
        "framework": "nist_800_63A-3",
        "metadata": { "cognito_user_pool": POOL, "cognito_username": format!("user{n}") },
    });
    let body = body.to_string();
    let mut headers = json!({ "content-type": "application/json" });
    for (name, value) in
        sign(&SignatureProfile::StandardWebhooks, &ring().webhook[0].secret, &id, now, body.as_bytes())
    {
        headers[name] = json!(value);
    }
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": "/idv-callback", "rawQueryString": "",
        "headers": headers,
        "requestContext": { "stage": "$default", "http": { "method": "POST", "path": "/idv-callback" } },
        "body": STANDARD.encode(body), "isBase64Encoded": true,
    })
}

/// Ten approvals of ten users.
pub(crate) fn batch(n: usize) -> Value {
    let now = SystemClock.now();
    let level = AssuranceLevel::new(2).unwrap();
    let messages: Vec<_> = (0..10)
        .map(|user| {
            let approval = Approval {
                subject: Subject::new("did:blockid:1").unwrap(),
                ial: level,
                aal: Some(level),
                liveness_verified: true,
                match_result: true,
                implied_by_level: false,
                evidence: None,
                framework: None,
                expires_at: None,
            };
            let event = VerificationEvent {
                event_id: EventId::new(&format!("evt_{n}_{user}")).unwrap(),
                occurred_at: now.minus(Duration::from_secs(60)),
                session: SessionId::new("vs_1").unwrap(),
                user: UserReference {
                    pool: PoolId::new(POOL).unwrap(),
                    username: Username::new(&format!("user_{n}_{user}")).unwrap(),
                },
                binding: None,
                outcome: Outcome::Approved(approval),
                unknown_type: None,
            };
            let envelope = Envelope {
                received_at: now,
                key_id: "wh-1".to_owned(),
                body_sha256: BodyDigest::of(b"body"),
                trace_id: None,
                content: Content::Event(event),
            };
            ReceivedMessage {
                id: format!("m-{n}-{user}"),
                handle: "handle".to_owned(),
                body: envelope.seal(&ring().seal[0]).unwrap(),
                group_id: envelope.group_id(),
                attempt: 1,
                attributes: std::collections::BTreeMap::new(),
            }
        })
        .collect();
    batch_event(&messages)
}

/// Somebody signs up.
pub(crate) fn sign_up(n: usize) -> Value {
    json!({
        "version": "1", "triggerSource": "PreSignUp_SignUp", "region": "us-east-1", "userPoolId": POOL,
        "userName": format!("user-{n}"), "callerContext": { "awsSdkVersion": "bench", "clientId": "bench" },
        "request": { "userAttributes": { "email": "user@example.com" }, "validationData": null, "clientMetadata": null },
        "response": { "autoConfirmUser": false, "autoVerifyEmail": false, "autoVerifyPhone": false },
    })
}

/// Somebody has given their password.
pub(crate) fn define(n: usize) -> Value {
    let past =
        |name: &str| json!({ "challengeName": name, "challengeResult": true, "challengeMetadata": null });
    json!({
        "version": "1", "triggerSource": "DefineAuthChallenge_Authentication", "region": "us-east-1", "userPoolId": POOL,
        "userName": format!("user-{n}"), "callerContext": { "awsSdkVersion": "bench", "clientId": "bench" },
        "request": {
            "userAttributes": {
                "sub": "0f8fad5b-d9cb-469f-a165-70867728950e", "custom:blockid_sub": "did:blockid:1",
                "custom:ial": "2", "custom:idv_status": "approved",
            },
            "session": [past("SRP_A"), past("PASSWORD_VERIFIER")],
            "userNotFound": false,
        },
        "response": {},
    })
}
