//! What a client certificate in a PKCS #12 file comes to without the feature `pkcs12`.

use super::flaw::{Flaw, flaw};
use super::identity::Identity;

impl Identity {
    /// Refused.
    pub(crate) fn from_pfx(_: &str, _: Option<&str>) -> Result<Identity, Flaw> {
        Err(flaw(
            "pfx",
            "this casehook was built without PKCS #12 (cargo feature pkcs12): give crt and key",
        ))
    }
}
