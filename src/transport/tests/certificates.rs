//! Certificates: which of a server's are accepted, and which of our own can be opened.

use std::collections::HashSet;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, SanType};
use rustls::RootCertStore;
use rustls::client::danger::ServerCertVerifier;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::super::identity::Identity;
use super::super::pem::to_base64;
use super::super::verify::{Trust, Verifier};
use super::*;
use crate::transport::Verification::{self, Certificate, Full, None as Unverified};

/// A certificate for these names under that common name, and what signs with it.
fn made(
    common_name: &str,
    names: &[&str],
    authority: bool,
    by: Option<&rcgen::Issuer<'_, KeyPair>>,
) -> (CertificateDer<'static>, rcgen::Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.subject_alt_names = names
        .iter()
        .map(|name| match name.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName((*name).try_into().unwrap()),
        })
        .collect();
    if authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2030, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = match by {
        Some(issuer) => params.signed_by(&key, issuer).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    (certificate.der().clone(), rcgen::Issuer::new(params, key))
}

fn accepts(
    trusted: &[&CertificateDer<'static>],
    mode: Verification,
    certificate: &CertificateDer<'static>,
    host: &str,
    year: i32,
) -> bool {
    let mut anchors = RootCertStore::empty();
    anchors.add_parsable_certificates(trusted.iter().map(|der| (*der).clone()));
    let pinned: HashSet<_> = trusted.iter().map(|der| (*der).clone()).collect();
    let trust = Trust {
        anchors: Arc::new(anchors),
        pinned: Arc::new(pinned),
    };
    let now = rcgen::date_time_ymd(year, 6, 1).unix_timestamp();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now.try_into().unwrap()));
    let host = ServerName::try_from(host.to_owned()).unwrap();
    Verifier::new(trust, mode)
        .verify_server_cert(certificate, &[], &host, &[], now)
        .is_ok()
}

#[test]
fn what_is_accepted_in_which_mode() {
    let (ca, issuer) = made("the authority", &[], true, None);
    let (named, _) = made("x", &["a.test", "127.0.0.1"], false, Some(&issuer));
    let (by_address, _) = made("b.test", &["127.0.0.1"], false, Some(&issuer));
    let (common, _) = made("b.test", &[], false, Some(&issuer));
    let (own, _) = made("s.test", &["s.test"], true, None);
    let (plain_own, _) = made("p.test", &["p.test"], false, None);
    // Trusted, certificate, host, year, and whether full, certificate and none accept it.
    type Row<'a> = (
        &'a [&'a CertificateDer<'static>],
        &'a CertificateDer<'static>,
        &'a str,
        i32,
        [bool; 3],
    );
    let rows: [Row<'_>; 17] = [
        (&[&ca], &named, "a.test", 2026, [true, true, true]),
        (&[&ca], &named, "127.0.0.1", 2026, [true, true, true]),
        (&[&ca], &named, "x", 2026, [false, true, true]),
        (&[&ca], &named, "b.test", 2026, [false, true, true]),
        (&[&ca], &named, "a.test", 2031, [false, false, true]),
        (&[], &named, "a.test", 2026, [false, false, true]),
        (&[&own], &named, "a.test", 2026, [false, false, true]),
        (&[&ca], &common, "b.test", 2026, [true, true, true]),
        (&[&ca], &common, "c.test", 2026, [false, true, true]),
        (&[], &common, "b.test", 2026, [false, false, true]),
        (&[&ca], &by_address, "b.test", 2026, [true, true, true]),
        (&[&ca], &common, "127.0.0.1", 2026, [false, true, true]),
        (&[&own], &own, "s.test", 2026, [true, true, true]),
        (&[&own], &own, "t.test", 2026, [false, true, true]),
        (&[&own], &own, "s.test", 2031, [false, false, true]),
        (&[&plain_own], &plain_own, "p.test", 2026, [true, true, true]),
        (&[], &own, "s.test", 2026, [false, false, true]),
    ];
    for (i, (trusted, certificate, host, year, expected)) in rows.into_iter().enumerate() {
        let found =
            [Full, Certificate, Unverified].map(|mode| accepts(trusted, mode, certificate, host, year));
        assert_eq!(found, expected, "row {i}: {host}");
    }
}

macro_rules! file {
    ($name:literal) => {
        given(include_bytes!(concat!(
            "../../../tests/support/tls/identity/",
            $name
        )))
    };
}

/// As a document holds it.
fn given(bytes: &[u8]) -> &'static str {
    String::leak(to_base64(bytes).to_string())
}

#[track_caller]
fn flawed(result: Result<Identity, super::super::flaw::Flaw>, secret: &str, words: &str) {
    let flaw = result.map(|_| ()).unwrap_err();
    assert_eq!(flaw.secret, secret, "{}", flaw.message);
    assert!(flaw.message.contains(words), "{}", flaw.message);
}

#[test]
fn keys_in_every_form() {
    let open = Some("opensesame");
    let ec = file!("client.pem");
    for key in [file!("client.key"), file!("client.sec1.key")] {
        Identity::from_pem(ec, key, None).unwrap();
        Identity::from_pem(ec, key, Some("not needed")).unwrap();
    }
    let rsa = file!("rsa.pem");
    Identity::from_pem(rsa, file!("rsa.pkcs1.key"), None).unwrap();
    for (crt, key) in [
        (ec, file!("client.pkcs8.aes.key")),
        (ec, file!("client.pkcs8.des3.key")),
        (ec, file!("client.pkcs8.scrypt.key")),
        (ec, file!("client.pkcs8.sha1.key")),
        (ec, file!("client.sec1.aes.key")),
        (ec, file!("client.sec1.des3.key")),
        (rsa, file!("rsa.pkcs1.aes.key")),
    ] {
        Identity::from_pem(crt, key, open).unwrap();
        flawed(
            Identity::from_pem(crt, key, Some("wrong")),
            "password",
            "does not open",
        );
        flawed(Identity::from_pem(crt, key, None), "password", "is encrypted");
    }
    // PEM may also stand there as it is.
    let plain = include_str!("../../../tests/support/tls/identity/client.pem");
    Identity::from_pem(plain, file!("client.key"), None).unwrap();
}

#[test]
fn encrypted_keys_with_parameters_that_make_no_sense_are_refused() {
    let part = |tag: u8, content: &[&[u8]]| {
        let content = content.concat();
        [vec![tag, u8::try_from(content.len()).unwrap()], content].concat()
    };
    let sequence = |content: &[&[u8]]| part(0x30, content);
    let pkcs5 = |last: u8| part(6, &[&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, last]]);
    let scrypt = part(6, &[&[0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x04, 0x0b]]);
    let aes = part(6, &[&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a]]);
    let triple_des = part(6, &[&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x03, 0x07]]);
    let number = |value: u8| part(2, &[&[value]]);
    let bytes = |count: usize| part(4, &[&vec![7; count]]);
    let stretched = |iterations| sequence(&[&pkcs5(0x0c), &sequence(&[&bytes(8), &number(iterations)])]);
    let scrypted = |cost| {
        sequence(&[
            &scrypt,
            &sequence(&[&bytes(8), &number(cost), &number(8), &number(1)]),
        ])
    };
    let refused = |kdf: &[u8], cipher: &[u8], iv: usize, secret, words| {
        let scheme = sequence(&[&pkcs5(0x0d), &sequence(&[kdf, &sequence(&[cipher, &bytes(iv)])])]);
        let der = to_base64(&sequence(&[&scheme, &bytes(16)]));
        let pem = format!(
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\n{}\n-----END ENCRYPTED PRIVATE KEY-----",
            *der
        );
        let key = Identity::from_pem(file!("client.pem"), &pem, Some("opensesame"));
        flawed(key, secret, words);
    };
    refused(&stretched(1), &aes, 16, "password", "does not open");
    refused(&scrypted(2), &aes, 16, "password", "does not open");
    refused(&stretched(0), &aes, 16, "key", "cannot be read");
    refused(&scrypted(0), &aes, 16, "key", "cannot be read");
    refused(&scrypted(3), &aes, 16, "key", "cannot be read");
    refused(&stretched(1), &aes, 8, "key", "cannot be read");
    refused(&stretched(1), &triple_des, 7, "key", "cannot be read");
    refused(&stretched(1), &triple_des, 0, "key", "cannot be read");
    refused(&stretched(1), &scrypt, 16, "key", "not supported");
    refused(&sequence(&[&aes, &number(1)]), &aes, 16, "key", "not supported");
}

#[test]
fn what_is_no_identity() {
    let (crt, key) = (file!("client.pem"), file!("client.key"));
    flawed(
        Identity::from_pem(crt, file!("other.key"), None),
        "key",
        "does not belong",
    );
    flawed(
        Identity::from_pem(crt, file!("rsa.pkcs1.key"), None),
        "key",
        "does not belong",
    );
    flawed(Identity::from_pem("Y3J0", key, None), "crt", "PEM");
    flawed(Identity::from_pem(key, key, None), "crt", "no certificate");
    flawed(Identity::from_pem(crt, crt, None), "key", "no private key");
    flawed(Identity::from_pem(crt, "%", None), "key", "PEM");
    let shown = format!("{:?}", Identity::from_pem(crt, key, None).unwrap());
    assert!(shown.len() < 60, "{shown}");
}

#[cfg(feature = "pkcs12")]
#[test]
fn pkcs12_of_today_and_of_old() {
    let open = Some("opensesame");
    for pfx in [
        file!("client.modern.p12"),
        file!("client.legacy.p12"),
        file!("client.sha512.p12"),
        file!("client.nomac.p12"),
    ] {
        Identity::from_pfx(pfx, open).unwrap();
        flawed(
            Identity::from_pfx(pfx, Some("wrong")),
            "password",
            "does not open",
        );
        flawed(Identity::from_pfx(pfx, None), "password", "does not open");
    }
    Identity::from_pfx(file!("client.nopass.p12"), None).unwrap();
    Identity::from_pfx(file!("client.wide.p12"), Some("clé🗝")).unwrap();
    flawed(Identity::from_pfx(file!("client.pem"), open), "pfx", "PKCS #12");
    flawed(Identity::from_pfx("%", open), "pfx", "base64");
    flawed(Identity::from_pfx("", open), "pfx", "base64");
    // No cut of a file gets anywhere, and neither a cut nor a change of one panics.
    let whole = include_bytes!("../../../tests/support/tls/identity/client.nomac.p12");
    for end in (1..whole.len()).step_by(37) {
        assert!(Identity::from_pfx(&to_base64(&whole[..end]), open).is_err());
    }
    for at in (0..whole.len()).step_by(7) {
        let mut changed = whole.to_vec();
        changed[at] ^= 0x1d;
        let _ = Identity::from_pfx(&to_base64(&changed), open);
    }
}

#[test]
fn a_server_that_shows_an_authoritys_certificate_is_told_apart() {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.subject_alt_names = vec![SanType::IpAddress("127.0.0.1".parse().unwrap())];
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let private = rustls_pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    let server = Server::on("127.0.0.1:0", vec![ok()], Some(Arc::new(config)));
    let failure = send(&post(&server.url("/"))).unwrap_err();
    assert_eq!(failure.code, "tls");
    assert!(
        failure.message.contains("self-signed") && failure.message.contains("in `ca`"),
        "{}",
        failure.message
    );
    assert!(!failure.message.contains("CaUsed"), "{}", failure.message);
    let mut policy = policy(LIMITS);
    policy.tls.roots = Roots::from_pem(&certificate.pem()).unwrap();
    let mut trusting = post(&server.url("/"));
    trusting.network = Arc::new(policy);
    assert_eq!(send(&trusting).unwrap().status, 200);
}
