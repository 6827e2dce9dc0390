//! No form of a secret is left in a text, and nothing else is taken from it.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::*;

fn masks(secrets: &[&str]) -> Masks {
    Masks::new(
        secrets
            .iter()
            .map(|secret| Zeroizing::new((*secret).to_owned()))
            .collect(),
    )
}

fn masked(text: &str, secret: &str) -> String {
    mask(text, &masks(&[secret]))
}

#[test]
fn every_form_of_a_secret_is_masked() {
    for (text, secret, out) in [
        ("Bearer hunter2!", "hunter2", "Bearer ***!"),
        ("a=p%20w%2fd&b=p+w%2Fd&c=p%20w%2Fd", "p w/d", "a=***&b=***&c=***"),
        ("a=it%27s%28a%29%2a&b=it's%28a)*", "it's(a)*", "a=***&b=***"),
        (
            r#""pa\"ss" "p\u00e9p\ud83d\ude00""#,
            "pa\"ss",
            r#""***" "p\u00e9p\ud83d\ude00""#,
        ),
        (r#""p\u00e9p\ud83d\ude00""#, "p\u{e9}p\u{1f600}", "\"***\""),
        (r#""a\u003Cb\u003eC\u0026d\u0027\/""#, "a<b>C&d'/", "\"***\""),
        (
            "<i>a&lt;b&gt;c&amp;d&#39;&#x22;&quot;</i>",
            "a<b>c&d'\"\"",
            "<i>***</i>",
        ),
        ("Basic dXNlcjpwYXNz, dXNlcjpwYXNz", "user:pass", "Basic ***, ***"),
        ("dTpwdw== dTpwdw", "u:pw", "***== ***"),
        (
            "it was 68756E7465723221 and 68756e7465723221.",
            "hunter2!",
            "it was *** and ***.",
        ),
        ("p%E9p%e9!", "p\u{e9}p\u{e9}!", "***"),
        ("two lines here", "two\nlines", "*** here"),
        ("the pass p, p.", "p", "the pass ***, ***."),
        ("no et, etc", "  et", "no ***, etc"),
        ("nothing at all", "  ", "nothing at all"),
        ("nothing", "", "nothing"),
        ("100%25\\\"x", "100%25\"x", "***"),
        ("a%2Bb%20c, a%2Bb+c, a+b c", "a+b c", "***, ***, ***"),
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
fn base64_that_holds_a_secret_is_masked_whatever_else_it_holds() {
    for before in ["", "x", "xy", "somebody:", "{\"a\":\""] {
        for after in ["", "\"}", "!"] {
            let whole = format!("{before}hunter2-secret\u{fc}{after}");
            for text in [STANDARD.encode(&whole), URL_SAFE_NO_PAD.encode(&whole)] {
                let said = masked(&format!("said <{text}>."), "hunter2-secret\u{fc}");
                assert_eq!(said, "said <***>.", "{whole}");
            }
        }
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
        ("p%C3%A9pp%C", "p\u{e9}pp\u{e9}!", "***"),
        (r"a p\u00e9pp\u00", "p\u{e9}pp\u{e9}!", "a ***"),
        (r"pass\ud83d\u", "pass\u{1f600}!", "***"),
        ("pass&qu\u{2026}", "pass\"word", "***\u{2026}"),
        ("\u{e9}\u{e9}\u{e9}", "\u{e9}\u{e9}\u{e9}\u{e9}", "***"),
        ("aaaaab aaaab", "aaaabaaaac", "aaaaab ***"),
    ] {
        let masks = masks(&[secret]);
        assert_eq!(mask_cut(text, &masks), out, "{text}");
    }
    let whole = masked("it said: hunte", "hunter2!");
    assert_eq!(whole, "it said: hunte", "a whole text");
}

#[test]
fn an_id_repeats_a_secret_when_it_is_no_chance() {
    for (id, secret, repeats) in [
        ("hunter2-secret", "hunter2-secret", true),
        ("xhunter2-secret9", "hunter2-secret", true),
        ("hunter2%2Dsecret", "hunter2-secret", true),
        ("aHVudGVyMi1zZWNyZXQ", "hunter2-secret", true),
        ("910000001", "10000001", false),
        ("10000001", "10000001", true),
        ("1234", "1234", false),
        ("admin", "admin", true),
        ("admin-1", "admin", false),
        ("administration", "admin", false),
        ("abc", "abc", false),
        ("CASE-1", "hunter2-secret", false),
    ] {
        assert_eq!(masks(&[secret]).repeated_in(id), repeats, "{id} {secret}");
    }
}

#[test]
fn a_long_text_takes_a_time_in_proportion_whatever_the_secret() {
    // Any of these would take minutes were it quadratic.
    let body = "ab".repeat(1 << 17);
    assert_eq!(masked(&body, "abab").len(), body.len() / 4 * 3);
    masked(&"a".repeat(1 << 18), &"a".repeat(1 << 16));
    let almost = format!("{}b", "a".repeat(1 << 16));
    mask_cut(&"a".repeat(1 << 18), &masks(&[&almost]));
    mask_cut(&"\\".repeat(1 << 18), &masks(&[&"\\".repeat(1 << 10)]));
    let base64 = STANDARD.encode("hunter2-secret").repeat(1 << 16);
    assert_eq!(masked(&base64, "hunter2-secret"), MASK);
}

#[test]
fn the_longer_secret_goes_first() {
    assert_eq!(mask("password pass", &masks(&["pass", "password"])), "*** ***");
    assert_eq!(format!("{:?}", masks(&["pass"])), "Masks(1)");
}

/// One character as somebody may write it.
fn written(character: char, how: u8) -> String {
    let bytes = character.to_string();
    let code = u32::from(character);
    let units: String = character
        .encode_utf16(&mut [0; 2])
        .iter()
        .map(|unit| match how % 2 {
            0 => format!("\\u{unit:04x}"),
            _ => format!("\\u{unit:04X}"),
        })
        .collect();
    match how {
        0 | 1 => units,
        2 => bytes.bytes().map(|byte| format!("%{byte:02x}")).collect(),
        3 => bytes.bytes().map(|byte| format!("%{byte:02X}")).collect(),
        4 => format!("&#{code};"),
        5 => format!("&#x{code:X};"),
        6 if matches!(character, '"' | '\'' | '\\' | '/') => format!("\\{character}"),
        7 if character == '&' => "&amp;".to_owned(),
        7 if character == '<' => "&lt;".to_owned(),
        7 if character == '"' => "&quot;".to_owned(),
        8 if character == ' ' => "+".to_owned(),
        9 => format!("\\u{{{code:x}}}"),
        // As it is, where it does not begin an escape.
        _ if matches!(character, '%' | '\\' | '&' | '+') => format!("%{code:02X}"),
        _ => bytes,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn no_mixture_of_escapes_hides_a_secret(
        secret in "[a-zA-Z0-9%\\\\&+;#x\"'/<> !()*~\u{e9}\u{1f600}=-]{4,24}".prop_filter("blank", |secret| secret.trim().len() >= 4),
        how in proptest::collection::vec(proptest::collection::vec(0u8..14, 24), 0..3),
    ) {
        let mut text = secret.clone();
        for layer in &how {
            text = text.chars().zip(layer.iter().cycle()).map(|(c, how)| written(c, *how)).collect();
        }
        let said = format!("[{text}]");
        prop_assert_eq!(mask(&said, &masks(&[&secret])), "[***]", "{}", text);
    }

    #[test]
    fn a_text_without_the_secret_stays(text in "[a-z%\\\\&+0-9 .;u]{0,60}") {
        prop_assert_eq!(masked(&text, "HUNTER-SECRET-X"), text);
    }

    #[test]
    fn no_text_breaks_it(text in "\\PC{0,40}", secret in "\\PC{0,12}") {
        mask_cut(&text, &masks(&[&secret]));
        masks(&[&secret]).repeated_in(&text);
    }
}
