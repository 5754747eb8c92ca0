//! JSON, read strictly: valid UTF-8, no byte order mark, no object with the same key twice (at any depth, however
//! the key is spelled), no deeper than [`MAXIMUM_DEPTH`].
//!
//! [`read_members`] reads a sender's document, of which most is dropped: a member is looked into when it is asked for, so that
//! what nobody reads can hold whatever JSON can hold (a lone surrogate, a number without end). [`read_object`] reads a
//! document of ours, the whole of it.
//!
//! RFC 8259 section 4 leaves repeated keys to the reader, and readers differ: what the sender's software checked and
//! what ours reads could be two different documents under one signature. So such a document is not read at all.

use std::cell::Cell;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// How deep objects and arrays may stand in one another.
pub const MAXIMUM_DEPTH: usize = 16;

/// How deep an event of AWS is looked into.
const LENIENT_DEPTH: usize = 64;

/// Why a document was not read. It never holds any of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonError {
    /// The bytes are not UTF-8.
    NotUtf8,
    /// The document begins with a byte order mark.
    ByteOrderMark,
    /// The text is not JSON; the place is counted from 1.
    Syntax {
        /// The line of the first error.
        line: usize,
        /// The column of the first error.
        column: usize,
    },
    /// An object holds the same key twice.
    DuplicateKey,
    /// Objects and arrays stand deeper in one another than [`MAXIMUM_DEPTH`].
    TooDeep,
    /// The document is JSON, but not an object.
    NotAnObject,
}

impl JsonError {
    /// A stable word for logs.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotUtf8 => "not_utf8",
            Self::ByteOrderMark => "byte_order_mark",
            Self::Syntax { .. } => "not_json",
            Self::DuplicateKey => "duplicate_key",
            Self::TooDeep => "too_deep",
            Self::NotAnObject => "not_an_object",
        }
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 => f.write_str("it is not UTF-8"),
            Self::ByteOrderMark => f.write_str("it begins with a byte order mark"),
            Self::Syntax { line, column } => write!(f, "it is not JSON (line {line}, column {column})"),
            Self::DuplicateKey => f.write_str("an object holds the same key twice"),
            Self::TooDeep => write!(f, "it is nested deeper than {MAXIMUM_DEPTH}"),
            Self::NotAnObject => f.write_str("it is not a JSON object"),
        }
    }
}

/// Reads one JSON object.
///
/// # Errors
/// [`JsonError`] names the rule that the document breaks.
pub fn read_object(bytes: &[u8]) -> Result<Map<String, Value>, JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|_| JsonError::NotUtf8)?;
    if text.starts_with('\u{feff}') {
        return Err(JsonError::ByteOrderMark);
    }
    let fault = Cell::new(None);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let seed = Strict { depth: 0, fault: &fault };
    let value = seed.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    match value {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(JsonError::NotAnObject),
        Err(error) => {
            Err(fault.get().unwrap_or(JsonError::Syntax { line: error.line(), column: error.column() }))
        }
    }
}

/// The members of an object, not looked into yet. No `Debug`: it is a sender's document.
pub struct Members<'a>(Vec<(Key, &'a RawValue)>);

/// A member, one step looked into.
pub enum Member<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Flag(bool),
    /// A number, as it is written.
    Number(&'a str),
    /// A text; none where it is no Unicode text, because of a lone surrogate.
    Text(Option<String>),
    /// An object.
    Object(Members<'a>),
    /// An array.
    Array,
}

/// Reads the members of one JSON object.
///
/// # Errors
/// [`JsonError`] names the rule that the document breaks.
pub fn read_members(bytes: &[u8]) -> Result<Members<'_>, JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|_| JsonError::NotUtf8)?;
    if text.starts_with('\u{feff}') {
        return Err(JsonError::ByteOrderMark);
    }
    let syntax = |error: serde_json::Error| JsonError::Syntax { line: error.line(), column: error.column() };
    let document: &RawValue = serde_json::from_str(text).map_err(syntax)?;
    check(document, 0)?;
    Members::of(document).ok_or(JsonError::NotAnObject)
}

/// No key twice and nothing too deep, all the way down.
fn check(value: &RawValue, depth: usize) -> Result<(), JsonError> {
    let inner = match Container::of(value) {
        None => return Ok(()),
        Some(_) if depth >= MAXIMUM_DEPTH => return Err(JsonError::TooDeep),
        Some(Container::Array(items)) => items,
        Some(Container::Object(Members(members))) => {
            let mut keys: Vec<_> = members.iter().map(|(key, _)| key.0.as_slice()).collect();
            keys.sort_unstable();
            if keys.windows(2).any(|pair| pair.first() == pair.last()) {
                return Err(JsonError::DuplicateKey);
            }
            members.into_iter().map(|(_, value)| value).collect()
        }
    };
    inner.into_iter().try_for_each(|value| check(value, depth + 1))
}

enum Container<'a> {
    Object(Members<'a>),
    Array(Vec<&'a RawValue>),
}

impl<'a> Container<'a> {
    fn of(value: &'a RawValue) -> Option<Self> {
        if value.get().starts_with('[') {
            return serde_json::from_str(value.get()).ok().map(Self::Array);
        }
        Members::of(value).map(Self::Object)
    }
}

impl<'a> Members<'a> {
    fn of(value: &'a RawValue) -> Option<Self> {
        let is_object = value.get().starts_with('{');
        is_object.then(|| serde_json::from_str(value.get()).ok()).flatten()
    }

    /// The member of this name.
    pub fn get(&self, name: &str) -> Option<Member<'a>> {
        let (_, value) = self.0.iter().find(|(key, _)| key.0 == name.as_bytes())?;
        let text = value.get();
        Some(match text.bytes().next() {
            Some(b'"') => Member::Text(serde_json::from_str(text).ok()),
            Some(b'[') => Member::Array,
            Some(b'{') => Member::Object(Self::of(value)?),
            Some(b'n') => Member::Null,
            Some(b't') => Member::Flag(true),
            Some(b'f') => Member::Flag(false),
            _ => Member::Number(text),
        })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = entries.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// A key's bytes: a lone surrogate in it is no text, and no reason not to read the rest.
struct Key(Vec<u8>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E>(self, text: &str) -> Result<Key, E> {
                Ok(Key(text.as_bytes().to_vec()))
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Key, E> {
                Ok(Key(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// Any JSON text as a value, whatever is in it: a lone surrogate becomes U+FFFD, a number that is too large and what lies
/// deeper than this program would look become `null`, and of a key that stands twice the last one counts. For events of AWS:
/// somebody on the internet can write into them, and nothing that they write may keep an event from being answered.
pub fn read_leniently(document: &RawValue) -> Value {
    lenient(document, 0)
}

fn lenient(value: &RawValue, depth: usize) -> Value {
    match Container::of(value) {
        Some(_) if depth >= LENIENT_DEPTH => Value::Null,
        Some(Container::Array(items)) => items.into_iter().map(|item| lenient(item, depth + 1)).collect(),
        Some(Container::Object(Members(members))) => {
            let member = |(key, value): (Key, &RawValue)| (lossy(&key.0), lenient(value, depth + 1));
            members.into_iter().map(member).collect()
        }
        None if value.get().starts_with('"') => {
            let text = serde_json::from_str::<Key>(value.get());
            text.map_or(Value::Null, |Key(bytes)| Value::String(lossy(&bytes)))
        }
        None => serde_json::from_str(value.get()).unwrap_or(Value::Null),
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    depth: usize,
    fault: &'a Cell<Option<JsonError>>,
}

impl Strict<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAXIMUM_DEPTH {
            return Err(self.fail(JsonError::TooDeep));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }

    fn fail<E: serde::de::Error>(self, fault: JsonError) -> E {
        self.fault.set(Some(fault));
        E::custom("refused")
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper::<A::Error>()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.deeper::<A::Error>()?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(self.fail(JsonError::DuplicateKey));
            }
            let value = entries.next_value_seed(inner)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;
    use serde_json::{Value, json};

    use super::{JsonError, MAXIMUM_DEPTH, Member, read_leniently, read_members, read_object};

    fn nested(depth: usize) -> String {
        format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth))
    }

    #[test]
    fn reads_what_is_plain() {
        let map = read_object(br#"{"a":[1,-2,0.5,true,null,"x"],"b":{"c":"\u0041"}}"#).unwrap();
        assert_eq!(map["b"]["c"], "A");
        assert!(read_object(nested(MAXIMUM_DEPTH).as_bytes()).is_ok());
    }

    #[test]
    fn names_the_rule_that_is_broken() {
        let deep = "[".repeat(10_000);
        let table: [(&[u8], JsonError); 10] = [
            (b"\xff{}", JsonError::NotUtf8),
            ("\u{feff}{}".as_bytes(), JsonError::ByteOrderMark),
            (b"{\"a\":1,\"a\":1}", JsonError::DuplicateKey),
            (br#"{"a":1,"\u0061":1}"#, JsonError::DuplicateKey),
            (br#"{"x":[{"y":{"a":1,"a":2}}]}"#, JsonError::DuplicateKey),
            (&nested(MAXIMUM_DEPTH + 1).into_bytes(), JsonError::TooDeep),
            (deep.as_bytes(), JsonError::TooDeep),
            (b"[]", JsonError::NotAnObject),
            (b"{}{}", JsonError::Syntax { line: 1, column: 3 }),
            (b"", JsonError::Syntax { line: 1, column: 0 }),
        ];
        for (bytes, error) in table {
            assert_eq!(read_object(bytes).unwrap_err(), error);
            let members = read_members(bytes).err();
            // A document that is cut off is no document, however deep it is.
            let cut_off = bytes == deep.as_bytes() && matches!(members, Some(JsonError::Syntax { .. }));
            assert!(members == Some(error) || cut_off, "{members:?}");
        }
    }

    #[test]
    fn what_is_not_read_costs_nothing() {
        let text = r#"{"a":2,"x":"\ud800","y":1e400,"\udc00":{"$serde_json::private::RawValue":[1]},"z":[{"k":1e999}]}"#;
        let members = read_members(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        assert!(matches!(members.get("a"), Some(Member::Number("2"))));
        assert!(matches!(members.get("x"), Some(Member::Text(None))));
        for twice in [r#"{"a":{"\ud800":1,"\ud800":2}}"#, r#"{"z":[[{"k":"\udfff","k":1}]]}"#] {
            assert_eq!(read_members(twice.as_bytes()).err(), Some(JsonError::DuplicateKey), "{twice}");
        }
    }

    #[test]
    fn an_event_of_aws_is_read_whatever_is_in_it() {
        let read = |text: &str| read_leniently(&RawValue::from_string(text.to_owned()).unwrap());
        for (text, value) in [
            (
                r#"{"$serde_json::private::RawValue":"1","a":1}"#,
                json!({"$serde_json::private::RawValue":"1","a":1}),
            ),
            (r#"{"$serde_json::private::Number":"x"}"#, json!({"$serde_json::private::Number":"x"})),
            (r#"{"a":"x\ud800y"}"#, json!({"a":"x\u{fffd}\u{fffd}\u{fffd}y"})),
            (r#"{"a":1e400,"b":[true,null,-1.5,"\u0041"]}"#, json!({"a":null,"b":[true,null,-1.5,"A"]})),
            ("[]", json!([])),
            ("7", json!(7)),
        ] {
            assert_eq!(read(text), value, "{text}");
        }
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(matches!(read(&deep), Value::Array(_)));
    }
}
