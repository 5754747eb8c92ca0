//! What has been done of a plan, kept where a crash of the tool does not reach it.

use std::collections::HashMap;
use std::io;

use idv_callback::timestamp::Timestamp;

use super::verify::Sent;

/// How far a message has come, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It is about to be sent.
    Sending,
    /// It was sent and arrived.
    Sent,
    /// It was sent, arrived and was removed.
    Removed,
}

/// What has been done of a plan, in this run of the tool or an earlier one, kept where a crash does not reach it.
pub trait Journal {
    /// Notes how far a message has come. It is stored when the call returns.
    ///
    /// # Errors
    /// When it cannot be stored.
    fn note(&mut self, note: &Note<'_>) -> io::Result<()>;

    /// The farthest that a message has come; none when nothing was done with it yet.
    fn stage(&self, message_id: &str) -> Option<Stage>;

    /// When a message was sent, and as what; none when it was not.
    fn sent(&self, message_id: &str) -> Option<Sent>;
}

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note<'a> {
    /// The id that it has in the dead-letter queue.
    pub message_id: &'a str,
    /// How far.
    pub stage: Stage,
    /// When.
    pub at: Timestamp,
    /// The id that it has in the callback queue, once it was sent.
    pub sent_as: Option<&'a str>,
}

/// What a journal says of each message, however often the tool was started.
#[derive(Clone, Default)]
pub struct Stages(HashMap<String, Progress>);

#[derive(Clone)]
struct Progress {
    stage: Stage,
    sent: Sent,
    /// How often it was about to be sent.
    sendings: usize,
}

impl Stages {
    /// Takes a note in. A message that is sent once more after a crash has come no less far than it had.
    pub fn take(&mut self, note: &Note<'_>) {
        let fresh = || Progress {
            stage: note.stage,
            sent: Sent { since: note.at, until: None, message_id: None },
            sendings: 0,
        };
        let progress = self.0.entry(note.message_id.to_owned()).or_insert_with(fresh);
        progress.stage = progress.stage.max(note.stage);
        progress.sendings += usize::from(note.stage == Stage::Sending);
        // What was about to be sent twice can be there twice.
        let once = progress.sendings == 1;
        match note.stage {
            Stage::Sending => progress.sent = Sent { until: None, message_id: None, ..progress.sent.clone() },
            Stage::Sent => {
                progress.sent.until = Some(note.at);
                progress.sent.message_id = note.sent_as.filter(|_| once).map(str::to_owned);
            }
            Stage::Removed => {}
        }
    }

    /// The farthest that a message has come.
    pub fn stage(&self, message_id: &str) -> Option<Stage> {
        self.0.get(message_id).map(|progress| progress.stage)
    }

    /// When it was sent, and as what.
    pub fn sent(&self, message_id: &str) -> Option<Sent> {
        self.0.get(message_id).map(|progress| progress.sent.clone())
    }
}
