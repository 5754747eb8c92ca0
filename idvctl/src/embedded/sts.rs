//! `GetCallerIdentity` of the embedded stack: it checks the call's signature, and says the access key's id for a name.
//!
//! IAM user guide, "Create a signed AWS API request"; STS API reference, `GetCallerIdentity`.

use std::time::Duration;

use idv_callback::hex::{hex, hex_tag};
use idv_callback::lambda::HttpMessage;
use idv_callback::secret::hmac_sha256;
use idv_callback::timestamp::Timestamp;
use sha2::{Digest as _, Sha256};

use super::http_server::Reply;

/// The secret of every access key of the embedded stack. It guards nothing: who reaches the stack may do all.
pub const LOCAL_SECRET: &str = "local";

/// How old a signature may be, and how far ahead (IAM user guide, "Troubleshoot Signature Version 4 request signing").
const LIFETIME: Duration = Duration::from_secs(5 * 60);

/// Answers the call.
pub(super) fn get_caller_identity(request: &HttpMessage) -> Reply {
    let refused = |code: &str| {
        let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>{code}</Message></Error>");
        xml(403, &format!("<ErrorResponse>{error}</ErrorResponse>"))
    };
    match caller(request) {
        Ok(name) => {
            let arn = format!("arn:aws:iam::000000000000:user/{name}");
            let result = format!("<Arn>{arn}</Arn><UserId>{name}</UserId><Account>000000000000</Account>");
            xml(
                200,
                &format!(
                    "<GetCallerIdentityResponse><GetCallerIdentityResult>{result}</GetCallerIdentityResult></GetCallerIdentityResponse>"
                ),
            )
        }
        Err(code) => refused(code),
    }
}

fn xml(status: u16, body: &str) -> Reply {
    let headers = vec![("content-type".to_owned(), "text/xml".to_owned())];
    Reply { status, headers, body: body.to_owned() }
}

/// Whose signature it is.
fn caller(request: &HttpMessage) -> Result<String, &'static str> {
    let authorization = request.header("authorization").ok_or("MissingAuthenticationToken")?;
    let part = |name: &str| {
        let rest = authorization.split_once(name)?.1;
        Some(rest.split(',').next().unwrap_or(rest).trim())
    };
    let wrong = "IncompleteSignature";
    let (credential, names) = (part("Credential=").ok_or(wrong)?, part("SignedHeaders=").ok_or(wrong)?);
    let signature = part("Signature=").and_then(hex_tag).ok_or(wrong)?;
    let (name, scope) = credential.split_once('/').ok_or(wrong)?;
    let date = request.header("x-amz-date").ok_or(wrong)?;
    if !names.split(';').any(|name| name == "x-amz-date") || !names.split(';').any(|name| name == "host") {
        return Err(wrong);
    }
    let canonical = canonical_request(request, names).ok_or(wrong)?;
    let signed = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let tag = hmac_sha256(&signing_key(scope), &[signed.as_bytes()]);
    if !tag.matches(&signature) {
        return Err("SignatureDoesNotMatch");
    }
    let at = moment(date).ok_or(wrong)?;
    let off = request.received_at.since(at).max(at.since(request.received_at));
    if off > LIFETIME || !name.chars().all(|c| c.is_ascii_alphanumeric() || "+=.@_-".contains(c)) {
        return Err("SignatureDoesNotMatch");
    }
    Ok(name.to_owned())
}

fn canonical_request(request: &HttpMessage, names: &str) -> Option<String> {
    let one = |name: &str| {
        let value = request.header(name)?.split_whitespace().collect::<Vec<_>>().join(" ");
        Some(format!("{name}:{value}\n"))
    };
    let fields = names.split(';').map(one).collect::<Option<String>>()?;
    let body = hex(&Sha256::digest(&request.body));
    Some(format!("{}\n{}\n\n{fields}\n{names}\n{body}", request.method, request.path))
}

/// The key of a scope: date, region, service.
fn signing_key(scope: &str) -> Vec<u8> {
    let first = format!("AWS4{LOCAL_SECRET}").into_bytes();
    scope.split('/').fold(first, |key, part| hmac_sha256(&key, &[part.as_bytes()]).to_bytes().to_vec())
}

/// `20261122T101500Z`
fn moment(date: &str) -> Option<Timestamp> {
    let part = |range| date.get(range);
    let text = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0..4)?,
        part(4..6)?,
        part(6..8)?,
        part(9..11)?,
        part(11..13)?,
        part(13..15)?
    );
    Timestamp::parse(&text).ok()
}
