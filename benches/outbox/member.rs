//! Processes of their own that this binary starts: what several do at once, and what one takes that does nothing else.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use casehook::{Agent, Options};

use crate::report::processor_time;
use crate::{case, syncs};

/// A process that was started and says figures when it is done.
pub(crate) struct Member {
    process: Child,
    out: BufReader<std::process::ChildStdout>,
}

impl Member {
    /// Starts a process that plays a role, and returns when it is ready to be told to go.
    pub(crate) fn start(role: &str, path: &Path, numbers: &[usize]) -> Member {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--member", role])
            .arg(path)
            .args(numbers.iter().map(usize::to_string))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "{role}");
        Member { process, out }
    }

    pub(crate) fn go(&mut self) {
        writeln!(self.process.stdin.as_ref().unwrap(), "go").unwrap();
    }

    /// What it found, when it has ended.
    pub(crate) fn figures(mut self) -> Vec<f64> {
        let mut text = String::new();
        self.out.read_to_string(&mut text).unwrap();
        assert!(self.process.wait().unwrap().success());
        text.split_whitespace()
            .map(|word| word.parse().unwrap())
            .collect()
    }
}

/// What such a process does.
pub(crate) fn play(role: &str, words: &[&str]) {
    let path = Path::new(words[0]);
    let numbers: Vec<usize> = words[1..].iter().map(|word| word.parse().unwrap()).collect();
    match (role, numbers.as_slice()) {
        ("push", &[first, count]) => push(path, first, count),
        ("drain", &[seconds]) => drain(path, Duration::from_secs(seconds as u64)),
        ("idle", &[seconds]) => idle(path, Duration::from_secs(seconds as u64)),
        ("syncs", &[count]) => {
            ready();
            say(&syncs::count(path, count));
        }
        _ => panic!("--member push|drain|idle|syncs PATH NUMBER..."),
    }
}

/// Says that it is ready, and waits for the word to go.
fn ready() {
    println!("ready");
    std::io::stdin().lines().next().unwrap().unwrap();
}

fn say(figures: &[f64]) {
    figures.iter().for_each(|figure| println!("{figure}"));
}

/// The longest wait of a push in milliseconds, and how many seconds all took.
fn push(path: &Path, first: usize, count: usize) {
    let agent = Agent::open(path, Options::default().drain(false)).unwrap();
    ready();
    let (all, mut longest) = (Instant::now(), Duration::ZERO);
    for number in first..first + count {
        let begin = Instant::now();
        agent.push("t", &case(number)).unwrap();
        longest = longest.max(begin.elapsed());
    }
    say(&[longest.as_secs_f64() * 1e3, all.elapsed().as_secs_f64()]);
}

/// The most memory that a process needed which drained, in MB, and how many pushes it delivered.
fn drain(path: &Path, time: Duration) {
    ready();
    let agent = Agent::open(path, Options::default()).unwrap();
    let delivered = || agent.stats().unwrap().connectors[0].delivered_total as f64;
    let before = delivered();
    std::thread::sleep(time);
    say(&[memory("VmHWM:"), delivered() - before]);
    agent.close(Duration::from_secs(5)).unwrap();
}

/// Wake-ups of the agent's threads a second, percent of a processor, memory now and at most in MB.
fn idle(path: &Path, time: Duration) {
    ready();
    let agent = Agent::open(path, Options::default()).unwrap();
    // Taking over and the first look around are not idleness.
    std::thread::sleep(Duration::from_secs(2));
    let (begin, wakes, spent) = (Instant::now(), wakes(), processor_time());
    std::thread::sleep(time);
    let seconds = begin.elapsed().as_secs_f64();
    say(&[
        (self::wakes() - wakes) / seconds,
        (processor_time() - spent) / 1e6 / seconds * 100.0,
        memory("VmRSS:"),
        memory("VmHWM:"),
    ]);
    agent.close(Duration::from_secs(5)).unwrap();
}

/// How often the threads of this process but the first have gone to sleep so far.
fn wakes() -> f64 {
    let own = std::process::id().to_string();
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let others = threads
        .map(|thread| thread.unwrap())
        .filter(|thread| thread.file_name() != *own);
    others
        .map(|thread| status(&thread.path().join("status"), "voluntary_ctxt_switches:"))
        .sum()
}

fn memory(line: &str) -> f64 {
    status(Path::new("/proc/self/status"), line) / 1024.0
}

fn status(file: &Path, name: &str) -> f64 {
    let text = std::fs::read_to_string(file).unwrap();
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
    let value = lines.next().unwrap().split_whitespace().next().unwrap();
    value.parse().unwrap()
}
