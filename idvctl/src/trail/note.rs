//! Signed notes (C2SP, "signed-note"), with Ed25519: a text, an empty line, and signature lines. The keys are written as Go's
//! checksum database writes them, so that a stranger's tools read both.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use idv_callback::hex::hex;
use ring::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// The signature type of Ed25519 (C2SP, "signed-note", "Signature types").
const ED25519_TYPE: u8 = 1;

/// What the text of a signing key begins with.
const PRIVATE: &str = "PRIVATE+KEY+";

/// Why a key or a note is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteError {
    /// The text is not a key of this kind.
    BadKey,
    /// The name must have at least one character, and neither blanks nor `+`.
    BadName,
    /// The text is not a signed note.
    NotANote,
    /// The key has not signed it.
    NotSigned,
    /// The key's signature does not hold.
    BadSignature,
}

impl fmt::Display for NoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadKey => "it is not a key like NAME+HASH+BASE64",
            Self::BadName => "a key's name must have neither blanks nor +",
            Self::NotANote => "it is not a signed note",
            Self::NotSigned => "this key has not signed it",
            Self::BadSignature => "the signature does not hold",
        })
    }
}

impl std::error::Error for NoteError {}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyingKey {
    name: String,
    key: [u8; 32],
}

impl VerifyingKey {
    /// This key under this name.
    ///
    /// # Errors
    /// [`NoteError::BadName`].
    pub fn new(name: &str, key: [u8; 32]) -> Result<Self, NoteError> {
        let bad = name.is_empty() || name.chars().any(|c| c.is_whitespace() || c == '+');
        if bad { Err(NoteError::BadName) } else { Ok(Self { name: name.to_owned(), key }) }
    }

    /// Reads a key: name, hash, and base64 of type and key.
    ///
    /// # Errors
    /// [`NoteError`] when it is none, or its hash is another's.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.trim().splitn(3, '+');
        let (name, hash, data) = (parts.next(), parts.next(), parts.next());
        let (Some(name), Some(hash), Some(data)) = (name, hash, data) else { return Err(NoteError::BadKey) };
        let key = Self::new(name, typed(data)?)?;
        if hex(&key.hash()) == hash { Ok(key) } else { Err(NoteError::BadKey) }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first four bytes of the SHA-256 of name, type and key.
    fn hash(&self) -> [u8; 4] {
        let digest = Sha256::new().chain_update(&self.name).chain_update(b"\n").chain_update([ED25519_TYPE]);
        let digest = digest.chain_update(self.key).finalize();
        let mut hash = [0; 4];
        hash.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        hash
    }

    /// The text of a note that this key has signed.
    ///
    /// # Errors
    /// [`NoteError`] when it is none, or the signature is not there or does not hold.
    pub fn open<'n>(&self, note: &'n str) -> Result<&'n str, NoteError> {
        let split = note.rfind("\n\n").ok_or(NoteError::NotANote)?;
        let (text, signatures) = (note.get(..=split), note.get(split + 2..));
        let (Some(text), Some(signatures)) = (text, signatures) else { return Err(NoteError::NotANote) };
        if !signatures.ends_with('\n') {
            return Err(NoteError::NotANote);
        }
        let ours = signatures.lines().find_map(|line| {
            let (name, data) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
            let data = STANDARD.decode(data).ok()?;
            let (hash, signature) = data.split_at_checked(4)?;
            (name == self.name && hash == self.hash()).then(|| signature.to_vec())
        });
        let signature = ours.ok_or(NoteError::NotSigned)?;
        let held = UnparsedPublicKey::new(&ED25519, self.key).verify(text.as_bytes(), &signature);
        held.map(|()| text).map_err(|_| NoteError::BadSignature)
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data = [&[ED25519_TYPE][..], &self.key].concat();
        write!(f, "{}+{}+{}", self.name, hex(&self.hash()), STANDARD.encode(data))
    }
}

/// A note: the text, and this key's signature of it.
pub fn signed(text: &str, key: &VerifyingKey, signature: &[u8]) -> String {
    let data = [&key.hash()[..], signature].concat();
    format!("{text}\n\u{2014} {} {}\n", key.name, STANDARD.encode(data))
}

/// A secret key in a file. No `Debug`.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    seed: Zeroizing<[u8; 32]>,
    public: VerifyingKey,
}

impl SigningKey {
    /// The key of this seed, which must be random.
    ///
    /// # Errors
    /// [`NoteError::BadName`].
    pub fn new(name: &str, seed: [u8; 32]) -> Result<Self, NoteError> {
        use ring::signature::KeyPair as _;
        let seed = Zeroizing::new(seed);
        let pair = Ed25519KeyPair::from_seed_unchecked(&*seed).map_err(|_| NoteError::BadKey)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| NoteError::BadKey)?;
        Ok(Self { pair, seed, public: VerifyingKey::new(name, public)? })
    }

    /// Reads a key.
    ///
    /// # Errors
    /// [`NoteError`] when it is none.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let rest = text.trim().strip_prefix(PRIVATE).ok_or(NoteError::BadKey)?;
        let mut parts = rest.splitn(3, '+');
        let (name, hash, data) = (parts.next(), parts.next(), parts.next());
        let (Some(name), Some(hash), Some(data)) = (name, hash, data) else { return Err(NoteError::BadKey) };
        let key = Self::new(name, typed(data)?)?;
        if hex(&key.public.hash()) == hash { Ok(key) } else { Err(NoteError::BadKey) }
    }

    /// The key's text, to be kept secret.
    pub fn secret_text(&self) -> Zeroizing<String> {
        let data = Zeroizing::new([&[ED25519_TYPE][..], &*self.seed].concat());
        let (name, hash) = (&self.public.name, hex(&self.public.hash()));
        Zeroizing::new(format!("{PRIVATE}{name}+{hash}+{}\n", STANDARD.encode(&*data)))
    }

    /// The public key.
    pub fn public(&self) -> &VerifyingKey {
        &self.public
    }

    /// Signs.
    pub fn sign(&self, text: &str) -> Vec<u8> {
        self.pair.sign(text.as_bytes()).as_ref().to_vec()
    }
}

fn typed(data: &str) -> Result<[u8; 32], NoteError> {
    let data = Zeroizing::new(STANDARD.decode(data).map_err(|_| NoteError::BadKey)?);
    match data.split_first() {
        Some((&ED25519_TYPE, key)) => key.try_into().map_err(|_| NoteError::BadKey),
        _ => Err(NoteError::BadKey),
    }
}

#[cfg(test)]
mod tests {
    use super::{NoteError, VerifyingKey};

    /// The example of Go's `golang.org/x/mod/sumdb/note` package.
    #[test]
    fn a_strangers_note_is_read() {
        let key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let key = VerifyingKey::parse(key).unwrap_or_else(|error| panic!("{error}"));
        let text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
        let line = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";
        let note = format!("{text}\n{line}\n");
        assert_eq!(key.open(&note), Ok(text));
        assert_eq!(key.open(&note.replace("answer", "Answer")), Err(NoteError::BadSignature));
        assert_eq!(key.open(&note.replace("PeterNeumann x", "PeterNeumann y")), Err(NoteError::NotSigned));
        assert_eq!(key.open(text), Err(NoteError::NotANote));
    }
}
