//! Which dead letters are to be deleted although they are evidence: said by one operator, approved by another.

use std::path::Path;

use idv_callback::envelope::BodyDigest;
use idv_callback::hex::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::cli::dlq::{OperatorSession, archive_file};
use crate::output::Failure;
use crate::ports::DeadLetter;
use crate::redrive::DeadLetterSummary;

/// The form of a proposal.
pub(crate) const SCHEMA: &str = "idv-discard/1";

/// What one operator proposes and another approves.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DiscardProposal {
    pub(crate) schema: String,
    pub(crate) because: String,
    pub(crate) by: String,
    /// The archive that they are in, and its digest.
    pub(crate) archive: String,
    pub(crate) archive_sha256: String,
    pub(crate) letters: Vec<Proposed>,
    /// A keyed digest of all that: what it lists was copied into the archive by this tool.
    #[serde(default)]
    tag: String,
}

/// A message that is to be deleted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Proposed {
    pub(crate) message_id: String,
    pub(crate) receipt_id: Option<String>,
    pub(crate) reason: String,
    pub(crate) body_sha256: String,
}

impl DiscardProposal {
    pub(crate) fn of(
        session: &OperatorSession<'_>,
        (because, by): (&str, &str),
        archive: &Path,
        letters: &[DeadLetter],
    ) -> Result<Self, Failure> {
        let proposed = |message: &DeadLetter| {
            let shown = DeadLetterSummary::read(message, &session.ring, std::time::Duration::ZERO);
            Proposed {
                message_id: shown.id,
                receipt_id: shown.receipt,
                reason: shown.reason,
                body_sha256: shown.body_sha256,
            }
        };
        let proposal = Self {
            schema: SCHEMA.to_owned(),
            because: because.to_owned(),
            by: by.to_owned(),
            archive: std::path::absolute(archive)?.display().to_string(),
            archive_sha256: archive_file::digest(archive)?,
            letters: letters.iter().map(proposed).collect(),
            tag: String::new(),
        };
        let tag = proposal.computed_tag(session)?;
        Ok(Self { tag, ..proposal })
    }

    fn computed_tag(&self, session: &OperatorSession<'_>) -> Result<String, Failure> {
        let bare = Self { tag: String::new(), ..self.clone() };
        let json = serde_json::to_vec(&bare).map_err(|error| Failure::usage(error.to_string()))?;
        Ok(hex(&session.ring.audit.secret.mac(&[b"idv-callback/discard-proposal/1\n", &json]).to_bytes()))
    }

    /// What is approved: all of it.
    pub(crate) fn digest(&self) -> Result<String, Failure> {
        let json = serde_json::to_vec(self).map_err(|error| Failure::usage(error.to_string()))?;
        Ok(hex(&Sha256::new().chain_update(b"idv-callback/discard/1\n").chain_update(json).finalize()))
    }

    pub(crate) fn read(path: &Path, session: &OperatorSession<'_>) -> Result<Self, Failure> {
        let complaint = |error: String| Failure::usage(format!("{}: {error}", path.display()));
        let json = std::fs::read(path).map_err(|error| complaint(error.to_string()))?;
        let proposal: Self = serde_json::from_slice(&json)
            .map_err(|error| complaint(format!("it is no file of `dlq discard` (line {})", error.line())))?;
        if proposal.schema != SCHEMA {
            return Err(complaint(format!("its schema is not {SCHEMA}")));
        }
        if proposal.tag != proposal.computed_tag(session)? {
            let changed =
                "it was changed after `dlq discard` wrote it, or with another key ring; run that anew";
            return Err(complaint(changed.to_owned()));
        }
        Ok(proposal)
    }

    /// Whether it is about this message, with this body.
    pub(crate) fn names(&self, message_id: &str, body: &BodyDigest) -> bool {
        let named =
            |letter: &Proposed| letter.message_id == message_id && letter.body_sha256 == body.as_str();
        self.letters.iter().any(named)
    }
}
