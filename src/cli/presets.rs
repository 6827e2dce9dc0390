//! The verbs about presets: which there are, and one as a connector document.

use serde_json::Value;

use super::Session;
use super::failure::{self, Failure};
use super::out::{Table, wrap};
use crate::{ErrorKind, Preset, PresetParameter};

/// Lists the presets with what each needs.
pub(super) fn list(session: &mut Session<'_>) -> Result<i32, Failure> {
    let mut table = Table::new(&["PRESET", "SYSTEM", "NEEDS"]);
    for preset in crate::presets() {
        let needs = preset
            .parameters
            .iter()
            .filter(|parameter| parameter.is_required());
        let needs: Vec<&str> = needs.map(|parameter| parameter.name.as_str()).collect();
        table.row(vec![preset.name.clone(), preset.title.clone(), needs.join(", ")]);
    }
    session.out.text(&table.lines(0));
    session.out.text(&format!(
        "\n{}",
        wrap(
            "`casehook preset NAME` says what one takes and what to know about it; with --set it prints the connector document.",
            0
        )
    ));
    session.out.json(&crate::presets());
    Ok(failure::OK)
}

/// Prints one preset as a connector document on standard output, what to know about it on standard error.
pub(super) fn show(
    session: &mut Session<'_>,
    name: &str,
    values: &[(String, String)],
) -> Result<i32, Failure> {
    let given: Vec<(&str, &str)> = values
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let preset = crate::presets().iter().find(|preset| preset.name == name);
    let asked = preset.filter(|preset| preset.parameters.iter().any(PresetParameter::is_required));
    if let Some(preset) = asked.filter(|_| given.is_empty() && !session.out.is_json()) {
        session.out.text(&about(preset));
        return Ok(failure::OK);
    }
    let document = crate::preset(name, &given)?;
    session.out.text(&document);
    // On one line.
    let value: Value = serde_json::from_str(&document)
        .map_err(|error| Failure::new(ErrorKind::Internal, format!("preset {name}: {error}")))?;
    session.out.json(&value);
    if let Some(preset) = preset {
        for line in remarks(preset, &given) {
            session.out.note(&wrap(&line, 2));
        }
    }
    Ok(failure::OK)
}

/// What a preset takes, and what to know about it.
fn about(preset: &Preset) -> String {
    let mut lines = vec![
        format!("{}: {}", preset.name, preset.title),
        "\nParameters:".to_owned(),
    ];
    for parameter in &preset.parameters {
        let need = match (&parameter.default, parameter.secret, parameter.optional) {
            (Some(default), _, _) => format!("default {default}"),
            (None, true, _) => "a credential".to_owned(),
            (None, false, true) => "optional".to_owned(),
            (None, false, false) => "required".to_owned(),
        };
        let choices = match parameter.choices.as_slice() {
            [] => String::new(),
            choices => format!("; one of {}", choices.join(", ")),
        };
        let example = parameter
            .example
            .iter()
            .filter(|example| Some(*example) != parameter.default.as_ref());
        let example: String = example.map(|example| format!(", such as {example}")).collect();
        let text = format!(
            "  {}: {}{example} ({need}{choices})",
            parameter.name, parameter.meaning
        );
        lines.push(wrap_indented(&text, 2));
    }
    lines.push("\nTo know:".to_owned());
    lines.extend(
        preset
            .notes
            .iter()
            .map(|note| wrap_indented(&format!("  - {note}"), 2)),
    );
    if !preset.unconfirmed.is_empty() {
        lines.push("\nNot confirmed by the sources; try it with `casehook test`:".to_owned());
        lines.extend(
            preset
                .unconfirmed
                .iter()
                .map(|what| wrap_indented(&format!("  - {what}"), 2)),
        );
    }
    lines.push("\nSources:".to_owned());
    let sources = preset.sources.iter();
    lines.extend(sources.map(|source| wrap_indented(&format!("  - {}: {}", source.fact, source.url), 2)));
    let needs = preset
        .parameters
        .iter()
        .filter(|parameter| parameter.is_required());
    let set: Vec<String> = needs
        .map(|parameter| format!("--set {}=...", parameter.name))
        .collect();
    let command = format!(
        "  casehook preset {} {} > connector.json",
        preset.name,
        set.join(" ")
    );
    lines.push(format!("\nNext:\n{command}"));
    lines.join("\n")
}

/// The text wrapped, its first line begun with so many spaces, the others with two more.
fn wrap_indented(text: &str, indent: usize) -> String {
    format!(
        "{}{}",
        " ".repeat(indent),
        super::out::wrap_from(text.trim_start(), indent, indent + 2)
    )
}

/// What goes to standard error beside a document.
fn remarks(preset: &Preset, given: &[(&str, &str)]) -> Vec<String> {
    let mut lines: Vec<String> = preset.notes.iter().map(|note| format!("note: {note}")).collect();
    lines.extend(
        preset
            .unconfirmed
            .iter()
            .map(|what| format!("unconfirmed: {what}")),
    );
    let secrets = preset.parameters.iter().filter(|parameter| parameter.secret);
    let secrets: Vec<&str> = secrets.map(|parameter| parameter.name.as_str()).collect();
    if !secrets.is_empty() && !given.iter().any(|(name, _)| secrets.contains(name)) {
        lines.push(format!(
            "secrets: the document has none. Set {}, or give configure its --secrets FILE with {}",
            secrets.join(" and "),
            preset.secrets_shape()
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::out::COLUMNS;
    use super::*;

    #[test]
    fn everything_about_a_preset_fits_the_terminal() {
        for preset in crate::presets() {
            let text = about(preset);
            for line in text.lines() {
                let long =
                    line.split_whitespace().any(|word| word.len() > 50) || line.contains("casehook preset");
                assert!(long || line.chars().count() <= COLUMNS, "{line}");
            }
            for parameter in &preset.parameters {
                assert!(text.contains(&format!("  {}: ", parameter.name)), "{text}");
            }
        }
    }

    #[test]
    fn remarks_say_what_is_not_sure_and_which_secrets_are_missing() {
        let preset = crate::presets()
            .iter()
            .find(|preset| preset.name == "jira-cloud")
            .unwrap();
        let all = remarks(preset, &[]).join("\n");
        assert!(all.contains("unconfirmed: labels with spaces"), "{all}");
        assert!(
            all.contains(r#"--secrets FILE with {"password":"TOKEN","user":"USER"}"#),
            "{all}"
        );
        assert!(
            !remarks(preset, &[("token", "x")])
                .join("\n")
                .contains("--secrets")
        );
    }
}
