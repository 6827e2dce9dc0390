//! By whose clock history ages.

use super::tests::{RETENTION, connector, open, outcome, server};
use super::*;
use crate::model::Step;

const YEAR: i64 = 365 * 24 * 3_600_000;

/// The clocks of two hosts that are a year behind and a year ahead.
fn clocks() -> [Timestamp; 2] {
    let now = Timestamp::from(std::time::SystemTime::now()).as_millis();
    [now - YEAR, now + YEAR].map(Timestamp::from_millis)
}

fn push(store: &PostgresStore, connector: ConnectorId, case: &str, now: Timestamp) -> PushId {
    let push = NewPush {
        connector,
        case: Case::new("title").id(case),
        coalesce: true,
        revision: None,
    };
    store.enqueue(vec![push], &RETENTION, now).unwrap()[0]
}

#[test]
fn pushes_are_as_old_as_the_server_says() {
    let Some(server) = server::shared() else { return };
    let schema = server.schema();
    let store = open(server, &schema);
    let connector = connector(&store);
    let [behind, ahead] = clocks();
    // All ways into the history.
    let ids = ["taken over", "taken over", "cancelled"].map(|case| push(&store, connector, case, behind));
    let mut cancel = |claim: &Claim| Ok(outcome(claim, PushState::Cancelled));
    store.decide(ids[2], behind, &mut cancel).unwrap();
    store
        .remove_connector("tracker", Undelivered::Cancel, behind)
        .unwrap();
    let left = || {
        let found = ids.map(|id| store.status(id).unwrap());
        found.into_iter().flatten().count()
    };
    for clock in [behind, ahead] {
        assert!(!store.prune(&RETENTION, clock).unwrap());
        assert_eq!(left(), 3, "nothing is an hour old");
    }
    server.sql(&format!(
        "UPDATE {schema}.pushes SET finished_at = finished_at - 3601000"
    ));
    store.prune(&RETENTION, behind).unwrap();
    assert_eq!(left(), 0);
}

#[test]
fn the_log_is_as_old_as_the_server_says() {
    let Some(server) = server::shared() else { return };
    let schema = server.schema();
    let store = open(server, &schema);
    let connector = connector(&store);
    let [behind, ahead] = clocks();
    let id = push(&store, connector, "c", behind);
    let claim = store.claim(connector, behind, &[]).unwrap().unwrap();
    assert!(store.begin(id, &claim.push.progress, behind).unwrap());
    let mut failed = outcome(&claim, PushState::Waiting);
    failed.attempt = Some(Attempt {
        push: id,
        at: behind,
        duration_ms: 1,
        step: Step::Create,
        method: None,
        url: None,
        http_status: None,
        class: None,
        message: String::new(),
    });
    assert!(store.record(id, &failed, behind).unwrap());
    for clock in [behind, ahead] {
        store.prune(&RETENTION, clock).unwrap();
        assert_eq!(store.attempts(id).unwrap().len(), 1, "it is not an hour old");
    }
    server.sql(&format!(
        "UPDATE {schema}.attempts SET logged_server_ms = logged_server_ms - 3601000"
    ));
    store.prune(&RETENTION, behind).unwrap();
    assert_eq!(store.attempts(id).unwrap(), []);
}
