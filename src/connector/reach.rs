//! Whether the settings let a connector's URLs be reached at all.

use url::Url;

use super::Settings;
use super::config::Config;
use crate::error::{Error, Result};
use crate::transport::{ProxyPolicy, private_literal};
use crate::words;

/// Refuses URLs that `allowedHosts` or `denyPrivateAddresses` would refuse at every push (R12).
pub(crate) fn check(config: &Config, settings: &Settings) -> Result<()> {
    let proxy = config.own_proxy().and_then(ProxyPolicy::url);
    let templates = config.urls().map(|url| (url.field(), url.sample()));
    let others = [
        ("config.accessTokenUrl", config.token_url()),
        ("config.proxy.url", proxy.as_ref()),
    ];
    let others: Vec<(&str, &Url)> = others
        .into_iter()
        .filter_map(|(field, url)| Some((field, url?)))
        .collect();
    for (field, url) in templates.chain(others.iter().copied()) {
        if !settings.allowed_hosts().allows(url) {
            let host = words::quoted(&settings.allowed_hosts().named(url));
            let message = format!("the host {host} is not in the setting allowedHosts");
            return Err(Error::config(field, message));
        }
    }
    if !settings.deny_private_addresses() {
        return Ok(());
    }
    let requests = config.request_urls().map(|url| (url.field(), url.sample()));
    for (field, url) in requests.chain(others) {
        if let Some(address) = url.host().and_then(|host| private_literal(&host.to_owned())) {
            let host = words::quoted(url.host_str().unwrap_or_default());
            let message = format!(
                "the host {host} is the private address {address}, which the setting denyPrivateAddresses refuses"
            );
            return Err(Error::config(field, message));
        }
    }
    Ok(())
}
