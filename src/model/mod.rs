//! Plain data that callers hand in and get back: cases, push statuses, links, reports.

mod case;
mod exposition;
mod id;
pub mod limits;
mod link;
mod report;
mod sizes;
mod stats;
mod status;
mod time;
mod trace;
mod traffic;

pub use case::{Case, Comment};
pub use id::PushId;
pub use link::Link;
pub use report::{Answer, Header, Reach, Request, TestReport, TestStep};
pub use stats::{ConnectorHealth, ConnectorStats, Stats};
pub use status::{
    Attempt, CommentState, CommentStatus, FailureClass, Filter, PushError, PushState, PushStatus, Step,
};
pub use time::Timestamp;
pub use traffic::{DurationBucket, Durations, ExchangeStats, Traffic};
pub(crate) use traffic::{Tally, bound};
