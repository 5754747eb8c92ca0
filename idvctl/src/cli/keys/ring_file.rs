//! A key ring in a file: it is changed one key at a time, and stays a ring at every step.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use idv_callback::clock::SystemClock;
use idv_callback::key_ring::KeyRing;
use idv_callback::ports::Clock as _;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::cli::keys::DEFAULT_KEYS;
use crate::cli::private_file;
use crate::output::{self, Failure, Output};

/// The ring to change.
#[derive(Args)]
pub(crate) struct RingFile {
    /// The key ring, changed in place; - reads standard input and writes standard output.
    #[arg(long = "ring", default_value = DEFAULT_KEYS, value_name = "FILE")]
    pub(crate) file: PathBuf,
}

pub(crate) fn no_such_key(id: &str) -> Failure {
    Failure::usage(format!("the key ring has no key {id}; `idvctl keys show` lists them"))
}

pub(crate) fn has_id(key: &Value, id: &str) -> bool {
    key.get("id").and_then(Value::as_str) == Some(id)
}

/// A ring as its JSON, so that what is not touched stays as it is.
pub(crate) struct Editable(Value);

impl Editable {
    /// Reads a ring, and only a ring.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
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

    pub(crate) fn keys(&mut self, purpose: &str) -> Result<&mut Vec<Value>, Failure> {
        let members =
            self.0.as_object_mut().ok_or_else(|| Failure::usage("the key ring is not a JSON object"))?;
        let keys = members.entry(purpose).or_insert_with(|| json!([]));
        keys.as_array_mut().ok_or_else(|| Failure::usage(format!("{purpose} is not a list")))
    }

    /// An id that says when the key was made.
    pub(crate) fn free_id(&mut self, purpose: &str) -> Result<String, Failure> {
        let now = SystemClock.now().to_string();
        let date = now.get(..10).unwrap_or_default();
        let ids = |n: u32| if n == 1 { format!("{purpose}-{date}") } else { format!("{purpose}-{n}-{date}") };
        let keys = self.keys(purpose)?;
        let free = (1..=99).map(ids).find(|id| !keys.iter().any(|key| has_id(key, id)));
        free.ok_or_else(|| Failure::usage("there are too many keys with today's date; give --id"))
    }

    /// Writes the ring back where it came from; to standard output when it came from standard input.
    pub(crate) fn write(&self, path: &Path, output: Output, done: &str) -> Result<ExitCode, Failure> {
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
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let complaint =
        |path: &Path, error: &std::io::Error| Failure::usage(format!("{}: {error}", path.display()));
    let mut random = [0; 8];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::unreachable(format!("no random numbers: {error}")))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{}", idv_callback::hex::hex(&random)));
    let replaced = private_file::write_new(&beside, bytes).and_then(|()| std::fs::rename(&beside, path));
    if replaced.is_err() {
        // Half a ring must not stay; if it cannot be removed, the error below says where it is.
        let _gone = std::fs::remove_file(&beside);
    }
    replaced.map_err(|error| complaint(&beside, &error))
}
