//! A target that answers at once or after a fixed time, so that what is measured is the sender.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A case system that knows one case. Its threads end with the process.
pub(crate) struct Server {
    port: u16,
    seen: Arc<Mutex<Seen>>,
}

/// What was asked of it so far.
#[derive(Default, Clone, Copy)]
pub(crate) struct Seen {
    /// When the first request was there.
    pub(crate) first: Option<Instant>,
    pub(crate) creates: u64,
    pub(crate) updates: u64,
}

impl Server {
    pub(crate) fn start(delay: Duration) -> Server {
        Server::on(TcpListener::bind(("127.0.0.1", 0)).unwrap(), delay)
    }

    pub(crate) fn on(listener: TcpListener, delay: Duration) -> Server {
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let seen = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream.unwrap(), delay, &seen));
            }
        });
        Server { port, seen }
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What was asked since this was called last.
    pub(crate) fn take_seen(&self) -> Seen {
        std::mem::take(&mut *lock(&self.seen))
    }
}

impl Seen {
    fn note(&mut self, request: &str) {
        self.first.get_or_insert_with(Instant::now);
        match request.split_once(' ') {
            Some(("POST", path)) => self.creates += u64::from(path.starts_with("/issue ")),
            Some(("PUT", _)) => self.updates += 1,
            _ => {}
        }
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(stream: TcpStream, delay: Duration, seen: &Mutex<Seen>) -> Option<()> {
    const BODY: &str = r#"{"id":"7","key":"T-7"}"#;
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    stream.set_nodelay(true).ok()?;
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    let (mut line, mut body) = (String::new(), Vec::new());
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        lock(seen).note(&line);
        let mut length = 0;
        loop {
            line.clear();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let text = line.trim_end();
            if text.is_empty() {
                break;
            }
            if let Some((name, value)) = text.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().ok()?;
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body).ok()?;
        if !delay.is_zero() {
            std::thread::sleep(delay);
        }
        writer.write_all(answer.as_bytes()).ok()?;
    }
}
