//! The network between agent and database is cut at every step: nothing is lost, and nothing comes twice.

use std::time::{Duration, Instant};

use casehook::{Agent, Case, ErrorKind, Options, PushId, PushState, PushStatus};

use crate::connector;
use crate::database;
use crate::proxy::Proxy;
use crate::server::Server;

const PATIENCE: Duration = Duration::from_secs(120);

/// An agent whose way to the database can be cut, and what it delivers to.
struct Scene {
    target: Server,
    proxy: Proxy,
    url: String,
    agent: Agent,
}

impl Scene {
    fn new(lease: u32, connector: &'static str) -> Option<Scene> {
        let database = database::shared()?;
        let target = Server::start();
        let proxy = Proxy::to(database.port);
        let url = format!(
            "{}&lease={lease}",
            database.url_at(proxy.port, &database.schema())
        );
        let agent = Agent::open(&url, options()).unwrap();
        agent
            .configure(connector, &connector::to(&target.url(), connector))
            .unwrap();
        Some(Scene {
            target,
            proxy,
            url,
            agent,
        })
    }

    /// Pushes a case for each of so many messages on the way and both directions to cut it in, until it is delivered; how
    /// many cuts came. A case has a name and a number that grows.
    fn cut_at_each(
        &self,
        messages: i64,
        connector: &str,
        case: impl Fn(&str, i64) -> Case,
        check: impl Fn(&str, &PushStatus),
    ) -> usize {
        let mut cuts = 0;
        for n in 0..messages * 2 {
            let (message, answer_lost) = (n / 2, n % 2 == 1);
            let name = format!("c{message}{answer_lost}");
            self.proxy.cut_at(message, answer_lost);
            let id = self.push(connector, &case(&name, n));
            let status = self.wait(id);
            assert_eq!(status.state, PushState::Delivered, "{name}: {status:?}");
            cuts += usize::from(self.proxy.was_cut());
            self.proxy.mend();
            check(&name, &status);
        }
        cuts
    }

    /// Pushes until it is taken.
    fn push(&self, connector: &str, case: &Case) -> PushId {
        again(|| self.agent.push(connector, case))
    }

    fn wait(&self, id: PushId) -> PushStatus {
        again(|| self.agent.wait(id, PATIENCE))
    }
}

/// Calls until it is done, as long as that may help.
fn again<T>(call: impl Fn() -> casehook::Result<T>) -> T {
    let started = Instant::now();
    loop {
        match call() {
            Ok(done) => return done,
            Err(error) => assert!(error.is_retryable() && started.elapsed() < PATIENCE, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn options() -> Options {
    Options::new().key([7; 32]).workers(1)
}

#[test]
fn a_cut_at_any_step_leaves_room_for_the_next_push() {
    let Some(scene) = Scene::new(600, "alone") else {
        return;
    };
    let case = |name: &str, n: i64| Case::new(n.to_string()).id(name);
    let cuts = scene.cut_at_each(25, "alone", case, |_, _| {});
    assert!(cuts > 10, "{cuts}");
    scene.agent.close(Duration::from_secs(5)).unwrap();
}

#[test]
fn a_cut_at_any_step_loses_nothing_and_repeats_nothing() {
    let Some(scene) = Scene::new(3, "keys") else {
        return;
    };
    let case = |name: &str, n: i64| {
        let case = Case::new(n.to_string()).id(name);
        case.comment("a", "first").comment("b", "second")
    };
    let cuts = scene.cut_at_each(60, "keys", case, |name, status| {
        scene.target.read(|record| {
            let made = record.incidents.iter().filter(|i| i.case == name).count();
            assert_eq!(made, 1, "{name}: {:?}", record.log);
            let comments = record.comments.get(&format!("keys/{name}"));
            let comments = comments.map_or(0, Vec::len);
            assert!(comments == 2 || status.comments.iter().any(|c| c.state.as_str() == "uncertain"));
        });
    });
    assert!(cuts > 20, "{cuts}");
    let pushes = scene.agent.pushes(&casehook::Filter::new().limit(1000)).unwrap();
    assert_eq!(pushes.len(), 120, "each was stored once");
    scene.agent.close(Duration::from_secs(5)).unwrap();
}

#[test]
fn a_database_that_is_away_is_a_retryable_error_and_work_goes_on_when_it_is_back() {
    let Some(scene) = Scene::new(3, "keys") else {
        return;
    };
    scene.proxy.close();
    let error = scene.agent.push("keys", &Case::new("1").id("away")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(
        error.is_retryable() && error.to_string().contains("cannot be reached"),
        "{error}"
    );
    scene.proxy.mend();
    let id = scene.push("keys", &Case::new("2").id("back"));
    assert_eq!(scene.wait(id).state, PushState::Delivered);
    scene.proxy.close();
    let started = Instant::now();
    scene.agent.close(Duration::from_secs(5)).unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "closing ends while the database is away"
    );
    let unreachable = Agent::open(&scene.url, options()).unwrap_err();
    assert_eq!(unreachable.kind(), ErrorKind::Busy);
}
