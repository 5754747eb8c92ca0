//! Where audit records lie in AWS: the archive in S3, and the functions' log groups.

use aws_smithy_types::error::display::DisplayErrorContext;
use idv_callback::aws::{AwsConnection, Failure};
use idv_callback::ports::Fault;

use super::clients;

/// What the log groups' records begin with (CloudWatch Logs user guide, "Filter pattern syntax").
const RECORDS: &str = r#"{ $.schema = "idv-audit/*" }"#;

/// The names of a bucket's objects below a prefix, in their order.
///
/// # Errors
/// [`Fault`] when S3 cannot be asked.
pub async fn objects(connection: &AwsConnection, bucket: &str, prefix: &str) -> Result<Vec<String>, Fault> {
    const CALL: &str = "ListObjectsV2";
    let (s3_client, mut names, mut more) = (clients::s3(connection), Vec::new(), None);
    loop {
        let call = s3_client.list_objects_v2().bucket(bucket).prefix(prefix).set_continuation_token(more);
        let page = call.send().await.map_err(|error| Failure::of(CALL, &error).fault)?;
        names.extend(page.contents().iter().filter_map(|object| object.key().map(str::to_owned)));
        more = page.next_continuation_token().map(str::to_owned);
        if more.is_none() {
            return Ok(names);
        }
    }
}

/// The content of an object.
///
/// # Errors
/// [`Fault`] when it cannot be had.
pub async fn object(connection: &AwsConnection, bucket: &str, name: &str) -> Result<Vec<u8>, Fault> {
    const CALL: &str = "GetObject";
    let s3_client = clients::s3(connection);
    let answer = s3_client.get_object().bucket(bucket).key(name).send().await;
    let body = answer.map_err(|error| Failure::of(CALL, &error).fault)?.body.collect().await;
    let broken = |error| Fault::new(CALL, &DisplayErrorContext(error).to_string());
    let body = body.map_err(broken)?;
    Ok(body.to_vec())
}

/// An event of a log group.
pub struct LogEvent {
    /// CloudWatch Logs' id.
    pub id: String,
    /// The log stream.
    pub stream: String,
    /// What was logged.
    pub message: String,
}

/// The audit records of a log group, page by page.
pub struct LogRecords<'a> {
    connection: &'a AwsConnection,
    group: String,
    since: Option<i64>,
    until: Option<i64>,
    more: More,
}

/// Which page comes next.
enum More {
    First,
    After(String),
    Nothing,
}

impl<'a> LogRecords<'a> {
    /// Those of this group, logged within these times in milliseconds of the Unix epoch.
    pub fn new(connection: &'a AwsConnection, group: &str, since: Option<i64>, until: Option<i64>) -> Self {
        Self { connection, group: group.to_owned(), since, until, more: More::First }
    }

    /// The next page; none when there are no more.
    ///
    /// # Errors
    /// [`Fault`] when CloudWatch Logs cannot be asked.
    pub async fn next(&mut self) -> Result<Option<Vec<LogEvent>>, Fault> {
        const CALL: &str = "FilterLogEvents";
        let token = match std::mem::replace(&mut self.more, More::Nothing) {
            More::First => None,
            More::After(token) => Some(token),
            More::Nothing => return Ok(None),
        };
        let logs_client = clients::logs(self.connection);
        let call = logs_client.filter_log_events().log_group_name(&self.group).filter_pattern(RECORDS);
        let call = call.set_start_time(self.since).set_end_time(self.until).set_next_token(token);
        let page = call.send().await.map_err(|error| Failure::of(CALL, &error).fault)?;
        self.more = page.next_token().map_or(More::Nothing, |token| More::After(token.to_owned()));
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let events = page.events().iter().map(|event| LogEvent {
            id: text(event.event_id()),
            stream: text(event.log_stream_name()),
            message: text(event.message()),
        });
        Ok(Some(events.collect()))
    }
}
