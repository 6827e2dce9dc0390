//! What an encrypted key comes to without the feature `encrypted-keys`.

use zeroize::Zeroizing;

use super::flaw::{Flaw, flaw};
use super::pem::Section;

/// Refused.
pub(super) fn opened(_: &Section, _: Option<&str>) -> Result<Zeroizing<Vec<u8>>, Flaw> {
    Err(flaw(
        "key",
        "this casehook was built without encrypted keys (cargo feature encrypted-keys): give the key unencrypted, as \
         `openssl pkey` writes it; casehook stores it encrypted",
    ))
}
