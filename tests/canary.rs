//! Nothing leaks: canaries in every secret, a target, a proxy and a token endpoint that repeat them in every form wherever an
//! answer has room, and a search through everything that casehook says, logs or stores.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fmt::Debug;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use casehook::{Agent, Case, Connector, Filter, Options, Settings};
use serde_json::{Value, json};
use url::form_urlencoded;

use support::case_system::config_for;
use support::http::{Received, Reply};
use support::listener::{Answer, Listener, Service};

const PATIENCE: Duration = Duration::from_secs(30);

/// Each holds a core that no encoding changes, and around it what encodings do change.
const CANARIES: [(&str, &str); 17] = [
    ("user", "u/cnryuser01 +"),
    ("password", "p&\"cnrypass02/é!'()*~<>"),
    ("secret header", "Token cnryhead03=="),
    ("second secret header", "cnryhead04 \\ ;"),
    ("client secret", "c%cnryclnt05+/ !'~<é"),
    ("token", "cnrytokn06-abcdefghijklmnop"),
    ("proxy user", "x cnryprxu07"),
    ("proxy password", "y/cnryprxp08?"),
    ("settings proxy password", "cnrysetp09"),
    ("settings proxy header", "cnryseth10"),
    ("key text", "cnrykeyt11 is no key"),
    ("pfx text", "cnrypfxt12"),
    ("passphrase", "cnryphrs13"),
    ("certificate text", "cnrycert14 is no certificate"),
    ("URL password", "cnryurlp15"),
    ("environment", "cnryenvi16"),
    ("query", "cnryquer17"),
];

fn canary(name: &str) -> &'static str {
    CANARIES.iter().find(|(n, _)| *n == name).expect("a canary").1
}

fn core(text: &str) -> &str {
    let at = text.find("cnry").expect("a core");
    &text[at..at + 10]
}

fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

fn base64_url(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// As Python's `urllib.parse.quote` has it, and then as a form has it.
fn percent_otherwise(text: &str) -> String {
    let kept = |form: bool, byte: u8| match byte {
        b' ' if form => "+".to_owned(),
        b'/' | b'~' if !form => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02x}"),
    };
    let whole = |form| text.bytes().map(|byte| kept(form, byte)).collect::<String>();
    format!("{}|{}", whole(false), whole(true))
}

/// As templates of HTML write it, with names and with numbers.
fn html(text: &str) -> String {
    let named = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let numbered = named.replace('"', "&#34;").replace('\'', "&#x27;");
    let quoted = named.replace('"', "&quot;").replace('\'', "&#039;");
    format!("{numbered}|{quoted}")
}

/// As JSON of Go, .NET and PHP has it.
fn escaped(text: &str) -> String {
    let go = |c: char| match c {
        '<' | '>' | '&' => format!("\\u{:04x}", u32::from(c)),
        '"' | '\\' => format!("\\{c}"),
        _ => c.to_string(),
    };
    let net = |c: char| match c {
        '<' | '>' | '&' | '"' | '\'' | '+' | 'é' => format!("\\u{:04X}", u32::from(c)),
        '\\' => "\\\\".to_owned(),
        _ => c.to_string(),
    };
    let php = |c: char| match c {
        '/' | '"' | '\\' => format!("\\{c}"),
        'é' => "\\u00e9".to_owned(),
        _ => c.to_string(),
    };
    let go: String = text.chars().map(go).collect();
    let net: String = text.chars().map(net).collect();
    let php: String = text.chars().map(php).collect();
    format!("{go}|{net}|{php}")
}

fn percent(text: &str) -> String {
    let one = |byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

/// The header that the token endpoint gets (RFC 6749, 2.3.1).
fn client_login() -> String {
    let secret: String = form_urlencoded::byte_serialize(canary("client secret").as_bytes()).collect();
    base64(&format!("casehook:{secret}"))
}

/// Whatever gives a secret away: a core, or the base64 of a whole or of a login.
fn needles() -> Vec<(String, String)> {
    let mut needles = Vec::new();
    for (name, text) in CANARIES {
        needles.push((name.to_owned(), core(text).to_owned()));
        needles.push((
            format!("{name} in base64"),
            base64(text).trim_end_matches('=').to_owned(),
        ));
        needles.push((format!("{name} in base64 for URLs"), base64_url(text)));
        needles.push((format!("{name} in hex"), hex(core(text))));
    }
    for (user, password) in [("user", "password"), ("proxy user", "proxy password")] {
        let login = format!("{}:{}", canary(user), canary(password));
        needles.push((
            format!("login of {user}"),
            base64(&login).trim_end_matches('=').to_owned(),
        ));
        needles.push((format!("login of {user} for URLs"), base64_url(&login)));
    }
    needles.push((
        "login of the client".to_owned(),
        client_login().trim_end_matches('=').to_owned(),
    ));
    needles
}

/// What was said, and where.
#[derive(Default)]
struct Heard(Vec<(String, Vec<u8>)>);

impl Heard {
    fn hear(&mut self, place: &str, text: impl AsRef<[u8]>) {
        self.0.push((place.to_owned(), text.as_ref().to_vec()));
    }

    fn debug(&mut self, place: &str, value: &impl Debug) {
        self.hear(place, format!("{value:?} {value:#?}"));
    }

    /// Both ways an error is printed.
    fn result<T: Debug>(&mut self, place: &str, result: &casehook::Result<T>) {
        self.debug(place, result);
        if let Err(error) = result {
            self.hear(place, error.to_string());
        }
    }

    /// The leaks, and how many texts were searched.
    fn search(&self) -> Vec<String> {
        let needles = needles();
        let mut leaks = Vec::new();
        for (place, bytes) in &self.0 {
            let text = String::from_utf8_lossy(bytes);
            for (name, needle) in &needles {
                if let Some(at) = text.find(needle.as_str()) {
                    let around: String = text[at..].chars().take(60).collect();
                    leaks.push(format!("{place}: {name}: {around}"));
                }
            }
        }
        leaks
    }
}

// Everything that anybody logs

struct Logger(Mutex<Vec<String>>);

/// From here on answers repeat secrets, and the log of the HTTP library (which writes out whole messages at trace level) is
/// not casehook's to answer for.
static QUIET_IS_OVER: AtomicBool = AtomicBool::new(false);

static LOGGER: Logger = Logger(Mutex::new(Vec::new()));

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let own = record.target().starts_with("casehook");
        if !own && QUIET_IS_OVER.load(Ordering::Relaxed) {
            return;
        }
        let line = format!("{} {} {}", record.level(), record.target(), record.args());
        self.0.lock().unwrap().push(line);
    }

    fn flush(&self) {}
}

// The hostile servers

/// Every secret that the servers are sent, in every form that it might be sent back in.
fn echo_of(sent: &[&str]) -> String {
    let mut all = String::new();
    for name in sent {
        let text = canary(name);
        let json = serde_json::to_string(text).unwrap();
        let twice = serde_json::to_string(&json).unwrap();
        all.push_str(&format!(
            "[{text}|{json}|{twice}|{}|{}|{}|{}|{}|{}|{}]",
            percent(text),
            base64(text),
            base64_url(text),
            hex(text),
            percent_otherwise(text),
            html(text),
            escaped(text),
        ));
    }
    for (user, password) in [("user", "password"), ("proxy user", "proxy password")] {
        if sent.contains(&user) {
            let login = format!("{}:{}", canary(user), canary(password));
            let bare = base64(&login).trim_end_matches('=').to_owned();
            all.push_str(&format!(
                "Basic {} {login} {bare} {}",
                base64(&login),
                base64_url(&login)
            ));
        }
    }
    if sent.contains(&"client secret") {
        all.push_str(&format!(" Basic {} ", client_login()));
    }
    all
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    /// This status, with everything in reason, headers and a JSON body.
    Status(u16),
    /// A 2xx whose body is text.
    Text,
    /// A 2xx with what was asked for in the wrong form.
    NoId,
    /// All goes well, and the id is a secret.
    EchoedId,
    /// All goes well, and nothing is repeated.
    Quiet,
    /// All goes well, and title, link and failure text are echoes.
    Works,
    /// A redirect to an address made of echoes.
    Redirect,
    Cut,
}

struct Hostile {
    mode: Mutex<Mode>,
    /// What they are sent, and so can repeat.
    sent: Mutex<Vec<&'static str>>,
    received: Mutex<Vec<Received>>,
}

impl Service for Hostile {
    fn answer(&self, request: Received) -> Answer {
        self.received.lock().unwrap().push(request.clone());
        let mode = *self.mode.lock().unwrap();
        let sent = self.sent.lock().unwrap().clone();
        let all = echo_of(&sent);
        let echo = || all.clone();
        let line: String = all.chars().filter(|c| !c.is_control()).collect();
        let last = canary(sent.last().expect("a secret"));
        let some = percent(last);
        let filled = |status: u16, body: &Value| Reply {
            reason: line.chars().filter(char::is_ascii).take(300).collect(),
            ..Reply::json(status, body)
                .with("x-echo", &line)
                .with("www-authenticate", &format!("Basic realm=\"{last}\""))
                .with("etag", &format!("\"{last}\""))
        };
        let told = json!({"error": echo(), "message": echo(), "errors": [echo()], echo(): echo()});
        if request.target.contains("/token") {
            // What it has not given out it cannot repeat.
            let all = echo_of(&["client secret"]);
            let echo = || all.clone();
            let told = json!({"error": echo(), "error_description": echo()});
            return Answer::Reply(match mode {
                Mode::Works | Mode::Quiet | Mode::EchoedId => Reply::json(
                    200,
                    &json!({"access_token": canary("token"),
                    "token_type": "Bearer", "expires_in": 3600}),
                ),
                Mode::Cut => return Answer::Cut,
                Mode::Text => Reply {
                    body: echo().into_bytes(),
                    ..filled(200, &told)
                },
                Mode::NoId => filled(
                    200,
                    &json!({"access_token": [echo()], "error_description": echo()}),
                ),
                Mode::Status(status) => {
                    filled(status, &json!({"error": echo(), "error_description": echo()}))
                }
                Mode::Redirect => filled(400, &told),
            });
        }
        Answer::Reply(match mode {
            Mode::Status(status) => filled(status, &told),
            Mode::Text => Reply {
                headers: vec![("content-type".to_owned(), format!("text/html; x={line}"))],
                body: echo().into_bytes(),
                ..filled(200, &told)
            },
            Mode::NoId => filled(
                200,
                &json!({"id": {"deep": echo()}, "id2": echo(), "key": [echo()]}),
            ),
            Mode::EchoedId => Reply::json(200, &json!({"id": last, "key": "K"})),
            Mode::Quiet => Reply::json(200, &json!({"id": "1001", "key": "CASE-1001"})),
            Mode::Works => filled(
                200,
                &json!({"id": "1001", "key": echo(),
                "url": format!("http://127.0.0.1/{}", canary(sent[0]))}),
            ),
            Mode::Redirect => {
                filled(302, &told).with("location", &format!("http://127.0.0.1:1/{some}?{some}"))
            }
            Mode::Cut => return Answer::Cut,
        })
    }
}

impl Hostile {
    fn start() -> (Arc<Hostile>, Listener, String) {
        let hostile = Arc::new(Hostile {
            mode: Mutex::new(Mode::Works),
            sent: Mutex::new(BASIC.to_vec()),
            received: Mutex::default(),
        });
        let listener = Listener::start("127.0.0.1:0", hostile.clone()).unwrap();
        let base = format!("http://{}", listener.authority());
        (hostile, listener, base)
    }

    fn be(&self, mode: Mode, sent: &[&'static str]) {
        *self.mode.lock().unwrap() = mode;
        *self.sent.lock().unwrap() = sent.to_vec();
    }

    fn heard_of(&self, needle: &str) -> bool {
        let received = self.received.lock().unwrap();
        received.iter().any(|request| {
            request.target.contains(needle)
                || request.text().contains(needle)
                || request.headers.values().any(|value| value.contains(needle))
        })
    }
}

// The connectors

/// What each sends.
const BASIC: [&str; 5] = [
    "user",
    "query",
    "password",
    "secret header",
    "second secret header",
];
const OAUTH2: [&str; 3] = ["client secret", "query", "token"];
const PROXIED: [&str; 7] = [
    "user",
    "query",
    "password",
    "secret header",
    "second secret header",
    "proxy user",
    "proxy password",
];

type Kind = (&'static str, &'static [&'static str], fn(&str) -> Value);

const KINDS: [Kind; 4] = [
    ("basic", &BASIC, basic),
    ("oauth2", &OAUTH2, oauth2),
    ("oauth2 by header", &OAUTH2, oauth2_by_header),
    ("proxied", &PROXIED, proxied),
];

fn basic(base: &str) -> Value {
    let mut config = config_for(base);
    config["hasAuth"] = json!(true);
    config["retry"] = json!({"maxAttempts": 1});
    config["viewIncidentResponseKey"] = json!("url");
    config["ifMatchHeader"] = json!(true);
    config["createIncidentUrl"] = json!(format!("{base}/issues?api_key={}", canary("query")));
    json!({"config": config, "secrets": {
        "user": canary("user"), "password": canary("password"),
        "secretHeaders": {"X-Api-Key": canary("secret header"), "X-Other": canary("second secret header")},
    }})
}

fn oauth2(base: &str) -> Value {
    let mut document = basic(base);
    document["config"]["authType"] = json!("webhook-oauth2-client-credentials");
    document["config"]["accessTokenUrl"] = json!(format!("{base}/token"));
    document["config"]["clientId"] = json!("casehook");
    document["secrets"] = json!({"clientSecret": canary("client secret")});
    document
}

fn oauth2_by_header(base: &str) -> Value {
    let mut document = oauth2(base);
    document["config"]["accessTokenAuthMethod"] = json!("client_secret_basic");
    document
}

fn proxied(base: &str) -> Value {
    let mut document = basic("http://target.invalid");
    document["config"]["proxy"] = json!({"url": base});
    document["secrets"]["proxyUser"] = json!(canary("proxy user"));
    document["secrets"]["proxyPassword"] = json!(canary("proxy password"));
    document
}

/// Documents that are refused, each with canaries at the place of the flaw.
fn refused(base: &str) -> Vec<(&'static str, Value)> {
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut document = basic(base);
        change(&mut document);
        document
    };
    let certificate = |secrets: Value| {
        let mut document = basic("https://127.0.0.1:1");
        document["config"]["authType"] = json!("webhook-authentication-ssl");
        document["config"]["certType"] = json!(if secrets["pfx"].is_null() {
            "ssl-crt-key"
        } else {
            "ssl-pfx"
        });
        document["secrets"] = secrets;
        document
    };
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/vectors/tls-files");
    let file = |name: &str| STANDARD.encode(fs::read(files.join(name)).unwrap());
    vec![
        (
            "list",
            changed(&|d| d["secrets"]["password"] = json!([canary("password")])),
        ),
        (
            "number",
            changed(&|d| d["secrets"]["password"] = json!({"secret": canary("password")})),
        ),
        (
            "unknown",
            changed(&|d| d["secrets"]["passwort"] = json!(canary("password"))),
        ),
        (
            "in the place of a name",
            changed(&|d| d["secrets"][canary("password")] = json!("password")),
        ),
        (
            "in the place of a variable",
            changed(&|d| d["secrets"]["password"] = json!({"env": canary("password")})),
        ),
        (
            "in the place of a path",
            changed(&|d| d["secrets"]["password"] = json!({"file": canary("password")})),
        ),
        (
            "whole header as name",
            changed(&|d| {
                let header = format!("Authorization: Bearer {}", canary("secret header"));
                d["secrets"]["secretHeaders"] = json!({header: ""});
            }),
        ),
        (
            "alone",
            changed(&|d| d["secrets"] = json!({"password": canary("password")})),
        ),
        (
            "env",
            changed(&|d| d["secrets"]["password"] = json!({"env": "CANARY_NOT_ALLOWED"})),
        ),
        (
            "control",
            changed(&|d| {
                d["secrets"]["secretHeaders"]["X-Bad"] =
                    json!(format!("{}\n", canary("secret header")).repeat(2));
            }),
        ),
        (
            "name",
            changed(&|d| d["secrets"]["secretHeaders"]["X Bad"] = json!(canary("secret header"))),
        ),
        (
            "twice",
            changed(&|d| d["secrets"]["secretHeaders"]["x-api-key"] = json!(canary("secret header"))),
        ),
        (
            "headers",
            changed(&|d| d["secrets"]["secretHeaders"] = json!(canary("secret header"))),
        ),
        (
            "url",
            changed(&|d| {
                d["config"]["getIncidentUrl"] =
                    json!(format!("http://u:{}@127.0.0.1/", canary("URL password")));
            }),
        ),
        (
            "proxy",
            changed(&|d| {
                d["config"]["proxy"] =
                    json!({"url": format!("http://u:{}@127.0.0.1/", canary("URL password"))});
            }),
        ),
        (
            "key",
            certificate(json!({"crt": file("client.pem"), "key": base64(canary("key text"))})),
        ),
        (
            "pem key",
            certificate(json!({"crt": file("client.pem"), "key": base64(&format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----", base64(canary("key text"))))})),
        ),
        (
            "crt",
            certificate(json!({"crt": base64(canary("certificate text")), "key": file("client.key")})),
        ),
        (
            "passphrase",
            certificate(json!({"crt": file("client.pem"), "key": file("client.enc.key"),
            "password": canary("passphrase")})),
        ),
        ("pfx", certificate(json!({"pfx": base64(canary("pfx text"))}))),
        (
            "pfx text",
            certificate(json!({"pfx": format!("!{}", canary("pfx text"))})),
        ),
        (
            "pfx passphrase",
            certificate(json!({"pfx": file("client.pfx"), "password": canary("passphrase")})),
        ),
    ]
}

fn connector(document: &Value) -> Connector {
    Connector::from_json(&document.to_string()).unwrap()
}

fn case(number: usize) -> Case {
    Case::new(format!("case {number}"))
        .id(format!("c{number}"))
        .comment("c1", "a comment")
}

/// All that can be asked of an agent.
fn ask(heard: &mut Heard, place: &str, agent: &Agent) {
    let pushes = agent.pushes(&Filter::new()).unwrap();
    for push in &pushes {
        let attempts = agent.attempts(push.id).unwrap();
        heard.debug(&format!("{place}: attempts"), &attempts);
        let json = serde_json::to_string(&attempts).unwrap();
        heard.hear(&format!("{place}: attempts as JSON"), json);
        let link = push.case_id.as_deref().map(|id| agent.link(&push.connector, id));
        heard.debug(&format!("{place}: link"), &link);
    }
    heard.debug(&format!("{place}: status"), &pushes);
    heard.hear(
        &format!("{place}: status as JSON"),
        serde_json::to_string(&pushes).unwrap(),
    );
    let stats = agent.stats().unwrap();
    heard.debug(&format!("{place}: stats"), &stats);
    heard.hear(
        &format!("{place}: stats as JSON"),
        serde_json::to_string(&stats).unwrap(),
    );
    heard.debug(&format!("{place}: agent"), agent);
}

/// The document is the host's own text: a key in a URL of it is no secret there. It is one everywhere else.
fn without_query(text: &str) -> String {
    text.replace(core(canary("query")), "")
}

fn files(heard: &mut Heard, folder: &Path) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let bytes = fs::read(entry.path()).unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        let shown = without_query(&String::from_utf8_lossy(&bytes));
        heard.hear(&format!("file {name}"), shown);
    }
}

#[test]
fn no_secret_comes_out_anywhere() {
    log::set_logger(&LOGGER).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let mut heard = Heard::default();
    let folder = support::temp_dir();
    let (hostile, _listener, base) = Hostile::start();
    let path = folder.path().join("a.db");
    let options = Options::new().allow_secret_env(["CANARY_ENV"]);
    let agent = Agent::open(&path, options).unwrap();

    for (name, document) in refused(&base) {
        let text = document.to_string();
        let parsed = Connector::from_json(&text);
        let result = parsed.and_then(|connector| {
            heard.debug("refused connector", &without_query(&format!("{connector:?}")));
            agent.configure("refused", &connector)
        });
        assert!(result.is_err(), "{name} was accepted");
        heard.result(&format!("refused {name}"), &result);
        let cut = Connector::from_json(&text[..text.len() - 3]);
        heard.result("cut short", &cut.map(drop));
    }
    for settings in [
        json!({"proxyUrl": format!("http://u:{}@127.0.0.1:1", canary("settings proxy password")),
            "proxyHeaders": {"X-P": canary("settings proxy header")}}),
        json!({"proxyUrl": format!("ftp://u:{}@h", canary("settings proxy password"))}),
        json!({"proxyHeaders": {"X P": canary("settings proxy header")}, "proxyUrl": "http://h"}),
        json!({"proxyHeaders": {"X-P": [canary("settings proxy header")]}, "proxyUrl": "http://h"}),
    ] {
        let read = Settings::from_json(&settings.to_string());
        heard.result("settings", &read);
    }

    let modes = [400, 401, 403, 404, 409, 412, 422, 429, 500, 501, 503]
        .map(Mode::Status)
        .into_iter()
        .chain([
            Mode::Text,
            Mode::NoId,
            Mode::Redirect,
            Mode::Cut,
            Mode::EchoedId,
            Mode::Works,
        ]);
    let modes = std::iter::once(Mode::Quiet).chain(modes);
    let mut number = 0;
    for mode in modes {
        if mode != Mode::Quiet && !QUIET_IS_OVER.swap(true, Ordering::Relaxed) {
            let logged = std::mem::take(&mut *LOGGER.0.lock().unwrap());
            assert!(
                logged.iter().any(|line| line.contains("ureq")),
                "the transport logged nothing"
            );
            for line in logged {
                // The HTTP library writes out what it reads, at trace level: an answer with a token too.
                let read = line.contains("ureq_proto::util") && line.contains(&core(canary("token"))[..6]);
                if !read {
                    heard.hear("log of whatever library", without_query(&line));
                }
            }
        }
        for (name, document) in KINDS.map(|(name, sent, make)| ((name, sent), make(&base))) {
            let (name, sent) = name;
            hostile.be(mode, sent);
            number += 1;
            let place = format!("{name} {mode:?}");
            let connector = connector(&document);
            heard.debug(&place, &without_query(&format!("{connector:?}")));
            let warnings = agent.configure(name, &connector);
            heard.result(&place, &warnings);
            let report = agent.test(name, &case(number));
            heard.debug(&format!("{place}: test"), &report);
            if mode == Mode::EchoedId {
                let told = format!("{report:?}");
                assert!(told.contains("repeats a secret"), "{place}: {told}");
            }
            let preview = agent.preview(name, &case(number));
            heard.debug(&format!("{place}: preview"), &preview);
            let push = agent.push(name, &case(number)).unwrap();
            let waited = agent.wait(push, Duration::from_millis(400));
            heard.result(&format!("{place}: wait"), &waited);
            ask(&mut heard, &place, &agent);
            heard.hear(
                &format!("{place}: connector"),
                without_query(&agent.connector(name).unwrap().config_json()),
            );
            let _ = agent.cancel(push);
            agent.remove_cancelling(name).unwrap_or_default();
        }
    }
    // Updates and comments of a case that is linked.
    hostile.be(Mode::Works, &BASIC);
    agent.configure("basic", &connector(&basic(&base))).unwrap();
    let push = agent.push("basic", &case(0)).unwrap();
    heard.result("linked", &agent.wait(push, PATIENCE));
    for mode in [Mode::Status(409), Mode::Text, Mode::NoId] {
        hostile.be(mode, &BASIC);
        let push = agent.push("basic", &case(0).comment("c2", "more")).unwrap();
        heard.result("linked", &agent.wait(push, PATIENCE));
        let _ = agent.discard(push);
    }
    ask(&mut heard, "linked", &agent);
    files(&mut heard, folder.path());
    agent.backup(folder.path().join("copy.db")).unwrap();
    heard.result("rekey", &agent.rekey(None));
    agent.close(PATIENCE).unwrap();
    files(&mut heard, folder.path());
    command_line(&mut heard, folder.path(), &base);

    let logged = std::mem::take(&mut *LOGGER.0.lock().unwrap());
    assert!(
        logged.iter().any(|line| line.contains("casehook")),
        "nothing was logged"
    );
    for line in &logged {
        heard.hear("log", line);
    }
    for sent in [
        "password",
        "second secret header",
        "token",
        "client secret",
        "proxy password",
    ] {
        let text = canary(sent);
        let login = match sent {
            "password" => base64(&format!("{}:{text}", canary("user"))),
            "proxy password" => base64(&format!("{}:{text}", canary("proxy user"))),
            _ => core(text).to_owned(),
        };
        assert!(
            hostile.heard_of(&login),
            "{sent} never reached the target: the test proves nothing"
        );
    }
    let leaks = heard.search();
    assert!(
        leaks.is_empty(),
        "{} leaks in {} texts:\n{}",
        leaks.len(),
        heard.0.len(),
        leaks.join("\n")
    );
    assert!(heard.0.len() > 1000, "{} texts", heard.0.len());
}

#[cfg(feature = "cli")]
fn command_line(heard: &mut Heard, folder: &Path, base: &str) {
    let document = folder.join("connector.json");
    fs::write(&document, basic(base).to_string()).unwrap();
    let secrets = folder.join("broken.json");
    fs::write(&secrets, json!({"password": [canary("password")]}).to_string()).unwrap();
    let file = |path: &Path| path.to_str().unwrap().to_owned();
    let (document, secrets) = (file(&document), file(&secrets));
    for args in [
        vec!["configure", "cli", &document],
        vec!["configure", "cli", &document, "--secrets", &secrets],
        vec!["connectors"],
        vec!["stats"],
        vec!["list"],
        vec!["status", "1"],
        vec!["push", "cli", "--title", "t"],
        vec!["drain", "--timeout", "300ms"],
        vec!["test", "cli"],
        vec!["rekey"],
        vec!["retry", "--failed"],
    ] {
        for json in [false, true] {
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_casehook"));
            command
                .arg("--db")
                .arg(folder.join("a.db"))
                .args(&args)
                .args(["-v", "-v"]);
            if json {
                command.arg("--json");
            }
            let output = command.output().unwrap();
            let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            let shows_the_document = args == ["connectors"];
            let said = if shows_the_document {
                without_query(&said)
            } else {
                said
            };
            heard.hear(&format!("command {args:?}"), &said);
        }
    }
}

#[cfg(not(feature = "cli"))]
fn command_line(_: &mut Heard, _: &Path, _: &str) {}
