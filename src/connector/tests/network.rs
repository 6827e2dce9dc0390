//! Tests of what documents and settings say together of the network: what is refused, warned of and masked.

use super::*;

fn settings(json: Value) -> Settings {
    Settings::from_json(&json.to_string()).unwrap_or_else(|e| panic!("{json}: {e}"))
}

fn check(patch: Value, secrets: Value, settings: &Settings) -> Result<Vec<Warning>> {
    parse(with(patch), secrets)?.check(settings, &SecretSources::default(), NOW)
}

/// Every URL of the document on that origin.
fn on(origin: &str) -> Value {
    json!({
        "createIncidentUrl": format!("{origin}/issue"),
        "getIncidentUrl": format!("{origin}/issue/{{{{external.system.id}}}}"),
        "updateIncidentUrl": format!("{origin}/issue/{{{{external.system.id}}}}"),
        "createCommentUrl": format!("{origin}/issue/{{{{external.system.id}}}}/comment"),
        "viewIncidentUrl": format!("{origin}/browse/{{{{external.system.id}}}}"),
    })
}

fn and(mut one: Value, other: Value) -> Value {
    let fields = other.as_object().unwrap().clone();
    one.as_object_mut().unwrap().extend(fields);
    one
}

#[test]
fn headers_that_are_never_sent_are_refused_wherever_they_stand() {
    for (patch, secrets, field) in [
        (
            json!({"headers": {"Expect": "100-continue"}}),
            Value::Null,
            "config.headers.Expect",
        ),
        (
            json!({"updateIncidentHeaders": {"TE": "trailers"}}),
            Value::Null,
            "config.updateIncidentHeaders.TE",
        ),
        (
            json!({"idempotencyHeader": "Upgrade"}),
            Value::Null,
            "config.idempotencyHeader",
        ),
        (
            json!({}),
            json!({"secretHeaders": {"trailer": "x"}}),
            "secrets.secretHeaders.trailer",
        ),
        (
            json!({"proxy": {"url": "http://p.example", "headers": {"accept-encoding": "br"}}}),
            Value::Null,
            "config.proxy.headers[\"accept-encoding\"]",
        ),
    ] {
        refused(
            check(patch, secrets, &Settings::default()),
            field,
            "cannot be set",
        );
    }
}

#[test]
fn a_host_on_another_port_is_named_with_its_port() {
    let only = settings(json!({"allowedHosts": ["127.0.0.1:80"]}));
    refused(
        check(json!({}), Value::Null, &only),
        "config.createIncidentUrl",
        "\"127.0.0.1:1\"",
    );
}

#[test]
fn private_addresses_are_refused_where_they_can_be_seen() {
    let deny = settings(json!({"denyPrivateAddresses": true}));
    for host in ["127.0.0.1", "localhost", "2130706433", "[::ffff:10.0.0.1]"] {
        refused(
            check(on(&format!("http://{host}:1")), Value::Null, &deny),
            "config.createIncidentUrl",
            "denyPrivateAddresses",
        );
    }
    let public = || on("http://tracker.example");
    check(public(), Value::Null, &deny).unwrap();
    let oauth = json!({"hasAuth": true, "authType": fields::OAUTH2, "accessTokenUrl": "http://10.0.0.1/t", "clientId": "c"});
    refused(
        check(and(public(), oauth), json!({"clientSecret": "s"}), &deny),
        "config.accessTokenUrl",
        "10.0.0.1",
    );
    let proxy = json!({"proxy": {"url": "http://192.168.0.1:3128"}});
    refused(
        check(and(public(), proxy), Value::Null, &deny),
        "config.proxy.url",
        "192.168.0.1",
    );
    let link = json!({"viewIncidentUrl": "http://127.0.0.1/{{external.system.id}}"});
    check(and(public(), link), Value::Null, &deny).unwrap();
}

#[test]
fn a_login_that_no_proxy_would_get_is_refused() {
    let long = "x".repeat(256);
    let own = |url: &str| json!({"proxy": {"url": url}});
    for (patch, secrets, field, words) in [
        (
            own("http://p.example"),
            json!({"proxyPassword": "x"}),
            "secrets.proxyPassword",
            "proxyUser",
        ),
        (
            json!({}),
            json!({"proxyUser": "u", "proxyPassword": "p"}),
            "secrets.proxyUser",
            "config.proxy",
        ),
        (
            own("direct"),
            json!({"proxyUser": "u"}),
            "secrets.proxyUser",
            "config.proxy",
        ),
        (
            own("http://p.example"),
            json!({"proxyUser": "a:b"}),
            "secrets.proxyUser",
            "colon",
        ),
        (
            own("socks5://p.example"),
            json!({"proxyUser": long}),
            "secrets.proxyUser",
            "255",
        ),
        (
            own("socks5h://p.example"),
            json!({"proxyUser": "u", "proxyPassword": long}),
            "secrets.proxyPassword",
            "255",
        ),
    ] {
        refused(check(patch, secrets, &Settings::default()), field, words);
    }
    check(
        own("socks5://p.example"),
        json!({"proxyUser": "a:b"}),
        &Settings::default(),
    )
    .unwrap();
    for (patch, field) in [
        (
            json!({"url": "direct", "headers": {"X-A": "1"}}),
            "config.proxy.headers",
        ),
        (json!({"url": "direct", "ca": "x"}), "config.proxy.ca"),
        (
            json!({"url": "direct", "verificationMode": "none"}),
            "config.proxy.verificationMode",
        ),
        (
            json!({"url": "socks5://p.example", "headers": {"X-A": "1"}}),
            "config.proxy.headers",
        ),
    ] {
        refused(parse(with(json!({"proxy": patch})), Value::Null), field, "leave");
    }
    for (url, words) in [
        ("http://a%3ab:p@p.example".to_owned(), "colon"),
        (format!("socks5://u:{long}@p.example"), "255"),
    ] {
        let result = Settings::from_json(&json!({"proxyUrl": url}).to_string());
        refused(result, "settings.proxyUrl", words);
    }
}

#[test]
fn certificates_that_nobody_verifies_are_warned_of() {
    let hosts = json!([{"url": "https://tracker.example", "ssl.verificationMode": "none"}]);
    let oauth = json!({"hasAuth": true, "authType": fields::OAUTH2, "accessTokenUrl": "https://login.example/t", "clientId": "c"});
    let proxy = |mode: Value| json!({"proxy": {"url": "https://p.example", "verificationMode": mode}});
    let (none, secret) = (
        json!({"ssl.verificationMode": "none"}),
        json!({"clientSecret": "s"}),
    );
    let https = || on("https://tracker.example");
    for (patch, secrets, given, field, whose) in [
        (
            https(),
            Value::Null,
            none.clone(),
            "settings.ssl.verificationMode",
            "tracker.example",
        ),
        (
            https(),
            Value::Null,
            json!({"customHostSettings": hosts}),
            "settings.customHostSettings",
            "tracker.example",
        ),
        (
            oauth,
            secret,
            none.clone(),
            "settings.ssl.verificationMode",
            "login.example",
        ),
        (
            json!({}),
            Value::Null,
            json!({"proxyUrl": "https://p.example", "ssl.proxyVerificationMode": "none"}),
            "settings.ssl.proxyVerificationMode",
            "https proxy",
        ),
        (
            proxy(json!("none")),
            Value::Null,
            json!({}),
            "config.proxy.verificationMode",
            "https proxy",
        ),
    ] {
        let warnings = check(patch, secrets, &settings(given)).unwrap();
        let found: Vec<&Warning> = warnings
            .iter()
            .filter(|w| w.message.contains("not verified"))
            .collect();
        assert_eq!(found.len(), 1, "{warnings:?}");
        assert_eq!(found[0].field, field);
        assert!(found[0].message.contains(whose), "{found:?}");
    }
    for (patch, given) in [
        (json!({}), none.clone()),
        (and(https(), json!({"verificationMode": "full"})), none),
        (
            proxy(json!("full")),
            json!({"proxyUrl": "https://p.example", "ssl.proxyVerificationMode": "none"}),
        ),
    ] {
        let warnings = check(patch, Value::Null, &settings(given)).unwrap();
        assert!(
            !warnings.iter().any(|w| w.message.contains("not verified")),
            "{warnings:?}"
        );
    }
}

#[test]
fn credentials_in_open_headers_are_masked_where_they_are_echoed() {
    let given = settings(json!({
        "proxyUrl": "http://p.example", "proxyHeaders": {"Proxy-Authorization": "Bearer settings-pass", "X-Team": "tracker"},
    }));
    let shown = |patch: Value, said: &str| {
        let prepared = parse(with(patch), Value::Null)
            .unwrap()
            .prepare(&given, &SecretSources::default())
            .unwrap();
        crate::mask::mask(said, &prepared.masks.echoed)
    };
    let patch = json!({
        "headers": {"Authorization": "Token of-all", "X-Api-Key": "key-of-all", "X-Project": "browse"},
        "updateIncidentHeaders": {"X-Token": "of-the-update"},
    });
    let said = "settings-pass, Bearer settings-pass, of-all, key-of-all, of-the-update, tracker, browse";
    assert_eq!(shown(patch, said), "***, ***, ***, ***, ***, tracker, browse");
    let own = json!({"proxy": {"url": "http://own.example", "headers": {"Proxy-Authorization": "Basic b3duLXBhc3M="}}});
    assert_eq!(shown(own.clone(), "no b3duLXBhc3M="), "no ***");
    let warnings = check(own, Value::Null, &Settings::default()).unwrap();
    let found = warnings
        .iter()
        .find(|w| w.field == "config.proxy.headers[\"Proxy-Authorization\"]");
    assert!(found.unwrap().message.contains("proxyUser"), "{warnings:?}");
}
