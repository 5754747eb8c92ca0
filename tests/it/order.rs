//! What a user ends as, for every set of up to four events, in every order of arrival, and with repetitions: held against
//! the [specification](crate::support::specification).

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use idv_callback::assurance::{
    Assurance, AttributeChange, Decision, Facts, Meaning, Policy, Settled, Settlement, UserRecord,
    UserStatus, decide, names,
};
use idv_callback::binding::Binding;
use idv_callback::envelope::BodyDigest;
use idv_callback::timestamp::Timestamp;
use idv_callback::verification::{
    Approval, AssuranceLevel, EventId, Outcome, PoolId, SessionId, Subject, UserReference, Username,
    VerificationEvent,
};
use idv_callback::vocabulary::EventTypes;

use crate::support::specification::{Event, Word, ends, ial, status};

const SESSIONS: [&str; 3] = ["vs_a", "vs_b", "vs_c"];

const WORDS: [Word; 8] = [
    Word::Approved(2),
    Word::Approved(3),
    Word::Insufficient,
    Word::Declined,
    Word::InReview,
    Word::Expired,
    Word::Abandoned,
    Word::InProgress,
];

/// Every event there can be of so many sessions, words and instants.
fn every_event(sessions: u8, words: &[Word]) -> Vec<Event> {
    let mut events = Vec::new();
    for session in 0..sessions {
        for word in words {
            for at in 1..=3 {
                events.push(Event { session, word: *word, at, number: events.len() });
            }
        }
    }
    events
}

fn start() -> Timestamp {
    Timestamp::parse("2026-11-22T09:00:00Z").unwrap()
}

fn at(instant: u32) -> Timestamp {
    start().plus(Duration::from_secs(instant.into()))
}

/// Until when an approval holds: of each another, so that it can be seen which one a user has.
fn end_of(event: &Event) -> Timestamp {
    start().plus(Duration::from_secs(1_000_000 + event.number as u64))
}

fn level(level: u8) -> AssuranceLevel {
    AssuranceLevel::new(level.into()).unwrap()
}

/// The event as the code has it.
fn told(event: &Event) -> VerificationEvent {
    let approval = |ial| {
        Outcome::Approved(Approval {
            subject: Subject::new("did:blockid:ada").unwrap(),
            ial: level(ial),
            aal: Some(level(1)),
            liveness_verified: true,
            match_result: true,
            implied_by_level: false,
            evidence: None,
            framework: None,
            expires_at: Some(end_of(event)),
        })
    };
    VerificationEvent {
        event_id: EventId::new(&format!("evt_{}", event.number)).unwrap(),
        occurred_at: at(event.at),
        session: SessionId::new(SESSIONS[usize::from(event.session)]).unwrap(),
        user: UserReference {
            pool: PoolId::new(crate::support::world::POOL).unwrap(),
            username: Username::new("ada").unwrap(),
        },
        binding: None,
        outcome: match event.word {
            Word::Approved(ial) => approval(ial),
            Word::Insufficient => approval(1),
            Word::Declined => Outcome::Declined,
            Word::InReview => Outcome::InReview,
            Word::Expired => Outcome::Expired,
            Word::Abandoned => Outcome::Abandoned,
            Word::InProgress => Outcome::InProgress,
        },
        unknown_type: None,
    }
}

/// A user's attributes and whether they are confirmed: all that is kept from one event to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct State {
    attributes: Vec<(&'static str, String)>,
    confirmed: bool,
}

impl State {
    fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(held, _)| *held == name).map(|(_, value)| value.as_str())
    }

    fn apply(&mut self, changes: &[AttributeChange]) {
        for change in changes {
            self.attributes.retain(|(name, _)| *name != change.name());
            if let AttributeChange::Set(name, value) = change {
                self.attributes.push((name, value.as_str().to_owned()));
            }
        }
        self.attributes.sort();
    }
}

/// The machine under test: an event in, a state out. States are told by their number; what was seen before is not computed
/// again.
struct Machine {
    events: Vec<(VerificationEvent, Meaning)>,
    policy: Policy,
    states: Vec<State>,
    numbers: HashMap<State, usize>,
    seen: HashMap<(usize, usize), (usize, Settled)>,
}

impl Machine {
    fn new(events: &[Event]) -> Self {
        let events = events.iter().map(told).map(|event| (event.clone(), Meaning::of(&event))).collect();
        let policy = Policy {
            pools: vec![PoolId::new(crate::support::world::POOL).unwrap()],
            minimum_ial: level(2),
            binding_required: false,
            event_types: EventTypes::default(),
        };
        Self { events, policy, states: Vec::new(), numbers: HashMap::new(), seen: HashMap::new() }
    }

    fn number(&mut self, state: State) -> usize {
        let states = &mut self.states;
        *self.numbers.entry(state).or_insert_with_key(|state| {
            states.push(state.clone());
            states.len() - 1
        })
    }

    fn step(&mut self, state: usize, event: usize) -> (usize, Settled) {
        if let Some(known) = self.seen.get(&(state, event)) {
            return *known;
        }
        let settlement = self.settle(&self.states[state], event);
        let changes_nothing = settlement.changes.is_empty() && !settlement.confirm;
        let after = if changes_nothing {
            state
        } else {
            let mut after = self.states[state].clone();
            after.apply(&settlement.changes);
            after.confirmed |= settlement.confirm;
            self.number(after)
        };
        self.seen.insert((state, event), (after, settlement.outcome));
        (after, settlement.outcome)
    }

    fn settle(&self, state: &State, event: usize) -> Settlement {
        let (event, meaning) = &self.events[event];
        let user = UserRecord {
            username: event.user.username.clone(),
            sub: None,
            status: if state.confirmed { UserStatus::Confirmed } else { UserStatus::Unconfirmed },
            enabled: true,
            created_at: start(),
            assurance: Assurance::read(|name| state.get(name)),
            claim: None,
        };
        let facts = Facts {
            event,
            body_sha256: &BodyDigest::parse(&"0".repeat(64)).unwrap(),
            meaning: meaning.clone(),
            received_at: at(100),
            age: Duration::ZERO,
            fetched_at_sign_up: false,
            user: Some(&user),
            binding: Binding::Absent,
        };
        match decide(&facts, &self.policy) {
            Decision::Settle(settlement) => settlement,
            Decision::AwaitUser => panic!("awaits the user"),
            Decision::Quarantine(reason) => panic!("{reason:?} {event:?} {state:?}"),
        }
    }
}

/// What a set of events must come to, by the specification.
struct Expected {
    rows: [(&'static str, Option<String>); 6],
    approved: bool,
    /// Whether there was an approval, be it taken back or not.
    ever: bool,
}

impl Expected {
    fn of(set: &[Event]) -> Self {
        let expected = ends(set);
        let approved = expected.filter(|ends| matches!(ends.by.word, Word::Approved(_)));
        let rows = [
            (names::IDV_STATUS, expected.as_ref().map(|ends| status(ends).to_owned())),
            (names::IAL, expected.as_ref().and_then(ial)),
            (names::AAL, approved.map(|_| "1".to_owned())),
            (names::IDV_SESSION, expected.map(|ends| SESSIONS[usize::from(ends.by.session)].to_owned())),
            (names::IDV_PROOFED_AT, approved.map(|ends| at(ends.by.at).to_string())),
            (names::IDV_EXPIRES_AT, approved.map(|ends| end_of(&ends.by).to_string())),
        ];
        let ever = set.iter().any(|event| matches!(event.word, Word::Approved(_)));
        Self { rows, approved: approved.is_some(), ever }
    }

    /// Where the specification and the user's record differ.
    fn check(&self, state: &State, set: &[Event]) {
        for (name, value) in &self.rows {
            assert_eq!(state.get(name), value.as_deref(), "{name} after {set:?}: {state:?}");
        }
        // Who is approved is confirmed; who never was, is not.
        assert!(state.confirmed || !self.approved, "{set:?}: approved, and not confirmed");
        assert!(self.ever || !state.confirmed, "{set:?}: confirmed, and never approved");
        assert!(
            self.ever || state.get(names::BLOCKID_SUB).is_none(),
            "{set:?}: a subject, and never approved"
        );
    }
}

/// Every set of up to so many of these events, in every order of arrival: all the states that a set was seen to lead to. Gives
/// how many sets and how many orders that is.
fn enumerate(events: &[Event], most: usize) -> (usize, u64) {
    let mut machine = Machine::new(events);
    let nothing = machine.number(State::default());
    let mut level: HashMap<Vec<usize>, BTreeSet<usize>> =
        HashMap::from([(Vec::new(), BTreeSet::from([nothing]))]);
    let (mut sets, mut orders, mut factorial) = (0, 0, 1);
    for size in 1..=most {
        let mut next: HashMap<Vec<usize>, BTreeSet<usize>> = HashMap::new();
        for (set, states) in &level {
            for event in (0..events.len()).filter(|event| !set.contains(event)) {
                let mut larger = set.clone();
                larger.insert(larger.partition_point(|held| *held < event), event);
                let reached = next.entry(larger).or_default();
                for state in states {
                    reached.insert(machine.step(*state, event).0);
                }
            }
        }
        for (set, states) in &next {
            let said: Vec<_> = set.iter().map(|index| events[*index]).collect();
            let expected = Expected::of(&said);
            for state in states {
                expected.check(&machine.states[*state], &said);
                for again in set {
                    let (repeated, outcome) = machine.step(*state, *again);
                    if repeated != *state {
                        expected.check(&machine.states[repeated], &said);
                    }
                    let changes_nothing =
                        matches!(outcome, Settled::Duplicate | Settled::Superseded | Settled::Noted);
                    assert!(changes_nothing, "{said:?}, and {again} again: {outcome:?}");
                }
            }
        }
        factorial *= size as u64;
        sets += next.len();
        orders += next.len() as u64 * factorial;
        level = next;
        // Only the states that are gone on from are kept.
        machine.seen.clear();
    }
    (sets, orders)
}

/// Two sessions, every set of up to four events of seven words.
#[test]
fn every_set_of_four_events_of_two_sessions_ends_as_specified_in_every_order() {
    let (sets, orders) = enumerate(&every_event(2, &[&WORDS[..1], &WORDS[2..]].concat()), 4);
    assert_eq!((sets, orders), (124_313, 2_756_964));
}

/// Three sessions, every set of up to three events.
#[test]
fn every_set_of_three_events_of_three_sessions_and_two_levels_ends_as_specified_in_every_order() {
    let (sets, orders) = enumerate(&every_event(3, &WORDS), 3);
    assert_eq!((sets, orders), (62_268, 363_024));
}
