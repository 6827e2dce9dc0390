//! The README's examples: the program in Rust is run, those in C and Python are checked as far as a compiler can.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "readme/quick_start.rs"]
#[allow(unreachable_pub)]
mod quick_start;
mod support;

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use support::http::Reply;
use support::scripted::Scripted;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The first block of the README in that language.
fn block(language: &str) -> String {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let (_, rest) = readme.split_once(&format!("```{language}\n")).expect(language);
    rest.split("```").next().unwrap().to_owned()
}

#[test]
fn the_program_in_rust_delivers_with_the_connector_above_it() {
    let here = std::fs::read_to_string(root().join("tests/readme/quick_start.rs")).unwrap();
    let (_, program) = here.split_once("\n\n").unwrap();
    assert_eq!(program.replace("pub fn main", "fn main"), block("rust,no_run"));

    let ticket = || Reply::json(200, &json!({"id": 17, "subject": "Disk full"})).into();
    let server = Scripted::start([ticket(), ticket(), ticket()]);
    let document = block("json").replace("https://tickets.example.com", &server.base());
    let folder = support::temp_dir();
    std::fs::write(folder.path().join("connector.json"), document).unwrap();
    // The only test of this program that minds where it is.
    let before = std::env::current_dir().unwrap();
    std::env::set_current_dir(folder.path()).unwrap();
    let done = quick_start::main();
    std::env::set_current_dir(before).unwrap();
    done.unwrap();
    let asked: Vec<String> = server
        .received()
        .iter()
        .map(|r| format!("{} {}", r.method, r.target))
        .collect();
    assert_eq!(
        asked,
        ["POST /tickets", "GET /tickets/17", "POST /tickets/17/notes"]
    );
    let created: Value = server.received()[0].json();
    assert_eq!(created["subject"], "Disk full");
}

#[test]
fn the_program_in_c_compiles() {
    let folder = support::temp_dir();
    let file = folder.path().join("program.c");
    std::fs::write(&file, block("c")).unwrap();
    let include = root().join("include");
    let mut cc = Command::new("cc");
    cc.args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I"])
        .arg(include)
        .arg(&file);
    assert!(cc.status().unwrap().success());
}

#[test]
fn the_program_in_python_parses() {
    let mut python = Command::new("python3");
    python.args(["-c", "import ast, sys; ast.parse(sys.argv[1])", &block("python")]);
    assert!(python.status().unwrap().success());
}
