//! Far sides that vanish without a BYE.

use std::time::Duration;

use super::{Bench, answer, config, lines, request};
use crate::{
    stack::LegNews,
    words::{Ended, LegEvent},
};

const EVERY: Duration = Duration::from_secs(120);
/// Long enough for a request over UDP to be given up.
const TIMER_F: Duration = Duration::from_secs(32);

fn gone() -> LegNews {
    LegNews::Event(LegEvent::Ended(Ended::Timeout))
}

#[test]
fn who_leaves_two_questions_without_an_answer_is_gone() {
    let mut bench = Bench::new();
    let (leg, _tag) = bench.call_in();
    let first = bench.pass(EVERY + TIMER_F);
    assert_eq!(first.first(), Some(&(120_000, "OPTIONS sip:far@198.51.100.1:5060".to_owned())));
    assert!(first.iter().all(|(_, line)| line.starts_with("OPTIONS")), "{first:?}");
    assert_eq!(bench.news(), [], "one lost question proves nothing");
    let second = bench.pass(Duration::from_secs(4) + TIMER_F);
    let bye = second.iter().position(|(_, line)| line.starts_with("BYE")).unwrap();
    assert!(second[..bye].iter().all(|(_, line)| line.starts_with("OPTIONS")), "{second:?}");
    assert_eq!(bench.news(), [(leg, gone())]);
    bench.nothing_is_left();
}

#[test]
fn whatever_the_answer_it_shows_life() {
    let mut bench = Bench::new();
    let (leg, _) = bench.call_out();
    for code in [200, 501, 405, 401, 503] {
        assert_eq!(bench.pass(EVERY - Duration::from_millis(1)), []);
        bench.stack.wake(bench.now + Duration::from_millis(1));
        bench.now += Duration::from_millis(1);
        let asked = bench.sent();
        assert_eq!(lines(&asked), ["OPTIONS sip:far@198.51.100.1:5060"]);
        assert_eq!(bench.hear(&answer(&asked[0], code, "theirs", "")).len(), 0);
    }
    assert_eq!(bench.news(), []);
    bench.stack.hang_up(bench.now, leg, crate::words::HangUp::default());
    bench.nothing_is_left();
}

#[test]
fn a_dialog_that_is_unknown_there_ends_here() {
    let mut bench = Bench::new();
    let (leg, _) = bench.call_out();
    bench.now += EVERY;
    bench.stack.wake(bench.now);
    let asked = bench.sent();
    let sent = bench.hear(&answer(&asked[0], 481, "theirs", ""));
    assert_eq!(lines(&sent), ["BYE sip:far@198.51.100.1:5060"]);
    assert_eq!(bench.news(), [(leg, gone())]);
    bench.nothing_is_left();
}

#[test]
fn nobody_is_asked_if_the_configuration_says_so() {
    let mut quiet = config();
    quiet.timers.alive_every = Duration::ZERO;
    let mut bench = Bench::with(&quiet);
    let (_, tag) = bench.call_in();
    assert_eq!(bench.pass(Duration::from_secs(7_200)), []);
    bench.hear(&request("BYE", 2, &tag, ""));
    bench.nothing_is_left();
}
