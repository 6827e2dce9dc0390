//! Templates of JSON bodies: every variable is a complete JSON value, and so is the whole.

use serde::de::IgnoredAny;
use serde_json::Value;

use super::engine::Compiled;
use super::names::Variable;
use super::{RenderError, Slot, TextForm, TextForms, Variables, adf, sound};
use crate::error::{Error, Result};

/// Text that breaks whatever is put together without care.
const HOSTILE: &str = "\"'\\{{{x}}}\r\n\t\u{0}\u{7f}</a>&\u{2028}\u{e9}\u{1f600}";

/// A template whose result is a JSON text.
#[derive(Debug, Clone)]
pub(crate) struct BodyTemplate {
    compiled: Compiled,
    forms: TextForms,
    /// Whether it comes out as JSON whatever a case holds.
    sound: bool,
}

impl BodyTemplate {
    /// Compiles a template, refusing whatever could go wrong later; `field` is its path in the document.
    pub(crate) fn compile(
        slot: Slot,
        field: &'static str,
        text: &str,
        forms: TextForms,
    ) -> Result<BodyTemplate> {
        let compiled = Compiled::new(slot, field, text)?;
        let sound = sound::is_sound(&compiled, |body| check_json(body).is_ok());
        let template = BodyTemplate {
            compiled,
            forms,
            sound,
        };
        for sample in ["sample", HOSTILE, ""] {
            let body = template
                .compiled
                .render(|variable, bare| match forms.of(variable) {
                    TextForm::Adf => template.json(&JsonValue::Document(sample), bare),
                    TextForm::Plain => match (variable, sample) {
                        (Variable::Text(_), "") if !bare => Ok(String::new()),
                        _ => Ok(sample_value(variable, sample)),
                    },
                })
                .map_err(|error| Error::config(field, error.message))?;
            if let Err(message) = check_json(&body) {
                let message = format!(
                    "renders to invalid JSON with sample values: {message}{}",
                    hint(text)
                );
                return Err(
                    Error::config(field, message).since("Kibana takes it and fails at the first push")
                );
            }
        }
        Ok(template)
    }

    #[cfg(test)]
    pub(super) fn is_sound(&self) -> bool {
        self.sound
    }

    /// Whether the text of the variable, such as `case.title`, can stand in the body.
    pub(crate) fn uses(&self, variable: &str) -> bool {
        self.compiled.uses(variable)
    }

    /// Whether nothing to see is left of this comment in the form that bodies have it in.
    pub(crate) fn empties(&self, comment: &str) -> bool {
        match self.forms.comment {
            TextForm::Plain => comment.is_empty(),
            TextForm::Adf => adf::is_empty(comment),
        }
    }

    /// The names of `case.texts.NAME` in use.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.compiled.texts()
    }

    /// Whether the body could be rendered; rendered for it only where that cannot be told without.
    pub(crate) fn check(&self, variables: &Variables<'_>) -> Result<(), RenderError> {
        match self.sound && sound::is_small(&self.compiled, variables) {
            true => Ok(()),
            false => self.render(variables).map(drop),
        }
    }

    /// The body as it is sent: valid JSON.
    pub(crate) fn render(&self, variables: &Variables<'_>) -> Result<String, RenderError> {
        let body = self.compiled.render(|variable, bare| {
            match (variable, value(variable, variables), self.forms.of(variable)) {
                // A text that is only asked for: its section is left out where it is empty.
                (Variable::Text(_), JsonValue::Text(""), _) if !bare => Ok(String::new()),
                (_, JsonValue::Text(text), TextForm::Adf) => self.json(&JsonValue::Document(text), bare),
                (_, value, _) => self.json(&value, bare),
            }
        })?;
        match check_json(&body) {
            Ok(()) => Ok(body),
            Err(message) => Err(self.compiled.error(format!(
                "renders to invalid JSON with the values of this case: {message}"
            ))),
        }
    }

    /// The value as it is inserted; nothing for an empty document that is only asked for, so that its section is left out.
    fn json(&self, value: &JsonValue<'_>, bare: bool) -> Result<String, RenderError> {
        let text = match value {
            JsonValue::Document(text) if !bare && adf::is_empty(text) => Ok(String::new()),
            JsonValue::Document(text) => Ok(adf::document(text)),
            JsonValue::Text(text) => serde_json::to_string(text),
            JsonValue::Tags(tags) => serde_json::to_string(tags),
            JsonValue::Any(value) => serde_json::to_string(value),
        };
        text.map_err(|error| {
            self.compiled
                .error(format!("a value cannot be written as JSON: {error}"))
        })
    }
}

/// The likeliest cause of invalid JSON, where the template shows it.
fn hint(template: &str) -> &'static str {
    if template.contains("\"{{{") || template.contains("\"{{&") {
        " (a variable brings its own quotes: write none around it)"
    } else {
        ""
    }
}

impl TextForms {
    fn of(self, variable: &Variable) -> TextForm {
        match variable {
            Variable::Description => self.description,
            Variable::Comment => self.comment,
            _ => TextForm::Plain,
        }
    }
}

enum JsonValue<'a> {
    Text(&'a str),
    /// A text that becomes a document.
    Document(&'a str),
    Tags(&'a [String]),
    Any(&'a Value),
}

fn value<'a>(variable: &Variable, variables: &Variables<'a>) -> JsonValue<'a> {
    let or_empty = |value: Option<&'a Value>| value.map_or(JsonValue::Text(""), JsonValue::Any);
    match variable {
        Variable::Id => JsonValue::Text(variables.id),
        Variable::Title => JsonValue::Text(variables.title),
        Variable::Description => JsonValue::Text(variables.description),
        Variable::Severity => or_empty(variables.severity),
        Variable::Status => or_empty(variables.status),
        Variable::Tags => JsonValue::Tags(variables.tags),
        Variable::Field(name) => or_empty(variables.fields.and_then(|fields| fields.get(name))),
        Variable::Text(name) => JsonValue::Text(variables.text(name)),
        Variable::Comment => JsonValue::Text(variables.comment),
        Variable::CommentId => JsonValue::Text(variables.comment_id),
        Variable::ExternalId => JsonValue::Text(variables.external_id),
        Variable::ExternalTitle => JsonValue::Text(variables.external_title),
    }
}

fn sample_value(variable: &Variable, sample: &str) -> String {
    let sample = Value::from(sample);
    match variable {
        Variable::Tags if sample == "" => "[]".to_owned(),
        Variable::Tags => format!("[{sample},{sample}]"),
        _ => sample.to_string(),
    }
}

/// A sentence with line and column where the text is not JSON; escapes of half a character are not either.
fn check_json(text: &str) -> Result<(), String> {
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        return Err(format!("{error}{}", near(text, error.line(), error.column())));
    }
    match lone_surrogate(text.as_bytes()) {
        None => Ok(()),
        Some(at) => {
            let before = &text[..at];
            let line = 1 + before.matches('\n').count();
            let column = at - before.rfind('\n').map_or(0, |newline| newline + 1) + 1;
            Err(format!(
                "an escape stands for half a character at line {line} column {column}"
            ))
        }
    }
}

/// The text just before the place of an error, as far as it is worth showing.
fn near(text: &str, line: usize, column: usize) -> String {
    const SHOWN: usize = 24;
    let Some(text) = text.split('\n').nth(line.saturating_sub(1)) else {
        return String::new();
    };
    let mut to = column.min(text.len());
    while !text.is_char_boundary(to) {
        to -= 1;
    }
    let mut from = to.saturating_sub(SHOWN);
    while !text.is_char_boundary(from) {
        from -= 1;
    }
    match &text[from..to] {
        "" => String::new(),
        shown => format!(", after `{}`", shown.replace(char::is_control, " ")),
    }
}

/// Where an escaped surrogate stands without its other half in a valid JSON text.
fn lone_surrogate(text: &[u8]) -> Option<usize> {
    let unit = |at: usize| -> Option<u16> {
        let escape = text.get(at..at + 6)?;
        let digits = std::str::from_utf8(escape.strip_prefix(b"\\u")?).ok()?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut at = 0;
    while at < text.len() {
        if text[at] != b'\\' {
            at += 1;
            continue;
        }
        match unit(at) {
            Some(0xd800..=0xdbff) => match unit(at + 6) {
                Some(0xdc00..=0xdfff) => at += 12,
                _ => return Some(at),
            },
            Some(0xdc00..=0xdfff) => return Some(at),
            _ => at += 2,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(text: &str) -> Result<BodyTemplate> {
        formed(text, TextForms::default())
    }

    fn formed(text: &str, forms: TextForms) -> Result<BodyTemplate> {
        BodyTemplate::compile(Slot::CreateBody, "config.createIncidentJson", text, forms)
    }

    const ADF: TextForms = TextForms {
        description: TextForm::Adf,
        comment: TextForm::Adf,
    };

    #[test]
    fn values_are_complete_json() {
        let fields = serde_json::from_str(r#"{"n":[1,{"a":null}],"a.b":true}"#).unwrap();
        let two = Value::from(2);
        let tags = ["a\"b".to_owned(), "c".to_owned()];
        let variables = Variables {
            title: "T\u{2028}\u{1f}</x>\"",
            severity: Some(&two),
            tags: &tags,
            fields: Some(&fields),
            ..Variables::default()
        };
        for (template, body) in [
            ("{{{case.title}}}", "\"T\u{2028}\\u001f</x>\\\"\""),
            ("[{{{case.description}}},{{&case.id}}]", r#"["",""]"#),
            ("[{{{case.severity}}},{{{case.status}}}]", r#"[2,""]"#),
            ("{{{case.tags}}}", r#"["a\"b","c"]"#),
            (
                "[{{{case.fields.n}}},{{{case.fields.a.b}}},{{{case.fields.x}}}]",
                r#"[[1,{"a":null}],true,""]"#,
            ),
            ("[{{#case.tags}}{{{.}}},{{/case.tags}}1]", r#"[["a\"b","c"],1]"#),
            ("[{{#case.id}}1{{/case.id}}{{^case.id}}0{{/case.id}}]", "[1]"),
            ("{{=<% %>=}}\n[<%& case.severity %>]", "[2]"),
            (
                "{\n{{#case.id}}\n\"{{! c }}a\":1\n{{/case.id}}\n}",
                "{\n\"a\":1\n}",
            ),
        ] {
            assert_eq!(
                compile(template).unwrap().render(&variables).unwrap(),
                body,
                "{template}"
            );
        }
    }

    #[test]
    fn a_section_on_a_text_is_left_out_where_it_is_empty() {
        let body = compile(
            r#"{ {{#case.texts.s}}"p":{{{case.severity}}},{{/case.texts.s}}"t":{{{case.texts.t}}} }"#,
        );
        let body = body.unwrap();
        let render = |s: &str| {
            let texts = [("s".to_owned(), s.to_owned()), ("t".to_owned(), String::new())];
            let variables = Variables {
                texts: &texts,
                ..Variables::default()
            };
            body.render(&variables).unwrap()
        };
        assert_eq!(render("high"), r#"{ "p":"","t":"" }"#);
        assert_eq!(render(""), r#"{ "t":"" }"#);
        let error = compile(r#"{"a":1,{{#case.texts.s}}"p":1{{/case.texts.s}}}"#).unwrap_err();
        assert!(
            error.message().contains("invalid JSON with sample values"),
            "{error}"
        );
        assert_eq!(body.texts().collect::<Vec<_>>(), ["s", "t"]);
    }

    #[test]
    fn a_text_can_be_a_document() {
        let render = |template: &str, description| {
            let variables = Variables {
                title: "T\nt",
                description,
                ..Variables::default()
            };
            formed(template, ADF).unwrap().render(&variables).unwrap()
        };
        let both = "[{{{case.title}}},{{{case.description}}}]";
        for (text, content) in [
            ("", ""),
            (" \n", ""),
            (
                "a\n\nb",
                r#"{"type":"paragraph","content":[{"type":"text","text":"a"}]},{"type":"paragraph","content":[{"type":"text","text":"b"}]}"#,
            ),
        ] {
            let document = format!(r#"{{"type":"doc","version":1,"content":[{content}]}}"#);
            assert_eq!(render(both, text), format!(r#"["T\nt",{document}]"#));
        }
        // A section that alone holds it is left out with it; with another place beside it, it stays, as it does for texts.
        let alone = "[{{#case.description}}{{{case.description}}},{{/case.description}}1{{^case.description}},0{{/case.description}}]";
        assert_eq!(render(alone, " \n"), "[1,0]");
        assert!(render(alone, "x").starts_with(r#"[{"type":"doc""#) && render(alone, "x").ends_with("},1]"));
        let beside = "[{{#case.description}}1,{{/case.description}}{{{case.description}}}]";
        assert_eq!(
            render(beside, ""),
            r#"[1,{"type":"doc","version":1,"content":[]}]"#
        );
    }

    #[test]
    fn a_document_fits_where_a_value_does_and_nowhere_else() {
        let comment =
            |text: &str| BodyTemplate::compile(Slot::CommentBody, "config.createCommentJson", text, ADF);
        assert!(comment("{{{case.comment}}}").is_ok());
        for template in [
            r#"{"a":"{{{case.comment}}}"}"#,
            "{ {{{case.comment}}}: 1 }",
            "{{#case.comment}}{{{.}}}{{/case.comment}}",
        ] {
            let error = comment(template).unwrap_err();
            assert!(
                error.message().contains("invalid JSON with sample values"),
                "{error}"
            );
        }
        let error = comment(r#"{"a":"{{{case.comment}}}"}"#).unwrap_err();
        assert!(error.message().contains("brings its own quotes"), "{error}");
        assert!(formed("{ {{{case.title}}}: {{{case.description}}} }", ADF).is_ok());
    }

    #[test]
    fn values_are_not_rendered_again() {
        let variables = Variables {
            title: "{{{case.id}}}\u{e000}&v0\u{e001}",
            ..Variables::default()
        };
        let body = compile("{{{case.title}}}").unwrap().render(&variables).unwrap();
        assert_eq!(body, serde_json::to_string(variables.title).unwrap());
    }

    #[test]
    fn refusals_say_what_would_be_right() {
        for (template, words) in [
            (r#"{"a":{{case.title}}}"#, "use three braces: `{{{case.title}}}`"),
            (r#"{"a":"{{{case.title}}}"}"#, "invalid JSON with sample values"),
            (r#"{"a":"{{{case.title}}}"}"#, "brings its own quotes"),
            ("{\n\"a\":1,}", "line 2 column 7, after `"),
            ("", "invalid JSON"),
            ("\u{feff}{}", "invalid JSON"),
            (r#"{"a":"\ud800"}"#, "half a character at line 1 column 7"),
            (r#"{"a":"\\\udc00\ud800"}"#, "half a character"),
            ("{{{.}}}", "only inside a section"),
            ("{{^case.id}}{{{.}}}{{/case.id}}1", "only inside a section"),
            ("{{#case}}1{{/case}}", "is an object"),
            ("{{{case.nope}}}", "line 1: unknown variable `case.nope`"),
        ] {
            let error = compile(template).unwrap_err();
            assert_eq!(error.field(), Some("config.createIncidentJson"));
            assert!(error.message().contains(words), "{template}: {error}");
        }
        assert!(compile(r#"{"a":"\ud83d\ude00\\ud800"}"#).is_ok());
        assert!(compile("[1e400,123456789012345678901234567890,-0]").is_ok());
    }

    #[test]
    fn a_value_that_does_not_fit_its_place_is_an_error() {
        let template = compile("{ {{{case.severity}}}: 1 }").unwrap();
        let (text, number) = (Value::from("high"), Value::from(1));
        let with = |severity| Variables {
            severity: Some(severity),
            ..Variables::default()
        };
        assert_eq!(template.render(&with(&text)).unwrap(), r#"{ "high": 1 }"#);
        let error = template.render(&with(&number)).unwrap_err();
        assert!(error.message.contains("values of this case"), "{}", error.message);
    }

    #[test]
    fn no_template_panics_and_what_compiles_renders() {
        const PARTS: [&str; 24] = [
            "{",
            "}",
            "{{",
            "}}",
            "{{{",
            "}}}",
            "[",
            "]",
            ",",
            "\"",
            "\n",
            " ",
            "1",
            "{{{case.title}}}",
            "{{{case.tags}}}",
            "{{#case.tags}}",
            "{{/case.tags}}",
            "{{^case.id}}",
            "{{/case.id}}",
            "{{{.}}}",
            "{{! c }}",
            "{{=< >=}}",
            "<={{ }}=>",
            "\u{e000}",
        ];
        let tags = [HOSTILE.to_owned()];
        let variables = Variables {
            title: HOSTILE,
            tags: &tags,
            ..Variables::default()
        };
        let mut random = fastrand::Rng::with_seed(9);
        let mut compiled = 0;
        for _ in 0..20_000 {
            let text: String = (0..random.usize(1..12))
                .map(|_| PARTS[random.usize(..PARTS.len())])
                .collect();
            if let Ok(template) = compile(&text) {
                compiled += 1;
                assert!(template.render(&variables).is_ok(), "{text}");
            }
        }
        assert!(compiled > 50, "{compiled}");
    }

    #[test]
    fn names_in_use() {
        let template = compile("[{{{case.title}}},{{#case.id}}1{{/case.id}},{{{case.fields.x}}}]").unwrap();
        for name in ["case.title", "case.fields.x"] {
            assert!(template.uses(name), "{name}");
        }
        for name in ["case.id", "case.description"] {
            assert!(!template.uses(name), "{name}");
        }
    }
}
