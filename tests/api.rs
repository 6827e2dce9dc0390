//! The agent as a host program uses it: every call, its meaning and its refusals.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::{Duration, Instant};

use casehook::{
    Agent, Case, CommentState, Connector, ConnectorHealth, Error, ErrorKind, FailureClass, Filter, Options,
    PushId, PushState, Settings, Step,
};
use serde_json::{Value, json};
use support::case_system::{CaseSystem, Fault};
use support::http::Reply;

const PATIENCE: Duration = Duration::from_secs(20);

struct Bench {
    system: CaseSystem,
    agent: Agent,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        Bench::with(Options::new(), |_| {})
    }

    /// A connector named `t` for a case system; `change` amends its config.
    fn with(options: Options, change: impl Fn(&mut Value)) -> Bench {
        let system = CaseSystem::start();
        let folder = support::temp_dir();
        let agent = Agent::open(folder.path().join("cases.db"), options).unwrap();
        let mut config = system.config();
        config["retry"] = json!({"baseMs": 10, "capMs": 50});
        change(&mut config);
        agent.configure("t", &connector(&config)).unwrap();
        Bench {
            system,
            agent,
            folder,
        }
    }

    fn push(&self, case: &Case) -> PushId {
        self.agent.push("t", case).unwrap()
    }

    fn state(&self, push: PushId) -> PushState {
        self.agent.wait(push, PATIENCE).unwrap().state
    }

    fn until(&self, push: PushId, state: PushState) {
        let deadline = Instant::now() + PATIENCE;
        while self.agent.status(push).unwrap().state != state {
            assert!(Instant::now() < deadline, "{:?}", self.agent.status(push));
            std::thread::yield_now();
        }
    }
}

fn connector(config: &Value) -> Connector {
    Connector::from_json(&json!({"config": config, "secrets": {}}).to_string()).unwrap()
}

fn refused<T: std::fmt::Debug>(result: Result<T, Error>, kind: ErrorKind, words: &[&str]) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "{word:?} is not in {error}");
    }
}

#[test]
fn a_case_is_created_updated_and_commented_on() {
    let bench = Bench::new();
    let first = Case::new("Disk full")
        .id("d")
        .description("80 %")
        .comment("c1", "seen");
    let push = bench.push(&first);
    let status = bench.agent.wait(push, PATIENCE).unwrap();
    assert_eq!(status.state, PushState::Delivered);
    assert_eq!(status.connector, "t");
    assert_eq!(status.case_id.as_deref(), Some("d"));
    assert_eq!(status.next_attempt_at, None);
    assert_eq!(status.comments.len(), 1);
    assert_eq!(status.comments[0].state, CommentState::Sent);
    let incident = bench.system.incidents().remove(0);
    assert_eq!(status.external_id.as_deref(), Some(incident.id.as_str()));
    assert_eq!(status.external_title.as_deref(), Some(incident.key.as_str()));
    assert!(
        status
            .external_url
            .unwrap()
            .ends_with(&format!("/browse/{}", incident.key))
    );

    let second = Case::new("Disk fuller")
        .id("d")
        .comment("c1", "seen")
        .comment("c2", "öä\u{1F600}");
    let push = bench.push(&second);
    let status = bench.agent.wait(push, PATIENCE).unwrap();
    let states: Vec<CommentState> = status.comments.iter().map(|c| c.state).collect();
    assert_eq!(states, [CommentState::Skipped, CommentState::Sent]);
    let incidents = bench.system.incidents();
    assert_eq!(incidents.len(), 1);
    assert_eq!(incidents[0].fields["title"], "Disk fuller");
    assert_eq!(incidents[0].comments.len(), 2);

    let link = bench.agent.link("t", "d").unwrap().unwrap();
    assert_eq!(link.external_id, incident.id);
    assert_eq!(bench.agent.link("t", "other").unwrap(), None);
    let steps: Vec<Step> = bench
        .agent
        .attempts(push)
        .unwrap()
        .iter()
        .map(|a| a.step)
        .collect();
    assert_eq!(steps, [Step::Update, Step::Get, Step::Comment]);
}

#[test]
fn without_a_case_id_every_push_creates() {
    let bench = Bench::new();
    for case in [Case::new("a"), Case::new("a"), Case::new("a").id("")] {
        assert_eq!(bench.state(bench.push(&case)), PushState::Delivered);
    }
    assert_eq!(bench.system.incidents().len(), 3);
}

#[test]
fn a_given_external_id_is_updated() {
    let bench = Bench::new();
    bench.state(bench.push(&Case::new("first").id("a")));
    let id = bench.system.incidents()[0].id.clone();
    let push = bench.push(&Case::new("second").external_id(id));
    assert_eq!(bench.state(push), PushState::Delivered);
    assert_eq!(bench.system.incidents().len(), 1);
    assert_eq!(bench.system.incidents()[0].fields["title"], "second");
    let push = bench.push(&Case::new("third").external_id("no such id"));
    let status = bench.agent.wait(push, PATIENCE).unwrap();
    assert_eq!(status.state, PushState::Failed);
    let error = status.error.unwrap();
    assert_eq!((error.step, error.http_status), (Step::Update, Some(404)));
    assert_eq!((error.kind, error.retryable), (FailureClass::Permanent, false));
}

#[test]
fn a_refused_push_leaves_no_row() {
    let bench = Bench::new();
    let long = "x".repeat(1024 * 1024);
    let mut many = Case::new("many");
    for number in 0..10_001 {
        many = many.comment(number.to_string(), "c");
    }
    let mut tagged = Case::new("tagged");
    for number in 0..1_001 {
        tagged = tagged.tag(number.to_string());
    }
    let mut deep = json!(0);
    for _ in 0..200 {
        deep = json!([deep]);
    }
    let refusals: [(Case, &[&str]); 5] = [
        (Case::new(long.clone()), &["incident.title", "1048576", "65536"]),
        (
            Case::new("t").description("x".repeat(5 * 1024 * 1024)),
            &["4194304"],
        ),
        (many, &["comments", "10001", "10000"]),
        (tagged, &["incident.tags", "1001", "1000"]),
        (Case::new("deep").field("f", deep), &["incident.fields", "64"]),
    ];
    for (case, words) in refusals {
        refused(bench.agent.push("t", &case), ErrorKind::Case, words);
    }
    let batch = [Case::new("fine"), Case::new(long)];
    refused(
        bench.agent.push_many("t", &batch),
        ErrorKind::Case,
        &["cases[1].incident.title"],
    );
    refused(
        bench.agent.push("nobody", &Case::new("x")),
        ErrorKind::NotFound,
        &["nobody", "t"],
    );
    assert_eq!(bench.agent.pushes(&Filter::new()).unwrap(), []);
    assert_eq!(bench.agent.push_many("t", &[]).unwrap(), []);
}

#[test]
fn the_largest_push_is_delivered() {
    let settings = Settings::from_json(r#"{"maxResponseContentLength": "8mb"}"#).unwrap();
    let bench = Bench::with(Options::new().settings(settings), |_| {});
    let mut case = Case::new("t".repeat(65_536))
        .id("big")
        .description("d".repeat(2_000_000));
    for number in 0..200 {
        case = case.comment(number.to_string(), "c".repeat(1_000));
    }
    assert_eq!(bench.state(bench.push(&case)), PushState::Delivered);
    assert_eq!(bench.system.incidents()[0].comments.len(), 200);
}

#[test]
fn a_refused_connector_is_not_stored() {
    let bench = Bench::new();
    let mut config = bench.system.config();
    config["createIncidentUrl"] = json!("ftp://x/");
    let parsed = Connector::from_json(&json!({"config": config}).to_string());
    refused(parsed, ErrorKind::Config, &["config.createIncidentUrl", "http"]);
    let mut config = bench.system.config();
    config["hasAuth"] = json!(true);
    refused(
        bench.agent.configure("u", &connector(&config)),
        ErrorKind::Config,
        &["secrets", "user", "password"],
    );
    for name in ["", "  ", "a\nb", &"n".repeat(129)] {
        let refusal = bench.agent.configure(name, &connector(&bench.system.config()));
        refused(refusal, ErrorKind::Config, &["name"]);
    }
    let names: Vec<_> = bench
        .agent
        .connectors()
        .unwrap()
        .iter()
        .map(|c| c.name().map(str::to_owned))
        .collect();
    assert_eq!(names, [Some("t".to_owned())]);
}

#[test]
fn hosts_off_the_list_are_refused_at_configure() {
    let system = CaseSystem::start();
    let folder = support::temp_dir();
    let settings = Settings::from_json(r#"{"allowedHosts": ["example.com"]}"#).unwrap();
    let agent = Agent::open(folder.path().join("a.db"), Options::new().settings(settings)).unwrap();
    refused(
        agent.configure("t", &connector(&system.config())),
        ErrorKind::Config,
        &["127.0.0.1", "allowedHosts"],
    );
}

#[test]
fn stored_secrets_are_kept_only_while_every_origin_stays() {
    let bench = Bench::new();
    let mut config = bench.system.config();
    config["hasAuth"] = json!(true);
    let secret = json!({"config": config, "secrets": {"user": "robot", "password": "hunter2!"}});
    bench
        .agent
        .configure("s", &Connector::from_json(&secret.to_string()).unwrap())
        .unwrap();
    // The same origin: the secrets stay.
    config["updateIncidentMethod"] = json!("patch");
    let same = Connector::from_json(&json!({"config": config}).to_string()).unwrap();
    bench.agent.configure("s", &same).unwrap();
    let push = bench.agent.push("s", &Case::new("x")).unwrap();
    assert_eq!(bench.state(push), PushState::Delivered);
    let authorization = bench.system.requests()[0]
        .header("authorization")
        .map(str::to_owned);
    assert_eq!(authorization.as_deref(), Some("Basic cm9ib3Q6aHVudGVyMiE="));
    // Another origin: whoever changes the document must know the secrets.
    config["getIncidentUrl"] = json!("http://127.0.0.2:9/{{{external.system.id}}}");
    let moved = Connector::from_json(&json!({"config": config}).to_string()).unwrap();
    refused(
        bench.agent.configure("s", &moved),
        ErrorKind::Config,
        &["secrets", "127.0.0.2"],
    );
    let stored = bench.agent.connector("s").unwrap();
    assert!(!stored.config_json().contains("127.0.0.2"));
    assert!(!format!("{stored:?}{}", stored.config_json()).contains("hunter2!"));
}

#[test]
fn failed_pushes_are_retried_from_the_step_that_failed_and_discarded() {
    let bench = Bench::new();
    bench
        .system
        .fail_next(1, Fault::Reply(Reply::json(201, &json!({"id": "77"}))));
    bench
        .system
        .fail_next(1, Fault::Reply(Reply::json(400, &json!({"error": "no"}))));
    let push = bench.push(&Case::new("x").id("a"));
    let status = bench.agent.wait(push, PATIENCE).unwrap();
    assert_eq!(status.state, PushState::Failed);
    assert_eq!(status.external_id.as_deref(), Some("77"));
    assert_eq!(status.error.as_ref().unwrap().step, Step::Get);
    refused(bench.agent.cancel(push), ErrorKind::State, &["discard"]);
    bench
        .system
        .fail_next(1, Fault::Reply(Reply::json(200, &json!({"key": "K-77"}))));
    bench.agent.retry(push).unwrap();
    let status = bench.agent.wait(push, PATIENCE).unwrap();
    assert_eq!((status.state, status.error), (PushState::Delivered, None));
    assert_eq!(status.external_title.as_deref(), Some("K-77"));
    let creates = bench
        .system
        .requests()
        .iter()
        .filter(|r| r.method == "POST")
        .count();
    assert_eq!(creates, 1);
    refused(bench.agent.retry(push), ErrorKind::State, &["delivered"]);
    refused(bench.agent.discard(push), ErrorKind::State, &["delivered"]);

    bench
        .system
        .fail_next(1, Fault::Reply(Reply::json(400, &json!({}))));
    let push = bench.push(&Case::new("y"));
    assert_eq!(bench.state(push), PushState::Failed);
    bench.agent.discard(push).unwrap();
    refused(
        bench.agent.status(push),
        ErrorKind::NotFound,
        &[&push.to_string()],
    );
}

#[test]
fn a_held_push_is_adopted_or_cancelled() {
    let bench = Bench::with(Options::new(), |config| {
        config["onUncertainCreate"] = json!("hold")
    });
    bench.system.fail_next(1, Fault::CutAfterActing);
    let push = bench.push(&Case::new("x").id("a").comment("c", "text"));
    let status = bench.agent.wait(push, PATIENCE).unwrap();
    assert_eq!(status.state, PushState::Held);
    let behind = bench.push(&Case::new("later").id("a"));
    assert!(status.error.unwrap().message.contains("adopt"));
    assert_eq!(bench.agent.status(behind).unwrap().state, PushState::Queued);
    assert!(!bench.agent.flush(PATIENCE).unwrap(), "nothing moves by itself");
    for id in ["", ".", ".."] {
        refused(bench.agent.adopt(push, id), ErrorKind::Argument, &["externalId"]);
    }
    let id = bench.system.incidents()[0].id.clone();
    bench.agent.adopt(push, &id).unwrap();
    assert_eq!(bench.state(push), PushState::Delivered);
    assert_eq!(bench.state(behind), PushState::Delivered);
    assert!(bench.agent.flush(PATIENCE).unwrap());
    let incidents = bench.system.incidents();
    assert_eq!((incidents.len(), incidents[0].comments.len()), (1, 1));
    assert_eq!(incidents[0].fields["title"], "later");

    bench.system.fail_next(1, Fault::CutAfterActing);
    let push = bench.push(&Case::new("y"));
    assert_eq!(bench.state(push), PushState::Held);
    bench.agent.cancel(push).unwrap();
    assert_eq!(bench.state(push), PushState::Cancelled);
    refused(bench.agent.adopt(push, "1"), ErrorKind::State, &["cancelled"]);
}

#[test]
fn a_paused_connector_accepts_and_waits_across_restarts() {
    let bench = Bench::new();
    bench.agent.pause("t").unwrap();
    let push = bench.push(&Case::new("x"));
    assert!(!bench.agent.flush(PATIENCE).unwrap());
    let status = bench.agent.status(push).unwrap();
    assert_eq!((status.state, status.next_attempt_at), (PushState::Queued, None));
    let path = bench.folder.path().join("cases.db");
    bench.agent.close(PATIENCE).unwrap();
    let agent = Agent::open(&path, Options::new()).unwrap();
    assert_eq!(
        agent.stats().unwrap().connectors[0].health,
        ConnectorHealth::Paused
    );
    assert!(!agent.flush(PATIENCE).unwrap());
    assert_eq!(bench.system.requests().len(), 0);
    agent.resume("t").unwrap();
    assert!(agent.flush(PATIENCE).unwrap());
    assert_eq!(agent.status(push).unwrap().state, PushState::Delivered);
    refused(agent.pause("nobody"), ErrorKind::NotFound, &["nobody"]);
}

#[test]
fn a_connector_with_undelivered_pushes_is_removed_only_with_them() {
    let bench = Bench::new();
    bench.agent.pause("t").unwrap();
    let push = bench.push(&Case::new("x").id("a"));
    refused(bench.agent.remove("t"), ErrorKind::State, &["t"]);
    bench.agent.remove_cancelling("t").unwrap();
    assert_eq!(bench.state(push), PushState::Cancelled);
    assert_eq!(bench.agent.status(push).unwrap().connector, "t");
    refused(bench.agent.connector("t"), ErrorKind::NotFound, &["\"t\""]);
    refused(bench.agent.remove("t"), ErrorKind::NotFound, &["\"t\""]);
    refused(
        bench.agent.push("t", &Case::new("x")),
        ErrorKind::NotFound,
        &["\"t\""],
    );
}

#[test]
fn links_survive_the_removal_of_their_connector() {
    let bench = Bench::new();
    bench.state(bench.push(&Case::new("x").id("a")));
    bench.agent.remove("t").unwrap();
    bench
        .agent
        .configure("t", &connector(&bench.system.config()))
        .unwrap();
    bench.state(bench.push(&Case::new("y").id("a")));
    assert_eq!(bench.system.incidents().len(), 1);
}

#[test]
fn configure_warns_of_links_that_lead_elsewhere() {
    let bench = Bench::new();
    bench.state(bench.push(&Case::new("x").id("a")));
    let other = CaseSystem::start();
    let warnings = bench.agent.configure("t", &connector(&other.config())).unwrap();
    let warning = warnings.iter().find(|w| w.message.contains("1 link"));
    assert!(warning.is_some(), "{warnings:?}");
    bench.state(bench.push(&Case::new("y").id("a")));
    assert_eq!((bench.system.incidents().len(), other.incidents().len()), (1, 1));
    let stored = bench.agent.connector("t").unwrap();
    assert_eq!(stored.warnings(), warnings);
}

#[test]
fn preview_shows_what_would_be_sent_and_sends_nothing() {
    let bench = Bench::with(Options::new(), |config| config["headers"] = json!({"X-A": "1"}));
    let case = Case::new("T \"q\"")
        .id("a b")
        .comment("c", "one")
        .comment("d", "");
    let requests = bench.agent.preview("t", &case).unwrap();
    let steps: Vec<Step> = requests.iter().map(|r| r.step).collect();
    assert_eq!(steps, [Step::Create, Step::Get, Step::Comment]);
    assert_eq!(requests[0].method, "POST");
    let body: Value = serde_json::from_str(requests[0].body.as_deref().unwrap()).unwrap();
    assert_eq!(body["title"], "T \"q\"");
    assert!(
        requests[0]
            .headers
            .iter()
            .any(|h| h.name == "X-A" && h.value == "1")
    );
    assert!(
        requests[1].url.ends_with("/issues/{external.system.id}"),
        "{}",
        requests[1].url
    );
    assert_eq!(bench.system.requests().len(), 0);
    assert_eq!(bench.agent.pushes(&Filter::new()).unwrap(), []);

    bench.state(bench.push(&case));
    let steps: Vec<Step> = bench
        .agent
        .preview("t", &case)
        .unwrap()
        .iter()
        .map(|r| r.step)
        .collect();
    assert_eq!(steps[..2], [Step::Update, Step::Get]);
    // What preview shows of a request that went out is what went out.
    let sent = bench.system.requests();
    assert_eq!(sent[0].method, requests[0].method);
    assert_eq!(
        String::from_utf8_lossy(&sent[0].body),
        requests[0].body.as_deref().unwrap()
    );
}

#[test]
fn a_test_runs_the_steps_and_leaves_nothing_here() {
    let bench = Bench::new();
    let report = bench
        .agent
        .test("t", &Case::new("x").id("a").comment("c", "one"))
        .unwrap();
    assert!(report.ok, "{report:?}");
    let steps: Vec<Step> = report.steps.iter().map(|s| s.step).collect();
    assert_eq!(steps, [Step::Create, Step::Get, Step::Comment]);
    assert_eq!(report.steps[0].answer.as_ref().unwrap().status, 201);
    assert_eq!(bench.system.incidents().len(), 1);
    assert_eq!(bench.agent.pushes(&Filter::new()).unwrap(), []);
    assert_eq!(bench.agent.link("t", "a").unwrap(), None);

    bench
        .system
        .fail_next(1, Fault::Reply(Reply::json(200, &json!({"number": 5}))));
    let report = bench.agent.test("t", &Case::new("x")).unwrap();
    assert!(!report.ok);
    assert_eq!(report.steps.len(), 1);
    assert!(
        report.steps[0].verdict.contains("number"),
        "{}",
        report.steps[0].verdict
    );
}

#[test]
fn stats_count_by_state_and_tell_health() {
    let bench = Bench::new();
    bench.state(bench.push(&Case::new("ok")));
    bench
        .system
        .fail_next(1, Fault::Reply(Reply::json(400, &json!({}))));
    bench.state(bench.push(&Case::new("bad")));
    bench
        .system
        .fail_next(1, Fault::Reply(Reply::json(401, &json!({}))));
    let push = bench.push(&Case::new("blocked"));
    assert!(!bench.agent.flush(PATIENCE).unwrap());
    let stats = bench.agent.stats().unwrap();
    let own = &stats.connectors[0];
    assert_eq!((own.delivered, own.failed, own.queued, own.held), (1, 1, 1, 0));
    assert!(matches!(own.health, ConnectorHealth::Blocked { .. }), "{own:?}");
    assert_eq!(own.oldest_at, Some(bench.agent.status(push).unwrap().created_at));
    assert!(stats.draining);
    assert_eq!(stats.drained_by, Some(std::process::id()));
    // A new configure probes at once.
    bench
        .agent
        .configure("t", &connector(&bench.system.config()))
        .unwrap();
    assert_eq!(bench.state(push), PushState::Delivered);
}

#[test]
fn pushes_are_listed_by_filter_newest_first() {
    let bench = Bench::new();
    bench.agent.pause("t").unwrap();
    let cases: Vec<Case> = (0..5).map(|n| Case::new("x").id(format!("case {n}"))).collect();
    let ids = bench.agent.push_many("t", &cases).unwrap();
    assert!(ids.is_sorted());
    let list = |filter: Filter| -> Vec<PushId> {
        bench
            .agent
            .pushes(&filter)
            .unwrap()
            .iter()
            .map(|p| p.id)
            .collect()
    };
    let newest: Vec<PushId> = ids.iter().rev().copied().collect();
    assert_eq!(list(Filter::new()), newest);
    assert_eq!(list(Filter::new().limit(2)), newest[..2]);
    assert_eq!(list(Filter::new().before(newest[1]).limit(2)), newest[2..4]);
    assert_eq!(list(Filter::new().case_id("case 3")), [ids[3]]);
    assert_eq!(
        list(Filter::new().state(PushState::Queued).connector("t")),
        newest
    );
    assert_eq!(list(Filter::new().state(PushState::Held)), []);
    assert_eq!(list(Filter::new().connector("nobody")), []);
}

#[test]
fn waiting_ends_at_its_time_and_follows_a_successor() {
    let bench = Bench::new();
    bench.agent.pause("t").unwrap();
    let first = bench.push(&Case::new("first").id("a"));
    refused(
        bench.agent.wait(first, Duration::from_millis(5)),
        ErrorKind::Timeout,
        &["queued"],
    );
    let second = bench.push(&Case::new("second").id("a"));
    let superseded = bench.agent.status(first).unwrap();
    assert_eq!(superseded.state, PushState::Superseded);
    assert_eq!(superseded.superseded_by, Some(second));
    bench.agent.resume("t").unwrap();
    let status = bench.agent.wait(first, Duration::MAX).unwrap();
    assert_eq!((status.id, status.state), (second, PushState::Delivered));
    assert_eq!(bench.system.incidents()[0].fields["title"], "second");
    refused(
        bench.agent.wait(PushId::from(999), PATIENCE),
        ErrorKind::NotFound,
        &["999"],
    );
}

#[test]
fn a_backup_is_a_whole_outbox() {
    let bench = Bench::new();
    bench.state(bench.push(&Case::new("x").id("a")));
    let copy = bench.folder.path().join("copy.db");
    bench.agent.backup(&copy).unwrap();
    refused(bench.agent.backup(&copy), ErrorKind::Argument, &["copy.db"]);
    let agent = Agent::open(&copy, Options::new().drain(false)).unwrap();
    assert_eq!(agent.link("t", "a").unwrap(), bench.agent.link("t", "a").unwrap());
}

#[test]
fn a_closed_agent_says_so_and_another_of_the_same_file_goes_on() {
    let bench = Bench::new();
    let path = bench.folder.path().join("cases.db");
    let other = Agent::open(&path, Options::new()).unwrap();
    bench.agent.close(PATIENCE).unwrap();
    bench.agent.close(PATIENCE).unwrap();
    refused(
        bench.agent.push("t", &Case::new("x")),
        ErrorKind::Closed,
        &["closed"],
    );
    refused(bench.agent.stats(), ErrorKind::Closed, &[]);
    let push = other.push("t", &Case::new("x")).unwrap();
    assert_eq!(other.wait(push, PATIENCE).unwrap().state, PushState::Delivered);
}

#[test]
fn an_agent_that_does_not_drain_only_stores() {
    let bench = Bench::with(Options::new().drain(false), |_| {});
    let push = bench.push(&Case::new("x"));
    assert!(!bench.agent.stats().unwrap().draining);
    assert_eq!(bench.agent.status(push).unwrap().state, PushState::Queued);
    // A second agent of the same file that drains gets it going.
    let drainer = Agent::open(bench.folder.path().join("cases.db"), Options::new()).unwrap();
    assert_eq!(bench.state(push), PushState::Delivered);
    drop(drainer);
}

#[test]
fn opening_refuses_what_cannot_work() {
    let folder = support::temp_dir();
    let open = |path: &str, options: Options| Agent::open(folder.path().join(path), options);
    refused(
        open("no/such/folder/x.db", Options::new()),
        ErrorKind::Store,
        &["no/such/folder"],
    );
    for workers in [0, 65] {
        refused(
            open("a.db", Options::new().workers(workers)),
            ErrorKind::Argument,
            &["workers"],
        );
    }
    std::fs::write(
        folder.path().join("text.db"),
        "this is no database, but a text of some length",
    )
    .unwrap();
    refused(open("text.db", Options::new()), ErrorKind::Corrupt, &["text.db"]);
    refused(Agent::open("/", Options::new()), ErrorKind::Argument, &["path"]);
    refused(Agent::open(folder.path(), Options::new()), ErrorKind::Store, &[]);
}

#[test]
fn the_queue_is_bounded_and_says_so() {
    let bench = Bench::with(Options::new().max_queued(3), |_| {});
    bench.agent.pause("t").unwrap();
    for number in 0..3 {
        bench.push(&Case::new("x").id(number.to_string()));
    }
    let full = bench.agent.push("t", &Case::new("x").id("one more"));
    assert!(full.as_ref().is_err_and(Error::is_retryable));
    refused(full, ErrorKind::QueueFull, &["3"]);
    // A push that takes another's place needs no room.
    bench.push(&Case::new("newer").id("0"));
    bench.agent.resume("t").unwrap();
    assert!(bench.agent.flush(PATIENCE).unwrap());
    bench.push(&Case::new("x").id("one more"));
}

#[test]
fn a_new_agent_resumes_what_an_earlier_one_left() {
    let bench = Bench::new();
    bench.system.down();
    let push = bench.push(&Case::new("x").id("a").comment("c", "one"));
    bench.until(push, PushState::Waiting);
    let status = bench.agent.status(push).unwrap();
    assert_eq!(status.attempts, 0, "what was not sent is not counted");
    assert_eq!(status.error.unwrap().kind, FailureClass::NotSent);
    bench.agent.close(PATIENCE).unwrap();
    bench.system.up();
    let agent = Agent::open(bench.folder.path().join("cases.db"), Options::new()).unwrap();
    assert_eq!(agent.wait(push, PATIENCE).unwrap().state, PushState::Delivered);
    assert_eq!(bench.system.incidents().len(), 1);
}
