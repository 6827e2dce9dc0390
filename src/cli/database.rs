//! How messages name the database: a path as it is, a URL without the password that it may hold.

use std::path::Path;

/// What stands in the place of a password.
const MASK: &str = "***";

/// The path or URL, fit for a screen or a log.
pub(super) fn shown(database: &Path) -> String {
    let text = database.to_string_lossy();
    let words: Vec<String> = text.split(' ').map(word).collect();
    words.join(" ")
}

/// A URL, whatever its scheme, a setting as libpq has them, or a part of a path.
fn word(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once(':') else {
        return match text.contains('/') {
            true => text.to_owned(),
            false => parameter(text),
        };
    };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c));
    if !is_scheme {
        return text.to_owned();
    }
    let place = rest.trim_start_matches('/');
    let slashes = &rest[..rest.len() - place.len()];
    format!("{scheme}:{slashes}{}", masked(place))
}

/// A password ends at an `@`; one that holds an `@` or what ends a host unescaped is taken to reach to the last.
fn masked(rest: &str) -> String {
    let (login, rest) = match rest.rsplit_once('@') {
        Some((login, rest)) => {
            let (user, colon) = login.split_once(':').map_or((login, ""), |(user, _)| (user, ":"));
            let mask = if colon.is_empty() { "" } else { MASK };
            (format!("{user}{colon}{mask}@"), rest)
        }
        None => (String::new(), rest),
    };
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let place = without_odd_port(place);
    if query.is_empty() {
        return login + &place;
    }
    let parameters: Vec<String> = query.split('&').map(parameter).collect();
    format!("{login}{place}?{}", parameters.join("&"))
}

/// What stands behind a colon is a port, or else a password whose host was forgotten.
fn without_odd_port(place: &str) -> String {
    let (host, path) = place.find('/').map_or((place, ""), |at| place.split_at(at));
    match host.rsplit_once(':') {
        Some((name, port)) if !host.starts_with('[') && !port.bytes().all(|b| b.is_ascii_digit()) => {
            format!("{name}:{MASK}{path}")
        }
        _ => place.to_owned(),
    }
}

fn parameter(pair: &str) -> String {
    match pair.split_once('=') {
        // A name with escapes may spell anything.
        Some((name, _)) if name.contains('%') || name.to_ascii_lowercase().contains("pass") => {
            format!("{name}={MASK}")
        }
        _ => pair.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_a_url_is_masked() {
        for (url, expected) in [
            ("cases.db", "cases.db"),
            ("/a:b@c/cases.db", "/a:b@c/cases.db"),
            ("postgres://host/db", "postgres://host/db"),
            (
                "postgres://ada@host/db?schema=s",
                "postgres://ada@host/db?schema=s",
            ),
            (
                "postgres://ada:hush@host:5432/db",
                "postgres://ada:***@host:5432/db",
            ),
            (
                "postgresql://ada:hu@s:h/@host/db?a=1",
                "postgresql://ada:***@host/db?a=1",
            ),
            ("Postgres://ada:hush@host/db", "Postgres://ada:***@host/db"),
            ("postgres:/ada:hush@host/db", "postgres:/ada:***@host/db"),
            ("mysql://ada:hush@host/db", "mysql://ada:***@host/db"),
            ("postgres://ada:hu?sh#@host/db", "postgres://ada:***@host/db"),
            ("postgres://ada:hush", "postgres://ada:***"),
            ("postgres://[::1]:5432/db", "postgres://[::1]:5432/db"),
            ("host=h password=hush dbname=d", "host=h password=*** dbname=d"),
            ("my files/cases of=5.db", "my files/cases of=5.db"),
            (
                "postgres://host/db?user=ada&password=hush&p%61ssword=hush",
                "postgres://host/db?user=ada&password=***&p%61ssword=***",
            ),
        ] {
            assert_eq!(shown(Path::new(url)), expected);
        }
    }
}
