//! A handoff under way: the announcement to the caller and the search for an agent run side by side, and meet at
//! the bridge.
//!
//! ```text
//!            announcement: playing ─────────────► heard ──┐
//! request ─┬─                                             ├─► introducing ─► bridge
//!          └─ agent: asked ─► queued ─► offered ─► ringing ─► briefing ─► accepted
//!                    ▲          ▲ └────────┴──────────┴──────────┴───────────┘ refused, lost
//! ```
//! The bot's leg, if it is up, stays up and hears nothing until the bridge, so that every way out of here but the
//! bridge leads back to it.

use std::time::Duration;

use segue_acd::{Notice, QueueId, ReservationId, Ticket, TicketId, Unqueued};

use super::{
    State, agent_side,
    agent_side::Offer,
    bot_side,
    bot_side::Why,
    core::{Core, Spoken},
    news::{News, Request},
    routing,
    timers::Timer,
    waiting::{Place, Told},
};
use crate::{
    action::{Action, HangUpWhy, Prompt},
    policy::{Message, TICKETS_PER_HANDOFF},
    record::{Entry, HandoffRecord, Milestone},
    state::{HandoffState, Phase},
};

/// A handoff under way.
#[derive(Debug)]
pub(crate) struct Handoff {
    pub(crate) record: HandoffRecord,
    pub(crate) queue: QueueId,
    pub(crate) ticket: TicketId,
    tickets: u32,
    /// How often an agent was asked.
    offers: u32,
    /// The newest reservation that was heard of: it, and what is older, is late news when it is told again.
    newest: Option<ReservationId>,
    /// When the first announcement was heard.
    pub(crate) announced: Option<Duration>,
    told: Told,
    pub(crate) agent: AgentSide,
}

/// The search for an agent.
#[derive(Clone, Debug)]
pub(crate) enum AgentSide {
    /// The distributor has not said anything yet.
    Asked,
    /// The call waits; its place is known once the distributor told it.
    Queued(Option<Place>),
    /// An agent is held and dialled.
    Offered(Offer),
    /// The agent's phone rings.
    Ringing(Offer),
    /// The agent hears the brief.
    Briefing(Offer),
    /// The agent accepted; the announcement is still being spoken.
    Accepted(Offer),
    /// The agent is being introduced to the caller.
    Introducing(Offer),
}

impl AgentSide {
    /// The agent that is held.
    pub(crate) fn offer(&self) -> Option<&Offer> {
        match self {
            Self::Asked | Self::Queued(_) => None,
            Self::Offered(offer)
            | Self::Ringing(offer)
            | Self::Briefing(offer)
            | Self::Accepted(offer)
            | Self::Introducing(offer) => Some(offer),
        }
    }
}

/// Opens a handoff: in one step the caller is told and the search begins.
pub(crate) fn open(core: &mut Core, request: Request) -> State {
    core.publish(Milestone::Decided(request.decision.clone()));
    let number = core.next_handoff();
    if number > core.policy.limits.handoffs {
        return leave_to_bot(core, &[Message::SorryLimit], "");
    }
    core.timers.stop_all();
    core.wire_hold();
    core.stop_dialling_bot();
    let queue = routing::queue(&core.policy.routes, &request, core.known.transcript.finals().iter());
    let handoff = Handoff {
        record: new_record(number, core.now, &request),
        ticket: core.next_ticket(),
        queue,
        tickets: 1,
        offers: 0,
        newest: None,
        announced: None,
        told: Told::default(),
        agent: AgentSide::Asked,
    };
    core.enter(Phase::HandingOff);
    handoff.publish(HandoffState::Requested, core);
    core.rewrite_brief(Some(&handoff.record));
    if let Some(brief) = core.known.brief.clone() {
        core.act(Action::Promise(Entry::HandoffOpened {
            handoff: number,
            decision: request.decision,
            brief,
        }));
    }
    handoff.begin(core)
}

fn new_record(handoff: u32, requested: Duration, request: &Request) -> HandoffRecord {
    HandoffRecord {
        contributing: request.decision.contributing.clone(),
        ..HandoffRecord::new(handoff, request.decision.primary.clone(), requested)
    }
}

impl Handoff {
    /// The announcement and the search, in the same step.
    fn begin(mut self, core: &mut Core) -> State {
        core.say(Spoken::Announcement, self.announcement(core));
        self.record.announced = Some(core.now);
        self.record.state = HandoffState::Announced;
        self.publish(HandoffState::Announced, core);
        core.start_timer(Timer::Announcement, core.policy.times.announcement_deadline);
        core.start_timer(Timer::Queue, core.policy.times.queue_max);
        self.enqueue(core);
        State::HandingOff(Box::new(self))
    }

    fn announcement(&self, core: &Core) -> Prompt {
        let speech = &core.policy.speech;
        let message = match speech.apology_rules.contains(&self.record.reason.rule) {
            true => Message::AnnouncementApology,
            false => Message::Announcement,
        };
        let why = core.prompts.reason_words(&self.record.reason.code);
        core.prompts.announcement(message, (why, self.queue_words(core)), speech.ask_for_details)
    }

    fn enqueue(&self, core: &mut Core) {
        core.known.queue = Some(self.queue.clone());
        core.speech.asked_for = Some(core.speech.language.clone());
        let ticket = Ticket {
            id: self.ticket,
            queue: self.queue.clone(),
            skills: core.policy.routes.skills.get(&self.queue).cloned().unwrap_or_default(),
            language: core.speech.language.clone(),
            priority: core.known.brief.as_ref().map_or(0, |brief| brief.priority),
            since: self.record.requested,
        };
        let (handoff, queue, since) = (self.record.handoff, self.queue.clone(), ticket.since);
        core.act(Action::Promise(Entry::Ticket { handoff, queue, since }));
        core.act(Action::Enqueue { ticket });
    }

    pub(crate) fn queue_words<'a>(&self, core: &'a Core) -> &'a str {
        core.prompts.queue_words(&self.queue)
    }

    pub(crate) fn publish(&self, state: HandoffState, core: &mut Core) {
        let agent = self.agent.offer().map(|offer| offer.agent.clone());
        core.publish(Milestone::Handoff { handoff: self.record.handoff, state, agent });
    }

    /// Notes and publishes a new state.
    pub(crate) fn enter(&mut self, state: HandoffState, core: &mut Core) {
        if self.record.state != state {
            self.record.state = state;
            self.publish(state, core);
        }
    }

    pub(crate) fn step(mut self: Box<Self>, news: News, core: &mut Core) -> State {
        match news {
            News::Ticket(notice) => self.on_notice(notice, core),
            News::Spoken(Spoken::Announcement, _) | News::Due(Timer::Announcement) => self.on_announced(core),
            News::Spoken(Spoken::Introduction, _) | News::Due(Timer::Introduction) => {
                agent_side::bridge(self, core)
            }
            News::Spoken(Spoken::Update, _) => {
                core.start_timer(Timer::Update, core.policy.times.update_interval);
                State::HandingOff(self)
            }
            News::Due(Timer::Update) => {
                // Nobody is talked over; a caller who stops talking is told a moment later.
                if core.known.transcript.caller_speaks(core.now) {
                    core.start_timer(Timer::Update, SPEECH_PAUSE);
                } else {
                    self.tell_again(core);
                }
                State::HandingOff(self)
            }
            News::Due(Timer::Queue) => match self.agent {
                AgentSide::Asked | AgentSide::Queued(_) => self.give_up(Message::SorryTimeout, core),
                AgentSide::Offered(_)
                | AgentSide::Ringing(_)
                | AgentSide::Briefing(_)
                | AgentSide::Accepted(_)
                | AgentSide::Introducing(_) => State::HandingOff(self),
            },
            News::Recalled(number) if number == self.record.handoff => {
                self.release(HangUpWhy::Canceled, core);
                self.leave(HandoffState::Canceled, Message::Recalled, core)
            }
            News::Learned => {
                if core.known.stale {
                    core.rewrite_brief(Some(&self.record));
                    agent_side::show_again(&self, core);
                }
                State::HandingOff(self)
            }
            News::AgentRinging
            | News::AgentUp
            | News::AgentUnreached(_)
            | News::AgentGone(_)
            | News::Choice(_)
            | News::Spoken(Spoken::Whisper | Spoken::Keys, _)
            | News::Due(Timer::Ring | Timer::Accept | Timer::Whisper) => agent_side::step(self, news, core),
            // The handoff is latched: more requests, and the bot's leg, change nothing.
            News::Request(_) | News::BotUp | News::BotUnreached(_) | News::BotGone(_) => {
                State::HandingOff(self)
            }
            // An agent who is being briefed has no caller to give away.
            News::Referred(_) | News::AgentMoved(_) => State::HandingOff(self),
            News::Recalled(_)
            | News::Spoken(Spoken::Preface | Spoken::Farewell, _)
            | News::Due(Timer::Prompt | Timer::BotConnect | Timer::Talk | Timer::Echo | Timer::Farewell) => {
                State::HandingOff(self)
            }
        }
    }

    fn on_notice(mut self: Box<Self>, notice: Notice, core: &mut Core) -> State {
        match notice {
            Notice::Waiting { ticket, position, wait } if ticket == self.ticket => {
                core.publish(Milestone::Waiting { position, wait });
                if matches!(self.agent, AgentSide::Asked | AgentSide::Queued(_)) {
                    let first = matches!(self.agent, AgentSide::Asked);
                    self.agent = AgentSide::Queued(Some(Place { position, wait }));
                    self.enter(HandoffState::Queued, core);
                    if first {
                        self.tell_first(core);
                    }
                }
                State::HandingOff(self)
            }
            Notice::Unqueued { ticket, why } if ticket == self.ticket => self.on_unqueued(why, core),
            Notice::Reserved { ticket, reservation, agent, agent_name }
                if ticket == self.ticket && Some(reservation) > self.newest =>
            {
                self.newest = Some(reservation);
                match self.agent {
                    AgentSide::Asked | AgentSide::Queued(_) => {
                        self.offers = self.offers.saturating_add(1);
                        let offer = Offer { reservation, agent, name: agent_name };
                        agent_side::offer(self, offer, core)
                    }
                    AgentSide::Offered(_)
                    | AgentSide::Ringing(_)
                    | AgentSide::Briefing(_)
                    | AgentSide::Accepted(_)
                    | AgentSide::Introducing(_) => State::HandingOff(self),
                }
            }
            Notice::Waiting { .. } | Notice::Unqueued { .. } | Notice::Reserved { .. } => {
                State::HandingOff(self)
            }
        }
    }

    fn on_unqueued(mut self: Box<Self>, why: Unqueued, core: &mut Core) -> State {
        let elsewhere = match why {
            Unqueued::UnknownQueue if self.queue != core.policy.routes.default_queue => {
                Some(core.policy.routes.default_queue.clone())
            }
            Unqueued::Lapsed => Some(self.queue.clone()),
            Unqueued::UnknownQueue | Unqueued::QueueFull | Unqueued::EverybodyAway | Unqueued::Closed => None,
        };
        let introduced = matches!(self.agent, AgentSide::Introducing(_));
        agent_side::drop_agent(&mut self, HangUpWhy::Canceled, core);
        if let Some(queue) = elsewhere.filter(|_| self.tickets < TICKETS_PER_HANDOFF) {
            self.tickets += 1;
            self.ticket = core.next_ticket();
            self.queue = queue;
            self.agent = AgentSide::Asked;
            if introduced {
                agent_side::tell_lost(&self, core);
            }
            self.enqueue(core);
            return State::HandingOff(self);
        }
        let sorry = match why {
            Unqueued::QueueFull => Message::SorryFull,
            Unqueued::EverybodyAway | Unqueued::UnknownQueue => Message::SorryAway,
            Unqueued::Closed => Message::SorryClosed,
            Unqueued::Lapsed => Message::SorryTimeout,
        };
        self.leave(HandoffState::Rejected, sorry, core)
    }

    fn on_announced(mut self: Box<Self>, core: &mut Core) -> State {
        core.timers.stop(Timer::Announcement);
        core.hush_caller();
        self.announced = Some(core.now);
        match self.agent {
            AgentSide::Accepted(_) => agent_side::introduce(self, core),
            AgentSide::Queued(Some(_)) => {
                self.tell_first(core);
                State::HandingOff(self)
            }
            AgentSide::Asked
            | AgentSide::Queued(None)
            | AgentSide::Offered(_)
            | AgentSide::Ringing(_)
            | AgentSide::Briefing(_) => {
                core.start_timer(Timer::Update, core.policy.times.update_interval);
                State::HandingOff(self)
            }
            AgentSide::Introducing(_) => State::HandingOff(self),
        }
    }

    /// The place has become known, or the announcement is over: the caller is told at once, or after the time that
    /// they were given to say what it is about (T03).
    fn tell_first(&mut self, core: &mut Core) {
        let Some(heard) = self.announced.filter(|_| core.caller_ear.is_none()) else {
            return;
        };
        let asked =
            core.policy.speech.ask_for_details && core.prompts.say(Message::DetailsOffer, &[]).is_some();
        let pause_ends = heard.saturating_add(core.policy.times.details_pause);
        if asked && core.now < pause_ends {
            core.timers.start(Timer::Update, pause_ends);
        } else {
            self.tell_again(core);
        }
    }

    /// Tells the caller where they are, unless something else is being said or an agent has accepted.
    fn tell_again(&mut self, core: &mut Core) {
        let waited = core.now.saturating_sub(self.record.requested);
        let times = core.policy.times;
        let prompt = match &self.agent {
            AgentSide::Accepted(_) | AgentSide::Introducing(_) => return,
            AgentSide::Queued(Some(place)) => {
                let prompt = self.told.place(&core.prompts, &times, *place, waited);
                self.told.remember(*place, &times, waited);
                prompt
            }
            AgentSide::Asked
            | AgentSide::Queued(None)
            | AgentSide::Offered(_)
            | AgentSide::Ringing(_)
            | AgentSide::Briefing(_) => {
                core.prompts.say(Message::StillConnecting, &[("queue", self.queue_words(core))])
            }
        };
        match prompt {
            Some(prompt) => say_update(prompt, core),
            None => core.start_timer(Timer::Update, times.update_interval),
        }
    }

    /// An agent did not take the call. Goes on waiting at the front, unless it was tried often or long enough.
    pub(crate) fn go_on(mut self: Box<Self>, core: &mut Core) -> State {
        let waited = core.now.saturating_sub(self.record.requested);
        self.agent = AgentSide::Queued(None);
        if self.offers >= core.policy.limits.offers || waited >= core.policy.times.queue_max {
            return self.give_up(Message::SorryTimeout, core);
        }
        self.enter(HandoffState::Queued, core);
        if self.announced.is_some() && !core.timers.runs(Timer::Update) {
            core.start_timer(Timer::Update, core.policy.times.update_interval);
        }
        State::HandingOff(self)
    }

    /// Leaves the queue and falls back.
    fn give_up(self: Box<Self>, sorry: Message, core: &mut Core) -> State {
        core.act(Action::Withdraw { ticket: self.ticket });
        self.leave(HandoffState::Rejected, sorry, core)
    }

    /// Lets go of the agent, if one is held, and of the place in the queue.
    pub(crate) fn release(&mut self, why: HangUpWhy, core: &mut Core) {
        agent_side::drop_agent(self, why, core);
        core.act(Action::Withdraw { ticket: self.ticket });
    }

    /// Ends the handoff without a bridge and goes back to the bot.
    fn leave(self: Box<Self>, state: HandoffState, sorry: Message, core: &mut Core) -> State {
        let queue = self.queue.clone();
        core.close_handoff(self.record, state);
        let words = core.prompts.queue_words(&queue).to_owned();
        leave_to_bot(core, &[sorry], &words)
    }

    /// The caller went away, or the gateway goes down.
    pub(crate) fn cancel(mut self: Box<Self>, why: HangUpWhy, core: &mut Core) {
        self.release(why, core);
        core.close_handoff(self.record, HandoffState::Canceled);
    }
}

/// How soon a caller who was speaking is tried again.
const SPEECH_PAUSE: Duration = Duration::from_secs(1);

/// Says something to a waiting caller. The next message comes an interval after its end, or after the time it may
/// take at most.
pub(crate) fn say_update(prompt: Prompt, core: &mut Core) {
    core.say(Spoken::Update, prompt);
    let times = core.policy.times;
    core.start_timer(Timer::Update, times.prompt_deadline.saturating_add(times.update_interval));
}

/// Says what came to nothing, and what is next: the bot, or the end if there is none.
fn leave_to_bot(core: &mut Core, sorry: &[Message], queue: &str) -> State {
    let mut words = sorry.to_vec();
    words.push(Message::ThenBot);
    let preface = core.prompts.sequence(&words, &[("queue", queue)]);
    core.wire_hold();
    bot_side::connect(core, Why::Fallback, preface)
}
