//! What the table says, it can do: every rule has its words, and no odd answer makes it fail.

use super::*;
use crate::model::Header;

fn request() -> Request {
    Request {
        step: Step::Create,
        method: "POST".to_owned(),
        url: "https://h.example/api/issues".to_owned(),
        headers: Vec::new(),
        body: Some("{\"a\": 1}".to_owned()),
    }
}

#[test]
fn every_mistake_is_told_in_a_few_words() {
    assert!(RULES.len() >= 20, "{}", RULES.len());
    for rule in RULES {
        assert!((5..80).contains(&rule.mistake.len()), "{}", rule.mistake);
        assert!((3..80).contains(&rule.sign.len()), "{}", rule.sign);
    }
}

#[test]
fn no_answer_makes_it_fail() {
    let request = request();
    let bodies = [
        "",
        "null",
        "[]",
        "{}",
        "[[[[[[[[1]]]]]]]]",
        "{\"errors\": null}",
        "{\"errors\": [null]}",
        "<html",
        "\u{feff}{\"id\":{}}",
        "\u{0}é",
        "{\"message\": {\"message\": {\"message\": {\"message\": {\"message\": \"x\"}}}}}",
    ];
    let codes = [
        "",
        "status",
        "dns",
        "tls",
        "redirect",
        "idMissing",
        "titleUnusable",
        "mediaType",
        "connectionLost",
        "token",
        "proxy",
    ];
    let mut suggested = 0;
    for body in bodies {
        for code in codes {
            for status in (100..600).step_by(1) {
                let answer = Answer {
                    status,
                    headers: vec![Header {
                        name: "location".to_owned(),
                        value: "::not a url é".to_owned(),
                    }],
                    body: body.to_owned(),
                };
                let exchange = Exchange {
                    step: Step::ALL[usize::from(status) % Step::ALL.len()],
                    request: &request,
                    answer: Some(&answer),
                    ok: false,
                    code,
                    verdict: "no words",
                    status: Some(status),
                    path: Some("a.b"),
                    tells_failures: false,
                };
                suggested += usize::from(suggest(&exchange).is_some_and(|text| !text.is_empty()));
            }
        }
    }
    assert!(suggested > 1_000, "{suggested}");
}

#[test]
fn known_services_that_are_misspelt_are_named() {
    let request = Request {
        url: "https://acme.atlasian.net/rest/api/2/issue".to_owned(),
        ..request()
    };
    let exchange = Exchange {
        step: Step::Create,
        request: &request,
        answer: None,
        ok: false,
        code: "dns",
        verdict: "",
        status: None,
        path: None,
        tells_failures: false,
    };
    let text = suggest(&exchange).unwrap();
    assert!(text.contains("did you mean acme.atlassian.net?"), "{text}");
}
