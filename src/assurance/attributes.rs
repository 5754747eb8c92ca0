//! The user attributes that hold assurance. All are mutable, and no app client may write one.

use crate::verification::Malformed;

/// The names.
pub mod names {
    /// Who was proofed, as the provider knows them.
    pub const BLOCKID_SUB: &str = "custom:blockid_sub";
    /// The identity assurance level: `0` to `3`.
    pub const IAL: &str = "custom:ial";
    /// The authenticator assurance level: `0` to `3`.
    pub const AAL: &str = "custom:aal";
    /// Where the proofing stands: `approved`, `declined`, `expired`, `abandoned`, `in_review`, `insufficient`,
    /// `in_progress`.
    pub const IDV_STATUS: &str = "custom:idv_status";
    /// When the approval happened, RFC 3339.
    pub const IDV_PROOFED_AT: &str = "custom:idv_proofed_at";
    /// Until when the approval holds, RFC 3339.
    pub const IDV_EXPIRES_AT: &str = "custom:idv_expires_at";
    /// The proofing session that the status is of.
    pub const IDV_SESSION: &str = "custom:idv_session";
    /// The type of the evidence shown.
    pub const IDV_EVIDENCE: &str = "custom:idv_evidence";
    /// The trust framework and its revision.
    pub const IDV_FRAMEWORK: &str = "custom:idv_framework";
    /// What was applied last: `1 <occurred_at> <event_id> <body_sha256>`.
    pub const IDV_RECEIPT: &str = "custom:idv_receipt";
    /// What the sessions so far have said ([`History`](crate::assurance::History)).
    pub const IDV_HISTORY: &str = "custom:idv_history";
}

/// What the browser that signs up promises to know ([`crate::proofing::Claim`]). No assurance: the sign-up sets it, and it cannot
/// be changed.
pub const CLAIM_ATTRIBUTE: &str = "custom:idv_claim";

/// Where a federated sign-in leaves what the identity provider says. A mapped attribute must be writable by the app client, so
/// nothing believes these but the trigger that looks at how the user signed in.
pub const STAGING_ATTRIBUTES: [&str; 2] = [STAGED_SUBJECT, STAGED_IAL];

/// The subject that the identity provider told.
pub const STAGED_SUBJECT: &str = "custom:fed_sub";

/// The level that the identity provider told.
pub const STAGED_IAL: &str = "custom:fed_ial";

/// Every assurance attribute: what a pool's schema must have and what no app client may write.
pub const ASSURANCE_ATTRIBUTES: [&str; 11] = [
    names::BLOCKID_SUB,
    names::IAL,
    names::AAL,
    names::IDV_STATUS,
    names::IDV_PROOFED_AT,
    names::IDV_EXPIRES_AT,
    names::IDV_SESSION,
    names::IDV_EVIDENCE,
    names::IDV_FRAMEWORK,
    names::IDV_RECEIPT,
    names::IDV_HISTORY,
];

/// The longest value of a custom attribute (Cognito developer guide, "Working with user attributes").
pub const MAXIMUM_VALUE_CHARS: usize = 2048;

/// The value of an attribute. Never empty: an empty value would delete the attribute (API reference,
/// `AdminUpdateUserAttributes`).
#[derive(Clone, PartialEq, Eq)]
pub struct AttributeValue(String);

impl AttributeValue {
    /// Takes 1 to [`MAXIMUM_VALUE_CHARS`] characters.
    ///
    /// # Errors
    /// [`Malformed`] when it is empty or longer.
    pub fn new(text: impl Into<String>) -> Result<Self, Malformed> {
        let text = text.into();
        if text.is_empty() || text.chars().count() > MAXIMUM_VALUE_CHARS {
            Err(Malformed)
        } else {
            Ok(Self(text))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A change to one attribute. To delete one is never an accident: it has a word of its own.
#[derive(Clone, PartialEq, Eq)]
pub enum AttributeChange {
    /// Give the attribute this value.
    Set(&'static str, AttributeValue),
    /// Delete the attribute.
    Clear(&'static str),
}

impl AttributeChange {
    /// The attribute's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Set(name, _) | Self::Clear(name) => name,
        }
    }
}
