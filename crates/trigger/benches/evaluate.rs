//! What one utterance costs to be held against every rule, and how long the rules take to compile.

use std::{hint::black_box, sync::Arc, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use segue_trigger::{Advice, Rule, RuleSet, Rules, Signal, Speaker, Stage, Triggers, Utterance, UtteranceId};

fn utterance(text: &str, id: u32) -> Utterance {
    Utterance {
        id: UtteranceId(id),
        speaker: Speaker::Caller,
        text: text.to_owned(),
        start: Duration::ZERO,
        end: Duration::from_secs(4),
        confidence: 0.9,
        stage: Stage::Final,
        level: None,
    }
}

fn evaluate(criterion: &mut Criterion) {
    let rules = Rules::default();
    let Ok(set) = RuleSet::new(&rules).map(Arc::new) else { return };
    for (name, text) in [
        ("request of 8 words", "can I please speak to a real person"),
        ("misheard request", "I need to talk to a hyuman representive pleese"),
        ("no request, 14 words", "my order number is one two three four and it has not arrived yet"),
        (
            "no request, 60 words",
            "so I ordered a washing machine from your website about three weeks ago and the delivery was \
             supposed to come last Tuesday but nobody came and then I got an e-mail saying that it had been \
             delivered which is not true because I was at home the whole day waiting for it and nobody rang",
        ),
    ] {
        let mut triggers = Triggers::with(Arc::clone(&set));
        let mut id = 0;
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| {
                id += 1;
                triggers.observe(Signal::Heard(black_box(&utterance(text, id))))
            });
        });
    }
    let rule = |name: &str, when: &str| Rule {
        id: name.to_owned(),
        code: name.to_owned(),
        when: when.to_owned(),
        then: Advice::Offer,
        weight: 0.0,
    };
    let conditions = [
        "negativity >= limits.negative_sentiment",
        "confusion_loops >= limits.confusion_loops",
        "strikes >= 2 && !(topic in [delivery, product])",
        "topic_switches >= limits.topic_switches || session_minutes > limits.session_length",
    ];
    let many = (0..20).filter_map(|at| Some(rule("rule", conditions.get(at % conditions.len())?)));
    let many = Rules { rules: many.collect(), ..Rules::default() };
    let Ok(set) = RuleSet::new(&many).map(Arc::new) else { return };
    let mut triggers = Triggers::with(set);
    let mut id = 0;
    criterion.bench_function("no request, 14 words, 20 rules over features", |bencher| {
        bencher.iter(|| {
            id += 1;
            let text = "my order number is one two three four and it has not arrived yet";
            triggers.observe(Signal::Heard(black_box(&utterance(text, id))))
        });
    });
    criterion.bench_function("compile the rules", |bencher| bencher.iter(|| RuleSet::new(black_box(&rules))));
}

criterion_group!(benches, evaluate);
criterion_main!(benches);
