//! The table of known mistakes, the most telling first.

use super::Rule;
use super::accepted::{
    graphql, location, login_page, mislabelled, no_body, other_found, other_type, several_found,
    unusable_value, wrong_path,
};
use super::connection::{
    expired, http_on_https, https_on_http, lost, misspelt_name, other_name, proxy_login, refused_connection,
    timed_out, untrusted,
};
use super::redirects::{other_redirect, slash_redirect, to_https};
use super::refusals::{
    credentials, cross_site, forbidden, media_type, missing_key, not_acceptable, not_found, precondition,
    rate_limit, told, too_large, trailing_slash, unknown_key, wrong_method,
};

macro_rules! rules {
    ($($advise:ident: $mistake:literal, $sign:literal;)*) => {
        /// Every mistake that is known.
        pub(crate) const RULES: &[Rule] = &[$(Rule { mistake: $mistake, sign: $sign, advise: $advise }),*];
    };
}

rules! {
    misspelt_name: "a host name that does not exist", "the name cannot be resolved";
    refused_connection: "a wrong port, or a server that is down", "the connection is refused or not answered";
    proxy_login: "a proxy that wants a login", "407, or the proxy refuses the tunnel";
    untrusted: "a certificate authority that is not trusted", "TLS ends with an unknown issuer";
    other_name: "a certificate for another name", "TLS ends with a name that does not fit";
    expired: "a certificate that has expired", "TLS ends with an expired certificate";
    https_on_http: "https at a port of plain http", "what answers is not TLS";
    http_on_https: "http at a port of TLS", "an answer that is no HTTP, or 400 with words on HTTPS";
    to_https: "http where the server wants https", "a redirect to the same address with https";
    slash_redirect: "a slash too many or too few at the end", "a redirect to the same address with or without it";
    other_redirect: "an old address", "any other redirect of a write";
    mislabelled: "JSON under the name of something else", "a media type other than JSON, and JSON";
    login_page: "the address of pages for people", "an HTML page in the place of JSON";
    other_type: "an answer that is no JSON", "XML, text or another media type where JSON belongs";
    graphql: "a failure told with status 200", "`errors` in an answer that counts as a success";
    location: "an answer that has only a Location", "a create answers without a body";
    no_body: "an answer without a body", "a create or get answers nothing";
    wrong_path: "a path that leads nowhere", "the id or title is not where the connector looks";
    other_found: "a look-up that finds another incident", "the id that is found is not the one that was created";
    several_found: "a look-up that finds too much", "several incidents are found for one new case";
    unusable_value: "a path to an object, a list or null", "what the path leads to is no id or title";
    credentials: "credentials that are missing or of another scheme", "401";
    cross_site: "a header against cross-site requests that is missing", "403 with words on CSRF or XSRF";
    rate_limit: "too many requests", "429, or 403 or 503 with Retry-After";
    forbidden: "an account without the right", "403";
    wrong_method: "a method that the address does not take", "405";
    trailing_slash: "a slash too many or too few at the end", "404 or 301 for a write";
    not_found: "an address that the server does not know", "404";
    media_type: "a body of another media type", "415";
    not_acceptable: "an answer of another media type asked for", "406";
    too_large: "a text that is too long", "413, or 400 or 422 with words on length";
    unknown_key: "a body with a key that the target does not know", "400 or 422 that names a key of the body";
    missing_key: "a body without a key that the target needs", "400 or 422 that names a key or says required";
    precondition: "an update without the version that was read", "412, 428, or 409 with words on versions";
    told: "anything else that the target refuses", "400, 409, 422 or 5xx with a message";
    timed_out: "a target that is slow", "no answer in time";
    lost: "a connection that is cut", "it ends before the answer is complete";
}
