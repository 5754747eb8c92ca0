//! Where an embedded queue's messages lie: found by order, by group and by handle, so that a hundred thousand of them cost
//! no more each than ten.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use idv_callback::timestamp::Timestamp;

use super::QueuedMessage;

/// For how long a message with a deduplication id that came before is accepted and dropped.
const DEDUPLICATION_WINDOW: Duration = Duration::from_secs(300);

/// A group: its messages in order, and how many of them are in flight.
#[derive(Default)]
struct Group {
    messages: BTreeSet<u64>,
    in_flight: usize,
}

/// All messages of a queue.
#[derive(Default)]
pub(super) struct Stock {
    messages: BTreeMap<u64, QueuedMessage>,
    groups: HashMap<String, Group>,
    /// The groups that have nothing in flight, by their first message.
    ready: BTreeSet<u64>,
    /// What is in flight, by when it comes back.
    in_flight: BTreeSet<(Timestamp, u64)>,
    handles: HashMap<String, u64>,
    /// Message ids by deduplication id.
    seen: HashMap<String, String>,
    seen_in_order: VecDeque<(Timestamp, String)>,
    counter: u64,
}

/// What a handle leads to.
pub(super) enum Handled {
    /// A message in flight.
    InFlight(u64),
    /// A message that came back.
    CameBack,
    /// Nothing.
    Unknown,
}

impl Stock {
    /// The id of a message with this deduplication id that was accepted lately.
    pub(super) fn repeated(&mut self, deduplication_id: &str, now: Timestamp) -> Option<String> {
        while self.seen_in_order.front().is_some_and(|(at, _)| now.since(*at) >= DEDUPLICATION_WINDOW) {
            if let Some((_, id)) = self.seen_in_order.pop_front() {
                self.seen.remove(&id);
            }
        }
        self.seen.get(deduplication_id).cloned()
    }

    /// Notes that a message with this deduplication id was accepted now.
    pub(super) fn remember(&mut self, deduplication_id: &str, message_id: &str, now: Timestamp) {
        self.seen.insert(deduplication_id.to_owned(), message_id.to_owned());
        self.seen_in_order.push_back((now, deduplication_id.to_owned()));
    }

    pub(super) fn next_number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// Puts a message behind all others.
    pub(super) fn push(&mut self, number: u64, message: QueuedMessage) {
        let group = self.groups.entry(message.group_id.clone()).or_default();
        if group.messages.is_empty() {
            self.ready.insert(number);
        }
        group.messages.insert(number);
        self.messages.insert(number, message);
    }

    /// What was in flight until now can be received again.
    pub(super) fn refresh(&mut self, now: Timestamp) {
        while let Some((at, number)) = self.in_flight.first().copied() {
            if at > now {
                return;
            }
            self.in_flight.pop_first();
            self.landed(number);
        }
    }

    /// One message of a group is not in flight any more.
    fn landed(&mut self, number: u64) {
        let Some(name) = self.messages.get(&number).map(|message| message.group_id.clone()) else { return };
        let Some(group) = self.groups.get_mut(&name) else { return };
        group.in_flight = group.in_flight.saturating_sub(1);
        if group.in_flight == 0
            && let Some(first) = group.messages.first()
        {
            self.ready.insert(*first);
        }
    }

    /// The first messages, up to so many, of the first group that has nothing in flight.
    pub(super) fn first_ready(&self, most: usize) -> Vec<u64> {
        let first = self.ready.first().and_then(|number| self.messages.get(number));
        let group = first.and_then(|message| self.groups.get(&message.group_id));
        group.map(|group| group.messages.iter().copied().take(most).collect()).unwrap_or_default()
    }

    pub(super) fn get(&self, number: u64) -> Option<&QueuedMessage> {
        self.messages.get(&number)
    }

    /// Hands a message out: it is in flight until then, under a new handle.
    pub(super) fn hand_out(&mut self, number: u64, until: Timestamp) -> Option<QueuedMessage> {
        let stamp = self.next_number();
        let message = self.messages.get_mut(&number)?;
        message.receives += 1;
        message.visible_at = until;
        self.handles.remove(&message.handle);
        message.handle = format!("{}#{stamp}", message.id);
        self.handles.insert(message.handle.clone(), number);
        self.in_flight.insert((until, number));
        let given = message.clone();
        if let Some(group) = self.groups.get_mut(&given.group_id) {
            group.in_flight += 1;
            if let Some(first) = group.messages.first() {
                self.ready.remove(first);
            }
        }
        Some(given)
    }

    pub(super) fn handled(&self, handle: &str, now: Timestamp) -> Handled {
        match self.handles.get(handle).and_then(|number| Some((number, self.messages.get(number)?))) {
            Some((number, message)) if message.visible_at > now => Handled::InFlight(*number),
            Some(_) => Handled::CameBack,
            None => Handled::Unknown,
        }
    }

    /// A message in flight comes back at another time.
    pub(super) fn come_back(&mut self, number: u64, at: Timestamp) {
        if let Some(message) = self.messages.get_mut(&number)
            && self.in_flight.remove(&(message.visible_at, number))
        {
            message.visible_at = at;
            self.in_flight.insert((at, number));
        }
    }

    /// Takes a message away.
    pub(super) fn remove(&mut self, number: u64) -> Option<QueuedMessage> {
        let message = self.messages.get(&number)?;
        let was_in_flight = self.in_flight.remove(&(message.visible_at, number));
        self.ready.remove(&number);
        let message = self.messages.remove(&number)?;
        self.handles.remove(&message.handle);
        let group = self.groups.get_mut(&message.group_id)?;
        group.messages.remove(&number);
        group.in_flight -= usize::from(was_in_flight && group.in_flight > 0);
        match group.messages.first() {
            Some(first) if group.in_flight == 0 => drop(self.ready.insert(*first)),
            Some(_) => {}
            None => drop(self.groups.remove(&message.group_id)),
        }
        Some(message)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &QueuedMessage> {
        self.messages.values()
    }

    /// How many there are, and how many of them in flight.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.messages.len(), self.in_flight.len())
    }
}
