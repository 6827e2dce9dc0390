//! A way to the server that can be cut: after so many bytes from the client, and for good until it is mended.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

pub struct Proxy {
    pub port: u16,
    way: Arc<Way>,
}

struct Way {
    server: u16,
    /// Reads from a client that still pass; below 0 without limit.
    passes: AtomicI64,
    /// Cut before what was read went on, or when the answer comes back.
    answers_lost: AtomicBool,
    closed: AtomicBool,
    cuts: AtomicI64,
    streams: Mutex<Vec<TcpStream>>,
    /// Nothing passes, and nothing is cut.
    frozen: Mutex<bool>,
    thawed: Condvar,
}

impl Proxy {
    pub fn to(server: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let way = Arc::new(Way {
            server,
            passes: AtomicI64::new(-1),
            answers_lost: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            cuts: AtomicI64::new(0),
            streams: Mutex::default(),
            frozen: Mutex::new(false),
            thawed: Condvar::new(),
        });
        let proxy = Proxy {
            port: listener.local_addr().unwrap().port(),
            way: Arc::clone(&way),
        };
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                way.carry(client);
            }
        });
        proxy
    }

    /// Cuts every connection at the n-th read from a client from now on: before it goes on, or once it was answered.
    pub fn cut_at(&self, n: i64, answers_lost: bool) {
        self.way.answers_lost.store(answers_lost, Ordering::SeqCst);
        self.way.passes.store(n, Ordering::SeqCst);
    }

    /// Whether the cut came.
    pub fn was_cut(&self) -> bool {
        self.way.cuts.load(Ordering::SeqCst) > 0
    }

    /// Cuts everything, and refuses what comes, until it is mended.
    pub fn close(&self) {
        self.way.closed.store(true, Ordering::SeqCst);
        self.way.cut();
    }

    /// From now on it is silent, until it is thawed: connections stay and are taken, and nothing comes through.
    pub fn freeze(&self) {
        *self.way.frozen.lock().unwrap() = true;
    }

    pub fn thaw(&self) {
        *self.way.frozen.lock().unwrap() = false;
        self.way.thawed.notify_all();
    }

    pub fn mend(&self) {
        self.way.passes.store(-1, Ordering::SeqCst);
        self.way.closed.store(false, Ordering::SeqCst);
    }
}

impl Way {
    fn carry(self: &Arc<Way>, client: TcpStream) {
        if self.closed.load(Ordering::SeqCst) {
            return;
        }
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.server)) else {
            return;
        };
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        let pairs = [
            (client.try_clone().unwrap(), server.try_clone().unwrap(), true),
            (server.try_clone().unwrap(), client.try_clone().unwrap(), false),
        ];
        self.streams.lock().unwrap().extend([client, server]);
        for (from, to, of_client) in pairs {
            let way = Arc::clone(self);
            std::thread::spawn(move || way.pump(from, to, of_client));
        }
    }

    fn pump(&self, mut from: TcpStream, mut to: TcpStream, of_client: bool) {
        let mut bytes = [0; 64 * 1024];
        while let Ok(n) = from.read(&mut bytes) {
            let frozen = self.frozen.lock().unwrap();
            drop(self.thawed.wait_while(frozen, |frozen| *frozen).unwrap());
            let lost = self.answers_lost.load(Ordering::SeqCst);
            if n == 0 || (!of_client && lost && self.passes.load(Ordering::SeqCst) == 0 && self.strike()) {
                break;
            }
            if of_client {
                let passes = self.passes.load(Ordering::SeqCst);
                if passes > 0 {
                    self.passes.fetch_sub(1, Ordering::SeqCst);
                }
                if passes == 0 && !lost && self.strike() {
                    break;
                }
            }
            if to.write_all(&bytes[..n]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    }

    /// Cuts, once; true when it did.
    fn strike(&self) -> bool {
        let first = self
            .passes
            .compare_exchange(0, -1, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok();
        if first {
            self.cut();
        }
        first
    }

    fn cut(&self) {
        self.cuts.fetch_add(1, Ordering::SeqCst);
        for stream in self.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
