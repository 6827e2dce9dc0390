//! Bodies that come out as JSON whatever a case holds: those need not be rendered to know it.

use serde_json::Value;

use super::Variables;
use super::engine::{Compiled, LARGEST};

/// Each kind of JSON value once, none of which can stand for another wherever that matters: as a key, between quotes.
const KINDS: [&str; 5] = ["\"s\"", "1", "true", "[]", "{}"];

/// How many bytes a byte of a text becomes at most: a line break of a document, with its braces and quotes.
const GROWTH: usize = 64;

/// Whether a template has no sections and takes any value in the place of any other, as `is_json` has it.
pub(super) fn is_sound(compiled: &Compiled, is_json: impl Fn(&str) -> bool) -> bool {
    compiled.flat
        && !compiled.uses_fields()
        && KINDS.iter().all(|kind| {
            let rendered = compiled.render(|_, _| Ok((*kind).to_owned()));
            rendered.is_ok_and(|body| is_json(&body))
        })
}

/// Whether a sound template stays within what it may render to, as far as that can be told at a glance.
pub(super) fn is_small(compiled: &Compiled, variables: &Variables<'_>) -> bool {
    let Some(mapped) = scalar(variables.severity).zip(scalar(variables.status)) else {
        return false;
    };
    let texts = [
        variables.title,
        variables.description,
        variables.id,
        variables.comment,
        variables.comment_id,
        variables.external_id,
        variables.external_title,
    ];
    let lists = variables
        .tags
        .iter()
        .chain(variables.texts.iter().map(|(_, text)| text));
    let longest = texts.into_iter().map(str::len).chain([mapped.0, mapped.1]).max();
    let all = longest.unwrap_or_default() + lists.map(|text| text.len() + 4).sum::<usize>() + GROWTH;
    let grown = all.saturating_mul(GROWTH).saturating_mul(compiled.insertions);
    grown.saturating_add(compiled.length) <= LARGEST
}

/// How long a value is that is no list and no object.
fn scalar(value: Option<&Value>) -> Option<usize> {
    match value {
        None | Some(Value::Null | Value::Bool(_)) => Some(0),
        Some(Value::String(text)) => Some(text.len()),
        Some(Value::Number(number)) => Some(number.as_str().len()),
        Some(Value::Array(_) | Value::Object(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{BodyTemplate, Slot, TextForm, TextForms, Variables};

    fn sound(text: &str) -> bool {
        let template = BodyTemplate::compile(Slot::UpdateBody, "f", text, TextForms::default());
        template.unwrap().is_sound()
    }

    #[test]
    fn what_depends_on_the_case_is_not_sound() {
        assert!(sound(
            r#"{"a": {{{case.title}}}, "b": [{{{case.tags}}}, {{{case.severity}}}]}"#
        ));
        assert!(sound("{}"));
        // A key has to be a text, and tags are a list.
        assert!(!sound(r#"{ {{{case.title}}}: 1}"#));
        assert!(!sound(r#"{"a": {{{case.fields.x}}}}"#));
        assert!(!sound(r#"{"a": 1{{#case.texts.x}}, "b": 2{{/case.texts.x}}}"#));
    }

    #[test]
    fn a_text_that_could_grow_too_large_is_rendered() {
        let text = format!("[{}0]", "{{{case.description}}},".repeat(2_000));
        let template = BodyTemplate::compile(Slot::CreateBody, "f", &text, TextForms::default()).unwrap();
        let long = "x".repeat(40_000);
        let variables = Variables {
            description: &long,
            ..Variables::default()
        };
        let error = template.check(&variables).unwrap_err();
        assert!(
            error.message.contains("renders to more than"),
            "{}",
            error.message
        );
    }

    proptest! {
        /// A sound body is never refused when it is rendered.
        #[test]
        fn what_is_not_rendered_could_be(
            texts in proptest::collection::vec(any::<String>(), 4),
            tags in proptest::collection::vec(any::<String>(), 0..3),
            severity in proptest::option::of(any::<f64>()),
            adf in any::<bool>(),
        ) {
            let form = if adf { TextForm::Adf } else { TextForm::Plain };
            let forms = TextForms { description: form, comment: form };
            let text = r#"{"a": [{{{case.title}}}, {{{case.description}}}], "b": {{{case.tags}}},
                "c": {{{case.severity}}}, "d": {"e": {{{case.status}}}, "f": {{{external.system.id}}}}}"#;
            let template = BodyTemplate::compile(Slot::UpdateBody, "f", text, forms).unwrap();
            prop_assert!(template.is_sound());
            let severity = severity.map(serde_json::Value::from);
            let variables = Variables {
                title: &texts[0],
                description: &texts[1],
                external_id: &texts[2],
                id: &texts[3],
                tags: &tags,
                severity: severity.as_ref(),
                ..Variables::default()
            };
            prop_assert!(template.check(&variables).is_ok());
            prop_assert!(template.render(&variables).is_ok());
        }
    }
}
