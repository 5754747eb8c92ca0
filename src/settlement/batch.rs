//! A batch: the groups at the same time, each group in order, and a failure stops its own group only.

use std::time::Duration;

use futures_util::future::join_all;

use super::{Attempt, Consumer, RECORD_BUDGET, SHORTEST_BACKOFF, Unsettled, backoff};
use crate::audit::{AuditCode, AuditRecord};
use crate::ports::{
    AuditSink, Clock, DeadLetters, Deadline, KeyStore, ReceivedMessage, Redelivery, UserDirectory,
};

/// The least time that is asked for a record where the whole invocation is short.
const LEAST_BUDGET: Duration = Duration::from_secs(1);

/// How long before its deadline an invocation answers.
const ANSWER_MARGIN: Duration = Duration::from_millis(400);

impl<D, Q, S, A, C> Consumer<D, Q, S, A, C>
where
    D: UserDirectory,
    Q: DeadLetters + Redelivery,
    S: KeyStore,
    A: AuditSink,
    C: Clock,
{
    /// Settles a batch. Returns the ids of the messages that must come back, in the order received.
    pub async fn settle_batch(&self, messages: &[ReceivedMessage], deadline: Deadline) -> Vec<String> {
        let budget = (deadline.remaining(self.clock.now()) / 2).clamp(LEAST_BUDGET, RECORD_BUDGET);
        let groups = by_group(messages);
        let settling = groups.iter().map(|group| self.settle_group(group, budget, deadline));
        let failed: Vec<&str> = join_all(settling).await.into_iter().flatten().collect();
        let ids = messages.iter().map(|message| message.id.as_str());
        ids.filter(|id| failed.contains(id)).map(str::to_owned).collect()
    }

    /// One user's messages: when one fails, those behind it must not overtake it.
    async fn settle_group<'m>(
        &self,
        group: &[&'m ReceivedMessage],
        budget: Duration,
        deadline: Deadline,
    ) -> Vec<&'m str> {
        for (index, message) in group.iter().enumerate() {
            let now = self.clock.now();
            let needed = budget.saturating_add(self.pace.backlog(now));
            let behind = group.get(index..).unwrap_or_default();
            let mut attempt = Attempt::default();
            if deadline.remaining(now) < needed {
                self.leave(behind, deadline).await;
            } else if let Err(unsettled) = self.settle_in_time(message, &mut attempt, deadline).await {
                self.give_back(behind, &attempt, &unsettled, deadline).await;
            } else {
                continue;
            }
            return behind.iter().map(|message| message.id.as_str()).collect();
        }
        Vec::new()
    }

    /// A record that takes longer than the invocation is broken off; that is no worse than a crash, and heals like one.
    async fn settle_in_time(
        &self,
        message: &ReceivedMessage,
        attempt: &mut Attempt,
        deadline: Deadline,
    ) -> Result<(), Unsettled> {
        let left = deadline.remaining(self.clock.now()).saturating_sub(ANSWER_MARGIN);
        tokio::select! {
            biased;
            settled = self.settle(message, attempt) => settled,
            () = self.clock.sleep(left) => Err(Unsettled::Retry("out_of_time".to_owned())),
        }
    }

    /// The first one failed; all come back after the same time. They have to: a message of theirs that stayed invisible
    /// for longer would keep the whole group from being received.
    async fn give_back(
        &self,
        messages: &[&ReceivedMessage],
        attempt: &Attempt,
        why: &Unsettled,
        deadline: Deadline,
    ) {
        let Some((failed, behind)) = messages.split_first() else { return };
        let delay = backoff(&failed.group_id, failed.attempt);
        let (code, detail) = match why {
            Unsettled::Misconfigured(detail) => (AuditCode::Misconfigured, detail.as_str()),
            Unsettled::Retry(detail) => (AuditCode::Retried, detail.as_str()),
            // It was to be quarantined and that failed: it comes back like any other.
            Unsettled::Quarantine(reason, _) => (AuditCode::Retried, reason.code()),
        };
        let mut record = self.record_of(failed, code, attempt).because(detail);
        record.retry_in_seconds = Some(delay.as_secs());
        self.note(&record);
        for message in behind {
            self.note(
                &self
                    .record_of(message, AuditCode::Left, &Attempt::default())
                    .because("behind_a_failed_message"),
            );
        }
        self.postpone(messages, delay, deadline).await;
    }

    /// Not begun: they come back soon.
    async fn leave(&self, messages: &[&ReceivedMessage], deadline: Deadline) {
        for message in messages {
            self.note(&self.record_of(message, AuditCode::Left, &Attempt::default()).because("out_of_time"));
        }
        self.postpone(messages, SHORTEST_BACKOFF, deadline).await;
    }

    /// If this fails, or time runs out over it, the messages come back all the same, after the queue's own visibility
    /// timeout.
    async fn postpone(&self, messages: &[&ReceivedMessage], delay: Duration, deadline: Deadline) {
        let postponing = join_all(messages.iter().map(|message| async move {
            if let Err(error) = self.queue.delay(&message.handle, delay).await {
                let fault = error.fault();
                tracing::warn!(%fault, "a message comes back at the queue's own time");
            }
        }));
        let left = deadline.remaining(self.clock.now()).saturating_sub(ANSWER_MARGIN / 2);
        tokio::select! {
            biased;
            _ = postponing => {}
            () = self.clock.sleep(left) => tracing::warn!("no time is left to say when messages come back"),
        }
    }

    /// A record of something that changes nothing: the message is still on the queue, whether this is stored or not.
    fn note(&self, record: &AuditRecord) {
        if let Err(error) = self.audit.record(record) {
            tracing::error!(kind = %error.kind(), code = record.code(), "an audit record could not be written");
        }
    }
}

/// The messages of each group together, groups and messages in the order received.
fn by_group(messages: &[ReceivedMessage]) -> Vec<Vec<&ReceivedMessage>> {
    let mut groups: Vec<Vec<&ReceivedMessage>> = Vec::new();
    for message in messages {
        let group =
            groups.iter_mut().find(|group| group.first().is_some_and(|m| m.group_id == message.group_id));
        match group {
            Some(group) => group.push(message),
            None => groups.push(vec![message]),
        }
    }
    groups
}
