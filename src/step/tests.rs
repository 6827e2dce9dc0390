//! Steps against whole connectors.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::find::Found;
use super::*;
use crate::connector::config::{Auth, Idempotency, OnExternalGone, OnUncertainCreate, Retry, Tls};
use crate::response::ResponsePath;
use crate::template::{BodyTemplate, Slot, TextForms, UrlTemplate};
use crate::transport::{Answer, BodyFault, HeaderField, NetworkPolicy};

fn path(text: &str) -> ResponsePath {
    ResponsePath::parse("config.key", text).unwrap()
}

fn call(method: Method, slots: (Slot, Slot), url: &str, body: &str) -> Operation {
    Operation {
        method,
        url: UrlTemplate::compile(slots.0, "config.url", url).unwrap(),
        body: (!body.is_empty())
            .then(|| BodyTemplate::compile(slots.1, "config.json", body, TextForms::default()).unwrap()),
        headers: Vec::new(),
    }
}

pub(super) fn config() -> Config {
    let id = "http://h/i/{{{external.system.id}}}";
    Config {
        create: call(
            Method::Post,
            (Slot::CreateUrl, Slot::CreateBody),
            "http://h/i",
            "[{{{case.title}}},{{{case.severity}}},{{{case.tags}}},{{{case.fields.a}}}]",
        ),
        create_id: path("id"),
        get: Some(call(Method::Get, (Slot::GetUrl, Slot::GetBody), id, "1")),
        get_title: Some(path("key")),
        view_url: UrlTemplate::compile(
            Slot::ViewUrl,
            "config.viewIncidentUrl",
            "http://h//b/{{{external.system.title}}}",
        )
        .unwrap(),
        update: Some(call(
            Method::Put,
            (Slot::UpdateUrl, Slot::UpdateBody),
            id,
            "{{{case.description}}}",
        )),
        comment: Some(call(
            Method::Patch,
            (Slot::CommentUrl, Slot::CommentBody),
            id,
            "[{{{case.comment}}},{{{case.commentId}}},{{{external.system.id}}}]",
        )),
        find: None,
        find_ids: None,
        headers: Vec::new(),
        auth: Auth::None,
        oauth2: None,
        proxy: None,
        tls: Tls {
            cert_type: None,
            ca: None,
            verification: None,
            usual_roots: true,
            only_tls13: false,
        },
        unused_comment_url: None,
        retry: Retry {
            max_attempts: None,
            max_age: None,
            base: Duration::from_secs(1),
            cap: Duration::from_secs(600),
        },
        coalesce: true,
        max_in_flight: 4,
        min_interval: Duration::ZERO,
        connect_timeout: None,
        response_timeout: None,
        on_uncertain_create: OnUncertainCreate::Retry,
        find_settle: Duration::ZERO,
        max_uncertain_resends: 3,
        idempotency: Some(Idempotency {
            header: "Idempotency-Key".to_owned(),
            quoted: false,
            lifetime: None,
        }),
        failure_key: None,
        view_url_key: None,
        severity_map: Map::new(),
        status_map: Map::new(),
        texts: Vec::new(),
        extra_tags: Vec::new(),
        tag_spaces: None,
        max_lengths: Vec::new(),
        create_only: false,
        target: "http://h".to_owned(),
        if_match: false,
        on_external_gone: OnExternalGone::Fail,
    }
}

fn prepared(config: Config) -> Prepared {
    Prepared {
        config: Arc::new(config),
        authorization: None,
        secret_headers: Vec::new(),
        network: Arc::new(network()),
        token: None,
        masks: Default::default(),
    }
}

fn network() -> NetworkPolicy {
    NetworkPolicy {
        allowed_hosts: crate::transport::AllowedHosts::default(),
        deny_private_addresses: false,
        limits: crate::transport::ExchangeLimits {
            connect: Duration::from_secs(1),
            response: Duration::from_secs(1),
            body_bytes: 1 << 20,
        },
        tls: crate::transport::TlsPolicy::default(),
        proxy: None,
    }
}

fn case() -> Case {
    Case {
        title: "a title".to_owned(),
        description: None,
        id: Some("c".to_owned()),
        severity: Some("high".to_owned()),
        status: None,
        tags: vec!["t".to_owned()],
        external_id: None,
        fields: serde_json::from_str(r#"{"a":"field"}"#).unwrap(),
        traceparent: None,
        comments: vec![Comment {
            id: "1".to_owned(),
            text: "a comment".to_owned(),
        }],
    }
}

fn subject(case: &Case) -> Subject<'_> {
    Subject {
        case,
        external_id: Some("x/1"),
        external_title: Some("X"),
        comment: case.comments.first(),
        idempotency_key: None,
        if_match: None,
        stored_body: None,
    }
}

fn sent(request: &Request) -> (&'static str, String, String) {
    let body = request.body.clone().unwrap_or_default();
    (
        request.method.as_str(),
        request.url.to_string(),
        String::from_utf8(body).unwrap(),
    )
}

fn header<'a>(request: &'a Request, name: &str) -> Vec<&'a HeaderField> {
    request
        .headers
        .iter()
        .filter(|field| field.name.eq_ignore_ascii_case(name))
        .collect()
}

#[test]
fn each_step_has_its_request() {
    let prepared = prepared(config());
    let case = case();
    for (step, expected) in [
        (
            Step::Create,
            ("POST", "http://h/i", r#"["a title","high",["t"],"field"]"#),
        ),
        (Step::Get, ("GET", "http://h/i/x%2F1", "")),
        (Step::Update, ("PUT", "http://h/i/x%2F1", "\"\"")),
        (
            Step::Comment,
            ("PATCH", "http://h/i/x%2F1", r#"["a comment","1","x/1"]"#),
        ),
    ] {
        let request = render(step, &prepared, &subject(&case)).unwrap();
        assert_eq!(
            sent(&request),
            (expected.0, expected.1.to_owned(), expected.2.to_owned())
        );
        let content_type = header(&request, "content-type");
        assert_eq!(content_type.len(), 1);
        assert_eq!(content_type[0].value.as_str(), "application/json");
        assert!(content_type[0].travels);
    }
    let error = render(Step::Find, &prepared, &subject(&case)).err().unwrap();
    assert_eq!(error.field, "config.findIncidentUrl");
    assert_eq!(
        get::view_url(&prepared.config, &subject(&case)).unwrap(),
        "http://h//b/X"
    );
}

#[test]
fn maps_limits_and_stored_bodies() {
    let mut config = config();
    config.severity_map.insert("high".to_owned(), Value::from(2));
    config.max_lengths = vec![
        ("title".to_owned(), 3),
        ("fields.a".to_owned(), 2),
        ("tags".to_owned(), 0),
    ];
    let prepared = prepared(config);
    let case = case();
    let request = render(Step::Create, &prepared, &subject(&case)).unwrap();
    assert_eq!(sent(&request).2, "[\"a \u{2026}\",2,[\"\"],\"f\u{2026}\"]");
    let stored = Subject {
        stored_body: Some(b"as it was"),
        ..subject(&case)
    };
    assert_eq!(
        sent(&render(Step::Create, &prepared, &stored).unwrap()).2,
        "as it was"
    );
    assert_eq!(sent(&render(Step::Get, &prepared, &stored).unwrap()).2, "");
}

#[test]
fn headers_are_laid_over_each_other() {
    let field = |name: &str, value: &str| HeaderField {
        name: name.to_owned(),
        value: Zeroizing::new(value.to_owned()),
        secret: true,
        travels: false,
    };
    let mut config = config();
    let texts = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect()
    };
    config.headers = texts(&[
        ("X-A", "all"),
        ("x-b", "all"),
        ("x-c", "all"),
        ("content-type", "a/b+json"),
    ]);
    config.create.headers = texts(&[("x-B", "create"), ("X-C", "create")]);
    let mut prepared = prepared(config);
    prepared.authorization = Some(field("Authorization", "Basic x"));
    prepared.secret_headers = vec![field("X-C", "secret"), field("x-api-key", "k")];
    let case = case();
    let keyed = Subject {
        idempotency_key: Some("key"),
        if_match: Some("\"1\""),
        ..subject(&case)
    };
    let request = render(Step::Create, &prepared, &keyed).unwrap();
    // The last: whether it goes along when a redirect leads to another origin.
    for (name, value, travels) in [
        ("x-a", "all", false),
        ("x-b", "create", false),
        ("x-c", "secret", false),
        ("content-type", "a/b+json", false),
        ("authorization", "Basic x", false),
        ("idempotency-key", "key", true),
        ("if-match", "\"1\"", true),
    ] {
        let fields = header(&request, name);
        assert_eq!(fields.len(), 1, "{name}");
        assert_eq!(fields[0].value.as_str(), value, "{name}");
        assert_eq!(fields[0].travels, travels, "{name}");
    }
    let request = render(Step::Update, &prepared, &subject(&case)).unwrap();
    assert_eq!(header(&request, "x-b")[0].value.as_str(), "all");
    assert!(header(&request, "idempotency-key").is_empty());

    let mut config = super::tests::config();
    config.headers = texts(&[("AUTHORIZATION", "Bearer t"), ("idempotency-key", "mine")]);
    prepared.config = Arc::new(config);
    let request = render(Step::Create, &prepared, &keyed).unwrap();
    assert_eq!(header(&request, "authorization")[0].value.as_str(), "Bearer t");
    assert!(header(&request, "authorization")[0].secret);
    assert_eq!(header(&request, "idempotency-key")[0].value.as_str(), "mine");
    assert!(!header(&request, "idempotency-key")[0].travels);

    let mut config = super::tests::config();
    config.idempotency.as_mut().unwrap().quoted = true;
    prepared.config = Arc::new(config);
    let request = render(Step::Create, &prepared, &keyed).unwrap();
    assert_eq!(header(&request, "idempotency-key")[0].value.as_str(), "\"key\"");
    assert!(!header(&request, "idempotency-key")[0].secret);
}

#[test]
fn names_of_credentials() {
    for name in [
        "Authorization",
        "X-Auth-Token",
        "x-api-key",
        "Cookie",
        "X-Client-Secret",
        "Ocp-Subscription-Key",
    ] {
        assert!(crate::connector::is_secret_header(name), "{name}");
    }
    for name in [
        "Accept",
        "Content-Type",
        "X-Atlassian-Check",
        "If-Match",
        "Idempotency-Key",
    ] {
        assert!(!crate::connector::is_secret_header(name), "{name}");
    }
}

fn answer(content_type: Option<&str>, body: impl AsRef<[u8]>) -> Answer {
    Answer {
        status: 200,
        headers: content_type
            .map(|value| ("content-type".to_owned(), value.to_owned()))
            .into_iter()
            .collect(),
        body: body.as_ref().to_vec(),
        body_fault: None,
        tokens: Default::default(),
    }
}

const JSON: Option<&str> = Some("application/json");

#[test]
fn creates_need_an_id_in_json() {
    let config = config();
    let deep = |levels: usize| {
        format!(
            r#"{{"id":"1","x":{}{}}}"#,
            "[".repeat(levels - 1),
            "]".repeat(levels - 1)
        )
    };
    for (content_type, body, result) in [
        (JSON, r#"{"id":"\u00e9\n"}"#.to_owned(), Ok("\u{e9}\n")),
        (None, r#"{"id":1.0}"#.to_owned(), Ok("1.0")),
        (
            Some(""),
            r#"{"id":18446744073709551616}"#.to_owned(),
            Ok("18446744073709551616"),
        ),
        (Some("APPLICATION/JSON"), r#"{"id":"1"}"#.to_owned(), Ok("1")),
        (
            Some("application/problem+json; charset=x"),
            r#"{"id":"1"}"#.to_owned(),
            Ok("1"),
        ),
        (Some("text/json"), "\u{feff}{\"id\":\"1\"}".to_owned(), Ok("1")),
        (JSON, r#"{"id":"1","x":"\ud800"}"#.to_owned(), Ok("1")),
        (JSON, deep(128), Ok("1")),
        (JSON, deep(129), Err("tooDeep")),
        (JSON, "[".repeat(1_000_000), Err("tooDeep")),
        (Some("text/html"), r#"{"id":"1"}"#.to_owned(), Err("mediaType")),
        (JSON, String::new(), Err("notJson")),
        (JSON, r#"{"id":"1",}"#.to_owned(), Err("notJson")),
        (JSON, "{}".to_owned(), Err("idMissing")),
        (JSON, "[]".to_owned(), Err("idMissing")),
        (JSON, "0".to_owned(), Err("idMissing")),
        (JSON, r#"{"id":null}"#.to_owned(), Err("idUnusable")),
        (JSON, r#"{"id":true}"#.to_owned(), Err("idUnusable")),
        (JSON, r#"{"id":""}"#.to_owned(), Err("idUnusable")),
        (JSON, r#"{"id":"\udc00"}"#.to_owned(), Err("idUnusable")),
        (JSON, r#"{"id":["1"]}"#.to_owned(), Err("idUnusable")),
        (JSON, r#"{"id":{}}"#.to_owned(), Err("idUnusable")),
    ] {
        let read = create::read(&config, &answer(content_type, &body));
        let short = read
            .as_ref()
            .map(|created| created.external_id.as_str())
            .map_err(|error| error.code);
        assert_eq!(short, result, "{content_type:?} {:.80}", body);
    }
}

#[test]
fn bodies_that_did_not_come_whole() {
    let mut broken = answer(JSON, "{}");
    for (fault, code) in [
        (BodyFault::TooLarge { limit: 7 }, "tooLarge"),
        (BodyFault::Encoding("br".to_owned()), "encoding"),
        (BodyFault::Broken("cut".to_owned()), "encoding"),
    ] {
        broken.body_fault = Some(fault);
        assert_eq!(create::read(&config(), &broken).unwrap_err().code, code);
        assert_eq!(comment::read(&config(), &broken).unwrap_err().code, code);
    }
    let latin = answer(JSON, b"{\"id\":\"\xe9\"}");
    assert_eq!(create::read(&config(), &latin).unwrap_err().code, "encoding");
}

#[test]
fn a_missing_path_is_answered_with_those_that_exist() {
    for (body, words) in [
        (
            r#"{"key":"K","issue":{"id":1,"x":[]},"e":{}}"#,
            "it has: key, issue.id, issue.x, e",
        ),
        (
            r#"[{"id":1}]"#,
            "it is a list of 1, and its first element has: id",
        ),
        ("[]", "it is an empty list"),
        ("[1]", "it is a list of 1, the first: 1"),
        ("true", "it is: true"),
    ] {
        let error = create::read(&config(), &answer(JSON, body)).unwrap_err();
        assert!(error.message.contains("nothing at `id`"), "{}", error.message);
        assert!(error.message.contains(words), "{}", error.message);
    }
}

#[test]
fn gets_take_title_link_and_etag() {
    let mut config = config();
    config.view_url_key = Some(path("self"));
    let mut whole = answer(JSON, r#"{"key":12345678901234567890,"self":"https://h/1"}"#);
    whole.headers.push(("etag".to_owned(), "W/\"1\"".to_owned()));
    let got = get::read(&config, &whole).unwrap();
    assert_eq!(got.title.as_deref(), Some("12345678901234567890"));
    assert_eq!(got.view_url.as_deref(), Some("https://h/1"));
    assert_eq!(got.etag.as_deref(), Some("W/\"1\""));
    for link in [
        "\"javascript:alert(1)\"",
        "\"/relative\"",
        "\"https://u@h/1\"",
        "\"https://:p@h/1\"",
        "1",
        "null",
    ] {
        let got = get::read(&config, &answer(JSON, format!(r#"{{"key":"","self":{link}}}"#))).unwrap();
        assert_eq!(got.view_url, None, "{link}");
        assert_eq!(got.title.as_deref(), Some(""));
    }
    for (body, code) in [
        (r#"{"key":null}"#, "titleUnusable"),
        ("{}", "titleMissing"),
        ("", "notJson"),
    ] {
        assert_eq!(get::read(&config, &answer(JSON, body)).unwrap_err().code, code);
    }
}

#[test]
fn updates_and_comments_may_answer_nothing() {
    for (content_type, body, code) in [
        (None, "", None),
        (Some("text/html"), " \n", None),
        (Some("text/plain"), "\u{feff}", None),
        (None, "{}", None),
        (JSON, "0", None),
        (JSON, "null", None),
        (JSON, "\"bare\"", Some("notJson")),
        (JSON, "{}{}", Some("notJson")),
        (Some("text/html"), "<html>", Some("mediaType")),
        (Some("text/html"), "{}", Some("mediaType")),
    ] {
        for read in [update::read, comment::read] {
            let result = read(&config(), &answer(content_type, body))
                .err()
                .map(|error| error.code);
            assert_eq!(result, code, "{content_type:?} {body}");
        }
    }
}

#[test]
fn failures_reported_in_the_body() {
    let mut config = config();
    config.failure_key = Some(path("errors"));
    for (value, fails) in [
        ("null", false),
        ("false", false),
        ("\"\"", false),
        ("[ ]", false),
        ("{}", false),
        ("0", true),
        ("true", true),
        ("[\"bad\"]", true),
        ("{\"a\":1}", true),
    ] {
        let body = format!(r#"{{"id":"1","key":"K","errors": {value} }}"#);
        let answer = answer(JSON, body);
        let codes = [
            create::read(&config, &answer).err(),
            get::read(&config, &answer).err(),
            update::read(&config, &answer).err(),
        ];
        for error in codes {
            assert_eq!(
                error.map(|error| error.code),
                fails.then_some("failureReported"),
                "{value}"
            );
        }
    }
    assert!(update::read(&config, &answer(JSON, "")).is_ok());
}

#[test]
fn finds_none_one_or_several() {
    for (key, body, found) in [
        ("id", r#"{"id":7}"#, Ok(Found::One("7".to_owned()))),
        ("id", r#"{"id":null}"#, Ok(Found::None)),
        ("id", "{}", Ok(Found::None)),
        ("ids", r#"{"ids":[]}"#, Ok(Found::None)),
        ("ids[0].id", r#"{"ids":[]}"#, Ok(Found::None)),
        ("[0].id", "[]", Ok(Found::None)),
        ("idz[].id", r#"{"ids":[{"id":1}]}"#, Err("pathMissing")),
        ("id", r#"{"ids":[]}"#, Err("pathMissing")),
        ("ids", r#"{"ids":["a",1,"a"]}"#, Ok(Found::Several(2))),
        ("ids", r#"{"ids":["a","a"]}"#, Ok(Found::One("a".to_owned()))),
        (
            "i[].x.id",
            r#"{"i":[{"x":{"id":"a"}}]}"#,
            Ok(Found::One("a".to_owned())),
        ),
        ("[].id", r#" [{"id":1},{"id":2}] "#, Ok(Found::Several(2))),
        ("[]", r#"["a"]"#, Ok(Found::One("a".to_owned()))),
        ("i[].id", r#"{"i":null}"#, Ok(Found::None)),
        ("i[].id", r#"{"i":{"id":1}}"#, Err("idUnusable")),
        ("i[].id", r#"{"i":[{"key":1}]}"#, Err("idMissing")),
        ("i", r#"{"i":[{"id":1}]}"#, Err("idUnusable")),
        ("id", r#"{"id":""}"#, Err("idUnusable")),
        ("id", "", Err("notJson")),
    ] {
        let mut config = config();
        config.find_ids = Some(path(key));
        let read = find::read(&config, &answer(JSON, body)).map_err(|error| error.code);
        assert_eq!(read, found, "{key} in {body}");
    }
}
