//! From an exchange's end to what it means: a success with what it brought, or a verdict.

use crate::connector::Prepared;
use crate::model::{Step, Timestamp};
use crate::outbox::classify::{self, Situation, Trouble, Verdict};
use crate::outbox::machine::Success;
use crate::step::{self, Subject};
use crate::transport::{Answer, Failure};

/// Reads the end of an exchange. Secrets that the target echoed are masked in every text of it.
pub(crate) fn read(
    step: Step,
    prepared: &Prepared,
    subject: &Subject<'_>,
    by_link: bool,
    result: &Result<Answer, Failure>,
    now: Timestamp,
) -> Result<Success, Verdict> {
    let situation = Situation {
        step,
        by_link,
        if_match: subject.if_match.is_some(),
        now,
    };
    let answer = match result {
        Ok(answer) => answer,
        Err(failure) => {
            return Err(masked(
                classify::classify(Trouble::Failure(failure), situation),
                prepared,
            ));
        }
    };
    if step == Step::Find && matches!(answer.status, 404 | 410) {
        return Ok(Success::Found(step::find::Found::None));
    }
    if !(200..300).contains(&answer.status) {
        return Err(masked(
            classify::classify(Trouble::Status(answer), situation),
            prepared,
        ));
    }
    success(step, prepared, subject, answer).map_err(|why| {
        let trouble = Trouble::Unusable {
            status: answer.status,
            why: &why,
        };
        masked(classify::classify(trouble, situation), prepared)
    })
}

/// A verdict whose texts hold no secret.
pub(crate) fn masked(mut verdict: Verdict, prepared: &Prepared) -> Verdict {
    verdict.message = step::mask_cut(&verdict.message, &prepared.echo_masks);
    verdict
}

fn success(
    step: Step,
    prepared: &Prepared,
    subject: &Subject<'_>,
    answer: &Answer,
) -> Result<Success, step::Unusable> {
    let config = &prepared.config;
    Ok(match step {
        Step::Create => {
            let created = step::create::read(config, answer)?;
            Success::Created {
                external_id: created.external_id,
                view_url: created
                    .view_url
                    .filter(|url| step::mask(url, &prepared.echo_masks) == *url),
            }
        }
        Step::Find => Success::Found(step::find::read(config, answer)?),
        Step::Update => {
            step::update::read(config, answer)?;
            Success::Updated
        }
        Step::Comment => {
            step::comment::read(config, answer)?;
            Success::Commented
        }
        Step::Get => {
            let got = step::get::read(config, answer)?;
            // A link that repeats a secret is not shown to anybody.
            let shown = got
                .view_url
                .filter(|url| step::mask(url, &prepared.echo_masks) == *url);
            let told = shown.is_some();
            // Whatever a title repeats must not come back through the link that is made of it.
            let title = got.title.map(|title| step::mask(&title, &prepared.echo_masks));
            let url = match shown {
                Some(url) => url,
                None => {
                    let titled = Subject {
                        external_title: title.as_deref(),
                        ..*subject
                    };
                    step::get::view_url(config, &titled).map_err(|error| step::Unusable {
                        code: "viewUrl",
                        message: format!("{}: {}", error.field, error.message),
                    })?
                }
            };
            Success::Got {
                title,
                url,
                told,
                etag: got.etag,
            }
        }
    })
}
