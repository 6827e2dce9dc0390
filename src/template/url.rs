//! Templates of URLs: every variable is percent-encoded, none stands in scheme, host or port.

use url::Url;

use super::engine::Compiled;
use super::names::Variable;
use super::{RenderError, Slot, Variables};
use crate::error::{Error, Result};

/// A template whose result is an absolute http or https URL.
#[derive(Debug, Clone)]
pub(crate) struct UrlTemplate {
    compiled: Compiled,
    sample: Url,
}

impl UrlTemplate {
    /// Compiles a template, refusing whatever could go wrong later; `field` is its path in the document.
    pub(crate) fn compile(slot: Slot, field: &'static str, text: &str) -> Result<UrlTemplate> {
        let refused = |message: String| Error::config(field, message);
        if text.trim_matches(is_edge).is_empty() {
            return Err(refused(
                "is empty; an absolute http or https URL belongs here".to_owned(),
            ));
        }
        let compiled = Compiled::new(slot, field, text)?;
        let rendered = compiled
            .render(|_, _| Ok("sample".to_owned()))
            .map_err(|error| refused(error.message))?;
        if !compiled.constant && !has_whole_authority(&compiled.prefix) {
            return Err(refused(
                "a variable or section may not stand in the scheme, host or port of a URL, \
                 only in its path, query or fragment"
                    .to_owned(),
            )
            .since("in Kibana, what is looked up in allowedHosts can then be another host than the one that is asked"));
        }
        let sample =
            parse(&rendered).map_err(|message| refused(message).since("Kibana fails at the first push"))?;
        Ok(UrlTemplate { compiled, sample })
    }

    /// Whether the text of the variable, such as `external.system.id`, can stand in the URL.
    pub(crate) fn uses(&self, variable: &str) -> bool {
        self.compiled.uses(variable)
    }

    /// Whether it can stand in what a server gets to see: not in the fragment.
    pub(crate) fn sends(&self, variable: &str) -> bool {
        self.compiled.inserts_before_fragment(variable)
    }

    /// The names of `case.texts.NAME` in use.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.compiled.texts()
    }

    /// The text as rendered; use [`UrlTemplate::url`] for a URL to send to.
    ///
    /// Errors on an id that would lead to another resource (R5): an empty one, `.` and `..`; on a title that is empty.
    pub(crate) fn render(&self, variables: &Variables<'_>) -> Result<String, RenderError> {
        self.compiled
            .render(|variable, bare| self.component(variable, bare, variables))
    }

    /// Rendered and parsed. Errors also where values make up a segment of the path that the parser would take for the way up.
    pub(crate) fn url(&self, variables: &Variables<'_>) -> Result<Url, RenderError> {
        if self.compiled.constant {
            return Ok(self.sample.clone());
        }
        let text = self.render(variables)?;
        let ways_up = dot_segments(&text);
        if ways_up > 0 && ways_up > dot_segments(&self.harmless(variables)?) {
            return Err(self.compiled.error(
                "the values of this case make up a segment `.` or `..` of the path, which would address another resource",
            ));
        }
        let url = parse(&text).map_err(|message| self.compiled.error(message))?;
        let origin = |url: &Url| {
            (
                url.scheme().to_owned(),
                url.host_str().map(str::to_owned),
                url.port(),
            )
        };
        if origin(&url) != origin(&self.sample) {
            return Err(self
                .compiled
                .error("the values of this case lead to another scheme, host or port"));
        }
        Ok(url)
    }

    /// The URL with every variable replaced by a harmless sample: for checks of scheme, host and port.
    pub(crate) fn sample(&self) -> &Url {
        &self.sample
    }

    /// Whether it is sent as it stands.
    pub(crate) fn is_constant(&self) -> bool {
        self.compiled.constant
    }

    /// Whether a variable stands between two braces only, which means the same here as between three (R14).
    pub(crate) fn has_two_braces(&self) -> bool {
        self.compiled.escaped
    }

    /// The field of the document that the template stands in.
    pub(crate) fn field(&self) -> &'static str {
        self.compiled.field()
    }

    /// The text as rendered with a letter in the place of every value that is there.
    fn harmless(&self, variables: &Variables<'_>) -> Result<String, RenderError> {
        self.compiled.render(|variable, bare| {
            let text = self.component(variable, bare, variables)?;
            Ok(if text.is_empty() { text } else { "x".to_owned() })
        })
    }

    fn component(
        &self,
        variable: &Variable,
        bare: bool,
        variables: &Variables<'_>,
    ) -> Result<String, RenderError> {
        let (text, needed, is_id) = match variable {
            Variable::Id => (variables.id, true, true),
            Variable::ExternalId => (variables.external_id, true, true),
            Variable::Text(name) => (variables.text(name), true, true),
            Variable::Title => (variables.title, true, false),
            Variable::ExternalTitle => (variables.external_title, false, false),
            // No slot of a URL knows the others.
            _ => ("", false, false),
        };
        let refused = match text {
            "" if needed && bare => Some("it is empty".to_owned()),
            "." | ".." if is_id => Some(format!("it is `{text}`")),
            _ => None,
        };
        match refused {
            None => Ok(encode_component(text)),
            Some(why) => Err(self.compiled.error(format!(
                "`{}` cannot be put in the URL: {why}, which would address another resource",
                variable.name()
            ))),
        }
    }
}

/// How many segments of the path mean the same or the parent folder to the URL parser.
fn dot_segments(url: &str) -> usize {
    let url = url.trim_matches(is_edge);
    let path = url.split(['?', '#']).next().unwrap_or_default();
    path.split(['/', '\\'])
        .filter(|segment| segment.bytes().all(|byte| b".%2eE\t\n\r".contains(&byte)))
        .map(|segment| segment.replace(['\t', '\n', '\r'], "").to_ascii_lowercase())
        .filter(|segment| matches!(segment.replace("%2e", ".").as_str(), "." | ".."))
        .count()
}

/// Percent-encodes as JavaScript's `encodeURIComponent` does.
pub(crate) fn encode_component(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    out
}

/// Parses an absolute http or https URL without userinfo; the error is a sentence that does not quote it.
fn parse(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("not an absolute http or https URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!(
            "the scheme `{}` is refused: an absolute http or https URL belongs here",
            url.scheme()
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("user or password in a URL are refused, they end in logs: \
             use secrets.user and secrets.password"
            .to_owned());
    }
    Ok(url)
}

/// Whether the text goes at least up to the first character after the port, as the URL parser sees it.
fn has_whole_authority(prefix: &str) -> bool {
    let visible: String = prefix
        .trim_start_matches(is_edge)
        .chars()
        .filter(|c| !matches!(c, '\t' | '\n' | '\r'))
        .collect();
    let Some((_, rest)) = visible.split_once(':') else {
        return false;
    };
    let rest = rest.trim_start_matches(['/', '\\']);
    rest.find(['/', '\\', '?', '#']).is_some_and(|end| end > 0)
}

/// What the URL parser trims from both ends: spaces and control characters.
fn is_edge(c: char) -> bool {
    c <= ' '
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(text: &str) -> Result<UrlTemplate> {
        UrlTemplate::compile(Slot::ViewUrl, "config.viewIncidentUrl", text)
    }

    #[test]
    fn components_are_encoded_as_javascript_does() {
        for (text, encoded) in [
            ("aZ09-_.!~*'()", "aZ09-_.!~*'()"),
            ("a b/c?d#e&f%", "a%20b%2Fc%3Fd%23e%26f%25"),
            ("\u{e9}\u{1f600}\0\n", "%C3%A9%F0%9F%98%80%00%0A"),
        ] {
            assert_eq!(encode_component(text), encoded);
        }
    }

    #[test]
    fn renders_text_and_url() {
        let variables = Variables {
            id: "c 1",
            external_id: "a/b",
            external_title: "O'Neil & co",
            ..Variables::default()
        };
        for (template, text) in [
            ("http://h/{{external.system.title}}", "http://h/O'Neil%20%26%20co"),
            (
                "HTTP://h:80/x/../{{{external.system.ID}}}?c={{&case.id}}#",
                "HTTP://h:80/x/../a%2Fb?c=c%201#",
            ),
            ("http:\\\\h\\{{{case.id}}}", "http:\\\\h\\c%201"),
            (
                "http://h/{{#case.id}}{{{.}}}{{/case.id}}{{^case.id}}none{{/case.id}}",
                "http://h/c%201",
            ),
        ] {
            let compiled = compile(template).unwrap();
            assert_eq!(compiled.render(&variables).unwrap(), text);
            assert_eq!(compiled.url(&variables).unwrap(), Url::parse(text).unwrap());
            assert_eq!(compiled.sample().host_str(), Some("h"));
        }
    }

    #[test]
    fn ids_that_lead_elsewhere_are_errors() {
        let bare = compile("http://h/a/{{{external.system.id}}}/b").unwrap();
        let section =
            compile("http://h/{{#external.system.id}}{{{external.system.id}}}{{/external.system.id}}")
                .unwrap();
        let with = |external_id| Variables {
            external_id,
            ..Variables::default()
        };
        for id in ["", ".", ".."] {
            let error = bare.render(&with(id)).unwrap_err();
            assert_eq!(error.field, "config.viewIncidentUrl");
            assert!(
                error
                    .message
                    .contains("`external.system.id` cannot be put in the URL")
            );
        }
        assert!(bare.render(&with("...")).is_ok());
        assert_eq!(section.render(&with("")).unwrap(), "http://h/");
        assert!(section.render(&with("..")).is_err());
        let title = compile("http://h/{{{external.system.title}}}").unwrap();
        assert_eq!(title.render(&with("")).unwrap(), "http://h/");
    }

    #[test]
    fn values_make_no_segments_that_lead_up() {
        let with = |title| Variables {
            title,
            external_id: title,
            ..Variables::default()
        };
        let find = |text: &str| UrlTemplate::compile(Slot::FindUrl, "config.findIncidentUrl", text).unwrap();
        for (template, title) in [
            ("http://h/a/{{{case.title}}}", ".."),
            ("http://h/a/{{{case.title}}}/b", "."),
            ("http://h/a/{{{case.title}}}{{{case.title}}}?x", "."),
            ("http://h\\a\\.{{{case.title}}}#x", "."),
            ("http://h/a/%2E{{{case.title}}} ", "."),
            ("http://h/a/%2{{{case.title}}}.", "e"),
            ("http://h/a/.\n{{{case.title}}}", "."),
        ] {
            let error = find(template).url(&with(title)).unwrap_err();
            assert!(
                error.message.contains("would address another resource"),
                "{error:?}"
            );
        }
        for (template, title, url) in [
            ("http://h/a/{{{case.title}}}", "...", "http://h/a/..."),
            ("http://h/a/../b/{{{case.title}}}", "c", "http://h/b/c"),
            ("http://h/a/v{{{case.title}}}", "..", "http://h/a/v.."),
            ("http://h/a?q=/{{{case.title}}}", "..", "http://h/a?q=/.."),
            (
                "http://h/a{{#case.title}}/{{{.}}}{{/case.title}}",
                "",
                "http://h/a",
            ),
        ] {
            assert_eq!(find(template).url(&with(title)).unwrap().as_str(), url);
        }
        let error = find("http://h/a?q={{{case.title}}}").url(&with("")).unwrap_err();
        assert!(
            error
                .message
                .contains("`case.title` cannot be put in the URL: it is empty"),
            "{error:?}"
        );
        let get = UrlTemplate::compile(
            Slot::GetUrl,
            "config.getIncidentUrl",
            "http://h/a/.{{{external.system.id}}}",
        );
        assert!(get.unwrap().url(&with(".")).is_err());
    }

    #[test]
    fn refuses_what_is_no_fixed_http_url() {
        for (template, words) in [
            ("", "is empty"),
            (" \n", "is empty"),
            ("/issue", "not an absolute"),
            ("ftp://h/", "the scheme `ftp`"),
            ("javascript:alert(1)", "the scheme `javascript`"),
            ("http://u@h/", "user or password"),
            ("http://:p@h/", "user or password"),
            ("http://{{{case.id}}}/", "may not stand"),
            ("http://h{{{case.id}}}/", "may not stand"),
            ("http://h:{{{case.id}}}/", "may not stand"),
            ("http://h:1{{{case.id}}}", "may not stand"),
            ("http:///{{{case.id}}}", "may not stand"),
            ("{{{case.id}}}", "may not stand"),
            ("{{#case.id}}http://h/{{/case.id}}", "may not stand"),
            ("http://h/{{{case.title}}}", "has no value here"),
        ] {
            let error = compile(template).unwrap_err();
            assert!(error.message().contains(words), "{template}: {error}");
        }
        let secret = compile("http://user:hunter2@h/").unwrap_err();
        assert!(!secret.to_string().contains("hunter2"));
        for template in [
            "http://h?{{{case.id}}}",
            "http:h/{{{case.id}}}",
            " http://h\t/ ",
            "http://h:8/#{{{case.id}}}",
        ] {
            assert!(compile(template).is_ok(), "{template}");
        }
    }
}
