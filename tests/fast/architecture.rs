//! Imports run one way, in both packages; functions and files stay small; the functions are built of what they need. Read
//! from the source.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A package, and the tier of each of its modules: a module imports from its own tier (where that is allowed) and those
/// before it.
struct Package {
    /// Its sources, and what its modules call it.
    source: &'static str,
    name: &'static str,
    tiers: &'static [(&'static str, &'static [&'static str], bool)],
    /// Modules that every one of their own tier may import.
    shared: &'static [&'static str],
}

const SERVICE: Package = Package {
    source: "src",
    name: "idv_callback",
    tiers: &[
        (
            "pure",
            &[
                "timestamp",
                "hex",
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
        ("use cases", &["key_cache", "intake", "settlement", "triggers"], true),
        ("adapters", &["lambda", "aws", "http_client", "onekosmos", "config", "clock", "telemetry"], false),
        ("programs", &["pretraffic"], false),
    ],
    shared: &["config", "clock", "telemetry", "http_client"],
};

const IDVCTL: Package = Package {
    source: "idvctl/src",
    name: "idvctl",
    tiers: &[
        ("ports", &["ports"], false),
        ("use cases", &["trail", "redrive", "preflight"], false),
        ("adapters", &["aws", "embedded"], false),
        ("what programs share", &["output", "callback_body", "poster", "new_key_ring"], true),
        ("programs", &["demo", "cli"], true),
    ],
    shared: &[],
};

/// The last tier of the service that a tier of `idvctl` may import.
const OF_THE_SERVICE: [(&str, &str); 5] = [
    ("ports", "ports"),
    ("use cases", "use cases"),
    ("adapters", "adapters"),
    ("what programs share", "adapters"),
    ("programs", "adapters"),
];

/// Crates that only some modules may know.
const CRATES: [(&str, &[&str]); 11] = [
    ("aws_sdk_", &["aws"]),
    ("aws_smithy_", &["aws", "cli"]),
    ("aws_config", &["aws"]),
    ("aws_lambda_events", &["lambda"]),
    // Its warnings are let through by name.
    ("lambda_runtime", &["lambda", "telemetry"]),
    ("clap", &["cli"]),
    ("hyper", &["http_client", "onekosmos", "embedded", "poster", "demo", "cli"]),
    ("hyper_util", &["http_client", "embedded"]),
    ("hyper_rustls", &["http_client"]),
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
            "clock",
            "telemetry",
            "pretraffic",
            "embedded",
            "poster",
            "demo",
            "cli",
        ],
    ),
    ("hmac", &["secret"]),
];

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

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

/// Each file of a package's library below its top-level module, without its unit tests and comments.
fn library(package: &Package) -> BTreeMap<PathBuf, (String, String)> {
    let root = repository().join(package.source);
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
        (!matches!(module.as_str(), "bin" | "lib" | "main" | "every")).then_some((relative, (module, code)))
    });
    files.collect()
}

impl Package {
    fn tier(&self, module: &str) -> usize {
        let found = self.tiers.iter().position(|(_, modules, _)| modules.contains(&module));
        found.unwrap_or_else(|| {
            panic!("{module} has no tier: say in {}/lib.rs and here which it is", self.source)
        })
    }

    fn may_import(&self, from: &str, to: &str) -> bool {
        let (from_tier, to_tier) = (self.tier(from), self.tier(to));
        from == to
            || to_tier < from_tier
            || (to_tier == from_tier && (self.tiers[from_tier].2 || self.shared.contains(&to)))
    }
}

/// The modules of a crate that the code names: `crate::x`, also within braces.
fn named(code: &str, root: &str) -> BTreeSet<String> {
    let prefix = format!("{root}::");
    let pieces = code.split(&prefix).skip(1);
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    pieces
        .flat_map(|piece| match piece.strip_prefix('{') {
            None => vec![word(piece)],
            Some(list) => list.split('}').next().unwrap().split(',').map(|one| word(one.trim())).collect(),
        })
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn imports_run_one_way() {
    for package in [SERVICE, IDVCTL] {
        for (file, (module, code)) in library(&package) {
            let file = Path::new(package.source).join(file);
            for import in named(&code, "crate") {
                assert!(
                    package.may_import(&module, &import),
                    "{}: {module} may not import {import}",
                    file.display()
                );
            }
            for (name, allowed) in CRATES {
                let uses = code.match_indices(name).any(|(at, _)| {
                    let word_before =
                        code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
                    let path_behind = code[at + name.len()..].starts_with("::") || name.ends_with('_');
                    path_behind && !word_before
                });
                let allowed = allowed.contains(&module.as_str());
                assert!(!uses || allowed, "{}: {module} may not use {name}", file.display());
            }
        }
    }
}

#[test]
fn no_two_modules_import_each_other() {
    for package in [SERVICE, IDVCTL] {
        let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (_, (module, code)) in library(&package) {
            let named = named(&code, "crate").into_iter().filter(|name| *name != module);
            imports.entry(module.clone()).or_default().extend(named);
        }
        for (one, of_one) in &imports {
            for other in of_one {
                let back = imports.get(other).is_some_and(|of_other| of_other.contains(one));
                assert!(!back, "{}: {one} and {other}", package.name);
            }
        }
    }
}

#[test]
fn the_service_does_not_know_its_tool_and_the_tool_no_more_of_it_than_its_tier() {
    for (file, (_, code)) in library(&SERVICE) {
        assert!(!code.contains("idvctl::"), "{}", file.display());
    }
    for (file, (module, code)) in library(&IDVCTL) {
        let tier = IDVCTL.tiers[IDVCTL.tier(&module)].0;
        let (_, last) = OF_THE_SERVICE.iter().find(|(of, _)| *of == tier).unwrap();
        let last = SERVICE.tiers.iter().position(|(name, _, _)| name == last).unwrap();
        for import in named(&code, "idv_callback") {
            // Settings and the clock are read by no rule.
            assert!(SERVICE.tier(&import) <= last, "{}: {module} may not import {import}", file.display());
        }
    }
}

#[test]
fn the_tables_in_both_lib_rs_name_every_module() {
    for package in [SERVICE, IDVCTL] {
        let text = std::fs::read_to_string(repository().join(package.source).join("lib.rs")).unwrap();
        for (tier, modules, _) in package.tiers {
            let row = text.lines().find(|line| line.starts_with(&format!("//! | {tier}")));
            let row = row.unwrap_or_else(|| panic!("{}: no row {tier}", package.name));
            for module in *modules {
                assert!(text.contains(&format!("mod {module};")), "{}: {module}", package.name);
                assert!(row.contains(&format!("`{module}`")), "{}: {module} is not in its row", package.name);
            }
        }
    }
}

#[test]
fn files_hold_one_idea_and_pure_modules_neither_wait_nor_tell_the_time() {
    let mut lengths = Vec::new();
    for package in [SERVICE, IDVCTL] {
        for (file, (module, code)) in library(&package) {
            let lines = code.lines().count();
            lengths.push(lines);
            assert!(lines <= 400, "{} has {lines} lines", file.display());
            if package.tiers[package.tier(&module)].0 == "pure" {
                for word in [
                    "async fn",
                    ".await",
                    "std::fs",
                    "std::env",
                    "SystemTime",
                    "Instant",
                    "std::net",
                    "println!",
                ] {
                    assert!(!code.contains(word), "{}: {word} in a pure module", file.display());
                }
            }
        }
    }
    lengths.sort_unstable();
    assert!(lengths[lengths.len() / 2] < 150);
}

/// The crates that a package is built of, by `cargo tree`.
fn built_of(arguments: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .args(arguments)
        .current_dir(repository())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// What only the tool needs, none of which may be in a function. `pretraffic` calls Lambda and `CodeDeploy`; nothing else
/// there calls more than SQS, Cognito and Secrets Manager.
#[test]
fn the_functions_are_built_of_nothing_that_they_do_not_need() {
    let functions = built_of(&["--package", "idv-callback"]);
    for name in [
        "age",
        "aws-sdk-cloudwatchlogs",
        "aws-sdk-kms",
        "aws-sdk-s3",
        "clap",
        "clap_complete",
        "comfy-table",
        "flate2",
        "indicatif",
        "md-5",
        "tar",
        "idvctl",
    ] {
        assert!(!functions.contains(name), "{name} is in the functions");
    }
    // And cargo-lambda, which is told a binary alone, builds them as this package.
    let manifest = std::fs::read_to_string(repository().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("[workspace.metadata.lambda.build]\npackages = [\"idv-callback\"]"));
    let sdk: Vec<_> = functions.iter().filter(|name| name.starts_with("aws-sdk-")).collect();
    assert_eq!(
        sdk,
        [
            "aws-sdk-codedeploy",
            "aws-sdk-cognitoidentityprovider",
            "aws-sdk-lambda",
            "aws-sdk-secretsmanager",
            "aws-sdk-sqs",
        ]
    );
}

/// The first command is quick because of this.
#[test]
fn the_demo_is_built_without_the_sdk_and_the_command_line() {
    let demo = built_of(&["--package", "idvctl", "--no-default-features"]);
    let heavy =
        |name: &&String| name.starts_with("aws-") || ["clap", "age", "rustls"].contains(&name.as_str());
    assert_eq!(demo.iter().filter(heavy).collect::<Vec<_>>(), Vec::<&String>::new());
}

/// Whatever was built first, nothing is built again: each crate of the demo has the same features in the whole workspace.
#[test]
fn nothing_is_built_twice() {
    let features = |arguments: &[&str]| -> BTreeSet<String> {
        let output = Command::new(env!("CARGO"))
            .args(["tree", "--locked", "--offline", "--prefix", "none", "--format", "{p} {f}"])
            .args(arguments)
            .current_dir(repository())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let line = |line: &str| line.trim_end_matches(" (*)").replace(" (proc-macro)", "");
        text.lines().map(line).filter(|line| !line.contains("(/")).collect()
    };
    let demo = features(&["--package", "idvctl", "--no-default-features", "--edges", "normal,build"]);
    let tests = features(&["--workspace", "--edges", "normal,build,dev"]);
    let again: Vec<_> = demo.difference(&tests).collect();
    assert!(again.is_empty(), "`cargo test` builds these again, with other features: {again:#?}");
}
