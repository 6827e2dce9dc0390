//! What `make install` leaves: the libraries with their names and symbols, pkg-config, CMake, and no SQLite in the way.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{C99, Link, Scene, here, installed, make_install, ok, output, support, symbols, there};

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
fn cmake_finds_the_header_from_a_library_two_levels_deep() {
    if !there("cmake") {
        return;
    }
    let scene = Scene::new();
    let stage = scene.path().join("stage");
    ok(make_install()
        .args(["PREFIX=/usr", "LIBDIR=/usr/lib/x86_64-linux-gnu"])
        .arg(format!("DESTDIR={}", stage.display())));
    let config = stage.join("usr/lib/x86_64-linux-gnu/cmake/casehook");
    let project = "cmake_minimum_required(VERSION 3.13)\nproject(host C)\nfind_package(casehook 0.1 REQUIRED)\n\
        get_target_property(found casehook::casehook INTERFACE_INCLUDE_DIRECTORIES)\nmessage(STATUS \"at ${found}.\")\n";
    fs::write(scene.path().join("CMakeLists.txt"), project).unwrap();
    let text = ok(Command::new("cmake")
        .arg("-S")
        .arg(scene.path())
        .arg("-B")
        .arg(scene.path().join("build"))
        .arg(format!("-Dcasehook_DIR={}", config.display())));
    let expected = format!("at {}.", stage.join("usr/include").display());
    assert!(text.contains(&expected), "{text}");
}

#[test]
fn a_program_can_be_wholly_static() {
    let library = ok(Command::new("cc").arg("-print-file-name=libc.a"));
    if !Path::new(library.trim()).is_absolute() {
        eprintln!("SKIPPED, for there is no libc.a: apt-get install libc6-dev");
        return;
    }
    let scene = Scene::new();
    let flags = [C99, &["-static"]].concat();
    let program = installed().compile(scene.path(), "examples/push.c", "push", &flags, Link::Static);
    let headers = ok(Command::new("readelf").arg("-lW").arg(&program));
    assert!(!headers.contains("INTERP"), "{headers}");
    let mut command = Command::new(program);
    let text = ok(command
        .arg(scene.path().join("cases.db"))
        .arg(scene.connector())
        .arg("t"));
    assert!(text.contains("is delivered"), "{text}");
}

#[test]
fn a_place_may_have_a_space_in_it() {
    let place = support::temp_dir();
    let prefix = place.path().join("case hook");
    ok(make_install().arg(format!("PREFIX={}", prefix.display())));
    fs::copy(here("tests/header.cpp"), place.path().join("header.cpp")).unwrap();
    let line = "eval c++ -std=c++17 header.cpp $(pkg-config --cflags --libs casehook) -o header";
    ok(Command::new("sh")
        .args(["-c", line])
        .current_dir(place.path())
        .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig")));
    ok(Command::new(place.path().join("header")).env("LD_LIBRARY_PATH", prefix.join("lib")));
}

#[test]
fn a_relative_place_is_refused() {
    for place in ["PREFIX", "LIBDIR"] {
        let output = output(make_install().arg(format!("{place}=some/where")));
        let errors = String::from_utf8_lossy(&output.stderr);
        let told = format!("{place}=some/where is relative");
        assert!(!output.status.success() && errors.contains(&told), "{errors}");
        assert!(errors.contains("/some/where\n"), "{errors}");
    }
}

#[test]
fn the_bill_of_materials_tells_what_that_build_has() {
    let bill = |features: &[&str]| {
        ok(Command::new("python3")
            .arg(here("../sbom.py"))
            .arg("casehook-c")
            .args(features))
    };
    let names = ["des", "flate2", "pkcs12", "webpki-roots"].map(|name| format!("\"name\": \"{name}\""));
    let (whole, slim) = (bill(&[]), bill(&["--no-default-features"]));
    for name in &names {
        assert!(whole.contains(name) && !slim.contains(name), "{name}");
    }
    assert!(slim.contains("\"name\": \"rustls\""));
    let all = [
        "bundled-roots",
        "chacha20",
        "encrypted-keys",
        "gzip",
        "pkcs12",
        "presets",
    ];
    assert_eq!(bill(&[&["--no-default-features"], &all[..]].concat()), whole);
}

/// No Mac is at hand: this holds the order of the script's steps and what it writes, with stand-ins for that system's tools.
#[test]
fn the_script_for_a_mac_puts_the_library_without_a_static_one() {
    let place = support::temp_dir();
    let file = |name: &str| place.path().join(name);
    let (tools, built, prefix) = (file("tools"), file("built"), file("usr"));
    fs::create_dir(&tools).unwrap();
    fs::create_dir(&built).unwrap();
    fs::write(built.join("libcasehook.dylib"), "code").unwrap();
    let log = file("log");
    let tool = |name: &str, script: &str| {
        let path = tools.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let noted = |name: &str| format!("echo {name} \"$@\" >>{}", log.display());
    tool("uname", "echo Darwin");
    tool("strip", "cp \"$4\" \"$3\"");
    tool("install_name_tool", &noted("install_name_tool"));
    tool("codesign", &noted("codesign"));
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    ok(Command::new("sh")
        .arg(here("install.sh"))
        .arg(&built)
        .env("PATH", path)
        .env("PREFIX", &prefix)
        .env_remove("DESTDIR")
        .env_remove("LIBDIR"));

    let lib = prefix.join("lib");
    let version = env!("CARGO_PKG_VERSION");
    let read = |name: &str| fs::read_to_string(lib.join(name)).unwrap();
    assert_eq!(read("libcasehook.dylib"), "code");
    assert_eq!(
        fs::read_link(lib.join("libcasehook.0.dylib")).unwrap(),
        PathBuf::from(format!("libcasehook.{version}.dylib"))
    );
    assert!(!lib.join("libcasehook.a").exists());
    assert!(!read("pkgconfig/casehook.pc").contains(".a"));
    let cmake = read("cmake/casehook/casehookConfig.cmake");
    assert!(cmake.contains(&format!("libcasehook.{version}.dylib")), "{cmake}");
    assert!(!cmake.contains("casehook::static STATIC"), "{cmake}");
    let steps = fs::read_to_string(log).unwrap();
    let mut steps = steps.lines();
    let named = format!("install_name_tool -id {}/libcasehook.0.dylib ", lib.display());
    assert!(steps.next().unwrap().starts_with(&named));
    assert!(steps.next().unwrap().starts_with("codesign --force --sign - "));
}

#[test]
fn the_script_says_what_it_lacks() {
    let place = support::temp_dir();
    let output = output(Command::new("sh").arg(here("install.sh")).arg(place.path()));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && errors.contains("cargo build -p casehook-c"),
        "{errors}"
    );
}
