//! The only classifier: what an exchange came to, for every step, answer and transport failure.

use std::time::Duration;

use super::pause;
use crate::model::{FailureClass, Step, Timestamp};
use crate::step::Unusable;
use crate::template::RenderError;
use crate::transport::{Answer, Failure, FailureKind};

/// What an exchange ended in, when it did not succeed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Trouble<'a> {
    /// An answer whose status is not 2xx.
    Status(&'a Answer),
    /// A 2xx answer that cannot be used.
    Unusable { status: u16, why: &'a Unusable },
    /// No answer.
    Failure(&'a Failure),
    /// Nothing could be sent, since the request could not be rendered.
    Render(&'a RenderError),
    /// The credentials could not be had: an unreadable secret reference, a missing key, a refused token.
    Credentials(&'a str),
    /// The process died with the request under way.
    Interrupted,
}

/// Where the exchange stands in its push.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Situation {
    pub(crate) step: Step,
    /// Whether the incident is ours by link: created here, not named by the host.
    pub(crate) by_link: bool,
    /// Whether the request carried If-Match.
    pub(crate) if_match: bool,
    pub(crate) now: Timestamp,
}

/// The verdict on an exchange that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) class: FailureClass,
    /// A stable word for the cause.
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) http_status: Option<u16>,
    /// For throttled: how long the target asked to wait; `None` when it did not say.
    pub(crate) pause: Option<Duration>,
    /// Whether nothing of the request can have reached the target.
    pub(crate) unsent: bool,
}

/// Decides the class of a failed exchange.
pub(crate) fn classify(trouble: Trouble<'_>, at: Situation) -> Verdict {
    match trouble {
        Trouble::Status(answer) => by_status(answer, at),
        Trouble::Unusable { status, why } => Verdict {
            class: match at.step {
                Step::Create => FailureClass::UncertainAnswered,
                _ => FailureClass::Permanent,
            },
            code: why.code.to_owned(),
            message: why.message.clone(),
            http_status: Some(status),
            pause: None,
            unsent: false,
        },
        Trouble::Failure(failure) => Verdict {
            class: match failure.kind {
                FailureKind::NotConnected => FailureClass::NotSent,
                FailureKind::NotWritten => FailureClass::Transient,
                FailureKind::Lost => lost(at.step),
                FailureKind::Refused | FailureKind::Redirect => FailureClass::Permanent,
                FailureKind::Credentials => FailureClass::Auth,
            },
            code: failure.code.to_owned(),
            message: failure.message.clone(),
            http_status: failure.status,
            pause: None,
            unsent: matches!(
                failure.kind,
                FailureKind::NotConnected | FailureKind::NotWritten | FailureKind::Refused
            ),
        },
        Trouble::Render(error) => Verdict {
            class: FailureClass::Permanent,
            code: "render".to_owned(),
            message: format!("{}: {}", error.field, error.message),
            http_status: None,
            pause: None,
            unsent: true,
        },
        Trouble::Credentials(reason) => Verdict {
            class: FailureClass::Auth,
            code: "credentials".to_owned(),
            message: reason.to_owned(),
            http_status: None,
            pause: None,
            unsent: true,
        },
        Trouble::Interrupted => Verdict {
            class: lost(at.step),
            code: "interrupted".to_owned(),
            message: "the process ended while the request was under way, so its outcome is not known"
                .to_owned(),
            http_status: None,
            pause: None,
            unsent: false,
        },
    }
}

/// A write that may have been acted on is uncertain; reading, looking up and updating can be done again.
fn lost(step: Step) -> FailureClass {
    match step {
        Step::Create | Step::Comment => FailureClass::Uncertain,
        Step::Update | Step::Get | Step::Find => FailureClass::Transient,
    }
}

fn by_status(answer: &Answer, at: Situation) -> Verdict {
    let status = answer.status;
    let class = match status {
        401 | 407 => FailureClass::Auth,
        429 => FailureClass::Throttled,
        503 if answer.header("retry-after").is_some() => FailureClass::Throttled,
        403 if pause::limit_exhausted(answer) => FailureClass::Throttled,
        408 | 425 | 503 => FailureClass::Transient,
        501 => FailureClass::Permanent,
        500..=599 => lost(at.step),
        412 if at.if_match && at.step == Step::Update => FailureClass::Precondition,
        404 | 410 if at.by_link && matches!(at.step, Step::Get | Step::Update) => FailureClass::Gone,
        _ => FailureClass::Permanent,
    };
    Verdict {
        class,
        code: "status".to_owned(),
        message: status_message(answer),
        http_status: Some(status),
        pause: (class == FailureClass::Throttled)
            .then(|| pause::asked(answer, at.now))
            .flatten(),
        unsent: false,
    }
}

/// How much of an error answer is quoted.
const QUOTED_CHARS: usize = 500;

fn status_message(answer: &Answer) -> String {
    let hint = match answer.status {
        300..=399 => {
            return format!(
                "the target answered {} without a usable redirect; put the final URL into the connector",
                answer.status
            );
        }
        401 | 407 => ": the credentials were refused; configure the connector with working ones",
        403 => ": the credentials do not allow it",
        404 => ": nothing is there; compare the URL with the target's API",
        415 => ": the target does not take this Content-Type; set it in headers",
        429 => ": too many requests",
        _ => "",
    };
    let body = String::from_utf8_lossy(&answer.body);
    let body = body.trim();
    if body.is_empty() {
        return format!("the target answered {}{hint}", answer.status);
    }
    let mut quoted: String = body.chars().take(QUOTED_CHARS).collect();
    if quoted.len() < body.len() {
        quoted.push('…');
    }
    format!("the target answered {}{hint}; it said: {quoted}", answer.status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use FailureClass::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    fn at(step: Step) -> Situation {
        Situation {
            step,
            by_link: false,
            if_match: false,
            now: NOW,
        }
    }

    fn answer(status: u16, headers: &[(&str, &str)]) -> Answer {
        Answer {
            status,
            headers: headers
                .iter()
                .map(|(n, v)| (n.to_string(), v.to_string()))
                .collect(),
            body: Vec::new(),
            body_fault: None,
            tokens: Default::default(),
        }
    }

    fn class_of(status: u16, headers: &[(&str, &str)], at: Situation) -> FailureClass {
        classify(Trouble::Status(&answer(status, headers)), at).class
    }

    /// Every row of the table of failure classes: status, headers, and the class on create, find, update, get, comment.
    #[test]
    fn every_status_has_its_class_on_every_step() {
        type Row<'a> = (&'a [u16], &'a [(&'a str, &'a str)], [FailureClass; 5]);
        let spent = [("x-ratelimit-remaining", "0")];
        let rows: &[Row<'_>] = &[
            (&[429], &[], [Throttled; 5]),
            (&[503], &[("retry-after", "5")], [Throttled; 5]),
            (&[403], &spent, [Throttled; 5]),
            (&[403], &[("retry-after", "60")], [Throttled; 5]),
            (&[403], &[("ratelimit-remaining", " 0 ")], [Throttled; 5]),
            (&[401, 407], &[], [Auth; 5]),
            (&[408, 425, 503], &[], [Transient; 5]),
            (
                &[500, 502, 504, 505, 507, 520, 599],
                &[],
                [Uncertain, Transient, Transient, Transient, Uncertain],
            ),
            (&[501], &[], [Permanent; 5]),
            (
                &[
                    300, 304, 400, 403, 404, 405, 406, 409, 410, 411, 412, 413, 415, 422, 451, 499,
                ],
                &[],
                [Permanent; 5],
            ),
            (&[403], &[("x-ratelimit-remaining", "10")], [Permanent; 5]),
            (&[404, 600, 999], &spent, [Permanent; 5]),
        ];
        for (statuses, headers, classes) in rows {
            for status in *statuses {
                for (step, class) in Step::ALL.iter().zip(classes) {
                    assert_eq!(
                        class_of(*status, headers, at(*step)),
                        *class,
                        "{status} {headers:?} on {step}"
                    );
                }
            }
        }
    }

    #[test]
    fn only_a_linked_incident_can_be_gone() {
        for step in Step::ALL {
            for status in [404, 410] {
                let linked = Situation {
                    by_link: true,
                    ..at(*step)
                };
                let expected = match step {
                    Step::Get | Step::Update => Gone,
                    _ => Permanent,
                };
                assert_eq!(class_of(status, &[], linked), expected, "{status} on {step}");
            }
        }
    }

    #[test]
    fn a_412_is_a_precondition_only_for_an_update_that_carried_if_match() {
        for step in Step::ALL {
            let with = Situation {
                if_match: true,
                ..at(*step)
            };
            let expected = if *step == Step::Update {
                Precondition
            } else {
                Permanent
            };
            assert_eq!(class_of(412, &[], with), expected, "{step}");
        }
    }

    #[test]
    fn every_transport_failure_has_its_class_on_every_step() {
        let rows = [
            (FailureKind::Refused, [Permanent; 5]),
            (FailureKind::NotConnected, [NotSent; 5]),
            (FailureKind::NotWritten, [Transient; 5]),
            (
                FailureKind::Lost,
                [Uncertain, Transient, Transient, Transient, Uncertain],
            ),
            (FailureKind::Redirect, [Permanent; 5]),
            (FailureKind::Credentials, [Auth; 5]),
        ];
        for (kind, classes) in rows {
            let failure = Failure {
                kind,
                code: "x",
                message: String::new(),
                status: None,
            };
            for (step, class) in Step::ALL.iter().zip(classes) {
                assert_eq!(
                    classify(Trouble::Failure(&failure), at(*step)).class,
                    class,
                    "{kind:?} on {step}"
                );
            }
        }
    }

    #[test]
    fn what_happens_without_an_exchange_has_its_class_on_every_step() {
        let unusable = Unusable {
            code: "idMissing",
            message: String::new(),
        };
        let render = RenderError {
            field: "getIncidentUrl",
            message: String::new(),
        };
        for step in Step::ALL {
            let write = matches!(step, Step::Create | Step::Comment);
            let unusable_class = if *step == Step::Create {
                UncertainAnswered
            } else {
                Permanent
            };
            let of = |trouble| classify(trouble, at(*step)).class;
            assert_eq!(
                of(Trouble::Unusable {
                    status: 200,
                    why: &unusable
                }),
                unusable_class
            );
            assert_eq!(of(Trouble::Render(&render)), Permanent);
            assert_eq!(of(Trouble::Credentials("x")), Auth);
            assert_eq!(
                of(Trouble::Interrupted),
                if write { Uncertain } else { Transient }
            );
        }
    }

    #[test]
    fn pauses_are_read_in_every_form_that_targets_use() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        let unix = (NOW.as_millis() / 1000 + 90).to_string();
        let millis = (NOW.as_millis() + 90_000).to_string();
        type Row<'a> = (&'a [(&'a str, &'a str)], Option<u64>);
        let rows: &[Row<'_>] = &[
            (&[("retry-after", "7")], Some(7)),
            (&[("retry-after", " 0 ")], Some(0)),
            (&[("retry-after", "86400")], Some(3600)),
            (&[("retry-after", "18446744073709551615")], Some(3600)),
            (&[("retry-after", "99999999999999999999999")], Some(3600)),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "")], None),
            (&[("retry-after", "soon")], None),
            (
                &[date, ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")],
                Some(30),
            ),
            (
                &[date, ("retry-after", "Sunday, 06-Nov-94 08:50:07 GMT")],
                Some(30),
            ),
            (&[date, ("retry-after", "Sun Nov  6 08:50:07 1994")], Some(30)),
            (&[date, ("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT")], Some(0)),
            (&[("x-ratelimit-reset", &unix)], Some(90)),
            (&[("x-ratelimit-reset", &millis)], Some(90)),
            (&[("x-ratelimit-reset", "45")], Some(45)),
            (&[("x-ratelimit-reset", "45.7")], Some(45)),
            (&[("ratelimit-reset", "45")], Some(45)),
            (&[date, ("x-ratelimit-reset", "1994-11-06T08:50:37Z")], Some(60)),
            (
                &[date, ("x-ratelimit-reset", "1994-11-06T10:50:37+02:00")],
                Some(60),
            ),
            (&[date, ("x-ratelimit-reset", "1994-11-06T08:50:37")], Some(60)),
            (&[date, ("x-ratelimit-reset", "1994-11-06 08:50:37")], Some(60)),
            (
                &[date, ("x-ratelimit-reset", "Sun, 06 Nov 1994 08:50:37 GMT")],
                Some(60),
            ),
            (&[("ratelimit", "limit=10, remaining=0, reset=45")], Some(45)),
            (&[("ratelimit", r#""default";r=0;t=45"#)], Some(45)),
            (&[("ratelimit", r#""a";r=3;t=900, "b";r=0;t=45"#)], Some(45)),
            (&[("ratelimit", "limit=10, remaining=3, reset=45")], None),
            (&[("ratelimit", "reset")], None),
            (&[("x-ratelimit-reset", "garbage")], None),
            (&[("retry-after", "5"), ("x-ratelimit-reset", "45")], Some(5)),
            (&[], None),
        ];
        for (headers, seconds) in rows {
            let verdict = classify(Trouble::Status(&answer(429, headers)), at(Step::Create));
            assert_eq!(verdict.pause.map(|p| p.as_secs()), *seconds, "{headers:?}");
        }
    }

    #[test]
    fn a_pause_is_only_asked_for_by_a_throttling_answer() {
        let verdict = classify(
            Trouble::Status(&answer(400, &[("retry-after", "7")])),
            at(Step::Create),
        );
        assert_eq!((verdict.class, verdict.pause), (Permanent, None));
    }
}
