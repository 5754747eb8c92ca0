//! What the functions are held against, built and installed when first needed.

use std::path::Path;
use std::process::Command;

const PYTHON_PACKAGES: [&str; 2] = ["boto3==1.43.106", "awslambdaric==4.2.2"];

/// A function of `examples/`, built as the real ones are.
pub(crate) fn example(name: &str) -> String {
    built("--example", name, &format!("examples/{name}"))
}

/// A function of this package, built as it is deployed: by itself, so that no other package adds features to its crates.
pub(crate) fn function(name: &str) -> String {
    built("--bin", name, name)
}

fn built(kind: &str, name: &str, path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = root.join("target/functions");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--package", "idv-callback", kind, name, "--target-dir"])
        .arg(&target)
        .current_dir(root)
        .status();
    assert!(built.unwrap().success(), "{name} does not build");
    target.join("release").join(path).to_str().unwrap().to_owned()
}

/// The command of the Python function.
pub(crate) fn python() -> Vec<String> {
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-python");
    let python = environment.join("bin/python");
    if !environment.join("complete").exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment));
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PYTHON_PACKAGES));
        std::fs::write(environment.join("complete"), "").unwrap();
    }
    vec![python.to_str().unwrap().to_owned(), "-m".into(), "awslambdaric".into(), "handler.handler".into()]
}

fn run(command: &mut Command) {
    let status = command.status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "{command:?} failed; the benchmark needs Python 3 with venv, and the Python package index at the first run"
    );
}
