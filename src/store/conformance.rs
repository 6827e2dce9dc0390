//! What every `Store` has to pass: one function a claim of the trait, given an empty store.

pub(crate) mod accept;
pub(crate) mod ageing;
pub(crate) mod connectors;
pub(crate) mod counting;
pub(crate) mod deliver;
pub(crate) mod random;

use serde_json::Value;
use zeroize::Zeroizing;

use super::{NewConnector, Retention, Store, StoredConnector};
use crate::model::{Case, Comment, PushId, PushState, Timestamp};
use crate::outbox::{Claim, ConnectorId, ExchangeSize, LinkChange, NewPush, Outcome, Progress};

/// One test a claim, for the store that `$with` makes and lends: `fn(&dyn Fn(&dyn Store))`.
macro_rules! conformance_suite {
    ($with:path) => {
        $crate::store::conformance::conformance_suite! { $with;
            connectors: stores_and_configures_anew, keeps_secrets_apart, removes_and_revives,
                refuses_to_remove_what_is_under_way, keeps_what_cancelled_pushes_opened, keeps_health_and_pause, warns_of_links_elsewhere;
            accept: keeps_a_case_whole, accepts_all_or_none, refuses_a_removed_connector, bounds_the_queue,
                coalesces_what_was_not_begun, coalesces_within_one_call, counts_occurrences, keeps_the_limits_of_a_push,
                does_not_reach_over_what_was_begun, lists_by_filter;
            deliver: claims_in_order_of_due_time, keeps_the_order_of_a_lane, begins_only_what_is_ready,
                ends_one_and_begins_another, records_every_field, drops_what_comes_after_a_cancel,
                links_and_marks, tells_who_was_overtaken, keeps_the_newest_attempts,
                puts_a_retried_push_first, puts_what_is_half_done_before_a_retried_push, decides_at_once, finds_the_interrupted;
            ageing: brings_a_due_time_forward, pulls_due_times_back, prunes_by_age_and_count, discards_only_failed, gives_no_number_twice,
                notes_the_drainer, says_closed_after_close;
            counting: counts_exchanges, remembers_what_is_gone;
            random: keeps_its_promises_at_random, works_from_many_threads;
        }
    };
    ($with:path; $($file:ident: $($name:ident),+;)+) => {
        $(mod $file {
            $(#[test]
            fn $name() {
                $with(&|store| $crate::store::conformance::$file::$name(store));
            })+
        })+
    };
}
pub(crate) use conformance_suite;

const TARGET: &str = "https://tracker.example";

const RETENTION: Retention = Retention {
    max_queued: 1_000_000,
    history_age: std::time::Duration::from_secs(3_600),
    history_count: 1_000,
};

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + millis)
}

fn document(name: &str) -> NewConnector<'_> {
    NewConnector {
        name,
        config: r#"{"a":1}"#,
        warnings: "[]",
        target: TARGET,
        secrets: None,
    }
}

fn secret(field: &str, text: &str) -> (String, Zeroizing<String>) {
    (field.to_owned(), Zeroizing::new(text.to_owned()))
}

fn connector(store: &dyn Store, name: &str) -> StoredConnector {
    store.put_connector(&document(name), at(0)).unwrap()
}

fn case(id: &str) -> Case {
    Case {
        title: format!("title of {id}"),
        description: None,
        id: Some(id.to_owned()).filter(|id| !id.is_empty()),
        severity: None,
        status: None,
        tags: Vec::new(),
        external_id: None,
        fields: serde_json::Map::<String, Value>::new(),
        comments: Vec::new(),
        traceparent: None,
    }
}

fn commented(id: &str, comments: &[(&str, &str)]) -> Case {
    let comments = comments.iter().map(|(id, text)| Comment {
        id: (*id).to_owned(),
        text: (*text).to_owned(),
    });
    Case {
        comments: comments.collect(),
        ..case(id)
    }
}

fn push(store: &dyn Store, connector: ConnectorId, case: Case, coalesce: bool, now: Timestamp) -> PushId {
    let push = NewPush {
        connector,
        revision: None,
        case,
        coalesce,
    };
    store.enqueue(vec![push], &RETENTION, now).unwrap()[0]
}

fn in_state(claim: &Claim, state: PushState) -> Progress {
    Progress {
        state,
        ..claim.push.progress.clone()
    }
}

fn outcome(progress: Progress) -> Outcome {
    Outcome {
        progress,
        comments: Vec::new(),
        marks: Vec::new(),
        link: LinkChange::Keep,
        left_behind: None,
        health: None,
        revision: None,
        attempt: None,
        size: ExchangeSize::default(),
    }
}

/// Begins a push and leaves it in `state`.
fn send(store: &dyn Store, id: PushId, state: PushState, now: Timestamp) {
    let claim = store.load(id).unwrap().unwrap();
    assert!(
        store.begin(id, &claim.push.progress, now).unwrap(),
        "{id} is ready"
    );
    let claim = store.load(id).unwrap().unwrap();
    store.record(id, &outcome(in_state(&claim, state)), now).unwrap();
}

fn decide(store: &dyn Store, id: PushId, state: PushState, now: Timestamp) {
    store
        .decide(id, now, &mut |claim| Ok(outcome(in_state(claim, state))))
        .unwrap();
}

fn state(store: &dyn Store, id: PushId) -> PushState {
    store.status(id).unwrap().unwrap().state
}

/// Every push of the connector that can be claimed, in the order of claiming.
fn claimable(store: &dyn Store, connector: ConnectorId, now: Timestamp) -> Vec<PushId> {
    let mut busy = Vec::new();
    while let Some(claim) = store.claim(connector, now, &busy).unwrap() {
        busy.push(claim.push.id);
    }
    busy
}
