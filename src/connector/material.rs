//! The certificates and keys of a connector: read, checked and put to use.

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::config::{Auth, CertType, Config};
use super::network::Material;
use super::proxy;
use super::secret::Secrets;
use super::{SecretSources, Warning};
use crate::error::{Error, Result};
use crate::model::Timestamp;
use crate::transport::{Identity, ProxyLogin, Roots};

/// How long before its end a certificate is warned of, in seconds.
const WARN_BEFORE: i64 = 30 * 24 * 60 * 60;

/// Whether any request is known to go over TLS; redirects may lead there all the same.
pub(crate) fn uses_tls(config: &Config) -> bool {
    let urls = config.request_urls().map(|url| url.sample());
    urls.chain(config.token_url()).any(|url| url.scheme() == "https")
}

/// Whether configure looks at certificates: any URL is https, the link for people included (R12).
pub(crate) fn is_checked(config: &Config) -> bool {
    uses_tls(config) || config.urls().any(|url| url.sample().scheme() == "https")
}

/// Reads what the connector brings along for TLS.
///
/// # Errors
/// The field at fault and what is wrong with it; never where no request is known to go over TLS: what cannot be used is
/// left out then.
pub(crate) fn read(config: &Config, secrets: &Secrets, sources: &SecretSources) -> Result<Material> {
    let (roots, identity) = certificates(config, secrets, sources, uses_tls(config))?;
    Ok(Material {
        roots,
        identity,
        proxy_login: proxy_login(secrets, sources)?,
    })
}

/// Errors only where they are `needed`.
fn certificates(
    config: &Config,
    secrets: &Secrets,
    sources: &SecretSources,
    needed: bool,
) -> Result<(Roots, Option<Identity>)> {
    let roots = match &config.tls.ca {
        None => Roots::default(),
        Some(ca) => match Roots::from_pem(ca) {
            Ok(roots) => roots,
            Err(message) if needed => return Err(Error::config("config.ca", message)),
            Err(_) => Roots::default(),
        },
    };
    let identity = match identity(config, secrets, sources) {
        Ok(identity) => identity,
        Err(error) if needed => return Err(error),
        Err(_) => None,
    };
    Ok((roots, identity))
}

/// Refuses authorities that cannot be read in a `config` object in which other things may be wrong: told before there is a
/// connector, and where [`check`] would look at them.
pub(crate) fn check_authorities(config: &Map<String, Value>) -> Result<()> {
    let text = |name: &str| config.get(name).and_then(Value::as_str);
    let is_https = |name: &str| text(name).is_some_and(|url| url.trim_start().starts_with("https:"));
    match text("ca").filter(|ca| !ca.is_empty()) {
        Some(ca) if config.keys().any(|name| name.ends_with("Url") && is_https(name)) => {
            let roots = Roots::from_pem(ca).map_err(|message| Error::config("config.ca", message));
            roots
                .map(drop)
                .map_err(|error| error.since("Kibana takes it and fails at the first push"))
        }
        _ => Ok(()),
    }
}

fn proxy_login(secrets: &Secrets, sources: &SecretSources) -> Result<Option<ProxyLogin>> {
    let text = |name: &str| -> Result<Option<Zeroizing<String>>> {
        let at = super::table::child("secrets", name);
        secrets
            .get(name)
            .map(|secret| secret.read(&at, sources))
            .transpose()
    };
    let (user, password) = (text("proxyUser")?, text("proxyPassword")?);
    Ok(user.map(|user| ProxyLogin {
        user,
        password: password.unwrap_or_default(),
    }))
}

/// Refuses a login that no proxy would get, or could read. What cannot be read here is left to the time of sending.
pub(crate) fn check_login(config: &Config, secrets: &Secrets, sources: &SecretSources) -> Result<()> {
    if !secrets.has("proxyUser") {
        return Ok(());
    }
    let Some(proxy) = config.own_proxy() else {
        return Err(Error::config(
            "secrets.proxyUser",
            "this is the login of the connector's own proxy, and config.proxy has none: give its URL there, or leave this \
             out (the proxy of the settings has its login in proxyUrl)",
        ));
    };
    let flaw = proxy_login(secrets, sources)
        .ok()
        .flatten()
        .and_then(|login| proxy::flaw(proxy.kind, &login));
    match flaw {
        Some((secret, flaw)) => {
            let at = super::table::child("secrets", secret);
            Err(Error::config(at, format!("this {flaw}")))
        }
        None => Ok(()),
    }
}

/// Checks at configure what [`read`] reads, and warns of certificates that do not hold (any more, or much longer).
///
/// # Errors
/// As for [`read`] where any URL is https; a reference that cannot be read is left to the time of sending.
pub(crate) fn check(
    config: &Config,
    secrets: &Secrets,
    sources: &SecretSources,
    now: Timestamp,
) -> Result<Vec<Warning>> {
    if !is_checked(config) {
        return Ok(Vec::new());
    }
    let mut warnings = Vec::new();
    let unreadable = TEXTS.iter().find_map(|name| {
        let secret = secrets.get(name)?;
        let at = super::table::child("secrets", name);
        let failed = secret.is_reference() && secret.read(&at, sources).is_err();
        failed.then_some(at)
    });
    if let (Some(field), Auth::Certificate) = (unreadable, config.auth) {
        warnings.push(Warning {
            field,
            message: "this cannot be read now, so that the client certificate was not checked".to_owned(),
        });
        let without = Secrets::default();
        let (roots, _) = certificates(config, &without, sources, true)?;
        warnings.extend(of_authorities(&roots, now));
        return Ok(warnings);
    }
    let (roots, identity) = certificates(config, secrets, sources, true)?;
    warnings.extend(of_authorities(&roots, now));
    if let Some(identity) = identity {
        let field = if secrets.has("pfx") {
            "secrets.pfx"
        } else {
            "secrets.crt"
        };
        warnings.extend(of_validity(field, "this certificate", identity.validity(), now));
    }
    Ok(warnings)
}

/// What the first of them gives rise to.
fn of_authorities(roots: &Roots, now: Timestamp) -> Option<Warning> {
    let mut all = roots.validities();
    all.find_map(|validity| of_validity("config.ca", "a certificate in this", validity, now))
}

/// The secrets that make up a client certificate.
const TEXTS: [&str; 4] = ["crt", "key", "pfx", "password"];

fn identity(config: &Config, secrets: &Secrets, sources: &SecretSources) -> Result<Option<Identity>> {
    if config.auth != Auth::Certificate {
        return Ok(None);
    }
    let text = |name: &str| -> Result<Option<Zeroizing<String>>> {
        let at = super::table::child("secrets", name);
        secrets
            .get(name)
            .map(|secret| secret.read(&at, sources))
            .transpose()
    };
    let passphrase = text("password")?;
    let passphrase = passphrase.as_ref().map(|text| text.as_str());
    let made = match (text("crt")?, text("key")?, text("pfx")?) {
        (Some(_), Some(_), _) if config.tls.cert_type == Some(CertType::Pfx) => {
            let message = "\"ssl-pfx\" needs the secret pfx; crt and key go with \"ssl-crt-key\"";
            return Err(Error::config("config.certType", message));
        }
        (_, _, Some(_)) if config.tls.cert_type == Some(CertType::CrtKey) => {
            let message = "\"ssl-crt-key\" needs the secrets crt and key; pfx goes with \"ssl-pfx\"";
            return Err(Error::config("config.certType", message));
        }
        (Some(crt), Some(key), _) => Identity::from_pem(&crt, &key, passphrase),
        (_, _, Some(pfx)) => Identity::from_pfx(&pfx, passphrase),
        _ => return Ok(None),
    };
    made.map(Some)
        .map_err(|flaw| Error::config(super::table::child("secrets", flaw.secret), flaw.message))
}

fn of_validity(field: &str, what: &str, (from, until): (i64, i64), now: Timestamp) -> Option<Warning> {
    let now = now.as_millis() / 1000;
    let day = |seconds: i64| Timestamp::from_millis(seconds.saturating_mul(1000));
    let message = if now > until {
        format!(
            "{what} expired at {}: whoever checks it refuses it; put its successor here",
            day(until)
        )
    } else if now < from {
        format!("{what} only holds from {}", day(from))
    } else if until - now < WARN_BEFORE {
        format!("{what} expires at {}: have its successor ready", day(until))
    } else {
        return None;
    };
    Some(Warning {
        field: field.to_owned(),
        message,
    })
}
