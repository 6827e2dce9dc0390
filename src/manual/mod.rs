//! Chapters for people who run casehook, beside the reference of its types.
//!
//! New here: [concepts], then [delivery]. Running it: [operations], [networking], [upgrade]. From other places: [ffi] for
//! C and Python, [kibana] for connectors that exist already.
//!
#![doc = include_str!("figures/flow.svg")]

#[doc = include_str!("concepts.md")]
pub mod concepts {}

#[doc = include_str!("connector.md")]
pub mod connector {}

#[doc = include_str!("delivery.md")]
pub mod delivery {}

#[doc = include_str!("networking.md")]
pub mod networking {}

#[doc = include_str!("postgres.md")]
pub mod postgres {}

#[doc = include_str!("operations.md")]
#[doc = "```text"]
#[doc = include_str!("monitoring/alerts.yml")]
#[doc = "```"]
#[doc = include_str!("tracing.md")]
pub mod operations {}

#[doc = include_str!("ffi.md")]
pub mod ffi {}

#[doc = include_str!("upgrade.md")]
pub mod upgrade {}

#[doc = include_str!("kibana.md")]
pub mod kibana {}

#[doc = include_str!("security.md")]
pub mod security {}

#[cfg(test)]
mod tests {
    use crate::advice::RULES;
    use crate::connector::Connector;
    use crate::connector::fields::{FIELDS, SECRETS};
    use crate::connector::table::{Field, Kind, Need};

    const CHAPTER: &str = include_str!("connector.md");

    fn rows(fields: &[Field], prefix: &str) {
        for field in fields {
            let name = format!("| `{prefix}{}` |", field.name);
            let row = CHAPTER.lines().find(|line| line.starts_with(&name));
            let row = row.unwrap_or_else(|| panic!("no row {name}"));
            let without = match field.need {
                Need::Required => "required",
                Need::Optional => "optional",
                Need::Default(what)
                | Need::NullOr(what)
                | Need::Extension(what)
                | Need::OptionalOrNull(what) => what,
            };
            let cells = [
                format!("{name} {without} | {} |", field.meaning),
                format!("{name} `{without}` | {} |", field.meaning),
            ];
            assert!(cells.iter().any(|cell| row == cell), "{row} is not {}", cells[1]);
            if let (Kind::Object(inner), "retry" | "timeouts" | "tls") = (&field.kind, field.name) {
                rows(inner, &format!("{}.", field.name));
            }
        }
    }

    #[test]
    fn the_chapter_on_connectors_has_every_field_and_mistake() {
        rows(FIELDS, "");
        rows(SECRETS, "");
        for rule in RULES {
            assert!(
                CHAPTER.contains(&format!("| {} | {} |", rule.mistake, rule.sign)),
                "{}",
                rule.mistake
            );
        }
    }

    /// Each example is laid over a plain connector, and taken.
    #[test]
    fn the_examples_of_the_chapter_are_connectors() {
        let plain = serde_json::json!({
            "createIncidentUrl": "https://h.example/issues",
            "createIncidentJson": "{\"title\":{{{case.title}}}}",
            "createIncidentResponseKey": "id",
            "getIncidentUrl": "https://h.example/issues/{{{external.system.id}}}",
            "getIncidentResponseExternalTitleKey": "title",
            "viewIncidentUrl": "https://h.example/issues/{{{external.system.id}}}",
            "updateIncidentUrl": "https://h.example/issues/{{{external.system.id}}}",
            "updateIncidentJson": "{\"title\":{{{case.title}}}}",
            "hasAuth": false,
        });
        let mut examples = 0;
        for block in CHAPTER.split("```json\n").skip(1) {
            let text = block.split("```").next().unwrap();
            let example: serde_json::Value =
                serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
            let mut config = plain.clone();
            for (name, value) in example.as_object().unwrap() {
                config[name] = value.clone();
            }
            let connector = Connector::from_json(&config.to_string());
            connector.unwrap_or_else(|error| panic!("{error}: {text}"));
            examples += 1;
        }
        assert!(examples >= 14, "{examples}");
    }
}
