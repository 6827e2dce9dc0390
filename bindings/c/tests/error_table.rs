//! Rust, C and Python agree about errors: numbers, names, and what may be tried again. Python's table is read as text, for
//! this needs no Python; that each exception carries what its class says is for the tests of the package.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use casehook_rs::ErrorKind;

/// Name, and whether it may be tried again, by number.
type Table = BTreeMap<i32, (String, bool)>;

fn rust() -> Table {
    let row = |kind: &ErrorKind| (kind.number(), (kind.name().to_owned(), kind.is_retryable()));
    ErrorKind::ALL.iter().map(row).collect()
}

fn source(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)).unwrap()
}

/// The classes of the Python package in their order, with their rows.
fn python() -> Vec<(String, i32, (String, bool))> {
    let text = source("bindings/python/python/casehook/_errors.py");
    let mut class = "";
    let mut rows = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("class ") {
            class = rest.split(['(', ':']).next().unwrap();
        }
        let Some((names, values)) = line.trim().split_once(" = ") else {
            continue;
        };
        if !names.starts_with("code, number") {
            continue;
        }
        let values: Vec<&str> = values.split(", ").collect();
        let retryable = match (names, &values[2..]) {
            ("code, number", []) => false,
            ("code, number, retryable", ["True"]) => true,
            _ => panic!("this is not understood: {line}"),
        };
        let name = values[0].trim_matches('"').to_owned();
        rows.push((class.to_owned(), values[1].parse().unwrap(), (name, retryable)));
    }
    rows
}

#[test]
fn numbers_are_given_once_and_without_gaps() {
    let numbers: Vec<i32> = rust().into_keys().collect();
    assert_eq!(numbers.len(), ErrorKind::ALL.len(), "two kinds share a number");
    assert_eq!(numbers, (1..=ErrorKind::ALL.len() as i32).collect::<Vec<_>>());
    let names: BTreeSet<String> = rust().into_values().map(|(name, _)| name).collect();
    assert_eq!(names.len(), ErrorKind::ALL.len(), "two kinds share a name");
}

#[test]
fn the_header_has_the_numbers_and_names_of_the_library() {
    let header = source("include/casehook.h");
    let body = header.split("enum casehook_result").nth(1).unwrap();
    let body = body.split('}').next().unwrap();
    let found: BTreeSet<&str> = body
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("CASEHOOK_"))
        .collect();
    let mut expected = vec!["CASEHOOK_OK = 0,".to_owned()];
    for (number, (name, _)) in rust() {
        expected.push(format!("CASEHOOK_ERROR_{} = {number},", name.to_uppercase()));
    }
    assert_eq!(found, expected.iter().map(String::as_str).collect());
}

#[test]
fn the_exceptions_of_python_have_the_numbers_and_names_of_the_library() {
    let rows = python();
    let table: Table = rows
        .iter()
        .map(|(_, number, row)| (*number, row.clone()))
        .collect();
    assert_eq!(table, rust());
    assert_eq!(table.len(), rows.len(), "two classes share a number");
}

#[test]
fn python_knows_each_exception_by_its_number_and_shows_it() {
    let errors = source("bindings/python/python/casehook/_errors.py");
    let (_, listed) = errors.split_once("for kind in (").unwrap();
    let listed: Vec<&str> = listed.split(')').next().unwrap().split_whitespace().collect();
    let package = source("bindings/python/python/casehook/__init__.py");
    let (_, shown) = package.split_once("__all__").unwrap();
    for (class, _, _) in python() {
        assert!(
            listed.contains(&format!("{class},").as_str()),
            "{class} is not found by its number"
        );
        assert!(
            shown.contains(&format!("\"{class}\"")),
            "the package does not show {class}"
        );
    }
}
