//! The messages that a command is about, held while it works on them.

use std::collections::BTreeMap;

use idv_callback::aws::MessageQueue;
use idv_callback::clock::SystemClock;

use super::{OperatorSession, unreachable};
use crate::output::Failure;
use crate::ports::{DeadLetter, DeadLetterStore as _, Depth};
use crate::redrive::{Census, DeadLetterSummary, Selection, Taken, take};

/// What was chosen, and what there was to choose from.
pub(super) struct Chosen<'a> {
    pub(super) taken: Taken<'a, MessageQueue, SystemClock>,
    pub(super) census: Census,
    /// How many of each reason were chosen.
    pub(super) reasons: BTreeMap<String, usize>,
    pub(super) depth: Depth,
}

impl<'a> Chosen<'a> {
    /// Holds the messages of a selection. Whoever moves them gets no evidence that was not named.
    pub(super) async fn hold(
        session: &'a OperatorSession<'_>,
        selection: &Selection,
        to_move: bool,
    ) -> Result<Self, Failure> {
        let depth = session.store.depth().await.map_err(|error| unreachable(&error))?;
        let (mut census, mut reasons) = (Census::default(), BTreeMap::new());
        let choose = |message: &DeadLetter| {
            let shown = DeadLetterSummary::read(message, &session.ring, depth.retention);
            let chosen =
                if to_move { census.moves(selection, &shown) } else { census.looks_at(selection, &shown) };
            if chosen {
                *reasons.entry(shown.reason).or_default() += 1;
            }
            chosen
        };
        let taken = take(&session.store, &SystemClock, choose).await.map_err(|error| unreachable(&error))?;
        Ok(Self { taken, census, reasons, depth })
    }

    /// Lets go of all.
    pub(super) async fn release(self) -> Result<(), Failure> {
        self.taken.held.release().await.map_err(|error| unreachable(&error))
    }
}
