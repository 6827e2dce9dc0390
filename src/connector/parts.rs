//! Fields within fields: the objects that a connector's `config` holds.

use super::table::Need::Extension;
use super::table::{Field, Kind, field};

/// The largest number of milliseconds that a field takes: a week.
pub(super) const WEEK_MS: u64 = 7 * 24 * 60 * 60 * 1000;

pub(super) const TLS: &[Field] = &[
    field(
        "minVersion",
        Kind::OneOf(&["1.2", "1.3"]),
        Extension("1.2"),
        "the oldest version of TLS that is spoken",
    ),
    field(
        "usualAuthorities",
        Kind::Bool,
        Extension("true"),
        "whether the system's and the bundled certificate authorities are trusted beside ca",
    ),
];

pub(super) const RETRY: &[Field] = &[
    field(
        "maxAttempts",
        Kind::Whole(1, u32::MAX as u64),
        Extension("unlimited"),
        "counted exchanges of one step before the push fails",
    ),
    field(
        "maxAgeSeconds",
        Kind::Whole(1, WEEK_MS),
        Extension("unlimited"),
        "seconds of trying before the push fails",
    ),
    field(
        "baseMs",
        Kind::Whole(1, WEEK_MS),
        Extension("1000"),
        "the first wait",
    ),
    field(
        "capMs",
        Kind::Whole(1, WEEK_MS),
        Extension("600000"),
        "the longest wait",
    ),
];

pub(super) const TIMEOUTS: &[Field] = &[
    field(
        "connectMs",
        Kind::Whole(1, 86_400_000),
        Extension("10000, or the time for the answer where that is less"),
        "time to connect",
    ),
    field(
        "responseMs",
        Kind::Whole(1, 86_400_000),
        Extension("the setting responseTimeout"),
        "time for the answer",
    ),
];

pub(super) const VALUE_MAPS: &[Field] = &[
    field(
        "severity",
        Kind::Values,
        Extension("{}"),
        "from the host's severity to the target's; `*` stands for any other",
    ),
    field(
        "status",
        Kind::Values,
        Extension("{}"),
        "from the host's status to the target's; `*` stands for any other",
    ),
];

/// The form of a text that is sent as it is.
pub(super) const PLAIN: &str = "plain";
/// The Atlassian Document Format.
pub(super) const ADF: &str = "adf";

pub(super) const TEXT_FORMS: &[Field] = &[
    field(
        "description",
        Kind::OneOf(&[PLAIN, ADF]),
        Extension(PLAIN),
        "the form of case.description",
    ),
    field(
        "comment",
        Kind::OneOf(&[PLAIN, ADF]),
        Extension(PLAIN),
        "the form of case.comment",
    ),
];
