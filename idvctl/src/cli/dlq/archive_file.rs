//! An encrypted file of dead letters.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::cli::private_file;
use crate::output::Failure;
use crate::ports::DeadLetter;

/// Where messages are kept.
#[derive(Args)]
pub(crate) struct ArchiveFile {
    /// The file, which must not exist yet.
    #[arg(long = "to", value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Who can read it: an age X25519 recipient (age1…; `age-keygen` makes one). Can be given several times.
    #[arg(long, value_name = "RECIPIENT", required = true)]
    pub(crate) recipient: Vec<String>,
}

pub(crate) fn recipients(archive: &ArchiveFile) -> Result<Vec<age::x25519::Recipient>, Failure> {
    let one = |text: &String| {
        let parsed: Result<age::x25519::Recipient, _> = text.parse();
        parsed
            .map_err(|error| Failure::usage(format!("--recipient must be an age recipient, age1…: {error}")))
    };
    archive.recipient.iter().map(one).collect()
}

/// One message a line, encrypted to the recipients, in a new file. When this returns, the file is on the disk.
pub(crate) fn write(
    archive: &ArchiveFile,
    recipients: &[age::x25519::Recipient],
    letters: &[DeadLetter],
) -> Result<(), Failure> {
    let complaint = |error: String| Failure::usage(format!("{}: {error}", archive.file.display()));
    let file = private_file::create(&archive.file).map_err(|error| complaint(error.to_string()))?;
    let recipients = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
    let encryptor =
        age::Encryptor::with_recipients(recipients).map_err(|error| complaint(error.to_string()))?;
    let mut output = encryptor.wrap_output(file).map_err(|error| complaint(error.to_string()))?;
    for message in letters {
        let line = json!({
            "message_id": message.id,
            "group_id": message.group_id,
            "sent_at": message.sent_at.to_string(),
            "attributes": message.attributes,
            "body": message.body,
        });
        writeln!(output, "{line}").map_err(|error| complaint(error.to_string()))?;
    }
    let file = output.finish().map_err(|error| complaint(error.to_string()))?;
    file.sync_all().map_err(|error| complaint(error.to_string()))
}
