//! Runs one vector through the public API against a scripted server of its own.

use std::time::Duration;

use casehook::{Agent, Case, CommentState, Connector, Options, PushState, Settings};
use serde_json::{Map, Value, json};

use crate::support::http::Received;
use crate::support::scripted::{self, Scripted};
use crate::support::temp_dir;
use crate::support::tls::Tls;
use crate::vector::{Params, Vector};

/// Longer than any vector needs; a push that takes it is one that hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// What happened.
pub(crate) struct Outcome {
    /// The vector's `expect`, its tokens replaced.
    pub(crate) expect: Value,
    pub(crate) received: Vec<Received>,
    pub(crate) end: End,
    /// `config_json` of the connector, where one was made.
    pub(crate) stored: Option<Value>,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// Refused at configure.
    Configure(String),
    /// Refused by the push call.
    Params(String),
    /// Accepted, and given up or held.
    Failed(String),
    Delivered(Delivered),
    /// Anything else, which no vector expects.
    Odd(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivered {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) url: String,
    /// Id and state of each comment, in order.
    pub(crate) comments: Vec<(String, CommentState)>,
}

/// Runs it; an error says what the vector needs and this run cannot give.
pub(crate) fn run(vector: &Vector) -> Result<Outcome, &'static str> {
    let tls = vector.text.contains("__TLS").then(|| {
        Tls::new(
            include_bytes!("vectors/tls-files/server.pem"),
            include_bytes!("vectors/tls-files/server.key"),
        )
    });
    let server = Scripted::start_with([], tls);
    if let Some(lacking) = server.lacking(&vector.text) {
        return Err(lacking);
    }
    let fill = |value: &Value| -> Value {
        serde_json::from_str(&server.fill(&value.to_string())).expect("tokens stand in strings")
    };
    server.extend(
        fill(&vector.server)
            .as_array()
            .into_iter()
            .flatten()
            .map(scripted::line),
    );
    let mut stored = None;
    let end = push(vector, &fill, &mut stored).unwrap_or_else(|end| end);
    Ok(Outcome {
        expect: fill(&vector.expect),
        received: server.received(),
        end,
        stored,
    })
}

fn push(vector: &Vector, fill: &dyn Fn(&Value) -> Value, stored: &mut Option<Value>) -> Result<End, End> {
    let refused = |e: casehook::Error| End::Configure(e.to_string());
    let directory = temp_dir();
    let settings =
        Settings::from_json(&settings(&vector.settings).to_string()).map_err(|e| End::Odd(e.to_string()))?;
    let options = Options::new().settings(settings).key([7; 32]).workers(1);
    let agent =
        Agent::open(directory.path().join("cases.db"), options).map_err(|e| End::Odd(e.to_string()))?;

    let mut config = fill(&vector.config);
    if let Some(config) = config.as_object_mut() {
        config.insert("retry".to_owned(), json!({"maxAttempts": 1}));
    }
    let secrets = fill(&vector.secrets);
    let connector =
        Connector::from_parts(&config.to_string(), Some(&secrets.to_string())).map_err(refused)?;
    agent.configure("vector", &connector).map_err(refused)?;
    *stored = serde_json::from_str(&connector.config_json()).ok();

    let params = match &vector.params {
        Params::Plain(params) => fill(params),
        Params::Raw(raw) if raw["subAction"] == "pushToService" => fill(&raw["subActionParams"]),
        Params::Raw(_) => return Err(End::Params("not a push".to_owned())),
    };
    let refused = |e: casehook::Error| End::Params(e.to_string());
    let case = Case::from_json(&params.to_string()).map_err(refused)?;
    let id = agent.push("vector", &case).map_err(refused)?;
    let status = agent
        .wait(id, PATIENCE)
        .map_err(|e| End::Odd(format!("wait: {e}")))?;
    let _ = agent.close(Duration::from_secs(5));
    Ok(match status.state {
        PushState::Delivered => End::Delivered(Delivered {
            id: status.external_id.unwrap_or_default(),
            title: status.external_title.unwrap_or_default(),
            url: status.external_url.unwrap_or_default(),
            comments: status
                .comments
                .into_iter()
                .map(|c| (c.comment_id, c.state))
                .collect(),
        }),
        PushState::Failed | PushState::Held => {
            let why = status.error.map(|e| format!("{}: {}", e.code, e.message));
            End::Failed(why.unwrap_or_else(|| "no error is told".to_owned()))
        }
        other => End::Odd(format!("the push is {other}")),
    })
}

fn settings(vector: &Value) -> Value {
    let mut settings = Map::new();
    let mut carry = |from: &str, to: &str, turn: &dyn Fn(&Value) -> Value| {
        if let Some(value) = vector.get(from) {
            settings.insert(to.to_owned(), turn(value));
        }
    };
    carry("allowedHosts", "allowedHosts", &Value::clone);
    carry("maxContentLength", "maxResponseContentLength", &Value::clone);
    carry("timeoutMs", "responseTimeout", &|ms| json!(format!("{ms}ms")));
    Value::Object(settings)
}
