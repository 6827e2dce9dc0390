//! Advice on refusals, by status and by the target's own words.

use serde_json::Value;
use url::Url;

use super::Exchange;
use super::evidence::{names, short, told_words};
use crate::model::Step;

pub(super) fn credentials(at: &Exchange<'_>) -> Option<String> {
    if at.code == "token" {
        return Some(
            "check accessTokenUrl, clientId, scope and secrets.clientSecret, and accessTokenAuthMethod"
                .to_owned(),
        );
    }
    if at.status != Some(401) {
        return None;
    }
    let asked = at.header("www-authenticate").map(|scheme| {
        let scheme = scheme
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .trim_end_matches(',');
        format!("the target asks for {}. ", short(scheme))
    });
    let asked = asked.unwrap_or_default();
    let headers = &at.request.headers;
    let secret = headers
        .iter()
        .any(|header| header.value == "***" && !header.name.eq_ignore_ascii_case("cookie"));
    let words = match (at.sent("authorization"), secret) {
        (Some(_), _) => {
            "Authorization was sent and refused: check user and password, or the scheme of the token (\"Bearer TOKEN\", \"token \
             TOKEN\", \"Token token=TOKEN\", \"ApiKey KEY\", or the key alone); many services take an API token in the place of \
             the password"
        }
        (None, true) => "a secret header was sent and refused: check its name and value",
        (None, false) => {
            "no credentials were sent: set hasAuth to true with secrets.user and secrets.password, or put a token into \
             secrets.secretHeaders, as {\"Authorization\": \"Bearer TOKEN\"} or under a name of the target's own, such as \
             X-API-Key or PRIVATE-TOKEN"
        }
    };
    Some(format!("{asked}{words}"))
}

pub(super) fn cross_site(at: &Exchange<'_>) -> Option<String> {
    if !matches!(at.status, Some(400 | 403)) {
        return None;
    }
    let body = at.body().to_lowercase();
    let words = [
        "csrf",
        "xsrf",
        "cross-site",
        "x-requested-with",
        "x-atlassian-token",
    ];
    let found = words.iter().find(|word| body.contains(**word))?;
    Some(format!(
        "the target guards against cross-site requests ({found}): add the header that it names to headers, such as \
         X-Requested-With, kbn-xsrf: true or X-Atlassian-Token: no-check"
    ))
}

pub(super) fn rate_limit(at: &Exchange<'_>) -> Option<String> {
    let spent = || {
        at.header("retry-after").is_some()
            || ["x-ratelimit-remaining", "ratelimit-remaining"]
                .iter()
                .any(|name| at.header(name).is_some_and(|left| left.trim() == "0"))
    };
    let limited = at.status == Some(429) || (matches!(at.status, Some(403 | 503)) && spent());
    limited.then(|| {
        let wait = at.header("retry-after").map_or_else(String::new, |wait| {
            let unit = if wait.bytes().all(|b| b.is_ascii_digit()) { " seconds" } else { "" };
            format!("; it asks to wait ({}{unit})", short(wait))
        });
        format!(
            "the target limits how often it may be asked{wait}: run this again later; casehook pauses by itself when it delivers, \
             and minIntervalMs and maxInFlight keep it below the limit"
        )
    })
}

pub(super) fn forbidden(at: &Exchange<'_>) -> Option<String> {
    (at.status == Some(403)).then(|| {
        format!(
            "the credentials are known and do not allow this: give that account the right to {}{}",
            match at.step {
                Step::Create => "create records",
                Step::Update => "change them",
                Step::Get | Step::Find => "read them",
                Step::Comment => "comment on them",
            },
            told_words(at)
        )
    })
}

pub(super) fn wrong_method(at: &Exchange<'_>) -> Option<String> {
    if at.status != Some(405) {
        return None;
    }
    let takes = match at.step {
        Step::Get | Step::Find => ["get", "post", ""],
        _ => ["post", "put", "patch"],
    };
    let allowed = at.header("allow").unwrap_or_default().to_lowercase();
    let allowed: Vec<&str> = allowed.split(',').map(str::trim).collect();
    let mut usable = takes
        .iter()
        .filter(|method| !method.is_empty() && allowed.contains(method));
    Some(match usable.next() {
        Some(method) => format!("set {}Method to `{method}`", at.stem()),
        None => {
            let (method, stem) = (&at.request.method, at.stem());
            format!("this address does not take {method}: change {stem}Method, or correct {stem}Url")
        }
    })
}

pub(super) fn trailing_slash(at: &Exchange<'_>) -> Option<String> {
    if at.status != Some(404) {
        return None;
    }
    let url = Url::parse(&at.request.url).ok()?;
    (url.path().len() > 1 && url.path().ends_with('/')).then(|| {
        format!(
            "try {}Url without the slash at its end; else compare it with the target's API",
            at.stem()
        )
    })
}

pub(super) fn not_found(at: &Exchange<'_>) -> Option<String> {
    if !matches!(at.status, Some(404 | 410)) {
        return None;
    }
    Some(match at.step {
        Step::Create => format!(
            "compare createIncidentUrl with the target's API: its path, a project or table in it, and whether it ends with a \
             slash or .json; some targets answer 404 where rights are missing{}",
            told_words(at)
        ),
        Step::Find => "compare findIncidentUrl with the target's API: 404 is taken for \"nothing found\", which some targets mean \
                       by it and others by an empty list"
            .to_owned(),
        _ => format!(
            "compare {}Url with the target's API, and the id in it with what people call the record there: \
             createIncidentResponseKey may lead to the wrong one of several ids{}",
            at.stem(),
            told_words(at)
        ),
    })
}

pub(super) fn media_type(at: &Exchange<'_>) -> Option<String> {
    if at.status != Some(415) {
        return None;
    }
    let sent = at.sent("content-type").unwrap_or("none");
    let wanted = ["accept-patch", "accept-post", "accept"]
        .iter()
        .find_map(|name| at.header(name));
    let field = format!("{}Headers", at.stem());
    Some(match wanted {
        Some(wanted) => format!(
            "the body was sent as {}; set Content-Type in {field} to {}",
            short(sent),
            short(wanted)
        ),
        None if sent.eq_ignore_ascii_case("application/json") => format!(
            "the body was sent as application/json; set Content-Type in {field} to what the target's API names, such as \
             application/json-patch+json or application/vnd.api+json"
        ),
        None => format!(
            "the body was sent as {}; set Content-Type in headers or {field} to application/json",
            short(sent)
        ),
    })
}

pub(super) fn not_acceptable(at: &Exchange<'_>) -> Option<String> {
    (at.status == Some(406)).then(|| {
        format!(
            "set Accept in headers to what the target's API names; some want a path that ends with .json in {}Url",
            at.stem()
        )
    })
}

pub(super) fn too_large(at: &Exchange<'_>) -> Option<String> {
    let body = at.body().to_lowercase();
    let length = [
        "too long",
        "maximum length",
        "max length",
        "maxlength",
        "no more than",
        "is too big",
    ];
    let length = length.iter().any(|words| body.contains(words));
    match at.status {
        Some(413) => Some(
            "the body is larger than the target takes: cut texts with maxLengths, such as {\"description\": 30000}".to_owned(),
        ),
        Some(400 | 422) if length => Some(format!(
            "cut the text with maxLengths, such as {{\"title\": 255}}{}",
            told_words(at)
        )),
        _ => None,
    }
}

pub(super) fn unknown_key(at: &Exchange<'_>) -> Option<String> {
    if !matches!(at.status, Some(400 | 422)) {
        return None;
    }
    let body: Value = serde_json::from_str(at.request.body.as_deref()?).ok()?;
    let told = at.body();
    let lower = told.to_lowercase();
    let words = [
        "unknown",
        "unrecognized",
        "unrecognised",
        "unexpected",
        "not allowed",
        "cannot be set",
        "no such",
        "invalid key",
    ];
    if !words.iter().any(|words| lower.contains(words)) {
        return None;
    }
    let mut keys = Vec::new();
    names(&body, &mut keys);
    let key = keys
        .into_iter()
        .rev()
        .filter(|key| key.len() > 1 && told.contains(key.as_str()))
        .max_by_key(String::len)?;
    Some(format!(
        "the target does not take the key `{key}` of the body: rename it in {}Json or take it out{}",
        at.stem(),
        told_words(at)
    ))
}

pub(super) fn missing_key(at: &Exchange<'_>) -> Option<String> {
    if !matches!(at.status, Some(400 | 422)) {
        return None;
    }
    let lower = at.body().to_lowercase();
    let words = [
        "required",
        "missing",
        "can't be blank",
        "cannot be blank",
        "must be provided",
        "must not be empty",
        "may not be null",
    ];
    words.iter().any(|words| lower.contains(words)).then(|| {
        format!(
            "the target needs something that {}Json does not give{}",
            at.stem(),
            told_words(at)
        )
    })
}

pub(super) fn precondition(at: &Exchange<'_>) -> Option<String> {
    let body = at.body().to_lowercase();
    let versions = ["version", "etag", "if-match", "stale", "conflict"]
        .iter()
        .any(|word| body.contains(word));
    let wanted = matches!(at.status, Some(412 | 428)) || (at.status == Some(409) && versions);
    (wanted && at.step == Step::Update && at.sent("if-match").is_none()).then(|| {
        "the target wants to know which version an update is about: set ifMatchHeader to true".to_owned()
    })
}

pub(super) fn told(at: &Exchange<'_>) -> Option<String> {
    let status = at
        .status
        .filter(|status| matches!(status, 400 | 409 | 422 | 500..=599))?;
    let words = told_words(at);
    if status >= 500 {
        return Some(format!("the fault is the target's; its log says more{words}"));
    }
    Some(format!("compare {}Json with the target's API{words}", at.stem()))
}
