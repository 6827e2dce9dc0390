//! Keys in PEM that a passphrase seals: by PKCS #8, or by their headers, as OpenSSL did it before.

use md5::{Digest, Md5};
use zeroize::Zeroizing;

use super::cipher::Cipher;
use super::flaw::{Flaw, flaw};
use super::pem::Section;
use super::sealed::{Derivation, Sealed, Trouble};
use super::walk::Walk;
use crate::model::limits::KEY_ITERATIONS;

/// What scrypt may take to open a key, in bytes, and how often; OpenSSL makes keys that take 16 MiB, once.
const SCRYPT_BYTES: u64 = 64 * 1024 * 1024;
const SCRYPT_PARALLEL: u32 = 4;

/// The bytes of an encrypted key.
///
/// # Errors
/// What is wrong, and with which of the secrets.
pub(super) fn opened(section: &Section, passphrase: Option<&str>) -> Result<Zeroizing<Vec<u8>>, Flaw> {
    let passphrase = passphrase.ok_or_else(|| {
        flaw(
            "password",
            "the key is encrypted: give its passphrase as the secret password",
        )
    })?;
    if section.is_encrypted() {
        return by_headers(section, passphrase);
    }
    let key = Walk::sequence(&section.der)
        .and_then(Sealed::key)
        .map_err(|broken| refused(broken.into()))?;
    let sealing = key.pbes2().map_err(refused)?;
    check_cost(&sealing.derivation)?;
    sealing.open(passphrase, key.bytes).map_err(refused)
}

fn refused(trouble: Trouble) -> Flaw {
    match trouble {
        Trouble::Broken => flaw("key", "the encrypted key cannot be read"),
        Trouble::Passphrase => wrong_passphrase(),
        Trouble::Costly(iterations) => flaw(
            "key",
            format!(
                "opening the key takes {iterations} iterations; at most {KEY_ITERATIONS} are allowed, as \
                 `openssl pkcs8 -topk8 -v2 aes-256-cbc` makes it"
            ),
        ),
        Trouble::Unsupported => flaw(
            "key",
            "the key is encrypted in a way that is not supported; convert it with `openssl pkcs8 -topk8 -v2 aes-256-cbc`",
        ),
    }
}

fn wrong_passphrase() -> Flaw {
    flaw(
        "password",
        "the passphrase (the secret password) does not open the key",
    )
}

/// Refuses a key that would take much memory to open.
fn check_cost(derivation: &Derivation<'_>) -> Result<(), Flaw> {
    let Derivation::Scrypt {
        cost,
        block_size,
        parallelization,
        ..
    } = *derivation
    else {
        return Ok(());
    };
    let memory = cost.saturating_mul(128).saturating_mul(u64::from(block_size));
    if memory > SCRYPT_BYTES || parallelization > SCRYPT_PARALLEL {
        let message = format!(
            "opening the key takes {memory} bytes of memory, {parallelization} times; at most {SCRYPT_BYTES}, \
             {SCRYPT_PARALLEL} times, are allowed, as `openssl pkcs8 -topk8 -scrypt` makes it"
        );
        return Err(flaw("key", message));
    }
    Ok(())
}

/// The plaintext of a section that is encrypted by its headers.
fn by_headers(section: &Section, passphrase: &str) -> Result<Zeroizing<Vec<u8>>, Flaw> {
    let missing = |what: &str| flaw("password", what);
    let info = section
        .header("DEK-Info")
        .ok_or_else(|| missing("the key is encrypted and does not say how (DEK-Info)"))?;
    let (cipher, iv) = info.split_once(',').unwrap_or((info, ""));
    let iv = hex(iv.trim()).ok_or_else(|| missing("the key's DEK-Info has no initialisation vector"))?;
    let cipher = match cipher.trim() {
        "AES-128-CBC" => Cipher::Aes128,
        "AES-192-CBC" => Cipher::Aes192,
        "AES-256-CBC" => Cipher::Aes256,
        "DES-EDE3-CBC" => Cipher::TripleDes,
        "DES-CBC" => Cipher::Des,
        other => {
            let message = format!(
                "the key is encrypted with {}, which is not supported; convert it with `openssl pkcs8 -topk8`",
                other.escape_debug()
            );
            return Err(flaw("password", message));
        }
    };
    if iv.len() != cipher.block_bytes() {
        return Err(missing(
            "the key's DEK-Info has an initialisation vector of the wrong length",
        ));
    }
    let key = derive(passphrase.as_bytes(), &iv[..8], cipher.key_bytes());
    let plain = cipher.open(&key, &iv, &section.der);
    plain.ok_or_else(wrong_passphrase)
}

/// OpenSSL's `EVP_BytesToKey` with MD5 and one round.
fn derive(passphrase: &[u8], salt: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
    let mut key = Zeroizing::new(Vec::with_capacity(length + 16));
    let mut last = Vec::new();
    while key.len() < length {
        let mut hash = Md5::new();
        hash.update(&last);
        hash.update(passphrase);
        hash.update(salt);
        last = hash.finalize().to_vec();
        key.extend_from_slice(&last);
    }
    key.truncate(length);
    key
}

fn hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}
