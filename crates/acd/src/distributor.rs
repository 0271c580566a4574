//! The distributor: every change is one step — settle what time has done, change, give agents out, tell callers.
//!
//! Exactly one call gets an agent: an agent is out of the line from the moment of a reservation until the call gives
//! them back, was served, or the lease lapses. A reservation's number is used once; late news names an old number
//! and changes nothing. Whoever drives this takes every notice after each call and sets one alarm.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use crate::{
    agent::Agent,
    config::{AcdConfig, AcdConfigError, AgentConfig, QueueConfig, Strategy},
    estimate::{HandleTime, estimate},
    hours::Hours,
    view::{AgentView, QueueView},
    waiting::{News, Waiting},
    words::{AgentId, Notice, Presence, QueueId, Refusal, ReservationId, Ticket, TicketId, Unqueued},
};

/// Owns agents, queues, tickets and reservations, and gives each waiting call one agent.
#[derive(Debug)]
pub struct Distributor {
    agents: BTreeMap<AgentId, Agent>,
    queues: BTreeMap<QueueId, Queue>,
    waiting: BTreeMap<TicketId, Waiting>,
    reservations: BTreeMap<ReservationId, Reservation>,
    rules: Rules,
    /// The number of the newest reservation.
    reserved: u64,
    notices: VecDeque<Notice>,
    wake: Option<Duration>,
}

/// No agent of this name is configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no agent {0}: see the configured agents")]
pub struct UnknownAgent(pub AgentId);

#[derive(Debug)]
struct Rules {
    strategy: Strategy,
    wrap_up: Duration,
    lease: Duration,
    pause: Duration,
    notice_interval: Duration,
}

#[derive(Debug)]
struct Queue {
    config: QueueConfig,
    handle_time: HandleTime,
}

/// One agent held for one ticket, which is out of the line meanwhile.
#[derive(Debug)]
struct Reservation {
    agent: AgentId,
    waiting: Waiting,
    made: Duration,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Being rung or briefed; at `until` the call is taken for dead.
    Held { until: Duration },
    /// Bridged.
    Talking,
}

impl Distributor {
    /// Begins with nobody in line.
    ///
    /// # Errors
    /// Every mistake in the configuration, at once.
    pub fn new(config: AcdConfig) -> Result<Self, AcdConfigError> {
        config.check()?;
        let rules = Rules {
            strategy: config.strategy,
            wrap_up: config.wrap_up,
            lease: config.reservation_lease,
            pause: config.refusal_pause,
            notice_interval: config.notice_interval,
        };
        let queue = |config: QueueConfig| {
            let handle_time = HandleTime::new(config.handle_time);
            (config.id.clone(), Queue { config, handle_time })
        };
        Ok(Self {
            agents: config.agents.into_iter().map(|agent| (agent.id.clone(), Agent::new(agent))).collect(),
            queues: config.queues.into_iter().map(queue).collect(),
            waiting: BTreeMap::new(),
            reservations: BTreeMap::new(),
            rules,
            reserved: 0,
            notices: VecDeque::new(),
            wake: None,
        })
    }

    /// Takes what an agent says of themselves. A call that they are in or held for goes on.
    ///
    /// # Errors
    /// If no such agent is configured.
    pub fn presence(
        &mut self,
        now: Duration,
        agent: &AgentId,
        presence: Presence,
    ) -> Result<(), UnknownAgent> {
        self.settle(now);
        self.known(agent)?.says(now, presence);
        self.leave_deserted(now);
        self.share_out(now);
        Ok(())
    }

    /// Takes whether an agent's phone is registered here. Without it only an agent with a fixed address can be rung.
    ///
    /// # Errors
    /// If no such agent is configured.
    pub fn registered(
        &mut self,
        now: Duration,
        agent: &AgentId,
        registered: bool,
    ) -> Result<(), UnknownAgent> {
        self.settle(now);
        self.known(agent)?.registers(now, registered);
        self.leave_deserted(now);
        self.share_out(now);
        Ok(())
    }

    /// Puts a call in line. Its first notice is ready at once: a place, an agent, or why not.
    ///
    /// A ticket that waits already takes the new score and keeps the older age; one that has an agent is not changed.
    pub fn enqueue(&mut self, now: Duration, ticket: Ticket) {
        self.settle(now);
        if let Some(waiting) = self.waiting.get_mut(&ticket.id) {
            waiting.renew(ticket);
        } else if self.reservation_of(ticket.id).is_none() {
            match self.would_take(now, &ticket) {
                Ok(queue) => {
                    self.waiting.insert(ticket.id, Waiting::new(ticket, queue));
                }
                Err(why) => self.notices.push_back(Notice::Unqueued { ticket: ticket.id, why }),
            }
        }
        self.share_out(now);
    }

    /// Takes a call out of the line and gives back the agent held for it or talking to it. A second time changes
    /// nothing. This is also what to do when a call's task died.
    pub fn withdraw(&mut self, now: Duration, ticket: TicketId) {
        self.settle(now);
        self.notices.retain(|notice| concerns(notice) != ticket);
        if self.waiting.remove(&ticket).is_none()
            && let Some(id) = self.reservation_of(ticket)
        {
            self.release(now, id);
        }
        self.share_out(now);
    }

    /// Takes how a reserved agent did not take the call. The ticket waits on with its age, unless the call is gone.
    pub fn refused(&mut self, now: Duration, reservation: ReservationId, refusal: Refusal) {
        self.settle(now);
        if let Some(Reservation { agent, mut waiting, .. }) = self.take_held(reservation) {
            let pause = now.saturating_add(self.rules.pause);
            if let Some(agent) = self.agents.get_mut(&agent) {
                agent.given_back(now);
                match refusal {
                    Refusal::NoAnswer => agent.missed("did not answer"),
                    Refusal::Unreachable => agent.missed("could not be reached"),
                    Refusal::Busy => agent.rests(pause),
                    Refusal::Declined | Refusal::HungUp | Refusal::CallGone => {}
                }
            }
            if refusal != Refusal::CallGone {
                waiting.refused_by(agent, pause);
                self.waiting.insert(waiting.ticket.id, waiting);
            }
            self.leave_deserted(now);
        }
        self.share_out(now);
    }

    /// Takes that the reserved agent is bridged: the lease no longer runs.
    pub fn took(&mut self, now: Duration, reservation: ReservationId) {
        self.settle(now);
        if let Some(held) = self.reservations.get_mut(&reservation)
            && held.stage != Stage::Talking
        {
            held.stage = Stage::Talking;
            if let Some(agent) = self.agents.get_mut(&held.agent) {
                agent.talks(now, reservation);
            }
        }
        self.share_out(now);
    }

    /// Takes that the conversation is over: wrap-up begins. An agent who was not bridged is simply given back.
    pub fn freed(&mut self, now: Duration, reservation: ReservationId) {
        self.settle(now);
        self.release(now, reservation);
        self.share_out(now);
    }

    /// Takes that the agent gave the conversation to somebody else, and wraps up. If that is an agent who is in no other
    /// call, the reservation is theirs from here on; otherwise it ends.
    pub fn moved(&mut self, now: Duration, reservation: ReservationId, to: Option<&AgentId>) {
        self.settle(now);
        let talking = self.reservations.get_mut(&reservation).filter(|held| held.stage == Stage::Talking);
        if let Some(held) = talking
            && to != Some(&held.agent)
        {
            match to.and_then(|to| self.agents.get_mut(to)).filter(|next| next.is_free()) {
                Some(next) => {
                    next.talks(now, reservation);
                    let before = std::mem::replace(&mut held.agent, next.config.id.clone());
                    if let Some(before) = self.agents.get_mut(&before) {
                        before.wraps_up(now, self.rules.wrap_up);
                    }
                }
                None => self.release(now, reservation),
            }
        }
        self.share_out(now);
    }

    /// The time that [`Self::poll_timeout`] named has come. Any other time does no harm.
    pub fn alarm(&mut self, now: Duration) {
        self.settle(now);
        self.share_out(now);
    }

    /// The next piece of news, oldest first.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// When [`Self::alarm`] is wanted, on the same clock as `now`.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.wake
    }

    /// Which queue would take a ticket, before anything is promised to its caller (R11): its own, or the first of
    /// its fallbacks that is open, staffed and not full (R08).
    ///
    /// # Errors
    /// Why its own queue cannot, if no fallback can.
    pub fn would_take(&self, now: Duration, ticket: &Ticket) -> Result<QueueId, Unqueued> {
        let home = self.queues.get(&ticket.queue).ok_or(Unqueued::UnknownQueue)?;
        let Err(why) = self.room_in(now, home, ticket) else {
            return Ok(ticket.queue.clone());
        };
        let mut fallbacks = home.config.fallback.iter().filter_map(|id| self.queues.get(id));
        fallbacks
            .find(|queue| self.room_in(now, queue, ticket).is_ok())
            .map(|queue| queue.config.id.clone())
            .ok_or(why)
    }

    /// Every agent, by id.
    pub fn agents(&self) -> impl Iterator<Item = AgentView> + '_ {
        self.agents.values().map(Agent::view)
    }

    /// One agent.
    #[must_use]
    pub fn agent(&self, id: &AgentId) -> Option<AgentView> {
        self.agents.get(id).map(Agent::view)
    }

    /// How an agent is configured, for their phone.
    #[must_use]
    pub fn agent_config(&self, id: &AgentId) -> Option<&AgentConfig> {
        self.agents.get(id).map(|agent| &agent.config)
    }

    /// Whose phone registers under a user name.
    #[must_use]
    pub fn agent_by_user(&self, user: &str) -> Option<&AgentId> {
        self.agents
            .values()
            .find(|agent| agent.config.user.as_deref() == Some(user))
            .map(|agent| &agent.config.id)
    }

    /// Every queue, by id.
    pub fn queues(&self, now: Duration) -> impl Iterator<Item = QueueView> + '_ {
        self.queues.values().map(move |queue| self.queue_view(now, queue))
    }

    /// How many tickets wait or have an agent. Zero when every call is over.
    #[must_use]
    pub fn tickets(&self) -> usize {
        self.waiting.len() + self.reservations.len()
    }

    fn queue_view(&self, now: Duration, queue: &Queue) -> QueueView {
        let line = || self.waiting.values().filter(|waiting| waiting.queue == queue.config.id);
        let serving = || {
            self.agents
                .values()
                .filter(|agent| agent.staffed() && queue.config.skills.is_subset(&agent.config.skills))
        };
        QueueView {
            id: queue.config.id.clone(),
            spoken: queue.config.spoken.clone(),
            waiting: count(line()),
            longest_wait: line()
                .map(|waiting| now.saturating_sub(waiting.ticket.since))
                .max()
                .unwrap_or_default(),
            staffed: count(serving()),
            ready: count(serving().filter(|agent| agent.ready(now))),
            handle_time: queue.handle_time.mean(),
            open: queue.open_at(now),
        }
    }

    fn known(&mut self, agent: &AgentId) -> Result<&mut Agent, UnknownAgent> {
        self.agents.get_mut(agent).ok_or_else(|| UnknownAgent(agent.clone()))
    }

    fn reservation_of(&self, ticket: TicketId) -> Option<ReservationId> {
        let mut all = self.reservations.iter();
        all.find(|(_, reservation)| reservation.waiting.ticket.id == ticket).map(|(id, _)| *id)
    }

    fn take_held(&mut self, id: ReservationId) -> Option<Reservation> {
        self.reservations.get(&id).filter(|reservation| reservation.stage != Stage::Talking)?;
        self.reservations.remove(&id)
    }

    /// Ends a reservation and its ticket, whatever its stage.
    fn release(&mut self, now: Duration, id: ReservationId) {
        let Some(ended) = self.reservations.remove(&id) else { return };
        let Some(agent) = self.agents.get_mut(&ended.agent) else { return };
        match ended.stage {
            Stage::Held { .. } => agent.given_back(now),
            Stage::Talking => {
                agent.wraps_up(now, self.rules.wrap_up);
                if let Some(queue) = self.queues.get_mut(&ended.waiting.queue) {
                    queue.handle_time.observe(now.saturating_sub(ended.made) + self.rules.wrap_up);
                }
            }
        }
    }

    /// What time has done by itself: wrap-ups end, leases lapse.
    fn settle(&mut self, now: Duration) {
        for agent in self.agents.values_mut() {
            agent.settle(now);
        }
        let lapsed: Vec<_> =
            self.reservations.iter().filter(|(_, held)| held.lapsed(now)).map(|(id, _)| *id).collect();
        for id in lapsed {
            if let Some(Reservation { waiting, .. }) = self.reservations.get(&id) {
                self.notices.push_back(Notice::Unqueued { ticket: waiting.ticket.id, why: Unqueued::Lapsed });
            }
            self.release(now, id);
        }
    }

    /// The second half of every step: agents are given out, callers are told, the alarm is set.
    fn share_out(&mut self, now: Duration) {
        self.reserve(now);
        let told = self.tell_places(now);
        let agents = self.agents.values().filter_map(|agent| agent.next_change(now));
        let leases = self.reservations.values().filter_map(Reservation::next_change);
        let line = self.waiting.values();
        let line = line.flat_map(|waiting| [waiting.next_order(now), waiting.next_asking(now)]).flatten();
        self.wake = agents.chain(leases).chain(line).chain(told).min();
    }

    /// An agent may have gone: tickets that nobody is left for move to a fallback, or are told so.
    fn leave_deserted(&mut self, now: Duration) {
        for (id, _, staffed) in self.line(now) {
            if staffed > 0 {
                continue;
            }
            let Some(waiting) = self.waiting.get(&id) else { continue };
            match self.would_take(now, &waiting.ticket) {
                Ok(queue) => {
                    if let Some(waiting) = self.waiting.get_mut(&id) {
                        waiting.moves_to(queue);
                    }
                }
                Err(_) => {
                    self.waiting.remove(&id);
                    self.notices.push_back(Notice::Unqueued { ticket: id, why: Unqueued::EverybodyAway });
                }
            }
        }
    }

    /// Gives ready agents out, the first in line first.
    fn reserve(&mut self, now: Duration) {
        let mut ready = self.agents.values().filter(|agent| agent.ready(now)).count();
        if ready == 0 {
            return;
        }
        for id in self.in_order(now) {
            if ready == 0 {
                return;
            }
            let Some(agent) = self.waiting.get(&id).and_then(|waiting| self.choose(now, waiting)) else {
                continue;
            };
            self.hold(now, id, &agent);
            ready -= 1;
        }
    }

    /// The agent for a ticket: who has not refused it goes before who has, then the strategy decides, then the id.
    fn choose(&self, now: Duration, waiting: &Waiting) -> Option<AgentId> {
        let queue = self.queues.get(&waiting.queue)?;
        self.agents
            .iter()
            .filter(|(_, agent)| agent.ready(now) && agent.serves(&queue.config, &waiting.ticket))
            .filter_map(|(id, agent)| {
                let refused_before = waiting.may_ask(now, id)?;
                Some((refused_before, agent.rank(self.rules.strategy), id))
            })
            .min()
            .map(|(_, _, id)| id.clone())
    }

    fn hold(&mut self, now: Duration, ticket: TicketId, id: &AgentId) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        let Some(waiting) = self.waiting.remove(&ticket) else { return };
        self.reserved += 1;
        let reservation = ReservationId(self.reserved);
        agent.reserve(now, reservation, self.reserved);
        let agent_name = agent.config.name.clone();
        let stage = Stage::Held { until: now.saturating_add(self.rules.lease) };
        self.reservations.insert(reservation, Reservation { agent: id.clone(), waiting, made: now, stage });
        self.notices.push_back(Notice::Reserved { ticket, reservation, agent: id.clone(), agent_name });
    }

    /// Tells every caller whose place or estimate changed; gives the moments at which held-back news is due.
    fn tell_places(&mut self, now: Duration) -> Vec<Duration> {
        let mut later = Vec::new();
        for (ticket, position, staffed) in self.line(now) {
            let Some(waiting) = self.waiting.get_mut(&ticket) else { continue };
            let Some(queue) = self.queues.get(&waiting.queue) else { continue };
            let wait = estimate(position, staffed, queue.handle_time.mean());
            match waiting.tell(now, position, wait, self.rules.notice_interval) {
                News::None => {}
                News::Later(at) => later.push(at),
                News::Now => self.notices.push_back(Notice::Waiting { ticket, position, wait }),
            }
        }
        later
    }

    fn in_order(&self, now: Duration) -> Vec<TicketId> {
        let mut line: Vec<_> = self.waiting.values().map(|waiting| waiting.order(now)).collect();
        line.sort_unstable();
        line.into_iter().map(|(_, _, id)| id).collect()
    }

    /// Every waiting ticket in order, with its place in its queue and the number of agents staffed for it.
    fn line(&self, now: Duration) -> Vec<(TicketId, u32, u32)> {
        let mut places: BTreeMap<&QueueId, u32> = BTreeMap::new();
        let mut known = BTreeMap::new();
        let mut line = Vec::with_capacity(self.waiting.len());
        for id in self.in_order(now) {
            let Some(Waiting { ticket, queue, .. }) = self.waiting.get(&id) else { continue };
            let place = places.entry(queue).or_default();
            *place += 1;
            let asks = (queue, &ticket.skills, &ticket.language);
            let staffed = *known.entry(asks).or_insert_with(|| self.staffed(queue, ticket));
            line.push((id, *place, staffed));
        }
        line
    }

    fn staffed(&self, queue: &QueueId, ticket: &Ticket) -> u32 {
        let Some(queue) = self.queues.get(queue) else { return 0 };
        count(self.agents.values().filter(|agent| agent.staffed() && agent.serves(&queue.config, ticket)))
    }

    /// Whether a queue can take one more ticket, and if not, why.
    fn room_in(&self, now: Duration, queue: &Queue, ticket: &Ticket) -> Result<(), Unqueued> {
        if !queue.open_at(now) {
            return Err(Unqueued::Closed);
        }
        if self.staffed(&queue.config.id, ticket) == 0 {
            return Err(Unqueued::EverybodyAway);
        }
        let waiting = count(self.waiting.values().filter(|waiting| waiting.queue == queue.config.id));
        let helped_at_once =
            || self.agents.values().any(|agent| agent.ready(now) && agent.serves(&queue.config, ticket));
        if waiting >= queue.config.size_limit && !helped_at_once() {
            return Err(Unqueued::QueueFull);
        }
        Ok(())
    }
}

impl Queue {
    fn open_at(&self, now: Duration) -> bool {
        self.config.hours.as_ref().is_none_or(|hours: &Hours| hours.open_at(now))
    }
}

impl Reservation {
    fn lapsed(&self, now: Duration) -> bool {
        self.next_change().is_some_and(|until| until <= now)
    }

    fn next_change(&self) -> Option<Duration> {
        match self.stage {
            Stage::Held { until } => Some(until),
            Stage::Talking => None,
        }
    }
}

fn concerns(notice: &Notice) -> TicketId {
    match notice {
        Notice::Waiting { ticket, .. }
        | Notice::Unqueued { ticket, .. }
        | Notice::Reserved { ticket, .. } => *ticket,
    }
}

fn count<T>(all: impl Iterator<Item = T>) -> u32 {
    u32::try_from(all.count()).unwrap_or(u32::MAX)
}
