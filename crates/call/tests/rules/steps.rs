//! Random steps, turned into events that are sometimes in time and sometimes late.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use proptest::prelude::*;
use segue_acd::{AgentId, Language, Notice, ReservationId, TicketId, Unqueued, WaitEstimate};
use segue_call::{
    Action, AgentChoice, AttemptId, Call, CallId, CallStart, CallerIdentity, Declared, DialFailure, Event,
    HandoffOrder, LegEnd, PlaybackId, PlayedHow, Policy,
};
use segue_trigger::{RuleSet, Rules, Speaker, Stage, Utterance, UtteranceId};

use crate::model::Model;

/// One random step: what happens, how long after the step before, and which of the recent ids it is about.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    kind: u8,
    /// 0 is the newest id, which is drawn more often than older ones.
    back: u32,
    choice: u8,
    wait: Duration,
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let back = prop_oneof![6 => Just(0_u32), 2 => Just(1_u32), 1 => 2_u32..6];
    let wait = prop_oneof![
        6 => (0_u64..3_000).prop_map(Duration::from_millis),
        1 => (0_u64..60_000).prop_map(Duration::from_millis),
    ];
    (0_u8..34, back, any::<u8>(), wait).prop_map(|(kind, back, choice, wait)| Step {
        kind,
        back,
        choice,
        wait,
    })
}

pub(crate) struct Run {
    pub(crate) call: Call,
    pub(crate) events: Vec<(Duration, Event)>,
    pub(crate) first: Vec<Action>,
    now: Duration,
    said: u32,
}

const BEGIN: Duration = Duration::from_secs(1_800_000_000);

/// No event may ask for more than this.
const ACTIONS_MAX: usize = 32;

impl Run {
    pub(crate) fn new() -> Self {
        thread_local! {
            static RULES: Arc<RuleSet> = Arc::new(RuleSet::new(&Rules::default()).expect("the rules are right"));
        }
        let start = CallStart {
            id: CallId("c1".into()),
            at: BEGIN,
            caller: CallerIdentity::default(),
            language: Language::from("en"),
            first_ticket: TicketId(100),
            transcribed: true,
        };
        let mut policy = Policy::default();
        policy.limits.handoffs = 4;
        policy.limits.offers = 3;
        let call = Call::new(start, Arc::new(policy), RULES.with(Arc::clone));
        let mut run = Self { call, events: Vec::new(), first: Vec::new(), now: BEGIN, said: 0 };
        run.first = run.drain();
        run
    }

    /// Tells the call one event and takes what it asks for.
    pub(crate) fn tell(&mut self, at: Duration, event: Event) -> Vec<Action> {
        self.now = self.now.max(at);
        self.events.push((at, event.clone()));
        self.call.handle(at, event);
        self.drain()
    }

    pub(crate) fn take(&mut self, step: &Step, model: &Model) -> Option<(Event, Vec<Action>)> {
        self.now += step.wait;
        let event = self.event(step, model)?;
        let actions = self.tell(self.now, event.clone());
        Some((event, actions))
    }

    /// In every state but the last there is a time at which something happens by itself.
    pub(crate) fn check_deadline(&self, model: &Model) -> Result<(), String> {
        match (self.call.poll_timeout(), model.finished) {
            (None, false) => Err(format!("no deadline in {:?}", self.call.view().phase)),
            (Some(_), true) => Err("a call that is over wants to be woken".into()),
            (None, true) | (Some(_), false) => Ok(()),
        }
    }

    fn drain(&mut self) -> Vec<Action> {
        let actions: Vec<Action> = std::iter::from_fn(|| self.call.poll_action()).collect();
        assert!(actions.len() <= ACTIONS_MAX, "{} actions at once", actions.len());
        actions
    }

    fn event(&mut self, step: &Step, model: &Model) -> Option<Event> {
        let attempt = AttemptId(model.newest_attempt.saturating_sub(step.back));
        let playback = PlaybackId(model.newest_playback.saturating_sub(step.back));
        Some(match step.kind {
            0..=4 => Event::Answered { attempt },
            5 => Event::Ringing { attempt },
            6 => {
                Event::Failed { attempt: self.not_the_caller(attempt, step)?, failure: failure(step.choice) }
            }
            7 => Event::Ended {
                attempt: self.not_the_caller(attempt, step)?,
                cause: cause(step.choice),
                declared: (step.choice > 200).then(Declared::default),
            },
            8..=13 => Event::Played { playback, how: how(step.choice) },
            14..=16 => Event::Key {
                attempt,
                key: *['1', '1', '1', '2', '*', '0'].get(usize::from(step.choice) % 6)?,
            },
            17 => Event::Key { attempt: AttemptId::CALLER, key: '0' },
            18 => Event::AgentChose { attempt, choice: choice(step.choice) },
            19..=20 => Event::Heard(self.utterance(step)),
            21 => Event::BotDeclared(Declared { queue: Some("billing".into()), ..Declared::default() }),
            22 => Event::Asked(HandoffOrder { by: "crm".into(), reason: String::new(), queue: None }),
            23 if step.choice < 60 => Event::Recalled { handoff: step.back + 1 },
            23 if step.choice < 120 => Event::Referred { attempt, queue: "billing".into() },
            23 => Event::Transferred {
                attempt,
                agent: (step.choice < 200).then(|| "robin".into()),
                name: "Robin".into(),
            },
            24 => Event::Customer(BTreeMap::from([("name".into(), "Anna".into())])),
            25 if step.choice < 10 => Event::Shutdown,
            26 if step.choice < 20 => {
                Event::Ended { attempt: AttemptId::CALLER, cause: LegEnd::HungUp, declared: None }
            }
            33 => {
                Event::Dead { attempt: self.not_the_caller(attempt, step)?, silent: Duration::from_secs(6) }
            }
            27..=31 => Event::Notice(notice(step, model)),
            32 => {
                self.now = self.now.max(self.call.poll_timeout()?);
                Event::Alarm
            }
            _ => Event::Alarm,
        })
    }

    /// The caller's leg ends by a step of its own, or every sequence would be short.
    #[expect(clippy::unused_self, reason = "reads as a sentence where it is used")]
    fn not_the_caller(&self, attempt: AttemptId, step: &Step) -> Option<AttemptId> {
        (attempt != AttemptId::CALLER || step.choice < 8).then_some(attempt)
    }

    fn utterance(&mut self, step: &Step) -> Utterance {
        let texts = ["hello", "my bill is wrong", "I want to talk to a human", "give me an agent please", ""];
        let fresh = step.back == 0;
        self.said += u32::from(fresh);
        Utterance {
            id: UtteranceId(self.said.saturating_sub(step.back).max(1)),
            speaker: match step.choice % 4 {
                0 | 1 => Speaker::Caller,
                2 => Speaker::Bot,
                _ => Speaker::Agent,
            },
            text: (*texts.get(usize::from(step.choice) % texts.len()).unwrap_or(&"")).into(),
            start: self.now.saturating_sub(Duration::from_secs(1)),
            end: self.now,
            confidence: 0.8,
            level: None,
            stage: if step.choice > 100 { Stage::Final } else { Stage::Partial },
        }
    }
}

fn notice(step: &Step, model: &Model) -> Notice {
    let ticket = TicketId(model.newest_ticket.saturating_sub(u64::from(step.back)));
    match step.choice {
        0..=60 => Notice::Waiting {
            ticket,
            position: u32::from(step.choice) % 5 + 1,
            wait: WaitEstimate { least: Duration::from_secs(30), most: Duration::from_secs(200) },
        },
        61..=75 => Notice::Unqueued { ticket, why: unqueued(step.choice) },
        _ => Notice::Reserved {
            ticket,
            reservation: ReservationId((model.newest_reservation + 1).saturating_sub(u64::from(step.back))),
            agent: AgentId::from("alex"),
            agent_name: "Alex".into(),
        },
    }
}

fn failure(choice: u8) -> DialFailure {
    match choice % 6 {
        0 => DialFailure::Busy,
        1 => DialFailure::Declined,
        2 => DialFailure::NoAnswer,
        3 => DialFailure::Unreachable,
        4 => DialFailure::ServerError,
        _ => DialFailure::Canceled,
    }
}

fn cause(choice: u8) -> LegEnd {
    match choice % 3 {
        0 => LegEnd::HungUp,
        1 => LegEnd::Lost,
        _ => LegEnd::Error,
    }
}

fn how(choice: u8) -> PlayedHow {
    match choice % 5 {
        0 => PlayedHow::Stopped,
        1 => PlayedHow::Failed,
        _ => PlayedHow::Finished,
    }
}

fn choice(choice: u8) -> AgentChoice {
    match choice % 3 {
        0 => AgentChoice::Accept,
        1 => AgentChoice::Decline,
        _ => AgentChoice::Repeat,
    }
}

fn unqueued(choice: u8) -> Unqueued {
    match choice % 5 {
        0 => Unqueued::QueueFull,
        1 => Unqueued::EverybodyAway,
        2 => Unqueued::Closed,
        3 => Unqueued::UnknownQueue,
        _ => Unqueued::Lapsed,
    }
}
