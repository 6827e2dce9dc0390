//! Walks a JSON text in place, so that every value keeps the characters of the wire.

/// The deepest nesting that an answer may have (R22).
pub(crate) const DEEPEST: usize = 128;

/// The raw text of the member of that name or index in a valid JSON text; of duplicates the last.
pub(crate) fn member<'a>(value: &'a str, key: &str) -> Option<&'a str> {
    match value.as_bytes().iter().find(|b| !is_space(**b))? {
        b'{' => members(value)
            .filter(|(name, _)| name.is_some_and(|name| is_text(name, key)))
            .last()
            .map(|(_, value)| value),
        b'[' => {
            let index: usize = key.parse().ok()?;
            (index.to_string() == key)
                .then(|| members(value).nth(index))
                .flatten()
                .map(|(_, value)| value)
        }
        _ => None,
    }
}

/// Names (raw, none in a list) and raw values of an object or list in a valid JSON text; nothing of other values.
pub(crate) fn members(value: &str) -> impl Iterator<Item = (Option<&str>, &str)> {
    let mut at = skip_space(value, 0);
    let opening = value.as_bytes().get(at).copied();
    at += 1;
    let mut done = !matches!(opening, Some(b'{' | b'['));
    std::iter::from_fn(move || {
        if done {
            return None;
        }
        at = skip_space(value, at);
        if value.as_bytes().get(at) == Some(&b',') {
            at = skip_space(value, at + 1);
        }
        if matches!(value.as_bytes().get(at), None | Some(b'}' | b']')) {
            done = true;
            return None;
        }
        let name = if opening == Some(b'{') {
            let from = at;
            at = skip_value(value, at);
            let name = value.get(from..at)?;
            at = skip_space(value, at) + 1;
            at = skip_space(value, at);
            Some(name)
        } else {
            None
        };
        let from = at;
        at = skip_value(value, at);
        let member = value.get(from..at).filter(|member| !member.is_empty());
        done = member.is_none();
        Some((name, member?))
    })
}

/// The text of a raw JSON string; none for half characters.
pub(crate) fn text(raw: &str) -> Option<String> {
    serde_json::from_str(raw).ok()
}

/// The deepest nesting of lists and objects in any text, reckoned outside strings.
pub(crate) fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest, mut at) = (0usize, 0, 0);
    while at < text.len() {
        match text[at] {
            b'"' => {
                at = skip_string(text, at);
                continue;
            }
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    deepest
}

fn is_text(raw: &str, key: &str) -> bool {
    match raw.get(1..raw.len().saturating_sub(1)) {
        Some(inside) if !inside.contains('\\') => inside == key,
        _ => text(raw).is_some_and(|name| name == key),
    }
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn skip_space(text: &str, from: usize) -> usize {
    let rest = text.as_bytes().get(from..).unwrap_or_default();
    from + rest.iter().take_while(|b| is_space(**b)).count()
}

/// The place behind the value that begins at `at`.
fn skip_value(text: &str, mut at: usize) -> usize {
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at = skip_string(bytes, at);
                if depth == 0 {
                    return at;
                }
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' if depth <= 1 => return if depth == 0 { at } else { at + 1 },
            b']' | b'}' => depth -= 1,
            b',' | b':' if depth == 0 => return at,
            byte if depth == 0 && is_space(byte) => return at,
            _ => {}
        }
        at += 1;
    }
    at
}

/// The place behind the string whose opening quote is at `at`.
fn skip_string(bytes: &[u8], mut at: usize) -> usize {
    at += 1;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_characters() {
        let all = |text| members(text).collect::<Vec<_>>();
        assert_eq!(
            all(r#" { "a" : 1.0 , "b\"]" : [ 1 , {"c":"]}"} ] ,"d":""} "#),
            [
                (Some(r#""a""#), "1.0"),
                (Some(r#""b\"]""#), r#"[ 1 , {"c":"]}"} ]"#),
                (Some(r#""d""#), r#""""#)
            ]
        );
        assert_eq!(all(" [ ] "), []);
        assert_eq!(all("[1,null ,{}]"), [(None, "1"), (None, "null"), (None, "{}")]);
        assert_eq!(all("\"[1]\""), []);
    }

    #[test]
    fn a_broken_text_ends_the_walk() {
        for text in [
            "", "{", "[", "{\"", "{\"a", "{\"a\"", "{\"a\":", "[[", "[\"\\", "]", "{]", "[,,]", "{:}",
        ] {
            assert!(members(text).count() <= 3, "{text}");
        }
    }

    #[test]
    fn any_text_can_be_walked() {
        const PARTS: [&str; 14] = [
            "{", "}", "[", "]", ",", ":", "\"", "\\", " ", "1", "\"a\"", "\"a\":", "\u{e9}", "null",
        ];
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let text: String = (0..random.usize(..12))
                .map(|_| PARTS[random.usize(..PARTS.len())])
                .collect();
            let _ = (members(&text).count(), member(&text, "a"), member(&text, "0"));
            if serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok() {
                for (name, value) in members(&text) {
                    for raw in name.into_iter().chain([value]) {
                        assert!(
                            serde_json::from_str::<serde::de::IgnoredAny>(raw).is_ok(),
                            "{text}: {raw}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn depth_counts_levels() {
        for (text, levels) in [
            ("1", 0),
            ("{}", 1),
            ("[[1],{\"a\":[]}]", 3),
            ("\"[[[\"", 0),
            ("\"\\\"[\"", 0),
        ] {
            assert_eq!(depth(text.as_bytes()), levels, "{text}");
        }
    }
}
