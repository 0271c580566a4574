//! What the pool does when more is said than it can decode: who goes first, what is stopped, given up, put off, sent
//! elsewhere, and that all of it comes back.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code fails by panicking"
)]

mod support;

use std::{
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use segue_speech::{
    Heard, Ladder, Speech, SpeechConfig,
    pool::{Elsewhere, Engine, Rung, RungStep, Watch},
};
use segue_trigger::{Speaker, Stage};
use support::{Counting, Line, assert_whole, config, gaps, hypotheses, said, script, silence, until};

/// Steps and waits as they were told.
#[derive(Default)]
struct Seen {
    steps: Mutex<Vec<RungStep>>,
    waits: Mutex<Vec<Duration>>,
}

impl Watch for Seen {
    fn rung(&self, step: RungStep) {
        self.steps.lock().unwrap().push(step);
    }

    fn waited(&self, wait: Duration) {
        self.waits.lock().unwrap().push(wait);
    }
}

/// One worker and a ladder that is climbed within a tenth of a second.
fn steep() -> (SpeechConfig, Arc<Seen>) {
    let seen = Arc::<Seen>::default();
    let millis = Duration::from_millis;
    let mut config = config();
    config.workers = 1;
    config.budget.base = Duration::from_secs(30);
    config.ladder = Ladder {
        slower: millis(30),
        slowest: millis(40),
        finals_only: millis(50),
        without_bot: millis(60),
        overflow: millis(70),
        caller_only: millis(80),
        gap: Duration::from_secs(60),
        calm: millis(100),
    };
    config.watch = Some(Arc::<Seen>::clone(&seen));
    (config, seen)
}

fn shut(engine: &Counting, shut: bool) {
    engine.shut.store(shut, Ordering::Relaxed);
}

fn start(config: SpeechConfig, engine: &Counting) -> Speech {
    Speech::start(config, Some(Arc::new(engine.clone()))).unwrap()
}

/// Several callers who each have said one thing that nobody decodes.
fn burden(speech: &Speech, callers: usize) -> Vec<Line> {
    let sound = script(&[said("My parcel is late")]);
    (0..callers)
        .map(|_| {
            let mut line = Line::open(speech, Speaker::Caller, false);
            line.feed(speech, &sound);
            line
        })
        .collect()
}

#[test]
fn a_partial_under_way_is_stopped_for_a_final_and_asked_for_again() {
    let engine = Counting::default();
    let (config, _) = steep();
    let config = SpeechConfig { ladder: Ladder::default(), ..config };
    let speech = start(config, &engine);
    shut(&engine, true);
    let mut talker = Line::open(&speech, Speaker::Caller, true);
    let long = said("I have been waiting for my order since Monday and nobody can tell me where it is");
    talker.feed(&speech, &[silence(0.6), long[..16_000].to_vec()].concat());
    until("the partial is being decoded", || engine.decodes.load(Ordering::Relaxed) == 1);
    let others = burden(&speech, 1);
    until("it was stopped", || speech.stats().decodes.stopped == 1);
    shut(&engine, false);
    talker.feed(&speech, &[long[16_000..].to_vec(), silence(0.8)].concat());
    let heard = talker.end();
    assert_whole(&heard);
    assert!(!hypotheses(&heard, Stage::Partial).is_empty(), "it was asked for again: {heard:?}");
    assert_eq!(hypotheses(&heard, Stage::Final).len(), 1);
    for other in others {
        assert_eq!(hypotheses(&other.end(), Stage::Final).len(), 1);
    }
    assert_eq!(speech.stats().decodes.failed, 0, "what gave way has not failed");
}

#[test]
fn every_step_up_and_down_is_told_and_timed() {
    let engine = Counting::default();
    let (config, seen) = steep();
    let speech = start(config, &engine);
    shut(&engine, true);
    let lines = burden(&speech, 3);
    until("the top is reached", || speech.stats().rung == Rung::CallerOnly);
    shut(&engine, false);
    until("all is well again", || speech.stats().rung == Rung::Full);
    for line in lines {
        let heard = line.end();
        assert_whole(&heard);
        assert_eq!(hypotheses(&heard, Stage::Final).len(), 1, "no caller is given up: {heard:?}");
    }
    let steps = seen.steps.lock().unwrap();
    assert!(steps.windows(2).all(|pair| pair[0].to == pair[1].from), "{steps:?}");
    assert_eq!((steps[0].from, steps[steps.len() - 1].to), (Rung::Full, Rung::Full));
    assert!(
        steps.iter().filter(|step| step.to > step.from).all(|step| step.wait > Duration::from_millis(30))
    );
    let stats = speech.stats();
    assert!(stats.on_rung[Rung::CallerOnly as usize] >= Duration::from_millis(100), "{:?}", stats.on_rung);
    assert_eq!(seen.waits.lock().unwrap().len(), 2, "the first was being decoded before it was final");
}

#[test]
fn what_an_agent_said_meanwhile_comes_late_even_after_hanging_up() {
    let engine = Counting::default();
    let (config, _) = steep();
    let speech = start(config, &engine);
    shut(&engine, true);
    let callers = burden(&speech, 2);
    until("the agent is given up", || speech.stats().rung == Rung::CallerOnly);
    let mut agent = Line::open(&speech, Speaker::Agent, false);
    agent.feed(&speech, &script(&[said("I can see your order here"), said("It leaves today")]));
    until("it is put off", || speech.stats().late.put_off == 2);
    until("it is seen to wait", || speech.stats().late.waiting > Duration::from_secs(1));
    shut(&engine, false);
    let heard = agent.end();
    assert_whole(&heard);
    let late = hypotheses(&heard, Stage::Late);
    assert_eq!(late.iter().map(|words| words.segment).collect::<Vec<_>>(), [1, 2], "{heard:?}");
    let told: Vec<_> = heard
        .iter()
        .filter_map(|news| match news {
            Heard::PutOff { segment, start, end } => Some((*segment, *start, *end)),
            Heard::Started { .. } | Heard::Hypothesis(_) | Heard::Withdrawn { .. } | Heard::Gap(_) => None,
        })
        .collect();
    let times: Vec<_> = late.iter().map(|words| (words.segment, words.start, words.end)).collect();
    assert_eq!(told, times, "with the times at which it was said");
    assert!(late.iter().all(|words| !words.text.is_empty() && words.speaker == Speaker::Agent));
    assert_eq!(speech.stats().late.waiting, Duration::ZERO);
    assert_eq!(speech.stats().late.lost, Duration::ZERO);
    callers.into_iter().for_each(|line| assert_whole(&line.end()));
}

#[test]
fn where_nothing_is_put_off_and_at_its_bound_the_agents_words_are_gaps() {
    for (bound, lost) in [(Duration::ZERO, 2), (Duration::from_millis(2_500), 1)] {
        let engine = Counting::default();
        let (mut config, _) = steep();
        config.put_off_max = bound;
        let speech = start(config, &engine);
        shut(&engine, true);
        let callers = burden(&speech, 2);
        until("the agent is given up", || speech.stats().rung == Rung::CallerOnly);
        let mut agent = Line::open(&speech, Speaker::Agent, false);
        agent.feed(&speech, &script(&[said("I can see your order here"), said("It leaves today")]));
        until("the bound is met", || speech.stats().decodes.gaps == lost);
        shut(&engine, false);
        let heard = agent.end();
        assert_eq!(gaps(&heard).len() as u64, lost, "{heard:?}");
        assert_eq!(hypotheses(&heard, Stage::Late).len() as u64, 2 - lost);
        callers.into_iter().for_each(|line| assert_whole(&line.end()));
    }
}

#[test]
fn a_pool_that_stops_makes_gaps_of_what_was_put_off() {
    let engine = Counting::default();
    let (config, _) = steep();
    let mut speech = start(config, &engine);
    shut(&engine, true);
    let _callers = burden(&speech, 2);
    until("the agent is given up", || speech.stats().rung == Rung::CallerOnly);
    let mut agent = Line::open(&speech, Speaker::Agent, false);
    agent.feed(&speech, &script(&[said("I can see your order here")]));
    until("it is put off", || speech.stats().late.put_off == 1);
    speech.stop();
    let heard = agent.end();
    assert_eq!(gaps(&heard), [segue_speech::GapCause::Stopped], "{heard:?}");
}

#[test]
fn the_lighter_model_decodes_while_much_is_given_up() {
    let engine = Counting::default();
    let lighter = Counting::default();
    let (mut config, _) = steep();
    config.lighter = Some(Arc::new(lighter.clone()));
    let speech = start(config, &engine);
    shut(&engine, true);
    let lines = burden(&speech, 4);
    until("much is given up", || speech.stats().rung >= Rung::WithoutBot);
    shut(&engine, false);
    for line in lines {
        assert_eq!(hypotheses(&line.end(), Stage::Final).len(), 1);
    }
    until("all is well again", || speech.stats().rung == Rung::Full);
    let by = speech.stats().finals_by;
    assert!(by.lighter >= 1 && by.model >= 1 && by.lighter + by.model == 4, "{by:?}");
    assert_eq!(lighter.decodes.load(Ordering::Relaxed) as u64, by.lighter);
    let after = burden(&speech, 1);
    after.into_iter().for_each(|line| assert_whole(&line.end()));
    assert_eq!(speech.stats().finals_by.lighter, by.lighter, "in good times the better model decodes");
}

#[test]
fn a_service_elsewhere_takes_finals_while_they_wait_too_long() {
    let (engine, elsewhere) = (Counting::default(), Counting::default());
    let (mut config, _) = steep();
    let service: Arc<dyn Engine> = Arc::new(elsewhere.clone());
    config.elsewhere = Some(Elsewhere { engine: service, requests: 2 });
    let speech = start(config, &engine);
    let calm = burden(&speech, 2);
    calm.into_iter().for_each(|line| assert_whole(&line.end()));
    assert_eq!(elsewhere.decodes.load(Ordering::Relaxed), 0, "nobody is asked without need");
    shut(&engine, true);
    let mut lines = burden(&speech, 4);
    until("others have decoded all but the one that hangs here", || speech.stats().finals_by.elsewhere == 3);
    shut(&engine, false);
    lines.extend(burden(&speech, 1));
    for line in lines {
        assert_eq!(hypotheses(&line.end(), Stage::Final).len(), 1);
    }
}

#[test]
fn what_the_service_elsewhere_cannot_do_is_decoded_here_and_nothing_is_lost() {
    let (engine, elsewhere) = (Counting::default(), Counting::default());
    elsewhere.panics.store(usize::MAX, Ordering::Relaxed);
    let (mut config, _) = steep();
    let service: Arc<dyn Engine> = Arc::new(elsewhere);
    config.elsewhere = Some(Elsewhere { engine: service, requests: 2 });
    let speech = start(config, &engine);
    shut(&engine, true);
    let lines = burden(&speech, 4);
    until("all that wait were tried", || speech.stats().finals_by.elsewhere_failed == 3);
    shut(&engine, false);
    for line in lines {
        let heard = line.end();
        assert_whole(&heard);
        assert_eq!(hypotheses(&heard, Stage::Final).len(), 1, "{heard:?}");
    }
    assert_eq!(speech.stats().finals_by.elsewhere_failed, 3, "each is tried once");
}
