//! Certificate authorities that are trusted beside the usual ones.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use ring::digest;
use rustls_pki_types::CertificateDer;

use super::{certificate, pem};

/// Certificates from PEM. Two are equal when their bytes are.
#[derive(Clone)]
pub(crate) struct Roots {
    certificates: Arc<Vec<CertificateDer<'static>>>,
    digest: [u8; 32],
}

impl Roots {
    /// Every certificate of a PEM text, or of one in base64.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub(crate) fn from_pem(text: &str) -> Result<Roots, String> {
        let right = "give certificates as PEM (-----BEGIN CERTIFICATE-----), in base64";
        let text = pem::text(text).ok_or_else(|| format!("this is not PEM: {right}"))?;
        let mut certificates = Vec::new();
        for section in pem::sections(&text)? {
            if !is_certificate(&section.label) {
                continue;
            }
            if certificate::facts(&section.der).is_none() {
                let which = certificates.len() + 1;
                return Err(format!("certificate number {which} cannot be read: {right}"));
            }
            certificates.push(CertificateDer::from(section.der.to_vec()));
        }
        if certificates.is_empty() {
            return Err(format!("there is no certificate in this PEM: {right}"));
        }
        Ok(Roots::of(certificates))
    }

    /// These and those.
    pub(crate) fn and(&self, others: &Roots) -> Roots {
        if others.certificates.is_empty() {
            return self.clone();
        }
        let both = self.certificates.iter().chain(others.certificates.iter());
        Roots::of(both.cloned().collect())
    }

    /// Unix seconds from which and until which each of them holds.
    pub(crate) fn validities(&self) -> impl Iterator<Item = (i64, i64)> {
        let facts = self.certificates.iter().filter_map(|der| certificate::facts(der));
        facts.map(|facts| (facts.not_before, facts.not_after))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.certificates.iter()
    }

    fn of(certificates: Vec<CertificateDer<'static>>) -> Roots {
        let mut hash = digest::Context::new(&digest::SHA256);
        for certificate in &certificates {
            hash.update(&(certificate.len() as u64).to_le_bytes());
            hash.update(certificate);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(hash.finish().as_ref());
        Roots {
            certificates: Arc::new(certificates),
            digest,
        }
    }
}

/// The labels that OpenSSL takes for certificates.
pub(super) fn is_certificate(label: &str) -> bool {
    matches!(label, "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE")
}

impl Default for Roots {
    fn default() -> Roots {
        Roots::of(Vec::new())
    }
}

impl PartialEq for Roots {
    fn eq(&self, other: &Roots) -> bool {
        self.digest == other.digest
    }
}

impl Eq for Roots {}

impl Hash for Roots {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Roots({})", self.certificates.len())
    }
}
