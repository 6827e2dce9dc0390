//! Where the database is: the URL, taken apart into what the server, TLS and casehook itself need to know.

use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, Notification};
use url::form_urlencoded;

use super::fault::Sql;
use super::tls::Tls;
use super::ways::{Driver, PORT, Ways};
use crate::error::{Error, ErrorKind, Result};
use crate::transport::{Identity, Roots, TlsPolicy, Verification};

/// Where casehook's tables are when the URL names no `schema`.
const SCHEMA: &str = "casehook";
/// How long a lease lasts by the server's clock when the URL names no `lease`, and the seconds that it may name.
const LEASE: Duration = Duration::from_secs(20);
const LEASES: std::ops::RangeInclusive<u64> = 3..=600;
/// The longest name, since the names of notification channels are made from it and end at 63 bytes.
const SCHEMA_BYTES: usize = 50;

/// A database and a schema in it.
#[derive(Clone)]
pub(super) struct Address {
    config: Config,
    ways: Ways,
    tls: Option<Tls>,
    pub(super) schema: String,
    /// How long a host may be silent before others take over what it has in hand.
    pub(super) lease: Duration,
}

impl Address {
    /// Takes a URL apart. `usual` is how certificates are verified where the URL does not say.
    ///
    /// # Errors
    /// `Argument` that names the parameter at fault, and never shows the URL, which may hold a password.
    pub(super) fn parse(url: &str, usual: &TlsPolicy) -> Result<Address> {
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        let mut own = Own {
            schema: SCHEMA.to_owned(),
            ..Own::default()
        };
        let mut rest = form_urlencoded::Serializer::new(String::new());
        // In this kind of URL a plus is a plus.
        let query = query.replace('+', "%2B");
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if !own.take(&name, &value)? {
                rest.append_pair(&name, &value);
            }
        }
        let rest = rest.finish().replace('+', "%20");
        let whole = match rest.as_str() {
            "" => place.to_owned(),
            rest => format!("{place}?{rest}"),
        };
        let mut config: Config = whole
            .parse()
            .map_err(|error: tokio_postgres::Error| refused(&describe(&error)))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            config.host("/var/run/postgresql");
        }
        if config.get_password().is_none()
            && let Some(password) = std::env::var_os("PGPASSWORD")
        {
            config.password(password.to_string_lossy().as_bytes());
        }
        if config.get_application_name().is_none() {
            config.application_name("casehook");
        }
        config.keepalives_idle(Duration::from_secs(15));
        config.keepalives_interval(Duration::from_secs(5));
        config.keepalives_retries(3);
        config.tcp_user_timeout(Duration::from_secs(30));
        let tls = own.tls(&config, usual)?;
        config.ssl_mode(match tls {
            Some(_) => SslMode::Require,
            None => SslMode::Disable,
        });
        check_schema(&own.schema)?;
        Ok(Address {
            ways: Ways::of(&config).map_err(refused)?,
            config,
            tls,
            schema: own.schema,
            lease: own.lease.unwrap_or(LEASE),
        })
    }

    /// A connection and what drives it; with `heard` it listens, and messages go there.
    pub(super) async fn connect(
        &self,
        heard: Option<mpsc::UnboundedSender<Notification>>,
    ) -> Sql<(Client, Driver)> {
        self.ways.first(self.tls.as_ref(), heard.as_ref()).await
    }

    /// How long a connection may take to be there.
    pub(super) fn patience(&self) -> Duration {
        self.ways.patience()
    }

    /// What a session is set to: casehook's tables, durable commits, and an end to whatever lasts too long.
    pub(super) fn session(&self, patience: Duration) -> String {
        let millis = patience.as_millis();
        format!(
            "SET search_path TO \"{}\"; SET statement_timeout TO {millis}; SET lock_timeout TO {millis}; \
             SET idle_in_transaction_session_timeout TO {}; SET jit TO off; \
             SET default_transaction_isolation TO 'read committed'; \
             SET default_transaction_read_only TO off; \
             SELECT set_config('synchronous_commit', 'on', false) \
             WHERE current_setting('synchronous_commit') = 'off'",
            self.schema,
            millis * 2
        )
    }

    /// The name of the channel on which hosts tell each other of changes.
    pub(super) fn channel(&self) -> String {
        format!("casehook_{}", self.schema)
    }

    /// As messages show it: without user, password and parameters.
    pub(super) fn named(&self) -> String {
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(name)) => name.clone(),
            Some(Host::Unix(path)) => path.display().to_string(),
            None => self
                .config
                .get_hostaddrs()
                .first()
                .map_or_else(String::new, IpAddr::to_string),
        };
        format!(
            "{host}/{} (schema {})",
            self.config.get_dbname().unwrap_or("the user's database"),
            self.schema
        )
    }
}

/// The parameters that the driver does not know.
#[derive(Default)]
struct Own {
    schema: String,
    lease: Option<Duration>,
    mode: Option<String>,
    root: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
}

impl Own {
    /// Whether it is one of casehook's.
    fn take(&mut self, name: &str, value: &str) -> Result<bool> {
        let place = match name {
            "schema" => {
                value.clone_into(&mut self.schema);
                return Ok(true);
            }
            "lease" => {
                let seconds = value.parse().ok().filter(|seconds| LEASES.contains(seconds));
                self.lease =
                    Some(Duration::from_secs(seconds.ok_or_else(|| {
                        refused("lease is a whole number of seconds from 3 to 600")
                    })?));
                return Ok(true);
            }
            "sslmode" => {
                if !["disable", "require", "verify-ca", "verify-full"].contains(&value) {
                    return Err(refused(
                        "sslmode is `disable`, `require`, `verify-ca` or `verify-full`; the others protect nothing",
                    ));
                }
                &mut self.mode
            }
            "sslrootcert" => &mut self.root,
            "sslcert" => &mut self.certificate,
            "sslkey" => &mut self.key,
            _ => return Ok(false),
        };
        *place = Some(value.to_owned());
        Ok(true)
    }

    /// How TLS is spoken, if it is: asked for, or to another machine.
    fn tls(&self, config: &Config, usual: &TlsPolicy) -> Result<Option<Tls>> {
        let local =
            config.get_hosts().iter().all(is_local) && config.get_hostaddrs().iter().all(IpAddr::is_loopback);
        let asked = self.root.is_some() || self.certificate.is_some();
        match self.mode.as_deref() {
            Some("disable") => return Ok(None),
            None if local && !asked => return Ok(None),
            _ => {}
        }
        let mut policy = usual.clone();
        match self.mode.as_deref() {
            Some("verify-ca") => policy.verification = Some(Verification::Certificate),
            Some("verify-full") => policy.verification = Some(Verification::Full),
            _ => {}
        }
        if let Some(file) = self.root.as_deref().filter(|file| *file != "system") {
            policy.roots = Roots::from_pem(&read("sslrootcert", file)?)
                .map_err(|why| refused(&format!("sslrootcert: {why}")))?;
            policy.only_roots = true;
        }
        match (&self.certificate, &self.key) {
            (None, None) => {}
            (Some(certificate), Some(key)) => {
                let (certificate, key) = (read("sslcert", certificate)?, read("sslkey", key)?);
                let identity = Identity::from_pem(&certificate, &key, None);
                policy.identity = Some(
                    identity
                        .map_err(|_| refused("sslcert and sslkey are no pair in PEM without passphrase"))?,
                );
            }
            _ => return Err(refused("sslcert and sslkey belong together; give both")),
        }
        Ok(Some(Tls { policy, port: PORT }))
    }
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
    }
}

fn read(parameter: &str, file: &str) -> Result<zeroize::Zeroizing<String>> {
    std::fs::read_to_string(file)
        .map(zeroize::Zeroizing::new)
        .map_err(|error| refused(&format!("{parameter}: {file} cannot be read: {error}")))
}

fn check_schema(name: &str) -> Result<()> {
    let plain = name
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let begins = name
        .chars()
        .next()
        .is_some_and(|c| c.is_ascii_lowercase() || c == '_');
    if plain && begins && name.len() <= SCHEMA_BYTES && !name.starts_with("pg_") {
        return Ok(());
    }
    Err(refused(&format!(
        "schema is a name of at most {SCHEMA_BYTES} lower-case letters, digits and underscores that does not begin \
         with a digit or pg_"
    )))
}

fn describe(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => cause.to_string(),
        None => error.to_string(),
    }
}

fn refused(what: &str) -> Error {
    let message = format!(
        "the database URL cannot be used: {what}; it is postgres://user:password@host:port/database?schema=casehook"
    );
    Error::new(ErrorKind::Argument, message).at("path")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Address> {
        Address::parse(url, &TlsPolicy::default())
    }

    fn refusal(url: &str) -> String {
        match parse(url) {
            Ok(_) => panic!("{url} was taken"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn tls_is_spoken_with_other_machines_unless_it_is_switched_off() {
        for (url, secured) in [
            ("postgres://u@db.example/d", true),
            ("postgresql://u@db.example/d?sslmode=disable", false),
            ("postgres://u@127.0.0.1:5433/d", false),
            ("postgres://u@localhost/d?sslmode=require", true),
            ("postgres://u@[::1]/d", false),
            ("postgres:///d?host=/run/x", false),
            ("postgres://u@10.0.0.1/d", true),
        ] {
            assert_eq!(parse(url).unwrap().tls.is_some(), secured, "{url}");
        }
        let mode = |url| parse(url).unwrap().tls.unwrap().policy.verification;
        assert_eq!(
            mode("postgres://h/d?sslmode=verify-ca"),
            Some(Verification::Certificate)
        );
        assert_eq!(
            mode("postgres://h/d?sslmode=verify-full"),
            Some(Verification::Full)
        );
        assert_eq!(
            mode("postgres://h/d?sslmode=require"),
            None,
            "as the settings have it"
        );
    }

    #[test]
    fn what_cannot_be_used_is_named_without_the_password() {
        for (url, word) in [
            ("postgres://u:hunter2@h/d?sslmode=prefer", "sslmode"),
            ("postgres://u:hunter2@h/d?schema=Cases", "schema"),
            ("postgres://u:hunter2@h/d?schema=", "schema"),
            ("postgres://u:hunter2@h/d?schema=pg_x", "schema"),
            ("postgres://u:hunter2@h/d?nonsense=1", "nonsense"),
            ("postgres://u:hunter2@h/d?lease=1", "lease"),
            ("postgres://u:hunter2@h:port/d", "port"),
            ("postgres://u:hunter2@h/d?sslrootcert=/nowhere.pem", "sslrootcert"),
            ("postgres://u:hunter2@h/d?sslcert=/x.pem", "sslkey"),
        ] {
            let text = refusal(url);
            assert!(text.contains(word) && !text.contains("hunter2"), "{url}: {text}");
        }
    }

    #[test]
    fn a_plus_is_a_plus_and_only_percent_signs_are_decoded() {
        let address = parse("postgres://h/d?user=a+b&password=c+d%20e%2Bf&application_name=x%26y").unwrap();
        assert_eq!(address.config.get_user(), Some("a+b"));
        assert_eq!(address.config.get_password(), Some(&b"c+d e+f"[..]));
        assert_eq!(address.config.get_application_name(), Some("x&y"));
        let missing = refusal("postgres://h/d?sslrootcert=/a+b.pem");
        assert!(missing.contains("/a+b.pem"), "{missing}");
    }

    #[test]
    fn servers_share_the_time_and_their_numbers_have_to_agree() {
        let seconds = |url| parse(url).unwrap().patience().as_secs();
        assert_eq!(seconds("postgres://h/d"), 5);
        assert_eq!(seconds("postgres://h,i/d"), 5);
        assert_eq!(seconds("postgres://h,i,j,k/d"), 8);
        assert_eq!(seconds("postgres://h,i/d?connect_timeout=7"), 14);
        let ports = refusal("postgres://h:1,i:2,j/d?port=5");
        assert!(ports.contains("port"), "{ports}");
        let addresses = refusal("postgres://h,i/d?hostaddr=127.0.0.1");
        assert!(addresses.contains("hostaddr"), "{addresses}");
    }

    #[test]
    fn the_schema_is_casehook_unless_it_is_named() {
        assert_eq!(parse("postgres://h/d").unwrap().schema, "casehook");
        let named = parse("postgres://h/d?connect_timeout=3&schema=tickets").unwrap();
        assert_eq!(named.schema, "tickets");
        assert_eq!(named.named(), "h/d (schema tickets)");
    }
}
