//! What casehook's own resolver, pool and buffers are worth against ureq's defaults: ratios of interleaved rounds.
//! Run by `make bench`; prints, asserts nothing about speed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::{HttpTransport, Transport, post};

const ROUNDS: usize = 9;
const ROUND: usize = 1_000;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

#[test]
#[ignore = "a benchmark; run it with `make bench`"]
fn against_the_defaults() {
    let port = serve();
    println!("POSTs a second, casehook : ureq with its defaults and a time-out, median of {ROUNDS} rounds");
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("http://{host}:{port}/issues");
        for threads in [1, 4] {
            let ours = HttpTransport::new(threads);
            let theirs = ureq::Agent::config_builder()
                .timeout_global(Some(Duration::from_secs(60)))
                .build()
                .new_agent();
            let request = post(&url);
            let own = || assert_eq!(ours.send(&request).unwrap().status, 200);
            let default = || {
                let answer = theirs
                    .post(&url)
                    .header("content-type", "application/json")
                    .send("{}");
                assert_eq!(answer.unwrap().body_mut().read_to_string().unwrap(), "{}");
            };
            let (mut rates, mut ratios) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                let (a, b) = (rate(threads, &own), rate(threads, &default));
                rates.push(a);
                ratios.push(a / b);
            }
            println!(
                "  {host:9} {threads} thread(s): {:6.0}/s, ratio {:.2} ({:.2} to {:.2})",
                median(&mut rates),
                median(&mut ratios),
                ratios[0],
                ratios[ROUNDS - 1]
            );
        }
    }
}

fn rate(threads: usize, send: &(impl Fn() + Sync)) -> f64 {
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..ROUND / threads).for_each(|_| send()));
        }
    });
    ROUND as f64 / begin.elapsed().as_secs_f64()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A server that answers every request at once and keeps its connections.
fn serve() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    port
}

fn answer(stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line == "\r\n" {
                break;
            }
            let line = line.to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        reader.get_mut().write_all(ANSWER).ok()?;
    }
}
