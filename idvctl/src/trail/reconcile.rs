//! Did every accepted callback end in exactly one outcome, and does every change to a user have a record behind it?

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use idv_callback::assurance::AppliedReceipt;
use idv_callback::envelope::receipt_of;
use idv_callback::timestamp::Timestamp;
use serde::Serialize;

use super::codes::Says;
use super::entry::Entry;

/// For how long an accepted callback may be under way: fifty tries are some ten hours.
pub(super) const IN_FLIGHT: Duration = Duration::from_secs(24 * 60 * 60);

/// For how long SQS keeps a dead letter.
pub(super) const KEPT: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// The table of the classes, from what counts least to what counts most.
macro_rules! classes {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal;)*) => {
        /// How an accepted callback ended. What comes later in this list stands against what comes earlier: a dead letter that was
        /// sent back and applied is applied; an applied one that came again is not a duplicate.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Class {
            $($(#[doc = $doc])+ $name,)*
        }

        impl Class {
            /// Every class, from what counts least to what counts most.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The word for it.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

classes! {
    /// Not ended yet, and young enough for that.
    InFlight = "in_flight";
    /// Among the dead letters.
    Quarantined = "quarantined";
    /// Deleted by an operator, and in an archive.
    Discarded = "discarded";
    /// A synthetic callback that came through.
    Probed = "probed";
    /// A session of nobody who was there, which gave nobody anything.
    Unclaimed = "unclaimed";
    /// Its type tells no result, as the operator has said.
    Skipped = "skipped";
    /// Its type tells no result: recorded at the front door, and nothing else.
    Ignored = "ignored";
    /// A sender's test: recorded at the front door, and nothing else.
    SenderTest = "sender_test";
    /// It had been applied before.
    Duplicate = "duplicate";
    /// Its session had said something that counts more.
    Superseded = "superseded";
    /// It changed nothing of where the user stood, and is remembered.
    Noted = "noted";
    /// A result that is no approval was written.
    Recorded = "recorded";
    /// Less than the policy asks for.
    Insufficient = "insufficient";
    /// An approval was taken back.
    Revoked = "revoked";
    /// An approval was written.
    Applied = "applied";
}

impl Class {
    /// Whether it wrote onto the user.
    fn writes(self) -> bool {
        self >= Self::Noted
    }
}

/// What is known of one receipt.
#[derive(Clone, Copy)]
struct Receipt {
    accepted: bool,
    class: Class,
    contradicts: bool,
    /// Whether a call changed the user for it, whatever came after.
    changed: bool,
    /// A short hash of the user that it was written onto; zero where it was onto nobody.
    user: u32,
    /// The level that the user has by it.
    ial: Option<u8>,
    /// When the callback was accepted, as far as that is told.
    accepted_at: Option<i64>,
    /// When it was last sent back.
    redriven: i64,
    /// When something was last heard of it, in seconds of the Unix epoch; of a dead letter, when it died.
    last: i64,
}

impl Receipt {
    /// Whether a user with this level can have come by it. A crash between writing and recording leaves only a duplicate.
    fn explains(&self, ial: Option<&str>) -> bool {
        let told = self.class.writes() || self.class == Class::Duplicate;
        let level = ial.map_or(Some(0), |text| text.parse().ok());
        self.changed && !told || told && (self.ial.is_none() || self.ial == level)
    }
}

/// What a user's record says of where it comes from.
#[derive(Clone, Debug)]
pub struct UserLink {
    /// How the user is told: a pseudonym.
    pub user: String,
    /// `custom:idv_receipt`.
    pub receipt: Option<String>,
    /// `custom:ial`.
    pub ial: Option<String>,
    /// Whether any assurance attribute has a value.
    pub has_assurance: bool,
}

/// Reads a trail.
#[derive(Default)]
pub struct Reconciliation {
    receipts: HashMap<[u8; 16], Receipt>,
    odd: Vec<String>,
    requests: HashSet<String>,
    explained: HashMap<String, bool>,
    /// When the first callback of this trail was accepted.
    first: Option<i64>,
    last: i64,
    changes_without_request: u64,
}

/// What came out. Sound when nothing is left over on either side.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Reconciled {
    /// Callbacks that were accepted, each counted once.
    pub accepted: u64,
    /// How they ended.
    pub classes: BTreeMap<&'static str, u64>,
    /// Accepted, and no outcome: lost, or still to be found.
    pub lost: Vec<String>,
    /// Dead letters that SQS has dropped by now, and nobody settled or archived and discarded them.
    pub dropped: Vec<String>,
    /// Outcomes of callbacks that were never accepted.
    pub never_accepted: Vec<String>,
    /// Receipts with contradictory outcomes.
    pub contradictory: Vec<String>,
    /// Records whose receipt cannot be read.
    pub unreadable: Vec<String>,
    /// Users whose record comes from no record here.
    pub users_without_record: Vec<String>,
    /// Calls that changed a user, by AWS' request id, which no record explains.
    pub calls_without_record: Vec<String>,
    /// Callbacks accepted before this trail begins, by their outcomes.
    pub accepted_earlier: u64,
    /// Calls that changed a user and whose AWS request id no record has: they cannot be compared with `CloudTrail`.
    pub calls_without_request_id: u64,
}

impl Reconciled {
    /// Whether nothing is left over.
    pub fn is_sound(&self) -> bool {
        self.residue() == 0
    }

    /// How much is left over.
    pub fn residue(&self) -> usize {
        self.left_over().iter().map(|(_, list)| list.len()).sum()
    }

    /// What is left over, by what it is.
    pub fn left_over(&self) -> [(&'static str, &[String]); 7] {
        [
            ("accepted, but without an outcome", &self.lost),
            ("a dead letter that SQS has deleted by now", &self.dropped),
            ("an outcome without an acceptance", &self.never_accepted),
            ("contradictory outcomes", &self.contradictory),
            ("a receipt that cannot be read", &self.unreadable),
            ("a user whose attributes come from no record here", &self.users_without_record),
            ("a call that no record explains", &self.calls_without_record),
        ]
    }
}

impl Reconciliation {
    /// Reads one record.
    pub fn read(&mut self, entry: &Entry) {
        let at = entry.when().map_or(0, Timestamp::unix_seconds);
        self.last = self.last.max(at);
        for call in &entry.calls {
            if let Some(id) = &call.request_id {
                self.requests.insert(id.clone());
            } else {
                self.changes_without_request += 1;
            }
        }
        let Some(text) = &entry.receipt_id else { return };
        let Some(key) = parse(text) else {
            self.odd.push(text.clone());
            return;
        };
        let says = entry.meaning().says;
        let (accepts, class) = match says {
            Says::Nothing | Says::Refused | Says::UnderWay | Says::Redriven => (false, None),
            Says::Accepted => (true, None),
            Says::AcceptedAs(class) => (true, Some(class)),
            Says::Ended(class) => (false, Some(class)),
        };
        if accepts && at > 0 {
            self.first = Some(self.first.map_or(at, |first| first.min(at)));
        }
        let known = self.receipts.entry(key).or_insert(Receipt {
            accepted: false,
            class: Class::InFlight,
            contradicts: false,
            changed: false,
            user: 0,
            ial: None,
            accepted_at: None,
            redriven: 0,
            last: at,
        });
        known.accepted |= accepts;
        known.changed |= !entry.calls.is_empty();
        if let Some(seconds) = entry.seconds_since_received {
            let received = entry.when().map(|at| at.minus(Duration::from_secs_f64(seconds.clamp(0.0, 1e9))));
            known.accepted_at = known.accepted_at.or(received.map(Timestamp::unix_seconds));
        }
        let Some(class) = class else {
            // Under way: a try that failed, or a dead letter that was sent back and begins anew.
            if known.class == Class::InFlight {
                known.last = known.last.max(at);
            }
            if says == Says::Redriven {
                known.redriven = known.redriven.max(at);
            }
            return;
        };
        let user = if class.writes() { entry.user.as_deref().map_or(0, short) } else { 0 };
        let two_users = user != 0 && known.user != 0 && user != known.user;
        known.contradicts |= two_users || (class.writes() && known.class.writes() && class != known.class);
        if class >= known.class {
            // Records of one class can come in any order.
            known.last = if class == known.class { known.last.max(at) } else { at };
            known.class = class;
            known.user = if user == 0 { known.user } else { user };
            known.ial = entry.ial_after;
        }
    }

    /// Reads a call from `CloudTrail` that changed a user.
    pub fn read_call(&mut self, call: &str, request_id: &str, at: &str) {
        let explained = self.requests.contains(request_id);
        self.explained.insert(format!("{call} {request_id} {at}"), explained);
    }

    /// What came out; where the trail does not begin at the beginning, outcomes of earlier callbacks are none to wonder at.
    pub fn finish(self, users: &[UserLink], begins_later: bool) -> Reconciled {
        let mut out = Reconciled {
            unreadable: self.odd,
            calls_without_request_id: self.changes_without_request,
            ..Reconciled::default()
        };
        for class in Class::ALL {
            out.classes.insert(class.word(), 0);
        }
        for (key, receipt) in &self.receipts {
            let heard = receipt.last.max(receipt.redriven);
            let age = Duration::from_secs(u64::try_from(self.last - heard).unwrap_or(0));
            if !receipt.accepted {
                let begins = |at| self.first.is_none_or(|first| at < first);
                let earlier = receipt.accepted_at.is_none_or(begins);
                if begins_later && earlier {
                    out.accepted_earlier += 1;
                } else {
                    out.never_accepted.push(print(key));
                }
                continue;
            }
            out.accepted += 1;
            if receipt.contradicts {
                out.contradictory.push(print(key));
                continue;
            }
            match receipt.class {
                Class::InFlight if age > IN_FLIGHT => out.lost.push(print(key)),
                Class::Quarantined if age > KEPT => out.dropped.push(print(key)),
                class => *out.classes.entry(class.word()).or_default() += 1,
            }
        }
        let explains = |user: &UserLink| match &user.receipt {
            None => !user.has_assurance,
            Some(text) => AppliedReceipt::parse(text).is_some_and(|applied| {
                let receipt = receipt_of(Some(&applied.event_id), &applied.body_sha256);
                // A crash between writing and recording leaves only a duplicate.
                parse(receipt.as_str())
                    .and_then(|key| self.receipts.get(&key))
                    .is_some_and(|receipt| receipt.explains(user.ial.as_deref()))
            }),
        };
        let unexplained = users.iter().filter(|user| !explains(user));
        out.users_without_record = unexplained.map(|user| user.user.clone()).collect();
        let unexplained = self.explained.into_iter().filter(|(_, explained)| !explained);
        out.calls_without_record = unexplained.map(|(call, _)| call).collect();
        for list in [
            &mut out.lost,
            &mut out.dropped,
            &mut out.never_accepted,
            &mut out.contradictory,
            &mut out.users_without_record,
            &mut out.calls_without_record,
        ] {
            list.sort();
        }
        out
    }
}

/// `rcpt_` and 32 hexadecimal digits.
fn parse(text: &str) -> Option<[u8; 16]> {
    let digits = text.strip_prefix("rcpt_").filter(|digits| digits.len() == 32)?;
    u128::from_str_radix(digits, 16).ok().map(u128::to_be_bytes)
}

/// Of a pseudonym, enough to tell two apart.
fn short(user: &str) -> u32 {
    let digits =
        user.trim_start_matches("u_").get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    digits.unwrap_or(1).max(1)
}

fn print(key: &[u8; 16]) -> String {
    format!("rcpt_{}", idv_callback::hex::hex(key))
}
