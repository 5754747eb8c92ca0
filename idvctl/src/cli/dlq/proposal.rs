//! A correction as a file: whom a letter is about, said by two operators.

use std::path::{Path, PathBuf};

use idv_callback::assurance::UserRecord;
use idv_callback::audit::{AuditCode, AuditRecord, pseudonym};
use idv_callback::correction::{Content, Correction, Statement};
use idv_callback::envelope::BodyDigest;
use idv_callback::hex::hex;
use idv_callback::verification::{Outcome, PoolId, Subject, UserReference, Username, VerificationEvent};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::aws::{SignedCall, who_signed};
use crate::cli::dlq::{Desk, Users};
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
    /// What is said of this letter: about which user, why, by whom.
    pub(crate) fn of(
        letter: &DeadLetter,
        statement: &Statement,
        (username, because, by): (&str, &str, &str),
    ) -> Result<Self, Failure> {
        let user = &event(statement)?.user;
        Ok(Self {
            schema: SCHEMA.to_owned(),
            message_id: letter.id.clone(),
            receipt_id: statement.envelope.receipt_id().as_str().to_owned(),
            envelope_sha256: BodyDigest::of(letter.body.as_bytes()).as_str().to_owned(),
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
            .map_err(|error| complaint(format!("it is no correction (line {})", error.line())))?;
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
    pub(crate) async fn find_user(&self, desk: &Desk<'_>, users: &Users) -> Result<UserRecord, Failure> {
        let user = users.foresight(desk).read(&self.user(&self.username)?).await;
        let user = user.map_err(Failure::unreachable)?;
        user.ok_or_else(|| Failure::usage("there is no user of that name in the letter's pool"))
    }

    pub(crate) fn record(
        &self,
        log: &OperatorLog,
        code: AuditCode,
        (desk, user): (&Desk<'_>, &UserRecord),
    ) -> Result<AuditRecord, Failure> {
        let mut record = log.act(code, &self.because);
        record.receipt_id = Some(self.receipt_id.clone());
        record.message_id = Some(self.message_id.clone());
        let pool = self.user(&self.username)?.pool;
        record.user = user.sub.as_deref().map(|sub| pseudonym(&desk.ring.audit, &pool, sub));
        Ok(record)
    }
}

/// The correction of this file, approved by somebody else and sealed; with the message that it is about.
pub(crate) async fn sealed(
    desk: &Desk<'_>,
    (log, users): (&OperatorLog, &Users),
    path: &Path,
) -> Result<(String, Correction), Failure> {
    let proposal = Proposal::read(path)?;
    if proposal.by != log.who {
        return Err(Failure::usage(format!("{} made it, and must plan it", proposal.by)));
    }
    let (_, statement) = find(desk, &proposal.message_id).await?;
    refuse_if_applied(desk, users, &statement).await?;
    let approval = approval_path(path);
    let complaint = |error: String| Failure::usage(format!("{}: {error}", approval.display()));
    let json = std::fs::read(&approval).map_err(|error| complaint(error.to_string()))?;
    let signed: SignedCall = serde_json::from_slice(&json)
        .map_err(|error| complaint(format!("it is no approval (line {})", error.line())))?;
    let approved_by = who_signed(&desk.connection, &proposal.digest()?, &signed).await.map_err(|fault| {
        complaint(format!("it does not hold ({fault}); they hold for some minutes: have it approved again"))
    })?;
    let content = Content {
        envelope_sha256: proposal.envelope_sha256.clone(),
        username: proposal.username.clone(),
        because: proposal.because.clone(),
        by: log.who.clone(),
        approved_by: approved_by.clone(),
    };
    let key = desk.ring.seal.first().ok_or_else(|| Failure::usage("the ring has no seal key"))?;
    let correction = Correction::new(content, key)
        .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    let user = proposal.find_user(desk, users).await?;
    let mut record = proposal.record(log, AuditCode::CorrectionSealed, (desk, &user))?;
    record.approved_by = Some(approved_by);
    log.write(&record)?;
    Ok((proposal.message_id, correction))
}

pub(crate) async fn find(desk: &Desk<'_>, id: &str) -> Result<(DeadLetter, Statement), Failure> {
    let missing = || Failure::usage(format!("there is no dead letter {id} that can be had now"));
    let letter = desk.find(id).await?.ok_or_else(missing)?;
    let opened = open(&letter, &desk.ring);
    let statement = opened.map_err(|_| Failure::usage("its envelope is not sealed by a key of this ring"))?;
    Ok((letter, statement))
}

pub(crate) fn event(statement: &Statement) -> Result<&VerificationEvent, Failure> {
    statement.envelope.event().ok_or_else(|| Failure::usage("the callback in it cannot be read"))
}

/// One proof must not serve two users: what the named user has by it, or one that an earlier correction named, would have to
/// be taken back first.
pub(crate) async fn refuse_if_applied(
    desk: &Desk<'_>,
    users: &Users,
    statement: &Statement,
) -> Result<(), Failure> {
    let event = event(statement)?;
    let corrected = statement.event().ok().map(|event| event.user.clone());
    for user in [Some(event.user.clone()), corrected].into_iter().flatten() {
        let found = users.foresight(desk).read(&user).await.map_err(Failure::unreachable)?;
        let Some(Ok(assurance)) = found.map(|user| user.assurance) else { continue };
        let applied = assurance.receipt.is_some_and(|receipt| receipt.event_id == event.event_id);
        let same_subject = |subject: &Subject| matches!(&event.outcome, Outcome::Approved(approval) if approval.subject == *subject);
        if applied || assurance.subject.as_ref().is_some_and(same_subject) {
            return Err(Failure::usage("the user that it names has this proof; it cannot be another's, too"));
        }
    }
    Ok(())
}

pub(crate) fn approval_path(correction: &Path) -> PathBuf {
    let mut name = correction.file_name().unwrap_or_default().to_owned();
    name.push(".approval");
    correction.with_file_name(name)
}
