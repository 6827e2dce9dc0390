//! The block ciphers, chained (CBC), that seal keys with a passphrase.

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt, KeyIvInit};
use zeroize::Zeroizing;

use super::walk::Walk;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cipher {
    Aes128,
    Aes192,
    Aes256,
    TripleDes,
    Des,
    /// With a key of 40 bits, as old PKCS #12 files have it.
    #[cfg(feature = "pkcs12")]
    Rc2,
}

impl Cipher {
    pub(super) fn key_bytes(self) -> usize {
        match self {
            Cipher::Aes128 => 16,
            Cipher::Aes192 | Cipher::TripleDes => 24,
            Cipher::Aes256 => 32,
            Cipher::Des => 8,
            #[cfg(feature = "pkcs12")]
            Cipher::Rc2 => 5,
        }
    }

    /// As many as an initialisation vector has.
    pub(super) fn block_bytes(self) -> usize {
        match self {
            Cipher::Aes128 | Cipher::Aes192 | Cipher::Aes256 => 16,
            _ => 8,
        }
    }

    /// What was sealed, which always is one ASN.1 sequence; none where the key is another.
    pub(super) fn open(self, key: &[u8], iv: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let plain = match self {
            Cipher::Aes128 => open::<cbc::Decryptor<aes::Aes128Dec>>(key, iv, sealed),
            Cipher::Aes192 => open::<cbc::Decryptor<aes::Aes192Dec>>(key, iv, sealed),
            Cipher::Aes256 => open::<cbc::Decryptor<aes::Aes256Dec>>(key, iv, sealed),
            Cipher::TripleDes => open::<cbc::Decryptor<des::TdesEde3>>(key, iv, sealed),
            Cipher::Des => open::<cbc::Decryptor<des::Des>>(key, iv, sealed),
            #[cfg(feature = "pkcs12")]
            Cipher::Rc2 => open::<cbc::Decryptor<rc2::Rc2>>(key, iv, sealed),
        }?;
        // One wrong key in 256 leaves bytes that only look as if they had been padded.
        Walk::sequence(&plain).is_ok().then_some(plain)
    }
}

fn open<D: KeyIvInit + BlockModeDecrypt>(key: &[u8], iv: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let decryptor = D::new_from_slices(key, iv).ok()?;
    let plain = decryptor.decrypt_padded_vec::<Pkcs7>(sealed);
    plain.ok().map(Zeroizing::new)
}
