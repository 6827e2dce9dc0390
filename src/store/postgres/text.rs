//! Texts of the host on their way into PostgreSQL and back: its texts cannot hold U+0000, and those of a case can.

use std::borrow::Cow;

/// What stands for U+0000 and for itself: this and `0`, this and `1`.
const ESCAPE: char = '\u{1}';

/// A text as a parameter.
pub(super) fn stored(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', ESCAPE]) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\0' => escaped.extend([ESCAPE, '0']),
            ESCAPE => escaped.extend([ESCAPE, '1']),
            c => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

/// An optional text as a parameter.
pub(super) fn stored_or_none(text: Option<&String>) -> Option<Cow<'_, str>> {
    text.map(|text| stored(text))
}

/// The text that was stored.
pub(super) fn restored(text: String) -> String {
    if !text.contains(ESCAPE) {
        return text;
    }
    let mut original = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ESCAPE => original.push(match chars.next() {
                Some('0') => '\0',
                _ => ESCAPE,
            }),
            c => original.push(c),
        }
    }
    original
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back_and_none_holds_a_nul() {
        for text in ["", "plain ü", "\0", "\u{1}", "a\0\u{1}0\u{1}1\0b", "\u{1}\u{1}"] {
            assert!(!stored(text).contains('\0'));
            assert_eq!(restored(stored(text).into_owned()), text);
        }
    }
}
