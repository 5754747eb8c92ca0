//! The embedded stack, wired.

use std::time::Duration;

use idv_callback::assurance::{CLAIM_ATTRIBUTE, Policy};
use idv_callback::binding::Binding;
use idv_callback::clock::SystemClock;
use idv_callback::config::LocalConfig;
use idv_callback::intake::Intake;
use idv_callback::key_cache::KeyCache;
use idv_callback::key_ring::KeyRing;
use idv_callback::ports::{AuditSink, KeyStore};
use idv_callback::proofing::Claim;
use idv_callback::settlement::{Consumer, MAXIMUM_RECEIVES, Pace, VISIBILITY_TIMEOUT};
use idv_callback::verification::{PoolId, UserReference, Username};

use crate::embedded::{FifoQueue, LocalQueues, QueueSettings, Quotas, User, UserPool};

const SETTINGS: QueueSettings = QueueSettings {
    visibility: VISIBILITY_TIMEOUT,
    maximum_receives: MAXIMUM_RECEIVES,
    wait: Duration::from_secs(1),
};

type LocalIntake<S, A> = Intake<FifoQueue<SystemClock>, S, A, SystemClock>;
type LocalConsumer<S, A> = Consumer<UserPool<SystemClock>, LocalQueues<SystemClock>, S, A, SystemClock>;
type Parts<S, A> = (UserPool<SystemClock>, LocalQueues<SystemClock>, LocalIntake<S, A>, LocalConsumer<S, A>);

/// Pool, queues, front door and consumer.
pub(crate) fn installation<S, A>(pool_id: PoolId, store: &S, audit: &A, config: &LocalConfig) -> Parts<S, A>
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
pub(crate) fn policy(pools: Vec<PoolId>, config: &LocalConfig, require_binding: bool) -> Policy {
    Policy {
        pools,
        minimum_ial: config.minimum_ial,
        binding_required: config.binding_required || require_binding,
        event_types: config.event_types.clone(),
    }
}

/// The binding that a proofing session of this user would carry, where the ring has a key for it.
pub(crate) fn issue_binding(ring: &KeyRing, pool: &UserPool<SystemClock>, user: &User) -> Option<String> {
    let username = Username::new(&user.username).ok()?;
    let reference = UserReference { pool: pool.id().clone(), username };
    let claim = user.attributes.get(CLAIM_ATTRIBUTE).and_then(|text| Claim::new(text));
    let token = Binding::issue(ring.binding.first()?, &reference, user.created_at, claim.as_ref()).ok()?;
    Some(token.as_str().to_owned())
}
