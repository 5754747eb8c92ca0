//! A user pool whose calls fail when a test says so.

use std::sync::{Arc, Mutex};

use idv_callback::assurance::{AttributeChange, UserRecord};
use idv_callback::audit::ChangeCall;
use idv_callback::ports::{DirectoryError, Person, UserDirectory};
use idv_callback::verification::UserReference;
use idvctl::embedded::UserPool;

use crate::support::world::{TestClock, World};

/// A pool that answers one call with an error, once or always, and counts what it is asked.
#[derive(Clone)]
pub(crate) struct FailingPool {
    pub(crate) pool: UserPool<TestClock>,
    error: Arc<Mutex<Option<(&'static str, DirectoryError, bool)>>>,
    pub(crate) calls: Arc<Mutex<Vec<&'static str>>>,
}

impl FailingPool {
    pub(crate) fn new(world: &World) -> Self {
        Self { pool: world.pool.clone(), error: Arc::default(), calls: Arc::default() }
    }

    pub(crate) fn failing(world: &World, call: &'static str, error: DirectoryError, for_good: bool) -> Self {
        let pool = Self::new(world);
        *pool.error.lock().unwrap() = Some((call, error, for_good));
        pool
    }

    fn check(&self, call: &'static str) -> Result<(), DirectoryError> {
        self.calls.lock().unwrap().push(call);
        let mut error = self.error.lock().unwrap();
        match error.clone() {
            Some((failing, failure, for_good)) if failing == call => {
                if !for_good {
                    *error = None;
                }
                Err(failure)
            }
            _ => Ok(()),
        }
    }
}

impl UserDirectory for FailingPool {
    async fn find(&self, user: &UserReference) -> Result<Option<UserRecord>, DirectoryError> {
        self.check("find")?;
        self.pool.find(user).await
    }

    async fn write(
        &self,
        user: &Person<'_>,
        changes: &[AttributeChange],
    ) -> Result<ChangeCall, DirectoryError> {
        self.check("write")?;
        self.pool.write(user, changes).await
    }

    async fn confirm(&self, user: &Person<'_>) -> Result<ChangeCall, DirectoryError> {
        self.check("confirm")?;
        self.pool.confirm(user).await
    }
}
