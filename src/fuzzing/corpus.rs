//! What every door is known to get: inputs made from the measured exchanges, played as they are and broken in many ways.
//!
//! `CASEHOOK_WRITE_CORPUS=FOLDER` writes them out, for `make fuzz` to begin with.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{DOORS, SLOTS};
use crate::template::Slot;

type Corpus = BTreeMap<&'static str, BTreeSet<Vec<u8>>>;

/// What is put into an input to break it: what has a meaning in one of the formats, or is near a limit of it.
const TOKENS: [&[u8]; 24] = [
    b"{{{",
    b"}}}",
    b"{{#a}}",
    b"{{/a}}",
    b"\"",
    b"\\u0000",
    b"\\ud800",
    b"[",
    b"{",
    b"]",
    b"}",
    b"null",
    b"-1",
    b"1e999",
    b"99999999999999999999",
    b"\r\n",
    b"\n\n",
    b"\0",
    b"\xff\xfe",
    b"\xf0\x9f\x98\x80",
    b"chunked",
    b"-----BEGIN X-----",
    b"\x30\x84\xff\xff\xff\xff",
    b"%00",
];

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn vectors() -> Vec<Value> {
    let folder = tests().join("conformance/vectors");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "json"))
        .collect();
    files.sort();
    let read = |path: &PathBuf| -> Vec<Value> { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    files.iter().flat_map(read).collect()
}

fn slot(field: &str) -> Option<u8> {
    let slot = match field {
        "createIncidentUrl" => Slot::CreateUrl,
        "createIncidentJson" => Slot::CreateBody,
        "findIncidentUrl" => Slot::FindUrl,
        "updateIncidentUrl" => Slot::UpdateUrl,
        "updateIncidentJson" => Slot::UpdateBody,
        "getIncidentUrl" => Slot::GetUrl,
        "getIncidentJson" => Slot::GetBody,
        "createCommentUrl" => Slot::CommentUrl,
        "createCommentJson" => Slot::CommentBody,
        "viewIncidentUrl" => Slot::ViewUrl,
        _ => return None,
    };
    let place = SLOTS.iter().position(|s| *s == slot)?;
    u8::try_from(place).ok()
}

fn corpus() -> Corpus {
    let mut corpus: Corpus = DOORS.iter().map(|(name, _)| (*name, BTreeSet::new())).collect();
    let mut add = |door: &str, bytes: Vec<u8>| {
        corpus.get_mut(door).unwrap().insert(bytes);
    };
    for vector in vectors() {
        let text = serde_json::to_string(&vector["config"])
            .unwrap()
            .replace("__BASE__", "https://t.example/x");
        let config: Value = serde_json::from_str(&text).unwrap();
        let document = serde_json::json!({"config": config, "secrets": vector["secrets"]});
        add("connector", serde_json::to_vec(&document).unwrap());
        for (field, value) in config.as_object().into_iter().flatten() {
            if let (Some(slot), Some(text)) = (slot(field), value.as_str()) {
                add("template", [&[slot], text.as_bytes()].concat());
            }
        }
        add("case", serde_json::to_vec(&vector["params"]).unwrap());
        if let Some(raw) = vector["raw_params"].as_str() {
            add("case", raw.as_bytes().to_vec());
        }
        add("settings", serde_json::to_vec(&vector["settings"]).unwrap());
        for (step, server) in vector["server"].as_array().into_iter().flatten().enumerate() {
            let body = server["body"].as_str().unwrap_or_default();
            let path = vector["config"]["createIncidentResponseKey"]
                .as_str()
                .unwrap_or("id");
            add("path", format!("{path}\n{body}").into_bytes());
            let status = server["status"].as_u64().unwrap_or(200);
            let reason = server["reason"].as_str().unwrap_or("OK");
            let mut head = String::new();
            for (name, value) in server["headers"].as_object().into_iter().flatten() {
                head.push_str(&format!("{name}: {}\n", value.as_str().unwrap_or_default()));
            }
            let lines = head.replace('\n', "\r\n");
            add(
                "http",
                format!("HTTP/1.1 {status} {reason}\r\n{lines}\r\n{body}").into_bytes(),
            );
            let status = u16::try_from(status.saturating_sub(100))
                .unwrap_or(0)
                .to_be_bytes();
            let step = u8::try_from(step % 5).unwrap();
            add(
                "answer",
                [
                    &[step, status[0], status[1]],
                    head.as_bytes(),
                    b"\n",
                    body.as_bytes(),
                ]
                .concat(),
            );
        }
    }
    for (name, bytes) in by_hand() {
        add(name, bytes);
    }
    corpus
}

/// What the measured exchanges do not have: compressed and chunked answers, waits, keys, a database.
fn by_hand() -> Vec<(&'static str, Vec<u8>)> {
    let mut all: Vec<(&'static str, Vec<u8>)> = Vec::new();
    let body = b"{\"id\":\"1\"}";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut gzip, body).unwrap();
    let gzip = gzip.finish().unwrap();
    let json = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    all.push((
        "http",
        [json.as_bytes(), b"content-encoding: gzip\r\n\r\n", &gzip].concat(),
    ));
    for rest in [
        "transfer-encoding: chunked\r\n\r\n4\r\n{\"id\r\n6;x=y\r\n\":\"1\"}\r\n0\r\ntrailer: 1\r\n\r\n",
        "content-length: 10\r\n\r\n{\"id\":\"1\"}",
        "content-length: 11\r\n\r\n{\"id\":\"1\"}",
        "content-length: 10\r\ncontent-length: 11\r\n\r\n{\"id\":\"1\"}",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\nffffffffffffffff\r\n",
    ] {
        all.push(("http", format!("{json}{rest}").into_bytes()));
    }
    all.push((
        "http",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n".to_vec(),
    ));
    all.push(("http", b"HTTP/1.0 307 X\r\nlocation: /\r\n\r\n".to_vec()));
    for wait in [
        "retry-after: 120",
        "retry-after: Fri, 31 Dec 2027 23:59:59 GMT\ndate: Fri, 31 Dec 2027 23:58:59 GMT",
        "retry-after: Friday, 31-Dec-27 23:59:59 GMT",
        "x-ratelimit-remaining: 0\nx-ratelimit-reset: 1800000060",
        "ratelimit-remaining: 0\nratelimit-reset: 99999999999999999999",
        "retry-after: -1",
    ] {
        for status in [429u16, 503, 403] {
            let [high, low] = (status - 100).to_be_bytes();
            all.push(("answer", [&[0, high, low], wait.as_bytes(), b"\n\n{}"].concat()));
        }
    }
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut bomb, &vec![b' '; 4 << 20]).unwrap();
    let head = format!("{json}content-encoding: gzip\r\n\r\n");
    all.push(("http", [head.as_bytes(), &bomb.finish().unwrap()].concat()));
    for answer in [
        r#"{"access_token": "t0ken", "token_type": "Bearer", "expires_in": 3600}"#,
        r#"{"access_token": "t0ken", "expires_in": "1e400"}"#,
        r#"{"error": "invalid_client", "error_description": "hunter2%2Dsecret"}"#,
        "[]",
    ] {
        for status in ["200 OK", "400 Bad Request"] {
            all.push(("token", format!("HTTP/1.1 {status}\r\n\r\n{answer}").into_bytes()));
        }
    }
    for answer in [
        "200 OK",
        "407 X",
        "503 X\r\nx-squid-error: ERR_DNS_FAIL 0",
        "301 X\r\nlocation: /",
    ] {
        all.push(("proxy", format!("\0HTTP/1.1 {answer}\r\n\r\nrest").into_bytes()));
    }
    let granted = b"\x05\x00\x00\x01\0\0\0\0\0\0HTTP/1.1 204 X\r\n\r\n";
    for begin in [&b"\x01\x05\x00"[..], b"\x01\x05\x02\x01\x00", b"\x01\x05\xff"] {
        all.push(("proxy", [begin, granted].concat()));
    }
    all.push(("proxy", b"\x01\x05\x00\x05\x05\x00\x03\xff".to_vec()));
    for text in [
        "hunter2 secret\nit said hunter2%20secret&hunter2+secret, aHVudGVyMiBzZWNyZXQ=",
        "a\"b\\c\u{e9}\na\\\"b\\\\c\\u00e9 a&quot;b",
        "pass\npas\u{2026} pa",
    ] {
        all.push(("mask", text.as_bytes().to_vec()));
    }
    for text in [
        r#"[{"connector_type_id": ".cases-webhook", "name": "n", "config": {}, "secrets": {"user": "u"}}]"#,
        "{\"type\":\"action\",\"attributes\":{\"actionTypeId\":\".cases-webhook\",\"name\":\"n\",\"config\":{}}}\n\
         {\"exportedCount\":1}",
        r#"resource "elasticstack_kibana_action_connector" "x" {
             name = "n"
             connector_type_id = ".cases-webhook"
             config = jsonencode({ createIncidentUrl = "${var.u}/x" })
           }"#,
        r#"{"version": 4, "resources": [{"type": "elasticstack_kibana_action_connector", "instances": [{"attributes": {}}]}]}"#,
    ] {
        all.push(("import", text.as_bytes().to_vec()));
    }
    let files = tests().join("conformance/vectors/tls-files");
    let file = |name: &str| fs::read(files.join(name)).unwrap();
    for (crt, key, passphrase) in [
        ("client.pem", "client.key", ""),
        ("client.pem", "client.enc.key", "secret"),
        ("ca.pem", "ca.key", ""),
    ] {
        let parts = [
            b"\0".to_vec(),
            file(crt),
            b"\0".to_vec(),
            file(key),
            b"\0".to_vec(),
        ];
        all.push(("keys", [parts.concat(), passphrase.as_bytes().to_vec()].concat()));
    }
    for (pfx, passphrase) in [("client.pfx", "secret"), ("client.nopass.pfx", "")] {
        all.push((
            "keys",
            [b"\x01", passphrase.as_bytes(), b"\0", &file(pfx)].concat(),
        ));
    }
    all.push((
        "database",
        fs::read(tests().join("fixtures/schema-0001.db")).unwrap(),
    ));
    all.push(("database", Vec::new()));
    all.push((
        "settings",
        br#"{"proxyUrl":"http://p:1","ssl":{"verificationMode":"none"},"customHostSettings":[{"url":"https://a:1",
            "ssl":{"certificateAuthoritiesData":"x"}}],"maxResponseContentLength":"1mb","responseTimeout":"60s"}"#
            .to_vec(),
    ));
    all
}

/// The same bytes with a few of them changed, the same way each time.
fn broken(bytes: &[u8], dice: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..dice.usize(1..4) {
        let at = dice.usize(..=bytes.len());
        match dice.u8(..6) {
            0 if at < bytes.len() => bytes[at] = dice.u8(..),
            1 if at < bytes.len() => bytes[at] ^= 1 << dice.u8(..8),
            2 => bytes.truncate(at),
            3 => {
                let end = (at + dice.usize(1..64)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                let to = dice.usize(..=bytes.len());
                bytes.splice(to..to, part);
            }
            4 => drop(bytes.drain(at..(at + dice.usize(1..16)).min(bytes.len()))),
            _ => {
                let token = TOKENS[dice.usize(..TOKENS.len())];
                bytes.splice(at..at, token.iter().copied());
            }
        }
    }
    bytes
}

/// How often each door is played: those that take milliseconds less often.
const fn times(door: &str) -> usize {
    match door.as_bytes() {
        b"database" => 150,
        b"http" | b"keys" | b"proxy" | b"token" => 400,
        b"connector" => 600,
        _ => 3000,
    }
}

fn play(name: &str) {
    let (_, door) = DOORS.iter().find(|(door, _)| *door == name).unwrap();
    let seeds: Vec<Vec<u8>> = corpus().remove(name).unwrap().into_iter().collect();
    assert!(!seeds.is_empty());
    let mut dice = fastrand::Rng::with_seed(7);
    // Every so manieth of many, and what was found once is always among them.
    let step = seeds.len().div_ceil(times(name) / 2).max(1);
    for seed in seeds.iter().step_by(step).chain(&regressions(name)) {
        door(seed);
    }
    for _ in 0..times(name) {
        let seed = &seeds[dice.usize(..seeds.len())];
        door(&broken(seed, &mut dice));
    }
}

/// Inputs that once did harm.
fn regressions(name: &str) -> Vec<Vec<u8>> {
    let folder = tests().join("fuzz/regressions").join(name);
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .map(|entry| fs::read(entry.unwrap().path()).unwrap())
        .collect()
}

macro_rules! doors {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            play(stringify!($name));
        })*

        #[test]
        fn every_door_has_a_target_and_is_played() {
            let played = [$(stringify!($name)),*];
            assert_eq!(DOORS.map(|(name, _)| name), played);
            let manifest = fs::read_to_string(tests().join("fuzz/Cargo.toml")).unwrap();
            for name in played {
                assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
                let target = fs::read_to_string(tests().join(format!("fuzz/fuzz_targets/{name}.rs"))).unwrap();
                assert!(target.contains(&format!("casehook::fuzzing::{name}(data)")), "{name}");
            }
        }
    };
}

doors!(template path connector case settings answer http keys database import mask proxy token);

/// Writes the corpus where it is asked for.
#[test]
fn the_corpus_is_written_where_it_is_asked_for() {
    let Ok(folder) = std::env::var("CASEHOOK_WRITE_CORPUS") else {
        return;
    };
    for (name, seeds) in corpus() {
        let folder = Path::new(&folder).join(name);
        fs::create_dir_all(&folder).unwrap();
        for seed in seeds.iter().chain(&regressions(name)) {
            let digest = ring::digest::digest(&ring::digest::SHA256, seed);
            let file: String = digest.as_ref()[..10]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            fs::write(folder.join(file), seed).unwrap();
        }
    }
}
