//! Changing a user: by what stays with the person, in a pool of whatever version.

use super::{Consumer, Unsettled};
use crate::assurance::{AttributeChange, QuarantineReason, UserRecord, UserStatus, names};
use crate::audit::ChangeCall;
use crate::ports::{
    AuditSink, Clock, DeadLetters, DirectoryError, KeyStore, Person, Redelivery, UserDirectory,
};
use crate::verification::{UserReference, Username};

impl<D, Q, S, A, C> Consumer<D, Q, S, A, C>
where
    D: UserDirectory,
    Q: DeadLetters + Redelivery,
    S: KeyStore,
    A: AuditSink,
    C: Clock,
{
    /// The user's `sub`, where it leads to this very user. It may lead to nobody (emulators do not all take it), or, who knows,
    /// to somebody who has signed up with it for a name; then there is only the name.
    pub(super) async fn sub_of<'u>(
        &self,
        reference: &UserReference,
        user: &'u UserRecord,
    ) -> Result<Option<&'u str>, Unsettled> {
        let Some(sub) = user.sub.as_deref() else { return Ok(None) };
        let Ok(username) = Username::new(sub) else { return Ok(None) };
        let found = self.find(&UserReference { username, ..reference.clone() }).await?;
        let same = |found: &UserRecord| found.username == user.username && found.sub.as_deref() == Some(sub);
        if found.as_ref().is_some_and(same) {
            return Ok(Some(sub));
        }
        match self.find(reference).await? {
            Some(found) if same(&found) => Ok(None),
            _ => Err(Unsettled::from_directory(DirectoryError::UserNotFound, QuarantineReason::WriteRefused)),
        }
    }

    /// Writes all changes. A pool of an earlier version has no attribute for the history and refuses the whole call: then the
    /// rest is written, which is what the earlier version wrote. Gives whether that was so.
    pub(super) async fn write(
        &self,
        person: &Person<'_>,
        changes: &[AttributeChange],
    ) -> Result<(ChangeCall, bool), Unsettled> {
        let refused = |error| Unsettled::from_directory(error, QuarantineReason::WriteRefused);
        self.pace.write(&self.clock).await;
        match self.directory.write(person, changes).await {
            Err(DirectoryError::Misconfigured(fault)) if fault.code == "InvalidParameterException" => {
                let rest: Vec<_> =
                    changes.iter().filter(|change| change.name() != names::IDV_HISTORY).cloned().collect();
                self.pace.write(&self.clock).await;
                let written = self.directory.write(person, &rest).await.map_err(refused)?;
                tracing::warn!(
                    "the user pool has no attribute custom:idv_history: add it (infra/README.md, \"Upgrade\")"
                );
                Ok((written, true))
            }
            written => Ok((written.map_err(refused)?, false)),
        }
    }

    /// Confirming a confirmed user is refused with the same code as a real refusal, so the user is asked.
    pub(super) async fn confirm(&self, person: &Person<'_>) -> Result<Option<ChangeCall>, Unsettled> {
        let error = match self.directory.confirm(person).await {
            Ok(call) => return Ok(Some(call)),
            Err(error) => error,
        };
        if let DirectoryError::Refused(_) = error {
            let now = self.find(person.reference).await?;
            let same = |user: &UserRecord| person.sub.is_none_or(|sub| user.sub.as_deref() == Some(sub));
            if now.is_some_and(|user| same(&user) && user.status == UserStatus::Confirmed) {
                return Ok(None);
            }
        }
        Err(Unsettled::from_directory(error, QuarantineReason::ConfirmRefused))
    }
}
