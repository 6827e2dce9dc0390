//! JSON texts compared as texts: equal apart from white space outside strings.

/// Whether two bodies count as equal: as JSON texts where the expected one is JSON, to the byte where it is not.
pub(crate) fn same_body(expected: &[u8], actual: &[u8]) -> bool {
    if expected == actual {
        return true;
    }
    match (std::str::from_utf8(expected), std::str::from_utf8(actual)) {
        (Ok(expected), Ok(actual)) => is_json(expected) && compact(expected) == compact(actual),
        _ => false,
    }
}

fn is_json(text: &str) -> bool {
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.disable_recursion_limit();
    serde::Deserialize::deserialize(&mut reader)
        .and_then(|serde::de::IgnoredAny| reader.end())
        .is_ok()
}

/// The text without white space outside strings.
fn compact(text: &str) -> String {
    let mut inside = false;
    let mut escaped = false;
    text.chars()
        .filter(|&c| {
            if inside {
                inside = escaped || c != '"';
                escaped = !escaped && c == '\\';
                return true;
            }
            inside = c == '"';
            !matches!(c, ' ' | '\t' | '\n' | '\r')
        })
        .collect()
}

#[test]
fn white_space_counts_only_inside_strings() {
    for (expected, actual, same) in [
        (r#"{"a":1}"#, "{ \"a\" :\n1 }", true),
        (r#"{"a b":1}"#, r#"{"ab":1}"#, false),
        (r#"["\" ",1]"#, r#"["\" ", 1]"#, true),
        (r#"["\\",1]"#, r#"["\\", 1]"#, true),
        (r#"["\u0041"]"#, r#"["A"]"#, false),
        ("1.0", "1", false),
        ("no json", "nojson", false),
    ] {
        assert_eq!(
            same_body(expected.as_bytes(), actual.as_bytes()),
            same,
            "{expected} {actual}"
        );
    }
}
