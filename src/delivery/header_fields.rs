//! The header fields of a request, with every occurrence kept apart as far as the front door tells them apart.

use super::AuthenticationError;

/// Header fields in the order received. Names compare without case (RFC 9110 section 5.1).
///
/// API Gateway REST events and ALB events with multi-value headers keep several fields of one name apart; HTTP API
/// and function URL events join them with commas. Both forms of a duplicate are refused where exactly one is due.
#[derive(Clone, Default)]
pub struct HeaderFields(Vec<(String, String)>);

impl HeaderFields {
    /// Adds a field.
    pub fn push(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_ascii_lowercase(), value.into()));
    }

    /// All values of the name, in the order received.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The value of a name that stands exactly once.
    pub fn single(&self, name: &str) -> Option<&str> {
        self.exactly_one(name).ok()
    }

    /// The value of a name that must stand exactly once.
    pub(super) fn exactly_one(&self, name: &str) -> Result<&str, AuthenticationError> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (Some(value), None) => Ok(value),
            (None, _) => Err(AuthenticationError::HeaderMissing),
            (Some(_), Some(_)) => Err(AuthenticationError::HeaderRepeated),
        }
    }
}

impl<N: AsRef<str>, V: Into<String>> FromIterator<(N, V)> for HeaderFields {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        let mut headers = Self::default();
        for (name, value) in fields {
            headers.push(name.as_ref(), value);
        }
        headers
    }
}
