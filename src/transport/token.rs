//! Access tokens of OAuth2: one fetch at a time, kept in memory until shortly before they expire.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ring::digest;
use serde_json::Value;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::NetworkPolicy;
use super::failure::not_connected;
use super::pem::to_base64;
use super::{Answer, Failure, FailureKind, HeaderField, Method, Request, redirect};
use crate::mask::Masks;

/// How long before its end a token is no longer used.
const MARGIN: Duration = Duration::from_secs(30);

/// How long a token is taken to hold when the server does not say.
const UNSTATED: Duration = Duration::from_secs(60 * 60);

/// The longest that a token is kept, whatever the server says.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// How many tokens are kept; those that nobody waits for go first.
const MAX_TOKENS: usize = 256;

/// The most characters of a refusal that a message quotes.
const QUOTED: usize = 300;

/// How a token is asked for. Prints without the client's secret.
#[derive(Clone)]
pub(crate) struct TokenGrant {
    url: Url,
    form: Zeroizing<String>,
    authorization: Option<Zeroizing<String>>,
    /// Tells grants apart without keeping their secrets as keys.
    id: [u8; 32],
}

impl TokenGrant {
    /// A form of these fields, posted to `url`; with `login`, client and secret go into a header (RFC 6749, 2.3.1).
    pub(crate) fn new(url: Url, fields: &[(&str, &str)], login: Option<(&str, &str)>) -> TokenGrant {
        let form = Zeroizing::new(
            form_urlencoded::Serializer::new(String::new())
                .extend_pairs(fields)
                .finish(),
        );
        let authorization = login.map(|(client, secret)| {
            let pair = Zeroizing::new(format!("{}:{}", form_encoded(client), form_encoded(secret)));
            Zeroizing::new(format!("Basic {}", to_base64(pair.as_bytes()).as_str()))
        });
        let mut hash = digest::Context::new(&digest::SHA256);
        for part in [
            url.as_str(),
            &form,
            authorization.as_ref().map_or("", |text| text.as_str()),
        ] {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        let mut id = [0; 32];
        id.copy_from_slice(hash.finish().as_ref());
        TokenGrant {
            url,
            form,
            authorization,
            id,
        }
    }

    pub(super) fn request(&self, network: &Arc<NetworkPolicy>) -> Request {
        let field = |name: &str, value: &str, secret| HeaderField {
            name: name.to_owned(),
            value: Zeroizing::new(value.to_owned()),
            secret,
            travels: false,
        };
        let mut headers = vec![
            field("Accept", "application/json", false),
            field("Content-Type", "application/x-www-form-urlencoded", false),
        ];
        headers.extend(
            self.authorization
                .as_ref()
                .map(|value| field("Authorization", value, true)),
        );
        Request {
            method: Method::Post,
            url: self.url.clone(),
            headers,
            body: Some(self.form.as_bytes().to_vec()),
            network: Arc::clone(network),
            token: None,
        }
    }

    /// The token in an answer to [`TokenGrant::request`].
    pub(super) fn read(&self, answer: &Answer, now: Instant) -> Result<Token, Failure> {
        let named = redirect::named(&self.url);
        let status = answer.status;
        let refused = |why: String| Failure {
            kind: FailureKind::Credentials,
            code: "token",
            message: format!("no access token from {named}: {why}"),
            status: Some(status),
        };
        if matches!(status, 408 | 425 | 429 | 500..=599) {
            let message = format!("no access token from {named}: it answered {status}");
            return Err(Failure {
                status: Some(status),
                ..not_connected("token", message)
            });
        }
        let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let text = |name: &str| body.as_ref()?.get(name)?.as_str();
        if !(200..300).contains(&status) {
            let told: Vec<&str> = [text("error"), text("error_description")]
                .into_iter()
                .flatten()
                .collect();
            let hint = match (status, told.is_empty()) {
                (300..=399, _) => "; its redirects are not followed, use the final URL".to_owned(),
                (_, true) => "; check accessTokenUrl, clientId and clientSecret".to_owned(),
                (_, false) => format!(": {}", beginning(&told.join(": "))),
            };
            return Err(refused(format!("it answered {status}{hint}")));
        }
        if answer.body_fault.is_some() {
            return Err(refused("its answer cannot be read".to_owned()));
        }
        let secret = text("access_token")
            .ok_or_else(|| refused("its answer is not a JSON object with an access_token".to_owned()))?;
        let scheme = match text("token_type") {
            Some(scheme) if !scheme.eq_ignore_ascii_case("bearer") => scheme,
            _ => "Bearer",
        };
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !plain(secret) || !plain(scheme) {
            return Err(refused("its access_token cannot stand in a header".to_owned()));
        }
        let expires = body.as_ref().and_then(|body| body.get("expires_in"));
        let holds = expires
            .and_then(|value| value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()))
            .and_then(|seconds| Duration::try_from_secs_f64(seconds.clamp(0.0, LONGEST.as_secs_f64())).ok())
            .unwrap_or(UNSTATED);
        Ok(Token {
            header: Zeroizing::new(format!("{scheme} {secret}")),
            masks: Arc::new(Masks::new(vec![Zeroizing::new(secret.to_owned())])),
            secret: Zeroizing::new(secret.to_owned()),
            until: now + holds.min(LONGEST).saturating_sub(MARGIN),
        })
    }
}

fn beginning(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        Some((at, _)) => format!("{}\u{2026}", &text[..at]),
        None => text.to_owned(),
    }
}

/// As a form writes it.
pub(crate) fn form_encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

impl fmt::Debug for TokenGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenGrant")
            .field("url", &redirect::named(&self.url))
            .finish_non_exhaustive()
    }
}

/// An access token.
pub(super) struct Token {
    header: Zeroizing<String>,
    secret: Zeroizing<String>,
    masks: Arc<Masks>,
    /// Until when it is used.
    pub(super) until: Instant,
}

impl Token {
    pub(super) fn field(&self) -> HeaderField {
        HeaderField {
            name: "Authorization".to_owned(),
            value: self.header.clone(),
            secret: true,
            travels: false,
        }
    }

    /// What must not show of an answer to it, and to the one that it was sent in the place of.
    pub(super) fn masks(&self, before: Option<&Token>) -> Arc<Masks> {
        match before {
            None => Arc::clone(&self.masks),
            Some(before) => Arc::new(Masks::new(vec![self.secret.clone(), before.secret.clone()])),
        }
    }
}

/// The tokens that are known.
#[derive(Default)]
pub(super) struct Tokens {
    slots: Mutex<HashMap<Key, Arc<Slot>>>,
}

/// A grant, and the way that it is asked for: what one way must not reach, another must not hand on.
type Key = ([u8; 32], Arc<NetworkPolicy>);

#[derive(Default)]
struct Slot {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    token: Option<Arc<Token>>,
    fetching: bool,
    /// Fetches that came to an end, and what the last one came to when it failed.
    fetches: u64,
    failure: Option<Failure>,
}

impl Tokens {
    /// The token of a grant, other than `refused`; `fetch` is called when there is none, by one thread at a time.
    pub(super) fn get(
        &self,
        grant: &TokenGrant,
        network: &Arc<NetworkPolicy>,
        refused: Option<&Arc<Token>>,
        fetch: impl FnOnce() -> Result<Token, Failure>,
    ) -> Result<Arc<Token>, Failure> {
        let slot = self.slot((grant.id, Arc::clone(network)));
        let mut state = slot.lock();
        let mut waited_since = None;
        loop {
            let other = |token: &&Arc<Token>| refused.is_none_or(|refused| !Arc::ptr_eq(refused, token));
            // What others fetched meanwhile is fresh, however short its life.
            let fresh = waited_since.is_some_and(|since| since < state.fetches);
            let known = state.token.as_ref().filter(other);
            if let Some(token) =
                known.filter(|token| Instant::now() < token.until || (fresh && state.failure.is_none()))
            {
                return Ok(Arc::clone(token));
            }
            if let (true, Some(failure)) = (fresh, &state.failure) {
                return Err(failure.clone());
            }
            if !state.fetching {
                break;
            }
            waited_since.get_or_insert(state.fetches);
            state = slot.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.fetching = true;
        drop(state);
        let ending = Ending(&slot);
        let result = fetch();
        let mut state = slot.lock();
        let result = match result {
            Ok(token) => {
                let token = Arc::new(token);
                state.token = Some(Arc::clone(&token));
                state.failure = None;
                Ok(token)
            }
            Err(failure) => {
                state.failure = Some(failure.clone());
                Err(failure)
            }
        };
        drop(state);
        drop(ending);
        result
    }

    fn slot(&self, key: Key) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MAX_TOKENS && !slots.contains_key(&key) {
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(slots.entry(key).or_default())
    }
}

#[cfg(test)]
impl Tokens {
    /// How many are asking for the token of a grant now.
    pub(super) fn callers(&self, grant: &TokenGrant, network: &Arc<NetworkPolicy>) -> usize {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.get(&(grant.id, Arc::clone(network)));
        slot.map_or(0, |slot| Arc::strong_count(slot) - 1)
    }
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets others fetch again, also when a fetch panics.
struct Ending<'a>(&'a Slot);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.fetching = false;
        state.fetches += 1;
        drop(state);
        self.0.changed.notify_all();
    }
}
