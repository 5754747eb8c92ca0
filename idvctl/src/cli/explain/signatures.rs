//! The signatures that a request carries, read as generously as can be, and the bytes that could stand before the body.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use idv_callback::delivery::{HeaderFields, SignatureProfile};
use idv_callback::secret::Tag;
use idv_callback::timestamp::Timestamp;

use super::{Mistake, Variant};

const HEX_FOR_BASE64: Option<Mistake> =
    Some(Mistake::new("hex_for_base64", "the signature is hexadecimal: this profile takes base64"));
const BASE64_FOR_HEX: Option<Mistake> =
    Some(Mistake::new("base64_for_hex", "the signature is base64: this profile takes hexadecimal"));
const BASE64_FORM: Option<Mistake> = Some(Mistake::new(
    "base64_form",
    "the base64 has no padding or the URL-safe alphabet: use padded standard base64",
));
const TRUNCATED: Option<Mistake> =
    Some(Mistake::new("truncated_signature", "the signature is cut off: send all 32 bytes"));
const SEVERAL_FIELDS: Option<Mistake> =
    Some(Mistake::new("several_fields", "a signature header field stands more than once: send each once"));
const NO_FIELD: Option<Mistake> =
    Some(Mistake::new("no_field", "a signature header field is missing or has another name"));
const BODY_ONLY: Option<Mistake> = Some(Mistake::new(
    "body_only",
    "only the body was signed: put id and timestamp before it, as the profile says",
));
const NO_ID: Option<Mistake> = Some(Mistake::new("no_id", "the message id was not signed"));
const EXTRA_ID: Option<Mistake> =
    Some(Mistake::new("extra_id", "a message id was signed, but this profile has none"));
const SEPARATOR: Option<Mistake> =
    Some(Mistake::new("wrong_separator", "the signed parts must be joined with a full stop"));
const ORDER: Option<Mistake> =
    Some(Mistake::new("wrong_order", "the id comes first, then the timestamp, then the body"));
pub(crate) const MILLISECONDS: Option<Mistake> = Some(Mistake::new(
    "milliseconds",
    "the timestamp must be in seconds, where it is sent and where it is signed",
));

/// Separators that senders have put between the signed parts.
const SEPARATORS: [&str; 7] = ["", ":", ",", "|", "-", "_", "\n"];

/// The least bytes of a cut-off signature that are worth comparing.
const LEAST_BYTES: usize = 8;

/// What a request's header fields claim.
pub(crate) struct Claimed {
    ids: Vec<String>,
    timestamps: Vec<String>,
    signatures: Vec<Variant<Vec<u8>>>,
    header_mistake: Option<Mistake>,
    profile_has_id: bool,
    profile_has_time: bool,
}

/// Reads all that could be meant.
pub(crate) fn claimed(profile: &SignatureProfile, headers: &HeaderFields) -> Claimed {
    let own = |name: &str| headers.all(name).map(str::to_owned).collect::<Vec<_>>();
    let (names, takes_base64): (Vec<&str>, bool) = match profile {
        SignatureProfile::StandardWebhooks => {
            (vec!["webhook-id", "webhook-timestamp", "webhook-signature"], true)
        }
        SignatureProfile::Timestamped { header } | SignatureProfile::BodyOnly { header } => {
            (vec![header], false)
        }
    };
    let fields: Vec<String> = names.iter().flat_map(|name| own(name)).collect();
    let count_of = |wrong: fn(usize) -> bool| names.iter().any(|name| wrong(headers.all(name).count()));
    let header_mistake = match (count_of(|n| n == 0), count_of(|n| n > 1)) {
        (true, _) => NO_FIELD,
        (false, true) => SEVERAL_FIELDS,
        (false, false) => None,
    };
    let mut timestamps = own("webhook-timestamp");
    timestamps.extend(
        fields
            .iter()
            .flat_map(|field| parts(field))
            .filter_map(|part| part.strip_prefix("t="))
            .map(str::to_owned),
    );
    let pieces = fields.iter().flat_map(|field| parts(field));
    Claimed {
        ids: own("webhook-id"),
        timestamps: timestamps.iter().map(|text| text.trim().to_owned()).collect(),
        signatures: pieces.flat_map(|piece| decodings(piece, takes_base64)).collect(),
        header_mistake,
        profile_has_id: takes_base64,
        profile_has_time: profile.binds_timestamp(),
    }
}

/// `v1,abc v1,def` or `t=1,v1=abc` in pieces, each with and without what stands before it.
fn parts(field: &str) -> Vec<&str> {
    let items = field.split([' ', ',']).filter(|item| !item.is_empty());
    items.flat_map(|item| [Some(item), item.split_once('=').map(|(_, value)| value)]).flatten().collect()
}

fn decodings(text: &str, takes_base64: bool) -> Vec<Variant<Vec<u8>>> {
    let hex: Option<Vec<u8>> = text
        .is_ascii()
        .then(|| {
            text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        })
        .and_then(Iterator::collect);
    let standard = STANDARD.decode(text).ok();
    let other =
        [&STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD].iter().find_map(|engine| engine.decode(text).ok());
    let (hex_mistake, base64_mistake, other_mistake) = if takes_base64 {
        (HEX_FOR_BASE64, None, BASE64_FORM)
    } else {
        (None, BASE64_FOR_HEX, BASE64_FOR_HEX)
    };
    [(hex, hex_mistake), (standard, base64_mistake), (other, other_mistake)]
        .into_iter()
        .filter_map(|(bytes, mistake)| Some((bytes.filter(|bytes| bytes.len() >= LEAST_BYTES)?, mistake)))
        .collect()
}

impl Claimed {
    /// When the request says it was signed, as seconds or milliseconds.
    pub(crate) fn time(&self) -> Option<Timestamp> {
        let number: i64 = self.timestamps.first()?.parse().ok()?;
        let in_millis = number > 100_000_000_000;
        Some(if in_millis {
            Timestamp::from_unix_millis(number)
        } else {
            Timestamp::from_unix_seconds(number)
        })
    }

    pub(crate) fn header_mistake(&self) -> Option<Mistake> {
        self.header_mistake
    }

    /// What could have stood before the body in the signed bytes.
    pub(crate) fn prefixes(&self) -> Vec<Variant<String>> {
        let own = |mistake: Option<Mistake>, right: bool| if right { None } else { mistake };
        let mut prefixes = vec![(String::new(), own(BODY_ONLY, !self.profile_has_time))];
        for (time, millis) in self.times() {
            let plain = own(NO_ID, !self.profile_has_id && self.profile_has_time);
            prefixes.push((format!("{time}."), millis.or(plain)));
            prefixes.extend(SEPARATORS.map(|s| (format!("{time}{s}"), SEPARATOR)));
            for id in &self.ids {
                prefixes.push((format!("{id}.{time}."), millis.or(own(EXTRA_ID, self.profile_has_id))));
                prefixes.push((format!("{time}.{id}."), ORDER));
                prefixes.extend(SEPARATORS.map(|s| (format!("{id}{s}{time}{s}"), SEPARATOR)));
            }
        }
        prefixes
    }

    /// The timestamps as sent, and the same moments in the other unit.
    fn times(&self) -> Vec<Variant<String>> {
        let mut times = Vec::new();
        for text in &self.timestamps {
            let number = text.parse::<i64>().ok();
            let in_millis = number.is_some_and(|number| number > 100_000_000_000);
            times.push((text.clone(), if in_millis { MILLISECONDS } else { None }));
            let other =
                if in_millis { number.map(|n| n / 1000) } else { number.and_then(|n| n.checked_mul(1000)) };
            times.extend(other.map(|other| (other.to_string(), MILLISECONDS)));
        }
        times
    }

    /// The mistakes in how the tag is written, if it is there at all.
    pub(crate) fn find(&self, tag: &Tag) -> Option<Vec<Mistake>> {
        let bytes = tag.to_bytes();
        let whole = self.signatures.iter().find(|(signature, _)| *signature == bytes);
        if let Some((_, mistake)) = whole {
            return Some(mistake.or(self.header_mistake).into_iter().collect());
        }
        let cut = self.signatures.iter().find(|(signature, _)| bytes.starts_with(signature));
        cut.map(|_| TRUNCATED.into_iter().collect())
    }
}
