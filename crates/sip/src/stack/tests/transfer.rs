//! REFER and Replaces both ways, and redirections (RFC 3515, RFC 3891, RFC 5589, RFC 3261 §8.1.3.4).

use std::time::Duration;

use super::{Bench, OFFER, answer, config, inside, invite, lines, request};
use crate::{
    config::SipConfig,
    message::Message,
    policy::DialogPolicy,
    stack::LegNews,
    words::{Ended, FailureKind, HangUp, LegEvent, Referral, SipFailure, SipLegId},
};

const OTHER: &str = "198.51.100.9";

fn bench() -> Bench {
    let dialogs = DialogPolicy {
        transfer_hosts: vec![OTHER.into()],
        transfer_queues: vec!["billing".into()],
        redirect_hosts: vec![OTHER.into()],
        redirects_max: 2,
        ..DialogPolicy::default()
    };
    let mut config = SipConfig { dialogs, ..config() };
    config.timers.alive_every = Duration::ZERO;
    Bench::with(&config)
}

/// A leg to an agent who may transfer.
fn agent(bench: &mut Bench) -> (SipLegId, Message) {
    let (leg, ours) = bench.dial_with(|options| options.transfer_allowed = true);
    bench.hear(&answer(&ours, 200, "theirs", OFFER));
    bench.news();
    bench.sent();
    // The bot's right to a handoff is not an agent's.
    bench.stack.allow_handoff(leg, false);
    (leg, ours)
}

fn refer(ours: &Message, number: u32, to: &str) -> String {
    inside(ours, "REFER", number, "theirs", &format!("Refer-To: <{to}>"))
}

fn told(message: &Message) -> String {
    String::from_utf8(message.body.clone()).unwrap().trim().to_owned()
}

fn events(bench: &mut Bench) -> Vec<String> {
    bench
        .news()
        .into_iter()
        .map(|(_, news)| {
            let LegNews::Event(event) = news else { return format!("{news:?}") };
            match event {
                LegEvent::MediaChanged { remote, .. } => {
                    format!("media {} {:?}", remote.rtp, remote.direction)
                }
                LegEvent::Transferred { to } => format!("transferred {to}"),
                LegEvent::ReferProgress { code, over } => format!("progress {code} {over}"),
                LegEvent::Ended(ended) => format!("ended {ended:?}"),
                LegEvent::HandoffRequested { .. } | LegEvent::Key(_) | LegEvent::OfferRefused { .. } => {
                    format!("{event:?}")
                }
            }
        })
        .collect()
}

#[test]
fn a_transfer_calls_the_target_tells_how_it_goes_and_gives_the_leg_its_new_side() {
    let mut bench = bench();
    let (leg, ours) = agent(&mut bench);
    let target = format!("sip:bob@{OTHER}");
    let sent = bench.hear(&refer(&ours, 1, &target));
    assert_eq!(lines(&sent)[0], "202 REFER");
    assert_eq!(told(&sent[1]), "SIP/2.0 100 Trying");
    assert_eq!(sent[1].first("Subscription-State"), Some("active;expires=60"));
    let new = &sent[2];
    assert_eq!(lines(std::slice::from_ref(new)), [format!("INVITE {target}")]);
    // One at a time.
    assert_eq!(lines(&bench.hear(&refer(&ours, 2, &target))), ["491 REFER"]);
    let ringing = bench.hear(&answer(new, 180, "bobs", ""));
    assert_eq!(told(&ringing[0]), "SIP/2.0 180 Ringing");
    let sent = bench.hear(&answer(new, 200, "bobs", &OFFER.replace("5000", "5300")));
    let seen: Vec<String> =
        lines(&sent).iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(seen, ["ACK", "NOTIFY", "BYE"]);
    assert_eq!(told(&sent[1]), "SIP/2.0 200 OK");
    assert_eq!(sent[2].to_tag().as_deref(), Some("theirs"));
    let expected = ["media 198.51.100.1:5300 SendRecv".to_owned(), format!("transferred {target}")];
    assert_eq!(events(&mut bench), expected);
    bench.hear(&answer(&sent[2], 200, "", ""));
    // The leg is with the new side now.
    assert_eq!(lines(&bench.hear(&inside(new, "BYE", 1, "bobs", ""))), ["200 BYE"]);
    assert_eq!(events(&mut bench), ["ended Remote { headers: [] }"]);
    assert!(!bench.stack.legs.contains_key(&leg));
    bench.nothing_is_left();
}

#[test]
fn a_transfer_to_a_queue_is_the_gateways_business_and_worked_at_once() {
    let mut bench = bench();
    let (leg, ours) = agent(&mut bench);
    let here = ours.sender().unwrap().parsed().unwrap().host;
    let sent = bench.hear(&refer(&ours, 1, &format!("sip:billing@{here}")));
    assert_eq!(lines(&sent)[0], "202 REFER");
    assert_eq!(told(&sent[1]), "SIP/2.0 200 OK");
    let expected = format!("HandoffRequested {{ refer_to: \"sip:billing@{here}\", headers: [] }}");
    assert_eq!(events(&mut bench), [expected]);
    // A queue of that name elsewhere is none of ours, and who may not transfer is told so.
    assert_eq!(lines(&bench.hear(&refer(&ours, 2, "sip:billing@203.0.113.77"))), ["403 REFER"]);
    bench.stack.allow_transfer(leg, false);
    assert_eq!(lines(&bench.hear(&refer(&ours, 3, &format!("sip:billing@{here}")))), ["603 REFER"]);
}

#[test]
fn a_transfer_that_fails_leaves_the_call_where_it_was() {
    let mut bench = bench();
    let (leg, ours) = agent(&mut bench);
    let new = bench.hear(&refer(&ours, 1, &format!("sip:bob@{OTHER}"))).pop().unwrap();
    let sent = bench.hear(&answer(&new, 486, "bobs", ""));
    assert_eq!(told(&sent[1]), "SIP/2.0 486 Busy Here");
    assert_eq!(sent[1].first("Subscription-State"), Some("terminated;reason=noresource"));
    assert_eq!(events(&mut bench), Vec::<String>::new());
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    bench.nothing_is_left();
}

#[test]
fn who_hangs_up_after_a_blind_transfer_leaves_the_leg_on_hold_until_it_is_done() {
    for answers in [true, false] {
        let mut bench = bench();
        let (leg, ours) = agent(&mut bench);
        let new = bench.hear(&refer(&ours, 1, &format!("sip:bob@{OTHER}"))).pop().unwrap();
        assert_eq!(lines(&bench.hear(&inside(&ours, "BYE", 2, "theirs", ""))), ["200 BYE"]);
        assert_eq!(events(&mut bench), ["media 198.51.100.1:5000 Inactive"]);
        if answers {
            assert_eq!(
                lines(&bench.hear(&answer(&new, 200, "bobs", OFFER))),
                ["ACK sip:far@198.51.100.1:5060"]
            );
            assert_eq!(events(&mut bench).len(), 2);
            bench.stack.hang_up(bench.now, leg, HangUp::default());
        } else {
            bench.hear(&answer(&new, 404, "bobs", ""));
            assert_eq!(events(&mut bench), ["ended Error(\"whom they gave the call to was not reached\")"]);
        }
        bench.nothing_is_left();
    }
}

#[test]
fn a_leg_that_is_hung_up_takes_its_transfer_with_it() {
    for left in [true, false] {
        let mut bench = bench();
        let (leg, ours) = agent(&mut bench);
        let new = bench.hear(&refer(&ours, 1, &format!("sip:bob@{OTHER}"))).pop().unwrap();
        bench.hear(&answer(&new, 180, "bobs", ""));
        if left {
            bench.hear(&inside(&ours, "BYE", 2, "theirs", ""));
        }
        bench.news();
        bench.stack.hang_up(bench.now, leg, HangUp::default());
        assert_eq!(bench.requests("CANCEL").len(), 1);
        assert_eq!(events(&mut bench), ["ended Local"]);
        bench.hear(&answer(&new, 487, "bobs", ""));
        bench.nothing_is_left();
    }
}

#[test]
fn transfers_go_only_to_where_they_may() {
    let mut bench = bench();
    let (leg, ours) = agent(&mut bench);
    for (number, target) in [
        (1, "sip:+881600000001@192.0.2.1".to_owned()),
        (2, "sip:x@203.0.113.5".to_owned()),
        (3, "tel:+881600000001".to_owned()),
        (4, format!("sip:bob@{OTHER};method=BYE")),
        (5, format!("sip:bob@{OTHER}?Replaces=broken")),
    ] {
        assert_eq!(lines(&bench.hear(&refer(&ours, number, &target))), ["403 REFER"], "{target}");
    }
    bench.stack.allow_transfer(leg, false);
    assert_eq!(lines(&bench.hear(&refer(&ours, 6, &format!("sip:bob@{OTHER}")))), ["603 REFER"]);
    assert_eq!(bench.news(), []);
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    bench.nothing_is_left();
}

#[test]
fn an_attended_transfer_carries_the_dialog_that_it_replaces() {
    let mut bench = bench();
    let (leg, ours) = agent(&mut bench);
    let target = format!("sip:bob@{OTHER}?Replaces=abc%40h%3Bto-tag%3D1%3Bfrom-tag%3D2");
    let new = bench.hear(&refer(&ours, 1, &target)).pop().unwrap();
    assert_eq!(new.first("Replaces"), Some("abc@h;to-tag=1;from-tag=2"));
    assert_eq!(new.uri(), format!("sip:bob@{OTHER}"));
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    bench.nothing_is_left();
}

/// An INVITE of theirs that names a dialog of ours.
fn replacing(call_id: &str, to: &str, from: &str, more: &str) -> String {
    invite("r", &OFFER.replace("5000", "5400")).replace("Call-ID: c1", "Call-ID: r1").replace(
        "Max-Forwards",
        &format!("Replaces: {call_id};to-tag={to};from-tag={from}{more}\r\nMax-Forwards"),
    )
}

fn our_tag(ours: &Message) -> String {
    ours.sender_tag()
}

#[test]
fn an_invite_with_replaces_takes_over_the_leg_and_the_old_side_gets_bye() {
    let mut bench = bench();
    let (leg, ours) = agent(&mut bench);
    let sent = bench.hear(&replacing(ours.call_id(), &our_tag(&ours), "theirs", ""));
    let seen: Vec<String> =
        lines(&sent).iter().map(|line| line.split(" sip").next().unwrap().to_owned()).collect();
    assert_eq!(seen, ["100 INVITE", "200 INVITE", "BYE"]);
    assert_eq!(sent[2].call_id(), ours.call_id());
    assert_eq!(
        events(&mut bench),
        ["media 198.51.100.1:5400 SendRecv", "transferred sip:+4930@198.51.100.1"]
    );
    let tag = sent[1].to_tag().unwrap();
    let from_new =
        |method: &str, number| request(method, number, &tag, "").replace("Call-ID: c1", "Call-ID: r1");
    bench.hear(&from_new("ACK", 1));
    bench.hear(&answer(&sent[2], 200, "", ""));
    assert_eq!(bench.pass(Duration::from_secs(40)), []);
    assert_eq!(lines(&bench.hear(&from_new("BYE", 2))), ["200 BYE"]);
    assert_eq!(events(&mut bench), ["ended Remote { headers: [] }"]);
    assert!(!bench.stack.legs.contains_key(&leg));
    bench.nothing_is_left();
}

#[test]
fn the_answer_of_a_takeover_is_sent_again_until_its_ack_comes() {
    let mut bench = bench();
    let (leg, ours) = agent(&mut bench);
    let sent = bench.hear(&replacing(ours.call_id(), &our_tag(&ours), "theirs", ""));
    bench.hear(&answer(&sent[2], 200, "", ""));
    bench.news();
    let log = bench.pass(Duration::from_secs(32));
    assert_eq!(log.first(), Some(&(500, "200 INVITE".to_owned())));
    assert_eq!(events(&mut bench), ["ended Timeout"]);
    assert!(bench.stack.legs.contains_key(&leg));
    bench.nothing_is_left();
}

#[test]
fn what_may_not_be_replaced_is_refused_by_its_code() {
    let mut bench = bench();
    let (leg, ours) = agent(&mut bench);
    let tag = our_tag(&ours);
    let ask = |bench: &mut Bench, text: String| lines(&bench.hear(&text));
    assert_eq!(ask(&mut bench, replacing("nobody", &tag, "theirs", "")), ["481 INVITE"]);
    assert_eq!(ask(&mut bench, replacing(ours.call_id(), &tag, "other", "")), ["481 INVITE"]);
    assert_eq!(ask(&mut bench, replacing(ours.call_id(), &tag, "theirs", ";early-only")), ["486 INVITE"]);
    let twice = replacing(ours.call_id(), &tag, "theirs", "\r\nReplaces: a;to-tag=b;from-tag=c");
    assert_eq!(ask(&mut bench, twice), ["400 INVITE"]);
    bench.stack.allow_transfer(leg, false);
    assert_eq!(ask(&mut bench, replacing(ours.call_id(), &tag, "theirs", "")), ["403 INVITE"]);
    bench.stack.allow_transfer(leg, true);
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    bench.sent();
    assert_eq!(ask(&mut bench, replacing(ours.call_id(), &tag, "theirs", "")), ["603 INVITE"]);
    bench.nothing_is_left();
}

#[test]
fn a_call_of_theirs_that_rings_is_not_replaced() {
    let mut bench = bench();
    bench.hear(&invite("a", OFFER));
    let leg = bench.call().leg;
    bench.stack.ring(bench.now, leg);
    let tag = bench.sent().pop().unwrap().to_tag().unwrap();
    assert_eq!(lines(&bench.hear(&replacing("c1", &tag, "theirs", ""))), ["481 INVITE"]);
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    bench.nothing_is_left();
}

#[test]
fn a_call_of_ours_that_rings_is_picked_up_elsewhere() {
    let mut bench = bench();
    let (leg, ours) = bench.dial_with(|options| options.transfer_allowed = true);
    bench.hear(&answer(&ours, 180, "theirs", ""));
    bench.news();
    let sent = bench.hear(&replacing(ours.call_id(), &our_tag(&ours), "theirs", ";early-only"));
    let seen: Vec<String> =
        lines(&sent).iter().map(|line| line.split(" sip").next().unwrap().to_owned()).collect();
    assert_eq!(seen, ["100 INVITE", "200 INVITE", "CANCEL"]);
    assert!(matches!(bench.news().as_slice(), [(known, LegNews::Answered { .. })] if *known == leg));
    bench.hear(&answer(&ours, 487, "theirs", ""));
    let tag = sent[1].to_tag().unwrap();
    bench.hear(&request("ACK", 1, &tag, "").replace("Call-ID: c1", "Call-ID: r1"));
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    bench.nothing_is_left();
}

#[test]
fn our_refer_is_followed_to_its_end() {
    let mut bench = bench();
    let (leg, tag) = bench.call_in();
    let referral = Referral { to: "sip:desk@203.0.113.9".into(), ..Referral::default() };
    bench.stack.send_refer(bench.now, leg, &referral);
    let ours = bench.sent().pop().unwrap();
    assert_eq!(ours.first("Refer-To"), Some("<sip:desk@203.0.113.9>"));
    bench.hear(&answer(&ours, 202, "", ""));
    let fragment = |number, code: &str, state: &str| {
        let headers = format!("Event: refer\r\nSubscription-State: {state}\r\nContent-Type: message/sipfrag");
        request("NOTIFY", number, &tag, &format!("{headers}\r\n\r\nSIP/2.0 {code} Words"))
    };
    assert_eq!(lines(&bench.hear(&fragment(2, "100", "active;expires=60"))), ["200 NOTIFY"]);
    assert_eq!(lines(&bench.hear(&fragment(3, "200", "terminated;reason=noresource"))), ["200 NOTIFY"]);
    assert_eq!(lines(&bench.hear(&fragment(4, "200", "terminated"))), ["481 NOTIFY"]);
    assert_eq!(events(&mut bench), ["progress 202 false", "progress 100 false", "progress 200 true"]);
    bench.hear(&request("BYE", 5, &tag, ""));
    bench.nothing_is_left();
}

#[test]
fn our_refer_names_the_dialog_that_is_to_be_replaced() {
    let mut bench = bench();
    let (other, ours) = agent(&mut bench);
    let (leg, tag) = bench.call_in();
    let referral =
        Referral { to: "sip:far@198.51.100.1".into(), instead_of: Some(other), ..Referral::default() };
    bench.stack.send_refer(bench.now, leg, &referral);
    let refer = bench.sent().pop().unwrap();
    let expected = format!(
        "<sip:far@198.51.100.1?Replaces={}%3Bto-tag%3Dtheirs%3Bfrom-tag%3D{}>",
        ours.call_id(),
        our_tag(&ours)
    );
    assert_eq!(refer.first("Refer-To"), Some(expected.as_str()));
    bench.hear(&answer(&refer, 603, "", ""));
    assert_eq!(events(&mut bench), ["progress 603 true"]);
    bench.hear(&request("BYE", 5, &tag, ""));
    bench.stack.hang_up(bench.now, other, HangUp::default());
    bench.nothing_is_left();
}

#[test]
fn our_refer_that_nobody_reports_on_ends_by_its_time_and_a_broken_one_at_once() {
    let mut bench = bench();
    let (leg, tag) = bench.call_in();
    for to in ["", "sip:a@b>,<sip:c@d", "sip:a@b?Subject=x"] {
        bench.stack.send_refer(bench.now, leg, &Referral { to: to.into(), ..Referral::default() });
        assert_eq!(events(&mut bench), ["progress 400 true"], "{to}");
    }
    bench.stack.send_refer(bench.now, leg, &Referral { to: "sip:a@b".into(), ..Referral::default() });
    let ours = bench.sent().pop().unwrap();
    bench.hear(&answer(&ours, 202, "", ""));
    bench.pass(Duration::from_secs(60));
    assert_eq!(events(&mut bench), ["progress 202 false", "progress 408 true"]);
    bench.hear(&request("BYE", 5, &tag, ""));
    bench.nothing_is_left();
}

#[test]
fn a_refer_outside_of_any_call_is_403() {
    let mut bench = bench();
    let outside = invite("a", "").replace("INVITE", "REFER");
    assert_eq!(lines(&bench.hear(&outside)), ["403 REFER"]);
    bench.nothing_is_left();
}

fn moved(ours: &Message, contacts: &str) -> String {
    answer(ours, 302, "t", "")
        .replace("Contact: <sip:far@198.51.100.1:5060>", &format!("Contact: {contacts}"))
}

fn failure(bench: &mut Bench) -> SipFailure {
    match bench.news().pop() {
        Some((_, LegNews::Failed(failure))) => failure,
        other => panic!("not failed: {other:?}"),
    }
}

#[test]
fn a_redirection_is_not_followed_unless_it_is_allowed() {
    for (mut bench, target) in [
        (Bench::new(), format!("<sip:x@{OTHER}>")),
        (bench(), "<sip:+449098790000@198.51.100.1>".to_owned()),
        (bench(), format!("<tel:+449098790000>, <sip:bot@{OTHER}.evil.example>")),
    ] {
        let (_, ours) = bench.dial("sip:bot@198.51.100.1");
        assert_eq!(lines(&bench.hear(&moved(&ours, &target))), ["ACK sip:bot@198.51.100.1"]);
        let failure = failure(&mut bench);
        assert_eq!((failure.kind, failure.code), (FailureKind::Unreachable, Some(302)));
        bench.nothing_is_left();
    }
}

#[test]
fn a_redirection_goes_on_as_the_same_call_and_not_for_ever() {
    let mut bench = bench();
    let (leg, ours) = bench.dial("sip:bot@198.51.100.1");
    let sent = bench.hear(&moved(&ours, &format!("<sip:b@{OTHER}>;q=0.1, <sip:a@{OTHER}>;q=0.9")));
    assert_eq!(
        lines(&sent),
        [
            "ACK sip:bot@198.51.100.1".to_owned(),
            format!("INVITE sip:a@{OTHER}"),
            format!("INVITE sip:b@{OTHER}")
        ]
    );
    assert_eq!(sent[1].call_id(), ours.call_id());
    assert_eq!(sent[1].cseq().unwrap().0, 2);
    // Back again is a loop, and two are enough.
    bench.hear(&moved(&sent[1], &format!("<sip:b@{OTHER}>")));
    bench.hear(&moved(&sent[2], &format!("<sip:c@{OTHER}>")));
    let failure = failure(&mut bench);
    assert_eq!((failure.kind, failure.code), (FailureKind::Unreachable, Some(302)));
    assert!(!bench.stack.legs.contains_key(&leg));
    bench.nothing_is_left();
}

#[test]
fn a_redirected_call_is_answered_like_any_other() {
    let mut bench = bench();
    let (leg, ours) = bench.dial("sip:bot@198.51.100.1");
    let new = bench.hear(&moved(&ours, &format!("<sip:a@{OTHER}>"))).pop().unwrap();
    assert_eq!(lines(&bench.hear(&answer(&new, 200, "t2", OFFER))), ["ACK sip:far@198.51.100.1:5060"]);
    assert!(matches!(bench.news().as_slice(), [(known, LegNews::Answered { .. })] if *known == leg));
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    let bye = bench.sent().pop().unwrap();
    assert_eq!(bye.cseq().unwrap().0, 3);
    bench.hear(&answer(&bye, 200, "", ""));
    assert_eq!(bench.news(), [(leg, LegNews::Event(LegEvent::Ended(Ended::Local)))]);
    bench.nothing_is_left();
}
