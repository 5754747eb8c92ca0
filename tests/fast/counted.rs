//! Work that can be counted.

use allocation_counter::measure;
use idv_callback::delivery::{Delivery, SignatureProfile};
use idv_callback::timestamp::Timestamp;

use crate::support::world::{request, ring};

/// Reading and verifying a signature allocates for the header's parts and the key's id, and never for the body.
#[test]
fn verifying_copies_no_body() {
    let (ring, now) = (ring(), Timestamp::parse("2026-11-22T10:00:00Z").unwrap());
    let profile = SignatureProfile::StandardWebhooks;
    for size in [100, 64 * 1024] {
        let body = vec![b'x'; size];
        let signed = request(&profile, "msg_1", now, &body);
        let counted = measure(|| {
            let delivery = Delivery::read(&profile, &signed.headers, &body).unwrap();
            assert!(delivery.verify(ring.webhook.iter(), now).is_ok());
        });
        assert!(counted.count_total <= 8, "{} allocations", counted.count_total);
        assert!(counted.bytes_total < 1024, "{} bytes for a body of {size}", counted.bytes_total);
    }
}
