//! A batch: the groups at the same time, each group in order, and a failure stops its own group only.

use std::time::Duration;

use futures_util::future::join_all;

use super::{Consumer, Opened, RECORD_BUDGET, Unsettled, backoff};
use crate::audit::{AuditCode, AuditRecord};
use crate::ports::{
    AuditSink, Clock, DeadLetters, Deadline, KeyStore, ReceivedMessage, Redelivery, UserDirectory,
};

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
        let groups = by_group(messages);
        let failed = join_all(groups.iter().map(|group| self.settle_group(group, deadline))).await;
        let failed: Vec<&str> = failed.into_iter().flatten().collect();
        let ids = messages.iter().map(|message| message.id.as_str());
        ids.filter(|id| failed.contains(id)).map(str::to_owned).collect()
    }

    /// One user's messages: when one fails, those behind it must not overtake it.
    async fn settle_group<'m>(&self, group: &[&'m ReceivedMessage], deadline: Deadline) -> Vec<&'m str> {
        for (index, message) in group.iter().enumerate() {
            let now = self.clock.now();
            let needed = RECORD_BUDGET.saturating_add(self.pace.backlog(now));
            let outcome =
                if deadline.remaining(now) < needed { None } else { Some(self.settle(message).await) };
            let behind = group.get(index..).unwrap_or_default();
            match outcome {
                Some(Ok(())) => {}
                Some(Err((opened, unsettled))) => {
                    self.give_back(behind, opened.as_ref(), &unsettled).await;
                    return behind.iter().map(|message| message.id.as_str()).collect();
                }
                None => {
                    self.leave(behind, "out_of_time").await;
                    return behind.iter().map(|message| message.id.as_str()).collect();
                }
            }
        }
        Vec::new()
    }

    /// The first one failed; all come back after the same time. They have to: a message of theirs that stayed invisible
    /// for longer would keep the whole group from being received.
    async fn give_back(&self, messages: &[&ReceivedMessage], opened: Option<&Opened>, why: &Unsettled) {
        let Some((failed, behind)) = messages.split_first() else { return };
        let delay = backoff(&failed.group_id, failed.attempt);
        let (code, detail) = match why {
            Unsettled::Misconfigured(detail) => (AuditCode::Misconfigured, detail.as_str()),
            Unsettled::Retry(detail) => (AuditCode::Retried, detail.as_str()),
            // It was to be quarantined and that failed: it comes back like any other.
            Unsettled::Quarantine(reason, _) => (AuditCode::Retried, reason.code()),
        };
        let mut record = self.record_of(failed, code, opened).because(detail);
        record.retry_in_seconds = Some(delay.as_secs());
        self.note(&record);
        self.postpone(failed, delay).await;
        for message in behind {
            self.note(&self.record_of(message, AuditCode::Left, None).because("behind_a_failed_message"));
            self.postpone(message, delay).await;
        }
    }

    /// Not begun: they come back as soon as somebody has time for them.
    async fn leave(&self, messages: &[&ReceivedMessage], reason: &str) {
        for message in messages {
            self.note(&self.record_of(message, AuditCode::Left, None).because(reason));
            self.postpone(message, Duration::ZERO).await;
        }
    }

    /// If this fails the message comes back all the same, after the queue's own visibility timeout.
    async fn postpone(&self, message: &ReceivedMessage, delay: Duration) {
        if let Err(error) = self.queue.delay(&message.handle, delay).await {
            let fault = error.fault();
            tracing::warn!(
                call = fault.call,
                code = fault.code,
                "a message comes back at the queue's own time"
            );
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
