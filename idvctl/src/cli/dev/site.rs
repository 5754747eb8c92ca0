//! The embedded stack's own pages, beside the callback endpoint: users and dead letters.

use std::collections::BTreeMap;

use idv_callback::clock::SystemClock;
use idv_callback::lambda::HttpMessage;
use idv_callback::ports::{AuditSink, KeyStore};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::embedded::{
    AwsApi, Deployment, FifoQueue, FrontDoor, LocalQueues, PoolError, Reply, SignUp, Site, Switch, UserPool,
    dead_letter, issue_binding, user_json,
};

/// The callback endpoint and `/_local/…`.
pub(crate) struct LocalSite<S, A> {
    front_door: FrontDoor<FifoQueue<SystemClock>, S, A, SystemClock>,
    pool: UserPool<SystemClock>,
    queues: LocalQueues<SystemClock>,
    keys: S,
    aws_api: Option<AwsApi<SystemClock>>,
    switch: Switch,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUser {
    username: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsumerState {
    enabled: bool,
}

impl<S: KeyStore + 'static, A: AuditSink + 'static> Site for LocalSite<S, A> {
    async fn answer(&self, request: HttpMessage) -> Reply {
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/_local/users") => self.create(&request.body).await,
            ("GET", "/_local/dead-letters") => {
                let letters: Vec<_> = self.queues.dead_letters.messages().iter().map(dead_letter).collect();
                Reply::json(200, &json!(letters))
            }
            ("DELETE", path) if path.starts_with("/_local/users/") => {
                let name = path.trim_start_matches("/_local/users/");
                match self.pool.admin_delete_user(&percent_decode_str(name).decode_utf8_lossy()) {
                    Ok(()) => Reply::json(200, &json!({})),
                    Err(error) => failed(error),
                }
            }
            ("GET", path) if path.starts_with("/_local/users/") => {
                let name = path.trim_start_matches("/_local/users/");
                self.show(&percent_decode_str(name).decode_utf8_lossy())
            }
            // A page of another site can post a form, and no JSON.
            ("POST", "/_local/consumer")
                if self.aws_api.is_some()
                    && request
                        .header("content-type")
                        .is_some_and(|kind| kind.starts_with("application/json")) =>
            {
                self.switch_consumer(&request.body)
            }
            // AWS' own calls: `AWS_ENDPOINT_URL` may name this server.
            ("POST", "/") if let Some(api) = &self.aws_api => api.answer(&request).await,
            ("GET", path)
                if AwsApi::<SystemClock>::is_of_lambda(path)
                    && let Some(api) = &self.aws_api =>
            {
                api.answer(&request).await
            }
            (_, path) if path.starts_with("/_local/") => {
                let pages = "POST /_local/users, GET and DELETE /_local/users/{username}, GET /_local/dead-letters, \
                     POST /_local/consumer";
                Reply::json(404, &json!({ "error": format!("there are {pages}") }))
            }
            _ => self.front_door.answer(request).await,
        }
    }
}

impl<S: KeyStore, A> LocalSite<S, A> {
    pub(crate) fn new(
        front_door: FrontDoor<FifoQueue<SystemClock>, S, A, SystemClock>,
        pool: UserPool<SystemClock>,
        queues: LocalQueues<SystemClock>,
        keys: S,
        deployment: Deployment,
        to_this_machine_alone: bool,
    ) -> Self {
        let switch = deployment.switch.clone();
        // Whoever can make AWS' calls can empty the queues.
        let aws_api = to_this_machine_alone.then(|| AwsApi::new(queues.clone(), pool.clone(), deployment));
        Self { front_door, pool, queues, keys, aws_api, switch }
    }

    /// Signs a user up; the answer has the binding that a proofing session of this user would carry.
    async fn create(&self, body: &[u8]) -> Reply {
        let wanted = "the body must be {\"username\": \"…\", \"attributes\": {\"name\": \"value\"}}";
        let Ok(NewUser { username, attributes }) = serde_json::from_slice(body) else {
            return Reply::json(400, &json!({ "error": wanted }));
        };
        match self.pool.sign_up(SignUp { username, attributes }) {
            Ok(user) => {
                let binding = self.keys.fetch().await.ok().and_then(|r| issue_binding(&r, &self.pool, &user));
                let mut created = user_json(self.pool.id(), &user);
                if let Value::Object(members) = &mut created {
                    members.insert("binding".to_owned(), json!(binding));
                }
                Reply::json(201, &created)
            }
            Err(error) => failed(error),
        }
    }

    /// Stops the consumer after the batch under way, or lets it run.
    fn switch_consumer(&self, body: &[u8]) -> Reply {
        let Ok(ConsumerState { enabled }) = serde_json::from_slice(body) else {
            return Reply::json(400, &json!({ "error": "the body must be {\"enabled\": true} or false" }));
        };
        self.switch.set(enabled);
        Reply::json(200, &json!({ "enabled": enabled }))
    }

    fn show(&self, username: &str) -> Reply {
        match self.pool.admin_get_user(username) {
            Ok(user) => Reply::json(200, &user_json(self.pool.id(), &user)),
            Err(error) => failed(error),
        }
    }
}

fn failed(error: PoolError) -> Reply {
    let status = match error {
        PoolError::UserNotFound | PoolError::ResourceNotFound => 404,
        PoolError::UsernameExists => 409,
        PoolError::InvalidParameter | PoolError::NotAuthorized => 400,
        PoolError::TooManyRequests => 429,
    };
    Reply::json(status, &json!({ "error": error.code() }))
}
