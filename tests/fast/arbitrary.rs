//! Whatever comes in: nothing panics, nothing is taken in that was not signed, and what is printed is read back.

use idv_callback::envelope::{BodyDigest, Content, Envelope};
use idv_callback::key_ring::KeyRing;
use idv_callback::lambda::{HttpEvent, handle_http, received_messages};
use idv_callback::verification::{
    Approval, AssuranceLevel, EventId, Evidence, Outcome, PoolId, SessionId, Subject, UserReference,
    Username, VerificationEvent,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::world::{RING, World, ring};

/// Any JSON, with the members that the code looks for more often than chance would have it.
fn json_like() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        ".{0,20}".prop_map(Value::from),
    ];
    let names = "(headers|multiValueHeaders|body|isBase64Encoded|path|rawPath|resource|httpMethod|requestContext|\
                 stage|Records|messageId|attributes|webhook|seal|audit|id|secret|content|v|[a-z]{1,4})";
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(names, inner, 0..6).prop_map(|map| json!(map)),
        ]
    })
}

fn answer(event: Value) -> (Value, usize) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = World::new();
        let response = handle_http(&world.intake(), HttpEvent::read(event), world.deadline(10)).await;
        (serde_json::to_value(response).unwrap(), world.queues.callbacks.messages().len())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_event_gets_in_by_its_shape(event in json_like()) {
        let (response, queued) = answer(event);
        prop_assert!(response["statusCode"].as_u64().unwrap() >= 400);
        prop_assert_eq!(queued, 0);
    }

    #[test]
    fn no_header_gets_in_by_its_value(
        id in ".{0,40}", timestamp in "[0-9+-]{0,20}|.{0,20}", signature in "(v1,[A-Za-z0-9+/=]{0,50} ?){0,4}|.{0,60}",
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        use base64::Engine as _;
        let headers = json!({
            "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature,
            "content-type": "application/json",
        });
        let event = json!({
            "version": "2.0", "rawPath": "/idv-callback", "headers": headers,
            "requestContext": { "http": { "method": "POST" } },
            "body": base64::engine::general_purpose::STANDARD.encode(body), "isBase64Encoded": true,
        });
        let (response, queued) = answer(event);
        prop_assert_eq!(response["statusCode"].as_u64(), Some(401));
        prop_assert_eq!(queued, 0);
    }

    #[test]
    fn no_message_opens_and_no_batch_breaks(message in ".{0,200}", value in json_like()) {
        prop_assert!(Envelope::open(&message, &ring().seal).is_err());
        prop_assert!(Envelope::open(&value.to_string(), &ring().seal).is_err());
        drop(received_messages(value.clone()));
        drop(KeyRing::parse(value.to_string().as_bytes()));
        drop(KeyRing::parse(message.as_bytes()));
    }

    /// One byte changed anywhere in a sealed message, and it does not open, or opens to the very same.
    #[test]
    fn a_changed_byte_is_seen(at in any::<prop::sample::Index>(), byte in 0x20_u8..0x7f, username in "[^\\s\\p{C}]{1,30}") {
        let Ok(username) = Username::new(&username) else { return Ok(()) };
        let envelope = envelope(username);
        let sealed = envelope.seal(&ring().seal[0]).unwrap();
        let opened = Envelope::open(&sealed, &ring().seal).map_err(|error| TestCaseError::fail(format!("{error:?}")))?;
        prop_assert_eq!(opened.deduplication_id(), envelope.deduplication_id());
        prop_assert_eq!(opened.seal(&ring().seal[0]).unwrap(), sealed.clone(), "what is read prints the same");
        let mut bytes = sealed.clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let opened = String::from_utf8(bytes).ok().and_then(|changed| Envelope::open(&changed, &ring().seal).ok());
        if let Some(opened) = opened {
            // A letter of the seal in the other case is the same number.
            prop_assert_eq!(opened.seal(&ring().seal[0]).unwrap(), sealed);
        }
    }
}

fn envelope(username: Username) -> Envelope {
    let at = idv_callback::timestamp::Timestamp::parse("2026-11-22T10:00:00Z").unwrap();
    let level = AssuranceLevel::new(2).unwrap();
    let approval = Approval {
        subject: Subject::new("did:blockid:1").unwrap(),
        ial: level,
        aal: None,
        liveness_verified: true,
        match_result: true,
        implied_by_level: false,
        evidence: Some(Evidence::new("passport").unwrap()),
        framework: None,
        expires_at: Some(at),
    };
    let event = VerificationEvent {
        event_id: EventId::new("evt_1").unwrap(),
        occurred_at: at,
        session: SessionId::new("vs_1").unwrap(),
        user: UserReference { pool: PoolId::new("us-east-1_A").unwrap(), username },
        binding: None,
        outcome: Outcome::Approved(approval),
        unknown_type: None,
    };
    Envelope {
        received_at: at,
        key_id: "wh-1".to_owned(),
        body_sha256: BodyDigest::of(RING.as_bytes()),
        trace_id: None,
        content: Content::Event(event),
    }
}
