//! A correction as a file: whom a message is about, said by two operators.

use std::path::{Path, PathBuf};

use idv_callback::assurance::UserRecord;
use idv_callback::audit::{AuditCode, AuditRecord, pseudonym};
use idv_callback::correction::{Correction, CorrectionContent, Statement, are_two_operators};
use idv_callback::envelope::BodyDigest;
use idv_callback::hex::hex;
use idv_callback::verification::{Outcome, PoolId, Subject, UserReference, Username, VerificationEvent};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::aws::{SignedCall, who_signed};
use crate::cli::dlq::{OperatorSession, UserAccess};
use crate::cli::operator::OperatorLog;
use crate::output::Failure;
use crate::ports::DeadLetter;
use crate::redrive::open;

/// The form of a proposal.
pub(crate) const SCHEMA: &str = "idv-correction/1";

/// What one operator proposes and another approves.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Proposal {
    pub(crate) schema: String,
    pub(crate) message_id: String,
    pub(crate) receipt_id: String,
    pub(crate) envelope_sha256: String,
    pub(crate) user_pool: String,
    /// The user that the callback names.
    pub(crate) named: String,
    /// The user that it is about.
    pub(crate) username: String,
    pub(crate) because: String,
    pub(crate) by: String,
}

impl Proposal {
    /// What is said of this message: about which user, why, by whom.
    pub(crate) fn of(
        message: &DeadLetter,
        statement: &Statement,
        (username, because, by): (&str, &str, &str),
    ) -> Result<Self, Failure> {
        let user = &event(statement)?.user;
        Ok(Self {
            schema: SCHEMA.to_owned(),
            message_id: message.id.clone(),
            receipt_id: statement.envelope.receipt_id().as_str().to_owned(),
            envelope_sha256: BodyDigest::of(message.body.as_bytes()).as_str().to_owned(),
            user_pool: user.pool.as_str().to_owned(),
            named: user.username.as_str().to_owned(),
            username: username.to_owned(),
            because: because.to_owned(),
            by: by.to_owned(),
        })
    }

    /// What is approved: all of it.
    pub(crate) fn digest(&self) -> Result<String, Failure> {
        let json = serde_json::to_vec(self).map_err(|error| Failure::usage(error.to_string()))?;
        Ok(hex(&Sha256::new().chain_update(b"idv-callback/proposal/1\n").chain_update(json).finalize()))
    }

    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let complaint = |error: String| Failure::usage(format!("{}: {error}", path.display()));
        let json = std::fs::read(path).map_err(|error| complaint(error.to_string()))?;
        let proposal: Self = serde_json::from_slice(&json)
            .map_err(|error| complaint(format!("it is not a correction file (line {})", error.line())))?;
        if proposal.schema == SCHEMA {
            Ok(proposal)
        } else {
            Err(complaint(format!("its schema is not {SCHEMA}")))
        }
    }

    pub(crate) fn user(&self, username: &str) -> Result<UserReference, Failure> {
        let wrong = |_| Failure::usage("--username must be a user's name");
        let pool = PoolId::new(&self.user_pool).map_err(wrong)?;
        Ok(UserReference { pool, username: Username::new(username).map_err(wrong)? })
    }

    /// The user that it is about, who must exist.
    pub(crate) async fn find_user(
        &self,
        session: &OperatorSession<'_>,
        users: &UserAccess,
    ) -> Result<UserRecord, Failure> {
        let user = users.forecaster(session).read(&self.user(&self.username)?).await;
        let user = user.map_err(Failure::unreachable)?;
        user.ok_or_else(|| Failure::usage("the pool that the message names has no user of that name"))
    }

    pub(crate) fn record(
        &self,
        log: &OperatorLog,
        code: AuditCode,
        (session, user): (&OperatorSession<'_>, &UserRecord),
    ) -> Result<AuditRecord, Failure> {
        let mut record = log.act(code, &self.because);
        record.receipt_id = Some(self.receipt_id.clone());
        record.message_id = Some(self.message_id.clone());
        let pool = self.user(&self.username)?.pool;
        record.user = user.sub.as_deref().map(|sub| pseudonym(&session.ring.audit, &pool, sub));
        Ok(record)
    }
}

/// The correction of this file, approved by somebody else and sealed; with the message that it is about.
pub(crate) async fn sealed(
    session: &OperatorSession<'_>,
    (log, users): (&OperatorLog, &UserAccess),
    path: &Path,
    is_recorded: bool,
) -> Result<(String, Correction), Failure> {
    let proposal = Proposal::read(path)?;
    if proposal.by != log.who {
        return Err(Failure::usage(format!(
            "{} proposed it, so only the same operator can plan it",
            proposal.by
        )));
    }
    let (_, statement) = find(session, &proposal.message_id).await?;
    refuse_if_applied(session, users, &statement).await?;
    let approved_by = approved_by(session, path, (&proposal.digest()?, &log.who)).await?;
    let content = CorrectionContent {
        envelope_sha256: proposal.envelope_sha256.clone(),
        username: proposal.username.clone(),
        because: proposal.because.clone(),
        by: log.who.clone(),
        approved_by: approved_by.clone(),
    };
    let key = session.ring.seal.first().ok_or_else(|| Failure::usage("the ring has no seal key"))?;
    let correction = Correction::new(content, key)
        .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    let user = proposal.find_user(session, users).await?;
    let mut record = proposal.record(log, AuditCode::CorrectionSealed, (session, &user))?;
    record.approved_by = Some(approved_by);
    if is_recorded {
        log.write(&record)?;
    }
    Ok((proposal.message_id, correction))
}

/// Who has approved what a file proposes, by the approval beside it: another operator than who proposed it.
pub(crate) async fn approved_by(
    session: &OperatorSession<'_>,
    path: &Path,
    (digest, by): (&str, &str),
) -> Result<String, Failure> {
    let approval = approval_path(path);
    let complaint = |error: String| Failure::usage(format!("{}: {error}", approval.display()));
    let json = std::fs::read(&approval).map_err(|error| complaint(error.to_string()))?;
    let signed: SignedCall = serde_json::from_slice(&json)
        .map_err(|error| complaint(format!("it is not an approval file (line {})", error.line())))?;
    let approved_by = who_signed(&session.connection, digest, &signed).await.map_err(|fault| {
        complaint(format!(
            "the approval is not valid ({fault}). An approval is valid for some minutes: have it approved again"
        ))
    })?;
    are_two_operators(by, &approved_by)
        .map_err(|why| Failure::usage(format!("{}: {why}", path.display())))?;
    Ok(approved_by)
}

pub(crate) async fn find(
    session: &OperatorSession<'_>,
    id: &str,
) -> Result<(DeadLetter, Statement), Failure> {
    let missing = || Failure::usage(format!("dead letter {id} was not found, or somebody holds it now"));
    let message = session.find(id).await?.ok_or_else(missing)?;
    let opened = open(&message, &session.ring);
    let statement = opened.map_err(|_| Failure::usage("no seal key on this key ring opens its envelope"))?;
    Ok((message, statement))
}

pub(crate) fn event(statement: &Statement) -> Result<&VerificationEvent, Failure> {
    statement.envelope.event().ok_or_else(|| Failure::usage("the callback in it cannot be read"))
}

/// One proof must not serve two users: what the named user has by it, or one that an earlier correction named, would have to
/// be taken back first.
pub(crate) async fn refuse_if_applied(
    session: &OperatorSession<'_>,
    users: &UserAccess,
    statement: &Statement,
) -> Result<(), Failure> {
    let event = event(statement)?;
    let corrected = statement.event().ok().map(|event| event.user.clone());
    for user in [Some(event.user.clone()), corrected].into_iter().flatten() {
        let found = users.forecaster(session).read(&user).await.map_err(Failure::unreachable)?;
        let Some(Ok(assurance)) = found.map(|user| user.assurance) else { continue };
        let applied = assurance.receipt.is_some_and(|receipt| receipt.event_id == event.event_id);
        let same_subject = |subject: &Subject| matches!(&event.outcome, Outcome::Approved(approval) if approval.subject == *subject);
        if applied || assurance.subject.as_ref().is_some_and(same_subject) {
            return Err(Failure::usage(
                "the user that the callback names already has this proof; another user cannot have it, too",
            ));
        }
    }
    Ok(())
}

pub(crate) fn approval_path(correction: &Path) -> PathBuf {
    let mut name = correction.file_name().unwrap_or_default().to_owned();
    name.push(".approval");
    correction.with_file_name(name)
}
