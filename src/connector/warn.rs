//! What configure lets pass and people should know.

use url::{Host, Url};

use super::Warning;
use super::config::{Auth, Config};
use super::doubt;
use super::fields;
use super::headers::is_secret_header;
use super::kibana;
use super::network::Material;
use super::secret::Secrets;
use super::settings::Settings;
use super::words::child;
use crate::template::BodyTemplate;
use crate::transport::{Method, NetworkPolicy, SaidBy, Verification};

/// Warnings that the `config` object alone gives rise to.
pub(crate) fn of_document(
    document: &serde_json::Map<String, serde_json::Value>,
    config: &Config,
) -> Vec<Warning> {
    let mut list = Vec::new();
    for (operation, field) in [
        (Some(&config.create), "config.createIncidentJson"),
        (config.update.as_ref(), "config.updateIncidentJson"),
    ] {
        if let Some(body) = operation.and_then(|operation| operation.body.as_ref()) {
            needs(&mut list, config, body, field, "case.title");
            needs(&mut list, config, body, field, "case.description");
        }
    }
    if let Some(body) = config.comment.as_ref().and_then(|comment| comment.body.as_ref()) {
        needs(
            &mut list,
            config,
            body,
            "config.createCommentJson",
            "case.comment",
        );
    }
    let read = config.get.as_ref().filter(|get| get.method == Method::Get);
    for operation in [read, config.update.as_ref(), config.comment.as_ref()]
        .into_iter()
        .flatten()
    {
        if !operation.url.sends("external.system.id") {
            let message =
                "this URL does not tell the target external.system.id: every incident is addressed alike";
            push(&mut list, operation.url.field(), message);
        }
    }
    if !config.view_url.uses("external.system.id") && !config.view_url.uses("external.system.title") {
        let message = "this URL names neither external.system.id nor external.system.title: \
                       every incident has the same link";
        push(&mut list, config.view_url.field(), message);
    }
    for template in config.urls() {
        let name = template.field().trim_start_matches("config.");
        let text = document.get(name).and_then(|text| text.as_str());
        list.extend(text.and_then(|text| kibana::slashes(text, template)));
    }
    let of_proxy = config.own_proxy().into_iter().flat_map(|proxy| &proxy.headers);
    for (name, _) in of_proxy.filter(|(name, _)| is_secret_header(name)) {
        let message = "this is stored and shown in the clear; a user and password are better given in the secrets proxyUser \
                       and proxyPassword";
        push(&mut list, &child("config.proxy.headers", name), message);
    }
    let text = |name: &str| document.get(name).and_then(|value| value.as_str());
    if text("authType") == Some(fields::QUERY_PARAM) {
        let message = "this type of authentication sends nothing";
        push(&mut list, "config.authType", message);
    }
    let none = Vec::new();
    let comments = config.comment.as_ref().map_or(&none, |comment| &comment.headers);
    for (field, headers) in [
        ("config.headers", &config.headers),
        ("config.createIncidentHeaders", &config.create.headers),
        ("config.createCommentHeaders", comments),
    ] {
        fixed_key(
            &mut list,
            config,
            field,
            headers.iter().map(|(name, _)| name.as_str()),
        );
    }
    list.extend(doubt::of_document(document, config));
    of_tls(&mut list, config);
    list
}

/// Warns of a header that takes the place of every push's own idempotency key.
fn fixed_key<'a>(
    list: &mut Vec<Warning>,
    config: &Config,
    field: &str,
    mut names: impl Iterator<Item = &'a str>,
) {
    let Some(key) = &config.idempotency else { return };
    if let Some(name) = names.find(|name| name.eq_ignore_ascii_case(&key.header)) {
        let message = "this gives every push the same key, so that a target which heeds it takes the next case for the \
                       first one sent again; leave it out, or set idempotencyHeader to null";
        push(list, &child(field, name), message);
    }
}

fn of_tls(list: &mut Vec<Warning>, config: &Config) {
    if config.tls.verification == Some(Verification::None) {
        let message = "certificates are not verified: anyone on the way can read and change what is sent";
        push(list, "config.verificationMode", message);
    }
    if super::material::uses_tls(config) {
        return;
    }
    let unused = if super::material::is_checked(config) {
        "this has no effect, since every request goes over plain http, unless a redirect leads to https"
    } else {
        "this was not checked and has no effect, since every URL is plain http, unless a redirect leads to https"
    };
    if config.tls.verification == Some(Verification::Certificate) {
        push(list, "config.verificationMode", unused);
    }
    if config.tls.ca.is_some() {
        push(list, "config.ca", unused);
    }
    if config.auth == Auth::Certificate {
        push(list, "config.authType", unused);
    }
}

/// Warnings of certificates that settings, or the connector's own proxy, leave unverified.
pub(crate) fn of_settings(config: &Config, settings: &Settings) -> Vec<Warning> {
    let network = NetworkPolicy::new(config, settings, Material::default());
    let urls = config.request_urls().map(|url| url.sample());
    let mut list: Vec<Warning> = Vec::new();
    for url in urls.chain(config.token_url()) {
        let host = url.host_str().unwrap_or_default();
        let target = match network.unverified_target(url) {
            Some(SaidBy::Host) => Some("settings.customHostSettings"),
            Some(SaidBy::Settings) => Some("settings.ssl.verificationMode"),
            // Said of the document itself already.
            Some(SaidBy::Connector) | None => None,
        };
        let proxy = network.unverified_proxy(url).map(|by| match by {
            SaidBy::Connector => "config.proxy.verificationMode",
            SaidBy::Host => "settings.customHostSettings",
            SaidBy::Settings => "settings.ssl.proxyVerificationMode",
        });
        let of_target = target.map(|field| (field, format!("the certificate of {host}")));
        let of_proxy = proxy.map(|field| (field, "the certificate of the https proxy".to_owned()));
        for (field, whose) in of_target.into_iter().chain(of_proxy) {
            let message =
                format!("{whose} is not verified: anyone on the way can read and change what is sent");
            if !list
                .iter()
                .any(|known| known.field == field && known.message == message)
            {
                push(&mut list, field, &message);
            }
        }
    }
    list
}

/// Warnings that need the final set of secrets.
pub(crate) fn of_secrets(config: &Config, secrets: &Secrets) -> Vec<Warning> {
    let in_headers = |headers: &[(String, String)]| headers.iter().any(|(name, _)| is_secret_header(name));
    let everywhere = matches!(config.auth, Auth::Basic | Auth::OAuth2)
        || !secrets.headers.is_empty()
        || in_headers(&config.headers);
    let mut list = Vec::new();
    if config.auth == Auth::Basic && !(secrets.has("user") && secrets.has("password")) {
        let message = "hasAuth asks for basic authentication, and the secrets user and password are missing: nothing can be \
                       sent; set hasAuth to false to send secretHeaders alone";
        push(&mut list, "secrets", message);
    }
    let names = secrets.headers.iter().map(|(name, _)| name.as_str());
    fixed_key(&mut list, config, "secrets.secretHeaders", names);
    let open = |url: &&Url| url.scheme() == "http" && !is_this_machine(url);
    if config.token_url().filter(open).is_some() {
        let message =
            "the client's secret is sent over plain http to another machine: anyone on the way can read it";
        push(&mut list, "config.accessTokenUrl", message);
    }
    for operation in config.operations() {
        let url = &operation.url;
        let secret = everywhere || in_headers(&operation.headers);
        if secret && url.sample().scheme() == "http" && !is_this_machine(url.sample()) {
            let message =
                "credentials are sent over plain http to another machine: anyone on the way can read them";
            push(&mut list, url.field(), message);
        }
    }
    list
}

fn push(list: &mut Vec<Warning>, field: &str, message: &str) {
    list.push(Warning {
        field: field.to_owned(),
        message: message.to_owned(),
    });
}

fn needs(list: &mut Vec<Warning>, config: &Config, body: &BodyTemplate, field: &str, variable: &str) {
    let through_a_text = config
        .texts
        .iter()
        .any(|(name, pattern)| pattern.holds(variable) && body.uses(&format!("case.texts.{name}")));
    if !body.uses(variable) && !through_a_text {
        push(
            list,
            field,
            &format!("this does not use {variable}: it is never sent"),
        );
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}
