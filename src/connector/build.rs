//! From a checked `config` object to a typed [`Config`].

use std::time::Duration;

use serde_json::{Map, Value};

use super::config::*;
use super::fields::{self, FIELDS};
use super::oauth::OAuth2;
use super::parts::ADF;
use super::proxy::OwnProxy;
use super::{headers, table, texts, words};
use crate::error::{Error, Result};
use crate::model::limits;
use crate::response::ResponsePath;
use crate::template::{BodyTemplate, Slot, TextForm, TextForms, UrlTemplate};
use crate::transport::{Method, Verification};

/// Checks a `config` object; returns it with the defaults of the reference, and typed.
pub(crate) fn build(object: Map<String, Value>) -> Result<(Map<String, Value>, Config)> {
    let create_only = object.get("createOnly") == Some(&Value::Bool(true));
    let waived: fn(&str) -> bool = if create_only {
        |name| name.starts_with("getIncident") || name.starts_with("updateIncident")
    } else {
        |_| false
    };
    let document = table::check("config", FIELDS, object, waived)?;
    let config = Reader(Some(&document)).config(create_only)?;
    Ok((document, config))
}

/// Reads fields whose types are known to be right.
struct Reader<'a>(Option<&'a Map<String, Value>>);

impl<'a> Reader<'a> {
    fn config(&self, create_only: bool) -> Result<Config> {
        let create = self
            .operation(&CREATE)?
            .ok_or_else(|| Error::internal("a required field is missing after the check"))?;
        let comment = self.operation(&COMMENT)?;
        let unused_comment_url = match (&comment, self.text("createCommentUrl")) {
            (None, Some(url)) => Some(UrlTemplate::compile(
                Slot::CommentUrl,
                "config.createCommentUrl",
                url,
            )?),
            _ => None,
        };
        let (get, update) = (self.operation(&GET)?, self.operation(&UPDATE)?);
        let get_title = self.path(
            "getIncidentResponseExternalTitleKey",
            "config.getIncidentResponseExternalTitleKey",
        )?;
        let find = self.operation(&FIND)?;
        let find_ids = self.path("findIncidentResponseKey", "config.findIncidentResponseKey")?;
        together(
            get.is_some() == get_title.is_some(),
            "config.getIncidentUrl",
            "getIncidentUrl and getIncidentResponseExternalTitleKey",
        )?;
        together(
            find.is_some() == find_ids.is_some(),
            "config.findIncidentUrl",
            "findIncidentUrl and findIncidentResponseKey",
        )?;
        if self.text("findIncidentJson").is_some() {
            let refused = |why: &str| Err(Error::config("config.findIncidentJson", why));
            match find.as_ref().map(|find| find.method) {
                None => {
                    return refused("this has no effect without findIncidentUrl; give both, or leave it out");
                }
                Some(Method::Get) => {
                    return refused(
                        "a look-up by get has no body: set findIncidentMethod to \"post\", or leave this out",
                    );
                }
                Some(_) => {}
            }
        }
        let view_url = self.text("viewIncidentUrl").unwrap_or_default();
        let target = match self.text("targetId") {
            Some(id) if id.len() > limits::NAME_BYTES => {
                return Err(Error::config(
                    "config.targetId",
                    format!("this has {} bytes; the limit is {}", id.len(), limits::NAME_BYTES),
                ));
            }
            Some(id) => id.to_owned(),
            None => create.url.sample().origin().ascii_serialization(),
        };
        let config = Config {
            create_id: ResponsePath::parse(
                "config.createIncidentResponseKey",
                self.text("createIncidentResponseKey").unwrap_or_default(),
            )?,
            view_url: UrlTemplate::compile(Slot::ViewUrl, "config.viewIncidentUrl", view_url)?,
            headers: headers::read("config.headers", self.object("headers"))?,
            auth: self.auth(),
            oauth2: match (self.auth(), self.0) {
                (Auth::OAuth2, Some(object)) => Some(OAuth2::read(object)?),
                _ => None,
            },
            tls: self.tls(),
            proxy: self.object("proxy").map(OwnProxy::read).transpose()?,
            retry: self.retry()?,
            coalesce: self.flag("coalesce", true),
            max_in_flight: self.number("maxInFlight").unwrap_or(4) as usize,
            min_interval: Duration::from_millis(self.number("minIntervalMs").unwrap_or(0)),
            connect_timeout: self
                .inner("timeouts")
                .number("connectMs")
                .map(Duration::from_millis),
            response_timeout: self
                .inner("timeouts")
                .number("responseMs")
                .map(Duration::from_millis),
            on_uncertain_create: self.on_uncertain_create(find.is_some())?,
            find_settle: Duration::from_millis(self.number("findSettleMs").unwrap_or(60_000)),
            max_uncertain_resends: self.number("maxUncertainResends").unwrap_or(3) as u32,
            idempotency: self.idempotency()?,
            failure_key: self.path("failureResponseKey", "config.failureResponseKey")?,
            view_url_key: self.path("viewIncidentResponseKey", "config.viewIncidentResponseKey")?,
            severity_map: self.value_map("severity"),
            status_map: self.value_map("status"),
            max_lengths: self
                .object("maxLengths")
                .into_iter()
                .flatten()
                .filter_map(|(name, value)| Some((name.clone(), value.as_u64()? as usize)))
                .collect(),
            texts: texts::read(self.object("texts"))?,
            extra_tags: texts::read_tags(self.get("extraTags").and_then(Value::as_array))?,
            tag_spaces: self.tag_spaces()?,
            create_only,
            if_match: self.flag("ifMatchHeader", false),
            on_external_gone: match self.text("onExternalGone") {
                Some("recreate") => OnExternalGone::Recreate,
                _ => OnExternalGone::Fail,
            },
            create,
            get,
            get_title,
            update,
            comment,
            unused_comment_url,
            find,
            find_ids,
            target,
        };
        check_texts(&config)?;
        Ok(config)
    }

    /// The operation of these fields; none when its URL, its method or a body that it needs is null, empty or absent.
    fn operation(&self, names: &Names) -> Result<Option<Operation>> {
        let (url, json) = (self.text(names.url), self.text(names.json));
        let method = match self.text(names.method) {
            Some("get") => Method::Get,
            Some("post") => Method::Post,
            Some("put") => Method::Put,
            Some("patch") => Method::Patch,
            // Null or empty: what is left out has its default by now.
            _ if self.get(names.method).is_some() => return Ok(None),
            _ => names.default,
        };
        let headers = headers::read(names.headers_path, self.object(names.headers))?;
        let Some(url) = url else {
            if json.is_some() && names.complete {
                together(false, names.url_path, "the URL and the JSON of an operation")?;
            }
            return Ok(None);
        };
        let json = match method {
            Method::Get => None,
            _ => json,
        };
        if json.is_none() && names.complete {
            together(false, names.json_path, "the URL and the JSON of an operation")?;
        }
        if json.is_none() && names.skips {
            return Ok(None);
        }
        Ok(Some(Operation {
            method,
            url: UrlTemplate::compile(names.url_slot, names.url_path, url)?,
            body: json
                .map(|json| {
                    BodyTemplate::compile(names.json_slot, names.json_path, json, self.text_forms())
                })
                .transpose()?,
            headers,
        }))
    }

    fn auth(&self) -> Auth {
        match self.text("authType") {
            _ if !self.flag("hasAuth", true) => Auth::None,
            Some(fields::CERTIFICATE) => Auth::Certificate,
            Some(fields::OAUTH2) => Auth::OAuth2,
            Some(fields::QUERY_PARAM) => Auth::None,
            _ => Auth::Basic,
        }
    }

    fn tls(&self) -> Tls {
        Tls {
            cert_type: match self.text("certType") {
                Some("ssl-crt-key") => Some(CertType::CrtKey),
                Some("ssl-pfx") => Some(CertType::Pfx),
                _ => None,
            },
            ca: self.text("ca").map(str::to_owned),
            verification: self.text("verificationMode").and_then(Verification::from_word),
            usual_roots: self.inner("tls").flag("usualAuthorities", true),
            only_tls13: self.inner("tls").text("minVersion") == Some("1.3"),
        }
    }

    fn retry(&self) -> Result<Retry> {
        let retry = self.inner("retry");
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

    fn on_uncertain_create(&self, can_find: bool) -> Result<OnUncertainCreate> {
        match self.text("onUncertainCreate") {
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

    fn idempotency(&self) -> Result<Option<Idempotency>> {
        let header = match self.get("idempotencyHeader") {
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
            quoted: self.text("idempotencyKeyFormat") == Some("quoted"),
            lifetime: self.number("idempotencyKeySeconds").map(Duration::from_secs),
        }))
    }

    fn text_forms(&self) -> TextForms {
        let forms = self.inner("textForms");
        let form = |name: &str| match forms.text(name) {
            Some(ADF) => TextForm::Adf,
            _ => TextForm::Plain,
        };
        TextForms {
            description: form("description"),
            comment: form("comment"),
        }
    }

    fn value_map(&self, name: &str) -> Map<String, Value> {
        self.inner("valueMaps").object(name).cloned().unwrap_or_default()
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.0?.get(name)
    }

    /// A string that is there and not empty.
    fn text(&self, name: &str) -> Option<&'a str> {
        self.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    fn flag(&self, name: &str, default: bool) -> bool {
        self.get(name).and_then(Value::as_bool).unwrap_or(default)
    }

    fn tag_spaces(&self) -> Result<Option<String>> {
        let text = self.text("tagSpaces");
        if text.is_some_and(|text| text.contains(char::is_whitespace)) {
            let message =
                "this stands in the place of spaces, so it must have none itself: `_` or `-`, for example";
            return Err(Error::config("config.tagSpaces", message));
        }
        Ok(text.map(str::to_owned))
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.as_u64()
    }

    fn object(&self, name: &str) -> Option<&'a Map<String, Value>> {
        self.get(name)?.as_object()
    }

    fn inner(&self, name: &str) -> Reader<'a> {
        Reader(self.object(name))
    }

    fn path(&self, name: &str, field: &'static str) -> Result<Option<ResponsePath>> {
        self.text(name)
            .map(|text| ResponsePath::parse(field, text))
            .transpose()
    }
}

/// The fields that make up one operation.
struct Names {
    url: &'static str,
    url_path: &'static str,
    url_slot: Slot,
    method: &'static str,
    default: Method,
    json: &'static str,
    json_path: &'static str,
    json_slot: Slot,
    headers: &'static str,
    headers_path: &'static str,
    /// Whether URL and JSON only go together.
    complete: bool,
    /// Whether the operation is left out when it has no JSON.
    skips: bool,
}

macro_rules! names {
    (
        $const:ident, $stem:literal, $url:ident, $json:ident, $method:ident,
        $complete:literal, $skips:literal
    ) => {
        const $const: Names = Names {
            url: concat!($stem, "Url"),
            url_path: concat!("config.", $stem, "Url"),
            url_slot: Slot::$url,
            method: concat!($stem, "Method"),
            default: Method::$method,
            json: concat!($stem, "Json"),
            json_path: concat!("config.", $stem, "Json"),
            json_slot: Slot::$json,
            headers: concat!($stem, "Headers"),
            headers_path: concat!("config.", $stem, "Headers"),
            complete: $complete,
            skips: $skips,
        };
    };
}

names!(CREATE, "createIncident", CreateUrl, CreateBody, Post, true, false);
names!(GET, "getIncident", GetUrl, GetBody, Get, false, false);
names!(UPDATE, "updateIncident", UpdateUrl, UpdateBody, Put, true, false);
names!(
    COMMENT,
    "createComment",
    CommentUrl,
    CommentBody,
    Put,
    false,
    true
);
names!(FIND, "findIncident", FindUrl, FindBody, Get, false, false);

/// Refuses `case.texts.NAME` where `texts` has no such name.
fn check_texts(config: &Config) -> Result<()> {
    let bodies = config
        .operations()
        .filter_map(|operation| operation.body.as_ref());
    let bodies = bodies.flat_map(|body| body.texts().map(|name| (body.field(), name)));
    let urls = config
        .urls()
        .flat_map(|url| url.texts().map(|name| (url.field(), name)));
    for (field, name) in bodies.chain(urls) {
        if config.texts.iter().any(|(known, _)| known == name) {
            continue;
        }
        let known: Vec<&str> = config.texts.iter().map(|(name, _)| name.as_str()).collect();
        let known = match known.as_slice() {
            [] => "there is no config.texts".to_owned(),
            names => format!("config.texts has {}", names.join(", ")),
        };
        let message = format!(
            "unknown variable `case.texts.{}`: {known}",
            words::quoted(name).trim_matches('"')
        );
        return Err(Error::config(field, message));
    }
    Ok(())
}

fn together(fits: bool, field: &str, what: &str) -> Result<()> {
    if fits {
        return Ok(());
    }
    Err(Error::config(
        field,
        format!("{what} only go together: give both or none"),
    ))
}
