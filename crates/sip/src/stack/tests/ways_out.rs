//! Trunks as ways out: in which order targets are tried, when the next one has its turn, and what health says of them.

use std::time::Duration;

use super::{Bench, OFFER, answer, config, dial_request, first_line, lines};
use crate::{
    config::{Credentials, Secret, SipConfig},
    message::{Message, Transport},
    places::Place,
    stack::{LegNews, Wanted},
    trunks::{TrunkHealth, TrunkRoute, TrunkTarget},
    words::{FailureKind, HangUp, SipFailure, SipLegId, Target},
};

const FIRST: &str = "INVITE sip:+49301@198.51.100.1";
const SECOND: &str = "INVITE sip:+49301@198.51.100.2";
const THIRD: &str = "INVITE sip:+49301@198.51.100.3";

fn target(uri: &str, priority: u16) -> TrunkTarget {
    TrunkTarget { uri: uri.to_owned(), priority, weight: 1 }
}

fn carrier() -> TrunkRoute {
    TrunkRoute {
        name: "carrier".into(),
        targets: vec![
            target("sip:198.51.100.2", 20),
            target("sip:198.51.100.1", 10),
            target("sip:198.51.100.3", 30),
        ],
        ..TrunkRoute::default()
    }
}

fn with(route: TrunkRoute) -> Bench {
    Bench::with(&SipConfig { routes: vec![route], ..config() })
}

fn watched() -> TrunkRoute {
    let health = TrunkHealth { up_after: 2, down_after: 2, ..TrunkHealth::default() };
    TrunkRoute { health: Some(health), targets: vec![target("sip:198.51.100.1", 10)], ..carrier() }
}

impl Bench {
    fn begin(&mut self, to: Target) -> SipLegId {
        let leg = self.stack.next_leg();
        let request = crate::words::DialRequest { to, ..dial_request("") };
        self.stack.begin(self.now, leg, request);
        leg
    }

    fn by_carrier(&mut self) -> SipLegId {
        self.begin(Target::Trunk { name: "carrier".into(), user: "+49301".into() })
    }

    /// The one request that was sent, which is this.
    fn asked(&mut self, line: &str) -> Message {
        let sent = self.sent();
        let asked: Vec<_> = sent.into_iter().filter(|sent| !first_line(sent).starts_with("ACK")).collect();
        assert_eq!(lines(&asked), [line]);
        asked.into_iter().next().unwrap()
    }

    fn hears(&mut self, request: &Message, code: u16, more: &str) {
        let text = answer(request, code, "theirs", "");
        let text = text.replacen("\r\n", &format!("\r\n{more}"), 1);
        self.stack.receive(self.now, self.peer, text.as_bytes());
    }

    fn failed(&mut self, leg: SipLegId) -> SipFailure {
        match self.news().as_slice() {
            [(known, LegNews::Failed(failure))] if *known == leg => failure.clone(),
            other => panic!("not failed: {other:?}"),
        }
    }

    fn up(&mut self) -> Vec<bool> {
        self.take();
        self.trunks.iter().flat_map(|trunk| trunk.targets.iter().map(|target| target.up)).collect()
    }
}

#[test]
fn a_place_that_is_not_well_gives_way_and_the_caller_hears_nothing() {
    for code in [408, 502, 503, 504] {
        let mut bench = with(carrier());
        let leg = bench.by_carrier();
        let invite = bench.asked(FIRST);
        bench.hears(&invite, 100, "");
        bench.hears(&invite, code, "");
        let sent = bench.sent();
        assert_eq!(lines(&sent), ["ACK sip:+49301@198.51.100.1", SECOND], "{code}");
        assert_eq!(bench.news(), []);
        bench.hear(&answer(&sent[1], 200, "theirs", OFFER));
        assert!(matches!(bench.news().as_slice(), [(known, LegNews::Answered { .. })] if *known == leg));
        bench.stack.hang_up(bench.now, leg, HangUp::default());
        bench.nothing_is_left();
    }
}

#[test]
fn what_the_called_party_says_is_final() {
    for (code, kind) in
        [(486, FailureKind::Busy), (404, FailureKind::Unreachable), (603, FailureKind::Declined)]
    {
        let mut bench = with(carrier());
        let leg = bench.by_carrier();
        let invite = bench.asked(FIRST);
        bench.hears(&invite, code, "");
        assert_eq!(lines(&bench.sent()), ["ACK sip:+49301@198.51.100.1"]);
        assert_eq!(bench.failed(leg).kind, kind);
        bench.nothing_is_left();
    }
}

#[test]
fn silence_gives_way_and_a_late_answer_still_counts() {
    let mut bench = with(carrier());
    let leg = bench.by_carrier();
    let first = bench.asked(FIRST);
    let log = bench.pass(Duration::from_secs(3));
    assert_eq!(log.last(), Some(&(3_000, SECOND.to_owned())), "{log:?}");
    // The first place was slow, not dead: it has the call, and the second is cancelled when it is heard of.
    bench.hear(&answer(&first, 200, "theirs", OFFER));
    assert!(matches!(bench.news().as_slice(), [(known, LegNews::Answered { .. })] if *known == leg));
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    bench.nothing_is_left();
}

#[test]
fn a_silent_place_that_rings_late_is_cancelled() {
    let mut bench = with(carrier());
    bench.by_carrier();
    let first = bench.asked(FIRST);
    bench.pass(Duration::from_secs(3));
    assert_eq!(lines(&bench.hear(&answer(&first, 180, "theirs", ""))), ["CANCEL sip:+49301@198.51.100.1"]);
    bench.hear(&answer(&first, 487, "theirs", ""));
    assert_eq!(bench.news(), [], "the call goes on at the second place");
}

#[test]
fn when_every_place_has_failed_the_call_has_failed() {
    let mut bench = with(carrier());
    let leg = bench.by_carrier();
    for line in [FIRST, SECOND, THIRD] {
        let invite = bench.asked(line);
        bench.hears(&invite, 503, "");
    }
    let failure = bench.failed(leg);
    assert_eq!((failure.kind, failure.code), (FailureKind::ServerError, Some(503)));
    bench.nothing_is_left();
}

#[test]
fn the_time_for_ringing_covers_all_places() {
    let mut bench = with(carrier());
    let leg = bench.by_carrier();
    let log = bench.pass(Duration::from_secs(19));
    let places = log.iter().filter(|(_, line)| line.starts_with("INVITE")).map(|(_, line)| line.clone());
    let places: std::collections::BTreeSet<_> = places.collect();
    assert_eq!(places.len(), 3, "{places:?}");
    // Three seconds for the first two, six for the last.
    assert_eq!(bench.failed(leg).kind, FailureKind::Unreachable);
    bench.nothing_is_left();
}

#[test]
fn who_says_retry_after_is_left_alone_as_long() {
    let mut bench = with(carrier());
    let leg = bench.by_carrier();
    let invite = bench.asked(FIRST);
    bench.hears(&invite, 503, "Retry-After: 40 (overload)\r\n");
    let second = bench.asked(SECOND);
    bench.hears(&second, 486, "");
    bench.sent();
    assert_eq!(bench.failed(leg).kind, FailureKind::Busy);
    bench.pass(Duration::from_secs(39));
    bench.by_carrier();
    let invite = bench.asked(SECOND);
    bench.hears(&invite, 486, "");
    bench.sent();
    bench.news();
    bench.pass(Duration::from_secs(2));
    bench.by_carrier();
    bench.asked(FIRST);
}

#[test]
fn when_every_place_asked_for_a_rest_the_call_fails_at_once() {
    let mut bench = with(TrunkRoute { targets: vec![target("sip:198.51.100.1", 10)], ..carrier() });
    bench.by_carrier();
    let invite = bench.asked(FIRST);
    bench.hears(&invite, 503, "Retry-After: 40\r\n");
    bench.sent();
    bench.news();
    let leg = bench.by_carrier();
    assert_eq!(lines(&bench.sent()), Vec::<String>::new());
    assert_eq!(bench.failed(leg).kind, FailureKind::Unreachable);
    bench.nothing_is_left();
}

#[test]
fn a_silent_place_is_the_last_choice_for_a_while() {
    let mut bench = with(carrier());
    bench.by_carrier();
    bench.asked(FIRST);
    bench.pass(Duration::from_secs(3));
    bench.by_carrier();
    bench.asked(SECOND);
    bench.pass(Duration::from_secs(60));
    bench.news();
    bench.by_carrier();
    bench.asked(FIRST);
}

#[test]
fn a_uri_with_the_trunks_name_or_domain_goes_out_by_it() {
    let secret = Credentials { user: "u".into(), secret: Secret::Password("p".into()) };
    let route = TrunkRoute { domain: Some("example.com".into()), credentials: Some(secret), ..carrier() };
    for uri in ["sip:+49301@carrier", "sip:+49301@example.com"] {
        let mut bench = with(route.clone());
        bench.begin(Target::Uri(uri.into()));
        let invite = bench.asked("INVITE sip:+49301@example.com");
        assert!(invite.first("From").unwrap().starts_with("<sip:100@example.com>"), "{invite:?}");
        let challenge = "Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n";
        bench.hears(&invite, 407, challenge);
        let again = bench.sent().pop().unwrap();
        assert!(again.first("Proxy-Authorization").is_some_and(|value| value.contains("username=\"u\"")));
    }
    let mut bench = with(route);
    let leg = bench.begin(Target::Trunk { name: "nobody".into(), user: "1".into() });
    assert_eq!(bench.failed(leg).kind, FailureKind::Unreachable);
}

#[test]
fn a_name_is_looked_up_and_its_places_are_tried_in_turn() {
    let mut bench = Bench::new();
    let leg = bench.begin(Target::Uri("sip:bot@bots.example".into()));
    assert_eq!(lines(&bench.sent()), Vec::<String>::new());
    let (wanted, question) = bench.lookups.pop().unwrap();
    assert_eq!((wanted, question.host.as_str()), (Wanted::Leg(leg), "bots.example"));
    let place = |transport, address: &str| Place { transport, address: address.parse().unwrap() };
    let places = [place(Transport::Tcp, "198.51.100.1:5062"), place(Transport::Udp, "198.51.100.2:5060")];
    bench.stack.looked_up(bench.now, wanted, &places);
    let invite = bench.asked("INVITE sip:bot@bots.example");
    assert!(invite.first("Via").unwrap().starts_with("SIP/2.0/TCP"));
    let hop = bench.stack.hops(&places, "bots.example")[0];
    bench.stack.flow_lost(bench.now, hop);
    let invite = bench.asked("INVITE sip:bot@bots.example");
    assert!(invite.first("Via").unwrap().starts_with("SIP/2.0/UDP"));
    bench.hears(&invite, 503, "");
    bench.sent();
    assert_eq!(bench.failed(leg).kind, FailureKind::Unreachable);
    bench.nothing_is_left();
}

#[test]
fn a_call_whose_name_is_looked_up_can_fail_be_given_up_and_take_too_long() {
    let begin = || {
        let mut bench = Bench::new();
        let leg = bench.begin(Target::Uri("sip:bot@bots.example".into()));
        bench.sent();
        (bench, leg)
    };
    let (mut bench, leg) = begin();
    bench.stack.looked_up(bench.now, Wanted::Leg(leg), &[]);
    assert_eq!(bench.failed(leg).kind, FailureKind::Unreachable);
    bench.nothing_is_left();
    let (mut bench, leg) = begin();
    bench.stack.hang_up(bench.now, leg, HangUp::default());
    assert_eq!(bench.failed(leg).kind, FailureKind::Canceled);
    bench.stack.looked_up(bench.now, Wanted::Leg(leg), &[]);
    bench.nothing_is_left();
    let (mut bench, leg) = begin();
    bench.pass(Duration::from_secs(21));
    assert_eq!(bench.failed(leg).kind, FailureKind::NoAnswer);
    bench.nothing_is_left();
}

impl Bench {
    /// One round of questions, to which this is the answer.
    fn round(&mut self, code: Option<u16>) {
        let mut asked = None;
        while asked.is_none() {
            self.now = self.stack.next_alarm().unwrap();
            self.stack.wake(self.now);
            asked = self.sent().into_iter().find(|sent| first_line(sent) == "OPTIONS sip:198.51.100.1");
        }
        match code {
            Some(code) => self.hears(&asked.unwrap(), code, ""),
            None => drop(self.pass(Duration::from_secs(3))),
        }
    }
}

#[test]
fn a_target_is_down_after_two_bad_rounds_and_up_after_two_good_ones() {
    let mut bench = with(watched());
    bench.stack.start(bench.now);
    assert_eq!(bench.up(), [true]);
    for (code, up) in [
        (Some(200), true),
        (None, true),
        (Some(501), true),
        (Some(503), true),
        (None, false),
        (Some(200), false),
        (Some(408), false),
        (Some(200), false),
        (Some(404), true),
    ] {
        bench.round(code);
        assert_eq!(bench.up(), [up], "after {code:?}");
    }
}

#[test]
fn calls_take_what_is_up_before_what_is_down() {
    let mut route = watched();
    route.targets.push(target("sip:198.51.100.2", 20));
    let mut bench = with(route);
    bench.stack.start(bench.now);
    let deadline = bench.now + Duration::from_secs(100);
    // Only the second target answers.
    while bench.now < deadline {
        bench.now = bench.stack.next_alarm().unwrap();
        bench.stack.wake(bench.now);
        for sent in bench.sent() {
            if first_line(&sent) == "OPTIONS sip:198.51.100.2" {
                bench.hears(&sent, 200, "");
            }
        }
    }
    assert_eq!(bench.up(), [false, true]);
    bench.by_carrier();
    bench.asked(SECOND);
}
