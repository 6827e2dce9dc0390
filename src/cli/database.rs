//! How messages name the database: a path as it is, a URL without the password that it may hold.

use std::path::Path;

/// What stands in the place of a password.
const MASK: &str = "***";

/// The path or URL, fit for a screen or a log.
pub(super) fn shown(database: &Path) -> String {
    let text = database.to_string_lossy();
    match text.split_once("://") {
        Some((scheme, rest)) if scheme.starts_with("postgres") => format!("{scheme}://{}", masked(rest)),
        _ => text.into_owned(),
    }
}

/// A password ends at an `@`; one that holds an `@` unescaped is taken to reach to the last.
fn masked(rest: &str) -> String {
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let place = match place.rsplit_once('@') {
        Some((login, host)) => match login.split_once(':') {
            Some((user, _)) => format!("{user}:{MASK}@{host}"),
            None => place.to_owned(),
        },
        None => place.to_owned(),
    };
    if query.is_empty() {
        return place;
    }
    let parameters: Vec<String> = query.split('&').map(parameter).collect();
    format!("{place}?{}", parameters.join("&"))
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
            (
                "postgres://host/db?user=ada&password=hush&p%61ssword=hush",
                "postgres://host/db?user=ada&password=***&p%61ssword=***",
            ),
        ] {
            assert_eq!(shown(Path::new(url)), expected);
        }
    }
}
