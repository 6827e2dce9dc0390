//! How long an answer asks to be left alone.

use std::time::Duration;

use crate::model::Timestamp;
use crate::transport::Answer;

/// The longest pause that a target can ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// A rate-limit reset above this is a moment in Unix seconds, below it a number of seconds from now (2001 in seconds).
const EPOCH_SECONDS: i64 = 1_000_000_000;
/// A rate-limit reset above this is a moment in Unix milliseconds.
const EPOCH_MILLIS: i64 = 1_000_000_000_000;

/// Whether a 403 means that a limit is used up (GitHub answers so), rather than that something is forbidden.
pub(super) fn limit_exhausted(answer: &Answer) -> bool {
    answer.header("retry-after").is_some()
        || exhausted_reset(answer).is_some()
        || [
            "x-ratelimit-remaining",
            "x-rate-limit-remaining",
            "ratelimit-remaining",
        ]
        .iter()
        .any(|name| answer.header(name).is_some_and(|left| left.trim() == "0"))
}

/// The pause that the answer asks for, at most an hour: Retry-After first, then the reset of an exhausted limit.
pub(super) fn asked(answer: &Answer, now: Timestamp) -> Option<Duration> {
    let sent_at = answer.header("date").and_then(http_date).unwrap_or(now);
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let retry_after =
        answer
            .header("retry-after")
            .map(str::trim)
            .and_then(|text| match text.parse::<u64>() {
                Ok(seconds) => Some(Duration::from_secs(seconds)),
                // More than any number holds.
                Err(_) if is_number(text) => Some(LONGEST_PAUSE),
                Err(_) => http_date(text).map(|until| until.since(sent_at)),
            });
    let reset = || {
        ["x-ratelimit-reset", "x-rate-limit-reset", "ratelimit-reset"]
            .iter()
            .find_map(|name| answer.header(name))
            .and_then(|text| limit_reset(text.trim(), sent_at))
            .or_else(|| exhausted_reset(answer))
    };
    retry_after.or_else(reset).map(|pause| pause.min(LONGEST_PAUSE))
}

/// What `RateLimit` says of limits that are used up: `limit=10, remaining=0, reset=45`, in later drafts of it
/// `"name";r=0;t=45` for each limit.
fn exhausted_reset(answer: &Answer) -> Option<Duration> {
    let text = answer.header("ratelimit")?;
    let limits: Vec<&str> = match text.contains("remaining") {
        true => vec![text],
        false => text.split(',').collect(),
    };
    let resets = limits.into_iter().filter_map(|limit| {
        let value = |names: [&str; 2]| {
            limit
                .split([',', ';'])
                .filter_map(|part| part.split_once('='))
                .find(|(name, _)| names.contains(&name.trim()))
                .and_then(|(_, value)| value.trim().parse::<u64>().ok())
        };
        (value(["remaining", "r"])? == 0).then_some(value(["reset", "t"])?)
    });
    resets.max().map(Duration::from_secs)
}

/// `X-RateLimit-Reset` and its kin: Unix seconds, Unix milliseconds, seconds from now, ISO 8601 (in UTC where it names
/// no zone), or a date of HTTP.
fn limit_reset(text: &str, sent_at: Timestamp) -> Option<Duration> {
    // Fractions of a second occur in the wild; they are cut.
    let number = text
        .split_once('.')
        .map_or(text, |(whole, _)| whole)
        .parse::<i64>();
    let until = match number {
        Ok(millis) if millis >= EPOCH_MILLIS => Timestamp::from_millis(millis),
        Ok(seconds) if seconds >= EPOCH_SECONDS => Timestamp::from_millis(seconds.saturating_mul(1000)),
        Ok(seconds) => return u64::try_from(seconds).ok().map(Duration::from_secs),
        Err(_) => moment(text)?,
    };
    Some(until.since(sent_at))
}

fn moment(text: &str) -> Option<Timestamp> {
    Timestamp::from_iso(text).or_else(|| http_date(text))
}

fn http_date(text: &str) -> Option<Timestamp> {
    httpdate::parse_http_date(text.trim()).ok().map(Timestamp::from)
}
