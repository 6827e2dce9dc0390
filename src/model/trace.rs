//! The W3C trace context that a push may carry along.

use crate::error::{Error, Result};

/// Whether a text is a `traceparent` header of version 00 to fe as the W3C Recommendation "Trace Context" defines it,
/// without the fields that later versions may add: `00-<32 hex digits>-<16 hex digits>-<2 hex digits>`, lower case,
/// neither id all zeros.
pub(super) fn validate(text: &str) -> Result<()> {
    let mut parts = text.split('-');
    let mut part = |length: usize| {
        let part = parts.next().unwrap_or_default();
        let is_hex = part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (part.len() == length && is_hex).then_some(part)
    };
    let zeros = |text: &str| text.bytes().all(|byte| byte == b'0');
    let fits = part(2).is_some_and(|version| version != "ff")
        && part(32).is_some_and(|trace| !zeros(trace))
        && part(16).is_some_and(|parent| !zeros(parent))
        && part(2).is_some()
        && parts.next().is_none();
    if fits {
        return Ok(());
    }
    Err(Error::case(
        "traceparent",
        "this must be a W3C traceparent in lower case, such as \
         00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_the_recommendation_calls_valid() {
        for (text, valid) in [
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true),
            ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", true),
            ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false),
            ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false),
            ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x", false),
            (
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\nx: y",
                false,
            ),
            ("00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-01", false),
            ("", false),
            ("---", false),
        ] {
            assert_eq!(validate(text).is_ok(), valid, "{text}");
        }
    }
}
