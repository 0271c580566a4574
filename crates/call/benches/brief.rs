//! What a turn costs before the bridge, when the brief is written anew (B12): at 5, 20 and 100 turns.
//!
//! `at once` writes the brief of a whole transcript; `one turn more` is what a call pays: it hears a final
//! utterance while a handoff is under way, everything before it being known already.

use std::{collections::BTreeMap, hint::black_box, sync::Arc, time::Duration};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use segue_acd::{Language, TicketId};
use segue_call::{
    AttemptId, BriefInput, Call, CallId, CallStart, CallerIdentity, Event, Policy, WhisperLimit, writer,
};
use segue_trigger::{Reason, RuleSet, Rules, Speaker, Stage, Utterance, UtteranceId};

const BEGIN: Duration = Duration::from_secs(1_800_000_000);

/// A conversation that goes on: questions, numbers, refusals, complaints.
const LINES: &[(Speaker, &str)] = &[
    (Speaker::Bot, "Hello, thank you for calling. How can I help you today?"),
    (
        Speaker::Caller,
        "Hi, I ordered a washing machine about three weeks ago and it has not arrived, so I want my money back.",
    ),
    (Speaker::Bot, "I can look that up for you. What is your order number?"),
    (Speaker::Caller, "It is one two three four, no sorry, one two three five."),
    (
        Speaker::Bot,
        "I'm sorry, I could not find that order. Please try to check the e-mail that we sent you.",
    ),
    (Speaker::Caller, "I already tried that and it did not work, this is really frustrating."),
    (Speaker::Bot, "Your refund of two hundred and forty nine dollars was sent on March 3rd."),
    (
        Speaker::Caller,
        "That is wrong, I paid five hundred dollars and thirty cents and my address is anna dot smith at example dot com",
    ),
    (Speaker::Bot, "I did not understand that, can you say that again?"),
    (
        Speaker::Caller,
        "Call me back at 555-123-4567 or next Monday, but please let me wait here for somebody.",
    ),
];

fn utterance(id: u32) -> Utterance {
    let (speaker, text) = LINES.get(id as usize % LINES.len()).copied().unwrap_or((Speaker::Caller, ""));
    let start = BEGIN + Duration::from_secs(u64::from(id) * 5);
    Utterance {
        id: UtteranceId(id),
        speaker,
        // A number of its own in each, so that no line is quite like one before.
        text: format!("{text} That is {id}."),
        start,
        end: start + Duration::from_secs(3),
        confidence: 0.9,
        stage: Stage::Final,
        level: None,
    }
}

fn at_once(transcript: &[Utterance]) -> segue_call::Brief {
    let reason = Reason {
        rule: "T01".to_owned(),
        code: "explicit_request".to_owned(),
        evidence: "talk to a human".to_owned(),
        value: 1.0,
        utterance: None,
    };
    writer::write(&BriefInput {
        transcribed: true,
        handoff: 1,
        revision: 1,
        transcript,
        reason: &reason,
        declared: None,
        customer: &BTreeMap::from([("name".to_owned(), "Anna Smith".to_owned())]),
        priority: 50,
        priority_because: &[],
        caller_name: None,
        language: "en",
        whisper: WhisperLimit::default(),
    })
}

/// A call that waits for an agent and has heard so many utterances.
fn waiting(rules: &Arc<RuleSet>, turns: u32) -> Call {
    let start = CallStart {
        id: CallId("c1".into()),
        at: BEGIN,
        caller: CallerIdentity::default(),
        language: Language::from("en"),
        first_ticket: TicketId(1),
        transcribed: true,
    };
    let mut call = Call::new(start, Arc::new(Policy::default()), Arc::clone(rules));
    call.handle(BEGIN, Event::Answered { attempt: AttemptId(1) });
    for id in 0..turns {
        hear(&mut call, id);
    }
    call.handle(BEGIN, Event::Key { attempt: AttemptId::CALLER, key: '0' });
    drain(&mut call);
    call
}

fn hear(call: &mut Call, id: u32) {
    call.handle(BEGIN, Event::Heard(utterance(id)));
    drain(call);
}

fn drain(call: &mut Call) {
    while let Some(action) = call.poll_action() {
        black_box(action);
    }
}

fn brief(criterion: &mut Criterion) {
    let Ok(rules) = RuleSet::new(&Rules::default()).map(Arc::new) else { return };
    for turns in [5, 20, 100, 300] {
        let transcript: Vec<Utterance> = (0..turns).map(utterance).collect();
        criterion.bench_function(&format!("at once, {turns} turns"), |bencher| {
            bencher.iter(|| at_once(black_box(&transcript)));
        });
        // The longest line of all comes next: the caller's amount and address.
        let next = turns - turns % 10 + 17;
        criterion.bench_function(&format!("one turn more, {turns} turns"), |bencher| {
            bencher.iter_batched_ref(
                || waiting(&rules, turns),
                |call| hear(call, black_box(next)),
                BatchSize::PerIteration,
            );
        });
    }
}

criterion_group!(benches, brief);
criterion_main!(benches);
