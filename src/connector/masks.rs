//! Which texts of a connector are secrets, and are masked wherever they would show.

use std::sync::Arc;

use url::Url;
use zeroize::Zeroizing;

use crate::mask::Masks;
use crate::transport::from_base64;

/// The shortest secret that is masked in what casehook makes itself; shorter ones would blot out harmless text.
const OWN: usize = 4;

/// The shortest one that is masked, as a word, in what a target says.
const ECHOED: usize = 2;

/// The shortest part of a header's value that is taken for a secret of its own.
const PART: usize = 6;

/// The shortest value that is taken for a secret because of its name.
const NAMED: usize = 8;

/// Names, or their ends, of values that are secrets.
const SECRET_NAMES: [&str; 14] = [
    "accesskey",
    "apikey",
    "assertion",
    "authkey",
    "credential",
    "credentials",
    "passphrase",
    "password",
    "passwd",
    "privatekey",
    "secret",
    "signature",
    "subscriptionkey",
    "token",
];

/// Names that secrets have, and other values too: those count where they hold digits.
const USUAL_NAMES: [&str; 6] = ["auth", "code", "key", "pass", "pwd", "sig"];

/// What is gathered on the way to a connector that is ready to send.
#[derive(Default)]
pub(crate) struct Found {
    /// What the document calls a secret, as it is.
    secrets: Vec<Zeroizing<String>>,
    /// What is as good as a secret: parts of one, logins, values whose names say so.
    near: Vec<Zeroizing<String>>,
    /// Login names.
    users: Vec<Zeroizing<String>>,
}

/// Ready to mask with.
#[derive(Debug, Default, Clone)]
pub(crate) struct MaskSet {
    /// The secrets that no id may repeat.
    pub(crate) secrets: Arc<Masks>,
    /// For what casehook makes itself: URLs, headers, bodies.
    pub(crate) own: Arc<Masks>,
    /// For what a target says: login names too, which may well be words of a case, and shorter secrets.
    pub(crate) echoed: Arc<Masks>,
}

impl Found {
    /// A secret of the document.
    pub(crate) fn secret(&mut self, text: &str) {
        note(&mut self.secrets, text);
    }

    /// A text that is masked, and may stand in an id nevertheless.
    pub(crate) fn text(&mut self, text: &str) {
        note(&mut self.near, text);
    }

    /// A login name; a short one is a word of anything.
    pub(crate) fn user(&mut self, user: &str) {
        if user.len() >= OWN {
            note(&mut self.users, user);
        }
    }

    /// What basic authentication makes of both; its base64 is the masking's own business.
    pub(crate) fn login(&mut self, user: &str, password: &str) {
        self.text(&format!("{user}:{password}"));
    }

    /// The value of a header, and what it is put together from: a scheme and credentials, `name=value` pairs, a login.
    pub(crate) fn header(&mut self, value: &str) {
        self.secret(value);
        let parts = value.split_once(' ');
        let is_scheme = |text: &str| !text.contains(['=', ';', ',']);
        if let Some((_, credentials)) = parts.filter(|(scheme, _)| is_scheme(scheme)) {
            let credentials = credentials.trim();
            note(&mut self.secrets, credentials);
            let login = from_base64(credentials).filter(|_| value.to_ascii_lowercase().starts_with("basic "));
            let login = login.as_ref().and_then(|bytes| std::str::from_utf8(bytes).ok());
            if let Some((user, password)) = login.and_then(|login| login.split_once(':')) {
                self.user(user);
                self.secret(password);
                self.login(user, password);
            }
        }
        for part in value.split([';', ',', ' ']).map(str::trim) {
            let value = part
                .split_once('=')
                .map(|(_, value)| value.trim_matches(['"', '=']));
            if let Some(value) = value.filter(|value| value.len() >= PART) {
                self.text(value);
            }
        }
    }

    /// What the names of a query's values call a secret.
    pub(crate) fn query(&mut self, url: &Url) {
        for (name, value) in url.query_pairs() {
            self.named(&name, &value);
        }
    }

    /// A value that is a secret if its name says so.
    pub(crate) fn named(&mut self, name: &str, value: &str) {
        let name: String = name.chars().filter(|c| c.is_alphanumeric()).collect();
        let name = name.to_ascii_lowercase();
        let secret = SECRET_NAMES.iter().any(|end| name.ends_with(end));
        let usual = USUAL_NAMES.contains(&name.as_str()) && value.bytes().any(|b| b.is_ascii_digit());
        if value.len() >= NAMED && (secret || usual) {
            self.text(value);
        }
    }

    pub(crate) fn finish(self) -> MaskSet {
        let from = |least: usize, lists: &[&[Zeroizing<String>]]| {
            let texts = lists.concat().into_iter();
            Arc::new(Masks::new(texts.filter(|text| text.len() >= least).collect()))
        };
        MaskSet {
            secrets: from(OWN, &[&self.secrets]),
            own: from(OWN, &[&self.secrets, &self.near]),
            echoed: from(ECHOED, &[&self.secrets, &self.near, &self.users]),
        }
    }
}

fn note(texts: &mut Vec<Zeroizing<String>>, text: &str) {
    if !text.is_empty() && !texts.iter().any(|known| known.as_str() == text) {
        texts.push(Zeroizing::new(text.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::mask;

    #[test]
    fn a_header_is_masked_in_its_parts() {
        for (value, said, shown) in [
            (
                "Basic cm9ib3Q6aHVudGVyMi1zaA==",
                "robot:hunter2-sh, hunter2-sh",
                "***, ***",
            ),
            ("Token token=SHTOK-1234567", "no SHTOK-1234567", "no ***"),
            ("sid=\"COOK-1234567\"; x=2", "COOK-1234567 x=2", "*** x=2"),
            ("GenieKey 0123-4567", "key 0123-4567", "key ***"),
        ] {
            let mut found = Found::default();
            found.header(value);
            assert_eq!(mask(said, &found.finish().echoed), shown, "{value}");
        }
    }

    #[test]
    fn a_value_is_a_secret_by_its_name() {
        for (query, secret) in [
            ("api_key=abcdefgh", true),
            ("X-Subscription-Key=abcdefgh", true),
            ("page_token=abcdefgh", true),
            ("key=abcdefg1", true),
            ("key=PROJECTS", false),
            ("api_key=short", false),
            ("monkey=abcdefg1", false),
            ("q=abcdefg1", false),
        ] {
            let mut found = Found::default();
            found.query(&Url::parse(&format!("http://h/?{query}")).unwrap());
            let value = query.split_once('=').unwrap().1;
            let masked = mask(value, &found.finish().own) != value;
            assert_eq!(masked, secret, "{query}");
        }
    }

    #[test]
    fn short_secrets_are_masked_in_what_others_say() {
        let mut found = Found::default();
        found.secret("abc");
        found.user("soc");
        let masks = found.finish();
        assert_eq!(mask("soc: abc, abcd", &masks.echoed), "soc: ***, abcd");
        assert_eq!(mask("abc", &masks.own), "abc");
    }
}
