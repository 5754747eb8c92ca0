//! `audit seal`: a signed checkpoint of what is new.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use idv_callback::aws::{AwsConnection, CallLimits};
use idv_callback::clock::SystemClock;
use idv_callback::config::Environment;
use idv_callback::ports::{Clock as _, Fault};
use serde_json::json;

use crate::aws::{connect, public_key, sign};
use crate::cli::audit::check::read_sealed;
use crate::cli::audit::source::{Reader, Sources};
use crate::output::{Failure, Output, outcome};
use crate::trail::{SealedLog, SigningKey, Verifier, VerifyingKey};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) sources: Sources,
    /// The folder to add to.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) to: PathBuf,
    /// The file of the secret key.
    #[arg(long, value_name = "FILE", required_unless_present = "kms_key")]
    pub(crate) signing_key: Option<PathBuf>,
    /// An asymmetric key in AWS KMS (ECC_NIST_EDWARDS25519, for signing), by ARN or alias.
    #[arg(long, value_name = "KEY", conflicts_with = "signing_key", requires = "name")]
    pub(crate) kms_key: Option<String>,
    /// The name of the KMS key's log.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The records are only those behind what is sealed; else everything sealed must be there, too.
    #[arg(long)]
    pub(crate) only_new: bool,
    /// Seal although something is wrong; the checkpoint says of how many findings.
    #[arg(long)]
    pub(crate) with_findings: bool,
}

/// Who signs.
enum Signer {
    File(Box<SigningKey>),
    Kms(Box<AwsConnection>, String, VerifyingKey),
}

impl Signer {
    async fn open(options: &Options, environment: &Environment) -> Result<Self, Failure> {
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
        let connection = connect(environment, CallLimits::CONSUMER).await;
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

pub(crate) async fn run(
    options: &Options,
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
            .note("nothing was sealed; --with-findings seals in spite of the findings, and the checkpoint says how many");
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
        "{}/checkpoints/{name}: seals {} ranges, {} records; check with --key {key}",
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
