//! A push under way, and the requests that are made for it.

use std::sync::Arc;

use crate::clock::Now;
use crate::connector::Prepared;
use crate::model::{Step, Timestamp};
use crate::outbox::classify::Situation;
use crate::outbox::machine;
use crate::outbox::{Claim, Intent, Progress};
use crate::step::{self, Subject};
use crate::template::RenderError;
use crate::transport::Request;

/// A push under way.
pub(super) struct Flight {
    pub(super) claim: Claim,
    /// The progress before the request under way was about to be written.
    pub(super) before: Progress,
    pub(super) prepared: Option<Arc<Prepared>>,
    /// The connector's revision that the request under way was made with.
    pub(super) revision: Option<i64>,
    pub(super) step: Step,
    pub(super) comment: Option<u32>,
    pub(super) started: Now,
    pub(super) url: Option<String>,
    pub(super) method: Option<&'static str>,
    /// Of the body of the request under way.
    pub(super) body_bytes: u64,
    /// `ifMatchHeader`: what the fresh get before the update told; outer `None` before it.
    pub(super) etag: Option<Option<String>>,
    /// What is stored next is not the end of a step that `etag` was for.
    pub(super) keeps_etag: bool,
    /// The request under way tries how a connector in trouble fares.
    pub(super) is_probe: bool,
    /// The request under way is that fresh get.
    pub(super) fresh_get: bool,
}

impl Flight {
    pub(super) fn new(claim: Claim, now: Now) -> Flight {
        Flight {
            before: claim.push.progress.clone(),
            claim,
            prepared: None,
            revision: None,
            step: Step::Create,
            comment: None,
            started: now,
            url: None,
            method: None,
            body_bytes: 0,
            etag: None,
            keeps_etag: false,
            is_probe: false,
            fresh_get: false,
        }
    }

    /// The request of the flight's step, and for a create or comment the intent that is to be kept with it.
    pub(super) fn request(
        &self,
        prepared: &Prepared,
        target: &str,
        now: Timestamp,
        dice: &mut fastrand::Rng,
    ) -> Result<(Request, Option<Intent>), RenderError> {
        let claim = &self.claim;
        let etag = self.etag.clone().flatten();
        if self.fresh_get {
            let subject = subject(claim, None, None, None, None);
            return Ok((step::render(Step::Get, prepared, &subject)?, None));
        }
        let step = self.step;
        if !matches!(step, Step::Create | Step::Comment) {
            let subject = subject(claim, None, None, etag.as_deref(), None);
            return Ok((step::render(step, prepared, &subject)?, None));
        }
        let old = claim.push.progress.intent.as_ref().filter(|intent| {
            intent.step == step && intent.comment == self.comment && intent.target == target
        });
        let fresh_key = new_key(now, dice);
        let with_key = prepared.config.idempotency.is_some();
        let (key, stored) = match old {
            Some(old) => (
                old.idempotency_key.clone().unwrap_or(fresh_key.clone()),
                old.ended_at.is_some().then_some(old.body.as_slice()),
            ),
            None => (fresh_key.clone(), None),
        };
        let make = |key: &str| {
            let subject = subject(claim, self.comment, with_key.then_some(key), None, stored);
            step::render(step, prepared, &subject)
        };
        let mut request = make(&key)?;
        let body = request.body.clone().unwrap_or_default();
        // A target that has forgotten the key learns it anew.
        let known = old.filter(|old| !machine::is_forgotten(old, &prepared.config, now));
        let mut kept = (key, known.map_or(now, |old| old.key_made_at));
        // A key stands for its bytes: where a refused request would now be another one, it gets a key of its own.
        if stored.is_none() && old.is_some_and(|old| old.body != body) {
            request = make(&fresh_key)?;
            kept = (fresh_key, now);
        }
        let intent = Intent {
            step,
            comment: self.comment,
            target: target.to_owned(),
            idempotency_key: with_key.then_some(kept.0),
            key_made_at: kept.1,
            body,
            ended_at: None,
        };
        Ok((request, Some(intent)))
    }

    pub(super) fn situation(&self, now: Timestamp) -> Situation {
        Situation {
            step: self.step,
            by_link: machine::by_link(&self.claim),
            if_match: false,
            now,
        }
    }
}

pub(super) fn subject<'a>(
    claim: &'a Claim,
    comment: Option<u32>,
    key: Option<&'a str>,
    if_match: Option<&'a str>,
    stored_body: Option<&'a [u8]>,
) -> Subject<'a> {
    let comment = comment.and_then(|place| usize::try_from(place).ok());
    Subject {
        case: &claim.push.case,
        external_id: machine::external_id(claim),
        external_title: claim.push.progress.external_title.as_deref(),
        comment: comment.and_then(|place| claim.push.case.comments.get(place)),
        idempotency_key: key,
        if_match,
        stored_body,
    }
}

/// A key for one write: a UUID of version 7, so that keys grow with time and an index over them stays cheap.
pub(crate) fn new_key(now: Timestamp, dice: &mut fastrand::Rng) -> String {
    let millis = u64::try_from(now.as_millis()).unwrap_or(0);
    let mut random = [0u8; 10];
    dice.fill(&mut random);
    uuid::Builder::from_unix_timestamp_millis(millis, &random)
        .into_uuid()
        .to_string()
}
