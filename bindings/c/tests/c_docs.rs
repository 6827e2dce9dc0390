//! What the documents show is done as they say: installed, compiled by the line that stands there, run, and compared.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use common::support::http::{Received, Reply};
use common::support::listener::{Answer, Listener, Service};
use common::{C99, CPP17, Installed, Link, here, installed, make_install, ok, support};
use serde_json::json;

/// The service of the READMEs: it takes `POST /tickets` and has the ticket 17.
struct Tickets;

impl Service for Tickets {
    fn answer(&self, request: Received) -> Answer {
        let ticket = json!({"id": 17, "subject": "Disk full"});
        Answer::Reply(match (request.method.as_str(), request.target.as_str()) {
            ("POST", "/tickets") => Reply::json(201, &ticket),
            ("GET" | "PUT", "/tickets/17") => Reply::json(200, &ticket),
            _ => Reply::empty(404),
        })
    }
}

const THEIRS: &str = "https://tickets.example.com";

fn document(path: &str) -> String {
    fs::read_to_string(here("../..").join(path)).unwrap()
}

fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let (_, rest) = text
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("there is no section {heading:?}"));
    rest.split("\n## ").next().unwrap()
}

/// The first block of code in that language.
fn block<'a>(text: &'a str, language: &str) -> &'a str {
    let (_, rest) = text
        .split_once(&format!("```{language}\n"))
        .unwrap_or_else(|| panic!("there is no {language} here: {text}"));
    rest.split("```").next().unwrap()
}

/// The lines of a section that are shown indented.
fn shown(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix("    "))
}

/// Runs a line as somebody does who installed to that place.
fn shell(line: &str, place: &Path, to: &Installed) -> String {
    ok(Command::new("sh")
        .args(["-c", line])
        .current_dir(place)
        .env("PKG_CONFIG_PATH", to.lib().join("pkgconfig"))
        .env("LD_LIBRARY_PATH", to.lib()))
}

/// Runs each line after a `$`, and compares what it prints with the lines that follow it.
fn session(text: &str, place: &Path, to: &Installed, ours: &str) -> usize {
    let mut commands = 0;
    let mut lines = shown(text).peekable();
    while let Some(line) = lines.next() {
        let Some(command) = line.strip_prefix("$ ") else {
            continue;
        };
        let mut expected = String::new();
        while let Some(output) = lines.next_if(|line| !line.starts_with("$ ")) {
            expected += &format!("{output}\n");
        }
        let printed = shell(command, place, to).replace(ours, THEIRS);
        assert_eq!(printed, expected, "{command}");
        commands += 1;
    }
    commands
}

fn quick_start(path: &str, heading: &str) {
    let service = Listener::start("127.0.0.1:0", Arc::new(Tickets)).unwrap();
    let ours = format!("http://{}", service.authority());
    let text = document(path);
    let text = section(&text, heading);
    let place = support::temp_dir();

    let line = shown(text).find(|line| line.starts_with("make install")).unwrap();
    let (_, prefix) = line.split_once("PREFIX=").expect("PREFIX=");
    let prefix = prefix.split_whitespace().next().unwrap();
    let line = line.replace(prefix, place.path().join("usr").to_str().unwrap());
    ok(make_install().args(line.split_whitespace().skip(2)));
    let to = Installed {
        prefix: place.path().join("usr"),
    };

    let readme = document("README.md");
    let connector = block(&readme, "json").replace(THEIRS, &ours);
    fs::write(place.path().join("connector.json"), connector).unwrap();
    let quick = block(text, "c");
    let statements = quick.split("int main(void)\n").nth(1).expect("a main function");
    let statements = statements.lines().filter(|line| line.trim().len() > 1).count();
    assert!(statements <= 15, "{statements} lines are no quick start");
    fs::write(place.path().join("quick.c"), quick).unwrap();
    let commands = session(text, place.path(), &to, &ours);
    assert!(commands >= 2, "{path} shows {commands} commands");
    // And without a word from a strict compiler.
    fs::rename(place.path().join("quick.c"), place.path().join("strict.c")).unwrap();
    to.compile(
        place.path(),
        place.path().join("strict.c").to_str().unwrap(),
        "strict",
        C99,
        Link::Shared,
    );
}

#[test]
fn the_quick_start_of_the_readme() {
    quick_start("README.md", "In C");
}

#[test]
fn the_quick_start_of_the_c_readme() {
    quick_start("bindings/c/README.md", "Quick start");
}

#[test]
fn the_line_for_static_linking() {
    let text = document("bindings/c/README.md");
    let line = shown(section(&text, "Install"))
        .find(|line| line.contains("--variable=static"))
        .expect("a line that links the static library")
        .to_owned();
    let place = support::temp_dir();
    fs::write(place.path().join("program.c"), block(&text, "c")).unwrap();
    // Without its place in the file casehook.pc, which is not where this one was installed to.
    let prefix = installed().prefix.display().to_string();
    let line = line.replace(
        "pkg-config",
        &format!("pkg-config --define-variable=prefix={prefix} --define-variable=libdir={prefix}/lib"),
    );
    shell(&line, place.path(), installed());
    let needed = ok(Command::new("readelf")
        .arg("-d")
        .arg(place.path().join("program")));
    assert!(!needed.contains("libcasehook"), "{needed}");
}

#[test]
fn the_lines_at_the_head_of_the_examples() {
    let prefix = installed().prefix.display().to_string();
    for name in ["push", "monitor", "threads"] {
        let place = support::temp_dir();
        let file = here(&format!("examples/{name}.c"));
        let text = fs::read_to_string(&file).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(" *     cc "));
        let line = line.unwrap_or_else(|| panic!("{name}.c does not say how it is compiled"));
        fs::copy(&file, place.path().join(format!("{name}.c"))).unwrap();
        let line = line.replace(
            "pkg-config",
            &format!("pkg-config --define-variable=prefix={prefix} --define-variable=libdir={prefix}/lib"),
        );
        shell(
            &format!("cc -Werror -Wall -Wextra {line}"),
            place.path(),
            installed(),
        );
        assert!(place.path().join(name).exists(), "{line}");
    }
}

#[test]
fn the_code_at_the_head_of_the_header() {
    let header = document("include/casehook.h");
    let comment = header.split("*/").next().unwrap();
    let code: Vec<&str> = comment
        .lines()
        .filter_map(|line| line.strip_prefix(" *     "))
        .collect();
    assert!(code.len() > 5, "{code:?}");
    let code = code.join("\n");
    let place = support::temp_dir();
    let program = format!(
        "#include <casehook.h>\n#include <stdio.h>\nint main(void)\n{{\n{code}\ncasehook_agent_free(agent);\n\
         return 0;\n}}\n"
    );
    for (name, flags) in [("head.c", C99), ("head.cpp", CPP17)] {
        let source = place.path().join(name);
        fs::write(&source, &program).unwrap();
        let program = installed().compile(
            place.path(),
            source.to_str().unwrap(),
            "head",
            flags,
            Link::Shared,
        );
        ok(Command::new(program).current_dir(place.path()));
        assert!(place.path().join("cases.db").exists());
    }
}
