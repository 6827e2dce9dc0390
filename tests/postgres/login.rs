//! How the server is come to: logins, and servers that are tried one after the other.

use std::net::TcpListener;

use casehook::{Agent, ErrorKind, Options};

use crate::database::{self, Server};

fn options() -> Options {
    Options::new().drain(false)
}

#[test]
fn a_password_is_given_in_the_url_and_what_is_wrong_with_a_login_is_said() {
    let Some(database) = Server::start(&["fsync=off", "password_encryption=scram-sha-256"]) else {
        return;
    };
    database.sql("CREATE ROLE app LOGIN SUPERUSER PASSWORD 'pa+ss w/rd'");
    let rules = database.file(
        "hba.conf",
        "host all app 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n",
    );
    database.down("fast");
    database.set(format!("hba_file={}", rules.display()));
    database.up();
    let url = |login: &str, parameters: &str| {
        format!(
            "postgres://{login}127.0.0.1:{}/postgres?schema=login{parameters}",
            database.port
        )
    };
    Agent::open(url("app:pa+ss%20w%2Frd@", ""), options()).unwrap();
    Agent::open(url("", "&user=app&password=pa+ss%20w%2frd"), options()).unwrap();
    for (url, words) in [
        (url("app:wrong@", ""), "does not accept the login"),
        (url("app@", ""), "asks for a password"),
        (url("app:pa+ss%20w%2Frd@", "&sslmode=require"), "speaks no TLS"),
    ] {
        let error = Agent::open(url, options()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Store, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn the_next_server_is_tried_when_one_is_silent() {
    let Some(database) = database::shared() else {
        return;
    };
    // Connections are made by the system, and nobody takes them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "postgres://casehook@127.0.0.1:{},127.0.0.1:{}/postgres?schema={}",
        silent.local_addr().unwrap().port(),
        database.port,
        database.schema()
    );
    let agent = Agent::open(&url, options()).unwrap();
    agent.stats().unwrap();
}
