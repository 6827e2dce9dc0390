//! From a checked `config` object to a typed [`Config`].

use std::time::Duration;

use serde_json::{Map, Value};

use super::config::*;
use super::fields::{self, FIELDS};
use super::oauth::OAuth2;
use super::operation::{self, Templates, together};
use super::parts::ADF;
use super::proxy::OwnProxy;
use super::reader::Reader;
use super::refusals::{Refusals, Refused, Taken};
use super::{headers, table, texts};
use crate::error::{Error, Result};
use crate::model::limits;
use crate::response::ResponsePath;
use crate::template::{Slot, TextForm, TextForms};
use crate::transport::{Method, Verification};

/// Checks a `config` object; returns it with the defaults of the reference, and typed. The error is the first refusal.
pub(super) fn build(object: Map<String, Value>) -> Result<(Map<String, Value>, Config)> {
    let mut refusals = Refusals::default();
    let taken = gather(object, &mut refusals);
    refusals.or_first(taken)
}

/// The same with every refusal that can be told of what stands there.
pub(super) fn gather(
    object: Map<String, Value>,
    refusals: &mut Refusals,
) -> Taken<(Map<String, Value>, Config)> {
    let create_only = object.get("createOnly") == Some(&Value::Bool(true));
    let waived: fn(&str) -> bool = if create_only {
        |name| name.starts_with("getIncident") || name.starts_with("updateIncident")
    } else {
        |_| false
    };
    let document = table::gather("config", FIELDS, object, waived, refusals);
    let config = config(Reader(Some(&document)), create_only, refusals)?;
    Ok((document, config))
}

fn config(reader: Reader<'_>, create_only: bool, refusals: &mut Refusals) -> Taken<Config> {
    let texts = refusals.take(texts::read(reader.object("texts")));
    let templates = Templates {
        forms: text_forms(reader),
        texts: texts.as_deref().ok(),
    };
    let create = templates.operation(reader, &operation::CREATE, refusals);
    let comment = templates.operation(reader, &operation::COMMENT, refusals);
    let unused_comment_url = match (&comment, reader.text("createCommentUrl")) {
        (Ok(None), Some(url)) => {
            let url = templates.url(Slot::CommentUrl, "config.createCommentUrl", url);
            refusals.take(url).map(Some)
        }
        _ => Ok(None),
    };
    let get = templates.operation(reader, &operation::GET, refusals);
    let update = templates.operation(reader, &operation::UPDATE, refusals);
    let get_title = path(
        reader,
        "getIncidentResponseExternalTitleKey",
        "config.getIncidentResponseExternalTitleKey",
        refusals,
    );
    let find = templates.operation(reader, &operation::FIND, refusals);
    let find_ids = path(
        reader,
        "findIncidentResponseKey",
        "config.findIncidentResponseKey",
        refusals,
    );
    refusals.check(together(
        both(&get, &get_title),
        "config.getIncidentUrl",
        "getIncidentUrl and getIncidentResponseExternalTitleKey",
    ));
    refusals.check(together(
        both(&find, &find_ids),
        "config.findIncidentUrl",
        "findIncidentUrl and findIncidentResponseKey",
    ));
    refusals.check(check_find_body(reader, &find));
    let target = refusals.take(target_id(reader));
    let create_id = refusals.take(ResponsePath::parse(
        "config.createIncidentResponseKey",
        reader.text("createIncidentResponseKey").unwrap_or_default(),
    ));
    let view_url = refusals.take(templates.url(
        Slot::ViewUrl,
        "config.viewIncidentUrl",
        reader.text("viewIncidentUrl").unwrap_or_default(),
    ));
    let headers = headers::gather("config.headers", reader.object("headers"), refusals);
    let oauth2 = match (auth(reader), reader.0) {
        (Auth::OAuth2, Some(object)) => OAuth2::gather(object, refusals).map(Some),
        _ => Ok(None),
    };
    let proxy = reader.object("proxy").filter(|_| !refusals.has("config.proxy"));
    let proxy = refusals.take(proxy.map(OwnProxy::read).transpose());
    let retry = refusals.take(retry(reader));
    let on_uncertain_create = refusals.take(on_uncertain_create(reader, !matches!(find, Ok(None))));
    let idempotency = refusals.take(idempotency(reader));
    let failure_key = path(
        reader,
        "failureResponseKey",
        "config.failureResponseKey",
        refusals,
    );
    let view_url_key = path(
        reader,
        "viewIncidentResponseKey",
        "config.viewIncidentResponseKey",
        refusals,
    );
    let extra_tags = refusals.take(texts::read_tags(
        reader.get("extraTags").and_then(Value::as_array),
    ));
    let tag_spaces = refusals.take(tag_spaces(reader));
    let Some(create) = create? else {
        let message = "a required field is missing after the check";
        return Err(refusals.push(Error::internal(message)));
    };
    Ok(Config {
        create_id: create_id?,
        view_url: view_url?,
        headers,
        auth: auth(reader),
        oauth2: oauth2?,
        tls: tls(reader),
        proxy: proxy?,
        retry: retry?,
        coalesce: reader.flag("coalesce", true),
        max_in_flight: reader.number("maxInFlight").unwrap_or(4) as usize,
        min_interval: Duration::from_millis(reader.number("minIntervalMs").unwrap_or(0)),
        connect_timeout: reader
            .inner("timeouts")
            .number("connectMs")
            .map(Duration::from_millis),
        response_timeout: reader
            .inner("timeouts")
            .number("responseMs")
            .map(Duration::from_millis),
        on_uncertain_create: on_uncertain_create?,
        find_settle: Duration::from_millis(reader.number("findSettleMs").unwrap_or(60_000)),
        max_uncertain_resends: reader.number("maxUncertainResends").unwrap_or(3) as u32,
        idempotency: idempotency?,
        failure_key: failure_key?,
        view_url_key: view_url_key?,
        severity_map: value_map(reader, "severity"),
        status_map: value_map(reader, "status"),
        max_lengths: reader
            .object("maxLengths")
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.clone(), value.as_u64()? as usize)))
            .collect(),
        extra_tags: extra_tags?,
        tag_spaces: tag_spaces?,
        create_only,
        if_match: reader.flag("ifMatchHeader", false),
        on_external_gone: match reader.text("onExternalGone") {
            Some("recreate") => OnExternalGone::Recreate,
            _ => OnExternalGone::Fail,
        },
        target: target?.unwrap_or_else(|| create.url.sample().origin().ascii_serialization()),
        create,
        get: get?,
        get_title: get_title?,
        update: update?,
        comment: comment?,
        unused_comment_url: unused_comment_url?,
        find: find?,
        find_ids: find_ids?,
        texts: texts?,
    })
}

/// Whether two things that only go together do, as far as both are known.
fn both<A, B>(one: &Taken<Option<A>>, other: &Taken<Option<B>>) -> bool {
    match (one, other) {
        (Ok(one), Ok(other)) => one.is_some() == other.is_some(),
        _ => true,
    }
}

/// A path into an answer that need not be there.
fn path(
    reader: Reader<'_>,
    name: &str,
    field: &'static str,
    refusals: &mut Refusals,
) -> Taken<Option<ResponsePath>> {
    match refusals.has(field) {
        true => Err(Refused),
        false => refusals.take(reader.path(name, field)),
    }
}

fn check_find_body(reader: Reader<'_>, find: &Taken<Option<Operation>>) -> Result<()> {
    let refused = |why: &str| Err(Error::config("config.findIncidentJson", why));
    let Ok(find) = find else { return Ok(()) };
    match find.as_ref().map(|find| find.method) {
        _ if reader.text("findIncidentJson").is_none() => Ok(()),
        None => refused("this has no effect without findIncidentUrl; give both, or leave it out"),
        Some(Method::Get) => {
            refused("a look-up by get has no body: set findIncidentMethod to \"post\", or leave this out")
        }
        Some(_) => Ok(()),
    }
}

fn target_id(reader: Reader<'_>) -> Result<Option<String>> {
    match reader.text("targetId") {
        Some(id) if id.len() > limits::NAME_BYTES => Err(Error::config(
            "config.targetId",
            format!("this has {} bytes; the limit is {}", id.len(), limits::NAME_BYTES),
        )),
        id => Ok(id.map(str::to_owned)),
    }
}

fn auth(reader: Reader<'_>) -> Auth {
    match reader.text("authType") {
        _ if !reader.flag("hasAuth", true) => Auth::None,
        Some(fields::CERTIFICATE) => Auth::Certificate,
        Some(fields::OAUTH2) => Auth::OAuth2,
        Some(fields::QUERY_PARAM) => Auth::None,
        _ => Auth::Basic,
    }
}

fn tls(reader: Reader<'_>) -> Tls {
    Tls {
        cert_type: match reader.text("certType") {
            Some("ssl-crt-key") => Some(CertType::CrtKey),
            Some("ssl-pfx") => Some(CertType::Pfx),
            _ => None,
        },
        ca: reader.text("ca").map(str::to_owned),
        verification: reader.text("verificationMode").and_then(Verification::from_word),
        usual_roots: reader.inner("tls").flag("usualAuthorities", true),
        only_tls13: reader.inner("tls").text("minVersion") == Some("1.3"),
    }
}

fn retry(reader: Reader<'_>) -> Result<Retry> {
    let retry = reader.inner("retry");
    let base = retry.number("baseMs").unwrap_or(1_000);
    let cap = retry.number("capMs").unwrap_or(base.max(600_000));
    if cap < base {
        return Err(Error::config(
            "config.retry.capMs",
            format!("this must not be less than baseMs, which is {base}"),
        ));
    }
    Ok(Retry {
        max_attempts: retry
            .number("maxAttempts")
            .map(|n| n.try_into().unwrap_or(u32::MAX)),
        max_age: retry.number("maxAgeSeconds").map(Duration::from_secs),
        base: Duration::from_millis(base),
        cap: Duration::from_millis(cap),
    })
}

fn on_uncertain_create(reader: Reader<'_>, can_find: bool) -> Result<OnUncertainCreate> {
    match reader.text("onUncertainCreate") {
        Some("find") if !can_find => Err(Error::config(
            "config.onUncertainCreate",
            "\"find\" needs findIncidentUrl and findIncidentResponseKey",
        )),
        Some("find") => Ok(OnUncertainCreate::Find),
        Some("retry") => Ok(OnUncertainCreate::Retry),
        Some(_) => Ok(OnUncertainCreate::Hold),
        None if can_find => Ok(OnUncertainCreate::Find),
        None => Ok(OnUncertainCreate::Retry),
    }
}

fn idempotency(reader: Reader<'_>) -> Result<Option<Idempotency>> {
    let header = match reader.get("idempotencyHeader") {
        Some(Value::Null) => return Ok(None),
        Some(Value::String(name)) => name.as_str(),
        _ => fields::IDEMPOTENCY_HEADER,
    };
    let header = headers::name("config.idempotencyHeader", header)
        .map_err(|e| Error::config("config.idempotencyHeader", e.message()))?;
    if headers::has_a_meaning(&header) {
        let message = "this header means something else to servers and to casehook: a key needs one of its own, such as \
                       Idempotency-Key or X-Request-Id; null sends none";
        return Err(Error::config("config.idempotencyHeader", message));
    }
    Ok(Some(Idempotency {
        header,
        quoted: reader.text("idempotencyKeyFormat") == Some("quoted"),
        lifetime: reader.number("idempotencyKeySeconds").map(Duration::from_secs),
    }))
}

fn text_forms(reader: Reader<'_>) -> TextForms {
    let forms = reader.inner("textForms");
    let form = |name: &str| match forms.text(name) {
        Some(ADF) => TextForm::Adf,
        _ => TextForm::Plain,
    };
    TextForms {
        description: form("description"),
        comment: form("comment"),
    }
}

fn value_map(reader: Reader<'_>, name: &str) -> Map<String, Value> {
    reader
        .inner("valueMaps")
        .object(name)
        .cloned()
        .unwrap_or_default()
}

fn tag_spaces(reader: Reader<'_>) -> Result<Option<String>> {
    let text = reader.text("tagSpaces");
    if text.is_some_and(|text| text.contains(char::is_whitespace)) {
        let message =
            "this stands in the place of spaces, so it must have none itself: `_` or `-`, for example";
        return Err(Error::config("config.tagSpaces", message));
    }
    Ok(text.map(str::to_owned))
}
