//! That no statement gets slower with the number of pushes. Connectors are few.

use super::tests::{NOW, RETENTION, connector, pushes, temp_store};
use super::*;

/// Every statement that runs per push or per turn works on an index range, with 100,000 pushes queued.
#[test]
fn nothing_is_scanned_or_sorted() {
    let (_dir, store) = temp_store();
    let id = connector(&store, &[]).unwrap().id;
    let new = pushes(id, (0..100_000).map(|n| format!("case {n}")));
    store.enqueue(new, &RETENTION, NOW).unwrap();
    assert_eq!(store.counts().unwrap()[0].by_state[0], 100_000);
    let statements = [
        (claim::CLAIM, "pushes_ready"),
        (claim::CLAIM, "pushes_lane"),
        (claim::LOAD, "pushes_lane"),
        (claim::INTERRUPTED, "pushes_state"),
        (claim::CLAMP, "pushes_ready"),
        (super::connectors::PULL, "pushes_ready"),
        (record::PLACE, "pushes_lane"),
        (record::LANE_HEAD, "pushes_lane"),
        (record::LANE_LEADER, "pushes_leads"),
        (record::LANE_SENDING, "pushes_state"),
        (enqueue::LANE_TAIL, "pushes_lane"),
        (history::PRUNE_AGED, "pushes_finished"),
        (history::PRUNE_OLDEST, "pushes_finished"),
        (history::OLDEST, "pushes_state"),
        (history::OLDEST_TRIED, "pushes_state"),
        (history::OLDEST_UNTRIED, "pushes_ready"),
        (history::READY, "pushes_ready"),
        (read::LIST_ALL, "INTEGER PRIMARY KEY"),
        (read::LIST_STATE, "pushes_state"),
        (read::LIST_QUEUED, "INTEGER PRIMARY KEY"),
        (read::LIST_CASE, "pushes_lane"),
    ];
    for analysed in [false, true] {
        if analysed {
            // Statistics that somebody gathers must not change the plans for the worse.
            store
                .db
                .with_writer(|conn| Ok(conn.execute_batch("ANALYZE")?))
                .unwrap();
        }
        for (sql, index) in statements {
            let plan = store.db.with_writer(|conn| plan(conn, sql)).unwrap();
            assert!(plan.contains(index), "{sql}\n{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
            let of_many = |line: &&str| line.starts_with("SCAN") && *line != "SCAN c";
            for scan in plan.lines().filter(of_many) {
                // In the order of the index, and ended by its LIMIT.
                let bounded = sql == history::PRUNE_OLDEST && scan.contains("pushes_finished");
                assert!(bounded, "{sql}\n{plan}");
            }
        }
        for sql in [history::UNCOUNTED, enqueue::UNDELIVERED] {
            let plan = store.db.with_writer(|conn| plan(conn, sql)).unwrap();
            assert!(
                plan.contains("SEARCH pushes USING INTEGER PRIMARY KEY (rowid>?)"),
                "{sql}\n{plan}"
            );
        }
    }
}

pub(super) fn plan(conn: &Connection, sql: &str) -> Sql<String> {
    let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
    for n in 1..=statement.parameter_count() {
        statement.raw_bind_parameter(n, 1)?;
    }
    let mut rows = statement.raw_query();
    let mut lines = Vec::new();
    while let Some(row) = rows.next()? {
        lines.push(row.get::<_, String>(3)?);
    }
    Ok(lines.join("\n"))
}
