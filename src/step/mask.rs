//! Takes secrets out of texts that people get to see.

use zeroize::Zeroizing;

use crate::template::encode_component;

/// What stands in a secret's place.
pub(crate) const MASK: &str = "***";

/// Secrets shorter than this, in bytes, are masked only where they stand as a word of their own.
const SHORT: usize = 4;

/// A line of a secret of several lines is masked by itself from this length on, in bytes.
const LINE: usize = 16;

/// Replaces every occurrence of a secret: as it is, percent-encoded, JSON-escaped, in base64.
pub(crate) fn mask(text: &str, masks: &[Zeroizing<String>]) -> String {
    let mut needles: Vec<Zeroizing<String>> = Vec::new();
    for secret in masks.iter().filter(|secret| !secret.is_empty()) {
        needles.extend(forms(secret));
        let lines = secret
            .lines()
            .filter(|line| line.len() >= LINE && !line.starts_with("-----"));
        needles.extend(lines.filter(|line| line.len() < secret.len()).flat_map(forms));
    }
    needles.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    needles.dedup();
    let mut text = text.to_owned();
    for needle in needles {
        if text.contains(needle.as_str()) {
            text = without(&text, &needle);
        }
    }
    text
}

fn forms(secret: &str) -> Vec<Zeroizing<String>> {
    let escaped = serde_json::to_string(secret).unwrap_or_default();
    let escaped = escaped.trim_start_matches('"');
    let escaped = escaped.strip_suffix('"').unwrap_or(escaped);
    let percent = encode_component(secret);
    let base64 = base64(secret.as_bytes());
    let bare = base64.trim_end_matches('=');
    let mut forms = vec![
        secret.to_owned(),
        escaped.replace('/', "\\/"),
        ascii_escaped(escaped),
        escaped.to_owned(),
        percent.replace("%20", "+"),
        lower_escapes(&percent),
        percent,
    ];
    if bare.len() >= SHORT {
        forms.push(bare.replace('+', "-").replace('/', "_"));
        forms.push(bare.to_owned());
    }
    forms.push(base64);
    forms
        .into_iter()
        .filter(|form| !form.is_empty())
        .map(Zeroizing::new)
        .collect()
}

fn without(text: &str, needle: &str) -> String {
    if needle.len() >= SHORT {
        return text.replace(needle, MASK);
    }
    let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for (at, found) in text.match_indices(needle) {
        let end = at + found.len();
        if is_word(text[..at].chars().next_back()) || is_word(text[end..].chars().next()) {
            continue;
        }
        out.push_str(&text[from..at]);
        out.push_str(MASK);
        from = end;
    }
    out.push_str(&text[from..]);
    out
}

/// Everything outside ASCII as `\u` escapes, as many JSON writers do.
fn ascii_escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut units = [0; 2];
    for c in text.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

/// The same percent-encoding with lower-case digits.
fn lower_escapes(percent: &str) -> String {
    let mut parts = percent.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        out.push('%');
        out.push_str(&digits.to_ascii_lowercase());
        out.push_str(rest);
    }
    out
}

/// As RFC 4648 has it, with padding; made in one piece of memory, so that no half-written copy is left.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            if place > chunk.len() {
                out.push('=');
            } else {
                out.push(char::from(DIGITS[(bits >> (18 - 6 * place)) as usize & 63]));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str, secret: &str) -> String {
        mask(text, &[Zeroizing::new(secret.to_owned())])
    }

    #[test]
    fn every_form_of_a_secret_is_masked() {
        for (text, secret, out) in [
            ("Bearer hunter2!", "hunter2", "Bearer ***!"),
            ("a=p%20w%2fd&b=p+w%2Fd&c=p%20w%2Fd", "p w/d", "a=***&b=***&c=***"),
            (
                r#""pa\"ss" "p\u00e9p\ud83d\ude00""#,
                "pa\"ss",
                r#""***" "p\u00e9p\ud83d\ude00""#,
            ),
            (r#""p\u00e9p\ud83d\ude00""#, "p\u{e9}p\u{1f600}", "\"***\""),
            ("Basic dXNlcjpwYXNz, dXNlcjpwYXNz", "user:pass", "Basic ***, ***"),
            ("dTpwdw== dTpwdw", "u:pw", "*** ***"),
            ("the pass p, p.", "p", "the pass ***, ***."),
            ("nothing", "", "nothing"),
            (
                "x abcdefghijklmnopqrst y",
                "-----BEGIN\nabcdefghijklmnopqrst\nzz",
                "x *** y",
            ),
        ] {
            assert_eq!(masked(text, secret), out, "{text}");
        }
    }

    #[test]
    fn the_longer_secret_goes_first() {
        let masks = ["pass", "password"].map(|secret| Zeroizing::new(secret.to_owned()));
        assert_eq!(mask("password pass", &masks), "*** ***");
    }

    #[test]
    fn base64_as_rfc_4648_has_it() {
        for (text, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ] {
            assert_eq!(base64(text.as_bytes()), encoded);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }
}
