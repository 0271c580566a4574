//! Rules that hold after any sequence of requests: one agent a call, one call an agent, order kept, nothing lost.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proptest::prelude::*;
use segue_acd::{
    AcdConfig, Activity, AgentId, Distributor, Notice, Presence, Refusal, ReservationId, Ticket, TicketId,
};

#[derive(Clone, Debug)]
enum Step {
    Enqueue { priority: u32, skilled: bool },
    Again(usize),
    Withdraw(usize),
    Refused(usize, Refusal),
    Took(usize),
    Freed(usize),
    Available(usize),
    Away(usize),
    Registered(usize, bool),
    Passes(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let refusal = prop_oneof![
        Just(Refusal::Declined),
        Just(Refusal::NoAnswer),
        Just(Refusal::Busy),
        Just(Refusal::Unreachable),
        Just(Refusal::HungUp),
        Just(Refusal::CallGone),
    ];
    let which = 0..64_usize;
    prop_oneof![
        6 => (40..160_u32, any::<bool>()).prop_map(|(priority, skilled)| Step::Enqueue { priority, skilled }),
        1 => which.clone().prop_map(Step::Again),
        2 => which.clone().prop_map(Step::Withdraw),
        3 => (which.clone(), refusal).prop_map(|(which, how)| Step::Refused(which, how)),
        4 => which.clone().prop_map(Step::Took),
        3 => which.clone().prop_map(Step::Freed),
        3 => which.clone().prop_map(Step::Available),
        1 => which.clone().prop_map(Step::Away),
        1 => (which, any::<bool>()).prop_map(|(which, up)| Step::Registered(which, up)),
        4 => (0..200_u64).prop_map(Step::Passes),
    ]
}

/// What the notices say, checked against what they may say.
struct Watcher {
    acd: Distributor,
    now: Duration,
    agents: Vec<AgentId>,
    tickets: BTreeMap<TicketId, Ticket>,
    waiting: BTreeSet<TicketId>,
    /// Which agent and ticket each live reservation binds.
    held: BTreeMap<ReservationId, (AgentId, TicketId)>,
    seen: Vec<ReservationId>,
    /// Who refused what, and when.
    refusals: BTreeMap<(TicketId, AgentId), Duration>,
}

const HOUSE: &str = "
    wrap_up = 5
    reservation_lease = 60
    agents = [
        { id = 'a', name = 'A', address = 'sip:a@127.0.0.1', skills = ['s'] },
        { id = 'b', name = 'B', user = 'b' },
        { id = 'c', name = 'C', user = 'c', skills = ['s'] },
    ]
    queues = [
        { id = 'one', spoken = 'one', skills = ['s'], size_limit = 5, fallback = ['two'] },
        { id = 'two', spoken = 'two', size_limit = 8 },
    ]
";

impl Watcher {
    fn new(strategy: &str) -> Self {
        let config: AcdConfig = toml::from_str(&format!("strategy = '{strategy}'\n{HOUSE}")).unwrap();
        let agents = config.agents.iter().map(|agent| agent.id.clone()).collect();
        let acd = Distributor::new(config).unwrap();
        let now = Duration::from_secs(1_000);
        let (tickets, waiting, held) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        Self { acd, now, agents, tickets, waiting, held, seen: Vec::new(), refusals: BTreeMap::new() }
    }

    fn apply(&mut self, step: &Step) {
        let now = self.now;
        let ids: Vec<_> = self.tickets.keys().copied().collect();
        let ticket = |which: &usize| ids.get(which % ids.len().max(1)).copied();
        let reservation = |which: &usize| self.seen.get(which % self.seen.len().max(1)).copied();
        let agent = |which: &usize| self.agents[which % self.agents.len()].clone();
        match step {
            Step::Enqueue { priority, skilled } => {
                let id = TicketId(self.tickets.len() as u64 + 1);
                let queue = if *skilled { "one" } else { "two" }.into();
                let ticket = Ticket {
                    id,
                    queue,
                    skills: [].into(),
                    language: "en".into(),
                    priority: *priority,
                    since: now,
                };
                self.tickets.insert(id, ticket.clone());
                self.waiting.insert(id);
                self.acd.enqueue(now, ticket);
            }
            Step::Again(which) => {
                if let Some(id) = ticket(which).filter(|id| self.waiting.contains(id)) {
                    self.acd.enqueue(now, self.tickets[&id].clone());
                }
            }
            Step::Withdraw(which) => {
                if let Some(id) = ticket(which) {
                    self.waiting.remove(&id);
                    self.held.retain(|_, (_, held)| *held != id);
                    self.acd.withdraw(now, id);
                }
            }
            Step::Refused(which, how) => {
                if let Some(id) = reservation(which) {
                    let talking = self.talking(id);
                    if let Some((agent, ticket)) = (!talking).then(|| self.held.remove(&id)).flatten()
                        && *how != Refusal::CallGone
                    {
                        self.refusals.insert((ticket, agent), now);
                        self.waiting.insert(ticket);
                    }
                    self.acd.refused(now, id, *how);
                }
            }
            Step::Took(which) => {
                if let Some(id) = reservation(which) {
                    self.acd.took(now, id);
                }
            }
            Step::Freed(which) => {
                if let Some(id) = reservation(which) {
                    self.held.remove(&id);
                    self.acd.freed(now, id);
                }
            }
            Step::Available(which) => self.acd.presence(now, &agent(which), Presence::Available).unwrap(),
            Step::Away(which) => {
                self.acd.presence(now, &agent(which), Presence::Away("x".to_owned())).unwrap()
            }
            Step::Registered(which, up) => self.acd.registered(now, &agent(which), *up).unwrap(),
            Step::Passes(seconds) => self.passes(Duration::from_secs(*seconds)),
        }
        self.check();
    }

    fn talking(&self, reservation: ReservationId) -> bool {
        self.acd
            .agents()
            .any(|agent| agent.reservation == Some(reservation) && agent.activity == Activity::Talking)
    }

    fn passes(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.acd.poll_timeout().filter(|at| *at <= end) {
            assert!(at > self.now, "the alarm must be in the future");
            self.now = at;
            self.acd.alarm(at);
            self.check();
        }
        self.now = end;
    }

    /// Reads every notice and compares both sides.
    fn check(&mut self) {
        while let Some(notice) = self.acd.poll_notice() {
            match notice {
                Notice::Waiting { ticket, position, wait } => {
                    assert!(position >= 1 && wait.least <= wait.most);
                    assert!(self.waiting.contains(&ticket), "{ticket} does not wait");
                }
                Notice::Unqueued { ticket, .. } => {
                    self.waiting.remove(&ticket);
                    self.held.retain(|_, (_, held)| *held != ticket);
                }
                Notice::Reserved { ticket, reservation, agent, .. } => {
                    assert!(self.waiting.remove(&ticket), "{ticket} did not wait");
                    assert!(!self.seen.contains(&reservation), "a number is used once");
                    assert!(self.held.values().all(|(held, _)| *held != agent), "{agent} has two calls");
                    assert!(self.held.values().all(|(_, held)| *held != ticket), "{ticket} has two agents");
                    self.nobody_was_passed_over(ticket, &agent);
                    self.seen.push(reservation);
                    self.held.insert(reservation, (agent, ticket));
                }
            }
        }
        assert_eq!(
            self.acd.tickets(),
            self.waiting.len() + self.held.len(),
            "a ticket waits, is held, or is over"
        );
        for agent in self.acd.agents() {
            let held = self.held.iter().find(|(_, (id, _))| *id == agent.id).map(|(id, _)| *id);
            assert_eq!(agent.reservation, held, "{}", agent.id);
        }
        let shown: usize = self.acd.queues(self.now).map(|queue| queue.waiting as usize).sum();
        assert_eq!(shown, self.waiting.len());
    }

    /// Whoever got an agent stood before every other ticket of the same queue that could have had them.
    fn nobody_was_passed_over(&self, served: TicketId, agent: &AgentId) {
        let order = |id: &TicketId| {
            let ticket = &self.tickets[id];
            let bonus = segue_acd::priority::waiting_bonus(self.now - ticket.since);
            (std::cmp::Reverse(ticket.priority + bonus), ticket.since, *id)
        };
        let queue = &self.tickets[&served].queue;
        // An agent without the queue's skill serves only those of its tickets that moved to the fallback.
        if queue.0 == "one" && agent.0 == "b" {
            return;
        }
        let asked_lately = |ticket: &TicketId| {
            let at = self.refusals.get(&(*ticket, agent.clone()));
            at.is_some_and(|at| self.now < *at + Duration::from_secs(30))
        };
        for other in &self.waiting {
            let rival = self.tickets[other].queue == *queue && order(other) < order(&served);
            assert!(!rival || asked_lately(other), "{other} stood before {served}, who got {agent}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_agent_has_two_calls_and_no_call_two_agents(
        strategy in prop_oneof![Just("longest_idle"), Just("round_robin"), Just("least_loaded")],
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        let mut watcher = Watcher::new(strategy);
        for step in &steps {
            watcher.apply(step);
        }
        for agent in ["a", "b", "c"] {
            watcher.acd.presence(watcher.now, &agent.into(), Presence::Away("home".to_owned())).unwrap();
        }
        watcher.check();
        watcher.passes(Duration::from_secs(61));
        prop_assert!(watcher.waiting.is_empty(), "nobody waits for nobody");
        let talking = watcher.acd.agents().filter(|agent| agent.activity == Activity::Talking).count();
        prop_assert_eq!(watcher.acd.tickets(), talking);
    }

    #[test]
    fn without_refusals_the_line_is_served_in_order(
        arrivals in proptest::collection::vec((40..160_u32, 0..30_u64), 1..12),
    ) {
        let mut watcher = Watcher::new("longest_idle");
        watcher.acd.registered(watcher.now, &"b".into(), true).unwrap();
        watcher.apply(&Step::Away(0));
        for (priority, gap) in arrivals {
            watcher.apply(&Step::Enqueue { priority, skilled: false });
            watcher.apply(&Step::Passes(gap % 5));
        }
        let mut last = None;
        while let Some((id, (_, ticket))) = watcher.held.first_key_value().map(|(id, held)| (*id, held.clone())) {
            let order = (std::cmp::Reverse(watcher.tickets[&ticket].priority), watcher.tickets[&ticket].since);
            if let Some((first, before)) = last {
                prop_assert!(first || before <= order, "{before:?} then {order:?}");
            }
            last = Some((last.is_none(), order));
            watcher.acd.freed(watcher.now, id);
            watcher.held.remove(&id);
            watcher.check();
        }
        prop_assert!(watcher.waiting.is_empty());
    }
}
