//! From an exchange's end to what it means: a success with what it brought, or a verdict.

use crate::connector::Prepared;
use crate::model::limits::ID_BYTES;
use crate::model::{Step, Timestamp};
use crate::outbox::classify::{self, Situation, Trouble, Verdict};
use crate::outbox::machine::Success;
use crate::step::find::Found;
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
            let verdict = classify::classify(Trouble::Failure(failure), situation);
            return Err(masked(verdict, prepared));
        }
    };
    if step == Step::Find && matches!(answer.status, 404 | 410) {
        return Ok(Success::Found(Found::None));
    }
    if !(200..300).contains(&answer.status) {
        let verdict = classify::classify(Trouble::Status(answer), situation);
        return Err(said(verdict, prepared, answer));
    }
    success(step, prepared, subject, answer).map_err(|why| {
        let trouble = Trouble::Unusable {
            status: answer.status,
            why: &why,
        };
        said(classify::classify(trouble, situation), prepared, answer)
    })
}

/// A verdict whose texts hold no secret.
pub(crate) fn masked(mut verdict: Verdict, prepared: &Prepared) -> Verdict {
    verdict.message = step::mask_cut(&verdict.message, &prepared.masks.echoed);
    verdict
}

/// The same of what an answer led to.
fn said(mut verdict: Verdict, prepared: &Prepared, answer: &Answer) -> Verdict {
    verdict.message = step::mask_cut(&verdict.message, &answer.tokens);
    masked(verdict, prepared)
}

/// An id, which is used and shown as it is: one that repeats a secret can be neither. Nor can one that no push may name.
fn harmless(id: String, prepared: &Prepared, answer: &Answer) -> Result<String, step::Unusable> {
    if id.len() > ID_BYTES {
        return Err(step::Unusable {
            code: "idUnusable",
            message: format!(
                "the id in the answer has {} bytes; the limit is {ID_BYTES}; correct the path of the id",
                id.len()
            ),
        });
    }
    if !prepared.masks.secrets.repeated_in(&id) && !answer.tokens.repeated_in(&id) {
        return Ok(id);
    }
    Err(step::Unusable {
        code: "idUnusable",
        message: "the id in the answer repeats a secret of the connector, and can neither be kept nor shown; correct the \
                  path of the id, or what the target answers"
            .to_owned(),
    })
}

fn success(
    step: Step,
    prepared: &Prepared,
    subject: &Subject<'_>,
    answer: &Answer,
) -> Result<Success, step::Unusable> {
    let config = &prepared.config;
    let echoed = |text: &str| step::mask(&step::mask(text, &answer.tokens), &prepared.masks.echoed);
    // A link that repeats a secret is not shown to anybody.
    let shown = |url: &String| echoed(url) == *url;
    Ok(match step {
        Step::Create => {
            let created = step::create::read(config, answer)?;
            Success::Created {
                external_id: harmless(created.external_id, prepared, answer)?,
                view_url: created.view_url.filter(shown),
            }
        }
        Step::Find => Success::Found(match step::find::read(config, answer)? {
            Found::One(id) => Found::One(harmless(id, prepared, answer)?),
            found => found,
        }),
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
            let shown = got.view_url.filter(shown);
            let told = shown.is_some();
            // Whatever a title repeats must not come back through the link that is made of it.
            let title = got.title.map(|title| echoed(&title));
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
