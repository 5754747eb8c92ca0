//! The runbooks: every page has its sections, every command in them exists, and those that can run here are run, their
//! output compared.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::support::emulator::script;
use crate::support::setup;

/// What the shell prints behind each command.
const END: &str = "=== end of output ===";

const SECTIONS: [&str; 6] = ["Symptom", "Meaning", "Look", "Act", "Confirm", "If not"];

fn root() -> PathBuf {
    crate::support::setup::repository()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Each page but the index, by name.
fn pages() -> BTreeMap<String, String> {
    let files = std::fs::read_dir(root().join("runbooks")).unwrap();
    let names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        // The index, and a table that is made by `idvctl audit codes`.
        .filter(|name| !["README.md", "audit-codes.md"].contains(&name.as_str()))
        .map(|name| (name.clone(), read(&format!("runbooks/{name}"))))
        .collect()
}

/// The code blocks of a language, without the indentation of a list that they stand in.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line.trim_start() == format!("```{language}") {
            let indentation = line.len() - line.trim_start().len();
            let inside = lines.by_ref().take_while(|line| line.trim_start() != "```");
            let block: Vec<_> = inside.map(|line| line.get(indentation..).unwrap_or_default()).collect();
            blocks.push(block.join("\n"));
        }
    }
    blocks
}

#[test]
fn every_page_has_its_sections_in_order_and_its_links_lead_somewhere() {
    assert!(pages().len() >= 12);
    for (name, page) in pages() {
        let headings: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        let needed: Vec<_> = headings.iter().copied().filter(|heading| *heading != "Rehearse").collect();
        assert_eq!(needed, SECTIONS, "{name}");
        for link in page.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            assert!(root().join("runbooks").join(link).is_file(), "{name}: {link}");
        }
    }
}

#[test]
fn the_table_of_codes_is_the_codes() {
    let program = env!("CARGO_BIN_EXE_idvctl");
    let printed = Command::new(program).args(["audit", "codes"]).output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert!(
        read("runbooks/audit-codes.md").ends_with(&printed),
        "idvctl audit codes >> runbooks/audit-codes.md"
    );
    assert!(printed.lines().count() > 25);
}

/// Runs a page's console blocks in one shell, in a folder of its own, against an embedded stack on a port of its own.
/// Gives each command with what it printed and what the page says it prints.
fn rehearse(page: &str) -> Vec<(String, String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let port = setup::free_port();
    // The same program, where this test's stack is.
    let wrapper = format!(
        "#!/bin/bash\nif [ \"$1\" = --json ]; then json=--json; shift; fi\ncase $1 in\n\
         dev) exec {program} $json \"$@\" --listen 127.0.0.1:{port};;\n\
         dlq) shift; for word; do set -- \"$@\" \"${{word/#--local/--local=http://127.0.0.1:{port}}}\"; shift; done; exec {program} $json dlq \"$@\";;\n\
         audit) shift; for word; do set -- \"$@\" \"${{word/#--local/--local=http://127.0.0.1:{port}}}\"; shift; done; exec {program} $json audit \"$@\";;\n\
         send) exec {program} $json \"$@\" --url http://127.0.0.1:{port}/idv-callback;;\n\
         *) exec {program} $json \"$@\";;\nesac\n",
        program = env!("CARGO_BIN_EXE_idvctl")
    );
    let programs = folder.path().join("bin");
    std::fs::create_dir(&programs).unwrap();
    std::fs::write(programs.join("idvctl"), wrapper).unwrap();
    std::fs::set_permissions(programs.join("idvctl"), std::fs::Permissions::from_mode(0o755)).unwrap();

    let mut steps: Vec<(String, String)> = Vec::new();
    for line in blocks(page, "console").iter().flat_map(|block| block.lines()) {
        match line.strip_prefix("$ ") {
            Some(command) => steps.push((command.to_owned(), String::new())),
            None => steps.last_mut().expect("output before a command").1.extend([line, "\n"]),
        }
    }
    let script: String = steps
        .iter()
        .map(|(command, _)| {
            format!("{}\necho '{END}'\n", command.replace("127.0.0.1:8787", &format!("127.0.0.1:{port}")))
        })
        .collect();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let output = Command::new("timeout")
        .args(["60", "bash", "-c", &format!("exec 2>&1\ntrap 'kill $(jobs -p) 2>/dev/null' EXIT\n{script}")])
        .current_dir(folder.path())
        .env("PATH", path)
        .env_remove("IDV_KEY_RING_FILE")
        .output()
        .unwrap_or_else(|error| panic!("the runbooks need bash and curl: {error}"));
    let printed = String::from_utf8(output.stdout).unwrap();
    let end = format!("{END}\n");
    let mut pieces = printed.split(&end).map(str::to_owned);
    let mut printed = || pieces.next().unwrap_or_default();
    steps.into_iter().map(|(command, expected)| (command, printed(), expected)).collect()
}

/// Whether a line fits one of a page: `…` stands for any text.
fn fits(line: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<_> = parts.collect();
    for (number, part) in parts.iter().enumerate() {
        let last = number + 1 == parts.len();
        match if last {
            rest.ends_with(part).then_some(rest.len())
        } else {
            rest.find(part).map(|at| at + part.len())
        } {
            Some(end) => rest = &rest[end..],
            None => return false,
        }
    }
    !parts.is_empty() || rest.is_empty()
}

/// Whether the output is what the page says. A line of `…` alone stands for any number of lines.
fn agrees(printed: &str, expected: &str) -> bool {
    let (mut printed, mut expected) = (printed.lines(), expected.lines().peekable());
    while let Some(pattern) = expected.next() {
        if pattern == "…" && expected.peek().is_none() {
            return true;
        }
        if !printed.next().is_some_and(|line| fits(line, pattern)) {
            return false;
        }
    }
    printed.next().is_none()
}

#[test]
fn what_can_run_here_prints_what_the_pages_say() {
    let rehearsed: Vec<_> =
        pages().into_iter().filter(|(_, page)| !blocks(page, "console").is_empty()).collect();
    assert!(rehearsed.len() >= 7);
    std::thread::scope(|scope| {
        for (name, page) in &rehearsed {
            scope.spawn(move || {
                for (command, printed, expected) in rehearse(page) {
                    assert!(
                        agrees(&printed, &expected),
                        "{name}: $ {command}\nprinted:\n{printed}\nthe page says:\n{expected}"
                    );
                }
            });
        }
    });
}

#[test]
fn the_comparison_can_fail() {
    assert!(agrees("a 1 b\nc\n", "a … b\nc\n") && agrees("a\nb\nc\n", "a\n…\n"));
    for (printed, expected) in
        [("a\n", "b\n"), ("a\nb\n", "a\n"), ("a\n", "a\nb\n"), ("a 1 c\n", "a … b\n"), ("xa\n", "a…\n")]
    {
        assert!(!agrees(printed, expected), "{printed:?} {expected:?}");
    }
}

/// Every command for AWS, run by a shell in which `aws` only notes how it was called, and checked against AWS' models;
/// every `idvctl` against its own parser.
#[test]
fn commands_for_aws_and_idvctl_exist_with_their_options() {
    let folder = tempfile::tempdir().unwrap();
    let calls: PathBuf = folder.path().join("calls");
    let stubs = format!(
        "aws() {{ python3 -c 'import json,sys; print(json.dumps(sys.argv[1:]))' \"$@\" >> {calls}; echo x; }}\n\
         idvctl() {{ {program} \"$@\" --help > /dev/null || echo \"not a command: idvctl $*\" >> {complaints}; }}\n\
         curl() {{ :; }}; shred() {{ :; }}; x() {{ :; }}; infra/deploy() {{ :; }}\n\
         stack=idv-callback username=ada\n",
        calls = calls.display(),
        program = env!("CARGO_BIN_EXE_idvctl"),
        complaints = folder.path().join("complaints").display(),
    );
    let index = blocks(&read("runbooks/README.md"), "sh").join("\n");
    let mut texts: Vec<_> = pages().into_values().collect();
    texts.push(read("infra/README.md"));
    let own: String = texts.iter().flat_map(|page| blocks(page, "sh")).map(|block| block + "\n").collect();
    let output = Command::new("timeout")
        .args(["120", "bash", "-c", &format!("{stubs}{index}\n{own}")])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("syntax error") && !said.contains("command not found"), "{said}");
    let complaints = std::fs::read_to_string(folder.path().join("complaints")).unwrap_or_default();
    assert_eq!(complaints, "", "{said}");

    let calls = std::fs::read(&calls).unwrap();
    assert!(calls.split(|byte| *byte == b'\n').count() > 60, "the commands were not run: {said}");
    let mut checker = Command::new(setup::python().join("python"))
        .arg(script("check_aws_commands.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    checker.stdin.take().unwrap().write_all(&calls).unwrap();
    let checked = checker.wait_with_output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}
