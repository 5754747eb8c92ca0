//! `audit bundle`: records, seals and a verifier in one file.

use std::io::{self, Seek as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;
use idv_callback::audit::CODE_VERSION;
use idv_callback::clock::SystemClock;
use idv_callback::config::Environment;
use idv_callback::ports::Clock as _;
use serde_json::json;

use crate::cli::audit::check::read_sealed;
use crate::cli::audit::source::{Reader, Sources};
use crate::cli::private_file;
use crate::output::{Failure, Output, outcome};
use crate::trail::{RECORD_SCHEMA, VERIFIER};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) sources: Sources,
    /// The folder that `seal` keeps.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) sealed: Option<PathBuf>,
    /// Where to write the bundle, a .tar. Never overwritten.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

pub(crate) async fn run(
    options: &Options,
    environment: &Environment,
    output: Output,
) -> Result<ExitCode, Failure> {
    let complaint = |error: io::Error| Failure::usage(format!("{}: {error}", options.output.display()));
    if options.output.exists() {
        return Err(complaint(io::ErrorKind::AlreadyExists.into()));
    }
    // Records of all sources in one file, as they are, in the order in which they came: first beside the bundle, because a
    // file's size goes before its content.
    let part = private_file::scratch(&options.output).map_err(complaint)?;
    let (mut count, mut failed) = (0_u64, None);
    let reader = Reader { sources: &options.sources, environment, output };
    let mut packed = GzEncoder::new(&part, Compression::default());
    reader
        .records(|_, record| {
            count += 1;
            let written = packed.write_all(record).and_then(|()| packed.write_all(b"\n"));
            failed = failed.take().or(written.err());
        })
        .await?;
    if let Some(error) = failed.take().or(packed.finish().err()) {
        return Err(complaint(error));
    }
    let log = options.sealed.as_deref().map(read_sealed).transpose()?.unwrap_or_default();
    let file = private_file::create(&options.output).map_err(complaint)?;
    let mut tar = tar::Builder::new(file);
    let at = u64::try_from(SystemClock.now().unix_seconds()).unwrap_or_default();
    let mut add = |name: &str, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(at);
        tar.append_data(&mut header, name, content)
    };
    let copies = if options.sources.at_least_once { " --at-least-once" } else { "" };
    let mut written = add("README.md", readme(count, log.checkpoints.len(), copies).as_bytes())
        .and_then(|()| add("leaves.jsonl", log.leaves.as_bytes()))
        .and_then(|()| add("record.schema.json", RECORD_SCHEMA.as_bytes()))
        .and_then(|()| add("verify.py", VERIFIER.as_bytes()));
    for (name, note) in &log.checkpoints {
        written = written.and_then(|()| add(&format!("checkpoints/{name}"), note.as_bytes()));
    }
    let mut part = &part;
    written = written.and_then(|()| part.rewind());
    let mut header = tar::Header::new_gnu();
    header.set_size(part.metadata().map_err(complaint)?.len());
    header.set_mode(0o644);
    header.set_mtime(at);
    written = written.and_then(|()| tar.append_data(&mut header, "records/records.jsonl.gz", part));
    let file = written.and_then(|()| tar.into_inner()).map_err(complaint)?;
    file.sync_all().map_err(complaint)?;
    output.line(format!(
        "{}: {count} records, {} checkpoints; in it, `python3 verify.py . --key KEY{copies}` checks it",
        options.output.display(),
        log.checkpoints.len()
    ))?;
    output.value(
        &json!({ "bundle": options.output, "records": count, "checkpoints": log.checkpoints.len() }),
    )?;
    Ok(outcome(count > 0))
}

fn readme(records: u64, checkpoints: usize, copies: &str) -> String {
    format!(
        "# Audit trail of idv-callback\n\n\
         {records} records, {checkpoints} checkpoints, made by idvctl {CODE_VERSION}.\n\n\
         * `records/`: one JSON object a line; `record.schema.json` says what is in it. Users are told by pseudonyms.\n\
         * `leaves.jsonl`, `checkpoints/`: what was sealed and when (C2SP tlog-checkpoint, signed-note; RFC 6962).\n\
         * `verify.py`: checks all of it, offline, without anything but Python 3. Read it before you run it.\n\n\
         ```sh\npython3 verify.py . --key KEY{copies}\n```\n\n\
         KEY is the public key, NAME+HASH+BASE64. Get it from somebody else than whoever gave you this file.\n\
         It says every gap, edit, reorder, duplicate, fork, missing end and bad signature, by writer and number of the\n\
         record. Exit code 0: sound. Without checkpoints a missing end cannot show.\n"
    )
}
