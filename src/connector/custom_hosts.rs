//! `customHostSettings`: TLS settings of single hosts.

use std::path::Path;

use serde_json::{Map, Value};
use url::Url;

use super::table::{self, Field, Kind, Need};
use super::words;
use crate::error::{Error, Result};
use crate::transport::HostTls;
use crate::transport::Roots;
use crate::transport::Verification;

/// The largest file of certificate authorities, in bytes: several times what a system brings along.
const FILE_BYTES: u64 = 4 * 1024 * 1024;

const ENTRY: &[Field] = &[
    Field {
        name: "url",
        kind: Kind::Text,
        need: Need::Required,
        meaning: "the host: https://name or https://name:port",
    },
    Field {
        name: "ssl",
        kind: Kind::Object(SSL),
        need: Need::Extension("{}"),
        meaning: "its TLS settings",
    },
    Field {
        name: "smtp",
        kind: Kind::Any,
        need: Need::Extension("none"),
        meaning: "for Kibana's mail connector; nothing here uses it",
    },
];

const SSL: &[Field] = &[
    Field {
        name: "verificationMode",
        kind: Kind::OneOf(&["full", "certificate", "none"]),
        need: Need::Extension("ssl.verificationMode"),
        meaning: "how its certificate is verified",
    },
    Field {
        name: "certificateAuthoritiesFiles",
        kind: Kind::Any,
        need: Need::Extension("none"),
        meaning: "a PEM file of certificate authorities, or a list of them",
    },
    Field {
        name: "certificateAuthoritiesData",
        kind: Kind::Any,
        need: Need::Extension("none"),
        meaning: "certificate authorities as PEM, or a list of such texts",
    },
];

/// Reads the list; files are read once, here.
pub(crate) fn read(value: Option<&Value>) -> Result<Vec<HostTls>> {
    let entries = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(entries)) => entries,
        Some(other) => return Err(table::wrong(AT, "a list of objects", other)),
    };
    let mut hosts: Vec<HostTls> = Vec::new();
    for (i, entry) in entries.iter().enumerate() {
        let at = format!("{AT}[{i}]");
        let Value::Object(entry) = entry else {
            return Err(table::wrong(&at, "an object", entry));
        };
        let entry = table::check(&at, ENTRY, nest_ssl(&at, entry.clone())?)?;
        let Some(host) = host(&at, &entry)? else { continue };
        if hosts
            .iter()
            .any(|other| other.host == host.host && other.port == host.port)
        {
            let message = "an entry before this one is for the same host and port";
            return Err(Error::config(format!("{at}.url"), message));
        }
        hosts.push(host);
    }
    Ok(hosts)
}

const AT: &str = "settings.customHostSettings";

/// Writes `{"ssl.x": ..}` as `{"ssl": {"x": ..}}`.
fn nest_ssl(at: &str, entry: Map<String, Value>) -> Result<Map<String, Value>> {
    let (dotted, mut entry): (Map<_, _>, Map<_, _>) =
        entry.into_iter().partition(|(name, _)| name.starts_with("ssl."));
    if dotted.is_empty() {
        return Ok(entry);
    }
    let mut ssl = match entry.remove("ssl") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(ssl)) => ssl,
        Some(other) => return Err(table::wrong(&table::child(at, "ssl"), "an object", &other)),
    };
    for (name, value) in dotted {
        let inner = name.strip_prefix("ssl.").unwrap_or(&name);
        if ssl.contains_key(inner) {
            let message = "this is given twice, with a dot and within \"ssl\"";
            return Err(Error::config(format!("{at}.{name}"), message));
        }
        ssl.insert(inner.to_owned(), value);
    }
    entry.insert("ssl".to_owned(), Value::Object(ssl));
    Ok(entry)
}

/// None for a mail server.
fn host(at: &str, entry: &Map<String, Value>) -> Result<Option<HostTls>> {
    let text = entry.get("url").and_then(Value::as_str).unwrap_or_default();
    let refuse = || {
        let message = "this must be https://name or https://name:port, without path, user or password";
        Err(Error::config(format!("{at}.url"), message))
    };
    let Ok(url) = Url::parse(text.trim()) else {
        return refuse();
    };
    if url.scheme() == "smtp" {
        return Ok(None);
    }
    let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    let anonymous = url.username().is_empty() && url.password().is_none();
    let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
        return refuse();
    };
    if url.scheme() != "https" || !bare || !anonymous {
        return refuse();
    }
    if url.host_str().is_some_and(|host| host.contains('*')) {
        let message = "this is one host, and \"*\" stands for nothing here: give an entry for each name";
        return Err(Error::config(format!("{at}.url"), message));
    }
    let none = Map::new();
    let ssl = entry.get("ssl").and_then(Value::as_object).unwrap_or(&none);
    let at = format!("{at}.ssl");
    let mut roots = Roots::default();
    for (at, path) in texts(&at, "certificateAuthoritiesFiles", ssl)? {
        let text = file(&at, path)?;
        roots = roots.and(&Roots::from_pem(&text).map_err(|message| Error::config(&at, message))?);
    }
    for (at, text) in texts(&at, "certificateAuthoritiesData", ssl)? {
        roots = roots.and(&Roots::from_pem(text).map_err(|message| Error::config(&at, message))?);
    }
    Ok(Some(HostTls {
        host: host.to_owned(),
        port,
        verification: ssl
            .get("verificationMode")
            .and_then(Value::as_str)
            .and_then(Verification::from_word),
        roots,
    }))
}

/// A text or a list of texts, each with its place.
fn texts<'a>(at: &str, name: &str, ssl: &'a Map<String, Value>) -> Result<Vec<(String, &'a str)>> {
    let at = table::child(at, name);
    let wrong = |at: &str, value: &Value| table::wrong(at, "a string or a list of strings", value);
    match ssl.get(name) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![(at, text)]),
        Some(Value::Array(list)) => {
            let place = |(i, value): (usize, &'a Value)| match value.as_str() {
                Some(text) => Ok((format!("{at}[{i}]"), text)),
                None => Err(wrong(&format!("{at}[{i}]"), value)),
            };
            list.iter().enumerate().map(place).collect()
        }
        Some(other) => Err(wrong(&at, other)),
    }
}

fn file(at: &str, path: &str) -> Result<String> {
    use std::io::Read;
    let fail = |why: String| Error::config(at, format!("the file {} {why}", words::quoted(path)));
    let file =
        std::fs::File::open(Path::new(path)).map_err(|e| fail(format!("cannot be opened: {}", e.kind())))?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| fail(format!("cannot be read: {}", e.kind())))?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(fail(format!("is larger than {FILE_BYTES} bytes")));
    }
    // Comments between the certificates are in whatever encoding their authors had.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
