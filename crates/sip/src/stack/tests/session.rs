//! Session timers in both roles (RFC 4028).

use std::time::Duration;

use super::{Bench, OFFER, answer, config, inside, invite, lines, media, request};
use crate::{
    config::SipConfig,
    message::Message,
    policy::DialogPolicy,
    stack::LegNews,
    words::{Ended, HangUp, LegEvent, SipLegId},
};

fn timed(expires: &str) -> String {
    let headers = format!("Supported: timer\r\nSession-Expires: {expires}\r\nMax-Forwards");
    invite("a", OFFER).replace("Max-Forwards", &headers)
}

/// A call of theirs that asks for this; gives the leg, our 200 and the tag.
fn call_in(bench: &mut Bench, text: &str) -> (SipLegId, Message, String) {
    bench.hear(text);
    let leg = bench.call().leg;
    bench.stack.answer(bench.now, leg, media(4_000)).unwrap();
    let done = bench.sent().pop().unwrap();
    let tag = done.to_tag().unwrap();
    bench.hear(&request("ACK", 1, &tag, ""));
    (leg, done, tag)
}

/// Their 2xx, with these headers.
fn answered(invite: &Message, headers: &str, sdp: &str) -> String {
    answer(invite, 200, "theirs", sdp).replace("Contact:", &format!("{headers}Contact:"))
}

fn quiet() -> SipConfig {
    let mut config = config();
    config.timers.alive_every = Duration::ZERO;
    config
}

#[test]
fn too_short_an_interval_is_422_with_ours_and_a_longer_one_is_taken() {
    let mut bench = Bench::with(&quiet());
    let refused = bench.hear(&timed("60;refresher=uac"));
    assert_eq!((lines(&refused), refused[0].first("Min-SE")), (vec!["422 INVITE".to_owned()], Some("90")));
    let (leg, done, _) = call_in(&mut bench, &timed("90;refresher=uac"));
    assert_eq!(done.first("Session-Expires"), Some("90;refresher=uac"));
    assert_eq!(done.first("Require"), Some("timer"));
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    bench.nothing_is_left();
}

#[test]
fn who_knows_no_session_timers_is_let_in_and_refreshed_by_us() {
    let mut bench = Bench::with(&quiet());
    let by_a_proxy = invite("a", OFFER).replace("Max-Forwards", "Session-Expires: 60\r\nMax-Forwards");
    let (leg, done, _) = call_in(&mut bench, &by_a_proxy);
    assert_eq!((done.first("Session-Expires"), done.first("Require")), (Some("60;refresher=uas"), None));
    let log = bench.pass(Duration::from_secs(30));
    assert_eq!(log.first(), Some(&(30_000, "INVITE sip:far@198.51.100.1:5060".to_owned())));
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    bench.nothing_is_left();
}

#[test]
fn a_session_that_they_do_not_refresh_ends_before_its_time() {
    let mut bench = Bench::with(&quiet());
    let (leg, _, tag) = call_in(&mut bench, &timed("120;refresher=uac"));
    assert_eq!(bench.pass(Duration::from_secs(80)), []);
    let update = "Supported: timer\r\nSession-Expires: 120;refresher=uac";
    let refreshed = bench.hear(&request("UPDATE", 2, &tag, update));
    assert_eq!(refreshed[0].first("Session-Expires"), Some("120;refresher=uac"));
    let log = bench.pass(Duration::from_secs(88));
    assert_eq!(log, [(88_000, "BYE sip:far@198.51.100.1:5060".to_owned())]);
    assert_eq!(bench.news(), [(leg, LegNews::Event(LegEvent::Ended(Ended::Timeout)))]);
    bench.nothing_is_left();
}

#[test]
fn we_refresh_at_half_the_interval_by_update_where_they_can() {
    let mut bench = Bench::with(&quiet());
    let (leg, invite) = bench.dial("sip:bot@198.51.100.1");
    assert_eq!((invite.first("Session-Expires"), invite.first("Min-SE")), (Some("1800"), Some("90")));
    let headers = "Allow: INVITE, UPDATE, BYE\r\nSupported: timer\r\nSession-Expires: 600;refresher=uac\r\n";
    bench.hear(&answered(&invite, headers, OFFER));
    assert_eq!(bench.pass(Duration::from_millis(299_999)), []);
    bench.step();
    let update = bench.sent().pop().unwrap();
    assert_eq!(lines(std::slice::from_ref(&update)), ["UPDATE sip:far@198.51.100.1:5060"]);
    assert_eq!((update.first("Session-Expires"), update.sdp()), (Some("600;refresher=uac"), None));
    bench.hear(&answered(&update, "Session-Expires: 600;refresher=uac\r\n", ""));
    assert_eq!(bench.pass(Duration::from_millis(299_999)), []);
    bench.step();
    assert_eq!(bench.requests("UPDATE").len(), 1);
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    bench.nothing_is_left();
}

#[test]
fn we_refresh_by_reinvite_where_they_know_no_update_and_nothing_changes() {
    let mut bench = Bench::with(&quiet());
    let (leg, invite) = bench.dial("sip:bot@198.51.100.1");
    bench.hear(&answered(&invite, "Allow: INVITE, BYE\r\nSession-Expires: 600;refresher=uac\r\n", OFFER));
    bench.news();
    bench.pass(Duration::from_millis(299_999));
    bench.step();
    let again = bench.sent().pop().unwrap();
    assert_eq!(again.body, invite.body);
    let headers = "Session-Expires: 600;refresher=uac\r\n";
    assert_eq!(lines(&bench.hear(&answered(&again, headers, OFFER))), ["ACK sip:far@198.51.100.1:5060"]);
    assert_eq!(bench.news(), []);
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    bench.nothing_is_left();
}

#[test]
fn an_update_that_is_not_known_there_becomes_a_reinvite() {
    let mut bench = Bench::with(&quiet());
    let (leg, invite) = bench.dial("sip:bot@198.51.100.1");
    bench.hear(&answered(&invite, "Allow: UPDATE\r\nSession-Expires: 600;refresher=uac\r\n", OFFER));
    bench.pass(Duration::from_secs(299));
    bench.pass(Duration::from_secs(1));
    bench.stack.want_refresh(leg);
    let update = bench.requests("UPDATE");
    assert!(update.is_empty(), "it was sent by its alarm");
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    bench.nothing_is_left();
    let mut bench = Bench::with(&quiet());
    let (leg, invite) = bench.dial("sip:bot@198.51.100.1");
    bench.hear(&answered(&invite, "Allow: UPDATE\r\nSession-Expires: 600;refresher=uac\r\n", OFFER));
    bench.stack.want_refresh(leg);
    let update = bench.requests("UPDATE").pop().unwrap();
    assert_eq!(lines(&bench.hear(&answer(&update, 501, "theirs", ""))), ["INVITE sip:far@198.51.100.1:5060"]);
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    bench.nothing_is_left();
}

#[test]
fn a_refresh_that_is_refused_for_now_is_tried_again_and_the_end_comes_in_time() {
    let mut bench = Bench::with(&quiet());
    let (leg, invite) = bench.dial("sip:bot@198.51.100.1");
    bench.hear(&answered(&invite, "Allow: UPDATE\r\nSession-Expires: 600;refresher=uac\r\n", OFFER));
    bench.news();
    let start = bench.now;
    let mut tries = 0;
    while bench.news().is_empty() {
        for update in bench.requests("UPDATE") {
            tries += 1;
            bench.hear(&answer(&update, 500, "theirs", ""));
        }
        bench.step();
    }
    assert_eq!((tries, bench.now - start), (3, Duration::from_secs(600)));
    assert!(bench.stack.legs.contains_key(&leg));
    bench.nothing_is_left();
}

#[test]
fn their_422_is_answered_with_a_longer_interval_twice_at_most() {
    let mut bench = Bench::with(&quiet());
    let (_, mut invite) = bench.dial("sip:bot@198.51.100.1");
    for (floor, number) in [(2_000, 2), (4_000, 3)] {
        let refusal =
            answer(&invite, 422, "t", "").replace("Contact:", &format!("Min-SE: {floor}\r\nContact:"));
        let sent = bench.hear(&refusal);
        assert_eq!(sent.len(), 2);
        invite = sent[1].clone();
        assert_eq!(invite.cseq().unwrap().0, number);
        let both = (invite.first("Session-Expires").unwrap(), invite.first("Min-SE").unwrap());
        assert_eq!(both, (floor.to_string().as_str(), floor.to_string().as_str()));
    }
    let refusal = answer(&invite, 422, "t", "").replace("Contact:", "Min-SE: 8000\r\nContact:");
    assert_eq!(bench.hear(&refusal).len(), 1);
    assert!(matches!(bench.news().as_slice(), [(_, LegNews::Failed(_))]));
    bench.nothing_is_left();
}

#[test]
fn a_2xx_without_an_interval_turns_the_timer_off() {
    let mut bench = Bench::with(&quiet());
    let (leg, invite) = bench.dial("sip:bot@198.51.100.1");
    bench.hear(&answered(&invite, "Session-Expires: 600;refresher=uas\r\n", OFFER));
    let refresh = inside(&invite, "UPDATE", 1, "theirs", "");
    assert_eq!(bench.hear(&refresh)[0].first("Session-Expires"), None);
    assert_eq!(bench.pass(Duration::from_secs(4_000)), []);
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    bench.nothing_is_left();
}

#[test]
fn turned_off_they_are_neither_proposed_nor_taken() {
    let dialogs = DialogPolicy { session_expires: Duration::ZERO, ..DialogPolicy::default() };
    let mut bench = Bench::with(&SipConfig { dialogs, ..quiet() });
    let (leg, done, _) = call_in(&mut bench, &timed("60;refresher=uac"));
    assert_eq!(done.first("Session-Expires"), None);
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    let (leg, invite) = bench.dial("sip:bot@198.51.100.1");
    assert_eq!((invite.first("Session-Expires"), invite.first("Min-SE")), (None, None));
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    bench.nothing_is_left();
}
