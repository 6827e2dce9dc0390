//! Whether a connector's target can be reached, asked without any of its secrets.

use std::sync::Arc;

use super::Agent;
use super::core::Core;
use crate::connector::{Connector, Prepared};
use crate::error::Result;
use crate::model::Reach;
use crate::step;
use crate::transport::{HeaderField, Method, Request};

impl Agent {
    /// Asks each origin that the connector sends to for `/`, by the way its requests take (proxy, TLS, address rules) but
    /// without its headers, credentials or access token. Any answer counts. Blocks for as long as the exchanges take.
    ///
    /// # Errors
    /// `NotFound`; `Key` and `Config` when the connector's secrets cannot be read. A target that cannot be reached is no
    /// error.
    pub fn reach(&self, name: &str) -> Result<Vec<Reach>> {
        let core = self.core()?;
        let document = core.document(name)?;
        let secrets = core.store.secrets(document.id)?;
        let whole = Connector {
            secrets: Some(secrets),
            ..document.connector.clone()
        };
        let prepared = whole.prepare(&core.settings, &core.sources)?;
        Ok(origins(&prepared)
            .into_iter()
            .map(|origin| ask(core, &prepared, origin))
            .collect())
    }
}

/// The origins of all addresses, each once, in the order of the steps.
fn origins(prepared: &Prepared) -> Vec<url::Url> {
    let config = &prepared.config;
    let optional = [&config.get, &config.update, &config.comment, &config.find];
    let mut origins = Vec::new();
    let operations = std::iter::once(&config.create).chain(optional.into_iter().flatten());
    for operation in operations {
        let mut url = operation.url.sample().clone();
        url.set_path("/");
        url.set_query(None);
        url.set_fragment(None);
        if !origins.contains(&url) {
            origins.push(url);
        }
    }
    origins
}

fn ask(core: &Core, prepared: &Prepared, origin: url::Url) -> Reach {
    let request = Request {
        method: Method::Get,
        url: origin,
        headers: vec![HeaderField {
            name: "Accept".to_owned(),
            value: zeroize::Zeroizing::new("*/*".to_owned()),
            secret: false,
            travels: true,
        }],
        body: None,
        network: Arc::clone(&prepared.network),
        token: None,
    };
    let started = core.clock.now().steady;
    let answer = core.transport.send(&request);
    let took = core.clock.now().steady.saturating_sub(started);
    let status = match &answer {
        Ok(answer) => Some(answer.status),
        // Where a redirect leads that is not followed is of no interest here: somebody answered.
        Err(failure) => failure.status,
    };
    let problem = answer.err().filter(|failure| failure.status.is_none());
    Reach {
        origin: request.url.origin().ascii_serialization(),
        status,
        problem: problem.map(|failure| step::mask(&failure.message, &prepared.masks.echoed)),
        duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    }
}
