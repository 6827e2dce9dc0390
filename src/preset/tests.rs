//! Every preset: its file is sound, ordinary cases become the requests on file, hostile ones become sound requests.

mod beyond;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::*;
use crate::connector::{SecretSources, Settings};
use crate::model::{Case, Request, Step};
use crate::step::{self, Subject};
use crate::template::encode_component;
use crate::{Agent, Connector, Options};

const NUL: char = '\0';

/// A value for each parameter, credentials included.
fn values(preset: &Preset, optional: bool) -> Vec<(&str, &str)> {
    let taken = preset.parameters.iter().filter(|p| optional || !p.optional);
    taken
        .map(|p| {
            let value = p.example.as_deref().or(p.default.as_deref());
            (p.name.as_str(), value.unwrap_or("s3cret-Value"))
        })
        .collect()
}

fn connector(preset: &Preset, optional: bool) -> Connector {
    let document = super::preset(&preset.name, &values(preset, optional)).unwrap();
    Connector::from_json(&document).unwrap_or_else(|error| panic!("{}: {error}\n{document}", preset.name))
}

/// An agent with every preset as a connector of its name, and the warnings of each.
fn agent() -> (tempfile::TempDir, Agent, BTreeMap<String, Vec<String>>) {
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::open(folder.path().join("cases.db"), Options::new().drain(false)).unwrap();
    let mut warnings = BTreeMap::new();
    for preset in presets() {
        for (optional, name) in [(false, preset.name.clone()), (true, format!("{}+", preset.name))] {
            let found = agent.configure(&name, &connector(preset, optional)).unwrap();
            let found = found.into_iter().map(|warning| warning.field);
            warnings.insert(name, found.collect());
        }
    }
    (folder, agent, warnings)
}

fn strings(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) => out.push(text.clone()),
        Value::Array(list) => list.iter().for_each(|value| strings(value, out)),
        Value::Object(map) => map.values().for_each(|value| strings(value, out)),
        _ => {}
    }
}

#[test]
fn every_file_is_read_and_complete() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/preset/data");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    files.sort();
    let names: Vec<&str> = presets().iter().map(|preset| preset.name.as_str()).collect();
    assert_eq!(names, files);
    for preset in presets() {
        let name = &preset.name;
        assert!(
            !preset.title.is_empty() && !preset.notes.is_empty() && !preset.sources.is_empty(),
            "{name}"
        );
        for source in &preset.sources {
            assert!(
                source.url.starts_with("https://") && !source.fact.is_empty(),
                "{name}: {source:?}"
            );
        }
        let everything = json!([
            preset.config,
            preset.secrets,
            preset.overlays.iter().map(|o| &o.config).collect::<Vec<_>>()
        ]);
        let mut texts = Vec::new();
        strings(&everything, &mut texts);
        let text = texts.concat();
        for parameter in &preset.parameters {
            let marks = [
                format!("@{{{}}}", parameter.name),
                format!("@{{{}:path}}", parameter.name),
            ];
            assert!(
                marks.iter().any(|mark| text.contains(mark)),
                "{name}: {} is not used",
                parameter.name
            );
            assert!(!parameter.meaning.is_empty());
            let shown = parameter
                .example
                .iter()
                .chain(&parameter.default)
                .chain(&parameter.choices);
            for value in shown {
                assert!(
                    parameter.form.check(value).is_ok(),
                    "{name}: {} {value}",
                    parameter.name
                );
            }
            let told = parameter.secret || parameter.example.is_some() || parameter.default.is_some();
            assert!(told, "{name}: {} has no example", parameter.name);
            assert!(parameter.pattern().starts_with('^') && parameter.pattern().ends_with('$'));
        }
        assert_eq!(
            preset.secrets.is_empty(),
            !preset.parameters.iter().any(|p| p.secret),
            "{name}"
        );
        for overlay in &preset.overlays {
            assert!(preset.parameters.iter().any(|p| p.name == overlay.with), "{name}");
        }
    }
}

#[test]
fn configure_takes_each_without_an_unexpected_warning() {
    let (_folder, _agent, warnings) = agent();
    // What these systems do not offer is never sent, and the notes of the preset say so.
    let expected = |name: &str| -> &[&str] {
        match name {
            "dfir-iris" | "otrs" | "pagerduty-incidents" | "request-tracker" | "zendesk" => {
                &["config.updateIncidentJson"]
            }
            "linear" => &["config.updateIncidentUrl", "config.createCommentUrl"],
            "pagerduty-events" => &["config.viewIncidentUrl"],
            "zammad" => &["config.updateIncidentJson", "config.createCommentUrl"],
            _ => &[],
        }
    };
    for (name, found) in warnings {
        assert_eq!(found, expected(name.trim_end_matches('+')), "{name}");
    }
}

#[test]
fn a_create_without_an_answer_is_found_held_or_sure_to_be_repeatable() {
    for preset in presets() {
        let connector = connector(preset, true);
        let config = &connector.config;
        let safe = config.find.is_some() || preset.name == "pagerduty-events";
        assert!(safe, "{}", preset.name);
        let bare = super::preset(&preset.name, &values(preset, false)).unwrap();
        assert!(
            bare.contains("findIncidentUrl")
                || bare.contains("\"hold\"")
                || preset.name == "pagerduty-events"
        );
        // An update that carries tags would take away those that people set.
        let update = preset
            .config
            .get("updateIncidentJson")
            .and_then(Value::as_str)
            .unwrap_or_default();
        assert!(
            !update
                .replace("\"addTags\":{{{case.tags}}}", "")
                .contains("case.tags"),
            "{}",
            preset.name
        );
    }
}

fn ordinary(external_id: Option<&str>) -> Case {
    let case = Case::new("Disk \"full\" on host-7")
        .id("host-7/disk")
        .description("95 % of /var is in use.\nSince 10:00.")
        .severity("high")
        .status("open")
        .tag("infra")
        .tag("disk")
        .comment("c1", "first look");
    match external_id {
        Some(id) => case.external_id(id),
        None => case,
    }
}

fn shown(request: &Request) -> Value {
    let headers: Map<String, Value> = request
        .headers
        .iter()
        .map(|header| (header.name.clone(), header.value.clone().into()))
        .collect();
    let body = request
        .body
        .as_deref()
        .map(|body| serde_json::from_str::<Value>(body).unwrap());
    json!({"method": request.method, "url": request.url, "headers": headers, "body": body})
}

fn found(preset: &Preset) -> Value {
    let connector = connector(preset, true);
    let prepared = connector
        .prepare(&Settings::default(), &SecretSources::default())
        .unwrap();
    if prepared.config.find.is_none() {
        return Value::Null;
    }
    let case = ordinary(None);
    let subject = Subject {
        case: &case,
        external_id: None,
        external_title: None,
        comment: None,
        idempotency_key: None,
        if_match: None,
        stored_body: None,
    };
    let request = step::render(Step::Find, &prepared, &subject).unwrap();
    let body = request
        .body
        .map(|body| serde_json::from_slice::<Value>(&body).unwrap());
    json!({"method": request.method.as_str(), "url": request.url.as_str(), "body": body})
}

/// The requests of an ordinary case, held against those on file; `CASEHOOK_WRITE_GOLDEN=1` writes them anew.
#[test]
fn an_ordinary_case_becomes_the_requests_on_file() {
    let (_folder, agent, _) = agent();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/presets");
    for preset in presets() {
        let name = format!("{}+", preset.name);
        let mut requests = Map::new();
        for case in [ordinary(None), ordinary(Some("4711"))] {
            let known = case.external_id.is_some();
            for request in agent.preview(&name, &case).unwrap() {
                if known || request.step == Step::Create {
                    requests.insert(request.step.to_string(), shown(&request));
                }
            }
        }
        requests.insert("find".to_owned(), found(preset));
        let file = folder.join(format!("{}.json", preset.name));
        let text = format!("{}\n", serde_json::to_string_pretty(&requests).unwrap());
        if std::env::var_os("CASEHOOK_WRITE_GOLDEN").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        let on_file = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(text, on_file, "{}", preset.name);
        assert!(!text.contains("s3cret-Value"), "{}", preset.name);
    }
}

fn hostile() -> Vec<Case> {
    let quotes = format!(
        "a\"b\\c'd{NUL}\r\n\t{{{{{{case.id}}}}}} {{{{x}}}} <b>&amp; \u{202e}עברית\u{2069} 🙂\u{301} @{{site}}"
    );
    let full = Case::new(quotes.clone())
        .id("../x y/?#&=%2e\"'")
        .description(quotes.clone())
        .severity(quotes.clone())
        .status(quotes.clone())
        .tag(quotes.clone())
        .tag("")
        .comment("c\"1", quotes);
    vec![
        full,
        Case::new("only a title"),
        Case::new("no tags")
            .id("1")
            .description("")
            .severity("")
            .status(""),
        Case::new("🙂é".repeat(65_536 / 6 - 1))
            .id("long")
            .description("\u{10ffff}x".repeat(50_000))
            .tag("t".repeat(300)),
        Case::new("known words")
            .id("k")
            .severity("critical")
            .status("closed"),
    ]
}

#[test]
fn hostile_cases_become_sound_requests() {
    let (_folder, agent, _) = agent();
    for preset in presets() {
        for name in [preset.name.clone(), format!("{}+", preset.name)] {
            for case in hostile() {
                let limits = preset.config.get("maxLengths").cloned().unwrap_or_default();
                let limit = limits["title"]
                    .as_u64()
                    .map_or(usize::MAX, |limit| limit as usize);
                let requests = agent.preview(&name, &case);
                let requests = requests.unwrap_or_else(|error| panic!("{name}: {}: {error}", case.title));
                for request in &requests {
                    sound(&name, request);
                }
                let create = requests[0].body.clone().unwrap();
                let title = step_cut(&case.title, limit);
                let mut texts = Vec::new();
                strings(&serde_json::from_str(&create).unwrap(), &mut texts);
                assert!(
                    texts.contains(&title),
                    "{name}: the title is not sent as it is or cut"
                );
                assert!(
                    texts
                        .iter()
                        .all(|text| text != &case.title || title == case.title),
                    "{name}"
                );
                assert!(!create.contains("s3cret-Value"));
            }
        }
    }
}

fn step_cut(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    text.chars().take(limit - 1).chain(['…']).collect()
}

fn sound(name: &str, request: &Request) {
    let url = url::Url::parse(&request.url).unwrap();
    assert!(
        url.scheme() == "https" && url.host_str().is_some(),
        "{name}: {}",
        request.url
    );
    assert!(
        !request.url.contains("{{") && !request.url.contains("@{"),
        "{name}: {}",
        request.url
    );
    if let Some(body) = &request.body {
        let value: Value = serde_json::from_str(body).unwrap_or_else(|e| panic!("{name}: {e}: {body}"));
        assert!(value.is_object() || value.is_array(), "{name}");
    }
    for header in &request.headers {
        assert!(
            !header.value.contains("@{") && !header.value.contains("{{"),
            "{name}: {}",
            header.name
        );
    }
}

#[test]
fn ids_of_the_target_stay_one_part_of_the_path() {
    let (_folder, agent, _) = agent();
    for preset in presets() {
        let plain = agent.preview(&preset.name, &ordinary(Some("PLAIN-ID"))).unwrap();
        for id in ["a/b", "a?b#c", "%2e%2e", "é 🙂", "{{{case.id}}}", "..x", "a\"b\\"] {
            let odd = agent.preview(&preset.name, &ordinary(Some(id))).unwrap();
            assert_eq!(plain.len(), odd.len());
            for (plain, odd) in plain.iter().zip(&odd) {
                let url = plain.url.replace("PLAIN-ID", &encode_component(id));
                assert_eq!(
                    url::Url::parse(&odd.url),
                    url::Url::parse(&url),
                    "{}",
                    preset.name
                );
                sound(&preset.name, odd);
            }
        }
    }
}

#[test]
fn values_cannot_leave_their_place() {
    let nasty = "x\"}],\"y\":{{{case.id}}} \\ @{project} & / ? #";
    let document = super::preset(
        "jira-cloud",
        &[
            ("site", "acme"),
            ("project", "OPS"),
            ("issue_type", nasty),
            ("user", "u"),
            ("token", "t"),
        ],
    )
    .unwrap();
    let connector = Connector::from_json(&document).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::open(folder.path().join("cases.db"), Options::new().drain(false)).unwrap();
    agent.configure("jira", &connector).unwrap();
    let requests = agent.preview("jira", &Case::new("T").id("7")).unwrap();
    let body: Value = serde_json::from_str(requests[0].body.as_deref().unwrap()).unwrap();
    assert_eq!(body["fields"]["issuetype"]["name"], nasty);
    assert_eq!(body["fields"]["project"]["key"], "OPS");
    let document = super::preset(
        "azure-devops",
        &[("organization", "acme"), ("project", "a/b?c {{{case.id}}}")],
    );
    let connector = Connector::from_json(&document.unwrap()).unwrap();
    let url = connector.config.create.url.sample();
    assert_eq!(
        url.path(),
        "/acme/a%2Fb%3Fc%20%7B%7B%7Bcase.id%7D%7D%7D/_apis/wit/workitems/$Issue"
    );
}

#[test]
fn refusals_list_what_there_is_and_show_no_value() {
    let refused = |name: &str, values: &[(&str, &str)]| super::preset(name, values).unwrap_err();
    let error = refused("jira-clud", &[]);
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("did you mean jira-cloud?") && error.message().contains("zendesk"));
    for (values, field, words) in [
        (&[][..], "site", "site, project are needed"),
        (&[("site", "acme")], "project", "this parameter is needed"),
        (
            &[("site", "acme"), ("project", "OPS"), ("color", "hunter2")],
            "color",
            "takes site, project, issue_type (default Task), user (a credential)",
        ),
        (
            &[("site", "acme"), ("site", "b"), ("project", "OPS")],
            "site",
            "given twice",
        ),
        (
            &[("site", "https://hunter2"), ("project", "OPS")],
            "site",
            "without dots, scheme or path",
        ),
        (
            &[("site", "acme"), ("project", "OPS"), ("user", "hunter2")],
            "token",
            "missing",
        ),
    ] {
        let error = refused("jira-cloud", values);
        assert_eq!((error.kind(), error.field()), (ErrorKind::Argument, Some(field)));
        assert!(error.message().contains(words), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    let error = refused("kibana-cases", &[("url", "https://k"), ("owner", "me")]);
    assert!(
        error
            .message()
            .contains("must be one of cases, securitySolution, observability")
    );
}

#[test]
fn overlays_follow_what_is_given() {
    let bare: Value = serde_json::from_str(
        &super::preset("redmine", &[("url", "https://r/x/"), ("project", "p")]).unwrap(),
    )
    .unwrap();
    assert_eq!(bare["config"]["createIncidentUrl"], "https://r/x/issues.json");
    assert_eq!(bare["config"]["onUncertainCreate"], "hold");
    assert!(bare.get("secrets").is_none());
    let with = super::preset(
        "redmine",
        &[
            ("url", "https://r"),
            ("project", "p"),
            ("id_field", "3"),
            ("key", "k"),
        ],
    );
    let with: Value = serde_json::from_str(&with.unwrap()).unwrap();
    assert_eq!(with["config"]["onUncertainCreate"], "find");
    assert_eq!(with["secrets"]["secretHeaders"]["X-Redmine-API-Key"], "k");
    let kibana =
        |owner| super::preset("kibana-cases", &[("url", "https://k/s/x"), ("owner", owner)]).unwrap();
    assert!(kibana("securitySolution").contains("https://k/s/x/app/security/cases/"));
    assert!(kibana("cases").contains("https://k/s/x/app/management/"));
}
