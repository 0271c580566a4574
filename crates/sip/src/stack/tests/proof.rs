//! Guessers and scanners: what they are told, how often, and that it teaches them nothing.

use std::time::Duration;

use super::{
    Bench, OFFER, config,
    door::{PHONE, STRANGER, authorized, credentials, register},
    invite, lines,
};
use crate::{
    config::{DigestAlgorithm, SipConfig, SipLimits},
    message::Message,
};

/// One try to register with a password, after the challenge for it.
fn guess(bench: &mut Bench, number: u32, user: &str, password: &str) -> Message {
    let text = register(number, PHONE, "120").replace("ann@", &format!("{user}@"));
    let challenge = bench.hear(&text).pop().unwrap();
    assert_eq!(challenge.code(), Some(401));
    bench.hear(&authorized(&text, &challenge, &credentials(user, password))).pop().unwrap()
}

fn stranger(config: &SipConfig) -> Bench {
    let mut bench = Bench::with(config);
    bench.peer.remote = STRANGER.parse().unwrap();
    bench
}

#[test]
fn who_guesses_too_often_waits_whatever_name_they_guess() {
    let mut bench = stranger(&config());
    for n in 0..11 {
        let user = if n % 2 == 0 { "ann" } else { "nobody" };
        assert_eq!(guess(&mut bench, n, user, "wrong").code(), Some(403), "guess {n}");
    }
    for (n, user) in [(20, "ann"), (21, "nobody")] {
        let barred = guess(&mut bench, n, user, "secret");
        assert_eq!((barred.code(), barred.first("Retry-After")), (Some(503), Some("60")), "{user}");
    }
    let refused = bench.stack.counts().refused;
    assert_eq!((refused.wrong_credentials, refused.barred), (11, 2));
    bench.pass(Duration::from_secs(60));
    assert_eq!(guess(&mut bench, 30, "ann", "secret").code(), Some(200));
}

#[test]
fn a_phone_that_is_registered_is_heard_in_spite_of_a_guesser_beside_it() {
    let mut bench = stranger(&config());
    assert_eq!(guess(&mut bench, 0, "ann", "secret").code(), Some(200));
    for n in 1..15 {
        guess(&mut bench, n, "nobody", "wrong");
    }
    assert_eq!(guess(&mut bench, 20, "nobody", "wrong").code(), Some(503));
    assert_eq!(guess(&mut bench, 21, "ann", "secret").code(), Some(200));
}

/// An answer without what differs by chance: branch, tag, nonce.
fn kind(answer: &Message) -> (Option<u16>, Vec<String>) {
    (answer.code(), answer.headers().iter().map(|(name, _)| name.clone()).collect())
}

#[test]
fn no_method_tells_which_users_exist() {
    let mut bench = stranger(&config());
    guess(&mut bench, 0, "ann", "secret");
    for method in ["REGISTER", "INVITE", "OPTIONS", "SUBSCRIBE", "MESSAGE", "NOTIFY"] {
        let ask = |user: &str| {
            invite(&format!("{method}{user}"), if method == "INVITE" { OFFER } else { "" })
                .replace("INVITE", method)
                .replace("help@", &format!("{user}@"))
                .replace("Call-ID: c1", &format!("Call-ID: {method}{user}"))
        };
        let answers =
            ["ann", "nobody"].map(|user| bench.hear(&ask(user)).iter().map(kind).collect::<Vec<_>>());
        assert_eq!(answers[0], answers[1], "{method}");
        assert_eq!(answers[0].len(), 1, "{method}");
    }
}

#[test]
fn an_answer_by_a_weaker_hash_than_is_asked_for_is_asked_again() {
    let strong = SipConfig { digests: vec![DigestAlgorithm::Sha256], ..config() };
    let mut bench = stranger(&strong);
    let text = register(1, PHONE, "120");
    let mut challenge = bench.hear(&text).pop().unwrap();
    let weak = challenge.first("WWW-Authenticate").unwrap().replace("SHA-256", "MD5");
    challenge.set("WWW-Authenticate", weak);
    let answer = bench.hear(&authorized(&text, &challenge, &credentials("ann", "secret"))).pop().unwrap();
    assert_eq!(answer.code(), Some(401));
    assert!(answer.first("WWW-Authenticate").unwrap().contains("algorithm=SHA-256"));
    assert_eq!(bench.presence(), Vec::<String>::new());
}

#[test]
fn a_nonce_of_another_source_or_of_long_ago_is_asked_for_again() {
    let mut bench = stranger(&config());
    let text = register(1, PHONE, "120");
    let challenge = bench.hear(&text).pop().unwrap();
    let proven = authorized(&text, &challenge, &credentials("ann", "secret"));
    bench.peer.remote = "203.0.113.6:5060".parse().unwrap();
    assert!(bench.hear(&proven)[0].first("WWW-Authenticate").unwrap().contains("stale=true"));
    bench.peer.remote = STRANGER.parse().unwrap();
    bench.pass(Duration::from_secs(301));
    assert!(bench.hear(&proven)[0].first("WWW-Authenticate").unwrap().contains("stale=true"));
}

#[test]
fn an_open_network_registers_without_a_password_but_no_name_that_has_one() {
    let limits = SipLimits { registrations_max: 1, ..SipLimits::default() };
    let open = vec!["203.0.113.0/24".parse().unwrap()];
    let mut bench = stranger(&SipConfig { open_registration: open, limits, ..config() });
    assert_eq!(lines(&bench.hear(&register(1, PHONE, "120"))), ["401 REGISTER"]);
    let other = register(2, PHONE, "120").replace("ann@", "new@");
    assert_eq!(lines(&bench.hear(&other)), ["200 REGISTER"]);
    assert_eq!(bench.presence(), ["new at sip:new@10.0.0.7:5062"]);
    let third = bench.hear(&register(3, PHONE, "120").replace("ann@", "third@")).pop().unwrap();
    assert_eq!((third.code(), third.first("Retry-After")), (Some(503), Some("5")));
    bench.peer.remote = "198.18.0.1:5060".parse().unwrap();
    let outside = register(4, PHONE, "120").replace("ann@", "other@");
    assert_eq!(lines(&bench.hear(&outside)), ["401 REGISTER"]);
}

#[test]
fn a_flood_is_dropped_unread_and_leaves_nothing() {
    let limits = SipLimits { per_source_per_second: 10, ..SipLimits::default() };
    let mut bench = stranger(&SipConfig { limits, ..config() });
    let answers: usize = (0..1_000)
        .map(|n| {
            bench
                .hear(&invite(&format!("f{n}"), OFFER).replace("Call-ID: c1", &format!("Call-ID: f{n}")))
                .len()
        })
        .sum();
    let refused = bench.stack.counts().refused;
    assert_eq!((answers, refused.unread, refused.too_fast), (20, 960, 30));
    bench.peer.remote = "198.51.100.1:5060".parse().unwrap();
    assert_eq!(lines(&bench.hear(&invite("o", "").replace("INVITE", "OPTIONS"))), ["200 OPTIONS"]);
    bench.nothing_is_left();
}
