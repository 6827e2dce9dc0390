//! PKCS #12 files, of today's and of older making.

use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::archive::Archive;
use super::flaw::{Flaw, flaw};
use super::identity::Identity;
use super::sealed::Trouble;
use super::{certificate, pem};
use crate::model::limits::{KEY_ITERATIONS, PKCS12_BYTES};

/// Each costs a derivation of its own; a file has one for its certificates and one for its key.
const ENCRYPTED_PARTS: usize = 16;
/// Object identifiers, as they stand in a file: PBES2, the ones of PKCS #12 itself, scrypt (which takes memory).
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
const PBES1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01];
const SCRYPT: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x04, 0x0b];

impl Identity {
    /// From a PKCS #12 file in base64.
    ///
    /// # Errors
    /// What is wrong, and with which of the secrets.
    pub(crate) fn from_pfx(pfx: &str, passphrase: Option<&str>) -> Result<Identity, Flaw> {
        let der = pem::base64(pfx)
            .filter(|der| !der.is_empty())
            .ok_or_else(|| flaw("pfx", "this is not base64: give the PKCS #12 file in base64"))?;
        open(&der, passphrase.unwrap_or_default())
    }
}

/// The key of a PKCS #12 file, its certificate, and those that lead from there to an authority.
fn open(der: &[u8], passphrase: &str) -> Result<Identity, Flaw> {
    check_cost(der)?;
    let archive = Archive::open(der, passphrase).map_err(refused)?;
    let key = archive
        .keys
        .first()
        .ok_or_else(|| flaw("pfx", "there is no private key in this PKCS #12 file"))?;
    let mut certificates: Vec<CertificateDer<'static>> = archive
        .certificates
        .iter()
        .map(|bag| CertificateDer::from(bag.der.to_vec()))
        .collect();
    let key_der = || PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.der.to_vec()));
    let own = archive
        .certificates
        .iter()
        .position(|bag| key.local_key_id.is_some() && bag.local_key_id == key.local_key_id)
        .into_iter()
        .chain(0..certificates.len());
    let mut why = "there is no certificate in this PKCS #12 file".to_owned();
    for at in own {
        if certificate::facts(&certificates[at]).is_none() {
            continue;
        }
        match Identity::new(vec![certificates[at].clone()], key_der()) {
            Ok(_) => {
                let leaf = certificates.remove(at);
                certificates.insert(0, leaf);
                return Identity::new(certificates, key_der()).map_err(|message| flaw("pfx", message));
            }
            Err(message) => why = message,
        }
    }
    Err(flaw("pfx", why))
}

/// Refuses a file that would take long to open. More than `KEY_ITERATIONS` for one part are refused when it is read.
fn check_cost(der: &[u8]) -> Result<(), Flaw> {
    if der.len() > PKCS12_BYTES {
        let message = format!(
            "this PKCS #12 file has {} bytes; at most {PKCS12_BYTES} are allowed",
            der.len()
        );
        return Err(flaw("pfx", message));
    }
    let count = |oid: &[u8]| der.windows(oid.len()).filter(|window| *window == oid).count();
    let parts = count(PBES2) + count(PBES1);
    if parts > ENCRYPTED_PARTS {
        let message =
            format!("this PKCS #12 file has {parts} encrypted parts; at most {ENCRYPTED_PARTS} are allowed");
        return Err(flaw("pfx", message));
    }
    if count(SCRYPT) > 0 {
        return Err(unsupported());
    }
    Ok(())
}

fn unsupported() -> Flaw {
    flaw(
        "pfx",
        "this PKCS #12 file is encrypted in a way that is not supported; make it anew with `openssl pkcs12 -export`",
    )
}

fn refused(trouble: Trouble) -> Flaw {
    match trouble {
        Trouble::Broken => flaw("pfx", "this is not a PKCS #12 file, or a broken one"),
        Trouble::Unsupported => unsupported(),
        Trouble::Passphrase => flaw(
            "password",
            "the passphrase (the secret password) does not open the PKCS #12 file",
        ),
        Trouble::Costly(iterations) => flaw(
            "pfx",
            format!(
                "opening this PKCS #12 file takes {iterations} iterations; at most {KEY_ITERATIONS} are allowed: make it \
                 anew with `openssl pkcs12 -export`"
            ),
        ),
    }
}
