//! `audit seal|keygen|bundle`: what is handed to an auditor.

use std::fs::OpenOptions;
use std::io::{self, Seek as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::check::read_sealed;
use super::source::Reader;
use crate::audit::CODE_VERSION;
use crate::aws::{AwsConnection, CallLimits, public_key, sign};
use crate::cli::args::{AuditBundleOptions, AuditKeygenOptions, AuditSealOptions};
use crate::cli::output::{Failure, Output, outcome};
use crate::cli::private_file;
use crate::clock::SystemClock;
use crate::config::Environment;
use crate::ports::{Clock as _, Fault};
use crate::trail::{RECORD_SCHEMA, SealedLog, SigningKey, VERIFIER, Verifier, VerifyingKey};

pub(super) fn keygen(options: &AuditKeygenOptions, output: Output) -> Result<ExitCode, Failure> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| Failure::unreachable(format!("no random numbers from the system: {error}")))?;
    let key =
        SigningKey::new(&options.name, seed).map_err(|error| Failure::usage(format!("--name: {error}")))?;
    private_file::write_new(&options.output, key.secret_text().as_bytes())
        .map_err(|error| Failure::usage(format!("{}: {error}", options.output.display())))?;
    output.line(key.public().to_string())?;
    output.value(&json!({ "secret": options.output, "public": key.public().to_string() }))?;
    Ok(ExitCode::SUCCESS)
}

/// Who signs.
enum Signer {
    File(Box<SigningKey>),
    Kms(Box<AwsConnection>, String, VerifyingKey),
}

impl Signer {
    async fn open(options: &AuditSealOptions, environment: &Environment) -> Result<Self, Failure> {
        if let Some(path) = &options.signing_key {
            let complaint = |error: String| Failure::usage(format!("{}: {error}", path.display()));
            let text = std::fs::read_to_string(path).map_err(|error| complaint(error.to_string()))?;
            let text = zeroize::Zeroizing::new(text);
            let key = SigningKey::parse(&text);
            return key.map(|key| Self::File(Box::new(key))).map_err(|error| complaint(error.to_string()));
        }
        let (Some(key), Some(name)) = (&options.kms_key, &options.name) else {
            return Err(Failure::usage("give --signing-key, or --kms-key with --name"));
        };
        let connection = AwsConnection::of_process(environment, CallLimits::CONSUMER).await;
        let connection = connection.map_err(|error| Failure::usage(error.to_string()))?;
        let public =
            public_key(&connection, key).await.map_err(|fault| Failure::unreachable(fault.to_string()))?;
        let public =
            VerifyingKey::new(name, public).map_err(|error| Failure::usage(format!("--name: {error}")))?;
        Ok(Self::Kms(Box::new(connection), key.clone(), public))
    }

    fn public(&self) -> &VerifyingKey {
        match self {
            Self::File(key) => key.public(),
            Self::Kms(_, _, public) => public,
        }
    }

    async fn sign(&self, text: &str) -> Result<String, Failure> {
        let signature = match self {
            Self::File(key) => Ok(key.sign(text)),
            Self::Kms(connection, key, _) => sign(connection, key, text).await,
        };
        let signature = signature.map_err(|fault: Fault| Failure::unreachable(fault.to_string()))?;
        SealedLog::sign(text, self.public(), &signature)
            .map_err(|error| Failure::unreachable(format!("the signature that was made is wrong: {error}")))
    }
}

pub(super) async fn seal(
    options: &AuditSealOptions,
    environment: &Environment,
    output: Output,
) -> Result<ExitCode, Failure> {
    let signer = Signer::open(options, environment).await?;
    let log = read_sealed(&options.to)?;
    let (leaves, mut findings) = log.check(Some(signer.public()));
    let reader = Reader { sources: &options.sources, environment, output };
    // Without the records that are sealed already they are taken as given; with them, they are looked at again.
    let given = if options.only_new { leaves.as_slice() } else { &[] };
    let mut verifier = Verifier::default().after(given).at_least_once(options.sources.at_least_once);
    reader.records(|place, record| verifier.read(place, record)).await?;
    let new = verifier.finish(&leaves);
    findings.extend(new.findings);
    for finding in findings.iter().take(100) {
        output.line(finding.to_string())?;
    }
    if !findings.is_empty() && !options.with_findings {
        output
            .note("nothing was sealed; --with-findings seals it all the same, and says so in the checkpoint");
        output.value(&json!({ "sealed": 0, "findings": findings }))?;
        return Ok(outcome(false));
    }
    let origin = signer.public().name().to_owned();
    let added = log.add(&new.unsealed, &origin, SystemClock.now(), new.records, findings.len());
    let Ok((lines, text)) = added else {
        output.line("there is nothing new to seal")?;
        output.value(&json!({ "sealed": 0, "findings": findings }))?;
        return Ok(ExitCode::SUCCESS);
    };
    let note = signer.sign(&text).await?;
    let name = format!("{:06}.txt", log.checkpoints.len() + 1);
    store(&options.to, &lines, &name, &note)
        .map_err(|error| Failure::usage(format!("--to {}: {error}", options.to.display())))?;
    let key = signer.public();
    output.line(format!(
        "{}/checkpoints/{name}: seals {} stretches, {} records; check with --key {key}",
        options.to.display(),
        new.unsealed.len(),
        new.unsealed.iter().map(|leaf| leaf.to - leaf.from + 1).sum::<u64>()
    ))?;
    output.value(&json!({ "sealed": new.unsealed.len(), "checkpoint": name, "key": key.to_string(), "findings": findings }))?;
    Ok(outcome(findings.is_empty()))
}

/// The leaves first: a crash in between leaves lines that no checkpoint seals, which `verify` names.
fn store(folder: &Path, lines: &str, name: &str, note: &str) -> io::Result<()> {
    std::fs::create_dir_all(folder.join("checkpoints"))?;
    let mut leaves = OpenOptions::new().append(true).create(true).open(folder.join("leaves.jsonl"))?;
    leaves.write_all(lines.as_bytes())?;
    leaves.sync_all()?;
    let mut checkpoint =
        OpenOptions::new().write(true).create_new(true).open(folder.join("checkpoints").join(name))?;
    checkpoint.write_all(note.as_bytes())?;
    checkpoint.sync_all()
}

pub(super) async fn bundle(
    options: &AuditBundleOptions,
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
