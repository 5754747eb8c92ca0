//! Audit records are held against their published JSON Schema.

use std::process::Command;

use crate::support::setup;

/// Holds these lines to the schema that `audit schema` prints.
pub(crate) fn have_the_published_form(lines: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let (schema, log) = (folder.path().join("schema.json"), folder.path().join("log.jsonl"));
    std::fs::write(&schema, idvctl::trail::RECORD_SCHEMA).unwrap();
    std::fs::write(&log, lines.iter().map(|l| format!("{l}\n")).collect::<String>()).unwrap();
    let script = "import json,sys,jsonschema\n\
                  v=jsonschema.Draft202012Validator(json.load(open(sys.argv[1])))\n\
                  v.check_schema(v.schema)\n\
                  bad=[(e.json_path,e.message,l[:99]) for l in open(sys.argv[2]) for e in v.iter_errors(json.loads(l))]\n\
                  print(bad); sys.exit(bool(bad))";
    let checked = Command::new(setup::python().join("python"))
        .args(["-c", script])
        .args([&schema, &log])
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
}
