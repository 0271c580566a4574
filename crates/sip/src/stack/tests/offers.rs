//! New offers of ours in a dialog, and what crosses them (RFC 3261 §14, RFC 3264, RFC 3311, RFC 6337).

use std::time::Duration;

use segue_media::{Direction, MediaDescription};

use super::{Bench, OFFER, answer, inside, lines, media, request, with_sdp};
use crate::{
    message::Message,
    stack::LegNews,
    words::{Ended, HangUp, LegEvent},
};

fn held() -> MediaDescription {
    MediaDescription { direction: Direction::SendOnly, ..media(4_000) }
}

fn text(message: &Message) -> String {
    String::from_utf8(message.body.clone()).unwrap()
}

fn version(message: &Message) -> u64 {
    text(message).split("o=- ").nth(1).unwrap().split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn our_new_offer_is_a_reinvite_with_the_next_version_and_is_acknowledged() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.call_in();
    bench.stack.reoffer(bench.now, leg, held());
    let sent = bench.sent();
    assert_eq!(lines(&sent), ["INVITE sip:far@198.51.100.1:5060"]);
    assert!(text(&sent[0]).contains("a=sendonly"));
    assert_eq!(version(&sent[0]), 2);
    let acknowledged = bench.hear(&answer(&sent[0], 200, "", &format!("{OFFER}a=recvonly\r\n")));
    assert_eq!(lines(&acknowledged), ["ACK sip:far@198.51.100.1:5060"]);
    assert_eq!(acknowledged[0].cseq().unwrap().0, sent[0].cseq().unwrap().0);
    let news = bench.news();
    let [(_, LegNews::Event(LegEvent::MediaChanged { remote, local }))] = news.as_slice() else {
        panic!("{news:?}")
    };
    assert_eq!((remote.direction, local.direction), (Direction::RecvOnly, Direction::SendOnly));
    // The 2xx again: the ACK was lost.
    assert_eq!(bench.hear(&answer(&sent[0], 200, "", &format!("{OFFER}a=recvonly\r\n"))), acknowledged);
    assert_eq!(bench.news(), []);
    bench.hear(&request("BYE", 9, &tag, ""));
    bench.nothing_is_left();
}

#[test]
fn an_offer_keeps_the_streams_that_there_are() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.call_in();
    let with_video = format!("{OFFER}m=video 5002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n");
    bench.hear(&request("INVITE", 2, &tag, &with_sdp(&with_video)));
    bench.hear(&request("ACK", 2, &tag, ""));
    bench.stack.reoffer(bench.now, leg, held());
    let sent = bench.sent();
    assert!(text(&sent[0]).contains("m=video 0 RTP/AVP 96"), "{}", text(&sent[0]));
    bench.hear(&answer(&sent[0], 488, "", ""));
    bench.hear(&request("BYE", 9, &tag, ""));
    bench.nothing_is_left();
}

#[test]
fn a_refused_offer_leaves_everything_as_it_was() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.call_in();
    bench.stack.reoffer(bench.now, leg, held());
    let ours = bench.sent().pop().unwrap();
    assert_eq!(lines(&bench.hear(&answer(&ours, 488, "", ""))), ["ACK sip:far@198.51.100.1:5060"]);
    assert_eq!(bench.news(), [(leg, LegNews::Event(LegEvent::OfferRefused { code: Some(488) }))]);
    // Our side is still sendrecv.
    let sent = bench.hear(&request("INVITE", 2, &tag, &with_sdp(OFFER)));
    assert!(text(&sent[0]).contains("a=sendrecv"));
    bench.hear(&request("ACK", 2, &tag, ""));
    bench.hear(&request("BYE", 3, &tag, ""));
    bench.nothing_is_left();
}

#[test]
fn a_reinvite_that_is_told_481_or_408_or_nothing_ends_the_call() {
    for code in [Some(481), Some(408), None] {
        let mut bench = Bench::new();
        let (leg, _) = bench.call_in();
        bench.stack.reoffer(bench.now, leg, held());
        let ours = bench.sent().pop().unwrap();
        let sent = match code {
            Some(code) => lines(&bench.hear(&answer(&ours, code, "", ""))),
            None => bench.pass(Duration::from_secs(33)).into_iter().map(|(_, line)| line).collect(),
        };
        assert!(sent.contains(&"BYE sip:far@198.51.100.1:5060".to_owned()), "{code:?}: {sent:?}");
        assert_eq!(bench.news(), [(leg, LegNews::Event(LegEvent::Ended(Ended::Timeout)))]);
        bench.nothing_is_left();
    }
}

#[test]
fn crossing_offers_are_491_on_both_sides_and_the_callee_tries_again_first() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.call_in();
    bench.stack.reoffer(bench.now, leg, held());
    let ours = bench.sent().pop().unwrap();
    assert_eq!(lines(&bench.hear(&request("INVITE", 2, &tag, &with_sdp(OFFER)))), ["491 INVITE"]);
    assert_eq!(lines(&bench.hear(&request("UPDATE", 3, &tag, &with_sdp(OFFER)))), ["491 UPDATE"]);
    // Without an offer an UPDATE crosses nothing.
    assert_eq!(lines(&bench.hear(&request("UPDATE", 4, &tag, ""))), ["200 UPDATE"]);
    bench.hear(&request("ACK", 2, &tag, ""));
    assert_eq!(lines(&bench.hear(&answer(&ours, 491, "", ""))), ["ACK sip:far@198.51.100.1:5060"]);
    let again = bench.pass(Duration::from_millis(2_000));
    assert!(again.iter().any(|(_, line)| line.starts_with("INVITE")), "{again:?}");
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    bench.nothing_is_left();
}

#[test]
fn who_made_the_call_waits_longer_after_a_crossing() {
    let mut bench = Bench::new();
    let (leg, _) = bench.call_out();
    bench.stack.reoffer(bench.now, leg, media(6_000));
    let ours = bench.sent().pop().unwrap();
    bench.hear(&answer(&ours, 491, "", ""));
    assert_eq!(bench.pass(Duration::from_millis(2_090)), []);
    let again = bench.pass(Duration::from_millis(1_910));
    assert!(matches!(again.as_slice(), [(_, line), ..] if line.starts_with("INVITE")), "{again:?}");
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    bench.nothing_is_left();
}

#[test]
fn who_always_crosses_is_told_at_last() {
    let mut bench = Bench::new();
    let (leg, _) = bench.call_in();
    bench.stack.reoffer(bench.now, leg, held());
    let mut asked = 0;
    while bench.news().is_empty() && asked < 20 {
        for ours in bench.requests("INVITE") {
            asked += 1;
            bench.hear(&answer(&ours, 491, "", ""));
        }
        bench.step();
    }
    assert_eq!(asked, 7);
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    bench.nothing_is_left();
}

#[test]
fn our_offer_waits_for_the_ack_that_is_due() {
    let mut bench = Bench::new();
    bench.hear(&super::invite("a", OFFER));
    let leg = bench.call().leg;
    bench.stack.answer(bench.now, leg, media(4_000)).unwrap();
    let tag = bench.sent()[0].to_tag().unwrap();
    bench.stack.reoffer(bench.now, leg, held());
    assert_eq!(bench.sent(), []);
    assert_eq!(lines(&bench.hear(&request("ACK", 1, &tag, ""))), ["INVITE sip:far@198.51.100.1:5060"]);
    bench.hear(&request("BYE", 2, &tag, ""));
    bench.nothing_is_left();
}

#[test]
fn a_newer_offer_takes_the_place_of_one_that_waits() {
    let mut bench = Bench::new();
    let (leg, _) = bench.call_in();
    bench.stack.reoffer(bench.now, leg, held());
    let first = bench.sent().pop().unwrap();
    bench.stack.reoffer(bench.now, leg, held());
    bench.stack.reoffer(bench.now, leg, media(4_000));
    assert_eq!(bench.sent(), []);
    let sent = bench.hear(&answer(&first, 200, "", OFFER));
    assert_eq!(lines(&sent), ["ACK sip:far@198.51.100.1:5060", "INVITE sip:far@198.51.100.1:5060"]);
    assert!(text(&sent[1]).contains("a=sendrecv"));
    bench.hear(&answer(&sent[1], 200, "", OFFER));
    assert_eq!(bench.news().len(), 2);
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    bench.nothing_is_left();
}

#[test]
fn a_reinvite_that_rings_for_ever_is_cancelled() {
    let mut bench = Bench::new();
    let (leg, _) = bench.call_in();
    bench.stack.reoffer(bench.now, leg, held());
    let ours = bench.sent().pop().unwrap();
    bench.hear(&answer(&ours, 180, "", ""));
    let log = bench.pass(Duration::from_secs(32));
    assert_eq!(log.first().map(|(_, line)| line.as_str()), Some("CANCEL sip:far@198.51.100.1:5060"));
    bench.hear(&answer(&ours, 487, "", ""));
    assert_eq!(bench.news(), [(leg, LegNews::Event(LegEvent::OfferRefused { code: Some(487) }))]);
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    bench.nothing_is_left();
}

#[test]
fn a_reinvite_without_an_offer_gets_ours_and_the_ack_answers() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.call_in();
    let sent = bench.hear(&request("INVITE", 2, &tag, ""));
    assert_eq!(lines(&sent), ["200 INVITE"]);
    assert!(text(&sent[0]).contains("m=audio 4000"));
    assert_eq!(lines(&bench.hear(&request("INVITE", 3, &tag, &with_sdp(OFFER)))), ["491 INVITE"]);
    bench.hear(&request("ACK", 2, &tag, &with_sdp(&format!("{OFFER}a=inactive\r\n"))));
    let news = bench.news();
    assert!(
        matches!(news.as_slice(), [(known, LegNews::Event(LegEvent::MediaChanged { .. }))] if *known == leg),
        "{news:?}"
    );
    bench.hear(&request("BYE", 4, &tag, ""));
    bench.nothing_is_left();
}

#[test]
fn an_address_or_codec_that_changes_is_told() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.call_out();
    let moved =
        OFFER.replace("c=IN IP4 198.51.100.1", "c=IN IP4 198.51.100.77").replace("RTP/AVP 8 0", "RTP/AVP 0");
    let sent = bench.hear(&inside(&invite, "UPDATE", 1, "theirs", &with_sdp(&moved)));
    assert_eq!(lines(&sent), ["200 UPDATE"]);
    let news = bench.news();
    let [(known, LegNews::Event(LegEvent::MediaChanged { remote, .. }))] = news.as_slice() else {
        panic!("{news:?}")
    };
    assert_eq!((*known, remote.rtp), (leg, "198.51.100.77:5000".parse().unwrap()));
    assert_eq!(remote.codecs.len(), 1);
    bench.hear(&inside(&invite, "BYE", 2, "theirs", ""));
    bench.nothing_is_left();
}

#[test]
fn a_late_offer_of_theirs_is_answered_in_our_ack() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.dial_with(|options| options.late_offer = true);
    assert!(invite.sdp().is_none());
    let sent = bench.hear(&answer(&invite, 200, "theirs", OFFER));
    assert_eq!(lines(&sent), ["ACK sip:far@198.51.100.1:5060"]);
    assert!(text(&sent[0]).contains("m=audio 6000"));
    assert!(matches!(bench.news().as_slice(), [(known, LegNews::Answered { .. })] if *known == leg));
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    bench.nothing_is_left();
}
