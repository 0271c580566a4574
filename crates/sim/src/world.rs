//! The world: one timeline, one distributor, and the calls. It plays the gateway: it gives events in, takes every
//! action out, sets one alarm for each call, and lets the rules look at each step.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use segue_acd::{AgentId, Notice, Presence, TicketId};
use segue_call::{
    Action, AttemptId, Call, CallId, CallStart, CallerIdentity, Destination, Event, HandoffState, Limits,
    Milestone, Policy, Times,
};
use segue_trigger::{RuleSet, Rules};

use crate::{
    coverage::Coverage,
    edge::{Edge, LegStep},
    people::Person,
    random::Random,
    report::{Broken, Report},
    rules::{Verdict, Watch, must},
    scenario::{Numbers, SKILLED_QUEUE, Scenario},
    switchboard::{Request, Switchboard},
    timeline::Timeline,
};

/// Something that happens.
#[derive(Clone, Debug)]
pub(crate) enum Thing {
    /// A new call.
    Arrive(usize),
    /// News reaches a call.
    Tell(usize, Event),
    /// A call's alarm; only the newest one counts.
    Alarm(usize, u64),
    /// Something becomes of a leg, if it is still there.
    Leg(usize, AttemptId, LegStep),
    /// A prompt is over, if it still plays.
    PromptOver(usize, segue_call::PlaybackId),
    /// The caller leaves, unless the call has told them something since they planned it.
    CallerLeaves(usize, u32),
    /// A request reaches the distributor.
    Ask(usize, Request),
    /// The distributor's alarm.
    DistributorAlarm,
    /// An agent thinks about their presence.
    Shift(usize),
}

/// Everything.
pub(crate) struct World {
    pub(crate) timeline: Timeline<Thing>,
    pub(crate) numbers: Numbers,
    pub(crate) board: Switchboard,
    pub(crate) lines: Vec<Line>,
    pub(crate) policy: Arc<Policy>,
    rules: Arc<RuleSet>,
    agents: Vec<AgentId>,
    /// Which call has each agent's phone, by what the calls commanded.
    phones: BTreeMap<AgentId, (usize, AttemptId)>,
    pub(crate) chance: Random,
    seed: u64,
    live: usize,
    distributor_alarm: Option<Duration>,
    coverage: Coverage,
    events: u64,
    actions: u64,
    handoffs: u64,
    bridges: u64,
    pen: Option<Pen>,
}

/// One call and what surrounds it.
pub(crate) struct Line {
    call: Option<Call>,
    pub(crate) watch: Watch,
    pub(crate) edge: Edge,
    pub(crate) person: Person,
    alarms: u64,
    alarm: Option<Duration>,
}

/// Writes down what one call was told and did.
struct Pen {
    call: usize,
    lines: VecDeque<String>,
}

/// A broken rule and the call it concerns.
pub(crate) type Step = Result<(), (usize, String)>;

/// The lines kept of a broken call.
const HISTORY: usize = 40;
/// Every run begins at this moment: a Friday in November 2023.
const BEGIN: Duration = Duration::from_secs(1_700_000_000);
/// More than this happens only to a world that turns in circles.
const STEPS_PER_CALL: u64 = 20_000;

pub(crate) fn simulate(
    scenario: Scenario,
    seed: u64,
    calls: usize,
    pen: Option<usize>,
) -> Result<Report, Box<Broken>> {
    let broken =
        |call, at, rule, history| Box::new(Broken { scenario, seed, calls, call, at, rule, history });
    let mut world =
        World::new(scenario, seed, calls).map_err(|rule| broken(0, Duration::ZERO, rule, Vec::new()))?;
    world.pen = pen.map(|call| Pen { call, lines: VecDeque::new() });
    let result = world.live_on(calls);
    let lasted = world.timeline.now().saturating_sub(BEGIN);
    match result {
        Ok(()) => Ok(Report {
            scenario,
            seed,
            calls,
            events: world.events,
            actions: world.actions,
            handoffs: world.handoffs,
            bridges: world.bridges,
            lasted,
            coverage: world.coverage,
        }),
        Err((call, rule)) => {
            let history = world.pen.map(|pen| pen.lines.into()).unwrap_or_default();
            Err(broken(call, lasted, rule, history))
        }
    }
}

impl World {
    fn new(scenario: Scenario, seed: u64, calls: usize) -> Result<Self, String> {
        let numbers = scenario.numbers();
        let house = numbers.house();
        let agents: Vec<AgentId> = house.agents.iter().map(|agent| agent.id.clone()).collect();
        let times =
            Times { queue_max: numbers.queue_max, talk_max: Duration::from_secs(900), ..Times::default() };
        let mut policy = Policy { times, ..Policy::default() };
        policy.routes.keywords.insert("my bill".to_owned(), SKILLED_QUEUE.into());
        let rules = RuleSet::new(&Rules::default()).map_err(|error| error.to_string())?;
        let mut world = Self {
            timeline: Timeline::new(BEGIN),
            board: Switchboard::new(house)?,
            lines: Vec::with_capacity(calls),
            policy: Arc::new(policy),
            rules: Arc::new(rules),
            agents,
            phones: BTreeMap::new(),
            chance: Random::new(seed),
            seed,
            live: 0,
            distributor_alarm: None,
            coverage: Coverage::default(),
            events: 0,
            actions: 0,
            handoffs: 0,
            bridges: 0,
            pen: None,
            numbers,
        };
        for number in 0..world.agents.len() {
            world.timeline.after(Duration::ZERO, Thing::Shift(number));
        }
        let mut arrival = Duration::from_secs(1);
        for number in 0..calls {
            arrival += world.chance.around(world.numbers.gap);
            world.timeline.after(arrival, Thing::Arrive(number));
        }
        Ok(world)
    }

    fn live_on(&mut self, calls: usize) -> Step {
        let most = STEPS_PER_CALL * calls as u64 + 100_000;
        let mut steps = 0;
        while let Some(thing) = self.timeline.step() {
            steps += 1;
            if steps > most {
                return Err((0, "the world turns in circles".to_owned()));
            }
            self.happen(thing, calls)?;
            self.wake_distributor();
        }
        let left = self.lines.iter().position(|line| !line.watch.finished());
        if let Some(left) = left {
            return Err((left, "the call never ends, and nothing will ever happen to it".to_owned()));
        }
        self.board.nothing_left().map_err(|rule| (0, rule))
    }

    fn happen(&mut self, thing: Thing, calls: usize) -> Step {
        let now = self.timeline.now();
        match thing {
            Thing::Arrive(number) => self.arrive(number),
            Thing::Tell(number, event) => self.tell(number, event),
            Thing::Alarm(number, version) => {
                let due = self.lines.get_mut(number).filter(|line| line.alarms == version);
                match due {
                    Some(line) => {
                        line.alarm = None;
                        self.tell(number, Event::Alarm)
                    }
                    None => Ok(()),
                }
            }
            Thing::Leg(number, attempt, step) => {
                self.leg_step(number, attempt, step);
                Ok(())
            }
            Thing::PromptOver(number, playback) => {
                self.prompt_over(number, playback);
                Ok(())
            }
            Thing::CallerLeaves(number, mood) => {
                self.caller_acts(number, mood);
                Ok(())
            }
            Thing::Ask(number, request) => {
                self.board.request(now, request).map_err(|rule| (number, rule))?;
                self.pass_notices(number)
            }
            Thing::DistributorAlarm => {
                if self.distributor_alarm.is_some_and(|at| at <= now) {
                    self.distributor_alarm = None;
                    self.board.acd.alarm(now);
                }
                self.pass_notices(0)
            }
            Thing::Shift(agent) => self.shift(agent, calls),
        }
    }

    fn arrive(&mut self, number: usize) -> Step {
        let now = self.timeline.now();
        let block = Limits::default().tickets();
        let first = 1 + number as u64 * block;
        let random = Random::for_thing(self.seed, number as u64);
        let person = Person::new(random, &self.numbers);
        let start = CallStart {
            id: CallId(format!("call-{number}")),
            at: now,
            caller: CallerIdentity { number: format!("+1555{number:07}"), ..CallerIdentity::default() },
            language: person.language(),
            first_ticket: TicketId(first),
            transcribed: true,
        };
        let line = Line {
            call: Some(Call::new(start, Arc::clone(&self.policy), Arc::clone(&self.rules))),
            watch: Watch::new(Arc::clone(&self.policy), first..first + block),
            edge: Edge::new(),
            person,
            alarms: 0,
            alarm: None,
        };
        self.lines.push(line);
        self.live += 1;
        self.begin(number);
        self.drain(number)
    }

    /// Gives a call an event, if there still is a call, and takes everything it does about it.
    fn tell(&mut self, number: usize, event: Event) -> Step {
        let now = self.timeline.now();
        let Some(line) = self.lines.get_mut(number) else { return Ok(()) };
        let Some(call) = line.call.as_mut() else { return Ok(()) };
        self.events += 1;
        self.coverage.event(&event, &line.watch);
        if let Some(pen) = self.pen.as_mut().filter(|pen| pen.call == number) {
            pen.write(now, '>', &event);
        }
        line.watch.event(now, &event);
        call.handle(now, event);
        self.drain(number)
    }

    fn drain(&mut self, number: usize) -> Step {
        let now = self.timeline.now();
        while let Some(action) = self.lines.get_mut(number).and_then(|line| line.call.as_mut()?.poll_action())
        {
            self.actions += 1;
            self.coverage.action(&action);
            if let Some(pen) = self.pen.as_mut().filter(|pen| pen.call == number) {
                pen.write(now, '<', &action);
            }
            if let Some(line) = self.lines.get_mut(number) {
                line.watch.action(now, &action).map_err(|rule| (number, rule))?;
            }
            self.count(&action);
            self.phone_rule(number, &action).map_err(|rule| (number, rule))?;
            self.carry_out(number, action);
        }
        self.settle(number).map_err(|rule| (number, rule))
    }

    /// After the last action: the rules of rest, and the alarm.
    fn settle(&mut self, number: usize) -> Verdict {
        let now = self.timeline.now();
        let late = self.chance.chance(self.numbers.trouble.late);
        let Some(line) = self.lines.get_mut(number) else { return Ok(()) };
        let Some(call) = line.call.as_ref() else { return Ok(()) };
        let alarm = call.poll_timeout();
        line.watch.settled(now, alarm)?;
        if line.watch.finished() {
            line.call = None;
            self.live -= 1;
            return Ok(());
        }
        if alarm != line.alarm {
            line.alarm = alarm;
            line.alarms += 1;
            let version = line.alarms;
            if let Some(at) = alarm {
                must!(at > now, "the alarm at {at:?} is over already");
                let delay = if late { self.chance.millis(1, 300) } else { Duration::ZERO };
                self.timeline.at(at + delay, Thing::Alarm(number, version));
            }
        }
        Ok(())
    }

    /// No agent is in two calls, and an agent's phone is given back before the agent is.
    fn phone_rule(&mut self, number: usize, action: &Action) -> Verdict {
        if let Action::HangUp { attempt, .. } = action {
            self.phone_free(number, *attempt);
        }
        if let Action::Dial { attempt, to: Destination::Agent(agent) } = action {
            let other = self.phones.insert(agent.clone(), (number, *attempt));
            must!(
                other.is_none_or(|(other, _)| other == number),
                "{agent} is dialled while they are in call {other:?}"
            );
        }
        Ok(())
    }

    /// A leg is really gone: an agent's phone is free.
    pub(crate) fn phone_free(&mut self, number: usize, attempt: AttemptId) {
        self.phones.retain(|_, held| *held != (number, attempt));
    }

    fn count(&mut self, action: &Action) {
        if let Action::Publish(Milestone::Handoff { state, .. }) = action {
            self.handoffs += u64::from(*state == HandoffState::Requested);
            self.bridges += u64::from(*state == HandoffState::Bridged);
        }
    }

    /// Sends the distributor's news to the calls it is for.
    fn pass_notices(&mut self, concerned: usize) -> Step {
        let now = self.timeline.now();
        while let Some(notice) = self.board.notice(now).map_err(|rule| (concerned, rule))? {
            let ticket = match &notice {
                Notice::Waiting { ticket, .. }
                | Notice::Unqueued { ticket, .. }
                | Notice::Reserved { ticket, .. } => ticket.0,
            };
            let number = usize::try_from((ticket - 1) / Limits::default().tickets()).unwrap_or(usize::MAX);
            self.send(number, Duration::from_millis(1), Event::Notice(notice));
        }
        Ok(())
    }

    fn wake_distributor(&mut self) {
        let wanted = self.board.acd.poll_timeout();
        if wanted != self.distributor_alarm {
            self.distributor_alarm = wanted;
            if let Some(at) = wanted {
                self.timeline.at(at, Thing::DistributorAlarm);
            }
        }
    }

    /// An agent comes, goes, or does neither; the last shift ends with the last call.
    fn shift(&mut self, number: usize, calls: usize) -> Step {
        let now = self.timeline.now();
        let Some(agent) = self.agents.get(number).cloned() else { return Ok(()) };
        let Some(view) = self.board.acd.agent(&agent) else { return Ok(()) };
        let back = self.chance.chance(0.8);
        let result = match (view.reachable, view.presence) {
            (false, _) => self.board.acd.registered(now, &agent, true),
            (true, Presence::Away(_)) if back => self.board.acd.presence(now, &agent, Presence::Available),
            (true, Presence::Available) if !back && view.registered => {
                self.board.acd.registered(now, &agent, false)
            }
            (true, Presence::Available) if !back => {
                self.board.acd.presence(now, &agent, Presence::Away("lunch".to_owned()))
            }
            (true, Presence::Available | Presence::Away(_)) => Ok(()),
        };
        result.map_err(|error| (0, error.to_string()))?;
        if self.lines.len() < calls || self.live > 0 {
            let next = self.chance.around(self.numbers.shift) + Duration::from_secs(1);
            self.timeline.after(next, Thing::Shift(number));
        }
        self.pass_notices(0)
    }
}

impl Pen {
    fn write(&mut self, now: Duration, side: char, what: &dyn std::fmt::Debug) {
        if self.lines.len() == HISTORY {
            self.lines.pop_front();
        }
        let mut text = format!("{what:?}");
        if let Some((end, _)) = text.char_indices().nth(400) {
            text.truncate(end);
            text.push('…');
        }
        self.lines.push_back(format!("{:>9.3} {side} {text}", now.saturating_sub(BEGIN).as_secs_f64()));
    }
}
