//! The verb that changes the key of the stored secrets.

use std::path::Path;

use serde_json::json;
use zeroize::Zeroizing;

use super::Session;
use super::failure::{self, Failure};
use super::input;

/// Where a new key may be that is in no file.
const NEW_KEY_VARIABLE: &str = "CASEHOOK_NEW_KEY";

/// Seals every stored secret with the new key, or with a random one in the key file.
pub(super) fn run(session: &mut Session<'_>, new_key_file: Option<&Path>) -> Result<i32, Failure> {
    let key = match new_key_file {
        Some(file) => Some(input::key(file)?),
        None => variable()?,
    };
    session.reading(|s, agent| {
        agent.rekey(key).map_err(|error| match error.field() {
            Some("key") => Failure::from(error).hint("use --new-key-file or CASEHOOK_NEW_KEY"),
            _ => error.into(),
        })?;
        let from = match key {
            Some(_) => "the new key; give that one from now on",
            None => "a new key in the key file",
        };
        s.out.text(&format!("The stored secrets are sealed with {from}."));
        s.out.json(&json!({"rekeyed": true, "keyFile": key.is_none()}));
        Ok(failure::OK)
    })
}

fn variable() -> Result<Option<[u8; 32]>, Failure> {
    let Some(text) = std::env::var_os(NEW_KEY_VARIABLE).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let text = Zeroizing::new(text.to_string_lossy().into_owned());
    let key = crate::parse_key(text.trim());
    key.map(Some)
        .map_err(|error| Failure::from(error).within(NEW_KEY_VARIABLE))
}
