//! The task that owns the distributor: calls ask it for an agent, phones and people tell it who is there.
//!
//! It is the one place where an agent is given to a call, so two calls never get the same one.

use std::{collections::BTreeMap, time::Duration};

use segue_acd::{
    AgentId, AgentView, Distributor, Notice, Presence, QueueView, Refusal, ReservationId, Ticket, TicketId,
    UnknownAgent,
};
use segue_call::Event;
use tokio::sync::{mpsc, oneshot};

use crate::{call::News, clock::Clock};

/// Requests that may wait. At the limit a call waits its turn to ask; nothing is lost.
const REQUESTS_MAX: usize = 4_096;
/// How often the task looks for calls that died without leaving the queue.
const LOOK_AROUND: Duration = Duration::from_secs(5);

/// What the distributor is asked.
pub(crate) enum Request {
    /// Find an agent; news goes to the call.
    Enqueue(Ticket, mpsc::Sender<News>),
    /// The call wants nobody any more.
    Withdraw(TicketId),
    /// The held agent did not take the call.
    Refused(ReservationId, Refusal),
    /// The held agent is bridged.
    Took(ReservationId),
    /// The agent's conversation is over.
    Freed(ReservationId),
    /// The agent gave the conversation to this agent, or to somebody outside.
    Moved(ReservationId, Option<AgentId>),
    /// An agent says something of themselves.
    Presence(AgentId, Presence, oneshot::Sender<Result<AgentView, UnknownAgent>>),
    /// A phone came or went, by its user name.
    Phone(String, bool),
    /// Who is there?
    Agents(oneshot::Sender<Vec<AgentView>>),
    /// Who waits?
    Queues(oneshot::Sender<Vec<QueueView>>),
    /// How many tickets wait or have an agent?
    Tickets(oneshot::Sender<usize>),
}

/// How others reach the task.
#[derive(Clone)]
pub(crate) struct Distribution {
    requests: mpsc::Sender<Request>,
}

impl Distribution {
    /// The handle, and the task to be run.
    pub(crate) fn new(distributor: Distributor, clock: Clock) -> (Self, impl Future<Output = ()>) {
        let (requests, inbox) = mpsc::channel(REQUESTS_MAX);
        let task = Task { distributor, clock, inbox, owners: BTreeMap::new() };
        (Self { requests }, task.run())
    }

    /// Tells or asks something. After the task's end nothing happens: the program is going down.
    pub(crate) async fn tell(&self, request: Request) {
        if self.requests.send(request).await.is_err() {
            tracing::debug!("the distributor has ended");
        }
    }

    /// Asks for something that is answered at once.
    pub(crate) async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.tell(request(reply)).await;
        answer.await.ok()
    }
}

struct Task {
    distributor: Distributor,
    clock: Clock,
    inbox: mpsc::Receiver<Request>,
    /// Who hears about a ticket.
    owners: BTreeMap<TicketId, mpsc::Sender<News>>,
}

impl Task {
    async fn run(mut self) {
        let mut look = self.clock.now() + LOOK_AROUND;
        loop {
            let alarm = self.distributor.poll_timeout().map_or(look, |due| due.min(look));
            match tokio::time::timeout_at(self.clock.instant(alarm), self.inbox.recv()).await {
                Ok(Some(request)) => self.take(request),
                Ok(None) => return,
                Err(_elapsed) => self.distributor.alarm(self.clock.now()),
            }
            if self.clock.now() >= look {
                self.forget_the_dead();
                look = self.clock.now() + LOOK_AROUND;
            }
            while let Some(notice) = self.distributor.poll_notice() {
                self.pass_on(notice);
            }
        }
    }

    fn take(&mut self, request: Request) {
        let now = self.clock.now();
        match request {
            Request::Enqueue(ticket, owner) => {
                self.owners.insert(ticket.id, owner);
                self.distributor.enqueue(now, ticket);
            }
            Request::Withdraw(ticket) => {
                self.owners.remove(&ticket);
                self.distributor.withdraw(now, ticket);
            }
            Request::Refused(reservation, refusal) => self.distributor.refused(now, reservation, refusal),
            Request::Took(reservation) => self.distributor.took(now, reservation),
            Request::Freed(reservation) => self.distributor.freed(now, reservation),
            Request::Moved(reservation, to) => self.distributor.moved(now, reservation, to.as_ref()),
            Request::Presence(agent, presence, reply) => {
                let said = self.distributor.presence(now, &agent, presence);
                let view = said.and_then(|()| self.distributor.agent(&agent).ok_or(UnknownAgent(agent)));
                answer(reply, view);
            }
            Request::Phone(user, registered) => {
                if let Some(agent) = self.distributor.agent_by_user(&user).cloned()
                    && let Err(error) = self.distributor.registered(now, &agent, registered)
                {
                    tracing::error!(%error, "the distributor lost an agent");
                }
            }
            Request::Agents(reply) => answer(reply, self.distributor.agents().collect()),
            Request::Queues(reply) => answer(reply, self.distributor.queues(now).collect()),
            Request::Tickets(reply) => answer(reply, self.distributor.tickets()),
        }
    }

    /// A call that ended without a word, by a bug of ours, gives back its place and its agent.
    fn forget_the_dead(&mut self) {
        let dead: Vec<TicketId> =
            self.owners.iter().filter(|(_, owner)| owner.is_closed()).map(|(ticket, _)| *ticket).collect();
        for ticket in dead {
            self.owners.remove(&ticket);
            self.distributor.withdraw(self.clock.now(), ticket);
        }
    }

    /// A call whose inbox is full or gone cannot be served: its place is given to the next.
    fn pass_on(&mut self, notice: Notice) {
        let (ticket, last) = match &notice {
            Notice::Waiting { ticket, .. } | Notice::Reserved { ticket, .. } => (*ticket, false),
            Notice::Unqueued { ticket, .. } => (*ticket, true),
        };
        let Some(owner) = self.owners.get(&ticket) else { return };
        if owner.try_send(News::Event(Box::new(Event::Notice(notice)))).is_err() {
            tracing::warn!(ticket = ticket.0, "a call does not take news of its place any more");
            self.distributor.withdraw(self.clock.now(), ticket);
        }
        if last {
            self.owners.remove(&ticket);
        }
    }
}

fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    // Who asked may have gone; then nobody wants the answer.
    drop(reply.send(value));
}
