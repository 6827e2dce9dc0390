//! Where a push stands, and what happened on the way.

use serde::Serialize;

use super::{PushId, Timestamp};

macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The name as it stands in JSON documents and in the database.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }

            /// The value of that name.
            pub fn from_name(name: &str) -> Option<$name> {
                match name { $($text => Some($name::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

names! {
    /// Where a push stands.
    PushState {
        /// Accepted; nothing was sent for it yet, or its turn has not come again.
        Queued = "queued",
        /// A request of it is on its way, or a step was just finished.
        Sending = "sending",
        /// A retry is scheduled.
        Waiting = "waiting",
        /// Needs a decision: `retry`, `adopt` or `cancel`.
        Held = "held",
        /// Every step is done.
        Delivered = "delivered",
        /// Given up; keeps its external id and the step it failed at.
        Failed = "failed",
        /// A later push of the same case took its place before anything was sent.
        Superseded = "superseded",
        /// Cancelled by the host.
        Cancelled = "cancelled",
    }
}

impl PushState {
    /// Whether nothing more will happen unless somebody asks for it: delivered, failed, superseded, cancelled.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            PushState::Delivered | PushState::Failed | PushState::Superseded | PushState::Cancelled
        )
    }
}

names! {
    /// Where a comment of a push stands.
    CommentState {
        /// Not sent yet.
        Pending = "pending",
        /// The target took it.
        Sent = "sent",
        /// Not sent on purpose: empty, already sent under its id, or the connector has no comments.
        Skipped = "skipped",
        /// The target refused it.
        Failed = "failed",
        /// Sent more than once, since an answer was lost: the target may show it twice.
        Uncertain = "uncertain",
    }
}

names! {
    /// One exchange of a push.
    Step {
        /// Opens the incident.
        Create = "create",
        /// Looks up an incident whose create had no clear outcome.
        Find = "find",
        /// Changes the incident.
        Update = "update",
        /// Reads the incident back.
        Get = "get",
        /// Adds one comment.
        Comment = "comment",
    }
}

names! {
    /// What kind of failure an exchange ended in. It decides what happens next.
    FailureClass {
        /// The request did not leave: no address, refused, no route, connect time-out, TLS handshake, proxy.
        NotSent = "notSent",
        /// The target asks for patience.
        Throttled = "throttled",
        /// The target does not accept the credentials.
        Auth = "auth",
        /// Worth trying again.
        Transient = "transient",
        /// The target may have acted on it, and did not say.
        Uncertain = "uncertain",
        /// The target acted on a create, and its answer cannot be used.
        UncertainAnswered = "uncertainAnswered",
        /// The incident changed between reading and updating it.
        Precondition = "precondition",
        /// The linked incident is no longer there.
        Gone = "gone",
        /// Trying again would end the same way.
        Permanent = "permanent",
    }
}

impl FailureClass {
    /// Whether casehook tries again by itself.
    pub const fn is_retryable(self) -> bool {
        !matches!(
            self,
            FailureClass::Permanent | FailureClass::UncertainAnswered | FailureClass::Gone
        )
    }
}

/// Why the last exchange of a push failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PushError {
    /// A stable word for the cause, such as `connectionRefused`, `status` or `idMissing`.
    pub code: String,
    /// The failure class.
    pub kind: FailureClass,
    /// What happened and what to do; never holds a secret.
    pub message: String,
    /// The step that failed.
    pub step: Step,
    /// The status of the answer, where one came.
    pub http_status: Option<u16>,
    /// Whether casehook tries again by itself.
    pub retryable: bool,
}

/// Where one comment stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CommentStatus {
    /// The host's id of the comment.
    pub comment_id: String,
    /// Where it stands.
    pub state: CommentState,
}

/// Where a push stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PushStatus {
    /// The push.
    pub id: PushId,
    /// The connector's name.
    pub connector: String,
    /// The host's own case id.
    pub case_id: Option<String>,
    /// Where it stands.
    pub state: PushState,
    /// Counted exchanges so far, of all steps.
    pub attempts: u32,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its state last changed.
    pub updated_at: Timestamp,
    /// When the next exchange is due at the earliest; only while queued or waiting, and not while the connector is paused.
    pub next_attempt_at: Option<Timestamp>,
    /// The incident's id at the target.
    pub external_id: Option<String>,
    /// The incident's title at the target.
    pub external_title: Option<String>,
    /// The link for people.
    pub external_url: Option<String>,
    /// Whether a request was sent again without knowing that the first had no effect.
    pub uncertain: bool,
    /// The push that took its place.
    pub superseded_by: Option<PushId>,
    /// Why the last exchange failed; none once a later one succeeded.
    pub error: Option<PushError>,
    /// Its comments, in order.
    pub comments: Vec<CommentStatus>,
}

/// One line of the attempts log: one exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Attempt {
    /// The push.
    pub push: PushId,
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The step.
    pub step: Step,
    /// `POST`, `PUT`, `PATCH` or `GET`; none when nothing could be rendered.
    pub method: Option<String>,
    /// Where it went, secrets masked.
    pub url: Option<String>,
    /// The status of the answer, where one came.
    pub http_status: Option<u16>,
    /// The failure class; none when it succeeded.
    pub class: Option<FailureClass>,
    /// What happened, secrets masked; empty when it succeeded.
    pub message: String,
}

/// Which pushes to list; every part that is set must hold. Newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Filter {
    /// Only those in this state.
    pub state: Option<PushState>,
    /// Only those of this connector.
    pub connector: Option<String>,
    /// Only those of this case of the host.
    pub case_id: Option<String>,
    /// Only those older than this push: the last one of the page before.
    pub before: Option<PushId>,
    /// At most so many; 100 when not set.
    pub limit: Option<usize>,
}

impl Filter {
    /// Every push.
    pub fn new() -> Filter {
        Filter::default()
    }

    /// Only those in this state.
    pub fn state(mut self, state: PushState) -> Filter {
        self.state = Some(state);
        self
    }

    /// Only those of this connector.
    pub fn connector(mut self, name: impl Into<String>) -> Filter {
        self.connector = Some(name.into());
        self
    }

    /// Only those of this case of the host.
    pub fn case_id(mut self, id: impl Into<String>) -> Filter {
        self.case_id = Some(id.into());
        self
    }

    /// Only those older than this push.
    pub fn before(mut self, id: PushId) -> Filter {
        self.before = Some(id);
        self
    }

    /// At most so many.
    pub fn limit(mut self, limit: usize) -> Filter {
        self.limit = Some(limit);
        self
    }
}
