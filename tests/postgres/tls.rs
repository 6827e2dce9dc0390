//! TLS to the database server: verified as that of targets is.

use casehook::{Agent, ErrorKind, Options, Settings};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};

use crate::database::Server;

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2090, 1, 1);
    params
}

fn options() -> Options {
    Options::new().drain(false)
}

#[test]
fn the_server_is_verified_as_targets_are() {
    let Some(database) = Server::start(&["fsync=off"]) else {
        return;
    };
    let mut authority = params("the authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let roots = database.file("ca.pem", &authority.self_signed(&key).unwrap().pem());
    let issuer = Issuer::new(authority, key);
    let mut leaf = params("the server");
    leaf.subject_alt_names = vec![SanType::DnsName("localhost".try_into().unwrap())];
    let key = KeyPair::generate().unwrap();
    let certificate = database.file("server.crt", &leaf.signed_by(&key, &issuer).unwrap().pem());
    let key = database.file("server.key", &key.serialize_pem());
    database.down("fast");
    database.set("ssl=on".to_owned());
    database.set(format!("ssl_cert_file={}", certificate.display()));
    database.set(format!("ssl_key_file={}", key.display()));
    let rules = database.file("hba.conf", "hostssl all all 127.0.0.1/32 trust\n");
    database.set(format!("hba_file={}", rules.display()));
    database.up();

    let by_address = database.url("tls");
    let by_name = by_address.replace("127.0.0.1", "localhost");
    let roots = format!("sslrootcert={}", roots.display());
    let open = |url: &str, parameters: &str| Agent::open(format!("{url}&{parameters}"), options());
    open(&by_name, &format!("sslmode=verify-full&{roots}")).unwrap();
    open(&by_address, &format!("sslmode=verify-ca&{roots}")).unwrap();
    for (url, parameters) in [
        (&by_name, "sslmode=verify-full".to_owned()),
        (&by_name, "sslmode=require".to_owned()),
        (&by_address, format!("sslmode=verify-full&{roots}")),
    ] {
        let error = open(url, &parameters).unwrap_err();
        assert!(error.to_string().contains("certificate"), "{parameters}: {error}");
    }
    let unverified = Settings::from_json(r#"{"ssl": {"verificationMode": "none"}}"#).unwrap();
    Agent::open(
        format!("{by_name}&sslmode=require"),
        options().settings(unverified),
    )
    .unwrap();
    let in_the_clear = open(&by_name, "sslmode=disable").unwrap_err();
    assert_eq!(in_the_clear.kind(), ErrorKind::Store, "{in_the_clear}");
}
