//! Settings of the whole agent: which hosts may be reached, and the bounds of an exchange.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::custom_hosts;
use super::proxy;
use super::shape;
use super::table::{self, Field, Kind, Need};
use crate::error::{Error, Result};
pub(crate) use crate::transport::AllowedHosts;
use crate::transport::Verification;
use crate::transport::{HostTls, ProxyPolicy, TlsPolicy};

const VERIFICATION: Kind = Kind::OneOf(&["full", "certificate", "none"]);

/// The fields of the settings object.
pub(crate) const SETTINGS: &[Field] = &[
    Field {
        name: "allowedHosts",
        kind: Kind::Texts,
        need: Need::Extension("[\"*\"]"),
        meaning: "hosts that may be reached: exact names or addresses, *.example.com, an optional :port",
    },
    Field {
        name: "maxResponseContentLength",
        kind: Kind::Size,
        need: Need::Extension("1mb"),
        meaning: "the largest answer, before and after decoding",
    },
    Field {
        name: "responseTimeout",
        kind: Kind::Time,
        need: Need::Extension("60s"),
        meaning: "how long an answer may take",
    },
    Field {
        name: "denyPrivateAddresses",
        kind: Kind::Bool,
        need: Need::Extension("false"),
        meaning: "refuse loopback, link-local, unique-local and private addresses after resolution",
    },
    Field {
        name: "proxyUrl",
        kind: Kind::Text,
        need: Need::Extension("none"),
        meaning: "the proxy that requests go through",
    },
    Field {
        name: "proxyHeaders",
        kind: Kind::Headers,
        need: Need::Extension("none"),
        meaning: "headers for the proxy",
    },
    Field {
        name: "proxyBypassHosts",
        kind: Kind::Texts,
        need: Need::Extension("none"),
        meaning: "hosts that are reached without the proxy",
    },
    Field {
        name: "proxyOnlyHosts",
        kind: Kind::Texts,
        need: Need::Extension("none"),
        meaning: "the only hosts that are reached through the proxy",
    },
    Field {
        name: "ssl.verificationMode",
        kind: VERIFICATION,
        need: Need::Extension("full"),
        meaning: "how the certificates of targets are verified",
    },
    Field {
        name: "ssl.proxyVerificationMode",
        kind: VERIFICATION,
        need: Need::Extension("full"),
        meaning: "how the certificate of the proxy is verified",
    },
    Field {
        name: "customHostSettings",
        kind: Kind::Any,
        need: Need::Extension("none"),
        meaning: "TLS settings of single hosts",
    },
];

/// Settings of the whole agent, in the vocabulary of Kibana's `xpack.actions.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    allowed_hosts: AllowedHosts,
    max_response_bytes: u64,
    response_timeout: Duration,
    deny_private_addresses: bool,
    verification: Verification,
    hosts: Arc<Vec<HostTls>>,
    proxy: Option<Arc<ProxyPolicy>>,
    proxy_verification: Verification,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            allowed_hosts: AllowedHosts::default(),
            max_response_bytes: 1024 * 1024,
            response_timeout: Duration::from_secs(60),
            deny_private_addresses: false,
            verification: Verification::Full,
            hosts: Arc::default(),
            proxy: None,
            proxy_verification: Verification::Full,
        }
    }
}

impl Settings {
    /// Reads the settings object; unknown fields are refused with the nearest known name.
    ///
    /// `ssl` may be an object or be written with dots, as in `"ssl.verificationMode"`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] with the path of the field at fault.
    pub fn from_json(text: &str) -> Result<Settings> {
        shape::check_size("settings", text)?;
        let value: Value = serde_json::from_str(text)
            .map_err(|e| Error::config("settings", format!("this is not valid JSON: {e}")))?;
        let Value::Object(object) = value else {
            return Err(table::wrong("settings", "an object", &value));
        };
        let object = table::check("settings", SETTINGS, flatten_ssl(object)?)?;
        let mut settings = Settings::default();
        if let Some(Value::Array(entries)) = object.get("allowedHosts") {
            let entries: Vec<&str> = entries.iter().filter_map(Value::as_str).collect();
            settings.allowed_hosts = AllowedHosts::parse(&entries)
                .map_err(|(i, message)| Error::config(format!("settings.allowedHosts[{i}]"), message))?;
        }
        if let Some(bytes) = object.get("maxResponseContentLength").and_then(table::size) {
            settings.max_response_bytes = bytes;
        }
        if let Some(time) = object.get("responseTimeout").and_then(table::time) {
            settings.response_timeout = time;
        }
        if let Some(deny) = object.get("denyPrivateAddresses").and_then(Value::as_bool) {
            settings.deny_private_addresses = deny;
        }
        let mode = |name: &str| {
            object
                .get(name)
                .and_then(Value::as_str)
                .and_then(Verification::from_word)
        };
        settings.verification = mode("ssl.verificationMode").unwrap_or_default();
        settings.proxy_verification = mode("ssl.proxyVerificationMode").unwrap_or_default();
        settings.hosts = Arc::new(custom_hosts::read(object.get("customHostSettings"))?);
        settings.proxy = proxy::of_settings(&object, settings.proxy_tls())?;
        Ok(settings)
    }

    /// How certificates are verified where neither connector nor host say otherwise.
    pub(crate) fn verification(&self) -> Verification {
        self.verification
    }

    /// How a server proves who it is that is no connector's target.
    #[cfg(feature = "postgres")]
    pub(crate) fn tls(&self) -> TlsPolicy {
        TlsPolicy {
            usual: self.verification,
            hosts: Arc::clone(&self.hosts),
            ..TlsPolicy::default()
        }
    }

    /// The entries of `customHostSettings`.
    pub(crate) fn hosts(&self) -> &Arc<Vec<HostTls>> {
        &self.hosts
    }

    /// The proxy that requests go through where their connector has none of its own.
    pub(crate) fn proxy(&self) -> Option<&Arc<ProxyPolicy>> {
        self.proxy.as_ref()
    }

    /// How https proxies prove who they are.
    pub(crate) fn proxy_tls(&self) -> TlsPolicy {
        TlsPolicy {
            usual: self.proxy_verification,
            hosts: Arc::clone(&self.hosts),
            ..TlsPolicy::default()
        }
    }

    /// The hosts that may be reached.
    pub(crate) fn allowed_hosts(&self) -> &AllowedHosts {
        &self.allowed_hosts
    }

    /// The largest answer, before and after decoding, in bytes.
    pub fn max_response_content_length(&self) -> u64 {
        self.max_response_bytes
    }

    /// How long an answer may take.
    pub fn response_timeout(&self) -> Duration {
        self.response_timeout
    }

    /// Whether loopback, link-local, unique-local and private addresses are refused after resolution.
    pub fn deny_private_addresses(&self) -> bool {
        self.deny_private_addresses
    }
}

/// Writes `{"ssl": {"x": ..}}` as `{"ssl.x": ..}`.
fn flatten_ssl(mut object: Map<String, Value>) -> Result<Map<String, Value>> {
    match object.remove("ssl") {
        None | Some(Value::Null) => {}
        Some(Value::Object(ssl)) => {
            for (name, value) in ssl {
                let dotted = format!("ssl.{name}");
                if object.contains_key(&dotted) {
                    let field = table::child("settings", &dotted);
                    return Err(Error::config(
                        field,
                        "this is given twice, with a dot and within \"ssl\"",
                    ));
                }
                object.insert(dotted, value);
            }
        }
        Some(other) => return Err(table::wrong("settings.ssl", "an object", &other)),
    }
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_and_words() {
        let settings = Settings::from_json(
            r#"{"allowedHosts": ["a.example"], "maxResponseContentLength": "2mb", "responseTimeout": "5s",
                "denyPrivateAddresses": true, "ssl": {"verificationMode": "full"},
                "ssl.proxyVerificationMode": "full", "customHostSettings": [], "proxyUrl": null}"#,
        )
        .unwrap();
        assert_eq!(settings.max_response_content_length(), 2 << 20);
        assert_eq!(settings.response_timeout(), Duration::from_secs(5));
        assert!(settings.deny_private_addresses());
        let allows = |url: &str| settings.allowed_hosts().allows(&url::Url::parse(url).unwrap());
        assert!(allows("http://a.example") && !allows("http://b.example"));
        assert_eq!(Settings::from_json("{}").unwrap(), Settings::default());
    }

    #[test]
    fn names_the_field_at_fault() {
        let table = [
            ("[]", "settings", "object"),
            ("{", "settings", "JSON"),
            (r#"{"allowedHost": []}"#, "settings.allowedHost", "allowedHosts"),
            (
                r#"{"allowedHosts": "*"}"#,
                "settings.allowedHosts",
                "list of strings",
            ),
            (
                r#"{"allowedHosts": [null]}"#,
                "settings.allowedHosts[0]",
                "a string, not null",
            ),
            (
                r#"{"allowedHosts": ["a", "http://b"]}"#,
                "settings.allowedHosts[1]",
                "host",
            ),
            (r#"{"responseTimeout": "1y"}"#, "settings.responseTimeout", "60s"),
            (
                r#"{"responseTimeout": "1y"}"#,
                "settings.responseTimeout",
                "not \"1y\"",
            ),
            (
                r#"{"ssl": {"verificationMode": "ful"}}"#,
                "settings.ssl.verificationMode",
                "full",
            ),
            (r#"{"ssl.a": 1, "ssl": {"a": 1}}"#, "settings.ssl.a", "twice"),
            (r#"{"proxyUrl": "ftp://p"}"#, "settings.proxyUrl", "scheme"),
            (
                r#"{"proxyHeaders": {"X A": "1"}}"#,
                "settings.proxyHeaders[\"X A\"]",
                "name",
            ),
            (
                r#"{"proxyOnlyHosts": ["a", "b/c"]}"#,
                "settings.proxyOnlyHosts[1]",
                "host",
            ),
            (
                r#"{"customHostSettings": {}}"#,
                "settings.customHostSettings",
                "list of objects",
            ),
            (
                r#"{"customHostSettings": [{"url": "http://a"}]}"#,
                "settings.customHostSettings[0].url",
                "https://",
            ),
            (
                r#"{"customHostSettings": [{"url": "https://a"}, {"url": "https://A:443/"}]}"#,
                "settings.customHostSettings[1].url",
                "same host",
            ),
            (
                r#"{"customHostSettings": [{"url": "https://*.example.com"}]}"#,
                "settings.customHostSettings[0].url",
                "each name",
            ),
            (
                r#"{"customHostSettings": [{"url": "https://a", "ssl.verificationMode": "none", "ssl": {"verificationMode": "full"}}]}"#,
                "settings.customHostSettings[0].ssl.verificationMode",
                "twice",
            ),
            (
                r#"{"responseTimeout": "1M"}"#,
                "settings.responseTimeout",
                "not \"1M\"",
            ),
            (
                r#"{"customHostSettings": [{"url": "https://a", "ssl": {"verificationmode": "none"}}]}"#,
                "settings.customHostSettings[0].ssl.verificationmode",
                "verificationMode",
            ),
            (
                r#"{"customHostSettings": [{"url": "https://a", "ssl": {"certificateAuthoritiesData": "x"}}]}"#,
                "settings.customHostSettings[0].ssl.certificateAuthoritiesData",
                "PEM",
            ),
            (
                r#"{"customHostSettings": [{"url": "https://a", "ssl": {"certificateAuthoritiesFiles": ["/no/such"]}}]}"#,
                "settings.customHostSettings[0].ssl.certificateAuthoritiesFiles[0]",
                "cannot be opened",
            ),
        ];
        for (text, field, words) in table {
            let error = Settings::from_json(text).expect_err(text);
            assert_eq!(error.field(), Some(field), "{text}");
            assert!(error.message().contains(words), "{error}");
        }
    }
}
