//! What is refused of an imported document, with the reason and what would be right.

use serde_json::{Map, Value};

use crate::connector::{Connector, Warning};
use crate::error::Error;

/// Every refusal, that of the whole document among them.
pub(super) fn all(
    whole: Option<Error>,
    config: Map<String, Value>,
    secrets: Option<Map<String, Value>>,
) -> Vec<Warning> {
    let mut list: Vec<Warning> = Connector::refusals(config, secrets).iter().map(told).collect();
    let whole = whole.as_ref().map(told).filter(|whole| !list.contains(whole));
    list.splice(0..0, whole);
    list
}

/// Whether a refusal is about what stands elsewhere: the same value, one that holds it, or one in it.
pub(super) fn of_one(open: &Warning, refused: &Warning) -> bool {
    let (open, refused) = (steps(&open.field), steps(&refused.field));
    open.iter().zip(&refused).all(|(open, refused)| open == refused)
}

/// What is wrong and would be right, and what comes of it in Kibana.
fn told(error: &Error) -> Warning {
    let message = error.message();
    Warning {
        field: error.field().unwrap_or("connector").to_owned(),
        message: match error.why() {
            Some(why) => format!("{message}; {why}"),
            None => message.to_owned(),
        },
    }
}

/// The names of a path: those of `config.headers["X-Key"]` are the same as those of `config.headers.X-Key`.
fn steps(path: &str) -> Vec<String> {
    let plain = path.replace("[\"", ".").replace("\"]", "");
    plain.split('.').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_of_what_it_holds_and_stands_in() {
        let at = |field: &str| Warning {
            field: field.to_owned(),
            message: String::new(),
        };
        for (open, refused, one) in [
            ("config.createIncidentUrl", "config.createIncidentUrl", true),
            ("config", "config.hasAuth", true),
            ("config.headers.X-Key", "config.headers[\"X-Key\"]", true),
            ("config.headers.X-Key", "config.headers", true),
            ("config.headers.X-Key", "config.headers[\"X-Other\"]", false),
            ("config.createIncidentUrl", "config.createIncidentJson", false),
            ("secrets.password", "config.hasAuth", false),
            ("name", "name", true),
        ] {
            assert_eq!(of_one(&at(open), &at(refused)), one, "{open} {refused}");
        }
    }
}
