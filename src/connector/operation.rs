//! The fields that make up one operation, and the templates in them.

use super::config::Operation;
use super::reader::Reader;
use super::refusals::{Refusals, Refused, Taken};
use super::texts::TextPattern;
use super::{headers, words};
use crate::error::{Error, Result};
use crate::template::{BodyTemplate, Slot, TextForms, UrlTemplate};
use crate::transport::Method;

/// The names of the fields of one operation, and their places among templates.
pub(super) struct Names {
    pub(super) url: &'static str,
    pub(super) url_path: &'static str,
    pub(super) url_slot: Slot,
    pub(super) method: &'static str,
    default: Method,
    pub(super) json: &'static str,
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
        pub(super) const $const: Names = Names {
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

/// What templates of one connector are read with.
#[derive(Clone, Copy, Default)]
pub(super) struct Templates<'a> {
    pub(super) forms: TextForms,
    /// What `case.texts.NAME` may name; not looked at where these were refused themselves.
    pub(super) texts: Option<&'a [(String, TextPattern)]>,
}

impl Templates<'_> {
    /// The operation of these fields; none when its URL, its method or a body that it needs is null, empty or absent.
    pub(super) fn operation(
        self,
        reader: Reader<'_>,
        names: &Names,
        refusals: &mut Refusals,
    ) -> Taken<Option<Operation>> {
        let headers = headers::gather(names.headers_path, reader.object(names.headers), refusals);
        let method = match reader.text(names.method) {
            Some("get") => Method::Get,
            Some("post") => Method::Post,
            Some("put") => Method::Put,
            Some("patch") => Method::Patch,
            // Null or empty: what is left out has its default by now.
            _ if reader.get(names.method).is_some() => return Ok(None),
            _ => names.default,
        };
        let (url, json) = (reader.text(names.url), reader.text(names.json));
        let json = json.filter(|_| method != Method::Get);
        let missing = |field: &str| refusals.has(field);
        let (url_refused, json_refused) = (missing(names.url_path), missing(names.json_path));
        if names.complete && url.is_some() != json.is_some() && !url_refused && !json_refused {
            let field = if url.is_none() {
                names.url_path
            } else {
                names.json_path
            };
            refusals.take(together(false, field, "the URL and the JSON of an operation"))?;
        }
        if (url.is_none() && !url_refused) || (json.is_none() && names.skips) {
            return Ok(None);
        }
        let url = url.map(|url| refusals.take(self.url(names.url_slot, names.url_path, url)));
        let body = json.map(|json| refusals.take(self.body(names.json_slot, names.json_path, json)));
        Ok(Some(Operation {
            method,
            url: url.unwrap_or(Err(Refused))?,
            body: body.transpose()?,
            headers,
        }))
    }

    pub(super) fn url(self, slot: Slot, field: &'static str, text: &str) -> Result<UrlTemplate> {
        let template = UrlTemplate::compile(slot, field, text)?;
        self.check_texts(field, template.texts())?;
        Ok(template)
    }

    fn body(self, slot: Slot, field: &'static str, text: &str) -> Result<BodyTemplate> {
        let template = BodyTemplate::compile(slot, field, text, self.forms)?;
        self.check_texts(field, template.texts())?;
        Ok(template)
    }

    /// Refuses `case.texts.NAME` where `texts` has no such name.
    fn check_texts<'t>(self, field: &str, mut used: impl Iterator<Item = &'t str>) -> Result<()> {
        let Some(texts) = self.texts else { return Ok(()) };
        let Some(name) = used.find(|name| !texts.iter().any(|(known, _)| known == name)) else {
            return Ok(());
        };
        let known: Vec<&str> = texts.iter().map(|(name, _)| name.as_str()).collect();
        let known = match known.as_slice() {
            [] => "there is no config.texts".to_owned(),
            names => format!("config.texts has {}", names.join(", ")),
        };
        let message = format!(
            "unknown variable `case.texts.{}`: {known}",
            words::quoted(name).trim_matches('"')
        );
        Err(Error::config(field, message))
    }
}

pub(super) fn together(fits: bool, field: &str, what: &str) -> Result<()> {
    if fits {
        return Ok(());
    }
    Err(Error::config(
        field,
        format!("{what} only go together: give both or none"),
    ))
}
