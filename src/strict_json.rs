//! JSON, read strictly: valid UTF-8, no byte order mark, no object with the same key twice (at any depth, however
//! the key is spelled), no deeper than [`MAXIMUM_DEPTH`].
//!
//! RFC 8259 section 4 leaves repeated keys to the reader, and readers differ: what the sender's software checked and
//! what ours reads could be two different documents under one signature. So such a document is not read at all.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// How deep objects and arrays may stand in one another.
pub const MAXIMUM_DEPTH: usize = 16;

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
    use super::{JsonError, MAXIMUM_DEPTH, read_object};

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
        }
    }
}
