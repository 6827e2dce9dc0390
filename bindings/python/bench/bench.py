"""How fast pushes are taken in, beside Python's own durable queues; not part of the tests.

`make bench-python` builds what it needs and runs it, in a virtual environment of its own.

Every queue writes to SQLite with a write-ahead log and ``synchronous=FULL``, which is asked of each connection before it
counts: one commit that waits for the disk for each push, unless threads share one. Rates are pushes per second. All run
in turns, again and again; a ratio is that of one turn, and what is shown is the median. What Python adds to a push is
measured against the same pushes made by a Rust program, which needs cargo and the sources around this file
(``--no-rust`` leaves it out); there, processor time is compared, since that of the commit is mostly the disk's.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import casehook

CONFIG = {
    "createIncidentUrl": "http://127.0.0.1:9/tickets",
    "createIncidentJson": '{"subject": {{{case.title}}}, "text": {{{case.description}}}}',
    "createIncidentResponseKey": "id",
    "getIncidentUrl": "http://127.0.0.1:9/tickets/{{{external.system.id}}}",
    "getIncidentResponseExternalTitleKey": "subject",
    "viewIncidentUrl": "http://127.0.0.1:9/tickets/{{{external.system.id}}}",
    "updateIncidentUrl": "http://127.0.0.1:9/tickets/{{{external.system.id}}}",
    "updateIncidentJson": '{"subject": {{{case.title}}}, "text": {{{case.description}}}}',
    "hasAuth": False,
}
Put = Callable[[str], Any]


def durable(connection: Any) -> None:
    """Has it wait for the disk at each commit, and makes sure that it will."""
    connection.execute("PRAGMA synchronous = FULL")
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    (level,) = connection.execute("PRAGMA synchronous").fetchone()
    assert (mode, level) == ("wal", 2), (mode, level)


def casehook_push(folder: Path) -> tuple[Put, Callable[[], None]]:
    agent = casehook.Agent(folder / "cases.db", drain=False)
    agent.configure("tracker", CONFIG)
    return lambda id: agent.push("tracker", title="Disk full", case_id=id, description="95 %"), agent.close


def persist_queue(folder: Path) -> tuple[Put, Callable[[], None]]:
    import persistqueue

    queue = persistqueue.SQLiteQueue(str(folder), multithreading=True, auto_commit=True)
    for connection in (queue._putter, queue._getter):
        durable(connection)
    return lambda id: queue.put(casehook.case("Disk full", case_id=id, description="95 %")), queue.close


def lite_queue(folder: Path) -> tuple[Put, Callable[[], None]]:
    import json

    from litequeue import LiteQueue

    local = threading.local()

    def put(id: str) -> None:
        if not hasattr(local, "queue"):
            local.queue = LiteQueue(str(folder / "queue.db"))
            durable(local.queue.conn)
            local.queue.conn.execute("PRAGMA busy_timeout = 30000")
        local.queue.put(json.dumps(casehook.case("Disk full", case_id=id, description="95 %")))

    return put, lambda: None


def huey(folder: Path) -> tuple[Put, Callable[[], None]]:
    from huey import SqliteHuey

    queue = SqliteHuey("bench", filename=str(folder / "huey.db"), fsync=True, timeout=30)
    durable(queue.storage.conn)

    @queue.task()
    def deliver(case: dict[str, Any]) -> None:
        pass

    return lambda id: deliver(casehook.case("Disk full", case_id=id, description="95 %")), queue.storage.close


def rate(make: Callable[[Path], tuple[Put, Callable[[], None]]], threads: int, seconds: float) -> float:
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        put, close = make(Path(folder))
        put("warm")
        counts = [0] * threads
        start = threading.Barrier(threads + 1)
        end = [0.0]

        def work(place: int) -> None:
            put(f"first {place}")
            start.wait()
            while time.perf_counter() < end[0]:
                put(f"{place}/{counts[place]}")
                counts[place] += 1

        workers = [threading.Thread(target=work, args=(place,)) for place in range(threads)]
        for worker in workers:
            worker.start()
        end[0] = time.perf_counter() + 3600
        start.wait()
        began = time.perf_counter()
        end[0] = began + seconds
        for worker in workers:
            worker.join()
        took = time.perf_counter() - began
        close()
        return sum(counts) / took


RUST = """
use std::time::Instant;
fn processor_time() -> f64 {
    // Nanoseconds that this thread has run; Linux.
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(f64::NAN)
}
fn main() -> casehook::Result<()> {
    let path = std::env::args().nth(1).unwrap();
    let count: u32 = std::env::args().nth(2).unwrap().parse().unwrap();
    let config = std::env::args().nth(3).unwrap();
    let agent = casehook::Agent::open(path, casehook::Options::new().drain(false))?;
    agent.configure("tracker", &casehook::Connector::from_json(&config)?)?;
    let (began, worked) = (Instant::now(), processor_time());
    for n in 0..count {
        let case = casehook::Case::new("Disk full").id(n.to_string()).description("95 %");
        agent.push("tracker", &case)?;
    }
    let count = f64::from(count);
    println!("{} {}", began.elapsed().as_secs_f64() / count * 1e6, (processor_time() - worked) / count / 1e3);
    Ok(())
}
"""


def rust_program(folder: Path) -> Path:
    root = Path(__file__).resolve().parents[3]
    (folder / "src").mkdir()
    (folder / "src" / "main.rs").write_text(RUST)
    (folder / "Cargo.toml").write_text(
        f'[package]\nname = "push"\nedition = "2024"\n[workspace]\n[dependencies]\ncasehook = {{ path = "{root}" }}\n'
    )
    (folder / "Cargo.lock").write_bytes((root / "Cargo.lock").read_bytes())
    target = os.environ.get("CARGO_TARGET_DIR", str(root / "target"))
    environment = {**os.environ, "CARGO_TARGET_DIR": target}
    subprocess.run(["cargo", "build", "-q", "--release"], cwd=folder, env=environment, check=True)
    return Path(target) / "release" / "push"


def overhead(rounds: int, count: int) -> dict[str, tuple[float, float]]:
    """Microseconds for a push in Rust, in Python and between them, in turns: in all, and of the processor's time."""
    import json

    found: dict[str, list[tuple[float, float]]] = {"Rust": [], "Python": []}
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        folder = Path(name)
        program = rust_program(folder)
        for number in range(rounds):
            command = [program, folder / f"r{number}.db", str(count), json.dumps(CONFIG)]
            whole, worked = map(float, subprocess.check_output(command).split())
            found["Rust"].append((whole, worked))
            with casehook.Agent(folder / f"p{number}.db", drain=False) as agent:
                agent.configure("tracker", CONFIG)
                began, idle = time.perf_counter(), time.thread_time()
                for n in range(count):
                    agent.push("tracker", title="Disk full", case_id=str(n), description="95 %")
                whole, worked = time.perf_counter() - began, time.thread_time() - idle
                found["Python"].append((whole / count * 1e6, worked / count * 1e6))
    found["added"] = [(p[0] - r[0], p[1] - r[1]) for r, p in zip(found["Rust"], found["Python"])]
    return {
        name: (statistics.median(one[0] for one in times), statistics.median(one[1] for one in times))
        for name, times in found.items()
    }


def crossing(count: int = 20_000) -> float:
    """Microseconds of processor time that Python spends on a push, the way into the library and back included.

    A push to a closed agent takes the same way, but for the commit and with an exception at the end, which makes the
    figure a little too large.
    """
    with tempfile.TemporaryDirectory() as folder:
        agent = casehook.Agent(Path(folder) / "a.db", drain=False)
        agent.close()

        def timed(call: Callable[[], Any]) -> float:
            best = float("inf")
            for _ in range(5):
                began = time.thread_time()
                for _ in range(count):
                    try:
                        call()
                    except casehook.ClosedError:
                        pass
                best = min(best, time.thread_time() - began)
            return best / count * 1e6

        return timed(lambda: agent.push("tracker", title="Disk full", case_id="host-7/disk", description="95 %"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-rust", action="store_true")
    options = parser.parse_args()
    print(f"SQLite of Python {sqlite3.sqlite_version}, {os.cpu_count()} cores")
    print(f"what Python adds to a push, commit left out: {crossing():.1f} us")
    if not options.no_rust:
        times = overhead(options.rounds, 3_000)
        print(f"{'microseconds for a push':28} {'in all':>10} {'processor':>10}")
        for name, (whole, worked) in times.items():
            print(f"{name:28} {whole:10.1f} {worked:10.1f}")
    makers = {"casehook": casehook_push, "persist-queue": persist_queue, "litequeue": lite_queue, "huey": huey}
    found: dict[tuple[str, int], list[float]] = {}
    # In turns, so that a disk in a bad mood is so to all, and each begins as often as the others.
    names = list(makers)
    for turn in range(options.rounds):
        for threads in (1, 8):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                found.setdefault((name, threads), []).append(rate(makers[name], threads, options.seconds))
    print(f"{'pushes per second':28} {'1 thread':>10} {'8 threads':>10} {'8 : 1':>7}", end="")
    print(f"{'casehook is so much ahead':>30} {'8 threads':>10}")
    for name in makers:
        one, eight = (statistics.median(found[name, threads]) for threads in (1, 8))
        growth = statistics.median(e / o for o, e in zip(found[name, 1], found[name, 8]))
        print(f"{name:28} {one:10.0f} {eight:10.0f} {growth:7.2f}", end="")
        for threads, width in ((1, 30), (8, 10)):
            pairs = zip(found["casehook", threads], found[name, threads])
            print(f"{statistics.median(own / other for own, other in pairs):{width}.2f}", end=" ")
        print()


if __name__ == "__main__":
    main()
