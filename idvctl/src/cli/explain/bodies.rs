//! The bytes that a sender could have signed instead of the body that it sent.

use serde_json::Value;

use super::{Mistake, Variant};

const RESERIALISED: Option<Mistake> = Some(Mistake::new(
    "reserialised_json",
    "the signed JSON and the sent JSON are not the same bytes: sign the bytes that are sent",
));
const TRAILING_NEWLINE: Option<Mistake> = Some(Mistake::new(
    "trailing_newline",
    "the body that was signed and the one that was sent differ in a line end at the end",
));
const EMPTY: Option<Mistake> =
    Some(Mistake::new("empty_body", "the body was not signed: sign it with the rest"));

/// The body, and what else could have been signed in its place.
pub(crate) fn variants(body: &[u8]) -> Vec<Variant<Vec<u8>>> {
    let mut variants = vec![(body.to_vec(), None), (Vec::new(), EMPTY)];
    let trimmed = body.trim_ascii_end();
    for end in ["", "\n", "\r\n"] {
        variants.push(([trimmed, end.as_bytes()].concat(), TRAILING_NEWLINE));
    }
    let Ok(text) = std::str::from_utf8(body) else { return variants };
    let Ok(value) = serde_json::from_str::<Value>(text) else { return variants };
    let sorted = value.to_string();
    let mut written = vec![sorted.clone(), format!("{value:#}")];
    for original in [text.trim_end(), &sorted] {
        written.extend(
            [Layout::Compact, Layout::Spaced, Layout::Indented(2), Layout::Indented(4)]
                .map(|layout| relaid(original, layout)),
        );
    }
    let escaped: Vec<_> = written.iter().map(|text| escape_non_ascii(text)).collect();
    variants.extend(written.into_iter().chain(escaped).map(|text| (text.into_bytes(), RESERIALISED)));
    variants
}

#[derive(Clone, Copy, PartialEq)]
enum Layout {
    /// `{"a":1,"b":2}`, as JavaScript writes it.
    Compact,
    /// `{"a": 1, "b": 2}`, as Python writes it.
    Spaced,
    /// Each member on a line of its own.
    Indented(usize),
}

/// The same JSON text with other white space; members stay in their order.
fn relaid(json: &str, layout: Layout) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut in_string, mut escaped, mut depth) = (false, false, 0_usize);
    let mut characters = json.chars().peekable();
    while let Some(c) = characters.next() {
        if in_string {
            out.push(c);
            in_string = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        match c {
            '"' => {
                in_string = true;
                out.push(c);
            }
            '{' | '[' => {
                while characters.next_if(char::is_ascii_whitespace).is_some() {}
                out.push(c);
                depth += 1;
                match characters.next_if(|next| matches!(next, '}' | ']')) {
                    Some(end) => {
                        depth -= 1;
                        out.push(end);
                    }
                    None => new_line(&mut out, layout, depth),
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, layout, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                if layout == Layout::Spaced {
                    out.push(' ');
                }
                new_line(&mut out, layout, depth);
            }
            ':' => out.push_str(if layout == Layout::Compact { ":" } else { ": " }),
            c if c.is_ascii_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

fn new_line(out: &mut String, layout: Layout, depth: usize) {
    if let Layout::Indented(width) = layout {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', width * depth));
    }
}

/// As Python writes JSON: everything beyond ASCII as `\uXXXX`.
fn escape_non_ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            let mut units = [0; 2];
            out.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Layout, relaid};

    #[test]
    fn white_space_changes_and_nothing_else() {
        let json = r#"{"b": "x: [y], \" {", "a":[1, {}, [ ]],"c":{"d":null}}"#;
        assert_eq!(relaid(json, Layout::Compact), r#"{"b":"x: [y], \" {","a":[1,{},[]],"c":{"d":null}}"#);
        assert_eq!(
            relaid(json, Layout::Spaced),
            r#"{"b": "x: [y], \" {", "a": [1, {}, []], "c": {"d": null}}"#
        );
        let indented = relaid(r#"{"a":[1,2]}"#, Layout::Indented(2));
        assert_eq!(indented, "{\n  \"a\": [\n    1,\n    2\n  ]\n}");
    }
}
