//! The connector document after parsing: what the rest of casehook works with.

use std::time::Duration;

use serde_json::{Map, Value};

use super::oauth::OAuth2;
use super::proxy::OwnProxy;
use super::texts::TextPattern;
use crate::response::ResponsePath;
use crate::template::{BodyTemplate, UrlTemplate};
use crate::transport::{Method, ProxyPolicy, Verification};

/// A validated connector document, without secrets.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) create: Operation,
    /// Where the external id stands in the answer to a create.
    pub(crate) create_id: ResponsePath,
    /// None with `createOnly` when its fields are absent.
    pub(crate) get: Option<Operation>,
    pub(crate) get_title: Option<ResponsePath>,
    pub(crate) view_url: UrlTemplate,
    /// None with `createOnly` when its fields are absent.
    pub(crate) update: Option<Operation>,
    /// None when URL, JSON or method is null or empty: comments are skipped.
    pub(crate) comment: Option<Operation>,
    /// createCommentUrl where comments are skipped all the same: still held against allowedHosts.
    pub(crate) unused_comment_url: Option<UrlTemplate>,
    pub(crate) find: Option<Operation>,
    /// Where the ids of found incidents stand: one id, or a list of ids or of objects with
    /// the rest of the path.
    pub(crate) find_ids: Option<ResponsePath>,
    /// `headers`, trimmed.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) auth: Auth,
    /// There with `Auth::OAuth2`.
    pub(crate) oauth2: Option<OAuth2>,
    pub(crate) tls: Tls,
    /// None: as the settings say.
    pub(crate) proxy: Option<OwnProxy>,
    pub(crate) retry: Retry,
    pub(crate) coalesce: bool,
    pub(crate) max_in_flight: usize,
    pub(crate) min_interval: Duration,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) response_timeout: Option<Duration>,
    pub(crate) on_uncertain_create: OnUncertainCreate,
    pub(crate) find_settle: Duration,
    pub(crate) max_uncertain_resends: u32,
    pub(crate) idempotency: Option<Idempotency>,
    pub(crate) failure_key: Option<ResponsePath>,
    pub(crate) view_url_key: Option<ResponsePath>,
    pub(crate) severity_map: Map<String, Value>,
    pub(crate) status_map: Map<String, Value>,
    /// Field name (`title`, `description`, `comment`, ...) and the most characters it may have.
    pub(crate) max_lengths: Vec<(String, usize)>,
    /// Named texts for `case.texts.NAME`.
    pub(crate) texts: Vec<(String, TextPattern)>,
    pub(crate) extra_tags: Vec<TextPattern>,
    /// What stands in tags in the place of white space; none leaves tags as they are.
    pub(crate) tag_spaces: Option<String>,
    pub(crate) create_only: bool,
    /// The origin of createIncidentUrl, or `targetId`.
    pub(crate) target: String,
    pub(crate) if_match: bool,
    pub(crate) on_external_gone: OnExternalGone,
}

/// How one step's request is made.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) method: Method,
    pub(crate) url: UrlTemplate,
    /// None for a get by GET.
    pub(crate) body: Option<BodyTemplate>,
    /// Headers of this operation alone; they win over `headers`, not over `secretHeaders`.
    pub(crate) headers: Vec<(String, String)>,
}

/// How requests prove who sends them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Auth {
    /// `hasAuth` false, or a type that sends nothing.
    None,
    Basic,
    /// A client certificate (`webhook-authentication-ssl`).
    Certificate,
    OAuth2,
}

/// How the target's certificate is verified, and which one of our own is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tls {
    pub(crate) cert_type: Option<CertType>,
    /// PEM in base64; None when absent or empty.
    pub(crate) ca: Option<String>,
    /// None: as the settings say.
    pub(crate) verification: Option<Verification>,
    /// Whether the usual authorities are trusted beside `ca`.
    pub(crate) usual_roots: bool,
    pub(crate) only_tls13: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CertType {
    CrtKey,
    Pfx,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retry {
    pub(crate) max_attempts: Option<u32>,
    pub(crate) max_age: Option<Duration>,
    pub(crate) base: Duration,
    pub(crate) cap: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnUncertainCreate {
    Find,
    Retry,
    Hold,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnExternalGone {
    Fail,
    Recreate,
}

/// How idempotency keys are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Idempotency {
    pub(crate) header: String,
    /// The value as a quoted string, as the header's draft standard has it.
    pub(crate) quoted: bool,
    /// How long the target remembers a key; without it, for as long as casehook resends.
    pub(crate) lifetime: Option<Duration>,
}

impl Config {
    /// Whether a push of an incident that exists changes it; with `createOnly` it only adds comments.
    pub(crate) fn sends_updates(&self) -> bool {
        self.update.is_some() && !self.create_only
    }

    /// What requests are made from.
    pub(crate) fn operations(&self) -> impl Iterator<Item = &Operation> {
        std::iter::once(&self.create)
            .chain(&self.get)
            .chain(&self.update)
            .chain(&self.comment)
            .chain(&self.find)
    }

    /// The headers of all operations and of single ones.
    pub(crate) fn given_headers(&self) -> impl Iterator<Item = &(String, String)> {
        let single = self.operations().flat_map(|operation| &operation.headers);
        self.headers.iter().chain(single)
    }

    /// The URLs that requests go to.
    pub(crate) fn request_urls(&self) -> impl Iterator<Item = &UrlTemplate> {
        self.operations().map(|operation| &operation.url)
    }

    /// Where access tokens are fetched.
    pub(crate) fn token_url(&self) -> Option<&url::Url> {
        self.oauth2.as_ref().map(|oauth2| &oauth2.url)
    }

    /// The connector's own proxy.
    pub(crate) fn own_proxy(&self) -> Option<&ProxyPolicy> {
        match &self.proxy {
            Some(OwnProxy::Through { proxy, .. }) => Some(proxy),
            _ => None,
        }
    }

    /// Every URL of the document, those that nothing is sent to included.
    pub(crate) fn urls(&self) -> impl Iterator<Item = &UrlTemplate> {
        self.request_urls()
            .chain(std::iter::once(&self.view_url))
            .chain(&self.unused_comment_url)
    }
}
