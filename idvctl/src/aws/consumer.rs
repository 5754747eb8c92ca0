//! The function that consumes the callback queue: how it is set up, and what it records.

use std::collections::BTreeMap;

use idv_callback::audit::AuditCode;
use idv_callback::aws::AwsConnection;
use idv_callback::timestamp::Timestamp;

use super::archive::LogRecords;
use super::inspection::Inspection;
use crate::ports::{ConsumerLog, Recorded, RecordedOutcome};
use crate::trail::{Entry, entries_in};

/// The consumer as it is deployed.
#[derive(Clone)]
pub struct DeployedConsumer {
    /// The function that the event source mapping calls, with its alias.
    pub function_arn: String,
    /// Whether the mapping runs.
    pub enabled: bool,
    /// The function's environment variables.
    pub variables: BTreeMap<String, String>,
    /// The log group that it writes to.
    pub log_group: String,
}

impl DeployedConsumer {
    /// The function that the queue's event source mapping calls.
    ///
    /// # Errors
    /// Why it is not known: the call and its error code, or that the queue has no mapping or several.
    pub async fn of_queue(connection: &AwsConnection, queue_url: &str) -> Result<Self, String> {
        let inspection = Inspection::new(connection);
        let queue = inspection.queue(queue_url).await?;
        let mappings = inspection.mappings(&queue.arn).await?;
        let [mapping] = mappings.as_slice() else {
            return Err(format!("the queue has {} event source mappings", mappings.len()));
        };
        let function = inspection.function(&mapping.function_arn).await?;
        Ok(Self {
            function_arn: mapping.function_arn.clone(),
            enabled: mapping.enabled,
            log_group: function.log_group.clone(),
            variables: function.variables,
        })
    }
}

/// What the consumer wrote into its log group. A log that cannot be asked says why.
pub struct ConsumerRecords<'a> {
    /// The connection.
    pub connection: &'a AwsConnection,
    /// The log group, or why it is not known.
    pub log_group: Result<String, String>,
}

impl ConsumerLog for ConsumerRecords<'_> {
    async fn outcomes(&self, since: Timestamp) -> Result<Vec<Recorded>, String> {
        let group = self.log_group.clone()?;
        let mut pages = LogRecords::new(self.connection, &group, Some(since.unix_millis()), None);
        let mut found = Vec::new();
        while let Some(page) = pages.next().await.map_err(|fault| fault.to_string())? {
            for event in page {
                found.extend(
                    entries_in(event.message.as_bytes())
                        .into_iter()
                        .filter_map(Entry::read)
                        .filter_map(recorded),
                );
            }
        }
        Ok(found)
    }
}

fn recorded(entry: Entry) -> Option<Recorded> {
    let outcome = match entry.code {
        AuditCode::Settled(_) | AuditCode::Probed => {
            RecordedOutcome::Settled(entry.code.word(), entry.confirmed == Some(true))
        }
        AuditCode::Quarantined => {
            let reason = entry.reason.as_deref().unwrap_or("-");
            let detail = entry.detail.as_deref().unwrap_or("-");
            RecordedOutcome::Quarantined(format!("{reason} {detail} {}", entry.version))
        }
        _ => return None,
    };
    let at = entry.when()?;
    Some(Recorded { message_id: entry.message_id?, receipt_id: entry.receipt_id?, at, outcome })
}
