//! Wall-clock time with the precision that the outbox keeps.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use der::DateTime;

/// After 400 years the calendar is the same again.
const CYCLE_YEARS: u16 = 400;
const CYCLE_MILLIS: i64 = 146_097 * 24 * 60 * 60 * 1000;
/// How many of them `DateTime` is behind: its first year is 1970.
const CYCLES: u16 = 4;

/// A moment: milliseconds since 1970-01-01T00:00:00Z. Prints as RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment that many milliseconds after 1970-01-01T00:00:00Z.
    pub const fn from_millis(millis: i64) -> Timestamp {
        Timestamp(millis)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Reads ISO 8601 as servers write it, `2026-11-18T11:06:40.123+01:00`: a blank may stand for the `T`, seconds may be
    /// left out, and without a zone it is UTC.
    pub(crate) fn from_iso(text: &str) -> Option<Timestamp> {
        let (seconds, length) = match text.get(16..17) {
            Some(":") => ("", 19),
            _ => (":00", 16),
        };
        let (date_time, rest) = text.split_at_checked(length)?;
        let (date, time) = (date_time.get(..10)?, date_time.get(11..)?);
        let whole: DateTime = match date_time.get(10..11)? {
            "T" | "t" | " " => format!("{date}T{time}{seconds}Z").parse().ok()?,
            _ => return None,
        };
        let (fraction, zone) = match rest.strip_prefix(['.', ',']).filter(|_| seconds.is_empty()) {
            Some(rest) => rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count()),
            None => ("0", rest),
        };
        let millis: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
        let utc = i64::try_from(whole.unix_duration().as_millis()).ok()? + millis;
        Some(Timestamp(utc - zone_minutes(zone)? * 60_000))
    }

    pub(crate) fn plus(self, wait: Duration) -> Timestamp {
        Timestamp(
            self.0
                .saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    pub(crate) fn minus(self, time: Duration) -> Timestamp {
        Timestamp(
            self.0
                .saturating_sub(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub(crate) fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Timestamp {
        let millis = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |m| -m),
        };
        Timestamp(millis)
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> SystemTime {
        if time.0 >= 0 {
            UNIX_EPOCH + Duration::from_millis(time.0.unsigned_abs())
        } else {
            UNIX_EPOCH - Duration::from_millis(time.0.unsigned_abs())
        }
    }
}

/// How many minutes a zone is ahead of UTC: `Z`, `+01:00`, `+0100`, `+01` or nothing.
fn zone_minutes(zone: &str) -> Option<i64> {
    if matches!(zone, "" | "Z" | "z") {
        return Some(0);
    }
    let (sign, rest) = match zone.strip_prefix('+') {
        Some(rest) => (1, rest),
        None => (-1, zone.strip_prefix('-')?),
    };
    let (hours, minutes) = rest.split_at_checked(2)?;
    let minutes = match minutes {
        "" => "00",
        minutes => minutes.strip_prefix(':').unwrap_or(minutes),
    };
    let number = |text: &str, below: i64| match text.as_bytes() {
        [b'0'..=b'9', b'0'..=b'9'] => text.parse::<i64>().ok().filter(|&number| number < below),
        _ => None,
    };
    Some(sign * (number(hours, 24)? * 60 + number(minutes, 60)?))
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let later = self.0.saturating_add(CYCLE_MILLIS * i64::from(CYCLES));
        let (millis, years) = match self.0 {
            ..0 => (later, CYCLES * CYCLE_YEARS),
            millis => (millis, 0),
        };
        let time = u64::try_from(millis)
            .ok()
            .and_then(|millis| DateTime::from_unix_duration(Duration::from_millis(millis)).ok());
        let Some(time) = time else {
            return write!(f, "{} ms", self.0);
        };
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            time.year() - years,
            time.month(),
            time.day(),
            time.hour(),
            time.minutes(),
            time.seconds(),
            millis % 1000,
        )
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_rfc_3339_in_utc() {
        assert_eq!(
            Timestamp::from_millis(1_795_000_000_123).to_string(),
            "2026-11-18T11:06:40.123Z"
        );
        assert_eq!(Timestamp::from_millis(-1).to_string(), "1969-12-31T23:59:59.999Z");
        for (millis, expected) in [
            (i64::MIN, "-9223372036854775808 ms"),
            (-5_000_000_000_000, "1811-07-23T15:06:40.000Z"),
            (253_402_300_799_000, "9999-12-31T23:59:59.000Z"),
            (253_402_300_800_000, "253402300800000 ms"),
        ] {
            assert_eq!(Timestamp::from_millis(millis).to_string(), expected);
        }
    }

    #[test]
    fn reads_iso_8601() {
        let at = Timestamp::from_millis(1_795_000_000_000);
        for (text, millis) in [
            ("2026-11-18T11:06:40Z", 0),
            ("2026-11-18t11:06:40z", 0),
            ("2026-11-18 11:06:40", 0),
            ("2026-11-18T11:06:40", 0),
            ("2026-11-18T11:06:40.5Z", 500),
            ("2026-11-18T11:06:40,123456789", 123),
            ("2026-11-18T12:06:40+01:00", 0),
            ("2026-11-18T12:06:40+01", 0),
            ("2026-11-18T05:36:40.000-0530", 0),
            ("2026-11-18T11:06Z", -40_000),
            ("2026-11-18 12:06+01:00", -40_000),
            ("2026-11-18T11:06", -40_000),
        ] {
            assert_eq!(
                Timestamp::from_iso(text),
                Some(Timestamp(at.0 + millis)),
                "{text}"
            );
        }
        for text in [
            "",
            "2026-11-18",
            "2026-13-18T11:06:40Z",
            "2026-11-18T11Z",
            "2026-11-18T11:06.5Z",
            "2026-11-18T11:06:4Z",
            "2026-11-18T11:06:",
            "2026-11-18T11:06:40+1",
            "2026-11-18T11:06:40+01:0",
            "2026-11-18T11:06:40+24:00",
            "2026-11-18T11:06:40+-1:00",
            "2026-11-18T11:06:40Zulu",
            "2026-11-18T11:06:40.é",
            "2026-11-18T11:06:40é",
            "+026-11-18T11:06:40Z",
            "2026-11-18é11:06:40Z",
            "Sun, 06 Nov 1994 08:50:37 GMT",
        ] {
            assert_eq!(Timestamp::from_iso(text), None, "{text}");
        }
    }

    #[test]
    fn survives_the_way_through_system_time() {
        for millis in [-5, 0, 1, 1_795_000_000_123] {
            let time = Timestamp::from_millis(millis);
            assert_eq!(Timestamp::from(SystemTime::from(time)), time);
        }
    }
}
