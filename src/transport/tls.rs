//! rustls as casehook sets it up: its own provider, system and bundled roots, verification as the policy says.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::sync::{Arc, OnceLock};

use rustls::client::danger::ServerCertVerifier;
use rustls::sign::SingleCertAndKey;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, RootCertStore, StreamOwned, version,
};
use rustls_pki_types::ServerName;
use url::Host;

use super::TlsPolicy;
use super::suites;
use super::verify::{Trust, Verifier};
use crate::process::fork;

/// How to speak TLS with this host and port under that policy.
pub(super) fn config(policy: &TlsPolicy, host: &Host<String>, port: u16) -> Result<ClientConfig, String> {
    let trust = trust(policy, host, port)?;
    let verifier: Arc<dyn ServerCertVerifier> =
        Arc::new(Verifier::new(trust, policy.verification(host, port)));
    let versions: &[_] = if policy.only_tls13 {
        &[&version::TLS13]
    } else {
        &[&version::TLS13, &version::TLS12]
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(suites::provider()))
        .with_protocol_versions(versions)
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match &policy.identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified())))
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(feature = "postgres")]
/// The same for a connection to a database server, which names no protocol.
pub(crate) fn database_tls(policy: &TlsPolicy, host: &str, port: u16) -> Result<Arc<ClientConfig>, String> {
    let host = Host::parse(host).map_err(|_| format!("{host} is not a name that a certificate can carry"))?;
    let mut config = config(policy, &host, port)?;
    config.alpn_protocols = Vec::new();
    Ok(Arc::new(config))
}

fn trust(policy: &TlsPolicy, host: &Host<String>, port: u16) -> Result<Trust, String> {
    let own = match policy.host(host, port) {
        Some(entry) => policy.roots.and(&entry.roots),
        None => policy.roots.clone(),
    };
    let mut extra = own.iter().peekable();
    if !policy.only_roots && extra.peek().is_none() {
        return Ok(usual_trust().clone());
    }
    let (mut anchors, mut pinned) = match policy.only_roots {
        true => (RootCertStore::empty(), HashSet::new()),
        false => {
            let usual = usual_trust();
            (usual.anchors.as_ref().clone(), usual.pinned.as_ref().clone())
        }
    };
    for certificate in extra {
        // One that cannot vouch for others is still trusted when a server shows it.
        if let Err(error) = anchors.add(certificate.clone()) {
            log::debug!("a given certificate is no authority: {error}");
        }
        pinned.insert(certificate.clone());
    }
    Ok(Trust {
        anchors: Arc::new(anchors),
        pinned: Arc::new(pinned),
    })
}

/// Shakes hands within the exchange's connect time.
pub(super) fn handshake<S: Read + Write>(
    config: Arc<ClientConfig>,
    host: &Host<String>,
    mut stream: S,
) -> Result<StreamOwned<ClientConnection, S>, String> {
    let name = match host {
        Host::Domain(name) => ServerName::try_from(name.trim_end_matches('.').to_owned())
            .map_err(|_| format!("{host} is not a name that a certificate can carry"))?,
        Host::Ipv4(address) => ServerName::from(std::net::IpAddr::from(*address)),
        Host::Ipv6(address) => ServerName::from(std::net::IpAddr::from(*address)),
    };
    let mut connection = ClientConnection::new(config, name)
        .map_err(|error| format!("TLS with {host} cannot be set up: {error}"))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).map_err(|error| {
            let inner = error
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<rustls::Error>());
            let why = inner.map_or_else(|| error.to_string(), told);
            format!("the TLS handshake with {host} failed: {why}")
        })?;
    }
    Ok(StreamOwned::new(connection, stream))
}

/// What to say when the server did not accept the client's certificate, or missed one.
pub(super) fn refused_certificate(alert: AlertDescription) -> String {
    format!(
        "the server refused the TLS connection ({alert:?}): it wants a client certificate that it trusts, \
         see crt, key and pfx"
    )
}

/// The authorities of the system and those that came with casehook. Loaded once, when needed.
fn usual_trust() -> &'static Trust {
    static TRUST: OnceLock<Trust> = OnceLock::new();
    if let Some(trust) = TRUST.get() {
        return trust;
    }
    // A child that was forked meanwhile would wait for it for ever.
    let _loading = fork::hold_off();
    TRUST.get_or_init(|| {
        let mut store = RootCertStore {
            roots: BUNDLED.to_vec(),
        };
        let system = rustls_native_certs::load_native_certs();
        for error in &system.errors {
            log::warn!("some of the system's certificate authorities cannot be read: {error}");
        }
        let pinned = system.certs.iter().cloned().collect();
        let (added, ignored) = store.add_parsable_certificates(system.certs);
        log::debug!("certificate authorities of the system: {added} taken, {ignored} not understood");
        Trust {
            anchors: Arc::new(store),
            pinned: Arc::new(pinned),
        }
    })
}

#[cfg(feature = "bundled-roots")]
const BUNDLED: &[rustls_pki_types::TrustAnchor<'static>] = webpki_roots::TLS_SERVER_ROOTS;
#[cfg(not(feature = "bundled-roots"))]
const BUNDLED: &[rustls_pki_types::TrustAnchor<'static>] = &[];

/// How webpki calls an authority's certificate that a server shows as its own; rustls has no variant for it.
const AUTHORITY_SHOWN: &str = "CaUsedAsEndEntity";

/// What went wrong in a handshake, and what to do.
fn told(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(other))
            if format!("{other:?}").contains(AUTHORITY_SHOWN) =>
        {
            "the certificate that the server shows is an authority's own, as a self-signed one often is, and not trusted \
             here: give that very certificate in `ca`"
                .to_owned()
        }
        error => format!("{error}{}", hint(error)),
    }
}

/// What a server may want that is not to be had here.
macro_rules! no_agreement {
    ($of_ciphers:literal) => {
        concat!(
            "; the server's ciphers",
            $of_ciphers,
            " or the kind of its key (P-521, DSA, RSA below 2048 bits) may not be supported here, or it may want a client \
             certificate that it trusts, see crt, key and pfx"
        )
    };
}

fn hint(error: &rustls::Error) -> &'static str {
    use rustls::Error::{AlertReceived, InvalidCertificate, InvalidMessage};
    match error {
        InvalidCertificate(CertificateError::UnknownIssuer) => {
            "; its certificate comes from an authority that is not trusted here: give it in `ca`"
        }
        InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => {
            "; the certificate is for another name: use that name in the URL, or verificationMode `certificate`"
        }
        InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "; the server's certificate has expired and must be renewed there"
        }
        InvalidCertificate(CertificateError::BadSignature) => {
            "; the certificate was tampered with, or its key or its issuer's is of a kind that cannot be verified here, such \
             as RSA below 2048 bits"
        }
        AlertReceived(AlertDescription::HandshakeFailure) if cfg!(feature = "chacha20") => no_agreement!(""),
        AlertReceived(AlertDescription::HandshakeFailure) => {
            no_agreement!(" (this casehook was built without ChaCha20, cargo feature chacha20)")
        }
        AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA,
        ) => "; the server may want a client certificate that it trusts, see crt, key and pfx",
        AlertReceived(AlertDescription::ProtocolVersion) => "; the server speaks only other versions of TLS",
        InvalidMessage(_) => "; is this an http port?",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_not_supported_are_named() {
        let alert = rustls::Error::AlertReceived(AlertDescription::HandshakeFailure);
        let text = told(&alert);
        assert!(
            text.contains("P-521") && text.contains("client certificate"),
            "{text}"
        );
        let text = told(&CertificateError::BadSignature.into());
        assert!(text.contains("RSA below 2048 bits"), "{text}");
        let text = told(&rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired,
        ));
        assert!(
            !text.contains("P-521") && text.contains("client certificate"),
            "{text}"
        );
    }
}
