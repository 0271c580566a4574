//! What every state of a call shares: the actions to be given, the ids, the legs, the two ears that prompts go to,
//! the timers and the words. It computes and keeps; the states decide.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use segue_acd::{AgentId, Language, TicketId};
use segue_trigger::{RuleSet, Triggers};

use super::{
    ears::Ears,
    known::Known,
    legs::{Leg, Legs},
    overlap::Overlap,
    timers::{Timer, Timers},
};
use crate::{
    action::{Action, Destination, HangUpWhy, Prompt, Source},
    party::{Party, PlaybackId},
    policy::{Policy, Prompts},
    record::{CallRecord, EndedBy, Entry, HandoffRecord, Milestone},
    start::CallStart,
    state::{HandoffState, Phase},
};

/// What is being spoken, and thereby what its end means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    /// To the caller, before the bot is connected for the first time or again.
    Preface,
    /// To the caller: the first announcement of a handoff.
    Announcement,
    /// To the caller: something while waiting.
    Update,
    /// To the caller: the agent's name.
    Introduction,
    /// To the caller: the last words.
    Farewell,
    /// To the agent: the brief.
    Whisper,
    /// To the agent: which keys there are.
    Keys,
}

impl Spoken {
    /// Whose ear it is for. Nobody else ever hears it.
    const fn ear(self) -> Party {
        match self {
            Self::Preface | Self::Announcement | Self::Update | Self::Introduction | Self::Farewell => {
                Party::Caller
            }
            Self::Whisper | Self::Keys => Party::Agent,
        }
    }
}

/// A prompt in an ear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Playing {
    pub(crate) playback: PlaybackId,
    pub(crate) what: Spoken,
}

/// What is known of how the parties speak.
#[derive(Debug)]
pub(crate) struct Speech {
    /// The caller's language.
    pub(crate) language: Language,
    /// The language that an agent was asked for last.
    pub(crate) asked_for: Option<Language>,
    /// What the parties were given to hear.
    pub(crate) ears: Ears,
    /// Who spoke over whom.
    pub(crate) overlap: Overlap,
}

impl Speech {
    fn new(language: Language) -> Self {
        Self { language, asked_for: None, ears: Ears::default(), overlap: Overlap::default() }
    }
}

/// What the states share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) now: Duration,
    pub(crate) start: CallStart,
    pub(crate) policy: Arc<Policy>,
    pub(crate) prompts: Arc<Prompts>,
    pub(crate) legs: Legs,
    pub(crate) timers: Timers,
    pub(crate) known: Known,
    pub(crate) triggers: Triggers,
    pub(crate) speech: Speech,
    /// What plays in the caller's and in the agent's ear.
    pub(crate) caller_ear: Option<Playing>,
    pub(crate) agent_ear: Option<Playing>,
    /// What each ear is wired to, so that only changes are told.
    wired: BTreeMap<Party, Source>,
    /// Who has put the call on hold.
    holding: BTreeSet<Party>,
    /// Since when the caller does not hear the bot.
    bot_unheard_since: Option<Duration>,
    pub(crate) phase: Option<Phase>,
    /// The handoffs that are over.
    pub(crate) closed: Vec<HandoffRecord>,
    bot_dials: u32,
    tickets: u64,
    playbacks: u32,
    actions: VecDeque<Action>,
}

impl Core {
    pub(crate) fn new(start: CallStart, policy: Arc<Policy>, rules: Arc<RuleSet>) -> Self {
        Self {
            now: start.at,
            prompts: policy.prompts(&start.language),
            legs: Legs::new(),
            timers: Timers::default(),
            known: Known::new(policy.limits),
            triggers: Triggers::with(rules).since(start.at),
            speech: Speech::new(start.language.clone()),
            caller_ear: None,
            agent_ear: None,
            wired: BTreeMap::new(),
            holding: BTreeSet::new(),
            bot_unheard_since: None,
            phase: None,
            closed: Vec::new(),
            bot_dials: 0,
            tickets: 0,
            playbacks: 0,
            actions: VecDeque::new(),
            start,
            policy,
        }
    }

    pub(crate) fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    pub(crate) fn take_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    pub(crate) fn publish(&mut self, milestone: Milestone) {
        self.act(Action::Publish(milestone));
    }

    pub(crate) fn enter(&mut self, phase: Phase) {
        if self.phase != Some(phase) {
            self.phase = Some(phase);
            self.publish(Milestone::Phase { phase });
        }
    }

    pub(crate) fn start_timer(&mut self, timer: Timer, after: Duration) {
        self.timers.start(timer, self.now.saturating_add(after));
    }

    /// Wires ears, all on one tick. Ears that hear this already are left out.
    pub(crate) fn wire(&mut self, ears: &[(Party, Source)]) {
        let changed = |(ear, source): &(Party, Source)| self.wired.get(ear) != Some(source);
        let ears: Vec<(Party, Source)> = ears.iter().copied().filter(changed).collect();
        for (ear, source) in &ears {
            let before = self.wired.insert(*ear, *source);
            match (ear, source) {
                (Party::Caller, Source::Voice(Party::Bot)) => self.bot_unheard_since = None,
                (Party::Caller, _) if before == Some(Source::Voice(Party::Bot)) => {
                    self.bot_unheard_since = Some(self.now);
                }
                (Party::Caller | Party::Bot | Party::Agent, _) => {}
            }
        }
        if !ears.is_empty() {
            let ears = ears.into_iter().map(|(ear, source)| (ear, self.heard_by(ear, source))).collect();
            self.act(Action::Wire { ears });
        }
    }

    /// What an ear hears that is wired to this: a party on hold has no voice. People hear music then, a bot nothing.
    fn heard_by(&self, ear: Party, source: Source) -> Source {
        match (source, ear) {
            (Source::Voice(party), Party::Bot) if self.holding.contains(&party) => Source::Quiet,
            (Source::Voice(party), Party::Caller | Party::Agent) if self.holding.contains(&party) => {
                Source::Hold
            }
            (Source::Voice(_) | Source::Hold | Source::Quiet, _) => source,
        }
    }

    /// A party puts the call on hold or takes it back: those who listen to it hear hold meanwhile.
    pub(crate) fn hold(&mut self, party: Party, held: bool) {
        let changed = if held { self.holding.insert(party) } else { self.holding.remove(&party) };
        let listeners = self.wired.iter().filter(|(_, source)| **source == Source::Voice(party));
        let ears: Vec<_> = listeners.map(|(ear, source)| (*ear, self.heard_by(*ear, *source))).collect();
        if changed && !ears.is_empty() {
            self.act(Action::Wire { ears });
        }
    }

    /// The caller hears hold, and a bot that stays hears nothing.
    pub(crate) fn wire_hold(&mut self) {
        let mut ears = vec![(Party::Caller, Source::Hold)];
        if self.legs.bot.is_up() {
            ears.push((Party::Bot, Source::Quiet));
        }
        self.wire(&ears);
    }

    /// Whether what the bot said then was said to the caller.
    pub(crate) fn bot_was_heard(&self, said: Duration) -> bool {
        self.bot_unheard_since.is_none_or(|since| said < since)
    }

    /// Dials the bot, unless it was dialled too often.
    pub(crate) fn dial_bot(&mut self) -> bool {
        if self.bot_dials >= self.policy.limits.bot_dials {
            return false;
        }
        self.bot_dials += 1;
        let attempt = self.legs.dial(Party::Bot);
        self.act(Action::Dial { attempt, to: Destination::Bot });
        true
    }

    /// Gives up a bot that was dialled and has not answered.
    pub(crate) fn stop_dialling_bot(&mut self) {
        if !self.legs.bot.is_up() {
            self.hang_up(Party::Bot, HangUpWhy::Canceled);
        }
    }

    pub(crate) fn dial_agent(&mut self, agent: AgentId) {
        let attempt = self.legs.dial(Party::Agent);
        self.act(Action::Dial { attempt, to: Destination::Agent(agent) });
    }

    /// Takes a leg down if there is one, answered or not.
    pub(crate) fn hang_up(&mut self, party: Party, why: HangUpWhy) {
        let attempt = match party {
            Party::Caller => self.legs.party(crate::AttemptId::CALLER).map(|_| crate::AttemptId::CALLER),
            Party::Bot => self.legs.bot.attempt(),
            Party::Agent => self.legs.agent.attempt(),
        };
        if let Some(attempt) = attempt {
            self.act(Action::HangUp { attempt, why });
            self.leg_gone(party);
        }
    }

    /// A dialled leg answered.
    pub(crate) fn leg_up(&mut self, party: Party) {
        let now = self.now;
        if let Some(leg) = self.legs.leg_mut(party)
            && let Some(attempt) = leg.attempt()
        {
            *leg = Leg::Up { attempt, since: now };
            self.publish(Milestone::Leg { attempt, party, up: true });
        }
    }

    /// A leg is down, whoever ended it: it and the prompt in its ear are forgotten.
    pub(crate) fn leg_gone(&mut self, party: Party) {
        self.wired.remove(&party);
        self.holding.remove(&party);
        let was_up = match party {
            Party::Caller => {
                self.caller_ear = None;
                std::mem::take(&mut self.legs.caller_up).then_some(crate::AttemptId::CALLER)
            }
            Party::Bot => up_attempt(std::mem::take(&mut self.legs.bot)),
            Party::Agent => {
                self.agent_ear = None;
                up_attempt(std::mem::take(&mut self.legs.agent))
            }
        };
        if let Some(attempt) = was_up {
            self.publish(Milestone::Leg { attempt, party, up: false });
        }
    }

    /// Speaks to the ear that the words are for, in place of what plays there.
    pub(crate) fn say(&mut self, what: Spoken, prompt: Prompt) {
        self.playbacks = self.playbacks.saturating_add(1);
        let playback = PlaybackId(self.playbacks);
        let (ear, text) = (what.ear(), prompt.text.clone());
        let playing = Some(Playing { playback, what });
        match ear {
            Party::Agent => self.agent_ear = playing,
            Party::Caller | Party::Bot => self.caller_ear = playing,
        }
        self.speech.ears.ordered(playback, ear, &text);
        self.act(Action::Play { playback, ear, prompt });
        self.publish(Milestone::Saying { ear, text });
    }

    /// Stops what plays in the caller's ear.
    pub(crate) fn hush_caller(&mut self) {
        if let Some(Playing { playback, .. }) = self.caller_ear.take() {
            self.act(Action::StopPlay { playback });
        }
    }

    /// Stops what plays in the agent's ear.
    pub(crate) fn hush_agent(&mut self) {
        if let Some(Playing { playback, .. }) = self.agent_ear.take() {
            self.act(Action::StopPlay { playback });
        }
    }

    /// A prompt ended. Tells which one it was, unless something else plays there by now.
    pub(crate) fn spoken(&mut self, playback: PlaybackId) -> Option<Spoken> {
        self.speech.ears.ended(playback, self.now);
        let ended = |ear: &mut Option<Playing>| ear.take_if(|playing| playing.playback == playback);
        ended(&mut self.caller_ear).or_else(|| ended(&mut self.agent_ear)).map(|playing| playing.what)
    }

    /// The caller's language, if it is another than the call began with.
    pub(crate) fn language_found(&self) -> Option<&Language> {
        Some(&self.speech.language).filter(|language| **language != self.start.language)
    }

    /// A ticket number that was not used before.
    pub(crate) fn next_ticket(&mut self) -> TicketId {
        let ticket = TicketId(self.start.first_ticket.0.saturating_add(self.tickets));
        self.tickets = self.tickets.saturating_add(1);
        ticket
    }

    /// Ends a handoff's record.
    pub(crate) fn close_handoff(&mut self, mut record: HandoffRecord, state: HandoffState) {
        record.state = state;
        record.closed = Some(self.now);
        let (handoff, agent) = (record.handoff, record.agent.clone());
        self.act(Action::Promise(Entry::HandoffClosed { handoff, state }));
        self.publish(Milestone::Handoff { handoff, state, agent });
        self.closed.push(record);
    }

    /// The end of everything: legs down, one record, nothing after it.
    pub(crate) fn finish(&mut self, by: EndedBy, why: HangUpWhy) {
        self.timers.stop_all();
        for party in [Party::Agent, Party::Bot, Party::Caller] {
            self.hang_up(party, why);
        }
        self.act(Action::Promise(Entry::CallRecord(CallRecord {
            started: self.start.at,
            ended: self.now,
            ended_by: by,
            handoffs: self.closed.clone(),
            utterances: self.known.transcript.count(),
            language: self.language_found().cloned(),
            conversation: self.speech.overlap.sum(),
        })));
        self.publish(Milestone::Ended { by });
        self.enter(Phase::Ended);
        self.act(Action::Finished);
    }
}

fn up_attempt(leg: Leg) -> Option<crate::AttemptId> {
    leg.attempt().filter(|_| leg.is_up())
}
