//! Programs in C and Python on a database server; `make test-postgres` builds them and says where they are.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::database;
use crate::proxy::Proxy;
use crate::support::case_system::CaseSystem;
use crate::support::temp_dir;

/// Runs the program that the variable names, if it is set, through an outage of the server.
fn run(variable: &str) {
    let Ok(program) = std::env::var(variable) else {
        eprintln!("skipped: {variable} is not set; make test-postgres sets it");
        return;
    };
    let Some(database) = database::shared() else {
        return;
    };
    let system = CaseSystem::start();
    let proxy = Proxy::to(database.port);
    let folder = temp_dir();
    let document = folder.path().join("connector.json");
    std::fs::write(&document, json!({"config": system.config()}).to_string()).unwrap();
    let mut words = program.split_whitespace();
    let mut child = Command::new(words.next().unwrap())
        .args(words)
        .arg(database.url_at(proxy.port, &database.schema()))
        .arg(folder.path().join("spool"))
        .arg(&document)
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || lines.next().and_then(Result::ok);
    assert_eq!(next().as_deref(), Some("ready"));
    proxy.close();
    input.write_all(b"away\n").unwrap();
    assert_eq!(next().as_deref(), Some("spooled"));
    proxy.mend();
    input.write_all(b"back\n").unwrap();
    assert_eq!(next(), None);
    assert!(child.wait().unwrap().success());
    assert_eq!(system.incidents_of("c").len(), 1);
}

#[test]
fn a_c_program_pushes_through_an_outage() {
    run("CASEHOOK_POSTGRES_C");
}

#[test]
fn a_python_program_pushes_through_an_outage() {
    run("CASEHOOK_POSTGRES_PYTHON");
}
