//! The mistakes that people make with a connector: `test` shows what happened and says what to change.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;

use base64::Engine as _;
use casehook::{Agent, Case, Connector, ErrorKind, Options, Settings, TestReport, TestStep};
use serde_json::{Value, json};
use support::http::Reply;
use support::scripted::{Line, Scripted};
use support::tls::Tls;

fn config(base: &str) -> Value {
    json!({
        "createIncidentUrl": format!("{base}/api/issues"),
        "createIncidentJson": r#"{"title":{{{case.title}}},"text":{{{case.description}}},"labels":{{{case.tags}}}}"#,
        "createIncidentResponseKey": "id",
        "getIncidentUrl": format!("{base}/api/issues/{{{{{{external.system.id}}}}}}"),
        "getIncidentResponseExternalTitleKey": "title",
        "viewIncidentUrl": format!("{base}/issues/{{{{{{external.system.id}}}}}}"),
        "updateIncidentUrl": format!("{base}/api/issues/{{{{{{external.system.id}}}}}}"),
        "updateIncidentJson": r#"{"title":{{{case.title}}},"text":{{{case.description}}}}"#,
        "createCommentUrl": format!("{base}/api/issues/{{{{{{external.system.id}}}}}}/comments"),
        "createCommentMethod": "post",
        "createCommentJson": r#"{"text":{{{case.comment}}}}"#,
        "hasAuth": false,
    })
}

fn case() -> Case {
    Case::new("Disk full")
        .description("95 %")
        .tag("infra")
        .comment("c1", "first look")
}

struct Bench {
    agent: Agent,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new(config: &Value, secrets: Value, settings: Value) -> Bench {
        let folder = support::temp_dir();
        let settings = Settings::from_json(&settings.to_string()).unwrap();
        let options = Options::new().drain(false).settings(settings);
        let agent = Agent::open(folder.path().join("cases.db"), options).unwrap();
        let document = json!({"config": config, "secrets": secrets}).to_string();
        agent
            .configure("t", &Connector::from_json(&document).unwrap())
            .unwrap();
        Bench {
            agent,
            _folder: folder,
        }
    }

    fn run(&self, case: &Case) -> TestReport {
        self.agent.test("t", case).unwrap()
    }
}

/// The last step of a trial against these answers.
fn trial(replies: Vec<Reply>, case: &Case, change: impl Fn(&mut Value)) -> TestStep {
    with_secrets(replies, case, json!({}), change)
}

fn with_secrets(replies: Vec<Reply>, case: &Case, secrets: Value, change: impl Fn(&mut Value)) -> TestStep {
    let server = Scripted::start(replies.into_iter().map(Line::from));
    let mut config = config(&server.base());
    change(&mut config);
    let report = Bench::new(&config, secrets, json!({})).run(case);
    report.steps.into_iter().next_back().unwrap()
}

fn html(status: u16, body: &str) -> Reply {
    Reply {
        body: body.as_bytes().to_vec(),
        ..Reply::empty(status)
    }
    .with("Content-Type", "text/html; charset=utf-8")
}

#[track_caller]
fn says(step: &TestStep, words: &[&str]) {
    let suggestion = step
        .suggestion
        .as_deref()
        .unwrap_or_else(|| panic!("nothing suggested: {step:?}"));
    for words in words {
        assert!(
            suggestion.contains(words),
            "{words:?} is not in: {suggestion}\n{step:?}"
        );
    }
}

#[test]
fn a_wrong_path_shows_the_paths_that_there_are() {
    let answer = json!({"data": {"id": 7, "attributes": {"title": "Disk full"}}, "links": {"self": "/x"}});
    let step = trial(vec![Reply::json(201, &answer)], &case(), |_| {});
    assert!(!step.ok);
    says(
        &step,
        &[
            "set createIncidentResponseKey to `data.id`",
            "`data.attributes.title`",
            "`links.self`",
        ],
    );

    let step = trial(
        vec![Reply::json(201, &json!({"id": 7})), Reply::json(200, &answer)],
        &case(),
        |_| {},
    );
    says(
        &step,
        &["set getIncidentResponseExternalTitleKey to `data.attributes.title`"],
    );
}

#[test]
fn an_id_or_title_that_is_an_object_is_gone_into() {
    let step = trial(
        vec![Reply::json(201, &json!({"id": {"value": "A-1", "type": "x"}}))],
        &case(),
        |_| {},
    );
    says(&step, &["set createIncidentResponseKey to `id.value`"]);
    let step = trial(
        vec![Reply::json(201, &json!({"id": null, "key": "A-1"}))],
        &case(),
        |_| {},
    );
    says(&step, &["such as `key`"]);
    let get = json!({"title": {"rendered": "Disk full"}});
    let step = trial(
        vec![Reply::json(201, &json!({"id": 7})), Reply::json(200, &get)],
        &case(),
        |_| {},
    );
    says(
        &step,
        &["set getIncidentResponseExternalTitleKey to `title.rendered`"],
    );
}

#[test]
fn a_page_for_people_is_told_from_an_api() {
    let login = html(
        200,
        "<!DOCTYPE html><html><form>User <input type=password></form></html>",
    );
    says(
        &trial(vec![login], &case(), |_| {}),
        &[
            "this is a login page",
            "createIncidentUrl is not the address of the API",
        ],
    );
    let page = html(200, "<html><body>Welcome</body></html>");
    says(
        &trial(vec![page], &case(), |_| {}),
        &["this is a page for people"],
    );
}

/// A reply to a create with this body under this media type.
fn typed(media_type: &str, body: &str) -> Reply {
    Reply {
        body: body.as_bytes().to_vec(),
        ..Reply::empty(201)
    }
    .with("Content-Type", media_type)
}

#[test]
fn pages_are_known_however_they_begin() {
    for begin in [
        "<!-- built by x --><!DOCTYPE html><html>",
        "<?xml version=\"1.0\"?>\n<!DOCTYPE html PUBLIC \"x\"><html>",
        "\u{feff}<!doctype html><html>",
        "<head><title>Welcome</title></head>",
    ] {
        let page = html(200, begin);
        says(
            &trial(vec![page], &case(), |_| {}),
            &["this is a page for people"],
        );
    }
}

#[test]
fn answers_of_another_media_type() {
    let step = trial(vec![typed("text/plain", "{\"id\":7}")], &case(), |_| {});
    says(
        &step,
        &[
            "the answer is JSON, labelled text/plain",
            "Accept: application/json",
        ],
    );
    let step = trial(vec![typed("text/html", "\u{feff}{\"id\":7}")], &case(), |_| {});
    says(&step, &["the answer is JSON, labelled text/html"]);
    let step = trial(
        vec![typed("application/xml", "<?xml version=\"1.0\"?><id>7</id>")],
        &case(),
        |_| {},
    );
    says(&step, &["the answer is XML", ".json"]);
    assert!(!step.verdict.contains("login"), "{}", step.verdict);
    let step = trial(vec![typed("text/plain", "Ticket 7 created")], &case(), |_| {});
    says(&step, &["the answer is text/plain", "createIncidentUrl"]);
    assert!(!step.verdict.contains("login"), "{}", step.verdict);
    let step = trial(
        vec![typed("application/json", "Ticket 7 created")],
        &case(),
        |_| {},
    );
    says(&step, &["says that it is JSON and is none"]);
}

#[test]
fn a_connection_that_ends_before_the_answer() {
    let base = raw_server(b"");
    let report = Bench::new(&config(&base), json!({}), json!({})).run(&case());
    says(&report.steps[0], &["look there first"]);
}

#[test]
fn an_address_that_is_not_there() {
    let not_found = || Reply::json(404, &json!({"message": "No route"}));
    let step = trial(vec![not_found()], &case(), |config| {
        let url = format!("{}/", config["createIncidentUrl"].as_str().unwrap());
        config["createIncidentUrl"] = url.into();
    });
    says(&step, &["try createIncidentUrl without the slash at its end"]);
    says(
        &trial(vec![not_found()], &case(), |_| {}),
        &["compare createIncidentUrl", "It said: No route"],
    );
    let step = trial(
        vec![Reply::json(201, &json!({"id": 7})), not_found()],
        &case(),
        |_| {},
    );
    says(
        &step,
        &[
            "compare getIncidentUrl",
            "createIncidentResponseKey may lead to the wrong one",
        ],
    );
}

#[test]
fn media_types() {
    let refused = || Reply::empty(415);
    says(
        &trial(vec![refused()], &case(), |_| {}),
        &["createIncidentHeaders", "application/json-patch+json"],
    );
    let step = trial(
        vec![refused().with("Accept-Post", "application/vnd.api+json")],
        &case(),
        |_| {},
    );
    says(&step, &["to application/vnd.api+json"]);
    let step = trial(vec![refused()], &case(), |config| {
        config["headers"] = json!({"Content-Type": "text/plain"});
    });
    says(&step, &["sent as text/plain", "to application/json"]);
    says(
        &trial(vec![Reply::empty(406)], &case(), |_| {}),
        &["set Accept in headers", ".json"],
    );
}

#[test]
fn credentials_that_are_missing_or_of_the_wrong_scheme() {
    let refused = || Reply::empty(401).with("WWW-Authenticate", "Bearer realm=\"api\"");
    let step = trial(vec![refused()], &case(), |_| {});
    says(
        &step,
        &["asks for Bearer", "no credentials were sent", "secretHeaders"],
    );
    let basic = json!({"user": "u", "password": "hunter2-long"});
    let step = with_secrets(vec![refused()], &case(), basic, |config| {
        config["hasAuth"] = true.into()
    });
    says(
        &step,
        &[
            "asks for Bearer",
            "Authorization was sent and refused",
            "\"Token token=TOKEN\"",
        ],
    );
    assert!(!format!("{step:?}").contains("hunter2"));
    let key = json!({"secretHeaders": {"X-API-Key": "hunter2-long"}});
    let step = with_secrets(vec![Reply::empty(401)], &case(), key, |_| {});
    says(&step, &["a secret header was sent and refused"]);
}

#[test]
fn rights_and_guards() {
    let step = trial(
        vec![Reply::json(403, &json!({"error": "read only"}))],
        &case(),
        |_| {},
    );
    says(&step, &["the right to create records", "It said: read only"]);
    let created = || Reply::json(201, &json!({"id": 7}));
    let read = || Reply::json(200, &json!({"title": "T"}));
    let step = trial(vec![created(), read(), Reply::empty(403)], &case(), |_| {});
    says(&step, &["comment on them"]);
    let step = trial(
        vec![Reply::json(
            400,
            &json!({"message": "Request must contain a kbn-xsrf header."}),
        )],
        &case(),
        |_| {},
    );
    says(&step, &["cross-site requests", "kbn-xsrf: true"]);
}

#[test]
fn redirects_of_a_write() {
    let moved = |status, to: &str| Reply::empty(status).with("Location", to);
    let step = trial(vec![moved(301, "https://127.0.0.1/api/issues")], &case(), |_| {});
    says(&step, &["write https:// in createIncidentUrl"]);
    let step = trial(vec![moved(301, "/api/issues/")], &case(), |_| {});
    says(&step, &["end the path in createIncidentUrl with a slash"]);
    let step = trial(vec![moved(302, "/login?next=/api/issues")], &case(), |_| {});
    says(&step, &["login page"]);
    let step = trial(vec![moved(303, "/v2/issues")], &case(), |_| {});
    says(&step, &["put the new address into createIncidentUrl"]);
}

#[test]
fn what_the_target_says_of_the_body() {
    let refuse = |status, body: Value| trial(vec![Reply::json(status, &body)], &case(), |_| {});
    let jira = json!({"errorMessages": [], "errors": {"labels": "Field 'labels' cannot be set. It is not on the appropriate screen, or unknown."}});
    says(
        &refuse(400, jira),
        &[
            "does not take the key `labels`",
            "createIncidentJson",
            "cannot be set",
        ],
    );
    let rails = json!({"errors": ["Tracker can't be blank"]});
    says(
        &refuse(422, rails),
        &[
            "needs something that createIncidentJson does not give",
            "It said: Tracker can't be blank",
        ],
    );
    let django = json!({"title": ["Ensure this field has no more than 200 characters."]});
    says(
        &refuse(400, django),
        &[
            "maxLengths",
            "title: Ensure this field has no more than 200 characters.",
        ],
    );
    says(
        &refuse(422, json!({"error": {"message": "Nope"}})),
        &["compare createIncidentJson", "It said: Nope"],
    );
    says(&refuse(400, json!("plain")), &["It said: plain"]);
    says(
        &refuse(413, json!({})),
        &["larger than the target takes", "maxLengths"],
    );
    says(
        &refuse(500, json!({"detail": "boom"})),
        &["the fault is the target's", "It said: boom"],
    );
}

#[test]
fn methods() {
    let known = case().external_id("7");
    let step = trial(
        vec![Reply::empty(405).with("Allow", "GET, PATCH, DELETE")],
        &known,
        |_| {},
    );
    says(&step, &["set updateIncidentMethod to `patch`"]);
    let step = trial(vec![Reply::empty(405)], &known, |_| {});
    says(
        &step,
        &["does not take PUT: change updateIncidentMethod, or correct updateIncidentUrl"],
    );
}

#[test]
fn versions_of_what_is_updated() {
    let known = case().external_id("7");
    for reply in [
        Reply::empty(412),
        Reply::empty(428),
        Reply::json(409, &json!({"error": "stale version"})),
    ] {
        says(
            &trial(vec![reply], &known, |_| {}),
            &["set ifMatchHeader to true"],
        );
    }
}

#[test]
fn failures_told_with_status_200() {
    let graphql = json!({"data": null, "errors": [{"message": "Argument Validation Error"}]});
    let step = trial(vec![Reply::json(200, &graphql)], &case(), |_| {});
    says(
        &step,
        &[
            "set failureResponseKey to `errors`",
            "It said: Argument Validation Error",
        ],
    );
    // An update counts as a success: nothing is read from its answer.
    let known = case().external_id("7");
    let server = Scripted::start(
        [
            Reply::json(200, &graphql),
            Reply::json(200, &json!({"title": "T"})),
        ]
        .map(Line::from),
    );
    let report = Bench::new(&config(&server.base()), json!({}), json!({})).run(&known);
    assert!(report.steps[0].ok);
    says(&report.steps[0], &["set failureResponseKey to `errors`"]);
    // Where it is set, the failure is seen and its words are in the verdict.
    let step = trial(vec![Reply::json(200, &graphql)], &case(), |config| {
        config["failureResponseKey"] = "errors".into();
    });
    assert!(
        !step.ok && step.verdict.contains("Argument Validation Error"),
        "{step:?}"
    );
}

#[test]
fn a_create_that_answers_nothing() {
    let step = trial(
        vec![Reply::empty(201).with("Location", "/api/issues/7")],
        &case(),
        |_| {},
    );
    says(
        &step,
        &[
            "(/api/issues/7)",
            "header Location alone",
            "return=representation",
        ],
    );
    let step = trial(vec![Reply::empty(200)], &case(), |_| {});
    says(&step, &["has to answer with the record"]);
}

#[test]
fn limits_of_rate() {
    let step = trial(vec![Reply::empty(429).with("Retry-After", "17")], &case(), |_| {});
    says(&step, &["asks to wait (17 seconds)", "minIntervalMs"]);
    let step = trial(
        vec![Reply::empty(403).with("X-RateLimit-Remaining", "0")],
        &case(),
        |_| {},
    );
    says(&step, &["minIntervalMs and maxInFlight"]);
}

#[test]
fn tls_that_is_not_trusted_for_another_name_or_not_spoken() {
    let made = |name: &str| rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let start = |name: &str| {
        let made = made(name);
        let (pem, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let server = Scripted::start_with([], Some(Tls::new(pem.as_bytes(), key.as_bytes())));
        (server, pem)
    };
    let run = |base: &str, ca: Option<&str>| {
        let mut config = config(base);
        if let Some(ca) = ca {
            config["ca"] = base64::engine::general_purpose::STANDARD.encode(ca).into();
        }
        let report = Bench::new(&config, json!({}), json!({})).run(&case());
        report.steps.into_iter().next_back().unwrap()
    };
    let (server, _) = start("127.0.0.1");
    says(
        &run(&server.fill("__TLS__"), None),
        &["put it, PEM in base64, into ca"],
    );
    let (server, pem) = start("other.example");
    says(
        &run(&server.fill("__TLS__"), Some(&pem)),
        &["use the name that the certificate was made for", "127.0.0.1"],
    );
    let plain =
        raw_server(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").replace("http://", "https://");
    says(&run(&plain, None), &["does not speak TLS: write http://"]);
    // A server of TLS that is spoken to in plain HTTP: some say so, some break off with an alert.
    let told = html(
        400,
        "<html>400 The plain HTTP request was sent to HTTPS port</html>",
    );
    says(
        &trial(vec![told], &case(), |_| {}),
        &["speaks TLS: write https://"],
    );
    let alert = raw_server(b"\x15\x03\x01\x00\x02\x02\x46");
    says(&run(&alert, None), &["speaks TLS: write https://"]);
}

/// A server that reads a little, answers with these bytes, and closes.
fn raw_server(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(bytes).unwrap();
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    });
    base
}

#[test]
fn nothing_is_there() {
    let run = |base: &str, settings: Value| {
        let report = Bench::new(&config(base), json!({}), settings).run(&case());
        report.steps.into_iter().next_back().unwrap()
    };
    // No resolver answers for this domain.
    let step = run("https://acme.atlasian.net.invalid", json!({}));
    says(
        &step,
        &["check the spelling of acme.atlasian.net.invalid in createIncidentUrl"],
    );
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    says(
        &run(&format!("http://127.0.0.1:{port}"), json!({})),
        &[&format!("nothing listens at port {port}")],
    );
}

#[test]
fn what_a_redirect_led_to_is_named_and_not_what_was_asked() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = format!("https://127.0.0.1:{}/api/issues", gone.port());
    let step = trial(vec![Reply::empty(308).with("Location", &away)], &case(), |_| {});
    assert!(
        step.verdict.contains(&format!("after a redirect to {away}")),
        "{}",
        step.verdict
    );
    says(
        &step,
        &[
            &format!("createIncidentUrl is redirected to {away}"),
            &format!("nothing listens at port {}", gone.port()),
        ],
    );
}

/// A trial of a case with an id, whose look-up gets this answer.
fn looked_up(answer: Reply) -> TestReport {
    let replies = [
        Reply::json(201, &json!({"id": 7})),
        Reply::json(200, &json!({"title": "Disk full"})),
        Reply::empty(204),
        answer,
    ];
    let server = Scripted::start(replies.map(Line::from));
    let mut config = config(&server.base());
    config["findIncidentUrl"] = format!("{}/api/issues?mark={{{{{{case.id}}}}}}", server.base()).into();
    config["findIncidentResponseKey"] = "items[].id".into();
    Bench::new(&config, json!({}), json!({})).run(&case().id("host-7/disk"))
}

#[test]
fn a_look_up_finds_what_was_created() {
    let report = looked_up(Reply::json(200, &json!({"items": [{"id": 7}]})));
    assert!(report.ok, "{report:?}");
    let steps: Vec<String> = report.steps.iter().map(|step| step.step.to_string()).collect();
    assert_eq!(steps, ["create", "get", "comment", "find"]);
    assert!(report.steps[3].verdict.contains("found again"), "{report:?}");
    assert_eq!(report.steps[3].suggestion, None);

    let report = looked_up(Reply::json(200, &json!({"items": []})));
    assert!(report.ok);
    assert!(
        report.steps[3].verdict.contains("nothing is found yet"),
        "{report:?}"
    );

    let report = looked_up(Reply::empty(404));
    assert!(report.ok);
    says(&report.steps[3], &["404 is taken for"]);
}

#[test]
fn a_look_up_that_finds_something_else_is_told() {
    let last = |answer: Value| {
        let report = looked_up(Reply::json(200, &answer));
        assert!(
            !report.ok && report.external_id.as_deref() == Some("7"),
            "{report:?}"
        );
        report.steps.into_iter().next_back().unwrap()
    };
    let step = last(json!({"items": [{"id": 8}]}));
    assert!(
        step.verdict.contains("finds 8") && step.verdict.contains("is 7"),
        "{}",
        step.verdict
    );
    says(&step, &["findIncidentUrl", "createIncidentResponseKey"]);
    let step = last(json!({"items": [{"id": 7}, {"id": 8}]}));
    says(&step, &["findIncidentUrl", "this case alone"]);
    let step = last(json!({"items": [{"id": {"value": 7}}]}));
    says(&step, &["set findIncidentResponseKey to `items[].id.value`"]);
    let step = last(json!({"tickets": [{"id": 7}]}));
    says(&step, &["set findIncidentResponseKey to `tickets[].id`"]);
    let step = last(json!({"items": [{"number": 7}]}));
    says(&step, &["set findIncidentResponseKey to `items[].number`"]);
}

#[test]
fn a_case_without_an_id_is_not_looked_up() {
    let server = Scripted::start([Reply::json(201, &json!({"id": 7}))].map(Line::from));
    let mut config = config(&server.base());
    for name in [
        "getIncidentUrl",
        "getIncidentResponseExternalTitleKey",
        "updateIncidentUrl",
        "updateIncidentJson",
    ] {
        config[name] = Value::Null;
    }
    config["createOnly"] = true.into();
    config["createCommentUrl"] = Value::Null;
    config["findIncidentUrl"] = format!("{}/find?mark={{{{{{case.id}}}}}}", server.base()).into();
    config["findIncidentResponseKey"] = "items[].id".into();
    let report = Bench::new(&config, json!({}), json!({})).run(&case());
    assert!(report.ok && report.steps.len() == 1, "{report:?}");
}

#[test]
fn a_proxy_that_wants_a_login() {
    let proxy = Scripted::start([Line::from(
        Reply::empty(407).with("Proxy-Authenticate", "Basic realm=\"p\""),
    )]);
    let settings = json!({"proxyUrl": proxy.base()});
    let report = Bench::new(&config("http://tracker.example"), json!({}), settings).run(&case());
    says(&report.steps[0], &["the proxy wants a login", "proxyUrl"]);
}

#[test]
fn reading_back_alone_touches_nothing_else() {
    let server = Scripted::start([Line::from(Reply::json(200, &json!({"title": "Disk full"})))]);
    let bench = Bench::new(&config(&server.base()), json!({}), json!({}));
    let report = bench.agent.test_get("t", "4711").unwrap();
    assert!(report.ok);
    assert_eq!(report.external_title.as_deref(), Some("Disk full"));
    assert_eq!(
        report.external_url,
        Some(format!("{}/issues/4711", server.base()))
    );
    assert_eq!(report.steps.len(), 1);
    let received = server.received();
    assert_eq!(received.len(), 1);
    assert_eq!(
        (received[0].method.as_str(), received[0].target.as_str()),
        ("GET", "/api/issues/4711")
    );
    let error = bench.agent.test_get("t", "").unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::Argument, Some("externalId"))
    );
    // An id that leads elsewhere is not sent.
    let report = bench.agent.test_get("t", "..").unwrap();
    assert!(!report.ok && report.steps[0].request.is_none());
    assert_eq!(server.received().len(), 1);
}

#[test]
fn a_connector_that_works_gets_no_advice() {
    let replies = [
        Reply::json(201, &json!({"id": 7})),
        Reply::json(200, &json!({"title": "Disk full", "errors": []})),
        Reply::empty(204),
    ];
    let server = Scripted::start(replies.map(Line::from));
    let report = Bench::new(&config(&server.base()), json!({}), json!({})).run(&case());
    assert!(report.ok);
    assert!(
        report.steps.iter().all(|step| step.suggestion.is_none()),
        "{report:?}"
    );
}
