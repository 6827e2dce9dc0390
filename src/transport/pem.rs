//! PEM sections, those with headers included.

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose};
use zeroize::Zeroizing;

/// Base64 as people paste it: with or without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// One `-----BEGIN LABEL-----` to its `-----END LABEL-----`.
pub(super) struct Section {
    pub(super) label: String,
    headers: Vec<(String, String)>,
    pub(super) der: Zeroizing<Vec<u8>>,
}

/// White space around a line, and the mark that editors put before a file of UTF-8.
const BLANK: fn(char) -> bool = |c| c.is_whitespace() || c == '\u{feff}';

/// Every section of a PEM text; what stands between them is ignored.
///
/// # Errors
/// What is wrong with a section that begins.
pub(super) fn sections(text: &str) -> Result<Vec<Section>, String> {
    let mut found = Vec::new();
    let mut lines = text.lines().map(|line| line.trim_matches(BLANK));
    while let Some(line) = lines.next() {
        let Some(label) = marker(line, "-----BEGIN ") else {
            continue;
        };
        let mut headers = Vec::new();
        let mut encoded = Zeroizing::new(String::with_capacity(text.len()));
        loop {
            let Some(line) = lines.next() else {
                return Err(format!("the PEM section {label} has no end"));
            };
            if marker(line, "-----END ").is_some_and(|end| end == label) {
                break;
            }
            match line.split_once(':') {
                Some((name, value)) => headers.push((name.trim().to_owned(), value.trim().to_owned())),
                None => encoded.push_str(line),
            }
        }
        let der = base64(&encoded).ok_or_else(|| format!("the PEM section {label} is not base64"))?;
        found.push(Section {
            label: label.to_owned(),
            headers,
            der,
        });
    }
    Ok(found)
}

/// Decodes base64, white space ignored.
pub(crate) fn base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut packed = Zeroizing::new(String::with_capacity(text.len()));
    packed.extend(text.chars().filter(|c| !c.is_ascii_whitespace()));
    LENIENT.decode(packed.as_bytes()).ok().map(Zeroizing::new)
}

/// As headers carry it.
pub(crate) fn to_base64(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(general_purpose::STANDARD.encode(bytes))
}

/// PEM as it is, or in base64 as the reference has it.
pub(super) fn text(given: &str) -> Option<Zeroizing<String>> {
    let given = given.trim_start_matches('\u{feff}');
    if given.contains("-----BEGIN ") {
        return Some(Zeroizing::new(given.to_owned()));
    }
    let bytes = base64(given)?;
    // Comments between the sections are in whatever encoding their authors had.
    let text = Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned());
    text.contains("-----BEGIN ").then_some(text)
}

impl Section {
    /// Whether the section is encrypted by its headers (`Proc-Type: 4,ENCRYPTED`).
    pub(super) fn is_encrypted(&self) -> bool {
        self.header("Proc-Type")
            .is_some_and(|value| value.ends_with("ENCRYPTED"))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

fn marker<'a>(line: &'a str, begin: &str) -> Option<&'a str> {
    line.strip_prefix(begin)?.strip_suffix("-----")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_and_what_stands_around_them() {
        let text = "Bag Attributes\n-----BEGIN A B-----\r\nX-One: 1\r\n\r\nZm9v\r\nYmFy\r\n-----END A B-----\n\
                    noise\n-----BEGIN C-----\nZg==\n-----END C-----";
        let found = sections(text).unwrap();
        let shown: Vec<_> = found
            .iter()
            .map(|s| (s.label.as_str(), s.der.as_slice()))
            .collect();
        assert_eq!(shown, [("A B", &b"foobar"[..]), ("C", b"f")]);
        assert_eq!(found[0].header("x-one"), Some("1"));
        assert!(sections("nothing").unwrap().is_empty());
    }

    #[test]
    fn broken_sections_say_what_is_wrong() {
        for (text, words) in [
            ("-----BEGIN C-----\nZg==\n", "no end"),
            ("-----BEGIN C-----\nZg==\n-----END D-----", "no end"),
            ("-----BEGIN C-----\n%%\n-----END C-----", "not base64"),
        ] {
            let why = sections(text).map(|_| ()).unwrap_err();
            assert!(why.contains(words), "{why}");
        }
    }

    #[test]
    fn plain_or_wrapped() {
        let pem = "-----BEGIN C-----\nZg==\n-----END C-----\n";
        assert_eq!(text(pem).unwrap().as_str(), pem);
        assert_eq!(text(&to_base64(pem.as_bytes())).unwrap().as_str(), pem);
        let marked = format!("\u{feff}{pem}");
        for given in [&marked, to_base64(marked.as_bytes()).as_str()] {
            assert_eq!(sections(&text(given).unwrap()).unwrap().len(), 1);
        }
        let latin1 = [b"M\xfcller\n", pem.as_bytes()].concat();
        assert_eq!(sections(&text(&to_base64(&latin1)).unwrap()).unwrap().len(), 1);
        assert!(text("bm90IGEgcGVt").is_none());
        assert!(text("%").is_none());
    }
}
