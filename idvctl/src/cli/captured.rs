//! A captured request in a file: an HTTP message, or the event of a Lambda function.

use std::path::Path;

use idv_callback::delivery::HeaderFields;
use idv_callback::lambda::HttpEvent;

use crate::output::Failure;

/// What matters of a request for its signature.
pub(crate) struct Captured {
    pub(crate) headers: HeaderFields,
    pub(crate) body: Vec<u8>,
}

/// Reads the file.
pub(crate) fn read(path: &Path) -> Result<Captured, Failure> {
    let name = path.display();
    let bytes = std::fs::read(path).map_err(|error| Failure::usage(format!("{name}: {error}")))?;
    let captured = if bytes.starts_with(b"{") { from_event(&bytes) } else { from_http(&bytes) };
    captured.ok_or_else(|| {
        Failure::usage(format!(
            "{name}: neither an HTTP message (header lines, an empty line, then the body, byte for byte) \
             nor the JSON event of a Lambda function"
        ))
    })
}

fn from_event(bytes: &[u8]) -> Option<Captured> {
    let request = serde_json::from_slice::<HttpEvent>(bytes).ok()?.into_request();
    Some(Captured { headers: request.headers, body: request.body? })
}

/// An HTTP message, with or without its first line. The body is all that follows the empty line.
fn from_http(bytes: &[u8]) -> Option<Captured> {
    let (head, body) = split_at(bytes, b"\r\n\r\n").or_else(|| split_at(bytes, b"\n\n"))?;
    let head = std::str::from_utf8(head).ok()?;
    let mut headers = HeaderFields::default();
    for (number, line) in head.lines().enumerate() {
        match line.split_once(':') {
            Some((name, value)) if !name.contains(' ') => headers.push(name, value.trim()),
            _ if number == 0 => {}
            _ => return None,
        }
    }
    Some(Captured { headers, body: body.to_vec() })
}

fn split_at<'b>(bytes: &'b [u8], separator: &[u8]) -> Option<(&'b [u8], &'b [u8])> {
    let at = bytes.windows(separator.len()).position(|window| window == separator)?;
    Some((bytes.get(..at)?, bytes.get(at + separator.len()..)?))
}
