//! Who shares a commit, and who learns of it.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::error::ErrorKind;
use crate::store::sqlite::fault::Fault;

fn database() -> Connection {
    let conn = Connection::open_in_memory().unwrap();
    conn.execute_batch("CREATE TABLE t (n INTEGER UNIQUE)").unwrap();
    conn
}

fn insert(n: i64) -> impl FnMut(&Connection) -> Sql<()> + Send + 'static {
    move |conn| {
        conn.execute("INSERT INTO t (n) VALUES (?1)", [n])?;
        Ok(())
    }
}

/// Lends the connection as it is.
fn lend(conn: &Mutex<Connection>) -> impl Fn(&mut Work<'_>) -> Result<()> + '_ {
    |work| work(&lock(conn)).map_err(Fault::into_error)
}

fn rows(conn: &Connection) -> Vec<i64> {
    let mut statement = conn.prepare("SELECT n FROM t ORDER BY n").unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(|row| row.unwrap()).collect()
}

#[test]
fn who_fails_fails_alone() {
    let conn = database();
    let refuse = |conn: &Connection| -> Sql<()> {
        conn.execute("INSERT INTO t (n) VALUES (99)", [])?;
        Err(Error::new(ErrorKind::QueueFull, "no room").into())
    };
    let mut given = VecDeque::from([
        Job::new(insert(1)),
        Job::new(refuse),
        Job::new(insert(2)),
        Job::new(insert(1)),
    ]);
    let mut ends = Vec::new();
    while !given.is_empty() {
        let mut batch = Batch::default();
        batch.run(&conn, 1, || given.pop_front());
        ends.extend(batch.ends);
    }
    assert_eq!(rows(&conn), [1, 2]);
    let kinds: Vec<_> = ends
        .iter()
        .map(|end| end.as_ref().err().map(Error::kind))
        .collect();
    assert_eq!(
        kinds,
        [None, Some(ErrorKind::QueueFull), None, Some(ErrorKind::Store)]
    );
    assert!(conn.is_autocommit());
}

#[test]
fn those_who_wait_share_a_commit() {
    let conn = Mutex::new(database());
    let commits = AtomicUsize::new(0);
    let group = Group::default();
    let session = |work: &mut Work<'_>| {
        commits.fetch_add(1, Ordering::SeqCst);
        work(&lock(&conn)).map_err(Fault::into_error)
    };
    let held = lock(&conn);
    std::thread::scope(|scope| {
        for n in 0..40 {
            let (group, session) = (&group, &session);
            scope.spawn(move || group.write(session, insert(n)).unwrap());
        }
        // The first waits for the connection, the others for the first.
        while lock(&group.queue).waiting.len() < 40 {
            std::thread::yield_now();
        }
        drop(held);
    });
    assert_eq!(rows(&lock(&conn)), (0..40).collect::<Vec<_>>());
    assert_eq!(commits.into_inner(), 1);
    assert!(!lock(&group.queue).led);
}

#[test]
fn who_comes_while_work_is_done_is_in_the_same_commit() {
    let conn = Mutex::new(database());
    let commits = AtomicUsize::new(0);
    let group = Group::default();
    let session = |work: &mut Work<'_>| {
        commits.fetch_add(1, Ordering::SeqCst);
        work(&lock(&conn)).map_err(Fault::into_error)
    };
    std::thread::scope(|scope| {
        let (group, session) = (&group, &session);
        let (tell, begun) = std::sync::mpsc::channel();
        let (release, hold) = std::sync::mpsc::channel();
        scope.spawn(move || {
            group.write(session, move |conn| {
                tell.send(()).unwrap();
                hold.recv().unwrap();
                conn.execute("INSERT INTO t (n) VALUES (1)", [])?;
                Ok(())
            })
        });
        begun.recv().unwrap();
        scope.spawn(move || group.write(session, insert(2)));
        while lock(&group.queue).waiting.is_empty() {
            std::thread::yield_now();
        }
        release.send(()).unwrap();
    });
    assert_eq!(rows(&lock(&conn)), [1, 2]);
    assert_eq!(commits.into_inner(), 1);
}

#[test]
fn who_waits_in_vain_for_others_goes_on_alone() {
    let conn = Mutex::new(database());
    let group = Group::default();
    lock(&group.queue).last = (8, Duration::MAX);
    let session = lend(&conn);
    group.write(&session, insert(1)).unwrap();
    assert_eq!(rows(&lock(&conn)), [1]);
    assert_eq!(lock(&group.queue).last.0, 1, "nobody is waited for next time");
}

#[test]
fn a_panic_ends_with_the_call_it_is_in() {
    let conn = Mutex::new(database());
    let group = Group::default();
    let session = lend(&conn);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        group.write(&session, |_| -> Sql<()> { panic!("on purpose") })
    }));
    assert!(panicked.is_err());
    group.write(&session, insert(1)).unwrap();
    assert_eq!(rows(&lock(&conn)), [1]);
}

#[test]
fn a_panic_of_one_leaves_nobody_waiting() {
    let conn = Mutex::new(database());
    let group = Group::default();
    let session = lend(&conn);
    let held = lock(&conn);
    let ends: Vec<_> = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for n in 0..9 {
            let work = move |conn: &Connection| match n {
                4 => panic!("on purpose"),
                n => insert(n)(conn),
            };
            let (group, session) = (&group, &session);
            threads.push(scope.spawn(move || group.write(session, work)));
            while lock(&group.queue).waiting.len() < threads.len() {
                std::thread::yield_now();
            }
        }
        drop(held);
        threads.into_iter().map(|thread| thread.join().ok()).collect()
    });
    // Whose work the panic undid, and those whose it did not reach.
    let kinds: Vec<_> = ends
        .iter()
        .map(|end| end.as_ref().map(|end| end.is_ok()))
        .collect();
    let failed = Some(false);
    let expected = [
        None,
        failed,
        failed,
        failed,
        failed,
        Some(true),
        Some(true),
        Some(true),
        Some(true),
    ];
    assert_eq!(kinds, expected);
    assert_eq!(rows(&lock(&conn)), [5, 6, 7, 8]);
}

#[test]
fn who_comes_while_the_leader_waits_to_begin_waits_as_long() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    let other = Connection::open(&path).unwrap();
    other
        .execute_batch("CREATE TABLE t (n INTEGER UNIQUE); BEGIN IMMEDIATE")
        .unwrap();
    let conn = Mutex::new(Connection::open(&path).unwrap());
    // The first try to begin ends in vain, after another writer came.
    let tries = Arc::new(AtomicUsize::new(0));
    let (group, other) = (Arc::new(Group::default()), Mutex::new(other));
    let (counted, seen) = (Arc::clone(&tries), Arc::clone(&group));
    lock(&conn)
        .busy_handler(Some(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            while lock(&seen.queue).waiting.len() < 2 {
                std::thread::yield_now();
            }
            false
        }))
        .unwrap();
    let session = |work: &mut Work<'_>| {
        if tries.load(Ordering::SeqCst) == 1 {
            lock(&other).execute_batch("COMMIT").unwrap();
        }
        work(&lock(&conn)).map_err(Fault::into_error)
    };
    let ends = std::thread::scope(|scope| {
        let first = scope.spawn(|| group.write(session, insert(1)));
        while lock(&group.queue).waiting.is_empty() {
            std::thread::yield_now();
        }
        let second = scope.spawn(|| group.write(session, insert(2)));
        [first.join().unwrap(), second.join().unwrap()]
    });
    assert_eq!(ends[0].as_ref().unwrap_err().kind(), ErrorKind::Busy);
    assert!(ends[1].is_ok());
    assert_eq!(rows(&lock(&conn)), [2]);
}

#[test]
fn without_a_connection_nobody_writes() {
    let group = Group::default();
    let closed = |_: &mut Work<'_>| Err(Error::new(ErrorKind::Closed, "closed"));
    for _ in 0..2 {
        let error = group.write(closed, insert(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
    }
    assert!(!lock(&group.queue).led);
}
