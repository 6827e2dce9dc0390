//! What a request may connect to, and how: plain data that the connector side fills in.

use std::fmt;
use std::sync::Arc;

use url::{Host, Url};
use zeroize::Zeroizing;

use super::{AllowedHosts, ExchangeLimits, Identity, Roots};

/// One network policy; requests that share it share connections.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct NetworkPolicy {
    /// Entries of `allowedHosts`, normalised by the URL parser.
    pub(crate) allowed_hosts: AllowedHosts,
    pub(crate) deny_private_addresses: bool,
    pub(crate) limits: ExchangeLimits,
    pub(crate) tls: TlsPolicy,
    pub(crate) proxy: Option<Arc<ProxyPolicy>>,
}

/// How servers prove who they are, and casehook to them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct TlsPolicy {
    /// What the connector itself asks for; it wins over what is said of the host, and that over `usual`.
    pub(crate) verification: Option<Verification>,
    /// For every host of which nothing else is said.
    pub(crate) usual: Verification,
    pub(crate) roots: Roots,
    /// Whether only `roots` are trusted, and not the authorities of the system and those that came with casehook.
    pub(crate) only_roots: bool,
    pub(crate) only_tls13: bool,
    pub(crate) hosts: Arc<Vec<HostTls>>,
    pub(crate) identity: Option<Identity>,
}

/// An entry of `customHostSettings`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct HostTls {
    pub(crate) host: Host<String>,
    pub(crate) port: u16,
    pub(crate) verification: Option<Verification>,
    pub(crate) roots: Roots,
}

/// What a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ProxyKind {
    Http,
    /// HTTP through TLS to the proxy itself.
    Https,
    Socks5 {
        /// Whether the proxy resolves the names of targets (`socks5h`), or casehook does.
        remote_names: bool,
    },
}

/// A proxy and how it is used. Prints without its login and headers.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ProxyPolicy {
    pub(crate) kind: ProxyKind,
    pub(crate) host: Host<String>,
    pub(crate) port: u16,
    pub(crate) login: Option<ProxyLogin>,
    /// For the proxy alone; they never reach a target.
    pub(crate) headers: Vec<(String, String)>,
    /// How an https proxy proves who it is.
    pub(crate) tls: TlsPolicy,
    pub(crate) bypass: Option<AllowedHosts>,
    pub(crate) only: Option<AllowedHosts>,
    /// A connector's own proxy is held to allowedHosts and to the address policy like a target; the one of the
    /// settings is not.
    pub(crate) of_connector: bool,
}

/// How casehook logs in to a proxy.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct ProxyLogin {
    pub(crate) user: Zeroizing<String>,
    pub(crate) password: Zeroizing<String>,
}

/// How much of a server's certificate is verified.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) enum Verification {
    /// Its chain, its validity and its name.
    #[default]
    Full,
    /// Its chain and its validity.
    Certificate,
    None,
}

impl Verification {
    /// From `full`, `certificate` or `none`.
    pub(crate) fn from_word(word: &str) -> Option<Verification> {
        match word {
            "full" => Some(Verification::Full),
            "certificate" => Some(Verification::Certificate),
            "none" => Some(Verification::None),
            _ => None,
        }
    }
}

/// Who says how a certificate is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SaidBy {
    Connector,
    /// An entry of `customHostSettings`.
    Host,
    Settings,
}

impl NetworkPolicy {
    /// Whether a request for this URL would not look at the certificate of its server, or of an https proxy on the way.
    pub(crate) fn is_unverified(&self, url: &Url) -> bool {
        self.unverified_target(url)
            .or_else(|| self.unverified_proxy(url))
            .is_some()
    }

    /// Who says that the certificate of this URL's server is not looked at; none where it is, or where there is none.
    pub(crate) fn unverified_target(&self, url: &Url) -> Option<SaidBy> {
        let (host, port) = (url.host()?, url.port_or_known_default()?);
        match url.scheme() {
            "https" => self.tls.unverified(&host.to_owned(), port),
            _ => None,
        }
    }

    /// The same of the https proxy that a request for this URL goes through.
    pub(crate) fn unverified_proxy(&self, url: &Url) -> Option<SaidBy> {
        let proxy = self.proxy.as_ref().filter(|proxy| proxy.carries(url))?;
        match proxy.kind {
            ProxyKind::Https => proxy.tls.unverified(&proxy.host, proxy.port),
            _ => None,
        }
    }
}

impl TlsPolicy {
    /// What is said of one host alone.
    pub(crate) fn host(&self, host: &Host<String>, port: u16) -> Option<&HostTls> {
        self.hosts
            .iter()
            .find(|entry| entry.host == *host && entry.port == port)
    }

    /// How the certificate of this host is verified.
    pub(crate) fn verification(&self, host: &Host<String>, port: u16) -> Verification {
        self.verification
            .or_else(|| self.host(host, port)?.verification)
            .unwrap_or(self.usual)
    }

    /// Who says that the certificate of this host is not looked at; none where it is.
    fn unverified(&self, host: &Host<String>, port: u16) -> Option<SaidBy> {
        if self.verification(host, port) != Verification::None {
            return None;
        }
        let of_host = self.host(host, port).and_then(|entry| entry.verification);
        Some(match (self.verification, of_host) {
            (Some(_), _) => SaidBy::Connector,
            (None, Some(_)) => SaidBy::Host,
            (None, None) => SaidBy::Settings,
        })
    }
}

impl ProxyPolicy {
    /// Whether requests to this URL go through it.
    pub(crate) fn carries(&self, url: &Url) -> bool {
        let listed = |list: &Option<AllowedHosts>| list.as_ref().map(|list| list.allows(url));
        listed(&self.bypass) != Some(true) && listed(&self.only) != Some(false)
    }

    /// As messages show it.
    pub(crate) fn named(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// As allowedHosts sees it.
    pub(crate) fn url(&self) -> Option<Url> {
        let scheme = match self.kind {
            ProxyKind::Https => "https",
            _ => "http",
        };
        Url::parse(&format!("{scheme}://{}:{}", self.host, self.port)).ok()
    }
}

impl std::hash::Hash for ProxyPolicy {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.kind, &self.host, self.port).hash(state);
    }
}

impl fmt::Debug for ProxyPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyPolicy")
            .field("kind", &self.kind)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("login", &self.login.is_some())
            .field("of_connector", &self.of_connector)
            .finish_non_exhaustive()
    }
}
