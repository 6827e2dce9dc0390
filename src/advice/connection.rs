//! Advice where no answer came: names, ports, proxies, TLS, time, lost connections.

use super::Exchange;
use super::evidence::{asked, authority, host, led_to, near_host, tls};
use crate::model::Step;

pub(super) fn misspelt_name(at: &Exchange<'_>) -> Option<String> {
    if at.code != "dns" {
        return None;
    }
    let host = host(at);
    let mut words = format!("check the spelling of {host} in {}Url", at.stem());
    if let Some(near) = near_host(&host) {
        words.push_str(&format!("; did you mean {near}?"));
    } else if !host.contains('.') {
        words.push_str("; a name without a dot is only known inside of some networks");
    } else {
        words.push_str("; if only a proxy can resolve it, set proxyUrl");
    }
    Some(words)
}

pub(super) fn refused_connection(at: &Exchange<'_>) -> Option<String> {
    let port = asked(at)?.port_or_known_default()?;
    let led = led_to(at).map_or_else(String::new, |to| {
        format!(
            "{}Url is redirected to {to}; write the address that is meant there: ",
            at.stem()
        )
    });
    let words = match at.code {
        "connectionRefused" => Some(format!(
            "nothing listens at port {port} of {}: check the port, or start the server",
            host(at)
        )),
        "connectTimeout" | "unreachable" => Some(format!(
            "port {port} of {} does not answer from here: check the address, firewalls, and whether a proxy is needed (proxyUrl)",
            host(at)
        )),
        "hostNotAllowed" => Some(format!("add {} to the setting allowedHosts", host(at))),
        "addressNotAllowed" => Some("the setting denyPrivateAddresses forbids this address".to_owned()),
        _ => None,
    };
    Some(format!("{led}{}", words?))
}

pub(super) fn proxy_login(at: &Exchange<'_>) -> Option<String> {
    if at.status == Some(407) {
        let words = "the proxy wants a login: put user and password into the setting proxyUrl, or into secrets.proxyUser and \
                     secrets.proxyPassword for a proxy of this connector";
        return Some(words.to_owned());
    }
    (at.code == "proxy")
        .then(|| "check proxyUrl; hosts that need no proxy belong into proxyBypassHosts".to_owned())
}

pub(super) fn untrusted(at: &Exchange<'_>) -> Option<String> {
    let words = "get the authority's certificate from whoever runs the server, and put it, PEM in base64, into ca; \
                 verificationMode none would trust anybody";
    tls(at, &["not trusted", "UnknownIssuer"]).then(|| words.to_owned())
}

pub(super) fn other_name(at: &Exchange<'_>) -> Option<String> {
    tls(at, &["for another name", "NotValidForName"]).then(|| {
        format!(
            "use the name that the certificate was made for in the place of {}; where that is not possible, \
             verificationMode certificate leaves the name unchecked",
            host(at)
        )
    })
}

pub(super) fn expired(at: &Exchange<'_>) -> Option<String> {
    let words = "the server's certificate has to be renewed there; nothing in the connector helps";
    tls(at, &["has expired"]).then(|| words.to_owned())
}

pub(super) fn https_on_http(at: &Exchange<'_>) -> Option<String> {
    let no_tls = tls(
        at,
        &[
            "is this an http port",
            "InvalidContentType",
            "corrupt message",
            "unexpected end of file",
        ],
    );
    no_tls.then(|| {
        format!(
            "what listens at {} does not speak TLS: write http:// in {}Url, or the port of https",
            authority(at),
            at.stem()
        )
    })
}

pub(super) fn http_on_https(at: &Exchange<'_>) -> Option<String> {
    if !at.request.url.starts_with("http:") {
        return None;
    }
    let body = at.body().to_lowercase();
    let words = [
        "https port",
        "https server",
        "requires tls",
        "speaking plain http",
    ];
    let told = at.status == Some(400) && words.iter().any(|words| body.contains(words));
    let odd = at.code == "connectionLost" && at.verdict.contains("is not HTTP/1.1");
    (told || odd).then(|| format!("{} speaks TLS: write https:// in {}Url", authority(at), at.stem()))
}

pub(super) fn timed_out(at: &Exchange<'_>) -> Option<String> {
    (at.code == "responseTimeout").then(|| {
        "the target may have acted all the same: look there first; then raise timeouts.responseMs".to_owned()
    })
}

pub(super) fn lost(at: &Exchange<'_>) -> Option<String> {
    (at.code == "connectionLost").then(|| {
        let acted = match at.step {
            Step::Get | Step::Find => "",
            _ => "the target may have acted all the same: look there first. ",
        };
        format!(
            "{acted}If it happens again, see what the log of {} says, and whether a proxy or firewall between cuts connections",
            authority(at)
        )
    })
}
