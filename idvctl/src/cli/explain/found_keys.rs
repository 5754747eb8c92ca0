//! The keys that a sender could have used by mistake.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use idv_callback::key_ring::{Key, KeyRing};
use idv_callback::secret::BASE64_SECRET_PREFIX;
use idv_callback::timestamp::Timestamp;
use zeroize::Zeroizing;

use super::Mistake;

const EXPIRED: Option<Mistake> =
    Some(Mistake::new("old_key", "the key's not_after has passed: sign with the newer one"));
const EXAMPLE: Option<Mistake> =
    Some(Mistake::new("test_key", "the key is the example from public documentation: set the one agreed"));
const OTHER_PURPOSE: Option<Mistake> =
    Some(Mistake::new("wrong_key", "the key is on the ring for another purpose: sign with a webhook key"));
const NOT_DECODED: Option<Mistake> = Some(Mistake::new(
    "key_not_decoded",
    "the secret was used as text: take off whsec_ and decode the rest from base64",
));
const DECODED: Option<Mistake> = Some(Mistake::new(
    "key_decoded",
    "the secret has no whsec_: use the text's own bytes, not decoded from base64",
));

/// Secrets that stand in the documentation of Standard Webhooks.
const EXAMPLES: [&str; 2] = ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "C2FVsBQIhrscChlQIMV+b5sSYspob7oD"];

/// Key bytes that a sender could have used.
pub(crate) struct Candidate {
    pub(crate) id: Option<String>,
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    pub(crate) mistake: Option<Mistake>,
}

/// Every key of the ring, as it should be used and as it could be misread; and the examples.
pub(crate) fn candidates(ring: &KeyRing, at: Option<Timestamp>) -> Vec<Candidate> {
    let mut found = Vec::new();
    for (purpose, key) in ring.keys() {
        let expired = key.not_after.is_some_and(|end| at.is_some_and(|at| at >= end));
        let mistake = match (purpose, expired) {
            ("webhook", false) => None,
            ("webhook", true) => EXPIRED,
            _ => OTHER_PURPOSE,
        };
        found.extend(readings(key, mistake));
    }
    for example in EXAMPLES {
        found.extend(STANDARD.decode(example).map(|bytes| Candidate {
            id: None,
            bytes: Zeroizing::new(bytes),
            mistake: EXAMPLE,
        }));
    }
    found
}

fn readings(key: &Key, mistake: Option<Mistake>) -> Vec<Candidate> {
    let candidate = |bytes: Vec<u8>, mistake| Candidate {
        id: Some(key.id.clone()),
        bytes: Zeroizing::new(bytes),
        mistake,
    };
    let secret = key.secret.expose();
    let mut readings = vec![candidate(secret.to_vec(), mistake)];
    if mistake.is_none() {
        let text = Zeroizing::new(STANDARD.encode(secret));
        let bare = Zeroizing::new(STANDARD_NO_PAD.encode(secret));
        for text in [&text, &bare] {
            readings.push(candidate(
                format!("{BASE64_SECRET_PREFIX}{}", text.as_str()).into_bytes(),
                NOT_DECODED,
            ));
            readings.push(candidate(text.as_bytes().to_vec(), NOT_DECODED));
        }
        readings.extend(STANDARD.decode(secret).ok().map(|bytes| candidate(bytes, DECODED)));
    }
    readings
}
