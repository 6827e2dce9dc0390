//! What a push costs, against the limit: ratios of interleaved rounds in one run, never absolute times.

mod raw;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use casehook::{Agent, Case, Connector, Options};

use raw::Raw;

const TITLE: &str = "Disk full on a host of the second rack";
const DESCRIPTION: &str =
    "The partition /var has 0 bytes left. The last backup took all of it; see the attached log.";

fn main() {
    if std::env::args().any(|a| a == "profile") {
        let shm = tempfile::tempdir_in("/dev/shm").unwrap();
        let agent = self::agent(&shm.path().join("ours.db"));
        (0..3000).for_each(|n| {
            agent.push("t", &case(n)).unwrap();
        });
        return;
    }
    let rounds = 7;
    let disk = tempfile::tempdir_in(
        std::env::var_os("CASEHOOK_BENCH_DIR").map_or(std::env::temp_dir(), PathBuf::from),
    )
    .unwrap();
    let agent = agent(&disk.path().join("ours.db"));
    let raw = prepared_raw(&disk.path().join("raw.db"));
    for threads in [1, 4, 8, 32] {
        let mut ratios = Vec::new();
        let mut rates = Vec::new();
        let mut raws = Vec::new();
        for round in 0..rounds {
            let each = 1500 / threads + 50;
            let a = rate(threads * each, || {
                std::thread::scope(|scope| {
                    for thread in 0..threads {
                        let agent = &agent;
                        scope.spawn(move || {
                            for n in 0..each {
                                let number = ((threads * 100 + round) * 100 + thread) * 10_000 + n;
                                agent.push("t", &case(number)).unwrap();
                            }
                        });
                    }
                });
            });
            let b = rate(1000, || {
                (0..1000).for_each(|n| raw.insert((threads * 100 + round) * 10_000 + n, 1))
            });
            rates.push(a);
            raws.push(b);
            ratios.push(a / b);
        }
        ratios.sort_by(f64::total_cmp);
        rates.sort_by(f64::total_cmp);
        raws.sort_by(f64::total_cmp);
        println!(
            "{threads:2} threads: {:.2} ({:.2}..{:.2}) {:.0}/s raw {:.0}/s",
            ratios[rounds / 2],
            ratios[0],
            ratios[rounds - 1],
            rates[rounds / 2],
            raws[rounds / 2]
        );
    }
    let mut ratios = Vec::new();
    for round in 0..rounds {
        let a = rate(5000, || {
            (0..50).for_each(|n| {
                let cases: Vec<Case> = (0..100)
                    .map(|i| case(900_000_000 + round * 10_000 + n * 100 + i))
                    .collect();
                agent.push_many("t", &cases).unwrap();
            })
        });
        let b = rate(500, || {
            (0..500).for_each(|n| raw.insert(900_000_000 + round * 10_000 + n, 1))
        });
        ratios.push(a / b);
    }
    ratios.sort_by(f64::total_cmp);
    println!("push_many 100: {:.2}", ratios[rounds / 2]);
    let shm = tempfile::tempdir_in("/dev/shm").unwrap();
    let agent = self::agent(&shm.path().join("ours.db"));
    let raw = prepared_raw(&shm.path().join("raw.db"));
    let mut ratios = Vec::new();
    for round in 0..rounds {
        let a = cpu(|| {
            (0..2000).for_each(|n| {
                agent.push("t", &case(round * 10_000 + n)).unwrap();
            })
        });
        let b = cpu(|| (0..2000).for_each(|n| raw.insert(round * 10_000 + n, 1)));
        ratios.push((a / b, a / 2000.0 * 1e6, b / 2000.0 * 1e6));
    }
    ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
    println!("cpu on tmpfs: {:?}", ratios[rounds / 2]);
}

fn cpu(work: impl FnOnce()) -> f64 {
    let spent = || {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        t.tv_sec as f64 + t.tv_nsec as f64 / 1e9
    };
    let before = spent();
    work();
    spent() - before
}

fn rate(count: usize, work: impl FnOnce()) -> f64 {
    let begin = Instant::now();
    work();
    count as f64 / begin.elapsed().as_secs_f64()
}

fn case(number: usize) -> Case {
    Case::new(TITLE)
        .id(format!("host-{number}/disk"))
        .description(DESCRIPTION)
        .tag("infra")
        .severity("high")
        .status("open")
}

fn agent(path: &Path) -> Agent {
    let agent = Agent::open(path, Options::default().drain(false)).unwrap();
    agent.configure("t", &connector()).unwrap();
    agent
}

fn prepared_raw(path: &Path) -> Raw {
    agent(path).close(Duration::from_secs(5)).unwrap();
    Raw::open(path)
}

fn connector() -> Connector {
    Connector::from_json(
        r#"{"config": {
            "createIncidentUrl": "http://127.0.0.1:9/issue", "createIncidentMethod": "post",
            "createIncidentJson": "{\"fields\":{\"summary\":{{{case.title}}},\"description\":{{{case.description}}},\"labels\":{{{case.tags}}}}}",
            "createIncidentResponseKey": "id",
            "getIncidentUrl": "http://127.0.0.1:9/issue/{{{external.system.id}}}", "getIncidentResponseExternalTitleKey": "key",
            "viewIncidentUrl": "http://127.0.0.1:9/browse/{{{external.system.title}}}",
            "updateIncidentUrl": "http://127.0.0.1:9/issue/{{{external.system.id}}}", "updateIncidentMethod": "put",
            "updateIncidentJson": "{\"fields\":{\"summary\":{{{case.title}}},\"description\":{{{case.description}}}}}",
            "createCommentUrl": "http://127.0.0.1:9/issue/{{{external.system.id}}}/comment", "createCommentMethod": "post",
            "createCommentJson": "{\"body\":{{{case.comment}}}}",
            "hasAuth": false}}"#,
    )
    .unwrap()
}
