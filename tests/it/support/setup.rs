//! What the tests need beside Rust: programs from the package registries, installed once, by pinned version, under
//! `target/`. Where that fails the test fails and says what is missing; nothing is skipped.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

const PYTHON_PACKAGES: [&str; 6] = [
    "aws-sam-translator==1.115.0",
    "cfn-lint==1.58.0",
    "jsonschema==4.26.0",
    "ministack==1.5.33",
    "standardwebhooks==1.1.0",
    "stripe==16.1.0",
];
const BROWSER_PACKAGES: [&str; 2] = ["axe-core@4.14.1", "puppeteer-core@24.43.1"];
const NODE_PACKAGES: [&str; 2] = ["oidc-provider@8.8.1", "standardwebhooks@1.0.0"];

/// The folder of the whole repository: both packages' tests are run in their own.
pub(crate) fn repository() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let is_whole = package.join("infra").exists();
    if is_whole { package.to_owned() } else { package.parent().unwrap().to_owned() }
}

fn tools() -> PathBuf {
    let tools = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tools");
    std::fs::create_dir_all(&tools).unwrap();
    tools
}

/// Makes `folder` once, whatever number of processes asks at a time; a file beside it says that it is complete.
fn once(folder: &str, packages: &[&str], make: impl FnOnce(&Path)) -> PathBuf {
    let lock = File::create(tools().join(format!("{folder}.lock"))).unwrap();
    lock.lock().unwrap();
    let (path, done) = (tools().join(folder), tools().join(format!("{folder}.packages")));
    let wanted = packages.join("\n");
    if std::fs::read_to_string(&done).ok().as_deref() != Some(&wanted) {
        make(&path);
        std::fs::write(&done, wanted).unwrap();
    }
    path
}

fn run(what: &str, command: &mut Command) {
    let output =
        command.output().unwrap_or_else(|error| panic!("{what}: {command:?} could not be run: {error}"));
    assert!(
        output.status.success(),
        "{what}: {command:?} failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The `bin` folder of a virtual environment with the Python packages.
pub(crate) fn python() -> PathBuf {
    let folder = once("python", &PYTHON_PACKAGES, |path| {
        run(
            "the tests need Python 3.10 or newer with venv, and the Python package index at the first run",
            Command::new("python3").args(["-m", "venv", "--clear"]).arg(path),
        );
        run(
            "the tests need packages of the Python package index at the first run",
            Command::new(path.join("bin/pip")).args(["install", "--quiet"]).args(PYTHON_PACKAGES),
        );
    });
    folder.join("bin")
}

/// A folder with `node_modules`.
pub(crate) fn node() -> PathBuf {
    npm("node", &NODE_PACKAGES)
}

/// A folder with `node_modules`: what drives a browser, and what looks at a page's accessibility.
pub(crate) fn browser() -> PathBuf {
    npm("browser", &BROWSER_PACKAGES)
}

fn npm(folder: &str, packages: &[&str]) -> PathBuf {
    once(folder, packages, |path| {
        std::fs::create_dir_all(path).unwrap();
        run(
            "the tests need Node 18 or newer with npm, and the npm registry at the first run",
            Command::new("npm")
                .args(["install", "--no-audit", "--no-fund", "--prefix"])
                .arg(path)
                .args(packages),
        );
    })
}

/// Chromium, which `tests/install` installs: no test installs packages of the operating system.
pub(crate) fn chromium() -> PathBuf {
    let installed = PathBuf::from("/usr/bin/chromium");
    assert!(installed.exists(), "{} is not there: run tests/install", installed.display());
    installed
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
