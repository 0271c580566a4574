//! The picture of a call that is gathered from its actions is the call's own account of itself, at every step and
//! after its end.

use std::{sync::Arc, time::Duration};

use segue_acd::{AgentId, Language, Notice, ReservationId, TicketId, WaitEstimate};
use segue_api::CallSnapshot;
use segue_call::{
    Action, AgentChoice, AttemptId, Call, CallId, CallStart, CallerIdentity, Destination, DialFailure, Entry,
    Event, HandoffState, LegEnd, Milestone, Phase, PlaybackId, PlayedHow, Policy,
};
use segue_trigger::{RuleSet, Rules, Utterance};

use crate::support::{START, said};

struct Driver {
    call: Call,
    picture: CallSnapshot,
    now: Duration,
    entries: Vec<(Duration, Entry)>,
    heard: Vec<Utterance>,
    agent_leg: AttemptId,
    ticket: TicketId,
    playing: Vec<PlaybackId>,
}

impl Driver {
    fn begin() -> Self {
        let id = CallId("one".to_owned());
        let language = Language::from("en");
        let start = CallStart {
            id: id.clone(),
            at: START,
            caller: CallerIdentity { number: "+15550100".to_owned(), ..CallerIdentity::default() },
            language: language.clone(),
            first_ticket: TicketId(1),
            transcribed: true,
        };
        let rules = Arc::new(RuleSet::new(&Rules::default()).unwrap());
        let mut driver = Self {
            call: Call::new(start, Arc::new(Policy::default()), rules),
            picture: CallSnapshot::new(id, START, "+15550100".to_owned(), language),
            now: START,
            entries: Vec::new(),
            heard: Vec::new(),
            agent_leg: AttemptId(0),
            ticket: TicketId(0),
            playing: Vec::new(),
        };
        driver.carry_out();
        driver
    }

    fn then(&mut self, event: Event) -> &mut Self {
        self.now += Duration::from_millis(700);
        if let Event::Heard(utterance) = &event {
            self.heard.push(utterance.clone());
        }
        self.call.handle(self.now, event);
        self.carry_out();
        self.check();
        self
    }

    fn carry_out(&mut self) {
        while let Some(action) = self.call.poll_action() {
            self.picture.see(self.now, &action);
            match action {
                Action::Promise(entry) | Action::Note(entry) => self.entries.push((self.now, entry)),
                Action::Dial { attempt, to: Destination::Agent(_) } => self.agent_leg = attempt,
                Action::Enqueue { ticket } => self.ticket = ticket.id,
                Action::Play { playback, .. } => self.playing.push(playback),
                _ => {}
            }
        }
    }

    fn prompts_end(&mut self) -> &mut Self {
        for playback in std::mem::take(&mut self.playing) {
            self.then(Event::Played { playback, how: PlayedHow::Finished });
        }
        self
    }

    fn reserved(&mut self, number: u64, agent: &str) -> &mut Self {
        let (ticket, reservation) = (self.ticket, ReservationId(number));
        let (agent, agent_name) = (AgentId::from(agent), agent.to_owned());
        self.then(Event::Notice(Notice::Reserved { ticket, reservation, agent, agent_name }))
    }

    fn on_agent_leg(&mut self, event: impl FnOnce(AttemptId) -> Event) -> &mut Self {
        let event = event(self.agent_leg);
        self.then(event)
    }

    /// The call tells of itself what the picture shows.
    #[track_caller]
    fn check(&self) {
        let view = self.call.view();
        assert_eq!(self.picture.outline.phase, view.phase);
        assert_eq!(self.picture.transcript, view.transcript);
        let told = view.closed.iter().chain(view.handoff.as_ref().map(|handoff| &handoff.record));
        let shown = self.picture.handoffs.iter().map(|handoff| &handoff.record);
        assert_eq!(shown.collect::<Vec<_>>(), told.collect::<Vec<_>>());
        if let Some(last) = self.picture.handoffs.last() {
            assert_eq!(self.picture.outline.handoff, Some(last.record.state));
            let waits = view.handoff.as_ref().and_then(|handoff| handoff.place);
            assert_eq!(last.waiting, waits);
        }
        let up = self.picture.legs.iter().filter(|leg| leg.up).map(|leg| leg.party);
        assert_eq!(up.collect::<Vec<_>>().len(), view.legs.len());
    }
}

/// Bot, request in words, two agents who do not take the call, one who does, the caller's hang-up.
fn a_call_with_three_agents() -> Driver {
    let mut driver = Driver::begin();
    driver.prompts_end().then(Event::Answered { attempt: AttemptId(1) });
    driver.then(Event::Heard(said(1, "I was charged twice for order 1234")));
    driver.then(Event::Heard(said(2, "can I talk to a human please")));
    let wait = WaitEstimate { least: Duration::from_secs(20), most: Duration::from_secs(50) };
    let ticket = driver.ticket;
    driver.then(Event::Notice(Notice::Waiting { ticket, position: 2, wait })).prompts_end();
    driver.reserved(1, "sam").on_agent_leg(|attempt| Event::Ringing { attempt });
    driver.on_agent_leg(|attempt| Event::Failed { attempt, failure: DialFailure::NoAnswer });
    driver.reserved(2, "kim").on_agent_leg(|attempt| Event::Answered { attempt });
    driver.on_agent_leg(|attempt| Event::AgentChose { attempt, choice: AgentChoice::Decline });
    driver.reserved(3, "alex").on_agent_leg(|attempt| Event::Ringing { attempt });
    driver.on_agent_leg(|attempt| Event::Answered { attempt });
    driver.on_agent_leg(|attempt| Event::AgentChose { attempt, choice: AgentChoice::Accept }).prompts_end();
    driver.then(Event::Heard(said(3, "thank you Alex")));
    assert_eq!(driver.picture.outline.phase, Phase::WithAgent);
    let gone = Event::Ended { attempt: AttemptId::CALLER, cause: LegEnd::HungUp, declared: None };
    driver.then(gone);
    driver
}

#[test]
fn the_picture_is_the_calls_own_account_at_every_step() {
    let driver = a_call_with_three_agents();
    let handoff = &driver.picture.handoffs[0];
    assert_eq!(handoff.record.state, HandoffState::Completed);
    assert_eq!(handoff.record.refused, [AgentId::from("sam"), AgentId::from("kim")]);
    assert!(handoff.record.brief_delivered < handoff.record.bridged, "C01");
    assert!(handoff.brief.is_some() && handoff.queue.is_some());
}

#[test]
fn what_was_kept_gives_the_same_picture_as_what_was_seen() {
    let Driver { picture: seen, entries, heard, .. } = a_call_with_three_agents();
    let outline = &seen.outline;
    let mut kept = CallSnapshot::new(
        outline.id.clone(),
        outline.started,
        outline.caller.clone(),
        outline.language.clone(),
    );
    for (at, entry) in &entries {
        kept.keep(*at, entry);
    }
    heard.iter().for_each(|utterance| kept.hear(utterance));
    assert_eq!(kept.outline, seen.outline);
    assert_eq!(kept.transcript, seen.transcript);
    let records =
        |call: &CallSnapshot| call.handoffs.iter().map(|one| one.record.clone()).collect::<Vec<_>>();
    assert_eq!(records(&kept), records(&seen));
}

#[test]
fn a_partial_and_a_final_that_comes_twice_leave_one_line() {
    let mut driver = Driver::begin();
    for _ in 0..2 {
        driver.picture.note(START, &Milestone::Heard(said(1, "hello")));
    }
    assert_eq!(driver.picture.transcript.len(), 1);
    assert_eq!(driver.picture.outline.utterances, 1);
}
