//! Tests of what a connector brings along for TLS, proxies and OAuth2.

use super::*;
use crate::model::Timestamp;
use crate::transport::to_base64;

/// Seconds from which and until which the test certificate holds: 90 days from 2026-11-23.
const UNTIL: i64 = 1_803_233_678;
const DAY: i64 = 24 * 60 * 60;

macro_rules! pem {
    ($name:literal) => {
        to_base64(include_bytes!(concat!(
            "../../../tests/support/tls/identity/",
            $name
        )))
        .to_string()
    };
}

fn https(patch: Value) -> Value {
    let mut config = with(json!({
        "createIncidentUrl": "https://tracker.example/x", "hasAuth": true, "authType": fields::CERTIFICATE,
    }));
    for (name, value) in patch.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

fn pair() -> Value {
    json!({"crt": pem!("client.pem"), "key": pem!("client.key")})
}

fn at(config: Value, secrets: Value, seconds: i64) -> Result<Vec<Warning>> {
    let now = Timestamp::from_millis(seconds * 1000);
    parse(config, secrets)?.check(&Settings::default(), &SecretSources::default(), now)
}

#[test]
fn certificates_are_warned_of_by_their_dates() {
    for (seconds, words) in [
        (UNTIL - 31 * DAY, None),
        (UNTIL - 29 * DAY, Some("expires at 2027-02-21")),
        (UNTIL + 1, Some("expired at 2027-02-21")),
        (UNTIL - 91 * DAY, Some("only holds from 2026-11-23")),
    ] {
        let warnings = at(https(json!({})), pair(), seconds).unwrap();
        let found = warnings.iter().find(|warning| warning.field == "secrets.crt");
        match words {
            None => assert_eq!(found, None),
            Some(words) => assert!(found.unwrap().message.contains(words), "{found:?}"),
        }
    }
}

#[test]
fn authorities_are_warned_of_by_their_dates() {
    for (seconds, words) in [
        (UNTIL - 31 * DAY, None),
        (UNTIL - 29 * DAY, Some("expires at 2027-02-21")),
        (UNTIL + 1, Some("expired at 2027-02-21")),
        (UNTIL - 91 * DAY, Some("only holds from 2026-11-23")),
    ] {
        let config =
            with(json!({"createIncidentUrl": "https://tracker.example/x", "ca": pem!("client.pem")}));
        let warnings = at(config, Value::Null, seconds).unwrap();
        let found = warnings.iter().find(|warning| warning.field == "config.ca");
        match words {
            None => assert_eq!(found, None),
            Some(words) => assert!(
                found.is_some_and(|found| found.message.contains(words)),
                "{found:?}"
            ),
        }
    }
}

#[test]
fn a_link_over_https_has_the_certificates_checked_too() {
    let link = json!({"viewIncidentUrl": "https://tracker.example/{{{external.system.id}}}"});
    let mut config = with(link.clone());
    config["ca"] = json!("bm90IGEgcGVt");
    refused(
        at(config.clone(), Value::Null, UNTIL - 31 * DAY),
        "config.ca",
        "PEM",
    );
    config["ca"] = json!(pem!("client.pem"));
    let warnings = at(config, Value::Null, UNTIL - 31 * DAY).unwrap();
    let warning = warnings
        .iter()
        .find(|warning| warning.field == "config.ca")
        .unwrap();
    assert!(
        warning.message.contains("every request goes over plain http"),
        "{warning:?}"
    );
    // Nothing of it is needed to send.
    let mut config = with(link);
    config["hasAuth"] = json!(true);
    config["authType"] = json!(fields::CERTIFICATE);
    let missing = json!({"crt": {"file": "/no/such"}, "key": {"file": "/no/such"}});
    let sources = SecretSources {
        dir: Some("/no".into()),
        ..SecretSources::default()
    };
    let prepared = parse(config, missing)
        .unwrap()
        .prepare(&Settings::default(), &sources);
    assert!(prepared.is_ok(), "{:?}", prepared.err());
}

#[test]
fn a_login_that_cannot_be_read_now_is_left_to_the_time_of_sending() {
    let config = with(
        json!({"createIncidentUrl": "https://tracker.example/x", "proxy": {"url": "http://p.example:3128"}}),
    );
    let missing =
        json!({"proxyUser": {"env": "NO_SUCH_VARIABLE"}, "proxyPassword": {"env": "NO_SUCH_VARIABLE"}});
    let sources = SecretSources {
        env: vec!["NO_SUCH_VARIABLE".to_owned()],
        ..SecretSources::default()
    };
    let checked = parse(config, missing)
        .unwrap()
        .check(&Settings::default(), &sources, NOW);
    assert!(checked.is_ok(), "{:?}", checked.err());
}

#[test]
fn what_cannot_be_used_is_refused_where_a_url_is_https() {
    let now = UNTIL - 31 * DAY;
    let (crt, key) = (pem!("client.pem"), pem!("client.key"));
    for (patch, secrets, field, words) in [
        (json!({"ca": "bm90IGEgcGVt"}), pair(), "config.ca", "PEM"),
        (
            json!({}),
            json!({"crt": "Y3J0", "key": key}),
            "secrets.crt",
            "PEM",
        ),
        (
            json!({}),
            json!({"crt": crt, "key": pem!("other.key")}),
            "secrets.key",
            "does not belong",
        ),
        (
            json!({}),
            json!({"crt": crt, "key": pem!("client.sec1.aes.key"), "password": "wrong"}),
            "secrets.password",
            "passphrase",
        ),
        (
            json!({"certType": "ssl-pfx"}),
            pair(),
            "config.certType",
            "ssl-crt-key",
        ),
    ] {
        refused(at(https(patch.clone()), secrets.clone(), now), field, words);
        let mut http = https(patch);
        http["createIncidentUrl"] = json!("http://tracker.example/x");
        let warnings = at(http.clone(), secrets.clone(), now).unwrap();
        let unchecked = warnings
            .iter()
            .any(|warning| warning.message.contains("not checked"));
        assert!(unchecked, "{warnings:?}");
        parse(http, secrets)
            .unwrap()
            .prepare(&Settings::default(), &SecretSources::default())
            .unwrap();
    }
    let token = json!({"authType": fields::OAUTH2, "accessTokenUrl": "https://a/", "clientId": "c", "ca": "bm90IGEgcGVt"});
    let mut config = https(token);
    config["createIncidentUrl"] = json!("http://tracker.example/x");
    refused(at(config, json!({"clientSecret": "s"}), now), "config.ca", "PEM");
}

#[test]
fn modes_by_connector_host_and_settings() {
    let settings = |json: Value| Settings::from_json(&json.to_string()).unwrap();
    let host = |mode: &str| json!([{"url": "https://Tracker.example", "ssl": {"verificationMode": mode}}]);
    let modes = |patch: Value, settings: &Settings| {
        let network = parse(https(patch), pair())
            .unwrap()
            .prepare(settings, &SecretSources::default())
            .unwrap()
            .network;
        ["tracker.example", "other.example"]
            .map(|name| network.tls.verification(&url::Host::parse(name).unwrap(), 443))
    };
    use crate::transport::Verification::{Certificate, Full, None as Unverified};
    let both =
        settings(json!({"ssl": {"verificationMode": "certificate"}, "customHostSettings": host("none")}));
    assert_eq!(modes(json!({}), &Settings::default()), [Full, Full]);
    assert_eq!(modes(json!({}), &both), [Unverified, Certificate]);
    assert_eq!(modes(json!({"verificationMode": "full"}), &both), [Full, Full]);
}

#[test]
fn proxies_of_settings_and_connector() {
    let settings = Settings::from_json(r#"{"proxyUrl": "http://u:geheim@proxy.example:3128"}"#).unwrap();
    let prepared = |patch: Value, secrets: Value| {
        parse(with(patch), secrets)
            .unwrap()
            .prepare(&settings, &SecretSources::default())
            .unwrap()
    };
    let named =
        |prepared: &crate::connector::Prepared| prepared.network.proxy.as_ref().map(|proxy| proxy.named());
    let usual = prepared(json!({}), Value::Null);
    assert_eq!(named(&usual).as_deref(), Some("proxy.example:3128"));
    assert!(usual.masks.own.iter().any(|mask| mask == "geheim"));
    assert!(!format!("{:?}", usual.network).contains("geheim"));
    assert_eq!(
        named(&prepared(json!({"proxy": {"url": "direct"}}), Value::Null)),
        None
    );
    let own = prepared(
        json!({"proxy": {"url": "socks5h://own.example"}}),
        json!({"proxyUser": "me", "proxyPassword": "sesame"}),
    );
    assert_eq!(named(&own).as_deref(), Some("own.example:1080"));
    let login = own.network.proxy.as_ref().and_then(|proxy| proxy.login.as_ref());
    assert_eq!(login.map(|login| login.password.as_str()), Some("sesame"));
    assert!(own.masks.own.iter().any(|mask| mask == "sesame"));
}

#[test]
fn token_urls_and_own_proxies_are_held_to_allowed_hosts_and_count_as_origins() {
    let settings = Settings::from_json(r#"{"allowedHosts": ["tracker.example"]}"#).unwrap();
    let patch = json!({
        "createIncidentUrl": "http://tracker.example/x", "getIncidentUrl": "http://tracker.example/{{external.system.id}}",
        "updateIncidentUrl": "http://tracker.example/{{external.system.id}}", "viewIncidentUrl": "http://tracker.example/{{external.system.id}}",
        "createCommentUrl": null,
    });
    let merged = |more: Value| {
        let mut config = with(patch.clone());
        for (name, value) in more.as_object().unwrap() {
            config[name] = value.clone();
        }
        config
    };
    let oauth = json!({"hasAuth": true, "authType": fields::OAUTH2, "accessTokenUrl": "http://login.example:8/t", "clientId": "c"});
    let proxy = json!({"proxy": {"url": "http://proxy.example:3128"}});
    for (more, secrets, field, origin) in [
        (
            oauth,
            json!({"clientSecret": "s"}),
            "config.accessTokenUrl",
            "http://login.example:8",
        ),
        (
            proxy,
            Value::Null,
            "config.proxy.url",
            "http://proxy.example:3128",
        ),
    ] {
        let connector = parse(merged(more), secrets).unwrap();
        let result = connector.check(&settings, &SecretSources::default(), NOW);
        refused(result, field, "allowedHosts");
        assert!(
            connector.origins().contains(&origin.to_owned()),
            "{:?}",
            connector.origins()
        );
    }
}
