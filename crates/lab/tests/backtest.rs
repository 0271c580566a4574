//! Past calls through the lab, from lines of JSON to figures.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code fails by panicking"
)]

use std::{io::BufReader, sync::Arc};

use segue_lab::{Bench, Cases, Comparison, Costs, Score, Summary};
use segue_trigger::{Advice, Rule, RuleSet, Rules};

const CALLS: &str = r#"
{"id":"asks","turns":[{"speaker":"bot","text":"How can I help?"},{"speaker":"caller","text":"I want to speak to a human"}],"label":{"handoff":true,"turn":2}}
{"id":"content","turns":[{"speaker":"caller","text":"where is my parcel"},{"speaker":"bot","text":"It comes tomorrow."},{"speaker":"caller","text":"great, thank you"}],"label":{"handoff":false}}
{"id":"angry","turns":[{"speaker":"caller","text":"my parcel is late"},{"speaker":"bot","text":"I am sorry."},{"speaker":"caller","text":"this is a terrible, disgusting, useless service"},{"speaker":"caller","text":"give me an agent"}],"label":{"handoff":true,"turn":3}}
{"id":"unsure bot","turns":[{"speaker":"caller","text":"do you take the old plan back"},{"facts":[{"fact":"confidence","value":0.3}]}],"label":{"handoff":true,"turn":2}}
{"id":"key","turns":[{"key":"0"}]}
"#;

fn bench(rules: &[(&str, &str)]) -> Bench {
    let rules = rules.iter().map(|(id, when)| Rule {
        id: (*id).to_owned(),
        code: id.to_lowercase(),
        when: (*when).to_owned(),
        then: Advice::Escalate,
        weight: 0.0,
    });
    Bench::new(Arc::new(RuleSet::new(&Rules { rules: rules.collect(), ..Rules::default() }).unwrap()))
}

fn score(bench: &Bench) -> Summary {
    let mut score = Score::default();
    for case in Cases::new(BufReader::new(CALLS.as_bytes())) {
        let case = case.unwrap();
        score.add(&case, &bench.run(&case));
    }
    score.summary(Costs::default())
}

#[test]
fn explicit_requests_alone_find_what_is_asked_for() {
    let summary = score(&bench(&[]));
    assert_eq!((summary.calls, summary.handoffs, summary.missed), (5, 3, 1));
    assert_eq!((summary.precision, summary.recall), (Some(1.0), Some(2.0 / 3.0)));
    assert_eq!(summary.rules["T01"].handoffs, 3);
    assert_eq!(summary.lead_turns, Some([-1.0, -1.0, 0.0]));
}

#[test]
fn more_rules_find_more_and_earlier_and_the_difference_is_told_call_by_call() {
    let (few, many) = (
        bench(&[]),
        bench(&[
            ("T15", "negativity >= limits.negative_sentiment"),
            ("T05", "confidence < limits.low_confidence"),
        ]),
    );
    let summary = score(&many);
    assert_eq!((summary.precision, summary.recall), (Some(1.0), Some(1.0)));
    assert_eq!(summary.lead_turns, Some([0.0, 0.0, 0.0]));
    let mut comparison = Comparison::default();
    for case in Cases::new(CALLS.as_bytes()) {
        let case = case.unwrap();
        comparison.add(&case, &few.run(&case), &many.run(&case));
    }
    assert_eq!((comparison.changed, comparison.gained, comparison.better, comparison.worse), (2, 1, 1, 0));
    let ids: Vec<&str> = comparison.calls.iter().map(|change| change.id.as_str()).collect();
    assert_eq!(ids, ["angry", "unsure bot"]);
    assert_eq!(comparison.calls[0].after.as_ref().unwrap().turn, 3);
}

#[test]
fn the_same_call_gives_the_same_run() {
    let bench = bench(&[("T15", "negativity >= 0.5")]);
    for case in Cases::new(CALLS.as_bytes()) {
        let case = case.unwrap();
        assert_eq!(bench.run(&case), bench.run(&case));
    }
}
