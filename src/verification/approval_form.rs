//! An approval as JSON: in an envelope, with the subject; in an audit record, with a pseudonym of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Approval, AssuranceLevel, Evidence, Framework, Malformed, Subject};
use crate::timestamp::Timestamp;

/// The one form in which an approval is written. Every value is checked again on the way in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalForm {
    /// The subject; in envelopes alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    blockid_sub: Option<String>,
    /// A pseudonym of the subject; in audit records alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    /// The identity assurance level.
    pub ial: u8,
    /// The authenticator assurance level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aal: Option<u8>,
    /// Whether a living person was there.
    pub liveness_verified: bool,
    /// Whether the person is the one on the document.
    pub match_result: bool,
    /// Set where the provider asserts the level as a whole and says nothing of liveness and match.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub implied_by_level: bool,
    /// The type of the evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// The trust framework and its revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub framework: Option<String>,
    /// Until when it holds, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

impl fmt::Debug for ApprovalForm {
    /// Without the subject.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApprovalForm").field("ial", &self.ial).finish_non_exhaustive()
    }
}

impl ApprovalForm {
    fn of(approval: &Approval) -> Self {
        Self {
            blockid_sub: None,
            subject: None,
            ial: approval.ial.get(),
            aal: approval.aal.map(AssuranceLevel::get),
            liveness_verified: approval.liveness_verified,
            match_result: approval.match_result,
            implied_by_level: approval.implied_by_level,
            evidence: approval.evidence.as_ref().map(|evidence| evidence.as_str().to_owned()),
            framework: approval.framework.as_ref().map(|framework| framework.as_str().to_owned()),
            expires_at: approval.expires_at.map(|at| at.to_string()),
        }
    }

    /// With the subject.
    pub fn named(approval: &Approval) -> Self {
        Self { blockid_sub: Some(approval.subject.as_str().to_owned()), ..Self::of(approval) }
    }

    /// With a pseudonym of the subject, where there is a user whose it is.
    pub fn pseudonymous(approval: &Approval, pseudonym: Option<String>) -> Self {
        Self { subject: pseudonym, ..Self::of(approval) }
    }

    /// The approval of this subject.
    fn read(&self, subject: &str) -> Result<Approval, Malformed> {
        let level = |level: u8| AssuranceLevel::new(level.into());
        let moment = |text: &str| Timestamp::parse(text).map_err(|_| Malformed);
        Ok(Approval {
            subject: Subject::new(subject)?,
            ial: level(self.ial)?,
            aal: self.aal.map(level).transpose()?,
            liveness_verified: self.liveness_verified,
            match_result: self.match_result,
            implied_by_level: self.implied_by_level,
            evidence: self.evidence.as_deref().map(Evidence::new).transpose()?,
            framework: self.framework.as_deref().map(Framework::new).transpose()?,
            expires_at: self.expires_at.as_deref().map(moment).transpose()?,
        })
    }

    /// The approval with its subject; none where that is not there.
    pub fn read_named(&self) -> Option<Approval> {
        let subject = self.blockid_sub.as_deref().filter(|_| self.subject.is_none())?;
        self.read(subject).ok()
    }

    /// The approval with the pseudonym for a subject. Without a user there is no pseudonym, and no rule that looks at the
    /// subject.
    ///
    /// # Errors
    /// [`Malformed`] when it is not what this system writes into an audit record.
    pub fn read_pseudonymous(&self) -> Result<Approval, Malformed> {
        if self.blockid_sub.is_some() {
            return Err(Malformed);
        }
        self.read(self.subject.as_deref().unwrap_or("unknown"))
    }
}
