//! Calls in, and what happens inside of a dialog.

use std::time::Duration;

use segue_media::Direction;

use super::{Bench, OFFER, invite, lines, media, request, with_sdp};
use crate::{
    sdp::Session,
    stack::LegNews,
    words::{AnswerError, Ended, HangUp, LegEvent, Refusal, Source},
};

fn body_line<'a>(body: &'a [u8], start: &str) -> &'a str {
    let text = std::str::from_utf8(body).unwrap();
    text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no {start} in {text}"))
}

#[test]
fn an_invite_is_answered_100_at_once_and_then_as_we_like() {
    let mut bench = Bench::new();
    assert_eq!(lines(&bench.hear(&invite("a", OFFER))), ["100 INVITE"]);
    let call = bench.call();
    assert_eq!((call.from.user.as_str(), call.from.display.as_deref()), ("+4930", Some("Caller")));
    assert_eq!((call.to.as_str(), call.source), ("help", Source::Trunk("carrier".into())));
    assert_eq!(call.headers, [("X-Tenant".to_owned(), "blue".to_owned())]);
    assert_eq!(call.offer.unwrap().rtp, "198.51.100.1:5000".parse().unwrap());
    assert_eq!(lines(&bench.hear(&invite("a", OFFER))), ["100 INVITE"]);
    bench.stack.ring(bench.now, call.leg);
    assert_eq!(lines(&bench.sent()), ["180 INVITE"]);
    let (remote, local) = bench.stack.answer(bench.now, call.leg, media(4_000)).unwrap();
    assert_eq!(remote.unwrap().codecs.first(), local.codecs.first());
    let sent = bench.sent();
    assert_eq!(lines(&sent), ["200 INVITE"]);
    assert_eq!(body_line(&sent[0].body, "m="), "m=audio 4000 RTP/AVP 0");
    bench.hear(&request("ACK", 1, &sent[0].to_tag().unwrap(), ""));
    assert_eq!(
        lines(&bench.hear(&request("BYE", 2, &sent[0].to_tag().unwrap(), "X-Why: done"))),
        ["200 BYE"]
    );
    let headers = vec![("X-Why".to_owned(), "done".to_owned())];
    assert_eq!(bench.news(), [(call.leg, LegNews::Event(LegEvent::Ended(Ended::Remote { headers })))]);
    bench.nothing_is_left();
}

#[test]
fn an_answer_is_sent_again_until_its_ack_comes_and_then_never() {
    let mut bench = Bench::new();
    bench.hear(&invite("a", OFFER));
    let leg = bench.call().leg;
    bench.stack.answer(bench.now, leg, media(4_000)).unwrap();
    let tag = bench.sent()[0].to_tag().unwrap();
    let log = bench.pass(Duration::from_millis(12_000));
    let times: Vec<u64> = log.iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [500, 1_500, 3_500, 7_500, 11_500]);
    assert!(log.iter().all(|(_, line)| line == "200 INVITE"));
    bench.hear(&request("ACK", 1, &tag, ""));
    assert_eq!(bench.pass(Duration::from_secs(60)), []);
    bench.hear(&request("BYE", 2, &tag, ""));
    bench.nothing_is_left();
}

#[test]
fn a_call_whose_ack_never_comes_is_ended() {
    let mut bench = Bench::new();
    bench.hear(&invite("a", OFFER));
    let leg = bench.call().leg;
    bench.stack.answer(bench.now, leg, media(4_000)).unwrap();
    bench.sent();
    let log = bench.pass(Duration::from_millis(32_000));
    assert_eq!(log.last().unwrap(), &(32_000, "BYE sip:far@198.51.100.1:5060".to_owned()));
    assert_eq!(bench.news(), [(leg, LegNews::Event(LegEvent::Ended(Ended::Timeout)))]);
    bench.nothing_is_left();
}

#[test]
fn our_bye_waits_for_the_ack() {
    let mut bench = Bench::new();
    bench.hear(&invite("a", OFFER));
    let leg = bench.call().leg;
    bench.stack.answer(bench.now, leg, media(4_000)).unwrap();
    let tag = bench.sent()[0].to_tag().unwrap();
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    assert!(bench.sent().is_empty());
    assert_eq!(bench.news(), [(leg, LegNews::Event(LegEvent::Ended(Ended::Local)))]);
    let sent = bench.hear(&request("ACK", 1, &tag, ""));
    assert_eq!(lines(&sent), ["BYE sip:far@198.51.100.1:5060"]);
    bench.nothing_is_left();
}

#[test]
fn cancel_ends_a_ringing_call_with_487() {
    let mut bench = Bench::new();
    bench.hear(&invite("a", OFFER));
    let leg = bench.call().leg;
    let cancel = invite("a", "").replace("INVITE sip", "CANCEL sip").replace("1 INVITE", "1 CANCEL");
    assert_eq!(lines(&bench.hear(&cancel)), ["200 CANCEL", "487 INVITE"]);
    assert_eq!(bench.news(), [(leg, LegNews::Withdrawn)]);
    assert_eq!(lines(&bench.hear(&cancel)), ["200 CANCEL"]);
    assert_eq!(bench.stack.answer(bench.now, leg, media(4_000)), Err(AnswerError::Canceled));
    let again: Vec<u64> = bench.pass(Duration::from_secs(5)).iter().map(|(at, _)| *at).collect();
    assert_eq!(again, [500, 1_500, 3_500]);
    bench.hear(&invite("a", "").replace("INVITE sip", "ACK sip").replace("1 INVITE", "1 ACK"));
    assert_eq!(bench.pass(Duration::from_secs(5)), []);
    bench.nothing_is_left();
}

#[test]
fn cancel_after_the_answer_changes_nothing() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.call_in();
    let cancel = invite("in", "").replace("INVITE sip", "CANCEL sip").replace("1 INVITE", "1 CANCEL");
    assert_eq!(lines(&bench.hear(&cancel)), ["200 CANCEL"]);
    assert_eq!(bench.news(), []);
    assert_eq!(bench.stack.counts().dialogs, 1);
    assert_eq!(lines(&bench.hear(&request("BYE", 2, &tag, ""))), ["200 BYE"]);
    assert!(matches!(bench.news().as_slice(), [(known, _)] if *known == leg));
    bench.nothing_is_left();
}

#[test]
fn a_cancel_of_nothing_is_481() {
    let mut bench = Bench::new();
    let cancel = invite("a", "").replace("INVITE sip", "CANCEL sip").replace("1 INVITE", "1 CANCEL");
    assert_eq!(lines(&bench.hear(&cancel)), ["481 CANCEL"]);
    bench.nothing_is_left();
}

#[test]
fn hold_and_retrieve_are_answered_from_our_side() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.call_in();
    for (number, theirs, ours, direction) in [
        (2, "a=sendonly\r\n", "a=recvonly", Direction::SendOnly),
        (3, "a=inactive\r\n", "a=inactive", Direction::Inactive),
        (4, "a=sendrecv\r\n", "a=sendrecv", Direction::SendRecv),
    ] {
        let sent = bench.hear(&request("INVITE", number, &tag, &with_sdp(&format!("{OFFER}{theirs}"))));
        assert_eq!(lines(&sent), ["200 INVITE"]);
        assert_eq!(body_line(&sent[0].body, ours), ours);
        assert!(body_line(&sent[0].body, "o=").contains(&format!(" {number} IN")), "the version grows");
        bench.hear(&request("ACK", number, &tag, ""));
        let news = bench.news();
        let [(known, LegNews::Event(LegEvent::MediaChanged { remote, .. }))] = news.as_slice() else {
            panic!("{news:?}")
        };
        assert_eq!((*known, remote.direction), (leg, direction));
    }
    bench.hear(&request("BYE", 5, &tag, ""));
    bench.nothing_is_left();
}

#[test]
fn a_new_offer_that_we_cannot_take_leaves_the_call_as_it_was() {
    let mut bench = Bench::new();
    let (_, tag) = bench.call_in();
    let only_opus = OFFER.replace("RTP/AVP 8 0", "RTP/AVP 111\r\na=rtpmap:111 opus/48000/2");
    assert_eq!(lines(&bench.hear(&request("INVITE", 2, &tag, &with_sdp(&only_opus)))), ["488 INVITE"]);
    assert_eq!(lines(&bench.hear(&request("UPDATE", 3, &tag, &with_sdp(&only_opus)))), ["488 UPDATE"]);
    assert_eq!(bench.news(), []);
    assert_eq!(lines(&bench.hear(&request("UPDATE", 4, &tag, ""))), ["200 UPDATE"]);
    let sent = bench.hear(&request("UPDATE", 5, &tag, &with_sdp(&OFFER.replace("5000", "5002"))));
    assert_eq!(lines(&sent), ["200 UPDATE"]);
    assert!(sent[0].sdp().is_some());
    assert_eq!(bench.news().len(), 1);
    bench.hear(&request("BYE", 6, &tag, ""));
    bench.nothing_is_left();
}

#[test]
fn a_late_offer_is_ours_and_the_ack_answers_it() {
    let mut bench = Bench::new();
    bench.hear(&invite("a", ""));
    let call = bench.call();
    assert_eq!(call.offer, None);
    let (remote, _) = bench.stack.answer(bench.now, call.leg, media(4_000)).unwrap();
    assert_eq!(remote, None);
    let sent = bench.sent();
    let tag = sent[0].to_tag().unwrap();
    assert_eq!(Session::read(&sent[0].body, bench.peer.remote.ip()).unwrap().media, media(4_000));
    // A new offer while ours waits for its answer is a glare (RFC 3261 §14.2).
    assert_eq!(lines(&bench.hear(&request("INVITE", 2, &tag, &with_sdp(OFFER)))), ["491 INVITE"]);
    assert_eq!(lines(&bench.hear(&request("UPDATE", 3, &tag, &with_sdp(OFFER)))), ["491 UPDATE"]);
    bench.hear(&request("ACK", 1, &tag, &with_sdp(OFFER)));
    let news = bench.news();
    assert!(matches!(news.as_slice(), [(_, LegNews::Event(LegEvent::MediaChanged { .. }))]), "{news:?}");
    bench.hear(&request("BYE", 4, &tag, ""));
    bench.nothing_is_left();
}

#[test]
fn a_late_offer_without_an_answer_ends_the_call() {
    let mut bench = Bench::new();
    bench.hear(&invite("a", ""));
    let leg = bench.call().leg;
    bench.stack.answer(bench.now, leg, media(4_000)).unwrap();
    let tag = bench.sent()[0].to_tag().unwrap();
    assert_eq!(lines(&bench.hear(&request("ACK", 1, &tag, ""))), ["BYE sip:far@198.51.100.1:5060"]);
    assert!(matches!(bench.news().as_slice(), [(_, LegNews::Event(LegEvent::Ended(Ended::Error(_))))]));
    bench.nothing_is_left();
}

#[test]
fn refer_is_taken_only_where_it_is_allowed() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.call_in();
    let refer = |number| {
        request("REFER", number, &tag, "Refer-To: <sip:billing@192.0.2.1>\r\nX-Handoff-Reason: asked")
    };
    assert_eq!(lines(&bench.hear(&refer(2))), ["603 REFER"]);
    assert_eq!(bench.news(), []);
    bench.stack.allow_handoff(leg, true);
    assert_eq!(lines(&bench.hear(&request("REFER", 3, &tag, ""))), ["400 REFER"]);
    let sent = bench.hear(&refer(4));
    assert_eq!(lines(&sent), ["202 REFER", "NOTIFY sip:far@198.51.100.1:5060"]);
    assert_eq!(sent[1].body, b"SIP/2.0 200 OK\r\n");
    assert_eq!(sent[1].first("Subscription-State"), Some("terminated;reason=noresource"));
    let news = bench.news();
    let [(_, LegNews::Event(LegEvent::HandoffRequested { refer_to, headers }))] = news.as_slice() else {
        panic!("{news:?}")
    };
    assert_eq!(refer_to, "sip:billing@192.0.2.1");
    assert_eq!(headers, &[("X-Handoff-Reason".to_owned(), "asked".to_owned())]);
    let silent = request("REFER", 5, &tag, "Refer-To: <sip:billing@192.0.2.1>\r\nRefer-Sub: false");
    assert_eq!(lines(&bench.hear(&silent)), ["202 REFER"]);
    bench.hear(&request("BYE", 6, &tag, ""));
    bench.nothing_is_left();
}

#[test]
fn other_requests_inside_get_their_own_answers() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.call_in();
    let info = "Content-Type: application/dtmf-relay\r\n\r\nSignal= 5\r\nDuration=160\r\n";
    assert_eq!(lines(&bench.hear(&request("INFO", 2, &tag, info))), ["200 INFO"]);
    assert_eq!(bench.news(), [(leg, LegNews::Event(LegEvent::Key('5')))]);
    assert_eq!(lines(&bench.hear(&request("INFO", 3, &tag, "Content-Type: text/x\r\n\r\nx"))), ["415 INFO"]);
    assert_eq!(lines(&bench.hear(&request("OPTIONS", 4, &tag, ""))), ["200 OPTIONS"]);
    assert_eq!(lines(&bench.hear(&request("MESSAGE", 5, &tag, ""))), ["405 MESSAGE"]);
    assert_eq!(lines(&bench.hear(&request("NOTIFY", 6, &tag, ""))), ["481 NOTIFY"]);
    assert_eq!(lines(&bench.hear(&request("FANCY", 7, &tag, ""))), ["501 FANCY"]);
    assert_eq!(lines(&bench.hear(&request("BYE", 3, &tag, ""))), ["500 BYE"]);
    assert_eq!(bench.news(), []);
    assert_eq!(lines(&bench.hear(&request("BYE", 8, "nobody", ""))), ["481 BYE"]);
    assert_eq!(lines(&bench.hear(&request("BYE", 9, &tag, ""))), ["200 BYE"]);
    assert_eq!(lines(&bench.hear(&request("BYE", 9, &tag, ""))), ["200 BYE"]);
    bench.nothing_is_left();
}

#[test]
fn bye_before_the_ack_ends_the_call() {
    let mut bench = Bench::new();
    bench.hear(&invite("a", OFFER));
    let leg = bench.call().leg;
    bench.stack.answer(bench.now, leg, media(4_000)).unwrap();
    let tag = bench.sent()[0].to_tag().unwrap();
    assert_eq!(lines(&bench.hear(&request("BYE", 2, &tag, ""))), ["200 BYE"]);
    assert_eq!(bench.news().len(), 1);
    assert_eq!(bench.pass(Duration::from_secs(40)), []);
    bench.nothing_is_left();
}

#[test]
fn byes_that_cross_are_both_answered() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.call_in();
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    assert_eq!(lines(&bench.sent()), ["BYE sip:far@198.51.100.1:5060"]);
    assert_eq!(lines(&bench.hear(&request("BYE", 2, &tag, ""))), ["200 BYE"]);
    assert_eq!(bench.news(), [(leg, LegNews::Event(LegEvent::Ended(Ended::Local)))]);
    bench.nothing_is_left();
}

#[test]
fn a_refusal_says_its_code_and_leaves_nothing() {
    let unavailable = Refusal::Unavailable { retry_after: Duration::from_secs(7) };
    for (refusal, line) in [
        (Refusal::Busy, "486 INVITE"),
        (Refusal::NobodyThere, "480 INVITE"),
        (unavailable, "503 INVITE"),
        (Refusal::Forbidden, "403 INVITE"),
        (Refusal::NotFound, "404 INVITE"),
        (Refusal::NotAcceptable, "488 INVITE"),
        (Refusal::Declined, "603 INVITE"),
        (Refusal::Error, "500 INVITE"),
    ] {
        let mut bench = Bench::new();
        bench.hear(&invite("a", OFFER));
        let leg = bench.call().leg;
        bench.stack.refuse(bench.now, leg, refusal);
        let sent = bench.sent();
        assert_eq!(lines(&sent), [line]);
        assert_eq!(sent[0].first("Retry-After"), (refusal == unavailable).then_some("7"));
        bench.nothing_is_left();
    }
}

#[test]
fn a_call_that_nobody_answers_rings_out() {
    let mut bench = Bench::new();
    bench.hear(&invite("a", OFFER));
    let leg = bench.call().leg;
    let log = bench.pass(Duration::from_secs(180));
    assert_eq!(log.first().unwrap(), &(180_000, "480 INVITE".to_owned()));
    assert_eq!(bench.news(), [(leg, LegNews::Withdrawn)]);
    bench.nothing_is_left();
}
