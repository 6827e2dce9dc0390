//! The rules of the house, as CONTRIBUTING.md tells them: who may name what, which way layers look, how long files are.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A dependency and the one place under `src` that may name it.
const OWNERS: &[(&str, &str)] = &[
    ("rusqlite", "store/sqlite"),
    ("tokio", "store/postgres"),
    ("tokio_postgres", "store/postgres"),
    ("tokio_rustls", "store/postgres"),
    ("ureq", "transport"),
    ("rustls", "transport"),
    ("webpki", "transport"),
    ("mustache", "template"),
    ("clap", "cli"),
    ("clap_complete", "cli"),
    ("clap_mangen", "cli"),
    ("hcl", "import/configuration"),
    ("indicatif", "cli"),
    ("signal_hook", "bin"),
];

/// The top-level modules from the ground up; each may name those before it. `cli` names none of them: it uses what the crate
/// exports.
const LAYERS: &[&str] = &[
    "error",
    "words",
    "model",
    "clock",
    "response",
    "template",
    "mask",
    "process",
    "transport",
    "connector",
    "step",
    "advice",
    "preset",
    "import",
    "outbox",
    "store",
    "options",
    "drain",
    "agent",
    "fuzzing",
];

/// Files that are longer than [`LONGEST`], and why each is.
const LONG: &[(&str, &str)] = &[
    ("src/connector/tests/mod.rs", "one table of refused documents"),
    (
        "src/drain/tests/connectors.rs",
        "one scenario after another about a connector's trouble",
    ),
    (
        "src/drain/tests/model.rs",
        "the model that random runs are held against is one thing",
    ),
    (
        "src/drain/tests/uncertain.rs",
        "every way in which an answer can be lost",
    ),
    (
        "src/step/tests.rs",
        "one table of requests and answers for all five steps",
    ),
    ("tests/api.rs", "the public API, call by call"),
    ("tests/cli.rs", "the command line, verb by verb"),
    (
        "src/cli/args.rs",
        "the command line as it is typed, one declaration",
    ),
    ("tests/suggestions.rs", "each usual mistake, played"),
    ("tests/canary.rs", "every place in which a secret could show"),
];
const LONGEST: usize = 500;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Path from `folder` and text of each Rust file below it.
fn sources(folder: &str) -> Vec<(String, String)> {
    fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            match path.is_dir() {
                // What fuzzing builds lies below its own workspace.
                true if path.file_name().is_some_and(|name| name == "target") => {}
                true => collect(&path, files),
                false if path.extension().is_some_and(|end| end == "rs") => files.push(path),
                false => {}
            }
        }
    }
    let base = root().join(folder);
    let mut files = Vec::new();
    collect(&base, &mut files);
    files.sort();
    assert!(!files.is_empty(), "{folder}");
    let text = |path: &PathBuf| fs::read_to_string(path).unwrap();
    let name = |path: &PathBuf| path.strip_prefix(&base).unwrap().to_str().unwrap().to_owned();
    files.iter().map(|path| (name(path), text(path))).collect()
}

/// The code of a file without its comments and its tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| format!("{line}\n")).collect()
}

/// The names that follow `prefix` in paths, such as those of `crate::`.
fn named_after<'a>(code: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    code.match_indices(prefix).flat_map(move |(at, _)| {
        let rest = &code[at + prefix.len()..];
        let group = rest.strip_prefix('{').and_then(|inner| inner.split('}').next());
        let parts: Vec<&str> = match group {
            Some(inner) => inner.split(',').map(str::trim).collect(),
            None => vec![rest],
        };
        parts.into_iter().map(|part| {
            let end = part
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(part.len());
            &part[..end]
        })
    })
}

/// Whether code names a crate: `name::` or `use name;`, not as a part of a longer path.
fn names_crate(code: &str, name: &str) -> bool {
    let starts = |at: usize| {
        let before = code[..at].chars().next_back();
        before.is_none_or(|c| !c.is_ascii_alphanumeric() && c != '_' && c != ':')
    };
    let path = code.match_indices(&format!("{name}::")).any(|(at, _)| starts(at));
    path || code.contains(&format!("use {name};")) || code.contains(&format!("use {name} as "))
}

#[test]
fn each_dependency_has_one_owner() {
    let files = sources("src");
    for (name, owner) in OWNERS {
        for (path, text) in &files {
            let at_home = path.starts_with(&format!("{owner}/")) || *path == format!("{owner}.rs");
            assert!(
                at_home || !names_crate(&code(text), name),
                "src/{path} names {name}; only src/{owner} may"
            );
        }
    }
}

#[test]
fn layers_look_down() {
    let floor = |name: &str| LAYERS.iter().position(|layer| *layer == name);
    let mut seen = BTreeSet::new();
    let face = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let exports: Vec<&str> = face
        .lines()
        .filter(|line| line.starts_with("pub use"))
        .flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
        .collect();
    for (path, text) in sources("src") {
        let is_test = path.contains("/tests") || path.contains("conformance");
        let own = path
            .split('/')
            .next()
            .unwrap_or_default()
            .trim_end_matches(".rs")
            .to_owned();
        if is_test || ["lib", "bin", "manual"].contains(&own.as_str()) {
            continue;
        }
        let code = code(&text);
        for name in named_after(&code, "crate::") {
            if own == "cli" {
                let inside =
                    !name.starts_with(char::is_uppercase) && name != "cli" && !exports.contains(&name);
                assert!(
                    !inside,
                    "src/{path} names crate::{name}, which the crate does not export"
                );
                continue;
            }
            let other = floor(name).unwrap_or_else(|| panic!("src/{path} names crate::{name}, on no floor"));
            let own_floor =
                floor(&own).unwrap_or_else(|| panic!("src/{own} is on no floor: add it to LAYERS"));
            assert!(other <= own_floor, "src/{path} looks up, to crate::{name}");
            seen.insert(name.to_owned());
        }
    }
    assert!(seen.len() > 10, "{seen:?}");
}

/// Modules of one folder that name each other in a circle.
fn circles(uses: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let reach = |start: &str| {
        let mut found = BTreeSet::new();
        let mut next = vec![start.to_owned()];
        while let Some(module) = next.pop() {
            for other in uses.get(&module).into_iter().flatten() {
                if found.insert(other.clone()) {
                    next.push(other.clone());
                }
            }
        }
        found
    };
    uses.keys()
        .filter(|module| reach(module).contains(*module))
        .cloned()
        .collect()
}

#[test]
fn no_files_of_a_folder_name_each_other_in_a_circle() {
    let mut folders: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    let files = sources("src");
    for (path, text) in &files {
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        let module = file.trim_end_matches(".rs");
        if ["mod", "lib", "tests"].contains(&module)
            || folder.contains("tests")
            || folder.contains("conformance")
        {
            continue;
        }
        let code = code(text);
        let within = format!("crate::{}::", folder.replace('/', "::"));
        let named = named_after(&code, "super::").chain(named_after(&code, &within));
        let siblings = named.filter(|name| {
            let file = format!("{folder}/{name}.rs");
            let inner = format!("{folder}/{name}/mod.rs");
            *name != module && files.iter().any(|(path, _)| *path == file || *path == inner)
        });
        let uses = siblings.map(str::to_owned).collect();
        folders
            .entry(folder.to_owned())
            .or_default()
            .insert(module.to_owned(), uses);
    }
    for (folder, uses) in folders {
        assert_eq!(circles(&uses), Vec::<String>::new(), "src/{folder}: {uses:#?}");
    }
}

#[test]
fn files_are_short_or_say_why_not() {
    for folder in ["src", "tests", "bindings"] {
        for (path, text) in sources(folder) {
            let path = format!("{folder}/{path}");
            let lines = text.lines().count();
            let excused = LONG
                .iter()
                .any(|(name, reason)| *name == path && !reason.is_empty());
            assert!(
                excused || lines <= LONGEST,
                "{path} has {lines} lines; split it, or give a reason in LONG"
            );
        }
    }
    for (path, _) in LONG {
        let lines = fs::read_to_string(root().join(path)).expect(path).lines().count();
        assert!(
            lines > LONGEST,
            "{path} is short enough by now: take it out of LONG"
        );
    }
}

#[test]
fn each_file_begins_with_its_reason() {
    for folder in ["src", "tests", "bindings"] {
        for (path, text) in sources(folder) {
            let first = text.lines().next().unwrap_or_default();
            assert!(first.starts_with("//! "), "{folder}/{path} begins with {first:?}");
        }
    }
}

#[test]
fn each_dependency_is_used() {
    for (manifest, folders) in [
        ("Cargo.toml", &["src"][..]),
        ("bindings/c/Cargo.toml", &["bindings/c/src"]),
        ("bindings/python/Cargo.toml", &["bindings/python/src"]),
    ] {
        let text = fs::read_to_string(root().join(manifest)).unwrap();
        let section = text
            .split("\n[dependencies]\n")
            .nth(1)
            .unwrap()
            .split("\n[")
            .next()
            .unwrap();
        let files: Vec<(String, String)> = folders.iter().flat_map(|folder| sources(folder)).collect();
        let names = section
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, _)| name.trim().replace('-', "_"));
        let mut checked = 0;
        for name in names {
            // Attributes and macros name it without a path.
            let name = if name == "md_5" { "md5".to_owned() } else { name };
            let used = |code: &str| names_crate(code, &name) || code.contains(&format!("{name}!"));
            assert!(
                files.iter().any(|(_, text)| used(text)),
                "{manifest}: nothing in {folders:?} names {name}"
            );
            checked += 1;
        }
        assert!(checked > 1, "{manifest}");
    }
}

#[test]
fn only_the_feature_postgres_brings_tokio() {
    let tree = |package: &[&str]| {
        let out = Command::new(env!("CARGO"))
            .args(["tree", "--locked", "--offline", "-e", "no-dev", "--target", "all"])
            .args(["--prefix", "none", "-f", "{p}"])
            .args(package)
            .current_dir(root())
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let text = String::from_utf8(out.stdout).unwrap();
        let names = text.lines().filter_map(|line| line.split(' ').next());
        names.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let every = ["-p", "casehook", "--features", "cli,pkcs12"];
    for package in [
        &["-p", "casehook"][..],
        &every,
        &["-p", "casehook-c"],
        &["-p", "casehook-python"],
    ] {
        let names = tree(package);
        assert!(names.contains("rusqlite"), "{package:?}: {names:?}");
        let strange: Vec<_> = names
            .iter()
            .filter(|name| name.starts_with("tokio") || name.starts_with("postgres"))
            .collect();
        assert!(strange.is_empty(), "{package:?} brings {strange:?}");
    }
    assert!(tree(&["-p", "casehook", "--features", "postgres"]).contains("tokio"));
}

#[test]
fn the_version_stands_in_one_place() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert_eq!(
        manifest
            .matches(concat!("version = \"", env!("CARGO_PKG_VERSION"), "\""))
            .count(),
        1
    );
    for member in ["bindings/c", "bindings/python"] {
        let text = fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap();
        assert!(text.contains("version.workspace = true"), "{member}");
    }
    let python = fs::read_to_string(root().join("bindings/python/pyproject.toml")).unwrap();
    assert!(python.contains("dynamic = [\"version\"]") && !python.contains("\nversion ="));
}
