//! TLS for the test servers: asks for a client certificate, takes any or none, and tells whose it was.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, ServerConfig, ServerConnection, SignatureScheme,
    StreamOwned,
};

/// What a listener needs to speak TLS.
#[derive(Clone)]
pub struct Tls(Arc<ServerConfig>);

pub type TlsStream = StreamOwned<ServerConnection, TcpStream>;

impl Tls {
    /// From a certificate chain and its key, both PEM.
    pub fn new(chain: &[u8], key: &[u8]) -> Tls {
        let provider = Arc::new(ring::default_provider());
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("ring has both versions")
            .with_client_cert_verifier(Arc::new(AnyClient(provider)))
            .with_single_cert(
                chain.expect("PEM"),
                PrivateKeyDer::from_pem_slice(key).expect("PEM"),
            )
            .expect("a key that matches");
        Tls(Arc::new(config))
    }

    /// Shakes hands; the stream and the common name of the client's certificate.
    pub fn accept(&self, mut stream: TcpStream) -> io::Result<(TlsStream, Option<String>)> {
        let mut connection = ServerConnection::new(Arc::clone(&self.0)).map_err(io::Error::other)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        let name = connection
            .peer_certificates()
            .and_then(|chain| chain.first())
            .and_then(|certificate| common_name(certificate));
        Ok((StreamOwned::new(connection, stream), name))
    }
}

/// The subject's common name: the second in the certificate, after the issuer's.
fn common_name(der: &[u8]) -> Option<String> {
    const OID: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x03];
    let places: Vec<usize> = der
        .windows(OID.len())
        .enumerate()
        .filter(|(_, w)| *w == OID)
        .map(|(at, _)| at)
        .collect();
    let value = der.get(places.get(1)? + OID.len()..)?;
    let length = usize::from(*value.get(1)?);
    String::from_utf8(value.get(2..2 + length)?.to_vec()).ok()
}

#[derive(Debug)]
struct AnyClient(Arc<CryptoProvider>);

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
