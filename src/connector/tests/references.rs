//! Secrets from files and variables: what is casehook's own, or no file, is refused whatever the host allows.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use zeroize::Zeroizing;

use super::super::reference::{check_file, check_variable, read_file};
use super::super::{OwnFiles, SecretSources};

const AT: &str = "secrets.password";

fn sources(folder: &Path) -> SecretSources {
    SecretSources {
        env: vec![
            "CASEHOOK_KEY".into(),
            "CASEHOOK_NEW_KEY".into(),
            "CASEHOOK_DB".into(),
        ],
        dir: Some(folder.to_owned()),
        own: OwnFiles {
            databases: vec![folder.join("a.db")],
            key: Some(Zeroizing::new([0xab; 32])),
        },
    }
}

fn refused(path: &str, sources: &SecretSources) {
    for result in [
        check_file(AT, path, sources),
        read_file(AT, path, sources).map(drop),
    ] {
        let error = result.expect_err(path);
        assert_eq!(error.field(), Some(AT), "{path}");
        assert!(error.message().contains("not allow"), "{path}: {error}");
    }
}

#[test]
fn files_of_the_database_are_refused_under_any_name() {
    let folder = tempfile::tempdir().unwrap();
    let sources = sources(folder.path());
    let own = [
        "a.db",
        "a.db-wal",
        "a.db-shm",
        "a.db.key",
        "a.db.key.new",
        "a.db.key.new.0123456789abcdef.new",
        "a.db.lock",
    ];
    for name in own {
        fs::write(folder.path().join(name), "text").unwrap();
        refused(name, &sources);
    }
    symlink("a.db.key", folder.path().join("link")).unwrap();
    refused("link", &sources);
    for name in ["a.db", "a.db.key", "a.db.key.new"] {
        fs::hard_link(
            folder.path().join(name),
            folder.path().join(format!("{name} too")),
        )
        .unwrap();
    }
    refused("a.db too", &sources);
    refused("a.db.key too", &sources);
    refused("a.db.key.new too", &sources);
    fs::write(folder.path().join("a.db.password"), "hush").unwrap();
    assert_eq!(read_file(AT, "a.db.password", &sources).unwrap().as_str(), "hush");
}

#[test]
fn the_key_that_the_host_gave_is_refused_wherever_it_lies() {
    let folder = tempfile::tempdir().unwrap();
    let sources = sources(folder.path());
    let standard = "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=";
    let url_safe = standard.trim_end_matches('=');
    for text in [&"ab".repeat(32), &"AB".repeat(32), standard, url_safe] {
        fs::write(folder.path().join("k"), format!("{text}\n")).unwrap();
        let error = read_file(AT, "k", &sources).unwrap_err();
        assert!(error.message().contains("not allow"), "{error}");
    }
    fs::write(folder.path().join("k"), "cd".repeat(32)).unwrap();
    read_file(AT, "k", &sources).unwrap();
}

#[test]
fn what_is_no_file_is_refused_and_nobody_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let sources = sources(folder.path());
    let pipe = folder.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    for name in ["pipe", "folder"] {
        for result in [
            check_file(AT, name, &sources),
            read_file(AT, name, &sources).map(drop),
        ] {
            let error = result.expect_err(name);
            assert!(error.message().contains("no ordinary file"), "{name}: {error}");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn nothing_of_a_process_is_a_secret() {
    let sources = SecretSources {
        dir: Some("/".into()),
        ..SecretSources::default()
    };
    refused("/proc/self/environ", &sources);
}

#[test]
fn variables_of_casehook_are_refused_and_no_name_is_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let sources = sources(folder.path());
    for name in [
        "CASEHOOK_KEY",
        "CASEHOOK_NEW_KEY",
        "CASEHOOK_DB",
        "hunter2-secret",
    ] {
        let error = check_variable(AT, name, &sources).unwrap_err();
        assert!(!error.to_string().contains(name), "{error}");
    }
    let error = check_file(AT, "hunter2-secret", &sources).unwrap_err();
    assert!(!error.to_string().contains("hunter2"), "{error}");
    assert!(error.message().contains("cannot be read"), "{error}");
}
