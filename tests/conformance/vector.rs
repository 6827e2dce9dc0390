//! A vector as it stands in its file.

use serde_json::Value;

/// One measured exchange.
#[derive(Debug)]
pub(crate) struct Vector {
    /// Its place in the file.
    pub(crate) place: usize,
    pub(crate) name: String,
    pub(crate) rule: Option<String>,
    pub(crate) ours: Option<String>,
    pub(crate) config: Value,
    pub(crate) secrets: Value,
    pub(crate) settings: Value,
    pub(crate) params: Params,
    pub(crate) server: Value,
    pub(crate) expect: Value,
    /// The whole of it as text, to look for tokens.
    pub(crate) text: String,
}

/// What is pushed.
#[derive(Debug)]
pub(crate) enum Params {
    /// The `params` object.
    Plain(Value),
    /// The object around it; only `pushToService` is one that casehook knows.
    Raw(Value),
}

/// Reads a family's file.
pub(crate) fn read(text: &str) -> Vec<Vector> {
    let all: Vec<Value> = serde_json::from_str(text).expect("a family is an array of vectors");
    all.into_iter()
        .enumerate()
        .map(|(place, value)| vector(place, &value))
        .collect()
}

fn vector(place: usize, value: &Value) -> Vector {
    let word = |name: &str| value[name].as_str().map(str::to_owned);
    Vector {
        place,
        name: word("name").expect("a name"),
        rule: word("rule"),
        ours: word("ours"),
        config: value["config"].clone(),
        secrets: value["secrets"].clone(),
        settings: value["settings"].clone(),
        params: match value.get("raw_params") {
            Some(raw) => Params::Raw(raw.clone()),
            None => Params::Plain(value["params"].clone()),
        },
        server: value["server"].clone(),
        expect: value["expect"].clone(),
        text: value.to_string(),
    }
}
