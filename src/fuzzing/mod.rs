//! Doors for hostile input, for the fuzz targets in `tests/fuzz` and for the test that plays their corpus.
//!
//! Each takes any bytes, must come back without a panic and within bounded time and memory, and asserts what has to hold of
//! whatever is accepted.

#[cfg(test)]
mod corpus;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::OnceLock;

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::connector::{Connector, Prepared, SecretSources, Settings};
use crate::mask::{MASK, Masks};
use crate::model::{Case, Step, Timestamp};
use crate::outbox::ConnectorId;
use crate::response::ResponsePath;
use crate::response::json as text;
use crate::step::Subject;
use crate::store::Store;
use crate::store::sqlite::{KeySource, SqliteStore};
use crate::template::{BodyTemplate, Slot, TextForm, TextForms, UrlTemplate, Variables};
use crate::transport::{Answer, HttpTransport, Identity, Method, Request, Roots, TokenGrant, Transport};

/// A door: whatever bytes go in, nothing may come of it but `Ok` or an error.
pub type Door = fn(&[u8]);

/// Every door under the name of its target and corpus.
pub const DOORS: [(&str, Door); 13] = [
    ("template", template),
    ("path", path),
    ("connector", connector),
    ("case", case),
    ("settings", settings),
    ("answer", answer),
    ("http", http),
    ("keys", keys),
    ("database", database),
    ("import", import),
    ("mask", mask),
    ("proxy", proxy),
    ("token", token),
];

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const STEPS: [Step; 5] = [Step::Create, Step::Find, Step::Update, Step::Get, Step::Comment];
const SLOTS: [Slot; 11] = [
    Slot::CreateUrl,
    Slot::CreateBody,
    Slot::FindUrl,
    Slot::FindBody,
    Slot::UpdateUrl,
    Slot::UpdateBody,
    Slot::GetUrl,
    Slot::GetBody,
    Slot::CommentUrl,
    Slot::CommentBody,
    Slot::ViewUrl,
];
/// A value that breaks what is put together without care.
const HOSTILE: &str = "a\"'\\{{{case.title}}}/../?#\r\n\u{0}\u{2028}\u{1f600}";

/// A slot (first byte) and a template in it.
pub fn template(data: &[u8]) {
    let Some((slot, Ok(text))) = data.split_first().map(|(s, t)| (s, std::str::from_utf8(t))) else {
        return;
    };
    let slot = SLOTS[usize::from(*slot) % SLOTS.len()];
    let tags = [HOSTILE.to_owned(), String::new()];
    let severity = json!({"deep": [1, HOSTILE]});
    let mut fields = Map::new();
    fields.insert("x".to_owned(), severity.clone());
    for title in [HOSTILE, "", "plain"] {
        let variables = Variables {
            title,
            description: title,
            id: title,
            severity: Some(&severity),
            status: None,
            tags: &tags,
            fields: Some(&fields),
            comment: title,
            comment_id: title,
            external_id: title,
            external_title: title,
            texts: &[],
        };
        for form in [TextForm::Plain, TextForm::Adf] {
            let forms = TextForms {
                description: form,
                comment: form,
            };
            if let Ok(body) = BodyTemplate::compile(slot, "config.x", text, forms)
                && let Ok(rendered) = body.render(&variables)
            {
                assert!(
                    serde_json::from_str::<serde::de::IgnoredAny>(&rendered).is_ok(),
                    "{rendered}"
                );
            }
        }
        if let Ok(template) = UrlTemplate::compile(slot, "config.x", text)
            && let Ok(url) = template.url(&variables)
        {
            assert_eq!(url.origin(), template.sample().origin());
            assert!(url.username().is_empty() && url.password().is_none(), "{url}");
        }
    }
}

/// A path, a line feed, and a document in which it is looked for.
pub fn path(data: &[u8]) {
    let Ok(whole) = std::str::from_utf8(data) else {
        return;
    };
    let (path, document) = whole.split_once('\n').unwrap_or((whole, "{}"));
    let Ok(path) = ResponsePath::parse("config.x", path) else {
        return;
    };
    let deep = text::depth(document.as_bytes()) > text::DEEPEST;
    if deep || serde_json::from_str::<serde::de::IgnoredAny>(document).is_err() {
        return;
    }
    if let Some(found) = path.find(document) {
        assert!(
            serde_json::from_str::<serde::de::IgnoredAny>(found).is_ok(),
            "{found}"
        );
    }
}

/// A connector document; what is accepted is prepared, stored and read back.
pub fn connector(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(connector) = Connector::from_json(text) else {
        return;
    };
    let (settings, sources) = (Settings::default(), SecretSources::default());
    let _ = connector.check(&settings, &sources, NOW);
    let _ = connector.prepare(&settings, &sources);
    let config = connector.config_json();
    let again = Connector::restore("x", &config, "[]", Vec::new());
    assert_eq!(again.map(|again| again.config_json()).ok(), Some(config));
}

/// A case; what is accepted is written, read again and rendered.
pub fn case(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(case) = Case::from_json(text) else { return };
    let written = case.to_json();
    let again = Case::from_json(&written).map(|again| again.to_json());
    assert_eq!(again.ok(), Some(written));
    for step in STEPS {
        let _ = crate::step::render(step, prepared(), &subject(&case));
    }
}

/// A settings document.
pub fn settings(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Settings::from_json(text);
    }
}

/// A step (first byte), a status (two bytes), header lines, an empty line and a body, as the steps and the classifier
/// get them.
pub fn answer(data: &[u8]) {
    let Some(([step, high, low], rest)) = data.split_first_chunk() else {
        return;
    };
    let (head, body) = match rest.windows(2).position(|two| two == b"\n\n") {
        Some(at) => (&rest[..at], &rest[at + 2..]),
        None => (rest, &[][..]),
    };
    let latin1 = |bytes: &[u8]| -> String { bytes.iter().map(|byte| char::from(*byte)).collect() };
    let headers = head.split(|byte| *byte == b'\n').filter_map(|line| {
        let at = line.iter().position(|byte| *byte == b':')?;
        Some((
            latin1(&line[..at]).to_ascii_lowercase(),
            latin1(&line[at + 1..]).trim().to_owned(),
        ))
    });
    let answer = Answer {
        status: 100 + u16::from_be_bytes([*high, *low]) % 500,
        headers: headers.collect(),
        body: body.to_vec(),
        body_fault: None,
        tokens: Default::default(),
    };
    let case = Case::new("T").id("7").comment("c", "text");
    let step = STEPS[usize::from(*step) % STEPS.len()];
    let result = Ok(answer);
    for by_link in [true, false] {
        let read = crate::drain::reading::read(step, prepared(), &subject(&case), by_link, &result, NOW);
        if let Err(verdict) = read {
            assert!(
                verdict.pause.is_none_or(|pause| pause.as_secs() <= 3600),
                "{verdict:?}"
            );
            assert!(verdict.message.len() < 4096, "{}", verdict.message.len());
        }
    }
}

/// Connectors of somebody else's making: an export, a state, a configuration.
pub fn import(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for connector in crate::import::import(text).unwrap_or_default().connectors {
        let read = Connector::from_json(&connector.document);
        assert!(read.is_ok() || !connector.complete, "{}", connector.document);
    }
}

/// A secret, a line feed, and a text: the secret is found whole, and nothing of the text is lost but what is masked.
pub fn mask(data: &[u8]) {
    let Ok(whole) = std::str::from_utf8(data) else {
        return;
    };
    let (secret, text) = whole.split_once('\n').unwrap_or((whole, ""));
    let masks = Masks::new(vec![Zeroizing::new(secret.to_owned())]);
    let masked = crate::mask::mask(text, &masks);
    // What is put in a secret's place may complete another one with what stands before it, of which that tells nothing.
    let blank = ('\u{e000}'..='\u{f8ff}').find(|blank| !secret.contains(*blank));
    let told = masked.replace(MASK, &String::from_iter(blank));
    let tellable = secret.trim().len() >= 4 && !MASK.contains(secret) && !secret.contains(MASK);
    assert!(!tellable || text.contains(MASK) || !told.contains(secret));
    assert!(masked != text || !masks.repeated_in(text));
    let _ = crate::mask::mask_cut(text, &masks);
}

/// What a token endpoint writes on the wire in place of an answer.
pub fn token(data: &[u8]) {
    let Some(url) = server(data, true) else { return };
    let grant = TokenGrant::new(url.clone(), &[("client_secret", "hunter2-secret")], None);
    let request = Request {
        method: Method::Post,
        url,
        headers: Vec::new(),
        body: None,
        network: std::sync::Arc::clone(&prepared().network),
        token: Some(std::sync::Arc::new(grant)),
    };
    // Nobody answers a second time, so that what comes of it is an error, in words of a bounded length.
    if let Err(failure) = HttpTransport::new(1).send(&request) {
        assert!(failure.message.len() < 4096, "{}", failure.message.len());
    }
}

/// A kind (first byte: HTTP that answers CONNECT, or SOCKS), and what the proxy writes.
pub fn proxy(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else {
        return;
    };
    let (scheme, asked) = if kind % 2 == 0 {
        ("http", true)
    } else {
        ("socks5", false)
    };
    let Some(address) = server(rest, asked) else {
        return;
    };
    let port = address.port().unwrap_or_default();
    let mut document = prepared_document();
    document["config"]["proxy"] = json!({"url": format!("{scheme}://127.0.0.1:{port}")});
    document["secrets"]["proxyUser"] = json!("p");
    document["secrets"]["proxyPassword"] = json!("hunter3");
    let Some(prepared) = prepare(&document) else {
        return;
    };
    let target = match asked {
        true => "https://target.example/",
        false => "http://target.example/",
    };
    let Ok(url) = target.parse() else { return };
    let request = Request {
        method: Method::Get,
        url,
        headers: Vec::new(),
        body: None,
        network: prepared.network,
        token: None,
    };
    let _ = HttpTransport::new(1).send(&request);
}

/// What a server writes on the wire in place of an answer.
pub fn http(data: &[u8]) {
    static TRANSPORT: OnceLock<HttpTransport> = OnceLock::new();
    let Some(url) = server(data, true) else { return };
    let request = Request {
        method: if data.len().is_multiple_of(2) {
            Method::Get
        } else {
            Method::Post
        },
        url,
        headers: Vec::new(),
        body: (!data.len().is_multiple_of(2)).then(|| b"{}".to_vec()),
        network: std::sync::Arc::clone(&prepared().network),
        token: None,
    };
    let sent = TRANSPORT.get_or_init(|| HttpTransport::new(1)).send(&request);
    if let Ok(answer) = sent {
        assert!(answer.body.len() as u64 <= request.network.limits.body_bytes);
    }
}

/// A kind (first byte), then texts between NUL bytes: certificate, key, passphrase; or a PKCS #12 file and its passphrase.
pub fn keys(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else {
        return;
    };
    if kind % 2 == 1 {
        let (passphrase, der) = match rest.iter().position(|byte| *byte == 0) {
            Some(at) => (String::from_utf8_lossy(&rest[..at]).into_owned(), &rest[at + 1..]),
            None => (String::new(), rest),
        };
        let _ = Identity::from_pfx(&crate::transport::to_base64(der), Some(&passphrase));
        return;
    }
    let text = String::from_utf8_lossy(rest);
    let mut parts = text.splitn(3, '\0');
    let (crt, key) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let _ = Identity::from_pem(crt, key, parts.next());
    let _ = Roots::from_pem(crt);
}

/// A database file as somebody else may have made it.
pub fn database(data: &[u8]) {
    let Ok(folder) = folder() else { return };
    let path = folder.join(format!("{:016x}.db", fastrand::u64(..)));
    if std::fs::write(&path, data).is_ok() {
        use_database(&path);
    }
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.clone().into_os_string();
        name.push(suffix);
        let _ = std::fs::remove_file(name);
    }
}

fn use_database(path: &std::path::Path) {
    let key = KeySource::Given(Zeroizing::new([7; 32]));
    let Ok(store) = SqliteStore::open(path, key) else {
        return;
    };
    let connectors = store.connectors().unwrap_or_default();
    for stored in connectors.iter().take(8) {
        let _ = Connector::restore(&stored.name, &stored.config, &stored.warnings, Vec::new());
        let _ = store.secrets(stored.id);
        if let Ok(Some(claim)) = store.claim(stored.id, NOW, &[]) {
            let _ = store.begin(claim.push.id, &claim.push.progress, NOW);
        }
        let _ = store.next_due(stored.id, &[]);
        let _ = store.link(&stored.name, &stored.target, "7");
    }
    let _ = store.claim(ConnectorId(1), NOW, &[]);
    for push in store
        .pushes(&crate::model::Filter::new().limit(20))
        .unwrap_or_default()
    {
        let _ = (store.status(push.id), store.attempts(push.id));
        let _ = store.load(push.id);
    }
    let _ = (store.counts(), store.interrupted(), store.drainer());
    let _ = store.clamp_due(NOW);
    let _ = store.rekey(Some(Zeroizing::new([9; 32])));
    let _ = store.close();
}

/// A folder in memory where there is one, for as long as the process lives.
fn folder() -> std::io::Result<std::path::PathBuf> {
    let memory = std::path::Path::new("/dev/shm");
    let base = if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    };
    let folder = base.join(format!("casehook-fuzzing-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// The address at which the next connection is answered with these bytes; after the head of a request, or at once.
fn server(data: &[u8], asked: bool) -> Option<url::Url> {
    let listener = TcpListener::bind("127.0.0.1:0").ok()?;
    let address = listener.local_addr().ok()?;
    let data = data.to_vec();
    std::thread::spawn(move || {
        if let Ok((stream, _)) = listener.accept() {
            // The other end may have had enough; that is its right.
            let _ = say(stream, &data, asked);
        }
    });
    url::Url::parse(&format!("http://{address}/")).ok()
}

fn say(mut stream: TcpStream, data: &[u8], asked: bool) -> std::io::Result<()> {
    let mut heard = Vec::new();
    let mut piece = [0; 2048];
    while asked && !heard.windows(4).any(|four| four == b"\r\n\r\n") {
        match stream.read(&mut piece)? {
            0 => return Ok(()),
            amount => heard.extend_from_slice(&piece[..amount]),
        }
    }
    stream.write_all(data)?;
    stream.shutdown(std::net::Shutdown::Write)?;
    while stream.read(&mut piece)? > 0 {}
    Ok(())
}

fn subject(case: &Case) -> Subject<'_> {
    Subject {
        case,
        external_id: Some("1001"),
        external_title: Some("CASE-1001"),
        comment: case.comments.first(),
        idempotency_key: Some("k"),
        if_match: None,
        stored_body: None,
    }
}

/// A connector that uses whatever an answer or a case can reach.
fn prepared() -> &'static Prepared {
    static PREPARED: OnceLock<Prepared> = OnceLock::new();
    PREPARED.get_or_init(|| match prepare(&prepared_document()) {
        Some(prepared) => prepared,
        None => panic!("the connector of the doors is refused"),
    })
}

fn prepare(document: &Value) -> Option<Prepared> {
    let connector = Connector::from_json(&document.to_string()).ok()?;
    let prepared = connector.prepare(&Settings::default(), &SecretSources::default());
    prepared.ok()
}

fn prepared_document() -> Value {
    let body = "{\"a\":{{{case.id}}},\"t\":{{{case.title}}},\"d\":{{{case.description}}},\"s\":{{{case.severity}}},\
                    \"u\":{{{case.status}}},\"g\":{{{case.tags}}},\"f\":{{{case.fields.x}}}}";
    let base = "http://127.0.0.1:1";
    json!({"config": {
            "createIncidentUrl": format!("{base}/{{{{{{case.id}}}}}}"),
            "createIncidentJson": body,
            "createIncidentResponseKey": "issue.id",
            "getIncidentUrl": format!("{base}/{{{{{{external.system.id}}}}}}"),
            "getIncidentResponseExternalTitleKey": "key",
            "viewIncidentUrl": format!("{base}/{{{{{{external.system.title}}}}}}"),
            "viewIncidentResponseKey": "links[0].url",
            "failureResponseKey": "errors",
            "updateIncidentUrl": format!("{base}/{{{{{{external.system.id}}}}}}"),
            "updateIncidentJson": body,
            "createCommentUrl": format!("{base}/{{{{{{external.system.id}}}}}}"),
            "createCommentJson": "{\"c\":{{{case.comment}}},\"i\":{{{case.commentId}}}}",
            "findIncidentUrl": format!("{base}/?q={{{{{{case.id}}}}}}"),
            "findIncidentResponseKey": "issues[].id",
            "valueMaps": {"severity": {"high": 2}},
            "maxLengths": {"title": 20},
            "timeouts": {"connectMs": 2000, "responseMs": 2000},
        }, "secrets": {"user": "u", "password": "hunter2"}})
}
