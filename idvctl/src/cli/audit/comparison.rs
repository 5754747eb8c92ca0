//! What a trail is compared with: an export of the users, and CloudTrail.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use idv_callback::assurance::{ASSURANCE_ATTRIBUTES, names};
use serde::Deserialize;

use crate::cli::audit::source::{files, unpacked};
use crate::output::Failure;
use crate::trail::{Reconciled, Reconciliation, UserLink};

/// What a trail is held against.
#[derive(Args)]
pub(crate) struct Comparison {
    /// An export of a pool, from `aws cognito-idp list-users`: users whose record comes from no record here.
    #[arg(long, value_name = "FILE")]
    pub(crate) users: Option<PathBuf>,
    /// Files or folders of CloudTrail: calls that changed a user and that no record explains. Can be given several times.
    #[arg(long, value_name = "FILE")]
    pub(crate) cloudtrail: Vec<PathBuf>,
    /// Of CloudTrail, only calls on this pool. Can be given several times; without it, calls on any.
    #[arg(long, value_name = "ID", requires = "cloudtrail")]
    pub(crate) user_pool: Vec<String>,
    /// The trail does not begin at the beginning: outcomes of callbacks accepted earlier are expected.
    #[arg(long)]
    pub(crate) begins_later: bool,
}

/// The calls that change a user's attributes or status.
pub(crate) const CHANGES: [&str; 3] =
    ["AdminUpdateUserAttributes", "AdminConfirmSignUp", "AdminDeleteUserAttributes"];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Users {
    users: Vec<ListedUser>,
}

/// A user as `ListUsers` gives them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListedUser {
    pub(crate) username: String,
    attributes: Vec<ListedAttribute>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListedAttribute {
    name: String,
    #[serde(default)]
    value: String,
}

impl ListedUser {
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|attribute| attribute.name == name);
        found.map(|attribute| attribute.value.as_str()).filter(|value| !value.is_empty())
    }
}

pub(crate) fn listed_users(path: &Path) -> Result<Vec<ListedUser>, Failure> {
    let complaint = |error: String| Failure::usage(format!("--users {}: {error}", path.display()));
    let json = std::fs::read(path).map_err(|error| complaint(error.to_string()))?;
    let users: Users = serde_json::from_slice(&json).map_err(|error| {
        complaint(format!("it is not the output of `aws cognito-idp list-users` (line {})", error.line()))
    })?;
    Ok(users.users)
}

/// Users are told by their `sub`: it finds them in Cognito, and is no name.
pub(crate) fn user_links(path: Option<&Path>) -> Result<Vec<UserLink>, Failure> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let link = |user: &ListedUser| UserLink {
        user: format!("sub {}", user.attribute("sub").unwrap_or("unknown")),
        receipt: user.attribute(names::IDV_RECEIPT).map(str::to_owned),
        ial: user.attribute(names::IAL).map(str::to_owned),
        has_assurance: ASSURANCE_ATTRIBUTES.iter().any(|name| user.attribute(name).is_some()),
    };
    Ok(listed_users(path)?.iter().map(link).collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CloudTrailFile {
    records: Vec<CloudTrailRecord>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CloudTrailRecord {
    event_name: String,
    event_time: String,
    #[serde(rename = "requestID", default)]
    request_id: String,
    #[serde(default)]
    error_code: Option<String>,
    #[serde(default)]
    request_parameters: Option<CloudTrailParameters>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CloudTrailParameters {
    #[serde(default)]
    user_pool_id: Option<String>,
}

pub(crate) fn read_cloudtrail(
    path: &Path,
    pools: &[String],
    reconciliation: &mut Reconciliation,
) -> Result<(), Failure> {
    for file in files(path)? {
        let complaint = |error: String| Failure::usage(format!("--cloudtrail {}: {error}", file.display()));
        let mut json = Vec::new();
        let read =
            File::open(&file).and_then(unpacked).and_then(|mut content| content.read_to_end(&mut json));
        read.map_err(|error| complaint(error.to_string()))?;
        let trail: CloudTrailFile = serde_json::from_slice(&json)
            .map_err(|error| complaint(format!("it is not a CloudTrail log file (line {})", error.line())))?;
        for record in trail.records {
            if CHANGES.contains(&record.event_name.as_str()) && record.error_code.is_none() {
                let pool = record.request_parameters.and_then(|parameters| parameters.user_pool_id);
                // A call whose pool is not told could be on any.
                if pool.is_none_or(|pool| pools.is_empty() || pools.contains(&pool)) {
                    reconciliation.read_call(&record.event_name, &record.request_id, &record.event_time);
                }
            }
        }
    }
    Ok(())
}

pub(crate) fn finish(mut reconciliation: Reconciliation, beside: &Comparison) -> Result<Reconciled, Failure> {
    for path in &beside.cloudtrail {
        read_cloudtrail(path, &beside.user_pool, &mut reconciliation)?;
    }
    let users = user_links(beside.users.as_deref())?;
    Ok(reconciliation.finish(&users, beside.begins_later))
}
