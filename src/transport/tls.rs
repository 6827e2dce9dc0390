//! rustls as casehook sets it up: its own provider, system and bundled roots, full verification.

use std::sync::{Arc, OnceLock};

use rustls::crypto::ring;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, RootCertStore, StreamOwned,
};
use rustls_pki_types::{CertificateDer, ServerName};

use super::socket::Socket;

/// Full verification against the roots of the system and those that came with casehook. Loaded once, when
/// needed.
pub(super) fn default_config() -> Result<Arc<ClientConfig>, String> {
    static CONFIG: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();
    CONFIG.get_or_init(|| config(&[])).clone()
}

/// Full verification against the default roots and `extra` ones.
pub(super) fn config(extra: &[CertificateDer<'static>]) -> Result<Arc<ClientConfig>, String> {
    let mut store = default_roots().clone();
    for certificate in extra {
        store
            .add(certificate.clone())
            .map_err(|error| format!("a certificate authority cannot be used: {error}"))?;
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .with_root_certificates(store)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Shakes hands within the exchange's connect time.
pub(super) fn handshake(
    config: Arc<ClientConfig>,
    host: &str,
    mut socket: Socket,
) -> Result<StreamOwned<ClientConnection, Socket>, String> {
    let name = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .trim_end_matches('.');
    let server = ServerName::try_from(name.to_owned())
        .map_err(|_| format!("{host} is not a name that a certificate can carry"))?;
    let mut connection = ClientConnection::new(config, server)
        .map_err(|error| format!("TLS with {host} cannot be set up: {error}"))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).map_err(|error| {
            let inner = error
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<rustls::Error>());
            let hint = inner.map(hint).unwrap_or_default();
            format!("the TLS handshake with {host} failed: {error}{hint}")
        })?;
    }
    Ok(StreamOwned::new(connection, socket))
}

/// What to say when the server did not accept the client's certificate, or missed one.
pub(super) fn refused_certificate(alert: AlertDescription) -> String {
    format!(
        "the server refused the TLS connection ({alert:?}): it wants a client certificate that it trusts, \
         see crt, key and pfx"
    )
}

fn default_roots() -> &'static RootCertStore {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let mut store = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        let system = rustls_native_certs::load_native_certs();
        for error in &system.errors {
            log::warn!("some of the system's certificate authorities cannot be read: {error}");
        }
        let (added, ignored) = store.add_parsable_certificates(system.certs);
        log::debug!("certificate authorities of the system: {added} taken, {ignored} not understood");
        store
    })
}

fn hint(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "; its certificate comes from an authority that is not trusted here: give it in `ca`"
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "; the certificate is for another name",
        rustls::Error::InvalidMessage(_) => "; is this an http port?",
        _ => "",
    }
}
