//! `idvctl keys add|expire|remove`: a ring is changed one key at a time, and stays a ring at every step.

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{fresh_secret, moment};
use crate::cli::args::{AddKeyOptions, ExpireKeyOptions, KeyPurpose, RemoveKeyOptions};
use crate::cli::output::{self, Failure, Output};
use crate::cli::private_file;
use crate::clock::SystemClock;
use crate::key_ring::KeyRing;
use crate::ports::Clock as _;

/// A fresh key, or one whose secret somebody else chose.
pub(in crate::cli) fn add(options: &AddKeyOptions, output: Output) -> Result<ExitCode, Failure> {
    let secret = match &options.secret_file {
        None => Zeroizing::new(fresh_secret()?),
        Some(path) => {
            let text = std::fs::read_to_string(path).map(Zeroizing::new);
            let text = text.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
            Zeroizing::new(text.trim().to_owned())
        }
    };
    let mut ring = Editable::read(&options.ring.file)?;
    let purpose = options.purpose.as_str();
    let id = options.id.clone().map_or_else(|| ring.free_id(purpose), Ok)?;
    let key = json!({ "id": id, "secret": *secret });
    let keys = ring.keys(purpose)?;
    // Callbacks are sealed and bindings issued with the first key; whoever checks one tries all. A webhook key is the
    // sender's to choose, so its place says nothing.
    match options.purpose {
        KeyPurpose::Webhook => keys.push(key),
        KeyPurpose::Seal | KeyPurpose::Binding => keys.insert(0, key),
    }
    ring.write(&options.ring.file, output, &format!("{purpose} key {id} added"))
}

/// A webhook key that ends by itself.
pub(in crate::cli) fn expire(options: &ExpireKeyOptions, output: Output) -> Result<ExitCode, Failure> {
    let at = moment(options.at.as_ref(), "--at")?;
    let mut ring = Editable::read(&options.ring.file)?;
    let key = ring.keys("webhook")?.iter_mut().find(|key| has_id(key, &options.id));
    let key = key.and_then(Value::as_object_mut).ok_or_else(|| no_such_key(&options.id))?;
    key.insert("not_after".to_owned(), json!(at.to_string()));
    ring.write(&options.ring.file, output, &format!("webhook key {} ends at {at}", options.id))
}

/// A key that nobody uses any more.
pub(in crate::cli) fn remove(options: &RemoveKeyOptions, output: Output) -> Result<ExitCode, Failure> {
    let mut ring = Editable::read(&options.ring.file)?;
    for purpose in ["webhook", "seal", "binding"] {
        let keys = ring.keys(purpose)?;
        let Some(place) = keys.iter().position(|key| has_id(key, &options.id)) else { continue };
        keys.remove(place);
        return ring.write(&options.ring.file, output, &format!("{purpose} key {} removed", options.id));
    }
    Err(no_such_key(&options.id))
}

fn no_such_key(id: &str) -> Failure {
    Failure::usage(format!("the ring has no such key: {id}; `idvctl keys show` lists them"))
}

fn has_id(key: &Value, id: &str) -> bool {
    key.get("id").and_then(Value::as_str) == Some(id)
}

/// A ring as its JSON, so that what is not touched stays as it is.
struct Editable(Value);

impl Editable {
    /// Reads a ring, and only a ring.
    fn read(path: &Path) -> Result<Self, Failure> {
        let complaint = |error: String| Failure::usage(format!("{}: {error}", path.display()));
        let mut json = Zeroizing::new(Vec::new());
        if path == Path::new("-") {
            std::io::stdin().lock().read_to_end(&mut json).map_err(|error| complaint(error.to_string()))?;
        } else {
            *json = std::fs::read(path).map_err(|error| complaint(error.to_string()))?;
        }
        KeyRing::parse(&json).map_err(|error| complaint(error.to_string()))?;
        serde_json::from_slice(&json).map(Self).map_err(|error| complaint(error.to_string()))
    }

    fn keys(&mut self, purpose: &str) -> Result<&mut Vec<Value>, Failure> {
        let members = self.0.as_object_mut().ok_or_else(|| Failure::usage("the ring is no object"))?;
        let keys = members.entry(purpose).or_insert_with(|| json!([]));
        keys.as_array_mut().ok_or_else(|| Failure::usage(format!("{purpose} is no list")))
    }

    /// An id that says when the key was made.
    fn free_id(&mut self, purpose: &str) -> Result<String, Failure> {
        let now = SystemClock.now().to_string();
        let date = now.get(..10).unwrap_or_default();
        let ids = |n: u32| if n == 1 { format!("{purpose}-{date}") } else { format!("{purpose}-{n}-{date}") };
        let keys = self.keys(purpose)?;
        let free = (1..=99).map(ids).find(|id| !keys.iter().any(|key| has_id(key, id)));
        free.ok_or_else(|| Failure::usage("too many keys of today; give --id"))
    }

    /// Writes the ring back where it came from; to standard output when it came from standard input.
    fn write(&self, path: &Path, output: Output, done: &str) -> Result<ExitCode, Failure> {
        let json = Zeroizing::new(format!("{:#}\n", self.0));
        KeyRing::parse(json.as_bytes()).map_err(|error| Failure::usage(format!("not done: {error}")))?;
        if path == Path::new("-") {
            output::raw(json.as_bytes())?;
            output.note(done);
        } else {
            replace(path, json.as_bytes())?;
            output.line(format!("{}: {done}", path.display()))?;
            output.value(&json!({ "file": path, "done": done }))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The whole file or none of it, readable by its owner alone.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let complaint =
        |path: &Path, error: &std::io::Error| Failure::usage(format!("{}: {error}", path.display()));
    let mut random = [0; 8];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::unreachable(format!("no random numbers: {error}")))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{}", crate::delivery::hex(&random)));
    let replaced = private_file::write_new(&beside, bytes).and_then(|()| std::fs::rename(&beside, path));
    if replaced.is_err() {
        // Half a ring must not stay; if it cannot be removed, the error below says where it is.
        let _gone = std::fs::remove_file(&beside);
    }
    replaced.map_err(|error| complaint(&beside, &error))
}
