//! What casehook's own resolver, buffers and the whole transport are worth against ureq's defaults: ratios of
//! interleaved rounds. Run by `make bench`; prints, asserts nothing about speed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use url::Host;

use super::super::buffers::SIZE;
use super::super::resolve::{Addresses, Names};
use super::{HttpTransport, Transport, post};

const ROUNDS: usize = 9;
const ROUND: usize = 1_000;

/// casehook's look-up where ureq has its own; casehook itself asks it for new connections only.
#[derive(Debug)]
struct OwnResolver(Addresses);

impl OwnResolver {
    fn new() -> OwnResolver {
        OwnResolver(Addresses {
            names: Arc::new(Names::of_system()),
            live: Arc::default(),
            deny_private: false,
        })
    }
}

impl Resolver for OwnResolver {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = Host::parse(uri.host().unwrap()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let found = self
            .0
            .permitted(&host, uri.port_u16().unwrap(), deadline)
            .unwrap();
        let mut addresses = self.empty();
        found.into_iter().for_each(|address| addresses.push(address));
        Ok(addresses)
    }
}

#[test]
#[ignore = "a benchmark; run it with `make bench`"]
fn against_the_defaults() {
    let port = serve();
    println!(
        "POSTs a second against ureq with its defaults and a time-out (1.00), median of {ROUNDS} rounds"
    );
    println!(
        "{:<28}{:>10}{:>10}{:>16}{:>10}",
        "", "resolver", "buffers", "whole transport", "of it /s"
    );
    for (connections, path) in [("kept", "/kept"), ("new", "/closed")] {
        for host in ["localhost", "127.0.0.1"] {
            for threads in [1, 4] {
                let url = format!("http://{host}:{port}{path}");
                let [resolver, buffers, whole, speed] = compare(&url, threads);
                let what = format!("{connections} {host} {threads} at once");
                println!("{what:<28}{resolver:>10.2}{buffers:>10.2}{whole:>16.2}{speed:>10.0}");
            }
        }
    }
}

/// Ratios of each part alone, and of the transport that has both; and its requests a second.
fn compare(url: &str, threads: usize) -> [f64; 4] {
    let waiting = || ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(60)));
    let default = waiting().build().new_agent();
    let resolver =
        ureq::Agent::with_parts(waiting().build(), DefaultConnector::default(), OwnResolver::new());
    let small = waiting().input_buffer_size(SIZE).output_buffer_size(SIZE);
    let buffers = small.build().new_agent();
    let ours = HttpTransport::new(threads);
    let request = post(url);
    let own = || assert_eq!(ours.send(&request).unwrap().status, 200);
    let through = |agent: &ureq::Agent| {
        let answer = agent
            .post(url)
            .header("content-type", "application/json")
            .send("{}");
        assert_eq!(answer.unwrap().body_mut().read_to_string().unwrap(), "{}");
    };
    let mut found: [Vec<f64>; 4] = Default::default();
    for _ in 0..ROUNDS {
        let base = rate(threads, &|| through(&default));
        let whole = rate(threads, &own);
        found[0].push(rate(threads, &|| through(&resolver)) / base);
        found[1].push(rate(threads, &|| through(&buffers)) / base);
        found[2].push(whole / base);
        found[3].push(whole);
    }
    found.map(|mut values| median(&mut values))
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

/// A server that answers every request at once and keeps its connections, but for requests to `/closed`.
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
        let (mut length, mut close) = (0, "");
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line == "\r\n" {
                break;
            }
            let line = line.to_ascii_lowercase();
            if line.starts_with("post /closed ") {
                close = "Connection: close\r\n";
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{close}Content-Length: 2\r\n\r\n{{}}"
        );
        reader.get_mut().write_all(answer.as_bytes()).ok()?;
        if !close.is_empty() {
            return None;
        }
    }
}
