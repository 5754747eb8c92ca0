//! What decides a forecast: the deployed consumer's settings. What the operator's shell says must not differ from them.

use std::collections::{BTreeMap, BTreeSet};

use idv_callback::assurance::Policy;
use idv_callback::config::{Environment, LocalConfig};
use idv_callback::verification::PoolId;

use super::wrong;
use crate::aws::DeployedConsumer;
use crate::output::Failure;
use crate::redrive::DecisionSettings;

/// The consumer's variables that a decision depends on, beside its user pools.
const VARIABLES: [&str; 3] = ["IDV_BINDING", "IDV_MINIMUM_IAL", "IDV_EVENT_TYPES"];

/// The consumer's user pools.
const POOLS: &str = "IDV_USER_POOL_IDS";

/// The policy that the consumer decides by, and where that is known from. `pools` are those that the operator named.
pub(super) fn resolve(
    consumer: &Result<DeployedConsumer, String>,
    environment: &Environment,
    pools: &[String],
) -> Result<(Policy, DecisionSettings), Failure> {
    let mut shell: BTreeMap<String, String> = BTreeMap::new();
    for name in VARIABLES.into_iter().chain([POOLS]) {
        shell.extend(environment.get(name).map(|value| (name.to_owned(), value)));
    }
    if !pools.is_empty() {
        shell.insert(POOLS.to_owned(), pools.join(","));
    }
    match consumer {
        Err(why) => settings(&shell, format!("this shell, because the consumer cannot be asked: {why}")),
        Ok(consumer) if !consumer.variables.contains_key(POOLS) => {
            settings(&shell, format!("this shell, because {} shows no variables", consumer.function_arn))
        }
        Ok(consumer) => {
            let deployed = settings(&consumer.variables, consumer.function_arn.clone())?;
            let mut merged = consumer.variables.clone();
            merged.extend(shell);
            let said = settings(&merged, String::new())?;
            let differences = said.1.differences(&deployed.1);
            if differences.is_empty() {
                return Ok(deployed);
            }
            Err(Failure::usage(format!(
                "your shell says other settings than the deployed consumer {} has: {} (first your shell's). The consumer \
                 decides: unset what your shell says, or deploy first",
                consumer.function_arn,
                differences.join("; ")
            )))
        }
    }
}

/// Whether the consumer is known to be switched off.
pub(super) fn is_off(consumer: &Result<DeployedConsumer, String>) -> Option<&DeployedConsumer> {
    consumer.as_ref().ok().filter(|consumer| !consumer.enabled)
}

/// What there is to say of a consumer that is switched off.
pub(super) fn off(consumer: &DeployedConsumer) -> String {
    format!(
        "the event source mapping of {} is switched off: nothing on the callback queue is settled until it runs",
        consumer.function_arn
    )
}

fn settings(variables: &BTreeMap<String, String>, of: String) -> Result<(Policy, DecisionSettings), Failure> {
    let table = variables.clone();
    let config = LocalConfig::read(&Environment::new(move |name| {
        VARIABLES.contains(&name).then(|| table.get(name).cloned()).flatten()
    }));
    let config = config.map_err(|error| wrong(&error))?;
    let names = variables.get(POOLS).map(String::as_str).unwrap_or_default();
    let names: BTreeSet<&str> = names.split(',').map(str::trim).filter(|id| !id.is_empty()).collect();
    if names.is_empty() {
        return Err(Failure::usage(
            "which user pools does the consumer serve? give --user-pool or set IDV_USER_POOL_IDS",
        ));
    }
    let pools: Result<Vec<_>, _> = names.into_iter().map(PoolId::of_real_pool).collect();
    let pools =
        pools.map_err(|_| Failure::usage("--user-pool must be a user pool's id, like us-east-1_AbC123"))?;
    // As the consumer reads it: a proof wants a binding unless it is told otherwise.
    let binding_required = variables.get("IDV_BINDING").is_none_or(|said| said != "optional");
    let event_types = variables.get("IDV_EVENT_TYPES").cloned().unwrap_or_default();
    let shown = DecisionSettings {
        of,
        binding: if binding_required { "required" } else { "optional" }.to_owned(),
        minimum_ial: config.minimum_ial.get(),
        user_pools: pools.iter().map(ToString::to_string).collect(),
        event_types,
    };
    let policy =
        Policy { pools, minimum_ial: config.minimum_ial, binding_required, event_types: config.event_types };
    Ok((policy, shown))
}
