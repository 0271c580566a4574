//! What must hold whatever happens: random events, late and out of place, on thousands of calls (SPEC §7).

#![expect(clippy::expect_used, reason = "a rule that is broken fails the test")]

mod model;
mod steps;

use std::{cell::RefCell, collections::BTreeSet};

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use segue_call::{Action, Event, HandoffState, Milestone, Phase};

use crate::{
    model::Model,
    steps::{Run, step},
};

fn runner(cases: u32) -> TestRunner {
    TestRunner::new_with_rng(
        Config { cases, failure_persistence: None, ..Config::default() },
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    )
}

#[test]
fn no_sequence_of_events_breaks_a_rule_of_the_handoff() {
    let reached = RefCell::new((BTreeSet::new(), BTreeSet::new()));
    let sequences = proptest::collection::vec(step(), 1..90);
    let result = runner(3000).run(&sequences, |steps| {
        let mut run = Run::new();
        let mut model = Model::default();
        model.take(None, &run.first).map_err(TestCaseError::fail)?;
        for step in &steps {
            let Some((event, actions)) = run.take(step, &model) else { continue };
            model.take(Some(&event), &actions).map_err(|broken| {
                TestCaseError::fail(format!("{broken}\nafter {event:?}\nin {:#?}", run.events))
            })?;
            run.check_deadline(&model).map_err(TestCaseError::fail)?;
            note(&actions, &mut reached.borrow_mut());
        }
        Ok(())
    });
    result.expect("a rule is broken");
    let (phases, states) = reached.into_inner();
    let every_phase =
        [Phase::Connecting, Phase::WithBot, Phase::HandingOff, Phase::WithAgent, Phase::Ending, Phase::Ended];
    assert!(every_phase.iter().all(|phase| phases.contains(phase)), "only {phases:?} were reached");
    let every_state = [
        HandoffState::Requested,
        HandoffState::Announced,
        HandoffState::Queued,
        HandoffState::Offered,
        HandoffState::Ringing,
        HandoffState::Briefing,
        HandoffState::Accepted,
        HandoffState::Bridged,
        HandoffState::Completed,
        HandoffState::Rejected,
        HandoffState::Failed,
        HandoffState::Canceled,
    ];
    assert!(every_state.iter().all(|state| states.contains(state)), "only {states:?} were reached");
}

fn note(actions: &[Action], reached: &mut (BTreeSet<Phase>, BTreeSet<HandoffState>)) {
    for action in actions {
        if let Action::Publish(Milestone::Phase { phase }) = action {
            reached.0.insert(*phase);
        }
        if let Action::Publish(Milestone::Handoff { state, .. }) = action {
            reached.1.insert(*state);
        }
    }
}

#[test]
fn a_call_that_hears_nothing_but_its_alarms_comes_to_an_end() {
    let sequences = proptest::collection::vec(step(), 0..60);
    let result = runner(500).run(&sequences, |steps| {
        let mut run = Run::new();
        let mut model = Model::default();
        model.take(None, &run.first).map_err(TestCaseError::fail)?;
        for step in &steps {
            if let Some((event, actions)) = run.take(step, &model) {
                model.take(Some(&event), &actions).map_err(TestCaseError::fail)?;
            }
        }
        for _ in 0..200 {
            let Some(due) = run.call.poll_timeout() else { break };
            let actions = run.tell(due, Event::Alarm);
            model.take(Some(&Event::Alarm), &actions).map_err(TestCaseError::fail)?;
            prop_assert!(run.call.poll_timeout().is_none_or(|next| next > due), "an alarm did not help");
        }
        prop_assert!(model.finished, "the call never ends: {:?}", run.call.view().phase);
        Ok(())
    });
    result.expect("a call without an end");
}

#[test]
fn a_call_replayed_from_its_written_events_does_the_same() {
    let sequences = proptest::collection::vec(step(), 1..60);
    let result = runner(300).run(&sequences, |steps| {
        let mut run = Run::new();
        let mut model = Model::default();
        model.take(None, &run.first).map_err(TestCaseError::fail)?;
        let mut given = Vec::new();
        for step in &steps {
            if let Some((event, actions)) = run.take(step, &model) {
                model.take(Some(&event), &actions).map_err(TestCaseError::fail)?;
                given.extend(actions);
            }
        }
        let mut again = Run::new();
        let mut repeated = Vec::new();
        for (at, event) in &run.events {
            let written =
                serde_json::to_string(event).map_err(|error| TestCaseError::fail(error.to_string()))?;
            let read: Event = serde_json::from_str(&written)
                .map_err(|error| TestCaseError::fail(format!("{error}: {written}")))?;
            prop_assert_eq!(&read, event);
            repeated.extend(again.tell(*at, read));
        }
        prop_assert_eq!(&repeated, &given);
        for action in &given {
            let written =
                serde_json::to_string(action).map_err(|error| TestCaseError::fail(error.to_string()))?;
            let read: Action = serde_json::from_str(&written)
                .map_err(|error| TestCaseError::fail(format!("{error}: {written}")))?;
            prop_assert_eq!(&read, action);
        }
        Ok(())
    });
    result.expect("a replay differs");
}
