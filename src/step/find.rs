//! The find step: looks up an incident whose create had no clear outcome.

use super::Unusable;
use super::answer::{self, Wanted, unusable};
use crate::connector::Config;
use crate::response::json;
use crate::transport::Answer;

/// What a find answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    None,
    One(String),
    /// How many different ids.
    Several(usize),
}

/// Reads a 2xx answer: the path leads to one id, to a list of ids, or with `[]` through a list of objects.
pub(crate) fn read(config: &Config, answer: &Answer) -> Result<Found, Unusable> {
    let document = answer::required(config, answer)?;
    let Some(path) = &config.find_ids else {
        return Err(unusable(
            "idMissing",
            "config.findIncidentResponseKey is not configured".to_owned(),
        ));
    };
    let split = path.split_list();
    let (value, within) = match &split {
        Some((list, within)) => {
            let value = list
                .as_ref()
                .map_or(Some(document.trim()), |list| list.find(document));
            (value, within.as_ref())
        }
        None => (path.find(document), None),
    };
    // Taking a misspelt path for "none found" would open the case a second time.
    let searched = split.as_ref().map_or(Some(path), |(list, _)| list.as_ref());
    if value.is_none() && searched.is_some_and(|path| !path.begins_in(document)) {
        return Err(unusable(
            "pathMissing",
            format!(
                "`{}` leads nowhere in the answer to the look-up; {}; correct findIncidentResponseKey",
                path.text(),
                answer::overview(document)
            ),
        ));
    }
    let Some(value) = value.filter(|value| *value != "null") else {
        return Ok(Found::None);
    };
    if !value.starts_with('[') {
        if split.is_some() {
            return Err(unusable(
                "idUnusable",
                format!(
                    "`{}` names a list, but no list is there; {}",
                    path.text(),
                    answer::overview(document)
                ),
            ));
        }
        return Ok(Found::One(answer::scalar(value, path.text(), Wanted::Id)?));
    }
    let mut ids: Vec<String> = Vec::new();
    for (_, element) in json::members(value) {
        let id = match within {
            Some(within) => answer::text(element, within, Wanted::Id)?,
            None => answer::scalar(element, path.text(), Wanted::Id)?,
        };
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(match ids.len() {
        0 => Found::None,
        1 => Found::One(ids.remove(0)),
        count => Found::Several(count),
    })
}
