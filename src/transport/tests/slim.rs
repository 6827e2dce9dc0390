//! What a build without the default features says of what it lacks.

use super::super::body::{ACCEPTED, decode};
use super::super::identity::Identity;
use super::server::{Server, tls_config_of};
use super::{post, send};
use crate::transport::{BodyFault, to_base64};

#[test]
fn encrypted_keys_and_pkcs12_are_refused_and_plain_keys_are_not() {
    let crt = include_str!("../../../tests/support/tls/identity/client.pem");
    let plain = include_str!("../../../tests/support/tls/identity/client.key");
    Identity::from_pem(crt, plain, Some("not needed")).unwrap();
    for key in [
        include_str!("../../../tests/support/tls/identity/client.pkcs8.aes.key"),
        include_str!("../../../tests/support/tls/identity/client.sec1.aes.key"),
    ] {
        let flaw = Identity::from_pem(crt, key, Some("opensesame")).unwrap_err();
        assert_eq!(flaw.secret, "key");
        assert!(
            flaw.message.contains("built without encrypted keys"),
            "{}",
            flaw.message
        );
    }
    let pfx = to_base64(include_bytes!(
        "../../../tests/support/tls/identity/client.modern.p12"
    ));
    let flaw = Identity::from_pfx(&pfx, Some("opensesame")).unwrap_err();
    assert_eq!(flaw.secret, "pfx");
    assert!(
        flaw.message.contains("built without PKCS #12"),
        "{}",
        flaw.message
    );
}

#[test]
fn gzip_is_not_asked_for_and_not_read() {
    assert_eq!(ACCEPTED, "identity");
    let body = super::super::body::tests::gzip(b"{}");
    let (raw, fault) = decode(body.clone(), "gzip", 1000);
    assert_eq!((raw, fault), (body, Some(BodyFault::Encoding("gzip".to_owned()))));
}

#[test]
fn a_server_with_nothing_but_chacha20_is_not_reached_and_the_error_names_the_feature() {
    let mut provider = rustls::crypto::ring::default_provider();
    provider
        .cipher_suites
        .retain(|suite| format!("{:?}", suite.suite()).contains("CHACHA20"));
    assert_eq!(provider.cipher_suites.len(), 3);
    let server = Server::on("127.0.0.1:0", Vec::new(), Some(tls_config_of(provider, false)));
    let failure = send(&post(&server.url("/"))).unwrap_err();
    assert_eq!(failure.code, "tls");
    assert!(
        failure.message.contains("cargo feature chacha20"),
        "{}",
        failure.message
    );
}
