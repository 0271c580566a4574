//! The distributor with a watcher beside it: who waits, who has whom, and that nobody is passed over.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use segue_acd::{
    AcdConfig, Activity, AgentId, Distributor, Notice, Presence, Refusal, ReservationId, Ticket, TicketId,
    Unqueued, priority::waiting_bonus,
};

use crate::rules::{Verdict, must};

/// A request to the distributor.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    Enqueue(Ticket),
    Withdraw(TicketId),
    Refused(ReservationId, Refusal),
    Took(ReservationId),
    Freed(ReservationId),
    Moved(ReservationId, Option<AgentId>),
}

/// The real distributor and what its notices have said.
#[derive(Debug)]
pub(crate) struct Switchboard {
    pub(crate) acd: Distributor,
    skills: BTreeMap<AgentId, BTreeSet<segue_acd::Skill>>,
    pause: Duration,
    waiting: BTreeMap<TicketId, Ticket>,
    held: BTreeMap<ReservationId, (AgentId, Ticket)>,
    refusals: BTreeMap<(TicketId, AgentId), Duration>,
}

impl Switchboard {
    pub(crate) fn new(config: AcdConfig) -> Result<Self, String> {
        let skills = config.agents.iter().map(|agent| (agent.id.clone(), agent.skills.clone())).collect();
        let pause = config.refusal_pause;
        let acd = Distributor::new(config).map_err(|error| error.to_string())?;
        let (waiting, held, refusals) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Ok(Self { acd, skills, pause, waiting, held, refusals })
    }

    /// Carries a request out.
    pub(crate) fn request(&mut self, now: Duration, request: Request) -> Verdict {
        match request {
            Request::Enqueue(ticket) => {
                self.waiting.insert(ticket.id, ticket.clone());
                self.acd.enqueue(now, ticket);
            }
            Request::Withdraw(ticket) => {
                self.forget(ticket);
                self.acd.withdraw(now, ticket);
            }
            Request::Refused(reservation, refusal) => {
                let held = self.held.remove(&reservation);
                self.acd.refused(now, reservation, refusal);
                if let Some((agent, ticket)) = held {
                    let missed = matches!(refusal, Refusal::NoAnswer | Refusal::Unreachable);
                    let view = self.acd.agent(&agent);
                    let away = view.is_some_and(|view| matches!(view.presence, Presence::Away(_)));
                    must!(!missed || away, "{agent} was {refusal:?} and is not marked away");
                    self.refusals.insert((ticket.id, agent), now);
                    self.waiting.insert(ticket.id, ticket);
                }
            }
            Request::Took(reservation) => self.acd.took(now, reservation),
            Request::Moved(reservation, to) => self.acd.moved(now, reservation, to.as_ref()),
            Request::Freed(reservation) => {
                self.held.remove(&reservation);
                self.acd.freed(now, reservation);
            }
        }
        Ok(())
    }

    /// The next notice, once it is found to be right.
    pub(crate) fn notice(&mut self, now: Duration) -> Result<Option<Notice>, String> {
        let Some(notice) = self.acd.poll_notice() else {
            must!(
                self.acd.tickets() == self.waiting.len() + self.held.len(),
                "a ticket is lost or was kept too long"
            );
            return Ok(None);
        };
        match &notice {
            Notice::Waiting { ticket, .. } => {
                must!(self.waiting.contains_key(ticket), "{ticket} has a place and does not wait");
            }
            Notice::Unqueued { ticket, why } => {
                let held = self.held.values().any(|(_, held)| held.id == *ticket);
                must!(held == (*why == Unqueued::Lapsed), "{ticket} is told {why:?}; held: {held}");
                self.forget(*ticket);
            }
            Notice::Reserved { ticket, reservation, agent, .. } => {
                self.reserved(now, *ticket, *reservation, agent)?;
            }
        }
        Ok(Some(notice))
    }

    /// Nothing waits, nobody is held or talks.
    pub(crate) fn nothing_left(&self) -> Verdict {
        must!(self.acd.tickets() == 0, "{} tickets are left", self.acd.tickets());
        let busy = self.acd.agents().find(|agent| {
            matches!(agent.activity, Activity::Reserved | Activity::Talking) || agent.reservation.is_some()
        });
        must!(busy.is_none(), "an agent is left: {busy:?}");
        Ok(())
    }

    fn reserved(
        &mut self,
        now: Duration,
        ticket: TicketId,
        reservation: ReservationId,
        agent: &AgentId,
    ) -> Verdict {
        let Some(ticket) = self.waiting.remove(&ticket) else {
            return Err(format!("{ticket} gets {agent} and does not wait"));
        };
        let other = self.held.values().find(|(held, _)| held == agent);
        must!(other.is_none(), "{agent} is held for {} and for {other:?}", ticket.id);
        let passed_over = self.waiting.values().find(|rival| self.stands_before(now, rival, &ticket, agent));
        must!(passed_over.is_none(), "{} gets {agent} before {passed_over:?}", ticket.id);
        self.held.insert(reservation, (agent.clone(), ticket));
        Ok(())
    }

    /// Whether a waiting ticket should have had the agent: the same demands, before in line, not refused lately.
    fn stands_before(&self, now: Duration, rival: &Ticket, served: &Ticket, agent: &AgentId) -> bool {
        let order = |ticket: &Ticket| {
            let bonus = waiting_bonus(now.saturating_sub(ticket.since));
            (Reverse(ticket.priority.saturating_add(bonus)), ticket.since, ticket.id)
        };
        let same = (&rival.queue, &rival.skills, &rival.language)
            == (&served.queue, &served.skills, &served.language);
        // A ticket that moved to a fallback may get an agent whom its own queue would not give it.
        let own =
            self.skills.get(agent).is_some_and(|skills| skills.iter().any(|skill| skill.0 == rival.queue.0));
        let moved = rival.queue.0 == crate::scenario::SKILLED_QUEUE && !own;
        let refused = self.refusals.get(&(rival.id, agent.clone())).is_some_and(|at| now < *at + self.pause);
        same && !moved && !refused && order(rival) < order(served)
    }

    fn forget(&mut self, ticket: TicketId) {
        self.waiting.remove(&ticket);
        self.held.retain(|_, (_, held)| held.id != ticket);
    }
}
