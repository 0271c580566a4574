//! One ticket while it waits: its score, who refused it, and what its caller was told.

use std::{cmp::Reverse, collections::BTreeMap, time::Duration};

use crate::{
    estimate::worth_telling,
    priority::{WAITING_LONG, waiting_bonus},
    words::{AgentId, QueueId, Ticket, TicketId, WaitEstimate},
};

/// A ticket in line.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) ticket: Ticket,
    /// The queue that serves it: its own, or a fallback.
    pub(crate) queue: QueueId,
    /// Agents who did not take it, and until when they are not asked again.
    refused: BTreeMap<AgentId, Duration>,
    told: Option<Told>,
}

/// The last notice about the ticket's place.
#[derive(Clone, Copy, Debug)]
struct Told {
    position: u32,
    wait: WaitEstimate,
    at: Duration,
}

/// Whether the caller of a ticket should hear of its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Nothing that is worth telling.
    None,
    /// There is news, but not before this moment.
    Later(Duration),
    /// Now.
    Now,
}

impl Waiting {
    pub(crate) fn new(ticket: Ticket, queue: QueueId) -> Self {
        Self { ticket, queue, refused: BTreeMap::new(), told: None }
    }

    /// The line's order: the raw priority with what waiting adds, then age, then the number (R13).
    pub(crate) fn order(&self, now: Duration) -> (Reverse<u32>, Duration, TicketId) {
        let bonus = waiting_bonus(now.saturating_sub(self.ticket.since));
        (Reverse(self.ticket.priority.saturating_add(bonus)), self.ticket.since, self.ticket.id)
    }

    /// When the order may change without anything happening.
    pub(crate) fn next_order(&self, now: Duration) -> Option<Duration> {
        let at = self.ticket.since.saturating_add(WAITING_LONG + Duration::from_millis(1));
        (at > now).then_some(at)
    }

    /// Takes the same ticket again, with a new score: the age is kept, the older of the two.
    pub(crate) fn renew(&mut self, ticket: Ticket) {
        let since = self.ticket.since.min(ticket.since);
        self.ticket = Ticket { since, ..ticket };
    }

    /// Remembers who did not take it. A new notice is due: the line looks different to its caller.
    pub(crate) fn refused_by(&mut self, agent: AgentId, until: Duration) {
        self.refused.insert(agent, until);
        self.told = None;
    }

    /// Whether this agent may be asked: `None` while they are left in peace, else whether they refused before.
    pub(crate) fn may_ask(&self, now: Duration, agent: &AgentId) -> Option<bool> {
        match self.refused.get(agent) {
            None => Some(false),
            Some(until) => (*until <= now).then_some(true),
        }
    }

    /// When somebody who refused may be asked again.
    pub(crate) fn next_asking(&self, now: Duration) -> Option<Duration> {
        self.refused.values().copied().filter(|until| *until > now).min()
    }

    /// Whether a place and an estimate are news, and remembers them if they are told now.
    pub(crate) fn tell(
        &mut self,
        now: Duration,
        position: u32,
        wait: WaitEstimate,
        interval: Duration,
    ) -> News {
        let news = match self.told {
            None => News::Now,
            Some(told) if told.position == position && !worth_telling(told.wait, wait) => News::None,
            Some(told) => match whole_second(told.at.saturating_add(interval)) {
                due if due <= now => News::Now,
                due => News::Later(due),
            },
        };
        if news == News::Now {
            self.told = Some(Told { position, wait, at: now });
        }
        news
    }

    /// Forgets what was told: the ticket moved to another queue.
    pub(crate) fn moves_to(&mut self, queue: QueueId) {
        self.queue = queue;
        self.told = None;
    }
}

/// The next whole second: a thousand callers in line are then told by one alarm a second, not by a thousand.
fn whole_second(at: Duration) -> Duration {
    Duration::from_secs(at.as_secs() + u64::from(at.subsec_nanos() > 0))
}
