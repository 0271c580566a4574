//! Rules of reading: what was written comes back as it was, newest call first, oldest line first.

use segue_acd::AgentId;
use segue_call::{AttemptId, Declared, EndedBy, Entry, Event, HandoffState, LegEnd};
use segue_store::{CallFilter, Counts, Cursor, PolicyText, Store, What};
use segue_trigger::Stage;

use super::*;

/// Every kind of event comes back exactly as it was written, at the same nanosecond.
pub(crate) async fn an_event_comes_back_exactly_as_it_was(store: &Store) {
    let declared = Declared {
        reason: "billing_dispute".to_owned(),
        confidence: Some(0.1),
        details: [("x-order".to_owned(), "12 \"34\" \u{1F600}\n".to_owned())].into(),
        ..Declared::default()
    };
    let events = vec![
        Event::Alarm,
        Event::Ended { attempt: AttemptId(1), cause: LegEnd::Lost, declared: Some(declared.clone()) },
        Event::BotDeclared(declared),
        Event::Key { attempt: AttemptId::CALLER, key: '*' },
        Event::Heard(utterance(1, "I'd", Stage::Partial)),
        Event::Heard(utterance(1, "I'd like a human", Stage::Final)),
        Event::Customer([("lifetime_value".to_owned(), "5000".to_owned())].into()),
    ];
    keep(store, vec![opened("a")]).await;
    for (seq, what) in (1..).zip(&events) {
        let mut line = event("a", seq, what.clone());
        line.at += Duration::from_nanos(seq);
        store.promise(line).await.unwrap();
    }
    let stored = store.events(&call("a"), 0).await.unwrap();
    assert_eq!(stored.iter().map(|stored| stored.event.clone()).collect::<Vec<_>>(), events);
    assert_eq!(stored[3].at, at(40) + Duration::from_nanos(4));
    assert_eq!(store.events(&call("a"), 6).await.unwrap().len(), 2);
}

/// A transcript has the final words of everybody and no partials.
pub(crate) async fn a_transcript_has_the_final_words_alone(store: &Store) {
    let lines = vec![
        opened("a"),
        heard("a", 1, utterance(1, "talk to", Stage::Partial)),
        heard("a", 2, utterance(1, "talk to a human", Stage::Final)),
        heard("a", 3, utterance(2, "please", Stage::Final)),
        heard("b", 1, utterance(1, "not mine", Stage::Final)),
    ];
    keep(store, lines).await;
    let texts: Vec<String> =
        store.transcript(&call("a")).await.unwrap().into_iter().map(|said| said.text).collect();
    assert_eq!(texts, ["talk to a human", "please"]);
}

/// A handoff can be followed from its opening to its end.
pub(crate) async fn a_handoff_is_kept_with_its_brief_and_its_times(store: &Store) {
    keep(store, handed_over("a")).await;
    let handoffs = store.handoffs(&call("a")).await.unwrap();
    assert_eq!(handoffs.len(), 1);
    let handoff = &handoffs[0];
    assert_eq!((handoff.handoff, handoff.state), (1, HandoffState::Completed));
    assert_eq!(handoff.decision, decision());
    assert_eq!(handoff.brief, *brief(1));
    assert_eq!(handoff.queue.as_ref().map(|queue| queue.0.as_str()), Some("billing"));
    assert_eq!(handoff.agent, Some(AgentId("alex".to_owned())));
    assert_eq!(handoff.since, Some(at(30)));
    let times = [handoff.delivered, handoff.accepted, handoff.bridged, handoff.closed];
    assert_eq!(times, [Some(at(40)), Some(at(50)), Some(at(60)), Some(at(70))]);
    assert!(handoff.delivered < handoff.bridged, "C01");
}

/// A call is read with its start, its policy and its record.
pub(crate) async fn a_call_is_read_with_its_start_its_policy_and_its_record(store: &Store) {
    keep(store, handed_over("a")).await;
    let stored = store.call(&call("a")).await.unwrap().unwrap();
    assert_eq!(stored.start, serde_json::json!({"id": "a"}));
    assert_eq!(stored.policy, serde_json::json!({"ring": 20}));
    assert_eq!(stored.policy_hash, policy().hash());
    assert_eq!(stored.record, Some(record(at(5_000))));
    let summary = stored.summary;
    assert_eq!((summary.opened, summary.ended), (START, Some(at(5_000))));
    assert_eq!((summary.handoffs, summary.handoff), (1, Some(HandoffState::Completed)));
    assert_eq!(summary.reason.as_deref(), Some("explicit_request"));
    assert_eq!((summary.ended_by, summary.utterances), (Some(EndedBy::Caller), Some(3)));
    assert_eq!(store.call(&call("b")).await.unwrap(), None);
    assert_eq!(store.entries(&call("a")).await.unwrap().len(), 7);
}

/// Calls are listed newest first, in pages without holes or doubles, also when they began in one instant.
pub(crate) async fn calls_are_listed_newest_first_in_pages(store: &Store) {
    for number in 0..25 {
        store.promise(opened_at(&format!("call-{number:02}"), at(number / 5))).await.unwrap();
    }
    let mut filter = CallFilter { limit: 10, ..CallFilter::default() };
    let mut names = Vec::new();
    loop {
        let page = store.calls(&filter).await.unwrap();
        names.extend(page.calls.into_iter().map(|call| call.call.0));
        let Some(next) = page.next else { break };
        assert_eq!(next.to_string().parse::<Cursor>(), Ok(next.clone()));
        filter.before = Some(next);
    }
    let expected: Vec<String> = (0..25).rev().map(|number| format!("call-{number:02}")).collect();
    assert_eq!(names, expected);
}

/// A listing can be narrowed.
pub(crate) async fn a_listing_can_be_narrowed(store: &Store) {
    keep(store, handed_over("over")).await;
    keep(store, vec![opened_at("live", at(100))]).await;
    let check = async |filter: CallFilter, expected: &[&str]| {
        let page = store.calls(&filter).await.unwrap();
        assert_eq!(
            page.calls.iter().map(|call| call.call.0.as_str()).collect::<Vec<_>>(),
            expected,
            "{filter:?}"
        );
    };
    let all = CallFilter::default();
    check(all.clone(), &["live", "over"]).await;
    check(CallFilter { ended: Some(true), ..all.clone() }, &["over"]).await;
    check(CallFilter { ended: Some(false), ..all.clone() }, &["live"]).await;
    check(CallFilter { handoff: Some(HandoffState::Completed), ..all.clone() }, &["over"]).await;
    check(CallFilter { handoff: Some(HandoffState::Queued), ..all.clone() }, &[]).await;
    check(CallFilter { agent: Some(AgentId("alex".to_owned())), ..all.clone() }, &["over"]).await;
    check(CallFilter { since: Some(at(100)), ..all.clone() }, &["live"]).await;
    assert_eq!(store.counts().await.unwrap(), Counts { calls: 2, open: 1 });
}

/// A declined offer leaves its trace: the next agent is the one of the record.
pub(crate) async fn the_agent_who_took_the_call_is_the_one_who_is_kept(store: &Store) {
    let delivered = |seq, agent: &str| {
        entry("a", seq, Entry::BriefDelivered { handoff: 1, agent: AgentId(agent.to_owned()), revision: 1 })
    };
    let mut lines = handed_over("a");
    lines.splice(4..5, [delivered(40, "sam"), delivered(41, "alex"), delivered(42, "alex")]);
    keep(store, lines).await;
    let handoff = store.handoffs(&call("a")).await.unwrap().remove(0);
    assert_eq!(handoff.agent, Some(AgentId("alex".to_owned())));
    assert_eq!(handoff.delivered, Some(at(410)), "the first delivery to the agent who took it");
}

/// A call that was found unfinished after a restart is closed once.
pub(crate) async fn a_lost_call_is_ended_once(store: &Store) {
    keep(store, vec![opened("a"), line("a", 9, What::Lost)]).await;
    let summary = store.call(&call("a")).await.unwrap().unwrap().summary;
    assert_eq!((summary.ended, summary.ended_by), (Some(at(90)), Some(EndedBy::Us)));
    keep(store, handed_over("b")).await;
    keep(store, vec![line("b", 9, What::Lost)]).await;
    assert_eq!(store.call(&call("b")).await.unwrap().unwrap().summary.ended, Some(at(5_000)));
}

/// Old calls can be forgotten, all of them and nothing else.
pub(crate) async fn old_calls_can_be_forgotten_and_no_others(store: &Store) {
    keep(store, handed_over("old")).await;
    keep(store, vec![opened("live"), heard("live", 1, utterance(1, "hello", Stage::Final))]).await;
    let start = serde_json::json!({});
    let other = PolicyText::new(&"other").unwrap();
    let actions = ActionDigest::of(&[]);
    keep(store, vec![line("new", 0, What::Opened { start, policy: other, actions })]).await;
    keep(store, vec![entry("new", 1, Entry::CallRecord(record(at(9_000))))]).await;
    assert_eq!(store.forget(at(5_000), 100).await, Ok(0), "the old call ended at 5 s, not before");
    assert_eq!(store.forget(at(5_001), 100).await, Ok(1));
    assert_eq!(store.call(&call("old")).await.unwrap(), None);
    assert_eq!(store.transcript(&call("old")).await.unwrap(), []);
    assert_eq!(store.handoffs(&call("old")).await.unwrap(), []);
    assert_eq!(store.transcript(&call("live")).await.unwrap().len(), 1);
    assert!(store.call(&call("new")).await.unwrap().is_some());
}
