//! The user pool and its app clients.

use std::collections::BTreeSet;

use idv_callback::assurance::{
    ASSURANCE_ATTRIBUTES, CLAIM_ATTRIBUTE, MAXIMUM_VALUE_CHARS, STAGING_ATTRIBUTES, names,
};

use super::{AppClient, CheckResult, Installation, OwnChallenge, Pool, TRIGGERS};

/// Custom authentication: password, then face; with its older name.
const CUSTOM_AUTH: [&str; 2] = ["ALLOW_CUSTOM_AUTH", "CUSTOM_AUTH_FLOW_ONLY"];

/// What is to be done about an attribute that is wrong.
const IMMOVABLE: &str = "an attribute cannot be changed or removed: this needs another pool";

/// The scope of tokens that may change their own user.
const ADMIN_SCOPE: &str = "aws.cognito.signin.user.admin";

pub(super) fn examine(installation: &Installation) -> Vec<CheckResult> {
    let pool = match &installation.pool {
        None => return Vec::new(),
        Some(Err(problem)) => return vec![CheckResult::unknown("user pool", problem)],
        Some(Ok(pool)) => pool,
    };
    let mut findings = schema(pool);
    findings.extend(claim(pool));
    findings.extend(triggers(pool));
    findings.extend(clients(pool));
    findings.extend(sign_up(pool));
    findings
}

fn schema(pool: &Pool) -> Vec<CheckResult> {
    const CHECK: &str = "user pool: schema";
    let mut findings = Vec::new();
    for name in ASSURANCE_ATTRIBUTES {
        let Some(attribute) = pool.schema.iter().find(|attribute| attribute.name == name) else {
            let remedy = "add it (String, mutable); Cognito adds attributes to a pool at any time, and never takes one away";
            findings.push(CheckResult::wrong(CHECK, format!("{name} is missing"), remedy));
            continue;
        };
        if !attribute.mutable {
            findings.push(CheckResult::wrong(CHECK, format!("{name} is immutable"), IMMOVABLE));
        }
        if !attribute.string {
            findings.push(CheckResult::wrong(CHECK, format!("{name} is not a String"), IMMOVABLE));
        }
        let longest = longest_value(name);
        if attribute.maximum_length.is_some_and(|length| length < longest) {
            let found = format!("{name} holds less than {longest} characters");
            findings.push(CheckResult::doubtful(CHECK, found, IMMOVABLE));
        }
    }
    if findings.is_empty() {
        let count = ASSURANCE_ATTRIBUTES.len();
        findings.push(CheckResult::fine(CHECK, format!("all {count} assurance attributes, mutable strings")));
    }
    findings
}

/// What the browser that signed up promised: 1Kosmos' word is for the user with this claim alone.
fn claim(pool: &Pool) -> Option<CheckResult> {
    const CHECK: &str = "user pool: claim";
    let found = match pool.schema.iter().find(|attribute| attribute.name == CLAIM_ATTRIBUTE) {
        None if pool.triggers.contains_key("PreSignUp") => {
            let found = format!(
                "{CLAIM_ATTRIBUTE} is missing: nobody can sign up with one, and get to their session"
            );
            let remedy = "add it (String, immutable): infra/README.md, \"An existing user pool\"";
            return Some(CheckResult::wrong(CHECK, found, remedy));
        }
        Some(attribute) if attribute.mutable => {
            "is mutable: whoever changes theirs gets rid of a decision against them"
        }
        Some(attribute) if !attribute.string => "is not a String",
        _ => return None,
    };
    Some(CheckResult::wrong(CHECK, format!("{CLAIM_ATTRIBUTE} {found}"), IMMOVABLE))
}

/// The triggers belong together: one that is missing is a step that nobody takes.
fn triggers(pool: &Pool) -> Option<CheckResult> {
    const CHECK: &str = "user pool: triggers";
    if pool.triggers.is_empty() && !pool.clients.iter().any(steps_up) {
        return None;
    }
    let missing: Vec<_> = TRIGGERS.into_iter().filter(|name| !pool.triggers.contains_key(name)).collect();
    let functions: BTreeSet<_> = pool.triggers.values().collect();
    let remedy = "set all of them to the stack's TriggersAlias: infra/README.md, \"An existing user pool\"";
    Some(if !missing.is_empty() {
        let found =
            format!("without {} sign-ups open no session, or step-ups come to nothing", missing.join(", "));
        CheckResult::wrong(CHECK, found, remedy)
    } else if functions.len() > 1 {
        CheckResult::doubtful(CHECK, "sign-up and step-up call different functions", remedy)
    } else {
        CheckResult::fine(CHECK, "sign-up and step-up call one function")
    })
}

fn steps_up(client: &AppClient) -> bool {
    client.flows.iter().any(|flow| CUSTOM_AUTH.contains(&flow.as_str()))
}

/// The longest value that this system writes, in characters: the bounds of `verification` and of the receipt.
fn longest_value(name: &str) -> usize {
    match name {
        names::IAL | names::AAL => 1,
        names::IDV_STATUS => 12,
        names::IDV_PROOFED_AT | names::IDV_EXPIRES_AT => 24,
        names::IDV_EVIDENCE | names::IDV_FRAMEWORK => 64,
        names::IDV_HISTORY => MAXIMUM_VALUE_CHARS,
        names::IDV_RECEIPT => 348,
        _ => 256,
    }
}

fn clients(pool: &Pool) -> Vec<CheckResult> {
    const CHECK: &str = "app clients";
    let wrong: Vec<_> = pool.clients.iter().filter_map(|client| writes_assurance(CHECK, client)).collect();
    let mut findings = if wrong.is_empty() {
        let found = format!("none of {} may write an assurance attribute", pool.clients.len());
        vec![CheckResult::fine(CHECK, found)]
    } else {
        wrong
    };
    findings.extend(pool.clients.iter().filter_map(goes_around_the_biometric));
    findings.extend(leads_past_the_biometric(pool));
    findings.extend(pool.clients.iter().filter_map(writes_what_is_staged));
    findings
}

/// A client for step-ups whose tokens can be obtained without one.
fn goes_around_the_biometric(client: &AppClient) -> Option<CheckResult> {
    if !steps_up(client) {
        return None;
    }
    let others = client.flows.iter().map(String::as_str).filter(|flow| !CUSTOM_AUTH.contains(flow));
    // An identity provider's sign-in asks no trigger for a challenge, whatever the flows say.
    let others: Vec<_> = others.chain(client.by_pages.then_some("the sign-in pages")).collect();
    let found = format!(
        "through {} ({}) people get tokens by {}, too: without a biometric",
        client.name,
        client.id,
        others.join(", ")
    );
    let remedy = "allow ALLOW_CUSTOM_AUTH alone on the client for step-ups, without OAuth flows, and the rest on another";
    (!others.is_empty()).then(|| CheckResult::wrong("app clients: step-up", found, remedy))
}

/// What Cognito itself asks for between the password and the biometric, and may give tokens after, unasked.
fn leads_past_the_biometric(pool: &Pool) -> Vec<CheckResult> {
    const CHECK: &str = "user pool: step-up";
    let finding = |challenge: &OwnChallenge| match challenge {
        // amplify-js, issue 3876; issue 4888 saw it otherwise, and AWS' documentation does not say.
        OwnChallenge::Mfa => CheckResult::wrong(
            CHECK,
            "people can have a second factor of Cognito's, and Cognito was seen to give tokens for it in the place of \
             the biometric: whoever knows a password sets one up",
            "set the pool's MfaConfiguration to OFF (aws cognito-idp set-user-pool-mfa-config)",
        ),
        OwnChallenge::Device => CheckResult::doubtful(
            CHECK,
            "Cognito remembers devices, and no page says whether it asks the triggers after a device's challenge",
            "take DeviceConfiguration off the pool",
        ),
    };
    let asked = pool.clients.iter().any(steps_up);
    pool.own_challenges.iter().filter(|_| asked).map(finding).collect()
}

/// What an identity provider tells must be writable by the client; the person's own token must not be able to.
fn writes_what_is_staged(client: &AppClient) -> Option<CheckResult> {
    let stages = |name: &String| STAGING_ATTRIBUTES.contains(&name.as_str());
    let writes = client.writable.as_ref().is_some_and(|writable| writable.iter().any(stages));
    let admin = client.scopes.iter().any(|scope| scope == ADMIN_SCOPE);
    let found =
        format!("who signs in through {} ({}) can write what 1Kosmos is to tell", client.name, client.id);
    let remedy = "take aws.cognito.signin.user.admin from the client's scopes";
    (writes && admin).then(|| CheckResult::wrong("app clients: federation", found, remedy))
}

fn writes_assurance(check: &'static str, client: &AppClient) -> Option<CheckResult> {
    let remedy =
        "set its write attributes to those that users may edit (aws cognito-idp update-user-pool-client)";
    let who = format!("{} ({})", client.name, client.id);
    let Some(writable) = &client.writable else {
        let found =
            format!("{who} does not say what it may write, and AWS' pages disagree on what that means");
        return Some(CheckResult::wrong(check, found, remedy));
    };
    let written: Vec<_> =
        writable.iter().map(String::as_str).filter(|name| ASSURANCE_ATTRIBUTES.contains(name)).collect();
    let found = format!("anybody who signs in through {who} can write {}", written.join(", "));
    (!written.is_empty()).then(|| CheckResult::wrong(check, found, remedy))
}

fn sign_up(pool: &Pool) -> Vec<CheckResult> {
    const CHECK: &str = "user pool: sign-up";
    let mut findings = Vec::new();
    if !pool.verified_by_code.is_empty() {
        let found = format!(
            "a code is sent to verify {}, and with it people confirm themselves without a proof",
            pool.verified_by_code.join(", ")
        );
        findings.push(CheckResult::wrong(CHECK, found, "take AutoVerifiedAttributes off the pool"));
    }
    if !pool.self_sign_up {
        let remedy = "set AllowAdminCreateUserOnly to false, if people are to sign up by themselves";
        findings.push(CheckResult::doubtful(CHECK, "only administrators can make users", remedy));
    }
    if pool.case_sensitive {
        let remedy = "nothing, if the sign-up page keeps one spelling; the setting cannot be changed";
        findings.push(CheckResult::doubtful(CHECK, "user names differ by capital letters", remedy));
    }
    if findings.is_empty() {
        findings.push(CheckResult::fine(CHECK, "open, and the proof is the only confirmation"));
    }
    findings
}
