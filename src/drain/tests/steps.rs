//! Steps in their order, comments, links.

use serde_json::json;

use super::bench::{Bench, case};
use crate::model::{CommentState, PushState, Step};
use crate::transport::FailureKind;

#[test]
fn a_new_case_is_created_read_back_and_commented() {
    let mut bench = Bench::new(json!({}));
    let id = bench.push(case("k").comment("a", "one").comment("b", "two"));
    assert_eq!(bench.status(id).state, PushState::Queued);
    let create = bench.send();
    assert_eq!(create.line, "POST /issues");
    assert_eq!(create.body, r#"{"case":"k","title":"title of k"}"#);
    assert_eq!(bench.state(id), PushState::Sending);
    bench.answer(201, r#"{"id":7}"#);
    assert_eq!(
        bench.status(id).external_id.as_deref(),
        Some("7"),
        "stored at once"
    );
    assert_eq!(bench.link("k"), None, "a link is for what was delivered");
    assert_eq!(bench.send().line, "GET /issues/7");
    bench.answer(200, r#"{"key":"T-7"}"#);
    assert_eq!(bench.send().body, r#"{"body":"one"}"#);
    bench.answer(201, "{}");
    assert_eq!(bench.comments(id), [CommentState::Sent, CommentState::Pending]);
    assert_eq!(bench.send().body, r#"{"body":"two"}"#);
    bench.answer(204, "");
    let status = bench.status(id);
    assert_eq!(status.state, PushState::Delivered);
    assert_eq!(status.external_title.as_deref(), Some("T-7"));
    assert_eq!(
        status.external_url.as_deref(),
        Some("http://t.example/browse/T-7")
    );
    assert!(!status.uncertain && status.error.is_none());
    assert_eq!(bench.comments(id), [CommentState::Sent; 2]);
    let link = bench.link("k").unwrap();
    assert_eq!(
        (link.external_id.as_str(), link.external_title.as_deref()),
        ("7", Some("T-7"))
    );
    assert_eq!(bench.wait(), None, "an idle engine waits forever");
}

#[test]
fn a_linked_case_is_updated() {
    let mut bench = Bench::new(json!({}));
    bench.push(case("k").comment("a", "one"));
    bench.run();
    let id = bench.push(
        case("k")
            .comment("a", "changed")
            .comment("b", "")
            .comment("c", "new"),
    );
    assert_eq!(
        bench.run(),
        ["PUT /issues/1", "GET /issues/1", "POST /issues/1/comments"]
    );
    assert_eq!(
        bench.comments(id),
        [CommentState::Skipped, CommentState::Skipped, CommentState::Sent]
    );
    assert_eq!(bench.opened, 1);
}

#[test]
fn a_named_incident_is_updated() {
    let mut bench = Bench::new(json!({}));
    let id = bench.push(case("k").external_id("x y"));
    assert_eq!(bench.run(), ["PUT /issues/x%20y", "GET /issues/x%20y"]);
    assert_eq!(bench.status(id).external_id.as_deref(), Some("x y"));
    assert_eq!(bench.link("k").unwrap().external_id, "x y");
    // The link is replaced by what the host names.
    bench.push(case("k").external_id("z"));
    bench.run();
    assert_eq!(bench.link("k").unwrap().external_id, "z");
}

#[test]
fn without_a_case_id_every_push_creates() {
    let mut bench = Bench::new(json!({}));
    for title in ["one", "two"] {
        bench.push(crate::Case::new(title).comment("a", "text"));
    }
    bench.run();
    assert_eq!(bench.opened, 2);
}

#[test]
fn equal_ids_within_a_push_are_told_apart_by_their_occurrence() {
    let mut bench = Bench::new(json!({}));
    let id = bench.push(case("k").comment("a", "1").comment("a", "2").comment("", "3"));
    bench.run();
    assert_eq!(bench.comments(id), [CommentState::Sent; 3]);
    let id = bench.push(
        case("k")
            .comment("a", "1")
            .comment("a", "2")
            .comment("a", "3")
            .comment("", "4"),
    );
    bench.run();
    assert_eq!(
        bench.comments(id),
        [
            CommentState::Skipped,
            CommentState::Skipped,
            CommentState::Sent,
            CommentState::Sent
        ]
    );
}

#[test]
fn comments_are_skipped_where_none_are_configured() {
    let mut bench = Bench::new(json!({
        "createCommentUrl": null, "createCommentMethod": null, "createCommentJson": null
    }));
    let id = bench.push(case("k").comment("a", "one"));
    assert_eq!(bench.run(), ["POST /issues", "GET /issues/1"]);
    assert_eq!(bench.comments(id), [CommentState::Skipped]);
}

#[test]
fn comments_that_would_be_documents_without_content_are_skipped() {
    let blank = |case: crate::Case| {
        case.comment("a", " \n\t")
            .comment("b", "\u{1b}\u{0}")
            .comment("c", "text")
    };
    let mut bench = Bench::new(json!({"textForms": {"comment": "adf"}}));
    let id = bench.push(blank(case("k")));
    assert_eq!(
        bench.run(),
        ["POST /issues", "GET /issues/1", "POST /issues/1/comments"]
    );
    assert_eq!(
        bench.comments(id),
        [CommentState::Skipped, CommentState::Skipped, CommentState::Sent]
    );
    let mut bench = Bench::new(json!({}));
    let id = bench.push(blank(case("k")));
    bench.run();
    assert_eq!(
        bench.comments(id),
        [CommentState::Sent; 3],
        "texts are sent as they are"
    );
}

#[test]
fn create_only_sends_later_pushes_as_comments_alone() {
    let mut bench = Bench::new(json!({
        "createOnly": true,
        "getIncidentUrl": null, "getIncidentResponseExternalTitleKey": null,
        "updateIncidentUrl": null, "updateIncidentJson": null,
        "viewIncidentUrl": "http://t.example/i/{{{external.system.id}}}",
    }));
    bench.push(case("k").comment("a", "one"));
    assert_eq!(bench.run(), ["POST /issues", "POST /issues/1/comments"]);
    let id = bench.push(case("k").comment("b", "two"));
    assert_eq!(bench.run(), ["POST /issues/1/comments"]);
    assert_eq!(bench.state(id), PushState::Delivered);
    let id = bench.push(case("k"));
    assert!(bench.run().is_empty());
    assert_eq!(bench.state(id), PushState::Delivered);
    assert_eq!(bench.status(id).external_id.as_deref(), Some("1"));
}

#[test]
fn a_retry_starts_at_the_first_step_that_is_not_done() {
    let mut bench = Bench::new(json!({}));
    let id = bench.push(case("k").comment("a", "one").comment("b", "two"));
    bench.send();
    bench.answer(201, r#"{"id":"1"}"#);
    bench.send();
    bench.answer(400, "");
    let status = bench.status(id);
    assert_eq!(status.state, PushState::Failed);
    assert_eq!(
        status.error.as_ref().map(|e| (e.step, e.http_status)),
        Some((Step::Get, Some(400)))
    );
    assert_eq!(status.external_id.as_deref(), Some("1"));
    bench.retry(id).unwrap();
    assert_eq!(bench.send().line, "GET /issues/1");
    bench.answer(200, r#"{"key":"T"}"#);
    bench.send();
    bench.answer(200, "{}");
    assert_eq!(bench.send().body, r#"{"body":"two"}"#);
    bench.answer(422, "");
    assert_eq!(bench.comments(id), [CommentState::Sent, CommentState::Failed]);
    bench.retry(id).unwrap();
    assert_eq!(bench.comments(id), [CommentState::Sent, CommentState::Pending]);
    assert_eq!(bench.run(), ["POST /issues/1/comments"]);
    assert_eq!(bench.state(id), PushState::Delivered);
}

#[test]
fn every_exchange_is_logged() {
    let mut bench = Bench::new(json!({}));
    let id = bench.push(case("k"));
    bench.send();
    bench.advance(2);
    bench.fail(FailureKind::NotConnected);
    bench.sleep_and_send();
    bench.answer(201, r#"{"id":"1"}"#);
    bench.run();
    let seen: Vec<_> = bench
        .attempts(id)
        .into_iter()
        .map(|a| (a.step, a.http_status, a.class.map(|c| c.as_str()), a.duration_ms))
        .collect();
    assert_eq!(
        seen,
        [
            (Step::Create, None, Some("notSent"), 2_000),
            (Step::Create, Some(201), None, 0),
            (Step::Get, Some(200), None, 0)
        ]
    );
}

#[test]
fn a_link_from_the_create_answer_stays_where_the_get_answer_has_none() {
    for (answer, url) in [
        (r#"{"key":"T-7"}"#, "http://t.example/made/7"),
        (
            r#"{"key":"T-7","url":"http://t.example/read/7"}"#,
            "http://t.example/read/7",
        ),
    ] {
        let mut bench = Bench::new(json!({"viewIncidentResponseKey": "url"}));
        let id = bench.push(case("k"));
        bench.send();
        bench.answer(201, r#"{"id":7,"url":"http://t.example/made/7"}"#);
        bench.send();
        bench.answer(200, answer);
        assert_eq!(bench.status(id).external_url.as_deref(), Some(url));
    }
}

#[test]
fn without_a_get_the_link_is_made_from_the_id() {
    let mut bench = Bench::new(json!({
        "createOnly": true, "getIncidentUrl": null, "getIncidentResponseExternalTitleKey": null,
        "updateIncidentUrl": null, "updateIncidentJson": null,
        "viewIncidentUrl": "http://t.example/i/{{{external.system.id}}}",
    }));
    let id = bench.push(case("k"));
    bench.send();
    bench.answer(201, r#"{"id":7}"#);
    let link = Some("http://t.example/i/7");
    assert_eq!(bench.state(id), PushState::Delivered);
    assert_eq!(bench.status(id).external_url.as_deref(), link);
    assert_eq!(bench.link("k").unwrap().external_url.as_deref(), link);
}
