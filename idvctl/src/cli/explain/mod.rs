//! `idvctl explain`: which mistake of the sender would have made this signature. Offline.
//!
//! Every sensible combination of key, signed bytes, body and encoding is tried, and the one with the fewest mistakes
//! that gives the signature is named.

mod bodies;
mod found_keys;
mod signatures;

use std::process::ExitCode;

use clap::Args;
use idv_callback::config::Environment;
use idv_callback::delivery::{AuthenticationError, SignatureProfile};
use idv_callback::key_ring::KeyRing;
use idv_callback::secret::hmac_sha256;
use idv_callback::timestamp::Timestamp;
use serde_json::json;
use signatures::Claimed;

use super::captured::Captured;
use crate::cli::signing::{CapturedCase, CapturedOptions, check, sentence};
use crate::output::{Failure, Output, outcome};

/// What is looked at.
#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) captured: CapturedOptions,
}

/// A mistake: a stable code, and what to tell the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    code: &'static str,
    advice: &'static str,
}

impl Mistake {
    const fn new(code: &'static str, advice: &'static str) -> Self {
        Self { code, advice }
    }
}

/// Something that could have been used for the signature, and the mistake that this would be, if it is one.
type Variant<T> = (T, Option<Mistake>);

const TOO_OLD: Mistake =
    Mistake { code: "too_old", advice: "sign each attempt anew, and check the sender's clock" };
const TOO_NEW: Mistake = Mistake { code: "too_new", advice: "check the sender's clock: it is ahead" };

struct Explanation {
    key_id: Option<String>,
    mistakes: Vec<Mistake>,
}

pub(crate) fn run(options: &Options, environment: &Environment, output: Output) -> Result<ExitCode, Failure> {
    let CapturedCase { ring, profile, captured, at } = CapturedCase::read(&options.captured, environment)?;
    let (refusal, explanation) = match check(&captured, &profile, &ring, at) {
        Ok(delivery) => {
            output.line(format!(
                "nothing to explain: it is authentic, signed with key {}",
                delivery.key_id()
            ))?;
            output.value(
                &json!({ "authentic": true, "explained": true, "key_id": delivery.key_id(), "mistakes": [] }),
            )?;
            return Ok(outcome(true));
        }
        Err(refusal) => (refusal, explain(&captured, &profile, &ring, at, refusal)),
    };
    output.line(format!("refused: {} ({})", sentence(refusal), refusal.code()))?;
    let mistakes = explanation.iter().flat_map(|explanation| &explanation.mistakes);
    for mistake in mistakes.clone() {
        output.line(format!("mistake: {}\n  {}", mistake.code, mistake.advice))?;
    }
    let key_id = explanation.as_ref().and_then(|explanation| explanation.key_id.as_ref());
    match (key_id, &explanation) {
        (Some(id), _) => {
            output.line(format!("without this mistake, the signature would be one of key {id}"))?;
        }
        (None, Some(_)) => {}
        (None, None) => output.line("none of the known mistakes explains the signature")?,
    }
    let mistakes: Vec<_> = mistakes.map(|m| json!({ "code": m.code, "advice": m.advice })).collect();
    let explained = explanation.is_some();
    output.value(&json!({
        "authentic": false,
        "cause": refusal.code(),
        "sentence": sentence(refusal),
        "explained": explained,
        "key_id": key_id,
        "mistakes": mistakes,
    }))?;
    Ok(outcome(explained))
}

fn explain(
    captured: &Captured,
    profile: &SignatureProfile,
    ring: &KeyRing,
    at: Option<Timestamp>,
    refusal: AuthenticationError,
) -> Option<Explanation> {
    let freshness = match refusal {
        AuthenticationError::TooOld => Some(TOO_OLD),
        AuthenticationError::TooNew => Some(TOO_NEW),
        _ => None,
    };
    let claimed = signatures::claimed(profile, &captured.headers);
    let keys = found_keys::candidates(ring, at.or(claimed.time()));
    let bodies = bodies::variants(&captured.body);
    let mut best: Option<Explanation> = None;
    for (prefix, content_mistake) in claimed.prefixes() {
        for (body, body_mistake) in &bodies {
            for key in &keys {
                // A timestamp in the wrong unit is also out of time: that is one mistake.
                let freshness = freshness.filter(|_| content_mistake != signatures::MILLISECONDS);
                let known = [content_mistake, *body_mistake, key.mistake, freshness];
                let Some(written) = claimed.find(&hmac_sha256(&key.bytes, &[prefix.as_bytes(), body])) else {
                    continue;
                };
                let mistakes: Vec<_> = known.into_iter().flatten().chain(written).collect();
                if best.as_ref().is_none_or(|best| mistakes.len() < best.mistakes.len()) {
                    best = Some(Explanation { key_id: key.id.clone(), mistakes });
                }
            }
        }
    }
    best.or_else(|| claimed.misplaced())
}

impl Claimed {
    /// Where no signature was found, or it matches nothing: the field may be missing, or stand twice.
    fn misplaced(&self) -> Option<Explanation> {
        self.header_mistake().map(|mistake| Explanation { key_id: None, mistakes: vec![mistake] })
    }
}
