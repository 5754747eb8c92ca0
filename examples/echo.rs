//! The least that a Lambda function in Rust can be: what the benchmark holds the real functions against.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let answer = |event: LambdaEvent<Value>| async move {
        drop(event);
        Ok::<_, Error>(json!({ "statusCode": 202, "body": "{}" }))
    };
    lambda_runtime::run(service_fn(answer)).await
}
