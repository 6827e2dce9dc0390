//! The connectors whose pushes are tortured: they differ in what becomes of an uncertain create.

use casehook::Connector;
use serde_json::json;

/// The connector of this name for the target at `base`.
pub fn to(base: &str, lane: &str) -> Connector {
    let body = r#"{"caseId":{{{case.id}}},"version":{{{case.title}}},"description":{{{case.description}}}}"#;
    let one = format!("{base}/{lane}/issues/{{{{{{external.system.id}}}}}}");
    let mut config = json!({
        "createIncidentUrl": format!("{base}/{lane}/issues"),
        "createIncidentJson": body,
        "createIncidentResponseKey": "id",
        "getIncidentUrl": one,
        "getIncidentResponseExternalTitleKey": "key",
        "viewIncidentUrl": one,
        "updateIncidentUrl": one,
        "updateIncidentJson": body,
        "createCommentUrl": format!("{one}/comments"),
        "createCommentMethod": "post",
        "createCommentJson": r#"{"id":{{{case.commentId}}},"body":{{{case.comment}}}}"#,
        "hasAuth": false,
        "retry": {"baseMs": 1, "capMs": 20},
        "findSettleMs": 20,
    });
    match lane {
        "find" => {
            config["findIncidentUrl"] = json!(format!("{base}/{lane}/issues?q={{{{{{case.id}}}}}}"));
            config["findIncidentResponseKey"] = json!("issues[].id");
        }
        "hold" => config["onUncertainCreate"] = json!("hold"),
        "alone" => {
            config["onUncertainCreate"] = json!("retry");
            config["maxInFlight"] = json!(1);
        }
        _ => config["onUncertainCreate"] = json!("retry"),
    }
    Connector::from_json(&json!({ "config": config }).to_string()).unwrap()
}
