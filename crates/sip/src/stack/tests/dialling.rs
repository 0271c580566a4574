//! Calls out: answers, failures, races, forks, challenges.

use std::time::Duration;

use super::{Bench, OFFER, answer, dial_request, first_line, lines, request};
use crate::{
    config::{Credentials, Secret, SipConfig, SipLimits},
    message::Message,
    stack::{Hop, LegNews, Route},
    words::{Ended, FailureKind, HangUp, LegEvent, SipFailure, Target},
};

const BOT: &str = "sip:bot@198.51.100.1";

fn failure(bench: &mut Bench) -> SipFailure {
    match bench.news().pop() {
        Some((_, LegNews::Failed(failure))) => failure,
        other => panic!("not failed: {other:?}"),
    }
}

/// An ACK to a 2xx has its own branch, and the one to a refusal that of its INVITE.
fn branch(message: &Message) -> String {
    message.top_via().unwrap().branch().unwrap().to_owned()
}

#[test]
fn an_invite_is_sent_again_until_something_comes() {
    let mut bench = Bench::new();
    let (_, invite) = bench.dial(BOT);
    assert_eq!(first_line(&invite), "INVITE sip:bot@198.51.100.1");
    assert_eq!(invite.headers()[0].0, "Via");
    let times: Vec<u64> = bench.pass(Duration::from_secs(5)).iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [500, 1_500, 3_500]);
    bench.hear(&answer(&invite, 100, "", ""));
    assert_eq!(bench.pass(Duration::from_secs(10)), []);
    assert_eq!(bench.news(), []);
    bench.nothing_is_left();
}

#[test]
fn an_answer_is_acknowledged_each_time_it_comes() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.dial(BOT);
    bench.hear(&answer(&invite, 180, "t", ""));
    bench.hear(&answer(&invite, 180, "t", ""));
    assert_eq!(bench.news(), [(leg, LegNews::Ringing)]);
    let first = bench.hear(&answer(&invite, 200, "t", OFFER));
    assert_eq!(lines(&first), ["ACK sip:far@198.51.100.1:5060"]);
    assert_ne!(branch(&first[0]), branch(&invite));
    assert_eq!(bench.hear(&answer(&invite, 200, "t", OFFER)), first);
    let news = bench.news();
    let [(_, LegNews::Answered { remote, .. })] = news.as_slice() else { panic!("{news:?}") };
    assert_eq!(remote.rtp, "198.51.100.1:5000".parse().unwrap());
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    let bye = bench.sent().pop().unwrap();
    assert_eq!((first_line(&bye).as_str(), bye.cseq().unwrap().0), ("BYE sip:far@198.51.100.1:5060", 2));
    bench.hear(&answer(&bye, 200, "t", ""));
    assert_eq!(bench.stack.counts().dialogs, 0);
    bench.nothing_is_left();
}

#[test]
fn their_bye_ends_a_call_that_we_made() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.call_out();
    let ours = invite.sender_tag();
    let bye = request("BYE", 7, &ours, "X-Handoff-Reason: billing")
        .replace("Call-ID: c1", &format!("Call-ID: {}", invite.call_id()));
    assert_eq!(lines(&bench.hear(&bye)), ["200 BYE"]);
    let headers = vec![("X-Handoff-Reason".to_owned(), "billing".to_owned())];
    assert_eq!(bench.news(), [(leg, LegNews::Event(LegEvent::Ended(Ended::Remote { headers })))]);
    bench.nothing_is_left();
}

#[test]
fn a_refusal_is_told_by_its_kind_and_acknowledged() {
    for (code, kind) in [
        (486, FailureKind::Busy),
        (600, FailureKind::Busy),
        (603, FailureKind::Declined),
        (403, FailureKind::Declined),
        (480, FailureKind::NoAnswer),
        (408, FailureKind::NoAnswer),
        (404, FailureKind::Unreachable),
        (302, FailureKind::Unreachable),
        (488, FailureKind::NoCommonCodec),
        (503, FailureKind::ServerError),
        (487, FailureKind::Canceled),
        (407, FailureKind::Declined),
    ] {
        let mut bench = Bench::new();
        let (_, invite) = bench.dial(BOT);
        let sent = bench.hear(&answer(&invite, code, "t", ""));
        assert_eq!(lines(&sent), ["ACK sip:bot@198.51.100.1"], "{code}");
        assert_eq!(branch(&sent[0]), branch(&invite));
        let told = failure(&mut bench);
        assert_eq!((told.kind, told.code), (kind, Some(code)));
        assert_eq!(lines(&bench.hear(&answer(&invite, code, "t", ""))), ["ACK sip:bot@198.51.100.1"]);
        bench.nothing_is_left();
    }
}

#[test]
fn ringing_ends_when_its_time_is_over() {
    let mut bench = Bench::new();
    let (_, invite) = bench.dial(BOT);
    bench.hear(&answer(&invite, 180, "t", ""));
    let log = bench.pass(Duration::from_secs(20));
    assert_eq!(log, [(20_000, "CANCEL sip:bot@198.51.100.1".to_owned())]);
    assert_eq!(failure(&mut bench).kind, FailureKind::NoAnswer);
    bench.hear(&answer(&invite, 487, "t", ""));
    bench.nothing_is_left();
}

#[test]
fn silence_is_noticed_before_the_ringing_time_is_over() {
    let mut bench = Bench::new();
    let (_, invite) = bench.dial(BOT);
    bench.pass(Duration::from_millis(6_001));
    assert_eq!(failure(&mut bench).kind, FailureKind::Unreachable);
    // Now it wakes up: it is cancelled at once (RFC 3261 §9.1 forbids it before).
    assert_eq!(lines(&bench.hear(&answer(&invite, 180, "t", ""))), ["CANCEL sip:bot@198.51.100.1"]);
    bench.nothing_is_left();
}

#[test]
fn an_answer_that_crosses_our_cancel_is_ended_with_bye() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.dial(BOT);
    bench.hear(&answer(&invite, 180, "t", ""));
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    let cancel = bench.sent().pop().unwrap();
    assert_eq!(
        (first_line(&cancel).as_str(), branch(&cancel)),
        ("CANCEL sip:bot@198.51.100.1", branch(&invite))
    );
    bench.news();
    let sent = bench.hear(&answer(&invite, 200, "t", OFFER));
    assert_eq!(lines(&sent), ["ACK sip:far@198.51.100.1:5060", "BYE sip:far@198.51.100.1:5060"]);
    assert_eq!(bench.news(), []);
    bench.hear(&answer(&cancel, 200, "t", ""));
    bench.hear(&answer(&sent[1], 200, "t", ""));
    bench.nothing_is_left();
}

#[test]
fn of_forked_answers_one_is_kept_and_the_others_end() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.dial(BOT);
    bench.hear(&answer(&invite, 200, "one", OFFER));
    assert!(matches!(bench.news().as_slice(), [(known, LegNews::Answered { .. })] if *known == leg));
    let sent = bench.hear(&answer(&invite, 200, "two", OFFER));
    assert_eq!(lines(&sent), ["ACK sip:far@198.51.100.1:5060", "BYE sip:far@198.51.100.1:5060"]);
    assert_eq!(sent[1].to_tag().as_deref(), Some("two"));
    assert_eq!(bench.news(), []);
    assert_eq!(lines(&bench.hear(&answer(&invite, 200, "two", OFFER))), ["ACK sip:far@198.51.100.1:5060"]);
    bench.hear(&answer(&sent[1], 200, "two", ""));
    assert_eq!(bench.stack.counts().dialogs, 1);
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    bench.nothing_is_left();
}

#[test]
fn an_answer_without_our_codec_is_no_answer() {
    for sdp in ["", &OFFER.replace("RTP/AVP 8 0", "RTP/AVP 18")] {
        let mut bench = Bench::new();
        let (_, invite) = bench.dial(BOT);
        let sent = bench.hear(&answer(&invite, 200, "t", sdp));
        assert_eq!(lines(&sent), ["ACK sip:far@198.51.100.1:5060", "BYE sip:far@198.51.100.1:5060"]);
        assert_eq!(failure(&mut bench).kind, FailureKind::NoCommonCodec);
        bench.nothing_is_left();
    }
}

#[test]
fn early_media_is_told_once_for_each_change() {
    let mut bench = Bench::new();
    let (_, invite) = bench.dial(BOT);
    for _ in 0..2 {
        bench.hear(&answer(&invite, 183, "t", OFFER));
    }
    assert!(matches!(bench.news().as_slice(), [(_, LegNews::Early { fork: 0, .. })]));
    bench.hear(&answer(&invite, 486, "t", ""));
    bench.nothing_is_left();
}

#[test]
fn a_challenge_is_answered_once() {
    let mut bench = Bench::new();
    let leg = bench.stack.next_leg();
    let credentials = Credentials { user: "us".into(), secret: Secret::Password("p".into()) };
    let request = crate::words::DialRequest { credentials: Some(credentials), ..dial_request(BOT) };
    let Route::Here(contacts) = bench.stack.route(&request.to) else { panic!("no route") };
    bench.stack.dial(bench.now, leg, request, contacts);
    let invite = bench.sent().pop().unwrap();
    let challenge = |invite: &Message| {
        answer(invite, 407, "t", "").replace(
            "Contact",
            "Proxy-Authenticate: Digest realm=\"far\", nonce=\"n\", qop=\"auth\"\r\nContact",
        )
    };
    let sent = bench.hear(&challenge(&invite));
    assert_eq!(lines(&sent), ["ACK sip:bot@198.51.100.1", "INVITE sip:bot@198.51.100.1"]);
    let second = &sent[1];
    assert!(second.first("Proxy-Authorization").unwrap().contains("username=\"us\""));
    assert_eq!((second.cseq().unwrap().0, second.call_id()), (2, invite.call_id()));
    assert_ne!(branch(second), branch(&invite));
    assert_eq!(lines(&bench.hear(&challenge(second))), ["ACK sip:bot@198.51.100.1"]);
    assert_eq!(failure(&mut bench).kind, FailureKind::Declined);
    bench.nothing_is_left();
}

#[test]
fn a_challenged_call_can_be_answered_and_ends_clean() {
    let mut bench = Bench::new();
    let leg = bench.stack.next_leg();
    let credentials = Credentials { user: "us".into(), secret: Secret::Password("p".into()) };
    let request = crate::words::DialRequest { credentials: Some(credentials), ..dial_request(BOT) };
    let Route::Here(contacts) = bench.stack.route(&request.to) else { panic!("no route") };
    bench.stack.dial(bench.now, leg, request, contacts);
    let invite = bench.sent().pop().unwrap();
    let challenge = answer(&invite, 401, "t", "").replace(
        "Contact",
        "WWW-Authenticate: Digest realm=\"far\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\"\r\nContact",
    );
    let second = bench.hear(&challenge).pop().unwrap();
    bench.pass(Duration::from_secs(3));
    bench.hear(&answer(&second, 200, "t", OFFER));
    assert!(matches!(bench.news().as_slice(), [(_, LegNews::Answered { .. })]));
    // The first transaction ends in the meantime and must not take the call with it.
    bench.pass(Duration::from_secs(100));
    assert_eq!(bench.stack.counts().dialogs, 1);
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    bench.nothing_is_left();
}

#[test]
fn the_far_side_cannot_write_our_headers() {
    let mut bench = Bench::new();
    let leg = bench.stack.next_leg();
    let headers = vec![
        ("X-Call".to_owned(), "17\r\nVia: evil".to_owned()),
        ("Via".to_owned(), "evil".to_owned()),
        ("Bad Name".to_owned(), "evil".to_owned()),
    ];
    let request = crate::words::DialRequest { headers, ..dial_request(BOT) };
    let Route::Here(contacts) = bench.stack.route(&request.to) else { panic!("no route") };
    bench.stack.dial(bench.now, leg, request, contacts);
    let invite = bench.sent().pop().unwrap();
    assert_eq!(invite.list("Via").count(), 1);
    assert_eq!(invite.first("X-Call"), Some("17  Via: evil"));
    assert_eq!(invite.first("Bad Name"), None);
    bench.nothing_is_left();
}

#[test]
fn where_nobody_can_be_is_said_at_once() {
    let mut bench = Bench::new();
    for nowhere in ["tel:123", "http://x", "", "sip:"] {
        assert!(matches!(bench.stack.route(&Target::Uri(nowhere.into())), Route::Nowhere(_)), "{nowhere}");
    }
    assert!(matches!(bench.stack.route(&Target::User("ann".into())), Route::Nowhere(_)));
    let name = bench.stack.route(&Target::Uri("sip:bot@bots.example:5070".into()));
    assert!(matches!(name, Route::InTurn(turns) if turns.len() == 1), "a name is looked up first");
}

#[test]
fn our_own_limit_on_dialogs_is_told_as_ours() {
    let limits = SipLimits { dialogs_max: 0, ..SipLimits::default() };
    let mut bench = Bench::with(&SipConfig { limits, ..super::config() });
    let leg = bench.stack.next_leg();
    let request = dial_request(BOT);
    let Route::Here(contacts) = bench.stack.route(&request.to) else { panic!("no route") };
    bench.stack.dial(bench.now, leg, request, contacts);
    assert_eq!(failure(&mut bench).kind, FailureKind::ServerError);
    bench.nothing_is_left();
}

#[test]
fn a_broken_way_fails_the_call_at_once() {
    let mut bench = Bench::new();
    let (_, invite) = bench.dial("sip:bot@198.51.100.1;transport=tcp");
    assert!(invite.first("Via").unwrap().starts_with("SIP/2.0/TCP"));
    let hop = Hop {
        transport: crate::message::Transport::Tcp,
        socket: 0,
        remote: "198.51.100.1:5060".parse().unwrap(),
    };
    bench.stack.flow_lost(bench.now, hop);
    assert_eq!(failure(&mut bench).kind, FailureKind::Unreachable);
    bench.nothing_is_left();
}
