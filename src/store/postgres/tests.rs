//! What is PostgreSQL's own: the suite on a real server, leases, fences, commits that were not answered.

use super::*;
use crate::store::conformance::conformance_suite;

#[path = "../../../tests/support/postgres.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "shared with test programs that use more of it"
)]
pub(in crate::store) mod server;

/// A store in a schema of its own.
pub(super) fn open(server: &server::Server, schema: &str) -> PostgresStore {
    let key = KeySource::Given(Zeroizing::new([7; 32]));
    PostgresStore::open(&server.url(schema), key, &TlsPolicy::default()).unwrap()
}

fn with_store(check: &dyn Fn(&dyn Store)) {
    if let Some(server) = server::shared() {
        let store = open(server, &server.schema());
        check(&store);
    }
}

conformance_suite!(super::with_store);

pub(super) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub(super) const RETENTION: Retention = Retention {
    max_queued: 1_000_000,
    history_age: Duration::from_secs(3_600),
    history_count: 1_000,
};

pub(super) fn connector(store: &dyn Store) -> ConnectorId {
    let connector = NewConnector {
        name: "tracker",
        config: "{}",
        warnings: "[]",
        target: "https://tracker.example",
        secrets: None,
    };
    store.put_connector(&connector, NOW).unwrap().id
}

pub(super) fn push(store: &dyn Store, connector: ConnectorId, case: &str) -> PushId {
    let push = NewPush {
        connector,
        case: Case::new("title").id(case),
        coalesce: true,
        revision: None,
    };
    store.enqueue(vec![push], &RETENTION, NOW).unwrap()[0]
}

pub(super) fn outcome(claim: &Claim, state: PushState) -> Outcome {
    Outcome {
        progress: Progress {
            state,
            begun: true,
            ..claim.push.progress.clone()
        },
        comments: Vec::new(),
        marks: Vec::new(),
        link: crate::outbox::LinkChange::Keep,
        left_behind: None,
        health: None,
        revision: None,
        attempt: None,
        size: crate::outbox::ExchangeSize::default(),
    }
}

/// Makes the others believe that nothing was heard of this host for longer than its lease.
fn silence(server: &server::Server, schema: &str, host: &PostgresStore) {
    let id = host.lease.number().unwrap();
    server.sql(&format!("DELETE FROM {schema}.drainers WHERE id = {id}"));
}

#[test]
fn one_push_is_never_in_two_hands() {
    let Some(server) = server::shared() else { return };
    let schema = server.schema();
    let (a, b) = (open(server, &schema), open(server, &schema));
    let connector = connector(&a);
    let ids: Vec<PushId> = (0..3).map(|n| push(&a, connector, &n.to_string())).collect();
    let first = a.claim(connector, NOW, &[]).unwrap().unwrap();
    let second = b.claim(connector, NOW, &[]).unwrap().unwrap();
    assert_eq!([first.push.id, second.push.id], [ids[0], ids[1]]);
    assert!(
        !b.begin(ids[0], &first.push.progress, NOW).unwrap(),
        "the other has it"
    );
    assert!(a.begin(ids[0], &first.push.progress, NOW).unwrap());
    assert_eq!(b.interrupted().unwrap(), [], "its host lives");
}

#[test]
fn a_claim_is_void_once_an_older_push_of_its_case_went_before_it() {
    let Some(server) = server::shared() else { return };
    let schema = server.schema();
    let (a, b) = (open(server, &schema), open(server, &schema));
    let connector = connector(&a);
    let older = push(&a, connector, "c");
    let failed = a.claim(connector, NOW, &[]).unwrap().unwrap();
    assert!(a.begin(older, &failed.push.progress, NOW).unwrap());
    assert!(
        a.record(older, &outcome(&failed, PushState::Failed), NOW)
            .unwrap()
    );
    let newer = push(&a, connector, "c");
    let stale = a.claim(connector, NOW, &[]).unwrap().unwrap();
    assert_eq!(stale.push.id, newer);
    // While A makes ready to send it, the older one is retried, and opens the incident of the case.
    b.decide(older, NOW, &mut |claim| Ok(outcome(claim, PushState::Queued)))
        .unwrap();
    let claim = b.claim(connector, NOW, &[]).unwrap().unwrap();
    assert_eq!(claim.push.id, older);
    assert!(b.begin(older, &claim.push.progress, NOW).unwrap());
    assert!(
        b.record(older, &outcome(&claim, PushState::Delivered), NOW)
            .unwrap()
    );
    assert!(
        !a.begin(newer, &stale.push.progress, NOW).unwrap(),
        "what A knows of the case is from before that"
    );
}

#[test]
fn an_outcome_counts_until_others_went_on_with_the_push() {
    let Some(server) = server::shared() else { return };
    let schema = server.schema();
    let (a, b) = (open(server, &schema), open(server, &schema));
    let connector = connector(&a);
    let id = push(&a, connector, "c");
    let claim = a.claim(connector, NOW, &[]).unwrap().unwrap();
    assert!(a.begin(id, &claim.push.progress, NOW).unwrap());
    silence(server, &schema, &a);
    // B judges it; A's answer comes late, and is the truth about the only request there was.
    assert_eq!(b.interrupted().unwrap(), [id]);
    let seen = b.load(id).unwrap().unwrap();
    assert!(b.record(id, &outcome(&seen, PushState::Waiting), NOW).unwrap());
    assert!(a.record(id, &outcome(&claim, PushState::Held), NOW).unwrap());
    assert_eq!(b.status(id).unwrap().unwrap().state, PushState::Held);

    let a = open(server, &schema);
    let id = push(&a, connector, "d");
    let claim = a.claim(connector, NOW, &[]).unwrap().unwrap();
    assert!(a.begin(id, &claim.push.progress, NOW).unwrap());
    silence(server, &schema, &a);
    assert_eq!(b.interrupted().unwrap(), [id]);
    let seen = b.load(id).unwrap().unwrap();
    assert!(b.record(id, &outcome(&seen, PushState::Waiting), NOW).unwrap());
    // B sends it again: what A has to say is about a request that no longer counts.
    let again = b.claim(connector, NOW, &[]).unwrap().unwrap();
    assert!(b.begin(id, &again.push.progress, NOW).unwrap());
    assert!(!a.record(id, &outcome(&claim, PushState::Delivered), NOW).unwrap());
    assert_eq!(b.status(id).unwrap().unwrap().state, PushState::Sending);
    assert!(b.record(id, &outcome(&again, PushState::Delivered), NOW).unwrap());
}

#[test]
fn a_judgement_does_not_overwrite_the_answer_that_came_before_it() {
    let Some(server) = server::shared() else { return };
    let schema = server.schema();
    let (a, b) = (open(server, &schema), open(server, &schema));
    let connector = connector(&a);
    let id = push(&a, connector, "c");
    let claim = a.claim(connector, NOW, &[]).unwrap().unwrap();
    assert!(a.begin(id, &claim.push.progress, NOW).unwrap());
    silence(server, &schema, &a);
    assert_eq!(b.interrupted().unwrap(), [id]);
    let seen = b.load(id).unwrap().unwrap();
    assert!(a.record(id, &outcome(&claim, PushState::Held), NOW).unwrap());
    assert!(!b.record(id, &outcome(&seen, PushState::Waiting), NOW).unwrap());
    assert_eq!(b.status(id).unwrap().unwrap().state, PushState::Held);
}

#[test]
fn a_lease_that_runs_out_frees_what_was_in_hand_but_not_right_after_a_restart() {
    let Some(server) = server::Server::start(&["fsync=off"]) else {
        return;
    };
    let schema = server.schema();
    let (a, b) = (open(&server, &schema), open(&server, &schema));
    let connector = connector(&a);
    let id = push(&a, connector, "c");
    let claim = a.claim(connector, NOW, &[]).unwrap().unwrap();
    assert!(a.begin(id, &claim.push.progress, NOW).unwrap());
    let me = a.lease.number().unwrap();
    a.close().unwrap();
    let past = format!(
        "UPDATE {schema}.drainers SET lease_until = clock_timestamp() - interval '1 second' WHERE id = {me}"
    );
    server.sql(&past);
    assert_eq!(
        b.interrupted().unwrap(),
        [],
        "nobody could renew before the server was there"
    );
    // As if the server had been up for longer than a lease.
    b.pool
        .write(|conn| {
            conn.run(
                "UPDATE drainers SET lease_until = lease_until WHERE id = $1",
                &[&me],
            )?;
            claim::interrupted(conn, b.lease.number().unwrap(), Duration::ZERO)
        })
        .map(|found| assert_eq!(found.len(), 1))
        .unwrap();
}

#[test]
fn limits_and_moments_to_send_are_shared() {
    let Some(server) = server::shared() else { return };
    let schema = server.schema();
    let (a, b) = (open(server, &schema), open(server, &schema));
    let connector = connector(&a);
    for n in 0..5 {
        push(&a, connector, &n.to_string());
    }
    let limits = Limits {
        max_in_flight: 2,
        min_interval: Duration::ZERO,
    };
    for store in [&a, &b] {
        store.acts_on(connector, limits, &Health::default());
    }
    let first = a.claim(connector, NOW, &[]).unwrap().unwrap();
    assert!(a.begin(first.push.id, &first.push.progress, NOW).unwrap());
    let second = b.claim(connector, NOW, &[]).unwrap().unwrap();
    assert!(
        b.claim(connector, NOW, &[second.push.id]).unwrap().is_none(),
        "two are under way"
    );
    assert_eq!(b.next_due(connector, &[second.push.id]).unwrap(), None);
    assert!(
        a.record(first.push.id, &outcome(&first, PushState::Delivered), NOW)
            .unwrap()
    );
    assert!(b.claim(connector, NOW, &[second.push.id]).unwrap().is_some());

    let slow = Limits {
        max_in_flight: 9,
        min_interval: Duration::from_secs(3_600),
    };
    for store in [&a, &b] {
        store.acts_on(connector, slow, &Health::default());
    }
    assert!(
        a.claim(connector, NOW, &[]).unwrap().is_some(),
        "the first moment is free"
    );
    assert!(b.claim(connector, NOW, &[]).unwrap().is_none());
    assert!(
        b.take_turn(connector)
            .unwrap()
            .is_some_and(|wait| wait > Duration::from_secs(3_000))
    );
}

#[test]
fn a_claim_that_nobody_knows_of_is_free_again() {
    let Some(server) = server::shared() else { return };
    let schema = server.schema();
    let (a, b) = (open(server, &schema), open(server, &schema));
    let connector = connector(&a);
    let id = push(&a, connector, "c");
    let limits = Limits {
        max_in_flight: 1,
        min_interval: Duration::ZERO,
    };
    for store in [&a, &b] {
        store.acts_on(connector, limits, &Health::default());
    }
    // As if the answer to the claim had been lost.
    let me = a.lease.me(&a.pool).unwrap();
    server.sql(&format!(
        "UPDATE {schema}.pushes SET owner = {me}, probing = true"
    ));
    assert!(b.claim(connector, NOW, &[]).unwrap().is_none());
    assert_eq!(a.interrupted().unwrap(), []);
    assert_eq!(b.claim(connector, NOW, &[]).unwrap().unwrap().push.id, id);
    assert_eq!(b.interrupted().unwrap(), []);
    assert!(
        a.claim(connector, NOW, &[]).unwrap().is_none(),
        "the other has it in hand"
    );
}

#[test]
fn a_change_is_seen_that_began_before_one_that_was_seen() {
    let Some(server) = server::shared() else { return };
    let schema = server.schema();
    let (a, b) = (open(server, &schema), open(server, &schema));
    connector(&a);
    let other = NewConnector {
        name: "other",
        config: "{}",
        warnings: "[]",
        target: "https://other.example",
        secrets: None,
    };
    a.put_connector(&other, NOW).unwrap();
    let mut seen = 0;
    let changed = b.pool.write(|conn| {
        super::connectors::set_paused(conn, "tracker", true, NOW)?;
        a.set_paused("other", true, NOW)?;
        seen = a.data_version()?;
        Ok(())
    });
    changed.unwrap();
    assert_ne!(a.data_version().unwrap(), seen);
}

#[test]
fn many_changes_in_one_transaction_are_counted_in_many_places() {
    let Some(server) = server::shared() else { return };
    let schema = server.schema();
    let store = open(server, &schema);
    let connector = connector(&store);
    for n in 0..3 {
        push(&store, connector, &format!("one-{n}"));
    }
    let spread = format!("SELECT count(*) FROM {schema}.counters WHERE shard >> 32 <> 0");
    assert_eq!(server.sql(&spread), "0", "each counts from the beginning");
    const MANY: usize = 25_000;
    server.sql(&format!(
        "SET search_path TO {schema}; \
         INSERT INTO pushes (connector_id, lane, state, ready, created_at, updated_at, due_at) \
         SELECT {}, 'c:' || n, 'queued', true, n, n, n FROM generate_series(1, {MANY}) AS n",
        connector.0
    ));
    let sum = |state: &str| {
        let sql = format!("SELECT sum(n) FROM {schema}.counters WHERE state = '{state}'");
        server.sql(&sql).parse::<usize>().unwrap()
    };
    assert_eq!(sum("queued"), MANY + 3);
    store
        .remove_connector("tracker", Undelivered::Cancel, NOW)
        .unwrap();
    assert_eq!((sum("queued"), sum("cancelled")), (0, MANY + 3));
    let most = format!("SELECT max(abs(n)) <= 64 FROM {schema}.counters");
    assert_eq!(server.sql(&most), "t");
    let all = Retention {
        history_count: u64::MAX,
        ..RETENTION
    };
    store.prune(&all, NOW).unwrap();
    assert_eq!((sum("queued"), sum("cancelled")), (0, MANY + 3));
    assert_eq!(server.sql(&spread), "0", "added up");
}

#[test]
fn what_two_hosts_learn_at_once_is_kept_of_both() {
    let Some(server) = server::shared() else { return };
    let schema = server.schema();
    let (a, b) = (open(server, &schema), open(server, &schema));
    let connector = connector(&a);
    let limits = Limits {
        max_in_flight: 9,
        min_interval: Duration::ZERO,
    };
    for store in [&a, &b] {
        store.acts_on(connector, limits, &Health::default());
    }
    let mut claims = Vec::new();
    for store in [&a, &b] {
        let id = push(store, connector, &claims.len().to_string());
        let claim = store.claim(connector, NOW, &[]).unwrap().unwrap();
        assert!(store.begin(id, &claim.push.progress, NOW).unwrap());
        claims.push(claim);
    }
    let until = NOW.plus(Duration::from_secs(9));
    let mut throttled = outcome(&claims[0], PushState::Waiting);
    throttled.health = Some(Health {
        throttled_until: Some(until),
        ..Health::default()
    });
    assert!(a.record(claims[0].push.id, &throttled, NOW).unwrap());
    let mut offline = outcome(&claims[1], PushState::Waiting);
    let trouble = crate::outbox::Trouble {
        reason: "refused".into(),
        probes: 1,
        probe_at: until,
    };
    offline.health = Some(Health {
        offline: Some(trouble.clone()),
        ..Health::default()
    });
    assert!(b.record(claims[1].push.id, &offline, NOW).unwrap());
    let health = a.connector("tracker").unwrap().unwrap().health;
    assert_eq!(
        (health.throttled_until, health.offline),
        (Some(until), Some(trouble))
    );
    assert!(
        a.claim(connector, NOW, &[]).unwrap().is_none(),
        "not before either has passed"
    );
}

#[test]
fn secrets_need_a_key_that_the_host_gives_and_never_lie_in_the_open() {
    let Some(server) = server::shared() else { return };
    let schema = server.schema();
    let store = open(server, &schema);
    let with = |text: &str| NewConnector {
        name: "tracker",
        config: "{}",
        warnings: "[]",
        target: "https://tracker.example",
        secrets: Some(vec![("password".to_owned(), Zeroizing::new(text.to_owned()))]),
    };
    let id = store.put_connector(&with("hunter2-of-the-test"), NOW).unwrap().id;
    let stored = server.sql(&format!(
        "SELECT encode(ciphertext, 'escape') FROM {schema}.secrets"
    ));
    assert!(!stored.contains("hunter2"));
    let other = KeySource::Given(Zeroizing::new([8; 32]));
    let wrong = PostgresStore::open(&server.url(&schema), other, &TlsPolicy::default()).unwrap();
    assert_eq!(wrong.secrets(id).unwrap_err().kind(), ErrorKind::Key);
    assert_eq!(
        wrong.put_connector(&with("x"), NOW).unwrap_err().kind(),
        ErrorKind::Key
    );
    assert_eq!(store.secrets(id).unwrap()[0].1.as_str(), "hunter2-of-the-test");
    assert_eq!(
        store.rekey(None).unwrap_err().kind(),
        ErrorKind::Argument,
        "there is no key file"
    );
    let new = Zeroizing::new([8; 32]);
    assert_eq!(wrong.rekey(Some(new.clone())).unwrap_err().kind(), ErrorKind::Key);
    store.rekey(Some(new)).unwrap();
    for store in [&store, &wrong] {
        assert_eq!(store.secrets(id).unwrap()[0].1.as_str(), "hunter2-of-the-test");
    }
    let old = open(server, &schema);
    assert_eq!(old.secrets(id).unwrap_err().kind(), ErrorKind::Key);
}

#[test]
fn claiming_reads_an_index_and_not_the_queue() {
    let Some(server) = server::shared() else { return };
    let schema = server.schema();
    let store = open(server, &schema);
    let connector = connector(&store);
    server.sql(&format!(
        "SET search_path TO {schema}; \
         INSERT INTO pushes (connector_id, lane, state, ready, created_at, updated_at, due_at) \
         SELECT {}, 'c:' || n, 'queued', true, n, n, n FROM generate_series(1, 20000) AS n; ANALYZE pushes",
        connector.0
    ));
    for (name, sql) in [("claim", claim::FIRST_READY), ("next_due", claim::NEXT_DUE)] {
        let sql = sql
            .replace("ALL ($4)", "ALL ('{}')")
            .replace("ALL ($3)", "ALL ('{}')")
            .replace("$1", &connector.0.to_string())
            .replace("p.due_at <= $2", "p.due_at <= 99999")
            .replace("$3", "1")
            .replace("$2", "1");
        let plan = server.sql(&format!("SET search_path TO {schema}; EXPLAIN {sql}"));
        assert!(
            plan.contains("pushes_ready") && !plan.contains("Seq Scan on pushes"),
            "{name}: {plan}"
        );
        assert!(!plan.contains("Sort"), "{name}: {plan}");
    }
}
