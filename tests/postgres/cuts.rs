//! The network between agent and database is cut at every step: nothing is lost, and nothing comes twice.

use std::time::{Duration, Instant};

use casehook::{Agent, Case, ErrorKind, Options, PushId, PushState, PushStatus};

use crate::connector;
use crate::database;
use crate::proxy::Proxy;
use crate::server::Server;

const PATIENCE: Duration = Duration::from_secs(120);

fn options() -> Options {
    Options::new().key([7; 32]).workers(1)
}

/// Pushes until it is taken.
fn push(agent: &Agent, connector: &str, case: &Case) -> PushId {
    let started = Instant::now();
    loop {
        match agent.push(connector, case) {
            Ok(id) => return id,
            Err(error) => {
                assert!(error.is_retryable() && started.elapsed() < PATIENCE, "{error}");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

fn wait(agent: &Agent, id: PushId) -> PushStatus {
    let started = Instant::now();
    loop {
        match agent.wait(id, PATIENCE) {
            Ok(status) => return status,
            Err(error) => assert!(error.is_retryable() && started.elapsed() < PATIENCE, "{error}"),
        }
    }
}

#[test]
fn a_cut_at_any_step_leaves_room_for_the_next_push() {
    let Some(database) = database::shared() else {
        return;
    };
    let target = Server::start();
    let proxy = Proxy::to(database.port);
    let url = format!("{}&lease=600", database.url_at(proxy.port, &database.schema()));
    let agent = Agent::open(&url, options()).unwrap();
    agent
        .configure("alone", &connector::to(&target.url(), "alone"))
        .unwrap();
    let mut cuts = 0;
    for step in 0..25 {
        for answers_lost in [false, true] {
            proxy.cut_at(step, answers_lost);
            let id = push(
                &agent,
                "alone",
                &Case::new("1").id(format!("{step}{answers_lost}")),
            );
            let status = wait(&agent, id);
            assert_eq!(
                status.state,
                PushState::Delivered,
                "{step} {answers_lost}: {status:?}"
            );
            cuts += usize::from(proxy.was_cut());
            proxy.mend();
        }
    }
    assert!(cuts > 10, "{cuts}");
    agent.close(Duration::from_secs(5)).unwrap();
}

#[test]
fn a_cut_at_any_step_loses_nothing_and_repeats_nothing() {
    let Some(database) = database::shared() else {
        return;
    };
    let target = Server::start();
    let proxy = Proxy::to(database.port);
    let schema = database.schema();
    let url = format!("{}&lease=3", database.url_at(proxy.port, &schema));
    let agent = Agent::open(&url, options()).unwrap();
    agent
        .configure("keys", &connector::to(&target.url(), "keys"))
        .unwrap();
    let mut cuts = 0;
    for step in 0..60 {
        for answers_lost in [false, true] {
            let name = format!("c{step}{answers_lost}");
            proxy.cut_at(step, answers_lost);
            // Without case id nothing but the commit itself tells whether it was taken.
            let case = Case::new((step * 2 + i64::from(answers_lost)).to_string())
                .id(name.as_str())
                .comment("a", "first")
                .comment("b", "second");
            let id = push(&agent, "keys", &case);
            let status = wait(&agent, id);
            assert_eq!(
                status.state,
                PushState::Delivered,
                "{step} {answers_lost}: {status:?}"
            );
            cuts += usize::from(proxy.was_cut());
            proxy.mend();
            target.read(|record| {
                let made = record.incidents.iter().filter(|i| i.case == name).count();
                assert_eq!(made, 1, "{step} {answers_lost}: {:?}", record.log);
                let comments = record.comments.get(&format!("keys/{name}"));
                let comments = comments.map_or(0, Vec::len);
                assert!(comments == 2 || status.comments.iter().any(|c| c.state.as_str() == "uncertain"));
            });
        }
    }
    assert!(cuts > 20, "{cuts}");
    let pushes = agent.pushes(&casehook::Filter::new().limit(1000)).unwrap();
    assert_eq!(pushes.len(), 120, "each was stored once");
    agent.close(Duration::from_secs(5)).unwrap();
}

#[test]
fn a_database_that_is_away_is_a_retryable_error_and_work_goes_on_when_it_is_back() {
    let Some(database) = database::shared() else {
        return;
    };
    let target = Server::start();
    let proxy = Proxy::to(database.port);
    let schema = database.schema();
    let agent = Agent::open(
        format!("{}&lease=3", database.url_at(proxy.port, &schema)),
        options(),
    )
    .unwrap();
    agent
        .configure("keys", &connector::to(&target.url(), "keys"))
        .unwrap();
    proxy.close();
    let error = agent.push("keys", &Case::new("1").id("away")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(
        error.is_retryable() && error.to_string().contains("cannot be reached"),
        "{error}"
    );
    proxy.mend();
    let id = push(&agent, "keys", &Case::new("2").id("back"));
    assert_eq!(agent.wait(id, PATIENCE).unwrap().state, PushState::Delivered);
    proxy.close();
    let started = Instant::now();
    agent.close(Duration::from_secs(5)).unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "closing ends while the database is away"
    );
    let unreachable = Agent::open(database.url_at(proxy.port, &schema), options()).unwrap_err();
    assert_eq!(unreachable.kind(), ErrorKind::Busy);
}
