//! The certificate that casehook shows to servers that ask for one, and its key.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use ring::digest;
use rustls::crypto::ring as provider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};
use zeroize::Zeroizing;

#[cfg(feature = "encrypted-keys")]
use super::encrypted::opened;
use super::flaw::{Flaw, flaw};
#[cfg(not(feature = "encrypted-keys"))]
use super::no_encryption::opened;
use super::pem::{self, Section};
use super::{certificate, roots};

/// A certificate chain and the key that fits it. Two are equal when certificates are; prints without the key.
#[derive(Clone)]
pub(crate) struct Identity {
    certified: Arc<CertifiedKey>,
    digest: [u8; 32],
    not_before: i64,
    not_after: i64,
}

impl Identity {
    /// From a certificate chain and its key, PEM or PEM in base64.
    ///
    /// Keys may be PKCS #1, PKCS #8 or SEC 1, encrypted or not.
    ///
    /// # Errors
    /// What is wrong, and with which of the secrets.
    pub(crate) fn from_pem(crt: &str, key: &str, passphrase: Option<&str>) -> Result<Identity, Flaw> {
        let chain = chain(crt).map_err(|message| flaw("crt", message))?;
        let key = private_key(key, passphrase)?;
        Identity::new(chain, key).map_err(|message| flaw("key", message))
    }

    /// Unix seconds from which and until which the certificate holds.
    pub(crate) fn validity(&self) -> (i64, i64) {
        (self.not_before, self.not_after)
    }

    pub(super) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }

    /// # Errors
    /// A certificate or key that cannot be used, or a key that belongs to another certificate.
    pub(super) fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Identity, String> {
        let facts = chain
            .first()
            .and_then(|certificate| certificate::facts(certificate))
            .ok_or("the certificate cannot be read")?;
        let signing = provider::sign::any_supported_type(&key).map_err(|_| {
            "this kind of key is not supported: RSA from 2048 bits, P-256, P-384 and Ed25519 are".to_owned()
        })?;
        let fits = signing
            .public_key()
            .is_some_and(|key| key.as_ref() == facts.public_key.as_slice());
        if !fits {
            return Err("the key does not belong to the certificate".to_owned());
        }
        let mut hash = digest::Context::new(&digest::SHA256);
        chain.iter().for_each(|certificate| hash.update(certificate));
        let mut digest = [0; 32];
        digest.copy_from_slice(hash.finish().as_ref());
        Ok(Identity {
            certified: Arc::new(CertifiedKey::new(chain, signing)),
            digest,
            not_before: facts.not_before,
            not_after: facts.not_after,
        })
    }
}

fn chain(crt: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let right = "give the certificate as PEM (-----BEGIN CERTIFICATE-----), in base64";
    let text = pem::text(crt).ok_or_else(|| format!("this is not PEM: {right}"))?;
    let chain: Vec<_> = pem::sections(&text)?
        .into_iter()
        .filter(|section| roots::is_certificate(&section.label))
        .map(|section| CertificateDer::from(section.der.to_vec()))
        .collect();
    if chain.is_empty() {
        return Err(format!("there is no certificate in this PEM: {right}"));
    }
    if chain.iter().any(|der| certificate::facts(der).is_none()) {
        return Err("a certificate in this PEM cannot be read".to_owned());
    }
    Ok(chain)
}

fn private_key(key: &str, passphrase: Option<&str>) -> Result<PrivateKeyDer<'static>, Flaw> {
    let right = "give the key as PEM (-----BEGIN PRIVATE KEY-----), in base64";
    let text = pem::text(key).ok_or_else(|| flaw("key", format!("this is not PEM: {right}")))?;
    let section = pem::sections(&text)
        .map_err(|message| flaw("key", message))?
        .into_iter()
        .find(|section| section.label.ends_with("PRIVATE KEY"))
        .ok_or_else(|| flaw("key", format!("there is no private key in this PEM: {right}")))?;
    let der = plain(&section, passphrase)?.to_vec();
    match section.label.as_str() {
        "RSA PRIVATE KEY" => Ok(PrivatePkcs1KeyDer::from(der).into()),
        "EC PRIVATE KEY" => Ok(PrivateSec1KeyDer::from(der).into()),
        "PRIVATE KEY" | "ENCRYPTED PRIVATE KEY" => Ok(PrivatePkcs8KeyDer::from(der).into()),
        other => Err(flaw(
            "key",
            format!("a {} is not supported: {right}", other.escape_debug()),
        )),
    }
}

/// The key's bytes, decrypted where need be. A passphrase for a key that is not encrypted is ignored.
fn plain(section: &Section, passphrase: Option<&str>) -> Result<Zeroizing<Vec<u8>>, Flaw> {
    if section.is_encrypted() || section.label == "ENCRYPTED PRIVATE KEY" {
        return opened(section, passphrase);
    }
    Ok(section.der.clone())
}

impl PartialEq for Identity {
    fn eq(&self, other: &Identity) -> bool {
        self.digest == other.digest
    }
}

impl Eq for Identity {}

impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}
