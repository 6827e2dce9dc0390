//! `include/casehook.h` and `symbols.txt`: made from, and held against, the sources.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The sources in the order of the header.
const SOURCES: [&str; 13] = [
    "result",
    "error",
    "text",
    "version",
    "options",
    "agent",
    "connector",
    "preset",
    "case",
    "push",
    "status",
    "decision",
    "outbox",
];
/// Last, for its callback is not what a reader looks for first.
const LOG: &str = "log_callback";

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn header_path() -> PathBuf {
    here("../../include/casehook.h")
}

fn generated() -> String {
    let config = cbindgen::Config::from_file(here("cbindgen.toml")).unwrap();
    let mut builder = cbindgen::Builder::new()
        .with_config(config)
        .with_after_include(constants());
    for source in SOURCES.iter().chain([&LOG]) {
        builder = builder.with_src(here(&format!("src/{source}.rs")));
    }
    let mut text = Vec::new();
    builder.generate().unwrap().write(&mut text);
    tidy(&String::from_utf8(text).unwrap())
}

fn constants() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut parts = version.split('.');
    let mut part = || parts.next().unwrap().to_owned();
    format!(
        r#"
/** The version of this header; casehook_version() is that of the library. */
#define CASEHOOK_VERSION "{version}"
#define CASEHOOK_VERSION_MAJOR {}
#define CASEHOOK_VERSION_MINOR {}
#define CASEHOOK_VERSION_PATCH {}
/** The same as one number that can be compared: 0xMMNNPP. */
#define CASEHOOK_VERSION_NUM \
    (CASEHOOK_VERSION_MAJOR << 16 | CASEHOOK_VERSION_MINOR << 8 | CASEHOOK_VERSION_PATCH)

/** An empty case: `casehook_case c = CASEHOOK_CASE_INIT;` and then c.title = ...; */
#define CASEHOOK_CASE_INIT \
    {{sizeof(casehook_case), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, 0, NULL}}"#,
        part(),
        part(),
        part()
    )
}

/// Leaves out what is said to readers of the Rust sources alone, the `# Safety` sections, and gives short comments one line.
fn tidy(header: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut safety = false;
    for line in header.lines() {
        safety |= line.trim() == "* # Safety";
        if line.trim() == "*/" {
            safety = false;
            while lines.last().is_some_and(|line| line.trim() == "*") {
                lines.pop();
            }
            let begins = lines.len().checked_sub(2).and_then(|at| lines.get(at));
            let short = lines.last().is_some_and(|line| line.len() < 115);
            if short && begins.is_some_and(|line| line.trim() == "/**") {
                let text = lines.pop().unwrap_or_default();
                let begin = lines.pop().unwrap_or_default();
                lines.push(format!("{begin} {} */", text.trim().trim_start_matches("* ")));
                continue;
            }
        }
        if !safety {
            lines.push(line.trim_end().to_owned());
        }
    }
    lines.join("\n") + "\n"
}

/// The exported functions with their comments, as they stand in the header.
fn functions(header: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut comment = String::new();
    for block in header.split("\n\n") {
        let (text, declaration) = block.rsplit_once("*/\n").unwrap_or(("", block));
        if !text.is_empty() {
            comment = text
                .replace("\n *", " ")
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ");
        }
        let name = declaration.split('(').next().unwrap_or_default();
        let name = name.rsplit([' ', '*']).next().unwrap_or_default();
        if declaration.trim_end().ends_with(");") && name.starts_with("casehook_") {
            found.push((name.to_owned(), std::mem::take(&mut comment)));
        }
    }
    found
}

#[test]
fn the_header_is_current() {
    let current = generated();
    if std::env::var_os("CASEHOOK_WRITE_HEADER").is_some() {
        fs::write(header_path(), &current).unwrap();
    }
    let committed = fs::read_to_string(header_path()).unwrap_or_default();
    assert!(
        committed == current,
        "include/casehook.h is not what the sources make: run `make header` and commit it"
    );
    let long = current.lines().find(|line| line.len() > 125);
    assert_eq!(long, None, "a line of the header is too long");
}

#[test]
fn every_function_says_purpose_ownership_threads_and_errors() {
    let header = generated();
    let functions = functions(&header);
    assert!(functions.len() > 50, "{functions:?}");
    for (name, comment) in &functions {
        for word in ["Ownership: ", "Threads: ", "Errors: "] {
            assert!(comment.contains(word), "{name} does not say {word:?}: {comment}");
        }
        assert!(!comment.starts_with("/** Ownership"), "{name} has no purpose");
    }
}

#[test]
fn symbols_are_those_of_the_header_with_the_version_each_appeared_in() {
    let text = fs::read_to_string(here("symbols.txt")).unwrap();
    let mut listed = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, version) = line.split_once(' ').expect("NAME VERSION");
        let numbers: Vec<u32> = version.split('.').map(|part| part.parse().unwrap()).collect();
        assert_eq!(numbers.len(), 3, "{line}");
        assert!(listed.insert(name.to_owned()), "{name} is listed twice");
    }
    let declared: BTreeSet<String> = functions(&generated())
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(declared, listed);
}
