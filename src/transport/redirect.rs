//! Whether and where a redirect is followed (R6, R10).

use url::Url;

use super::{Answer, Failure, FailureKind, Method};

/// The most hops that one request follows.
pub(super) const MAX_HOPS: usize = 10;

/// Where an answer to a request for `url` leads: a URL to repeat it at, or none when the answer stands.
///
/// 301, 302 and 303 are followed for GET alone, since what follows them turns other methods into GET; 307
/// and 308 keep method and body. Without a `Location` an answer is an answer. Whether the new URL's host is
/// allowed is not asked here.
pub(super) fn next(method: Method, url: &Url, answer: &Answer) -> Result<Option<Url>, Failure> {
    let keeps_method = match answer.status {
        301..=303 => false,
        307 | 308 => true,
        _ => return Ok(None),
    };
    let Some(location) = answer
        .header("location")
        .map(str::trim)
        .filter(|text| !text.is_empty())
    else {
        return Ok(None);
    };
    let refused = |why: String| Err(refusal(answer.status, why));
    let target = match url.join(&decode(location)) {
        Ok(target) => target,
        Err(error) => return refused(format!("the redirect's Location is not a URL ({error})")),
    };
    let named = named(&target);
    if !keeps_method && method != Method::Get {
        let method = method.as_str();
        return refused(format!(
            "a redirect to {named} would turn the {method} into a GET; use that URL in the connector"
        ));
    }
    if !matches!(target.scheme(), "http" | "https") {
        return refused(format!("a redirect to {named} leaves http and https"));
    }
    if !target.username().is_empty() || target.password().is_some() {
        return refused(format!("the redirect to {named} carries a user name or password"));
    }
    if url.scheme() == "https" && target.scheme() == "http" {
        return refused(format!("a redirect to {named} leads from https to http"));
    }
    Ok(Some(target))
}

/// The failure of an exchange whose redirects go on and on.
pub(super) fn too_many(status: u16, target: &Url) -> Failure {
    let named = named(target);
    refusal(
        status,
        format!("more than {MAX_HOPS} redirects, the last one to {named}"),
    )
}

fn refusal(status: u16, message: String) -> Failure {
    Failure {
        kind: FailureKind::Redirect,
        code: "redirect",
        message,
        status: Some(status),
    }
}

/// The most bytes of a path that a message shows.
const SHOWN_PATH: usize = 500;

/// A URL as messages show it: without user, password, query and fragment, a long path cut.
pub(super) fn named(url: &Url) -> String {
    // A path is ASCII.
    let path = match url.path().get(..SHOWN_PATH) {
        Some(start) if start.len() < url.path().len() => format!("{start}\u{2026}"),
        _ => url.path().to_owned(),
    };
    match url.host_str() {
        Some(host) => match url.port() {
            Some(port) => format!("{}://{host}:{port}{path}", url.scheme()),
            None => format!("{}://{host}{path}", url.scheme()),
        },
        None => format!("a {} URL", url.scheme()),
    }
}

/// A Location with raw UTF-8 in it arrives as latin-1; what is UTF-8 is read as such, as browsers do.
fn decode(location: &str) -> String {
    let bytes: Option<Vec<u8>> = location
        .chars()
        .map(|c| u8::try_from(u32::from(c)).ok())
        .collect();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_else(|| location.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(
        method: Method,
        from: &str,
        status: u16,
        location: Option<&str>,
    ) -> Result<Option<String>, String> {
        let headers = location
            .map(|value| ("location".to_owned(), value.to_owned()))
            .into_iter()
            .collect();
        let answer = Answer {
            status,
            headers,
            body: Vec::new(),
            body_fault: None,
            tokens: Default::default(),
        };
        next(method, &from.parse().unwrap(), &answer)
            .map(|url| url.map(String::from))
            .map_err(|failure| {
                assert_eq!((failure.kind, failure.code), (FailureKind::Redirect, "redirect"));
                assert_eq!(failure.status, Some(status));
                failure.message
            })
    }

    #[test]
    fn followed() {
        let from = "http://h:1/a/b?q=1";
        for (method, status, location, to) in [
            (Method::Get, 301, "/n", "http://h:1/n"),
            (Method::Get, 302, "c", "http://h:1/a/c"),
            (Method::Get, 303, "//other/x", "http://other/x"),
            (Method::Get, 307, "?z", "http://h:1/a/b?z"),
            (Method::Get, 308, "http://H:1/a", "http://h:1/a"),
            (Method::Post, 307, "/n", "http://h:1/n"),
            (Method::Put, 308, " https://h/n ", "https://h/n"),
            (Method::Patch, 307, "http://2130706433/n", "http://127.0.0.1/n"),
            (Method::Get, 302, "/\u{c3}\u{a9}", "http://h:1/%C3%A9"),
        ] {
            assert_eq!(
                step(method, from, status, Some(location)),
                Ok(Some(to.to_owned())),
                "{status} {location}"
            );
        }
    }

    #[test]
    fn a_long_path_is_cut_in_messages() {
        let url = |length: usize| Url::parse(&format!("http://h:1/{}", "x".repeat(length))).unwrap();
        assert_eq!(named(&url(9)), "http://h:1/xxxxxxxxx");
        let cut = named(&url(100_000));
        assert!(
            cut.len() < 600 && cut.starts_with("http://h:1/xx") && cut.ends_with('\u{2026}'),
            "{cut}"
        );
    }

    #[test]
    fn answers_that_stand() {
        for (status, location) in [
            (200, Some("/n")),
            (201, Some("/n")),
            (300, Some("/n")),
            (304, Some("/n")),
            (302, None),
            (301, Some("")),
            (307, Some("  ")),
            (404, Some("/n")),
        ] {
            for method in [Method::Get, Method::Post] {
                assert_eq!(
                    step(method, "http://h/", status, location),
                    Ok(None),
                    "{status} {location:?}"
                );
            }
        }
    }

    #[test]
    fn refused() {
        for (method, from, status, location, says) in [
            (
                Method::Post,
                "http://h/",
                301,
                "/n?token=t",
                "redirect to http://h/n would turn the POST",
            ),
            (Method::Put, "http://h/", 302, "/n", "the PUT into a GET"),
            (Method::Patch, "http://h/", 303, "/n", "the PATCH into a GET"),
            (
                Method::Get,
                "http://h/",
                302,
                "ftp://h/n",
                "leaves http and https",
            ),
            (
                Method::Get,
                "http://h/",
                302,
                "javascript:alert(1)",
                "a javascript URL leaves",
            ),
            (
                Method::Post,
                "http://h/",
                307,
                "http://evil:pw@h/x",
                "http://h/x carries a user",
            ),
            (Method::Get, "https://h/", 302, "http://h/x", "from https to http"),
            (Method::Get, "http://h/", 302, "http://[::1", "not a URL"),
        ] {
            let message = step(method, from, status, Some(location)).unwrap_err();
            assert!(message.contains(says), "{message}");
            assert!(!message.contains("pw") && !message.contains("token"), "{message}");
        }
    }
}
