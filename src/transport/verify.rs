//! How a server's certificate is verified: by chain and name, by chain alone, or not at all.

use std::collections::HashSet;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::Verification;
use super::certificate;
use super::suites::SIGNATURES;

/// Whom to trust: authorities, and certificates that are trusted as they are.
#[derive(Debug, Clone)]
pub(super) struct Trust {
    pub(super) anchors: Arc<RootCertStore>,
    /// The same certificates whole: a server that shows one of them is trusted though no authority vouches for it.
    pub(super) pinned: Arc<HashSet<CertificateDer<'static>>>,
}

/// Accepts what the reference accepts: beside what webpki takes, a trusted certificate that the server itself
/// shows (self-signed ones), and a host named only by the common name.
#[derive(Debug)]
pub(super) struct Verifier {
    trust: Trust,
    mode: Verification,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(super) fn new(trust: Trust, mode: Verification) -> Verifier {
        Verifier {
            trust,
            mode,
            algorithms: SIGNATURES,
        }
    }

    fn chain(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        if self.trust.pinned.contains(certificate) {
            let facts = certificate::facts(certificate).ok_or(CertificateError::BadEncoding)?;
            let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
            return match now {
                _ if now < facts.not_before => Err(CertificateError::NotValidYet.into()),
                _ if now > facts.not_after => Err(CertificateError::Expired.into()),
                _ => Ok(()),
            };
        }
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(certificate)?,
            &self.trust.anchors,
            others,
            now,
            self.algorithms.all,
        )
    }
}

fn name(certificate: &CertificateDer<'_>, server: &ServerName<'_>) -> Result<(), Error> {
    let named =
        ParsedCertificate::try_from(certificate).and_then(|parsed| verify_server_name(&parsed, server));
    match (named, server) {
        (Err(error), ServerName::DnsName(host)) => {
            let by_common_name = certificate::facts(certificate)
                .is_some_and(|facts| facts.names_by_common_name(host.as_ref()));
            if by_common_name { Ok(()) } else { Err(error) }
        }
        (named, _) => named,
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        server: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.mode != Verification::None {
            self.chain(certificate, others, now)?;
        }
        if self.mode == Verification::Full {
            name(certificate, server)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match verify_tls12_signature(message, certificate, signature, &self.algorithms) {
            Err(_) if self.mode == Verification::None => Ok(HandshakeSignatureValid::assertion()),
            result => result,
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match verify_tls13_signature(message, certificate, signature, &self.algorithms) {
            Err(_) if self.mode == Verification::None => Ok(HandshakeSignatureValid::assertion()),
            result => result,
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
