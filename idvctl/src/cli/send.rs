//! `idvctl send`: builds, signs and posts callbacks.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use futures_util::stream::{self, StreamExt as _};
use hyper::Uri;
use idv_callback::clock::SystemClock;
use idv_callback::config::Environment;
use idv_callback::delivery::{SignatureProfile, sign};
use idv_callback::key_ring::KeyRing;
use idv_callback::ports::Clock as _;
use idv_callback::timestamp::Timestamp;
use idv_callback::vocabulary::Status;
use serde_json::{Value, json};

use super::keys;
use crate::callback_body::{Callback, fresh_id};
use crate::cli::progress::Progress;
use crate::cli::signing::SigningOptions;
use crate::output::{Failure, Output, outcome};
use crate::poster::Poster;

#[derive(Args)]
pub(crate) struct Options {
    /// Where to post.
    #[arg(long, default_value = "http://127.0.0.1:8787/idv-callback", value_name = "URL")]
    pub(crate) url: String,
    #[command(flatten)]
    pub(crate) signing: SigningOptions,
    /// How the proofing ended.
    #[arg(long, default_value = "approved", value_name = "STATUS", value_parser = status_words())]
    pub(crate) status: Status,
    // clap breaks the line at its own `{n}`; a code that resets the colour, and is taken out where there is none, parts it.
    #[arg(
        long,
        default_value = "ada",
        value_name = "NAME",
        help = "The user's name; with --count, {\u{1b}[0mn} stands for the number"
    )]
    pub(crate) user: String,
    /// The user pool.
    #[arg(long, default_value = "us-east-1_LocalPool", value_name = "ID")]
    pub(crate) pool: String,
    /// The subject, as the provider knows the person. [default: made from the user's name]
    #[arg(long, value_name = "SUBJECT")]
    pub(crate) subject: Option<String>,
    /// The identity assurance level.
    #[arg(long, default_value_t = 2, value_name = "LEVEL")]
    pub(crate) ial: u8,
    /// The session. [default: made up]
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,
    /// When it happened, RFC 3339. [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) occurred_at: Option<String>,
    /// The binding from the session's metadata.
    #[arg(long, value_name = "TOKEN")]
    pub(crate) binding: Option<String>,
    /// Post this file as it is, instead of a body made here.
    #[arg(long, value_name = "FILE")]
    pub(crate) body: Option<PathBuf>,
    /// How many callbacks to send.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) count: u32,
    /// How many to have under way at a time.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) concurrency: u32,
}

/// A signed request, ready to post.
struct Signed {
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// One answer: the status, or none where the receiver could not be reached; and how long it took.
struct PostResult {
    status: Result<u16, String>,
    body: Value,
    took: Duration,
}

pub(crate) async fn run(
    options: &Options,
    environment: &Environment,
    output: Output,
) -> Result<ExitCode, Failure> {
    let url: Uri = options.url.parse().map_err(|error| Failure::usage(format!("--url: {error}")))?;
    let poster = Poster::new(&url)?;
    let template = Template::new(options, environment)?;
    let progress = Progress::new("posting", u64::from(options.count), output);
    let answers = post_all(&poster, &url, template, options, &progress).await;
    drop(progress);
    let unreachable = answers.iter().filter(|answer| answer.status.is_err()).count();
    if unreachable == answers.len() && unreachable > 0 {
        let why = answers.iter().find_map(|answer| answer.status.as_ref().err());
        return Err(Failure::unreachable(why.cloned().unwrap_or_default()));
    }
    report(&answers, output)?;
    Ok(outcome(answers.iter().all(|answer| answer.status == Ok(202))))
}

/// What all the callbacks have in common.
struct Template {
    ring: KeyRing,
    profile: SignatureProfile,
    key: usize,
    file: Option<Vec<u8>>,
    occurred_at: Option<Timestamp>,
}

impl Template {
    fn new(options: &Options, environment: &Environment) -> Result<Self, Failure> {
        let ring = keys::read_ring(&keys::ring_path(options.signing.keys.as_ref(), environment))?;
        let profile = keys::profile(&options.signing, environment)?;
        let id = keys::signing_key(&ring, &options.signing)?.id.clone();
        let key = ring.webhook.iter().position(|key| key.id == id).unwrap_or_default();
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
        };
        let file = options.body.as_ref().map(read).transpose()?;
        let occurred_at = options.occurred_at.as_ref();
        let occurred_at = occurred_at.map(|at| keys::moment(Some(at), "--occurred-at")).transpose()?;
        Ok(Self { ring, profile, key, file, occurred_at })
    }

    /// The `n`th callback, signed now.
    fn signed(&self, options: &Options, n: u32) -> Result<Signed, Failure> {
        let event_id = fresh_id("evt_")?;
        let body = match &self.file {
            Some(body) => body.clone(),
            None => self.body(options, &event_id, n)?.into_bytes(),
        };
        let key =
            self.ring.webhook.get(self.key).ok_or_else(|| Failure::usage("the ring has no webhook key"))?;
        let headers = sign(&self.profile, &key.secret, &event_id, SystemClock.now(), &body);
        Ok(Signed { headers, body })
    }

    fn body(&self, options: &Options, event_id: &str, n: u32) -> Result<String, Failure> {
        let number = |text: &str| text.replace("{n}", &n.to_string());
        let username = number(&options.user);
        let session =
            options.session.as_deref().map_or_else(|| fresh_id("vs_"), |session| Ok(number(session)))?;
        let subject = options.subject.as_deref().map_or_else(|| subject_of(&username), number);
        let callback = Callback {
            event_id,
            status: options.status,
            occurred_at: self.occurred_at.unwrap_or_else(|| SystemClock.now()),
            session: &session,
            subject: &subject,
            ial: options.ial,
            pool: &options.pool,
            username: &username,
            binding: options.binding.as_deref(),
        };
        Ok(callback.body())
    }
}

/// The same user is always the same person, unless told otherwise.
pub(crate) fn subject_of(username: &str) -> String {
    let digest = idv_callback::envelope::BodyDigest::of(username.as_bytes());
    let digits: String = digest.as_str().chars().take(40).collect();
    format!("did:blockid:{digits}")
}

/// Posts them all, so many at a time; each is signed when its turn comes.
async fn post_all(
    poster: &Poster,
    url: &Uri,
    template: Template,
    options: &Options,
    progress: &Progress,
) -> Vec<PostResult> {
    let template = &template;
    let one = |n| async move {
        let start = SystemClock.now();
        let answered = match template.signed(options, n) {
            Ok(request) => poster.post(url, &request.headers, request.body).await,
            Err(failure) => Err(failure),
        };
        progress.one_more();
        let took = SystemClock.now().since(start);
        match answered {
            Ok(answer) => PostResult { status: Ok(answer.status), body: answer.body, took },
            Err(failure) => PostResult { status: Err(failure.message().to_owned()), body: Value::Null, took },
        }
    };
    let at_a_time = usize::try_from(options.concurrency).unwrap_or(1);
    stream::iter(1..=options.count).map(one).buffer_unordered(at_a_time).collect().await
}

fn report(answers: &[PostResult], output: Output) -> Result<(), Failure> {
    let mut by_status: BTreeMap<String, usize> = BTreeMap::new();
    for answer in answers {
        let status = answer.status.as_ref().map_or("unreachable".to_owned(), ToString::to_string);
        *by_status.entry(status).or_default() += 1;
    }
    let mut millis: Vec<_> = answers.iter().map(|answer| answer.took.as_millis()).collect();
    millis.sort_unstable();
    let at = |percent: usize| millis.get((millis.len() * percent / 100).min(millis.len().saturating_sub(1)));
    let figures: BTreeMap<_, _> = [("p50", 50), ("p95", 95), ("p99", 99), ("max", 100)]
        .map(|(name, percent)| (name, at(percent)))
        .into();
    if let [answer] = answers {
        let status = answer.status.as_ref().map_or("unreachable".to_owned(), ToString::to_string);
        let body = if answer.body.is_null() { String::new() } else { format!("{:#}", answer.body) };
        output.line(format!("{status}\n{body}"))?;
    } else {
        let rows = by_status.iter().map(|(status, count)| vec![status.clone(), count.to_string()]);
        output.table(&["answer", "callbacks"], rows)?;
        let row = figures.values().map(|ms| ms.map_or_else(String::new, |ms| format!("{ms} ms"))).collect();
        output.table(&figures.keys().copied().collect::<Vec<_>>(), vec![row])?;
    }
    let bodies: Vec<_> = answers.iter().map(|answer| &answer.body).take(100).collect();
    output.value(&json!({ "answers": by_status, "milliseconds": figures, "bodies": bodies }))?;
    Ok(())
}

/// The canonical status words.
fn status_words() -> impl TypedValueParser<Value = Status> {
    let words = Status::ALL.iter().map(|status| status.word());
    PossibleValuesParser::new(words).try_map(|word| Status::of_canonical(&word).ok_or("it is not a status"))
}
