//! A sign-in under way, and whose face it asks for.

use super::define::Past;
use crate::assurance::{Assurance, names};
use crate::timestamp::Timestamp;
use crate::triggers::Attributes;
use crate::verification::{AssuranceLevel, Subject, UserReference};

/// A sign-in under way. No `Debug`: it is personal.
pub struct SignIn {
    /// Of whom.
    pub user: UserReference,
    /// Their attributes.
    pub attributes: Attributes,
    /// Set where there is no such user: Cognito goes the same road with them, so that nobody learns who exists
    /// (developer guide, "Managing user existence error responses").
    pub not_found: bool,
    /// The challenges so far.
    pub past: Vec<Past>,
    /// What the app passes on.
    pub metadata: Attributes,
}

impl SignIn {
    /// Whose face is asked for: none where the user has no assurance that counts.
    pub(super) fn subject(&self, minimum: AssuranceLevel, now: Timestamp) -> Result<Subject, &'static str> {
        if self.not_found {
            return Err("no_user");
        }
        let value =
            |name: &str| self.attributes.get(name).map(String::as_str).filter(|text| !text.is_empty());
        let assurance = Assurance::read(value).map_err(|_| "record_unreadable")?;
        let stands = assurance.approval_stands();
        let subject = assurance.subject.filter(|_| stands).ok_or("not_proofed")?;
        if assurance.ial.is_none_or(|ial| ial < minimum) {
            return Err("level");
        }
        if self.status() != Some("CONFIRMED") {
            return Err("user_status");
        }
        match value(names::IDV_EXPIRES_AT).map(Timestamp::parse) {
            None => Ok(subject),
            Some(Ok(end)) if now < end => Ok(subject),
            Some(_) => Err("proof_expired"),
        }
    }

    /// Whether Cognito leads this user past us. With a temporary password it asks for a new one after the old, and then gives
    /// tokens without another word to us (amazon-cognito-identity-js, issue 341): so the password must not be asked for. The
    /// unconfirmed it refuses by itself, and only who knows the password is told so.
    pub(super) fn is_led_elsewhere(&self) -> bool {
        !self.not_found && !matches!(self.status(), Some("CONFIRMED" | "UNCONFIRMED"))
    }

    pub(super) fn status(&self) -> Option<&str> {
        self.attributes.get("cognito:user_status").map(String::as_str)
    }

    pub(super) fn sub(&self) -> Option<&str> {
        self.attributes.get("sub").map(String::as_str).filter(|_| !self.not_found)
    }
}
