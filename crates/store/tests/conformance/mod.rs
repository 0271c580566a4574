//! What every store must do, whatever it keeps its rows in. A kind of store gives a way to open an empty one and is
//! put to all of it by `conformance!`.

use std::{sync::Arc, time::Duration};

use segue_acd::{AgentId, QueueId};
use segue_call::{
    Action, Brief, CallId, CallRecord, Conversation, EndedBy, Entry, Event, Fact, HandoffState, Milestone,
    Phase,
};
use segue_store::{ActionDigest, LogLine, PolicyText, Store, What};
use segue_trigger::{Advice, Decision, Reason, Speaker, Stage, Utterance, UtteranceId};

pub(crate) mod listing;
pub(crate) mod writing;

/// The rules, each as one test against a store that is empty and runs. `$open` is an async function that gives
/// something with a `store` field and, when dropped, takes the store away.
#[macro_export]
macro_rules! conformance {
    ($open:path: $($group:ident { $($rule:ident),+ $(,)? })+) => {
        $($(
            #[tokio::test]
            async fn $rule() {
                let opened = $open().await;
                conformance::$group::$rule(&opened.store).await;
            }
        )+)+
    };
}

pub(crate) const START: Duration = Duration::from_secs(1_795_180_000);

pub(crate) fn call(name: &str) -> CallId {
    CallId(name.to_owned())
}

pub(crate) fn at(milliseconds: u64) -> Duration {
    START + Duration::from_millis(milliseconds)
}

pub(crate) fn line(name: &str, seq: u64, what: What) -> LogLine {
    LogLine { call: call(name), seq, at: at(seq * 10), what }
}

pub(crate) fn policy() -> Arc<PolicyText> {
    PolicyText::new(&serde_json::json!({"ring": 20})).unwrap()
}

pub(crate) fn opened(name: &str) -> LogLine {
    let start = serde_json::json!({"id": name});
    line(name, 0, What::Opened { start, policy: policy(), actions: ActionDigest::of(&[]) })
}

pub(crate) fn opened_at(name: &str, at: Duration) -> LogLine {
    LogLine { at, ..opened(name) }
}

pub(crate) fn utterance(id: u32, text: &str, stage: Stage) -> Utterance {
    Utterance {
        id: UtteranceId(id),
        speaker: Speaker::Caller,
        text: text.to_owned(),
        start: at(u64::from(id) * 1_000),
        end: at(u64::from(id) * 1_000 + 800),
        confidence: 0.87,
        stage,
        level: None,
    }
}

pub(crate) fn heard(name: &str, seq: u64, said: Utterance) -> LogLine {
    let actions = ActionDigest::of(&[Action::Publish(Milestone::Heard(said.clone()))]);
    line(name, seq, What::Event { event: Event::Heard(said), actions })
}

pub(crate) fn event(name: &str, seq: u64, event: Event) -> LogLine {
    let actions = ActionDigest::of(&[Action::Publish(Milestone::Phase { phase: Phase::WithBot })]);
    line(name, seq, What::Event { event, actions })
}

pub(crate) fn entry(name: &str, seq: u64, entry: Entry) -> LogLine {
    line(name, seq, What::Entry(entry))
}

pub(crate) fn reason() -> Reason {
    Reason {
        rule: "T01".to_owned(),
        code: "explicit_request".to_owned(),
        evidence: "talk to a human".to_owned(),
        value: 1.0,
        utterance: Some(UtteranceId(2)),
    }
}

pub(crate) fn decision() -> Decision {
    Decision { advice: Advice::Escalate, primary: reason(), contributing: Vec::new(), evaluated: Vec::new() }
}

pub(crate) fn brief(handoff: u32) -> Arc<Brief> {
    Arc::new(Brief {
        handoff,
        revision: 1,
        goal: Fact { text: "A refund for order 1234".to_owned(), cites: vec![UtteranceId(2)] },
        tried: Vec::new(),
        next: vec!["Look the order up".to_owned()],
        sentiment: -0.25,
        opening: "I see you've been asking about a refund".to_owned(),
        tone: "empathy first".to_owned(),
        reason: reason(),
        bot_summary: None,
        entities: Vec::new(),
        priority: 70,
        priority_because: vec!["premium +20".to_owned()],
        customer: [("name".to_owned(), "Sarah".to_owned())].into(),
        missing: Vec::new(),
        language: None,
        whisper: "Sarah wants a refund.".to_owned(),
    })
}

pub(crate) fn record(ended: Duration) -> CallRecord {
    CallRecord {
        started: START,
        ended,
        ended_by: EndedBy::Caller,
        handoffs: Vec::new(),
        utterances: 3,
        language: None,
        conversation: Conversation::default(),
    }
}

/// A call with one handoff that went well, as lines 0 to 7.
pub(crate) fn handed_over(name: &str) -> Vec<LogLine> {
    let (agent, handoff) = (AgentId("alex".to_owned()), 1);
    let since = at(30);
    vec![
        opened(name),
        heard(name, 1, utterance(2, "talk to a human", Stage::Final)),
        entry(name, 2, Entry::HandoffOpened { handoff, decision: decision(), brief: brief(1) }),
        entry(name, 3, Entry::Ticket { handoff, queue: QueueId("billing".to_owned()), since }),
        entry(name, 4, Entry::BriefDelivered { handoff, agent: agent.clone(), revision: 1 }),
        entry(name, 5, Entry::Accepted { handoff, agent: agent.clone() }),
        entry(name, 6, Entry::Bridged { handoff, agent }),
        entry(name, 7, Entry::HandoffClosed { handoff, state: HandoffState::Completed }),
        entry(name, 8, Entry::CallRecord(record(at(5_000)))),
    ]
}

pub(crate) async fn keep(store: &Store, lines: Vec<LogLine>) {
    for line in lines {
        store.promise(line).await.unwrap();
    }
}
