//! What a PKCS #12 file holds: its keys and certificates, unsealed.

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Encode, Tag, Tagged};
use pkcs12::kdf::{Pkcs12KeyType, derive_key};
use ring::hmac;
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use super::cipher::Cipher;
use super::sealed::{Derivation, PBES2, Sealed, Trouble, allowed};
use super::walk::{Broken, Walk, numbered, oid};

const VERSION: &[u8] = &[3];
const DATA: ObjectIdentifier = oid("1.2.840.113549.1.7.1");
const ENCRYPTED_DATA: ObjectIdentifier = oid("1.2.840.113549.1.7.6");
const KEY: ObjectIdentifier = oid("1.2.840.113549.1.12.10.1.1");
const SEALED_KEY: ObjectIdentifier = oid("1.2.840.113549.1.12.10.1.2");
const CERTIFICATE: ObjectIdentifier = oid("1.2.840.113549.1.12.10.1.3");
const X509: ObjectIdentifier = oid("1.2.840.113549.1.9.22.1");
const LOCAL_KEY_ID: ObjectIdentifier = oid("1.2.840.113549.1.9.21");
const SHA1: ObjectIdentifier = oid("1.3.14.3.2.26");
const SHA256: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.3");
const SHA1_AND_TRIPLE_DES: ObjectIdentifier = oid("1.2.840.113549.1.12.1.3");
const SHA1_AND_RC2: ObjectIdentifier = oid("1.2.840.113549.1.12.1.6");

/// A key (PKCS #8) or a certificate, and what ties the one to the other.
pub(super) struct Bag {
    pub(super) der: Zeroizing<Vec<u8>>,
    pub(super) local_key_id: Option<Vec<u8>>,
}

/// Keys and certificates in the order in which they lie there.
pub(super) struct Archive<'p> {
    pub(super) keys: Vec<Bag>,
    pub(super) certificates: Vec<Bag>,
    passphrase: &'p str,
}

impl<'p> Archive<'p> {
    /// `PFX`: the parts, and their checksum under the passphrase. Where that is missing, the parts tell by themselves whether
    /// the passphrase is right.
    pub(super) fn open(file: &[u8], passphrase: &'p str) -> Result<Archive<'p>, Trouble> {
        let mut archive = Archive {
            keys: Vec::new(),
            certificates: Vec::new(),
            passphrase,
        };
        let mut pfx = Walk::sequence(file)?;
        if pfx.value(Tag::Integer)? != VERSION {
            return Err(Trouble::Broken);
        }
        let (kind, content) = content_info(&mut pfx)?;
        if kind != DATA {
            return Err(Trouble::Broken);
        }
        let parts = bytes(content)?;
        if !pfx.is_at_end() {
            archive.check(pfx.enter(Tag::Sequence)?, parts)?;
        }
        pfx.end()?;
        let mut parts = Walk::sequence(parts)?;
        while !parts.is_at_end() {
            archive.part(&mut parts)?;
        }
        Ok(archive)
    }

    /// `MacData`.
    fn check(&self, mut checksum: Walk<'_>, parts: &[u8]) -> Result<(), Trouble> {
        let mut digest_info = checksum.enter(Tag::Sequence)?;
        let (digest, _) = digest_info.algorithm()?;
        let expected = digest_info.value(Tag::OctetString)?;
        digest_info.end()?;
        let salt = checksum.value(Tag::OctetString)?;
        let iterations = match checksum.is_at_end() {
            true => 1,
            false => rounds(checksum.number()?)?,
        };
        checksum.end()?;
        let passphrase = self.wide();
        macro_rules! key {
            ($digest:ty, $bytes:literal) => {
                derive_key::<$digest>(&passphrase, salt, Pkcs12KeyType::Mac, iterations, $bytes)
            };
        }
        let (algorithm, key) = match digest {
            SHA1 => (hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key!(Sha1, 20)),
            SHA256 => (hmac::HMAC_SHA256, key!(Sha256, 32)),
            SHA384 => (hmac::HMAC_SHA384, key!(Sha384, 48)),
            SHA512 => (hmac::HMAC_SHA512, key!(Sha512, 64)),
            _ => return Err(Trouble::Unsupported),
        };
        let key = hmac::Key::new(algorithm, &Zeroizing::new(key));
        hmac::verify(&key, parts, expected).map_err(|_| Trouble::Passphrase)
    }

    /// One part of the `AuthenticatedSafe`: bags as they are, or sealed together.
    fn part(&mut self, parts: &mut Walk<'_>) -> Result<(), Trouble> {
        let (kind, content) = content_info(parts)?;
        match kind {
            DATA => self.bags(bytes(content)?),
            ENCRYPTED_DATA => match encrypted_data(content)? {
                None => Ok(()),
                Some(sealed) => self.bags(&self.unsealed(&sealed)?),
            },
            _ => Err(Trouble::Broken),
        }
    }

    /// `SafeContents`. What is neither key nor certificate stays where it is.
    fn bags(&mut self, bags: &[u8]) -> Result<(), Trouble> {
        let mut bags = Walk::sequence(bags)?;
        while !bags.is_at_end() {
            let mut bag = bags.enter(Tag::Sequence)?;
            let kind = bag.oid()?;
            let value = within(bag.any()?)?;
            let local_key_id = local_key_id(&mut bag)?;
            bag.end()?;
            let filled = |der| Bag { der, local_key_id };
            match kind {
                KEY => {
                    let key = value.to_der().map_err(|_| Trouble::Broken)?;
                    self.keys.push(filled(Zeroizing::new(key)));
                }
                SEALED_KEY => {
                    let key = Sealed::key(Walk::within(value, Tag::Sequence)?)?;
                    let key = self.unsealed(&key)?;
                    self.keys.push(filled(key));
                }
                CERTIFICATE => self.certificates.push(filled(certificate(value)?)),
                _ => {}
            }
        }
        Ok(())
    }

    fn unsealed(&self, sealed: &Sealed<'_>) -> Result<Zeroizing<Vec<u8>>, Trouble> {
        let cipher = match sealed.algorithm {
            PBES2 => {
                let pbes2 = sealed.pbes2()?;
                return match pbes2.derivation {
                    Derivation::Scrypt { .. } => Err(Trouble::Unsupported),
                    Derivation::Pbkdf2 { .. } => pbes2.open(self.passphrase, sealed.bytes),
                };
            }
            SHA1_AND_TRIPLE_DES => Cipher::TripleDes,
            SHA1_AND_RC2 => Cipher::Rc2,
            _ => return Err(Trouble::Unsupported),
        };
        let mut parameters = sealed.within_parameters()?;
        let salt = parameters.value(Tag::OctetString)?;
        let iterations = rounds(parameters.number()?)?;
        parameters.end()?;
        let passphrase = self.wide();
        let derived = |kind, bytes| derive_key::<Sha1>(&passphrase, salt, kind, iterations, bytes);
        let key = Zeroizing::new(derived(Pkcs12KeyType::EncryptionKey, cipher.key_bytes()));
        let iv = derived(Pkcs12KeyType::Iv, cipher.block_bytes());
        let plain = cipher.open(&key, &iv, sealed.bytes);
        plain.ok_or(Trouble::Passphrase)
    }

    /// The passphrase as PKCS #12 derives keys from it: UTF-16, and a zero at its end.
    fn wide(&self) -> Zeroizing<Vec<u8>> {
        let mut wide = Zeroizing::new(Vec::with_capacity(2 * self.passphrase.len() + 2));
        let units = self.passphrase.encode_utf16().chain([0]);
        wide.extend(units.flat_map(u16::to_be_bytes));
        wide
    }
}

/// `ContentInfo`: what it is, and it.
fn content_info<'a>(reader: &mut Walk<'a>) -> Result<(ObjectIdentifier, AnyRef<'a>), Broken> {
    let mut info = reader.enter(Tag::Sequence)?;
    let found = (info.oid()?, within(info.any()?)?);
    info.end()?;
    Ok(found)
}

/// What an explicit tag 0 is around.
fn within(tagged: AnyRef<'_>) -> Result<AnyRef<'_>, Broken> {
    let mut inner = Walk::within(tagged, numbered(0, true))?;
    let found = inner.any()?;
    inner.end()?;
    Ok(found)
}

fn bytes(string: AnyRef<'_>) -> Result<&[u8], Broken> {
    match string.tag() {
        Tag::OctetString => Ok(string.value()),
        _ => Err(Broken),
    }
}

/// `EncryptedData`, which may be empty.
fn encrypted_data(data: AnyRef<'_>) -> Result<Option<Sealed<'_>>, Broken> {
    let mut data = Walk::within(data, Tag::Sequence)?;
    if data.value(Tag::Integer)? != [0] {
        return Err(Broken);
    }
    let mut info = data.enter(Tag::Sequence)?;
    let _kind = info.oid()?;
    let (algorithm, parameters) = info.algorithm()?;
    if info.is_at_end() {
        return Ok(None);
    }
    let bytes = info.value(numbered(0, false))?;
    info.end()?;
    Ok(Some(Sealed {
        algorithm,
        parameters,
        bytes,
    }))
}

/// `CertBag`.
fn certificate(bag: AnyRef<'_>) -> Result<Zeroizing<Vec<u8>>, Broken> {
    let mut bag = Walk::within(bag, Tag::Sequence)?;
    if bag.oid()? != X509 {
        return Err(Broken);
    }
    let certificate = bytes(within(bag.any()?)?)?;
    bag.end()?;
    Walk::sequence(certificate)?;
    Ok(Zeroizing::new(certificate.to_vec()))
}

/// What a bag's attributes say of it.
fn local_key_id(bag: &mut Walk<'_>) -> Result<Option<Vec<u8>>, Broken> {
    let Some(attributes) = bag.optional()? else {
        return Ok(None);
    };
    let mut attributes = Walk::within(attributes, Tag::Set)?;
    let mut found = None;
    while !attributes.is_at_end() {
        let mut attribute = attributes.enter(Tag::Sequence)?;
        let kind = attribute.oid()?;
        let mut values = attribute.enter(Tag::Set)?;
        if kind == LOCAL_KEY_ID {
            found = values.value(Tag::OctetString).ok().map(<[u8]>::to_vec);
        }
    }
    Ok(found)
}

fn rounds(iterations: u64) -> Result<i32, Trouble> {
    i32::try_from(allowed(iterations)?).map_err(|_| Trouble::Broken)
}
