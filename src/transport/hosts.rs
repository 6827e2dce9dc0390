//! Which hosts may be reached: the entries of `allowedHosts`, read by the same parser as URLs (R7).

use url::{Host, Url};

/// Entries of `allowedHosts`, normalised by the URL parser. The default allows every host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct AllowedHosts {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Entry {
    host: Pattern,
    /// None: any port.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Pattern {
    Any,
    Exactly(Host<String>),
    /// Every name that ends in a dot and this one.
    Below(String),
}

impl Default for AllowedHosts {
    fn default() -> AllowedHosts {
        AllowedHosts {
            entries: vec![Entry {
                host: Pattern::Any,
                port: None,
            }],
        }
    }
}

impl AllowedHosts {
    /// Reads entries such as `example.com`, `*.example.com`, `10.0.0.1:8080`, `[::1]` or `*`.
    ///
    /// # Errors
    /// The place of the entry at fault, and what is wrong with it.
    pub(crate) fn parse<S: AsRef<str>>(entries: &[S]) -> Result<AllowedHosts, (usize, String)> {
        let entries = entries
            .iter()
            .enumerate()
            .map(|(i, entry)| parse_entry(entry.as_ref()).map_err(|message| (i, message)))
            .collect::<Result<_, _>>()?;
        Ok(AllowedHosts { entries })
    }

    /// Whether a request may go to the host and port of this URL.
    pub(crate) fn allows(&self, url: &Url) -> bool {
        let Some(host) = url.host().map(|host| host.to_owned()) else {
            return false;
        };
        let port = url.port_or_known_default();
        self.entries.iter().any(|entry| {
            (entry.port.is_none() || entry.port == port)
                && match &entry.host {
                    Pattern::Any => true,
                    Pattern::Exactly(allowed) => *allowed == host,
                    Pattern::Below(parent) => is_below(&host, parent),
                }
        })
    }

    /// The host of a URL that is not allowed, with its port where the port may be what is wrong.
    pub(crate) fn named(&self, url: &Url) -> String {
        let host = url.host_str().unwrap_or_default();
        let elsewhere = || {
            let any_port = self.entries.iter().map(|entry| Entry {
                port: None,
                ..entry.clone()
            });
            let entries = any_port.collect();
            AllowedHosts { entries }.allows(url)
        };
        let port = url
            .port()
            .or_else(|| url.port_or_known_default().filter(|_| elsewhere()));
        port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

fn is_below(host: &Host<String>, parent: &str) -> bool {
    match host {
        Host::Domain(name) => name
            .strip_suffix(parent)
            .and_then(|rest| rest.strip_suffix('.'))
            .is_some_and(|label| !label.is_empty()),
        _ => false,
    }
}

fn parse_entry(entry: &str) -> Result<Entry, String> {
    let (host, port) = split_port(entry)?;
    let host = if host == "*" {
        Pattern::Any
    } else if let Some(parent) = host.strip_prefix("*.") {
        match parse_host(parent)? {
            Host::Domain(parent) => Pattern::Below(parent),
            _ => return Err("only a name can follow \"*.\", not an address".to_owned()),
        }
    } else {
        Pattern::Exactly(parse_host(host)?)
    };
    Ok(Entry { host, port })
}

/// Splits `host:port`; an IPv6 address may stand without brackets when no port follows.
fn split_port(entry: &str) -> Result<(&str, Option<u16>), String> {
    if entry.parse::<std::net::Ipv6Addr>().is_ok() {
        return Ok((entry, None));
    }
    let (host, port) = match entry.rfind(']') {
        Some(end) => (&entry[..=end], entry[end + 1..].strip_prefix(':')),
        None => match entry.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (entry, None),
        },
    };
    match port {
        None if host.len() == entry.len() => Ok((host, None)),
        Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => match port.parse() {
            Ok(port) if port > 0 => Ok((host, Some(port))),
            _ => Err("the port must be a number from 1 to 65535".to_owned()),
        },
        _ => Err(not_a_host()),
    }
}

fn parse_host(text: &str) -> Result<Host<String>, String> {
    if text.contains('*') {
        return Err("\"*\" can only stand alone or as the first label, as in \"*.example.com\"".to_owned());
    }
    if let Ok(address) = text.parse() {
        return Ok(Host::Ipv6(address));
    }
    Host::parse(text).map_err(|_| not_a_host())
}

fn not_a_host() -> String {
    "this must be a host such as \"example.com\", \"*.example.com\", \"10.0.0.1:8080\" or \"[::1]\", \
     without scheme or path"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(entry: &str, url: &str) -> bool {
        AllowedHosts::parse(&[entry])
            .unwrap()
            .allows(&Url::parse(url).unwrap())
    }

    #[test]
    fn matches_hosts_as_the_url_parser_sees_them() {
        let table = [
            ("*", "http://anything.example/", true),
            ("*:8443", "https://a.example:8443/", true),
            ("*:8443", "https://a.example/", false),
            ("127.0.0.1", "http://127.0.0.1:9/x", true),
            ("127.0.0.1", "http://2130706433/x", true),
            ("127.1", "http://127.0.0.1/x", true),
            ("LOCALHOST", "http://localhost/", true),
            ("localhost", "http://%6Cocalhost/", true),
            ("example.com", "http://a.example.com/", false),
            ("example.com", "http://notexample.com/", false),
            ("*.example.com", "http://a.example.com/", true),
            ("*.example.com", "http://a.b.EXAMPLE.com/", true),
            ("*.example.com", "http://example.com/", false),
            ("*.example.com", "http://aexample.com/", false),
            ("*.example.com:81", "http://a.example.com:81/", true),
            ("*.example.com:81", "http://a.example.com/", false),
            ("example.com:443", "https://example.com/", true),
            ("example.com:443", "http://example.com/", false),
            ("::1", "http://[::1]:8/", true),
            ("[::1]", "http://[0:0:0:0:0:0:0:1]/", true),
            ("[::1]:8", "http://[::1]:9/", false),
            ("münchen.example", "http://xn--mnchen-3ya.example/", true),
            ("*.münchen.example", "http://a.münchen.example/", true),
        ];
        for (entry, url, expected) in table {
            assert_eq!(allows(entry, url), expected, "{entry} {url}");
        }
    }

    #[test]
    fn a_refusal_names_the_port_where_it_matters() {
        for (entry, url, named) in [
            ("a.example", "http://b.example/x", "b.example"),
            ("a.example", "http://b.example:81/", "b.example:81"),
            ("localhost:80", "http://localhost:38111/", "localhost:38111"),
            ("a.example:81", "http://a.example/", "a.example:80"),
            ("*.example:81", "https://[::1]/", "[::1]"),
        ] {
            let hosts = AllowedHosts::parse(&[entry]).unwrap();
            assert_eq!(hosts.named(&Url::parse(url).unwrap()), named, "{entry} {url}");
        }
    }

    #[test]
    fn an_empty_list_allows_nothing_and_the_default_everything() {
        let url = Url::parse("http://a.example/").unwrap();
        assert!(!AllowedHosts::parse::<&str>(&[]).unwrap().allows(&url));
        assert!(AllowedHosts::default().allows(&url));
    }

    #[test]
    fn refuses_what_can_never_match() {
        for entry in [
            "",
            "http://a.example",
            "a.example/x",
            "a.*.example",
            "a*",
            "*.",
            "*.1.2.3.4",
            "a.example:",
            "a.example:0",
            "a.example:65536",
            "a.example:x",
            "[::1",
            "a b",
            "u@a.example",
            "[::1]x",
        ] {
            assert!(AllowedHosts::parse(&[entry]).is_err(), "{entry}");
        }
    }
}
