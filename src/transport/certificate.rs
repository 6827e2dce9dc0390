//! What a certificate says of itself: enough to judge the ones that webpki does not take.

use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode, Encode, Tag, Tagged};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");

/// What is read out of a certificate. Its signature is not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    /// Unix seconds.
    pub(super) not_before: i64,
    /// Unix seconds.
    pub(super) not_after: i64,
    /// The public key with its algorithm, as DER.
    pub(super) public_key: Vec<u8>,
    common_names: Vec<String>,
    has_dns_names: bool,
}

/// Reads a certificate of any version; none when it is not one.
pub(super) fn facts(der: &[u8]) -> Option<Facts> {
    let certificate = CertificateInner::<Raw>::from_der(der).ok()?;
    let body = certificate.tbs_certificate();
    let seconds = |time: x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs()).ok();
    let common_names = body
        .subject()
        .iter()
        .filter(|attribute| attribute.oid == COMMON_NAME)
        .filter(|attribute| {
            matches!(
                attribute.value.tag(),
                Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::TeletexString
            )
        })
        .filter_map(|attribute| String::from_utf8(attribute.value.value().to_vec()).ok())
        .collect();
    let names = body
        .extensions()
        .into_iter()
        .flatten()
        .find(|extension| extension.extn_id == SUBJECT_ALT_NAME)
        .map(|extension| SubjectAltName::from_der(extension.extn_value.as_bytes()));
    let has_dns_names = match names {
        None => false,
        Some(Ok(names)) => names.0.iter().any(|name| matches!(name, GeneralName::DnsName(_))),
        // What cannot be read might hold names.
        Some(Err(_)) => true,
    };
    Some(Facts {
        not_before: seconds(body.validity().not_before)?,
        not_after: seconds(body.validity().not_after)?,
        public_key: body.subject_public_key_info().to_der().ok()?,
        common_names,
        has_dns_names,
    })
}

impl Facts {
    /// Whether the certificate names this host the old way: by its common name, where it has no DNS names.
    pub(super) fn names_by_common_name(&self, host: &str) -> bool {
        !self.has_dns_names && self.common_names.iter().any(|name| covers(name, host))
    }
}

/// Whether a name, its first label perhaps `*`, covers a host.
fn covers(name: &str, host: &str) -> bool {
    let (name, host) = (name.trim_end_matches('.'), host.trim_end_matches('.'));
    match (name.strip_prefix("*."), host.split_once('.')) {
        (Some(rest), Some((label, parent))) => {
            !label.is_empty() && rest.contains('.') && rest.eq_ignore_ascii_case(parent)
        }
        (Some(_), None) => false,
        (None, _) => name.eq_ignore_ascii_case(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_hosts() {
        for (name, host, expected) in [
            ("a.example", "A.example", true),
            ("a.example.", "a.example", true),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.example.com", false),
            ("*.example.com", "example.com", false),
            ("*.com", "example.com", false),
            ("*", "a", false),
            ("b.example", "a.example", false),
        ] {
            assert_eq!(covers(name, host), expected, "{name} {host}");
        }
    }

    #[test]
    fn garbage_is_no_certificate() {
        for der in [&b""[..], b"\x30\x03\x02\x01\x01", b"not a certificate"] {
            assert_eq!(facts(der), None);
        }
    }
}
