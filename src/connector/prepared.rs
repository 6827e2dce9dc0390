//! A connector ready to send: what the steps render requests from.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::Config;
use crate::transport::{HeaderField, NetworkPolicy, TokenGrant};

/// A connector ready to send: secrets resolved.
pub(crate) struct Prepared {
    pub(crate) config: Arc<Config>,
    /// Basic or bearer; any configured header of the name wins over it.
    pub(crate) authorization: Option<HeaderField>,
    /// `secretHeaders`: win over every other header of their names.
    pub(crate) secret_headers: Vec<HeaderField>,
    pub(crate) network: Arc<NetworkPolicy>,
    /// How access tokens are fetched, for OAuth2.
    pub(crate) token: Option<Arc<TokenGrant>>,
    /// Every secret text that must be masked in what casehook makes: URLs, headers, bodies.
    pub(crate) masks: Arc<Vec<Zeroizing<String>>>,
    /// Every text that must be masked in what a target says: the secrets and the login name.
    pub(crate) echo_masks: Arc<Vec<Zeroizing<String>>>,
}
