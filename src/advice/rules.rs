//! The table of known mistakes, the most telling first, and the words for each.

use serde_json::Value;
use url::Url;

use super::{Exchange, Rule, paths};
use crate::model::Step;

/// How much of a server's own words is quoted, in characters.
const QUOTED: usize = 300;

/// How many paths are listed.
const LISTED: usize = 12;

/// How many declarations and comments before a document are passed over.
const SKIPPED: usize = 20;

macro_rules! rules {
    ($($advise:ident: $mistake:literal, $sign:literal;)*) => {
        /// Every mistake that is known.
        pub(crate) const RULES: &[Rule] = &[$(Rule { mistake: $mistake, sign: $sign, advise: $advise }),*];
    };
}

rules! {
    misspelt_name: "a host name that does not exist", "the name cannot be resolved";
    refused_connection: "a wrong port, or a server that is down", "the connection is refused or not answered";
    proxy_login: "a proxy that wants a login", "407, or the proxy refuses the tunnel";
    untrusted: "a certificate authority that is not trusted", "TLS ends with an unknown issuer";
    other_name: "a certificate for another name", "TLS ends with a name that does not fit";
    expired: "a certificate that has expired", "TLS ends with an expired certificate";
    https_on_http: "https at a port of plain http", "what answers is not TLS";
    http_on_https: "http at a port of TLS", "an answer that is no HTTP, or 400 with words on HTTPS";
    to_https: "http where the server wants https", "a redirect to the same address with https";
    slash_redirect: "a slash too many or too few at the end", "a redirect to the same address with or without it";
    other_redirect: "an old address", "any other redirect of a write";
    mislabelled: "JSON under the name of something else", "a media type other than JSON, and JSON";
    login_page: "the address of pages for people", "an HTML page in the place of JSON";
    other_type: "an answer that is no JSON", "XML, text or another media type where JSON belongs";
    graphql: "a failure told with status 200", "`errors` in an answer that counts as a success";
    location: "an answer that has only a Location", "a create answers without a body";
    no_body: "an answer without a body", "a create or get answers nothing";
    wrong_path: "a path that leads nowhere", "the id or title is not where the connector looks";
    other_found: "a look-up that finds another incident", "the id that is found is not the one that was created";
    several_found: "a look-up that finds too much", "several incidents are found for one new case";
    unusable_value: "a path to an object, a list or null", "what the path leads to is no id or title";
    credentials: "credentials that are missing or of another scheme", "401";
    cross_site: "a header against cross-site requests that is missing", "403 with words on CSRF or XSRF";
    rate_limit: "too many requests", "429, or 403 or 503 with Retry-After";
    forbidden: "an account without the right", "403";
    wrong_method: "a method that the address does not take", "405";
    trailing_slash: "a slash too many or too few at the end", "404 or 301 for a write";
    not_found: "an address that the server does not know", "404";
    media_type: "a body of another media type", "415";
    not_acceptable: "an answer of another media type asked for", "406";
    too_large: "a text that is too long", "413, or 400 or 422 with words on length";
    unknown_key: "a body with a key that the target does not know", "400 or 422 that names a key of the body";
    missing_key: "a body without a key that the target needs", "400 or 422 that names a key or says required";
    precondition: "an update without the version that was read", "412, 428, or 409 with words on versions";
    told: "anything else that the target refuses", "400, 409, 422 or 5xx with a message";
    timed_out: "a target that is slow", "no answer in time";
    lost: "a connection that is cut", "it ends before the answer is complete";
}

// What comes before an answer.

fn misspelt_name(at: &Exchange<'_>) -> Option<String> {
    if at.code != "dns" {
        return None;
    }
    let host = host(at);
    let mut words = format!("check the spelling of {host} in {}Url", at.stem());
    if let Some(near) = near_host(&host) {
        words.push_str(&format!("; did you mean {near}?"));
    } else if !host.contains('.') {
        words.push_str("; a name without a dot is only known inside of some networks");
    } else {
        words.push_str("; if only a proxy can resolve it, set proxyUrl");
    }
    Some(words)
}

fn refused_connection(at: &Exchange<'_>) -> Option<String> {
    let port = asked(at)?.port_or_known_default()?;
    let led = led_to(at).map_or_else(String::new, |to| {
        format!(
            "{}Url is redirected to {to}; write the address that is meant there: ",
            at.stem()
        )
    });
    let words = match at.code {
        "connectionRefused" => Some(format!(
            "nothing listens at port {port} of {}: check the port, or start the server",
            host(at)
        )),
        "connectTimeout" | "unreachable" => Some(format!(
            "port {port} of {} does not answer from here: check the address, firewalls, and whether a proxy is needed (proxyUrl)",
            host(at)
        )),
        "hostNotAllowed" => Some(format!("add {} to the setting allowedHosts", host(at))),
        "addressNotAllowed" => Some("the setting denyPrivateAddresses forbids this address".to_owned()),
        _ => None,
    };
    Some(format!("{led}{}", words?))
}

fn proxy_login(at: &Exchange<'_>) -> Option<String> {
    if at.status == Some(407) {
        let words = "the proxy wants a login: put user and password into the setting proxyUrl, or into secrets.proxyUser and \
                     secrets.proxyPassword for a proxy of this connector";
        return Some(words.to_owned());
    }
    (at.code == "proxy")
        .then(|| "check proxyUrl; hosts that need no proxy belong into proxyBypassHosts".to_owned())
}

fn untrusted(at: &Exchange<'_>) -> Option<String> {
    let words = "get the authority's certificate from whoever runs the server, and put it, PEM in base64, into ca; \
                 verificationMode none would trust anybody";
    tls(at, &["not trusted", "UnknownIssuer"]).then(|| words.to_owned())
}

fn other_name(at: &Exchange<'_>) -> Option<String> {
    tls(at, &["for another name", "NotValidForName"]).then(|| {
        format!(
            "use the name that the certificate was made for in the place of {}; where that is not possible, \
             verificationMode certificate leaves the name unchecked",
            host(at)
        )
    })
}

fn expired(at: &Exchange<'_>) -> Option<String> {
    let words = "the server's certificate has to be renewed there; nothing in the connector helps";
    tls(at, &["has expired"]).then(|| words.to_owned())
}

fn https_on_http(at: &Exchange<'_>) -> Option<String> {
    let no_tls = tls(
        at,
        &[
            "is this an http port",
            "InvalidContentType",
            "corrupt message",
            "unexpected end of file",
        ],
    );
    no_tls.then(|| {
        format!(
            "what listens at {} does not speak TLS: write http:// in {}Url, or the port of https",
            authority(at),
            at.stem()
        )
    })
}

fn http_on_https(at: &Exchange<'_>) -> Option<String> {
    if !at.request.url.starts_with("http:") {
        return None;
    }
    let body = at.body().to_lowercase();
    let words = [
        "https port",
        "https server",
        "requires tls",
        "speaking plain http",
    ];
    let told = at.status == Some(400) && words.iter().any(|words| body.contains(words));
    let odd = at.code == "connectionLost" && at.verdict.contains("is not HTTP/1.1");
    (told || odd).then(|| format!("{} speaks TLS: write https:// in {}Url", authority(at), at.stem()))
}

// Redirects.

fn to_https(at: &Exchange<'_>) -> Option<String> {
    let (from, to) = redirect(at)?;
    let secure = from.scheme() == "http" && to.scheme() == "https" && from.host_str() == to.host_str();
    secure.then(|| {
        format!(
            "write https:// in {}Url, and in the other URLs: the server sends http there, and a write must not follow",
            at.stem()
        )
    })
}

fn slash_redirect(at: &Exchange<'_>) -> Option<String> {
    let (from, to) = redirect(at)?;
    let bare = |url: &Url| url.path().trim_end_matches('/').to_owned();
    let same = from.origin() == to.origin() && bare(&from) == bare(&to) && from.path() != to.path();
    same.then(|| match to.path().ends_with('/') {
        true => format!("end the path in {}Url with a slash", at.stem()),
        false => format!("take the slash off the end of the path in {}Url", at.stem()),
    })
}

fn other_redirect(at: &Exchange<'_>) -> Option<String> {
    if let Some((_, to)) = redirect(at) {
        if ["login", "signin", "sign_in", "sso", "saml", "auth"]
            .iter()
            .any(|word| to.path().contains(word))
        {
            return Some(
                "the server sends people to its login page: the credentials are not taken, or this is no address of its API"
                    .to_owned(),
            );
        }
        return Some(format!("put the new address into {}Url", at.stem()));
    }
    (at.code == "redirect").then(|| format!("put the address that it leads to into {}Url", at.stem()))
}

// Answers that count as a success and cannot be used.

fn mislabelled(at: &Exchange<'_>) -> Option<String> {
    let json = at
        .json()
        .is_some_and(|document| document.is_object() || document.is_array());
    (at.code == "mediaType" && json).then(|| {
        format!(
            "the answer is JSON, labelled {}: Accept: application/json in headers may bring the right label; else it is set where \
             the server or a proxy before it is configured",
            media_type_of(at)
        )
    })
}

fn login_page(at: &Exchange<'_>) -> Option<String> {
    let begins = document_of(at).to_lowercase();
    let tagged = begins.starts_with("<!doctype html") || begins.starts_with("<html");
    let html = tagged || (begins.starts_with('<') && media_type_of(at).contains("html"));
    let unusable = matches!(at.code, "mediaType" | "notJson");
    if !html || !unusable {
        return None;
    }
    let login = ["password", "log in", "login", "sign in", "signin"];
    let login = login.iter().any(|word| begins.contains(word));
    Some(match login {
        true => format!(
            "this is a login page: the credentials are not taken, or {}Url is not the address of the API (which often has /api or \
             /rest in it)",
            at.stem()
        ),
        false => format!(
            "this is a page for people: {}Url is not the address of the API (which often has /api or /rest in it, or ends with .json)",
            at.stem()
        ),
    })
}

fn other_type(at: &Exchange<'_>) -> Option<String> {
    let said = media_type_of(at);
    if at.code == "notJson" && !at.body().trim().is_empty() {
        let words = match said.as_str() {
            "" => "the answer has no media type and is no JSON",
            _ => "the answer says that it is JSON and is none",
        };
        return Some(format!(
            "{words}: compare {}Url with the target's API, and see whether something between answers in its place",
            at.stem()
        ));
    }
    if at.code != "mediaType" {
        return None;
    }
    let xml = said.contains("xml") || document_of(at).starts_with('<');
    Some(match xml {
        true => format!(
            "the answer is XML: Accept: application/json in headers, or a path that ends with .json or a query such as format=json \
             in {}Url, may bring JSON",
            at.stem()
        ),
        false => format!(
            "the answer is {said}: {}Url may not be the address of the API; else Accept: application/json in headers may bring \
             JSON",
            at.stem()
        ),
    })
}

fn graphql(at: &Exchange<'_>) -> Option<String> {
    let success = at.ok
        || matches!(
            at.code,
            "idMissing" | "titleMissing" | "idUnusable" | "titleUnusable" | "pathMissing"
        );
    if !success || at.tells_failures {
        return None;
    }
    let document = at.json()?;
    let errors = document.get("errors").or_else(|| document.get("Error"))?;
    let name = if document.get("errors").is_some() {
        "errors"
    } else {
        "Error"
    };
    let some = match errors {
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => false,
    };
    some.then(|| {
        let told = message(&document).map_or_else(String::new, |told| format!(" It said: {told}"));
        format!("the target tells failures with status 200: set failureResponseKey to `{name}`.{told}")
    })
}

fn location(at: &Exchange<'_>) -> Option<String> {
    if at.step != Step::Create || !at.body().trim().is_empty() || at.answer?.status / 100 != 2 {
        return None;
    }
    let place = at.header("location")?;
    Some(format!(
        "the incident was created, and the answer tells its address ({}) in the header Location alone, which no path reads: ask \
         the target for the new record (a header such as Prefer: return=representation), or let createIncidentUrl name an id \
         of your choice; look whether the trial's incident is to be deleted",
        short(place)
    ))
}

fn no_body(at: &Exchange<'_>) -> Option<String> {
    let reads = matches!(at.step, Step::Create | Step::Get | Step::Find);
    let empty = at
        .answer
        .is_some_and(|answer| answer.status / 100 == 2 && answer.body.trim().is_empty());
    let words = "the target has to answer with the record: a header such as Prefer: return=representation or Accept: \
                 application/json in headers may do it";
    (reads && empty && !at.ok).then(|| words.to_owned())
}

fn other_found(at: &Exchange<'_>) -> Option<String> {
    (at.code == "otherFound").then(|| {
        "let findIncidentUrl name something that no other case has, and findIncidentResponseKey lead to the same of several ids \
         as createIncidentResponseKey: what is found is taken for the case's incident"
            .to_owned()
    })
}

fn several_found(at: &Exchange<'_>) -> Option<String> {
    (at.code == "severalFound").then(|| {
        "let findIncidentUrl name something that this case alone has, such as {{{case.id}}} in a field of its own; incidents of \
         earlier trials with the same id are found too, and can be deleted"
            .to_owned()
    })
}

fn wrong_path(at: &Exchange<'_>) -> Option<String> {
    if !matches!(at.code, "idMissing" | "titleMissing" | "pathMissing") {
        return None;
    }
    let document = at.json()?;
    let wrong = at.path.unwrap_or_default();
    let list: Vec<String> = paths::all(&document)
        .into_iter()
        .map(|path| format!("`{}`", through_lists(at, path)))
        .collect();
    let there = match list.len() {
        0 => "the answer has no text and no number".to_owned(),
        count if count > LISTED => format!("the answer has {}, and more", list[..LISTED].join(", ")),
        _ => format!("the answer has {}", list.join(", ")),
    };
    Some(match paths::likeliest(&document, wrong, at.step) {
        Some(path) => format!(
            "set {} to `{}`; {there}",
            at.path_field(),
            through_lists(at, path)
        ),
        None => format!("correct {}; {there}", at.path_field()),
    })
}

fn unusable_value(at: &Exchange<'_>) -> Option<String> {
    if !matches!(at.code, "idUnusable" | "titleUnusable") {
        return None;
    }
    let document = at.json()?;
    let wrong = at.path?.replacen("[]", "[0]", 1);
    let inside = paths::all(&document);
    let mut inside = inside
        .iter()
        .filter(|path| path.starts_with(&wrong) && path.len() > wrong.len());
    let usual = [
        "id",
        "key",
        "number",
        "title",
        "name",
        "value",
        "display_value",
        "display",
    ];
    let likely = inside
        .clone()
        .find(|path| usual.iter().any(|name| path.ends_with(&format!(".{name}"))));
    Some(match likely.or_else(|| inside.next()) {
        Some(path) => format!(
            "go on inside of it: set {} to `{}`",
            at.path_field(),
            through_lists(at, path.clone())
        ),
        None => match paths::likeliest(&document, &wrong, at.step) {
            Some(path) if path != wrong => {
                let path = through_lists(at, path);
                format!("set {} to another path, such as `{path}`", at.path_field())
            }
            _ => format!("set {} to the path of a text or number", at.path_field()),
        },
    })
}

// Refusals.

fn credentials(at: &Exchange<'_>) -> Option<String> {
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

fn cross_site(at: &Exchange<'_>) -> Option<String> {
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

fn rate_limit(at: &Exchange<'_>) -> Option<String> {
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

fn forbidden(at: &Exchange<'_>) -> Option<String> {
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

fn wrong_method(at: &Exchange<'_>) -> Option<String> {
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

fn trailing_slash(at: &Exchange<'_>) -> Option<String> {
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

fn not_found(at: &Exchange<'_>) -> Option<String> {
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

fn media_type(at: &Exchange<'_>) -> Option<String> {
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

fn not_acceptable(at: &Exchange<'_>) -> Option<String> {
    (at.status == Some(406)).then(|| {
        format!(
            "set Accept in headers to what the target's API names; some want a path that ends with .json in {}Url",
            at.stem()
        )
    })
}

fn too_large(at: &Exchange<'_>) -> Option<String> {
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

fn unknown_key(at: &Exchange<'_>) -> Option<String> {
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
    keys.sort_by_key(|key| std::cmp::Reverse(key.len()));
    let key = keys
        .into_iter()
        .find(|key| key.len() > 1 && told.contains(key.as_str()))?;
    Some(format!(
        "the target does not take the key `{key}` of the body: rename it in {}Json or take it out{}",
        at.stem(),
        told_words(at)
    ))
}

fn missing_key(at: &Exchange<'_>) -> Option<String> {
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

fn precondition(at: &Exchange<'_>) -> Option<String> {
    let body = at.body().to_lowercase();
    let versions = ["version", "etag", "if-match", "stale", "conflict"]
        .iter()
        .any(|word| body.contains(word));
    let wanted = matches!(at.status, Some(412 | 428)) || (at.status == Some(409) && versions);
    (wanted && at.step == Step::Update && at.sent("if-match").is_none()).then(|| {
        "the target wants to know which version an update is about: set ifMatchHeader to true".to_owned()
    })
}

fn told(at: &Exchange<'_>) -> Option<String> {
    let status = at
        .status
        .filter(|status| matches!(status, 400 | 409 | 422 | 500..=599))?;
    let words = told_words(at);
    if status >= 500 {
        return Some(format!("the fault is the target's; its log says more{words}"));
    }
    Some(format!("compare {}Json with the target's API{words}", at.stem()))
}

fn timed_out(at: &Exchange<'_>) -> Option<String> {
    (at.code == "responseTimeout").then(|| {
        "the target may have acted all the same: look there first; then raise timeouts.responseMs".to_owned()
    })
}

fn lost(at: &Exchange<'_>) -> Option<String> {
    (at.code == "connectionLost").then(|| {
        let acted = match at.step {
            Step::Get | Step::Find => "",
            _ => "the target may have acted all the same: look there first. ",
        };
        format!(
            "{acted}If it happens again, see what the log of {} says, and whether a proxy or firewall between cuts connections",
            authority(at)
        )
    })
}

// Helpers.

fn tls(at: &Exchange<'_>, words: &[&str]) -> bool {
    at.code == "tls" && words.iter().any(|words| at.verdict.contains(words))
}

/// Where a redirect led before it failed there.
fn led_to(at: &Exchange<'_>) -> Option<Url> {
    let (to, _) = at
        .verdict
        .strip_prefix("after a redirect to ")?
        .split_once(": ")?;
    Url::parse(to).ok()
}

/// The address that was asked last.
fn asked(at: &Exchange<'_>) -> Option<Url> {
    led_to(at).or_else(|| Url::parse(&at.request.url).ok())
}

/// The answer's media type without parameters, in lower case.
fn media_type_of(at: &Exchange<'_>) -> String {
    let whole = at.header("content-type").unwrap_or_default();
    let essence = whole.split(';').next().unwrap_or_default();
    short(essence.trim()).to_lowercase()
}

/// A body from where its document begins: without byte order mark, declaration and comments.
fn document_of<'a>(at: &Exchange<'a>) -> &'a str {
    let body = at.answer.map_or("", |answer| answer.body.as_str());
    let mut rest = body.trim_start_matches('\u{feff}').trim_start();
    for _ in 0..SKIPPED {
        let skipped = [("<?xml", "?>"), ("<!--", "-->")]
            .into_iter()
            .find_map(|(open, close)| {
                let (_, after) = rest.strip_prefix(open)?.split_once(close)?;
                Some(after.trim_start())
            });
        match skipped {
            Some(after) => rest = after,
            None => break,
        }
    }
    rest
}

/// The path as a look-up takes it: through a list and not to its first element.
fn through_lists(at: &Exchange<'_>, path: String) -> String {
    match at.step {
        Step::Find => path.replacen("[0]", "[]", 1),
        _ => path,
    }
}

fn host(at: &Exchange<'_>) -> String {
    let url = asked(at);
    url.and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_default()
}

fn authority(at: &Exchange<'_>) -> String {
    let port = asked(at).and_then(|url| url.port_or_known_default());
    format!("{}:{}", host(at), port.unwrap_or_default())
}

/// Where a redirect led from and to, by the answer or by the refusal's words.
fn redirect(at: &Exchange<'_>) -> Option<(Url, Url)> {
    let from = Url::parse(&at.request.url).ok()?;
    if let Some(location) = at
        .header("location")
        .filter(|_| at.answer.is_some_and(|a| a.status / 100 == 3))
    {
        return Some((from.clone(), from.join(location).ok()?));
    }
    if at.code != "redirect" {
        return None;
    }
    let mut words = at.verdict.split_whitespace();
    let to = words.find(|word| word.starts_with("http://") || word.starts_with("https://"))?;
    Some((from, Url::parse(to.trim_end_matches([';', ','])).ok()?))
}

/// Hosts of known services that are misspelt now and then.
fn near_host(host: &str) -> Option<String> {
    const ENDS: [&str; 8] = [
        "atlassian.net",
        "service-now.com",
        "zendesk.com",
        "freshdesk.com",
        "github.com",
        "gitlab.com",
        "pagerduty.com",
        "youtrack.cloud",
    ];
    let mut labels = host.rsplitn(3, '.');
    let (top, second) = (labels.next()?, labels.next()?);
    let end = format!("{second}.{top}");
    let near = crate::words::nearest(&end, ENDS.into_iter()).filter(|near| *near != end)?;
    Some(match labels.next() {
        Some(first) => format!("{first}.{near}"),
        None => near.to_owned(),
    })
}

/// The names of an object's members, those within included.
fn names(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                found.push(name.clone());
                names(inner, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|inner| names(inner, found)),
        _ => {}
    }
}

/// ` It said: ...` with the server's own words; nothing where it had none.
fn told_words(at: &Exchange<'_>) -> String {
    let told = match at.json() {
        Some(document) => message(&document),
        None => Some(short(at.body())).filter(|text| !text.is_empty() && !text.starts_with('<')),
    };
    told.map_or_else(String::new, |told| format!(". It said: {told}"))
}

/// The message within an error document of any usual shape.
fn message(document: &Value) -> Option<String> {
    let mut found = Vec::new();
    collect(document, &mut found, 0);
    (!found.is_empty()).then(|| short(&found.join("; ")))
}

fn collect(value: &Value, found: &mut Vec<String>, deep: usize) {
    const NAMES: [&str; 14] = [
        "message",
        "messages",
        "errorMessages",
        "errors",
        "error",
        "error_message",
        "error_description",
        "description",
        "detail",
        "details",
        "title",
        "msg",
        "reason",
        "Error",
    ];
    if deep > 4 || found.len() > 8 {
        return;
    }
    match value {
        Value::String(text) if !text.is_empty() && !found.contains(text) => found.push(text.clone()),
        Value::Array(list) => list.iter().for_each(|inner| collect(inner, found, deep + 1)),
        Value::Object(map) => {
            // A list under such a name is about a field of that name.
            let field = |name: &str| matches!(name, "title" | "description") && map[name].is_array();
            let known = NAMES
                .into_iter()
                .filter(|name| map.contains_key(*name) && !field(name));
            let known: Vec<&str> = known.collect();
            if known.is_empty() {
                // An object of fields with their faults, as many frameworks answer.
                for (name, inner) in map {
                    let mut inside = Vec::new();
                    collect(inner, &mut inside, deep + 1);
                    if !inside.is_empty() {
                        found.push(format!("{name}: {}", inside.join("; ")));
                    }
                }
            }
            for name in known {
                collect(&map[name], found, deep + 1);
            }
        }
        _ => {}
    }
}

/// The beginning of a text, in one line.
fn short(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= QUOTED {
        return line;
    }
    line.chars().take(QUOTED).chain(['\u{2026}']).collect()
}
