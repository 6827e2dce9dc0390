//! The library as `make install` puts it, and what compiles and runs C programs against it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

#[path = "../../../../tests/support/mod.rs"]
pub mod support;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use support::case_system::CaseSystem;

pub const C99: &[&str] = &[
    "-std=c99",
    "-pedantic",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-g",
    "-pthread",
];
pub const CPP17: &[&str] = &[
    "-std=c++17",
    "-pedantic",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-g",
    "-pthread",
];
pub const SANITIZERS: &[&str] = &[
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
];
#[derive(Clone, Copy, PartialEq)]
pub enum Link {
    Shared,
    Static,
}

/// The library as `make install` puts it, built once for the whole test program.
pub struct Installed {
    pub prefix: PathBuf,
}

pub fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The cargo profile of this test program, by which the library is built too.
pub fn profile() -> &'static str {
    if cfg!(debug_assertions) { "dev" } else { "release" }
}

/// Where cargo put this program's build of the library.
pub fn build_dir() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    target.join(if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    })
}

/// `make install` in the project's directory, with a build as this one in place of the long one.
pub fn make_install() -> Command {
    let target = build_dir().parent().unwrap().to_owned();
    let mut make = Command::new("make");
    make.args(["--no-print-directory", "install"]);
    make.arg(format!("PROFILE={}", profile()));
    make.arg(format!("CARGO={}", env!("CARGO")));
    make.env("CARGO_TARGET_DIR", target).current_dir(here("../.."));
    // What a make that runs the tests says of its own.
    for name in ["MAKEFLAGS", "MFLAGS", "MAKELEVEL", "PREFIX", "DESTDIR", "LIBDIR"] {
        make.env_remove(name);
    }
    make
}

pub fn installed() -> &'static Installed {
    static INSTALLED: OnceLock<Installed> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(env!("CARGO_CRATE_NAME"));
        let _ = fs::remove_dir_all(&root);
        let mut destdir = OsString::from("DESTDIR=");
        destdir.push(&root);
        ok(make_install().arg("PREFIX=/opt/casehook").arg(destdir));
        Installed {
            prefix: root.join("opt/casehook"),
        }
    })
}

impl Installed {
    pub fn lib(&self) -> PathBuf {
        self.prefix.join("lib")
    }

    /// What pkg-config prints for the tree in its present place.
    pub fn pkg_config(&self, arguments: &[&str]) -> Vec<String> {
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
    pub fn compile(&self, place: &Path, source: &str, name: &str, flags: &[&str], link: Link) -> PathBuf {
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
pub struct Scene {
    pub place: tempfile::TempDir,
    pub system: CaseSystem,
}

impl Scene {
    pub fn new() -> Scene {
        let place = support::temp_dir();
        let system = CaseSystem::start();
        fs::write(place.path().join("connector.json"), system.config().to_string()).unwrap();
        Scene { place, system }
    }

    pub fn path(&self) -> &Path {
        self.place.path()
    }

    pub fn connector(&self) -> PathBuf {
        self.path().join("connector.json")
    }

    /// Runs a program of the usual two arguments.
    pub fn run(&self, program: &Path, wrapper: &[&str]) {
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

pub fn output(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Standard output of what must succeed.
pub fn ok(command: &mut Command) -> String {
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

pub fn there(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").output().is_ok();
    if !found {
        eprintln!("SKIPPED, for there is no {tool}: apt-get install {tool}");
    }
    found
}

pub fn size(name: &str, small: usize) -> usize {
    std::env::var(name).map_or(small, |value| value.parse().expect("a number"))
}

/// The names in `symbols.txt`.
pub fn symbols() -> BTreeSet<String> {
    let text = fs::read_to_string(here("symbols.txt")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect()
}
