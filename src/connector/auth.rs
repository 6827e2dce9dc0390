//! Which secrets a connector needs, and the headers that they become.

use zeroize::Zeroizing;

use super::config::{Auth, Config};
use super::secret::Secrets;
use super::{SecretSources, headers};
use crate::error::{Error, Result};
use crate::transport::HeaderField;

/// The shortest secret that is masked: shorter ones would blot out harmless text.
const MASKED_BYTES: usize = 4;

/// Refuses authentication without the secrets that it needs (R12).
pub(crate) fn check(config: &Config, secrets: &Secrets) -> Result<()> {
    let both = |a: &str, b: &str| secrets.has(a) && secrets.has(b);
    let (usable, needed) = match config.auth {
        Auth::None => return Ok(()),
        Auth::Basic => (both("user", "password"), "secrets user and password"),
        Auth::Certificate => (
            both("crt", "key") || secrets.has("pfx") || config.tls.ca.is_some(),
            "secrets crt and key, or pfx, or the field ca",
        ),
        Auth::OAuth2 => (secrets.has("clientSecret"), "secret clientSecret"),
    };
    if usable {
        return Ok(());
    }
    Err(Error::config(
        "secrets",
        format!("hasAuth with this authType needs the {needed}; set hasAuth to false to send none"),
    ))
}

/// Authorization and `secretHeaders`, with every text that must be masked, longest first.
pub(crate) type Credentials = (Vec<HeaderField>, Vec<Zeroizing<String>>);

/// Reads the secrets and makes the headers: `secretHeaders` before `headers` before basic authentication.
pub(crate) fn credentials(
    config: &Config,
    secrets: &Secrets,
    sources: &SecretSources,
) -> Result<Credentials> {
    let mut fields = Vec::new();
    let mut masks = Vec::new();
    for (name, secret) in &secrets.headers {
        let at = super::table::child("secrets.secretHeaders", name);
        let text = secret.read(&at, sources)?;
        let value = Zeroizing::new(headers::value(&at, name, &text)?.to_owned());
        if let Some((_, credential)) = value.split_once(' ') {
            mask(&mut masks, credential.trim());
        }
        mask(&mut masks, &value);
        fields.push(HeaderField {
            name: name.clone(),
            value,
            secret: true,
        });
    }
    let mut texts = Vec::new();
    for (name, secret) in &secrets.values {
        let needed = config.auth == Auth::Basic && matches!(*name, "user" | "password");
        match secret.read(&super::table::child("secrets", name), sources) {
            Ok(text) => {
                mask(&mut masks, &text);
                texts.push((*name, text));
            }
            Err(error) if needed => return Err(error),
            Err(_) => {}
        }
    }
    if config.auth == Auth::Basic {
        let text = |name: &str| texts.iter().find(|(n, _)| *n == name).map(|(_, text)| text);
        let (Some(user), Some(password)) = (text("user"), text("password")) else {
            return Err(Error::config("secrets", "user and password are missing"));
        };
        let pair = Zeroizing::new(format!("{}:{}", user.as_str(), password.as_str()));
        let encoded = Zeroizing::new(base64(pair.as_bytes()));
        mask(&mut masks, &encoded);
        let own = fields
            .iter()
            .any(|field| field.name.eq_ignore_ascii_case("authorization"));
        if !own && !headers::has(&config.headers, "authorization") {
            fields.push(HeaderField {
                name: "Authorization".to_owned(),
                value: Zeroizing::new(format!("Basic {}", encoded.as_str())),
                secret: true,
            });
        }
    }
    masks.sort_by_key(|mask| std::cmp::Reverse(mask.len()));
    masks.dedup();
    Ok((fields, masks))
}

/// Notes a text and the ways in which a server may echo it.
fn mask(masks: &mut Vec<Zeroizing<String>>, text: &str) {
    if text.len() < MASKED_BYTES {
        return;
    }
    let json = Zeroizing::new(serde_json::Value::from(text).to_string());
    let json = &json[1..json.len() - 1];
    let encoded = Zeroizing::new(crate::template::encode_component(text));
    for form in [text, json, encoded.as_str()] {
        if !masks.iter().any(|mask| mask.as_str() == form) {
            masks.push(Zeroizing::new(form.to_owned()));
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    // Room for all, so that no half-written copy is left behind.
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            if i <= chunk.len() {
                let digit = group >> (18 - 6 * i) & 63;
                text.push(DIGITS[digit as usize] as char);
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_base64() {
        let table = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("user:pass", "dXNlcjpwYXNz"),
        ];
        for (text, encoded) in table {
            assert_eq!(base64(text.as_bytes()), encoded);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn masks_every_form_that_a_server_may_echo() {
        let mut masks = Vec::new();
        mask(&mut masks, "abc");
        assert!(masks.is_empty());
        mask(&mut masks, "a\"b c");
        let forms: Vec<&str> = masks.iter().map(|mask| mask.as_str()).collect();
        assert_eq!(forms, ["a\"b c", "a\\\"b c", "a%22b%20c"]);
    }
}
