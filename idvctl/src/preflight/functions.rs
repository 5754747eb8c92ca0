//! The functions and the mapping between queue and consumer.

use std::time::Duration;

use idv_callback::intake::INVOCATION_TIMEOUT as CALLBACK_TIMEOUT;
use idv_callback::settlement::INVOCATION_TIMEOUT as CONSUMER_TIMEOUT;

use super::{CheckResult, Function, Installation, Mapping};

/// What Cognito takes of `AdminUpdateUserAttributes` and its like, for an account and region (Cognito developer guide,
/// "Quotas in Amazon Cognito", `UserUpdate`).
const COGNITO_WRITES_PER_SECOND: u32 = 25;

pub(super) fn examine(installation: &Installation) -> Vec<CheckResult> {
    let mut findings = Vec::new();
    if let Some(callback) = &installation.callback {
        findings.extend(function("callback function", callback, CALLBACK_TIMEOUT, installation, &[]));
    }
    if let Some(consumer) = &installation.consumer {
        let dead_letters = installation.dead_letters.as_ref().and_then(|queue| queue.as_ref().ok());
        let pool = installation.pool.as_ref().and_then(|pool| pool.as_ref().ok());
        let more = [
            ("IDV_DEAD_LETTER_QUEUE_URL", dead_letters.map(|queue| queue.url.as_str())),
            ("IDV_USER_POOL_IDS", pool.map(|pool| pool.id.as_str())),
        ];
        findings.extend(function("consumer function", consumer, CONSUMER_TIMEOUT, installation, &more));
    }
    match &installation.mappings {
        None => {}
        Some(Err(problem)) => findings.push(CheckResult::unknown("event source mapping", problem)),
        Some(Ok(mappings)) => findings.extend(mapping(mappings, installation)),
    }
    findings
}

fn function(
    check: &'static str,
    asked: &Result<Function, String>,
    timeout: Duration,
    installation: &Installation,
    more: &[(&'static str, Option<&str>)],
) -> Vec<CheckResult> {
    let function = match asked {
        Err(problem) => return vec![CheckResult::unknown(check, problem)],
        Ok(function) => function,
    };
    let mut findings = Vec::new();
    if !function.is_qualified() {
        let remedy = "name the alias that takes traffic, as in idv-consumer:live";
        findings.push(CheckResult::doubtful(check, "was looked at as $LATEST", remedy));
    }
    if function.timeout != timeout {
        let found = format!("its time limit is {} s", function.timeout.as_secs());
        let remedy = format!("set it to {} s: the code keeps that time", timeout.as_secs());
        findings.push(CheckResult::wrong(check, found, remedy));
    }
    let queue = installation.queue.as_ref().and_then(|queue| queue.as_ref().ok());
    let ring = installation.key_ring.as_ref().map(|(name, _)| name.as_str());
    let expected =
        [("IDV_QUEUE_URL", queue.map(|queue| queue.url.as_str())), ("IDV_KEY_RING_SECRET_ID", ring)];
    for (name, expected) in expected.iter().chain(more) {
        let Some(expected) = expected else { continue };
        let set = function.variables.get(*name).map(String::as_str).unwrap_or_default();
        if !set.split(',').any(|value| value.trim() == *expected) {
            let found = format!("{name} is \"{set}\", and you asked about \"{expected}\"");
            findings.push(CheckResult::wrong(check, found, "deploy again with the right value"));
        }
    }
    if findings.is_empty() {
        findings.push(CheckResult::fine(check, "time limit and variables fit"));
    }
    findings
}

fn mapping(mappings: &[Mapping], installation: &Installation) -> Vec<CheckResult> {
    const CHECK: &str = "event source mapping";
    let mapping = match mappings {
        [mapping] => mapping,
        [] => {
            let remedy = "map the queue to the consumer's alias: nothing is consumed without it";
            return vec![CheckResult::wrong(CHECK, "the queue has none", remedy)];
        }
        _ => {
            let functions: Vec<_> = mappings.iter().map(|mapping| mapping.function_arn.as_str()).collect();
            let found = format!("the queue has {}: {}", mappings.len(), functions.join(", "));
            let remedy = "delete all but the consumer's: whoever else consumes takes callbacks away";
            return vec![CheckResult::wrong(CHECK, found, remedy)];
        }
    };
    let mut findings = Vec::new();
    if let Some(Ok(consumer)) = &installation.consumer
        && !consumer.is_called(&mapping.function_arn)
    {
        let found = format!("calls {}, not {}", mapping.function_arn, consumer.asked);
        findings.push(CheckResult::wrong(
            CHECK,
            found,
            "map the queue to the alias, or roll-outs pass it by",
        ));
    }
    if !mapping.enabled {
        let remedy = "aws lambda update-event-source-mapping --enabled, once you know why it is off";
        findings.push(CheckResult::wrong(CHECK, "is switched off", remedy));
    }
    if !mapping.partial_failures {
        let remedy =
            "set FunctionResponseTypes to ReportBatchItemFailures: failed messages are deleted without it";
        findings.push(CheckResult::wrong(CHECK, "takes no partial failures", remedy));
    }
    findings.extend(concurrency(CHECK, mapping, installation));
    if findings.is_empty() {
        findings.push(CheckResult::fine(CHECK, "on the alias, with partial failures and a bound"));
    }
    findings
}

fn concurrency(check: &'static str, mapping: &Mapping, installation: &Installation) -> Option<CheckResult> {
    let Some(concurrency) = mapping.maximum_concurrency else {
        let remedy = "set ScalingConfig.MaximumConcurrency to 2: Cognito's quota is shared with sign-in";
        return Some(CheckResult::wrong(check, "has no bound on how many consumers run", remedy));
    };
    let consumer = installation.consumer.as_ref()?.as_ref().ok()?;
    let each: u32 = consumer.variables.get("IDV_COGNITO_RPS")?.parse().ok()?;
    let writes = concurrency.saturating_mul(each);
    let found = format!(
        "{concurrency} consumers of {each} writes a second are {writes}; by default Cognito takes {COGNITO_WRITES_PER_SECOND} for everybody"
    );
    let remedy = "lower one of them, unless your quota (Service Quotas) is higher";
    (writes > COGNITO_WRITES_PER_SECOND).then(|| CheckResult::doubtful(check, found, remedy))
}
