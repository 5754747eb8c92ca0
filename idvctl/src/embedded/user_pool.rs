//! A user pool as Cognito documents it (API reference: `SignUp`, `AdminGetUser`, `AdminUpdateUserAttributes`,
//! `AdminConfirmSignUp`; developer guide: "Working with user attributes", "Quotas in Amazon Cognito").

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use idv_callback::assurance::{
    ASSURANCE_ATTRIBUTES, Assurance, AttributeChange, CLAIM_ATTRIBUTE, MAXIMUM_VALUE_CHARS,
    STAGING_ATTRIBUTES, UserRecord, UserStatus,
};
use idv_callback::audit::ChangeCall;
use idv_callback::hex::hex;
use idv_callback::ports::{Clock, DirectoryError, Fault, Person, UserDirectory};
use idv_callback::proofing::Claim;
use idv_callback::timestamp::Timestamp;
use idv_callback::verification::{PoolId, UserReference, Username};
use sha2::{Digest as _, Sha256};

/// The standard attributes that an administrator may write (developer guide, "Standard attributes"); `sub` is none.
const STANDARD_ATTRIBUTES: [&str; 19] = [
    "address",
    "birthdate",
    "email",
    "email_verified",
    "family_name",
    "gender",
    "given_name",
    "locale",
    "middle_name",
    "name",
    "nickname",
    "phone_number",
    "phone_number_verified",
    "picture",
    "preferred_username",
    "profile",
    "updated_at",
    "website",
    "zoneinfo",
];

/// Attributes under whose value a user is found, too, and the attribute that must be `true` for that.
const ALIASES: [(&str, Option<&str>); 4] = [
    ("sub", None),
    ("email", Some("email_verified")),
    ("phone_number", Some("phone_number_verified")),
    ("preferred_username", None),
];

/// Requests a second, by category, for all pools of an account together.
#[derive(Clone, Copy, Debug)]
pub struct Quotas {
    /// `AdminConfirmSignUp` and `SignUp` among others.
    pub user_creation: usize,
    /// `AdminUpdateUserAttributes` among others.
    pub user_update: usize,
    /// `AdminGetUser` among others.
    pub user_read: usize,
}

impl Default for Quotas {
    /// The default quotas.
    fn default() -> Self {
        Self { user_creation: 50, user_update: 25, user_read: 120 }
    }
}

/// A user.
#[derive(Clone)]
pub struct User {
    /// The name.
    pub username: String,
    /// The status, in Cognito's spelling.
    pub status: &'static str,
    /// Whether the user may sign in.
    pub enabled: bool,
    /// All attributes, `sub` among them.
    pub attributes: BTreeMap<String, String>,
    /// When the user was created.
    pub created_at: Timestamp,
}

/// A sign-up.
#[derive(Clone, Default)]
pub struct SignUp {
    /// The name.
    pub username: String,
    /// The attributes.
    pub attributes: BTreeMap<String, String>,
}

/// An error, by Cognito's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolError {
    /// `UserNotFoundException`
    UserNotFound,
    /// `UsernameExistsException`
    UsernameExists,
    /// `InvalidParameterException`: an attribute that the schema has not, a value that is too long, `sub`.
    InvalidParameter,
    /// `NotAuthorizedException`: "User cannot be confirmed. Current status is CONFIRMED".
    NotAuthorized,
    /// `TooManyRequestsException`
    TooManyRequests,
    /// `ResourceNotFoundException`: another pool.
    ResourceNotFound,
}

impl PoolError {
    /// Cognito's name.
    pub fn code(self) -> &'static str {
        match self {
            Self::UserNotFound => "UserNotFoundException",
            Self::UsernameExists => "UsernameExistsException",
            Self::InvalidParameter => "InvalidParameterException",
            Self::NotAuthorized => "NotAuthorizedException",
            Self::TooManyRequests => "TooManyRequestsException",
            Self::ResourceNotFound => "ResourceNotFoundException",
        }
    }
}

/// One user pool. Clones are the same pool.
#[derive(Clone)]
pub struct UserPool<C> {
    id: PoolId,
    quotas: Option<Quotas>,
    clock: C,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    users: Vec<User>,
    recent: [VecDeque<Timestamp>; 3],
}

#[derive(Clone, Copy)]
enum Category {
    Creation,
    Update,
    Read,
}

impl<C: Clock> UserPool<C> {
    /// An empty pool with the assurance attributes in its schema; without quotas it never throttles.
    pub fn new(id: PoolId, quotas: Option<Quotas>, clock: C) -> Self {
        Self { id, quotas, clock, state: Arc::default() }
    }

    /// The same pool, without quotas: for looking on without taking from what the consumer may ask.
    #[must_use]
    pub fn uncounted(&self) -> Self
    where
        C: Clone,
    {
        Self { quotas: None, ..self.clone() }
    }

    /// The pool's id.
    pub fn id(&self) -> &PoolId {
        &self.id
    }

    /// Creates an unconfirmed user.
    ///
    /// # Errors
    /// [`PoolError`] by Cognito's rules.
    pub fn sign_up(&self, sign_up: SignUp) -> Result<User, PoolError> {
        let mut state = self.count(Category::Creation)?;
        let SignUp { username, mut attributes } = sign_up;
        if Username::new(&username).is_err() || attributes.iter().any(|(name, value)| !in_schema(name, value))
        {
            return Err(PoolError::InvalidParameter);
        }
        if state.users.iter().any(|user| same_name(&user.username, &username)) {
            return Err(PoolError::UsernameExists);
        }
        let created_at = self.clock.now();
        attributes.insert("sub".to_owned(), sub_of(&self.id, &username, created_at));
        let user = User { username, status: "UNCONFIRMED", enabled: true, attributes, created_at };
        state.users.push(user.clone());
        Ok(user)
    }

    /// Finds a user by name or alias.
    ///
    /// # Errors
    /// [`PoolError`] by Cognito's rules.
    pub fn admin_get_user(&self, name: &str) -> Result<User, PoolError> {
        let state = self.count(Category::Read)?;
        position(&state.users, name)
            .and_then(|at| state.users.get(at))
            .cloned()
            .ok_or(PoolError::UserNotFound)
    }

    /// Writes all of the attributes, or none; an empty value deletes.
    ///
    /// # Errors
    /// [`PoolError`] by Cognito's rules.
    pub fn admin_update_user_attributes(
        &self,
        name: &str,
        attributes: &[(&str, &str)],
    ) -> Result<(), PoolError> {
        let mut state = self.count(Category::Update)?;
        let user = position(&state.users, name).and_then(|at| state.users.get_mut(at));
        let user = user.ok_or(PoolError::UserNotFound)?;
        if attributes.iter().any(|(name, value)| !in_schema(name, value)) {
            return Err(PoolError::InvalidParameter);
        }
        for (name, value) in attributes {
            if value.is_empty() {
                user.attributes.remove(*name);
            } else {
                user.attributes.insert((*name).to_owned(), (*value).to_owned());
            }
        }
        Ok(())
    }

    /// Confirms an unconfirmed user, and nobody else.
    ///
    /// # Errors
    /// [`PoolError`] by Cognito's rules.
    pub fn admin_confirm_sign_up(&self, name: &str) -> Result<(), PoolError> {
        let mut state = self.count(Category::Creation)?;
        let user = position(&state.users, name).and_then(|at| state.users.get_mut(at));
        let user = user.ok_or(PoolError::UserNotFound)?;
        if user.status != "UNCONFIRMED" {
            return Err(PoolError::NotAuthorized);
        }
        user.status = "CONFIRMED";
        Ok(())
    }

    /// Keeps a user from signing in, or lets them (`AdminDisableUser`, `AdminEnableUser`).
    ///
    /// # Errors
    /// [`PoolError::UserNotFound`].
    pub fn admin_set_enabled(&self, name: &str, enabled: bool) -> Result<(), PoolError> {
        let mut state = self.lock();
        let at = position(&state.users, name).ok_or(PoolError::UserNotFound)?;
        state.users.iter_mut().skip(at).take(1).for_each(|user| user.enabled = enabled);
        Ok(())
    }

    /// Deletes a user, as an administrator or the user would.
    ///
    /// # Errors
    /// [`PoolError::UserNotFound`].
    pub fn admin_delete_user(&self, name: &str) -> Result<(), PoolError> {
        let mut state = self.lock();
        let at = position(&state.users, name).ok_or(PoolError::UserNotFound)?;
        state.users.remove(at);
        Ok(())
    }

    /// Every user. Counts as no request.
    pub fn users(&self) -> Vec<User> {
        self.lock().users.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request against its category's quota: so many in any second.
    fn count(&self, category: Category) -> Result<MutexGuard<'_, State>, PoolError> {
        let mut state = self.lock();
        let Some(quotas) = self.quotas else { return Ok(state) };
        let [creation, update, read] = &mut state.recent;
        let (recent, quota) = match category {
            Category::Creation => (creation, quotas.user_creation),
            Category::Update => (update, quotas.user_update),
            Category::Read => (read, quotas.user_read),
        };
        let now = self.clock.now();
        recent.retain(|at| now.since(*at) < Duration::from_secs(1));
        if recent.len() >= quota {
            return Err(PoolError::TooManyRequests);
        }
        recent.push_back(now);
        Ok(state)
    }

    fn reach(&self, user: &UserReference) -> Result<(), PoolError> {
        if user.pool == self.id { Ok(()) } else { Err(PoolError::ResourceNotFound) }
    }
}

fn same_name(left: &str, right: &str) -> bool {
    left.to_lowercase() == right.to_lowercase()
}

fn position(users: &[User], name: &str) -> Option<usize> {
    let by_name = users.iter().position(|user| same_name(&user.username, name));
    by_name.or_else(|| users.iter().position(|user| ALIASES.iter().any(|alias| is_alias(user, alias, name))))
}

fn is_alias(user: &User, (attribute, verified): &(&str, Option<&str>), name: &str) -> bool {
    let counts = verified.is_none_or(|flag| user.attributes.get(flag).is_some_and(|value| value == "true"));
    counts && user.attributes.get(*attribute).is_some_and(|value| same_name(value, name))
}

fn in_schema(name: &str, value: &str) -> bool {
    let ours = ASSURANCE_ATTRIBUTES.contains(&name) || STAGING_ATTRIBUTES.contains(&name);
    let known = STANDARD_ATTRIBUTES.contains(&name) || ours || name == CLAIM_ATTRIBUTE;
    known && value.chars().count() <= MAXIMUM_VALUE_CHARS
}

/// In the form of a UUID, as Cognito's are.
fn sub_of(pool: &PoolId, username: &str, at: Timestamp) -> String {
    let digest = Sha256::digest(format!("{pool}\n{username}\n{at}"));
    let mut text: String = hex(&digest).chars().take(32).collect();
    for at in [20, 16, 12, 8] {
        text.insert(at, '-');
    }
    text
}

impl<C: Clock> UserDirectory for UserPool<C> {
    async fn find(&self, user: &UserReference) -> Result<Option<UserRecord>, DirectoryError> {
        let found = self.reach(user).and_then(|()| self.admin_get_user(user.username.as_str()));
        match found {
            Ok(user) => record(&user).map(Some),
            Err(PoolError::UserNotFound) => Ok(None),
            Err(error) => Err(failed("AdminGetUser", error)),
        }
    }

    async fn write(
        &self,
        user: &Person<'_>,
        changes: &[AttributeChange],
    ) -> Result<ChangeCall, DirectoryError> {
        let attributes: Vec<_> = changes
            .iter()
            .map(|change| match change {
                AttributeChange::Set(name, value) => (*name, value.as_str()),
                AttributeChange::Clear(name) => (*name, ""),
            })
            .collect();
        let written = self
            .reach(user.reference)
            .and_then(|()| self.admin_update_user_attributes(name_of(user), &attributes));
        made("AdminUpdateUserAttributes", written)
    }

    async fn confirm(&self, user: &Person<'_>) -> Result<ChangeCall, DirectoryError> {
        let confirmed = self.reach(user.reference).and_then(|()| self.admin_confirm_sign_up(name_of(user)));
        made("AdminConfirmSignUp", confirmed)
    }
}

fn name_of<'a>(user: &Person<'a>) -> &'a str {
    user.sub.unwrap_or(user.reference.username.as_str())
}

fn made(call: &'static str, outcome: Result<(), PoolError>) -> Result<ChangeCall, DirectoryError> {
    outcome.map(|()| ChangeCall { call, request_id: None }).map_err(|error| failed(call, error))
}

fn record(user: &User) -> Result<UserRecord, DirectoryError> {
    let bad = |_| DirectoryError::Misconfigured(Fault::new("AdminGetUser", "bad_username"));
    Ok(UserRecord {
        username: Username::new(&user.username).map_err(bad)?,
        status: match user.status {
            "UNCONFIRMED" => UserStatus::Unconfirmed,
            "CONFIRMED" => UserStatus::Confirmed,
            _ => UserStatus::Other,
        },
        enabled: user.enabled,
        sub: user.attributes.get("sub").cloned(),
        created_at: user.created_at,
        assurance: Assurance::read(|name| user.attributes.get(name).map(String::as_str)),
        claim: user.attributes.get(CLAIM_ATTRIBUTE).and_then(|text| Claim::new(text)),
    })
}

fn failed(call: &'static str, error: PoolError) -> DirectoryError {
    let fault = Fault::new(call, error.code());
    match error {
        PoolError::UserNotFound => DirectoryError::UserNotFound,
        PoolError::TooManyRequests => DirectoryError::Transient(fault),
        PoolError::NotAuthorized | PoolError::UsernameExists => DirectoryError::Refused(fault),
        PoolError::InvalidParameter | PoolError::ResourceNotFound => DirectoryError::Misconfigured(fault),
    }
}
