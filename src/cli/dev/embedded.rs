//! The embedded stack, wired.

use std::time::Duration;

use crate::assurance::{CLAIM_ATTRIBUTE, Policy};
use crate::binding::Binding;
use crate::clock::SystemClock;
use crate::config::LocalConfig;
use crate::intake::Intake;
use crate::key_cache::KeyCache;
use crate::key_ring::KeyRing;
use crate::local::{FifoQueue, LocalQueues, QueueSettings, Quotas, User, UserPool};
use crate::ports::{AuditSink, KeyStore};
use crate::proofing::Claim;
use crate::settlement::{Consumer, MAXIMUM_RECEIVES, Pace, VISIBILITY_TIMEOUT};
use crate::verification::{PoolId, UserReference, Username};

const SETTINGS: QueueSettings = QueueSettings {
    visibility: VISIBILITY_TIMEOUT,
    maximum_receives: MAXIMUM_RECEIVES,
    wait: Duration::from_secs(1),
};

type LocalIntake<S, A> = Intake<FifoQueue<SystemClock>, S, A, SystemClock>;
type LocalConsumer<S, A> = Consumer<UserPool<SystemClock>, LocalQueues<SystemClock>, S, A, SystemClock>;
type Parts<S, A> = (UserPool<SystemClock>, LocalQueues<SystemClock>, LocalIntake<S, A>, LocalConsumer<S, A>);

/// Pool, queues, front door and consumer.
pub(in crate::cli) fn embedded<S, A>(
    pool_id: PoolId,
    store: &S,
    audit: &A,
    config: &LocalConfig,
) -> Parts<S, A>
where
    S: KeyStore + Clone,
    A: AuditSink + Clone,
{
    let queues = LocalQueues::new(SETTINGS, SystemClock);
    let pool = UserPool::new(pool_id.clone(), Some(Quotas::default()), SystemClock);
    let intake = Intake {
        queue: queues.callbacks.clone(),
        keys: KeyCache::new(store.clone(), SystemClock),
        audit: audit.clone(),
        clock: SystemClock,
        profile: config.profile.clone(),
        event_types: config.event_types.clone(),
    };
    let consumer = Consumer {
        directory: pool.clone(),
        queue: queues.clone(),
        keys: KeyCache::new(store.clone(), SystemClock),
        audit: audit.clone(),
        clock: SystemClock,
        policy: policy(vec![pool_id], config, false),
        pace: Pace::per_second(config.cognito_rps),
    };
    (pool, queues, intake, consumer)
}

/// What counts as proof. Real pools want a binding unless told otherwise.
pub(super) fn policy(pools: Vec<PoolId>, config: &LocalConfig, require_binding: bool) -> Policy {
    Policy {
        pools,
        minimum_ial: config.minimum_ial,
        binding_required: config.binding_required || require_binding,
        event_types: config.event_types.clone(),
    }
}

/// The binding that a proofing session of this user would carry, where the ring has a key for it.
pub(in crate::cli) fn issue_binding(
    ring: &KeyRing,
    pool: &UserPool<SystemClock>,
    user: &User,
) -> Option<String> {
    let username = Username::new(&user.username).ok()?;
    let reference = UserReference { pool: pool.id().clone(), username };
    let claim = user.attributes.get(CLAIM_ATTRIBUTE).and_then(|text| Claim::new(text));
    let token = Binding::issue(ring.binding.first()?, &reference, user.created_at, claim.as_ref()).ok()?;
    Some(token.as_str().to_owned())
}
