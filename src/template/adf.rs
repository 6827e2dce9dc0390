//! A plain text as an Atlassian Document: paragraphs and line breaks, and nothing that a reader of the text would not see.

use serde_json::Value;

/// Whether the document of this text has no content.
pub(super) fn is_empty(text: &str) -> bool {
    plain(text).trim().is_empty()
}

/// The document, as JSON. Blank lines part paragraphs, other ends of lines are hard breaks. Control characters but the tab
/// are left out: they are nothing to see, and the XML that Jira keeps and exports texts in has no way to write most of them.
pub(super) fn document(text: &str) -> String {
    let text = plain(text);
    let mut out = String::with_capacity(text.len() + 128);
    out.push_str(r#"{"type":"doc","version":1,"content":["#);
    let mut before = Before::Nothing;
    for line in text.split('\n') {
        if line.trim().is_empty() {
            before = before.blank();
            continue;
        }
        out.push_str(match before {
            Before::Nothing => PARAGRAPH,
            Before::Line => r#",{"type":"hardBreak"},"#,
            Before::Blank => "]},",
        });
        if matches!(before, Before::Blank) {
            out.push_str(PARAGRAPH);
        }
        out.push_str(r#"{"type":"text","text":"#);
        out.push_str(&Value::from(line).to_string());
        out.push('}');
        before = Before::Line;
    }
    if !matches!(before, Before::Nothing) {
        out.push_str("]}");
    }
    out.push_str("]}");
    out
}

const PARAGRAPH: &str = r#"{"type":"paragraph","content":["#;

/// What stands before a line.
#[derive(Clone, Copy)]
enum Before {
    /// No line that is not blank.
    Nothing,
    /// A line of the same paragraph.
    Line,
    /// A paragraph, and blank lines.
    Blank,
}

impl Before {
    fn blank(self) -> Before {
        match self {
            Before::Nothing => Before::Nothing,
            Before::Line | Before::Blank => Before::Blank,
        }
    }
}

/// The text with every end of a line as `\n`, and no other control character but the tab.
fn plain(text: &str) -> String {
    let kept: String = text
        .chars()
        .filter(|c| matches!(c, '\t' | '\n' | '\r') || !c.is_control())
        .collect();
    kept.replace("\r\n", "\n").replace('\r', "\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(text: &str) -> Value {
        json!({"type": "text", "text": text})
    }

    fn paragraph(content: &[Value]) -> Value {
        json!({"type": "paragraph", "content": content})
    }

    fn content(text: &str) -> Value {
        let mut document: Value = serde_json::from_str(&document(text)).unwrap();
        assert_eq!(
            (&document["type"], &document["version"]),
            (&json!("doc"), &json!(1))
        );
        document["content"].take()
    }

    #[test]
    fn blank_lines_part_paragraphs_and_other_breaks_are_hard() {
        let hard = || json!({"type": "hardBreak"});
        for (given, expected) in [
            ("", json!([])),
            (" \n\t\r\n \u{a0}\n", json!([])),
            ("\u{0}\u{1b}\u{7f}\u{85}", json!([])),
            ("one", json!([paragraph(&[text("one")])])),
            ("a\nb", json!([paragraph(&[text("a"), hard(), text("b")])])),
            (
                "a\r\nb\rc",
                json!([paragraph(&[text("a"), hard(), text("b"), hard(), text("c")])]),
            ),
            (
                "a\n\nb",
                json!([paragraph(&[text("a")]), paragraph(&[text("b")])]),
            ),
            (
                "a\n \t\n\n\nb",
                json!([paragraph(&[text("a")]), paragraph(&[text("b")])]),
            ),
            (
                "a\r\n\r\nb",
                json!([paragraph(&[text("a")]), paragraph(&[text("b")])]),
            ),
            (
                "a\r\rb",
                json!([paragraph(&[text("a")]), paragraph(&[text("b")])]),
            ),
            (
                "a\n\u{0}\nb",
                json!([paragraph(&[text("a")]), paragraph(&[text("b")])]),
            ),
            ("\n\n a \n\n", json!([paragraph(&[text(" a ")])])),
            ("\tx\u{7}y\u{1f}", json!([paragraph(&[text("\txy")])])),
            (
                "\"\\{{{x}}}\u{2028}\u{1f600}",
                json!([paragraph(&[text("\"\\{{{x}}}\u{2028}\u{1f600}")])]),
            ),
        ] {
            assert_eq!(content(given), expected, "{given:?}");
            assert_eq!(is_empty(given), expected == json!([]), "{given:?}");
        }
    }

    /// The text that a reader of the document sees.
    fn read_back(text: &str) -> String {
        let content = content(text);
        let paragraphs = content.as_array().unwrap().iter().map(|paragraph| {
            assert_eq!(paragraph["type"], "paragraph");
            let nodes = paragraph["content"].as_array().unwrap();
            assert!(!nodes.is_empty());
            let lines = nodes.iter().enumerate().map(|(place, node)| {
                if place % 2 == 1 {
                    assert_eq!(node, &json!({"type": "hardBreak"}));
                    return "\n";
                }
                let line = node["text"].as_str().unwrap();
                assert!(node["type"] == "text" && !line.is_empty(), "{node}");
                line
            });
            assert!(nodes.len() % 2 == 1);
            lines.collect::<String>()
        });
        paragraphs.collect::<Vec<_>>().join("\n\n")
    }

    /// The text with one kind of break, one blank line for many, and none at its ends.
    fn normalised(text: &str) -> String {
        let mut text: String = text
            .chars()
            .filter(|c| *c == '\t' || *c == '\n' || *c == '\r' || !c.is_control())
            .collect();
        while let Some(at) = text.find('\r') {
            let end = at + if text[at..].starts_with("\r\n") { 2 } else { 1 };
            text.replace_range(at..end, "\n");
        }
        let lines = text.split('\n').map(|line| match line.trim() {
            "" => "",
            _ => line,
        });
        let mut text = lines.collect::<Vec<_>>().join("\n");
        while text.contains("\n\n\n") {
            text = text.replace("\n\n\n", "\n\n");
        }
        text.trim_matches('\n').to_owned()
    }

    #[test]
    fn what_is_read_back_is_the_text() {
        const PARTS: [&str; 18] = [
            "\n",
            "\n",
            "\r\n",
            "\r",
            " ",
            "\t",
            "\u{a0}",
            "\u{0}",
            "\u{b}",
            "\u{9b}",
            "\u{2028}",
            "\u{feff}",
            "\"",
            "\\",
            "a",
            "word",
            "\u{e9}",
            "\u{1f600}",
        ];
        let mut random = fastrand::Rng::with_seed(12);
        for _ in 0..20_000 {
            let parts = (0..random.usize(..16)).map(|_| PARTS[random.usize(..PARTS.len())]);
            let text: String = parts.collect();
            assert_eq!(read_back(&text), normalised(&text), "{text:?}");
            assert_eq!(is_empty(&text), normalised(&text).is_empty(), "{text:?}");
        }
    }
}
