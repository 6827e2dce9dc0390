//! How far the exchange of this thread has come: what decides between "not sent" and "maybe sent".
//!
//! ureq runs an exchange on the calling thread from the first look-up to the last byte of the body, so that
//! the resolver, the connector and the sockets find the exchange that they work for in a thread-local.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::{Failure, FailureKind};

/// Bytes of an answer's first line that hold its status.
const STATUS_LINE: usize = "HTTP/1.1 200".len();

/// Why a socket stopped serving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    TimedOut,
    /// casehook itself is shutting down.
    Closed,
    /// The peer closed or reset the connection.
    Peer,
}

/// What is known of an exchange under way.
#[derive(Debug)]
pub(super) struct Exchange {
    /// Until when there must be a connection, TLS handshake included.
    pub(super) connect_deadline: Instant,
    /// How long the answer may take, counted from the first byte of the request.
    pub(super) response: Duration,
    /// When all of it must be over, whatever the other two say.
    pub(super) end: Instant,
    /// Set when the request began to be written.
    pub(super) request_began: Option<Instant>,
    /// Bytes of the request that the operating system took.
    pub(super) written: u64,
    /// The first bytes of the answer.
    pub(super) head: Vec<u8>,
    /// What went wrong, where resolver or connector know it exactly.
    pub(super) failure: Option<Failure>,
    pub(super) cause: Option<Cause>,
    /// The longest line of the request's head, in bytes.
    pub(super) longest_line: usize,
    /// Whether the request was handed to an HTTP proxy that sends it on, so that the answer may be the proxy's own.
    pub(super) forwarded: bool,
    /// Texts in the request's head, in its order, and the secrets that go on the wire in their place.
    pub(super) stand_ins: Vec<(String, Zeroizing<Vec<u8>>)>,
}

impl Exchange {
    pub(super) fn new(connect: Duration, response: Duration, end: Instant) -> Exchange {
        Exchange {
            connect_deadline: after(Instant::now(), connect),
            response,
            end,
            request_began: None,
            written: 0,
            head: Vec::new(),
            failure: None,
            cause: None,
            longest_line: 0,
            forwarded: false,
            stand_ins: Vec::new(),
        }
    }

    /// Until when the socket may be waited for.
    pub(super) fn deadline(&self) -> Instant {
        let own = match self.request_began {
            Some(began) => after(began, self.response),
            None => self.connect_deadline,
        };
        own.min(self.end)
    }

    /// The status of an answer whose head could not be read to its end.
    pub(super) fn status(&self) -> Option<u16> {
        let digits = self.head.strip_prefix(b"HTTP/1.")?.get(2..5)?;
        let status: u16 = std::str::from_utf8(digits).ok()?.parse().ok()?;
        (200..=599).contains(&status).then_some(status)
    }

    /// What the loss of the connection means.
    pub(super) fn loss(&self) -> FailureKind {
        if self.written > 0 {
            FailureKind::Lost
        } else {
            FailureKind::NotWritten
        }
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Exchange>> = const { RefCell::new(None) };
}

/// Runs `work` with `exchange` as the one of this thread and gives back what became known of it.
pub(super) fn run<T>(exchange: Exchange, work: impl FnOnce() -> T) -> (T, Exchange) {
    struct Clear;
    impl Drop for Clear {
        fn drop(&mut self) {
            CURRENT.with_borrow_mut(Option::take);
        }
    }
    let fallback = Exchange::new(Duration::ZERO, Duration::ZERO, Instant::now());
    CURRENT.set(Some(exchange));
    let clear = Clear;
    let result = work();
    let exchange = CURRENT.take();
    drop(clear);
    (result, exchange.unwrap_or(fallback))
}

/// Looks at or changes the exchange of this thread; the default outside of one.
pub(super) fn with<T: Default>(look: impl FnOnce(&mut Exchange) -> T) -> T {
    CURRENT.with_borrow_mut(|current| current.as_mut().map(look).unwrap_or_default())
}

/// Until when a socket may be waited for now; none outside of an exchange.
pub(super) fn deadline() -> Option<Instant> {
    with(|exchange| Some(exchange.deadline()))
}

/// Records exactly why there is no connection, and gives what tells ureq to stop.
pub(super) fn fail(failure: Failure) -> ureq::Error {
    with(|exchange| exchange.failure = Some(failure));
    ureq::Error::ConnectionFailed
}

/// The request begins to be written, if it has not begun; says whether it had not.
pub(super) fn request_begins() -> bool {
    with(|exchange| {
        let first = exchange.request_began.is_none();
        exchange.request_began.get_or_insert_with(Instant::now);
        first
    })
}

/// Bytes went to the operating system.
pub(super) fn wrote(bytes: usize) {
    with(|exchange| {
        if exchange.request_began.is_some() {
            exchange.written += bytes as u64;
        }
    });
}

/// Bytes of the answer came in.
pub(super) fn saw(bytes: &[u8]) {
    with(|exchange| {
        let wanted = STATUS_LINE.saturating_sub(exchange.head.len());
        exchange.head.extend(bytes.iter().take(wanted));
    });
}

/// A moment that much later.
pub(super) fn after(start: Instant, time: Duration) -> Instant {
    // A year stands for times so long that the clock cannot hold them.
    start
        .checked_add(time)
        .unwrap_or_else(|| start + Duration::from_secs(365 * 24 * 60 * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange() -> Exchange {
        let end = after(Instant::now(), Duration::from_secs(500));
        Exchange::new(Duration::from_secs(5), Duration::from_secs(50), end)
    }

    #[test]
    fn only_bytes_of_the_request_make_it_uncertain() {
        let (kinds, exchange) = run(exchange(), || {
            wrote(100);
            let handshake = with(|exchange| vec![exchange.loss()]);
            request_begins();
            let begun = with(|exchange| vec![exchange.loss()]);
            wrote(1);
            [handshake, begun, with(|exchange| vec![exchange.loss()])].concat()
        });
        assert_eq!(
            kinds,
            [
                FailureKind::NotWritten,
                FailureKind::NotWritten,
                FailureKind::Lost
            ]
        );
        assert_eq!(exchange.written, 1);
        assert_eq!(deadline(), None);
    }

    #[test]
    fn the_response_time_begins_with_the_request() {
        let ((before, then), exchange) = run(exchange(), || {
            let before = deadline();
            request_begins();
            (before, deadline())
        });
        assert_eq!(before, Some(exchange.connect_deadline));
        let began = exchange.request_began.unwrap();
        assert_eq!(then, Some(began + Duration::from_secs(50)));
        let (now, long) = (Instant::now(), Duration::MAX);
        let endless = Exchange::new(long, long, after(now, long));
        assert!(endless.deadline() > Instant::now());
        let mut short = Exchange::new(long, long, now);
        assert_eq!(short.deadline(), now);
        short.request_began = Some(now);
        assert_eq!(short.deadline(), now);
    }

    #[test]
    fn the_status_of_a_first_line() {
        for (head, status) in [
            ("HTTP/1.1 201 Created", Some(201)),
            ("HTTP/1.0 503", Some(503)),
            ("HTTP/1.1 100 Continue", None),
            ("HTTP/1.1 99", None),
            ("HTTP/1.1 +20 x", None),
            ("SSH-2.0-Open", None),
            ("", None),
        ] {
            let ((), exchange) = run(exchange(), || head.as_bytes().chunks(3).for_each(saw));
            assert_eq!(exchange.status(), status, "{head}");
        }
    }
}
