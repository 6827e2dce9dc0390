//! Takes secrets out of texts that people get to see.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::template::encode_component;

/// What stands in a secret's place.
pub(crate) const MASK: &str = "***";

/// Secrets shorter than this, in bytes, are masked only where they stand as a word of their own.
const SHORT: usize = 4;

/// How many cuts a text is searched for, from its end.
const CUTS: usize = 8;

/// A line of a secret of several lines is masked by itself from this length on, in bytes.
const LINE: usize = 16;

/// Replaces every occurrence of a secret: as it is, percent-encoded, JSON-escaped (up to three times), in base64, as UTF-8 that
/// was read as latin-1.
pub(crate) fn mask(text: &str, masks: &[Zeroizing<String>]) -> String {
    replaced(text, &needles(masks))
}

/// The same, and what is left of a secret where the text was cut short: at its end, or before an ellipsis.
pub(crate) fn mask_cut(text: &str, masks: &[Zeroizing<String>]) -> String {
    let needles = needles(masks);
    without_beginnings(replaced(text, &needles), &needles)
}

/// Every form of every secret, the longest first.
fn needles(masks: &[Zeroizing<String>]) -> Vec<Zeroizing<String>> {
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
    needles
}

fn replaced(text: &str, needles: &[Zeroizing<String>]) -> String {
    let mut text = text.to_owned();
    for needle in needles {
        if text.contains(needle.as_str()) {
            text = without(&text, needle);
        }
    }
    text
}

/// The same for a whole body, which need not be text. Its length is kept in bounds: what is masked is longer than the mask.
pub(crate) fn mask_bytes(bytes: &[u8], secret: &Zeroizing<String>) -> Vec<u8> {
    let masks = std::slice::from_ref(secret);
    match std::str::from_utf8(bytes) {
        Ok(text) => mask(text, masks).into_bytes(),
        Err(_) => {
            let latin1: String = bytes.iter().map(|byte| char::from(*byte)).collect();
            let masked = mask(&latin1, masks);
            masked
                .chars()
                .filter_map(|c| u8::try_from(u32::from(c)).ok())
                .collect()
        }
    }
}

fn without_beginnings(mut text: String, needles: &[Zeroizing<String>]) -> String {
    let cuts = text.rmatch_indices('\u{2026}').map(|(at, _)| at).take(CUTS);
    let cuts: Vec<usize> = std::iter::once(text.len()).chain(cuts).collect();
    for cut in cuts {
        let left = needles.iter().filter_map(|needle| {
            let longest = needle.len().min(cut);
            (SHORT..=longest)
                .rev()
                .find(|length| needle.is_char_boundary(*length) && text[..cut].ends_with(&needle[..*length]))
        });
        if let Some(length) = left.max() {
            text.replace_range(cut - length..cut, MASK);
        }
    }
    text
}

fn forms(secret: &str) -> Vec<Zeroizing<String>> {
    let escaped = json_escaped(secret);
    let percent = encode_component(secret);
    let base64 = Zeroizing::new(STANDARD.encode(secret));
    let bare = base64.trim_end_matches('=');
    let latin1: String = secret.bytes().map(char::from).collect();
    let mut forms = vec![
        secret.to_owned(),
        latin1,
        json_escaped(&escaped),
        json_escaped(&json_escaped(&escaped)),
        escaped.replace('/', "\\/"),
        ascii_escaped(&escaped),
        escaped,
        percent.replace("%20", "+"),
        lower_escapes(&percent),
        percent,
    ];
    if bare.len() >= SHORT {
        forms.push(bare.replace('+', "-").replace('/', "_"));
        forms.push(bare.to_owned());
    }
    forms.push(base64.as_str().to_owned());
    forms
        .into_iter()
        .filter(|form| !form.is_empty())
        .map(Zeroizing::new)
        .collect()
}

/// As it stands in a JSON string.
fn json_escaped(text: &str) -> String {
    let quoted = Zeroizing::new(serde_json::to_string(text).unwrap_or_default());
    let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or_default().to_owned()
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
    fn what_a_cut_left_of_a_secret_is_masked() {
        for (text, secret, out) in [
            ("it said: hunte", "hunter2!", "it said: ***"),
            (
                "it said: hunt\u{2026}, again hunter\u{2026} and",
                "hunter2!",
                "it said: ***\u{2026}, again ***\u{2026} and",
            ),
            ("it said: hun", "hunter2!", "it said: hun"),
            ("p%C3%A9p%C3", "p\u{e9}p\u{e9}!", "***"),
            ("\u{e9}\u{e9}\u{e9}", "\u{e9}\u{e9}\u{e9}\u{e9}", "***"),
        ] {
            assert_eq!(
                mask_cut(text, &[Zeroizing::new(secret.to_owned())]),
                out,
                "{text}"
            );
        }
        assert_eq!(
            masked("it said: hunte", "hunter2!"),
            "it said: hunte",
            "a whole text"
        );
    }

    #[test]
    fn forms_of_two_layers_are_masked() {
        let secret = "p\"\u{e9}\\x";
        let once = json_escaped(secret);
        let twice = json_escaped(&once);
        let latin1: String = secret.bytes().map(char::from).collect();
        for form in [secret, &once, &twice, &latin1] {
            assert_eq!(masked(&format!("<{form}>"), secret), "<***>", "{form}");
        }
    }

    #[test]
    fn bodies_are_masked_in_one_pass_whatever_the_secret() {
        for (body, secret, out) in [
            (&b"a * b"[..], "*", &b"a *** b"[..]),
            (b"\xff-hunter2-\xe9", "hunter2", b"\xff-***-\xe9"),
            (b"", "hunter2", b""),
        ] {
            assert_eq!(
                mask_bytes(body, &Zeroizing::new(secret.to_owned())),
                out,
                "{secret}"
            );
        }
        // Would take minutes were it quadratic.
        let body = b"ab".repeat(1 << 19);
        let masked = mask_bytes(&body, &Zeroizing::new("abab".to_owned()));
        assert_eq!(masked.len(), body.len() / 4 * 3);
        mask_bytes(&b"a".repeat(1 << 20), &Zeroizing::new("a".repeat(1 << 16)));
    }

    #[test]
    fn the_longer_secret_goes_first() {
        let masks = ["pass", "password"].map(|secret| Zeroizing::new(secret.to_owned()));
        assert_eq!(mask("password pass", &masks), "*** ***");
    }
}
