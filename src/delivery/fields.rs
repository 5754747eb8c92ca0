//! The fields of a callback's body: the one table of the vendor's names, and how a field is found in an object.

use super::payload::{PayloadError, Unreadable};
use crate::strict_json::{Member, Members};

/// A field of the payload: the canonical name, and the others that are accepted for it.
pub struct Field {
    /// The canonical name.
    pub name: &'static str,
    /// Other names, seen in 1Kosmos' documents.
    pub aliases: &'static [&'static str],
    /// When it must be there, in words.
    pub required: &'static str,
    /// What it holds, in words.
    pub holds: &'static str,
}

macro_rules! fields {
    ($($constant:ident: $name:literal, $aliases:expr, $required:literal, $holds:literal;)*) => {
        $(pub(super) const $constant: Field = Field { name: $name, aliases: &$aliases, required: $required, holds: $holds };)*

        /// Every field that is read, with its aliases: the one table of the vendor's names.
        pub const PAYLOAD_FIELDS: &[Field] = &[$($constant),*];
    };
}

fields! {
    EVENT_ID: "event_id", [], "unless the signature has a message id", "1 to 256 visible ASCII characters, or a whole number";
    EVENT_TYPE: "event_type", ["eventType"], "no", "a type of the table of event types; without one the event tells a result";
    OCCURRED_AT: "occurred_at", ["event_ts"], "yes", "a time";
    SESSION_ID: "session_id", ["sessionId"], "yes", "1 to 256 visible ASCII characters, or a whole number";
    STATUS: "status", [], "unless the event type says it", "a word of the table of status words";
    SUBJECT: "blockid_sub", ["sub", "did"], "approved", "1 to 256 visible ASCII characters";
    IAL: "ial", ["ial_level"], "approved", "`2`, `2.0`, `\"2\"` or `\"IAL2\"`: 0 to 3";
    AAL: "aal", [], "no", "as `ial`";
    LIVENESS: "liveness_verified", [], "approved", "true or false";
    MATCH: "match_result", [], "approved", "true or false";
    DOCUMENT_TYPE: "document_type", [], "no", "small letters and underscores; anything else is recorded as `other`";
    FRAMEWORK: "framework", [], "no", "1 to 64 visible ASCII characters and blanks";
    EXPIRES_AT: "expires_at", [], "no", "a time, or a date: its first moment";
    METADATA: "metadata", [], "yes", "an object with the three below";
    POOL: "cognito_user_pool", [], "yes", "the pool's id";
    USERNAME: "cognito_username", [], "yes", "the user's name";
    BINDING: "binding", [], "as `IDV_BINDING` says", "the token that went out with the session";
}

impl Field {
    pub(super) fn breaks(&self, rule: Unreadable) -> PayloadError {
        PayloadError::Field(self.name, rule)
    }
}

/// The fields of the table that an object has, each under the names that it has there.
pub(super) struct Object<'a> {
    pub(super) members: &'a Members<'a>,
    found: Vec<(&'static str, &'static str)>,
}

impl<'a> Object<'a> {
    /// Looks for every field of the table, and for nothing else.
    pub(super) fn of(members: &'a Members<'a>) -> Self {
        let names = PAYLOAD_FIELDS.iter().flat_map(|field| {
            std::iter::once(&field.name).chain(field.aliases).map(|name| (field.name, *name))
        });
        Self { members, found: names.filter(|(_, name)| members.get(name).is_some()).collect() }
    }

    /// The values of a field, one for each name that it has here.
    pub(super) fn values(&self, field: &Field) -> Vec<Member<'a>> {
        let names = self.found.iter().filter(|(of, _)| *of == field.name);
        names.filter_map(|(_, name)| self.members.get(name)).collect()
    }

    /// The field under any of its names, read; `null` is the same as not there. Equal is what means the same.
    pub(super) fn one<T: PartialEq>(
        &self,
        field: &Field,
        read: impl Fn(Member<'a>) -> Result<T, Unreadable>,
    ) -> Result<Option<T>, PayloadError> {
        let mut values = self.values(field);
        values.retain(|value| !matches!(value, Member::Null));
        // An empty text beside a value under another name is as good as none.
        let empty = |value: &Member<'_>| matches!(value, Member::Text(Some(text)) if text.is_empty());
        if values.iter().any(|value| !empty(value)) {
            values.retain(|value| !empty(value));
        }
        let mut found: Option<T> = None;
        for value in values {
            let value = read(value).map_err(|rule| field.breaks(rule))?;
            if found.as_ref().is_some_and(|earlier| *earlier != value) {
                return Err(field.breaks(Unreadable::Ambiguous));
            }
            found = Some(value);
        }
        Ok(found)
    }

    pub(super) fn required<T: PartialEq>(
        &self,
        field: &Field,
        read: impl Fn(Member<'a>) -> Result<T, Unreadable>,
    ) -> Result<T, PayloadError> {
        self.one(field, read)?.ok_or(field.breaks(Unreadable::Missing))
    }

    /// A field that the event stands without: where it is odd it is left out, and named.
    pub(super) fn optional<T: PartialEq>(
        &self,
        field: &Field,
        read: impl Fn(Member<'a>) -> Result<T, Unreadable>,
        left_out: &mut Vec<&'static str>,
    ) -> Option<T> {
        self.one(field, read).unwrap_or_else(|_| {
            left_out.push(field.name);
            None
        })
    }
}
