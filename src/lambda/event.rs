//! What a function is invoked with, before anything is known of it.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::strict_json::read_leniently;

/// The event of an invocation, as its text. Somebody on the internet writes parts of it (a header, a query parameter,
/// `ClientMetadata`), and whatever they write, the invocation is answered: only what is no JSON at all fails before our code
/// runs, and Lambda hands over nothing else. No `Debug`: it is personal.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct InvocationEvent(Box<RawValue>);

impl InvocationEvent {
    /// The event: [`read_leniently`].
    pub fn read(&self) -> Value {
        read_leniently(&self.0)
    }
}
