//! A connector ready to send: what the steps render requests from.

use std::sync::Arc;

use super::{Config, MaskSet};
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
    /// What must not show.
    pub(crate) masks: MaskSet,
}
