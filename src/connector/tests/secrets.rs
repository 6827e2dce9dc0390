//! Tests of secrets: their sets, their references, and what they become.

use super::*;

#[test]
fn secrets_must_make_a_set_that_the_authentication_can_use() {
    let user = json!({"user": "u", "password": "pass"});
    let pem = json!({"crt": "Y3J0", "key": "a2V5"});
    for secrets in [
        json!({"user": "u"}),
        json!({"crt": "x", "key": "y", "user": "u"}),
        json!({"user": "u", "password": "p", "pfx": "x"}),
        json!({"clientSecret": "s", "password": "p"}),
        json!({"user": "u", "password": ""}),
    ] {
        refused(parse(config(), secrets), "secrets", "cannot be used");
    }
    refused(
        parse(config(), json!({"token": "x"})),
        "secrets.token",
        "no such field",
    );
    refused(parse(config(), json!({"user": 5})), "secrets.user", "string");
    let basic = || with(json!({"hasAuth": true}));
    let certificate = || with(json!({"hasAuth": true, "authType": fields::CERTIFICATE}));
    refused(configure(basic(), Value::Null), "secrets", "user and password");
    refused(configure(basic(), pem.clone()), "secrets", "user and password");
    refused(configure(certificate(), user.clone()), "secrets", "crt and key");
    configure(basic(), user.clone()).unwrap();
    configure(with(json!({"hasAuth": true, "authType": null})), user.clone()).unwrap();
    configure(certificate(), pem).unwrap();
    configure(certificate(), json!({"pfx": "x"})).unwrap();
    configure(
        with(json!({"hasAuth": true, "authType": fields::QUERY_PARAM})),
        Value::Null,
    )
    .unwrap();
    configure(config(), user).unwrap();
}

#[test]
fn secrets_become_headers() {
    let prepare = |patch: Value, secrets: Value| {
        let connector = parse(with(patch), secrets).unwrap();
        let prepared = connector
            .prepare(&Settings::default(), &SecretSources::default())
            .unwrap();
        let text = |h: &crate::transport::HeaderField| format!("{}: {}", h.name, h.value.as_str());
        let all = prepared.authorization.iter().chain(&prepared.secret_headers);
        assert!(all.clone().all(|header| header.secret && !header.travels));
        all.map(text).collect::<Vec<_>>()
    };
    let user = json!({"user": "us:er", "password": "p:ä"});
    let basic = json!({"hasAuth": true});
    assert_eq!(
        prepare(basic.clone(), user.clone()),
        ["Authorization: Basic dXM6ZXI6cDrDpA=="]
    );
    assert!(prepare(json!({}), user).is_empty());
    assert_eq!(
        prepare(json!({}), json!({"secretHeaders": {"X-K": "  v "}})),
        ["X-K: v"]
    );
    let secrets = json!({"user": "u", "password": "p", "secretHeaders": {"authorization": "Token s"}});
    assert_eq!(
        prepare(basic, secrets),
        ["Authorization: Basic dTpw", "authorization: Token s"]
    );
}

#[test]
fn no_secret_is_printed_and_every_one_is_masked() {
    let secrets =
        json!({"user": "robot", "password": "hunter2!", "secretHeaders": {"X-Key": "Token s3cret"}});
    let connector = parse(with(json!({"hasAuth": true})), secrets).unwrap();
    let printed = format!(
        "{connector:?} {:?} {}",
        connector.secrets().unwrap(),
        connector.config_json()
    );
    for secret in ["robot", "hunter2!", "s3cret"] {
        assert!(!printed.contains(secret), "{printed}");
    }
    let prepared = connector
        .prepare(&Settings::default(), &SecretSources::default())
        .unwrap();
    let masks: Vec<&str> = prepared.masks.own.iter().collect();
    let echo_masks: Vec<&str> = prepared.masks.echoed.iter().collect();
    assert!(echo_masks.contains(&"robot") && !masks.contains(&"robot"));
    for secret in ["hunter2!", "s3cret", "Token s3cret", "robot:hunter2!"] {
        assert!(
            masks.contains(&secret) && echo_masks.contains(&secret),
            "{secret}"
        );
    }
    let restored = Connector::restore(
        "tracker",
        &connector.config_json(),
        "[]",
        connector.secrets.clone().unwrap(),
    );
    assert_eq!(restored.unwrap().secrets, connector.secrets);
}

#[test]
fn references_are_read_at_every_prepare_and_only_where_allowed() {
    let base = std::env::temp_dir().join(format!("casehook-secrets-{}", std::process::id()));
    let inside = base.join("inside");
    std::fs::create_dir_all(&inside).unwrap();
    std::fs::write(base.join("outside"), "x").unwrap();
    std::fs::write(inside.join("password"), "first\r\n").unwrap();
    std::os::unix::fs::symlink(base.join("outside"), inside.join("link")).unwrap();
    let sources = SecretSources {
        env: vec!["PATH".to_owned(), "CASEHOOK_KEY".to_owned()],
        dir: Some(inside.clone()),
        ..SecretSources::default()
    };
    let with_password = |reference: Value| {
        let secrets = json!({"user": "u", "password": reference, "secretHeaders": {"X-P": {"env": "PATH"}}});
        let connector = parse(with(json!({"hasAuth": true})), secrets).unwrap();
        Connector::restore("n", &connector.config_json(), "[]", connector.secrets.unwrap()).unwrap()
    };
    let connector = with_password(json!({"file": inside.join("password")}));
    let settings = Settings::default();
    connector.check(&settings, &sources, NOW).unwrap();
    let password = || {
        let prepared = connector.prepare(&settings, &sources).unwrap();
        assert!(
            prepared
                .secret_headers
                .iter()
                .any(|h| h.name == "X-P" && !h.value.is_empty())
        );
        prepared.masks.own.iter().any(|mask| mask == "first")
    };
    assert!(password());
    std::fs::write(inside.join("password"), "second").unwrap();
    assert!(!password());
    refused(
        connector.check(&settings, &SecretSources::default(), NOW),
        "secrets.password",
        "not allow",
    );
    for reference in [
        json!({"env": "CASEHOOK_KEY"}),
        json!({"env": "HOME"}),
        json!({"file": "../outside"}),
        json!({"file": base.join("outside")}),
        json!({"file": "link"}),
    ] {
        let connector = with_password(reference);
        refused(
            connector.check(&settings, &sources, NOW),
            "secrets.password",
            "not allow",
        );
        refused(
            connector.prepare(&settings, &sources).map(|_| ()),
            "secrets.password",
            "not allow",
        );
    }
    let gone = with_password(json!({"file": "nothing"}));
    refused(
        gone.prepare(&settings, &sources).map(|_| ()),
        "secrets.password",
        "cannot be read",
    );
    std::fs::remove_dir_all(&base).unwrap();
}
