//! Imports run one way; functions and files stay small. Read from the source.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The tier of each module: a module imports from its own tier (where that is allowed) and those before it.
const TIERS: [(&str, &[&str], bool); 5] = [
    (
        "pure",
        &[
            "timestamp",
            "secret",
            "strict_json",
            "verification",
            "vocabulary",
            "key_ring",
            "delivery",
            "proofing",
            "binding",
            "seal",
            "envelope",
            "assurance",
            "correction",
            "audit",
            "metrics",
        ],
        true,
    ),
    ("ports", &["ports"], false),
    ("use cases", &["key_cache", "intake", "settlement", "triggers", "redrive", "preflight", "trail"], true),
    ("adapters", &["lambda", "aws", "onekosmos", "local", "config", "clock", "telemetry"], false),
    ("programs", &["cli", "pretraffic"], false),
];

/// Settings and clock are for every adapter.
const SHARED_BY_ADAPTERS: [&str; 3] = ["config", "clock", "telemetry"];

/// Crates that only one module may know, or that only adapters may.
const CRATES: [(&str, &[&str]); 9] = [
    ("aws_sdk_", &["aws"]),
    ("aws_smithy_", &["aws"]),
    ("aws_config", &["aws"]),
    ("aws_lambda_events", &["lambda", "cli"]),
    // Its warnings are let through by name.
    ("lambda_runtime", &["lambda", "telemetry"]),
    ("clap", &["cli"]),
    ("hyper", &["onekosmos", "local", "cli"]),
    (
        "tokio",
        &[
            "key_cache",
            "intake",
            "settlement",
            "triggers",
            "lambda",
            "onekosmos",
            "aws",
            "local",
            "clock",
            "telemetry",
            "cli",
            "pretraffic",
        ],
    ),
    ("hmac", &["secret"]),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Each file of the library below its top-level module, without its unit tests and comments.
fn library() -> BTreeMap<PathBuf, (String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = sources(&root).into_iter().filter_map(|path| {
        let relative = path.strip_prefix(&root).unwrap().to_path_buf();
        let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
        let module = first.trim_end_matches(".rs").to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let code: String = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .map(|l| format!("{l}\n"))
            .collect();
        (!matches!(module.as_str(), "bin" | "lib" | "main")).then_some((relative, (module, code)))
    });
    files.collect()
}

fn tier(module: &str) -> usize {
    let found = TIERS.iter().position(|(_, modules, _)| modules.contains(&module));
    found.unwrap_or_else(|| panic!("{module} has no tier: say in lib.rs and here which it is"))
}

fn may_import(from: &str, to: &str) -> bool {
    let (from_tier, to_tier) = (tier(from), tier(to));
    from == to
        || to_tier < from_tier
        || (to_tier == from_tier && (TIERS[from_tier].2 || SHARED_BY_ADAPTERS.contains(&to)))
        // A port speaks of audit records and key rings; those are pure.
        || (from == "audit" && to_tier == 0)
}

/// The modules of this crate that the code names: `crate::x`, also within braces.
fn named(code: &str) -> Vec<String> {
    let pieces = code.split("crate::").skip(1);
    pieces.map(|piece| piece.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()).collect()
}

#[test]
fn imports_run_one_way() {
    for (file, (module, code)) in library() {
        for import in named(&code) {
            assert!(may_import(&module, &import), "{}: {module} may not import {import}", file.display());
        }
        for (name, allowed) in CRATES {
            let uses = code.contains(&format!("{name}::")) || (name.ends_with('_') && code.contains(name));
            let word_before = code
                .split(name)
                .next()
                .is_some_and(|before| before.ends_with(|c: char| c.is_alphanumeric() || c == '_'));
            assert!(
                !uses || word_before || allowed.contains(&module.as_str()),
                "{}: {module} may not use {name}",
                file.display()
            );
        }
    }
}

#[test]
fn the_table_in_lib_rs_names_every_module() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("src/lib.rs")).unwrap();
    for (_, modules, _) in TIERS {
        for module in modules {
            assert!(text.contains(&format!("pub mod {module};")), "{module}");
            assert!(text.contains(&format!("[`{module}`]")), "{module} is not in the table of lib.rs");
        }
    }
}

#[test]
fn files_hold_one_idea_and_pure_modules_neither_wait_nor_tell_the_time() {
    let mut lengths = Vec::new();
    for (file, (module, code)) in library() {
        let lines = code.lines().count();
        lengths.push(lines);
        assert!(lines <= 400, "{} has {lines} lines", file.display());
        if tier(&module) == 0 {
            for word in
                ["async fn", ".await", "std::fs", "std::env", "SystemTime", "Instant", "std::net", "println!"]
            {
                assert!(!code.contains(word), "{}: {word} in a pure module", file.display());
            }
        }
    }
    lengths.sort_unstable();
    assert!(lengths[lengths.len() / 2] < 150);
}
