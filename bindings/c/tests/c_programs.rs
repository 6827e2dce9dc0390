//! Compiles the C programs of the tests and examples and runs them: against the installed shared and static library, under
//! sanitizers and valgrind, in C99 and C++17.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "../../../tests/support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use support::case_system::CaseSystem;

const C99: &[&str] = &[
    "-std=c99",
    "-pedantic",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-g",
    "-pthread",
];
const CPP17: &[&str] = &[
    "-std=c++17",
    "-pedantic",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-g",
    "-pthread",
];
const SANITIZERS: &[&str] = &[
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
];
/// The programs that take a directory and a connector for a case system that is up.
const PROGRAMS: [&str; 4] = ["api", "misuse", "closing", "logging"];

#[derive(Clone, Copy, PartialEq)]
enum Link {
    Shared,
    Static,
}

/// The library as `make install` puts it, built once for the whole test program.
struct Installed {
    prefix: PathBuf,
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Where cargo put the debug or release build of the library.
fn build_dir() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    target.join(if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    })
}

fn installed() -> &'static Installed {
    static INSTALLED: OnceLock<Installed> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "casehook-c", "--target-dir"]);
        build
            .arg(build_dir().parent().unwrap())
            .current_dir(here("../.."));
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        ok(&mut build);
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c-installed");
        let _ = fs::remove_dir_all(&root);
        let mut install = Command::new("sh");
        install.arg(here("install.sh")).arg(build_dir());
        install
            .env("PREFIX", "/opt/casehook")
            .env("DESTDIR", &root)
            .env_remove("LIBDIR");
        ok(&mut install);
        Installed {
            prefix: root.join("opt/casehook"),
        }
    })
}

impl Installed {
    fn lib(&self) -> PathBuf {
        self.prefix.join("lib")
    }

    /// What pkg-config prints for the tree in its present place.
    fn pkg_config(&self, arguments: &[&str]) -> Vec<String> {
        let mut command = Command::new("pkg-config");
        command
            .args(arguments)
            .arg("casehook")
            .arg(format!("--define-variable=prefix={}", self.prefix.display()))
            .arg(format!("--define-variable=libdir={}", self.lib().display()))
            .env("PKG_CONFIG_PATH", self.lib().join("pkgconfig"));
        ok(&mut command).split_whitespace().map(str::to_owned).collect()
    }

    /// The program compiled from one source file.
    fn compile(&self, place: &Path, source: &str, name: &str, flags: &[&str], link: Link) -> PathBuf {
        let program = place.join(name);
        let compiler = if source.ends_with(".cpp") { "c++" } else { "cc" };
        let mut command = Command::new(compiler);
        command.arg(here(source)).args(flags).arg("-o").arg(&program);
        command.arg(format!("-I{}", self.prefix.join("include").display()));
        match link {
            Link::Shared => {
                command.arg(format!("-L{}", self.lib().display()));
                command
                    .arg("-lcasehook")
                    .arg(format!("-Wl,-rpath,{}", self.lib().display()));
            }
            Link::Static => {
                let private = self.pkg_config(&["--static", "--libs"]);
                assert!(private.iter().any(|flag| flag == "-lpthread"), "{private:?}");
                command.arg(self.lib().join("libcasehook.a"));
                command.args(private.iter().filter(|flag| *flag != "-lcasehook"));
            }
        }
        if flags.contains(&"-DWITH_SQLITE") {
            command.arg("-lsqlite3");
        }
        ok(&mut command);
        program
    }
}

/// A directory and a connector file for a case system that is up.
struct Scene {
    place: tempfile::TempDir,
    system: CaseSystem,
}

impl Scene {
    fn new() -> Scene {
        let place = support::temp_dir();
        let system = CaseSystem::start();
        fs::write(place.path().join("connector.json"), system.config().to_string()).unwrap();
        Scene { place, system }
    }

    fn path(&self) -> &Path {
        self.place.path()
    }

    fn connector(&self) -> PathBuf {
        self.path().join("connector.json")
    }

    /// Runs a program of the usual two arguments.
    fn run(&self, program: &Path, wrapper: &[&str]) {
        let mut words = wrapper.iter().map(|word| (*word).to_owned());
        let mut command = match words.next() {
            Some(first) => {
                let mut command = Command::new(first);
                command.args(words).arg(program);
                command
            }
            None => Command::new(program),
        };
        ok(command
            .arg(self.path())
            .arg(self.connector())
            .current_dir(self.path()));
    }
}

fn output(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Standard output of what must succeed.
fn ok(command: &mut Command) -> String {
    let output = output(command);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?} {}\n{text}\n{errors}",
        output.status
    );
    text
}

fn there(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").output().is_ok();
    if !found {
        eprintln!("SKIPPED, for there is no {tool}: apt-get install {tool}");
    }
    found
}

fn symbols() -> BTreeSet<String> {
    let text = fs::read_to_string(here("symbols.txt")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect()
}

fn size(name: &str, small: usize) -> usize {
    std::env::var(name).map_or(small, |value| value.parse().expect("a number"))
}

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

#[test]
fn the_host_keeps_its_own_sqlite() {
    if !Path::new("/usr/include/sqlite3.h").exists() {
        eprintln!("SKIPPED, for there is no sqlite3.h: apt-get install libsqlite3-dev");
        return;
    }
    let own = |link| {
        let scene = Scene::new();
        let program = installed().compile(scene.path(), "tests/host_sqlite.c", "alone", C99, link);
        ok(Command::new(program).arg(scene.path()))
    };
    let casehooks = own(Link::Shared);
    assert_eq!(own(Link::Static), casehooks);
    let flags = [C99, &["-DWITH_SQLITE"]].concat();
    for link in [Link::Static, Link::Shared] {
        let scene = Scene::new();
        let program = installed().compile(scene.path(), "tests/host_sqlite.c", "host", &flags, link);
        let both = ok(Command::new(program).arg(scene.path()));
        let (host, rest) = both.split_once('\n').unwrap();
        assert_eq!(rest, casehooks);
        let host = host.strip_prefix("host ").unwrap();
        assert_ne!(
            format!("casehook {host}\n"),
            casehooks,
            "the test needs two versions to tell them apart"
        );
    }
}

#[test]
fn exactly_the_listed_symbols_are_exported() {
    let lib = installed().lib();
    let global = |arguments: &[&str], file: &str| -> BTreeSet<String> {
        let text = ok(Command::new("nm").args(arguments).arg(lib.join(file)));
        let names = text.lines().filter_map(|line| line.split(' ').nth(2));
        names.map(str::to_owned).collect()
    };
    assert_eq!(global(&["-D", "--defined-only"], "libcasehook.so"), symbols());
    assert_eq!(global(&["-g", "--defined-only"], "libcasehook.a"), symbols());
}

#[test]
fn the_shared_library_has_its_name_and_stays_loaded() {
    let lib = installed().lib();
    let text = ok(Command::new("readelf").arg("-dW").arg(lib.join("libcasehook.so")));
    assert!(text.contains("soname: [libcasehook.so.0]"), "{text}");
    assert!(text.contains("NODELETE"), "{text}");
    let version = env!("CARGO_PKG_VERSION");
    let link = |name: &str| fs::read_link(lib.join(name)).unwrap();
    assert_eq!(link("libcasehook.so"), Path::new("libcasehook.so.0"));
    assert_eq!(
        link("libcasehook.so.0"),
        PathBuf::from(format!("libcasehook.so.{version}"))
    );

    let scene = Scene::new();
    let program = scene.path().join("unload");
    let mut compile = Command::new("cc");
    compile
        .args(C99)
        .arg(here("tests/unload.c"))
        .arg("-ldl")
        .arg("-o")
        .arg(&program);
    ok(compile.arg(format!("-I{}", installed().prefix.join("include").display())));
    ok(Command::new(program)
        .arg(scene.path())
        .arg(lib.join("libcasehook.so")));
}

#[test]
fn pkg_config_knows_the_library() {
    assert_eq!(
        installed().pkg_config(&["--modversion"]),
        [env!("CARGO_PKG_VERSION")]
    );
    let flags = installed().pkg_config(&["--cflags", "--libs"]);
    assert!(flags.contains(&"-lcasehook".to_owned()), "{flags:?}");
    assert!(
        !flags.contains(&"-lm".to_owned()),
        "private libraries are for static linking: {flags:?}"
    );
}

#[test]
fn cmake_finds_the_library() {
    if !there("cmake") {
        return;
    }
    let scene = Scene::new();
    let project = "cmake_minimum_required(VERSION 3.13)\nproject(host C)\nfind_package(casehook 0.1 REQUIRED)\n\
        add_executable(shared EXAMPLE)\ntarget_link_libraries(shared casehook::casehook)\n\
        add_executable(static EXAMPLE)\ntarget_link_libraries(static casehook::static)\n";
    let example = here("examples/push.c").display().to_string();
    fs::write(
        scene.path().join("CMakeLists.txt"),
        project.replace("EXAMPLE", &example),
    )
    .unwrap();
    let build = scene.path().join("build");
    let prefix = format!("-DCMAKE_PREFIX_PATH={}", installed().prefix.display());
    ok(Command::new("cmake")
        .arg("-S")
        .arg(scene.path())
        .arg("-B")
        .arg(&build)
        .arg(prefix));
    ok(Command::new("cmake").arg("--build").arg(&build));
    for program in ["shared", "static"] {
        let mut command = Command::new(build.join(program));
        let text = ok(command
            .arg(scene.path().join(program))
            .arg(scene.connector())
            .arg("t"));
        assert!(text.contains("is delivered"), "{text}");
    }
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

/// Prints what the interface costs; the README says how to run it.
#[test]
#[ignore = "measures; says little in a debug build or on a busy machine"]
fn figures() {
    use casehook_rs::{Agent, Case, Connector, Filter, Options};
    use std::time::Instant;

    let scene = Scene::new();
    let on_disk = tempfile::tempdir().unwrap();
    let file = |name: &str| on_disk.path().join(name);
    let connector = Connector::from_json(&scene.system.config().to_string()).unwrap();
    let pushes = size("CASEHOOK_C_PUSHES", 2000);
    let program = installed().compile(scene.path(), "tests/push_cost.c", "push_cost", C99, Link::Shared);

    // In turns, so that both meet the same disk.
    let (mut c, mut rust) = (Vec::new(), Vec::new());
    for round in 0..7 {
        let mut command = Command::new(&program);
        command
            .arg(file(&format!("c{round}.db")))
            .arg(scene.connector())
            .arg(pushes.to_string());
        c.push(ok(&mut command).trim().parse::<f64>().unwrap());
        let agent = Agent::open(file(&format!("rust{round}.db")), Options::new().drain(false)).unwrap();
        agent.configure("tracker", &connector).unwrap();
        let started = Instant::now();
        for _ in 0..pushes {
            let case = Case::new("Disk full")
                .id("host-7/disk")
                .description("95 % of /var is in use");
            agent
                .push(
                    "tracker",
                    &case.severity("high").tag("infra").comment("c1", "first look"),
                )
                .unwrap();
        }
        rust.push(started.elapsed().as_secs_f64() * 1e6 / pushes as f64);
    }
    let (c, rust) = (median(&mut c), median(&mut rust));
    println!(
        "push: Rust {rust:.1} us, C {c:.1} us, {:+.1} %",
        (c / rust - 1.0) * 100.0
    );

    let shared = fs::metadata(installed().lib().join("libcasehook.so"))
        .unwrap()
        .len();
    println!("libcasehook.so, stripped: {:.2} MB", shared as f64 / 1e6);

    let rows = size("CASEHOOK_C_ROWS", 1_000_000);
    let agent = Agent::open(file("rows.db"), Options::new().drain(false).max_queued(u64::MAX)).unwrap();
    agent.configure("tracker", &connector).unwrap();
    for start in (0..rows).step_by(10_000) {
        let cases: Vec<Case> = (start..rows.min(start + 10_000))
            .map(|number| Case::new("Disk full").id(format!("case-{number}")))
            .collect();
        agent.push_many("tracker", &cases).unwrap();
    }
    assert_eq!(
        agent.pushes(&Filter::new().limit(1)).unwrap()[0].id.get(),
        rows as i64
    );
    agent.close(std::time::Duration::from_secs(60)).unwrap();
    for (what, name) in [("new database", "new"), ("many rows", "rows")] {
        let mut times: Vec<f64> = (0..9)
            .map(|round| {
                let name = if name == "new" {
                    format!("new{round}.db")
                } else {
                    format!("{name}.db")
                };
                let mut command = Command::new(&program);
                ok(command.arg(file(&name)).arg("open").arg("0"))
                    .trim()
                    .parse()
                    .unwrap()
            })
            .collect();
        println!(
            "casehook_open, {what}: {:.2} ms ({rows} rows where many)",
            median(&mut times) / 1e3
        );
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
