//! The metrics: each audit record's, in the form that CloudWatch Logs reads.

use std::collections::BTreeSet;

use idv_callback::assurance::QuarantineReason;
use idv_callback::audit::Metric;
use idv_callback::audit::{AuditCode, AuditRecord};
use idv_callback::metrics::{embedded, of};
use idv_callback::timestamp::Timestamp;
use serde_json::{Value, json};

use crate::support::aws_endpoint::AwsEndpoint;
use crate::support::function::{Function, aws, settings, signed_event};
use crate::support::world::approval;

fn now() -> Timestamp {
    Timestamp::parse("2026-11-22T10:00:00Z").unwrap()
}

/// One record of each kind, and of each kind of reason that makes a difference.
fn records() -> Vec<AuditRecord> {
    let mut records: Vec<_> =
        AuditCode::ALL.iter().map(|code| AuditRecord::new(*code, now()).because("some_reason")).collect();
    let reasons = QuarantineReason::ALL.iter();
    records
        .extend(reasons.map(|reason| AuditRecord::new(AuditCode::Quarantined, now()).quarantined(*reason)));
    records
        .push(AuditRecord::new(AuditCode::Retried, now()).because("AdminGetUser: TooManyRequestsException"));
    records.push(AuditRecord::new(AuditCode::SignUpRefused, now()).because("provider"));
    for code in [AuditCode::Deferred, AuditCode::StepUpRefused, AuditCode::SessionWithheld] {
        records.push(AuditRecord::new(code, now()).because("key_store"));
        // What whoever asks, or the provider, brings about is no fault of ours.
        for reason in ["provider", "provider_refused", "out_of_time", "key_store_for_unknown_key"] {
            let record = AuditRecord::new(code, now()).because(reason);
            let faults = [Metric::CallbackFaults, Metric::TriggerFaults, Metric::SessionFaults];
            assert!(of(&record).iter().all(|(metric, _)| !faults.contains(metric)), "{reason}");
            records.push(record);
        }
    }
    let throttled = AuditRecord::new(AuditCode::SessionWithheld, now()).because("directory");
    let throttled = throttled.detail("AdminGetUser: TooManyRequestsException");
    assert!(of(&throttled).iter().all(|(metric, _)| *metric != Metric::SessionFaults));
    let mut without = AuditRecord::new(AuditCode::Accepted, now());
    without.left_out = vec!["aal".to_owned()];
    records.push(without);
    let mut waiting = AuditRecord::new(AuditCode::Retried, now()).because("user_not_found");
    waiting.seconds_since_received = Some(60.0);
    records.push(waiting);
    for record in records.clone() {
        if record.event == "applied" {
            let mut confirmed = record;
            confirmed.confirmed = Some(true);
            confirmed.seconds_since_received = Some(1.25);
            records.push(confirmed);
        }
    }
    records
}

/// Amazon CloudWatch user guide, "Specification: Embedded metric format": the rules of its JSON schema that a line of
/// ours could break, and that each metric and dimension named is a member of the line.
fn check_form(line: &Value) {
    let directive = &line["_aws"];
    assert_eq!(directive["Timestamp"], now().unix_millis());
    let sets = directive["CloudWatchMetrics"].as_array().unwrap();
    assert!(!sets.is_empty());
    for set in sets {
        assert_eq!(set["Namespace"], "ns");
        let dimensions = set["Dimensions"].as_array().unwrap();
        assert!(!dimensions.is_empty(), "the schema wants one set at least, if an empty one");
        for name in dimensions.iter().flat_map(|set| set.as_array().unwrap()) {
            let value = line[name.as_str().unwrap()].as_str().unwrap();
            assert!((1..=1024).contains(&value.len()) && value.is_ascii());
        }
        let metrics = set["Metrics"].as_array().unwrap();
        assert!((1..=100).contains(&metrics.len()));
        for metric in metrics {
            assert!(line[metric["Name"].as_str().unwrap()].is_number(), "{metric} {line}");
            assert!(["Count", "Seconds"].contains(&metric["Unit"].as_str().unwrap()));
        }
    }
}

#[test]
fn every_record_but_the_start_is_counted_and_every_metric_is_used() {
    let mut used = BTreeSet::new();
    for record in records() {
        let metrics = of(&record);
        used.extend(metrics.iter().map(|(metric, _)| metric.name()));
        if let Some(line) = embedded(&record, "ns") {
            check_form(&line);
            let numbers = line.as_object().unwrap().values().filter(|value| value.is_number()).count();
            assert_eq!(numbers, metrics.len());
        } else {
            let code = record.code();
            assert!(code.starts_with("IDV0") || code.starts_with("IDV3"), "{}", record.event);
        }
    }
    let known: BTreeSet<_> = Metric::ALL.iter().map(|metric| metric.name()).collect();
    assert_eq!(used, known);
}

#[test]
fn what_looks_like_an_attack_is_told_from_what_is_just_stuck() {
    let suspicious =
        |record: &AuditRecord| of(record).iter().any(|(metric, _)| *metric == Metric::Suspicious);
    let found: Vec<_> =
        records().iter().filter(|r| suspicious(r)).map(|r| r.reason.clone().unwrap()).collect();
    let expected = [
        "bad_seal",
        "bad_correction",
        "pool_not_allowed",
        "binding_mismatch",
        "event_conflict",
        "subject_conflict",
    ];
    assert_eq!(found, expected);
}

/// What we send ourselves must not pass for the vendor's sign of life, nor for the use of its key.
#[test]
fn a_synthetic_callback_is_no_sign_of_the_vendor() {
    let mut record = AuditRecord::new(AuditCode::Accepted, now());
    record.synthetic = true;
    let names: Vec<_> = of(&record).iter().map(|(metric, _)| metric.name()).collect();
    assert_eq!(names, ["Received", "Enqueued"]);
}

#[tokio::test]
async fn a_function_prints_the_metrics_behind_the_record() {
    let endpoint = AwsEndpoint::answering(aws(&[])).await;
    let more = [("IDV_METRICS_NAMESPACE", "idv-callback/test")];
    let function = Function::start(env!("CARGO_BIN_EXE_callback"), &settings(&endpoint.url, &more)).await;
    let body = approval("ada", "evt_1", 0).to_string();
    function.invoke(signed_event(body.as_bytes())).await.unwrap();
    let forged = crate::support::world::with(signed_event(body.as_bytes()), "body", json!("e30="));
    function.invoke(forged).await.unwrap();
    let lines: Vec<Value> =
        function.output().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let metrics: Vec<_> = lines.iter().filter(|line| line["_aws"].is_object()).collect();
    assert_eq!(metrics.len(), 2, "{lines:#?}");
    assert_eq!(metrics[0]["_aws"]["CloudWatchMetrics"][0]["Namespace"], "idv-callback/test");
    assert_eq!((&metrics[0]["Accepted"], &metrics[0]["KeyId"]), (&json!(1.0), &json!("wh-1")));
    assert_eq!((&metrics[1]["Refused"], &metrics[1]["Cause"]), (&json!(1.0), &json!("no_key_matches")));
}
