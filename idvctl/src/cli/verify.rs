//! `idvctl verify`: is a captured request authentic?

use std::process::ExitCode;

use clap::Args;
use idv_callback::config::Environment;
use serde_json::json;

use crate::cli::signing::{CapturedCase, CapturedOptions, check, sentence};
use crate::output::{Failure, Output, outcome};

/// What is looked at.
#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) captured: CapturedOptions,
}

pub(crate) fn run(options: &Options, environment: &Environment, output: Output) -> Result<ExitCode, Failure> {
    let CapturedCase { ring, profile, captured, at } = CapturedCase::read(&options.captured, environment)?;
    match check(&captured, &profile, &ring, at) {
        Ok(delivery) => {
            let at = at.map_or("at the time it was signed".to_owned(), |at| format!("at {at}"));
            output.line(format!("authentic {at}, signed with key {}", delivery.key_id()))?;
            output.value(&json!({ "authentic": true, "key_id": delivery.key_id() }))?;
            Ok(outcome(true))
        }
        Err(error) => {
            output.line(format!("not authentic: {} ({})", sentence(error), error.code()))?;
            output.value(&json!({ "authentic": false, "cause": error.code() }))?;
            Ok(outcome(false))
        }
    }
}
