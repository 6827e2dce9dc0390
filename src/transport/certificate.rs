//! What a certificate says of itself: enough to judge the ones that webpki does not take.

use der::asn1::{AnyRef, GeneralizedTime, ObjectIdentifier, UtcTime};
use der::{Tag, Tagged};

use super::walk::{Broken, Walk, numbered, oid};

const COMMON_NAME: ObjectIdentifier = oid("2.5.4.3");
const SUBJECT_ALT_NAME: ObjectIdentifier = oid("2.5.29.17");

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
    read(der).ok()
}

/// `Certificate`.
fn read(der: &[u8]) -> Result<Facts, Broken> {
    let mut certificate = Walk::sequence(der)?;
    let facts = body(certificate.enter(Tag::Sequence)?)?;
    let _algorithm = certificate.algorithm()?;
    let _signature = certificate.value(Tag::BitString)?;
    certificate.end()?;
    Ok(facts)
}

/// `TBSCertificate`.
fn body(mut body: Walk<'_>) -> Result<Facts, Broken> {
    let mut serial = body.any()?;
    if serial.tag() == numbered(0, true) {
        // That was the version.
        serial = body.any()?;
    }
    if serial.tag() != Tag::Integer {
        return Err(Broken);
    }
    let _algorithm = body.algorithm()?;
    let _issuer = body.enter(Tag::Sequence)?;
    let mut validity = body.enter(Tag::Sequence)?;
    let (not_before, not_after) = (seconds(validity.any()?)?, seconds(validity.any()?)?);
    validity.end()?;
    let common_names = common_names(body.enter(Tag::Sequence)?)?;
    let public_key = body.whole(Tag::Sequence)?.to_vec();
    let mut has_dns_names = false;
    while let Some(field) = body.optional()? {
        if field.tag() == numbered(3, true) {
            has_dns_names = extensions(Walk::sequence(field.value())?)?;
        }
    }
    Ok(Facts {
        not_before,
        not_after,
        public_key,
        common_names,
        has_dns_names,
    })
}

/// `Time`, in Unix seconds.
fn seconds(time: AnyRef<'_>) -> Result<i64, Broken> {
    let since = match time.tag() {
        Tag::UtcTime => time.decode_as::<UtcTime>().map(|time| time.to_unix_duration()),
        _ => time
            .decode_as::<GeneralizedTime>()
            .map(|time| time.to_unix_duration()),
    };
    let since = since.map_err(|_| Broken)?;
    i64::try_from(since.as_secs()).map_err(|_| Broken)
}

/// Those of a `Name` that are UTF-8, or text that is the same in it.
fn common_names(mut name: Walk<'_>) -> Result<Vec<String>, Broken> {
    let mut found = Vec::new();
    while !name.is_at_end() {
        let mut attributes = name.enter(Tag::Set)?;
        while !attributes.is_at_end() {
            let mut attribute = attributes.enter(Tag::Sequence)?;
            let (kind, value) = (attribute.oid()?, attribute.any()?);
            attribute.end()?;
            let readable = matches!(
                value.tag(),
                Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::TeletexString
            );
            if kind == COMMON_NAME && readable {
                found.extend(String::from_utf8(value.value().to_vec()));
            }
        }
    }
    Ok(found)
}

/// Whether there are DNS names among the `Extensions`.
fn extensions(mut extensions: Walk<'_>) -> Result<bool, Broken> {
    let mut has_dns_names = false;
    while !extensions.is_at_end() {
        let mut extension = extensions.enter(Tag::Sequence)?;
        let kind = extension.oid()?;
        let mut value = extension.any()?;
        if value.tag() == Tag::Boolean {
            // That was whether it is critical.
            value = extension.any()?;
        }
        extension.end()?;
        if value.tag() != Tag::OctetString {
            return Err(Broken);
        }
        if kind == SUBJECT_ALT_NAME {
            // What cannot be read might hold names.
            has_dns_names |= dns_names(value.value()).unwrap_or(true);
        }
    }
    Ok(has_dns_names)
}

/// Whether there are some among these `GeneralNames`.
fn dns_names(names: &[u8]) -> Result<bool, Broken> {
    let mut names = Walk::sequence(names)?;
    let mut found = false;
    while let Some(name) = names.optional()? {
        found |= name.tag() == numbered(2, false);
    }
    Ok(found)
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
