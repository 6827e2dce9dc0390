//! Lengths of time as people type them: `500ms`, `30s`, `5m`, `2h`, `1.5h`, a plain number of seconds.

use std::time::Duration;

/// The longest that a command accepts: ten years, well inside what clocks can add.
const LONGEST_SECONDS: f64 = 10.0 * 365.0 * 86_400.0;

/// Reads a length of time. The error's text says what would be right.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || "a length of time looks like 30s, 5m, 2h or 500ms; a plain number is seconds".to_owned();
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit.trim() {
        "ms" => number / 1000.0,
        "" | "s" | "sec" => number,
        "m" | "min" => number * 60.0,
        "h" => number * 3600.0,
        "d" => number * 86_400.0,
        _ => return Err(wrong()),
    };
    if seconds > LONGEST_SECONDS {
        return Err("longer than ten years".to_owned());
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

/// A length of time for people, in the largest unit that keeps it short: `350 ms`, `12 s`, `5 min`, `3 h`, `2 days`.
pub(super) fn show(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        1..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit() {
        for (text, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("5 min", 300_000),
            ("2h", 7_200_000),
            ("1.5h", 5_400_000),
            ("1d", 86_400_000),
            ("60", 60_000),
            ("0", 0),
            (" 0.25 ", 250),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_length_of_time() {
        for text in [
            "",
            "s",
            "-1s",
            "5x",
            "1..2s",
            "ms",
            "1e9",
            "nan",
            "inf",
            ".",
            "99999999d",
            "5s5",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shows_the_largest_fitting_unit() {
        for (millis, text) in [
            (0, "0 ms"),
            (350, "350 ms"),
            (12_900, "12 s"),
            (119_000, "119 s"),
            (300_000, "5 min"),
            (3 * 3_600_000, "3 h"),
            (49 * 3_600_000, "2 days"),
        ] {
            assert_eq!(show(Duration::from_millis(millis)), text);
        }
    }
}
