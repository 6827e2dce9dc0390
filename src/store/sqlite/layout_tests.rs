//! How pushes lie in the file, and that no statement gets slower with their number. Connectors are few.

use std::fs;

use super::tests::{NOW, RETENTION, TempDir, connector, open, pushes, temp_store};
use super::*;

#[test]
fn a_small_case_stands_in_the_row_of_its_push() {
    let (_dir, store) = temp_store();
    let connector = connector(&store, &[]).unwrap().id;
    let full = |id: &str, title: usize| {
        let case = Case::new("t".repeat(title))
            .id(id)
            .description("d")
            .severity("high");
        case.status("open").tag("a").field("f", 1)
    };
    let rest = "1dhighopen".len() + r#"["a"]"#.len() + r#"{"f":1}"#.len();
    let cases = [
        (full("1", 1_000 - rest), true),
        (full("2", 1_001 - rest), false),
        (Case::new("only a title"), true),
        (Case::new("a ticket").external_id("E 1"), true),
        (full("3\0", 1), false),
        (full("", 1), false),
        (
            Case {
                external_id: Some(String::new()),
                ..full("4", 1)
            },
            false,
        ),
        (full("5", 1).external_id("E 5"), true),
    ];
    for (case, small) in cases {
        let new = NewPush {
            connector,
            revision: None,
            case: case.clone(),
            coalesce: false,
        };
        let push = store.enqueue(vec![new], &RETENTION, NOW).unwrap()[0];
        assert_eq!(*store.load(push).unwrap().unwrap().push.case, case);
        let sql = "SELECT title IS NOT NULL FROM pushes WHERE id = ?1";
        let within = store
            .db
            .read(|conn| one(conn, sql, params![push.get()], |row| row.get(0)));
        assert_eq!(within.unwrap(), Some(small), "{case:?}");
    }
}

#[test]
fn a_push_changes_three_pages_unless_one_is_full() {
    let dir = TempDir::new();
    let store = open(&dir.path("a.db"));
    let id = connector(&store, &[]).unwrap().id;
    // Pages with their headers, as the log holds them.
    let logged = || fs::metadata(dir.path("a.db-wal")).unwrap().len() / (2_048 + 24);
    let mut changed: Vec<u64> = (0..99)
        .map(|n| {
            let before = logged();
            let new = pushes(id, [format!("case {n:02}")].into_iter());
            store.enqueue(new, &RETENTION, NOW).unwrap();
            logged() - before
        })
        .collect();
    changed.sort_unstable();
    assert_eq!((changed[0], changed[49]), (3, 3), "{changed:?}");
}

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
            analyse(&store);
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

pub(super) fn analyse(store: &SqliteStore) {
    let analysed = store.db.with_writer(|conn| Ok(conn.execute_batch("ANALYZE")?));
    analysed.unwrap();
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
