//! Provisional responses that are acknowledged (RFC 3262), and what is agreed before the answer (RFC 6337 §2.2).

use std::time::Duration;

use super::{Bench, OFFER, answer, config, inside, invite, lines, media, request, with_sdp};
use crate::{
    config::SipConfig,
    message::Message,
    policy::{DialogPolicy, ReliableProvisionals},
    stack::LegNews,
    words::{AnswerError, Ended, HangUp, LegEvent},
};

fn reliable_invite(sdp: &str) -> String {
    invite("a", sdp).replace("Max-Forwards", "Supported: 100rel\r\nMax-Forwards")
}

fn prack(number: u32, provisional: &Message, rest: &str) -> String {
    let rseq = provisional.first("RSeq").unwrap();
    let tag = provisional.to_tag().unwrap();
    let more = if rest.is_empty() { String::new() } else { format!("\r\n{rest}") };
    request("PRACK", number, &tag, &format!("RAck: {rseq} 1 INVITE{more}"))
}

fn with(reliable: ReliableProvisionals) -> Bench {
    Bench::with(&SipConfig { dialogs: DialogPolicy { reliable, ..DialogPolicy::default() }, ..config() })
}

/// Their reliable response to our INVITE.
fn reliably(invite: &Message, code: u16, tag: &str, rseq: u32, sdp: &str) -> String {
    answer(invite, code, tag, sdp)
        .replace("Contact:", &format!("Require: 100rel\r\nRSeq: {rseq}\r\nContact:"))
}

#[test]
fn early_sound_is_reliable_where_the_caller_can_and_the_answer_waits_for_its_prack() {
    let mut bench = Bench::new();
    bench.hear(&reliable_invite(OFFER));
    let leg = bench.call().leg;
    let (remote, _) = bench.stack.early(bench.now, leg, media(4_000)).unwrap();
    assert!(remote.is_some());
    let progress = bench.sent().pop().unwrap();
    assert_eq!((progress.code(), progress.first("Require")), (Some(183), Some("100rel")));
    assert!(progress.sdp().is_some());
    bench.stack.answer(bench.now, leg, media(4_000)).unwrap();
    assert_eq!(bench.sent(), []);
    let sent = bench.hear(&prack(2, &progress, ""));
    assert_eq!(lines(&sent), ["200 PRACK", "200 INVITE"]);
    assert!(sent[1].sdp().is_none(), "the 183 was the answer");
    let tag = sent[1].to_tag().unwrap();
    bench.hear(&request("ACK", 1, &tag, ""));
    bench.hear(&request("BYE", 3, &tag, ""));
    bench.nothing_is_left();
}

#[test]
fn early_sound_for_a_caller_without_prack_is_said_again_in_the_answer() {
    let mut bench = Bench::new();
    bench.hear(&invite("a", OFFER));
    let leg = bench.call().leg;
    bench.stack.early(bench.now, leg, media(4_000)).unwrap();
    let progress = bench.sent().pop().unwrap();
    assert_eq!((progress.code(), progress.first("Require")), (Some(183), None));
    bench.stack.answer(bench.now, leg, media(4_000)).unwrap();
    let done = bench.sent().pop().unwrap();
    assert_eq!((done.code(), &done.body), (Some(200), &progress.body));
    let tag = done.to_tag().unwrap();
    bench.hear(&request("ACK", 1, &tag, ""));
    bench.hear(&request("BYE", 3, &tag, ""));
    bench.nothing_is_left();
}

#[test]
fn a_reliable_response_doubles_its_interval_until_the_call_is_refused() {
    let mut bench = Bench::new();
    bench.hear(&reliable_invite(OFFER));
    let leg = bench.call().leg;
    bench.stack.early(bench.now, leg, media(4_000)).unwrap();
    bench.sent();
    let log = bench.pass(Duration::from_millis(32_000));
    let times: Vec<u64> = log.iter().filter(|(_, line)| line == "183 INVITE").map(|(at, _)| *at).collect();
    assert_eq!(times, [500, 1_500, 3_500, 7_500, 15_500, 31_500]);
    assert_eq!(log.last().unwrap(), &(32_000, "504 INVITE".to_owned()));
    assert_eq!(bench.news(), [(leg, LegNews::Event(LegEvent::Ended(Ended::Timeout)))]);
    bench.nothing_is_left();
}

#[test]
fn a_prack_that_matches_nothing_is_481_and_one_without_rack_400() {
    let mut bench = Bench::new();
    bench.hear(&reliable_invite(OFFER));
    let leg = bench.call().leg;
    bench.stack.early(bench.now, leg, media(4_000)).unwrap();
    let progress = bench.sent().pop().unwrap();
    let tag = progress.to_tag().unwrap();
    assert_eq!(lines(&bench.hear(&request("PRACK", 2, &tag, "RAck: 1 9 INVITE"))), ["481 PRACK"]);
    assert_eq!(lines(&bench.hear(&request("PRACK", 3, &tag, ""))), ["400 PRACK"]);
    assert_eq!(lines(&bench.hear(&prack(4, &progress, ""))), ["200 PRACK"]);
    assert_eq!(lines(&bench.hear(&prack(5, &progress, ""))), ["481 PRACK"]);
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    bench.nothing_is_left();
}

#[test]
fn a_late_offer_goes_out_early_and_prack_answers_it() {
    let mut bench = Bench::new();
    bench.hear(&reliable_invite(""));
    let leg = bench.call().leg;
    let (remote, _) = bench.stack.early(bench.now, leg, media(4_000)).unwrap();
    assert_eq!(remote, None);
    let progress = bench.sent().pop().unwrap();
    let tag = progress.to_tag().unwrap();
    // Their offer would cross ours.
    assert_eq!(lines(&bench.hear(&request("UPDATE", 2, &tag, &with_sdp(OFFER)))), ["491 UPDATE"]);
    assert_eq!(lines(&bench.hear(&prack(3, &progress, &with_sdp(OFFER)))), ["200 PRACK"]);
    assert!(matches!(bench.news().as_slice(), [(_, LegNews::Event(LegEvent::MediaChanged { .. }))]));
    let (remote, _) = bench.stack.answer(bench.now, leg, media(4_000)).unwrap();
    assert!(remote.is_some());
    let done = bench.sent().pop().unwrap();
    assert_eq!((done.code(), done.sdp()), (Some(200), None));
    bench.hear(&request("ACK", 1, &tag, ""));
    bench.hear(&request("BYE", 4, &tag, ""));
    bench.nothing_is_left();
}

#[test]
fn a_prack_without_the_answer_to_our_offer_ends_the_call() {
    let mut bench = Bench::new();
    bench.hear(&reliable_invite(""));
    let leg = bench.call().leg;
    bench.stack.early(bench.now, leg, media(4_000)).unwrap();
    let progress = bench.sent().pop().unwrap();
    assert_eq!(lines(&bench.hear(&prack(2, &progress, ""))), ["488 PRACK", "488 INVITE"]);
    assert_eq!(bench.news(), [(leg, LegNews::Withdrawn)]);
    bench.nothing_is_left();
}

#[test]
fn without_prack_a_late_offer_hears_nothing_early() {
    let mut bench = Bench::new();
    bench.hear(&invite("a", ""));
    let leg = bench.call().leg;
    assert_eq!(bench.stack.early(bench.now, leg, media(4_000)), Err(AnswerError::NoEarlyMedia));
    bench.stack.ring(bench.now, leg);
    assert_eq!(lines(&bench.sent()), ["180 INVITE"]);
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    bench.nothing_is_left();
}

#[test]
fn prack_and_update_may_carry_new_offers_before_the_answer() {
    let mut bench = Bench::new();
    bench.hear(&reliable_invite(OFFER));
    let leg = bench.call().leg;
    bench.stack.early(bench.now, leg, media(4_000)).unwrap();
    let progress = bench.sent().pop().unwrap();
    let tag = progress.to_tag().unwrap();
    let sent = bench.hear(&prack(2, &progress, &with_sdp(&OFFER.replace("5000", "5004"))));
    assert_eq!(lines(&sent), ["200 PRACK"]);
    assert!(sent[0].sdp().is_some());
    let sent = bench.hear(&request("UPDATE", 3, &tag, &with_sdp(&OFFER.replace("5000", "5006"))));
    assert_eq!(lines(&sent), ["200 UPDATE"]);
    assert_eq!(bench.news().len(), 2);
    // A second INVITE before the first is answered (RFC 3261 §14.2).
    let second = bench.hear(&request("INVITE", 4, &tag, &with_sdp(OFFER)));
    assert_eq!((lines(&second), second[0].first("Retry-After")), (vec!["500 INVITE".to_owned()], Some("1")));
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    bench.nothing_is_left();
}

#[test]
fn an_update_with_an_offer_before_ours_is_answered_is_500() {
    let mut bench = Bench::new();
    bench.hear(&reliable_invite(OFFER));
    let leg = bench.call().leg;
    bench.stack.ring(bench.now, leg);
    let tag = bench.sent().pop().unwrap().to_tag().unwrap();
    assert_eq!(lines(&bench.hear(&request("UPDATE", 2, &tag, &with_sdp(OFFER)))), ["500 UPDATE"]);
    assert_eq!(lines(&bench.hear(&request("UPDATE", 3, &tag, ""))), ["200 UPDATE"]);
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    bench.nothing_is_left();
}

#[test]
fn who_requires_prack_gets_every_ringing_reliably_one_after_the_other() {
    let mut bench = Bench::new();
    bench.hear(&invite("a", OFFER).replace("Max-Forwards", "Require: 100rel\r\nMax-Forwards"));
    let leg = bench.call().leg;
    bench.stack.ring(bench.now, leg);
    let first = bench.sent().pop().unwrap();
    bench.stack.ring(bench.now, leg);
    assert_eq!(bench.sent(), []);
    let sent = bench.hear(&prack(2, &first, ""));
    assert_eq!(lines(&sent), ["200 PRACK", "180 INVITE"]);
    let number = |message: &Message| -> u32 { message.first("RSeq").unwrap().parse().unwrap() };
    assert_eq!(number(&sent[1]), number(&first) + 1);
    // An answer may overtake a PRACK for a response without a description, which is good all the same.
    bench.stack.answer(bench.now, leg, media(4_000)).unwrap();
    assert_eq!(lines(&bench.sent()), ["200 INVITE"]);
    assert_eq!(lines(&bench.hear(&prack(3, &sent[1], ""))), ["200 PRACK"]);
    let tag = first.to_tag().unwrap();
    bench.hear(&request("ACK", 1, &tag, ""));
    bench.hear(&request("BYE", 4, &tag, ""));
    bench.nothing_is_left();
}

#[test]
fn the_policy_decides_who_is_refused() {
    let required = invite("a", OFFER).replace("Max-Forwards", "Require: 100rel\r\nMax-Forwards");
    let mut bench = with(ReliableProvisionals::Off);
    let refused = bench.hear(&required);
    assert_eq!(
        (lines(&refused), refused[0].first("Unsupported")),
        (vec!["420 INVITE".to_owned()], Some("100rel"))
    );
    let mut bench = with(ReliableProvisionals::Required);
    let refused = bench.hear(&invite("a", OFFER));
    assert_eq!(
        (lines(&refused), refused[0].first("Require")),
        (vec!["421 INVITE".to_owned()], Some("100rel"))
    );
    let (leg, ours) = bench.dial("sip:bot@198.51.100.1");
    assert_eq!(ours.first("Require"), Some("100rel"));
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    bench.nothing_is_left();
}

#[test]
fn their_reliable_responses_are_acknowledged_once_and_in_turn() {
    let mut bench = Bench::new();
    let (leg, ours) = bench.dial("sip:bot@198.51.100.1");
    assert!(ours.list("Supported").any(|tag| tag == "100rel"));
    let sent = bench.hear(&reliably(&ours, 183, "t", 7, OFFER));
    assert_eq!(lines(&sent), ["PRACK sip:far@198.51.100.1:5060"]);
    assert_eq!(sent[0].first("RAck"), Some("7 1 INVITE"));
    assert_eq!(sent[0].cseq().unwrap().0, 2);
    assert!(matches!(bench.news().as_slice(), [(_, LegNews::Early { fork: 0, .. })]));
    assert_eq!(bench.hear(&reliably(&ours, 183, "t", 7, OFFER)), []);
    assert_eq!(bench.hear(&reliably(&ours, 180, "t", 9, "")), []);
    assert_eq!(bench.news(), []);
    bench.hear(&answer(&sent[0], 200, "t", ""));
    let next = bench.hear(&reliably(&ours, 180, "t", 8, ""));
    assert_eq!(next[0].first("RAck"), Some("8 1 INVITE"));
    bench.hear(&answer(&next[0], 200, "t", ""));
    assert_eq!(bench.news(), [(leg, LegNews::Ringing)]);
    // What was agreed reliably needs no description in the answer, and the numbers of the dialog go on.
    bench.hear(&answer(&ours, 200, "t", ""));
    assert!(matches!(bench.news().as_slice(), [(_, LegNews::Answered { .. })]));
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    assert_eq!(bench.sent().pop().unwrap().cseq().unwrap().0, 4);
    bench.nothing_is_left();
}

#[test]
fn several_forks_are_told_apart_and_the_one_that_answers_has_the_call() {
    let mut bench = Bench::new();
    let (leg, ours) = bench.dial("sip:bot@198.51.100.1");
    bench.hear(&reliably(&ours, 183, "a", 1, OFFER));
    bench.hear(&reliably(&ours, 183, "b", 1, &OFFER.replace("5000", "5100")));
    let forks: Vec<(u32, u16)> = bench
        .news()
        .into_iter()
        .map(|(_, news)| {
            let LegNews::Early { remote, fork } = news else { panic!("{news:?}") };
            (fork, remote.rtp.port())
        })
        .collect();
    assert_eq!(forks, [(0, 5_000), (1, 5_100)]);
    // One of them moves its early media.
    let moved = inside(&ours, "UPDATE", 1, "b", &with_sdp(&OFFER.replace("5000", "5200")));
    assert_eq!(lines(&bench.hear(&moved)), ["200 UPDATE"]);
    assert!(matches!(bench.news().as_slice(), [(_, LegNews::Early { fork: 1, .. })]));
    assert_eq!(lines(&bench.hear(&inside(&ours, "BYE", 2, "b", ""))), ["481 BYE"]);
    bench.hear(&answer(&ours, 200, "b", ""));
    let news = bench.news();
    let [(_, LegNews::Answered { remote, .. })] = news.as_slice() else { panic!("{news:?}") };
    assert_eq!(remote.rtp.port(), 5_200);
    // The other one is not there any more.
    assert_eq!(lines(&bench.hear(&inside(&ours, "UPDATE", 1, "a", ""))), ["481 UPDATE"]);
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    bench.nothing_is_left();
}

#[test]
fn a_reliable_offer_of_theirs_is_answered_in_our_prack() {
    let mut bench = Bench::new();
    let (leg, ours) = bench.dial_with(|options| options.late_offer = true);
    let sent = bench.hear(&reliably(&ours, 183, "t", 3, OFFER));
    assert_eq!(lines(&sent), ["PRACK sip:far@198.51.100.1:5060"]);
    assert!(sent[0].sdp().is_some());
    bench.hear(&answer(&ours, 200, "t", ""));
    let news = bench.news();
    assert!(
        matches!(news.as_slice(), [(_, LegNews::Early { .. }), (_, LegNews::Answered { .. })]),
        "{news:?}"
    );
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    bench.nothing_is_left();
}

#[test]
fn a_description_that_only_a_183_had_is_enough() {
    let mut bench = Bench::new();
    let (leg, ours) = bench.dial("sip:bot@198.51.100.1");
    bench.hear(&answer(&ours, 183, "t", OFFER));
    bench.hear(&answer(&ours, 200, "t", ""));
    assert!(matches!(bench.news().last(), Some((_, LegNews::Answered { .. }))));
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    bench.nothing_is_left();
}
