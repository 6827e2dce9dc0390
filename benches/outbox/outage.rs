//! A target that is away while every case changes again and again: what it is sent afterwards, and what the
//! outbox takes on the disk.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use casehook::{Case, Options};

use crate::raw::live_size;
use crate::report::{Aim, Report};
use crate::server::Server;
use crate::{agent, case, connector};

const CASES: usize = 1_000;
const UPDATES: usize = 100;

pub(crate) fn run(report: &mut Report, memory: &Path) {
    let dir = tempfile::tempdir_in(memory).unwrap();
    let path = dir.path().join("outbox.db");
    // An address that refuses connections until something listens there again.
    let address = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let origin = format!("http://{address}");

    let pushing = agent(&path, Options::default(), &origin);
    for update in 0..UPDATES {
        let cases: Vec<Case> = (0..CASES)
            .map(|number| case(number).description(format!("seen {update} times")))
            .collect();
        pushing.push_many("t", &cases).unwrap();
    }
    pushing.close(Duration::from_secs(5)).unwrap();
    let size = std::fs::metadata(&path).unwrap().len() as f64;
    let live = live_size(&path, &dir.path().join("copy.db"));

    let server = Server::on(TcpListener::bind(address).unwrap(), Duration::ZERO);
    let draining = agent(&path, Options::default(), &origin);
    // Configured again, it does not wait for its next look whether the target is back.
    draining.configure("t", &connector(&origin)).unwrap();
    assert!(draining.flush(Duration::from_secs(600)).unwrap());
    draining.close(Duration::from_secs(5)).unwrap();
    let seen = server.take_seen();

    let what = |of: &str| format!("{CASES} cases, {UPDATES} updates offline: {of}");
    report.figure(
        &what("creates"),
        "",
        Aim::AtMost(CASES as f64),
        &[seen.creates as f64],
    );
    report.figure(&what("updates"), "", Aim::AtMost(0.0), &[seen.updates as f64]);
    report.figure(&what("outbox file"), "MB", Aim::None, &[size / 1e6]);
    report.figure(
        &what("file to its live data"),
        "",
        Aim::AtMost(2.0),
        &[size / live],
    );
}
