//! `GetCallerIdentity` of the embedded stack: it checks the call's signature, and says the access key's id for a name.
//!
//! IAM user guide, "Create a signed AWS API request"; STS API reference, `GetCallerIdentity`.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use idv_callback::lambda::HttpMessage;
use idv_callback::timestamp::Timestamp;

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
    let signature = part("Signature=").ok_or(wrong)?;
    let (name, scope) = credential.split_once('/').ok_or(wrong)?;
    let date = request.header("x-amz-date").ok_or(wrong)?;
    if !names.split(';').any(|name| name == "x-amz-date") || !names.split(';').any(|name| name == "host") {
        return Err(wrong);
    }
    let at = moment(date).ok_or(wrong)?;
    if sign_again(request, (name, scope, names), at).as_deref() != Some(signature) {
        return Err("SignatureDoesNotMatch");
    }
    let off = request.received_at.since(at).max(at.since(request.received_at));
    if off > LIFETIME || !name.chars().all(|c| c.is_ascii_alphanumeric() || "+=.@_-".contains(c)) {
        return Err("SignatureDoesNotMatch");
    }
    Ok(name.to_owned())
}

/// The signature that this request has if the owner of the access key signed these header fields.
fn sign_again(
    request: &HttpMessage,
    (name, scope, signed_headers): (&str, &str, &str),
    at: Timestamp,
) -> Option<String> {
    let mut scope = scope.split('/').skip(1);
    let (region, service) = (scope.next()?, scope.next()?);
    let identity = Credentials::new(name, LOCAL_SECRET, None, None, "embedded").into();
    let mut settings = SigningSettings::default();
    // What is signed is what the request says, and nothing else.
    settings.excluded_headers = None;
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(UNIX_EPOCH + Duration::from_millis(u64::try_from(at.unix_millis()).ok()?))
        .settings(settings)
        .build()
        .ok()?
        .into();
    let by_the_signer = ["host", "x-amz-date"];
    let headers = signed_headers.split(';').filter(|name| !by_the_signer.contains(name));
    let headers = headers.map(|name| Some((name, request.header(name)?))).collect::<Option<Vec<_>>>()?;
    let address = format!("http://{}{}", request.header("host")?, request.path);
    let signable = SignableRequest::new(
        &request.method,
        address,
        headers.into_iter(),
        SignableBody::Bytes(&request.body),
    );
    let (_, signature) = sign(signable.ok()?, &parameters).ok()?.into_parts();
    Some(signature)
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
