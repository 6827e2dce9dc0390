//! Compiles the C programs of the tests and examples and runs them: against the installed shared and static library, under
//! sanitizers and valgrind, in C99 and C++17.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::process::Command;

use common::support::http::Received;
use common::{
    C99, CPP17, Link, SANITIZERS, Scene, here, installed, ok, output, size, support, symbols, there,
};

/// The programs that take a directory and a connector for a case system that is up.
const PROGRAMS: [&str; 5] = ["api", "misuse", "closing", "logging", "signals"];

#[test]
fn a_bill_of_materials_is_installed() {
    let text = fs::read_to_string(installed().prefix.join("share/casehook/casehook.cdx.json")).unwrap();
    assert!(text.contains("\"bomFormat\": \"CycloneDX\"") && text.contains("\"specVersion\": \"1.5\""));
    for name in ["casehook", "sqlite", "rusqlite", "rustls", "ring", "ureq"] {
        assert!(text.contains(&format!("\"name\": \"{name}\"")), "{name}");
    }
    // What only tests, the command line and the Python package need.
    for name in ["clap", "pyo3", "proptest", "rcgen", "syn"] {
        assert!(!text.contains(&format!("\"name\": \"{name}\"")), "{name}");
    }
    assert!(text.contains("\"alg\": \"SHA-256\""));
}

#[test]
fn programs_run_with_the_shared_library() {
    for name in PROGRAMS {
        let scene = Scene::new();
        let program = installed().compile(scene.path(), &format!("tests/{name}.c"), name, C99, Link::Shared);
        scene.run(&program, &[]);
        let traced = |request: &Received| {
            let mut headers = request.headers.iter();
            headers.any(|(name, value)| name == "traceparent" && value.starts_with("00-4bf92f3577b34da6"))
        };
        assert_eq!(scene.system.requests().iter().any(traced), name == "api");
    }
}

#[test]
fn programs_run_with_the_static_library() {
    for name in PROGRAMS {
        let scene = Scene::new();
        let program = installed().compile(scene.path(), &format!("tests/{name}.c"), name, C99, Link::Static);
        scene.run(&program, &[]);
    }
}

#[test]
fn programs_run_under_address_and_undefined_behaviour_sanitizers() {
    let flags = [C99, SANITIZERS].concat();
    for name in PROGRAMS {
        let scene = Scene::new();
        let program = installed().compile(
            scene.path(),
            &format!("tests/{name}.c"),
            name,
            &flags,
            Link::Static,
        );
        scene.run(&program, &[]);
    }
}

#[test]
fn the_sanitizers_are_on() {
    let scene = Scene::new();
    let flags = [C99, SANITIZERS].concat();
    let program = installed().compile(
        scene.path(),
        "tests/sanitizers.c",
        "sanitizers",
        &flags,
        Link::Static,
    );
    ok(&mut Command::new(&program));
    for (what, report) in [
        ("heap", "heap-buffer-overflow"),
        ("overflow", "signed integer overflow"),
        ("leak", "LeakSanitizer: detected memory leaks"),
    ] {
        let output = output(Command::new(&program).arg(what));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && errors.contains(report),
            "{what}: {errors}"
        );
    }
}

#[test]
fn programs_run_under_valgrind() {
    if !there("valgrind") {
        return;
    }
    let valgrind = [
        "valgrind",
        "--quiet",
        "--error-exitcode=99",
        "--leak-check=full",
        "--errors-for-leak-kinds=definite,indirect",
        "--fair-sched=yes",
    ];
    for name in ["api", "misuse"] {
        let scene = Scene::new();
        let program = installed().compile(scene.path(), &format!("tests/{name}.c"), name, C99, Link::Shared);
        scene.run(&program, &valgrind);
    }
}

#[test]
fn examples_do_what_they_say() {
    let compile = |scene: &Scene, name: &str| {
        installed().compile(
            scene.path(),
            &format!("examples/{name}.c"),
            name,
            C99,
            Link::Shared,
        )
    };
    let run = |scene: &Scene, name: &str, last: &str| {
        let program = compile(scene, name);
        ok(Command::new(program)
            .arg(scene.path().join("cases.db"))
            .arg(scene.connector())
            .arg(last))
    };
    let scene = Scene::new();
    let text = run(&scene, "push", "Disk full");
    let link = format!("{}/browse/CASE-1001", scene.system.url());
    assert_eq!(text, format!("push 1 is delivered: {link}\n"));
    assert_eq!(scene.system.incidents_of("host-7/disk").len(), 1);

    let scene = Scene::new();
    let text = run(&scene, "monitor", "3");
    for push in 1..=3 {
        assert!(text.contains(&format!("push {push}: delivered\n")), "{text}");
    }

    let scene = Scene::new();
    let text = run(&scene, "threads", "5");
    assert_eq!(text, "40 pushes accepted\nall delivered\n");
    assert_eq!(scene.system.incidents().len(), 40);
}

#[test]
fn random_calls_keep_the_promises() {
    let seeds = size("CASEHOOK_C_SEEDS", 6);
    let calls = size("CASEHOOK_C_CALLS", 400);
    let scene = Scene::new();
    let flags = [C99, SANITIZERS].concat();
    let program = installed().compile(
        scene.path(),
        "tests/random_calls.c",
        "random_calls",
        &flags,
        Link::Static,
    );
    for seed in 1..=seeds {
        let place = support::temp_dir();
        let mut command = Command::new(&program);
        command.arg(place.path()).arg(scene.connector());
        ok(command
            .arg(seed.to_string())
            .arg(calls.to_string())
            .current_dir(place.path()));
    }
}

#[test]
fn the_header_is_plain_c_plus_plus() {
    let scene = Scene::new();
    let program = installed().compile(scene.path(), "tests/header.cpp", "header", CPP17, Link::Shared);
    ok(&mut Command::new(program));
    let program = installed().compile(scene.path(), "tests/header.cpp", "header", CPP17, Link::Static);
    ok(&mut Command::new(program));
}

/// What may be NULL.
const NULLABLE: [(&str, &str); 6] = [
    ("casehook_open", "options"),
    ("casehook_configure", "secrets_json"),
    ("casehook_list_json", "filter_json"),
    ("casehook_preset_json", "params_json"),
    ("casehook_set_log_callback", "callback"),
    ("casehook_set_log_callback", "user_data"),
];

/// The functions of the header that can fail, each with its parameters as they are declared.
fn fallible_functions() -> Vec<(String, Vec<String>)> {
    let header = fs::read_to_string(here("../../include/casehook.h")).unwrap();
    let declarations = header.split("\ncasehook_result ").skip(1).filter_map(|rest| {
        let (declaration, _) = rest.split_once(");")?;
        let (name, parameters) = declaration
            .split_once('(')
            .filter(|_| declaration.ends_with("**err"))?;
        let parameters = parameters.split(',');
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        Some((name.to_owned(), parameters.map(words).collect()))
    });
    let found: Vec<_> = declarations.collect();
    assert!(found.len() > 30, "{found:?}");
    found
}

/// As errors name it: the header has `case_` where C has a word of its own.
fn name_of(parameter: &str) -> &str {
    let name = parameter.rsplit([' ', '*']).next().unwrap();
    name.trim_end_matches('_')
}

/// The lines between the braces of a function of `misuse.c`.
fn body<'a>(source: &'a str, function: &str) -> &'a str {
    let (_, rest) = source.split_once(&format!("static void {function}(")).unwrap();
    rest.split("\n}\n").next().unwrap()
}

#[test]
fn misuse_tries_every_function() {
    let text = fs::read_to_string(here("tests/misuse.c")).unwrap();
    for name in symbols() {
        assert!(
            text.contains(&format!("{name}(")),
            "tests/misuse.c does not call {name}"
        );
    }
}

#[test]
fn misuse_tries_null_and_bad_text_in_every_place() {
    let text = fs::read_to_string(here("tests/misuse.c")).unwrap();
    let refused = |within: &str, function: &str, parameter: &str| {
        let call = format!("REFUSES({function}(");
        let named = |line: &str| {
            let field = line.rsplit(", ").next().unwrap_or_default();
            field.starts_with(&format!("\"{parameter}\"")) || field.starts_with(&format!("\"{parameter}["))
        };
        let mut lines = body(&text, within).lines();
        lines.any(|line| line.trim_start().starts_with(&call) && named(line))
    };
    for (function, parameters) in fallible_functions() {
        for parameter in &parameters {
            let name = name_of(parameter);
            let pointer = parameter.contains('*') && name != "err";
            if pointer && !NULLABLE.contains(&(&function, name)) {
                assert!(
                    refused("null_everywhere", &function, name),
                    "misuse.c does not hand NULL to {function} as {name}"
                );
            }
            if parameter.contains("const char *") {
                assert!(
                    refused("no_utf8", &function, name),
                    "misuse.c does not hand bad text to {function} as {name}"
                );
            }
        }
        let of_an_agent = parameters[0].ends_with("casehook_agent *agent") && function != "casehook_close";
        assert!(
            !of_an_agent || body(&text, "every_call").contains(&format!("FAILS({function}(")),
            "misuse.c does not call {function} with a closed and a forked agent"
        );
    }
}
