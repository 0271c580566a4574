//! Our registrations at trunks: what is sent when, and what becomes of every answer.

use std::time::Duration;

use super::{Bench, answer, config, first_line, lines};
use crate::{
    config::{Credentials, Secret, SipConfig},
    message::{Message, Transport},
    places::Place,
    stack::Wanted,
    trunks::{Registration, RegistrationStatus, TrunkRoute},
};

const ASK: &str = "Digest realm=\"r\", nonce=\"n1\", qop=\"auth\"";
const REGISTER: &str = "REGISTER sip:198.51.100.1";

fn registering(registrar: &str) -> Bench {
    let registration = Registration {
        registrar: registrar.into(),
        user: "line7".into(),
        contact_user: "segue".into(),
        expires: Duration::from_secs(600),
    };
    let credentials = Credentials { user: "line7".into(), secret: Secret::Password("secret".into()) };
    let route = TrunkRoute {
        name: "carrier".into(),
        credentials: Some(credentials),
        registration: Some(registration),
        ..TrunkRoute::default()
    };
    let mut bench = Bench::with(&SipConfig { routes: vec![route], ..config() });
    bench.stack.start(bench.now);
    bench.stack.wake(bench.now);
    bench
}

impl Bench {
    fn register(&mut self) -> Message {
        let sent = self.sent();
        assert_eq!(lines(&sent), [REGISTER]);
        sent.into_iter().next().unwrap()
    }

    fn says(&mut self, request: &Message, code: u16, more: &str) {
        let text =
            answer(request, code, "r", "").replacen("Contact: <sip:far@198.51.100.1:5060>\r\n", more, 1);
        self.stack.receive(self.now, self.peer, text.as_bytes());
    }

    fn status(&mut self) -> RegistrationStatus {
        self.take();
        self.trunks[0].registration.clone().unwrap()
    }

    /// Moves on to the next REGISTER; gives it and how long that took.
    fn until_register(&mut self) -> (Duration, Message) {
        let start = self.now;
        loop {
            self.now = self.stack.next_alarm().unwrap();
            self.stack.wake(self.now);
            if let Some(request) = self.sent().into_iter().find(|sent| first_line(sent) == REGISTER) {
                return (self.now - start, request);
            }
        }
    }

    fn registered(&mut self) -> Message {
        let first = self.register();
        self.says(&first, 401, &format!("WWW-Authenticate: {ASK}\r\n"));
        let second = self.register();
        self.says(&second, 200, "Contact: <sip:segue@192.0.2.1:5060>;expires=120\r\n");
        assert_eq!(self.status(), RegistrationStatus::Registered);
        second
    }
}

fn about(seconds: Duration, least: u64, most: u64) {
    assert!((least..=most).contains(&seconds.as_secs()), "{seconds:?}");
}

#[test]
fn a_registration_answers_its_challenge_and_is_renewed_in_time() {
    let mut bench = registering("sip:198.51.100.1");
    assert_eq!(bench.status(), RegistrationStatus::Trying);
    let second = bench.registered();
    assert_eq!(second.first("To"), Some("<sip:line7@198.51.100.1>"));
    assert_eq!(second.first("Contact"), Some("<sip:segue@192.0.2.1:5060>"));
    assert_eq!((second.first("Expires"), second.first("CSeq")), (Some("600"), Some("2 REGISTER")));
    assert!(second.first("Authorization").unwrap().contains("username=\"line7\""));
    // The registrar gave 120 seconds.
    let (after, renewal) = bench.until_register();
    about(after, 84, 102);
    assert_eq!(renewal.first("CSeq"), Some("3 REGISTER"));
    assert_eq!(renewal.call_id(), second.call_id());
}

#[test]
fn a_nonce_that_is_old_is_answered_once_more_and_wrong_credentials_are_not() {
    let mut bench = registering("sip:198.51.100.1");
    let first = bench.register();
    bench.says(&first, 401, &format!("WWW-Authenticate: {ASK}\r\n"));
    let second = bench.register();
    bench.says(
        &second,
        401,
        "WWW-Authenticate: Digest realm=\"r\", nonce=\"n2\", stale=TRUE, qop=\"auth\"\r\n",
    );
    let third = bench.register();
    assert!(third.first("Authorization").unwrap().contains("nonce=\"n2\""));
    bench.says(&third, 401, &format!("WWW-Authenticate: {ASK}\r\n"));
    assert_eq!(lines(&bench.sent()), Vec::<String>::new());
    assert!(matches!(bench.status(), RegistrationStatus::Failed(why) if why.contains("401")));
    let (after, _) = bench.until_register();
    about(after, 300, 375);
}

#[test]
fn a_registrar_that_wants_it_longer_gets_it_longer() {
    let mut bench = registering("sip:198.51.100.1");
    let first = bench.register();
    bench.says(&first, 423, "Min-Expires: 900\r\n");
    let second = bench.register();
    assert_eq!(second.first("Expires"), Some("900"));
    bench.says(&second, 423, "Min-Expires: 900\r\n");
    assert!(matches!(bench.status(), RegistrationStatus::Failed(_)), "once is enough");
}

#[test]
fn failures_are_followed_by_longer_and_longer_rests() {
    let mut bench = registering("sip:198.51.100.1");
    let mut request = bench.register();
    for (least, most) in
        [(3, 5), (6, 10), (12, 20), (24, 40), (48, 80), (96, 160), (192, 320), (225, 375), (225, 375)]
    {
        bench.says(&request, 500, "");
        let (after, next) = bench.until_register();
        about(after, least, most);
        request = next;
    }
    bench.says(&request, 200, "Expires: 120\r\n");
    assert_eq!(bench.status(), RegistrationStatus::Registered);
}

#[test]
fn a_registrar_that_asks_for_a_rest_gets_it() {
    let mut bench = registering("sip:198.51.100.1");
    let request = bench.register();
    bench.says(&request, 503, "Retry-After: 77\r\n");
    let (after, _) = bench.until_register();
    about(after, 77, 97);
}

#[test]
fn what_still_holds_is_told_until_it_runs_out() {
    let mut bench = registering("sip:198.51.100.1");
    bench.registered();
    let (_, renewal) = bench.until_register();
    bench.says(&renewal, 500, "");
    assert_eq!(bench.status(), RegistrationStatus::Registered);
    let end = bench.now + Duration::from_secs(60);
    while bench.now < end {
        bench.until_register();
    }
    assert!(matches!(bench.status(), RegistrationStatus::Failed(_)), "nobody answers, and time is over");
}

#[test]
fn the_next_place_of_a_registrar_has_its_turn() {
    let mut bench = registering("sip:example.com");
    bench.take();
    let (wanted, question) = bench.lookups.pop().unwrap();
    assert_eq!((wanted, question.host.as_str()), (Wanted::Registrar(0), "example.com"));
    let place = |address: &str| Place { transport: Transport::Udp, address: address.parse().unwrap() };
    bench.stack.looked_up(bench.now, wanted, &[place("198.51.100.1:5060"), place("198.51.100.2:5060")]);
    let first = bench.sent().pop().unwrap();
    assert_eq!(first_line(&first), "REGISTER sip:example.com");
    bench.says(&first, 503, "");
    let second = bench.sent().pop().unwrap();
    bench.says(&second, 200, "Expires: 120\r\n");
    assert_eq!(bench.status(), RegistrationStatus::Registered);
}

#[test]
fn a_lost_connection_is_a_lost_registration() {
    let mut bench = registering("sip:198.51.100.1;transport=tcp");
    let first = bench.register();
    bench.says(&first, 200, "Expires: 600\r\n");
    assert_eq!(bench.status(), RegistrationStatus::Registered);
    let hop = bench.stack.hops(
        &[Place { transport: Transport::Tcp, address: "198.51.100.1:5060".parse().unwrap() }],
        "198.51.100.1",
    )[0];
    bench.stack.flow_lost(bench.now, hop);
    assert_eq!(bench.status(), RegistrationStatus::Trying);
    about(bench.until_register().0, 0, 1);
}

#[test]
fn at_the_end_the_registration_is_taken_back() {
    let mut bench = registering("sip:198.51.100.1");
    bench.registered();
    bench.stack.leave(bench.now);
    let last = bench.register();
    assert_eq!(last.first("Expires"), Some("0"));
    assert!(bench.stack.is_leaving());
    bench.says(&last, 401, &format!("WWW-Authenticate: {ASK}\r\n"));
    let proven = bench.register();
    assert_eq!(proven.first("Expires"), Some("0"));
    assert!(proven.first("Authorization").is_some());
    bench.says(&proven, 200, "");
    assert!(!bench.stack.is_leaving());
    bench.nothing_is_left();
}
