//! Every limit of the manual's table, at it and just over it, and that the error names the field and the limit.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use casehook::limits;
use casehook::{Agent, Case, Connector, Error, ErrorKind, Options, Settings};
use serde_json::{Value, json};

use support::case_system::config_for;

const BASE: &str = "http://127.0.0.1:1";

/// A limit, the field that its error names, words of the text, and what is tried with so many of it.
struct Limit<'a> {
    field: &'a str,
    words: &'a str,
    at: usize,
    tried: Box<dyn Fn(usize) -> Result<(), Error> + 'a>,
}

fn limit<'a>(
    field: &'a str,
    words: &'a str,
    at: usize,
    tried: impl Fn(usize) -> Result<(), Error> + 'a,
) -> Limit<'a> {
    Limit {
        field,
        words,
        at,
        tried: Box::new(tried),
    }
}

fn document(change: impl FnOnce(&mut Value)) -> String {
    let mut document = json!({"config": config_for(BASE)});
    change(&mut document);
    document.to_string()
}

/// JSON text of exactly that many bytes, by white space.
fn padded(text: &str, bytes: usize) -> String {
    format!("{text}{}", " ".repeat(bytes - text.len()))
}

fn nested(levels: usize) -> Value {
    (1..levels).fold(json!([]), |inner, _| json!([inner]))
}

#[test]
fn every_limit_holds_and_its_error_says_so() {
    let folder = support::temp_dir();
    let options = || Options::new().drain(false).allow_secret_files(folder.path());
    let agent = Agent::open(folder.path().join("a.db"), options()).unwrap();
    let configure = |text: &str| {
        Connector::from_json(text).and_then(|connector| agent.configure("limits", &connector).map(drop))
    };
    configure(&document(|_| ())).unwrap();
    let push = |case: Case| agent.push("limits", &case).map(drop);
    let sections = |levels: usize| {
        let (open, close) = ("{{#case.title}}".repeat(levels), "{{/case.title}}".repeat(levels));
        format!("{{\"a\":\"x{open}y{close}\"}}")
    };
    let whole = |bytes: usize| {
        let case = |length: usize| Case::new("t").description("d".repeat(length));
        let rest = case(1).to_json().len() - 1;
        case(bytes - rest)
    };

    let limits = [
        limit("incident.title", "65536", limits::TITLE_BYTES, |n| {
            push(Case::new("t".repeat(n)))
        }),
        limit("incident.id", "4096", limits::ID_BYTES, |n| {
            push(Case::new("t").id("i".repeat(n)))
        }),
        limit("incident.externalId", "4096", limits::ID_BYTES, |n| {
            push(Case::new("t").external_id("i".repeat(n)))
        }),
        limit("incident.severity", "1024", limits::WORD_BYTES, |n| {
            push(Case::new("t").severity("s".repeat(n)))
        }),
        limit("incident.status", "1024", limits::WORD_BYTES, |n| {
            push(Case::new("t").status("s".repeat(n)))
        }),
        limit("comments[1].commentId", "4096", limits::ID_BYTES, |n| {
            push(Case::new("t").comment("c", "c").comment("c".repeat(n), "c"))
        }),
        limit("incident.tags", "1000", limits::TAGS, |n| {
            push((0..n).fold(Case::new("t"), |case, i| case.tag(i.to_string())))
        }),
        limit("comments", "10000", limits::COMMENTS, |n| {
            push((0..n).fold(Case::new("t"), |case, i| case.comment(i.to_string(), "c")))
        }),
        limit("incident.fields", "128", limits::NAME_BYTES, |n| {
            push(Case::new("t").field("f".repeat(n), 1))
        }),
        limit("incident.fields.f", "64", limits::NESTING, |n| {
            push(Case::new("t").field("f", nested(n)))
        }),
        limit("params", "4194304", limits::PUSH_BYTES, |n| push(whole(n))),
        limit("name", "128", limits::NAME_BYTES, |n| {
            let connector = Connector::from_json(&document(|_| ())).unwrap();
            agent.configure(&"n".repeat(n), &connector).map(drop)
        }),
        limit("connector", "4194304", limits::DOCUMENT_BYTES, |n| {
            configure(&padded(&document(|_| ()), n))
        }),
        limit("secrets", "4194304", limits::DOCUMENT_BYTES, |n| {
            let config = config_for(BASE).to_string();
            Connector::from_parts(&config, Some(&padded("{}", n))).map(drop)
        }),
        limit("settings", "4194304", limits::DOCUMENT_BYTES, |n| {
            Settings::from_json(&padded("{}", n)).map(drop)
        }),
        limit(
            "config.createIncidentJson",
            "65536",
            limits::TEMPLATE_BYTES,
            |n| {
                configure(&document(|d| {
                    d["config"]["createIncidentJson"] = json!(padded("{}", n))
                }))
            },
        ),
        limit("config.createIncidentJson", "32", 32, |n| {
            configure(&document(|d| {
                d["config"]["createIncidentJson"] = json!(sections(n))
            }))
        }),
        limit(
            "secrets.password",
            "1048576",
            usize::try_from(limits::SECRET_FILE_BYTES).unwrap(),
            |n| {
                fs::write(folder.path().join("secret"), "p".repeat(n)).unwrap();
                configure(&document(|d| {
                    d["config"]["hasAuth"] = json!(true);
                    d["secrets"] = json!({"user": "u", "password": {"file": "secret"}});
                }))?;
                agent.preview("limits", &Case::new("t")).map(drop)
            },
        ),
        limit("secrets.password", "1048576", limits::SECRET_BYTES, |n| {
            configure(&document(|d| {
                d["config"]["hasAuth"] = json!(true);
                d["secrets"] = json!({"user": "u", "password": "p".repeat(n)});
            }))
        }),
        limit("config.headers", "100", limits::HEADERS, |n| {
            let headers: serde_json::Map<String, Value> =
                (0..n).map(|i| (format!("X-{i}"), json!("v"))).collect();
            configure(&document(|d| d["config"]["headers"] = json!(headers)))
        }),
        limit("config.headers", "256", limits::HEADER_NAME_BYTES, |n| {
            configure(&document(|d| {
                d["config"]["headers"] = json!({"h".repeat(n): "v"})
            }))
        }),
        limit("config.headers.A", "32768", limits::HEADER_BYTES, |n| {
            configure(&document(|d| {
                d["config"]["headers"] = json!({"A": "v".repeat(n)})
            }))
        }),
        limit("secrets.secretHeaders", "100", limits::HEADERS, |n| {
            let headers: serde_json::Map<String, Value> =
                (0..n).map(|i| (format!("X-{i}"), json!("v"))).collect();
            configure(&document(|d| d["secrets"] = json!({"secretHeaders": headers})))
        }),
        limit(
            "config.createIncidentResponseKey",
            "4096",
            limits::PATH_BYTES,
            |n| {
                configure(&document(|d| {
                    d["config"]["createIncidentResponseKey"] = json!("k".repeat(n))
                }))
            },
        ),
        limit("workers", "1 to 64", 64, |n| {
            let path = folder.path().join("workers.db");
            Agent::open(path, options().workers(n)).map(drop)
        }),
        limit("", "2", 2, |n| {
            let path = folder.path().join("queue.db");
            let agent = Agent::open(&path, options().max_queued(2))?;
            agent.configure("limits", &Connector::from_json(&document(|_| ())).unwrap())?;
            let cases: Vec<Case> = (0..n).map(|i| Case::new(i.to_string())).collect();
            let pushed = agent.push_many("limits", &cases).map(drop);
            agent.remove_cancelling("limits")?;
            pushed
        }),
    ];
    for limit in &limits {
        let place = format!("{} at {}", limit.field, limit.at);
        (limit.tried)(limit.at).unwrap_or_else(|error| panic!("{place}: {error}"));
        let error = (limit.tried)(limit.at + 1).expect_err(&place);
        assert!(
            error.field().unwrap_or_default().starts_with(limit.field),
            "{place}: {error}"
        );
        assert!(error.message().contains(limit.words), "{place}: {error}");
        let kinds = [
            ErrorKind::Case,
            ErrorKind::Config,
            ErrorKind::Argument,
            ErrorKind::QueueFull,
        ];
        assert!(kinds.contains(&error.kind()), "{place}: {:?}", error.kind());
    }
}

#[test]
fn what_takes_long_to_open_is_refused_at_once() {
    let files = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/vectors/tls-files");
    let read = |name: &str| fs::read(files.join(name)).unwrap();
    let refused = |secrets: Value| {
        let folder = support::temp_dir();
        let agent = Agent::open(folder.path().join("a.db"), Options::new().drain(false)).unwrap();
        let mut document = json!({"config": config_for("https://127.0.0.1:1"), "secrets": secrets});
        document["config"]["hasAuth"] = json!(true);
        document["config"]["authType"] = json!("webhook-authentication-ssl");
        let connector = Connector::from_json(&document.to_string()).unwrap();
        agent.configure("t", &connector).unwrap_err()
    };
    // PBES2 with PBKDF2, this many iterations, and AES-256-CBC.
    let key = |iterations: u32| {
        let part = |tag: u8, content: &[&[u8]]| {
            let content = content.concat();
            [vec![tag, u8::try_from(content.len()).unwrap()], content].concat()
        };
        let sequence = |content: &[&[u8]]| part(0x30, content);
        let pkcs5 = |last: u8| part(6, &[&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, last]]);
        let hmac_sha256 = part(6, &[&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x09]]);
        let aes = part(6, &[&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a]]);
        let number = iterations.to_be_bytes();
        let first = number.iter().position(|byte| *byte != 0).unwrap();
        let count = part(2, &[&number[first..]]);
        let hash = sequence(&[&hmac_sha256, &[5, 0]]);
        let derived = sequence(&[&pkcs5(0x0c), &sequence(&[&part(4, &[&[1; 8]]), &count, &hash])]);
        let cipher = sequence(&[&aes, &part(4, &[&[9; 16]])]);
        let scheme = sequence(&[&pkcs5(0x0d), &sequence(&[&derived, &cipher])]);
        let text = STANDARD.encode(sequence(&[&scheme, &part(4, &[&[7; 16]])]));
        format!("-----BEGIN ENCRYPTED PRIVATE KEY-----\n{text}\n-----END ENCRYPTED PRIVATE KEY-----\n")
    };
    let with_key = |iterations| {
        refused(
            json!({"crt": STANDARD.encode(read("client.pem")), "key": STANDARD.encode(key(iterations)),
            "password": "x"}),
        )
    };
    let over = with_key(limits::KEY_ITERATIONS + 1);
    assert_eq!(over.field(), Some("secrets.key"), "{over}");
    assert!(over.message().contains("1000001 iterations"), "{over}");
    let few = with_key(5);
    assert!(
        few.message().contains("does not open"),
        "as many as are allowed are tried: {few}"
    );

    #[cfg(feature = "cli")]
    {
        let large = refused(json!({"pfx": STANDARD.encode(vec![0; limits::PKCS12_BYTES + 1])}));
        assert_eq!(large.field(), Some("secrets.pfx"));
        assert!(large.message().contains("262144"), "{large}");
        let fits = refused(json!({"pfx": STANDARD.encode(vec![0; limits::PKCS12_BYTES])}));
        assert!(!fits.message().contains("262144"), "{fits}");
        let part = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
        let many = refused(json!({"pfx": STANDARD.encode(part.repeat(17))}));
        assert!(many.message().contains("17 encrypted parts"), "{many}");
    }
}
