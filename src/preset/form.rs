//! The forms that parameters of presets have, and how a value is checked against one.

use serde::{Deserialize, Serialize};
use url::Url;

/// The longest value of a parameter, in bytes.
const LONGEST: usize = 2_000;

/// What a value has to look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Form {
    /// One label of a host name.
    Label,
    /// An identifier that no URL, query or JSON text takes for anything else.
    Key,
    /// A whole number, for places without quotes.
    Number,
    Uuid,
    Email,
    /// Names with slashes between them.
    Path,
    /// Where a system is served: scheme, host, perhaps port and path.
    Url,
    /// Any line of text.
    Text,
}

impl Form {
    pub(super) const fn pattern(self) -> &'static str {
        match self {
            Form::Label => r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$",
            Form::Key => r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$",
            Form::Number => r"^[0-9]{1,18}$",
            Form::Uuid => r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$",
            Form::Email => r"^[^\s@<>]+@[^\s@<>]+$",
            Form::Path => r"^[^/]+(/[^/]+)*$",
            Form::Url => r"^https?://[^?#@]+$",
            Form::Text => r"^\S(.*\S)?$",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Form::Label => "ASCII letters, digits and hyphens, without dots, scheme or path",
            Form::Key => "ASCII letters, digits, underscores, hyphens and dots",
            Form::Number => "a whole number in digits",
            Form::Uuid => "a UUID, such as 9cfb482a-81e3-4154-b5b9-2c805e70a02d",
            Form::Email => "an e-mail address",
            Form::Path => "names with slashes between them, without one at either end",
            Form::Url => "an http or https URL without user, password, query and fragment",
            Form::Text => "one line of text, not empty",
        }
    }

    /// The value as it is used, or what would be right.
    pub(super) fn check(self, value: &str) -> Result<String, String> {
        let value = value.trim();
        let plain = !value.is_empty() && value.len() <= LONGEST && !value.chars().any(char::is_control);
        let is_key = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let fits = plain
            && match self {
                Form::Label => {
                    value.len() <= 63
                        && value.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
                        && !value.starts_with('-')
                        && !value.ends_with('-')
                }
                Form::Key => value.chars().all(is_key) && !value.starts_with('.'),
                Form::Number => value.len() <= 18 && value.bytes().all(|b| b.is_ascii_digit()),
                Form::Uuid => value.len() == 36 && uuid::Uuid::try_parse(value).is_ok(),
                Form::Email => is_email(value),
                Form::Path => value.split('/').all(|name| !matches!(name, "" | "." | "..")),
                Form::Url => return served(value).ok_or_else(|| format!("must be {}", self.words())),
                Form::Text => !matches!(value, "." | ".."),
            };
        match fits {
            // Ids in JSON have no leading zeros.
            true if self == Form::Number => Ok(match value.trim_start_matches('0') {
                "" => "0".to_owned(),
                digits => digits.to_owned(),
            }),
            true => Ok(value.to_owned()),
            false => Err(format!("must be {}", self.words())),
        }
    }
}

fn is_email(value: &str) -> bool {
    let Some((user, host)) = value.split_once('@') else {
        return false;
    };
    let odd = |c: char| c.is_whitespace() || "@<>".contains(c) || c > '\u{ff}';
    !user.is_empty() && !host.is_empty() && !user.contains(odd) && !host.contains(odd)
}

/// The URL in the parser's own spelling, without a slash at its end.
fn served(value: &str) -> Option<String> {
    let url = Url::parse(value).ok()?;
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && !value.contains(['?', '#', '@']);
    let served = matches!(url.scheme(), "http" | "https") && bare;
    served.then(|| url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::Form::*;

    #[test]
    fn takes_what_fits_and_refuses_the_rest() {
        for (form, value, taken) in [
            (Label, "acme-1", Some("acme-1")),
            (Label, " acme ", Some("acme")),
            (Label, "acme.atlassian.net", None),
            (Label, "https://acme", None),
            (Label, "-a", None),
            (Label, "a/../b", None),
            (Label, "acme@evil", None),
            (Key, "OPS", Some("OPS")),
            (Key, "0-0", Some("0-0")),
            (Key, "..", None),
            (Key, "a\"b", None),
            (Key, "a b", None),
            (Number, "007", Some("7")),
            (Number, "0", Some("0")),
            (Number, "1e3", None),
            (Number, "-1", None),
            (Number, "1234567890123456789", None),
            (
                Uuid,
                "9cfb482a-81e3-4154-b5b9-2c805e70a02d",
                Some("9cfb482a-81e3-4154-b5b9-2c805e70a02d"),
            ),
            (Uuid, "9cfb482a81e34154b5b92c805e70a02d", None),
            (Email, "a@b", Some("a@b")),
            (Email, "a b@c", None),
            (Email, "a@b@c", None),
            (Email, "a@b\r\nX: y", None),
            (Path, "group/sub/project", Some("group/sub/project")),
            (Path, "group/../project", None),
            (Path, "/group", None),
            (Url, "https://h:8443/rt/", Some("https://h:8443/rt")),
            (Url, "HTTP://Ex.example", Some("http://ex.example")),
            (Url, "https://h/{{{x}}}", Some("https://h/%7B%7B%7Bx%7D%7D%7D")),
            (Url, "https://u:p@h", None),
            (Url, "https://h?x=1", None),
            (Url, "ftp://h", None),
            (Url, "h.example", None),
            (Text, "It's \"x\" {{{y}}}", Some("It's \"x\" {{{y}}}")),
            (Text, "", None),
            (Text, "  ", None),
            (Text, "..", None),
            (Text, "a\nb", None),
        ] {
            assert_eq!(form.check(value).ok().as_deref(), taken, "{form:?} {value}");
        }
        assert!(Text.check(&"x".repeat(2_001)).is_err());
    }
}
