//! What a form sent.

use std::collections::BTreeMap;

/// The fields of a form, `application/x-www-form-urlencoded`. No `Debug`: a field can name a user.
pub(super) struct Form(BTreeMap<String, Vec<String>>);

impl Form {
    pub(super) fn read(body: &[u8]) -> Self {
        let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(body) {
            fields.entry(name.into_owned()).or_default().push(value.into_owned());
        }
        Self(fields)
    }

    /// The field, if it says something.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.first().map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// The field as it was sent.
    pub(super) fn raw(&self, name: &str) -> &str {
        self.0.get(name).and_then(|values| values.first()).map(String::as_str).unwrap_or_default()
    }

    /// Every value of the field.
    pub(super) fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map(Vec::as_slice).unwrap_or_default()
    }
}
