//! Who comes in: trunks, users, strangers, limits, registrations.

use std::time::Duration;

use super::{Bench, OFFER, config, invite, lines};
use crate::{
    config::{Credentials, Secret, SipConfig, SipLimits},
    digest::{Asked, authorize},
    message::Message,
    stack::Route,
    words::{SipCounts, Source, Target},
};

pub(super) const STRANGER: &str = "203.0.113.5:5060";

pub(super) fn credentials(user: &str, password: &str) -> Credentials {
    Credentials { user: user.into(), secret: Secret::Password(password.into()) }
}

/// The same request with an answer to the challenge, and the next number.
pub(super) fn authorized(text: &str, challenge: &Message, who: &Credentials) -> String {
    let method = text.split(' ').next().unwrap();
    let uri = text.split(' ').nth(1).unwrap();
    let asked = Asked { method, uri, cnonce: "cc" };
    let value = authorize(challenge.all("WWW-Authenticate"), who, &asked).unwrap();
    text.replace("CSeq: 1 ", "CSeq: 2 ")
        .replace("branch=z9hG4bK", "branch=z9hG4bKagain")
        .replace("Max-Forwards", &format!("Authorization: {value}\r\nMax-Forwards"))
}

pub(super) fn register(number: u32, contact: &str, expires: &str) -> String {
    format!(
        "REGISTER sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.7:5062;branch=z9hG4bKr{number}{expires};rport\r\n\
         From: <sip:ann@192.0.2.1>;tag=r\r\nTo: <sip:ann@192.0.2.1>\r\nCall-ID: r{number}\r\nCSeq: 1 REGISTER\r\n{contact}\
         Expires: {expires}\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
}

pub(super) const PHONE: &str = "Contact: <sip:ann@10.0.0.7:5062>\r\n";

fn registered(bench: &mut Bench, number: u32, contact: &str, expires: &str) -> Message {
    let text = register(number, contact, expires);
    let challenge = bench.hear(&text).pop().unwrap();
    assert_eq!(challenge.code(), Some(401));
    bench.hear(&authorized(&text, &challenge, &credentials("ann", "secret"))).pop().unwrap()
}

#[test]
fn a_stranger_is_challenged_and_a_wrong_answer_is_403_whoever_it_names() {
    let mut bench = Bench::new();
    bench.peer.remote = STRANGER.parse().unwrap();
    let text = invite("s", OFFER);
    let challenge = bench.hear(&text).pop().unwrap();
    assert_eq!(lines(std::slice::from_ref(&challenge)), ["401 INVITE"]);
    let mut answers = Vec::new();
    for who in [credentials("ann", "wrong"), credentials("nobody", "secret")] {
        let mut refused = bench.hear(&authorized(&text, &challenge, &who)).pop().unwrap();
        assert_eq!(refused.code(), Some(403));
        refused.set("Via", "");
        answers.push(refused.bytes());
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(bench.stack.counts().transactions, 0);
    let sent = bench.hear(&authorized(&text, &challenge, &credentials("ann", "secret")));
    assert_eq!(lines(&sent), ["100 INVITE"]);
    let call = bench.call();
    assert_eq!(call.source, Source::User("ann".into()));
    bench.stack.hang_up(bench.now, call.leg, crate::words::HangUp::default());
    bench.nothing_is_left();
}

#[test]
fn without_users_a_stranger_is_refused_flatly() {
    let mut bench = Bench::with(&SipConfig { users: Vec::new(), ..config() });
    bench.peer.remote = STRANGER.parse().unwrap();
    assert_eq!(lines(&bench.hear(&invite("s", OFFER))), ["403 INVITE"]);
    bench.nothing_is_left();
}

#[test]
fn nothing_that_we_send_tells_what_we_are() {
    let mut bench = Bench::new();
    bench.peer.remote = STRANGER.parse().unwrap();
    let options = invite("o", "").replace("INVITE", "OPTIONS");
    for text in [options, invite("s", OFFER), register(1, PHONE, "60")] {
        for answer in bench.hear(&text) {
            assert!(answer.first("Server").is_none() && answer.first("User-Agent").is_none());
            assert!(!String::from_utf8(answer.bytes()).unwrap().contains(env!("CARGO_PKG_VERSION")));
        }
    }
}

#[test]
fn too_many_calls_are_refused_with_a_time_to_wait_and_no_state() {
    let limits = SipLimits { calls_max: 1, ..SipLimits::default() };
    let mut bench = Bench::with(&SipConfig { limits, ..config() });
    bench.hear(&invite("a", OFFER));
    let first = bench.call().leg;
    let before = bench.stack.counts();
    let sent = bench.hear(&invite("b", OFFER).replace("Call-ID: c1", "Call-ID: c2"));
    assert_eq!((lines(&sent), sent[0].first("Retry-After")), (vec!["503 INVITE".to_owned()], Some("5")));
    assert_eq!(bench.stack.counts().refused.calls_over_limit, 1);
    assert_eq!(SipCounts { refused: before.refused, ..bench.stack.counts() }, before);
    bench.stack.hang_up(bench.now, first, crate::words::HangUp::default());
    bench.nothing_is_left();
}

#[test]
fn too_fast_a_source_is_refused_whatever_it_sends() {
    let limits = SipLimits { per_source_per_second: 2, ..SipLimits::default() };
    let mut bench = Bench::with(&SipConfig { limits, ..config() });
    bench.peer.remote = STRANGER.parse().unwrap();
    let codes: Vec<String> = (0..4)
        .flat_map(|n| lines(&bench.hear(&invite(&format!("o{n}"), "").replace("INVITE", "OPTIONS"))))
        .collect();
    assert_eq!(codes, ["200 OPTIONS", "200 OPTIONS", "503 OPTIONS", "503 OPTIONS"]);
    bench.nothing_is_left();
}

#[test]
fn a_phone_registers_and_is_dialled_where_it_was_seen() {
    let mut bench = Bench::new();
    bench.peer.remote = "203.0.113.5:40001".parse().unwrap();
    let done = registered(&mut bench, 1, PHONE, "120");
    assert_eq!(
        (done.code(), done.first("Contact")),
        (Some(200), Some("<sip:ann@10.0.0.7:5062>;expires=120"))
    );
    assert_eq!(bench.presence(), ["ann at sip:ann@10.0.0.7:5062"]);
    let Route::Here(contacts) = bench.stack.route(&Target::User("ann".into())) else { panic!("no route") };
    assert_eq!((contacts[0].hop, contacts[0].uri.as_str()), (bench.peer, "sip:ann@10.0.0.7:5062"));
    bench.pass(Duration::from_secs(119));
    assert_eq!(bench.presence(), Vec::<String>::new());
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.presence(), ["ann gone: Expired"]);
    assert!(matches!(bench.stack.route(&Target::User("ann".into())), Route::Nowhere(_)));
    bench.nothing_is_left();
}

#[test]
fn a_registration_is_taken_back_by_contact_or_by_star() {
    for (contact, expires) in
        [(PHONE, "0"), ("Contact: *\r\n", "0"), ("Contact: <sip:ann@10.0.0.7:5062>;expires=0\r\n", "60")]
    {
        let mut bench = Bench::new();
        registered(&mut bench, 1, PHONE, "120");
        let done = registered(&mut bench, 2, contact, expires);
        assert_eq!((done.code(), done.first("Contact")), (Some(200), None));
        assert_eq!(bench.presence(), ["ann at sip:ann@10.0.0.7:5062", "ann gone: Asked"]);
        bench.nothing_is_left();
    }
}

#[test]
fn lengths_of_registrations_have_bounds() {
    let mut bench = Bench::new();
    let brief = registered(&mut bench, 1, PHONE, "59");
    assert_eq!((brief.code(), brief.first("Min-Expires")), (Some(423), Some("60")));
    let long = registered(&mut bench, 2, PHONE, "999999");
    assert_eq!(long.first("Contact"), Some("<sip:ann@10.0.0.7:5062>;expires=3600"));
    let unsaid = registered(&mut bench, 3, PHONE, "soon");
    assert_eq!(unsaid.first("Contact"), Some("<sip:ann@10.0.0.7:5062>;expires=3600"));
    let wrong = registered(&mut bench, 4, "Contact: *\r\n", "60");
    assert_eq!(wrong.code(), Some(400));
}

#[test]
fn a_user_has_so_many_phones_and_the_one_that_ends_first_gives_way() {
    let limits = SipLimits { contacts_per_user_max: 2, ..SipLimits::default() };
    let mut bench = Bench::with(&SipConfig { limits, ..config() });
    for (number, expires) in [(1, "300"), (2, "100"), (3, "200")] {
        let contact = format!("Contact: <sip:ann@10.0.0.{number}>\r\n");
        registered(&mut bench, number, &contact, expires);
    }
    let Route::Here(contacts) = bench.stack.route(&Target::User("ann".into())) else { panic!("no route") };
    let uris: Vec<_> = contacts.iter().map(|contact| contact.uri.as_str()).collect();
    assert_eq!(uris, ["sip:ann@10.0.0.3", "sip:ann@10.0.0.1"]);
}

#[test]
fn nobody_registers_for_somebody_else_or_with_an_old_answer() {
    let mut bench = Bench::new();
    let text = register(1, PHONE, "120");
    let challenge = bench.hear(&text).pop().unwrap();
    let other = authorized(
        &text.replace("To: <sip:ann@", "To: <sip:bob@"),
        &challenge,
        &credentials("ann", "secret"),
    );
    assert_eq!(lines(&bench.hear(&other)), ["403 REGISTER"]);
    // The same answer in a new request: its count was used.
    let replayed = other.replace("sip:bob@", "sip:ann@").replace("z9hG4bKagain", "z9hG4bKnew");
    let again = bench.hear(&replayed).pop().unwrap();
    assert!(again.first("WWW-Authenticate").unwrap().contains("stale=true"));
    assert_eq!(bench.presence(), Vec::<String>::new());
}

#[test]
fn a_lost_answer_to_a_registration_is_given_again() {
    let mut bench = Bench::new();
    let text = register(1, PHONE, "120");
    let challenge = bench.hear(&text).pop().unwrap();
    let proven = authorized(&text, &challenge, &credentials("ann", "secret"));
    let first = bench.hear(&proven);
    assert_eq!(lines(&first), ["200 REGISTER"]);
    assert_eq!(bench.hear(&proven), first);
}

#[test]
fn a_phone_is_gone_with_its_connection() {
    let mut bench = Bench::new();
    bench.peer.transport = crate::message::Transport::Tcp;
    registered(&mut bench, 1, PHONE, "120");
    bench.stack.flow_lost(bench.now, bench.peer);
    assert_eq!(bench.presence(), ["ann at sip:ann@10.0.0.7:5062", "ann gone: ConnectionLost"]);
    bench.nothing_is_left();
}

#[test]
fn what_cannot_be_served_is_named() {
    let mut bench = Bench::new();
    let ask = |change: (&str, &str)| invite("x", OFFER).replacen(change.0, change.1, 1);
    for (change, line) in [
        (("Max-Forwards: 70", "Max-Forwards: 0"), "483 INVITE"),
        (("Max-Forwards", "Require: sec-agree\r\nMax-Forwards"), "420 INVITE"),
        (("Max-Forwards", "Accept: text/plain\r\nMax-Forwards"), "406 INVITE"),
        (("application/sdp", "application/pkcs7-mime"), "493 INVITE"),
        (("application/sdp", "application/sdp\r\nContent-Encoding: gzip"), "415 INVITE"),
        (("INVITE sip:help@192.0.2.1", "INVITE mailto:help@192.0.2.1"), "416 INVITE"),
        (("application/sdp", "text/plain"), "415 INVITE"),
        (("RTP/AVP 8 0", "RTP/AVP 3 3"), "488 INVITE"),
        (("<sip:far@198.51.100.1:5060>", "<mailto>"), "400 INVITE"),
        (("SIP/2.0\r\nVia", "SIP/3.0\r\nVia"), "505 INVITE"),
    ] {
        assert_eq!(lines(&bench.hear(&ask(change))), [line], "{change:?}");
    }
    bench.nothing_is_left();
}

#[test]
fn what_is_not_utf_8_comes_back_as_it_came_and_loses_no_call() {
    let mut bench = Bench::new();
    let text = invite("latin", OFFER);
    let (before, after) = text.split_once("From: ").unwrap();
    let rest = after.split_once('<').unwrap().1;
    let mut bytes = before.as_bytes().to_vec();
    bytes.extend(b"Timestamp: 54.7\r\nFrom: \"J\xfcrgen \xff\"  <");
    bytes.extend(rest.as_bytes());
    bench.stack.receive(bench.now, bench.peer, &bytes);
    let crate::stack::Output::Send { bytes: trying, .. } = bench.stack.poll_output().unwrap() else {
        panic!("no answer")
    };
    let holds = |wanted: &[u8]| trying.windows(wanted.len()).any(|window| window == wanted);
    assert!(trying.starts_with(b"SIP/2.0 100 Trying\r\n"));
    assert!(holds(b"From: \"J\xfcrgen \xff\"  <") && holds(b"Timestamp: 54.7\r\n"));
    let call = bench.call();
    assert_eq!(call.from.display.as_deref(), Some("Jürgen ÿ"));
    bench.stack.hang_up(bench.now, call.leg, crate::words::HangUp::default());
    bench.nothing_is_left();
}

#[test]
fn what_can_be_framed_is_answered_even_if_its_via_cannot_be_read() {
    let mut bench = Bench::new();
    let text = "OPTIONS sip:a@b SIP/7.0\r\nVia: SIP/7.0/UDP h;branch=z9hG4bKx\r\nCall-ID: 7\r\n\r\n";
    let sent = bench.hear(text);
    assert_eq!((sent[0].code(), sent[0].call_id()), (Some(505), "7"));
    assert_eq!(bench.hear(&text.replace("OPTIONS", "ACK")), []);
    assert_eq!(bench.hear(&text.replace("Via", "Vai")), []);
}

#[test]
fn the_same_call_by_another_way_is_a_loop() {
    let mut bench = Bench::new();
    bench.hear(&invite("a", OFFER));
    let leg = bench.call().leg;
    assert_eq!(lines(&bench.hear(&invite("b", OFFER))), ["482 INVITE"]);
    bench.stack.hang_up(bench.now, leg, crate::words::HangUp::default());
    bench.nothing_is_left();
}

#[test]
fn without_rport_the_answer_goes_to_the_port_of_the_via() {
    let mut bench = Bench::new();
    bench.peer.remote.set_port(49_999);
    bench.stack.receive(
        bench.now,
        bench.peer,
        invite("a", "").replace("INVITE", "OPTIONS").replace(";rport", "").as_bytes(),
    );
    let Some(crate::stack::Output::Send { hop, .. }) = bench.stack.poll_output() else { panic!("no answer") };
    assert_eq!(hop.remote, "198.51.100.1:5060".parse().unwrap());
}
