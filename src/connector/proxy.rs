//! Proxies: the one of the settings, and the one of a connector that has its own.

use std::sync::Arc;

use serde_json::{Map, Value};
use url::{Host, Url};
use zeroize::Zeroizing;

use super::table::{Field, Kind, Need};
use super::{headers, table};
use crate::error::{Error, Result};
use crate::transport::{AllowedHosts, ProxyKind, ProxyLogin, ProxyPolicy, Roots, TlsPolicy, Verification};

/// `proxy` of a connector, before secrets and settings come to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OwnProxy {
    /// No proxy, whatever the settings say.
    Direct,
    Through {
        proxy: Box<ProxyPolicy>,
        verification: Option<Verification>,
    },
}

/// The fields of a connector's `proxy`.
pub(crate) const FIELDS: &[Field] = &[
    Field {
        name: "url",
        kind: Kind::Text,
        need: Need::Required,
        meaning: "http://host:port, https://, socks5:// (names resolved here) or socks5h:// (by the proxy); \"direct\" for none",
    },
    Field {
        name: "headers",
        kind: Kind::Headers,
        need: Need::Extension("none"),
        meaning: "headers for the proxy alone",
    },
    Field {
        name: "verificationMode",
        kind: Kind::OneOf(&["full", "certificate", "none"]),
        need: Need::Extension("the setting ssl.proxyVerificationMode"),
        meaning: "how the certificate of an https proxy is verified",
    },
    Field {
        name: "ca",
        kind: Kind::Text,
        need: Need::Extension("none"),
        meaning: "certificate authorities for an https proxy: PEM in base64",
    },
];

impl ProxyPolicy {
    /// From `http://host:port`, `https://`, `socks5://`, `socks5h://` or `socks://`; user and password may stand in it.
    pub(crate) fn parse(at: &str, text: &str) -> Result<ProxyPolicy> {
        let refuse = |what: &str| {
            Err(Error::config(
                at,
                format!(
                    "{what}: this must be a proxy such as http://proxy.example:3128, https://, socks5:// or socks5h://"
                ),
            ))
        };
        let Ok(url) = Url::parse(text.trim()) else {
            return refuse("this is not a URL");
        };
        let (kind, port) = match url.scheme() {
            "http" => (ProxyKind::Http, 80),
            "https" => (ProxyKind::Https, 443),
            "socks5" => (ProxyKind::Socks5 { remote_names: false }, 1080),
            "socks5h" | "socks" => (ProxyKind::Socks5 { remote_names: true }, 1080),
            _ => return refuse("this scheme is not supported"),
        };
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return refuse("a path, query or fragment means nothing to a proxy");
        }
        // Hosts of schemes that the URL standard does not know are not normalised by it.
        let Some(Ok(host)) = url.host_str().map(Host::parse) else {
            return refuse("there is no host in it");
        };
        let user = decoded(url.username());
        let login = match (user, url.password()) {
            (Some(user), _) if user.is_empty() && url.password().is_none() => None,
            (Some(user), password) => match decoded(password.unwrap_or_default()) {
                Some(password) => Some(ProxyLogin { user, password }),
                None => return refuse("its password is not UTF-8"),
            },
            (None, _) => return refuse("its user is not UTF-8"),
        };
        if let Some((_, flaw)) = login.as_ref().and_then(|login| flaw(kind, login)) {
            return Err(Error::config(at, format!("its {flaw}")));
        }
        Ok(ProxyPolicy {
            kind,
            host,
            port: url.port().unwrap_or(port),
            login,
            headers: Vec::new(),
            tls: TlsPolicy::default(),
            bypass: None,
            only: None,
            of_connector: false,
        })
    }
}

impl OwnProxy {
    /// Reads a connector's `proxy` object, whose fields are known to be of the right types.
    pub(crate) fn read(object: &Map<String, Value>) -> Result<OwnProxy> {
        let text = |name: &str| object.get(name).and_then(Value::as_str);
        let url = text("url").unwrap_or_default();
        let headers = object.get("headers").and_then(Value::as_object);
        if url == "direct" {
            let given = ["headers", "verificationMode", "ca"].into_iter().find(|name| {
                let empty = *name == "headers" && headers.is_some_and(Map::is_empty);
                object.contains_key(*name) && !empty
            });
            return match given {
                None => Ok(OwnProxy::Direct),
                Some(name) => Err(Error::config(
                    table::child("config.proxy", name),
                    "this is for a proxy, and \"direct\" means none: leave it out, or give the proxy's URL",
                )),
            };
        }
        let mut proxy = ProxyPolicy::parse("config.proxy.url", url)?;
        if proxy.login.is_some() {
            return Err(Error::config(
                "config.proxy.url",
                "a user or password here would be stored and shown in the clear; use the secrets proxyUser and proxyPassword",
            ));
        }
        proxy.of_connector = true;
        proxy.headers = headers::read("config.proxy.headers", headers)?;
        if matches!(proxy.kind, ProxyKind::Socks5 { .. }) && !proxy.headers.is_empty() {
            return Err(Error::config(
                "config.proxy.headers",
                "a SOCKS proxy takes no headers, and these would never be sent: leave them out",
            ));
        }
        if let Some(ca) = text("ca") {
            proxy.tls.roots =
                Roots::from_pem(ca).map_err(|message| Error::config("config.proxy.ca", message))?;
        }
        Ok(OwnProxy::Through {
            proxy: Box::new(proxy),
            verification: text("verificationMode").and_then(Verification::from_word),
        })
    }
}

/// The proxy of the settings object, whose fields are known to be of the right types.
pub(crate) fn of_settings(object: &Map<String, Value>, tls: TlsPolicy) -> Result<Option<Arc<ProxyPolicy>>> {
    let url = object
        .get("proxyUrl")
        .and_then(Value::as_str)
        .filter(|url| !url.is_empty());
    let list = |name: &str| -> Result<Option<AllowedHosts>> {
        let Some(Value::Array(entries)) = object.get(name) else {
            return Ok(None);
        };
        let entries: Vec<&str> = entries.iter().filter_map(Value::as_str).collect();
        let at = table::child("settings", name);
        AllowedHosts::parse(&entries)
            .map(Some)
            .map_err(|(i, message)| Error::config(format!("{at}[{i}]"), message))
    };
    let headers = headers::read(
        "settings.proxyHeaders",
        object.get("proxyHeaders").and_then(Value::as_object),
    )?;
    let (bypass, only) = (list("proxyBypassHosts")?, list("proxyOnlyHosts")?);
    let Some(url) = url else { return Ok(None) };
    Ok(Some(Arc::new(ProxyPolicy {
        headers,
        tls,
        bypass,
        only,
        ..ProxyPolicy::parse("settings.proxyUrl", url)?
    })))
}

/// The secret at fault, and why a proxy of that kind cannot be given it.
pub(crate) fn flaw(kind: ProxyKind, login: &ProxyLogin) -> Option<(&'static str, String)> {
    let texts = [
        ("proxyUser", "user", &login.user),
        ("proxyPassword", "password", &login.password),
    ];
    match kind {
        ProxyKind::Http | ProxyKind::Https => login.user.contains(':').then(|| {
            let why =
                "user has a colon, where the password would be taken to begin: HTTP cannot carry such a name";
            ("proxyUser", why.to_owned())
        }),
        ProxyKind::Socks5 { .. } => texts.into_iter().find_map(|(secret, what, text)| {
            let long = text.len() > SOCKS_LOGIN_BYTES;
            let why = format!(
                "{what} has {} bytes, and SOCKS can carry {SOCKS_LOGIN_BYTES}",
                text.len()
            );
            long.then_some((secret, why))
        }),
    }
}

/// The longest user and the longest password that RFC 1929 has room for, in bytes.
const SOCKS_LOGIN_BYTES: usize = 255;

/// Percent-encoded bytes as text; none when they are not UTF-8.
fn decoded(text: &str) -> Option<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let pair = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        let byte = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match (*first, byte) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            (other, _) => {
                bytes.push(other);
                rest = tail;
            }
        }
    }
    std::str::from_utf8(&bytes)
        .ok()
        .map(|text| Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_proxies() {
        let socks = |remote_names| ProxyKind::Socks5 { remote_names };
        for (text, kind, host, port, login) in [
            ("http://p.example", ProxyKind::Http, "p.example", 80, None),
            ("http://P.example:3128/", ProxyKind::Http, "p.example", 3128, None),
            ("https://[::1]:1", ProxyKind::Https, "[::1]", 1, None),
            ("socks5://2130706433", socks(false), "127.0.0.1", 1080, None),
            ("socks5h://LOCALHOST:80", socks(true), "localhost", 80, None),
            ("socks://a:b@h:5", socks(true), "h", 5, Some(("a", "b"))),
            (
                "http://us%40er:p%3aa%2Bss+x@h:5",
                ProxyKind::Http,
                "h",
                5,
                Some(("us@er", "p:a+ss+x")),
            ),
            ("http://user@h", ProxyKind::Http, "h", 80, Some(("user", ""))),
        ] {
            let proxy = ProxyPolicy::parse("x", text).unwrap();
            assert_eq!((proxy.kind, proxy.port), (kind, port), "{text}");
            assert_eq!(proxy.host.to_string(), host, "{text}");
            let given = proxy
                .login
                .as_ref()
                .map(|l| (l.user.as_str(), l.password.as_str()));
            assert_eq!(given, login, "{text}");
            assert!(!format!("{proxy:?}").contains("p:a"), "{proxy:?}");
        }
    }

    #[test]
    fn refuses_what_is_no_proxy() {
        for text in [
            "",
            "proxy:3128",
            "ftp://p",
            "http://p/path",
            "http://p?x",
            "socks4://p",
            "http://",
        ] {
            let error = ProxyPolicy::parse("settings.proxyUrl", text).unwrap_err();
            assert_eq!(error.field(), Some("settings.proxyUrl"), "{text}");
        }
    }

    #[test]
    fn lists_decide_what_goes_through() {
        let read = |json: &str| {
            let Value::Object(object) = serde_json::from_str(json).unwrap() else {
                panic!()
            };
            of_settings(&object, TlsPolicy::default()).unwrap().unwrap()
        };
        let carries = |proxy: &ProxyPolicy, url: &str| proxy.carries(&Url::parse(url).unwrap());
        let proxy = read(r#"{"proxyUrl": "http://p", "proxyBypassHosts": ["a.example", "*.in.example"]}"#);
        assert!(carries(&proxy, "https://b.example") && carries(&proxy, "https://in.example"));
        assert!(!carries(&proxy, "https://A.example/x") && !carries(&proxy, "http://x.in.example"));
        let proxy = read(
            r#"{"proxyUrl": "http://p", "proxyOnlyHosts": ["a.example", "b.example"], "proxyBypassHosts": ["b.example"]}"#,
        );
        assert!(carries(&proxy, "https://a.example"));
        assert!(!carries(&proxy, "https://b.example") && !carries(&proxy, "https://c.example"));
    }
}
