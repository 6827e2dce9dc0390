//! Connectors whose pushes the database does not take: each is left alone for a while, and the others go on.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind};
use crate::outbox::ConnectorId;
use crate::store::{Cause, Lost};

/// How long one is left alone at first, and at most.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(16);

/// What becomes of pushes that the database did not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing gets there now: everything waits.
    Away,
    /// These do not get there now: what is in order behind them waits.
    Held,
    /// These are not going to be taken as they are: they fail, and let the next ones pass.
    Failed,
}

/// Judges why pushes were not stored.
pub(super) fn judge(lost: &Lost) -> Verdict {
    match (lost.cause, lost.error.kind()) {
        _ if lost.in_doubt => Verdict::Away,
        // Not before it is known that they are not there. What is not found is the connector, which was removed.
        (Cause::Refusal, _) | (_, ErrorKind::NotFound) if lost.asked => Verdict::Failed,
        (Cause::Any, ErrorKind::Busy | ErrorKind::DiskFull | ErrorKind::Closed) => Verdict::Away,
        _ => Verdict::Held,
    }
}

/// Who is left alone, and until when.
#[derive(Default)]
pub(super) struct Held {
    connectors: HashMap<ConnectorId, Hold>,
}

struct Hold {
    until: Instant,
    lasts: Duration,
    /// The kind and the field of the reason; its words may count what changes.
    said: (ErrorKind, Option<String>),
}

impl Held {
    /// Those whose turn has not come.
    pub(super) fn present(&self, now: Instant) -> Vec<ConnectorId> {
        let present = self.connectors.iter().filter(|(_, hold)| hold.until > now);
        present.map(|(connector, _)| *connector).collect()
    }

    /// Leaves the connector alone, twice as long as the last time; true when the reason is a new one.
    pub(super) fn add(&mut self, connector: ConnectorId, why: &Error, now: Instant) -> bool {
        let why = (why.kind(), why.field().map(str::to_owned));
        let last = self.connectors.get(&connector);
        let lasts = last.map_or(FIRST, |hold| (hold.lasts * 2).min(LONGEST));
        let new = last.is_none_or(|hold| hold.said != why);
        let hold = Hold {
            until: now + lasts,
            lasts,
            said: why,
        };
        self.connectors.insert(connector, hold);
        new
    }

    /// Something of it was taken.
    pub(super) fn remove(&mut self, connector: ConnectorId) {
        self.connectors.remove(&connector);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_concerns_everybody_holds_up_everybody() {
        let lost = |kind| Lost {
            asked: true,
            ..Lost::entirely(Error::new(kind, "why"))
        };
        for (kind, verdict) in [
            (ErrorKind::Busy, Verdict::Away),
            (ErrorKind::DiskFull, Verdict::Away),
            (ErrorKind::QueueFull, Verdict::Held),
            (ErrorKind::Store, Verdict::Held),
            (ErrorKind::Config, Verdict::Held),
            (ErrorKind::NotFound, Verdict::Failed),
        ] {
            assert_eq!(judge(&lost(kind)), verdict, "{kind}");
        }
        for (cause, asked, kind, verdict) in [
            (Cause::Refusal, true, ErrorKind::Store, Verdict::Failed),
            (Cause::Refusal, false, ErrorKind::Store, Verdict::Held),
            (Cause::Any, false, ErrorKind::NotFound, Verdict::Held),
            (Cause::Obstacle, true, ErrorKind::Busy, Verdict::Held),
            (Cause::Obstacle, false, ErrorKind::Busy, Verdict::Held),
            (Cause::Any, false, ErrorKind::Busy, Verdict::Away),
        ] {
            let lost = Lost {
                cause,
                asked,
                ..lost(kind)
            };
            assert_eq!(judge(&lost), verdict, "{cause:?} {asked} {kind}");
        }
        assert_eq!(
            judge(&Lost::in_doubt(Error::new(ErrorKind::Store, "why"))),
            Verdict::Away
        );
    }

    #[test]
    fn a_connector_is_left_alone_for_longer_each_time_and_said_once() {
        let mut held = Held::default();
        let (one, other) = (ConnectorId(1), ConnectorId(2));
        let why = |text: &str| Error::new(ErrorKind::QueueFull, text);
        let mut now = Instant::now();
        assert!(held.add(one, &why("full"), now));
        for seconds in [1, 2, 4, 8, 16, 16] {
            let almost = now + Duration::from_millis(seconds * 1_000 - 1);
            assert_eq!(held.present(almost), [one], "{seconds}");
            now += Duration::from_secs(seconds);
            assert_eq!(held.present(now), []);
            // What it counts may change meanwhile.
            assert!(!held.add(one, &why(&format!("full: {seconds}")), now));
        }
        assert!(held.add(one, &why("full").at("case"), now), "another field");
        assert!(
            held.add(one, &Error::new(ErrorKind::Config, "full"), now),
            "another kind"
        );
        assert!(held.add(other, &why("full"), now));
        held.remove(one);
        assert_eq!(held.present(now), [other]);
    }
}
