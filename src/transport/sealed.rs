//! What a passphrase seals in the second way of PKCS #5 (PBES2): keys in PEM, and the parts of a PKCS #12 file.

use std::num::NonZeroU32;

use der::Tag;
use der::asn1::{AnyRef, ObjectIdentifier};
use ring::pbkdf2;
use zeroize::Zeroizing;

use super::cipher::Cipher;
use super::walk::{Broken, Walk, oid};
use crate::model::limits::KEY_ITERATIONS;

pub(super) const PBES2: ObjectIdentifier = oid("1.2.840.113549.1.5.13");
const PBKDF2: ObjectIdentifier = oid("1.2.840.113549.1.5.12");
const SCRYPT: ObjectIdentifier = oid("1.3.6.1.4.1.11591.4.11");
const HMAC_SHA1: ObjectIdentifier = oid("1.2.840.113549.2.7");
const HMAC_SHA256: ObjectIdentifier = oid("1.2.840.113549.2.9");
const HMAC_SHA384: ObjectIdentifier = oid("1.2.840.113549.2.10");
const HMAC_SHA512: ObjectIdentifier = oid("1.2.840.113549.2.11");
const AES_128_CBC: ObjectIdentifier = oid("2.16.840.1.101.3.4.1.2");
const AES_192_CBC: ObjectIdentifier = oid("2.16.840.1.101.3.4.1.22");
const AES_256_CBC: ObjectIdentifier = oid("2.16.840.1.101.3.4.1.42");
const DES_EDE3_CBC: ObjectIdentifier = oid("1.2.840.113549.3.7");
const DES_CBC: ObjectIdentifier = oid("1.3.14.3.2.7");

/// Why something is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It is not what it should be.
    Broken,
    /// It is sealed in a way that is not known here.
    Unsupported,
    /// The passphrase is another one.
    Passphrase,
    /// So many iterations are more than are allowed.
    Costly(u64),
}

/// Something sealed, and how it says it is: PKCS #8 has keys like this, PKCS #12 its parts.
pub(super) struct Sealed<'a> {
    pub(super) algorithm: ObjectIdentifier,
    pub(super) parameters: Option<AnyRef<'a>>,
    pub(super) bytes: &'a [u8],
}

impl<'a> Sealed<'a> {
    /// `EncryptedPrivateKeyInfo`.
    pub(super) fn key(mut key: Walk<'a>) -> Result<Sealed<'a>, Broken> {
        let (algorithm, parameters) = key.algorithm()?;
        let bytes = key.value(Tag::OctetString)?;
        key.end()?;
        Ok(Sealed {
            algorithm,
            parameters,
            bytes,
        })
    }

    /// How it is sealed, if it is by PBES2.
    pub(super) fn pbes2(&self) -> Result<Pbes2<'a>, Trouble> {
        if self.algorithm != PBES2 {
            return Err(Trouble::Unsupported);
        }
        let mut parameters = self.within_parameters()?;
        let (derivation, with) = parameters.algorithm()?;
        let (scheme, iv) = parameters.algorithm()?;
        parameters.end()?;
        let cipher = match scheme {
            AES_128_CBC => Cipher::Aes128,
            AES_192_CBC => Cipher::Aes192,
            AES_256_CBC => Cipher::Aes256,
            DES_EDE3_CBC => Cipher::TripleDes,
            DES_CBC => Cipher::Des,
            _ => return Err(Trouble::Unsupported),
        };
        let with = || Walk::within(with.ok_or(Broken)?, Tag::Sequence);
        let derivation = match derivation {
            PBKDF2 => Derivation::pbkdf2(with()?, cipher.key_bytes())?,
            SCRYPT => Derivation::scrypt(with()?, cipher.key_bytes())?,
            _ => return Err(Trouble::Unsupported),
        };
        let iv = iv.ok_or(Broken)?.value();
        if iv.len() != cipher.block_bytes() {
            return Err(Trouble::Broken);
        }
        Ok(Pbes2 {
            derivation,
            cipher,
            iv,
        })
    }

    /// Into the sequence that the parameters are.
    pub(super) fn within_parameters(&self) -> Result<Walk<'a>, Broken> {
        Walk::within(self.parameters.ok_or(Broken)?, Tag::Sequence)
    }
}

/// PBES2: how the key comes from the passphrase, and what the key then opens.
pub(super) struct Pbes2<'a> {
    pub(super) derivation: Derivation<'a>,
    cipher: Cipher,
    iv: &'a [u8],
}

/// How a key comes from a passphrase.
pub(super) enum Derivation<'a> {
    Pbkdf2 {
        algorithm: pbkdf2::Algorithm,
        salt: &'a [u8],
        iterations: NonZeroU32,
    },
    Scrypt {
        salt: &'a [u8],
        cost: u64,
        block_size: u32,
        parallelization: u32,
    },
}

impl Pbes2<'_> {
    /// What was sealed. What scrypt takes must have been looked at.
    pub(super) fn open(&self, passphrase: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Trouble> {
        let mut key = Zeroizing::new(vec![0; self.cipher.key_bytes()]);
        self.derivation.fill(passphrase.as_bytes(), &mut key)?;
        let plain = self.cipher.open(&key, self.iv, sealed);
        plain.ok_or(Trouble::Passphrase)
    }
}

impl<'a> Derivation<'a> {
    /// `PBKDF2-params`.
    fn pbkdf2(mut with: Walk<'a>, key_bytes: usize) -> Result<Derivation<'a>, Trouble> {
        let salt = with.value(Tag::OctetString)?;
        let iterations = allowed(with.number()?)?;
        with.fits_number(key_bytes)?;
        let function = match with.is_at_end() {
            true => HMAC_SHA1,
            false => with.algorithm()?.0,
        };
        with.end()?;
        let algorithm = match function {
            HMAC_SHA1 => pbkdf2::PBKDF2_HMAC_SHA1,
            HMAC_SHA256 => pbkdf2::PBKDF2_HMAC_SHA256,
            HMAC_SHA384 => pbkdf2::PBKDF2_HMAC_SHA384,
            HMAC_SHA512 => pbkdf2::PBKDF2_HMAC_SHA512,
            _ => return Err(Trouble::Unsupported),
        };
        Ok(Derivation::Pbkdf2 {
            algorithm,
            salt,
            iterations: NonZeroU32::new(iterations).ok_or(Broken)?,
        })
    }

    /// `scrypt-params`.
    fn scrypt(mut with: Walk<'a>, key_bytes: usize) -> Result<Derivation<'a>, Broken> {
        let derivation = Derivation::Scrypt {
            salt: with.value(Tag::OctetString)?,
            cost: with.number()?,
            block_size: u32::try_from(with.number()?).map_err(|_| Broken)?,
            parallelization: u32::try_from(with.number()?).map_err(|_| Broken)?,
        };
        with.fits_number(key_bytes)?;
        with.end()?;
        Ok(derivation)
    }

    fn fill(&self, passphrase: &[u8], key: &mut [u8]) -> Result<(), Trouble> {
        match *self {
            Derivation::Pbkdf2 {
                algorithm,
                salt,
                iterations,
            } => pbkdf2::derive(algorithm, iterations, salt, passphrase, key),
            Derivation::Scrypt {
                salt,
                cost,
                block_size,
                parallelization,
            } => {
                let exponent = match cost.is_power_of_two() {
                    true => cost.ilog2() as u8,
                    false => return Err(Trouble::Broken),
                };
                let parameters =
                    scrypt::Params::new(exponent, block_size, parallelization).map_err(|_| Broken)?;
                scrypt::scrypt(passphrase, salt, &parameters, key).map_err(|_| Broken)?;
            }
        }
        Ok(())
    }
}

/// The number, if it is no larger than is allowed.
pub(super) fn allowed(iterations: u64) -> Result<u32, Trouble> {
    match u32::try_from(iterations) {
        Ok(iterations) if iterations <= KEY_ITERATIONS => Ok(iterations),
        _ => Err(Trouble::Costly(iterations)),
    }
}

impl From<Broken> for Trouble {
    fn from(Broken: Broken) -> Trouble {
        Trouble::Broken
    }
}
